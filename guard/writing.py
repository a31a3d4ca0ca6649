"""The road of a write: looked at before it is registered, registered before it takes effect.

What the order guarantees. `Decide` comes first, as in a read. The image before the write is read inside the
savepoint, close to the write that it is counted for. An approval is claimed before the savepoint: it is used up
whatever comes of the write, and the ledger's writer never waits for this transaction. `Append(intent)` comes before
the write: no effect without a durable entry that names its persons, whoever dies next; an intent without an outcome
reads as done. After the write its own image is checked, and only then kept; persons whom only that image names (an
UPDATE of their key, a row that came between the two) have an intent of their own before it is. What is refused
inside the savepoint is undone before anything else, and only what was surely undone is registered as `failed`.
`done` comes after the commit, so it is never said of what was rolled back.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import msgspec

from guard.attempt import Attempt, GuardedWrite, Limits
from guard.effects import Append, Effect, Execute, Fetch, Road, Row, Savepoint, Settle, Withdrawn, Writing
from guard.enforce import decided, registered, rules_that_applied, unrelated
from guard.errors import Misuse, Refused
from guard.missing import missing
from guard.model import Decision, Outcome, Reason
from guard.obligations import Needed, claim, hold, needed, reviewed
from guard.transaction import Transaction


class _Intent(msgspec.Struct, frozen=True):
    """A durable entry that says what is about to be written."""

    number: int
    subjects: tuple[str, ...]


class _State(msgspec.Struct):
    """How far a write has come: its intents, whom it met, how many rows it wrote."""

    cap: int = -1
    """How many persons the approval reaches that was used up for it."""
    intents: list[_Intent] = msgspec.field(default_factory=list)
    persons: set[str] = msgspec.field(default_factory=set)
    rows: int = 0

    @property
    def entry(self) -> int | None:
        """The number of its last intent."""
        return self.intents[-1].number if self.intents else None


@registered
def writing(
    attempt: Attempt,
    apply: Callable[[Decision], GuardedWrite],
    outcome: Callable[[Outcome], None],
    limits: Limits,
    transaction: Transaction,
) -> Writing:
    """One write; returns how many rows were written."""
    source = attempt.plan.writes
    if source is None:
        raise Misuse("This statement writes nothing.")
    decision = yield from decided(attempt)
    guarded = apply(decision)
    unrelated(attempt, guarded, transaction)
    state = _State()
    if reviewed(decision):
        state.cap = yield from claim(attempt, 0)
    yield Savepoint()
    try:
        need = yield from _written(attempt, decision, guarded, limits, transaction, state)
        if not need.reasons:
            yield Settle(keep=True)
    except Refused as refused:
        refusal = refused
    else:
        if need.reasons:
            yield Settle(keep=False)
            yield from hold(attempt, need, len(state.persons))
        return (yield from _done(attempt, decision, guarded, outcome, transaction, state, source))
    yield from _undo(attempt, state, refusal)
    raise refusal


def _written(
    attempt: Attempt,
    decision: Decision,
    guarded: GuardedWrite,
    limits: Limits,
    transaction: Transaction,
    state: _State,
) -> Generator[Effect, Any, Needed]:
    """Looks, registers the intent, writes, and looks again. What another person has to approve first is not written."""
    rows, state.persons = yield from _image(
        attempt, decision, guarded, limits, guarded.before(attempt.parameters, attempt.facts)
    )
    need = needed(attempt, decision, len(state.persons), ended=True)
    if need.reasons and state.cap < len(state.persons):
        return need
    yield from _not_withdrawn(attempt, transaction, state.persons)
    yield from _intend(attempt, state, tuple(sorted(state.persons)) or attempt.named, rows)
    state.rows, after = yield from _image(
        attempt, None, guarded, limits, guarded.bind(attempt.parameters, attempt.facts)
    )
    new = after - state.persons
    if new:
        # An UPDATE that gives rows to other persons, or rows that came between the two images.
        yield from _not_withdrawn(attempt, transaction, new)
        state.persons |= new
        need = needed(attempt, decision, len(state.persons), ended=True)
        if need.reasons and state.cap < len(state.persons):
            raise attempt.refused(need.reasons, "The rows changed meanwhile; try again.")
        yield from _intend(attempt, state, tuple(sorted(new)), 0)
    return Needed()


def _intend(attempt: Attempt, state: _State, subjects: tuple[str, ...], rows: int) -> Road:
    review = attempt.review if state.cap >= 0 else None
    number: int = yield Append(attempt.draft("intent", subjects=subjects, rows=rows, review=review))
    state.intents.append(_Intent(number, subjects))


def _image(
    attempt: Attempt,
    decision: Decision | None,
    guarded: GuardedWrite,
    limits: Limits,
    statement: tuple[str, Any],
) -> Generator[Effect, Any, tuple[int, set[str]]]:
    """Runs one of the two texts: how many rows, and whose. Refused where one of them may not be written.

    With the decision, why the declared person's rows may not be written is told to whom it may be told.
    """
    yield Execute(*statement)
    persons: set[str] = set()
    count = 0
    allowed = True
    rows: list[Row] = yield Fetch(limits.batch)
    while rows:
        for row in rows:
            allowed = allowed and row[0] in (1, True)
            persons.update(guarded.persons(row[1:]))
        count += len(rows)
        if count > limits.buffered:
            raise attempt.refused((Reason(rule="GUARD-LIMIT"),), "Write fewer rows at once.")
        rows = yield Fetch(limits.batch)
    if not allowed:
        if decision is not None and attempt.facts.subject is not None:
            yield from missing(attempt, decision, attempt.facts.subject)
        raise attempt.refused((Reason(rule="GUARD-WRITE"),))
    return count, persons


def _not_withdrawn(attempt: Attempt, transaction: Transaction, persons: set[str]) -> Road:
    """In an older snapshot the conditions may have held for who has withdrawn since: refused, nothing is cut."""
    if transaction.mark is not None and persons and (yield Withdrawn(transaction.mark, tuple(sorted(persons)))):
        raise attempt.refused((Reason(rule="GUARD-WITHDRAWN"),), "Begin a new transaction.")


def _done(
    attempt: Attempt,
    decision: Decision,
    guarded: GuardedWrite,
    outcome: Callable[[Outcome], None],
    transaction: Transaction,
    state: _State,
    source: str,
) -> Writing:
    """Registers the outcome of what was kept: at once in autocommit, else when the transaction ends.

    In autocommit the effect is committed by now. If the register fails here, nothing can be taken back and nothing
    has to be: the intent stands and reads as done. Raising would make the program write it twice.
    """
    entry = state.entry
    for number, one in enumerate(state.intents):
        rows = state.rows if number == 0 else 0
        done = attempt.draft("done", subjects=one.subjects, rows=rows, refers_to=one.number)
        if transaction.mark is not None:
            transaction.wrote(source, done)
            continue
        try:
            entry = yield Append(done)
        except Refused:
            break
    rules = rules_that_applied(guarded, decision)
    outcome(
        Outcome(
            operation=attempt.activity.operation, reduced=guarded.reduced, rules=rules, rows=state.rows, entry=entry
        )
    )
    return state.rows


def _undo(attempt: Attempt, state: _State, refusal: Refused) -> Road:
    """Undoes the write. What could not surely be undone keeps its intent alone, which reads as done."""
    refusal.entry = state.entry
    try:
        yield Settle(keep=False)
        for one in state.intents:
            failed = attempt.draft("failed", subjects=one.subjects, reasons=refusal.reasons, refers_to=one.number)
            refusal.entry = yield Append(failed)
    except Refused:
        return
