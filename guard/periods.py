"""ISO 8601 periods, counted in the calendar.

Periods are computed here and bound as parameters, never by SQL or Rego text: 2028-02-29 less five years
has to be a date that exists, and every database has its own idea of it.
"""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import date, timedelta
from typing import Final

import msgspec

_FORM: Final = re.compile(r"P(?=\d)(?:(\d{1,4})Y)?(?:(\d{1,4})M)?(?:(\d{1,5})D)?", re.ASCII)


class Period(msgspec.Struct, frozen=True):
    """Years, months and days, e.g. `P5Y`."""

    years: int
    months: int
    days: int

    @classmethod
    def valid(cls, text: str) -> bool:
        """Whether the text is a period that can be counted."""
        return _FORM.fullmatch(text) is not None

    @classmethod
    def parse(cls, text: str) -> Period:
        """Reads a period; ValueError if it is none."""
        match = _FORM.fullmatch(text)
        if match is None:
            raise ValueError(f"{text!r} is not a period such as P5Y, P3M or P30D")
        years, months, days = (int(part or 0) for part in match.groups())
        return cls(years, months, days)

    def before(self, day: date) -> date:
        """The day this long before `day`; a day that its month lacks becomes the month's last."""
        total = day.year * 12 + day.month - 1 - self.years * 12 - self.months
        year, month = divmod(total, 12)
        if year < 1:
            return date.min
        clipped = date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))
        return clipped - timedelta(days=min(self.days, (clipped - date.min).days))
