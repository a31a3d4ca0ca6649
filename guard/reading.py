"""The road of a read: decided before executed, registered before released.

What the order guarantees. `Decide` comes before `Execute`: no statement runs that was not made from the decision
on it. `Mark` comes before `Execute`: who withdraws after the statement's snapshot was taken is found by any later
`Withdrawn`, which is asked before each later batch, and before the first too where the snapshot may be that of an
older transaction. `Append` comes before `Release`, batch by batch: no row reaches the program before the entry that
names its persons is durable. `Claim` comes before both: an approval is used up even if the process dies next.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, TypeAlias

from guard.attempt import Attempt, Guarded, Limits
from guard.effects import Append, Effect, Execute, Fetch, Mark, Release, Road, Row, Withdrawn
from guard.enforce import decided, registered, rules_that_applied, unrelated
from guard.missing import missing
from guard.model import Decision, Outcome, Reason
from guard.obligations import Needed, approval, needed, remember
from guard.transaction import Transaction

Met: TypeAlias = list[tuple[Row, tuple[str, ...]]]
"""Rows, each with its persons."""


@registered
def reading(
    attempt: Attempt,
    apply: Callable[[Decision], Guarded],
    outcome: Callable[[Outcome], None],
    limits: Limits,
    transaction: Transaction,
) -> Road:
    """One read."""
    decision = yield from decided(attempt)
    guarded = apply(decision)
    unrelated(attempt, guarded, transaction)
    statement = guarded.bind(attempt.parameters, attempt.facts)
    older = transaction.mark is not None
    mark = transaction.mark
    if mark is None and not decision.obligations:
        # What has an obligation is released all at once, so that no later batch asks who withdrew since.
        mark = yield Mark()
    yield Execute(*statement)
    count = 0
    entry: int | None = None
    seen: set[str] = set()
    held: list[Row] = []
    need = Needed()
    cut = ended = False
    while not ended:
        rows: list[Row] = yield Fetch(limits.batch)
        ended = not rows
        met = _with_persons(guarded, rows)
        if met and mark is not None and (older or entry is not None):
            met = yield from _still(attempt, guarded, mark, met)
            cut = cut or len(met) < len(rows)
        for row, persons_of_row in met:
            seen.update(persons_of_row)
            held.append(row)
        need = needed(attempt, decision, len(seen), ended=ended)
        if ended and entry is None and not seen and attempt.facts.subject is not None:
            yield from missing(attempt, decision, attempt.facts.subject)
        if decision.obligations and not ended:
            # What an obligation counts is known at the end: until then nothing is released.
            if len(held) > limits.buffered:
                raise attempt.refused((Reason(rule="GUARD-LIMIT"),), "Ask for fewer rows at once.")
            continue
        if held or entry is None:
            review = yield from approval(attempt, need, len(seen))
            remember(attempt, need, seen)
            persons = tuple(sorted(seen)) or attempt.named
            entry = yield Append(attempt.draft("read", subjects=persons, rows=len(held), review=review))
            yield Release(held)
            count += len(held)
            held = []
            seen.clear()
    rules = rules_that_applied(guarded, decision)
    reduced = guarded.reduced or cut
    outcome(Outcome(operation=attempt.activity.operation, reduced=reduced, rules=rules, rows=count, entry=entry))


def _with_persons(guarded: Guarded, rows: list[Row]) -> Met:
    visible = [len(row) - guarded.hidden for row in rows]
    return [(row[:n], guarded.persons(row[n:])) for row, n in zip(rows, visible, strict=True)]


def _still(attempt: Attempt, guarded: Guarded, mark: int, met: Met) -> Generator[Effect, Any, Met]:
    """The rows without those of persons who withdrew since the mark.

    A row that speaks of several persons together cannot be cut; what is left of the result is refused.
    """
    persons = tuple(sorted({person for _, of_row in met for person in of_row}))
    gone: frozenset[str] = (yield Withdrawn(mark, persons)) if persons else frozenset()
    if gone and guarded.collected:
        raise attempt.refused((Reason(rule="GUARD-WITHDRAWN"),), "Ask again.")
    return [(row, of_row) for row, of_row in met if gone.isdisjoint(of_row)]
