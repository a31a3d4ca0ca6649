"""A schema with SQLite's side doors in it: what is asked of them is refused, or tells nothing that is hidden.

Columns called as keywords and as row ids are, generated columns, partial indexes and ones over expressions, tables
without a row id, a collation on a key, full-text tables, views, and public tables called as functions are. The three
databases differ in secrets alone.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import MappingProxyType
from typing import Any

import attacked
import pytest

import guard_sql
from guard import catalogue
from guard.errors import Refused
from guard.model import ALWAYS, NEVER, Decision, GrantCondition, Treatment

STATEMENTS = (Path(__file__).parent / "sqlite_schema.sql").read_text("utf-8").splitlines()


def personal(subject: str, **fields: str) -> dict[str, Any]:
    """A source whose fields have these types."""
    return {
        "subjects": {"person": subject},
        "fields": {name: {"category": "identity", "type": kind} for name, kind in fields.items()},
    }


_LISTED = {"reason": "a list", "owner": "it"}
CATALOGUE = catalogue.load(
    {
        "version": "1",
        "sources": {
            "att:public.person": personal(
                "id", id="integer", name="text", ssn="text", salary="integer", note="json", tail="text", first="text"
            ),
            "att:public.order": personal(
                "group",
                group="integer",
                **dict.fromkeys(("select", "rowid", "oid", "_rowid_", "from", "order"), "text"),
            ),
            "att:public.keyed": personal("id", id="text", name="text", ssn="text"),
            "att:public.notes": personal("id", id="integer", body="text"),
            "att:public.person_view": personal("id", id="integer", name="text"),
        },
        "public": {
            "att:public.pub": {**_LISTED, "fields": {"id": "integer", "v": "text"}},
            "att:public.guess": {**_LISTED, "fields": {"id": "integer", "ssn": "text"}},
            "att:public.key": {**_LISTED, "fields": {"id": "integer", "value": "text", "key": "text"}},
        },
    }
)
SITE = guard_sql.Site(catalogue=CATALOGUE, holder="att", schemas={"main": "public"})
_SHOWN = ("id", "name", "first", "group", "select", "from", "order", "body")
_MASKED = ("ssn", "rowid")
_TREATMENTS = {
    **dict.fromkeys(_SHOWN, attacked.REVEALED),
    **dict.fromkeys(_MASKED, Treatment(reveal=NEVER, mask="id18", masked_if=ALWAYS)),
}
DECISION = Decision(
    id="0",
    allow=True,
    rows=MappingProxyType({one: GrantCondition(rule="OP-01") for one in CATALOGUE.sources}),
    reads=MappingProxyType(
        {
            one: MappingProxyType({name: _TREATMENTS[name] for name in entry.fields if name in _TREATMENTS})
            for one, entry in CATALOGUE.sources.items()
        }
    ),
)
TABLES = """
    CREATE TABLE person (id INTEGER PRIMARY KEY, name TEXT, ssn TEXT, salary INTEGER, note TEXT,
        tail TEXT GENERATED ALWAYS AS (substr(ssn, -4)) VIRTUAL,
        first TEXT GENERATED ALWAYS AS (substr(name, 1, 1)) STORED);
    CREATE INDEX rich ON person (name) WHERE salary > 1000;
    CREATE INDEX long ON person (length(ssn));
    CREATE UNIQUE INDEX both ON person (name, ssn);
    CREATE TABLE "order" ("group" INTEGER PRIMARY KEY, "select" TEXT, "rowid" TEXT, "oid" TEXT, "_rowid_" TEXT,
        "from" TEXT, "order" TEXT);
    CREATE TABLE keyed (id TEXT PRIMARY KEY COLLATE NOCASE, name TEXT COLLATE NOCASE, ssn TEXT) WITHOUT ROWID;
    CREATE VIEW person_view AS SELECT id, name FROM person;
    CREATE TABLE pub (id INTEGER, v TEXT);
    INSERT INTO pub VALUES (1, 'one'), (2, 'two');
    CREATE TABLE key (id INTEGER, value TEXT, key TEXT);
    INSERT INTO key VALUES (1, 'one', 'k'), (4, 'v', 'k');
    CREATE TABLE guess (id INTEGER, ssn TEXT);
    INSERT INTO guess VALUES (4, 'GUESS');
    CREATE TABLE guard_grant (subject TEXT, purpose TEXT, recipient TEXT, scope INTEGER, basis TEXT,
        separate INTEGER, written INTEGER, assurance INTEGER, recorder TEXT, valid_from INTEGER,
        valid_until INTEGER, withdrawn_at INTEGER, judged TEXT);
    CREATE TABLE guard_scope (scope INTEGER, operation TEXT, category TEXT);
    INSERT INTO guard_scope VALUES (1, 'use', 'identity'), (2, 'use', 'free_text');
"""


def made(secret: int) -> sqlite3.Connection:
    """One database: three persons who may be seen, and twice as many hidden ones as its number."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.executescript(TABLES)
    connection.execute(
        "CREATE VIRTUAL TABLE notes USING fts5(id UNINDEXED, body)"
        if ("ENABLE_FTS5",) in connection.execute("PRAGMA compile_options").fetchall()
        else "CREATE TABLE notes (id INTEGER, body TEXT)"
    )
    persons = [
        (1, "Ann", f"CANARY_SSN_1_{secret}", 1000 + secret, '{"k": 1}'),
        (2, "Bo", f"CANARY_SSN_2_{secret}", -(secret**3), "x"),
        (3, "王", f"CANARY_SSN_3_{secret}"[: 10 + secret], 2**62 * (1 if secret else -1), "{}"),
    ]
    persons += [
        (4 + n, f"CANARY_NAME_{4 + n}_{secret}" * (1 + 40_000 * (secret == 2)), "9" * 18, 9, "not json")
        for n in range(secret * 2)
    ]
    for key, name, ssn, salary, note in persons:
        connection.execute(
            "INSERT INTO person (id, name, ssn, salary, note) VALUES (?, ?, ?, ?, ?)", (key, name, ssn, salary, note)
        )
        row = (key, name, ssn, f"{ssn}o", str(salary), name, name)
        connection.execute('INSERT INTO "order" VALUES (?, ?, ?, ?, ?, ?, ?)', row)
        connection.execute("INSERT INTO keyed VALUES (?, ?, ?)", (str(key), name, ssn))
        connection.execute("INSERT INTO notes VALUES (?, ?)", (key, name))
    grant = "INSERT INTO guard_grant VALUES (?, 'p', '', ?, 'consent', 0, 0, 1, 'desk', 0, 1000, NULL, 'j')"
    connection.executemany(grant, [("1", 1), ("2", 1), ("3", 2)])
    return connection


@pytest.fixture(scope="module")
def databases() -> Iterator[list[sqlite3.Connection]]:
    some = [made(secret) for secret in attacked.SECRETS]
    yield some
    for one in some:
        one.close()


def guarded(sql: str) -> guard_sql.Guarded | None:
    """The guarded form, None for what is refused by a rule about statements."""
    try:
        plan = guard_sql.plan(sql, SITE)
        form = plan.apply(None if plan.public else DECISION)
        form.bind(None, attacked.FACTS)
    except Refused as refused:
        if all(rule.startswith("GUARD-SQL") for rule in refused.rules):
            return None
        raise
    return form


def said(connection: sqlite3.Connection, form: guard_sql.Guarded) -> tuple[str, ...] | str:
    sql, parameters = form.bind(None, attacked.FACTS)
    connection.execute("BEGIN")
    connection.set_authorizer(form.witness)
    try:
        with closing(connection.execute(sql, parameters)) as cursor:
            rows = [repr(row[: len(form.columns)]) for row in cursor.fetchall()]
        return tuple(rows if "ORDER BY" in sql else sorted(rows))
    except sqlite3.Error as error:
        return str(error)
    finally:
        connection.set_authorizer(None)
        connection.rollback()


@pytest.mark.parametrize("sql", STATEMENTS)
def test_it_is_refused_or_tells_nothing(databases: list[sqlite3.Connection], sql: str) -> None:
    form = guarded(sql)
    if form is None:
        return
    answers = [said(connection, form) for connection in databases]
    assert answers[0] == answers[1] == answers[2]
    assert "CANARY" not in repr(answers)
    assert "9" * 18 not in repr(answers)


def test_most_of_it_runs(databases: list[sqlite3.Connection]) -> None:
    """Else the test above would say little; what SQLite itself refuses is what the catalogue cannot mean."""
    forms = [(sql, form) for sql in STATEMENTS if (form := guarded(sql)) is not None]
    failed = {sql for sql, form in forms if isinstance(said(databases[0], form), str)}
    assert len(forms) - len(failed) > 260
    assert all("notes" in sql or "person_view" in sql for sql in failed)
