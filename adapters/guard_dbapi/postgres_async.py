"""psycopg's AsyncConnection behind the seam: what `guard_dbapi.postgres` does, awaited."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from itertools import islice
from typing import Any, Protocol, TypeAlias, TypeVar

import psycopg
from psycopg.rows import tuple_row

import guard_sql
from guard.effects import Row, Values
from guard.errors import Misuse, Refused
from guard.facade import Guard
from guard.model import Condition, Decision, Facts
from guard_dbapi import talk
from guard_dbapi.driver import bounded
from guard_dbapi.postgres import State, declared, portal, preparable, quiet, why
from guard_sql import paramstyle

T = TypeVar("T")
Connection: TypeAlias = "psycopg.AsyncConnection[Any]"


async def take(raw: Connection, guard: Guard, site: guard_sql.Site) -> AsyncSession:
    """Takes a connection; it is closed, and Misuse raised, where it leads to another database than the ledger's."""
    if not isinstance(raw, psycopg.AsyncConnection):
        raise Misuse("wrap_async takes the connect function of psycopg.AsyncConnection.")
    session = AsyncSession(raw, site, guard.settings.limits.buffered)
    try:
        await session.prepare(guard)
    except BaseException:
        await session.close()
        raise
    return session


class AsyncSession(State):
    """A connection of psycopg. One statement runs on it at a time."""

    def __init__(self, raw: Connection, site: guard_sql.Site, most: int) -> None:
        super().__init__(raw, site, most)
        self._lock = asyncio.Lock()
        self._cursor: psycopg.AsyncRawCursor[Row] | None = None

    async def work(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """Does the work; a failure comes out as a refusal without its text, raised outside the handler."""
        async with self._lock:
            raw: Connection | None = self._raw
            if raw is None:
                raise Refused.own("GUARD-DATABASE", talk.CLOSED)
            try:
                return await work(raw)
            except Exception as error:  # noqa: BLE001 -- what fails to load a value may repeat it, whatever it raises
                detail = why(raw, error)
        raise Refused.own("GUARD-DATABASE", detail)

    async def prepare(self, guard: Guard) -> None:
        """Pins the session's settings, for good: outside a transaction, which could be rolled back."""
        raw: Connection = self._raw
        quiet(raw)
        autocommit = raw.autocommit
        await self.work(lambda raw: raw.set_autocommit(True))
        await self._talk(talk.taken(guard, self.site))
        await self.work(lambda raw: raw.set_autocommit(autocommit))

    async def _talk(self, talking: talk.Talk) -> None:
        """Walks an exchange."""
        try:
            ask = next(talking)
            while True:
                ask = talking.send(await self.rows(ask.sql, ask.parameters))
        except StopIteration:
            return

    async def rows(self, sql: str | bytes, values: Values = (), most: int | None = None) -> list[Row]:
        """The rows of one text with `$1` …, at most so many."""
        return await self.work(lambda raw: self._all(raw, sql, values, most))

    async def _all(self, raw: Connection, sql: str | bytes, values: Values = (), most: int | None = None) -> list[Row]:
        cursor = self._cursor
        if cursor is None:
            cursor = self._cursor = psycopg.AsyncRawCursor(raw, row_factory=tuple_row)
        await cursor.execute(sql if isinstance(sql, bytes) else sql.encode(), values, prepare=preparable(values))
        if cursor.description is None:
            return []
        return await (cursor.fetchall() if most is None else cursor.fetchmany(most))

    async def run(
        self, sql: str, parameters: Values, guarded: guard_sql.Guarded, *, name: str | None = None
    ) -> AsyncResult:
        """Runs it; without a name its rows are taken into memory."""
        sent, most = talk.witnessed(sql, guarded), self._most
        if name is not None:
            made = declared(name, sql)
            self._declarable()
            await self.rows(made, parameters)
            return Portal(self, name)
        return Taken(bounded(await self.rows(sent, parameters, most + 1), most))

    async def holds(self, source: str, condition: Condition, subjects: tuple[str, ...], facts: Facts) -> set[str]:
        """For whom of `subjects` the condition holds."""
        sql, parameters = guard_sql.holds(self.site, source, condition, subjects, facts)
        rows = await self.rows(paramstyle.numbered(sql, tuple(parameters)), tuple(parameters.values()))
        return {key for (key,) in rows}

    async def writable(self, source: str) -> None:
        """Asks once for the triggers, rules and foreign keys of the table that this source is."""
        if source not in self._written:
            await self._talk(talk.effects(self.site, source))
            self._written.add(source)

    async def start(self) -> None:
        """BEGIN in autocommit; else psycopg does it with the first text."""
        if self.mode("autocommit"):
            await self.rows("BEGIN")

    async def control(self, sql: str) -> None:
        """Runs a text about savepoints."""
        await self.rows(sql)

    async def savepoint(self) -> None:
        """A savepoint; in autocommit a transaction of its own."""
        await self.work(lambda raw: self._all(raw, self._parting(raw)))

    async def settle(self, *, keep: bool) -> None:
        """Releases or undoes it."""

        async def work(raw: Connection) -> None:
            for text in self._settling(raw, keep=keep):
                await self._all(raw, text)

        try:
            await self.work(work)
        except Refused as refused:
            refusal = refused
        else:
            return
        if not keep:
            await self.close()  # the database undoes it
        raise refusal

    async def end(self, *, commit: bool) -> bool:
        """Ends the transaction; whether it was committed."""
        whole = self._whole()
        self.era += 1
        await self.work(lambda raw: raw.commit() if commit else raw.rollback())
        return commit and whole

    async def abandon(self) -> None:
        """Ends the connection where it stands, without waiting: the database undoes what was not committed."""
        raw, self._raw = self._raw, None
        self.era += 1
        if raw is not None:
            raw.pgconn.finish()

    async def set_mode(self, name: str, value: Any) -> None:
        """Sets a mode outside a transaction."""
        self.settable(name)
        await self.work(lambda raw: getattr(raw, f"set_{name}")(value))

    async def close(self) -> None:
        """Closes it."""
        raw, self._raw = self._raw, None
        self.era += 1
        if raw is not None:
            await raw.close()


class AsyncResult(Protocol):
    """Rows as they are asked for."""

    async def take(self, size: int) -> list[Row]:
        """The next rows."""
        ...

    async def close(self) -> None:
        """Ends it before its last row."""


class Taken:
    """Rows that were taken into memory."""

    def __init__(self, rows: Sequence[Row] = ()) -> None:
        self._left = iter(rows)

    async def take(self, size: int) -> list[Row]:
        """The next rows."""
        return list(islice(self._left, size))

    async def close(self) -> None:
        """Nothing is open."""


class Portal:
    """A cursor of the server, of one transaction."""

    def __init__(self, session: AsyncSession, name: str) -> None:
        self._session = session
        self._name = portal(name)
        self._era = session.era
        self._ended = False

    async def take(self, size: int) -> list[Row]:
        """The next rows."""
        if self._era != self._session.era:
            raise Refused.own("GUARD-DATABASE", talk.ENDED)
        if self._ended:
            return []
        rows = await self._session.rows(f"FETCH FORWARD {int(size)} FROM {self._name}")
        if not rows:
            await self.close()
        return rows

    async def close(self) -> None:
        """Closes it, if its transaction still lives."""
        if self._ended or self._era != self._session.era:
            return
        self._ended = True
        if self._session.sound:
            await self._session.rows(f"CLOSE {self._name}")


class AsyncStatement:
    """One guarded statement on a session, for the asynchronous driver of `guard`."""

    def __init__(self, session: AsyncSession, *, name: str | None = None) -> None:
        self._session = session
        self._name = name
        self.result: AsyncResult = Taken()
        self.text: str | None = None
        self.decision: Decision | None = None
        self.guarded: guard_sql.Guarded | None = None
        self.parted = False
        """Whether a savepoint was neither kept nor undone yet."""

    async def execute(self, sql: str, parameters: Values) -> None:
        """Runs it."""
        if self.guarded is None:
            raise Misuse("A statement runs once it is guarded.")
        self.text = sql
        self.result = await self._session.run(sql, parameters, self.guarded, name=self._name)

    async def fetch(self, size: int) -> list[Row]:
        """The next rows."""
        return await self.result.take(size)

    async def holds(self, source: str, condition: Condition, subjects: tuple[str, ...], facts: Facts) -> set[str]:
        """For whom of `subjects` the condition holds."""
        return await self._session.holds(source, condition, subjects, facts)

    async def savepoint(self) -> None:
        """Begins what can be undone alone."""
        self.parted = True  # before it is: who is cancelled meanwhile leaves nothing open
        try:
            await self._session.savepoint()
        except Refused:
            self.parted = False
            raise

    async def settle(self, keep: bool) -> None:
        """Keeps or undoes it."""
        await self._session.settle(keep=keep)
        self.parted = False

    async def close(self) -> None:
        """Rows that were not taken never are."""
        await self.result.close()
