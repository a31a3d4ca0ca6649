"""The transaction of one guarded connection: what the guard keeps of it beside what the driver keeps.

Before the first statement of a transaction it takes the ledger's mark, so that later statements can be asked who
withdrew since; when the transaction ends it registers what became of the writes in it.
"""

from __future__ import annotations

from asyncio import Lock
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from threading import RLock
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from guard.errors import Misuse, Refused
from guard.facade import Guard
from guard.transaction import Transaction
from guard_dbapi.driver import Session

if TYPE_CHECKING:
    from guard_dbapi.postgres_async import AsyncSession


T = TypeVar("T")


class State(Protocol):
    """What a session, sync or async, knows without asking the database."""

    def outlives(self, *, writing: bool) -> bool: ...  # noqa: D102 -- as in Session
    @property
    def in_transaction(self) -> bool: ...  # noqa: D102
    @property
    def closed(self) -> bool: ...  # noqa: D102


class Kept:
    """What is kept, and when it begins and ends. `Unit` and its asynchronous twin tell it what the driver did."""

    def __init__(self, state: State, guard: Guard) -> None:
        self._state: Final = state
        self._guard: Final = guard
        self._depth = 0
        """How many `with connection.transaction()` are open."""
        self.transaction: Final = Transaction()

    def opening(self, *, writing: bool) -> None:
        """Before a statement: takes the mark if it is the first of a transaction."""
        if self.transaction.mark is None and self._state.outlives(writing=writing):
            self.transaction.begin(self._guard.roads.mark())

    def closing(self) -> None:
        """After a statement: what the database rolled back by itself is known as that."""
        if self.transaction.mark is not None and not self._state.in_transaction:
            self.ended(committed=False)

    def free(self) -> None:
        """Misuse within `with connection.transaction()`, which ends as its body does."""
        if self._depth:
            raise Misuse("The transaction ends with its block.")

    def begun(self) -> None:
        """Before a transaction is opened by name."""
        if self.transaction.mark is None:
            self.transaction.begin(self._guard.roads.mark())

    def undone(self, point: int) -> None:
        """What was written since this point was undone."""
        self._guard.roads.settled(self.transaction.undone(point))

    def touched(self, source: str) -> None:
        """A source without personal data was written: a relation may rest on it."""
        self.transaction.touched(source)

    def ended(self, *, committed: bool) -> None:
        """The transaction is over."""
        self._guard.roads.settled(self.transaction.ended(committed))

    def failed(self, *, commit: bool) -> None:
        """It could not be ended as was asked."""
        if self._state.closed and commit:
            # Nobody knows what became of it. An outcome that is missing reads as done.
            self.transaction.ended(committed=True)
        elif self._state.closed or not self._state.in_transaction:
            self.ended(committed=False)


class Unit(Kept):
    """One for each connection. `lock` is held while a statement runs, or a transaction begins or ends.

    Between a write and the check of what it wrote nothing else may happen on the connection: another thread's commit
    would make it stay.
    """

    def __init__(self, session: Session, guard: Guard) -> None:
        super().__init__(session, guard)
        self._session: Final = session
        self.lock: Final = RLock()

    def alone(self, batches: Iterator[T]) -> Iterator[T]:
        """The batches, each taken while nothing else happens on the connection."""
        while True:
            with self.lock:
                batch = next(batches, None)
            if batch is None:
                return
            yield batch

    def end(self, *, commit: bool) -> None:
        """Commits or rolls back, and registers what became of each write."""
        with self.lock:
            try:
                committed = self._session.end(commit=commit)
            except Refused as refused:
                refusal = refused
            except BaseException:  # nobody knows whether the database heard of it before
                self._session.close()
                self.failed(commit=commit)
                raise
            else:
                self.ended(committed=committed)
                return
            self.failed(commit=commit)
        raise refusal

    @contextmanager
    def block(self) -> Iterator[None]:
        """A transaction, or a savepoint where one is open: kept if the body ends, undone if it raises."""
        with self.lock:
            outermost, name = self._depth == 0 and not self._state.in_transaction, f"guard_block_{self._depth}"
            if outermost:
                self._start()
            else:
                self._session.control(f"SAVEPOINT {name}")
            point = self.transaction.point()
            self._depth += 1
        try:
            yield
        except BaseException:
            try:
                self._undo(None if outermost else name, point)
            except Refused:
                self.close()  # the database undoes it, and the error of the body comes out
            except BaseException:
                self.close()
                raise
            raise
        with self.lock:
            self._depth -= 1
            if outermost:
                self.end(commit=True)
            else:
                self._session.control(f"RELEASE SAVEPOINT {name}")

    def _start(self) -> None:
        self.begun()
        try:
            self._session.start()
        except Refused:
            self.closing()
            raise
        except BaseException:  # nobody knows whether it has begun
            self.close()
            raise

    def _undo(self, name: str | None, point: int) -> None:
        with self.lock:
            self._depth -= 1
            if name is None:
                self.end(commit=False)
                return
            self._session.control(f"ROLLBACK TO SAVEPOINT {name}")
            self._session.control(f"RELEASE SAVEPOINT {name}")
            self.undone(point)

    def close(self) -> None:
        """Closes the connection; the database rolls back what was open."""
        self._session.close()
        self.ended(committed=False)


class AsyncUnit(Kept):
    """`Unit`, awaited: between tasks."""

    def __init__(self, session: AsyncSession, guard: Guard) -> None:
        super().__init__(session, guard)
        self._session: Final = session
        self.lock: Final = Lock()

    async def alone(self, batches: AsyncIterator[T]) -> AsyncIterator[T]:
        """The batches, each taken while nothing else happens on the connection."""
        while True:
            async with self.lock:
                batch = await anext(batches, None)
            if batch is None:
                return
            yield batch

    async def end(self, *, commit: bool) -> None:
        """Commits or rolls back, and registers what became of each write."""
        async with self.lock:
            await self._end(commit=commit)

    async def _end(self, *, commit: bool) -> None:
        try:
            committed = await self._session.end(commit=commit)
        except Refused as refused:
            refusal = refused
        except BaseException:  # the task is cancelled, and nobody knows whether the database heard of it before
            await self._session.abandon()
            self.failed(commit=commit)
            raise
        else:
            self.ended(committed=committed)
            return
        self.failed(commit=commit)
        raise refusal

    @asynccontextmanager
    async def block(self) -> AsyncIterator[None]:
        """As `Unit.block`."""
        async with self.lock:
            outermost, name = self._depth == 0 and not self._state.in_transaction, f"guard_block_{self._depth}"
            if outermost:
                await self._start()
            else:
                await self._session.control(f"SAVEPOINT {name}")
            point = self.transaction.point()
            self._depth += 1
        try:
            yield
        except BaseException:
            try:
                await self._undo(None if outermost else name, point)
            except Refused:
                await self.close()
            except BaseException:
                await self.abandon()
                raise
            raise
        self._depth -= 1
        if outermost:
            await self.end(commit=True)
        else:
            async with self.lock:
                await self._session.control(f"RELEASE SAVEPOINT {name}")

    async def _start(self) -> None:
        self.begun()
        try:
            await self._session.start()
        except Refused:
            self.closing()
            raise
        except BaseException:  # the task is cancelled, and nobody knows whether it has begun
            await self.abandon()
            raise

    async def _undo(self, name: str | None, point: int) -> None:
        self._depth -= 1
        async with self.lock:
            if name is None:
                await self._end(commit=False)
                return
            await self._session.control(f"ROLLBACK TO SAVEPOINT {name}")
            await self._session.control(f"RELEASE SAVEPOINT {name}")
            self.undone(point)

    async def abandon(self) -> None:
        """Ends the connection without waiting; the database rolls back what was open."""
        await self._session.abandon()
        self.ended(committed=False)

    async def close(self) -> None:
        """Closes the connection; the database rolls back what was open."""
        await self._session.close()
        self.ended(committed=False)
