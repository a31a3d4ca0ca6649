"""Each condition holds for the same rows and persons on SQLite, on PostgreSQL and in plain Python."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sql_world as world
from hypothesis import given, settings
from hypothesis import strategies as st
from sql_databases import OnPostgres, OnSqlite, holding, numbered, parts_of, permitted, plan_of
from sql_world import CUSTOMER, FACTS, LOAN, OP01, Data, Permitted, facts, grant

import guard_sql
from guard import catalogue
from guard.errors import Refused
from guard.model import (
    ALWAYS,
    AllCondition,
    AnyCondition,
    Condition,
    FactCondition,
    GrantCondition,
    RelationCondition,
    SelfCondition,
)
from guard_sql import parts
from guard_sql.conditions import Rows, value
from guard_sql.dialects import POSTGRES

COUNTS = {"asked": 0, "some": 0, "held": 0}
OPERATORS = ("eq", "ne", "lt", "le", "gt", "ge")
ASSIGNED = RelationCondition(rule="PI-02", name="assigned_case")
SELF = SelfCondition(rule="PI-45")

Both = tuple[OnSqlite, OnPostgres]


@pytest.fixture(scope="module")
def both(postgres_server: Path) -> Iterator[Both]:
    made = OnSqlite(), OnPostgres(postgres_server)
    yield made
    made[1].connection.close()


@pytest.fixture
def postgres(both: Both) -> Iterator[OnPostgres]:
    """What a test does to the session is undone."""
    one = both[1]
    yield one
    one.run("SET search_path = pg_catalog, pg_temp")
    one.run("DISCARD TEMP")


# --- data, conditions -----------------------------------------------------------------------------

# Keys that some comparison or other takes for one another.
numbers = st.sampled_from([1, 2, 12, 2**53, 2**53 + 1, -1, 0, 2**31])
keys = st.sampled_from(["1", "01", "1.0", " 1", "1 ", "a", "A", "ä", "a\u0308", "", str(2**53), str(2**53 + 1), "12"])
persons = keys | numbers.map(str)
actors = st.sampled_from(["officer-1", "Officer-1", "1", "a", "A", "12"])
days = st.sampled_from(["2021-11-22", "2021-11-23", "2021-11-24", "2026-10-23", "2026-10-24", None])
times = st.sampled_from(
    ["2021-11-22 23:59:59", "2021-11-23 00:00:00", "2021-11-23 23:59:59", "2021-11-24 00:00:00", "2026-10-01", None]
)
customers = st.fixed_dictionaries(
    {
        "customer_id": numbers | st.none(),
        "grade": st.sampled_from(["A", "a", "B", "", "ä", "𠀀", "\uffff", None]),
        "ended_on": days,
        "frozen": st.sampled_from([0, 1, None]),
    }
)
loans = st.fixed_dictionaries(
    {
        "holder_key": keys | st.none(),
        "guarantor_key": keys | st.none() | st.none(),
        "principal": st.sampled_from([0.5, 100, -3.25, 2**53, 0, None]),
        "opened_at": times,
    }
)
cases = st.fixed_dictionaries(
    {
        "customer_id": numbers,
        "officer": actors,
        "status": st.sampled_from(["open", "open", "closed", "OPEN"]),
    }
)
grants = st.builds(
    lambda subject, scope, other: grant(subject, scope, **other),
    persons,
    st.sampled_from([1, 2]),
    st.fixed_dictionaries(
        {},
        optional={
            "purpose": st.just("marketing"),
            "recipient": st.just("other"),
            "separate": st.just(1),
            "written": st.just(1),
            "assurance": st.sampled_from([0, 2]),
            "recorder": st.sampled_from(["officer-1", "a"]),
            "basis": st.just("contract"),
            "valid_from": st.just(world.NOW + 1),
            "valid_until": st.just(world.NOW),
            "withdrawn_at": st.just(world.NOW - 1),
            "judged": st.just("rules-0"),
        },
    ),
)
databases = st.builds(
    Data,
    customer=st.lists(customers, min_size=4, max_size=8),
    loan=st.lists(loans, min_size=4, max_size=8),
    loan_case=st.lists(cases, min_size=2, max_size=6),
    grants=st.lists(grants, min_size=8, max_size=20),
    scopes=st.just({1: {("use", "identity"), ("use", "income")}, 2: {("use", "identity_number"), ("store", "income")}}),
)
granted: st.SearchStrategy[Condition] = st.builds(
    GrantCondition,
    rule=st.just("OP-01"),
    category=st.sampled_from([None, None, "identity_number", "income"]),
    separate=st.booleans(),
    written=st.sampled_from([False, False, True]),
    assurance=st.sampled_from(["asserted", "observed", "proved"]),
    basis=st.sampled_from([(), (), ("consent",), ("contract", "consent")]),
    ended=st.sampled_from([False, False, False, True]),
)


def fact(name: str, values: list[Any], agos: list[str]) -> st.SearchStrategy[Condition]:
    asked = st.tuples(st.sampled_from(values), st.none()) | st.tuples(st.none(), st.sampled_from(agos or [None]))
    made = asked.filter(lambda pair: pair != (None, None))
    return st.builds(
        lambda operator, pair, absent: FactCondition(
            rule="CR-05", name=name, operator=operator, value=pair[0], ago=pair[1], or_absent=absent
        ),
        st.sampled_from(OPERATORS),
        made,
        st.booleans(),
    )


def nested(leaves: st.SearchStrategy[Condition]) -> st.SearchStrategy[Condition]:
    return st.recursive(
        leaves,
        lambda inner: st.builds(
            lambda kind, of: kind(conditions=tuple(of)),
            st.sampled_from([AllCondition, AnyCondition]),
            st.lists(inner, max_size=3),
        ),
        max_leaves=4,
    )


BOUNDS: list[Any] = [0, 1, -1, 2, True, False, 2**63 - 1, -(2**63)]
on_customer = nested(
    granted
    | st.just(ASSIGNED)
    | st.just(SELF)
    | fact("adverse_ended_on", ["2021-11-23", 0], ["P5Y", "P1M", "P30D"])
    | fact("frozen", [*BOUNDS, "1"], [])
    | fact("grade", ["A", "a", "", "𠀀", "O'Neil", 1], [])
)
on_loan = nested(granted | st.just(SELF) | fact("opened", [0], ["P5Y", "P1M"]) | fact("amount", [*BOUNDS, "100"], []))


@pytest.fixture(scope="module", autouse=True)
def _counts() -> Iterator[None]:
    yield
    assert COUNTS["some"] * 5 >= COUNTS["asked"], COUNTS
    assert COUNTS["held"] * 5 >= COUNTS["asked"], COUNTS


def test_a_key_that_no_text_can_be_is_nobody(both: Both) -> None:
    for database in both:
        database.fill(numbered(CASES))
        assert holding(database, CUSTOMER, ALWAYS, ["12", "12\0", "12\0x", "\ud800"], FACTS) == {"12"}


DAYS = ["2021-11-22", "2021-11-23", "2021-11-24", "1500-02-28", "9999-12-31", None]


@pytest.mark.parametrize("operator", OPERATORS)
def test_a_day_compares_with_a_day_at_every_hour(both: Both, operator: Any) -> None:
    hours = ("00:00:00", "00:00:01", "12:00:00", "23:59:59")
    times = [day and f"{day} {hour}" for day in DAYS for hour in hours]
    data = Data(
        customer=[{"customer_id": place, "ended_on": day} for place, day in enumerate(DAYS)],
        loan=[{"holder_key": "a", "guarantor_key": None, "opened_at": time} for time in times],
    )
    for database in both:
        database.fill(numbered(data))
        for source, name in ((CUSTOMER, "adverse_ended_on"), (LOAN, "opened")):
            for absent in (False, True):
                asked = FactCondition(rule="X", name=name, operator=operator, ago="P5Y", or_absent=absent)
                expected = [row["n"] for row in Permitted(data, FACTS).rows(source, asked)]
                assert 0 < len(expected) < len(data.loan if source == LOAN else data.customer)
                assert permitted(database, source, asked, FACTS) == expected


@settings(deadline=None, max_examples=200)
@given(
    data=databases,
    asked=st.tuples(st.just(CUSTOMER), on_customer) | st.tuples(st.just(LOAN), on_loan),
    actor=actors,
    subject=st.none() | st.none() | persons,
)
def test_a_condition_leaves_the_same_rows_everywhere(
    both: Both, data: Data, asked: tuple[str, Condition], actor: str, subject: str | None
) -> None:
    (source, condition), now = asked, facts(actor=actor, subject=subject)
    expected = sorted(row["n"] for row in Permitted(numbered(data), now).rows(source, condition))
    COUNTS["asked"] += 1
    COUNTS["some"] += len(expected) > 0
    candidates = ["1", "01", "1.0", "a", "A", "ä", " 1", "", "12", str(2**53), str(2**53 + 1), "-1", "x\0", "9" * 30]
    held: set[str] | None = None
    for database in both:
        database.fill(data)
        assert permitted(database, source, condition, now) == expected, database
        found = holding(database, source, condition, candidates, now)
        assert held is None or found == held
        held = found
    COUNTS["held"] += bool(held)


# --- PostgreSQL: what the session or the application owns ------------------------------------------

CASES = Data(
    customer=[{"customer_id": 1, "grade": "A"}, {"customer_id": 12, "grade": "a"}, {"customer_id": 2, "grade": "A"}],
    loan=[
        {"holder_key": "a", "guarantor_key": None},
        {"holder_key": "a", "guarantor_key": "A"},
        {"holder_key": "A", "guarantor_key": "a"},
        {"holder_key": None, "guarantor_key": "a"},
    ],
    loan_case=[{"customer_id": 12, "officer": FACTS.actor, "status": "open"}],
    grants=[grant("12"), grant("a")],
    scopes={1: {("use", "loan")}},
)
BEST = FactCondition(rule="X", name="grade", operator="eq", value="A")
QUESTIONS = [
    (CUSTOMER, OP01, [1]),
    (CUSTOMER, ASSIGNED, [1]),
    (CUSTOMER, BEST, [0, 2]),
    (CUSTOMER, SelfCondition(rule="PI-45"), []),
    (LOAN, OP01, [0]),
    (LOAN, ALWAYS, [0, 1, 2]),
]


def test_an_optional_person_that_is_not_there_asks_for_no_grant(both: Both) -> None:
    for database in both:
        database.fill(numbered(CASES))
        for source, condition, expected in QUESTIONS:
            assert permitted(database, source, condition, FACTS) == expected


OWNED = """
CREATE SCHEMA app;
CREATE FUNCTION app.yes(text, varchar) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true';
CREATE FUNCTION app.yes(text, text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true';
CREATE FUNCTION app.yes(bigint, bigint) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true';
CREATE FUNCTION app.yes(integer, integer) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true';
CREATE OPERATOR app.= (LEFTARG = text, RIGHTARG = varchar, FUNCTION = app.yes);
CREATE OPERATOR app.= (LEFTARG = text, RIGHTARG = text, FUNCTION = app.yes);
CREATE OPERATOR app.= (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = app.yes);
CREATE OPERATOR app.= (LEFTARG = integer, RIGHTARG = integer, FUNCTION = app.yes);
CREATE OPERATOR app.<> (LEFTARG = text, RIGHTARG = text, FUNCTION = app.yes);
CREATE FUNCTION app.lower(varchar) RETURNS text LANGUAGE sql AS 'SELECT ''x''';
CREATE FUNCTION app.length(text) RETURNS integer LANGUAGE sql AS 'SELECT 18';
CREATE FUNCTION app.substr(text, integer, integer) RETURNS text LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION app.jsonb_to_recordset(jsonb) RETURNS SETOF record LANGUAGE sql AS 'SELECT ''z''::text, 1::bigint';
CREATE DOMAIN app.text AS pg_catalog.text CHECK (false);
CREATE DOMAIN app.date AS pg_catalog.date CHECK (false);
CREATE COLLATION app."C" FROM "POSIX";
"""


def test_operators_functions_and_types_of_the_application_are_never_called(postgres: OnPostgres) -> None:
    postgres.fill(numbered(CASES))
    postgres.run(OWNED)
    try:
        postgres.run("SET search_path = app, retail, guard, pg_catalog")
        for source, condition, expected in QUESTIONS:
            assert permitted(postgres, source, condition, FACTS) == expected
        assert holding(postgres, CUSTOMER, OP01, ["12", "13", "a", "A"], FACTS) == {"12", "a"}
        assert holding(postgres, CUSTOMER, ASSIGNED, ["12", "13", "012"], FACTS) == {"12"}
        # The attack works on text that is not qualified.
        assert postgres.ask("SELECT CAST('a' AS pg_catalog.text) = CAST('b' AS varchar)", {}) == [(True,)]
        assert postgres.ask("SELECT length(CAST('a' AS pg_catalog.text))", {}) == [(18,)]
    finally:
        postgres.run("DROP SCHEMA app CASCADE")


def test_temporary_tables_and_types_do_not_stand_in(postgres: OnPostgres) -> None:
    postgres.fill(numbered(CASES))
    postgres.run("SET search_path = pg_catalog")  # which leaves temporary types first
    postgres.run("CREATE TEMP TABLE guard_grant AS SELECT * FROM guard.guard_grant WHERE false")
    postgres.run("CREATE TEMP TABLE customer AS SELECT 1 AS customer_id, 1 AS n")
    postgres.run("CREATE TEMP TABLE text (x integer); CREATE TEMP TABLE date (x integer)")
    for source, condition, expected in QUESTIONS:
        assert permitted(postgres, source, condition, FACTS) == expected
    ended = FactCondition(rule="X", name="adverse_ended_on", operator="ge", ago="P5Y", or_absent=True)
    assert permitted(postgres, CUSTOMER, ended, FACTS) == [0, 1, 2]


TEXTUAL = catalogue.load(
    {
        "version": "1",
        "sources": {
            "bank:retail.loan": {
                "subjects": {"holder": "holder_key"},
                "relations": {"own": {"source": "bank:retail.loan_case", "subject": "person", "actor": "officer"}},
                "fields": {"holder_key": {"category": "pseudonym"}},
            },
            "bank:retail.loan_case": {
                "subjects": {"holder": "person"},
                "fields": {"person": {"category": "pseudonym"}, "officer": {"category": "staff"}},
            },
        },
    }
)


@pytest.mark.parametrize("index", ["C", "POSIX", "default"])
@pytest.mark.parametrize("mine", ["C", "POSIX", "default"])
def test_a_person_is_found_in_a_relation_of_another_collation(postgres: OnPostgres, mine: str, index: str) -> None:
    """Two columns of different collations do not compare; where theirs is an index, it serves, unless it is exotic."""
    postgres.fill(numbered(CASES))
    with postgres.connection.transaction(force_rollback=True):
        postgres.run(f'ALTER TABLE retail.loan ALTER holder_key TYPE text COLLATE "{mine}"')
        postgres.run(f"ALTER TABLE retail.loan_case ADD person text COLLATE \"{index}\" DEFAULT 'a'")
        postgres.run("CREATE INDEX by_person ON retail.loan_case (person)")
        site = guard_sql.Site(catalogue=TEXTUAL, holder="bank", schemas={"retail": "retail"}, dialect="postgres")
        table = site.world.source(LOAN)
        assert table is not None
        assert isinstance(table.entry, catalogue.Source)
        rows = Rows(table, table.entry, site.world)
        sql = f"SELECT t.n FROM retail.loan AS t WHERE {rows.sql(RelationCondition(rule='X', name='own'))}"
        bound = {"g_actor": FACTS.actor}
        assert sorted(postgres.ask(sql, bound)) == [(0,), (1,)]
        steps = plan_of(postgres, sql, bound)
        assert index == "POSIX" or '"Index Name": "by_person"' in steps, steps


@pytest.mark.parametrize("collations", [("C", "POSIX"), ("POSIX", "C"), ("default", "POSIX")])
def test_columns_of_any_collation_compare_with_a_person(postgres: OnPostgres, collations: tuple[str, str]) -> None:
    mine, theirs = collations
    relation = "ALTER TABLE retail.loan_case ALTER officer TYPE text COLLATE"
    postgres.run(f'{relation} "{theirs}"; ALTER TABLE retail.loan ALTER holder_key TYPE text COLLATE "{mine}"')
    try:
        postgres.fill(numbered(CASES))
        for source, condition, expected in QUESTIONS:
            assert permitted(postgres, source, condition, FACTS) == expected
        assert permitted(postgres, LOAN, ALWAYS, facts(subject="a")) == [0, 1, 2]
    finally:
        postgres.run(f'{relation} "default"; ALTER TABLE retail.loan ALTER holder_key TYPE text COLLATE "default"')


def test_a_key_in_a_padded_column_is_the_key_without_its_padding(postgres: OnPostgres) -> None:
    postgres.run("ALTER TABLE retail.loan ALTER holder_key TYPE char(9)")
    try:
        postgres.fill(numbered(CASES))
        assert permitted(postgres, LOAN, OP01, FACTS) == [0]
        assert permitted(postgres, LOAN, ALWAYS, facts(subject="a")) == [0, 1, 2]
        assert permitted(postgres, LOAN, ALWAYS, facts(subject="a ")) == []
    finally:
        postgres.run("ALTER TABLE retail.loan ALTER holder_key TYPE text")


@pytest.mark.parametrize("real", ["smallint", "integer", "bigint", "numeric"])
def test_a_whole_key_may_be_of_any_whole_type(postgres: OnPostgres, real: str) -> None:
    postgres.run(f"ALTER TABLE retail.customer ALTER customer_id TYPE {real}")
    try:
        postgres.fill(numbered(CASES))
        for subject, expected in (("12", [1]), ("012", []), ("12.0", []), ("a", []), ("9" * 18, [])):
            assert permitted(postgres, CUSTOMER, ASSIGNED, facts(subject=subject)) == expected
    finally:
        postgres.run("ALTER TABLE retail.customer ALTER customer_id TYPE bigint")


# --- PostgreSQL: errors and values -----------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        "loan ALTER principal TYPE text USING 'not a number'",
        "customer ALTER frozen TYPE text USING 'not a boolean'",
        "customer ALTER ended_on TYPE text USING 'soon'",
        "customer ALTER customer_id TYPE text USING 'nobody'",
    ],
)
@pytest.mark.parametrize("rows", [0, 1])
def test_a_column_of_another_type_fails_whatever_its_values_are(both: Both, change: str, rows: int) -> None:
    """The error is the planner's: were it a row's, it would tell that there is one."""
    postgres = both[1]
    data = CASES if rows else Data()
    asked: list[tuple[str, Condition, Any]] = [
        (LOAN, FactCondition(rule="X", name="amount", operator="ge", value=5), FACTS),
        (CUSTOMER, FactCondition(rule="X", name="frozen", operator="eq", value=0), FACTS),
        (CUSTOMER, FactCondition(rule="X", name="adverse_ended_on", operator="ge", ago="P5Y"), FACTS),
        (CUSTOMER, ALWAYS, facts(subject="12")),
    ]
    table, _, column = change.partition(" ALTER ")
    source, condition, now = asked[["principal", "frozen", "ended_on", "customer_id"].index(column.split()[0])]
    postgres.fill(numbered(data))
    with postgres.connection.transaction(force_rollback=True):
        postgres.run(f"ALTER TABLE retail.{table} ALTER {column}")
        with pytest.raises(psycopg.errors.UndefinedFunction), postgres.connection.transaction():
            permitted(postgres, source, condition, now)


@pytest.mark.parametrize(
    ("name", "column", "odd"),
    [
        ("amount", "principal", ["NaN", "Infinity", "-Infinity", "1e100000"]),
        ("opened", "opened_at", ["infinity", "-infinity", "294276-12-31 23:59:59", "4713-01-01 BC"]),
    ],
)
def test_no_value_of_a_column_makes_a_condition_fail(both: Both, name: str, column: str, odd: list[str]) -> None:
    postgres = both[1]
    rows = [{"holder_key": "a", column: one, "n": place} for place, one in enumerate([*odd, None])]
    postgres.fill(Data(loan=rows))
    for operator in OPERATORS:
        for asked in ({"value": 5}, {"ago": "P5Y"}):
            if (name == "opened") != ("ago" in asked):
                continue
            condition = FactCondition(rule="X", name=name, operator=operator, **asked)  # type: ignore[arg-type]
            got = permitted(postgres, LOAN, condition, FACTS)
            assert len(odd) not in got, "NULL fulfils nothing"
            if name == "amount":
                assert 0 not in got, "NaN is no number"


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("grade", "a\\'b"),
        ("grade", "\ud800"),
        ("opened", "2021-01-01"),
        ("adverse_ended_on", "soon"),
        ("amount", 2**63),
    ],
)
def test_what_cannot_be_compared_is_refused(both: Both, name: str, wanted: Any) -> None:
    source = LOAN if name in ("opened", "amount") else CUSTOMER
    with pytest.raises(Refused) as raised:
        parts_of(both[1], source, FactCondition(rule="X", name=name, operator="eq", value=wanted), FACTS)
    assert raised.value.rules == ("GUARD-DECISION-CONDITION",)


def test_the_day_of_a_time_is_that_of_the_session(postgres: OnPostgres) -> None:
    postgres.run("ALTER TABLE retail.loan ALTER opened_at TYPE timestamptz")
    condition = FactCondition(rule="X", name="opened", operator="ge", ago="P5Y")
    try:
        postgres.fill(Data(loan=[{"holder_key": "a", "opened_at": "2021-11-22 20:00:00+00", "n": 0}]))
        for zone, expected in (("UTC", []), ("Asia/Shanghai", [0])):
            postgres.run(f"SET timezone = '{zone}'")
            assert permitted(postgres, LOAN, condition, FACTS) == expected
    finally:
        postgres.run("RESET timezone; ALTER TABLE retail.loan ALTER opened_at TYPE timestamp")


# --- PostgreSQL: indexes ---------------------------------------------------------------------------


def test_keys_are_looked_up_by_an_index(both: Both) -> None:
    postgres = both[1]
    postgres.fill(numbered(CASES))
    indexes = {
        "by_case": "loan_case (customer_id)",
        "by_customer": "customer (customer_id)",
        "by_holder": "loan (holder_key)",
    }
    declared = facts(subject="12")
    try:
        for source, condition, index in (
            (CUSTOMER, AllCondition(conditions=(ASSIGNED, OP01)), "guard_grant_asked"),
            (CUSTOMER, ASSIGNED, "by_case"),
            (CUSTOMER, ALWAYS, "by_customer"),
            (LOAN, SELF, "by_holder"),
        ):
            if index in indexes:
                postgres.run(f"CREATE INDEX {index} ON retail.{indexes[index]}")
            now = declared if index == "by_customer" else FACTS
            made, names = parts_of(postgres, source, condition, now)
            sql = f"SELECT t.n FROM retail.{source.rpartition('.')[2]} AS t WHERE {' AND '.join(made)}"
            assert f'"Index Name": "{index}"' in plan_of(postgres, sql, {name: value(name, now) for name in names})
        sql, parameters = guard_sql.holds(postgres.site, CUSTOMER, ASSIGNED, ["12"], FACTS)
        assert '"Index Name": "by_case"' in plan_of(postgres, sql, parameters)
    finally:
        postgres.run("; ".join(f"DROP INDEX IF EXISTS retail.{index}" for index in indexes))


# --- What is read back -----------------------------------------------------------------------------

ODD = [
    't."a" = 1',
    't."a" IN (1, 2)',
    't."a" BETWEEN 1 AND 2',
    't."a" OPERATOR(app.=) 1',
    't."a" OPERATOR(=) 1',
    "t.\"a\" || 'x'",
    'lower(t."a")',
    'app.length(t."a")',
    'pg_catalog.pg_sleep(t."a")',
    'pg_catalog.lower(t."a")',
    'CAST(t."a" AS text)',
    'CAST(t."a" AS app.text)',
    'CAST(t."a" AS pg_catalog.int8)',
    't."a" COLLATE "C"',
    't."a" COLLATE app."C"',
    'CASE t."a" WHEN 1 THEN 2 END',
    'NULLIF(t."a", 1)',
    't."a" IS DISTINCT FROM 1',
    't."a" LIKE 1',
    '-t."a"',
    '"a"',
    'x."a"',
    '(SELECT g."a" FROM "main"."y" AS g)',
    '(SELECT count(*) FROM "main"."x" AS g)',
    't."a", 1',
    't."a" AS part FROM "main"."x" AS t --',
    't."a" /* b */',
    't."a" AS part FROM "main"."x" AS t WHERE true OR (1',
    ":g_now",
    "t.*",
]


@pytest.mark.parametrize("sql", ODD)
def test_a_part_with_anything_unqualified_in_it_is_refused(sql: str) -> None:
    with pytest.raises(Refused) as raised:
        parts.part(sql, '"main"."x"', POSTGRES, {("main", "x")}, set())
    assert raised.value.rules == ("GUARD-SQL",)


def test_a_part_says_what_it_reads() -> None:
    sql = (
        '(t."a" OPERATOR(pg_catalog.=) CAST(:g_now AS bigint)) '
        'AND EXISTS (SELECT 1 FROM "m"."y" AS g WHERE g."b" IS NULL)'
    )
    read = parts.part(sql, '"main"."x"', POSTGRES, {("main", "x"), ("m", "y")}, {"g_now"})
    assert read == {("main", "x", "a"), ("m", "y", "b")}
