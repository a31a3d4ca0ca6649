"""Records: JSON objects about persons, as an adapter holds them.

An adapter of the web, a queue or a file reads its bytes into `Records`; the roads ask them who they are about and
what they have, and tell them what to release. How they are held and written is the adapter's business.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, time, timedelta
from decimal import Decimal
from typing import Any, Final, Literal, Protocol, TypeAlias
from uuid import UUID

import msgspec

from guard import pointers
from guard.catalogue import Source
from guard.context import subject_key
from guard.errors import Misuse, Refused
from guard.masks import apply
from guard.model import Decision, Item
from guard.pointers import Tree
from guard.terms import Shown, Terms, terms

NO_MEMBER: Final = object()
"""What a record has in a field whose member it does not have. That is not null: whoever may choose which members an
answer has must not choose what is asked of the record, so it fulfils nothing."""


class Records(Protocol):
    """Records of one source of the catalogue. Fields are JSON pointers (`guard.pointers`)."""

    @property
    def count(self) -> int:
        """How many they are."""
        ...

    @property
    def present(self) -> frozenset[str]:
        """The declared fields that at least one of them has."""
        ...

    @property
    def undeclared(self) -> int:
        """How many members no field declares: they were left out when the records were read."""
        ...

    @property
    def alone(self) -> bool:
        """Whether it is one record or none: not a list, of which an empty one says that there is none."""
        ...

    def persons(self) -> Sequence[tuple[tuple[str, ...], ...]]:
        """Per record, per declared subject in the catalogue's order, its keys as canonical text; () for none.

        Refused GUARD-SUBJECT for a key that is no canonical text.
        """
        ...

    def values(self, field: str) -> Sequence[object]:
        """What each has in a field; `NO_MEMBER` where it has no such member. Misuse for one within an array."""
        ...

    def treat(
        self, kept: Sequence[int] | None, shown: Mapping[str, Shown | Sequence[Shown]], masks: Mapping[str, str]
    ) -> Any:
        """What is released: the records at the positions `kept`, each field as `shown` says.

        None is for all, as they came where nothing changes in them: positions, be it all of them, are written anew, so
        that nothing tells whether there were more.

        A field that is not named is dropped. A sequence has one value for each record that is kept. `masks` names
        the mask (`guard.masks`) of each field that is masked anywhere.
        """
        ...


# --- What is asked of the policies ----------------------------------------------------------------

Kind: TypeAlias = Literal["release", "collect"]

_DECISIONS: Final = 64
"""Decisions on one plan whose terms are kept (count)."""

_ROLE: Final[Mapping[Kind, Literal["read", "write"]]] = {"release": "read", "collect": "write"}


class Plan(msgspec.Struct, frozen=True):
    """What records of one source touch: a `guard.attempt.Plan`. `statement` is the source's own name."""

    source: str
    entry: Source
    fields: frozenset[str]
    items: tuple[Item, ...]
    statement: str
    kind: Kind
    required: tuple[int, ...] = ()
    """The places of the subjects whom a record must name."""
    writes: str | None = None
    _known: dict[int, tuple[Decision, Terms]] = msgspec.field(default_factory=dict)

    @classmethod
    def of(cls, source: str, entry: Source, fields: frozenset[str], kind: Kind) -> Plan:
        """The source, and one item for each of the fields."""
        required = tuple(place for place, one in enumerate(entry.subjects.values()) if not one.optional)
        items, statement = entry.items(source, fields, _ROLE[kind]), source.partition(":")[2]
        return cls(source, entry, fields, items, statement, kind, required)

    def terms(self, decision: Decision) -> Terms:
        """The terms of a decision on it. Decisions are never changed and come again, so its terms are kept."""
        known = self._known.get(id(decision))
        if known is None:
            known = decision, terms(decision, self.source, self.fields)
            if len(self._known) >= _DECISIONS:
                self._known.clear()
            self._known[id(decision)] = known  # which keeps it alive, so that no other has its identity
        return known[1]


class Plans:
    """Plans of one catalogue, each made once: what they touch is then the same object, and found again as that."""

    def __init__(self, most: int) -> None:
        self._most: Final = most
        self._made: dict[tuple[str, frozenset[str], Kind], Plan] = {}

    def known(self, source: str, fields: frozenset[str], kind: Kind) -> Plan | None:
        """The plan, if it was made before."""
        return self._made.get((source, fields, kind))

    def of(self, source: str, entry: Source, fields: frozenset[str], kind: Kind) -> Plan:
        """See `Plan.of`."""
        key = (source, fields, kind)
        made = self._made.get(key)
        if made is None:
            made = Plan.of(source, entry, fields, kind)
            if len(self._made) >= self._most:
                self._made.clear()
            if self._most:
                self._made[key] = made
        return made


# --- Plain records --------------------------------------------------------------------------------


_PLAIN: Final = (str, int, float, Decimal, bytes, date, time, timedelta, UUID)
"""What a field holds that is not declared `json`; a `datetime` is a date, a truth an integer."""


class DictRecords:
    """Records as Python has them: mappings of members, nested as the source's pointers say.

    A field that is not declared `json` holds a text, a number, a truth, a day or the like, never an object or an array;
    such a value is left out like a member that no field declares. A field below an object or array that is empty or
    null counts as present: that there is nothing below it is told by it too.
    """

    def __init__(self, source: str, entry: Source, records: Sequence[Mapping[str, Any]]) -> None:
        self._records: Final = () if isinstance(records, str | bytes | Mapping) else tuple(records)
        if isinstance(records, str | bytes | Mapping) or not all(isinstance(one, Mapping) for one in self._records):
            raise Misuse(f"The records of {source} are a list of mappings, one for each record.")
        self._entry: Final = entry
        self._tree: Final = compiled(source, entry)
        self._present: set[str] = set()
        self._undeclared = 0
        for one in self._records:
            if one:
                self._look(one, self._tree)

    @property
    def count(self) -> int:
        """See `Records`."""
        return len(self._records)

    @property
    def present(self) -> frozenset[str]:
        """See `Records`."""
        return frozenset(self._present)

    @property
    def undeclared(self) -> int:
        """See `Records`."""
        return self._undeclared

    @property
    def alone(self) -> bool:
        """See `Records`."""
        return False

    def persons(self) -> Sequence[tuple[tuple[str, ...], ...]]:
        """See `Records`."""
        ways = [pointers.steps(subject.column) for subject in self._entry.subjects.values()]
        return [tuple(_keys(one, way, self._tree) for way in ways) for one in self._records]

    def values(self, field: str) -> Sequence[object]:
        """See `Records`."""
        if pointers.many(field):
            raise Misuse(f"{field} lies within an array: a record has no one value of it.")
        way = pointers.steps(field)
        return [next(pointers.found(one, way), NO_MEMBER) for one in self._records]

    def treat(
        self, kept: Sequence[int] | None, shown: Mapping[str, Shown | Sequence[Shown]], masks: Mapping[str, str]
    ) -> list[dict[str, Any]]:
        """See `Records`."""
        positions = range(len(self._records)) if kept is None else kept
        made = []
        for place, position in enumerate(positions):
            of_record: dict[str, Shown] = {field: _at(one, place) for field, one in shown.items()}
            treated = _treated(self._records[position], self._tree, of_record, masks, self._entry)
            made.append({} if treated is _NOTHING else treated)
        return made

    def _look(self, value: object, at: Tree) -> None:
        """Notes what is there, and what is there and no field declares."""
        if at.field is not None:
            if _fits(value, at, self._entry):
                self._present.add(at.field)
            else:
                self._undeclared += 1
        elif value is None or (isinstance(value, Mapping | list | tuple) and not value):
            self._present.update(at.fields)
        elif not _fits(value, at, self._entry):
            self._undeclared += 1
        else:
            for one, below in _parts(value, at):
                if below is None:
                    self._undeclared += 1
                else:
                    self._look(one, below)


def compiled(source: str, entry: Source) -> Tree:
    """The declared fields of a source as a tree. Misuse where they are not fields of one record."""
    try:
        return pointers.tree(entry.fields)
    except ValueError as error:
        problem = f"The fields of {source} cannot be those of a record: {error}."
    raise Misuse(problem)


def _at(shown: Shown | Sequence[Shown], place: int) -> Shown:
    match shown:
        case "reveal" | "mask" | "drop":
            return shown
        case _:
            return shown[place]


UNNAMED: Final = "An element of a record tells of somebody, and does not name whom."


def _keys(record: object, way: pointers.Steps, at: Tree) -> tuple[str, ...]:
    """The keys at the end of a way; refused where an element of an array tells of somebody without one."""
    key = way[-1]
    if key is not None and None in way:
        for step in way[:-1]:
            at = at.members[step] if step is not None else at.each or at
        for part in pointers.found(record, way[:-1]):
            said = {name for name in at.members if part.get(name) is not None} if isinstance(part, Mapping) else set()
            if said and key not in said:
                raise Refused.own("GUARD-SUBJECT", UNNAMED)
    return tuple(dict.fromkeys(subject_key(one) for one in pointers.found(record, way) if one is not None))


def _fits(value: object, at: Tree, entry: Source) -> bool:
    """Whether a value is of the kind that is declared at its place."""
    if value is None:
        return True
    if at.field is not None:
        return isinstance(value, _PLAIN) or entry.fields[at.field].type == "json"
    return isinstance(value, list | tuple) if at.each is not None else isinstance(value, Mapping)


def _parts(value: Any, at: Tree) -> Sequence[tuple[object, Tree | None]]:
    if at.each is not None:
        return [(one, at.each) for one in value]
    return [(one, at.members.get(name)) for name, one in value.items()]


_NOTHING: Final = object()


def _treated(value: Any, at: Tree, shown: Mapping[str, Shown], masks: Mapping[str, str], entry: Source) -> Any:
    """A value as it may be seen; `_NOTHING` where it may not. A part of which nothing may be seen is left out whole."""
    if all(shown.get(field, "drop") == "drop" for field in at.fields) or not _fits(value, at, entry):
        return _NOTHING
    if at.field is not None:
        return value if shown[at.field] == "reveal" else apply(masks[at.field], value)
    if value is None:
        return None
    if at.each is not None:
        elements = (_treated(one, at.each, shown, masks, entry) for one in value)
        return [one for one in elements if one is not _NOTHING]
    members = {
        name: _treated(one, at.members[name], shown, masks, entry) for name, one in value.items() if name in at.members
    }
    return {name: one for name, one in members.items() if one is not _NOTHING}
