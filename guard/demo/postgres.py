"""An example holder's tables in a PostgreSQL database: what the demo made it may empty and fill again, nothing else.

Two schemas are the demo's: the holder's own for its tables, and `guard` for the ledger, which is why a database holds
one example holder and nobody's real ledger. Both are marked by a comment on the schema. A schema without the mark is
only taken where there is nothing in it, not even another comment. A mark is only a comment, though: what is emptied
must still be the table that the demo made, of this role, with nothing of anybody else's on it that emptying would
reach, and no persons in it but the example's. No table is ever dropped, and all is done in one transaction or not at
all.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from datetime import date
from typing import Final

from sqlalchemy import Connection, Engine, MetaData, Table, delete, select, text, update
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from guard.demo.schema import Holder, Row, made
from guard.errors import Misuse
from guard_ledger.postgres import BACKEND, SCHEMA
from guard_ledger.tables import consent, meta, metadata, withdrawal

_MARK: Final = "The example {} of guard demo: emptied and filled again when that is run on this database."

_WAIT: Final = 5.0
"""How long it waits for a lock, and for a connection (seconds)."""

_FOUND: Final = text(
    "SELECT obj_description(n.oid, 'pg_namespace'),"
    " ARRAY(SELECT c.relname::text FROM pg_class c WHERE c.relnamespace = n.oid"
    " UNION ALL SELECT p.proname::text FROM pg_proc p WHERE p.pronamespace = n.oid)"
    " FROM pg_namespace n WHERE n.nspname = :schema"
)
"""The mark of a schema, and what there is in it."""

_STRANGE: Final = text(
    "SELECT c.relname::text, c.relkind = 'r' AND c.relpersistence = 'p' AND NOT c.relrowsecurity AND NOT c.relhasrules"
    " AND c.relowner = (SELECT r.oid FROM pg_roles r WHERE r.rolname = current_user)"
    " AND NOT EXISTS (SELECT FROM pg_inherits i WHERE c.oid IN (i.inhparent, i.inhrelid))"
    " AND NOT EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal)"
    " AND NOT EXISTS (SELECT FROM pg_constraint f JOIN pg_class o ON o.oid = f.conrelid"
    " WHERE f.contype = 'f' AND f.confrelid = c.oid"
    " AND NOT (o.relnamespace = c.relnamespace AND o.relname::text = ANY(:names))),"
    " ARRAY(SELECT a.attname::text FROM pg_attribute a"
    " WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)"
    " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
    " WHERE n.nspname = :schema AND c.relname::text = ANY(:names)"
)
"""Of each table: whether emptying and filling it touches nothing else and runs nobody's code; its columns.

A view, a rule, a trigger, a table that inherits, a foreign key that cascades would each carry a DELETE further. What
another role owns may have checks and defaults of that role, which would run as whoever fills the table.
"""

_OWN_DATABASE: Final = "Nothing was changed: give the demo a database of its own (createdb guard_demo)."


def make(url: str, holder: Holder, day: date) -> None:
    """Makes the tables and fills them, or empties the demo's own and fills them again, its consents gone too.

    Misuse, and nothing changed, where a schema holds what the demo did not make, or where the database cannot be
    reached or does not let this role make schemas in it.
    """
    engine = BACKEND.connect(_address(url), _WAIT)
    try:
        _shielded(engine, holder, day)
    finally:
        engine.dispose()


def _address(url: str) -> URL:
    try:
        address = make_url(url)
    except ArgumentError:
        raise Misuse("That is not a database URL such as postgresql:///guard_demo.") from None
    if address.get_backend_name() != "postgresql":
        raise Misuse("The demo takes the URL of a PostgreSQL database; without one it is on SQLite.")
    return address


def _shielded(engine: Engine, holder: Holder, day: date) -> None:
    """What the database says about an error may quote what it was given: only its kind passes on."""
    problem = "That database cannot be reached: see that it runs, and that the URL names it, its user and its password."
    try:
        with engine.connect() as raw:
            problem = "That database did not take the demo's tables. " + _OWN_DATABASE
            connection = raw.execution_options(**BACKEND.options(writes=True))
            with connection.begin():
                BACKEND.check(connection)
                BACKEND.began(connection, writes=True)
                _make(connection, holder, day)
                return
    except DBAPIError as error:
        if BACKEND.barred(error):
            problem = "This role may not make schemas in that database. " + _OWN_DATABASE
        elif BACKEND.busy(error):
            problem = "Another program is at work on the demo's tables there: try again when it is done."
    except SQLAlchemyError:
        pass
    raise Misuse(problem)  # here, so that the database's error is not even its context


def _make(connection: Connection, holder: Holder, day: date) -> None:
    content = {name: list(rows) for name, rows in holder.rows(day).items()}
    persons = {str(row[holder.person.name]) for row in content[holder.person.table.name]}
    ledger = _claim(connection, holder, SCHEMA)
    there = _claim(connection, holder, holder.schema)
    _as_made(connection, SCHEMA, metadata, ledger)
    _as_made(connection, holder.schema, holder.tables, there)
    lies = {"schema_translate_map": {None: holder.schema}}
    if holder.person.table.name in there:
        found = connection.scalars(select(holder.person), execution_options=lies)
        if not persons.issuperset(map(str, found)):
            raise Misuse(f"The tables there have others in them than the example's persons. {_OWN_DATABASE}")
    if "guard_meta" in ledger:
        _forget(connection, ledger, persons)
    for table in reversed(holder.tables.sorted_tables):
        if table.name in there:
            connection.execute(delete(table), execution_options=lies)
    for table in holder.tables.sorted_tables:
        if table.name not in there:
            for statement in made(table):
                connection.execute(statement, execution_options=lies)
        _fill(connection, holder.schema, table, content[table.name])


def _as_made(connection: Connection, schema: str, tables: MetaData, there: frozenset[str]) -> None:
    """Misuse where one of the tables that would be emptied is not, or not only, what the demo made."""
    columns = {table.name: set(table.columns.keys()) for table in tables.tables.values()}
    ours = columns.keys() & there
    found = connection.execute(_STRANGE, {"schema": schema, "names": sorted(columns)}).all()
    as_made = {name for name, alone, has in found if alone and set(has) == columns[name]}
    if strange := sorted(ours - as_made):
        raise Misuse(
            f"The table {schema}.{strange[0]} there is not as guard made it for this role, or something of yours hangs "
            f"on it, such as a foreign key, a trigger or a column. {_OWN_DATABASE}"
        )


def _claim(connection: Connection, holder: Holder, schema: str) -> frozenset[str]:
    """What there is in a schema that is the demo's; nothing where it becomes the demo's now."""
    mark = _MARK.format(holder.name)
    found = connection.execute(_FOUND, {"schema": schema}).first()
    if found is None:
        connection.exec_driver_sql(f"CREATE SCHEMA {schema}")
    elif found[0] == mark:
        return frozenset(found[1])
    elif any(found):
        raise Misuse(f"The schema {schema} there is not one that the example {holder.name} made. {_OWN_DATABASE}")
    connection.exec_driver_sql(f"COMMENT ON SCHEMA {schema} IS '{mark}'")
    return frozenset()


def _forget(connection: Connection, there: frozenset[str], persons: set[str]) -> None:
    """Empties the ledger, whose consents are of these persons; a guard that is still open on it finds another one."""
    lies = {"schema_translate_map": {None: SCHEMA}}
    for table in (consent, withdrawal):
        if not persons.issuperset(connection.scalars(select(table.c.subject).distinct(), execution_options=lies)):
            raise Misuse(f"The consent ledger there has consents of others than the example's persons. {_OWN_DATABASE}")
    for table in metadata.tables.values():
        if table.name in there and table is not meta:
            connection.execute(delete(table), execution_options=lies)
    kept = ("format", "instance", "sequence")
    connection.execute(delete(meta).where(meta.c.key.not_in(kept)), execution_options=lies)
    another = update(meta).where(meta.c.key == "instance").values(value=secrets.token_hex(16))
    connection.execute(another, execution_options=lies)


def _fill(connection: Connection, schema: str, table: Table, content: Iterable[Row]) -> None:
    """Values as text, which PostgreSQL reads by the column's type. Keys that it gives by itself go on after these."""
    columns = table.columns.keys()
    connection.exec_driver_sql(
        f"INSERT INTO {schema}.{table.name} ({', '.join(columns)}) VALUES ({', '.join(['%s'] * len(columns))})",  # noqa: S608 -- names of this package
        [tuple(row[column] for column in columns) for row in content],
    )
    for column in table.primary_key:
        if column.identity is not None:
            connection.exec_driver_sql(
                f"SELECT setval(pg_get_serial_sequence('{schema}.{table.name}', '{column.name}'), max({column.name}))"  # noqa: S608 -- names of this package
                f" FROM {schema}.{table.name}"
            )
