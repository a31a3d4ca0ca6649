"""Masks show what they promise, hide what they do not understand, and are idempotent."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard import masks


@pytest.mark.parametrize(
    ("mask", "value", "shown"),
    [
        ("name", "王小明", "王**"),
        ("name", "", "***"),
        ("id18", "110101199003071234", "110***************"),
        ("id18", "110101900307123", "***"),
        ("phone", "13812345678", "138****5678"),
        ("phone", "+8613812345678", "***"),
        ("card", "6222021234567890123", "622202******0123"),
        ("card", "62220212345", "***"),
        ("month", "1990-05-17", "1990-05"),
        ("month", "17.05.1990", "***"),
        ("city", "上海市静安区南京西路 1 号", "上海市"),
        ("city", "Nanjing Road 1", "***"),
    ],
)
def test_what_a_mask_shows(mask: str, value: str, shown: str) -> None:
    assert masks.apply(mask, value) == shown


@pytest.mark.parametrize("mask", sorted(masks.MASKS))
@given(value=st.text(max_size=30))
def test_a_mask_is_idempotent(mask: str, value: str) -> None:
    once = masks.apply(mask, value)
    assert masks.apply(mask, once) == once


@pytest.mark.parametrize("mask", sorted(masks.MASKS))
def test_nothing_stays_nothing(mask: str) -> None:
    assert masks.apply(mask, None) is None


@given(st.from_regex(r"[0-9]{17}[0-9X]", fullmatch=True), st.from_regex(r"[0-9]{14}[0-9X]", fullmatch=True))
def test_id18_shows_neither_sex_nor_date_of_birth(first: str, rest: str) -> None:
    other = first[:3] + rest
    assert masks.apply("id18", first) == masks.apply("id18", other)
