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
from guard_ledger.tables import metadata, persons_metadata

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
    "SELECT c.relname::text, c.relkind = 'r' AND c.relpersistence = 'p',"
    " ARRAY(SELECT a.attname::text FROM pg_attribute a"
    " WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)"
    " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
    " WHERE n.nspname = 'guard' AND c.relkind NOT IN ('i', 'I', 'S', 't', 'c')"
)

_NUMBERED: Final = [
    f"{table.name}.{table.autoincrement_column.name}"
    for tables in (metadata, persons_metadata)
    for table in tables.sorted_tables
    if table.autoincrement_column is not None
]
"""The columns whose default is the next number of a sequence of their own; no other has a default."""

_MEDDLED: Final = """\
WITH own AS (
  SELECT c.oid, 'guard.' || pg_catalog.quote_ident(c.relname) AS place, c.relname::text AS name,
         CASE c.relkind WHEN 'S' THEN 'SEQUENCE ' ELSE '' END AS kind, c.relowner AS owner, c.relacl AS rights,
         c.relrowsecurity AS secured
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
   WHERE n.nspname = 'guard' AND c.relkind IN ('r', 'S') AND pg_catalog.starts_with(c.relname::text, 'guard_')),
owned AS (
  SELECT 'the table ' || place AS place, owner FROM own WHERE kind = ''
  UNION ALL SELECT 'the schema guard', nspowner FROM pg_catalog.pg_namespace WHERE nspname = 'guard'),
trusted AS (
  SELECT r.oid FROM pg_catalog.pg_roles r
   WHERE r.rolsuper OR r.rolname = 'pg_database_owner' OR pg_catalog.pg_has_role(r.oid, 'USAGE')
      OR r.oid = (SELECT datdba FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())),
granted AS (
  SELECT place, kind, owner, g.grantee, g.privilege_type AS may FROM own, pg_catalog.aclexplode(rights) g
  UNION ALL SELECT place, kind, owner, g.grantee, g.privilege_type
    FROM own JOIN pg_catalog.pg_attribute a ON a.attrelid = own.oid, pg_catalog.aclexplode(a.attacl) g)
SELECT 'trigger' AS what, place AS place, NULL::text AS of, NULL::text AS more
  FROM own JOIN pg_catalog.pg_trigger ON tgrelid = own.oid WHERE NOT tgisinternal
UNION ALL SELECT 'rule', place, NULL, NULL FROM own JOIN pg_catalog.pg_rewrite ON ev_class = own.oid
UNION ALL SELECT 'row policy', place, NULL, NULL FROM own
   WHERE secured OR EXISTS (SELECT FROM pg_catalog.pg_policy WHERE polrelid = own.oid)
UNION ALL SELECT CASE contype WHEN 'c' THEN 'check constraint' WHEN 'f' THEN 'foreign key' ELSE 'exclusion constraint'
    END, place, NULL, NULL
   FROM own JOIN pg_catalog.pg_constraint ON own.oid IN (conrelid, confrelid) WHERE contype IN ('c', 'f', 'x')
UNION ALL SELECT 'index with an expression or a condition', place, NULL, NULL
   FROM own JOIN pg_catalog.pg_index ON indrelid = own.oid WHERE indexprs IS NOT NULL OR indpred IS NOT NULL
UNION ALL SELECT 'default', place, attname::text, NULL
   FROM own JOIN pg_catalog.pg_attrdef d ON adrelid = own.oid
   JOIN pg_catalog.pg_attribute a ON attrelid = own.oid AND attnum = adnum
  WHERE NOT coalesce(name || '.' || attname = ANY(%(numbered)s::text[]) AND pg_catalog.pg_get_expr(adbin, adrelid)
    = 'nextval(' || pg_catalog.quote_literal(pg_catalog.pg_get_serial_sequence(place, attname)) || '::regclass)', false)
UNION ALL SELECT 'inheritance', inhparent::pg_catalog.regclass::text, inhrelid::pg_catalog.regclass::text, NULL
   FROM own JOIN pg_catalog.pg_inherits ON own.oid IN (inhparent, inhrelid)
UNION ALL SELECT 'owner', owned.place, NULL, NULL FROM owned WHERE owner NOT IN (SELECT oid FROM trusted)
UNION ALL SELECT 'right', kind || pg_catalog.string_agg(DISTINCT place, ', '),
    coalesce(pg_catalog.quote_ident(rolname), 'PUBLIC'), pg_catalog.string_agg(DISTINCT may, ', ')
   FROM granted LEFT JOIN pg_catalog.pg_roles r ON r.oid = grantee
  WHERE may IN ('INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'TRIGGER', 'REFERENCES')
    AND grantee <> owner AND grantee NOT IN (SELECT oid FROM trusted) GROUP BY rolname, kind
ORDER BY 1, 2, 3 LIMIT 1"""
"""What could change, hide, forge or lose what is kept: what stands on the tables, what they inherit, an owner who could
put such there, and rights to write that others have. Who only reads is none of it.

A superuser and the database's owner can do so in any case, and this role itself, also by a role whose rights it has.
"""


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
        """What is partitioned or not logged is no table of the ledger's; what stands on one, `meddled` tells."""
        rows = connection.exec_driver_sql(_KINDS).all()
        return {name: frozenset(columns if ordinary else ()) for name, ordinary, columns in rows}

    def meddled(self, connection: Connection) -> str | None:
        """See `Backend`."""
        found = connection.exec_driver_sql(_MEDDLED, {"numbered": _NUMBERED}).first()
        return None if found is None else _told(*found)

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


def _told(what: str, place: str, of: str, more: str) -> str:
    """A row of `_MEDDLED` in words."""
    if what == "owner":
        return (
            f"Somebody else owns {place}, and could change what is kept there: ALTER … OWNER TO the role that"
            " programs connect as, or to the database's owner."
        )
    if what == "right":
        return (
            f"{of} may write to the ledger: REVOKE {more} ON {place} FROM {of}, and see what it has changed there."
            " Programs that keep one ledger connect as one role, or each as a member of the role that has the rights."
        )
    if what == "inheritance":
        return (
            f"{of} inherits from {place}, so that the rows of the one are taken for those of the other:"
            f" ALTER TABLE {of} NO INHERIT {place}, and see what it has held."
        )
    if what == "default":
        return (
            f"The default of {of} on the table {place} is not the ledger's: drop it, or where the ledger numbers its"
            " rows, let it be the next of the column's own sequence again; and see what it has changed there."
        )
    article = "An" if what[0] in "aeiou" else "A"
    return f"{article} {what} on the table {place} is not the ledger's: drop it, and see what it has changed there."


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
