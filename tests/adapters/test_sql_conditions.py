"""Conditions on rows, and the same conditions asked about persons."""

from __future__ import annotations

import sqlite3

import pytest
import sql_world as world
from sql_world import CASE, CUSTOMER, FACTS, LOAN, OP01, SITE, Data, decision, facts, grant, loans, plan, run

import guard_sql
from guard.errors import Misuse, Refused
from guard.model import ALWAYS, NEVER, FactCondition, GrantCondition, RelationCondition, SelfCondition, any_of


def test_a_relation_without_a_table_in_this_database_is_refused() -> None:
    elsewhere = guard_sql.Site(catalogue=world.CATALOGUE, holder="agency", schemas={"main": "retail"})
    with pytest.raises(Refused) as raised:
        guard_sql.plan("SELECT 1 FROM customer", elsewhere)
    assert raised.value.rules == ("GUARD-SQL-TABLE",)
    unknown = decision(CUSTOMER, RelationCondition(rule="PI-02", name="none"))
    with pytest.raises(Refused) as raised:
        plan("SELECT full_name FROM customer").apply(unknown)
    assert raised.value.rules == ("GUARD-DECISION-NAME",)


@pytest.mark.parametrize(
    "condition",
    [
        FactCondition(rule="X", name="frozen", operator="ge", ago="P5Y"),
        FactCondition(rule="X", name="grade", operator="eq", value="a\0b"),
        FactCondition(rule="X", name="frozen", operator="eq", value=2**64),
        FactCondition(rule="X", name="frozen", operator="eq"),
    ],
)
def test_a_fact_that_cannot_be_compared_is_refused(condition: FactCondition) -> None:
    with pytest.raises(Refused) as raised:
        plan("SELECT full_name FROM customer").apply(decision(CUSTOMER, condition))
    assert raised.value.rules == ("GUARD-DECISION-CONDITION",)


@pytest.mark.parametrize(
    "change",
    [
        {"subject": "13"},
        {"purpose": "marketing"},
        {"recipient": "partner"},
        {"scope": 2},
        {"judged": "rules-0"},
        {"valid_from": world.NOW + 1},
        {"valid_until": world.NOW},
        {"withdrawn_at": world.NOW - 1},
        {"recorder": FACTS.actor},
        {"separate": 0},
        {"written": 0},
        {"assurance": 1},
        {"basis": "contract"},
    ],
    ids=str,
)
def test_a_grant_that_lacks_one_thing_is_none(change: dict[str, object]) -> None:
    asked = GrantCondition(
        rule="PI-19", category="income", separate=True, written=True, assurance="proved", basis=("consent",)
    )
    whole = grant("12", separate=1, written=1, assurance=2)
    scopes = {1: {("use", "income")}, 2: {("store", "income"), ("use", "contact")}}
    rows = []
    for one in (whole, {**whole, **change}):
        connection = world.fill(world.empty(), Data(customer=[{"customer_id": 12}], grants=[one], scopes=scopes))
        rows.append(run(connection, "SELECT customer_id FROM customer", decision(CUSTOMER, asked))[0])
    assert rows == [[(12,)], []]


@pytest.mark.parametrize("ended", [{"withdrawn_at": world.NOW - 1}, {"valid_until": world.NOW}])
def test_a_consent_has_ended_only_where_no_other_lives(ended: dict[str, object]) -> None:
    asked = GrantCondition(rule="DEL", ended=True)
    rows = []
    for grants in ([grant("12", **ended)], [grant("12", **ended), grant("12", judged="rules-0")], [grant("12")], []):
        data = Data(customer=[{"customer_id": 12}], grants=grants, scopes={1: {("use", "income")}})
        connection = world.fill(world.empty(), data)
        rows.append(run(connection, "SELECT customer_id FROM customer", decision(CUSTOMER, asked))[0])
    assert rows == [[(12,)], [], [], []]


def test_who_deletes_asks_for_every_purpose_of_the_person() -> None:
    """Nobody consents to retention: what ended, and what still lives, was given for other purposes."""
    asked = GrantCondition(rule="DEL", ended=True)
    rows = []
    for grants in (
        [grant("12", purpose="marketing", recipient="insurer", withdrawn_at=world.NOW - 1)],
        [grant("12", withdrawn_at=world.NOW - 1), grant("12", purpose="marketing", recipient="insurer")],
    ):
        data = Data(customer=[{"customer_id": 12}], grants=grants, scopes={1: {("use", "income")}})
        connection = world.fill(world.empty(), data)
        rows.append(run(connection, "SELECT customer_id FROM customer", decision(CUSTOMER, asked))[0])
    assert rows == [[(12,)], []]


@pytest.mark.parametrize("operator", ["eq", "ne", "lt", "le", "gt", "ge"])
def test_a_value_of_another_kind_never_fulfils_a_fact(operator: str) -> None:
    """In SQLite any text is above any number: `frozen >= 1` would hold for 'no'."""
    connection = world.fill(world.empty(), Data(customer=[{"customer_id": 1, "frozen": "no", "grade": b"A"}]))
    for name, value in (("frozen", 1), ("grade", "A")):
        made = decision(CUSTOMER, FactCondition(rule="X", name=name, operator=operator, value=value))  # type: ignore[arg-type]
        assert run(connection, "SELECT customer_id FROM customer", made)[0] == []


@pytest.mark.parametrize("value", ["soon", "2026-1-1", "", "20260101", 20_260_101, b"2026-01-01", "2026-01-01 "])
def test_what_is_no_iso_date_fulfils_no_period(value: object) -> None:
    connection = world.fill(world.empty(), Data(customer=[{"customer_id": 1, "ended_on": value}]))
    for operator in ("lt", "ge", "ne"):
        made = decision(
            CUSTOMER, FactCondition(rule="X", name="adverse_ended_on", operator=operator, ago="P5Y", or_absent=True)
        )  # type: ignore[arg-type]
        assert run(connection, "SELECT customer_id FROM customer", made)[0] == []


def test_text_of_the_policy_stays_text() -> None:
    evil = "x' OR '1' = '1"
    made = decision(CUSTOMER, FactCondition(rule="X", name="grade", operator="eq", value=evil))
    connection = world.fill(
        world.empty(), Data(customer=[{"customer_id": 1, "grade": "A"}, {"customer_id": 2, "grade": evil}])
    )
    assert run(connection, "SELECT customer_id FROM customer", made)[0] == [(2,)]


def test_a_declared_integer_key_is_looked_up_by_its_index() -> None:
    connection = world.empty()
    connection.execute("CREATE INDEX by_customer ON customer (customer_id)")
    guarded = plan("SELECT full_name FROM customer").apply(decision(CUSTOMER, OP01))
    sql, parameters = guarded.bind(None, facts(subject="12"))
    steps = [row[3] for row in connection.execute("EXPLAIN QUERY PLAN " + sql, parameters)]
    assert any("t USING INDEX by_customer" in step for step in steps), steps
    assert any("g USING COVERING INDEX guard_grant_asked" in step for step in steps), steps


def test_the_programs_own_key_is_looked_up_through_the_template() -> None:
    connection = world.empty()
    connection.execute("CREATE INDEX by_customer ON customer (customer_id)")
    guarded = plan("SELECT full_name FROM customer WHERE customer_id = ?").apply(decision(CUSTOMER, OP01))
    steps = [row[3] for row in connection.execute("EXPLAIN QUERY PLAN " + guarded.text, guarded.bind([1], FACTS)[1])]
    assert any("t USING INDEX by_customer" in step for step in steps), steps


def holding(connection: sqlite3.Connection, source: str, condition: object, *keys: str, **other: object) -> set[str]:
    sql, parameters = guard_sql.holds(SITE, source, condition, keys, facts(**other))  # type: ignore[arg-type]
    return {key for (key,) in connection.execute(sql, parameters)}


def test_holds_says_for_whom_a_condition_holds() -> None:
    connection = loans()
    connection.execute("UPDATE guard_grant SET withdrawn_at = 1 WHERE subject = 'c'")
    assert holding(connection, LOAN, ALWAYS, "a", "z") == {"a", "z"}
    assert holding(connection, LOAN, NEVER, "a", "b") == set()
    assert holding(connection, LOAN, OP01, "a", "b", "c", "z") == {"a", "b"}
    assert holding(connection, LOAN, SelfCondition(rule="PI-45"), "a", "b", "c", actor="c") == {"c"}
    assert holding(connection, LOAN, any_of(OP01, SelfCondition(rule="PI-45")), "a", "c", "z", actor="c") == {"a", "c"}


def test_what_holds_for_a_person_tells_nothing_of_rows() -> None:
    """That somebody stands surety, or has a loan at all, must not show in a refusal."""
    conditions = (OP01, SelfCondition(rule="PI-45"))
    without = loans()
    without.execute("DELETE FROM loan")
    for condition in conditions:
        for key in ("a", "b", "c", "z"):
            assert holding(loans(), LOAN, condition, key) == holding(without, LOAN, condition, key)
    case = {"customer_id": 12, "officer": FACTS.actor, "status": "open"}
    relation = RelationCondition(rule="PI-02", name="assigned_case")
    for customers in ([], [{"customer_id": 12}]):
        connection = world.fill(world.empty(), Data(customer=customers, loan_case=[case]))
        assert holding(connection, CUSTOMER, relation, "12", "13") == {"12"}


def test_a_fact_holds_for_a_person_with_a_row_that_fulfils_it() -> None:
    rows = [{"customer_id": 1, "grade": "A"}, {"customer_id": 1, "grade": "B"}, {"customer_id": 2, "grade": "B"}]
    connection = world.fill(world.empty(), Data(customer=rows))
    best = FactCondition(rule="X", name="grade", operator="eq", value="A")
    assert holding(connection, CUSTOMER, best, "1", "2", "3", "01") == {"1"}


def test_holds_compares_keys_exactly() -> None:
    case = {"customer_id": 12, "officer": FACTS.actor, "status": "open"}
    connection = world.fill(world.empty(), Data(customer=[{"customer_id": 12}], loan_case=[case], grants=[grant("a")]))
    relation = RelationCondition(rule="PI-02", name="assigned_case")
    assert holding(connection, CUSTOMER, relation, "12", "012", " 12", "12.0", "12x", "", "12 ") == {"12"}
    assert holding(connection, CUSTOMER, relation, "12", actor="officer-2") == set()
    asked = ("a", "A", "a ", "ä", "")
    connection.execute("INSERT INTO guard_scope VALUES (1, 'use', 'x')")
    assert holding(connection, CUSTOMER, OP01, *asked) == {"a"}
    assert holding(connection, CASE, SelfCondition(rule="PI-45"), *asked, actor="A") == {"A"}
    assert holding(connection, CASE, ALWAYS) == set()


def test_holds_knows_only_sources_of_this_database() -> None:
    with pytest.raises(Misuse):
        guard_sql.holds(SITE, "bank:retail.branch", ALWAYS, (), FACTS)
