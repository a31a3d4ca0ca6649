"""What a plan says of a statement, and what a guarded statement binds and reads back."""

from __future__ import annotations

import sqlite3
import threading
from dataclasses import FrozenInstanceError

import pytest
import sql_world as world
from sql_world import CASE, CUSTOMER, FACTS, LOAN, SITE, Data, decision, grant, masked, run, shown

import guard_sql
from guard import catalogue
from guard.errors import Misuse, Refused
from guard.model import (
    ALWAYS,
    NEVER,
    Decision,
    FactCondition,
    Facts,
    GrantCondition,
    Reason,
    RelationCondition,
    Remedy,
    SelfCondition,
    any_of,
)
from guard.wire import check_activity, ordered
from guard_sql import cache as cache_module

OP01 = GrantCondition(rule="OP-01")


def facts(**other: object) -> Facts:
    return Facts(**{**{name: getattr(FACTS, name) for name in Facts.__struct_fields__}, **other})


def plan(sql: str) -> guard_sql.Plan:
    return guard_sql.plan(sql, SITE)


def roles(sql: str) -> dict[str | None, str]:
    return {item.field: item.role for item in plan(sql).items}


# --- items ----------------------------------------------------------------------------------------


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


# --- the statement as it is registered ------------------------------------------------------------


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


# --- bounds ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1" + " " * 40_000,
        "SELECT " + "(" * 40 + "1" + ")" * 40,
        "SELECT " + "CASE WHEN 1 THEN " * 40 + "1" + " END" * 40,
        "SELECT " + "NOT " * 100 + "1",
        "SELECT " + "- " * 100 + "1",
        "SELECT 1" + " + 1" * 400,
        "SELECT 1" + " OR 1" * 400,
        "SELECT " + "1, " * 5_000 + "1",
        "SELECT " + "lower(" * 40 + "1" + ")" * 40,
        "SELECT full_name AS x FROM customer ORDER BY " + ", ".join(["x"] * 9_000),
        "SELECT " + " || ".join(["full_name"] * 100) + " AS x FROM customer ORDER BY " + ", ".join(["x"] * 200),
    ],
    ids=lambda sql: sql[:24],
)
def test_what_is_too_long_or_too_deep_is_refused(sql: str) -> None:
    with pytest.raises(Refused) as raised:
        plan(sql)
    assert raised.value.rules == ("GUARD-SQL",)


def test_bounds_hold_on_a_small_stack() -> None:
    """A thread's stack may be small; the parser is recursive."""
    refused: list[Refused] = []

    def work() -> None:
        for sql in ("SELECT " + "(" * 10_000, "SELECT " + "NOT " * 10_000, "SELECT " + "CASE " * 8_000):
            try:
                plan(sql)
            except Refused as error:
                refused.append(error)

    threading.stack_size(256 * 1024)
    try:
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    finally:
        threading.stack_size(0)
    assert len(refused) == 3


@pytest.mark.parametrize("sql", [b"SELECT 1", None, 1, ["SELECT 1"]])
def test_a_statement_is_text(sql: object) -> None:
    with pytest.raises(Refused):
        guard_sql.plan(sql, SITE)  # type: ignore[arg-type]


# --- parameters -----------------------------------------------------------------------------------

BY_PLACE = "SELECT loan_id FROM loan WHERE status = ? OR principal > ? LIMIT ?, ?"
BY_NAME = "SELECT loan_id FROM loan WHERE status = :status OR principal > @least OR status <> :status LIMIT $n"


def bound(sql: str, parameters: object) -> dict[str, object]:
    values = plan(sql).apply(decision(LOAN)).bind(parameters, FACTS)[1]  # type: ignore[arg-type]
    return {name: value for name, value in values.items() if name.startswith("u")}


def test_parameters_are_bound_by_their_place_in_the_text() -> None:
    assert bound(BY_PLACE, ["open", 1.5, 5, 10]) == {"u0": "open", "u1": 1.5, "u2": 5, "u3": 10}
    assert plan(BY_PLACE).apply(decision(LOAN)).text.endswith("LIMIT :u3 OFFSET :u2")


def test_named_parameters_are_bound_by_their_names() -> None:
    assert bound(BY_NAME, {"status": "open", "least": 1, "n": 2, "more": 3}) == {"u0": "open", "u1": 1, "u2": 2}


@pytest.mark.parametrize(
    ("sql", "parameters"),
    [
        (BY_PLACE, None),
        (BY_PLACE, []),
        (BY_PLACE, ["open", 1, 1]),
        (BY_PLACE, ["open", 1, 1, 1, 1]),
        (BY_PLACE, {"u0": 1, "u1": 1, "u2": 1, "u3": 1}),
        (BY_PLACE, "abcd"),
        (BY_PLACE, ["open", 1, "1", 1]),
        (BY_PLACE, ["open", 1, 1, None]),
        (BY_PLACE, ["open", 1, 1.0, 1]),
        (BY_NAME, None),
        (BY_NAME, [1, 2, 3]),
        (BY_NAME, {"status": 1, "least": 1}),
        ("SELECT loan_id FROM loan", [1]),
        ("SELECT loan_id FROM loan", {"g_now": 0}),
    ],
)
def test_parameters_that_do_not_fit_are_refused(sql: str, parameters: object) -> None:
    with pytest.raises(Refused) as raised:
        bound(sql, parameters)
    assert raised.value.rules == ("GUARD-SQL-PARAMETERS",)


class Text(str):
    """What a driver might adapt in a way of its own."""

    __slots__ = ()

    def __conform__(self, _: object) -> str:
        return "x') UNION SELECT ssn"


@pytest.mark.parametrize(
    "value",
    [
        Text("x"),
        object(),
        [1],
        (1,),
        {"a": 1},
        2**63,
        -(2**63) - 1,
        "a\0b",
        "\ud800",
        "x" * 40_000,
        b"x" * 40_000,
        1j,
        bytearray(b"x"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_parameters_are_data_by_their_exact_type(value: object) -> None:
    with pytest.raises(Refused) as raised:
        bound("SELECT loan_id FROM loan WHERE status = ?", [value])
    assert raised.value.rules == ("GUARD-SQL-PARAMETERS",)


@pytest.mark.parametrize("value", [None, "x", "王", 1, -(2**63), 2**63 - 1, 1.5, b"x", True])
def test_plain_values_pass(value: object) -> None:
    assert bound("SELECT loan_id FROM loan WHERE status = ?", [value]) == {"u0": value}


def test_a_parameter_of_the_program_is_never_one_of_the_guard() -> None:
    sql = "SELECT loan_id FROM loan WHERE status = :g_purpose AND principal = :g_now"
    made = plan(sql).apply(decision(LOAN, OP01))
    values = made.bind({"g_purpose": "stolen", "g_now": -1}, FACTS)[1]
    assert values["g_purpose"] == FACTS.purpose
    assert values["g_now"] == FACTS.seconds
    assert values["u0"] == "stolen"


# --- persons --------------------------------------------------------------------------------------

LOANS = Data(
    loan=[
        {"loan_id": 1, "holder_key": "a", "guarantor_key": "b", "principal": 1.0, "status": "open", "opened_at": None},
        {"loan_id": 2, "holder_key": "a", "guarantor_key": None, "principal": 2.0, "status": "open", "opened_at": None},
        {"loan_id": 3, "holder_key": "c", "guarantor_key": "a", "principal": 4.0, "status": "shut", "opened_at": None},
        {"loan_id": 4, "holder_key": None, "guarantor_key": "a", "principal": 8.0, "status": "shut", "opened_at": None},
        {
            "loan_id": 5,
            "holder_key": b"a",
            "guarantor_key": None,
            "principal": 9.0,
            "status": "shut",
            "opened_at": None,
        },
    ],
    grants=[grant("a"), grant("b"), grant("c")],
    scopes={1: {("use", "loan")}},
)


def loans() -> sqlite3.Connection:
    return world.fill(world.empty(), LOANS)


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


def test_a_table_that_became_a_view_is_refused_by_the_witness() -> None:
    connection = loans()
    connection.execute("ALTER TABLE loan RENAME TO other")
    connection.execute("CREATE VIEW loan AS SELECT * FROM other")
    with pytest.raises(sqlite3.DatabaseError, match=r"authorized|prohibited"):
        run(connection, "SELECT loan_id FROM loan", decision(LOAN, OP01))


# --- what is dropped and reduced ------------------------------------------------------------------


def test_a_dropped_field_leaves_a_star_and_is_a_typed_null_by_name() -> None:
    some = decision(LOAN, ALWAYS, ["loan_id", "holder_key"])
    rows, _, guarded = run(loans(), "SELECT *, status FROM loan ORDER BY loan_id", some)
    assert guarded.columns == ("loan_id", "holder_key", "status")
    assert rows[0] == (1, "a", None)
    assert guarded.reduced


def test_where_no_field_may_be_seen_a_star_is_refused() -> None:
    with pytest.raises(Refused) as raised:
        plan("SELECT * FROM loan").apply(decision(LOAN, ALWAYS, []))
    assert raised.value.rules == ("GUARD-SQL-DROPPED",)


def test_a_dropped_field_in_another_place_is_refused_with_the_reason_of_the_policy() -> None:
    why = Reason(rule="PI-05", field=(LOAN, "principal"), remedy=Remedy(omit=True))
    some = decision(LOAN, ALWAYS, ["loan_id"])
    some = Decision(id="0", allow=True, rows=some.rows, reads=some.reads, reasons=(why,))
    with pytest.raises(Refused) as raised:
        plan("SELECT loan_id FROM loan WHERE principal > 3").apply(some)
    assert raised.value.rules == ("GUARD-SQL-DROPPED", "PI-05")
    assert raised.value.reasons[1] == why


@pytest.mark.parametrize(
    ("reads", "rows", "reduced"),
    [
        ({"loan_id": shown()}, ALWAYS, False),
        ({"loan_id": shown()}, OP01, True),
        ({"loan_id": shown(OP01)}, ALWAYS, True),
        ({"loan_id": shown(), "status": masked("name")}, ALWAYS, False),
    ],
)
def test_a_result_is_marked_where_something_may_be_missing(reads: object, rows: object, reduced: bool) -> None:
    assert plan("SELECT loan_id FROM loan").apply(decision(LOAN, rows, reads)).reduced is reduced  # type: ignore[arg-type]


def test_a_mask_marks_the_result_too() -> None:
    assert plan("SELECT status FROM loan").apply(decision(LOAN, ALWAYS, {"status": masked("name")})).reduced


def test_the_rules_that_shaped_the_result_are_named() -> None:
    reads = {
        "loan_id": shown(),
        "status": masked("name", GrantCondition(rule="PI-19", separate=True), ALWAYS, "PI-19"),
        "principal": shown(GrantCondition(rule="PI-05", category="loan"), "PI-05"),
    }
    assert plan("SELECT loan_id, status FROM loan").apply(decision(LOAN, OP01, reads)).rules == ("OP-01", "PI-19")


def test_two_layers_with_different_masks_leave_nothing() -> None:
    from guard.model import CONFLICT

    made = decision(LOAN, ALWAYS, {"loan_id": shown(), "status": masked(CONFLICT)})
    assert run(loans(), "SELECT status FROM loan", made)[0] == [(None,)] * 3


# --- conditions -----------------------------------------------------------------------------------


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
    assert any("g USING INDEX guard_grant_subject_purpose" in step for step in steps), steps


def test_the_programs_own_key_is_looked_up_through_the_template() -> None:
    connection = world.empty()
    connection.execute("CREATE INDEX by_customer ON customer (customer_id)")
    guarded = plan("SELECT full_name FROM customer WHERE customer_id = ?").apply(decision(CUSTOMER, OP01))
    steps = [row[3] for row in connection.execute("EXPLAIN QUERY PLAN " + guarded.text, guarded.bind([1], FACTS)[1])]
    assert any("t USING INDEX by_customer" in step for step in steps), steps


# --- holds ----------------------------------------------------------------------------------------


def holding(connection: sqlite3.Connection, source: str, condition: object, *keys: str, **other: object) -> set[str]:
    sql, parameters = guard_sql.holds(SITE, source, condition, keys, facts(**other))  # type: ignore[arg-type]
    return {key for (key,) in connection.execute(sql, parameters)}


def test_holds_says_for_whom_a_condition_holds() -> None:
    connection = loans()
    connection.execute("UPDATE guard_grant SET withdrawn_at = 1 WHERE subject = 'c'")
    assert holding(connection, LOAN, ALWAYS, "a", "b", "c", "z") == {"a", "b", "c"}
    assert holding(connection, LOAN, NEVER, "a", "b") == set()
    # c's only row names a, who has a grant; c has none.
    assert holding(connection, LOAN, OP01, "a", "b", "c", "z") == {"a", "b"}
    assert holding(connection, LOAN, SelfCondition(rule="PI-45"), "a", "b", "c", actor="c") == {"a", "c"}


def test_holds_compares_keys_exactly() -> None:
    connection = world.fill(
        world.empty(),
        Data(
            customer=[{"customer_id": 12}],
            loan_case=[{"customer_id": 12, "officer": "officer-1", "status": "open"}],
        ),
    )
    relation = RelationCondition(rule="PI-02", name="assigned_case")
    assert holding(connection, CUSTOMER, relation, "12", "012", " 12", "12.0", "12x", "") == {"12"}
    assert holding(connection, CUSTOMER, any_of(OP01, relation), "12") == {"12"}
    assert holding(connection, CUSTOMER, relation, "12", actor="officer-2") == set()
    assert holding(connection, CASE, ALWAYS) == set()


def test_holds_knows_only_sources_of_this_database() -> None:
    with pytest.raises(Misuse):
        guard_sql.holds(SITE, "bank:retail.branch", ALWAYS, (), FACTS)


# --- the closed world -----------------------------------------------------------------------------


def site(tables: dict[str, list[str]], schemas: dict[str, str]) -> guard_sql.Site:
    sources = {
        name: {"subjects": {"p": fields[0]}, "fields": {one: {"category": "x"} for one in fields}}
        for name, fields in tables.items()
    }
    return guard_sql.Site(catalogue=catalogue.load({"version": "1", "sources": sources}), holder="h", schemas=schemas)


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
    assert guard_sql.plan("SELECT a FROM other.t", two).source == "h:o.t"
    assert guard_sql.plan("SELECT a FROM u", two).source == "h:o.u"


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


# --- the cache ------------------------------------------------------------------------------------


def test_a_repeated_statement_is_planned_and_rewritten_once() -> None:
    cache = guard_sql.PlanCache(SITE)
    made = decision(LOAN, OP01)
    first = cache.apply(cache.plan("SELECT loan_id FROM loan"), made)
    assert cache.plan("SELECT loan_id FROM loan") is cache.plan("SELECT loan_id FROM loan")
    assert cache.apply(cache.plan("SELECT loan_id FROM loan"), made) is first
    assert cache.apply(cache.plan("SELECT loan_id FROM loan"), decision(LOAN, OP01)) is first
    assert cache.apply(cache.plan("SELECT loan_id FROM loan"), decision(LOAN, ALWAYS)) is not first


def test_the_cache_tells_apart_what_python_takes_for_equal() -> None:
    cache = guard_sql.PlanCache(SITE)
    of = cache.plan("SELECT full_name FROM customer")
    texts = {
        cache.apply(of, decision(CUSTOMER, FactCondition(rule="X", name="frozen", operator="eq", value=value))).text
        for value in (1, "1")
    }
    assert len(texts) == 2


def test_a_denial_is_never_answered_from_the_cache() -> None:
    cache = guard_sql.PlanCache(SITE)
    of = cache.plan("SELECT loan_id FROM loan")
    nothing = Decision(id="0", allow=True, rows={LOAN: NEVER}, reads={LOAN: {"loan_id": shown()}})
    cache.apply(of, nothing)
    with pytest.raises(Refused):
        cache.apply(of, Decision(id="0", allow=False, rows=nothing.rows, reads=nothing.reads))


def test_the_cache_is_bounded() -> None:
    cache = guard_sql.PlanCache(SITE, size=3)
    made = decision(LOAN)
    for place in range(9):
        cache.apply(cache.plan(f"SELECT loan_id FROM loan LIMIT {place}"), made)
    assert {len(one) for one in (cache._plans, cache._met, cache._guarded)} == {3}
    assert isinstance(cache._plans, cache_module._Recent)


def test_a_guarded_statement_cannot_be_changed() -> None:
    guarded = plan("SELECT loan_id FROM loan").apply(decision(LOAN))
    with pytest.raises(FrozenInstanceError):
        guarded.hidden = 0  # type: ignore[misc]


def test_the_same_plan_serves_different_decisions() -> None:
    of = plan("SELECT * FROM loan")
    few = of.apply(decision(LOAN, ALWAYS, ["loan_id"]))
    many = of.apply(decision(LOAN))
    again = of.apply(decision(LOAN, ALWAYS, ["loan_id"]))
    assert few.text == again.text
    assert few.columns == ("loan_id",)
    assert len(many.columns) == 6
