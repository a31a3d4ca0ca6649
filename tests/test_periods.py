"""Periods are counted in the calendar, so that the day they lead to exists."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.periods import Period


@pytest.mark.parametrize(
    ("text", "day", "before"),
    [
        ("P5Y", date(2028, 2, 29), date(2023, 2, 28)),
        ("P5Y", date(2026, 11, 23), date(2021, 11, 23)),
        ("P4Y", date(2028, 2, 29), date(2024, 2, 29)),
        ("P1M", date(2026, 3, 31), date(2026, 2, 28)),
        ("P1Y1M", date(2026, 1, 15), date(2024, 12, 15)),
        ("P30D", date(2026, 1, 15), date(2025, 12, 16)),
        ("P9999Y", date(2026, 1, 15), date.min),
        ("P99999D", date(1, 1, 5), date.min),
    ],
)
def test_a_period_before_a_day(text: str, day: date, before: date) -> None:
    assert Period.parse(text).before(day) == before


@pytest.mark.parametrize("text", ["", "P", "5Y", "P5", "PT5H", "P-5Y", "P5Y ", "P٥Y", "P5y", "P1M1Y", "P99999Y"])
def test_what_is_no_period(text: str) -> None:
    assert not Period.valid(text)
    with pytest.raises(ValueError, match="not a period"):
        Period.parse(text)


@given(st.dates(), st.integers(0, 50), st.integers(0, 50), st.integers(0, 999))
def test_every_period_leads_to_a_day_not_later(day: date, years: int, months: int, days: int) -> None:
    then = Period(years, months, days).before(day)
    assert then <= day
    assert then == date.min or day - then <= timedelta(days=366 * years + 31 * months + days)
