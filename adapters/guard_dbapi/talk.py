"""What is said to PostgreSQL, without I/O: the questions of the guard's own, and the texts that carry statements.

A multi-step exchange is a generator: it yields an `Ask` and is sent its rows. The synchronous and the
asynchronous session walk the same ones.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple, TypeAlias

import guard_sql
from guard.effects import Row
from guard.errors import Misuse, Refused
from guard.facade import Guard
from guard_ledger.postgres import IDENTITY
from guard_sql import witness_postgres

PINNED: Final[Mapping[str, str]] = MappingProxyType(
    {
        # No schema of the application's is searched, and temporary objects come last: by default they come first.
        "search_path": "pg_catalog, pg_temp",
        "client_encoding": "UTF8",
        "standard_conforming_strings": "on",
        "transform_null_equals": "off",
        "DateStyle": "ISO, YMD",
        "IntervalStyle": "postgres",
        "bytea_output": "hex",
        "extra_float_digits": "1",
        "client_min_messages": "error",
    }
)
"""Settings of the session that change how a text is read, or what a value looks like as text."""

SAVEPOINT: Final = "guard_part"

_KINDS: Final = frozenset({"r", "p"})
"""What pg_class calls an ordinary table and one in partitions."""


class Ask(NamedTuple):
    """A question of the guard's own, with its parameters as `$1`, `$2` …; sent back: its rows."""

    sql: str
    parameters: tuple[Any, ...] = ()


Talk: TypeAlias = Generator[Ask, list[Row], None]


def witnessed(sql: str, guarded: guard_sql.Guarded) -> bytes:
    """One of its texts as it is sent, which PostgreSQL's own parser reads once.

    One object for one text, since psycopg looks prepared statements up by it. GUARD-WITNESS where the parser reads
    another statement.
    """
    made = guarded.witnessed.get(sql)
    if made is None:
        witness_postgres.check(sql, guarded.expected, guarded.names(sql))
        made = guarded.witnessed[sql] = sql.encode()
    return made


# --- Taking a connection --------------------------------------------------------------------------


def taken(guard: Guard, site: guard_sql.Site) -> Talk:
    """Pins what the session reads texts by, and checks that it is the ledger's database with its tables."""
    calls = ", ".join(f"pg_catalog.set_config(${2 * n + 1}, ${2 * n + 2}, false)" for n in range(len(PINNED)))
    (found,) = yield Ask(f"SELECT {calls}", tuple(text for pair in PINNED.items() for text in pair))
    if tuple(found) != tuple(PINNED.values()):
        raise Misuse("The session's settings cannot be pinned; connect to PostgreSQL itself.")
    yield from _same_database(guard)
    kinds = (
        "SELECT n.nspname, c.relname, c.relkind::text FROM pg_catalog.pg_class c"
        " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = ANY($1::text[])"
    )
    rows = yield Ask(kinds, (list(site.world.schemas),))
    strange = {(schema, name) for schema, name, kind in rows if kind not in _KINDS}
    catalogue = guard.active.catalogue
    for source in (*catalogue.sources, *catalogue.public):
        table = site.world.source(source)
        if table is not None and (table.schema, table.name) in strange:
            raise Misuse(f"{source} is no table in the database; catalogue the tables that it shows.")


def _same_database(guard: Guard) -> Talk:
    """Grants and rows must be of one snapshot: this is the ledger's very database, not a copy of it with its mark."""
    rows = yield Ask(IDENTITY)
    if not rows or rows[0][0] != guard.consents.identity():
        raise Misuse(
            "This connection leads to another database than the consent ledger's (database.url in guard.yaml)."
        )


# --- Before a write -------------------------------------------------------------------------------

_EFFECTS: Final = """\
WITH RECURSIVE part(oid) AS (
  SELECT c.oid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
   WHERE n.nspname = $1 AND c.relname = $2
  UNION SELECT i.inhrelid FROM pg_catalog.pg_inherits i JOIN part ON i.inhparent = part.oid)
SELECT 'trigger', t.tgname::text FROM pg_catalog.pg_trigger t JOIN part ON t.tgrelid = part.oid
 WHERE NOT t.tgisinternal AND t.tgenabled <> 'D'
UNION ALL SELECT 'rule', r.rulename::text FROM pg_catalog.pg_rewrite r JOIN part ON r.ev_class = part.oid
UNION ALL SELECT 'key', o.relname::text FROM pg_catalog.pg_constraint k JOIN part ON k.confrelid = part.oid
 JOIN pg_catalog.pg_class o ON o.oid = k.conrelid
 WHERE k.contype = 'f' AND (k.confdeltype IN ('c', 'n', 'd') OR k.confupdtype IN ('c', 'n', 'd'))"""


def effects(site: guard_sql.Site, source: str) -> Talk:
    """Refuses a write on a table where it would change other rows than it names."""
    table = site.world.source(source)
    if table is None:
        return
    rows = yield Ask(_EFFECTS, (table.schema, table.name))
    for kind, name in rows:
        if kind == "key":
            raise Refused.own("GUARD-SQL", f"A write on {table.name} may change rows of {name}, by a foreign key.")
        raise Refused.own("GUARD-SQL", f"Table {table.name} has a {kind}; what it changes cannot be decided.")


# --- Failures -------------------------------------------------------------------------------------

_DRIFTED: Final = "It has no such schema, table or column, or not of the type that the catalogue says: run guard check."

_WORDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "40001": "It collided with another transaction; run the transaction again.",
        "40P01": "It collided with another transaction; run the transaction again.",
        "55P03": "Another transaction holds a lock that it needs.",
        "57014": "It was cancelled, or took too long.",
        "25P02": "The transaction failed before; roll it back.",
        "25006": "The transaction is read only.",
        # Undefined schema, table, column, operator or function, type; mismatched type; no such cast.
        **dict.fromkeys(("3F000", "42P01", "42703", "42883", "42704", "42804", "42846"), _DRIFTED),
    }
)
"""What an error of PostgreSQL may tell, by its SQLSTATE: nothing that depends on a stored value."""

LOST: Final = "The connection is lost."
ENDED: Final = "The transaction of this cursor has ended."
CLOSED: Final = "The connection is closed."


def words(sqlstate: str | None) -> str | None:
    """What to say about a failure."""
    return _WORDS.get(sqlstate or "")
