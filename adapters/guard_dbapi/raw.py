"""The driver's connection behind the proxy: runs guarded text, and lets no error text of the database out."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from typing import Any, Final, TypeVar

import guard_sql
from guard.enforce import Row
from guard.errors import Refused
from guard.model import Condition, Facts

T = TypeVar("T")

_CLOSED: Final = "The connection is closed."


class Statement:
    """One guarded statement on the connection: a `guard.drive.Database`."""

    __slots__ = ("_left", "_raw", "text")

    def __init__(self, raw: Raw) -> None:
        self._raw = raw
        self._left: list[Row] = []
        self.text: str | None = None
        """The guarded text that ran, None before."""

    def execute(self, sql: str, parameters: Mapping[str, Any]) -> None:
        """Runs it and takes its rows into memory, so that no read stays open.

        SQLite keeps a snapshot while a cursor is open: the next statement of this connection would see the
        old one, in which a consent withdrawn in between still counts, and without a write-ahead log the
        reader would keep the ledger from recording the withdrawal at all.
        """
        self.text = sql
        bound, most = dict(parameters), self._raw.most
        self._left = self._raw.run(lambda connection: _all(connection, sql, bound, most))
        if len(self._left) > most:
            self._left = []
            raise Refused.own("GUARD-LIMIT", f"More than {most} rows; ask for fewer at once.")

    def fetch(self, size: int) -> list[Row]:
        """The next rows."""
        rows, self._left = self._left[:size], self._left[size:]
        return rows

    def holds(self, source: str, condition: Condition, subjects: tuple[str, ...], facts: Facts) -> set[str]:
        """For whom of `subjects` the condition holds."""
        sql, parameters = guard_sql.holds(self._raw.site, source, condition, subjects, facts)
        rows = self._raw.run(lambda connection: connection.execute(sql, parameters).fetchall())
        return {key for (key,) in rows}


def _all(connection: sqlite3.Connection, sql: str, parameters: dict[str, Any], most: int) -> list[Row]:
    with closing(connection.execute(sql, parameters)) as cursor:
        return cursor.fetchmany(most + 1)


class Raw:
    """The driver's connection; everything that reaches it comes through here."""

    __slots__ = ("_connection", "most", "site")

    def __init__(self, connection: sqlite3.Connection, site: guard_sql.Site, most: int) -> None:
        self._connection: sqlite3.Connection | None = connection
        self.site = site
        self.most = most
        """The most rows of one statement."""

    def statement(self) -> Statement:
        """Room for one statement."""
        return Statement(self)

    def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Does the work; a failure of the database comes out as GUARD-DATABASE, without its text.

        The refusal is raised outside the handler: `raise … from None` would still keep the original in
        `__context__`, with hidden values in its message.
        """
        connection = self._connection
        if connection is None:
            raise Refused.own("GUARD-DATABASE", _CLOSED)
        try:
            return work(connection)
        except (sqlite3.Error, OverflowError, UnicodeError, MemoryError):
            pass
        raise Refused.own("GUARD-DATABASE")

    def end(self, *, commit: bool) -> None:
        """Ends the transaction."""
        self.run(sqlite3.Connection.commit if commit else sqlite3.Connection.rollback)

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        return self._connection is not None and self._connection.in_transaction

    def close(self) -> None:
        """Closes it; later calls are refused."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
