"""Activities that are made once: only what is the same in every part is the same question."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from test_engine_hostile import ACTIVITY

from guard import activities, wire
from guard.activities import Activities
from guard.context import Acting
from guard.model import Activity, Actor, Declared, Recipient

NOW = 1_795_420_800.0
LIN = {"id": "lin", "roles": ("loan_officer", "auditor"), "unit": "b-1"}
STAFF, DECLARED = Recipient(kind="staff"), Declared()
ITEMS = ACTIVITY.items


class Text(str):
    """A text that is equal to another, and written as its own maker likes."""

    __slots__ = ()


def act(actor: dict[str, Any] | None = None, **more: Any) -> Acting:
    given = {"purpose": "loan_underwriting", "subject": "1", "recipient": STAFF, "declared": DECLARED, **more}
    return Acting(object(), Actor(**{**LIN, **(actor or {})}), given.pop("purpose"), **given)


def asked(made: Activities, acting: Acting, *, items: Any = ITEMS, method: str = "http", now: float = NOW) -> Activity:
    return made.of(acting, items, method, now)


def test_the_same_question_is_the_same_object_whoever_asks_it_about_whom() -> None:
    made = Activities("Asia/Shanghai")
    first = asked(made, act())
    assert asked(made, act({"id": "chen"}, subject="2"), now=NOW + 59) is first
    assert (first.actor.roles, first.subjects, first.time.seconds) == (("auditor", "loan_officer"), "declared", NOW)


OTHERS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("minute", {}, {"now": NOW + 60}),
    ("method", {}, {"method": "python"}),
    ("items", {}, {"items": ITEMS[:1]}),
    ("kind", {"actor": {"kind": "service"}}, {}),
    ("role", {"actor": {"roles": ("auditor",)}}, {}),
    ("role in the place of a unit", {"actor": {"roles": ("loan_officer",), "unit": "auditor"}}, {}),
    ("unit", {"actor": {"unit": None}}, {}),
    ("purpose", {"purpose": "loan_management"}, {}),
    ("operation", {"operation": "process"}, {}),
    ("subject", {"subject": None}, {}),
    ("recipient", {"recipient": Recipient(kind="subject")}, {}),
    ("declared", {"declared": Declared(notice="n-1")}, {}),
]


@pytest.mark.parametrize(("acting", "how"), [one[1:] for one in OTHERS], ids=[one[0] for one in OTHERS])
def test_what_differs_in_one_part_is_another_question(acting: dict[str, Any], how: dict[str, Any]) -> None:
    made = Activities("Asia/Shanghai")
    first = asked(made, act())
    other = asked(made, act(**acting), **how)
    assert wire.canonical(other) != wire.canonical(first)
    assert wire.canonical(other) == wire.canonical(asked(Activities("Asia/Shanghai"), act(**acting), **how))


@pytest.mark.parametrize(
    "acting",
    [
        {"purpose": Text("loan_underwriting")},
        {"operation": Text("use")},
        {"actor": {"roles": (Text("loan_officer"), "auditor")}},
        {"actor": {"unit": Text("b-1")}},
        {"recipient": Recipient(kind="staff", id=bytearray(b"x"))},  # type: ignore[arg-type]  # it is not checked
        {"declared": Declared(notice=["n"])},  # type: ignore[arg-type]  # it is not checked
    ],
    ids=["purpose", "operation", "role", "unit", "recipient", "declared"],
)
def test_what_only_looks_the_same_or_can_change_is_never_kept(acting: dict[str, Any]) -> None:
    made = Activities("Asia/Shanghai")
    first = asked(made, act())
    assert asked(made, act(**acting)) is not first
    assert asked(made, act(**acting)) is not asked(made, act(**acting))
    assert asked(made, act()) is first


def test_items_that_can_change_are_not_kept() -> None:
    made, items = Activities("Asia/Shanghai"), list(ITEMS)
    assert asked(made, act(), items=items) is not asked(made, act(), items=items)


def test_no_more_are_kept_than_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activities, "MOST", 3)
    made = Activities("Asia/Shanghai")

    def rounds(minutes: Iterable[int]) -> None:
        for minute in minutes:
            asked(made, act(), now=NOW + 60 * minute)
            assert len(made._made) <= 3

    rounds(range(10))
