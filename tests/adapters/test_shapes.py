"""JSON bodies as records: what is read, what is left out, what comes out again."""

from __future__ import annotations

import json
from typing import Any

import pytest

from guard.catalogue import Source
from guard.config import Limits
from guard.errors import Misuse, Refused
from guard.records import NO_MEMBER, DictRecords, Records
from guard_asgi import shapes, strict
from guard_asgi.shapes import UNREADABLE, JsonRecords, Shape

NAME = "bank:GET /applications/{customer_id}"

FLAT = Source.model_validate(
    {
        "subjects": {"holder": "/customer_id", "guarantor": {"column": "/guarantor_id", "optional": True}},
        "fields": {
            "/customer_id": {"category": "pseudonym", "type": "integer"},
            "/guarantor_id": {"category": "pseudonym", "type": "integer"},
            "/full_name": {"category": "identity"},
            "/id_number": {"category": "identity_number"},
            "/monthly_income": {"category": "income", "type": "number"},
            "/note": {"category": "contact", "type": "json"},
        },
    }
)

NESTED = Source.model_validate(
    {
        "subjects": {"holder": "/person/id", "guarantors": {"column": "/guarantors/*/id", "optional": True}},
        "fields": {
            "/person/id": {"category": "pseudonym"},
            "/person/name": {"category": "identity"},
            "/person/address/city": {"category": "address"},
            "/person/address/street": {"category": "address"},
            "/guarantors/*/id": {"category": "pseudonym"},
            "/guarantors/*/name": {"category": "identity"},
            "/loans/*/amount": {"category": "loan", "type": "number"},
            "/loans/*/overdue/*/days": {"category": "adverse", "type": "integer"},
            "/tags/*": {"category": "system"},
            "/grid/*/*": {"category": "system", "type": "integer"},
            "/extra": {"category": "system", "type": "json"},
        },
    }
)


def read(body: bytes | str, entry: Source = FLAT, **more: Any) -> JsonRecords:
    return Shape(NAME, entry, **more).read(body if isinstance(body, bytes) else body.encode())


def reveal(records: Records, *but: str) -> dict[str, Any]:
    return {field: "reveal" for field in records.present if field not in but}


def refusal(body: bytes | str, entry: Source = FLAT, **more: Any) -> Refused:
    with pytest.raises(Refused) as caught:
        read(body, entry, **more)
    assert caught.value.__context__ is None
    return caught.value


# --- What comes out -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        '{"customer_id":7,"full_name":"王小明","monthly_income":1.10}',
        ' { "monthly_income" : 123456789012345678901234567890 ,\r\n\t"customer_id" : 7 } \n',
        '{"customer_id":7,"monthly_income":1e400,"full_name":"10:30 {[\\"\\u4e2d\\ud83d\\ude00"}',
        '{"i\\u0064_number":"1","customer_id":7}',
        "[]",
        "[ ]",
        "null",
        '{"customer_id":7,"note":{"a":[{"b":1}],"c":{"a":2}}}',
        '[{"customer_id":1},{"full_name":null,"customer_id":2}]',
        "{}",
    ],
)
def test_the_very_bytes_come_out_when_all_is_declared_and_shown(body: str) -> None:
    records = read(body)
    assert records.undeclared == 0
    assert records.treat(None, reveal(records), {}) is records.original
    assert records.original == body.encode()


@pytest.mark.parametrize(
    ("body", "other"),
    [
        (' { "full_name" : "n" ,\t"customer_id" : 7 }', '{"customer_id":7,"full_name":"n"}'),
        ('[ {"full_name":"n","customer_id":1} ]', '[{"customer_id":1,"full_name":"n"}]'),
        ("[ ]", "[]"),
    ],
)
def test_records_at_positions_are_written_anew_so_that_nothing_tells_of_others(body: str, other: str) -> None:
    one, two = read(body), read(other)
    first, second = (of.treat(range(of.count), reveal(of), {}) for of in (one, two))
    assert first == second
    assert first is not one.original
    assert second is not two.original


@pytest.mark.parametrize(
    ("body", "strange"),
    [
        ({"data": [1]}, True),
        ([{"a": 1}, {"b": 2}], True),
        ({"person": {"nom": "n"}, "loans": [{"a": 1}], "x": 1}, True),
        ({"guarantors": [], "total": 0}, False),
        ({"person": None, "x": 1}, False),
        ([{"a": 1}, {"loans": [{}, {"overdue": [{"days": 1}]}]}], False),
        ({}, False),
        ([], False),
    ],
)
def test_a_body_is_strange_where_nothing_in_it_is_where_the_catalogue_says(body: Any, strange: bool) -> None:
    assert read(json.dumps(body), NESTED).strange is strange


WHOLE = """{
    "person": {"id": "p", "name": "n", "address": {"city": "c", "street": null}},
    "guarantors": [{"id": "g", "name": null}, null],
    "loans": [{"amount": 1, "overdue": [{"days": 1}]}, {"overdue": []}],
    "tags": ["a", null],
    "grid": [[1], [], null],
    "extra": 1
}"""


@pytest.mark.parametrize(
    ("body", "entry"),
    [
        ('{"customer_id": 7,\t"full_name":"a:b"}', FLAT),
        ('[{"customer_id":7},{"full_name":"x"}]', FLAT),
        (WHOLE, NESTED),
    ],
)
def test_a_body_that_is_wholly_declared_is_read_once(body: str, entry: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(strict, "careful")
    assert read(body, entry).undeclared == 0


def test_numbers_and_escapes_keep_their_bytes_in_what_is_written_anew() -> None:
    records = read(
        '{"undeclared": 1, "monthly_income" : 1.10, "full_name":"\\u4e2d\\/","customer_id":10000000000000000000001}'
    )
    assert records.undeclared == 1
    written = records.treat(None, reveal(records), {})
    assert written == b'{"customer_id":10000000000000000000001,"full_name":"\\u4e2d\\/","monthly_income":1.10}'


def test_what_no_field_declares_is_left_out_and_counted_at_every_depth() -> None:
    body = {
        "person": {"id": "p1", "x": 1, "address": {"city": "深圳", "x": {"street": "s", "y": 1}}},
        "guarantors": [{"id": "g1", "x": 1}, {"x": 2}, None],
        "loans": [{"amount": 1, "overdue": [{"days": 1, "x": 1}]}, {"x": [1, 2]}],
        "x": {"person": {"id": "p2"}},
        "extra": {"x": 1},
    }
    records = read(json.dumps(body), NESTED)
    assert records.undeclared == 7
    assert json.loads(records.treat(None, reveal(records), {})) == {
        "person": {"id": "p1", "address": {"city": "深圳"}},
        "guarantors": [{"id": "g1"}, {}, None],
        "loans": [{"amount": 1, "overdue": [{"days": 1}]}, {}],
        "extra": {"x": 1},
    }


def test_a_field_that_is_not_named_is_dropped() -> None:
    records = read('{"customer_id":7,"full_name":"x","id_number":"y"}')
    assert records.treat(None, {"/customer_id": "reveal"}, {}) == b'{"customer_id":7}'
    assert records.treat(None, {}, {}) == b"{}"


def test_dropping_a_field_leaves_no_trace_of_it_in_the_order_or_in_white_space() -> None:
    with_it = read('{"customer_id": 7, "id_number": "y", "full_name": "x"}')
    without = read('{"full_name":"x","customer_id":7}')
    shown = {"/customer_id": "reveal", "/full_name": "reveal", "/id_number": "drop"}
    assert with_it.treat(None, shown, {}) == b'{"customer_id":7,"full_name":"x"}'
    assert json.loads(without.treat(None, shown, {})) == {"customer_id": 7, "full_name": "x"}


def test_a_part_whose_fields_are_all_dropped_goes_whole() -> None:
    body = {"person": {"id": "p", "address": {"city": "c"}}, "loans": [{"amount": 1}, {"amount": 2}], "tags": ["a"]}
    records = read(json.dumps(body), NESTED)
    shown: dict[str, Any] = {"/person/id": "reveal"}
    assert json.loads(records.treat(None, shown, {})) == {"person": {"id": "p"}}


@pytest.mark.parametrize("loans", [[], None, [{}], [None]])
def test_that_an_array_is_empty_is_told_only_to_who_may_see_what_it_would_hold(loans: Any) -> None:
    records = read(json.dumps({"person": {"id": "p"}, "loans": loans}), NESTED)
    assert {"/loans/*/amount", "/loans/*/overdue/*/days"} <= records.present
    assert json.loads(records.treat(None, {"/person/id": "reveal"}, {})) == {"person": {"id": "p"}}
    shown: dict[str, Any] = {"/person/id": "reveal", "/loans/*/amount": "reveal"}
    assert json.loads(records.treat(None, shown, {}))["loans"] == loans


def test_only_what_is_there_is_present() -> None:
    records = read(json.dumps([{"person": {"id": "p"}}, {"person": {"address": {"city": "c"}}}]), NESTED)
    assert records.present == {"/person/id", "/person/address/city"}
    assert read("[]", NESTED).present == frozenset()
    assert read('{"a":{"b":1}}', entry("/a/b", "/a/c")).present == {"/a/b"}


# --- Records of many ------------------------------------------------------------------------------

THREE = (
    '[{"customer_id":1,"full_name":"赵一"},{"customer_id":2,"full_name":"钱二"},{"customer_id":3,"full_name":"孙三"}]'
)


def test_records_are_kept_by_position() -> None:
    records = read(THREE)
    assert json.loads(records.treat([2], reveal(records), {})) == [{"customer_id": 3, "full_name": "孙三"}]
    assert records.treat([], reveal(records), {}) == b"[]"
    assert json.loads(records.treat([0, 1, 2], reveal(records), {})) == json.loads(THREE)


def test_each_record_is_shown_as_is_said_of_it() -> None:
    records = read(THREE)
    shown: dict[str, Any] = {"/customer_id": "reveal", "/full_name": ["mask", "drop"]}
    written = json.loads(records.treat([0, 2], shown, {"/full_name": "name"}))
    assert written == [{"customer_id": 1, "full_name": "赵**"}, {"customer_id": 3}]


def test_a_sequence_that_is_not_one_for_each_record_is_an_error() -> None:
    with pytest.raises(ValueError, match="zip"):
        read(THREE).treat(None, {"/full_name": ["reveal", "reveal"]}, {})


def test_a_single_record_that_is_not_kept_is_refused() -> None:
    records = read('{"customer_id":7}')
    with pytest.raises(Refused) as caught:
        records.treat([], reveal(records), {})
    assert caught.value.rules == ("GUARD-ABSENT",)


def test_records_may_be_treated_twice() -> None:
    records = read(THREE)
    assert records.treat([1], {"/full_name": "mask"}, {"/full_name": "name"}) == '[{"full_name":"钱**"}]'.encode()
    assert records.treat([1], {"/full_name": "reveal"}, {}) == '[{"full_name":"钱二"}]'.encode()
    assert records.persons() == [(("1",), ()), (("2",), ()), (("3",), ())]
    assert records.treat(None, reveal(records), {}) == THREE.encode()


def test_compiled_treatments_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shapes, "TREATMENTS", 4)
    shape = Shape(NAME, FLAT)
    for number in range(20):
        shown: dict[str, Any] = {"/full_name": "reveal", f"/{number}": "reveal"}
        assert shape.read(b'{"full_name":"x","customer_id":7}').treat(None, shown, {}) == b'{"full_name":"x"}'
        assert len(shape._treatments) <= 4


def test_what_stands_around_the_records_is_dropped_except_the_way_to_them() -> None:
    body = f'{{"total": 3, "data": {{"next": 2, "items": {THREE}}}}}'
    records = read(body, at="/data/items")
    assert (records.count, records.undeclared) == (3, 2)
    assert (
        records.treat([1], reveal(records), {}) == '{"data":{"items":[{"customer_id":2,"full_name":"钱二"}]}}'.encode()
    )
    whole = f'{{"data": {{"items": {THREE}}}}}'
    records = read(whole, at="/data/items")
    assert records.treat(None, reveal(records), {}) == whole.encode()
    assert records.treat([], reveal(records), {}) == b'{"data":{"items":[]}}'
    single = read('{"data":{"items":{"customer_id":1,"full_name":"x"}}}', at="/data/items")
    assert single.treat(None, {"/customer_id": "reveal"}, {}) == b'{"data":{"items":{"customer_id":1}}}'
    none = read('{"data":{"items":null},"x":1}', at="/data/items")
    assert none.treat(None, {}, {}) == none.treat(None, {}, {}) == b'{"data":{"items":null}}'


@pytest.mark.parametrize("body", ["{}", '{"data":{}}', '{"data":null}', "[]", '{"data":[]}', '{"data":{"items":1}}'])
def test_a_body_without_its_records_is_refused(body: str) -> None:
    assert refusal(body, at="/data/items").rules == ("GUARD-BODY",)


# --- Masks ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ('"110101199005170011"', "110***************"),
        ('"\\u0031\\u00310101199005170011"', "110***************"),
        ("110101199005170011", "110***************"),
        ('"1"', "***"),
        ("1.5", "***"),
        ("null", None),
        ('"a\\u0000b"', "***"),
    ],
)
def test_a_mask_sees_the_text_that_the_value_spells(value: str, shown: object) -> None:
    records = read(f'{{"id_number":{value}}}')
    assert json.loads(records.treat(None, {"/id_number": "mask"}, {"/id_number": "id18"})) == {"id_number": shown}


@pytest.mark.parametrize("value", ["true", "1e400", "1" * 5000])
def test_what_cannot_be_masked_is_dropped(value: str) -> None:
    records = read(f'{{"customer_id":1,"id_number":{value}}}')
    shown: dict[str, Any] = {"/id_number": "mask", "/customer_id": "reveal"}
    assert records.treat(None, shown, {"/id_number": "id18"}) == b'{"customer_id":1}'


@pytest.mark.parametrize("masks", [{}, {"/full_name": "no-such-mask"}])
def test_a_mask_that_is_not_known_drops(masks: dict[str, str]) -> None:
    assert read('{"full_name":"x"}').treat(None, {"/full_name": "mask"}, masks) == b"{}"


def test_the_same_fields_may_be_masked_in_two_ways() -> None:
    shape = Shape(NAME, FLAT)
    for mask, shown in (("name", "1**"), ("id18", "110***************"), ("name", "1**")):
        written = shape.read(b'{"id_number":"110101199005170011"}').treat(
            None, {"/id_number": "mask"}, {"/id_number": mask}
        )
        assert json.loads(written) == {"id_number": shown}


def test_json_that_is_to_be_masked_is_dropped() -> None:
    assert read('{"note":{"a":1}}').treat(None, {"/note": "mask"}, {"/note": "name"}) == b"{}"


def test_masks_reach_into_arrays() -> None:
    body = {
        "tags": ["ab", True, None, "cd"],
        "guarantors": [{"name": "王小明"}, {"id": "1"}, None],
        "grid": [[1], None],
    }
    records = read(json.dumps(body), NESTED)
    shown: dict[str, Any] = {"/tags/*": "mask", "/guarantors/*/name": "mask", "/grid/*/*": "mask"}
    masks = {"/tags/*": "name", "/guarantors/*/name": "name", "/grid/*/*": "name"}
    assert json.loads(records.treat(None, shown, masks)) == {
        "tags": ["a**", None, "c**"],
        "guarantors": [{"name": "王**"}, {}, None],
        "grid": [["1**"], None],
    }


# --- Persons and facts ----------------------------------------------------------------------------


def test_persons_are_canonical_text() -> None:
    pairs = [("7", "null"), ('"p-1.x_Z"', "8"), ("-5", "null"), ('"\\u4e2d"', "null")]
    body = ",".join(f'{{"customer_id":{first},"guarantor_id":{second}}}' for first, second in pairs)
    persons = [(("7",), ()), (("p-1.x_Z",), ("8",)), (("-5",), ()), (("中",), ())]
    assert read(f"[{body},{{}}]").persons() == [*persons, ((), ())]


def test_every_guarantor_of_an_array_is_a_person() -> None:
    body = {"person": {"id": "p"}, "guarantors": [{"id": "g1"}, None, {"id": None}, {}, {"id": "g2"}, {"id": "g1"}]}
    assert read(json.dumps(body), NESTED).persons() == [(("p",), ("g1", "g2"))]
    assert read('{"person":null,"guarantors":null}', NESTED).persons() == [((), ())]


@pytest.mark.parametrize(
    "key",
    ["1.0", "1e3", "-0", "true", '" 7"', '"7 "', '""', '"a\\u0000"', '"e\\u0301"', '"%s"' % ("k" * 129), "9" * 129],
)
def test_a_key_that_is_no_canonical_text_is_refused(key: str) -> None:
    records = read(f'{{"customer_id":{key}}}')
    with pytest.raises(Refused) as caught:
        records.persons()
    assert caught.value.rules == ("GUARD-SUBJECT",)


def test_values_are_those_of_the_records() -> None:
    texts = ["1.5", '"x"', "null", "12345678901234567890123", "1e400", "1" * 5000]
    body = ",".join(f'{{"monthly_income":{text}}}' for text in texts)
    values = [1.5, "x", None, 12345678901234567890123, UNREADABLE, UNREADABLE, NO_MEMBER]
    assert read(f"[{body},{{}}]").values("/monthly_income") == values
    nested = read('[{"person":{"address":{"city":"c"}}},{"person":null}]', NESTED)
    assert nested.values("/person/address/city") == ["c", NO_MEMBER]


def test_values_of_no_field_or_of_many_are_misuse() -> None:
    records = read("{}", NESTED)
    with pytest.raises(Misuse, match="within an array"):
        records.values("/loans/*/amount")
    with pytest.raises(Misuse, match="is not a field"):
        records.values("/nothing")


def test_json_records_are_records() -> None:
    records: Records = read("{}")
    assert records.count == 1
    assert isinstance(DictRecords(NAME, FLAT, []), DictRecords)


# --- Shapes that cannot be ------------------------------------------------------------------------


def entry(*fields: str) -> Source:
    return Source.model_validate(
        {"subjects": {"holder": fields[0]}, "fields": {one: {"category": "c"} for one in fields}}
    )


@pytest.mark.parametrize(
    ("fields", "at", "says"),
    [
        (("/a", "/a/b"), "", "holds"),
        (("/a/*", "/a/b"), "", "array and for an object"),
        (("/*/a",), "", "write pointers"),
        (('/a"b',), "", "no quotes"),
        (("/a\\b",), "", "no quotes"),
        (("/a\tb",), "", "a.tb. cannot be read"),
        (("/a",), "items", "at a pointer"),
        (("/a",), "/items/*", "at one place"),
        (("/a",), "/~2", "at no pointer"),
        (("/a/b/c/d",), "", "raise limits.depth"),
    ],
)
def test_what_cannot_be_a_shape_is_misuse(fields: tuple[str, ...], at: str, says: str) -> None:
    with pytest.raises(Misuse, match=says):
        Shape(NAME, entry(*fields), at=at, limits=Limits(depth=3))


def test_members_have_any_name_that_pointers_spell() -> None:
    records = read('{"a/b":1,"~":2,"中:文":3,"f0":4,"":5}', entry("/a~1b", "/~0", "/中:文", "/f1", "/"))
    assert records.present == {"/a~1b", "/~0", "/中:文", "/"}
    assert json.loads(records.treat(None, reveal(records), {})) == {"a/b": 1, "~": 2, "中:文": 3, "": 5}
