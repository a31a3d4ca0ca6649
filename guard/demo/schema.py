"""What an example holder's tables are, whatever the database."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, Final, TypeAlias

import msgspec
from sqlalchemy import Boolean, Column, Date, Integer, MetaData, Table, Text
from sqlalchemy.schema import CreateIndex, CreateTable

DAY: Final = Date().with_variant(Text(), "sqlite")
FLAG: Final = Boolean().with_variant(Integer(), "sqlite")
"""SQLite has neither dates nor booleans; what is declared as one there would compare as a number."""

Row: TypeAlias = Mapping[str, str | None]
"""A row as the CSV files have it: every value as text, which both databases read by the column's type."""


class Holder(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """An example holder: where its documents are shipped, its tables, and their rows as of a day.

    `person` is the column that has each person once. `file` is its SQLite database, beside the documents; `schema`
    is where its tables lie on PostgreSQL.
    """

    name: str
    folder: Path
    tables: MetaData
    person: Column[Any]
    rows: Callable[[date], Mapping[str, Iterable[Row]]]
    file: str
    schema: str


def made(table: Table) -> Sequence[CreateTable | CreateIndex]:
    """What makes a table and its indexes."""
    return [CreateTable(table), *(CreateIndex(one) for one in sorted(table.indexes, key=lambda one: str(one.name)))]
