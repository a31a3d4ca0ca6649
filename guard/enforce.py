"""The roads of operations, without I/O: what adapters and drivers take from here.

`read` and `write` are generators: they yield what has to happen (`guard.effects`) and are sent what came of it.
The order is fixed in `guard.reading` and `guard.writing` and nowhere else. An effect that is refused is thrown in
at its place and nothing after it happens, but that the refusal is registered before it is raised.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, TypeVar

from guard.attempt import Attempt, Guarded, GuardedWrite, Limits, Plan
from guard.effects import (
    Append,
    Claim,
    Decide,
    Effect,
    Execute,
    Fetch,
    Hold,
    Holds,
    Mark,
    Release,
    Request,
    Road,
    Row,
    Savepoint,
    Settle,
    Withdrawn,
    Writing,
)
from guard.errors import Refused
from guard.model import Decision, Outcome
from guard.reading import reading
from guard.transaction import Transaction
from guard.writing import writing

__all__ = [
    "Append",
    "Attempt",
    "Claim",
    "Decide",
    "Effect",
    "Execute",
    "Fetch",
    "Guarded",
    "GuardedWrite",
    "Hold",
    "Holds",
    "Limits",
    "Mark",
    "Plan",
    "Release",
    "Request",
    "Road",
    "Row",
    "Savepoint",
    "Settle",
    "Transaction",
    "Withdrawn",
    "Writing",
    "read",
    "write",
]

V = TypeVar("V")


def read(
    attempt: Attempt,
    apply: Callable[[Decision], Guarded],
    outcome: Callable[[Outcome], None],
    limits: Limits,
    transaction: Transaction,
) -> Road:
    """Decides, executes, registers and releases one read."""
    yield from _registered(attempt, reading(attempt, apply, outcome, limits, transaction))


def write(
    attempt: Attempt,
    apply: Callable[[Decision], GuardedWrite],
    outcome: Callable[[Outcome], None],
    limits: Limits,
    transaction: Transaction,
) -> Writing:
    """Decides, looks, registers and performs one write; returns how many rows were written."""
    return (yield from _registered(attempt, writing(attempt, apply, outcome, limits, transaction)))


def _registered(attempt: Attempt, road: Generator[Effect, Any, V]) -> Generator[Effect, Any, V]:
    """The same road; a refusal is registered before it is raised."""
    try:
        return (yield from road)
    except Refused as refused:
        refusal = refused
    # Outside the handler: if the register fails, its refusal must not carry this one in its `__context__`.
    if refusal.entry is None:
        refusal.entry = yield Append(attempt.draft("denied", subjects=attempt.named, reasons=refusal.reasons))
    raise refusal
