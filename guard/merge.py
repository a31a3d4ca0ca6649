"""The strictest of several layers.

All layers must allow; rows and reveals are ANDed; what one layer does not name is denied; obligations
add up. Every treatment is in a normal form whose `masked_if` includes `reveal`, so that merging is a
meet in a lattice: commutative, associative, idempotent, and pointwise at most what each layer gives.
An institution's layer, or a stolen one, can therefore only tighten.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import reduce
from types import MappingProxyType
from typing import Final, TypeVar

from guard.model import CONFLICT, Decision, Reason, Scope, Treatment, Verdict, Write, all_of, normal_scopes
from guard.wire import canonical

T = TypeVar("T")

_STRICTNESS: Final[tuple[Write, ...]] = ("keep", "strip", "refuse")


def merge(decisions: Iterable[Decision]) -> Decision:
    """One decision from those of all layers on one activity. At least one is needed."""
    return reduce(_pair, decisions)


def _pair(a: Decision, b: Decision) -> Decision:
    if a.id != b.id:
        raise ValueError("decisions on different activities")
    reasons = _union(a.reasons, b.reasons)
    if not (a.allow and b.allow):
        return Decision(id=a.id, allow=False, reasons=reasons)
    return Decision(
        id=a.id,
        allow=True,
        reasons=reasons,
        rows=_both(a.rows, b.rows, all_of),
        reads=_both(a.reads, b.reads, lambda x, y: _both(x, y, _treatment)),
        writes=_both(a.writes, b.writes, lambda x, y: _both(x, y, _write)),
        obligations=_union(a.obligations, b.obligations),
    )


def _both(a: Mapping[str, T], b: Mapping[str, T], meet: Callable[[T, T], T]) -> Mapping[str, T]:
    return MappingProxyType({key: meet(a[key], b[key]) for key in sorted(a.keys() & b.keys())})


def _union(a: tuple[T, ...], b: tuple[T, ...]) -> tuple[T, ...]:
    return tuple(sorted({*a, *b}, key=canonical))


def _treatment(a: Treatment, b: Treatment) -> Treatment:
    # A layer without a mask does not object to the other's; two different masks have no common value.
    masks = {mask for mask in (a.mask, b.mask) if mask is not None}
    return Treatment(
        reveal=all_of(a.reveal, b.reveal),
        mask=None if not masks else masks.pop() if len(masks) == 1 else CONFLICT,
        masked_if=all_of(a.masked_if, b.masked_if),
        rules=tuple(sorted({*a.rules, *b.rules})),
    )


def _write(a: Write, b: Write) -> Write:
    return _STRICTNESS[max(_STRICTNESS.index(a), _STRICTNESS.index(b))]


def merge_verdicts(verdicts: Iterable[Verdict]) -> Verdict:
    """One verdict from those of all layers on one consent: valid in all, in the scope of all, until the first end."""
    return reduce(_verdict_pair, verdicts)


def _verdict_pair(a: Verdict, b: Verdict) -> Verdict:
    reasons: tuple[Reason, ...] = _union(a.reasons, b.reasons)
    if not (a.valid and b.valid):
        return Verdict(id=a.id, valid=False, reasons=reasons)
    scopes = normal_scopes(_common(x, y) for x in a.scopes for y in b.scopes)
    if not scopes:
        return Verdict(id=a.id, valid=False, reasons=reasons)
    ends = [end for end in (a.valid_until, b.valid_until) if end is not None]
    return Verdict(id=a.id, valid=True, reasons=reasons, scopes=scopes, valid_until=min(ends))


def _common(a: Scope, b: Scope) -> Scope:
    return Scope(
        operations=tuple(one for one in a.operations if one in b.operations),
        categories=tuple(one for one in a.categories if one in b.categories),
    )
