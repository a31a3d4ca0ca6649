"""The named treatments of a value, in Python. Their SQL forms are in `guard_sql.masks`.

Every mask is idempotent, keeps None as None, gives text for text, and shows no more of an unexpected
value than of an expected one: what does not have the expected form is hidden whole. Characters are
Unicode code points. Sources: GB/T 35273 7.2, JR/T 0171 annex A; `id18` keeps only the first three
digits, since the last four show the sex and, with district and month of birth, leave four candidates.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

HIDDEN: Final = "***"


def name(value: str) -> str:
    """Keeps the first character: 王小明 → 王**."""
    return value[:1] + "**" if value else HIDDEN


def id18(value: str) -> str:
    """Keeps the first three of an 18-character identity number: 110***************."""
    return value[:3] + "*" * 15 if len(value) == 18 else HIDDEN


def phone(value: str) -> str:
    """Keeps 3 + 4 of an 11-character phone number: 138****5678."""
    return value[:3] + "****" + value[7:] if len(value) == 11 else HIDDEN


def card(value: str) -> str:
    """Keeps 6 + 4 of a card or account number of 12 characters or more: 622202******1234."""
    return value[:6] + "******" + value[-4:] if len(value) >= 12 else HIDDEN


def month(value: str) -> str:
    """Truncates an ISO date to its month: 1990-05-17 → 1990-05."""
    return value[:7] if len(value) in (7, 10) and value[4] == "-" else HIDDEN


def city(value: str) -> str:
    """Keeps an address up to its first 市 (city); hides it if it has none in its first 12 characters."""
    end = value[:12].find("市") + 1
    return value[:end] if end > 0 else HIDDEN


MASKS: Final[Mapping[str, Callable[[str], str]]] = MappingProxyType(
    {"name": name, "id18": id18, "phone": phone, "card": card, "month": month, "city": city}
)
"""All masks that a policy may name."""


def apply(mask: str, value: object) -> str | None:
    """The value as the mask lets it be seen; a whole number is masked as its text.

    Any other kind of value is hidden: its text differs between databases and Python. So is a text with a
    NUL, at which a database may stop reading.
    """
    if value is None:
        return None
    masked = MASKS[mask]
    if isinstance(value, str):
        return HIDDEN if "\0" in value else masked(value)
    return masked(str(value)) if isinstance(value, int) and not isinstance(value, bool) else HIDDEN
