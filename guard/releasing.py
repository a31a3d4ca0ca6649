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

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from guard.attempt import Attempt
from guard.effects import Append, Decide, Effect
from guard.masks import MASKS
from guard.missing import missing
from guard.model import ALWAYS, NEVER, Condition, Decision, Outcome, Treatment, rules_of
from guard.obligations import approval, needed
from guard.reading import permitted
from guard.records import Plan, Records, Shown
from guard.standing import Standing

Answered: TypeAlias = Generator[Effect, Any, Any]
"""The road of a release; it returns what is released."""


def releasing(attempt: Attempt, plan: Plan, records: Records, outcome: Callable[[Outcome], None]) -> Answered:
    """One release. A refusal is raised as it comes: `guard.enforce.release` registers it first."""
    decision: Decision = yield Decide(attempt.activity)
    attempt.decision = decision
    permitted(attempt, decision)
    treatments, rows = decision.reads.get(plan.source, {}), decision.rows.get(plan.source, NEVER)
    standing = Standing(attempt, plan, records)
    yield from standing.asked((rows, *(one for of in treatments.values() for one in (of.reveal, of.masked_if))))
    kept = standing.kept(rows)
    persons = standing.met(kept)
    need = needed(attempt, decision, len(persons), ended=True)
    if not persons and attempt.facts.subject is not None:
        yield from missing(attempt, decision, attempt.facts.subject)
    review = yield from approval(attempt, need, len(persons))
    # Made before the entry, so that records which cannot leave anything out are refused before it says that they left.
    made = treated(standing, records, treatments, kept)
    entry: int = yield Append(attempt.draft("read", subjects=persons or attempt.named, rows=len(kept), review=review))
    of_present = [treatments.get(field) for field in sorted(records.present)]
    outcome(
        Outcome(
            operation=attempt.activity.operation,
            reduced=rows != ALWAYS or any(one is None or one.reveal != ALWAYS for one in of_present),
            rules=rules_of_records(decision, rows, of_present),
            rows=len(kept),
            entry=entry,
            dropped=records.dropped,
        )
    )
    return made


def treated(standing: Standing, records: Records, treatments: Mapping[str, Treatment], kept: Sequence[int]) -> Any:
    """The records at these positions, each of their fields as it may be seen in each of them."""
    shown: dict[str, Shown | Sequence[Shown]] = {}
    masks: dict[str, str] = {}
    for field in sorted(records.present & treatments.keys()):
        one = treatments[field]
        of_kept = _shown(standing, one, kept)
        if "mask" in of_kept and one.mask is not None:
            masks[field] = one.mask
        shown[field] = of_kept[0] if len(set(of_kept)) == 1 else of_kept
    return records.treat(None if len(kept) == records.count else kept, shown, masks)


def _shown(standing: Standing, treatment: Treatment, kept: Sequence[int]) -> list[Shown]:
    """What becomes of a field in each record that is kept. Two layers' different masks are none (`CONFLICT`)."""
    revealed = standing.of(treatment.reveal)
    masked = standing.of(treatment.masked_if if treatment.mask in MASKS else NEVER)
    return ["reveal" if revealed[place] else "mask" if masked[place] else "drop" for place in kept]


def rules_of_records(decision: Decision, rows: Condition, treatments: Iterable[Treatment | None]) -> tuple[str, ...]:
    """The rules behind the condition of the records and these treatments, and those of the obligations."""
    found = set(rules_of(rows))
    for one in treatments:
        if one is not None and one.reveal != ALWAYS:
            found |= {*one.rules, *rules_of(one.reveal), *rules_of(one.masked_if)}
    return tuple(dict.fromkeys((*sorted(found), *(one.rule for one in decision.obligations if one.rule))))
