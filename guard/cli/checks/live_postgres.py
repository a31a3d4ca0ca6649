"""A PostgreSQL database as it is."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import Connection, NullPool, create_engine
from sqlalchemy.engine import make_url

from guard.cli.checks.live import SAMPLE, Table, quoted
from guard_ledger.postgres import SCHEMA

_DECLARED: Final[Mapping[str, tuple[str, ...]]] = {
    "text": ("text", "character varying", "character", "uuid"),
    "integer": ("smallint", "integer", "bigint", "numeric"),
    "number": ("numeric", "real", "double precision", "smallint", "integer", "bigint"),
    "boolean": ("boolean",),
    "date": ("date",),
    "timestamp": ("timestamp without time zone", "timestamp with time zone"),
    "json": ("json", "jsonb"),
    "binary": ("bytea",),
}
"""Types without their length or precision, as `format_type` names them; in another, statements would fail."""

_KINDS: Final[Mapping[str, str]] = {
    "r": "table",
    "p": "table",
    "v": "view",
    "m": "materialized view",
    "f": "foreign table",
}

_TABLES: Final = """\
SELECT c.oid, c.relname::text, c.relkind::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname = %s AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition ORDER BY c.relname"""

_COLUMNS: Final = """\
SELECT a.attname::text, format_type(a.atttypid, NULL), coalesce(NOT l.collisdeterministic, false)
  FROM pg_attribute a LEFT JOIN pg_collation l ON l.oid = a.attcollation
 WHERE a.attrelid = %s AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum"""

_LEADING: Final = """\
SELECT a.attname::text FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
 WHERE i.indrelid = %s AND i.indisvalid AND i.indpred IS NULL"""

_KEY: Final = """\
SELECT a.attname::text FROM pg_index i CROSS JOIN unnest(i.indkey) WITH ORDINALITY AS k(attnum, place)
  JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
 WHERE i.indrelid = %s AND i.indisprimary ORDER BY k.place"""

_TRIGGERS: Final = """\
SELECT t.tgname::text, c.relname::text FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname = %s AND NOT t.tgisinternal AND t.tgparentid = 0
UNION ALL
SELECT r.rulename::text, c.relname::text FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class
  JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %s AND r.ev_type <> '1' ORDER BY 1, 2"""

_SCHEMA_RIGHTS: Final = """\
SELECT current_user::text, n.oid, has_schema_privilege(n.oid, 'USAGE'), has_schema_privilege(n.oid, 'CREATE'),
       has_database_privilege(current_database(), 'CREATE')
  FROM (VALUES (%s)) AS asked(name) LEFT JOIN pg_namespace n ON n.nspname = asked.name"""

_TABLE_RIGHTS: Final = """\
SELECT c.relname::text,
       has_table_privilege(c.oid, 'SELECT') AND has_table_privilege(c.oid, 'INSERT')
       AND has_table_privilege(c.oid, 'UPDATE')
       AND (c.relname <> 'guard_meta' OR has_table_privilege(c.oid, 'DELETE'))
       AND (SELECT coalesce(bool_and(has_sequence_privilege(s.oid, 'USAGE')), true) FROM pg_depend d
              JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S'
             WHERE d.refobjid = c.oid AND d.classid = 'pg_class'::regclass AND d.deptype IN ('a', 'i'))
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %s AND c.relkind = 'r'"""

_GRANTS: Final = (
    "GRANT USAGE ON SCHEMA {0} TO {1}; GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA {0} TO {1};"
    " GRANT DELETE ON {0}.guard_meta TO {1}; GRANT USAGE ON ALL SEQUENCES IN SCHEMA {0} TO {1}"
)
"""What a ledger's tables are used for. Only marks in `guard_meta` are ever deleted."""

LOOSE: Final = " under a collation that takes different texts for equal"

_ROLE: Final = "SELECT rolsuper, rolbypassrls FROM pg_roles WHERE rolname = current_user"


class Postgres:
    """See `guard.cli.checks.live.Live`."""

    own = SCHEMA

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def _ask(self, sql: str, *parameters: object) -> Sequence[Any]:
        return self._connection.exec_driver_sql(sql, parameters).all()

    def same(self, name: str) -> str:
        """Guarded statements quote names as the catalogue spells them."""
        return name

    def schemas(self) -> frozenset[str]:
        """See `Live`."""
        return frozenset(name for (name,) in self._ask("SELECT nspname::text FROM pg_namespace"))

    def tables(self, schema: str) -> Iterator[Table]:
        """A partition is part of its table."""
        for oid, name, kind in self._ask(_TABLES, schema):
            columns = self._ask(_COLUMNS, oid)
            yield Table(
                schema=schema,
                name=name,
                kind=_KINDS[kind],
                columns={one: of + LOOSE if loose else of for one, of, loose in columns},
                leading=frozenset(one for (one,) in self._ask(_LEADING, oid)),
                key=tuple(one for (one,) in self._ask(_KEY, oid)),
            )

    def holds(self, declared: str, kind: str) -> bool:
        """Exactly; a text whose collation takes different texts for equal is none."""
        return declared in _DECLARED[kind]

    def sample(self, table: Table, columns: Iterable[str]) -> Sequence[Sequence[Any]]:
        """See `Live`."""
        # A day beyond Python's calendar is one too.
        said = {
            one: f"CAST({quoted(one)} AS text)" if of == "date" else quoted(one) for one, of in table.columns.items()
        }
        listed = ", ".join(said[one] for one in columns)
        sql = f"SELECT {listed} FROM {quoted(table.schema)}.{quoted(table.name)} LIMIT {SAMPLE}"  # noqa: S608 -- names of the database itself, quoted
        return [[_plain(one) for one in row] for row in self._connection.exec_driver_sql(sql).all()]

    def triggers(self, schema: str) -> Iterator[tuple[str, str]]:
        """See `Live`."""
        yield from ((name, table) for name, table in self._ask(_TRIGGERS, schema, schema))

    def barred(self, tables: Collection[str]) -> Iterator[tuple[str, str]]:
        """Whoever first opened a guard there owns the schema: another role needs to be given what it does."""
        ((role, schema, use, make, above),) = self._ask(_SCHEMA_RIGHTS, SCHEMA)
        if schema is None:
            if not above:
                message = f"the role {role} may not make the schema {SCHEMA}, where the consent ledger lies"
                yield message, f"as the database's owner: CREATE SCHEMA {SCHEMA} AUTHORIZATION {quoted(role)}"
            return
        if not use:
            message = f"the role {role} may not use the schema {SCHEMA}, where the consent ledger lies"
            yield message, f"as its owner: {_GRANTS.format(SCHEMA, quoted(role))}"
            return
        found = dict(self._ask(_TABLE_RIGHTS, SCHEMA))
        if not make and not found.keys() >= set(tables):
            message = f"the role {role} may not make the tables of the consent ledger in the schema {SCHEMA}"
            yield message, f"as its owner: GRANT CREATE, USAGE ON SCHEMA {SCHEMA} TO {quoted(role)}"
        shut = sorted(one for one in tables if not found.get(one, True))
        if shut:
            message = f"the role {role} may not read and write {', '.join(shut)} of the consent ledger"
            yield message, f"as their owner: {_GRANTS.format(SCHEMA, quoted(role))}"

    def uneasy(self) -> Iterator[tuple[str, str]]:
        """A role for which PostgreSQL checks nothing."""
        for everything, rows in self._ask(_ROLE):
            if everything or rows:
                what = "is a superuser" if everything else "is above row security"
                yield f"the role that guard connects as {what}", "connect as a role that owns its tables and no more"


def _plain(value: object) -> object:
    if isinstance(value, Decimal):
        return int(value) if value.is_finite() and value == value.to_integral_value() else float(value)
    return value


@contextmanager
def opened(url: str) -> Iterator[Postgres]:
    """The database, read-only, for a bounded time; closed at the end."""
    options = (
        "-c default_transaction_read_only=on -c search_path=pg_catalog -c statement_timeout=20s -c lock_timeout=2s"
    )
    engine = create_engine(
        make_url(url).set(drivername="postgresql+psycopg"),
        poolclass=NullPool,
        hide_parameters=True,
        connect_args={"connect_timeout": 5, "client_encoding": "utf8", "options": options},
    )
    try:
        with engine.connect() as connection:
            yield Postgres(connection)
    finally:
        engine.dispose()
