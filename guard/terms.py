"""What a decision says of the records of a plan, in the form in which records are held to it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Literal, TypeAlias

import msgspec

from guard.masks import MASKS
from guard.model import (
    ALWAYS,
    NEVER,
    AllCondition,
    AnyCondition,
    Condition,
    Decision,
    FactCondition,
    SelfCondition,
    Treatment,
    rules_of,
)

Shown: TypeAlias = Literal["reveal", "mask", "drop"]
"""What becomes of a field in what is released."""


class Shows(msgspec.Struct, frozen=True):
    """Where a field is shown as it is, and where else through its mask; `mask` is '' where there is none."""

    field: str
    revealed: Condition
    masked: Condition
    mask: str

    @property
    def everywhere(self) -> Shown | None:
        """What becomes of the field in every record; None where that differs from record to record."""
        if self.revealed == ALWAYS:
            return "reveal"
        if self.revealed != NEVER:
            return None
        return "mask" if self.masked == ALWAYS else "drop" if self.masked == NEVER else None


class Terms(msgspec.Struct, frozen=True):
    """The conditions are without their rules: two that differ in that alone are one question."""

    rows: Condition
    between: tuple[Condition, ...]
    """The leaves of all conditions that are between person and ledger."""
    facts: tuple[FactCondition, ...]
    """Those that compare what a record itself has. What compares person and actor needs no question."""
    shows: tuple[Shows, ...]
    alike: Mapping[str, Shown] | None
    """What becomes of each field where that is the same in every record; None where it is not."""
    masks: Mapping[str, str]
    """By what those of `alike` are masked."""
    rules: tuple[str, ...]
    """The rules behind conditions and treatments, and those of the obligations."""
    reduced: bool
    """Whether a record or a value may be left out."""


def terms(decision: Decision, source: str, fields: Iterable[str]) -> Terms:
    """The terms for records of a source that have these fields. What is not named is denied."""
    rows = decision.rows.get(source, NEVER)
    reads = decision.reads.get(source, {})
    treatments = {field: reads[field] for field in sorted(fields) if field in reads}
    shows = tuple(_shows(field, one) for field, one in treatments.items())
    asked = (_plain(rows), *(one for of in shows for one in (of.revealed, of.masked)))
    leaves = tuple(dict.fromkeys(leaf for one in asked for leaf in _leaves(one)))
    return Terms(
        rows=asked[0],
        between=tuple(leaf for leaf in leaves if not isinstance(leaf, FactCondition | SelfCondition)),
        facts=tuple(leaf for leaf in leaves if isinstance(leaf, FactCondition)),
        shows=shows,
        alike=_alike(shows),
        masks=MappingProxyType({one.field: one.mask for one in shows if one.mask and one.everywhere == "mask"}),
        rules=_rules(decision, rows, treatments.values()),
        reduced=rows != ALWAYS
        or len(treatments) < len(set(fields))
        or any(one.reveal != ALWAYS for one in treatments.values()),
    )


def _shows(field: str, treatment: Treatment) -> Shows:
    # Two layers' different masks are none (`CONFLICT`).
    masked = treatment.mask if treatment.mask in MASKS and treatment.reveal != ALWAYS else None
    return Shows(field, _plain(treatment.reveal), _plain(treatment.masked_if) if masked else NEVER, masked or "")


def _alike(shows: Iterable[Shows]) -> Mapping[str, Shown] | None:
    found: dict[str, Shown] = {}
    for one in shows:
        everywhere = one.everywhere
        if everywhere is None:
            return None
        found[one.field] = everywhere
    return MappingProxyType(found)


def _plain(condition: Condition) -> Condition:
    if isinstance(condition, AllCondition | AnyCondition):
        return msgspec.structs.replace(condition, conditions=tuple(_plain(part) for part in condition.conditions))
    return msgspec.structs.replace(condition, rule="")


def _leaves(condition: Condition) -> Iterator[Condition]:
    if isinstance(condition, AllCondition | AnyCondition):
        for part in condition.conditions:
            yield from _leaves(part)
    else:
        yield condition


def _rules(decision: Decision, rows: Condition, treatments: Iterable[Treatment]) -> tuple[str, ...]:
    found = set(rules_of(rows))
    for one in treatments:
        if one.reveal != ALWAYS:
            found |= {*one.rules, *rules_of(one.reveal), *rules_of(one.masked_if)}
    return tuple(dict.fromkeys((*sorted(found), *(one.rule for one in decision.obligations if one.rule))))
