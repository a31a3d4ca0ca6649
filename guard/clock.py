"""The time of an operation, stamped by the guard and never taken from the caller.

Cut to the minute: it is part of the key under which a decision is cached, and no rule of law here is
finer. What conditions compare with in the database (`Facts.seconds`) is not cut.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from typing import TypeAlias
from zoneinfo import ZoneInfo

from guard.model import Time

Clock: TypeAlias = Callable[[], float]
"""UTC seconds since the epoch, as `time.time`."""

system: Clock = time.time


def stamp(seconds: float, zone: str) -> Time:
    """The minute of `seconds` in the calendar of `zone` (an IANA name)."""
    return _minute(int(seconds // 60) * 60, zone)


@lru_cache(maxsize=64)
def _minute(seconds: int, zone: str) -> Time:
    local = datetime.fromtimestamp(seconds, ZoneInfo(zone))
    return Time(seconds=seconds, date=local.date().isoformat(), hour=local.hour, zone=zone)
