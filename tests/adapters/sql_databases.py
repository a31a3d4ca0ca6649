"""The bank of `sql_world` on SQLite and on PostgreSQL: what a condition leaves of a table, asked of each.

The parts of a template are made from `Rows` and read back as a template does, without a statement around them.
"""

from __future__ import annotations

import itertools
import json
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, cast

import psycopg
import sql_world as world
import sqlalchemy
import sqlalchemy.dialects.postgresql
import sqlalchemy.dialects.sqlite
from sql_world import CATALOGUE, Data, Record

import guard_sql
from guard.catalogue import Source
from guard.model import Condition, Facts
from guard_ledger import tables as ledger_tables
from guard_sql import paramstyle, parts
from guard_sql.conditions import Rows, value
from guard_sql.world import Table

TYPED: Mapping[str, str] = {
    "customer": "customer_id bigint, full_name text, id_number varchar(40), mobile char(11), monthly_income integer, "
    'grade text, ended_on date, frozen boolean, "住址" text',
    "loan": "loan_id integer, holder_key text, guarantor_key varchar, principal numeric, status text, "
    "opened_at timestamp",
    "loan_case": "customer_id numeric(20), officer text, status text",
    "branch": "branch_id integer, city text",
}
"""The bank's tables as a bank on PostgreSQL has them. Each has a column `n` beside, the number of the row."""

_NUMBER = itertools.count(1)
BOOLEAN = frozenset({"frozen"})


class Database(Protocol):
    """One of the two."""

    site: guard_sql.Site

    def fill(self, data: Data) -> None:
        """Holds these rows and no others; each row's `n` is its place."""

    def ask(self, sql: str, parameters: Mapping[str, object]) -> list[tuple[Any, ...]]:
        """The rows of a guarded text."""

    def run(self, sql: str) -> None:
        """Runs a statement of the test's own."""


class OnSqlite:
    """SQLite in memory."""

    site = world.SITE

    def __init__(self) -> None:
        self.connection = sqlite3.connect(":memory:", check_same_thread=False)
        dialect = sqlalchemy.dialects.sqlite.dialect()
        for table in (ledger_tables.scope, ledger_tables.grant):
            self.run(str(sqlalchemy.schema.CreateTable(table).compile(dialect=dialect)))
            for index in table.indexes:
                self.run(str(sqlalchemy.schema.CreateIndex(index).compile(dialect=dialect)))
        for name, columns in world.TABLES.items():
            self.run(f"CREATE TABLE {name} ({columns}, n INTEGER)")

    def fill(self, data: Data) -> None:
        for name in (*world.TABLES, "guard_grant", "guard_scope"):
            self.run(f"DELETE FROM {name}")
        world.fill(self.connection, data)

    def ask(self, sql: str, parameters: Mapping[str, object]) -> list[tuple[Any, ...]]:
        return self.connection.execute(sql, dict(parameters)).fetchall()

    def run(self, sql: str) -> None:
        self.connection.execute(sql)


class OnPostgres:
    """A database of a plain role's on a real PostgreSQL."""

    site = guard_sql.Site(catalogue=CATALOGUE, holder="bank", schemas={"retail": "retail"}, dialect="postgres")

    def __init__(self, server: Path) -> None:
        name = f"forms{next(_NUMBER)}"
        with psycopg.connect(f"postgresql://postgres@/postgres?host={server}", autocommit=True) as admin:
            admin.execute(f"CREATE DATABASE {name} OWNER plain".encode())
        self.connection = psycopg.connect(f"postgresql://plain@/{name}?host={server}", autocommit=True)
        self.run("SET search_path = pg_catalog, pg_temp")
        self.run("CREATE SCHEMA retail; CREATE SCHEMA guard")
        beside = sqlalchemy.MetaData()
        dialect = sqlalchemy.dialects.postgresql.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy's has no types
        for one in (ledger_tables.scope, ledger_tables.grant):
            table = one.to_metadata(beside, schema="guard")
            made = str(sqlalchemy.schema.CreateTable(table).compile(dialect=dialect))
            self.run(made if "COLLATE" in made else made.replace(" TEXT", ' TEXT COLLATE "C"'))
            for index in table.indexes:
                self.run(str(sqlalchemy.schema.CreateIndex(index).compile(dialect=dialect)))
        for name, columns in TYPED.items():
            self.run(f"CREATE TABLE retail.{name} ({columns}, n integer)")

    def fill(self, data: Data) -> None:
        self.run(f"TRUNCATE {', '.join(f'retail.{name}' for name in TYPED)}, guard.guard_grant, guard.guard_scope")
        for name in TYPED:
            for row in getattr(data, name):
                self.insert(f"retail.{name}", row)
        for place, row in enumerate(data.grants):
            self.insert("guard.guard_grant", {"grant_id": place, "consent_id": "c", **row})
        for scope, pairs in data.scopes.items():
            for operation, category in pairs:
                self.insert("guard.guard_scope", {"scope": scope, "operation": operation, "category": category})

    def insert(self, table: str, row: Record) -> None:
        """A boolean of `sql_world` is 0 or 1."""
        typed = {name: bool(one) if name in BOOLEAN and one is not None else one for name, one in row.items()}
        names = ", ".join(f'"{name}"' for name in row)
        self.connection.execute(
            f"INSERT INTO {table} ({names}) VALUES ({', '.join(['%s'] * len(row))})", list(typed.values())
        )

    def ask(self, sql: str, parameters: Mapping[str, object]) -> list[tuple[Any, ...]]:
        return self.connection.execute(paramstyle.pyformat(sql), dict(parameters)).fetchall()

    def raw(self) -> Any:
        """What takes `$1`, `$2` … and values in order."""
        import psycopg

        return psycopg.RawCursor(self.connection)

    def run(self, sql: str) -> None:
        self.connection.execute(sql)


def numbered(data: Data) -> Data:
    """The data with the number of each row in `n`."""
    for name in world.TABLES:
        for place, row in enumerate(getattr(data, name)):
            row["n"] = place
    return data


def table_of(database: Database, source: str) -> tuple[Table, Source]:
    table = database.site.world.source(source)
    assert table is not None
    return table, cast(Source, table.entry)


def parts_of(database: Database, source: str, condition: Condition, facts: Facts) -> tuple[list[str], set[str]]:
    """The conditions on a row, each read back, and the parameters that they need."""
    table, entry = table_of(database, source)
    made: list[str] = []
    parameters: set[str] = set()
    forms = [Rows.present, lambda rows: rows.sql(condition)]
    if facts.subject is not None:
        forms.insert(0, Rows.declared)
    for form in forms:
        rows = Rows(table, entry, database.site.world)
        sql = form(rows)
        parts.part(sql, table.sql, database.site.world.dialect, rows.tables, rows.parameters)
        made.append(f"({sql})")
        parameters |= rows.parameters
    return made, parameters


def permitted(database: Database, source: str, condition: Condition, facts: Facts) -> list[int]:
    """The numbers of the rows that a condition leaves, as the database says."""
    made, parameters = parts_of(database, source, condition, facts)
    table, _ = table_of(database, source)
    sql = f"SELECT t.n FROM {table.sql} AS t WHERE {' AND '.join(made)}"
    return sorted(n for (n,) in database.ask(sql, {name: value(name, facts) for name in parameters}))


def holding(database: Database, source: str, condition: Condition, keys: Sequence[str], facts: Facts) -> set[str]:
    """For whom of these persons a condition holds."""
    return {key for (key,) in database.ask(*guard_sql.holds(database.site, source, condition, keys, facts))}


def plan_of(database: OnPostgres, sql: str, parameters: Mapping[str, object]) -> str:
    """What PostgreSQL would do, as JSON text, with everything but an index at a price that an index beats."""
    others = ("enable_seqscan", "enable_hashjoin", "enable_mergejoin", "enable_material")
    with database.connection.transaction(force_rollback=True):
        for one in others:
            database.run(f"SET LOCAL {one} = off")
        rows = database.ask("EXPLAIN (FORMAT JSON, COSTS OFF) " + sql, parameters)
    return json.dumps(rows[0][0], ensure_ascii=False)
