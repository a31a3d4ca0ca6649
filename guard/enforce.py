"""The one road of an operation, without I/O.

`read` is a generator: it yields what has to happen (`Decide`, `Execute`, `Fetch`, `Holds`, `Append`,
`Release`) and is sent what came of it. A driver per colour performs the effects; the order is fixed here
and nowhere else: decided before executed, registered before released. An effect that fails is thrown in
at its place and nothing after it happens.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, Final, Protocol, TypeAlias, assert_never

import msgspec

from guard.errors import Refused
from guard.messages import Messages
from guard.model import (
    Activity,
    Actor,
    AllCondition,
    AnyCondition,
    Condition,
    ConsentNeeded,
    Decision,
    FactCondition,
    Facts,
    GrantCondition,
    Item,
    Limit,
    Outcome,
    Reason,
    RelationCondition,
    Remedy,
    Review,
    SelfCondition,
    rules_of,
)
from guard.register.entry import Draft, Kind

Row: TypeAlias = tuple[Any, ...]


class Guarded(Protocol):
    """A statement that reaches only what a decision permits (`guard_sql` makes it)."""

    @property
    def hidden(self) -> int: ...  # noqa: D102 — trailing columns that name the persons of a row
    @property
    def collected(self) -> bool: ...  # noqa: D102 — whether a row speaks of several persons together
    @property
    def reduced(self) -> bool: ...  # noqa: D102 — whether the decision may have left something out
    @property
    def rules(self) -> tuple[str, ...]: ...  # noqa: D102 — what shaped it
    def persons(self, hidden: Row) -> tuple[str, ...]: ...  # noqa: D102 — canonical keys
    def bind(self, parameters: Any, facts: Facts) -> tuple[str, Mapping[str, Any]]: ...  # noqa: D102


class Plan(Protocol):
    """What a statement touches, before anything is decided."""

    @property
    def items(self) -> tuple[Item, ...]: ...  # noqa: D102 — for the Activity
    @property
    def statement(self) -> str: ...  # noqa: D102 — normalised, free of literals


# --- Effects --------------------------------------------------------------------------------------


class Decide(msgspec.Struct, frozen=True):
    """Ask the policies; sent back: the Decision."""

    activity: Activity


class Execute(msgspec.Struct, frozen=True):
    """Run the guarded statement; sent back: nothing."""

    sql: str
    parameters: Mapping[str, Any]


class Fetch(msgspec.Struct, frozen=True):
    """Take at most `size` rows; sent back: a list, empty at the end."""

    size: int


class Holds(msgspec.Struct, frozen=True):
    """Ask for whom of `subjects` the condition holds; sent back: a set of keys.

    A condition between actor, person and ledger (grant, relation, self) is about the person alone; one with a
    fact asks for a row of `source` that fulfils it.
    """

    source: str
    condition: Condition
    subjects: tuple[str, ...]
    facts: Facts


class Mark(msgspec.Struct, frozen=True):
    """Note how far withdrawals have come; sent back: a number."""


class Withdrawn(msgspec.Struct, frozen=True):
    """Ask who of `subjects` withdrew something since the mark; sent back: a set of keys."""

    mark: int
    subjects: tuple[str, ...]


class Append(msgspec.Struct, frozen=True):
    """Make an entry durable; sent back: its number."""

    draft: Draft


class Release(msgspec.Struct, frozen=True):
    """Hand rows to the program."""

    rows: list[Row]


Effect: TypeAlias = Decide | Mark | Execute | Fetch | Holds | Withdrawn | Append | Release
Road: TypeAlias = Generator[Effect, Any, None]


class Limits(msgspec.Struct, frozen=True):
    """Bounds of one read: rows a fetch, and rows held back while an obligation is being counted."""

    batch: int = 256
    buffered: int = 100_000


class Attempt(msgspec.Struct, kw_only=True):
    """One operation that a program attempts. `decision` is filled in once the policies have answered."""

    actor: Actor
    activity: Activity
    facts: Facts
    plan: Plan
    text: str
    parameters: Any
    digests: Mapping[str, str]
    messages: Messages
    decision: Decision | None = None

    def draft(self, kind: Kind, *, subjects: tuple[str, ...], rows: int = 0, reasons: tuple[Reason, ...] = ()) -> Draft:
        """A register entry about this attempt."""
        return Draft(
            kind=kind,
            actor=self.actor,
            activity=self.activity,
            decision=self.decision,
            reasons=reasons,
            digests=self.digests,
            statement=self.plan.statement,
            sealed={"sql": self.text, "parameters": self.parameters},
            subjects=subjects,
            rows=rows,
        )

    def refused(self, reasons: Sequence[Reason], detail: str | None = None) -> Refused:
        """A refusal of this attempt in the words of its policies."""
        return Refused(reasons, detail=detail, catalog=self.messages)

    @property
    def named(self) -> tuple[str, ...]:
        """The declared person, if any."""
        return (self.facts.subject,) if self.facts.subject is not None else ()


# --- The road -------------------------------------------------------------------------------------


def read(
    attempt: Attempt,
    apply: Callable[[Decision], Guarded],
    outcome: Callable[[Outcome], None],
    limits: Limits,
) -> Road:
    """Decides, executes, registers and releases one read. A refusal is registered before it is raised."""
    try:
        yield from _read(attempt, apply, outcome, limits)
    except Refused as refused:
        refusal = refused
    else:
        return
    # Outside the handler: if the register fails, its refusal must not carry this one in its `__context__`.
    if refusal.entry is None:
        refusal.entry = yield Append(attempt.draft("denied", subjects=attempt.named, reasons=refusal.reasons))
    raise refusal


def _read(
    attempt: Attempt,
    apply: Callable[[Decision], Guarded],
    outcome: Callable[[Outcome], None],
    limits: Limits,
) -> Road:
    decision: Decision = yield Decide(attempt.activity)
    attempt.decision = decision
    if not decision.allow:
        raise attempt.refused(decision.reasons or (Reason(rule="GUARD-DECISION-UNDEFINED"),))
    guarded = apply(decision)
    statement = guarded.bind(attempt.parameters, attempt.facts)
    # What has an obligation is released all at once, so that no later batch asks who withdrew since.
    mark: int = 0 if decision.obligations else (yield Mark())
    yield Execute(*statement)
    count = 0
    entry: int | None = None
    seen: set[str] = set()
    held: list[Row] = []
    ended = False
    while not ended:
        rows: list[Row] = yield Fetch(limits.batch)
        ended = not rows
        met = [(row[: len(row) - guarded.hidden], guarded.persons(row[len(row) - guarded.hidden :])) for row in rows]
        if met and entry is not None:
            met = yield from _still(attempt, guarded, mark, met)
        for row, persons_of_row in met:
            seen.update(persons_of_row)
            held.append(row)
        _check(attempt, decision, len(seen), ended=ended)
        if ended and entry is None and not seen and attempt.facts.subject is not None:
            yield from _missing(attempt, decision, attempt.facts.subject)
        if decision.obligations and not ended:
            # What an obligation counts is known at the end: until then nothing is released.
            if len(held) > limits.buffered:
                raise attempt.refused((Reason(rule="GUARD-LIMIT"),), "Ask for fewer rows at once.")
            continue
        if held or entry is None:
            persons = tuple(sorted(seen)) or attempt.named
            entry = yield Append(attempt.draft("read", subjects=persons, rows=len(held)))
            count += len(held)
            yield Release(held)
            held = []
            seen.clear()
    rules = tuple(dict.fromkeys((*guarded.rules, *(o.rule for o in decision.obligations if o.rule))))
    outcome(
        Outcome(operation=attempt.activity.operation, reduced=guarded.reduced, rules=rules, rows=count, entry=entry)
    )


def _still(
    attempt: Attempt, guarded: Guarded, mark: int, met: list[tuple[Row, tuple[str, ...]]]
) -> Generator[Effect, Any, list[tuple[Row, tuple[str, ...]]]]:
    """The rows of a later batch without those of persons who withdrew since the statement began.

    A row that speaks of several persons together cannot be cut; what is left of the result is refused.
    """
    persons = tuple(sorted({person for _, of_row in met for person in of_row}))
    gone: frozenset[str] = (yield Withdrawn(mark, persons)) if persons else frozenset()
    if gone and guarded.collected:
        raise attempt.refused((Reason(rule="GUARD-WITHDRAWN"),), "Ask again.")
    return [(row, of_row) for row, of_row in met if gone.isdisjoint(of_row)]


def _check(attempt: Attempt, decision: Decision, persons: int, *, ended: bool) -> None:
    """Refuses what an obligation forbids for this many persons. A review is not built yet: it refuses."""
    for obligation in decision.obligations:
        match obligation:
            case Review():
                broken = persons > (obligation.above.subjects if obligation.above else 0)
            case Limit():
                broken = persons > obligation.subjects or (ended and persons < obligation.minimum)
            case _:
                assert_never(obligation)
        if broken:
            raise attempt.refused((Reason(rule=obligation.rule or "GUARD-LIMIT"),), "Ask for fewer persons at once.")


# --- A named person who was filtered away ---------------------------------------------------------

_ABSENT: Final = Reason(rule="GUARD-ABSENT")


def _missing(attempt: Attempt, decision: Decision, subject: str) -> Road:
    """Refuses with the conditions that the named person fails, if the actor may know which.

    Only conditions between actor, person and ledger count here, never what the person's rows hold: whether
    rows are there, and what they say, must not be told by the refusal. So a person whose rows are hidden by
    a fact (frozen, past its period) is an empty answer, like one who has no rows. Relation and self say
    nothing about the person: someone unknown fails them just the same. A missing grant is told only to an
    actor who stands in a relation that the decision asked for; to all others, no consent and no such person
    look alike.
    """
    for source, rows in decision.rows.items():
        parts = rows.conditions if isinstance(rows, AllCondition) else (rows,)
        of_actor = [part for part in parts if isinstance(part, RelationCondition | SelfCondition)]
        of_person = [part for part in parts if part not in of_actor and not _speaks_of_rows(part)]
        failing = yield from _failing(attempt, source, of_actor, subject)
        if failing:
            raise attempt.refused(failing)
        failing = yield from _failing(attempt, source, of_person, subject)
        if failing:
            raise attempt.refused(failing if of_actor else (_ABSENT,))


def _failing(
    attempt: Attempt, source: str, conditions: Sequence[Condition], subject: str
) -> Generator[Effect, Any, list[Reason]]:
    failing: list[Reason] = []
    for condition in conditions:
        holding: set[str] = yield Holds(source, condition, (subject,), attempt.facts)
        if subject not in holding:
            failing += [
                Reason(rule=rule, field=(source, None), remedy=_remedy(condition)) for rule in rules_of(condition)
            ]
    return failing


def _speaks_of_rows(condition: Condition) -> bool:
    if isinstance(condition, AnyCondition | AllCondition):
        return any(_speaks_of_rows(part) for part in condition.conditions)
    return isinstance(condition, FactCondition)


def _remedy(condition: Condition) -> Remedy | None:
    if isinstance(condition, RelationCondition):
        return Remedy(relation=condition.name)
    if isinstance(condition, GrantCondition):
        need = ConsentNeeded(separate=condition.separate, written=condition.written, category=condition.category)
        return Remedy(consent=need)
    return None
