"""The same for an async engine: every call runs on the connection's own thread, and the event loop goes on.

SQLAlchemy's async engines run their dialect in a greenlet that may wait. aiosqlite keeps a thread for each
connection; here that thread also waits for the register, so one road serves both colours, whatever the driver
(`sqlite+aiosqlite`, `postgresql+psycopg`).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from typing import Any, Final, Self, TypeVar

from sqlalchemy.util import await_only
from sqlalchemy.util.concurrency import in_greenlet

from guard.effects import Row
from guard.errors import Refused
from guard.facade import Guard
from guard_sqlalchemy.link import Link, LinkCursor

T = TypeVar("T")


def _waited(thread: ThreadPoolExecutor, work: Callable[[], T]) -> T:
    """What the work gives, in the caller's context: who acts is known on the thread too."""
    future = asyncio.get_running_loop().run_in_executor(thread, copy_context().run, work)
    made: T = await_only(future)
    return made


class AwaitedLink:
    """A guarded connection of an async engine."""

    __slots__ = ("_link", "_thread")

    def __init__(self, opening: Callable[[], Link]) -> None:
        self._thread: Final = ThreadPoolExecutor(1, thread_name_prefix="guard-connection")
        opened: list[Link] = []

        def work() -> Link:
            opened.append(opening())
            return opened[0]

        def close() -> None:
            for one in opened:
                one.close()

        try:
            self._link: Final = self._wait(work)
        except BaseException:
            # Who is cancelled meanwhile cannot wait for the thread, which closes what it has opened by then.
            self._thread.submit(close)
            self._thread.shutdown(wait=False)
            raise

    def _wait(self, work: Callable[[], T]) -> T:
        return _waited(self._thread, work)

    def of(self, guard: Guard) -> bool:
        """Whether it belongs to this guard."""
        return self._link.of(guard)

    @property
    def dialect(self) -> str:
        """The dialect of the database behind it."""
        return self._link.dialect

    def cursor(self, name: str | None = None, *, server_side: bool = False) -> AwaitedCursor:
        """A new cursor: its rows are taken at once, unless it is to stream."""
        return AwaitedCursor(self, self._link.cursor(name), self._thread, server_side=server_side or name is not None)

    def commit(self) -> None:
        """Commits."""
        self._wait(self._link.commit)

    def rollback(self) -> None:
        """Rolls back."""
        self._wait(self._link.rollback)

    def ping(self) -> bool:
        """Whether the database still answers."""
        return self._wait(self._link.ping)

    def close(self) -> None:
        """Closes the connection, and its thread."""
        try:
            if in_greenlet():
                with suppress(RuntimeError):  # its thread has ended: it was closed before
                    self._wait(self._link.close)
        finally:
            self.terminate()  # who is cancelled before the thread came to it closes it all the same

    def terminate(self) -> None:
        """Closes it as soon as its thread is free, without waiting: also where nobody can wait."""
        with suppress(RuntimeError):
            self._thread.submit(self._link.close)
        self._thread.shutdown(wait=False)

    @property
    def closed(self) -> bool:
        """Whether it was closed, or broke."""
        return self._link.closed

    broken = closed

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        return self._link.in_transaction

    @property
    def driver_connection(self) -> Self:
        """Itself."""
        return self

    def _set(self, name: str, value: Any) -> None:
        self._wait(lambda: setattr(self._link, name, value))

    @property
    def isolation_level(self) -> Any:
        """How the driver begins transactions."""
        return self._link.isolation_level

    @isolation_level.setter
    def isolation_level(self, value: Any) -> None:
        self._set("isolation_level", value)

    @property
    def autocommit(self) -> Any:
        """Whether each statement is a transaction of its own."""
        return self._link.autocommit

    @autocommit.setter
    def autocommit(self, value: Any) -> None:
        self._set("autocommit", value)

    @property
    def read_only(self) -> Any:
        """Whether transactions may write (psycopg)."""
        return self._link.read_only

    @property
    def deferrable(self) -> Any:
        """Whether transactions wait for a safe snapshot (psycopg)."""
        return self._link.deferrable

    def set_isolation_level(self, value: Any) -> None:
        """Sets `isolation_level`."""
        self._set("isolation_level", value)

    def set_autocommit(self, value: Any) -> None:
        """Sets `autocommit`."""
        self._set("autocommit", value)

    def set_read_only(self, value: Any) -> None:
        """Sets `read_only`."""
        self._set("read_only", value)

    def set_deferrable(self, value: Any) -> None:
        """Sets `deferrable`."""
        self._set("deferrable", value)

    def add_notice_handler(self, *_: Any) -> None:
        """Does nothing: nobody hears what a trigger says."""

    def create_function(self, *given: Any, **more: Any) -> None:
        """As `Link.create_function`."""
        self._link.create_function(*given, **more)

    def xid(self, *_: Any) -> Any:
        """As `Link.xid`."""
        return self._link.xid()

    tpc_begin = tpc_prepare = tpc_commit = tpc_rollback = tpc_recover = xid


class AwaitedCursor:
    """A guarded cursor of an async engine.

    The rows of one that does not stream are all released when `execute` returns, since SQLAlchemy hands them out
    where nobody can wait.
    """

    __slots__ = ("_cursor", "_link", "_rows", "_thread", "arraysize", "server_side")

    def __init__(self, link: AwaitedLink, cursor: LinkCursor, thread: ThreadPoolExecutor, *, server_side: bool) -> None:
        self._link: Final = link
        self._cursor: Final = cursor
        self._thread: Final = thread
        self._rows: deque[Row] = deque()
        self.server_side: Final = server_side
        self.arraysize = 1

    @property
    def connection(self) -> AwaitedLink:
        """The guarded connection."""
        return self._link

    @property
    def description(self) -> Any:
        """The visible columns."""
        return self._cursor.description

    @property
    def rowcount(self) -> int:
        """How many rows a write wrote, else -1."""
        return self._cursor.rowcount

    @property
    def lastrowid(self) -> int | None:
        """The row id of what the last INSERT wrote (SQLite)."""
        return self._cursor.lastrowid

    def execute(self, sql: str, parameters: Any = None) -> Self:
        """Decides, rewrites and runs one statement."""

        def work() -> list[Row]:
            self._cursor.execute(sql, parameters)
            return [] if self.server_side else self._cursor.fetchall()

        self._rows.clear()
        self._rows.extend(_waited(self._thread, work))
        return self

    def executemany(self, sql: str, parameters: Iterable[Any]) -> Self:
        """Runs a statement that writes for each of the parameters."""
        self._rows.clear()
        _waited(self._thread, lambda: self._cursor.executemany(sql, parameters))
        return self

    def fetchone(self) -> Row | None:
        """The next row, None at the end."""
        if self.server_side:
            return _waited(self._thread, self._cursor.fetchone)
        return self._rows.popleft() if self._rows else None

    def fetchmany(self, size: int | None = None) -> list[Row]:
        """At most `size` rows (`arraysize` if not given)."""
        wanted = self.arraysize if size is None else size
        if self.server_side:
            return _waited(self._thread, lambda: self._cursor.fetchmany(wanted))
        return [self._rows.popleft() for _ in range(min(wanted, len(self._rows)))]

    def fetchall(self) -> list[Row]:
        """All rows that are left."""
        if self.server_side:
            return _waited(self._thread, self._cursor.fetchall)
        rows = list(self._rows)
        self._rows.clear()
        return rows

    def setinputsizes(self, *_: Any) -> None:
        """Does nothing, as PEP 249 lets it."""

    def close(self) -> None:
        """Closes it; rows that were not released never are. The thread does it when it is free."""
        self._rows.clear()
        with suppress(RuntimeError, Refused):
            self._thread.submit(self._cursor.close)

    async def _async_soft_close(self) -> None:
        """SQLAlchemy's: nothing is left to wait for."""
