"""What the register keeps of one attempted operation.

A `guard.draft.Draft` is what the program knows, in clear; an `Entry` is what is written of it: the persons as
keyed commitments, parameters and literals sealed, the statement without them. The format is versioned by `v`
and only grows: a reader refuses a version or a key that it does not know.

A line of the log is the canonical JSON of one Entry (fields in declared order, defaults left out).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Final, TypeAlias

import msgspec

from guard.draft import Draft, Kind
from guard.model import (
    ALWAYS,
    NEVER,
    Activity,
    ActorKind,
    Decision,
    Declared,
    Item,
    Operation,
    Recipient,
    Role,
    Treatment,
    rules_of,
)

VERSION: Final = 1

Count: TypeAlias = Annotated[int, msgspec.Meta(ge=0, lt=2**53)]


def name_of(shard: str, seq: int) -> str:
    """How people call an entry: numbers alone are one shard's."""
    return f"{shard[:6]}/{seq}"


OUTCOMES: Final = frozenset({"done", "failed", "rolled_back"})


class _Frozen(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """A strict, immutable record whose defaults are not written."""


class Who(_Frozen, frozen=True):
    """Who acted. An actor who is the person of the data is a commitment (`person`), all others an `id`."""

    kind: ActorKind
    id: str | None = None
    person: str | None = None
    roles: tuple[str, ...] = ()
    unit: str | None = None


class Touched(_Frozen, frozen=True):
    """A source (`field` absent) or a field, and what became of it.

    `treatment` of a source: `all`, `conditional` or `none` of its rows. Of a field that is read: `revealed`,
    `masked:MASK`, `dropped`, `conditional` or `conditional:MASK` (it differs by row). Of one that is written:
    `keep`, `strip`, `refuse`. Absent where nothing was allowed.
    """

    source: str
    role: Role
    field: str | None = None
    category: str | None = None
    treatment: str | None = None


class Decided(_Frozen, frozen=True):
    """What was decided, by which rules, under which policies and catalogue (name -> digest)."""

    allow: bool
    rules: tuple[str, ...] = ()
    digests: Mapping[str, str] = MappingProxyType({})


class Sealed(_Frozen, frozen=True):
    """A value that opens only with the key: algorithm, id of the key, base64 of nonce and ciphertext."""

    alg: str
    key: str
    box: str


class Persons(_Frozen, frozen=True):
    """Whom the operation met: one commitment a person, sorted, or only how many (`not_itemised`)."""

    count: Count
    of: tuple[str, ...] = ()
    not_itemised: bool = False


class Entry(_Frozen, frozen=True):
    """One line of the register. `time` is UTC seconds; `refers_to` a `seq` of the same shard."""

    v: int
    shard: str
    seq: Count
    kind: Kind
    time: Count
    salt: str
    holder: str
    actor: Who
    operation: Operation | None = None
    purpose: str | None = None
    method: str | None = None
    recipient: Recipient | None = None
    declared: Declared | None = None
    basis: str | None = None
    touched: tuple[Touched, ...] = ()
    decision: Decided | None = None
    statement: str | None = None
    sealed: Sealed | None = None
    persons: Persons | None = None
    rows: Count | None = None
    refers_to: Count | None = None
    review: str | None = None
    consent: str | None = None


class Tail(_Frozen, frozen=True):
    """The last parts of an Entry: those that differ from one entry of a statement to the next."""

    sealed: Sealed | None = None
    persons: Persons | None = None
    rows: Count | None = None
    refers_to: Count | None = None
    review: str | None = None
    consent: str | None = None


def touched(activity: Activity, decision: Decision | None) -> tuple[Touched, ...]:
    """Every item of the activity with what the decision makes of it."""
    return tuple(
        Touched(
            source=item.source,
            field=item.field,
            role=item.role,
            category=item.category,
            treatment=_treatment(item, decision) if decision is not None and decision.allow else None,
        )
        for item in activity.items
    )


def _treatment(item: Item, decision: Decision) -> str:
    if item.field is None:
        rows = decision.rows.get(item.source, NEVER)
        return "all" if rows == ALWAYS else "none" if rows == NEVER else "conditional"
    if item.role == "write":
        return decision.writes.get(item.source, {}).get(item.field, "refuse")
    return _read(decision.reads.get(item.source, {}).get(item.field))


def _read(treatment: Treatment | None) -> str:
    if treatment is None or treatment.masked_if == NEVER:
        return "dropped"
    if treatment.reveal == ALWAYS:
        return "revealed"
    if treatment.reveal == NEVER and treatment.masked_if == ALWAYS:
        return f"masked:{treatment.mask}"
    return "conditional" if treatment.mask is None else f"conditional:{treatment.mask}"


def decided(draft: Draft) -> Decided | None:
    """The decision as it is kept; None where none was asked for."""
    if draft.decision is None and not draft.reasons:
        return None
    allow = draft.decision is not None and draft.decision.allow and draft.kind not in {"denied", "held"}
    return Decided(allow=allow, rules=_rules(draft), digests=dict(draft.digests))


def _rules(draft: Draft) -> tuple[str, ...]:
    rules = {reason.rule for reason in draft.reasons}
    if draft.decision is not None:
        made = draft.decision
        rules |= {reason.rule for reason in made.reasons}
        rules |= {rule for condition in made.rows.values() for rule in rules_of(condition)}
        rules |= {rule for of in made.reads.values() for treatment in of.values() for rule in _reads_rules(treatment)}
        rules |= {one.rule for one in made.obligations if one.rule}
    return tuple(sorted(rules))


def _reads_rules(treatment: Treatment) -> tuple[str, ...]:
    return (*treatment.rules, *rules_of(treatment.reveal), *rules_of(treatment.masked_if))
