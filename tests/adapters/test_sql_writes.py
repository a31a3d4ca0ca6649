"""Writes on real databases: what a write may touch, what it must not, and what it says when it does.

A write is two texts. `before` lists the rows that it may touch, each with whether it is permitted; the write returns
the rows as they are afterwards, by the same conditions. Whoever runs them refuses and undoes where one is not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec
import pytest
import sql_world as world
from sql_databases import OnPostgres, OnSqlite
from sql_world import CUSTOMER, OP01, Data, Record, facts, grant, masked, shown

import guard_sql
from guard.effects import Values
from guard.errors import Refused
from guard.model import Condition, Decision, FactCondition, Facts, Write, all_of

Bank = OnSqlite | OnPostgres
Rows = list[tuple[Any, ...]]

FIELDS: Mapping[str, Write] = MappingProxyType(
    {
        "customer_id": "keep",
        "full_name": "keep",
        "id_number": "refuse",
        "mobile": "keep",
        "monthly_income": "keep",
        "grade": "strip",
        "ended_on": "keep",
        "frozen": "keep",
        "住址": "keep",
    }
)
READS = {
    **{name: shown() for name in ("customer_id", "full_name", "id_number", "grade", "ended_on", "frozen", "住址")},
    "mobile": masked("phone"),
}


def decided(rows: Condition = OP01, writes: Mapping[str, Write] = FIELDS) -> Decision:
    return Decision(
        id="0",
        allow=True,
        rows=MappingProxyType({CUSTOMER: rows}),
        reads=MappingProxyType({CUSTOMER: MappingProxyType(dict(READS))}),
        writes=MappingProxyType({CUSTOMER: MappingProxyType(dict(writes))}),
    )


DELETES = decided(writes=dict.fromkeys(FIELDS, "keep"))


def customers(**hidden: object) -> Data:
    """1 and 3 have a grant, 2 has none and these values."""
    return Data(
        customer=[
            {"customer_id": 1, "full_name": "Li", "mobile": "13800000001", "grade": "A"},
            {"customer_id": 2, "full_name": "Wu", "mobile": "13800000002", "grade": "B", **hidden},
            {"customer_id": 3, "full_name": "Xu", "mobile": "13800000003", "grade": "C"},
        ],
        grants=[grant("1"), grant("3")],
        scopes={1: {("use", "identity")}},
    )


@pytest.fixture(scope="module")
def banks(postgres_server: Path) -> Iterator[dict[str, Bank]]:
    made: dict[str, Bank] = {"sqlite": OnSqlite(), "postgres": OnPostgres(postgres_server)}
    yield made
    for one in made.values():
        one.connection.close()


@pytest.fixture(params=["sqlite", "postgres"])
def bank(request: pytest.FixtureRequest, banks: dict[str, Bank]) -> Bank:
    made = banks[request.param]
    made.fill(customers())
    made.connection.commit()
    return made


def ask(bank: Bank, asked: tuple[str, Values]) -> Rows:
    cursor: Any = bank.raw() if isinstance(bank, OnPostgres) else bank.connection
    return list(cursor.execute(*asked).fetchall())


def tried(
    bank: Bank,
    sql: str,
    decision: Decision | None = None,
    who: Facts = world.FACTS,
    parameters: Sequence[object] | None = None,
) -> tuple[Rows, Rows]:
    """The rows before and after, as (allowed, persons), whatever they say; what was written stays."""
    pyformat = bank.site.world.dialect.name == "postgres" and parameters is not None
    text = sql.replace("?", "%s") if pyformat else sql
    guarded = guard_sql.plan(text, bank.site, pyformat=pyformat).apply(decision or decided())
    rows = [ask(bank, asked(parameters, who)) for asked in (guarded.before, guarded.bind)]
    before, after = ([(bool(row[0]), guarded.persons(row[1:])) for row in one] for one in rows)
    return sorted(before), sorted(after)


def outcome(bank: Bank, sql: str, decision: Decision) -> object:
    """What the program is told: the refusal, whose rows were not permitted, or how many were written. All is undone."""
    bank.connection.commit()
    bank.run("BEGIN")
    try:
        before, after = tried(bank, sql, decision)
        refused = sorted({persons for allowed, persons in (*before, *after) if not allowed})
        return refused or len(after)
    except Refused as said:
        return said.rules
    finally:
        bank.run("ROLLBACK")


def kept(bank: Bank) -> list[Record]:
    where = "retail.customer" if isinstance(bank, OnPostgres) else "customer"
    rows = bank.connection.execute(f"SELECT customer_id, full_name, mobile, grade FROM {where} ORDER BY customer_id")
    names = ("customer_id", "full_name", "mobile", "grade")
    return [dict(zip(names, row, strict=True)) for row in rows.fetchall()]


def changed(bank: Bank) -> list[Record]:
    """The rows that are not as they were filled in."""
    return [row for row in kept(bank) if row not in customers().customer]


# --- rows -----------------------------------------------------------------------------------------


def test_a_permitted_row_is_updated(bank: Bank) -> None:
    said = tried(bank, "UPDATE customer SET full_name = 'Lu' WHERE customer_id = 1")
    assert said == ([(True, ("1",))], [(True, ("1",))])
    assert [row["full_name"] for row in changed(bank)] == ["Lu"]


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE customer SET full_name = 'x'",
        "UPDATE customer SET full_name = 'x' WHERE customer_id = 2",
        "UPDATE customer SET full_name = 'x' WHERE customer_id IN (1, 2)",
        "UPDATE customer SET full_name = 'x' WHERE full_name = 'Wu'",
        "UPDATE customer SET full_name = 'x' WHERE full_name <> 'Wu' OR customer_id = 2",
        "DELETE FROM customer",
        "DELETE FROM customer WHERE customer_id = 2",
        "DELETE FROM customer WHERE full_name = 'Wu' OR 1 = 1",
    ],
)
def test_a_row_that_is_not_permitted_is_never_written(bank: Bank, sql: str) -> None:
    """Even the text of the write alone leaves it, and what comes before says that it is not permitted."""
    before, after = tried(bank, sql, DELETES)
    assert (False, ("2",)) in before
    assert all(allowed and persons != ("2",) for allowed, persons in after)
    assert customers().customer[1] in kept(bank)


def test_a_row_that_its_keys_do_not_name_is_nobodys_question(bank: Bank) -> None:
    before, after = tried(bank, "DELETE FROM customer WHERE customer_id = 3 AND full_name = 'Xu'", DELETES)
    assert before == after == [(True, ("3",))]
    assert [row["customer_id"] for row in kept(bank)] == [1, 2]


def test_who_acts_for_one_person_writes_rows_of_this_person(bank: Bank) -> None:
    who = facts(subject="1")
    before, after = tried(bank, "UPDATE customer SET full_name = 'x'", who=who)
    assert before == after == [(True, ("1",))]
    assert [row["customer_id"] for row in changed(bank)] == [1]


HIDDEN: tuple[Record, ...] = (
    {"full_name": "Wu", "mobile": "13800000002", "grade": "B"},
    {"full_name": "Li", "mobile": None, "grade": None},
    {"full_name": None, "mobile": "", "grade": "A"},
)


CONDITIONS = ("", "customer_id = 2 AND ", "customer_id = 1 AND ", "customer_id IN (2, 3) AND ")
ASKED = ("full_name = 'Wu'", "full_name IS NULL", "full_name LIKE 'L%'", "NOT full_name = 'Li'", "grade > 'A'", "1 = 1")


@pytest.mark.parametrize("verb", ["UPDATE customer SET full_name = 'x'", "DELETE FROM customer"])
def test_values_of_a_hidden_row_decide_nothing(bank: Bank, verb: str) -> None:
    """Of three databases that differ in them alone every statement is told the same."""
    statements = [f"{verb} WHERE {condition}{asked}" for condition in CONDITIONS for asked in ASKED]
    said: list[list[object]] = []
    for hidden in HIDDEN:
        bank.fill(customers(**hidden))
        said.append([outcome(bank, sql, DELETES) for sql in statements])
    assert said[0] == said[1] == said[2]
    assert {one for one in said[0] if isinstance(one, int)} == {0, 1}


def test_the_keys_of_a_hidden_row_do_decide(bank: Bank) -> None:
    """Else the test above would pass where nothing is ever refused."""
    sql = "UPDATE customer SET full_name = 'x' WHERE full_name = 'Wu'"
    assert outcome(bank, f"{sql} AND customer_id = 2", decided()) == [("2",)]
    assert outcome(bank, f"{sql} AND customer_id = 1", decided()) == 0
    assert outcome(bank, sql.replace("'Wu'", "'Li' AND customer_id = 1"), decided()) == 1


def test_an_update_that_moves_a_row_to_another_person_is_seen_afterwards(bank: Bank) -> None:
    before, after = tried(bank, "UPDATE customer SET customer_id = 2 WHERE customer_id = 1")
    assert before == [(True, ("1",))]
    assert after == [(False, ("2",))]


def test_an_update_that_moves_a_row_out_of_the_permitted_part_is_seen_afterwards(bank: Bank) -> None:
    only = all_of(OP01, FactCondition(rule="CR-05", name="grade", operator="eq", value="A"))
    decision = decided(only, {**FIELDS, "grade": "keep"})
    before, after = tried(bank, "UPDATE customer SET grade = 'Z' WHERE customer_id = 1", decision)
    assert before == [(True, ("1",))]
    assert after == [(False, ("1",))]
    assert outcome(bank, "UPDATE customer SET grade = 'Z' WHERE customer_id = 3", decision) == [("3",)]


def test_a_new_row_of_a_person_with_a_grant_is_permitted(bank: Bank) -> None:
    said = tried(bank, "INSERT INTO customer (customer_id, full_name) VALUES (1, 'Li'), (3, 'Xu')")
    assert said == ([(True, ("1",)), (True, ("3",))], [(True, ("1",)), (True, ("3",))])


def test_a_new_row_of_a_person_without_a_grant_is_not(bank: Bank) -> None:
    before, after = tried(bank, "INSERT INTO customer (customer_id, full_name) VALUES (1, 'Li'), (9, 'No')")
    assert before == [(True, ("1",)), (True, ("9",))]
    assert after == [(False, ("9",)), (True, ("1",))]


def test_a_new_row_of_nobody_is_not_permitted(bank: Bank) -> None:
    _, after = tried(bank, "INSERT INTO customer (full_name) VALUES ('No')")
    assert after == [(False, ())]


def test_a_new_row_of_another_person_than_the_declared_one_is_not_permitted(bank: Bank) -> None:
    _, after = tried(bank, "INSERT INTO customer (customer_id) VALUES (3)", who=facts(subject="1"))
    assert after == [(False, ("3",))]


# --- fields ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sql", "named"),
    [
        ("UPDATE customer SET mobile = '13899999999' WHERE customer_id = 1", "mobile"),
        ("UPDATE customer SET monthly_income = 1 WHERE customer_id = 1", "monthly_income"),
        ("UPDATE customer SET id_number = '1' WHERE customer_id = 1", "id_number"),
        ("INSERT INTO customer (customer_id, id_number) VALUES (1, '1')", "id_number"),
        ("UPDATE customer SET grade = 'A' WHERE customer_id = 1", "grade"),
        ("INSERT INTO customer (grade) VALUES ('A')", "grade"),
        ("UPDATE customer SET full_name = mobile WHERE customer_id = 1", "mobile"),
        ("UPDATE customer SET full_name = 'x' WHERE mobile = '13800000001'", "mobile"),
        ("UPDATE customer SET full_name = 'x' WHERE monthly_income > 3", "monthly_income"),
    ],
    ids=lambda one: one[:60],
)
def test_what_may_not_be_written_or_seen_is_refused(bank: Bank, sql: str, named: str) -> None:
    with pytest.raises(Refused) as raised:
        tried(bank, sql)
    assert raised.value.rules == ("GUARD-SQL-WRITE",)
    assert raised.value.detail == f"Leave out: {named}."
    assert not changed(bank)


def test_a_masked_column_is_not_compared_when_rows_are_deleted(bank: Bank) -> None:
    with pytest.raises(Refused, match="mobile"):
        tried(bank, "DELETE FROM customer WHERE mobile = '138****0001'", DELETES)


def test_rows_are_not_deleted_with_a_field_that_may_not_be_written(bank: Bank) -> None:
    with pytest.raises(Refused, match="id_number"):
        tried(bank, "DELETE FROM customer WHERE customer_id = 1")
    assert not changed(bank)


def test_a_stripped_field_stays_as_it_is(bank: Bank) -> None:
    tried(bank, "UPDATE customer SET grade = 'Z', full_name = 'Lu' WHERE customer_id = 1")
    assert changed(bank) == [{"customer_id": 1, "full_name": "Lu", "mobile": "13800000001", "grade": "A"}]


def test_a_stripped_field_of_a_new_row_is_empty(bank: Bank) -> None:
    tried(bank, "INSERT INTO customer (grade, customer_id, full_name) VALUES ('Z', 1, 'Lu')")
    assert changed(bank) == [{"customer_id": 1, "full_name": "Lu", "mobile": None, "grade": None}]


def test_a_field_of_which_nothing_is_said_is_refused(bank: Bank) -> None:
    with pytest.raises(Refused, match="full_name"):
        tried(bank, "UPDATE customer SET full_name = 'x' WHERE customer_id = 1", decided(writes={}))


# --- texts ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sql",
    [
        """UPDATE customer SET full_name = 'a "guard_field"."mobile"' WHERE customer_id = 1""",
        """UPDATE customer SET full_name = 'x' WHERE full_name = '"guard_field"."mobile"'""",
        """INSERT INTO customer (customer_id, full_name) VALUES (1, '"guard_field"."mobile"')""",
    ],
)
def test_a_text_that_says_a_name_of_the_guards_is_refused(bank: Bank, sql: str) -> None:
    with pytest.raises(Refused, match="parameter"):
        tried(bank, sql)


def test_such_a_text_is_written_as_a_parameter(bank: Bank) -> None:
    text = '"guard_field"."mobile"'
    tried(bank, "UPDATE customer SET full_name = ? WHERE customer_id = ?", parameters=[text, 1])
    assert [row["full_name"] for row in changed(bank)] == [text]


def test_parameters_keep_their_places_where_a_field_between_them_is_stripped(bank: Bank) -> None:
    sql = "UPDATE customer SET full_name = ?, grade = ?, customer_id = ? WHERE customer_id = ? AND full_name = ?"
    before, after = tried(bank, sql, parameters=["Lu", "Z", 3, 1, "Li"])
    assert (before, after) == ([(True, ("1",))], [(True, ("3",))])
    assert changed(bank) == [{"customer_id": 3, "full_name": "Lu", "mobile": "13800000001", "grade": "A"}]


def test_a_write_that_is_refused_links_no_two_keys_of_a_hidden_row() -> None:
    """Two persons of one hidden loan: that they stand in one row is told by no refusal."""
    made = guard_sql.plan("DELETE FROM loan WHERE guarantor_key = 'b' AND holder_key = 'a'", world.SITE)
    fields = world.CATALOGUE.sources[world.LOAN].fields
    shown_keys = {name: shown() for name in ("holder_key", "guarantor_key")}
    decision = msgspec.structs.replace(
        world.decision(world.LOAN, OP01, shown_keys), writes={world.LOAN: dict.fromkeys(fields, "keep")}
    )
    text, _ = made.apply(decision).before(None, world.FACTS)
    # Once in WHERE, which is asked of permitted rows; one key besides, of those that are not.
    assert text.count("t.\"holder_key\" = 'a'") == 2
    assert text.count("t.\"guarantor_key\" = 'b'") == 1
