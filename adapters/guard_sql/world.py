"""The closed world: which tables and columns a statement can name at all.

Built once from a catalogue, for one holder and one mapping of database schemas to catalogue schemas.
Names are compared as the database compares them (SQLite: without case within ASCII); a name beyond ASCII
passes only as the catalogue spells it. What is not here does not exist.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from guard.catalogue import Catalogue, Public, Source
from guard_sql.dialects import Dialect

OWN: Final = "guard_"
"""The beginning of names that belong to the guard: its tables, markers and hidden columns."""


def fold(name: str) -> str:
    """A name as the database compares it: case counts only beyond ASCII."""
    return name.lower() if name.isascii() else name


@dataclass(frozen=True, eq=False)
class Table:
    """A catalogued table: where it lies in the database, and what its columns are."""

    source: str
    entry: Source | Public
    schema: str
    name: str
    columns: Mapping[str, str]
    """Folded name -> name as the catalogue spells it."""
    types: Mapping[str, str]

    @property
    def sql(self) -> str:
        """The table in SQL text, qualified: no temporary table or search path can stand in for it."""
        return f"{quoted(self.schema)}.{quoted(self.name)}"

    def subjects(self, entry: Source) -> tuple[tuple[str, bool], ...]:
        """The distinct subject columns, in the catalogue's order, and whether each is optional."""
        columns: dict[str, bool] = {}
        for subject in entry.subjects.values():
            columns[subject.column] = columns.get(subject.column, True) and subject.optional
        return tuple(columns.items())


def quoted(name: str) -> str:
    """An identifier in SQL text."""
    return '"' + name.replace('"', '""') + '"'


class World:
    """All tables that statements on one database may name."""

    def __init__(self, catalogue: Catalogue, holder: str, schemas: Mapping[str, str], dialect: Dialect) -> None:
        self.dialect: Final = dialect
        self.schemas: Final = tuple(schema for schema in schemas if fold(schema) not in dialect.schemas_hidden)
        self._tables: dict[tuple[str, str], Table] = {}
        self._sources: dict[str, Table] = {}
        entries: dict[str, Source | Public] = {**catalogue.sources, **catalogue.public}
        spelt: set[str] = set()
        for schema in self.schemas:
            prefix = f"{holder}:{schemas[schema]}."
            for source, entry in entries.items():
                name = source.removeprefix(prefix)
                # The guard's hidden columns must not meet a column of the table.
                mine = fold(name).startswith(dialect.reserved) or any(fold(one).startswith(OWN) for one in entry.fields)
                if source.startswith(prefix) and not mine:
                    table = _table(source, entry, schema, name)
                    self._tables[fold(schema), fold(name)] = table
                    self._sources[source] = table
                    spelt |= {name, *table.types}
        self.spelt: Final = frozenset(spelt)
        """Every table and column name as the catalogue spells it."""
        self.names: Final = frozenset(fold(name) for name in (*spelt, *self.schemas))
        """Every name of a schema, table or column, folded."""

    def table(self, schema: str | None, name: str) -> Table | None:
        """The table that a statement names, or None; without a schema it must be the only one of this name."""
        if schema is not None:
            return self._tables.get((fold(schema), fold(name)))
        found = [table for known in self.schemas if (table := self._tables.get((fold(known), fold(name))))]
        return found[0] if len(found) == 1 else None

    def called(self, name: str) -> frozenset[str]:
        """What a statement can call tables: with the schema where the name alone is what it says already."""
        alone = {fold(one) for _, one in self._tables} - {fold(name)}
        whole = {f"{schema}.{one}" for schema, one in self._tables if one == fold(name)}
        return frozenset(alone | whole)

    def source(self, source: str) -> Table | None:
        """The table of a source by its catalogue name, if it lies in this database."""
        return self._sources.get(source)


def _table(source: str, entry: Source | Public, schema: str, name: str) -> Table:
    if isinstance(entry, Source):
        types: dict[str, str] = {field: one.type for field, one in entry.fields.items()}
    else:
        types = dict(entry.fields)
    # The catalogue holds no two names that differ in case alone.
    columns = {fold(field): field for field in types}
    return Table(source, entry, schema, name, MappingProxyType(columns), MappingProxyType(types))
