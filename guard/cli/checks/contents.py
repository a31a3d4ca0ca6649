"""Whether columns hold what the catalogue says. Swapped columns keep their names and types, not their contents."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from guard.catalogue import Public, Source

ENOUGH: Final = 5
"""Values of a column from which a form can be told."""


def identity_number(value: object) -> bool:
    """Whether this is an 18-character identity number whose checksum is right (GB 11643-1999)."""
    if not isinstance(value, str) or not re.fullmatch(r"[1-9][0-9]{16}[0-9X]", value, re.ASCII):
        return False
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    return (
        "10X98765432"[sum(int(digit) * weight for digit, weight in zip(value, weights, strict=False)) % 11] == value[17]
    )


def mobile(value: object) -> bool:
    """Whether this is a mobile number of China."""
    return re.fullmatch(r"1[3-9][0-9]{9}", str(value), re.ASCII) is not None


FORMS: Final[Mapping[str, tuple[str, Callable[[object], bool]]]] = {
    "identity_number": ("identity numbers", identity_number),
    "contact": ("mobile numbers", mobile),
}
"""Forms that tell a category by itself, whatever the column is called."""

_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_SHAPES: Final[Mapping[str, tuple[str, Callable[[object], bool]]]] = {
    "integer": ("whole numbers", lambda value: isinstance(value, int)),
    "number": ("numbers", lambda value: isinstance(value, int | float)),
    "boolean": ("0 and 1", lambda value: value in (0, 1)),
    "date": ("dates such as 2026-11-23", lambda value: isinstance(value, str) and bool(_DATE.fullmatch(value))),
    "text": ("text", lambda value: isinstance(value, str)),
}
"""What values of a type look like in the database."""


def wrong(values: Sequence[object], entry: Source | Public, name: str) -> tuple[str, str] | None:
    """What is wrong with the values of a column, and the remedy; no value is part of it."""
    remedy = "correct the catalogue, or the column: was it renamed or swapped with another?"
    shape = _SHAPES.get(type_of(entry, name))
    if shape is not None and not all(map(shape[1], values)):
        return f"holds other things than {shape[0]}", remedy
    if len(values) < ENOUGH:
        return None
    category = None if isinstance(entry, Public) else entry.fields[name].category
    for known, (words, holds) in FORMS.items():
        count = sum(map(holds, values))
        if category != known and count == len(values):
            return f"holds {words}, and is declared {category or 'public'}", f"declare the category {known}"
        if category == known == "identity_number" and count * 2 < len(values):
            return f"does not hold {words}", remedy
    return None


def type_of(entry: Source | Public, name: str) -> str:
    """The type that the catalogue gives a column."""
    return entry.fields[name] if isinstance(entry, Public) else entry.fields[name].type
