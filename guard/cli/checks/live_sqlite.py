"""An SQLite file as it is."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from sqlalchemy import URL, Connection, NullPool, create_engine

from guard.cli.checks.live import SAMPLE, Table, quoted

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
"""Parts of a declared type: SQLite takes any words for one."""


class Sqlite:
    """See `guard.cli.checks.live.Live`."""

    own = "main"

    def __init__(self, connection: Connection, file: Path) -> None:
        self._connection = connection
        self._file = file

    def same(self, name: str) -> str:
        """SQLite compares names without regard to case."""
        return name.casefold()

    def schemas(self) -> frozenset[str]:
        """What a new connection has."""
        return frozenset({"main"})

    def tables(self, schema: str) -> Iterator[Table]:
        """Without SQLite's own."""
        listed = self._connection.exec_driver_sql(
            "SELECT name, type, sql FROM main.sqlite_master WHERE type IN ('table', 'view')"
        )
        for name, kind, sql in listed.all():
            if name.startswith("sqlite_"):
                continue
            virtual = str(sql).upper().startswith("CREATE VIRTUAL")
            info = self._connection.exec_driver_sql(f"PRAGMA main.table_info({quoted(name)})").all()
            yield Table(
                schema=schema,
                name=name,
                kind="virtual table" if virtual else kind,
                columns={row[1]: str(row[2]) for row in info},
                leading=frozenset(self._leading(name)) | {row[1] for row in info if row[5] == 1},
                key=tuple(row[1] for row in sorted(info, key=lambda one: one[5]) if row[5]),
            )

    def _leading(self, table: str) -> Iterator[str]:
        for row in self._connection.exec_driver_sql(f"PRAGMA main.index_list({quoted(table)})").all():
            parts = self._connection.exec_driver_sql(f"PRAGMA main.index_info({quoted(row[1])})").all()
            if not row[4] and parts and parts[0][2]:  # neither a partial index nor one on an expression
                yield parts[0][2]

    def holds(self, declared: str, kind: str) -> bool:
        """By SQLite's own way of reading a declared type: parts of its words."""
        return any(part in declared.upper() for part in _DECLARED[kind])

    def sample(self, table: Table, columns: Iterable[str]) -> Sequence[Sequence[Any]]:
        """See `Live`."""
        listed = ", ".join(map(quoted, columns))
        sql = f"SELECT {listed} FROM main.{quoted(table.name)} LIMIT {SAMPLE}"  # noqa: S608 -- names of the database itself, quoted
        return self._connection.exec_driver_sql(sql).all()

    def triggers(self, schema: str) -> Iterator[tuple[str, str]]:
        """See `Live`."""
        found = self._connection.exec_driver_sql(
            f"SELECT name, tbl_name FROM {quoted(schema)}.sqlite_master WHERE type = 'trigger'"  # noqa: S608 -- quoted
        )
        yield from ((name, table) for name, table in found.all())

    def barred(self, tables: Collection[str]) -> Iterator[tuple[str, str]]:  # noqa: ARG002 -- the whole file, or none
        """The ledger lies in the file."""
        if not os.access(self._file, os.W_OK):
            yield f"{self._file} cannot be written, and the consent ledger lies in it", f"chmod u+w {self._file}"

    def uneasy(self) -> Iterator[tuple[str, str]]:
        """Nothing."""
        yield from ()


@contextmanager
def opened(file: Path) -> Iterator[Sqlite]:
    """The file, read-only; closed at the end."""
    url = URL.create("sqlite+pysqlite", database=f"file:{quote(str(file))}", query={"mode": "ro", "uri": "true"})
    engine = create_engine(url, poolclass=NullPool)
    try:
        with engine.connect() as connection:
            yield Sqlite(connection, file)
    finally:
        engine.dispose()
