"""Why a person whom the context declares is not in the answer: what may be told of it, and to whom."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any, Final

from guard.attempt import Attempt
from guard.effects import Effect, Holds, Road
from guard.model import (
    AllCondition,
    AnyCondition,
    Condition,
    ConsentNeeded,
    Decision,
    FactCondition,
    GrantCondition,
    Reason,
    RelationCondition,
    Remedy,
    SelfCondition,
    rules_of,
)

ABSENT: Final = Reason(rule="GUARD-ABSENT")


def missing(attempt: Attempt, decision: Decision, subject: str) -> Road:
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
            if of_actor:
                raise attempt.refused(failing)
            raise attempt.refused((ABSENT,), untold=sorted({reason.rule for reason in failing}))


def hides(decision: Decision) -> bool:
    """Whether rows may be hidden by what they hold."""
    return any(_speaks_of_rows(rows) for rows in decision.rows.values())


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
