"""What an entry keeps of values that no JSON holds: any value is kept or described, within its bound."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import date, datetime, tzinfo
from decimal import Decimal
from hashlib import sha256

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.wire import canonical
from guard_register.kept import MAX_SEALED, kept, text


class Meta(type):
    @property
    def __name__(cls) -> str:  # type: ignore[override]  # a type that lies about its name
        raise RuntimeError("1002")


class Zone(tzinfo):
    def utcoffset(self, when: datetime | None) -> None:
        raise RuntimeError("1002")


class Secret(metaclass=Meta):
    __class__ = str  # type: ignore[assignment]  # isinstance says that it is text

    def __str__(self) -> str:
        raise RuntimeError("1002")


class Text(str):
    __slots__ = ()

    def __str__(self) -> str:
        raise RuntimeError


class Dict(dict):  # type: ignore[type-arg]
    def items(self) -> Iterator[object]:  # type: ignore[override]
        raise RuntimeError


def read(value: object, most: int = MAX_SEALED) -> object:
    """What is kept of it, as JSON says it."""
    return msgspec.json.decode(kept(value, most))


def digest(data: bytes) -> str:
    return sha256(data).hexdigest()


SURROGATE = {"unkept": "str", "length": 1, "sha256": digest(b"\xed\xa0\x80")}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"sql": "SELECT 1", "parameters": (1, "a", None, 1.5, True)},) * 2,
        ([2**70, Decimal("1.10"), date(2026, 1, 2), uuid.UUID(int=1), b"\0"],) * 2,
        ([Text("a"), Dict(a=1)], ["a", {"a": 1}]),
        ({1: 2, "a": 3}, [[1, 2], ["a", 3]]),
        ([float("nan"), float("-inf")], [{"unkept": "float"}] * 2),
        ([1002, object(), Secret()], [1002, {"unkept": "object"}, {"unkept": "Secret"}]),
        ("\ud800", SURROGATE),
        ({"\ud800": 1}, [[SURROGATE, 1]]),
        ([2**5000], [{"unkept": "int"}]),
        (
            {"sql": "x", "parameters": datetime(2026, 1, 1, tzinfo=Zone())},
            {"sql": "x", "parameters": {"unkept": "datetime"}},
        ),
        (bytearray(b"ab"), {"unkept": "bytearray", "length": 2, "sha256": digest(b"ab")}),
        (memoryview(b"ab"), {"unkept": "memoryview", "length": 2, "sha256": digest(b"ab")}),
        ({1, 2}, {"unkept": "set"}),
    ],
    ids=lambda _: "",
)
def test_a_value_is_kept_or_described_in_its_place(value: object, expected: object) -> None:
    assert bytes(kept(value)) == canonical(list(expected) if isinstance(expected, tuple) else expected)


def test_a_part_that_is_too_long_is_known_by_its_digest_and_its_neighbours_stay() -> None:
    long = "x" * 5_000_000
    assert read({"sql": long, "parameters": [1002]}) == {
        "sql": {"unkept": "str", "length": 5_000_000, "sha256": digest(long.encode())},
        "parameters": [1002],
    }
    assert read(b"b" * 5_000_000) == {"unkept": "bytes", "length": 5_000_000, "sha256": digest(b"b" * 5_000_000)}
    assert read({"sql": "s", "parameters": list(range(2_000_000))}) == {
        "sql": "s",
        "parameters": {"unkept": "list", "length": 2_000_000},
    }


def test_long_keys_count_too() -> None:
    given = {f"{i}" + "\x01" * 1_000: "\x01" * 11_664 for i in range(8)}
    assert len(kept(given, 8 * 70_000)) <= 8 * 70_000


def test_a_value_that_holds_itself_or_itself_many_times_ends() -> None:
    cycle: list[object] = []
    cycle.append(cycle)
    assert bytes(kept(cycle)).count(b"unkept") == 1
    wide: object = 1
    for _ in range(12):
        wide = [wide] * 100
    assert read(wide) == {"unkept": "list", "length": 100}


VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.binary() | st.text(st.characters(codec=None)),
    lambda of: st.lists(of) | st.dictionaries(st.text(st.characters(codec=None)) | st.integers(), of) | st.tuples(of),
)


@given(VALUE, st.integers(400, 3_000))
def test_any_value_is_json_within_its_bound(value: object, most: int) -> None:
    made = kept(value, most)
    assert len(made) <= most
    assert canonical(msgspec.json.decode(made)) == bytes(made)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("王", "王"),
        ("1002\ud800", "(str of length 5, not kept)"),
        ("1" * 1025, "(str of length 1025, not kept)"),
        ("王" * 400, "(str of length 400, not kept)"),
        (1002, "(int, not kept)"),
        (Secret(), "(Secret, not kept)"),
        (Text("1002"), "(Text of length 4, not kept)"),
    ],
    ids=lambda _: "",
)
def test_a_text_that_cannot_stand_in_clear_says_only_what_it_was(value: object, expected: str) -> None:
    assert text(value) == expected
