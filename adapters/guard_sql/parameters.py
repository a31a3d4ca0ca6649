"""The program's own parameters: counted, typed, renamed.

Parameters are data by their exact type. An object that a driver would adapt (an `AsIs`, anything with
`__conform__`) could carry SQL past the rewriting, and is refused. Each dialect takes the types that its driver
writes as a plain value.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timezone
from decimal import Decimal
from functools import cached_property
from types import MappingProxyType, NoneType
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from msgspec import Struct

from guard.errors import Refused

MAX_BYTES: Final = 32_768
"""The longest text or byte string (bytes, of text in UTF-8)."""

MAX_PATTERN: Final = 1_000
"""The longest pattern of LIKE (bytes in UTF-8). SQLite fails beyond 50,000, before or after the row filter ran:
the error, or its absence, would tell a hidden value."""

SMALLEST: Final = -(2**63)
LARGEST: Final = 2**63 - 1
"""The whole numbers that databases keep as integers."""

MAX_DIGITS: Final = 1_000
"""The most digits of a Decimal, and the farthest place of one from the point. PostgreSQL counts with 131,072."""

_PREFIX: Final = "u"


def size(one: str | bytes) -> int:
    """How long a text (in UTF-8) or a byte string is, in bytes."""
    return len(one.encode() if isinstance(one, str) else one)


def parameter_name(place: int) -> str:
    """The name of the program's parameter in guarded text. The guard's own begin with `g_`."""
    return f"{_PREFIX}{place}"


def place_of(name: str) -> int:
    """Which of the program's parameters has this name."""
    return int(name.removeprefix(_PREFIX))


class Parameters(Struct, frozen=True, eq=False, dict=True):
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
        patterns: frozenset[str],
        dialect: str,
    ) -> list[object]:
        """The values in the order of `named`, as the dialect's driver takes them.

        `whole` are those that have to be whole numbers, `patterns` those that are the pattern of a LIKE.
        """
        made: list[object] = []
        kinds = _KINDS[dialect]
        # What most programs give, told without asking abstract classes.
        if not (type(given) is tuple or type(given) is list) or self.names or len(given) != self.count:
            given = self._values(given)
        for one in given:
            fits = kinds.get(type(one))
            made.append(one if fits is not None and fits(one) else _checked(one, dialect))
        if len(made) != self.total:
            raise Refused.own("GUARD-SQL-PARAMETERS", f"It takes {self.total} parameters.")
        for name in whole:
            if type(made[place_of(name)]) is not int:
                raise Refused.own("GUARD-SQL-PARAMETERS", "LIMIT and OFFSET take a whole number.")
        for name in patterns:
            value = made[place_of(name)]
            if isinstance(value, str | bytes) and size(value) > MAX_PATTERN:
                raise Refused.own("GUARD-SQL-PARAMETERS", f"A pattern of LIKE has at most {MAX_PATTERN} bytes.")
        return made

    @cached_property
    def places(self) -> tuple[int, ...]:
        """The places of its values."""
        return tuple(range(self.total))

    @cached_property
    def named(self) -> tuple[str, ...]:
        """What its values are called in the guarded text."""
        return tuple(parameter_name(place) for place in self.places)

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


def _checked(one: object, dialect: str) -> object:
    # sqlite3 binds a bool as the number that it is.
    if dialect == "sqlite" and type(one) is bool:
        return int(one is True)
    raise Refused.own("GUARD-SQL-PARAMETERS", _SAID[dialect])


def _any(_: object) -> bool:
    return True


def _fits(text: str) -> bool:
    if text.isascii():
        return len(text) <= MAX_BYTES and "\0" not in text
    try:
        return size(text) <= MAX_BYTES and "\0" not in text
    except UnicodeEncodeError:
        return False


def _plain(number: Decimal) -> bool:
    if not number.is_finite():
        return False
    _, digits, exponent = number.as_tuple()
    return len(digits) <= MAX_DIGITS and isinstance(exponent, int) and abs(exponent) <= MAX_DIGITS


def _timed(moment: datetime) -> bool:
    """Its offset is computed by Python's own code."""
    return moment.tzinfo is None or type(moment.tzinfo) in (timezone, ZoneInfo)


_COMMON: Final[Mapping[type[object], Callable[[Any], bool]]] = MappingProxyType(
    {
        NoneType: _any,
        int: range(SMALLEST, LARGEST + 1).__contains__,
        float: lambda one: not math.isnan(one),
        bytes: lambda one: len(one) <= MAX_BYTES,
        str: _fits,
    }
)

_KINDS: Final[Mapping[str, Mapping[type[object], Callable[[Any], bool]]]] = MappingProxyType(
    {
        "sqlite": _COMMON,
        "postgres": MappingProxyType(
            {**_COMMON, bool: _any, date: _any, datetime: _timed, Decimal: _plain, UUID: _any}
        ),
    }
)
"""Each exact type that a parameter may have, and which of its values fit."""

_FITTING: Final = f"A parameter is None, a number of 64 bits, {{}}or text or bytes of at most {MAX_BYTES} bytes."
_SAID: Final[Mapping[str, str]] = MappingProxyType(
    {
        "sqlite": _FITTING.format(""),
        "postgres": _FITTING.format(f"a bool, date, datetime, UUID, a Decimal of at most {MAX_DIGITS} digits, "),
    }
)
