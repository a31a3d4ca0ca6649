"""Whose rows come out, and whose names come with them."""

from __future__ import annotations

import pytest
import sql_world as world
from sql_world import (
    LOAN,
    OP01,
    Data,
    decision,
    facts,
    grant,
    loans,
    plan,
    run,
)

from guard.errors import Misuse
from guard.model import ALWAYS


def test_each_row_names_its_persons_also_where_their_column_is_not_shown() -> None:
    only = decision(LOAN, OP01, ["loan_id"])
    rows, persons, guarded = run(loans(), "SELECT loan_id FROM loan ORDER BY loan_id", only)
    assert rows == [(1,), (2,), (3,)]
    assert persons == [("a", "b"), ("a",), ("c", "a")]
    assert guarded.hidden == 2


def test_a_group_names_all_persons_behind_it() -> None:
    sql = "SELECT status, sum(principal) FROM loan GROUP BY status ORDER BY status"
    rows, persons, _ = run(loans(), sql, decision(LOAN, OP01))
    assert rows == [("open", 3.0), ("shut", 4.0)]
    assert [sorted(one) for one in persons] == [["a", "b"], ["a", "c"]]


def test_an_aggregate_over_nothing_names_nobody() -> None:
    rows, persons, _ = run(loans(), "SELECT count(*) FROM loan WHERE loan_id > 9", decision(LOAN, OP01))
    assert rows == [(0,)]
    assert persons == [()]


def test_persons_are_read_from_the_hidden_columns_and_from_no_others() -> None:
    guarded = plan("SELECT loan_id FROM loan").apply(decision(LOAN))
    with pytest.raises(Misuse):
        guarded.persons((1, "a", "b"))


def test_a_declared_person_is_one_of_the_row_and_every_person_has_a_grant() -> None:
    sql = "SELECT loan_id FROM loan ORDER BY loan_id"
    assert run(loans(), sql, decision(LOAN, OP01), facts(subject="b"))[0] == [(1,)]
    assert run(loans(), sql, decision(LOAN, OP01), facts(subject="a"))[0] == [(1,), (2,), (3,)]
    connection = loans()
    connection.execute("UPDATE guard_grant SET withdrawn_at = 1 WHERE subject = 'b'")
    assert run(connection, sql, decision(LOAN, OP01), facts(subject="a"))[0] == [(2,), (3,)]
    assert run(connection, sql, decision(LOAN, OP01), facts(subject="b"))[0] == []


def test_a_row_that_names_nobody_is_hidden_whatever_the_policy_says() -> None:
    rows = run(loans(), "SELECT loan_id FROM loan ORDER BY loan_id", decision(LOAN, ALWAYS))[0]
    assert rows == [(1,), (2,), (3,)]


@pytest.mark.parametrize("key", ["1", "01", " 1", "1.0", "1e0", "+1", "A", "a", "ä", "a\u0308", "9007199254740993", ""])
def test_a_grant_belongs_to_exactly_one_key(key: str) -> None:
    """No collation, affinity, padding or case makes two keys one person."""
    keys = ["1", "01", " 1", "1.0", "1e0", "+1", "A", "a", "ä", "a\u0308", "9007199254740993", ""]
    connection = world.empty()
    connection.execute("DROP TABLE loan")
    connection.execute(
        f"CREATE TABLE loan ({world.TABLES['loan'].replace('holder_key TEXT', 'holder_key COLLATE NOCASE')})"
    )
    loans = [{"loan_id": place, "holder_key": one, "guarantor_key": None} for place, one in enumerate(keys)]
    loans.append({"loan_id": 99, "holder_key": 1, "guarantor_key": None})
    for row in loans:
        world.insert(connection, "loan", row)
    world.fill(connection, Data(grants=[grant(key)], scopes={1: {("use", "loan")}}))
    rows = run(connection, "SELECT loan_id FROM loan ORDER BY loan_id", decision(LOAN, OP01))[0]
    expected = [(keys.index(key),)] + ([(99,)] if key == "1" else [])
    assert rows == expected
    # With the person declared, the native comparison beside the exact one may hide more, never less.
    assert set(run(connection, "SELECT loan_id FROM loan", decision(LOAN, OP01), facts(subject=key))[0]) <= set(
        expected
    )
    declared = run(connection, "SELECT loan_id FROM loan", decision(LOAN), facts(subject=key))[0]
    assert set(declared) <= set(expected), "another key's row counts as this person's"
    assert (keys.index(key),) in declared
    other = run(connection, "SELECT loan_id FROM loan", decision(LOAN, OP01), facts(subject="zz"))[0]
    assert other == []


def test_a_temporary_table_does_not_stand_in_for_one_of_the_database() -> None:
    connection = loans()
    sql, made = "SELECT loan_id FROM loan ORDER BY loan_id", decision(LOAN, OP01)
    before = run(connection, sql, made)[0]
    connection.execute("CREATE TEMP TABLE guard_grant AS SELECT * FROM main.guard_grant WHERE 0")
    connection.execute("CREATE TEMP TABLE guard_scope AS SELECT * FROM main.guard_scope")
    connection.execute("CREATE TEMP TABLE loan AS SELECT 77 AS loan_id, 'a' AS holder_key, NULL AS guarantor_key")
    connection.execute("CREATE TEMP TABLE branch AS SELECT 1 AS branch_id, 'secret' AS city")
    assert run(connection, sql, made)[0] == before
    assert run(connection, "SELECT city FROM branch", None)[0] == []
