"""The road of records that come in: decided, looked at, registered, handed on.

What the order guarantees. `Decide` comes before any `Holds`, every `Holds` and the `Claim` before `Append(intent)`,
and the program gets the records when the road returns, after it: nothing is stored without a durable entry that names
its persons, and an intent without an outcome reads as done. What policy strips is stripped from every record; where
one of them may not be taken in, none is: what a person sent is never silently left out.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, Final, TypeAlias

from guard.attempt import Attempt
from guard.draft import Draft
from guard.effects import Append, Effect
from guard.enforce import decided, registered
from guard.errors import Refused
from guard.missing import missing
from guard.model import Decision, Outcome, Reason, Remedy, Write
from guard.obligations import approval, needed
from guard.records import Plan, Records
from guard.standing import Standing
from guard.terms import Shown


class Collected:
    """What was taken in. `records` may be handed on; `entry` is the number of the durable intent.

    What becomes of it is told to `Roads.collected`, once; until then, and for ever if it never is, it reads as done.
    """

    __slots__ = ("_outcomes", "entry", "records")

    def __init__(self, records: Any, entry: int, outcomes: dict[bool, Draft]) -> None:
        self.records: Final = records
        self.entry: Final = entry
        self._outcomes: dict[bool, Draft] = outcomes

    def settled(self, *, done: bool) -> Draft | None:
        """The entry that says what became of it; None where that was told before."""
        outcome = self._outcomes.get(done)
        self._outcomes = {}
        return outcome


Collecting: TypeAlias = Generator[Effect, Any, Collected]
"""The road of a collection."""


@registered
def collecting(attempt: Attempt, plan: Plan, records: Records, outcome: Callable[[Outcome], None]) -> Collecting:
    """One collection."""
    decision = yield from decided(attempt)
    shown = _kept(attempt, plan, records, decision)
    terms = plan.terms(decision)
    standing = Standing(attempt, plan, records, terms)
    if not all(standing.named) or not all(standing.about):
        raise Refused.own("GUARD-SUBJECT", "A record names nobody, or somebody else than the request is about.")
    yield from standing.asked()
    every = range(records.count)
    if len(standing.kept()) < records.count:
        if attempt.facts.subject is not None:
            yield from missing(attempt, decision, attempt.facts.subject)
        raise attempt.refused((Reason(rule="GUARD-COLLECT"),))
    persons = standing.met(every)
    need = needed(attempt, decision, len(persons), ended=True)
    review = yield from approval(attempt, need, len(persons))
    made = records.treat(None, shown, {})
    subjects = persons or attempt.named
    entry: int = yield Append(attempt.draft("intent", subjects=subjects, rows=records.count, review=review))
    outcome(
        Outcome(
            operation=attempt.activity.operation,
            reduced="drop" in shown.values(),
            rules=tuple(dict.fromkeys((*terms.rules, *_stripping(plan, decision)))),
            rows=records.count,
            entry=entry,
            undeclared=records.undeclared,
        )
    )
    done = attempt.draft("done", subjects=subjects, rows=records.count, refers_to=entry)
    failed = attempt.draft("failed", subjects=subjects, refers_to=entry)
    return Collected(made, entry, {True: done, False: failed})


def _kept(attempt: Attempt, plan: Plan, records: Records, decision: Decision) -> dict[str, Shown]:
    """What becomes of each field that was sent; refused where one of them may not even be stripped."""
    writes = decision.writes.get(plan.source, {})
    what: dict[str, Write] = {field: writes.get(field, "refuse") for field in sorted(records.present)}
    refused = [field for field, one in what.items() if one == "refuse"]
    if refused:
        told = {reason.field: reason for reason in decision.reasons}
        own = {
            (plan.source, field): Reason(rule="GUARD-COLLECT", field=(plan.source, field), remedy=Remedy(omit=True))
            for field in refused
        }
        raise attempt.refused([told.get(place, reason) for place, reason in own.items()])
    return {field: "reveal" if one == "keep" else "drop" for field, one in what.items()}


def _stripping(plan: Plan, decision: Decision) -> list[str]:
    """The rules for which a field is stripped."""
    writes = decision.writes.get(plan.source, {})
    stripped = {(plan.source, field) for field, one in writes.items() if one == "strip"}
    return sorted({reason.rule for reason in decision.reasons if reason.field in stripped})
