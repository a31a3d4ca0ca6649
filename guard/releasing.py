"""The road of records that leave: decided, looked at, registered, released.

What the order guarantees. `Decide` comes before any `Holds`: nobody is looked up for what policy does not allow. Every
`Holds` comes before `Append`, and what is released is what the road returns, which it does after `Append`: no record
reaches the program before the entry that names its persons is durable. `Claim` comes before both: an approval is used
up even if the process dies next.

The records were made before, but the ledger is asked when they leave. So who has withdrawn by then is in none of them,
whatever a transaction of the program saw, and no mark is needed as in `guard.reading`; a withdrawal that is committed
after the answer comes, as any, too late for this one release.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any, TypeAlias

from msgspec.structs import replace

from guard.attempt import Attempt
from guard.effects import Append, Decide, Effect
from guard.enforce import decided, registered
from guard.missing import ABSENT, hides, missing
from guard.model import ALWAYS, Decision, Outcome, rules_of
from guard.obligations import approval, approved, needed
from guard.records import Plan, Records
from guard.standing import Standing
from guard.terms import Shown, Shows, Terms
from guard.terms import terms as terms_of

Releasing: TypeAlias = Generator[Effect, Any, Any]
"""The road of a release; it returns what is released."""


@registered
def releasing(attempt: Attempt, plan: Plan, records: Records, outcome: Callable[[Outcome], None]) -> Releasing:
    """One release."""
    decision = yield from decided(attempt)
    terms = plan.terms(decision)
    standing = Standing(attempt, plan, records, terms)
    if terms.between or terms.facts:
        yield from standing.asked()
    kept = standing.kept()
    persons = standing.met(kept)
    attempt.leaving = persons
    need = needed(attempt, decision, len(persons), ended=True)
    named = attempt.facts.subject is not None
    if not persons and attempt.facts.subject is not None:
        yield from missing(attempt, decision, attempt.facts.subject)
    if not persons and records.alone and (hides(decision) if named else terms.rows != ALWAYS):
        # One record that is hidden is no empty list: where there might be one, that there is none is told alike.
        # Untold are all that may have hidden it: the log must not say either what a record holds.
        raise attempt.refused((ABSENT,), untold=rules_of(terms.rows))
    review: str | None = None
    if need.reasons:
        review = approved(attempt, need, persons) or (yield from approval(attempt, need, len(persons)))
    # Made before the entry, so that records which cannot leave anything out are refused before it says that they left.
    whole = len(kept) == records.count and not terms.reduced and (records.alone or not named)
    as_came = whole and (yield from _open(attempt, plan))
    made = _treated(standing, records, terms, None if as_came else kept)
    entry: int = yield Append(attempt.draft("read", subjects=persons or attempt.named, rows=len(kept), review=review))
    outcome(
        Outcome(
            operation=attempt.activity.operation,
            reduced=terms.reduced,
            rules=terms.rules,
            rows=len(kept),
            entry=entry,
            undeclared=records.undeclared,
        )
    )
    return made


def _open(attempt: Attempt, plan: Plan) -> Generator[Effect, Any, bool]:
    """Whether the policies would leave nothing out of records of this source, whatever they had.

    A field that these do not have might have been left out: then they are written as if one had been, since else the
    white space of an answer would tell that there was none.
    """
    fields = frozenset(plan.entry.fields)
    if plan.fields == fields:
        return True
    every = replace(attempt.activity, items=plan.entry.items(plan.source, fields, "read"))
    decision: Decision = yield Decide(every, attempt.actor.id)
    return decision.allow and not terms_of(decision, plan.source, fields).reduced


def _treated(standing: Standing, records: Records, terms: Terms, kept: Sequence[int] | None) -> Any:
    """The records at these positions, each of their fields as it may be seen in each of them."""
    if terms.alike is not None:
        return records.treat(kept, terms.alike, terms.masks)
    shown: dict[str, Shown | Sequence[Shown]] = {}
    masks: dict[str, str] = {}
    for one in terms.shows:
        if one.revealed == ALWAYS:
            shown[one.field] = "reveal"
            continue
        of_kept = _shown(standing, one, range(records.count) if kept is None else kept)
        if "mask" in of_kept:
            masks[one.field] = one.mask
        shown[one.field] = of_kept[0] if len(set(of_kept)) == 1 else of_kept
    return records.treat(kept, shown, masks)


def _shown(standing: Standing, one: Shows, kept: Sequence[int]) -> list[Shown]:
    """What becomes of a field in each record that is kept."""
    revealed, masked = standing.of(one.revealed), standing.of(one.masked)
    return ["reveal" if revealed[place] else "mask" if masked[place] else "drop" for place in kept]
