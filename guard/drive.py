"""The synchronous driver of `guard.enforce`: performs its effects one by one.

A refusal by an effect is thrown into the road, which registers it and lets it out. Everything else that
an effect raises ends the operation where it stands, with nothing more released.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol, assert_never

import msgspec

from guard import enforce
from guard.errors import Misuse, Refused
from guard.model import Activity, Condition, Decision, Facts
from guard.register.entry import Draft


class Database(Protocol):
    """The connection a statement runs on. Raises nothing but `Refused`."""

    def execute(self, sql: str, parameters: Mapping[str, Any]) -> None:
        """Starts a guarded statement."""

    def fetch(self, size: int) -> list[enforce.Row]:
        """The next rows of it, empty at the end."""
        ...

    def holds(self, source: str, condition: Condition, subjects: tuple[str, ...], facts: Facts) -> set[str]:
        """For whom of `subjects` a row of `source` fulfils the condition."""
        ...


class Effects(msgspec.Struct, frozen=True, kw_only=True):
    """What performs the effects of a road: the policies, the register, the ledger, the database."""

    decide: Callable[[Activity], Decision]
    append: Callable[[Draft], int]
    mark: Callable[[], int]
    withdrawn: Callable[[int, tuple[str, ...]], frozenset[str]]
    database: Database

    def perform(self, effect: enforce.Effect) -> object:
        """Performs one effect; gives what is sent back."""
        match effect:
            case enforce.Decide(activity):
                return self.decide(activity)
            case enforce.Mark():
                return self.mark()
            case enforce.Execute(sql, parameters):
                return self.database.execute(sql, parameters)  # type: ignore[func-returns-value]  # None is sent back
            case enforce.Fetch(size):
                return self.database.fetch(size)
            case enforce.Holds(source, condition, subjects, facts):
                return self.database.holds(source, condition, subjects, facts)
            case enforce.Withdrawn(since, persons):
                return self.withdrawn(since, persons)
            case enforce.Append(draft):
                return self.append(draft)
            case enforce.Release():
                raise Misuse("What is released is handed out, not performed.")
            case _:
                assert_never(effect)


def drive(road: enforce.Road, effects: Effects) -> Iterator[list[enforce.Row]]:
    """Walks the road; yields each batch of rows that it releases."""
    answer: object = None
    refusal: Refused | None = None
    while True:
        try:
            effect = road.send(answer) if refusal is None else road.throw(refusal)
        except StopIteration:
            return
        answer = refusal = None
        if isinstance(effect, enforce.Release):
            yield effect.rows
            continue
        try:
            answer = effects.perform(effect)
        except Refused as refused:
            refusal = refused
