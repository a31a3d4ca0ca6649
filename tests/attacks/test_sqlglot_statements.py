"""The statements that sqlglot tries itself on, read by the guard: none crashes it, none is another one to the witness.

`sqlglot.jsonl` holds the statements of sqlglot 30.30.0's own tests (tests/fixtures/identity.sql, tests/dialects/
test_pipe_syntax.py, test_postgres.py, test_sqlite.py; MIT License, Copyright (c) Toby Mao). Each is read against a
catalogue that has the very tables and columns that it names, once as personal and once as public ones, so that it
gets as far as it can.
"""

from __future__ import annotations

import re
import sqlite3
from collections import Counter
from collections.abc import Iterator
from types import MappingProxyType
from typing import Literal

import attacked
import pytest
import sqlglot
from attacked import REVEALED
from sqlglot import exp
from sqlglot.errors import SqlglotError

import guard_sql
from guard import catalogue
from guard.errors import Refused
from guard.model import Decision, GrantCondition
from guard_sql import paramstyle, witness_postgres

Kind = Literal["sqlite", "postgres"]

STATEMENTS = attacked.cases("sqlglot.jsonl")
_PLAIN = re.compile("[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
SCHEMA = {"sqlite": "main", "postgres": "public"}

UNREADABLE = frozenset(
    {
        "(SELECT 1) UNION (SELECT 2)",
        "(SELECT 1 UNION SELECT 2) UNION (SELECT 2 UNION ALL SELECT 3)",
        "((SELECT 1) EXCEPT (SELECT 2))",
    }
)
"""Their outputs have no name in the guarded text, which PostgreSQL does not take: refused by the witness."""


def named(sql: str, kind: Kind) -> dict[str, set[str]]:
    """The tables that a statement names, each with every column that it names."""
    try:
        trees = [tree for tree in sqlglot.parse(sql, read=kind) if tree is not None]
    except (SqlglotError, RecursionError):
        return {}
    columns = {one.name for tree in trees for one in tree.find_all(exp.Column) if one.name}
    for tree in trees:
        columns |= {one.name for of in tree.find_all(exp.Schema) for one in of.expressions if one.name}
    return {one.name: columns for tree in trees for one in tree.find_all(exp.Table) if one.name}


def site(tables: dict[str, set[str]], kind: Kind, *, personal: bool) -> guard_sql.Site:
    """A site with these tables."""
    folded: dict[str, dict[str, str]] = {}
    for name, columns in tables.items():
        spelt = {column.lower(): "text" for column in columns if _PLAIN.fullmatch(column)}
        folded.setdefault(name.lower(), {"k_key": "text"}).update(spelt)
    sources = {f"att:public.{name}": columns for name, columns in folded.items() if _PLAIN.fullmatch(name)}
    nobody = {"att:public.nobody": {"k_key": "text"}}
    made = catalogue.load(
        {
            "version": "1",
            "sources": {
                source: {
                    "subjects": {"person": "k_key"},
                    "fields": {column: {"category": "identity", "type": of} for column, of in columns.items()},
                }
                for source, columns in (sources if personal and sources else nobody).items()
            },
            "public": {
                source: {"reason": "a list", "owner": "it", "fields": columns}
                for source, columns in ({} if personal else sources).items()
            },
        }
    )
    return guard_sql.Site(catalogue=made, holder="att", schemas={SCHEMA[kind]: "public"}, dialect=kind)


def decision(site: guard_sql.Site) -> Decision:
    """Everything may be seen and written of persons with a consent."""
    sources = site.catalogue.sources
    return Decision(
        id="0",
        allow=True,
        rows=MappingProxyType(dict.fromkeys(sources, GrantCondition(rule="OP-01"))),
        reads=MappingProxyType(
            {one: MappingProxyType(dict.fromkeys(of.fields, REVEALED)) for one, of in sources.items()}
        ),
        writes=MappingProxyType(
            {one: MappingProxyType(dict.fromkeys(of.fields, "keep")) for one, of in sources.items()}
        ),
    )


def texts(guarded: guard_sql.Guarded) -> Iterator[guard_sql.guarded.Text]:
    """Every text that may be run of it."""
    yield from (guarded.many, guarded.declared)
    if guarded.written is not None:
        yield from (guarded.written.many, guarded.written.declared)


def on_postgres(guarded: guard_sql.Guarded) -> None:
    for text in texts(guarded):
        assert text.split == paramstyle.split(text.sql), "as its parts, so the whole"
        assert text.sent.sql == paramstyle.numbered(text.sql, text.sent.names), "one number for one name"
        witness_postgres.check(text.sent.sql, guarded.expected, text.sent.names)


def on_sqlite(of: guard_sql.Site, guarded: guard_sql.Guarded) -> None:
    connection = sqlite3.connect(":memory:")
    for name in [*of.catalogue.sources, *of.catalogue.public]:
        table = of.world.source(name)
        if table is not None:
            columns = ", ".join(f'"{column}" TEXT' for column in table.types)
            connection.execute(f'CREATE TABLE "{table.name}" ({columns})')
    connection.execute(
        "CREATE TABLE guard_grant (subject, purpose, recipient, scope, basis, separate, written, assurance, recorder,"
        " valid_from, valid_until, withdrawn_at, judged)"
    )
    connection.execute("CREATE TABLE guard_scope (scope, operation, category)")
    connection.set_authorizer(guarded.witness)
    for text in texts(guarded):
        values = dict.fromkeys((f"u{n}" for n in range(20)), None) | dict.fromkeys(text.own, None)
        try:
            connection.execute(f"EXPLAIN {text.sql}", values).fetchall()
        except sqlite3.Error as error:
            if any(word in str(error) for word in ("not authorized", "prohibited")):
                raise Refused.own("GUARD-WITNESS", str(error)) from None
            raise
    connection.close()


@pytest.mark.parametrize("personal", [True, False], ids=["personal", "public"])
@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_what_is_accepted_is_what_the_database_reads(
    kind: Kind, personal: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    counted: Counter[str] = Counter()
    disagreed: dict[str, str] = {}
    for one in STATEMENTS:
        if one["of"] not in (kind, "any"):
            continue
        of = site(named(one["sql"], kind), kind, personal=personal)
        try:
            plan = guard_sql.plan(one["sql"], of)
            guarded = plan.apply(None if plan.public else decision(of))
        except Refused as refused:
            counted[refused.rules[0]] += 1
            continue
        try:
            if kind == "postgres":
                on_postgres(guarded)
            else:
                on_sqlite(of, guarded)
            counted["agree"] += 1
        except (Refused, sqlite3.Error) as objection:
            counted["disagree"] += 1
            disagreed[one["sql"]] = str(objection)
    with capsys.disabled():
        said = ", ".join(f"{rule} {count}" for rule, count in counted.most_common())
        print(f"\n{kind}, {'personal' if personal else 'public'} tables: {counted.total()} statements: {said}")  # noqa: T201 -- the numbers are the result
    assert counted["agree"] > 100
    assert not disagreed.keys() - UNREADABLE, disagreed
    assert all("cannot read it" in objection for objection in disagreed.values())
