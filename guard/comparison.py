"""A fact of a record compared as policy asks: the same answers that its column would give, in Python.

`guard_sql` has the SQL forms, and a test runs both. What is not plainly what the catalogue says (a number that comes
as text, a date that does not exist) fulfils nothing: it is hidden, and may hide more than a database would.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import date, timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final

from guard.errors import Refused
from guard.model import FactCondition, Operator, Scalar
from guard.periods import Period

_COMPARE: Final[Mapping[Operator, Callable[[Any, Any], bool]]] = MappingProxyType(
    {
        "eq": operator.eq,
        "ne": operator.ne,
        "lt": operator.lt,
        "le": operator.le,
        "gt": operator.gt,
        "ge": operator.ge,
    }
)

_DAY: Final = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_MOMENT: Final = re.compile(
    rf"({_DAY})(?:[T ][0-9]{{2}}:[0-9]{{2}}(?::[0-9]{{2}}(?:\.[0-9]{{1,9}})?)?(Z|[+-][0-9]{{2}}(?::?[0-9]{{2}})?)?)?"
)
_WHOLE: Final = re.compile(_DAY)
_LARGEST: Final = 2**63 - 1


def fulfils(condition: FactCondition, value: object, field_type: str, today: str) -> bool:
    """Whether a value of a field of this type fulfils the condition; `today` is the local day of the operation.

    Refused GUARD-DECISION-CONDITION where policy asks what such a field cannot be asked, whatever its values are.
    """
    if condition.ago is not None:
        made = _ago(condition, condition.ago, value, field_type, today)
    elif condition.value is not None:
        made = _value(condition.operator, condition.value, value, field_type)
    else:
        raise _incomparable()
    return condition.or_absent if value is None else made


def _ago(condition: FactCondition, ago: str, value: object, field_type: str, today: str) -> bool:
    if field_type not in ("date", "timestamp"):
        raise Refused.own("GUARD-DECISION-CONDITION", f"The fact {condition.name} is not a date.")
    days = _days(value, whole=field_type == "date")
    wanted = Period.parse(ago).before(date.fromisoformat(today))
    return bool(days) and all(_COMPARE[condition.operator](day, wanted) for day in days)


def _days(value: object, *, whole: bool) -> tuple[date, ...]:
    """The days that a value may mean. A moment that names its offset may be the day before or after elsewhere."""
    if isinstance(value, date):
        value = value.isoformat()  # as a database's driver gives it
    formed = (_WHOLE if whole else _MOMENT).fullmatch(value) if isinstance(value, str) else None
    if formed is None:
        return ()
    with suppress(ValueError, OverflowError):
        day = date.fromisoformat(formed[0][:10])
        around = () if whole or formed[2] is None else (day - timedelta(days=1), day + timedelta(days=1))
        return (day, *around)
    return ()


def _value(by: Operator, wanted: Scalar, value: object, field_type: str) -> bool:
    if isinstance(wanted, str):
        return _text(by, wanted, value, field_type)
    if not -_LARGEST - 1 <= wanted <= _LARGEST:
        raise _incomparable()
    number = _number(value, field_type)
    return number is not None and _COMPARE[by](number, int(wanted))


def _text(by: Operator, wanted: str, value: object, field_type: str) -> bool:
    if "\0" in wanted or not _plain(wanted) or field_type in ("timestamp", "json"):
        raise _incomparable()
    if field_type == "date":
        try:
            day = date.fromisoformat(wanted)
        except ValueError:
            raise _incomparable() from None
        return any(_COMPARE[by](one, day) for one in _days(value, whole=True))
    # Code points compare as the bytes of UTF-8 do.
    return field_type == "text" and isinstance(value, str) and _plain(value) and _COMPARE[by](value, wanted)


def _plain(text: str) -> bool:
    """A text that a database can hold: no NUL, no half of a character."""
    return "\0" not in text and not any("\ud800" <= one <= "\udfff" for one in text)


def _number(value: object, field_type: str) -> int | float | Decimal | None:
    """The number that a value is for a field of this type; a boolean is 0 or 1, as databases have it."""
    if field_type == "boolean":
        return int(value) if isinstance(value, int) and value in (0, 1) else None
    if isinstance(value, bool) or field_type not in ("integer", "number"):
        return None
    if isinstance(value, int):
        return value
    if field_type == "number" and isinstance(value, float | Decimal) and math.isfinite(value):
        return value
    return None


def _incomparable() -> Refused:
    return Refused.own("GUARD-DECISION-CONDITION")
