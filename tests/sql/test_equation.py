"""guard(Q)(D) = Q(permitted copy of D), for whole queries, on SQLite and PostgreSQL; and who is behind the rows.

`GUARD_EXAMPLES` is how many queries each database gets (300, in CI too; the release runs 5,000). Printed at the
end: how many were accepted, what refused the others, and how many persons were taken away to see whether a row
of the result changes, who then must be among those that the guard names.
"""

from __future__ import annotations

import os
import sqlite3
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import equation as world
import pytest
import queries as grammar
import sqlalchemy
from equation import CATALOGUE, FACTS, SUBJECTS, TABLES, Bank, Permitted, Record, grant, source
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from sqlalchemy.dialects import postgresql, sqlite

import guard_sql
from guard.errors import Refused
from guard.model import (
    ALWAYS,
    NEVER,
    Condition,
    Decision,
    FactCondition,
    Facts,
    GrantCondition,
    RelationCondition,
    SelfCondition,
    Treatment,
    all_of,
    any_of,
)
from guard_ledger import tables as ledger_tables

EXAMPLES = int(os.environ.get("GUARD_EXAMPLES", "300"))
QUERIES = 10
"""Queries on one bank under one decision."""

Rows = list[tuple[Any, ...]]

# --- Data and decisions ---------------------------------------------------------------------------

people = st.integers(1, 4)
texts = st.sampled_from(["Li", "li", "王小明", "O'Neil", "", "100%", None])
statuses = st.sampled_from(["open", "closed", None])
days = st.sampled_from(["2021-11-22", "2021-11-23", "2024-02-29", "2026-01-31", None])
numbers = st.sampled_from([0, 1, 2, 3, 50, 100, None])
customers = st.lists(
    st.fixed_dictionaries(
        {
            "customer_id": people,
            "full_name": texts,
            "id_number": st.sampled_from(["110101199003071234", "310101198001010000", None]),
            "mobile": st.sampled_from(["13812345678", "13900005678", None]),
            "income": numbers,
            "grade": st.sampled_from(["A", "B", None]),
            "frozen": st.sampled_from([0, 1, None]),
            "ended_on": days,
        }
    ),
    min_size=3,
    max_size=4,
    unique_by=lambda row: row["customer_id"],
)
loans = st.lists(
    st.fixed_dictionaries(
        {
            "loan_id": st.integers(1, 20),
            "customer_id": people,
            "guarantor_id": people | st.none(),
            "principal": numbers,
            "status": statuses,
            "opened_on": days,
        }
    ),
    min_size=4,
    max_size=7,
    unique_by=lambda row: row["loan_id"],
)
cases = st.lists(
    st.fixed_dictionaries(
        {
            "case_id": st.integers(1, 20),
            "customer_id": people,
            "officer": st.sampled_from(["1", "1", "2"]),
            "status": statuses,
        }
    ),
    min_size=3,
    max_size=6,
    unique_by=lambda row: row["case_id"],
)
branches = st.lists(
    st.fixed_dictionaries({"branch_id": st.integers(1, 9), "city": texts, "founded": days}),
    min_size=1,
    max_size=3,
    unique_by=lambda row: row["branch_id"],
)
grants = st.lists(
    st.builds(
        lambda person, other: grant(person, **other),
        people,
        st.sampled_from(
            [
                *({},) * 6,
                {"separate": 1},
                {"purpose": "marketing"},
                {"valid_until": world.NOW},
                {"withdrawn_at": world.NOW - 1},
            ]
        ),
    ),
    min_size=5,
    max_size=12,
)
banks = st.builds(
    lambda customer, loan, case, branch, granted: Bank(
        {"customer": customer, "loan": loan, "loan_case": case, "branch": branch}, granted
    ),
    customers,
    loans,
    cases,
    branches,
    grants,
)


def simple(table: str) -> st.SearchStrategy[Condition]:
    granted = st.builds(
        lambda category, separate: GrantCondition(rule="OP-01", category=category, separate=separate),
        st.sampled_from([None, "income"]),
        st.sampled_from([False, False, True]),
    )
    made = [granted, granted, st.just(SelfCondition(rule="PI-45"))]
    if table != "loan_case":
        made.append(st.just(RelationCondition(rule="PI-02", name="assigned_case")))
        name = "adverse_ended_on" if table == "customer" else "opened"
        made.append(
            st.builds(
                lambda operator, absent: FactCondition(
                    rule="CR-05", name=name, operator=operator, ago="P5Y", or_absent=absent
                ),
                st.sampled_from(["lt", "ge"]),
                st.booleans(),
            )
        )
    fact, values = ("grade", ["A", "B"]) if table == "customer" else ("status", ["open"])
    made.append(
        st.builds(
            lambda operator, value, absent: FactCondition(
                rule="CR-01", name=fact, operator=operator, value=value, or_absent=absent
            ),
            st.sampled_from(["eq", "ne"]),
            st.sampled_from(values),
            st.booleans(),
        )
    )
    return st.one_of(made)


def conditions(table: str) -> st.SearchStrategy[Condition]:
    one = simple(table)
    return st.one_of(
        *(st.just(ALWAYS),) * 3,
        one,
        st.builds(all_of, one, one),
        st.builds(any_of, one, one),
        st.builds(any_of, one, one, one),
    )


SHOWN = Treatment(reveal=ALWAYS, mask=None, masked_if=ALWAYS)


def treatments(table: str, name: str) -> st.SearchStrategy[Treatment | None]:
    if name == world.KEYS[table] or name in world.subject_columns(table):
        return st.just(SHOWN)
    made = [st.just(SHOWN), st.just(SHOWN), st.just(None), simple(table).map(_if)]
    if TABLES[table][name] == "text":
        masks = st.sampled_from(["name", "id18", "phone", "city"])
        made.append(masks.map(lambda mask: Treatment(reveal=NEVER, mask=mask, masked_if=ALWAYS)))
        made.append(st.builds(lambda mask, on: Treatment(reveal=on, mask=mask, masked_if=ALWAYS), masks, simple(table)))
    return st.one_of(made)


def _if(condition: Condition) -> Treatment:
    return Treatment(reveal=condition, mask=None, masked_if=condition)


@st.composite
def decisions(draw: st.DrawFn) -> Decision:
    reads = {}
    for table in SUBJECTS:
        drawn = {name: draw(treatments(table, name)) for name in TABLES[table]}
        reads[source(table)] = {name: one for name, one in drawn.items() if one is not None}
    return Decision(
        id="0", allow=True, rows={source(table): draw(conditions(table)) for table in SUBJECTS}, reads=reads
    )


def needed(decision: Decision, plan: guard_sql.Plan) -> Decision:
    """The part of a decision that is about the plan's sources and fields."""
    fields: dict[str, set[str]] = {}
    for item in plan.items:
        fields.setdefault(item.source, set()).update(() if item.field is None else (item.field,))
    return replace(
        decision,
        rows={one: decision.rows[one] for one in fields},
        reads={
            one: {name: how for name, how in decision.reads[one].items() if name in names}
            for one, names in fields.items()
        },
    )


# --- Databases ------------------------------------------------------------------------------------


class Failed(Exception):
    """The statement is none, or fails, as it was written."""


class Database(Protocol):
    """Raw tables with the ledger's beside them, and copies of what is permitted of them."""

    dialect: str
    site: guard_sql.Site

    def fill(self, bank: Bank, copy: dict[str, tuple[list[str], list[Record]]]) -> None: ...
    def clear(self) -> None: ...
    def original(self, sql: str, parameters: Sequence[object]) -> tuple[Rows, list[str]]: ...
    def without(self, person: str, sql: str, parameters: Sequence[object]) -> Rows: ...
    def guarded(self, made: guard_sql.Guarded, parameters: Sequence[object], facts: Facts) -> Rows: ...


def site(dialect: str, schema: str) -> guard_sql.Site:
    return guard_sql.Site(catalogue=CATALOGUE, holder="bank", schemas={schema: "retail"}, dialect=dialect)


def ddl(dialect: str, table: str, columns: Sequence[str], name: str) -> str:
    types = {"integer": "BIGINT", "text": "TEXT", "boolean": "BOOLEAN", "date": "DATE"}
    lite = {"integer": "INTEGER", "text": "TEXT", "boolean": "INTEGER", "date": "TEXT"}
    of = types if dialect == "postgres" else lite
    return f"CREATE TABLE {name} ({', '.join(f'{one} {of[TABLES[table][one]]}' for one in columns)})"


def owned(table: str, person: str) -> str:
    return " OR ".join(f"{column} = {int(person)}" for column in world.subject_columns(table))


class Sqlite:
    """Two databases in memory."""

    dialect = "sqlite"

    def __init__(self) -> None:
        self.site = site("sqlite", "main")
        self.raw = sqlite3.connect(":memory:", isolation_level=None)
        self.copy = self.raw
        dialect = sqlite.dialect()
        for table in (ledger_tables.scope, ledger_tables.grant):
            self.raw.execute(str(sqlalchemy.schema.CreateTable(table).compile(dialect=dialect)))
        for table, columns in TABLES.items():
            self.raw.execute(ddl("sqlite", table, list(columns), table))
        self.raw.execute("INSERT INTO guard_scope VALUES (1, 'use', 'income'), (1, 'use', 'identity')")

    def fill(self, bank: Bank, copy: dict[str, tuple[list[str], list[Record]]]) -> None:
        self.raw.execute("BEGIN")
        for table, rows in [*bank.rows.items(), ("guard_grant", bank.grants)]:
            for row in rows:
                self._insert(self.raw, table, row)
        self.copy = sqlite3.connect(":memory:", isolation_level=None)
        for table, (columns, rows) in copy.items():
            self.copy.execute(ddl("sqlite", table, columns, table))
            for row in rows:
                self._insert(self.copy, table, row)

    def _insert(self, into: sqlite3.Connection, table: str, row: Record) -> None:
        into.execute(
            f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", tuple(row.values())
        )

    def clear(self) -> None:
        self.raw.execute("ROLLBACK")
        self.copy.close()

    def original(self, sql: str, parameters: Sequence[object]) -> tuple[Rows, list[str]]:
        try:
            cursor = self.copy.execute(sql, tuple(parameters))
            return cursor.fetchall(), [one[0] for one in cursor.description]
        except sqlite3.Error as error:
            raise Failed(str(error)) from None

    def without(self, person: str, sql: str, parameters: Sequence[object]) -> Rows:
        self.copy.execute("BEGIN")
        try:
            for table in SUBJECTS:
                self.copy.execute(f"DELETE FROM {table} WHERE {owned(table, person)}")
            return self.copy.execute(sql, tuple(parameters)).fetchall()
        finally:
            self.copy.execute("ROLLBACK")

    def guarded(self, made: guard_sql.Guarded, parameters: Sequence[object], facts: Facts) -> Rows:
        self.raw.set_authorizer(made.witness)
        try:
            return self.raw.execute(*made.bind(parameters or None, facts)).fetchall()
        finally:
            self.raw.set_authorizer(None)

    def close(self) -> None:
        self.raw.close()


class Postgres:
    """Two schemas of one database, filled in a transaction that is undone."""

    dialect = "postgres"

    def __init__(self, url: str) -> None:
        import psycopg

        self.error: type[Exception] = psycopg.Error
        self.sent = psycopg.RawCursor
        self.site = site("postgres", "raw")
        self.raw = psycopg.connect(url, autocommit=True)
        self._do("CREATE SCHEMA raw")
        self._do("CREATE SCHEMA copy")
        self._do("CREATE SCHEMA guard")
        dialect = postgresql.dialect()
        for table in (ledger_tables.scope, ledger_tables.grant):
            made = table.to_metadata(sqlalchemy.MetaData(), schema="guard")
            self._do(str(sqlalchemy.schema.CreateTable(made).compile(dialect=dialect)))
        for table, columns in TABLES.items():
            self._do(ddl("postgres", table, list(columns), f"raw.{table}"))
        self._do("INSERT INTO guard.guard_scope VALUES (1, 'use', 'income'), (1, 'use', 'identity')")

    def _do(self, sql: str, parameters: Any = None) -> Any:
        return self.raw.execute(sql.encode(), parameters)

    def fill(self, bank: Bank, copy: dict[str, tuple[list[str], list[Record]]]) -> None:
        self._do("BEGIN")
        for table, rows in [
            *((f"raw.{name}", rows) for name, rows in bank.rows.items()),
            ("guard.guard_grant", bank.grants),
        ]:
            for row in rows:
                self._insert(table, row)
        for table, (columns, rows) in copy.items():
            self._do(ddl("postgres", table, columns, f"copy.{table}"))
            for row in rows:
                self._insert(f"copy.{table}", row)

    def _insert(self, table: str, row: Record) -> None:
        values = [bool(one) if name == "frozen" and one is not None else one for name, one in row.items()]
        self._do(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join(['%s'] * len(row))})", values)

    def clear(self) -> None:
        self._do("ROLLBACK")

    @contextmanager
    def _undone(self, path: str) -> Iterator[None]:
        self._do("SAVEPOINT one")
        try:
            self._do(f"SET LOCAL search_path = {path}")
            yield
        finally:
            self._do("ROLLBACK TO one")

    def original(self, sql: str, parameters: Sequence[object]) -> tuple[Rows, list[str]]:
        with self._undone("copy"):
            try:
                cursor = self._do(sql, parameters or None)
                return cursor.fetchall(), [one[0] for one in cursor.description]
            except self.error as error:
                raise Failed(str(error)) from None

    def without(self, person: str, sql: str, parameters: Sequence[object]) -> Rows:
        with self._undone("copy"):
            for table in SUBJECTS:
                self._do(f"DELETE FROM {table} WHERE {owned(table, person)}")
            rows: Rows = self._do(sql, parameters or None).fetchall()
            return rows

    def guarded(self, made: guard_sql.Guarded, parameters: Sequence[object], facts: Facts) -> Rows:
        with self._undone("pg_catalog, pg_temp"):
            sql, bound = made.bind(parameters or None, facts)
            rows: Rows = self.sent(self.raw).execute(sql.encode(), bound).fetchall()
            return rows

    def close(self) -> None:
        self.raw.close()


@pytest.fixture(scope="module")
def databases(request: pytest.FixtureRequest) -> Iterator[dict[str, Any]]:
    import psycopg
    from fixtures_postgres import ROLE, _url

    folder: Path = request.getfixturevalue("postgres_server")
    with psycopg.connect(_url(folder, "postgres", "postgres"), autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE equation OWNER {ROLE}".encode())
    with closing(Sqlite()) as lite, closing(Postgres(_url(folder, ROLE, "equation"))) as post:
        yield {"sqlite": lite, "postgres": post}


# --- The equation ---------------------------------------------------------------------------------


@dataclass
class Tally:
    counts: Counter[str]
    refusals: Counter[str]
    features: Counter[str]
    failures: Counter[str]
    broken: list[str]

    @contextmanager
    def kept(self, query: grammar.Query) -> Iterator[None]:
        """Keeps what went wrong and goes on, so that one run shows all of it; shrinking needs it raised."""
        try:
            yield
        except Exception as error:
            if os.environ.get("GUARD_SHRINK"):
                raise
            why = f"{type(error).__name__}: {str(error).splitlines()[0]:.200}" if str(error) else repr(error)
            self.broken.append(f"{why}\n    {query.sql}\n    {query.parameters}")


def bag(rows: Rows) -> Counter[str]:
    return Counter(repr(row) for row in rows)


def equal(database: Database, bank: Bank, decision: Decision, query: grammar.Query, facts: Facts, tally: Tally) -> None:
    """One query: compares what the guard gives with what the copy gives, and the persons with who matters."""
    counts = tally.counts
    counts["queries"] += 1
    note(f"{query.sql}\n{query.parameters}")
    try:
        expected, names = database.original(query.sql, query.parameters)
    except Failed as failed:
        counts["fails by itself"] += 1
        tally.failures[str(failed).splitlines()[0][:90]] += 1
        return
    try:
        plan = guard_sql.plan(
            query.sql, database.site, pyformat=database.dialect == "postgres" and bool(query.parameters)
        )
        made = plan.apply(None if plan.public else needed(decision, plan))
    except Refused as refused:
        counts["refused"] += 1
        if os.environ.get("GUARD_SHOW") and os.environ["GUARD_SHOW"] in f"{refused.rules[0]}: {refused.detail}":
            sys.stdout.write(f"\n{refused}\n{query.sql}\n")
        tally.refusals[f"{refused.rules[0]}: {refused.detail}"[:110]] += 1
        return
    counts["accepted"] += 1
    tally.features.update(query.features)
    note(made.text)
    rows = database.guarded(made, query.parameters, facts)
    visible = len(made.columns)
    given = [tuple(row[:visible]) for row in rows]
    assert list(made.columns) == names
    if query.ordered:
        assert [repr(row) for row in given] == [repr(row) for row in expected]
    assert bag(given) == bag(expected)
    counts["with rows"] += bool(rows)
    persons = {one for row in rows for one in made.persons(row[visible:])}
    assert persons <= bank.persons()
    if not query.monotone or not rows:
        return
    for person in sorted(bank.persons()):
        counts["persons taken away"] += 1
        if bag(expected) - bag(database.without(person, query.sql, query.parameters)):
            counts["persons who matter"] += 1
            assert person in persons, f"person {person} is behind the result, and is not named"


def usable(decision: Decision) -> dict[str, grammar.Columns]:
    """The columns that a query may use anywhere."""
    made: dict[str, grammar.Columns] = {}
    for table, columns in TABLES.items():
        reads = decision.reads.get(source(table))
        made[table] = [(name, kind) for name, kind in columns.items() if reads is None or name in reads]
    return made


@pytest.mark.parametrize("dialect", ["sqlite", "postgres"])
def test_the_guarded_query_is_the_query_on_what_is_permitted(databases: dict[str, Any], dialect: str) -> None:
    database: Database = databases[dialect]
    tally = Tally(Counter(), Counter(), Counter(), Counter(), [])

    @settings(
        max_examples=max(1, EXAMPLES // QUERIES),
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.shrink) if os.environ.get("GUARD_SHRINK") else (Phase.generate,),
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(
        bank=banks,
        decision=decisions(),
        subject=st.sampled_from([*(None,) * 5, "1", "2"]),
        data=st.data(),
    )
    def run(bank: Bank, decision: Decision, subject: str | None, data: st.DataObject) -> None:
        facts = replace(FACTS, subject=subject)
        database.fill(bank, Permitted(bank, facts).copy(decision))
        try:
            for _ in range(QUERIES):
                query = data.draw(grammar.queries(dialect, usable(decision), world.KEYS))
                with tally.kept(query):
                    equal(database, bank, decision, query, facts, tally)
        finally:
            database.clear()

    try:
        run()
    finally:
        sys.stdout.write(f"\n{dialect}: {dict(tally.counts)}\n  {dict(tally.features.most_common())}\n")
        for why, times in [*tally.refusals.most_common(25), *tally.failures.most_common(10)]:
            sys.stdout.write(f"  {times:5} {why}\n")
    assert not tally.broken, f"{len(tally.broken)} of {tally.counts['accepted']}:\n" + "\n".join(tally.broken[:20])
    counts = tally.counts
    ran = counts["queries"] - counts["fails by itself"]
    assert ran >= EXAMPLES * 0.8
    assert counts["accepted"] >= 0.6 * ran, "the grammar hardly meets the accepted subset"
    assert counts["with rows"] * 3 >= counts["accepted"], "nearly all results are empty"
    assert counts["persons who matter"] > 20 or EXAMPLES < 300
