"""The driver's connection behind the proxy: runs guarded text, and lets no error text of the database out."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

import guard_sql
from guard.enforce import Row
from guard.errors import Refused
from guard.model import Condition, Facts

T = TypeVar("T")

_CLOSED: Final = "The connection is closed."


class Statement:
    """One guarded statement on the connection: a `guard.drive.Database`."""

    __slots__ = ("_cursor", "_raw", "_rest", "text")

    def __init__(self, raw: Raw) -> None:
        self._raw = raw
        self._cursor: sqlite3.Cursor | None = None
        self._rest: list[Row] | None = None
        self.text: str | None = None
        """The guarded text that ran, None before."""

    def execute(self, sql: str, parameters: Mapping[str, Any]) -> None:
        """Runs it. An older statement that was not fetched to its end is taken into memory first."""
        self._raw.settle(self)
        self.text = sql
        self._cursor = self._raw.run(lambda connection: connection.execute(sql, dict(parameters)))

    def fetch(self, size: int) -> list[Row]:
        """The next rows."""
        if self._rest is not None:
            rows, self._rest = self._rest[:size], self._rest[size:]
            return rows
        cursor = self._cursor
        if cursor is None:
            return []
        return self._raw.run(lambda _: cursor.fetchmany(size))

    def holds(self, source: str, condition: Condition, subjects: tuple[str, ...], facts: Facts) -> set[str]:
        """For whom of `subjects` a row of the source fulfils the condition."""
        sql, parameters = guard_sql.holds(self._raw.site, source, condition, subjects, facts)
        rows = self._raw.run(lambda connection: connection.execute(sql, parameters).fetchall())
        return {key for (key,) in rows}

    def settle(self) -> None:
        """Takes what is left into memory and ends the read: SQLite keeps its snapshot while it is open.

        The next statement of this connection would otherwise see the old one, and a consent withdrawn in
        between would still count.
        """
        if self._cursor is not None and self._rest is None:
            cursor = self._cursor
            self._rest = self._raw.run(lambda _: cursor.fetchall())
            cursor.close()


class Raw:
    """The driver's connection; everything that reaches it comes through here."""

    __slots__ = ("_connection", "_latest", "site")

    def __init__(self, connection: sqlite3.Connection, site: guard_sql.Site) -> None:
        self._connection: sqlite3.Connection | None = connection
        self._latest: Statement | None = None
        self.site = site

    def statement(self) -> Statement:
        """Room for one statement."""
        return Statement(self)

    def settle(self, statement: Statement) -> None:
        """Ends the read of the statement before this one."""
        if self._latest is not None and self._latest is not statement:
            self._latest.settle()
        self._latest = statement

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
        except (sqlite3.Error, OverflowError, UnicodeError):
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
