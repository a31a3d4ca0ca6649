"""A guarded cursor: rows come out of it batch by batch, each after its register entry."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import guard_sql
from guard.context import Acting
from guard.enforce import Row
from guard.errors import Misuse, Refused
from guard.facade import Guard
from guard.model import Decision, Item
from guard.transaction import Transaction
from guard_dbapi.driver import Driver, Session, Statement

if TYPE_CHECKING:
    from guard_dbapi.connection import GuardedConnection


class Column(NamedTuple):
    """A visible column, as PEP 249 describes one; the guard knows its name only."""

    name: str
    type_code: None = None
    display_size: None = None
    internal_size: None = None
    precision: None = None
    scale: None = None
    null_ok: None = None


class GuardedCursor:
    """A PEP 249 cursor.

    `description` names the columns that the caller may see. `rowcount` is -1 after a read: how many rows there
    are is known when the last was released.
    """

    __slots__ = (
        "_acting",
        "_batches",
        "_cache",
        "_closed",
        "_connection",
        "_description",
        "_driver",
        "_guard",
        "_name",
        "_plan",
        "_rows",
        "_session",
        "_statement",
        "arraysize",
        "rowcount",
    )

    def __init__(
        self,
        connection: GuardedConnection,
        session: Session,
        guard: Guard,
        cache: guard_sql.PlanCache,
        behind: Driver,
        *,
        name: str | None = None,
    ) -> None:
        self._connection = connection
        self._session = session
        self._guard = guard
        self._cache = cache
        self._driver = behind
        self._name = name
        self._batches: Iterator[list[Row]] = iter(())
        self._rows: deque[Row] = deque()
        self._description: tuple[Column, ...] | None = None
        self._statement: Statement | None = None
        self._plan: guard_sql.Plan | None = None
        self._acting: Acting | None = None
        self._closed = False
        self.arraysize = 1
        self.rowcount = -1

    @property
    def connection(self) -> GuardedConnection:
        """The guarded connection."""
        return self._connection

    @property
    def name(self) -> str | None:
        """The name of a server-side cursor."""
        return self._name

    @property
    def description(self) -> tuple[Column, ...] | None:
        """One 7-tuple a visible column, the name first; None before a statement and after a write."""
        return self._description

    @property
    def statement(self) -> str | None:
        """The guarded statement that ran last, without its parameters; None if none did."""
        return None if self._statement is None else self._statement.text

    @property
    def items(self) -> tuple[Item, ...]:
        """What the statement touches, as policy was asked about it; empty where it could not be read."""
        return () if self._plan is None else self._plan.items

    @property
    def decision(self) -> Decision | None:
        """What policy allowed of the statement that ran last, as it was carried out."""
        return None if self._statement is None else self._statement.decision

    def execute(self, sql: str, parameters: Any = None) -> Self:
        """Decides, rewrites and runs one statement; the first rows are registered and ready when it returns."""
        if self._closed:
            raise Misuse("This cursor is closed; take a new one from the connection.")
        self._forget()
        try:
            plan = self._cache.plan(sql)
        except Refused as refused:
            refusal = refused
        else:
            self._plan = plan
            self._start(plan, sql, _copied(parameters))
            return self
        raise self._guard.refuse(self._guard.current(), refusal, sql)

    def _start(self, plan: guard_sql.Plan, sql: str, parameters: Any) -> None:
        self._statement = statement = Statement(self._session, name=self._name)
        columns: tuple[str, ...] = ()

        def apply(decision: Decision | None) -> guard_sql.Guarded:
            nonlocal columns
            guarded = self._cache.apply(plan, decision)
            columns = guarded.columns
            statement.guarded, statement.decision = guarded, decision
            return guarded

        if plan.public:
            self._batches = self._public(apply(None), statement, parameters)
        else:
            self._acting = self._guard.current()
            self._batches = self._guard.read(
                self._acting, plan, sql, parameters, statement, apply, transaction=Transaction()
            )
        self._rows.extend(next(self._batches, ()))
        self._description = tuple(Column(name) for name in columns)

    def _public(self, guarded: guard_sql.Guarded, statement: Statement, parameters: Any) -> Iterator[list[Row]]:
        """A statement on sources without personal data: checked and rewritten, but no activity."""
        statement.execute(*guarded.bind(parameters, None))
        while rows := statement.fetch(self._guard.settings.limits.batch):
            yield rows

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

    def _within(self) -> None:
        """Rows are taken in the context that they were read in."""
        if self._acting is not None and not self._acting.open:
            self._rows.clear()
            raise Refused.own("GUARD-CONTEXT", "It closed before all rows were taken; take them inside it.")

    def _forget(self) -> None:
        """Nothing of the last statement is left to take."""
        if self._statement is not None:
            self._statement.close()
        self._rows.clear()
        self._batches = iter(())
        self._description = None
        self._statement = self._plan = None
        self._acting = None
        self.rowcount = -1

    def __iter__(self) -> Iterator[Row]:
        return iter(self.fetchone, None)

    def executemany(self, *_: Any) -> Self:
        """Refused: statements that write are not built yet."""
        raise Refused.own("GUARD-PROXY", "executemany is not built; execute one SELECT at a time.")

    def setinputsizes(self, *_: Any) -> None:
        """Does nothing, as PEP 249 lets it."""

    def setoutputsize(self, *_: Any) -> None:
        """Does nothing, as PEP 249 lets it."""

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


def _copied(parameters: Any) -> Any:
    """The parameters as they are now: the caller's list may change while rows are still being registered."""
    if type(parameters) in (list, tuple):
        return tuple(parameters)
    return dict(parameters) if type(parameters) is dict else parameters
