"""The program's own parameters: counted, typed, renamed.

Parameters are data by their exact type. An object that a driver would adapt (an `AsIs`, anything with
`__conform__`) could carry SQL past the rewriting, and is refused.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import NoneType
from typing import Final

from guard.errors import Refused

MAX_BYTES: Final = 32_768
"""The longest text or byte string (bytes, of text in UTF-8)."""

MAX_PATTERN: Final = 1_000
"""The longest pattern of LIKE (bytes in UTF-8). SQLite fails beyond 50,000, before or after the row filter ran:
the error, or its absence, would tell a hidden value."""

SMALLEST: Final = -(2**63)
LARGEST: Final = 2**63 - 1
"""The numbers that SQLite keeps as integers."""

_PREFIX: Final = "u"


def size(one: str | bytes) -> int:
    """How long a text (in UTF-8) or a byte string is, in bytes."""
    return len(one.encode() if isinstance(one, str) else one)


def parameter_name(place: int) -> str:
    """The name of the program's parameter in guarded text. The guard's own begin with `g_`."""
    return f"{_PREFIX}{place}"


@dataclass(frozen=True)
class Parameters:
    """What a statement asks for: `count` positional parameters, or named ones in order of appearance."""

    count: int
    names: tuple[str, ...]

    @property
    def total(self) -> int:
        """How many values it takes."""
        return self.count + len(self.names)

    def bind(
        self,
        given: Sequence[object] | Mapping[str, object] | None,
        whole: frozenset[str],
        patterns: frozenset[str] = frozenset(),
    ) -> dict[str, object]:
        """The values under their names in the guarded text.

        `whole` are those that have to be whole numbers, `patterns` those that are the pattern of a LIKE.
        """
        made: dict[str, object] = {}
        for place, one in enumerate(self._values(given)):
            name = parameter_name(place)
            made[name] = value = _checked(one, whole=name in whole)
            if name in patterns and isinstance(value, str | bytes) and size(value) > MAX_PATTERN:
                raise Refused.own("GUARD-SQL-PARAMETERS", f"A pattern of LIKE has at most {MAX_PATTERN} bytes.")
        return made

    def _values(self, given: Sequence[object] | Mapping[str, object] | None) -> Sequence[object]:
        if self.names:
            if not isinstance(given, Mapping) or any(name not in given for name in self.names):
                raise Refused.own("GUARD-SQL-PARAMETERS", "It names a parameter that was not given.")
            return [given[name] for name in self.names]
        if not given and not self.count:
            return ()
        if isinstance(given, str | bytes | Mapping) or not isinstance(given, Sequence) or len(given) != self.count:
            raise Refused.own("GUARD-SQL-PARAMETERS", f"It takes {self.count} parameters in order.")
        return given


def _checked(one: object, *, whole: bool) -> object:
    kind = type(one)
    if kind is bool:
        one, kind = int(one is True), int
    if whole and kind is not int:
        raise Refused.own("GUARD-SQL-PARAMETERS", "LIMIT and OFFSET take a whole number.")
    if isinstance(one, int) and kind is int and SMALLEST <= one <= LARGEST:
        return one
    if kind is NoneType or (isinstance(one, float) and kind is float and not math.isnan(one)):
        return one
    if isinstance(one, bytes) and kind is bytes and len(one) <= MAX_BYTES:
        return one
    if isinstance(one, str) and kind is str and _fits(one):
        return one
    raise Refused.own(
        "GUARD-SQL-PARAMETERS",
        f"A parameter is None, a number of 64 bits, or text or bytes of at most {MAX_BYTES} bytes.",
    )


def _fits(text: str) -> bool:
    if text.isascii():
        return len(text) <= MAX_BYTES and "\0" not in text
    try:
        return size(text) <= MAX_BYTES and "\0" not in text
    except UnicodeEncodeError:
        return False
