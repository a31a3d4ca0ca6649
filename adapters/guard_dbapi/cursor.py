"""A guarded cursor: rows come out of it batch by batch, each after its register entry."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

import guard_sql
from guard import drive
from guard.effects import Row
from guard.errors import Refused
from guard.facade import Guard
from guard.model import Decision
from guard_dbapi.driver import Driver, Session, Statement
from guard_dbapi.prepared import Prepared, copied, written
from guard_dbapi.unit import Unit

if TYPE_CHECKING:
    from guard_dbapi.connection import GuardedConnection


class GuardedCursor(Prepared):
    """A PEP 249 cursor."""

    __slots__ = ("_batches", "_connection", "_session", "_statement", "_unit")

    def __init__(
        self,
        connection: GuardedConnection,
        session: Session,
        unit: Unit,
        guard: Guard,
        cache: guard_sql.PlanCache,
        behind: Driver,
        *,
        name: str | None = None,
    ) -> None:
        super().__init__(guard, cache, percent=behind.PERCENT, name=name)
        self._connection: Final = connection
        self._session: Final = session
        self._unit: Final = unit
        self._batches: Iterator[list[Row]] = iter(())
        self._statement: Statement | None = None

    @property
    def connection(self) -> GuardedConnection:
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

    @property
    def lastrowid(self) -> int | None:
        """The row id of what the last INSERT wrote (sqlite3), else None."""
        if self._plan is None or self._plan.kind != "insert" or self._statement is None:
            return None
        return self._statement.lastrowid

    def execute(self, sql: str, parameters: Any = None) -> Self:
        """Decides, rewrites and runs one statement.

        When it returns, the first rows of a read are registered and ready; a write is done and registered.
        """
        self._forget()
        self._run(self._planned(sql, parameters), sql, parameters)
        return self

    def executemany(self, sql: str, parameters: Iterable[Any]) -> Self:
        """Runs a statement that writes for each of the parameters: each is an operation of its own."""
        self._forget()
        rows = 0
        for one in parameters:
            plan = self._planned(sql, one)
            self._many(plan)
            self._run(plan, sql, one)
            rows += self.rowcount
        self.rowcount = rows
        return self

    def _run(self, plan: guard_sql.Plan, sql: str, parameters: Any) -> None:
        self._statement = statement = Statement(self._session, name=self._name, writes=plan.writes)
        writing = plan.kind != "select"
        with self._unit.lock:
            self._unit.opening(writing=writing)
            try:
                if writing:
                    self.rowcount = self._write(plan, statement, sql, copied(parameters))
                else:
                    batches = self._read(plan, statement, sql, copied(parameters))
                    self._rows.extend(next(batches, ()))
                    self._batches = self._unit.alone(batches)
                    self._describe(statement)
            finally:
                if statement.parted:
                    statement.settle(keep=False)  # it ended where it stood: nothing of it may be committed
                self._unit.closing()

    def _read(self, plan: guard_sql.Plan, statement: Statement, sql: str, parameters: Any) -> Iterator[list[Row]]:
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
        return drive.drive(begun, statement)

    def _public(self, plan: guard_sql.Plan, statement: Statement, parameters: Any) -> Iterator[list[Row]]:
        """A statement on sources without personal data: checked and rewritten, but no activity."""
        statement.execute(*self._apply(plan, statement, None).bind(parameters, None))
        while rows := statement.fetch(self._guard.settings.limits.batch):
            yield rows

    def _write(self, plan: guard_sql.Plan, statement: Statement, sql: str, parameters: Any) -> int:
        """How many rows it wrote."""
        self._writable(written(plan), sql)
        if plan.public:
            return self._write_public(plan, statement, parameters)
        self._acting = self._guard.current()
        begun = self._guard.roads.write(
            self._acting,
            plan,
            sql,
            parameters,
            lambda decision: self._apply(plan, statement, decision),
            self._unit.transaction,
        )
        return drive.carry_out(begun, statement)

    def _write_public(self, plan: guard_sql.Plan, statement: Statement, parameters: Any) -> int:
        """A write on a source without personal data. A relation may still rest on it."""
        rows = 0
        bound = self._apply(plan, statement, None).bind(parameters, None)
        statement.savepoint()
        statement.execute(*bound)
        while some := statement.fetch(self._guard.settings.limits.batch):
            rows += len(some)
        statement.settle(keep=True)
        self._unit.touched(written(plan))
        return rows

    def _writable(self, source: str, sql: str) -> None:
        """Refuses, and registers it, where the write would change other tables."""
        try:
            self._session.writable(source)
        except Refused as refused:
            refusal = refused
        else:
            return
        raise self._guard.roads.refuse(self._guard.current(), refusal, sql)

    def fetchone(self) -> Row | None:
        """The next row, None at the end."""
        self._within()
        while not self._rows:
            batch = next(self._batches, None)
            if batch is None:
                return None
            self._rows.extend(batch)
        return self._rows.popleft()

    def fetchmany(self, size: int | None = None) -> list[Row]:
        """At most `size` rows (`arraysize` if not given)."""
        wanted = self.arraysize if size is None else size
        return [row for _ in range(wanted) if (row := self.fetchone()) is not None]

    def fetchall(self) -> list[Row]:
        """All rows that are left."""
        self._within()
        for batch in self._batches:
            self._rows.extend(batch)
        rows = list(self._rows)
        self._rows.clear()
        return rows

    def _forget(self) -> None:
        """Nothing of the last statement is left to take."""
        statement, self._statement = self._statement, None
        self._batches = iter(())
        self._clear()
        if statement is not None:
            statement.close()

    def __iter__(self) -> Iterator[Row]:
        return iter(self.fetchone, None)

    def close(self) -> None:
        """Closes it; rows that were not released never are."""
        self._closed = True
        self._forget()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
