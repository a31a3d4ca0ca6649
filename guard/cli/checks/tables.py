"""The database against the catalogue: tables, columns, types, and whether columns hold what they are said to.

A table replaced by a view, a renamed or swapped column, a public table that was given a personal column:
each changes what a statement reads without changing the statement. `live` is the database, as its kind is read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Final

from sqlalchemy.exc import SQLAlchemyError

from guard.catalogue import Public, Source
from guard.cli.checks import contents, live_sqlite
from guard.cli.checks.findings import Findings, Loaded
from guard.cli.checks.live import Live, Table
from guard.names import meant
from guard_ledger.tables import metadata, persons_metadata

WITNESSED: Final[Mapping[str, str]] = {
    "sqlite": "SQLite's authorizer on the live connection",
    "postgres": "libpg_query, which is PostgreSQL's own parser",
}
"""Dialects in which the database's own parser checks what guard wrote, and by what."""

_SQL: Final = re.compile(r"(?P<holder>[^:]+):(?P<schema>[^.\s/]+)\.(?P<table>[^\s/]+)")

_TABLES: Final = {**metadata.tables, **persons_metadata.tables}
_LEDGER: Final = frozenset(_TABLES)


def look(loaded: Loaded, found: Findings) -> None:
    """Opens the database read-only and compares."""
    dialect = loaded.settings.database.dialect
    if dialect not in WITNESSED:
        message = f"no parser of the database itself checks the statements that guard writes for {dialect}"
        found.warnings.append(loaded.document.problem(("database", "url"), message, "prefer a database that has one"))
        message = f"guarding a database of the kind {dialect} is not built yet"
        found.errors.append(loaded.document.problem(("database", "url"), message, "use sqlite or postgresql"))
        return
    problem = _names(loaded, found)
    file = loaded.settings.database.sqlite_file
    if file is not None and not file.is_file():
        remedy = "name the file of the database, or make it and its tables first"
        found.errors.append(loaded.document.problem(("database", "url"), f"{file} does not exist", remedy))
    elif not problem:
        _open(loaded, found)


def _names(loaded: Loaded, found: Findings) -> bool:
    """Whether the catalogue speaks of another holder or schema than guard.yaml."""
    settings, before = loaded.settings, len(found.errors)
    schemas = set(settings.database.schemas.values())
    for kind, name in _sources(loaded):
        holder = name.split(":", 1)[0]
        match = _SQL.fullmatch(name)
        if match is None and " /" not in name:
            message = f"{name} is neither a table (holder:schema.table) nor a route (holder:METHOD /path)"
            remedy = f"did you mean {settings.holder}:{min(schemas)}.{name.split(':', 1)[1]}?"
        elif holder != settings.holder:
            message = f"{name} is a source of {holder}, and the holder is {settings.holder}"
            remedy = f"begin its name with {settings.holder}:"
        elif match is not None and match["schema"] not in schemas:
            message = f"{name} is in the schema {match['schema']}, which database.schemas of guard.yaml does not name"
            remedy = meant(match["schema"], schemas, "add it there")
        elif match is not None and match["table"].casefold() in _LEDGER:
            message = f"{name} is a table of the consent ledger, which no statement may name"
            remedy = "remove it from the catalogue"
        else:
            continue
        found.errors.append(loaded.catalogue_document.problem((kind, name), message, remedy))
    return len(found.errors) > before


def _sources(loaded: Loaded) -> Iterator[tuple[str, str]]:
    yield from (("sources", name) for name in loaded.catalogue.sources)
    yield from (("public", name) for name in loaded.catalogue.public)


# --- The live database ----------------------------------------------------------------------------


def _open(loaded: Loaded, found: Findings) -> None:
    try:
        with _opened(loaded) as live:
            _compare(loaded, live, found)
    except SQLAlchemyError:
        file = loaded.settings.database.sqlite_file
        message, remedy = "the database cannot be reached and read", "see that it runs and that this role may read it"
        if file is not None:
            message, remedy = f"{file} cannot be read as an SQLite database", "name another file, or mend this one"
        found.errors.append(loaded.document.problem(("database", "url"), message, remedy))
    except ImportError as missing:
        message, remedy = f"{missing.name} is not installed", "pip install 'personal-data-guard[postgres]'"
        found.errors.append(loaded.document.problem(("database", "url"), message, remedy))


def _opened(loaded: Loaded) -> AbstractContextManager[Live]:
    file = loaded.settings.database.sqlite_file
    if file is not None:
        return live_sqlite.opened(file)
    from guard.cli.checks import live_postgres  # noqa: PLC0415 -- for who uses it

    return live_postgres.opened(loaded.settings.database.url)


def _compare(loaded: Loaded, live: Live, found: Findings) -> None:
    schemas = loaded.settings.database.schemas
    there = live.schemas()
    for schema in schemas:
        at = ("database", "schemas", schema)
        if schema not in there:
            message = f"a new connection to the database has no schema {schema}"
            remedy = meant(schema, there, "write main" if "main" in there else "make it")
            found.errors.append(loaded.document.problem(at, message, remedy))
        elif schema == live.own != "main":
            message = f"the schema {schema} is the consent ledger's, which no statement may name"
            found.errors.append(loaded.document.problem(at, message, "keep tables of yours in another"))
    if not schemas.keys() <= there - ({live.own} - {"main"}):
        return
    mine = {ours: schema for schema, ours in schemas.items()}
    tables = {schema: {live.same(one.name): one for one in live.tables(schema)} for schema in schemas}
    catalogued: set[tuple[str, str]] = set()
    for kind, name in _sources(loaded):
        match = _SQL.fullmatch(name)
        entry = loaded.catalogue.entry(name)
        if match is None or entry is None:
            continue  # a source of the web, not of the database
        schema = mine[match["schema"]]
        catalogued.add((schema, live.same(match["table"])))
        table = tables[schema].get(live.same(match["table"]))
        if table is None:
            known = {one.name for one in tables[schema].values()} - _LEDGER
            remedy = meant(match["table"], known, "make the table, or remove the source")
            message = f"the database has no table {match['table']}"
            found.errors.append(loaded.catalogue_document.problem((kind, name), message, remedy))
        else:
            _table(loaded, (kind, name), entry, table, live, found)
    _ledger(loaded, live, found)
    _beside(loaded, tables, catalogued, live, found)
    for message, remedy in live.uneasy():
        found.warnings.append(loaded.document.problem(("database", "url"), message, remedy))


def _table(
    loaded: Loaded, place: tuple[str, str], entry: Source | Public, table: Table, live: Live, found: Findings
) -> None:
    if table.kind != "table":
        message = f"{table.name} is a {table.kind} in the database, not a table"
        remedy = "catalogue the tables behind it: what a view reads can change under its name"
        found.errors.append(loaded.catalogue_document.problem(place, message, remedy))
        return
    _columns(loaded, place, entry, table, live, found)
    _contents(loaded, place, entry, table, live, found)
    _indexes(loaded, place[1], table, live, found)
    if isinstance(entry, Source):
        _key(loaded, place, entry, table, live, found)


def _columns(
    loaded: Loaded, place: tuple[str, str], entry: Source | Public, table: Table, live: Live, found: Findings
) -> None:
    there = {live.same(column): (column, declared) for column, declared in table.columns.items()}
    extra = {column for column in table.columns if live.same(column) not in {live.same(one) for one in entry.fields}}
    for name in entry.fields:
        at = (*place, "fields", name)
        column, declared = there.get(live.same(name), ("", ""))
        kind = contents.type_of(entry, name)
        if not column:
            remedy = meant(name, extra, f"was it renamed to {min(extra)}?" if len(extra) == 1 else "remove the field")
            message = f"the table {table.name} has no column {name}"
            found.errors.append(loaded.catalogue_document.problem(at, message, remedy))
        elif not live.holds(declared, kind):
            message = f"the column {table.name}.{name} is {declared or 'of no type'} in the database, here {kind}"
            found.errors.append(loaded.catalogue_document.problem(at, message, "say what the database says"))
    for column in sorted(extra):
        message = f"the column {table.name}.{column} is not in the catalogue: statements cannot name it"
        found.warnings.append(loaded.catalogue_document.problem(place, message, "add it with its category"))


def _contents(
    loaded: Loaded, place: tuple[str, str], entry: Source | Public, table: Table, live: Live, found: Findings
) -> None:
    """Looks at a few rows: swapped columns keep their names and types, but not what they hold."""
    there = {live.same(column): column for column in table.columns}
    names = [name for name in entry.fields if live.same(name) in there]
    if not names:
        return
    sample = live.sample(table, [there[live.same(name)] for name in names])
    for position, name in enumerate(names):
        values = [row[position] for row in sample if row[position] is not None]
        problem = contents.wrong(values, entry, name)
        if problem is not None:
            at = (*place, "fields", name)
            message, remedy = problem
            found.errors.append(
                loaded.catalogue_document.problem(at, f"the column {table.name}.{name} {message}", remedy)
            )


def _indexes(loaded: Loaded, name: str, table: Table, live: Live, found: Findings) -> None:
    """A relation is looked up for each row: without an index the whole table is read each time."""
    leading = {live.same(column) for column in table.leading}
    sources = loaded.catalogue.sources.values()
    relations = (one for source in sources for one in source.relations.values() if one.source == name)
    for subject, actor in sorted({(one.subject, one.actor) for one in relations}):
        if not leading & {live.same(subject), live.same(actor)}:
            message = f"{table.name} is looked up by {subject} for a relation, and no index begins with it"
            remedy = f"CREATE INDEX … ON {table.name} ({subject}, {actor})"
            place = ("sources", name) if name in loaded.catalogue.sources else ("public", name)
            found.warnings.append(loaded.catalogue_document.problem(place, message, remedy))


def _key(loaded: Loaded, place: tuple[str, str], entry: Source, table: Table, live: Live, found: Findings) -> None:
    """By its key, beside its subjects, a write may leave a row out that is hidden from the actor; by nothing else."""
    spelt = {live.same(name): name for name in entry.fields}
    key = [spelt.get(live.same(column), column) for column in table.key]
    declared = {live.same(column) for column in entry.key}
    subjects = {one.column for one in entry.subjects.values()}
    if declared and declared != {live.same(column) for column in key}:
        message = f"key is {', '.join(entry.key)}, and the primary key of {table.name} is {', '.join(key) or 'none'}"
        remedy = f"write key: {_written(key)}" if key else "remove it: what is no key tells of hidden rows"
        found.warnings.append(loaded.catalogue_document.problem((*place, "key"), message, remedy))
    elif not declared and set(key) <= entry.fields.keys() and not set(key) <= subjects:
        message = f"{place[1]} has no key: a write that names its rows by {', '.join(key)} may be refused (GUARD-WRITE)"
        found.warnings.append(loaded.catalogue_document.problem(place, message, f"add key: {_written(key)}"))


def _written(key: Sequence[str]) -> str:
    """A key as the catalogue has it."""
    return key[0] if len(key) == 1 else f"[{', '.join(key)}]"


def _ledger(loaded: Loaded, live: Live, found: Findings) -> None:
    """The ledger's own tables, if they are there yet: they are made when a guard is first opened."""
    for message, remedy in live.barred(metadata.tables.keys()):
        found.errors.append(loaded.document.problem(("database", "url"), message, remedy))
    if live.own not in live.schemas():
        return
    for table in live.tables(live.own):
        expected = _TABLES.get(table.name)
        if expected is None:
            continue
        if table.kind != "table" or table.columns.keys() != {one.name for one in expected.columns}:
            message = f"the database has a {table.name} that is not the ledger's"
            found.errors.append(loaded.document.problem(("database", "url"), message, "rename it"))
        elif table.name == "guard_grant" and "subject" not in table.leading:
            message = "guard_grant has lost its index: every grant is read for each row"
            remedy = "drop guard_grant_asked if it is there, and open a guard: it makes it again"
            found.warnings.append(loaded.document.problem(("database", "url"), message, remedy))


def _beside(
    loaded: Loaded,
    tables: Mapping[str, Mapping[str, Table]],
    catalogued: set[tuple[str, str]],
    live: Live,
    found: Findings,
) -> None:
    """What the database has besides: tables that no statement can reach, triggers that copy."""
    for schema, named in tables.items():
        for key, table in sorted(named.items()):
            if (schema, key) not in catalogued and not (schema == live.own and table.name in _LEDGER):
                message = (
                    f"the {table.kind} {table.name} of the database is not in the catalogue: statements cannot name it"
                )
                remedy = "add it, as public if it holds nothing of persons"
                found.warnings.append(loaded.catalogue_document.problem(("sources",), message, remedy))
        for name, on in live.triggers(schema):
            message = f"the trigger {name} on {on} runs statements that guard does not see"
            remedy = "see that it copies nothing personal"
            found.warnings.append(loaded.catalogue_document.problem(("sources",), message, remedy))
