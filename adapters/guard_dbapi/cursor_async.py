"""A guarded cursor of psycopg's AsyncConnection: what `guard_dbapi.cursor` does, awaited."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, TypeAlias

import guard_sql
from guard import drive
from guard.effects import Row
from guard.errors import Refused
from guard.facade import Guard
from guard.model import Decision
from guard_dbapi.postgres_async import AsyncSession, AsyncStatement
from guard_dbapi.prepared import Prepared, copied, written
from guard_dbapi.unit import AsyncUnit

if TYPE_CHECKING:
    from guard_dbapi.connection_async import AsyncGuardedConnection

Batches: TypeAlias = AsyncIterator[list[Row]]


class AsyncGuardedCursor(Prepared):
    """A cursor whose calls are awaited, as psycopg's are."""

    __slots__ = ("_batches", "_connection", "_session", "_statement", "_unit")

    def __init__(
        self,
        connection: AsyncGuardedConnection,
        session: AsyncSession,
        unit: AsyncUnit,
        guard: Guard,
        cache: guard_sql.PlanCache,
        *,
        name: str | None = None,
    ) -> None:
        super().__init__(guard, cache, percent=True, name=name)
        self._connection: Final = connection
        self._session: Final = session
        self._unit: Final = unit
        self._batches: Batches = _nothing()
        self._statement: AsyncStatement | None = None

    @property
    def connection(self) -> AsyncGuardedConnection:
        """The guarded connection."""
        return self._connection

    @property
    def statement(self) -> str | None:
        """The guarded statement that ran last, without its parameters; None if none did."""
        return None if self._statement is None else self._statement.text

    @property
    def decision(self) -> Decision | None:
        """What policy allowed of the statement that ran last, as it was carried out."""
        return None if self._statement is None else self._statement.decision

    async def execute(self, sql: str, parameters: Any = None) -> Self:
        """Decides, rewrites and runs one statement."""
        await self._forget()
        await self._run(self._planned(sql, parameters), sql, parameters)
        return self

    async def executemany(self, sql: str, parameters: Iterable[Any]) -> Self:
        """Runs a statement that writes for each of the parameters: each is an operation of its own."""
        await self._forget()
        rows = 0
        for one in parameters:
            plan = self._planned(sql, one)
            self._many(plan)
            await self._run(plan, sql, one)
            rows += self.rowcount
        self.rowcount = rows
        return self

    async def _run(self, plan: guard_sql.Plan, sql: str, parameters: Any) -> None:
        self._statement = statement = AsyncStatement(self._session, name=self._name)
        writing = plan.kind != "select"
        async with self._unit.lock:
            self._unit.opening(writing=writing)
            try:
                if writing:
                    self.rowcount = await self._write(plan, statement, sql, copied(parameters))
                else:
                    batches = self._read(plan, statement, sql, copied(parameters))
                    self._rows.extend(await anext(batches, ()))
                    self._batches = self._unit.alone(batches)
                    self._describe(statement)
            finally:
                if statement.parted:
                    await self._session.abandon()  # it ended where it stood: nothing of it may be committed
                self._unit.closing()

    def _read(self, plan: guard_sql.Plan, statement: AsyncStatement, sql: str, parameters: Any) -> Batches:
        if plan.public:
            return self._public(plan, statement, parameters)
        self._acting = self._guard.current()
        begun = self._guard.roads.read(
            self._acting,
            plan,
            sql,
            parameters,
            lambda decision: self._apply(plan, statement, decision),
            self._unit.transaction,
        )
        return drive.drive_async(begun, statement)

    async def _public(self, plan: guard_sql.Plan, statement: AsyncStatement, parameters: Any) -> Batches:
        """A statement on sources without personal data: checked and rewritten, but no activity."""
        await statement.execute(*self._apply(plan, statement, None).bind(parameters, None))
        while rows := await statement.fetch(self._guard.settings.limits.batch):
            yield rows

    async def _write(self, plan: guard_sql.Plan, statement: AsyncStatement, sql: str, parameters: Any) -> int:
        """How many rows it wrote."""
        await self._writable(written(plan), sql)
        if plan.public:
            return await self._write_public(plan, statement, parameters)
        self._acting = self._guard.current()
        begun = self._guard.roads.write(
            self._acting,
            plan,
            sql,
            parameters,
            lambda decision: self._apply(plan, statement, decision),
            self._unit.transaction,
        )
        return await drive.carry_out_async(begun, statement)

    async def _write_public(self, plan: guard_sql.Plan, statement: AsyncStatement, parameters: Any) -> int:
        """A write on a source without personal data. A relation may still rest on it."""
        rows = 0
        bound = self._apply(plan, statement, None).bind(parameters, None)
        await statement.savepoint()
        await statement.execute(*bound)
        while some := await statement.fetch(self._guard.settings.limits.batch):
            rows += len(some)
        await statement.settle(keep=True)
        self._unit.touched(written(plan))
        return rows

    async def _writable(self, source: str, sql: str) -> None:
        """Refuses, and registers it, where the write would change other tables."""
        try:
            await self._session.writable(source)
        except Refused as refused:
            refusal = refused
        else:
            return
        raise self._guard.roads.refuse(self._guard.current(), refusal, sql)

    async def fetchone(self) -> Row | None:
        """The next row, None at the end."""
        self._within()
        while not self._rows:
            batch = await anext(self._batches, None)
            if batch is None:
                return None
            self._rows.extend(batch)
        return self._rows.popleft()

    async def fetchmany(self, size: int | None = None) -> list[Row]:
        """At most `size` rows (`arraysize` if not given)."""
        wanted = self.arraysize if size is None else size
        return [row for _ in range(wanted) if (row := await self.fetchone()) is not None]

    async def fetchall(self) -> list[Row]:
        """All rows that are left."""
        self._within()
        async for batch in self._batches:
            self._rows.extend(batch)
        rows = list(self._rows)
        self._rows.clear()
        return rows

    async def _forget(self) -> None:
        """Nothing of the last statement is left to take."""
        statement, self._statement = self._statement, None
        self._batches = _nothing()
        self._clear()
        if statement is not None:
            await statement.close()

    async def __aiter__(self) -> AsyncIterator[Row]:
        while (row := await self.fetchone()) is not None:
            yield row

    async def close(self) -> None:
        """Closes it; rows that were not released never are."""
        self._closed = True
        await self._forget()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


async def _nothing() -> Batches:
    return
    yield []
