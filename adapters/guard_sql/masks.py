"""The masks of `guard.masks` as SQL expressions.

The result is text, keeps NULL, and never fails. What a mask cannot read is hidden whole: on SQLite a value that is
neither text nor an integer, or that holds a NUL, on PostgreSQL a column of such a type. A property test holds each
form equal to its Python twin, on each database.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from guard.masks import HIDDEN
from guard_sql.forms import Forms

_STARS: Final = f"'{HIDDEN}'"


def masked(mask: str, place: str, forms: Forms, field_type: str) -> str:
    """The column as the mask lets it be seen. `field_type` is its type in the catalogue."""
    return forms.masked(
        f"CASE WHEN {place} IS NULL THEN NULL WHEN {forms.unreadable(place, field_type)} THEN {_STARS} "
        f"ELSE {_MASKS[mask](forms.read(place), forms)} END"
    )


def _either(formed: str, shown: str) -> str:
    return f"CASE WHEN {formed} THEN {shown} ELSE {_STARS} END"


def _name(text: str, forms: Forms) -> str:
    return _either(forms.binary(forms.length(text), "gt", "0"), forms.joined(forms.part(text, 1, 1), "'**'"))


def _id18(text: str, forms: Forms) -> str:
    formed = forms.binary(forms.length(text), "eq", "18")
    return _either(formed, forms.joined(forms.part(text, 1, 3), f"'{'*' * 15}'"))


def _phone(text: str, forms: Forms) -> str:
    formed = forms.binary(forms.length(text), "eq", "11")
    return _either(formed, forms.joined(forms.part(text, 1, 3), "'****'", forms.part(text, 8)))


def _card(text: str, forms: Forms) -> str:
    formed = forms.binary(forms.length(text), "ge", "12")
    return _either(formed, forms.joined(forms.part(text, 1, 6), "'******'", forms.end(text, 4)))


def _month(text: str, forms: Forms) -> str:
    dashed = forms.binary(forms.part(text, 5, 1), "eq", "'-'")
    return _either(f"{forms.among(forms.length(text), ('7', '10'))} AND {dashed}", forms.part(text, 1, 7))


def _city(text: str, forms: Forms) -> str:
    end = forms.find(forms.part(text, 1, 12), "市")
    return _either(forms.binary(end, "gt", "0"), forms.part(text, 1, end))


_MASKS: Final[Mapping[str, Callable[[str, Forms], str]]] = MappingProxyType(
    {"name": _name, "id18": _id18, "phone": _phone, "card": _card, "month": _month, "city": _city}
)
