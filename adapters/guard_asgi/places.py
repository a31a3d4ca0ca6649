"""The declared fields of a record as types that a compiled codec reads into.

An object becomes a struct with one attribute for each declared member, so that what no field declares is left
out by construction. The value of a field stays as its own bytes (`Raw`): numbers keep their digits, texts their
escapes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import reduce
from itertools import chain
from operator import or_
from typing import Any, Final

import msgspec
from msgspec import UNSET, Raw, UnsetType
from msgspec.structs import astuple

from guard.catalogue import Source
from guard.errors import Misuse
from guard.pointers import Tree

CONTAINERS: Final = (b"{", b"[")


class Place(msgspec.Struct, frozen=True, eq=False):
    """A place of a record: a field (`field`), an array (`each`) or an object (`members`).

    `type` is what it is read as where it is there and not null; `empty` an object without any member.
    """

    type: Any
    fields: frozenset[str]
    depth: int
    field: str | None = None
    whole: bool = False
    """Whether the field may hold objects and arrays: its type is `json`."""
    each: Place | None = None
    members: tuple[Member, ...] = ()
    names: frozenset[str] = frozenset()
    inner: tuple[Member, ...] = ()
    """Those members that are not fields."""
    by_field: Mapping[str, Member] = msgspec.field(default_factory=dict)
    empty: Any = None


class Member(msgspec.Struct, frozen=True, eq=False):
    """A member of an object: the attribute that keeps it, its name in JSON, and the place that it is."""

    attribute: str
    name: str
    place: Place


def place(tree: Tree, entry: Source) -> Place:
    """The place of a tree of fields; Misuse for a member that no compiled codec can name."""
    fields = frozenset(tree.fields)
    if tree.field is not None:
        return Place(Raw, fields, 0, field=tree.field, whole=entry.fields[tree.field].type == "json")
    if tree.each is not None:
        each = place(tree.each, entry)
        return Place(list[optional(each)], fields, each.depth + 1, each=each)  # type: ignore[misc]  # made at run time
    members = tuple(
        Member(f"f{number}", name, place(below, entry)) for number, (name, below) in enumerate(tree.members.items())
    )
    made = _struct(members)
    return Place(
        made,
        fields,
        1 + max(member.place.depth for member in members),
        members=members,
        names=frozenset(tree.members),
        inner=tuple(member for member in members if member.place.field is None),
        by_field={field: member for member in members for field in member.place.fields},
        empty=made(),
    )


def optional(of: Place) -> Any:
    """The type of a place that may hold null."""
    return of.type if of.field is not None else of.type | None


def _struct(members: tuple[Member, ...]) -> Any:
    attributes = [(one.attribute, optional(one.place) | UnsetType, UNSET) for one in members]
    return struct("Part", attributes, {one.attribute: one.name for one in members})


def struct(name: str, attributes: list[Any], names: Mapping[str, str]) -> Any:
    """A struct whose attributes have these names in JSON."""
    try:
        return msgspec.defstruct(name, attributes, rename=names, gc=False)
    except ValueError:
        wrong = [one for one in names.values() if any(part in '"\\' or part < " " for part in one)]
    raise Misuse(f"The members {', '.join(map(repr, wrong))} cannot be read: names have no quotes and no controls.")


class Survey(msgspec.Struct, frozen=True):
    """What records have: the declared fields that are told of, and how many objects and arrays."""

    present: frozenset[str]
    objects: int
    arrays: int


def survey(at: Place, records: list[Any]) -> Survey:
    """What records, objects of a place, have."""
    if records and at.depth == 1 and UNSET not in astuple(records[0]):
        return Survey(at.fields, len(records), 0)
    looking = _Looking()
    if records:
        looking.look(at, records)
    return Survey(looking.present, looking.objects, looking.arrays)


class _Looking:
    def __init__(self) -> None:
        self.present: frozenset[str] = frozenset()
        self.objects = 0
        self.arrays = 0

    def look(self, at: Place, values: list[Any]) -> None:
        if at.field is not None:
            self.present |= at.fields
        elif at.each is not None:
            self._look_each(at, at.each, values)
        else:
            there = [value for value in values if value is not None]
            if len(there) < len(values) or at.empty in there:
                self.present |= at.fields  # that there is nothing below is told too
            self.objects += len(there)
            if there:
                self._look_members(at, there)

    def _look_each(self, at: Place, each: Place, values: list[Any]) -> None:
        there = [value for value in values if value is not None]
        filled = [value for value in there if value]
        if len(filled) < len(values):
            self.present |= at.fields
        self.arrays += len(there)
        if filled:
            self.look(each, list(chain.from_iterable(filled)))

    def _look_members(self, at: Place, there: list[Any]) -> None:
        for member, value in zip(at.members, astuple(there[0]), strict=True):
            name = member.attribute
            if member.place.field is None:
                below = [part for one in there if (part := getattr(one, name)) is not UNSET]
                if below:
                    self.look(member.place, below)
            elif value is not UNSET or any(getattr(one, name) is not UNSET for one in there):
                self.present |= member.place.fields


def fields_with_containers(at: Place, values: list[Any]) -> frozenset[str]:
    """The fields whose values are objects or arrays."""
    there = [value for value in values if value is not None and value is not UNSET]
    if not there:
        return frozenset()
    if at.field is not None:
        return at.fields if any(bytes(raw).startswith(CONTAINERS) for raw in there) else frozenset()
    if at.each is not None:
        return fields_with_containers(at.each, list(chain.from_iterable(there)))
    found = (
        fields_with_containers(member.place, [getattr(one, member.attribute) for one in there]) for member in at.members
    )
    return reduce(or_, found, frozenset())


def named(at: Place, values: list[Any]) -> bool:
    """Whether any of these values has a place that is declared, be it null or empty."""
    there = [value for value in values if value is not UNSET]
    if at.field is not None or not all(there):
        return bool(there)
    if at.each is not None:
        return named(at.each, list(chain.from_iterable(there)))
    return any(named(member.place, [getattr(one, member.attribute) for one in there]) for member in at.members)


def undeclared(at: Place, values: list[Any]) -> int:
    """How many members of plain data no field declares; one that is declared is not looked into."""
    there = [value for value in values if value]
    if at.field is not None or not there:
        return 0
    if at.each is not None:
        return undeclared(at.each, list(chain.from_iterable(there)))
    if len(there) == 1:
        found = len(there[0].keys() - at.names)
    else:
        alike = Counter(map(tuple, there))  # objects of one kind have the same keys
        found = sum(many * sum(key not in at.names for key in keys) for keys, many in alike.items())
    for member in at.inner:
        found += undeclared(member.place, [one.get(member.name) for one in there])
    return found
