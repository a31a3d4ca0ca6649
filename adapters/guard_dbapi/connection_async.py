"""A guarded AsyncConnection: `connect = guard_dbapi.wrap_async(psycopg.AsyncConnection.connect, guard)`.

The ledger is asked in place; while an entry is made durable the event loop goes on.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, Final, Self

import guard_sql
from guard.errors import Misuse, Refused
from guard.facade import Guard
from guard_dbapi import postgres_async
from guard_dbapi.cursor_async import AsyncGuardedCursor
from guard_dbapi.driver import driver, site_of
from guard_dbapi.postgres_async import AsyncSession
from guard_dbapi.unit import AsyncUnit


def wrap_async(
    connect: Callable[..., Awaitable[Any]], guard: Guard
) -> Callable[..., Awaitable[AsyncGuardedConnection]]:
    """The `connect` of psycopg's AsyncConnection, guarded: await it as before. Raises what `wrap` does."""
    if not callable(connect) or not isinstance(guard, Guard):
        raise Misuse("wrap_async takes psycopg.AsyncConnection.connect and then the Guard.")
    if guard.settings.database.dialect != "postgres":
        raise Misuse(f"guard.yaml says that the database is {guard.settings.database.dialect!r}, not 'postgres'.")
    behind = driver("postgres")
    site = site_of(guard)
    cache = guard_sql.PlanCache(site, size=guard.settings.limits.plans)

    async def guarded(*args: Any, **keywords: Any) -> AsyncGuardedConnection:
        behind.arguments(args, keywords)
        session = await postgres_async.take(await connect(*args, **keywords), guard, site)
        return AsyncGuardedConnection(session, guard, cache)

    return guarded


class AsyncGuardedConnection:
    """A connection whose statements are decided, rewritten and registered; an allow-list, as the other one."""

    __slots__ = ("_cache", "_guard", "_session", "_unit")

    def __init__(self, session: AsyncSession, guard: Guard, cache: guard_sql.PlanCache) -> None:
        self._session: Final = session
        self._unit: Final = AsyncUnit(session, guard)
        self._guard: Final = guard
        self._cache: Final = cache

    def cursor(self, name: str | None = None) -> AsyncGuardedCursor:
        """A new cursor. With a name it is one of the server: its rows are fetched as they are taken."""
        return AsyncGuardedCursor(self, self._session, self._unit, self._guard, self._cache, name=name)

    async def execute(self, sql: str, parameters: Any = None) -> AsyncGuardedCursor:
        """A new cursor on which the statement was executed."""
        return await self.cursor().execute(sql, parameters)

    async def executemany(self, sql: str, parameters: Iterable[Any]) -> AsyncGuardedCursor:
        """A new cursor on which the statement was executed for each of the parameters."""
        return await self.cursor().executemany(sql, parameters)

    async def commit(self) -> None:
        """Commits; the database's own error text does not come out."""
        self._unit.free()
        await self._unit.end(commit=True)

    async def rollback(self) -> None:
        """Rolls back."""
        self._unit.free()
        await self._unit.end(commit=False)

    def transaction(self) -> AbstractAsyncContextManager[None]:
        """`async with connection.transaction():` is a transaction, within one a savepoint."""
        return self._unit.block()

    async def close(self) -> None:
        """Closes the connection and what was not fetched from it."""
        await self._unit.close()

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self._session.closed

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        return self._session.in_transaction

    @property
    def isolation_level(self) -> Any:
        """How the driver begins transactions; guard never changes it."""
        return self._session.mode("isolation_level")

    @property
    def autocommit(self) -> Any:
        """Whether each statement is a transaction of its own."""
        return self._session.mode("autocommit")

    @property
    def read_only(self) -> Any:
        """Whether transactions may write."""
        return self._session.mode("read_only")

    async def set_isolation_level(self, value: Any) -> None:
        """Sets it, outside a transaction."""
        await self._session.set_mode("isolation_level", value)

    async def set_autocommit(self, value: Any) -> None:
        """Sets it, outside a transaction."""
        await self._session.set_mode("autocommit", value)

    async def set_read_only(self, value: Any) -> None:
        """Sets it, outside a transaction."""
        await self._session.set_mode("read_only", value)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session.closed:
            return
        try:
            await self._unit.end(commit=kind is None)
        except Refused:
            if kind is None:
                raise
        await self.close()
