"""The driver's connection behind the proxy: runs guarded text, and lets no error text of the database out."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from itertools import islice
from typing import Any, Final, TypeAlias, TypeVar

import guard_sql
from guard.enforce import Row
from guard.errors import Refused
from guard.model import Condition, Facts

T = TypeVar("T")

_CLOSED: Final = "The connection is closed."


Authorizer: TypeAlias = Callable[[int, str | None, str | None, str | None, str | None], int]
"""SQLite's authorizer: action, two names, schema, and the view or trigger that it comes from; 0 allows, 1 denies."""

_TRANSACTION: Final = 22


def nobody(*_: object) -> int:
    """Allows nothing: what reaches the connection past the adapter is refused by the database itself."""
    return sqlite3.SQLITE_DENY


def own(action: int, _first: str | None, second: str | None, _schema: str | None, inner: str | None) -> int:
    """Allows the guard's own questions, which hold no text of the program: reads, and the functions of conditions."""
    allowed = action in (sqlite3.SQLITE_READ, sqlite3.SQLITE_SELECT) or (
        action == sqlite3.SQLITE_FUNCTION and second in guard_sql.FUNCTIONS
    )
    return sqlite3.SQLITE_OK if allowed and inner is None else sqlite3.SQLITE_DENY


def ending(action: int, *_: object) -> int:
    """Allows the end of a transaction."""
    return sqlite3.SQLITE_OK if action == _TRANSACTION else sqlite3.SQLITE_DENY


class Statement:
    """One guarded statement on the connection: a `guard.drive.Database`."""

    __slots__ = ("_left", "_raw", "text", "witness")

    def __init__(self, raw: Raw) -> None:
        self._raw = raw
        self._left: Iterator[Row] = iter(())
        self.text: str | None = None
        """The guarded text that ran, None before."""
        self.witness: Authorizer = nobody
        """What the database may report of the text that runs next."""

    def execute(self, sql: str, parameters: Mapping[str, Any]) -> None:
        """Runs it and takes its rows into memory, so that no read stays open.

        SQLite keeps a snapshot while a cursor is open: the next statement of this connection would see the
        old one, in which a consent withdrawn in between still counts, and without a write-ahead log the
        reader would keep the ledger from recording the withdrawal at all.
        """
        self.text = sql
        bound, most = dict(parameters), self._raw.most
        rows = self._raw.run(lambda connection: _all(connection, sql, bound, most), self.witness)
        if len(rows) > most:
            raise Refused.own("GUARD-LIMIT", f"More than {most} rows; ask for fewer at once.")
        self._left = iter(rows)

    def fetch(self, size: int) -> list[Row]:
        """The next rows."""
        return list(islice(self._left, size))

    def holds(self, source: str, condition: Condition, subjects: tuple[str, ...], facts: Facts) -> set[str]:
        """For whom of `subjects` the condition holds."""
        sql, parameters = guard_sql.holds(self._raw.site, source, condition, subjects, facts)
        rows = self._raw.run(lambda connection: connection.execute(sql, parameters).fetchall(), own)
        return {key for (key,) in rows}


def _all(connection: sqlite3.Connection, sql: str, parameters: dict[str, Any], most: int) -> list[Row]:
    with closing(connection.execute(sql, parameters)) as cursor:
        return cursor.fetchmany(most + 1)


class Raw:
    """The driver's connection; everything that reaches it comes through here."""

    __slots__ = ("_authorizer", "_connection", "_denied", "most", "site")

    def __init__(self, connection: sqlite3.Connection, site: guard_sql.Site, most: int) -> None:
        self._connection: sqlite3.Connection | None = connection
        self.site = site
        self.most = most
        """The most rows of one statement."""
        self._authorizer: Authorizer = nobody
        self._denied = False
        # Met for the first time, json_each is declared in the schema: done here, before nothing of it may be touched.
        connection.execute("SELECT 1 FROM json_each('[]')").close()
        # One authorizer for good: setting one makes SQLite prepare its cached statements anew.
        connection.set_authorizer(self._authorize)

    def _authorize(
        self, action: int, first: str | None, second: str | None, schema: str | None, inner: str | None
    ) -> int:
        answer = self._authorizer(action, first, second, schema, inner)
        self._denied |= answer != sqlite3.SQLITE_OK
        return answer

    def statement(self) -> Statement:
        """Room for one statement."""
        return Statement(self)

    def run(self, work: Callable[[sqlite3.Connection], T], authorizer: Authorizer) -> T:
        """Does the work, as far as the authorizer lets SQLite; a failure comes out as a refusal without its text.

        GUARD-WITNESS where SQLite reads another table, column or function than planned, else GUARD-DATABASE.

        The refusal is raised outside the handler: `raise … from None` would still keep the original in
        `__context__`, with hidden values in its message.
        """
        connection = self._connection
        if connection is None:
            raise Refused.own("GUARD-DATABASE", _CLOSED)
        self._authorizer, self._denied = authorizer, False
        try:
            return work(connection)
        except (sqlite3.Error, OverflowError, UnicodeError, MemoryError):
            pass
        finally:
            self._authorizer = nobody
        raise Refused.own("GUARD-WITNESS" if self._denied else "GUARD-DATABASE")

    def end(self, *, commit: bool) -> None:
        """Ends the transaction."""
        self.run(sqlite3.Connection.commit if commit else sqlite3.Connection.rollback, ending)

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        return self._connection is not None and self._connection.in_transaction

    def close(self) -> None:
        """Closes it; later calls are refused."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
