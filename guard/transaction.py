"""What one guarded connection did since its transaction began. Without I/O: the adapter tells it what happens.

An adapter keeps one for each connection. It calls `begin` before the first statement of a transaction, with the
ledger's mark of that moment; `ended` after a commit or rollback, and appends the outcomes that it gives. In
autocommit it calls neither.
"""

from __future__ import annotations

import msgspec

from guard.draft import Draft
from guard.errors import Misuse


class Transaction:
    """The mark, the sources that were written, and the intents whose outcome is not known yet.

    `mark` is how far withdrawals had come before the first statement, None outside a transaction: whatever its
    isolation level, its snapshot is not older. `written` are catalogue sources. Not safe between threads, as a
    transaction is not.
    """

    __slots__ = ("_outcomes", "_written", "mark")

    def __init__(self) -> None:
        self.mark: int | None = None
        self._written: set[str] = set()
        self._outcomes: list[Draft] = []

    @property
    def written(self) -> frozenset[str]:
        """The sources that it wrote. What was undone to a savepoint still counts: nothing is forgotten early."""
        return frozenset(self._written)

    def begin(self, mark: int) -> None:
        """A transaction begins; `mark` was taken before its first statement, so before its snapshot."""
        if self.mark is not None:
            raise Misuse("This connection's transaction has begun already.")
        self.mark = mark

    def wrote(self, source: str, done: Draft) -> None:
        """A write took effect within the transaction; `done` is its outcome if that is committed."""
        if self.mark is None:
            raise Misuse("What is written in autocommit has its outcome at once.")
        self._written.add(source)
        self._outcomes.append(done)

    def touched(self, source: str) -> None:
        """A source without personal data was written, which has no outcome: a relation may rest on it all the same."""
        if self.mark is not None:
            self._written.add(source)

    def point(self) -> int:
        """Where a savepoint of the program stands, for `undone`."""
        return len(self._outcomes)

    def undone(self, point: int) -> tuple[Draft, ...]:
        """The program rolled back to its savepoint: the outcomes of what that undid, to be appended."""
        back, self._outcomes = self._outcomes[point:], self._outcomes[:point]
        return tuple(msgspec.structs.replace(one, kind="rolled_back") for one in back)

    def ended(self, committed: bool) -> tuple[Draft, ...]:
        """The transaction is over: the outcome of each of its writes, to be appended. A missing one reads as done."""
        outcomes = tuple(self._outcomes) if committed else self.undone(0)
        self.mark = None
        self._written = set()
        self._outcomes = []
        return outcomes
