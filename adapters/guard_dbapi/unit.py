"""The transaction of one guarded connection: what the guard keeps of it beside what the driver keeps.

Before the first statement of a transaction it takes the ledger's mark, so that later statements can be asked who
withdrew since; when the transaction ends it registers what became of the writes in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from guard.errors import Refused
from guard.facade import Guard
from guard.transaction import Transaction
from guard_dbapi.driver import Session

if TYPE_CHECKING:
    from guard_dbapi.postgres_async import AsyncSession


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
        self.transaction: Final = Transaction()

    def opening(self, *, writing: bool) -> None:
        """Before a statement: takes the mark if it is the first of a transaction."""
        if self.transaction.mark is None and self._state.outlives(writing=writing):
            self.transaction.begin(self._guard.mark())

    def closing(self) -> None:
        """After a statement: what the database rolled back by itself is known as that."""
        if self.transaction.mark is not None and not self._state.in_transaction:
            self.ended(committed=False)

    def touched(self, source: str) -> None:
        """A source without personal data was written: a relation may rest on it."""
        if self.transaction.mark is not None:
            self.transaction.touched(source)

    def ended(self, *, committed: bool) -> None:
        """The transaction is over."""
        self._guard.settled(self.transaction.ended(committed))

    def failed(self, *, commit: bool) -> None:
        """It could not be ended as was asked."""
        if self._state.closed and commit:
            # Nobody knows what became of it. An outcome that is missing reads as done.
            self.transaction.ended(committed=True)
        elif self._state.closed or not self._state.in_transaction:
            self.ended(committed=False)


class Unit(Kept):
    """One for each connection."""

    def __init__(self, session: Session, guard: Guard) -> None:
        super().__init__(session, guard)
        self._session: Final = session

    def end(self, *, commit: bool) -> None:
        """Commits or rolls back, and registers what became of each write."""
        try:
            committed = self._session.end(commit=commit)
        except Refused as refused:
            refusal = refused
        else:
            self.ended(committed=committed)
            return
        self.failed(commit=commit)
        raise refusal

    def close(self) -> None:
        """Closes the connection; the database rolls back what was open."""
        self._session.close()
        self.ended(committed=False)


class AsyncUnit(Kept):
    """`Unit`, awaited."""

    def __init__(self, session: AsyncSession, guard: Guard) -> None:
        super().__init__(session, guard)
        self._session: Final = session

    async def end(self, *, commit: bool) -> None:
        """Commits or rolls back, and registers what became of each write."""
        try:
            committed = await self._session.end(commit=commit)
        except Refused as refused:
            refusal = refused
        else:
            self.ended(committed=committed)
            return
        self.failed(commit=commit)
        raise refusal

    async def close(self) -> None:
        """Closes the connection; the database rolls back what was open."""
        await self._session.close()
        self.ended(committed=False)
