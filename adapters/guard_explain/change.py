"""The smallest lawful change: which few edits would turn a denial into a permission.

Candidates come from the remedies that the rules name; whether they help is not assumed but asked: every
candidate goes through the policies again. Edits to what is declared are offers to do things lawfully, not
advice to state what is not so; each says what has to be true first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import combinations
from typing import Final

import msgspec
from msgspec.structs import replace

from guard.model import RECIPIENTS, WITHIN, Activity, Decision, Reason, Recipient

MAX_EDITS: Final = 3
"""More changes than this are another operation."""

MAX_CANDIDATES: Final = 12


class Edit(msgspec.Struct, frozen=True):
    """One change to an activity, in words (`en`, `zh`)."""

    en: str
    zh: str
    apply: Callable[[Activity], Activity | None]


def smallest(
    activity: Activity, denial: Decision, decide: Callable[[Sequence[Activity]], Sequence[Decision]]
) -> tuple[Edit, ...] | None:
    """The fewest edits after which all layers allow, or None if none of the rules' remedies leads there."""
    found: dict[str, Edit] = {edit.en: edit for edit in _edits(activity, denial.reasons)}
    for size in range(1, MAX_EDITS + 1):
        tried = list(_tries(activity, list(found.values())[:MAX_CANDIDATES], size))
        if not tried:
            return None
        decisions = decide([changed for _, changed in tried])
        for (edits, _), decision in zip(tried, decisions, strict=True):
            if decision.allow:
                return edits
        # Past the first denial other rules speak up, with remedies of their own.
        for (_, changed), decision in zip(tried, decisions, strict=True):
            for edit in _edits(changed, decision.reasons):
                found.setdefault(edit.en, edit)
    return None


def _tries(activity: Activity, edits: Sequence[Edit], size: int) -> Iterator[tuple[tuple[Edit, ...], Activity]]:
    number = 0
    for chosen in combinations(edits, size):
        changed: Activity | None = activity
        for edit in chosen:
            changed = edit.apply(changed) if changed is not None else None
        if changed is not None:
            yield chosen, replace(changed, id=str(number))
            number += 1


def _edits(activity: Activity, reasons: Sequence[Reason]) -> Iterator[Edit]:
    omit = frozenset(r.field for r in reasons if r.field and r.field[1] and r.remedy and r.remedy.omit)
    if omit:
        names = ", ".join(sorted(f"{source} {field}" for source, field in omit))
        yield Edit(f"Leave out {names}.", f"不使用 {names}。", lambda a: _without(a, omit))
    for remedy in filter(None, (reason.remedy for reason in reasons)):
        yield from map(_purpose, remedy.purposes)
        yield from map(_basis, remedy.bases)
        if remedy.notice:
            yield _NOTICE
        if remedy.unit:
            yield _UNIT
        if remedy.recipient:
            yield from map(_recipient, sorted(RECIPIENTS.get(activity.operation, WITHIN)))


def _purpose(name: str) -> Edit:
    return Edit(
        f"Act for the purpose {name}, if that is what it is for.",
        f"若确系用于 {name}，以该目的进行。",
        lambda a: replace(a, purpose=name),
    )


def _basis(name: str) -> Edit:
    return Edit(
        f"Rest it on the legal basis {name}, naming the instrument.",
        f"以 {name} 为合法性基础，并注明依据文件。",
        lambda a: replace(a, declared=replace(a.declared, basis=name, evidence="instrument")),
    )


def _recipient(kind: str) -> Edit:
    return Edit(
        f"Name the recipient, of the kind {kind}.",
        f"写明接收方（{kind}）。",
        lambda a: replace(a, recipient=msgspec.convert({"kind": kind, "id": a.recipient.id or "recipient"}, Recipient)),
    )


_NOTICE: Final = Edit(
    "Show the person the current notice first.",
    "先向本人展示现行告知书。",
    lambda a: replace(a, declared=replace(a.declared, notice="notice")),
)
_UNIT: Final = Edit(
    "State the actor's unit.",
    "写明操作人的机构。",
    lambda a: replace(a, actor=replace(a.actor, unit=a.actor.unit or "unit")),
)


def _without(activity: Activity, fields: frozenset[tuple[str, str | None]]) -> Activity | None:
    items = tuple(item for item in activity.items if (item.source, item.field) not in fields)
    return replace(activity, items=items) if any(item.field for item in items) else None
