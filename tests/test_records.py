"""Plain records: whom they are about, what they have, what is released of them; and the pointers to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard import catalogue, pointers
from guard.catalogue import Source
from guard.errors import Misuse, Refused
from guard.records import NO_MEMBER, DictRecords, Plan, Plans
from guard.terms import Shown

NAME = "bank:GET /loans"


def source(fields: Mapping[str, str], subjects: Mapping[str, Any] | None = None) -> Source:
    made = catalogue.load(
        {
            "version": "1",
            "sources": {
                NAME: {
                    "subjects": subjects or {"holder": "/id"},
                    "fields": {
                        field: {"category": "pseudonym" if field.endswith("id") else "loan", "type": of_type}
                        for field, of_type in fields.items()
                    },
                }
            },
        }
    )
    return made.sources[NAME]


FIELDS = {
    "/id": "integer",
    "/name": "text",
    "/address/city": "text",
    "/address/street": "text",
    "/accounts/*/balance": "integer",
    "/accounts/*/owners/*/guarantor_id": "text",
    "/notes": "json",
    "/tags/*": "text",
    "/a~1b": "text",
}
ENTRY = source(
    FIELDS,
    {
        "holder": "/id",
        "guarantor": {"column": "/accounts/*/owners/*/guarantor_id", "optional": True},
    },
)
WHOLE: dict[str, Any] = {
    "id": 1,
    "name": "王小明",
    "address": {"city": "北京", "street": "x"},
    "accounts": [
        {"balance": 5, "owners": [{"guarantor_id": "g1"}, {"guarantor_id": "g2"}]},
        {"balance": 7, "owners": [{"guarantor_id": "g1"}]},
    ],
    "notes": {"any": ["thing"]},
    "tags": ["t1", None],
    "a/b": "slash",
}
REVEALED: dict[str, Shown | Sequence[Shown]] = dict.fromkeys(FIELDS, "reveal")


def records(*of: Any, entry: Source = ENTRY) -> DictRecords:
    return DictRecords(NAME, entry, of)


def released(*of: Any, entry: Source = ENTRY, **shown: Shown) -> Any:
    """Every field revealed but for those that are named, by their last member."""
    changed = {field: shown.get(field.rpartition("/")[2], "reveal") for field in entry.fields}
    return records(*of, entry=entry).treat(None, changed, dict.fromkeys(entry.fields, "name"))


# --- Pointers -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("", ()),
        ("/", ("",)),
        ("/a/b", ("a", "b")),
        ("/a~1b/m~0n", ("a/b", "m~n")),
        ("/~01", ("~1",)),
        ("/items/*/id", ("items", None, "id")),
        ("/a*/b", ("a*", "b")),
        ("/0", ("0",)),
        ("full_name", ("full_name",)),
        ("odd/name~", ("odd/name~",)),
        ("/a\nb", ("a\nb",)),
    ],
)
def test_a_pointer_is_a_way(text: str, steps: pointers.Steps) -> None:
    assert pointers.steps(text) == steps
    assert pointers.many(text) == (None in steps)


@pytest.mark.parametrize("text", ["/~", "/a~2", "/a/~/b", "/~*"])
def test_a_tilde_that_escapes_nothing_is_no_pointer(text: str) -> None:
    with pytest.raises(ValueError, match="neither ~0 nor ~1"):
        pointers.steps(text)


@given(st.lists(st.text(max_size=4).filter(lambda one: one != "*"), max_size=4))
def test_every_way_of_members_has_its_pointer(way: list[str]) -> None:
    text = "".join("/" + one.replace("~", "~0").replace("/", "~1") for one in way)
    assert pointers.steps(text) == tuple(way)


def test_a_position_is_no_member_and_a_star_enters_arrays_alone() -> None:
    assert list(pointers.found([{"a": 1}], pointers.steps("/0"))) == []
    assert list(pointers.found({"*": 1, "x": 2}, pointers.steps("/*"))) == []
    assert list(pointers.found({"a": [{"b": 1}, {"b": 2}, 3, {}]}, pointers.steps("/a/*/b"))) == [1, 2]


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        (["/a", "/a/b"], "/a holds /a/b"),
        (["/a/*", "/a/*/b"], "holds"),
        (["", "/a"], "holds /a"),
        (["/a/*/b", "/a/c"], "an array and for an object"),
    ],
)
def test_one_place_is_one_thing(fields: list[str], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        pointers.tree(fields)
    with pytest.raises(Misuse, match=problem):
        DictRecords(NAME, source({"/id": "text", **dict.fromkeys(fields, "text")}) if "" not in fields else fake(), [])


def fake() -> Source:
    return source({"/id": "text"}).model_copy(update={"fields": dict.fromkeys(("", "/a"))})


# --- What they have -------------------------------------------------------------------------------


def test_persons_are_told_by_subject_in_the_catalogues_order() -> None:
    assert records(WHOLE, {"id": "x"}, {}, {"id": None}).persons() == [
        (("1",), ("g1", "g2")),
        (("x",), ()),
        ((), ()),
        ((), ()),
    ]


@pytest.mark.parametrize("key", [1.0, True, " 1", "", "a\u0308", "x\0", ["1"], {"a": 1}, "\ud800", "x" * 129])
def test_a_key_that_is_no_canonical_text_is_refused(key: Any) -> None:
    with pytest.raises(Refused) as raised:
        records({"id": key}).persons()
    assert raised.value.rules == ("GUARD-SUBJECT",)


def test_what_is_there_is_present_and_what_nobody_declared_is_counted() -> None:
    assert records(WHOLE).present == set(FIELDS)
    assert records(WHOLE).undeclared == 0
    odd = {"id": 1, "extra": {"deep": [1, 2]}, "address": {"zip": 1}, "accounts": [{"x": 1}, 5, {"balance": 1, "y": 2}]}
    assert records(odd).present == {"/id", "/accounts/*/balance"}
    assert records(odd).undeclared == 1 + 1 + 1 + 1 + 1


@pytest.mark.parametrize("empty", [None, [], {}])
def test_what_is_empty_tells_of_the_fields_below_it(empty: object) -> None:
    made = records({"accounts": empty})
    assert made.present == {"/accounts/*/balance", "/accounts/*/owners/*/guarantor_id"}


def test_a_value_that_is_not_of_the_declared_kind_is_nothing_declared() -> None:
    """A text that comes as an object would bring along whatever is in it."""
    odd = {
        "id": 1,
        "name": {"first": "x", "secret": 1},
        "address": "one line",
        "accounts": {"balance": 1},
        "tags": [["x"]],
    }
    made = records(odd)
    assert made.present == {"/id"}
    assert made.undeclared == 4
    assert made.treat(None, REVEALED, {}) == [{"id": 1, "tags": []}]


def test_a_record_of_nothing_has_nothing() -> None:
    assert records({}, {}).present == frozenset()
    assert records({}).treat(None, REVEALED, {}) == [{}]


def test_a_field_holds_plain_values_and_no_objects_of_the_program() -> None:
    class Customer:
        """As an ORM gives it, with everything it holds."""

    for odd in (Customer(), {1}, iter(()), lambda: 1, Customer):
        assert records({"id": 1, "name": odd}).treat(None, REVEALED, {}) == [{"id": 1}]
    for plain in (
        "x",
        1,
        1.5,
        Decimal("1.50"),
        True,
        None,
        date(2026, 1, 1),
        datetime.fromisoformat("2026-01-01T08:00"),
        UUID(int=1),
        b"x",
    ):
        assert records({"id": 1, "name": plain}).treat(None, REVEALED, {}) == [{"id": 1, "name": plain}]


def test_values_are_one_a_record() -> None:
    made = records(WHOLE, {}, {"address": None}, {"address": {"city": None}})
    assert made.values("/address/city") == ["北京", NO_MEMBER, NO_MEMBER, None]
    with pytest.raises(Misuse, match="within an array"):
        made.values("/accounts/*/balance")


def test_what_an_iterator_gives_is_not_lost_while_it_is_looked_at() -> None:
    made = DictRecords(NAME, ENTRY, iter([{"id": 1}, {"id": 2}]))  # type: ignore[arg-type]  # a program's mistake
    assert made.count == 2


@pytest.mark.parametrize("wrong", [{"id": 1}, "text", [1], [None]])
def test_records_are_a_list_of_mappings(wrong: Any) -> None:
    with pytest.raises(Misuse, match="list of mappings"):
        DictRecords(NAME, ENTRY, wrong)


# --- What is released -----------------------------------------------------------------------------


def test_with_everything_revealed_a_record_is_what_it_was() -> None:
    empty = {"id": 2, "address": {}, "accounts": [], "tags": None}
    assert released(WHOLE, empty) == [WHOLE, empty]


def test_a_member_that_no_field_declares_never_leaves() -> None:
    odd = {
        **WHOLE,
        "secret": 1,
        "address": {**WHOLE["address"], "secret": 1},
        "accounts": [{"secret": 1, "balance": 2}],
    }
    assert "secret" not in str(released(odd))
    assert released(odd)[0]["accounts"] == [{"balance": 2}]


def test_of_a_part_of_which_nothing_may_be_seen_not_even_the_length_is_told() -> None:
    made = released(WHOLE, balance="drop", guarantor_id="drop", city="drop")
    assert "accounts" not in made[0]
    assert made[0]["address"] == {"street": "x"}
    assert released({"id": 1, "accounts": []}, balance="drop", guarantor_id="drop") == [{"id": 1}]


def test_a_field_that_is_not_named_is_dropped() -> None:
    assert records(WHOLE).treat(None, {"/name": "reveal"}, {}) == [{"name": "王小明"}]
    assert records(WHOLE).treat(None, {}, {}) == [{}]


def test_masks_reach_every_element() -> None:
    made = released(WHOLE, name="mask", **{"*": "mask", "notes": "mask", "balance": "mask"})
    assert made[0]["name"] == "王**"
    assert made[0]["tags"] == ["t**", None]
    assert made[0]["notes"] == "***"
    assert [one["balance"] for one in made[0]["accounts"]] == ["5**", "7**"]


def test_records_are_kept_by_position_each_with_its_own_treatment() -> None:
    three = [{"id": place, "name": f"n{place}"} for place in range(3)]
    shown: dict[str, Shown | Sequence[Shown]] = {"/id": "reveal", "/name": ["mask", "drop"]}
    assert records(*three).treat([0, 2], shown, {"/name": "name"}) == [{"id": 0, "name": "n**"}, {"id": 2}]
    assert records(*three).treat([], shown, {"/name": "name"}) == []


values = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["id", "name", "accounts", "address", "balance", "tags", "x"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)
objects = st.dictionaries(
    st.sampled_from(["id", "name", "accounts", "address", "notes", "tags", "x"]), values, max_size=5
)


@given(objects, st.sets(st.sampled_from(sorted(FIELDS))))
def test_what_leaves_was_declared_present_and_shown(record: dict[str, Any], shown: set[str]) -> None:
    made = records(record)
    (out,) = made.treat(None, dict.fromkeys(shown, "reveal"), {})
    again = records(out)
    assert again.undeclared == 0, "only what is declared"
    there = {field for field in FIELDS if list(pointers.found(out, pointers.steps(field)))}
    assert there <= again.present & made.present & shown
    for field in shown:
        if FIELDS[field] == "json":
            way = pointers.steps(field)
            assert list(pointers.found(out, way)) == list(pointers.found(record, way))


# --- Plans ----------------------------------------------------------------------------------------


def test_a_plan_says_the_source_and_what_is_present_of_it() -> None:
    plan = Plan.of(NAME, ENTRY, frozenset({"/name", "/id"}), "release")
    assert [(item.field, item.role, item.category) for item in plan.items] == [
        (None, "read", None),
        ("/id", "read", "pseudonym"),
        ("/name", "read", "loan"),
    ]
    assert (plan.statement, plan.kind, plan.writes) == ("GET /loans", "release", None)
    assert {item.role for item in Plan.of(NAME, ENTRY, frozenset({"/id"}), "collect").items} == {"write"}


def test_a_plan_is_made_once_and_few_are_kept() -> None:
    plans = Plans(2)
    first = plans.of(NAME, ENTRY, frozenset({"/id"}), "release")
    assert plans.of(NAME, ENTRY, frozenset({"/id"}), "release") is first
    assert plans.of(NAME, ENTRY, frozenset({"/id"}), "collect") is not first
    for field in ("/name", "/notes", "/a~1b"):
        plans.of(NAME, ENTRY, frozenset({field}), "release")
    assert len(plans._made) <= 2
    assert Plans(0).of(NAME, ENTRY, frozenset(), "release").items
