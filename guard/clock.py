"""The time of an operation, stamped by the guard and never taken from the caller.

Cut to the minute: it is part of the key under which a decision is cached, and no rule of law here is
finer. What conditions compare with in the database (`Facts.seconds`) is not cut.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from typing import Final, TypeAlias
from zoneinfo import ZoneInfo

from guard.errors import Refused
from guard.model import Time

Clock: TypeAlias = Callable[[], float]
"""UTC seconds since the epoch, as `time.time`."""

system: Clock = time.time


_LATEST: Final = 253_402_214_400.0
"""The last day of the year 9999, in UTC seconds: what is later is no time."""


class Steady:
    """A clock that never runs back: a consent that ran out does not live again because a clock was set.

    What the source says later than that counts, earlier does not; what is no time at all is a refusal,
    GUARD-CLOCK. `last` is the latest good reading. Holds within one process.
    """

    def __init__(self, source: Clock) -> None:
        self._source = source
        self._lock = threading.Lock()
        self.last = 0.0

    def __call__(self) -> float:
        """UTC seconds, never less than before; Refused GUARD-CLOCK where the source tells no time."""
        reading = self._source()
        if not isinstance(reading, (int, float)) or not 0 <= reading < _LATEST:  # which nothing is that is not finite
            raise Refused.own("GUARD-CLOCK")
        with self._lock:
            if reading > self.last:
                self.last = float(reading)
            return self.last

    def recent(self) -> float:
        """The time, or the latest good one where the source fails: for what must be written all the same."""
        try:
            return self()
        except Refused:
            return self.last


def stamp(seconds: float, zone: str) -> Time:
    """The minute of `seconds` in the calendar of `zone` (an IANA name)."""
    return _minute(int(seconds // 60) * 60, zone)


@lru_cache(maxsize=64)
def _minute(seconds: int, zone: str) -> Time:
    local = datetime.fromtimestamp(seconds, ZoneInfo(zone))
    return Time(seconds=seconds, date=local.date().isoformat(), hour=local.hour, zone=zone)
