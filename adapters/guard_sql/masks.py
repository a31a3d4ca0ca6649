"""The masks of `guard.masks` as SQL expressions, one table a dialect.

`expression` is a column; the result is text, keeps NULL, and never fails. What is neither text nor an
integer, or holds a NUL (at which SQLite's text functions stop), is hidden whole. A property test holds
each form equal to its Python twin.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from guard.masks import HIDDEN

_STARS: Final = f"'{HIDDEN}'"


def _sqlite_name(text: str) -> str:
    return f"CASE WHEN length({text}) > 0 THEN substr({text}, 1, 1) || '**' ELSE {_STARS} END"


def _sqlite_id18(text: str) -> str:
    return f"CASE WHEN length({text}) = 18 THEN substr({text}, 1, 3) || '{'*' * 15}' ELSE {_STARS} END"


def _sqlite_phone(text: str) -> str:
    return f"CASE WHEN length({text}) = 11 THEN substr({text}, 1, 3) || '****' || substr({text}, 8) ELSE {_STARS} END"


def _sqlite_card(text: str) -> str:
    return (
        f"CASE WHEN length({text}) >= 12 THEN substr({text}, 1, 6) || '******' || substr({text}, -4) ELSE {_STARS} END"
    )


def _sqlite_month(text: str) -> str:
    dated = f"length({text}) IN (7, 10) AND substr({text}, 5, 1) = '-'"
    return f"CASE WHEN {dated} THEN substr({text}, 1, 7) ELSE {_STARS} END"


def _sqlite_city(text: str) -> str:
    end = f"instr(substr({text}, 1, 12), '市')"
    return f"CASE WHEN {end} > 0 THEN substr({text}, 1, {end}) ELSE {_STARS} END"


_SQLITE: Final[Mapping[str, Callable[[str], str]]] = MappingProxyType(
    {
        "name": _sqlite_name,
        "id18": _sqlite_id18,
        "phone": _sqlite_phone,
        "card": _sqlite_card,
        "month": _sqlite_month,
        "city": _sqlite_city,
    }
)


def _sqlite(mask: str, expression: str) -> str:
    text = f"CAST({expression} AS TEXT)"
    return (
        f"CASE WHEN {expression} IS NULL THEN NULL "
        f"WHEN typeof({expression}) NOT IN ('integer', 'text') OR instr({text}, char(0)) > 0 THEN {_STARS} "
        f"ELSE {_SQLITE[mask](text)} END"
    )


_FORMS: Final[Mapping[str, Callable[[str, str], str]]] = MappingProxyType({"sqlite": _sqlite})


def masked(mask: str, expression: str, dialect: str) -> str:
    """The expression as the mask lets it be seen, in the dialect's SQL."""
    return _FORMS[dialect](mask, expression)
