"""A database as it is, for comparison with the catalogue. Opened read-only; no value is ever part of a problem."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Protocol

import msgspec

SAMPLE: Final = 100
"""Rows of a table that are looked at."""


class Table(msgspec.Struct, frozen=True):
    """A table or view: `columns` maps each to its declared type, `leading` are first columns of an index.

    `key` is its primary key, in order; empty if it has none.
    """

    schema: str
    name: str
    kind: str
    columns: Mapping[str, str]
    leading: frozenset[str]
    key: tuple[str, ...]


class Live(Protocol):
    """A connection to it. What fails in the database fails with an SQLAlchemyError."""

    own: str
    """The schema of the ledger's tables."""

    def same(self, name: str) -> str:
        """The form in which two names are one to this database."""
        ...

    def schemas(self) -> frozenset[str]:
        """The schemas there are."""
        ...

    def tables(self, schema: str) -> Iterator[Table]:
        """All that a statement could read in a schema."""
        ...

    def holds(self, declared: str, kind: str) -> bool:
        """Whether a column that is declared like this holds values of this type of the catalogue."""
        ...

    def sample(self, table: Table, columns: Iterable[str]) -> Sequence[Sequence[Any]]:
        """A few rows, as SQLite would hold them: a date as text."""
        ...

    def triggers(self, schema: str) -> Iterator[tuple[str, str]]:
        """The triggers and rules of a schema, each with its table."""
        ...

    def barred(self, tables: Collection[str]) -> Iterator[tuple[str, str]]:
        """What this role may not do that a ledger of these tables needs: message and remedy."""
        ...

    def uneasy(self) -> Iterator[tuple[str, str]]:
        """What else deserves a look about how it is reached: message and remedy."""
        ...


def quoted(name: str) -> str:
    """An identifier in SQL text."""
    return '"' + name.replace('"', '""') + '"'
