"""Every attack on the SQL guard ends in a refusal, or tells nothing that is hidden.

Three databases hold the same permitted part: the same rows of persons with a consent, the same values in
the fields that may be seen. Everything else differs: masked and dropped values, the persons without a
consent, their number. Whatever a statement says (rows, or an error) has to be the same on all three.
"""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

import guard_sql
from guard import catalogue
from guard.errors import Refused
from guard.model import ALWAYS, NEVER, Decision, Facts, GrantCondition, Treatment

ATTACKS = [json.loads(line) for line in (Path(__file__).parent / "sqlite.jsonl").read_text("utf-8").splitlines()]

PERSON = "att:public.person"
SITE = guard_sql.Site(
    catalogue=catalogue.load(
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
    ),
    holder="att",
    schemas={"main": "public"},
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


def database(secret: int) -> sqlite3.Connection:
    """A database whose hidden part depends on `secret`."""
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
    return connection


DATABASES = [database(secret) for secret in (0, 1, 2)]


def outcome(sql: str) -> list[Any] | Refused:
    """What the statement says on each database, or the refusal."""
    try:
        plan = guard_sql.plan(sql, SITE)
        guarded = plan.apply(None if plan.public else DECISION)
        bound = guarded.bind(None, FACTS)
    except Refused as refused:
        return refused
    said: list[Any] = []
    for connection in DATABASES:
        connection.set_authorizer(guarded.witness)
        try:
            rows = connection.execute(*bound).fetchall()
            said.append([row[: len(guarded.columns)] for row in rows])
        except sqlite3.Error as error:
            said.append(f"{type(error).__name__}: {error}")
        connection.set_authorizer(None)
    return said


@pytest.mark.parametrize(
    "attack",
    ATTACKS,
    ids=lambda attack: f"{attack['technique']}-{attack['sql'][:40]}".encode("ascii", "replace").decode(),
)
def test_an_attack_is_refused_or_tells_nothing(attack: dict[str, str], caplog: pytest.LogCaptureFixture) -> None:
    said = outcome(attack["sql"])
    assert not caplog.records, "a log line could quote the statement"
    if isinstance(said, Refused):
        assert all(rule.startswith("GUARD-SQL") for rule in said.rules)
        assert "CANARY" not in str(said)
        return
    assert attack["required_outcome"] != "refuse", said
    # The witness objects where SQLite reads the text in another way than the plan.
    assert not any(word in repr(said) for word in ("not authorized", "is prohibited"))
    assert said[0] == said[1] == said[2]
    assert "CANARY" not in repr(said)


def test_the_databases_tell_apart_without_the_guard() -> None:
    """The harness can see a leak: the same statements unguarded say different things on the three databases."""
    for sql in ("SELECT count(*) FROM person", "SELECT ssn FROM person", "SELECT sum(salary) FROM person"):
        assert len({repr(connection.execute(sql).fetchall()) for connection in DATABASES}) == 3


def test_a_plain_statement_passes() -> None:
    """Refusing everything would pass all of the above."""
    for sql in (
        "SELECT id, name, ssn, note FROM person",
        "SELECT * FROM person p WHERE p.id = 1",
        "SELECT name, count(*) FROM person GROUP BY name",
        "SELECT [ssn] FROM [person]",
        "SELECT v FROM pub",
    ):
        assert isinstance(outcome(sql), list)
