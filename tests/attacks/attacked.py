"""What is attacked: one catalogue, one decision, and three databases of each kind that differ in secrets alone.

The three hold the same permitted part: the same rows of persons with a consent, the same values in the fields that
may be seen. Everything else differs: masked and dropped values, the persons without a consent, their number.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, Protocol

import psycopg
import sqlalchemy
import sqlalchemy.dialects.postgresql

import guard_sql
from guard import catalogue
from guard.effects import Values
from guard.errors import Refused
from guard.model import ALWAYS, NEVER, Decision, Facts, GrantCondition, Treatment
from guard_dbapi.talk import PINNED
from guard_ledger import tables as ledger_tables
from guard_sql import witness_postgres

Kind = Literal["sqlite", "postgres"]

PERSON = "att:public.person"
CATALOGUE = catalogue.load(
    {
        "version": "1",
        "sources": {
            PERSON: {
                "subjects": {"person": "id"},
                "fields": {
                    "id": {"category": "pseudonym", "type": "integer"},
                    "name": {"category": "identity"},
                    "ssn": {"category": "identity_number"},
                    "salary": {"category": "income", "type": "integer"},
                    "note": {"category": "free_text", "type": "json"},
                },
            }
        },
        "public": {
            "att:public.pub": {"reason": "a list", "owner": "it", "fields": {"id": "integer", "v": "text"}},
            "att:public.guess": {"reason": "a list", "owner": "it", "fields": {"id": "integer", "ssn": "text"}},
        },
    }
)
REVEALED = Treatment(reveal=ALWAYS, mask=None, masked_if=ALWAYS)
WITH_NOTE = GrantCondition(rule="PI-19", category="free_text")
DECISION = Decision(
    id="0",
    allow=True,
    rows=MappingProxyType({PERSON: GrantCondition(rule="OP-01")}),
    reads=MappingProxyType(
        {
            PERSON: MappingProxyType(
                {
                    "id": REVEALED,
                    "name": REVEALED,
                    "ssn": Treatment(reveal=NEVER, mask="id18", masked_if=ALWAYS),
                    "note": Treatment(reveal=WITH_NOTE, mask=None, masked_if=WITH_NOTE),
                }
            )
        }
    ),
)
FACTS = Facts(
    actor="o", subject=None, purpose="p", operation="use", recipient="", seconds=100, date="2026-11-23", judged="j"
)
SECRETS = (0, 1, 2)
HIDDEN = 20_000
"""How many persons without a consent PostgreSQL holds at least: with few of them the planner has no choice."""


def cases(name: str) -> list[dict[str, str]]:
    """The attacks of a list."""
    return [json.loads(line) for line in (Path(__file__).parent / name).read_text("utf-8").splitlines()]


def called(attack: dict[str, str]) -> str:
    """The name of an attack's test."""
    return f"{attack['technique']}-{attack['sql'][:40]}".encode("ascii", "replace").decode()


@dataclass(frozen=True)
class Said:
    """What a statement says on one database: its rows, or the error that the driver told."""

    rows: tuple[str, ...] = ()
    error: str = ""


class Databases(Protocol):
    """The three databases of one kind."""

    kind: Kind
    site: guard_sql.Site

    def witnessed(self, guarded: guard_sql.Guarded) -> str:
        """What the engine's own parser objects to in the guarded text; '' where it agrees."""

    def run(self, guarded: guard_sql.Guarded) -> list[Said]:
        """What the guarded text says on each."""

    def raw(self, sql: str) -> list[Said]:
        """What a text says unguarded on each."""


def outcome(databases: Databases, sql: str) -> list[Said] | Refused:
    """What a statement says on each database, or the refusal, of the guard's checks or of the witness."""
    try:
        plan = guard_sql.plan(sql, databases.site)
        guarded = plan.apply(None if plan.public else DECISION)
        guarded.bind(None, FACTS)
    except Refused as refused:
        return refused
    objection = databases.witnessed(guarded)
    return Refused.own("GUARD-WITNESS", objection) if objection else databases.run(guarded)


# --- SQLite ---------------------------------------------------------------------------------------


class OnSqlite:
    """Three SQLite databases in memory."""

    kind: Kind = "sqlite"
    site = guard_sql.Site(catalogue=CATALOGUE, holder="att", schemas={"main": "public"})

    def __init__(self) -> None:
        self.connections = [_sqlite(secret) for secret in SECRETS]
        self.spare = _sqlite(SECRETS[0])
        """Another one, for readers that allow what the witness does not: SQLite keeps what was allowed once."""

    def witnessed(self, guarded: guard_sql.Guarded) -> str:
        # The error is not always its own: `vtable constructor failed` follows from what it denied.
        denied: list[str] = []

        def asked(action: int, first: str | None, second: str | None, schema: str | None, inner: str | None) -> int:
            said = guarded.witness(action, first, second, schema, inner)
            if said:
                denied.append(f"{action} {first} {second}")
            return said

        connection = self.connections[0]
        connection.set_authorizer(asked)
        sql, parameters = guarded.bind(None, FACTS)
        with suppress(sqlite3.Error):
            connection.execute(f"EXPLAIN {sql}", parameters).fetchall()
        connection.set_authorizer(None)
        return ", ".join(denied)

    def run(self, guarded: guard_sql.Guarded) -> list[Said]:
        sql, parameters = guarded.bind(None, FACTS)
        said: list[Said] = []
        for connection in self.connections:
            connection.set_authorizer(guarded.witness)
            said.append(_said(connection, sql, parameters, len(guarded.columns)))
            connection.set_authorizer(None)
            connection.rollback()
        return said

    def raw(self, sql: str) -> list[Said]:
        return [_said(connection, sql, {}, None) for connection in self.connections]


def _said(connection: sqlite3.Connection, sql: str, parameters: dict[str, object], visible: int | None) -> Said:
    try:
        return Said(rows=tuple(repr(row[:visible]) for row in connection.execute(sql, parameters).fetchall()))
    except sqlite3.Error as error:
        return Said(error=f"{type(error).__name__}: {error}")


def _sqlite(secret: int) -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:")
    connection.executescript(
        """
        CREATE TABLE person (id INTEGER PRIMARY KEY, name TEXT, ssn TEXT, salary INTEGER, note TEXT);
        CREATE INDEX person_name ON person (name);
        CREATE TABLE pub (id INTEGER, v TEXT);
        INSERT INTO pub VALUES (1, 'one'), (2, 'two');
        CREATE TABLE guess (id INTEGER, ssn TEXT);
        INSERT INTO guess VALUES (4, 'CANARY_SSN_4_0');
        CREATE VIEW person_view AS SELECT * FROM person;
        CREATE TABLE guard_grant (subject TEXT, purpose TEXT, recipient TEXT, scope INTEGER, basis TEXT,
            separate INTEGER, written INTEGER, assurance INTEGER, recorder TEXT, valid_from INTEGER,
            valid_until INTEGER, withdrawn_at INTEGER, judged TEXT);
        CREATE TABLE guard_scope (scope INTEGER, operation TEXT, category TEXT);
        INSERT INTO guard_scope VALUES (1, 'use', 'identity'), (2, 'use', 'free_text');
        """
    )
    seen = [
        (1, "Ann", f"CANARY_SSN_1_{secret}", 1000 + secret, f'{{"k": "CANARY_NOTE_1_{secret}"}}'),
        (2, "Bo", f"CANARY_SSN_2_{secret}", -(secret**3), f"CANARY_NOTE_2_{secret}"),
        (3, "王", f"CANARY_SSN_3_{secret}"[: 10 + secret], 2**62 * (1 if secret else -1), '{"k": "shown"}'),
    ]
    unseen = [
        (
            4 + n,
            f"CANARY_NAME_{4 + n}_{secret}" * (1 + 40_000 * (secret == 2)),
            "9" * 18,
            9,
            "not json" if secret else "[]",
        )
        for n in range(secret * 2)
    ]
    connection.executemany("INSERT INTO person VALUES (?, ?, ?, ?, ?)", seen + unseen)
    grant = "INSERT INTO guard_grant VALUES (?, 'p', '', ?, 'consent', 0, 0, 1, 'desk', 0, 1000, NULL, 'j')"
    connection.executemany(grant, [("1", 1), ("2", 1), ("3", 2)])
    connection.commit()
    return connection


# --- PostgreSQL -----------------------------------------------------------------------------------

_TABLES = """
SET search_path = public;
CREATE TABLE person (id integer PRIMARY KEY, name text, ssn text, salary integer, note jsonb);
CREATE INDEX person_name ON person (name);
CREATE INDEX person_salary ON person (salary);
CREATE TABLE pub (id integer, v text);
INSERT INTO pub VALUES (1, 'one'), (2, 'two');
CREATE TABLE guess (id integer, ssn text);
INSERT INTO guess VALUES (4, 'CANARY_SSN_4_0');
CREATE VIEW person_view AS SELECT * FROM person;
CREATE TABLE person_2024 () INHERITS (person);
CREATE SEQUENCE s;
CREATE FUNCTION leak(text) RETURNS boolean LANGUAGE plpgsql COST 0.0001 AS
    $$ BEGIN RAISE EXCEPTION 'leaked %', $1; END $$;
CREATE FUNCTION leak(person) RETURNS text LANGUAGE sql AS $$ SELECT $1.ssn $$;
CREATE FUNCTION lower(text) RETURNS text LANGUAGE sql AS $$ SELECT 'owned ' || $1 $$;
CREATE FUNCTION same(text, text) RETURNS boolean LANGUAGE sql AS $$ SELECT true $$;
CREATE OPERATOR <<< (LEFTARG = text, RIGHTARG = text, FUNCTION = same);
CREATE OPERATOR = (LEFTARG = text, RIGHTARG = text, FUNCTION = same);
"""
_SEEN = (
    "INSERT INTO person VALUES (1, 'Ann', 'CANARY_SSN_1_{0}', 1000 + {0}, '{{\"k\": \"CANARY_NOTE_1_{0}\"}}'),"
    " (2, 'Bo', 'CANARY_SSN_2_{0}', 4100 * {0} - 4100, '\"CANARY_NOTE_2_{0}\"'),"
    " (3, '王', left('CANARY_SSN_3_{0}', 10 + {0}), 1 - {0}, '{{\"k\": \"shown\"}}')"
)
_UNSEEN = {
    0: "SELECT 3 + n, n::text, 'CANARY_SSN_' || n, 9, '[]' FROM generate_series(1, {most}) AS n",
    1: "SELECT 103 + n, 'CANARY_NAME_' || n, repeat('9', 18), 4100, '{{\"k\": 1}}'"
    " FROM generate_series(1, {most} + 1) AS n",
    2: "SELECT 2147483647 - n, '[' || repeat('CANARY_NAME', 1 + n % 7), '%' || n, -n, '\"x\"'"
    " FROM generate_series(0, {most} * 2) AS n",
}


class OnPostgres:
    """Three databases of a plain role's on a real PostgreSQL; what is hidden is large enough for the planner."""

    kind: Kind = "postgres"
    site = guard_sql.Site(catalogue=CATALOGUE, holder="att", schemas={"public": "public"}, dialect="postgres")

    def __init__(self, server: Path) -> None:
        self.connections = [_postgres(server, secret) for secret in SECRETS]

    def witnessed(self, guarded: guard_sql.Guarded) -> str:
        sql, _ = guarded.bind(None, FACTS)
        try:
            witness_postgres.check(sql, guarded.expected, guarded.names(sql))
        except Refused as refused:
            return str(refused.detail)
        return ""

    def run(self, guarded: guard_sql.Guarded) -> list[Said]:
        sql, parameters = guarded.bind(None, FACTS)
        return [_answer(connection, sql, parameters, len(guarded.columns)) for connection in self.connections]

    def raw(self, sql: str) -> list[Said]:
        return [_answer(connection, sql, None, None) for connection in self.connections]

    def close(self) -> None:
        for connection in self.connections:
            connection.close()


def _answer(connection: psycopg.Connection[Any], sql: str, parameters: Values | None, visible: int | None) -> Said:
    try:
        cursor = psycopg.RawCursor(connection)
        cursor.execute(sql.encode(), parameters)
        rows = cursor.fetchall() if cursor.description else []
        made = [repr(row[:visible]) for row in rows]
        # Rows that nobody ordered come as the planner likes: that is the cost channel.
        return Said(rows=tuple(made if "ORDER BY" in sql.upper() else sorted(made)))
    except psycopg.Error as error:
        return Said(error=f"{error.sqlstate} {error}")
    finally:
        connection.rollback()


def _postgres(server: Path, secret: int) -> psycopg.Connection[Any]:
    name = f"attacked{secret}"
    with psycopg.connect(f"postgresql://postgres@/postgres?host={server}", autocommit=True) as admin:
        admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())
        admin.execute(f"CREATE DATABASE {name} OWNER plain".encode())
    connection = psycopg.connect(f"postgresql://plain@/{name}?host={server}")
    connection.execute(_TABLES)
    connection.execute("SET search_path = pg_catalog, public; CREATE SCHEMA guard")
    beside = sqlalchemy.MetaData()
    dialect = sqlalchemy.dialects.postgresql.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy's has no types
    for one in (ledger_tables.scope, ledger_tables.grant):
        table = one.to_metadata(beside, schema="guard")
        made = str(sqlalchemy.schema.CreateTable(table).compile(dialect=dialect))
        connection.execute((made if "COLLATE" in made else made.replace(" TEXT", ' TEXT COLLATE "C"')).encode())
        for index in table.indexes:
            connection.execute(str(sqlalchemy.schema.CreateIndex(index).compile(dialect=dialect)).encode())
    connection.execute(_SEEN.format(secret).encode())
    hidden, columns = _UNSEEN[secret].format(most=HIDDEN), "id, name, ssn, salary, note"
    connection.execute(f"INSERT INTO person SELECT {columns}::jsonb FROM ({hidden}) AS x({columns})".encode())
    connection.execute("INSERT INTO guard.guard_scope VALUES (1, 'use', 'identity'), (2, 'use', 'free_text')")
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO guard.guard_grant (grant_id, consent_id, subject, purpose, recipient, scope, basis, separate,"
            " written, assurance, recorder, valid_from, valid_until, judged)"
            " VALUES (%s, 'c', %s, 'p', '', %s, 'consent', 0, 0, 1, 'desk', 0, 1000, 'j')",
            [(1, "1", 1), (2, "2", 1), (3, "3", 2)],
        )
    connection.execute("ANALYZE")
    for setting, value in {**PINNED, "statement_timeout": "20s"}.items():
        connection.execute("SELECT pg_catalog.set_config(%s, %s, false)", (setting, value))
    connection.commit()
    return connection
