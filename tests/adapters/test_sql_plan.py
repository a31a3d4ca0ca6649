"""What a plan says of a statement: what it touches and how, within a closed world."""

from __future__ import annotations

import sqlite3

import pytest
import sql_world as world
from sql_world import (
    CUSTOMER,
    FACTS,
    LOAN,
    decision,
    plan,
    shown,
)

import guard_sql
from guard import catalogue
from guard.errors import Misuse, Refused
from guard.model import ALWAYS, Decision, Reason
from guard.wire import check_activity, ordered


def roles(sql: str) -> dict[str | None, str]:
    return {item.field: item.role for item in plan(sql).items}


def test_a_field_has_one_item_with_its_strongest_use() -> None:
    """read > aggregate > filter: what is shown weighs more than what is summarised, and that more than what selects."""
    assert roles("SELECT full_name FROM customer WHERE full_name = 'x' AND grade = 'A'") == {
        None: "read",
        "full_name": "read",
        "grade": "filter",
    }
    assert roles("SELECT max(mobile) FROM customer WHERE mobile IS NULL") == {None: "aggregate", "mobile": "aggregate"}
    assert roles("SELECT full_name AS n FROM customer ORDER BY n, frozen") == {
        None: "read",
        "full_name": "read",
        "frozen": "filter",
    }


def test_a_statement_that_reads_no_column_still_has_the_item_of_its_table() -> None:
    assert roles("SELECT count(*) FROM customer") == {None: "aggregate"}
    assert roles("SELECT 1 FROM customer") == {None: "read"}


def test_a_star_reads_every_field_of_the_catalogue() -> None:
    assert set(roles("SELECT t.* FROM loan t")) == {None, *world.CATALOGUE.sources[LOAN].fields}


def test_items_are_in_their_one_order_and_carry_what_the_catalogue_declares() -> None:
    items = plan("SELECT mobile, grade FROM customer").items
    assert items == ordered(items)
    assert items[0].relations == ("assigned_case",)
    assert items[0].subjects == ("holder",)
    assert items[0].facts == ("adverse_ended_on", "frozen", "grade")
    assert [item.category for item in items] == [None, "derived_score", "contact"]
    check_activity(_activity(items))


def _activity(items: object) -> object:
    from guard.model import Activity, ActorFacts, Declared, Recipient, Time

    return Activity(
        id="0",
        operation="use",
        purpose="p",
        method="sql",
        actor=ActorFacts(kind="person"),
        recipient=Recipient(kind="staff"),
        subjects="many",
        items=items,
        declared=Declared(),
        time=Time(seconds=60, date="2026-11-23", hour=1, zone="UTC"),
    )


@pytest.mark.parametrize("sql", ["SELECT 1", "SELECT * FROM branch", "SELECT count(*) FROM main.branch WHERE city = ?"])
def test_a_statement_without_personal_data_is_public(sql: str) -> None:
    made = plan(sql)
    assert made.public
    assert not made.items
    guarded = made.apply(None)
    assert guarded.hidden == 0
    assert not guarded.reduced
    assert guarded.bind(["x"] * sql.count("?"), None)[0] == guarded.text


def test_personal_data_needs_a_decision_and_facts() -> None:
    made = plan("SELECT full_name FROM customer")
    with pytest.raises(Misuse):
        made.apply(None)
    with pytest.raises(Misuse):
        made.apply(decision(CUSTOMER)).bind(None, None)


def test_a_denial_is_never_applied() -> None:
    denied = Decision(id="0", allow=False, reasons=(Reason(rule="PI-02"),))
    with pytest.raises(Refused) as raised:
        plan("SELECT full_name FROM customer").apply(denied)
    assert raised.value.rules == ("PI-02",)


def test_a_decision_on_another_source_lets_nothing_through() -> None:
    with pytest.raises(Refused) as raised:
        plan("SELECT full_name FROM customer").apply(decision(LOAN))
    assert raised.value.rules == ("GUARD-DECISION-ROWS",)


@pytest.mark.parametrize(
    ("sql", "statement"),
    [
        (
            "SELECT full_name FROM customer WHERE id_number = '110101'",
            "SELECT full_name FROM customer WHERE id_number = ?",
        ),
        (
            "select  full_name\n\tfrom customer -- of 王小明\n where customer_id=42 and mobile=:m and grade = @g",
            "select full_name from customer where customer_id=? and mobile=? and grade = ?",
        ),
        ("SELECT count( * ) /* 1 */ FROM loan LIMIT $n;", "SELECT count( * ) FROM loan LIMIT ?"),
        ("SELECT mobile AS '13812345678' FROM customer", "SELECT mobile AS ? FROM customer"),
        (
            'SELECT mobile AS "of Li", X.grade AS li FROM customer AS X WHERE Li <> "OF LI" ORDER BY li NULLS LAST',
            "SELECT mobile AS c1, c2.grade AS c3 FROM customer AS c2 WHERE c3 <> c1 ORDER BY c3 NULLS LAST",
        ),
        ("SELECT mobile wang_li FROM main.customer c", "SELECT mobile c1 FROM main.customer c2"),
        ("SELECT mobile [a], grade `b` FROM customer", "SELECT mobile c1, grade c2 FROM customer"),
        (
            "SELECT CAST(count(*) AS REAL) AS grade, lower (1) AS FULL_NAME, total(frozen) FROM customer",
            "SELECT CAST(count(*) AS REAL) AS grade, lower (?) AS FULL_NAME, total(frozen) FROM customer",
        ),
        ('SELECT "住址" AS 住址 FROM customer', 'SELECT "住址" AS 住址 FROM customer'),
    ],
)
def test_the_normalised_statement_holds_no_value_and_no_comment(sql: str, statement: str) -> None:
    assert plan(sql).statement == statement


def test_a_refusal_repeats_no_value() -> None:
    for sql in (
        'SELECT full_name FROM customer WHERE full_name = "secret"',
        'SELECT full_name FROM "secret"',
        "SELECT full_name FROM customer WHERE full_name = 'secret' COLLATE NOCASE",
        "SELECT full_name FROM customer WHERE 'secret' 'secret' !! secret",
        "secret",
    ):
        with pytest.raises(Refused) as raised:
            plan(sql)
        assert "secret" not in str(raised.value)
        assert raised.value.__context__ is None
        assert raised.value.__cause__ is None


def site(tables: dict[str, list[str]], schemas: dict[str, str]) -> guard_sql.Site:
    sources = {
        name: {"subjects": {"p": fields[0]}, "fields": {one: {"category": "x"} for one in fields}}
        for name, fields in tables.items()
    }
    return guard_sql.Site(catalogue=catalogue.load({"version": "1", "sources": sources}), holder="h", schemas=schemas)


def test_a_table_with_a_column_that_is_named_as_the_guards_own_is_none() -> None:
    """`guard_person_0` of the table would stand where the guard reads the person."""
    with pytest.raises(Refused) as raised:
        guard_sql.plan("SELECT a FROM t", site({"h:s.t": ["a", "Guard_Person_0"]}, {"main": "s"}))
    assert raised.value.rules == ("GUARD-SQL-TABLE",)


@pytest.mark.parametrize("table", ["guard_grant", "GUARD_person", "sqlite_stat1", "pragma_table_info"])
def test_a_catalogue_cannot_open_the_guards_or_the_databases_own_tables(table: str) -> None:
    with pytest.raises(Refused) as raised:
        guard_sql.plan(f"SELECT a FROM {table}", site({f"h:s.{table}": ["a"]}, {"main": "s"}))
    assert raised.value.rules == ("GUARD-SQL-TABLE",)


def test_without_a_schema_a_table_must_be_the_only_one_of_its_name() -> None:
    two = site({"h:s.t": ["a"], "h:o.t": ["a"], "h:o.u": ["a"]}, {"main": "s", "other": "o", "temp": "s"})
    with pytest.raises(Refused):
        guard_sql.plan("SELECT a FROM t", two)
    with pytest.raises(Refused):
        guard_sql.plan("SELECT a FROM temp.t", two)
    assert guard_sql.plan("SELECT a FROM other.t", two).sources == ("h:o.t",)
    assert guard_sql.plan("SELECT a FROM u", two).sources == ("h:o.u",)


def test_quotes_in_names_stay_in_names() -> None:
    odd = site({'h:s.a"b': ['k"', 'x"y']}, {"main": "s"})
    made = guard_sql.plan('SELECT "x""y" FROM "a""b"', odd)
    source = 'h:s.a"b'
    guarded = made.apply(Decision(id="0", allow=True, rows={source: ALWAYS}, reads={source: {'x"y': shown()}}))
    connection = sqlite3.connect(":memory:")
    connection.execute('CREATE TABLE "a""b" ("k""", "x""y")')
    connection.execute('INSERT INTO "a""b" VALUES (\'p\', 7)')
    assert connection.execute(*guarded.bind(None, FACTS)).fetchall() == [(7, "p")]


def test_another_dialect_is_a_misuse() -> None:
    with pytest.raises(Misuse):
        guard_sql.plan(
            "SELECT 1", guard_sql.Site(catalogue=world.CATALOGUE, holder="bank", schemas={}, dialect="oracle")
        )
