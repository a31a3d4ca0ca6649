"""Parameters are counted, typed and renamed; they are data and never code."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from decimal import Decimal
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from sql_world import (
    CATALOGUE,
    FACTS,
    LOAN,
    OP01,
    decision,
    plan,
)

import guard_sql
from guard.errors import Refused
from guard_sql.conditions import value
from guard_sql.parameters import Parameters

BY_PLACE = "SELECT loan_id FROM loan WHERE status = ? OR principal > ? LIMIT ?, ?"
BY_NAME = "SELECT loan_id FROM loan WHERE status = :status OR principal > @least OR status <> :status LIMIT $n"


def bound(sql: str, parameters: object) -> dict[str, object]:
    values = plan(sql).apply(decision(LOAN)).bind(parameters, FACTS)[1]  # type: ignore[arg-type]
    return {name: value for name, value in values.items() if name.startswith("u")}


def test_parameters_are_bound_by_their_place_in_the_text() -> None:
    assert bound(BY_PLACE, ["open", 1.5, 5, 10]) == {"u0": "open", "u1": 1.5, "u2": 5, "u3": 10}
    assert plan(BY_PLACE).apply(decision(LOAN)).text.endswith("LIMIT :u3 OFFSET :u2")


def test_named_parameters_are_bound_by_their_names() -> None:
    assert bound(BY_NAME, {"status": "open", "least": 1, "n": 2, "more": 3}) == {"u0": "open", "u1": 1, "u2": 2}


@pytest.mark.parametrize(
    ("sql", "parameters"),
    [
        (BY_PLACE, None),
        (BY_PLACE, []),
        (BY_PLACE, ["open", 1, 1]),
        (BY_PLACE, ["open", 1, 1, 1, 1]),
        (BY_PLACE, {"u0": 1, "u1": 1, "u2": 1, "u3": 1}),
        (BY_PLACE, "abcd"),
        (BY_PLACE, ["open", 1, "1", 1]),
        (BY_PLACE, ["open", 1, 1, None]),
        (BY_PLACE, ["open", 1, 1.0, 1]),
        (BY_NAME, None),
        (BY_NAME, [1, 2, 3]),
        (BY_NAME, {"status": 1, "least": 1}),
        ("SELECT loan_id FROM loan", [1]),
        ("SELECT loan_id FROM loan", {"g_now": 0}),
    ],
)
def test_parameters_that_do_not_fit_are_refused(sql: str, parameters: object) -> None:
    with pytest.raises(Refused) as raised:
        bound(sql, parameters)
    assert raised.value.rules == ("GUARD-SQL-PARAMETERS",)


class Text(str):
    """What a driver might adapt in a way of its own."""

    __slots__ = ()

    def __conform__(self, _: object) -> str:
        return "x') UNION SELECT ssn"


@pytest.mark.parametrize(
    "value",
    [
        Text("x"),
        object(),
        [1],
        (1,),
        {"a": 1},
        2**63,
        -(2**63) - 1,
        "a\0b",
        "\ud800",
        "x" * 32_769,
        "王" * 10_923,
        b"x" * 32_769,
        1j,
        float("nan"),
        bytearray(b"x"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_parameters_are_data_by_their_exact_type(value: object) -> None:
    with pytest.raises(Refused) as raised:
        bound("SELECT loan_id FROM loan WHERE status = ?", [value])
    assert raised.value.rules == ("GUARD-SQL-PARAMETERS",)


@pytest.mark.parametrize("value", [None, "x", "王", 1, -(2**63), 2**63 - 1, 1.5, b"x", True])
def test_plain_values_pass(value: object) -> None:
    assert bound("SELECT loan_id FROM loan WHERE status = ?", [value]) == {"u0": value}


@pytest.mark.parametrize("value", ["x" * 1_001, "王" * 334, b"x" * 1_001])
@pytest.mark.parametrize(
    "sql",
    [
        "SELECT loan_id FROM loan WHERE status LIKE ?",
        "SELECT loan_id FROM loan WHERE status NOT LIKE :x ESCAPE '!'",
        "SELECT status LIKE ? AS x FROM loan",
        "SELECT sum(CASE WHEN status LIKE ? THEN 1 END) FROM loan",
        "SELECT city FROM branch WHERE city LIKE ?",
    ],
)
def test_a_pattern_is_measured_when_it_is_bound(sql: str, value: object) -> None:
    """SQLite fails over a long pattern, for hidden rows too."""
    made = plan(sql)
    guarded = made.apply(None if made.public else decision(LOAN))
    named = ":x" in sql
    guarded.bind({"x": "王" * 333} if named else ["王" * 333], FACTS)
    with pytest.raises(Refused) as raised:
        guarded.bind({"x": value} if named else [value], FACTS)
    assert raised.value.rules == ("GUARD-SQL-PARAMETERS",)
    assert bound("SELECT loan_id FROM loan WHERE status = ? AND status LIKE 'x'", [value]) == {"u0": value}


def test_a_parameter_of_the_program_is_never_one_of_the_guard() -> None:
    sql = "SELECT loan_id FROM loan WHERE status = :g_purpose AND principal = :g_now"
    made = plan(sql).apply(decision(LOAN, OP01))
    values = made.bind({"g_purpose": "stolen", "g_now": -1}, FACTS)[1]
    assert values["g_purpose"] == FACTS.purpose
    assert values["g_now"] == FACTS.seconds
    assert values["u0"] == "stolen"


class Odd(tzinfo):
    """An offset that code of the program's computes."""


class Day(date):
    """What a driver might adapt in a way of its own."""


def on(dialect: str, value: object) -> object:
    return Parameters(count=1, names=()).bind([value], frozenset(), frozenset(), dialect)[0]


TYPED = [
    date(2026, 1, 31),
    datetime(2026, 1, 31, 12, 0, 1),  # noqa: DTZ001 — a column may have no time zone
    datetime(2026, 1, 31, tzinfo=UTC),
    datetime(2026, 1, 31, tzinfo=ZoneInfo("Asia/Shanghai")),
    Decimal("12.50"),
    Decimal("-1e1000"),
    UUID(int=7),
]


@pytest.mark.parametrize("value", TYPED, ids=lambda value: type(value).__name__)
def test_postgresql_takes_the_types_that_its_driver_writes_as_values(value: object) -> None:
    assert on("postgres", value) is value
    with pytest.raises(Refused):
        on("sqlite", value)


@pytest.mark.parametrize("value", [None, "王", -(2**63), 1.5, float("inf"), b"x"])
def test_plain_values_pass_on_both(value: object) -> None:
    assert on("postgres", value) is value
    assert on("sqlite", value) is value


def test_a_bool_is_a_number_on_sqlite_alone() -> None:
    assert on("postgres", True) is True
    assert type(on("sqlite", True)) is int
    with pytest.raises(Refused):
        Parameters(count=1, names=()).bind([True], frozenset({"u0"}), frozenset(), "postgres")


@pytest.mark.parametrize(
    "value",
    [
        *(
            Text("x"),
            object(),
            [1],
            (1,),
            {"a": 1},
            2**63,
            "a\0b",
            "\ud800",
            "x" * 32_769,
            float("nan"),
            bytearray(b"x"),
        ),
        *(Decimal("NaN"), Decimal("sNaN"), Decimal("Infinity"), Decimal("1e1001"), Decimal("1e-1001")),
        *(Decimal("1" * 1_001), Day(2026, 1, 1), datetime(2026, 1, 1, tzinfo=Odd()), time(1), timedelta(1)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_could_be_more_than_a_value_is_refused_on_postgresql(value: object) -> None:
    with pytest.raises(Refused) as raised:
        on("postgres", value)
    assert raised.value.rules == ("GUARD-SQL-PARAMETERS",)


def test_on_postgresql_values_come_in_the_order_of_their_numbers() -> None:
    site = guard_sql.Site(catalogue=CATALOGUE, holder="bank", schemas={"retail": "retail"}, dialect="postgres")
    sql = "SELECT loan_id FROM loan WHERE status = %(s)s OR principal > %(p)s OR status <> %(s)s OR status = ':u7 $1'"
    made = guard_sql.plan(sql, site, pyformat=True).apply(decision(LOAN, OP01))
    text, values = made.bind({"p": 1, "s": "open"}, FACTS)
    names = made.names(text)
    assert names[:2] == ("u0", "u1")
    assert values == ("open", 1, *(value(name, FACTS) for name in names[2:]))
    assert (text.count('"status" = $1'), text.count('"status" <> $1'), text.count("':u7 $1'")) == (1, 1, 1)
    assert {f"${number}" for number in range(1, len(names) + 1)} == {*re.findall(r"\$\d+", text)}


class Longer(list[object]):
    """Says that it is shorter than it is."""

    def __len__(self) -> int:
        return 1


def test_more_values_than_were_counted_are_refused() -> None:
    with pytest.raises(Refused):
        Parameters(count=1, names=()).bind(Longer([1, 2]), frozenset(), frozenset(), "postgres")
