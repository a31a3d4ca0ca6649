"""Each mask in SQL shows exactly what its Python form shows, on a real database."""

from __future__ import annotations

import math
import sqlite3

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from guard import masks
from guard_sql.masks import masked

CONNECTION = sqlite3.connect(":memory:", check_same_thread=False)
CONNECTION.execute("CREATE TABLE t (plain, kept TEXT)")

texts = st.text(st.characters(codec="utf-8"), max_size=24) | st.from_regex(
    r"[0-9]{11}|[0-9]{17}[0-9X]|[0-9]{12,19}", fullmatch=True
)
dates = st.dates().map(str) | st.dates().map(lambda day: str(day)[:7])
addresses = st.text("市上海区 a1", max_size=16)


@pytest.mark.parametrize("mask", sorted(masks.MASKS))
@given(
    value=st.none()
    | texts
    | dates
    | addresses
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats()
    | st.binary(max_size=12)
)
@example(value="")
@example(value="\0")
@example(value="1380000\x0012")
@example(value="𠀀" * 18)
@example(value="e\u0301" * 9)
@example(value=13_812_345_678)
@example(value=1e300)
def test_a_mask_in_sql_is_the_mask_in_python(mask: str, value: object) -> None:
    row = CONNECTION.execute(f"SELECT {masked(mask, 'v', 'sqlite')} FROM (SELECT ? AS v)", (value,)).fetchone()
    # SQLite stores NaN as NULL.
    assert row[0] == masks.apply(mask, None if isinstance(value, float) and math.isnan(value) else value)


@pytest.mark.parametrize("mask", sorted(masks.MASKS))
def test_every_mask_of_the_policies_has_a_form(mask: str) -> None:
    assert masked(mask, "v", "sqlite")
