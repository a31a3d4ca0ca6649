"""The roads of operations, without I/O: what adapters and drivers take from here.

`read` and `write` of statements, `release` and `collect` of records are generators: they yield what has to happen
(`guard.effects`) and are sent what came of it. The order is fixed in `guard.reading`, `guard.writing`,
`guard.releasing` and `guard.collecting` and nowhere else. An effect that is refused is thrown in
at its place and nothing after it happens, but that the refusal is registered before it is raised.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, TypeVar

from guard.attempt import Attempt, Guarded, GuardedWrite, Limits, Plan
from guard.collecting import Collected, Collecting, collecting
from guard.effects import (
    Append,
    Claim,
    Decide,
    Effect,
    Execute,
    Fetch,
    Hold,
    Holds,
    HoldsEach,
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
from guard.reading import permitted, reading
from guard.records import Plan as RecordsPlan
from guard.records import Records
from guard.releasing import Releasing, releasing
from guard.transaction import Transaction
from guard.writing import writing

__all__ = [
    "Append",
    "Attempt",
    "Claim",
    "Collected",
    "Decide",
    "Effect",
    "Execute",
    "Fetch",
    "Guarded",
    "GuardedWrite",
    "Hold",
    "Holds",
    "HoldsEach",
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
    "collect",
    "permit",
    "read",
    "release",
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
    return _registered(attempt, reading(attempt, apply, outcome, limits, transaction))


def write(
    attempt: Attempt,
    apply: Callable[[Decision], GuardedWrite],
    outcome: Callable[[Outcome], None],
    limits: Limits,
    transaction: Transaction,
) -> Writing:
    """Decides, looks, registers and performs one write; returns how many rows were written."""
    return _registered(attempt, writing(attempt, apply, outcome, limits, transaction))


def release(attempt: Attempt, plan: RecordsPlan, records: Records, outcome: Callable[[Outcome], None]) -> Releasing:
    """Decides, looks, registers and releases records."""
    return _registered(attempt, releasing(attempt, plan, records, outcome))


def collect(attempt: Attempt, plan: RecordsPlan, records: Records, outcome: Callable[[Outcome], None]) -> Collecting:
    """Decides, looks, registers and takes records in."""
    return _registered(attempt, collecting(attempt, plan, records, outcome))


def permit(attempt: Attempt) -> Generator[Effect, Any, Decision]:
    """Decides and nothing else: what would be refused in any case is refused before anybody is looked up."""
    return _registered(attempt, _permit(attempt))


def _permit(attempt: Attempt) -> Generator[Effect, Any, Decision]:
    decision: Decision = yield Decide(attempt.activity, attempt.actor.id)
    attempt.decision = decision
    permitted(attempt, decision)
    return decision


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
