"""A ledger in a PostgreSQL database that it shares with the program, in the schema `guard`.

Writers take turns by an advisory lock and read committed rows, so that each sees all that those before it did and
numbers are given in the order of commits. What only reads has one snapshot. Names are looked up in `pg_catalog`
alone: an operator or function that an application owns is never called.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import QueuePool

from guard.errors import Misuse, Refused

SCHEMA: Final = "guard"

IDENTITY: Final = (
    "SELECT m.value OPERATOR(pg_catalog.||) '@' OPERATOR(pg_catalog.||) c.system_identifier::pg_catalog.text"
    " OPERATOR(pg_catalog.||) '/' OPERATOR(pg_catalog.||) d.oid::pg_catalog.text"
    " OPERATOR(pg_catalog.||) CASE WHEN pg_catalog.pg_is_in_recovery() THEN '/standby' ELSE '' END"
    " FROM guard.guard_meta AS m, pg_catalog.pg_control_system() AS c, pg_catalog.pg_database AS d"
    " WHERE m.key OPERATOR(pg_catalog.=) 'instance'"
    " AND d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database()"
)
"""One text that only this database answers with: not a copy of it, which has the ledger's mark too, nor a standby,
which is behind. It calls nothing of an application's, whatever the search path."""

_DRIVERS: Final = frozenset({"postgresql", "postgresql+psycopg"})

_LOCK: Final = 0x6775617264
"""The advisory lock of the ledger's writers ("guard"); such locks are apart in each database."""

_LONGEST: Final = 60_000
"""How long one statement may run, and an unfinished transaction may stay idle (milliseconds)."""

_GONE: Final = 10_000
"""After how long a network that does not answer is given up (milliseconds)."""

_BUSY: Final = frozenset({"55P03", "40001", "40P01"})
"""SQLSTATE: no lock in time, serialization failure, deadlock."""

BARRED: Final = "42501"
"""SQLSTATE: insufficient privilege."""

_PINNED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "search_path": "pg_catalog",
        "client_encoding": "UTF8",
        "standard_conforming_strings": "on",
        "statement_timeout": str(_LONGEST),
        "idle_in_transaction_session_timeout": str(_LONGEST),
    }
)

_KINDS: Final = (
    "SELECT c.relname::text, c.relkind = 'r' AND c.relpersistence = 'p' AND NOT c.relrowsecurity"
    " AND NOT c.relhasrules AND NOT c.relhastriggers AND NOT c.relhassubclass,"
    " ARRAY(SELECT a.attname::text FROM pg_attribute a"
    " WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)"
    " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
    " WHERE n.nspname = 'guard' AND c.relkind NOT IN ('i', 'I', 'S', 't', 'c')"
)

_MEDDLED: Final = """\
WITH own AS (
  SELECT c.oid, 'the table guard.' || c.relname AS name, c.relowner AS owner, c.relrowsecurity AS secured
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE n.nspname = 'guard' AND c.relkind = 'r' AND starts_with(c.relname::text, 'guard_')),
owned AS (
  SELECT name, owner FROM own
  UNION ALL SELECT 'the schema guard', nspowner FROM pg_namespace WHERE nspname = 'guard')
SELECT 'trigger', name FROM own JOIN pg_trigger ON tgrelid = own.oid WHERE NOT tgisinternal
UNION ALL SELECT 'rule', name FROM own JOIN pg_rewrite ON ev_class = own.oid
UNION ALL SELECT 'row policy', name FROM own WHERE secured OR EXISTS (SELECT FROM pg_policy WHERE polrelid = own.oid)
UNION ALL SELECT 'owner', name FROM owned JOIN pg_roles r ON r.oid = owner
   WHERE NOT (r.rolsuper OR r.rolname = 'pg_database_owner' OR pg_has_role(r.oid, 'USAGE')
     OR r.oid = (SELECT datdba FROM pg_database WHERE datname = current_database()))
ORDER BY 1, 2 LIMIT 1"""
"""What could change, hide or lose what is kept: triggers, rules, policies, and an owner who could put them there.

A superuser and the database's owner can do so in any case, and this role itself."""


class Postgres:
    """The backend."""

    schema = SCHEMA

    def connect(self, url: URL, wait: float) -> Engine:
        """See `Backend`."""
        if url.drivername not in _DRIVERS:
            raise Misuse(f"The ledger speaks to PostgreSQL by psycopg, not by {url.drivername.partition('+')[2]}.")
        try:
            engine = create_engine(
                url.set(drivername="postgresql+psycopg"),
                poolclass=QueuePool,
                pool_timeout=wait,
                hide_parameters=True,
                connect_args={
                    "connect_timeout": max(2, math.ceil(wait)),
                    "tcp_user_timeout": _GONE,
                    "application_name": "guard ledger",
                },
            )
        except ImportError:
            raise Misuse(
                "A ledger on PostgreSQL takes psycopg, which is not installed: pip install"
                " 'personal-data-guard[postgres]'."
            ) from None
        pinned = {**_PINNED, "lock_timeout": str(max(1, round(wait * 1_000)))}
        event.listen(engine, "connect", lambda raw, _record: _prepare(raw, pinned))
        return engine

    def options(self, *, writes: bool) -> Mapping[str, Any]:
        """Said each time: a role or a database may have defaults of its own."""
        level = "READ COMMITTED" if writes else "REPEATABLE READ"
        return {"isolation_level": level, "postgresql_readonly": not writes}

    def began(self, connection: Connection, *, writes: bool) -> None:
        """See `Backend`."""
        if writes:
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")

    def check(self, connection: Connection) -> None:
        """See `Backend`."""
        encoding, standby = connection.exec_driver_sql(
            "SELECT current_setting('server_encoding'), pg_is_in_recovery()"
        ).one()
        if encoding != "UTF8":
            raise Refused.own("GUARD-LEDGER", "The database keeps texts in another encoding than UTF-8.")
        if standby:
            raise Refused.own("GUARD-LEDGER", "The database is a standby; name the primary.")

    def tables(self, connection: Connection) -> Mapping[str, frozenset[str]]:
        """What is partitioned, not logged, or has triggers, rules or policies is no table of the ledger's."""
        rows = connection.exec_driver_sql(_KINDS).all()
        return {name: frozenset(columns if ordinary else ()) for name, ordinary, columns in rows}

    def meddled(self, connection: Connection) -> str | None:
        """See `Backend`."""
        found = connection.exec_driver_sql(_MEDDLED).first()
        if found is None:
            return None
        what, name = found
        if what == "owner":
            return (
                f"Somebody else owns {name}, and could change what is kept there: ALTER … OWNER TO the role that"
                " programs connect as, or to the database's owner."
            )
        return f"A {what} on {name} is not the ledger's: drop it, and see what it has changed there."

    def prepare(self, connection: Connection) -> None:
        """See `Backend`. A schema that is there needs no right to make one."""
        found = connection.exec_driver_sql("SELECT 1 FROM pg_namespace WHERE nspname = 'guard'")
        if found.first() is None:
            connection.exec_driver_sql(f"CREATE SCHEMA {SCHEMA}")

    def alone(self, raw: Any, *, on: bool) -> None:
        """See `Backend`."""
        raw.autocommit = on

    def busy(self, error: DBAPIError) -> bool:
        """See `Backend`."""
        return getattr(error.orig, "sqlstate", None) in _BUSY

    def barred(self, error: DBAPIError) -> bool:
        """See `Backend`."""
        return getattr(error.orig, "sqlstate", None) == BARRED


BACKEND: Final = Postgres()


def identity(connection: Connection) -> str:
    """What a connection to this very database answers `IDENTITY` with."""
    found: str = connection.exec_driver_sql(IDENTITY).scalar_one()
    return found


def _prepare(raw: Any, pinned: Mapping[str, str]) -> None:
    """A new connection: its settings, and a commit that is durable whatever the role's default is."""
    calls = ", ".join("pg_catalog.set_config(%s, %s, false)" for _ in pinned)
    with raw.cursor() as cursor:
        cursor.execute(f"SELECT {calls}", [text for pair in pinned.items() for text in pair])
        cursor.execute(
            "SELECT pg_catalog.set_config('synchronous_commit', 'on', false)"
            " WHERE pg_catalog.current_setting('synchronous_commit') IN ('off', 'local')"
        )
    raw.commit()
