"""What is to become of declared fields, compiled for the structs that hold them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from itertools import chain
from typing import Any, TypeAlias

import msgspec
from msgspec import UNSET, Raw

from guard.masks import MASKS, apply
from guard.terms import Shown
from guard_asgi.places import Place

Mask: TypeAlias = Callable[[Raw], Any]
"""What is shown instead of a value; UNSET for nothing."""

_value = msgspec.json.Decoder().decode


class Change(msgspec.Struct, frozen=True, eq=False):
    """What changes at a place. The attributes of an object that go, are masked, and change below themselves."""

    gone: tuple[str, ...] = ()
    masked: tuple[tuple[str, Mask], ...] = ()
    below: tuple[tuple[str, Change], ...] = ()
    each: Change | None = None
    """What changes in each element of an array."""
    mask: Mask | None = None
    """What a field is masked by."""


class Treatment(msgspec.Struct, frozen=True, eq=False):
    """What becomes of records: the fields that are shown as they are, and what changes for it."""

    revealed: frozenset[str]
    change: Change | None


def treatment(at: Place, shown: Mapping[str, Shown], masks: Mapping[str, str]) -> Treatment:
    """The treatment of the records of a place; a field that is not named, or whose mask is not known, is dropped."""
    revealed = frozenset(field for field in at.fields if shown.get(field) == "reveal")
    masked = {
        field: partial(mask, masks[field])
        for field in at.fields
        if shown.get(field) == "mask" and masks.get(field) in MASKS
    }
    return Treatment(revealed, _change(at, at.fields - revealed - masked.keys(), masked))


def mask(name: str, raw: Raw) -> Any:
    """The masked text of a value; UNSET for what is neither text nor a number that can be read. Null stays null."""
    try:
        value = _value(raw)
    except msgspec.ValidationError:  # the grammar was checked: a number out of range
        return UNSET
    if value is None:
        return raw
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return UNSET
    return apply(name, value)


def _change(at: Place, dropped: frozenset[str], masked: Mapping[str, Mask]) -> Change | None:
    """What changes at a place that does not go whole; None for nothing. What has only dropped fields goes whole."""
    if at.field is not None:
        return Change(mask=masked[at.field]) if at.field in masked else None
    if at.each is not None:
        each = _change(at.each, dropped, masked)
        return each and Change(each=each)
    gone = tuple(one.attribute for one in at.members if one.place.fields <= dropped)
    changes = (
        (one.attribute, change)
        for one in at.members
        if one.attribute not in gone and (change := _change(one.place, dropped, masked)) is not None
    )
    masks: list[tuple[str, Mask]] = []
    below: list[tuple[str, Change]] = []
    for name, change in changes:
        if change.mask is None:
            below.append((name, change))
        else:
            masks.append((name, change.mask))
    return Change(gone, tuple(masks), tuple(below)) if gone or masks or below else None


def carry_out(change: Change, parts: list[Any]) -> None:
    """Changes objects, or arrays, of one place; none of them is null."""
    if change.each is not None:
        _carry_out_in_arrays(change.each, parts)
        return
    for name in change.gone:
        for one in parts:
            setattr(one, name, UNSET)
    for name, masked_by in change.masked:
        for one in parts:
            raw = getattr(one, name)
            if raw is not UNSET:
                setattr(one, name, masked_by(raw))
    for name, below in change.below:
        there = (getattr(one, name) for one in parts)
        carry_out(below, [part for part in there if part is not UNSET and part is not None])


def _carry_out_in_arrays(each: Change, arrays: list[Any]) -> None:
    if each.mask is None:
        carry_out(each, [one for one in chain.from_iterable(arrays) if one is not None])
        return
    for array in arrays:
        array[:] = [value for raw in array if (value := each.mask(raw)) is not UNSET]
