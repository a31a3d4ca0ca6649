"""Bodies that two readers could take for two documents, or for none, are refused without being quoted."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest

from guard.config import Limits
from guard.errors import Refused
from guard_asgi import strict
from guard_asgi.shapes import Shape
from tests.adapters.test_shapes import FLAT, NAME, NESTED, entry, read, refusal

SECRET = "S3cr3t110101199005170011"

LARGE = Limits(body=67_108_864)


@pytest.mark.parametrize(
    "body",
    [
        "",
        " ",
        "{",
        '{"customer_id":7',
        '{"customer_id":7}}',
        '{"customer_id":7} {"customer_id":8}',
        '{"customer_id":7}\0',
        '{"customer_id":7}// so',
        '{"customer_id":7,}',
        "{'customer_id':7}",
        "{customer_id:7}",
        f'{{"full_name":"{SECRET}}}',
        f'{{"x":"{SECRET}}}',
        '[{"customer_id":7}',
        '[{"customer_id":7},]',
        'cb({"customer_id":7})',
        ')]}\',\n{"customer_id":7}',
        '{"customer_id":7}\n{"customer_id":8}',
        *(
            f'{{"{name}":{value}}}'
            for name in ("monthly_income", "note", "x")
            for value in (
                "NaN",
                "Infinity",
                "-Infinity",
                "01",
                "-01",
                "1.",
                ".5",
                "+1",
                "1e",
                "0x10",
                "1_0",
                "truex",
                "nul",
                "undefined",
                "[NaN]",
                '{"a":NaN}',
                "[1,]",
                '{"a":1,}',
                "/*x*/1",
                '"\t"',
                '"\n"',
                '"\\q"',
                '"\\u12g4"',
                '"\x00"',
                '"\\ud800"',
                '"\\ud800x"',
                '"\\udc00"',
                '"\\ud800\\u0041"',
                '"\\udc00\\ud800"',
                '{"\\ud800":1}',
                '["\\ud800"]',
            )
        ),
    ],
)
def test_what_is_no_json_text_is_refused(body: str) -> None:
    refused = refusal(body)
    assert refused.rules == ("GUARD-BODY",)
    assert refused.status == refused.problem()["status"] == 400
    assert "RFC 8259" in str(refused)
    assert SECRET not in str(refused)


@pytest.mark.parametrize("body", ['"x"', "7", "true", "[1]", "[null]", "[[]]", '["x"]', '[{"customer_id":7},null]'])
def test_what_is_no_record_is_refused(body: str) -> None:
    assert "is expected" in str(refusal(body))


@pytest.mark.parametrize(
    "bad",
    [
        b"\xff",
        b"\xc0\xaf",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\xe4\xb8",
        "王".encode("gb18030"),
        "é".encode("latin-1"),
    ],
)
@pytest.mark.parametrize(
    "around", [b'{"full_name":"%s"}', b'{"note":{"a":["%s"]}}', b'{"x":"%s"}', b'{"%s":1}', b'{"note":{"%s":1}}']
)
def test_what_is_not_utf8_is_refused_wherever_it_stands(bad: bytes, around: bytes) -> None:
    assert "send UTF-8" in str(refusal(around % bad))


@pytest.mark.parametrize("off", [-3, -2, -1, 0, 1])
def test_a_large_body_is_utf8_across_the_pieces_that_it_is_looked_at_in(off: int) -> None:
    before = b'{"full_name":"'
    filled = before + b"a" * (strict._PIECE - len(before) + off)
    assert read(filled + '王"}'.encode()).count == 1
    for bad in (b"\xe7\x8e", b"\xed\xa0\x80", b"\xff"):
        assert "send UTF-8" in str(refusal(filled + bad + b'"}'))
        assert "send UTF-8" in str(refusal(filled + bad))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le"])
def test_other_encodings_and_byte_order_marks_are_refused(encoding: str) -> None:
    refused = refusal('{"customer_id":7}'.encode(encoding))
    assert refused.rules == ("GUARD-BODY",)
    assert ("byte order mark" in str(refused)) == (encoding in {"utf-8-sig", "utf-16", "utf-32"})


REPEATED = [
    '{"customer_id":7,"customer_id":8}',
    '{"customer_id":7,"customer_id":7}',
    '{"customer_id" : 7 , "customer_id" : 8 }',
    '{"customer_id":7,"custom\\u0065r_id":8}',
    '{"x":7,"customer_id":7,"full_name":"a","x":8}',
    '[{"customer_id":7},{"customer_id":7,"customer_id":8}]',
    '{"customer_id":7,"note":{"a":1,"a":2}}',
    '{"customer_id":7,"note":{"a":1,"\\u0061":2}}',
    '{"customer_id":7,"note":[{"b":[{"a":1,"a":2}]}]}',
    '{"customer_id":7,"x":{"a":1,"a":2}}',
    # a colon more in a text than the reader writes, so that counting alone would not see the repetition
    '{"customer_id":7,"customer_id":8,"full_name":"\\u003a"}',
    '{"customer_id":7,"x":"\\u003A","x":""}',
    '{"note":{"a":"\\u003a","b":1,"b":2}}',
    '{"customer_id": 7, "note": 1, "note": ":"}',
]


@pytest.mark.parametrize("body", REPEATED)
def test_a_repeated_key_is_refused_however_it_is_spelled(body: str) -> None:
    assert "repeats a key" in str(refusal(body))


@pytest.mark.parametrize(
    "body",
    [
        '{"person":{"id":"p1","id":"p2"}}',
        '{"person":{"id":"p1"},"person":{"id":"p1"}}',
        '{"person":{"id":"p1"},"person":null}',
        '{"loans":[{"amount":1},{"overdue":[{"days":1,"days":1}]}]}',
        '{"loans":[],"loans":[]}',
        '{"tags":["a"],"tags":["a"]}',
    ],
)
def test_a_repeated_key_is_refused_at_every_depth(body: str) -> None:
    assert "repeats a key" in str(refusal(body, NESTED))


def test_a_colon_in_the_name_of_a_field_hides_no_member() -> None:
    fields = entry("/a:b", "/c")  # the key is written plainly where the body had it escaped
    assert "repeats a key" in str(refusal('{"a\\u003ab": 1, "c": 2, "c": 3}', fields))
    assert read('{"a\\u003ab": 1, "x": 2}', fields).undeclared == 1


@pytest.mark.parametrize(
    "body",
    [
        '{"customer_id":7,"full_name":"\\u003a","monthly_income":1}',
        '{"full_name":"a:b:c","note":{"a":":","b":"\\u003a"},"x":"::"}',
        '{"full_name":"\\"customer_id\\":1","customer_id":7}',
    ],
)
def test_colons_in_texts_are_no_members(body: str) -> None:
    assert read(body).count == 1


# --- Kinds of values ------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["{}", "[]", '{"id_number":"x"}', '["x"]', " [ 1 ] ", '[{"a":{}}]'])
@pytest.mark.parametrize("extra", ["", ',"note":{"a":[]}', ',"x":1', ',"id_number":"{[]}"'])
def test_a_value_that_is_not_declared_json_smuggles_nothing_in(value: str, extra: str) -> None:
    refused = refusal(f'{{"full_name":{value}{extra}}}')
    assert "/full_name holds an object or an array" in str(refused)
    assert "its type as json" in str(refused)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ('{"tags":["a",{"x":1}]}', "/tags/*"),
        ('{"tags":[["a"]]}', "/tags/*"),
        ('{"grid":[[1,[2]]]}', "/grid/*/*"),
        ('{"person":{"address":{"city":{"x":1}}}}', "/person/address/city"),
        ('{"loans":[{"amount":1},{"overdue":[{"days":[1]}]}]}', "/loans/*/overdue/*/days"),
        ('{"extra":{},"loans":[{"amount":[]}]}', "/loans/*/amount"),
    ],
)
def test_nor_does_one_within_arrays_and_objects(body: str, field: str) -> None:
    assert f"{field} holds an object or an array" in str(refusal(body, NESTED))


@pytest.mark.parametrize(
    "body", ['{"person":"p"}', '{"person":[]}', '{"loans":{}}', '{"loans":[1]}', '{"grid":[1]}', '{"tags":1}']
)
def test_a_value_where_an_object_or_an_array_is_declared_is_refused(body: str) -> None:
    assert "what the catalogue declares" in str(refusal(body, NESTED))


# --- Bounds ---------------------------------------------------------------------------------------


def test_a_body_above_the_bound_is_refused_unread() -> None:
    limits = Limits(body=1024)
    body = '{"full_name":"%s"}' % ("x" * (1024 - 16))
    assert read(body, limits=limits).count == 1
    refused = refusal(body + " ", limits=limits)
    assert refused.rules == ("GUARD-BODY-SIZE",)
    assert refused.status == 413
    assert "limits.body" in str(refused)


@pytest.mark.parametrize("name", ["note", "x"])
@pytest.mark.parametrize("text", ["", ']}"', '[{\\"', "\\\\", '"'])
def test_depth_is_counted_exactly(name: str, text: str) -> None:
    limits = Limits(depth=8)

    def record(levels: int) -> dict[str, Any]:
        value: Any = text
        for level in range(levels):
            value = [value, text] if level % 2 else {text: value}
        return {"id_number": text, name: value}

    assert read(json.dumps([record(6)] * 50), limits=limits).count == 50
    assert "at most 8 levels" in str(refusal(json.dumps([record(6), record(7)]), limits=limits))


@pytest.mark.parametrize("flat", [0, 1, 50])
@pytest.mark.parametrize("name", ["note", "x"])
def test_depth_is_counted_whatever_stands_beside_it(flat: int, name: str) -> None:
    limits = Limits(depth=6)

    def body(levels: int) -> str:
        return json.dumps([{"customer_id": 1}] * flat + [{name: json.loads("[" * levels + "]" * levels)}])

    assert read(body(4), limits=limits).count == flat + 1
    assert "at most 6 levels" in str(refusal(body(5), limits=limits))
    single = "[" * 5 + "]" * 5
    assert read(f'{{"{name}":{single}}}', limits=limits).count == 1
    assert "at most 6 levels" in str(refusal(f'{{"{name}":[{single}]}}', limits=limits))


@pytest.mark.parametrize("open_", ["[", '{"a":'])
@pytest.mark.parametrize("name", ["note", "x", "full_name"])
@pytest.mark.parametrize("levels", [200, 5_000, 100_000])
def test_what_would_exhaust_the_stack_is_refused(open_: str, name: str, levels: int) -> None:
    close = "]" if open_ == "[" else "}"
    refused = refusal(f'{{"{name}":{open_ * levels}1{close * levels}}}', limits=LARGE)
    assert "GUARD-BODY" in refused.rules
    assert refusal(open_ * levels, limits=LARGE).rules == ("GUARD-BODY",)


@pytest.mark.parametrize("text", [b"", b"\\u003a"])
def test_reading_close_to_the_end_of_the_stack_refuses(text: bytes) -> None:
    shape = Shape(NAME, FLAT)
    body = b'{"full_name":"' + text + b'","note":' + b"[" * 30 + b"]" * 30 + b"}"
    seen: set[Any] = set()

    def down(left: int) -> None:
        if left:
            down(left - 1)
            return
        try:
            seen.add(shape.read(body).count)
        except Refused as refused:
            seen.add(refused.rules)
        except RecursionError:
            seen.add(RecursionError)

    depth = len(_frames())
    for left in range(sys.getrecursionlimit() - depth - 60, sys.getrecursionlimit() - depth - 3):
        try:
            down(left)
        except RecursionError:
            seen.add(RecursionError)
    assert seen <= {1, ("GUARD-BODY",), RecursionError}
    assert {1, ("GUARD-BODY",)} <= seen


def _frames() -> list[Any]:
    frames, frame = [], sys._getframe()
    while frame is not None:
        frames.append(frame)
        frame = frame.f_back  # type: ignore[assignment]  # None ends it
    return frames


def test_a_whole_number_beyond_reading_is_kept_or_refused() -> None:
    number = "1" * 5000
    records = read(f'{{"monthly_income":{number}}}')
    assert records.treat(None, {"/monthly_income": "reveal"}, {}) == records.original
    assert "more digits" in str(refusal(f'{{"x":{number}}}'))


def test_depth_of_a_body_alone() -> None:
    assert not strict.deeper(b'{"a":[1,{"b":"]]]}}}"}]}', 3)
    assert strict.deeper(b'{"a":[1,{"b":"]]]}}}"}]}', 2)
    assert not strict.deeper(b'["\\"]", [1]]', 2)
    assert strict.deeper(b'["\\"]", [1]]', 1)
    assert not strict.deeper(b'["\\"]\\"", [1]]', 2)
    assert not strict.deeper(b'["[","[","]"]', 1)
    assert not strict.deeper(b"1", 1)


@pytest.mark.parametrize(
    "body",
    [b"[" * 100_000, b"[" * 5_000 + b"]" * 5_000, b"1 2", b"1" * 5_000, b'["\\u003a",' + b"[" * 900 + b"]" * 901],
)
def test_the_careful_reading_refuses_by_itself(body: bytes) -> None:
    with pytest.raises(Refused) as caught:
        strict.careful(body, Limits())
    assert caught.value.rules == ("GUARD-BODY",)
