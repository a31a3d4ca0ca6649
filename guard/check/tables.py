"""The database against the catalogue: tables, columns, types, and whether columns hold what they are said to.

A table replaced by a view, a renamed or swapped column, a public table that was given a personal column:
each changes what a statement reads without changing the statement.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import quote

import msgspec
from sqlalchemy import URL, Connection, NullPool, create_engine
from sqlalchemy.exc import SQLAlchemyError

from guard.catalogue import Public, Source
from guard.check import contents
from guard.check.findings import Findings, Loaded, nearest
from guard.ledger_tables import metadata, persons_metadata

WITNESSED: Final[Mapping[str, str]] = {"sqlite": "SQLite's authorizer on the live connection"}
"""Dialects in which the database's own parser checks what guard wrote, and by what."""

BUILT: Final = frozenset({"sqlite"})
"""Dialects that guard can guard by now."""

SAMPLE: Final = 100
"""Rows of a table that are looked at."""

_SQL: Final = re.compile(r"(?P<holder>[^:]+):(?P<schema>[^.\s/]+)\.(?P<table>[^\s/]+)")

_DECLARED: Final[Mapping[str, tuple[str, ...]]] = {
    "text": ("CHAR", "TEXT", "CLOB", "STRING"),
    "integer": ("INT",),
    "number": ("REAL", "FLOA", "DOUB", "NUM", "DEC", "INT"),
    "boolean": ("BOOL", "INT"),
    "date": ("DATE", "TEXT", "CHAR"),
    "timestamp": ("TIME", "DATE", "TEXT", "CHAR", "INT"),
    "json": ("JSON", "TEXT", "CHAR"),
    "binary": ("BLOB", "BINARY", "BYTEA"),
}
"""What the declared type of a column holds, by the type in the catalogue."""


class Table(msgspec.Struct, frozen=True):
    """A table or view of the database: `columns` maps each to its declared type."""

    name: str
    kind: str
    columns: Mapping[str, str]


def look(loaded: Loaded, found: Findings) -> None:
    """Opens the database read-only and compares."""
    dialect = loaded.settings.database.dialect
    if dialect not in WITNESSED:
        message = f"no parser of the database itself checks the statements that guard writes for {dialect}"
        found.warnings.append(loaded.document.problem(("database", "url"), message, "prefer a database that has one"))
    if dialect not in BUILT:
        message = f"guarding a database of the kind {dialect} is not built yet"
        found.errors.append(loaded.document.problem(("database", "url"), message, "use sqlite"))
        return
    problem = _names(loaded, found)
    file = loaded.settings.database.sqlite_file
    if file is None or not file.is_file():
        remedy = "name the file of the database"
        found.errors.append(loaded.document.problem(("database", "url"), f"{file} does not exist", remedy))
    elif not problem:
        _open(loaded, file, found)


def _names(loaded: Loaded, found: Findings) -> bool:
    """Whether the catalogue speaks of another holder or schema than guard.yaml."""
    settings, before = loaded.settings, len(found.errors)
    schemas = set(settings.database.schemas.values())
    for kind, name in _sources(loaded):
        holder = name.split(":", 1)[0]
        match = _SQL.fullmatch(name)
        if holder != settings.holder:
            message = f"{name} is a source of {holder}, and the holder is {settings.holder}"
            remedy = f"begin its name with {settings.holder}:"
        elif match is not None and match["schema"] not in schemas:
            message = f"{name} is in the schema {match['schema']}, which database.schemas of guard.yaml does not name"
            remedy = nearest(match["schema"], schemas, "add it there")
        elif match is not None and match["table"].casefold() in _LEDGER:
            message = f"{name} is a table of the consent ledger, which no statement may name"
            remedy = "remove it from the catalogue"
        else:
            continue
        found.errors.append(loaded.catalogue_document.problem((kind, name), message, remedy))
    for schema in settings.database.schemas:
        if settings.database.dialect == "sqlite" and schema != "main":
            message = f"a new connection to the database has no schema {schema}"
            found.errors.append(loaded.document.problem(("database", "schemas", schema), message, "write main"))
    return len(found.errors) > before


_LEDGER: Final = frozenset({*metadata.tables, *persons_metadata.tables})


def _sources(loaded: Loaded) -> Iterator[tuple[str, str]]:
    yield from (("sources", name) for name in loaded.catalogue.sources)
    yield from (("public", name) for name in loaded.catalogue.public)


# --- The live database ----------------------------------------------------------------------------


def _open(loaded: Loaded, file: Path, found: Findings) -> None:
    url = URL.create("sqlite+pysqlite", database=f"file:{quote(str(file))}", query={"mode": "ro", "uri": "true"})
    engine = create_engine(url, poolclass=NullPool)
    try:
        with engine.connect() as connection:
            _compare(loaded, connection, found)
    except SQLAlchemyError:
        message, remedy = f"{file} cannot be read as an SQLite database", "name another file, or mend this one"
        found.errors.append(loaded.document.problem(("database", "url"), message, remedy))
    finally:
        engine.dispose()


def _compare(loaded: Loaded, connection: Connection, found: Findings) -> None:
    tables = _tables(connection)
    folded = {name.casefold(): table for name, table in tables.items()}
    catalogued: set[str] = set()
    for kind, name in _sources(loaded):
        match = _SQL.fullmatch(name)
        entry = loaded.catalogue.entry(name)
        if match is None or entry is None:
            continue  # a source of the web, not of the database
        catalogued.add(match["table"].casefold())
        table = folded.get(match["table"].casefold())
        if table is None:
            remedy = nearest(match["table"], tables.keys() - _LEDGER, "make the table, or remove the source")
            message = f"the database has no table {match['table']}"
            found.errors.append(loaded.catalogue_document.problem((kind, name), message, remedy))
        elif table.kind != "table":
            message = f"{table.name} is a {table.kind} in the database, not a table"
            remedy = "catalogue the tables behind it: what a view reads can change under its name"
            found.errors.append(loaded.catalogue_document.problem((kind, name), message, remedy))
        else:
            _columns(loaded, (kind, name), entry, table, found)
            _contents(loaded, (kind, name), entry, table, connection, found)
    _beside(loaded, tables, catalogued, connection, found)


def _tables(connection: Connection) -> dict[str, Table]:
    found: dict[str, Table] = {}
    listed = connection.exec_driver_sql(
        "SELECT name, type, sql FROM main.sqlite_master WHERE type IN ('table', 'view')"
    )
    for name, kind, sql in listed.all():
        if name.startswith("sqlite_"):
            continue
        if str(sql).upper().startswith("CREATE VIRTUAL"):
            kind = "virtual table"  # noqa: PLW2901 -- the row's kind, said more closely
        info = connection.exec_driver_sql(f"PRAGMA main.table_info({_quoted(name)})").all()
        found[name] = Table(name=name, kind=kind, columns={row[1]: str(row[2]) for row in info})
    return found


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _columns(loaded: Loaded, place: tuple[str, str], entry: Source | Public, table: Table, found: Findings) -> None:
    there = {column.casefold(): (column, declared) for column, declared in table.columns.items()}
    extra = {column for column in table.columns if column.casefold() not in {name.casefold() for name in entry.fields}}
    for name in entry.fields:
        at = (*place, "fields", name)
        column, declared = there.get(name.casefold(), ("", ""))
        kind = contents.type_of(entry, name)
        if not column:
            remedy = nearest(name, extra, f"was it renamed to {min(extra)}?" if len(extra) == 1 else "remove the field")
            message = f"the table {table.name} has no column {name}"
            found.errors.append(loaded.catalogue_document.problem(at, message, remedy))
        elif not any(part in declared.upper() for part in _DECLARED[kind]):
            message = f"the column {table.name}.{name} is {declared or 'of no type'} in the database, here {kind}"
            found.errors.append(loaded.catalogue_document.problem(at, message, "say what the database says"))
    for column in sorted(extra):
        message = f"the column {table.name}.{column} is not in the catalogue: statements cannot name it"
        found.warnings.append(loaded.catalogue_document.problem(place, message, "add it with its category"))


def _contents(
    loaded: Loaded,
    place: tuple[str, str],
    entry: Source | Public,
    table: Table,
    connection: Connection,
    found: Findings,
) -> None:
    """Looks at a few rows: swapped columns keep their names and types, but not what they hold."""
    there = {column.casefold(): column for column in table.columns}
    names = [name for name in entry.fields if name.casefold() in there]
    if not names:
        return
    listed = ", ".join(_quoted(there[name.casefold()]) for name in names)
    sample = connection.exec_driver_sql(f"SELECT {listed} FROM main.{_quoted(table.name)} LIMIT {SAMPLE}").all()  # noqa: S608 -- names of the database itself, quoted
    for position, name in enumerate(names):
        values = [row[position] for row in sample if row[position] is not None]
        problem = contents.wrong(values, entry, name)
        if problem is not None:
            at = (*place, "fields", name)
            message, remedy = problem
            found.errors.append(
                loaded.catalogue_document.problem(at, f"the column {table.name}.{name} {message}", remedy)
            )


def _beside(
    loaded: Loaded, tables: Mapping[str, Table], catalogued: set[str], connection: Connection, found: Findings
) -> None:
    """What the database has besides: tables that no statement can reach, triggers that copy, a foreign ledger."""
    for name, table in sorted(tables.items()):
        expected = {**metadata.tables, **persons_metadata.tables}.get(name)
        if expected is not None and (
            table.kind != "table" or table.columns.keys() != {one.name for one in expected.columns}
        ):
            message = f"the database has a {name} that is not the ledger's"
            found.errors.append(loaded.document.problem(("database", "url"), message, "rename it"))
        elif expected is None and name.casefold() not in catalogued:
            message = f"the {table.kind} {name} of the database is not in the catalogue: statements cannot name it"
            remedy = "add it, as public if it holds nothing of persons"
            found.warnings.append(loaded.catalogue_document.problem(("sources",), message, remedy))
    for name, on in connection.exec_driver_sql(
        "SELECT name, tbl_name FROM main.sqlite_master WHERE type = 'trigger'"
    ).all():
        message = f"the trigger {name} on {on} runs statements that guard does not see"
        found.warnings.append(
            loaded.catalogue_document.problem(("sources",), message, "see that it copies nothing personal")
        )
