"""JSON bodies as records of a source: bytes → `guard.records.Records` → bytes.

A `Shape` is compiled once for a source and the place of its records in a body. Reading is strict; what no field
declares is left out while reading, and counted. What is released is written from what was read; the very bytes that
came are handed on where nothing was, or might have been, left out, dropped or masked.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import attrgetter
from types import MappingProxyType
from typing import Any, Final, TypeAlias

import msgspec
from msgspec import UNSET, Raw, UnsetType
from msgspec.structs import astuple

from guard import pointers
from guard.catalogue import Source
from guard.config import Limits
from guard.context import subject_key
from guard.errors import Misuse, Refused
from guard.records import NO_MEMBER, UNNAMED, compiled
from guard.terms import Shown
from guard_asgi import places, strict
from guard_asgi.places import Place, Survey
from guard_asgi.treatments import Treatment, carry_out, treatment

Chain: TypeAlias = tuple[str | None, ...]

UNREADABLE: Final = object()
"""The value of a number that Python cannot hold (1e400): it equals nothing and compares with nothing."""

TREATMENTS: Final = 256
"""Compiled treatments that a shape keeps (count)."""

_JUST_TEXT: Final = frozenset({str})
_PLAIN_KEY: Final = re.compile(rb'"([0-9A-Za-z_.-]{1,128})"')

_value: Final = msgspec.json.Decoder().decode
_write: Final = msgspec.json.Encoder().encode


class Shape:
    """How bodies with records of one source are read. `at` points to the record or the array of records.

    Misuse where the fields of the source are not those of a JSON object.
    """

    def __init__(self, source_name: str, entry: Source, *, at: str = "", limits: Limits | None = None) -> None:
        self.limits: Final = limits or Limits()
        self.place: Final = _record(source_name, entry)
        self.around: Final = _around(source_name, at)
        self.subjects: Final = tuple(_chain(self.place, subject.column) for subject in entry.subjects.values())
        self.source: Final = source_name
        self._whole: Final = frozenset(one for one in self.place.fields if entry.fields[one].type == "json")
        depth = self.place.depth + len(self.around) + 1
        if depth > self.limits.depth:
            raise Misuse(f"{source_name} nests {depth} levels: raise limits.depth above {self.limits.depth}.")
        self._treatments: Final[dict[Any, Treatment]] = {}
        self._alike: Final[dict[int, tuple[Mapping[str, Any], Mapping[str, str], Treatment]]] = {}
        self._decode: Final = msgspec.json.Decoder(_body(self.place, self.around)).decode
        # An escaped colon in a key would be written plainly, and make up for a member that was left out.
        self._colons: Final = not any(":" in name for name in (*self.around, *_names(self.place)))

    def read(self, body: bytes) -> JsonRecords:
        """The records in a body. Refused GUARD-BODY, or GUARD-BODY-SIZE, for what is not strict JSON of this shape."""
        strict.check_bytes(body, self.limits)
        root = self.decode(body)
        there = self.there(root)
        single = type(there) is self.place.type
        records = [there] if single else there or []
        found = places.survey(self.place, records)
        written = _write(root)
        brackets = body.count(b"{") + body.count(b"[") - found.objects - found.arrays
        # Where there are no more brackets than the shape accounts for, no field holds an object or an array.
        holds = brackets > len(self.around) + (not single) and self._may_hold(written, found, single=single)
        if holds:
            self._check_kinds(records)
        undeclared = 0
        if holds or not self._nothing_left_out(body, written):
            undeclared = self._left_out(strict.careful(body, self.limits, brackets=brackets + self.place.depth))
        return JsonRecords(self, body, written, root, records, there, found.present, undeclared)

    def treatment(self, shown: Mapping[str, Any], masks: Mapping[str, str]) -> Treatment:
        """What becomes of records, one way for each field; compiled once."""
        key = (tuple(shown), tuple(shown.values()), tuple(masks), tuple(masks.values()))
        made = self._treatments.get(key)
        if made is None:
            if len(self._treatments) >= TREATMENTS:
                self._treatments.clear()
            made = self._treatments[key] = treatment(self.place, shown, masks)
        return made

    def alike(self, shown: Mapping[str, Any], masks: Mapping[str, str]) -> Treatment | None:
        """The treatment of records that are all shown alike; None where they are not.

        What nobody can change is found again as the same object.
        """
        known = self._alike.get(id(shown))
        if known is not None and known[0] is shown and known[1] is masks:
            return known[2]
        if not _JUST_TEXT.issuperset(map(type, shown.values())):
            return None
        made = self.treatment(shown, masks)
        if type(shown) is MappingProxyType and type(masks) is MappingProxyType:
            if len(self._alike) >= TREATMENTS:
                self._alike.clear()
            self._alike[id(shown)] = shown, masks, made  # which keeps it alive, so that no other has its identity
        return made

    def decode(self, body: bytes) -> Any:
        """The declared parts of a body, its grammar checked."""
        try:
            return self._decode(body)
        except RecursionError:
            refusal = strict.too_deep(self.limits.depth)
        except msgspec.ValidationError:
            refusal = strict.refused(self._expected())
        except msgspec.DecodeError:
            refusal = strict.malformed()
        raise refusal

    def records(self, root: Any) -> list[Any]:
        """The records of what was decoded."""
        there = self.there(root)
        return [there] if type(there) is self.place.type else there or []

    def there(self, root: Any) -> Any:
        """What was decoded where the records are: an array, one of them, or null."""
        for _ in self.around:
            root = root.inner
        return root

    def _expected(self) -> str:
        where = "".join(f"/{name}" for name in self.around)
        what = f"At {where} an object or an array of objects" if where else "An object or an array of objects"
        return f"{what} is expected, and below it what the catalogue declares of {self.source}. {_DECLARE}"

    def _nothing_left_out(self, body: bytes, written: bytes) -> bool:
        """Whether what was read is the whole body, save for white space outside of texts.

        What is written of it is never longer than the body, and shorter by each member that no field declares and
        by each repeated key. Where only white space may have gone, the colons are counted: a member has one.
        """
        if len(written) == len(body):
            return True
        return self._colons and written.count(b":") == body.count(b":")

    def _may_hold(self, written: bytes, found: Survey, *, single: bool) -> bool:
        """Whether a field may hold an object or an array: there are more brackets than the shape accounts for."""
        objects = found.objects + len(self.around)
        arrays = found.arrays + (0 if single else 1)
        return written.count(b"{") > objects or written.count(b"[") > arrays

    def _check_kinds(self, records: list[Any]) -> None:
        wrong = places.fields_with_containers(self.place, records) - self._whole
        if wrong:
            raise strict.refused(f"{', '.join(sorted(wrong))} holds an object or an array. {_DECLARE}")

    def _left_out(self, value: Any) -> int:
        """How many members were left out, those around the records too."""
        found = 0
        for name in self.around:
            found += len(value) - 1
            value = value[name]
        return found + places.undeclared(self.place, value if isinstance(value, list) else [value])


_DECLARE: Final = "Where a value is an object or an array, declare its members, or its type as json."


class JsonRecords:
    """The records of one body; satisfies `guard.records.Records`.

    `original` are the bytes that came, of `shape`, `written` those of what was read of them.
    """

    def __init__(
        self,
        shape: Shape,
        original: bytes,
        written: bytes,
        root: Any,
        records: list[Any],
        there: Any,
        present: frozenset[str],
        undeclared: int,
    ) -> None:
        self.original: Final = original
        self.shape: Final = shape
        self.count = len(records)
        """See `Records`."""
        self.present = present
        """See `Records`. Where an object or an array is empty or null, that tells of every field below it."""
        self.undeclared = undeclared
        """See `Records`. A member counts once, whatever is below it; those around the records count too."""
        self.alone = type(there) is not list
        """See `Records`."""
        self._whole: Final = written if undeclared else original
        self._written: Final = written
        self._root = root
        self._records = records
        self._single: Final = self.alone and there is not None

    @property
    def strange(self) -> bool:
        """Whether there are records, and nothing in them is where the catalogue declares anything."""
        if not self.undeclared or not self.count:
            return False
        records, place = self._fresh(), self.shape.place
        if place.depth == 1 and astuple(records[0]).count(UNSET) < len(place.members):
            return False  # the first has a field
        return not places.named(place, records)

    def persons(self) -> Sequence[tuple[tuple[str, ...], ...]]:
        """See `Records`."""
        records, subjects = self._fresh(), self.shape.subjects
        if len(subjects) == 1:
            return list(zip(_keys(records, subjects[0]), strict=True))
        return list(zip(*[_keys(records, chain) for chain in subjects], strict=True))

    def values(self, field: str) -> Sequence[object]:
        """See `Records`. A number that Python cannot hold is `UNREADABLE`."""
        if field not in self.shape.place.fields:
            raise Misuse(f"{field} is not a field of {self.shape.source}.")
        if pointers.many(field):
            raise Misuse(f"{field} lies within an array: a record has no one value of it.")
        chain = _chain(self.shape.place, field)
        reached = (next(iter(_reached(record, chain)), None) for record in self._fresh())
        return [NO_MEMBER if raw is None else _plain(raw) for raw in reached]

    def treat(
        self, kept: Sequence[int] | None, shown: Mapping[str, Shown | Sequence[Shown]], masks: Mapping[str, str]
    ) -> bytes:
        """See `Records`. The whole body again, without what stands around the way to the records.

        Refused GUARD-ABSENT where the body is one record and that is not kept.
        """
        everything = kept is None or list(kept) == list(range(self.count))
        records = self._fresh()
        if not everything:
            records = [records[position] for position in kept or ()]
        if self._single and not records:
            raise Refused.own("GUARD-ABSENT")
        changes = False
        same = self.shape.alike(shown, masks)
        groups = self._groups(records, shown, masks) if same is None else [(records, same)]
        for alike, of_group in groups:
            if of_group.change is not None and not self.present <= of_group.revealed:
                carry_out(of_group.change, alike)
                changes = True
        if everything and not changes:
            return self._whole if kept is None else self._written
        root, self._root = self._root, None  # it was changed: what is asked next is read again
        return _write(self._with(root, records))

    def _groups(
        self, records: list[Any], shown: Mapping[str, Shown | Sequence[Shown]], masks: Mapping[str, str]
    ) -> Iterator[tuple[list[Any], Treatment]]:
        """Records that are shown alike, with what becomes of them."""
        varied = {field: how for field, how in shown.items() if not isinstance(how, str)}
        alike: dict[tuple[Shown, ...], list[Any]] = {}
        for record, pattern in zip(records, zip(*varied.values(), strict=True), strict=True):
            alike.setdefault(pattern, []).append(record)
        for pattern, group in alike.items():
            yield group, self.shape.treatment({**shown, **dict(zip(varied, pattern, strict=True))}, masks)

    def _fresh(self) -> list[Any]:
        if self._root is None:
            self._root = self.shape.decode(self.original)
            self._records = self.shape.records(self._root)
        return self._records

    def _with(self, root: Any, records: list[Any]) -> Any:
        """The decoded body with these records instead of its own."""
        inner: Any = records[0] if self._single else records
        if not self.count:
            return root
        if not self.shape.around:
            return inner
        holder = root
        for _ in self.shape.around[1:]:
            holder = holder.inner
        holder.inner = inner
        return root


# --- Compiling ------------------------------------------------------------------------------------


def _record(source: str, entry: Source) -> Place:
    made = places.place(compiled(source, entry), entry)
    if not made.members:
        raise Misuse(f"The fields of {source} are not members of an object: write pointers such as /customer_id.")
    return made


def _around(source: str, at: str) -> tuple[str, ...]:
    """The members that lead to the records."""
    if at and not at.startswith("/"):
        raise Misuse(f"The records of {source} are at a pointer such as /items, not at {at}.")
    try:
        steps = pointers.steps(at)
    except ValueError as error:
        problem = f"The records of {source} are at no pointer: {error}."
    else:
        names = tuple(step for step in steps if step is not None)
        if len(names) == len(steps):
            return names
        problem = f"The records of {source} are at one place: {at} has a *."
    raise Misuse(problem)


def _body(record: Place, around: tuple[str, ...]) -> Any:
    made: Any = list[record.type] | record.type | None  # type: ignore[name-defined]  # made at run time
    for name in reversed(around):
        made = places.struct("Around", [("inner", made)], {"inner": name})
    return made


def _names(place: Place) -> Iterator[str]:
    for member in place.members:
        yield member.name
        yield from _names(member.place)
    if place.each is not None:
        yield from _names(place.each)


def _chain(record: Place, field: str) -> Chain:
    """The way to a field: attributes of structs, None for each element of an array."""
    way: list[str | None] = []
    at = record
    while at.field is None:
        if at.each is not None:
            way.append(None)
            at = at.each
        else:
            member = at.by_field[field]
            way.append(member.attribute)
            at = member.place
    return tuple(way)


# --- Values ---------------------------------------------------------------------------------------


def _reached(record: Any, chain: Chain) -> Iterable[Raw]:
    """What a record has at the end of a chain."""
    values = [record]
    for step in chain:
        if step is None:
            values = [one for value in values for one in value if one is not None]
        else:
            values = [part for value in values if (part := getattr(value, step)) is not UNSET and part is not None]
    return values


def _plain(raw: Raw | bytes) -> object:
    try:
        return _value(raw)
    except msgspec.ValidationError:  # the grammar was checked: a number out of range
        return UNREADABLE


def _keys(records: list[Any], chain: Chain) -> list[tuple[str, ...]]:
    """The keys that each record has at the end of a chain."""
    if len(chain) == 1:  # a record is an object, so this is a member
        return list(map(_key_alone, map(attrgetter(chain[0] or ""), records)))
    if None in chain[:-1]:
        _check_named(records, chain[:-1], chain[-1] or "")
    found = ([_key(bytes(raw)) for raw in _reached(record, chain)] for record in records)
    return [tuple(dict.fromkeys(key for key in keys if key is not None)) for keys in found]


def _key_alone(raw: Raw | UnsetType) -> tuple[str, ...]:
    key = None if raw is UNSET else _key(bytes(raw))
    return () if key is None else (key,)


def _check_named(records: list[Any], chain: Chain, key: str) -> None:
    """Refuses elements that tell of somebody whom they do not name."""
    for record in records:
        elements: Iterable[Any] = _reached(record, chain)
        for one in elements if key else ():
            if _is_null(getattr(one, key)) and not all(map(_is_null, astuple(one))):
                raise Refused.own("GUARD-SUBJECT", UNNAMED)


def _is_null(value: Any) -> bool:
    return value is UNSET or value is None or (isinstance(value, Raw) and bytes(value) == b"null")


def _key(raw: bytes) -> str | None:
    """A person's key; None for null. A number has one spelling: `-0` and `1e3` are no keys."""
    if raw.isdigit() and len(raw) <= 128:
        return raw.decode()
    plain = _PLAIN_KEY.fullmatch(raw)
    if plain is not None:
        return plain[1].decode()
    if raw == b"null":
        return None
    value = _plain(raw)
    if isinstance(value, int) and str(value).encode() != raw:
        value = UNREADABLE
    return subject_key(value)
