"""Pointers into JSON: where a record keeps a field.

A pointer is RFC 6901 text (`/address/city`, `~0` for `~`, `~1` for `/`) with one extension: `*` as a whole segment
is each element of an array (`/accounts/*/balance`). Any other segment is a member of an object: positions in an
array, which RFC 6901 has too, are nothing that a catalogue declares. A field of a table, which is no pointer, is
the one member of its name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Final, TypeAlias

import msgspec

Step: TypeAlias = str | None
"""A member of an object; None for each element of an array."""

Steps: TypeAlias = tuple[Step, ...]

_ESCAPED: Final = re.compile(r"(?:[^~]|~[01])*", re.DOTALL)


@lru_cache(maxsize=4096)
def steps(field: str) -> Steps:
    """The way to a field; ValueError for text that begins like a pointer and is none."""
    if not field.startswith("/"):
        return (field,) if field else ()
    parts = field[1:].split("/")
    if not all(_ESCAPED.fullmatch(part) for part in parts):
        raise ValueError(f"{field} has a ~ that is neither ~0 nor ~1")
    return tuple(None if part == "*" else part.replace("~1", "/").replace("~0", "~") for part in parts)


def many(field: str) -> bool:
    """Whether a record may have the field several times: it lies within an array."""
    return None in steps(field)


def found(record: object, way: Steps) -> Iterator[object]:
    """What a record has at the end of the way: nothing, one value, or one for each element on the way."""
    reached = [record]
    for step in way:
        if step is None:
            reached = [one for part in reached if isinstance(part, list | tuple) for one in part]
        else:
            reached = [part[step] for part in reached if isinstance(part, Mapping) and step in part]
    return iter(reached)


class Tree(msgspec.Struct, frozen=True):
    """The declared fields of a record as one tree: what is on no branch of it is declared by nobody.

    `field` is there at a leaf, `each` where an array is expected, `members` where an object is.
    """

    fields: tuple[str, ...]
    """All fields at and below this place."""
    field: str | None = None
    each: Tree | None = None
    members: Mapping[str, Tree] = msgspec.field(default_factory=dict)


def tree(fields: Iterable[str]) -> Tree:
    """The fields as a tree; ValueError where one lies within another, or a place is an array and an object."""
    return _tree([(steps(field), field) for field in dict.fromkeys(fields)])


def _tree(ways: list[tuple[Steps, str]]) -> Tree:
    names = tuple(field for _, field in ways)
    ends = [field for way, field in ways if not way]
    if ends:
        if len(ways) > 1:
            raise ValueError(f"{ends[0]} holds {next(name for name in names if name != ends[0])}: declare one of them")
        return Tree(names, field=ends[0])
    first = dict.fromkeys(way[0] for way, _ in ways)
    below = {step: _tree([(way[1:], field) for way, field in ways if way[0] == step]) for step in first}
    each = below.pop(None, None)
    if each is not None and below:
        raise ValueError(f"{names[0]} and {names[-1]} take one place for an array and for an object")
    return Tree(names, each=each, members={step: one for step, one in below.items() if step is not None})
