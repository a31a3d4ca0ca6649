"""The synchronous driver of `guard.enforce`: performs its effects one by one.

A refusal by an effect is thrown into the road, which registers it and lets it out. Everything else that
an effect raises ends the operation where it stands, with nothing more released.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

from guard import enforce
from guard.errors import Refused
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


def drive(
    road: enforce.Road,
    *,
    decide: Callable[[Activity], Decision],
    append: Callable[[Draft], int],
    database: Database,
) -> Iterator[list[enforce.Row]]:
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
            match effect:
                case enforce.Decide(activity):
                    answer = decide(activity)
                case enforce.Execute(sql, parameters):
                    database.execute(sql, parameters)
                case enforce.Fetch(size):
                    answer = database.fetch(size)
                case enforce.Holds(source, condition, subjects, facts):
                    answer = database.holds(source, condition, subjects, facts)
                case enforce.Append(draft):
                    answer = append(draft)
        except Refused as refused:
            refusal = refused
