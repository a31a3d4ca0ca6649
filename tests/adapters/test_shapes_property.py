"""What comes out of any body, against the standard library's reading of it."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from guard.errors import Refused
from guard.masks import apply
from guard.records import DictRecords
from guard_asgi.shapes import Shape
from tests.adapters.test_shapes import FLAT, NAME, NESTED

SHAPES = {"flat": Shape(NAME, FLAT), "nested": Shape(NAME, NESTED), "around": Shape(NAME, NESTED, at="/data/items")}
ENTRIES = {"flat": FLAT, "nested": NESTED, "around": NESTED}

names = st.sampled_from(
    ["customer_id", "full_name", "id_number", "note", "x", "person", "id", "name", "address", "city", "amount", "days"]
)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.sampled_from(
    [":", "{", "]", '"', "\\", "a:b"]
)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | texts
    | st.floats(allow_nan=False, allow_infinity=False)
)
anything = st.recursive(
    scalars, lambda one: st.lists(one, max_size=3) | st.dictionaries(names | texts, one, max_size=3)
)


def some(**members: Any) -> st.SearchStrategy[dict[str, Any]]:
    """An object with some of these members and perhaps others."""
    declared = st.fixed_dictionaries({}, optional=members)
    others = st.dictionaries(texts, anything, max_size=2)
    both = st.tuples(others, declared).map(
        lambda pair: {k: v for k, v in pair[0].items() if k not in members} | pair[1]
    )
    return st.one_of(declared, both)


def array(of: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | st.lists(of, max_size=3)


FLAT_RECORD = some(
    customer_id=scalars,
    guarantor_id=scalars,
    full_name=scalars,
    id_number=scalars,
    monthly_income=scalars,
    note=anything,
)
NESTED_RECORD = some(
    person=st.none() | some(id=scalars, name=scalars, address=st.none() | some(city=scalars, street=scalars)),
    guarantors=array(st.none() | some(id=scalars, name=scalars)),
    loans=array(st.none() | some(amount=scalars, overdue=array(some(days=scalars)))),
    tags=array(scalars),
    grid=array(array(scalars)),
    extra=anything,
)


@st.composite
def bodies(draw: st.DrawFn) -> tuple[str, Any, bytes]:
    kind = draw(st.sampled_from(sorted(SHAPES)))
    record = FLAT_RECORD if kind == "flat" else NESTED_RECORD
    value = draw(st.lists(record, min_size=2, max_size=4) | record | st.lists(record, max_size=1) | st.none())
    if kind == "around":
        others = st.dictionaries(texts, anything, max_size=1)
        value = {**draw(others), "data": {**draw(others), "items": value}}
    written = json.dumps(
        value,
        ensure_ascii=draw(st.booleans()),
        separators=draw(st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", "\t:")])),
        indent=draw(st.sampled_from([None, None, 1])),
    )
    return kind, value, written.encode()


def inner(kind: str, value: Any) -> list[dict[str, Any]]:
    if kind == "around":
        value = value["data"]["items"]
    return [] if value is None else value if isinstance(value, list) else [value]


def without_nothing(value: Any) -> Any:
    """Numbers as the standard library reads them again, so that both sides are alike."""
    return json.loads(json.dumps(value))


@settings(deadline=None, max_examples=250)
@given(bodies(), st.data())
def test_the_permitted_part_of_a_body_comes_out_and_no_more(body: tuple[str, Any, bytes], data: st.DataObject) -> None:
    kind, value, raw = body
    records = SHAPES[kind].read(raw)
    plain = DictRecords(NAME, ENTRIES[kind], inner(kind, value))
    assert records.count == plain.count
    # Where an object has only members that no field declares, the shape tells of every field below it too.
    assert records.present >= plain.present

    around = len(value) + len(value["data"]) - 2 if kind == "around" else 0
    assert records.undeclared == plain.undeclared + around

    positions = range(records.count)
    kept = data.draw(
        st.none() | st.lists(st.sampled_from(positions), unique=True).map(sorted) if positions else st.none()
    )
    many = records.count if kept is None else len(kept)
    one = st.sampled_from(["reveal", "mask", "drop"])
    fields = sorted(ENTRIES[kind].fields)
    shown = data.draw(
        st.just(dict.fromkeys(fields, "reveal"))
        | st.dictionaries(st.sampled_from(fields), one | st.lists(one, min_size=many, max_size=many))
    )
    masks = dict.fromkeys(fields, "name")
    try:
        out = records.treat(kept, shown, masks)
    except Refused as refused:
        assert (refused.rules, kept) == (("GUARD-ABSENT",), [])  # noqa: PT017  # it need not be refused
        return
    expected: Any = [
        _part(
            inner(kind, value)[position],
            ENTRIES[kind].fields,
            {field: how if isinstance(how, str) else how[place] for field, how in shown.items()},
        )
        for place, position in enumerate(positions if kept is None else kept)
    ]
    items = value["data"]["items"] if kind == "around" else value
    if not isinstance(items, list):
        expected = expected[0] if expected else None
    if kind == "around":
        expected = {"data": {"items": expected}}
    assert json.loads(out) == without_nothing(expected)


NOTHING = object()


def _part(value: Any, fields: Any, shown: dict[str, str], at: str = "") -> Any:
    """The permitted part by plain recursion over the fields' own texts."""
    if at in fields:
        how = shown.get(at, "drop")
        if how == "mask":
            unmaskable = isinstance(value, bool | list | dict)
            return NOTHING if unmaskable else apply("name", value)
        return value if how == "reveal" else NOTHING
    below = [field for field in fields if field.startswith(f"{at}/")]
    if all(shown.get(field, "drop") == "drop" for field in below):
        return NOTHING if at else {}
    if value is None:
        return None
    if isinstance(value, list):
        parts = [_part(one, fields, shown, f"{at}/*") for one in value]
        return [part for part in parts if part is not NOTHING]
    declared = {field[len(at) + 1 :].split("/")[0] for field in below}
    members = {name: _part(one, fields, shown, f"{at}/{name}") for name, one in value.items() if name in declared}
    return {name: part for name, part in members.items() if part is not NOTHING}


@settings(deadline=None, max_examples=150)
@given(bodies())
def test_a_body_that_is_shown_whole_comes_out_as_the_very_bytes(body: tuple[str, Any, bytes]) -> None:
    kind, _, raw = body
    records = SHAPES[kind].read(raw)
    out = records.treat(None, dict.fromkeys(records.present, "reveal"), {})
    assert (out == raw) if not records.undeclared else len(out) < len(raw)


def _refusal(shape: Shape, body: bytes) -> str:
    try:
        shape.read(body)
    except Refused as refused:
        return str(refused)
    return ""


def _has_pairs_alike(text: str) -> bool:
    alike = False

    def pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal alike
        alike = alike or len(dict(found)) < len(found)
        return dict(found)

    json.loads(text, object_pairs_hook=pairs)
    return alike


def _spell(name: str, escaped: int) -> str:
    """A key with some of its characters escaped."""
    return '"' + "".join(f"\\u{ord(one):04x}" if escaped >> place & 1 else one for place, one in enumerate(name)) + '"'


@st.composite
def repeating(draw: st.DrawFn, depth: int = 2) -> str:
    """JSON text with keys that may be repeated, and texts with colons and brackets, escaped or not."""
    if depth == 0 or draw(st.integers(0, 3)) == 0:
        return draw(
            st.sampled_from(["1", '":"', '"\\u003a"', '"\\u003A:"', '"{"', "null", '"\\\\"', '"\\":"', "1e400"])
        )
    members = draw(
        st.lists(
            st.tuples(st.sampled_from(["a", "b", "ab", ":"]), st.integers(0, 3), repeating(depth=depth - 1)), max_size=3
        )
    )
    text = draw(st.sampled_from([",", ", "])).join(
        f"{_spell(name, escaped)}:{value}" for name, escaped, value in members
    )
    return f"{{{text}}}"


COLONS = Shape(
    NAME,
    FLAT.model_validate(
        {
            "subjects": {"holder": "/b"},
            "fields": {"/a": {"category": "c", "type": "json"}, "/b": {"category": "c"}, "/:/a": {"category": "c"}},
        }
    ),
)


@settings(deadline=None, max_examples=400)
@given(repeating(depth=3).filter(lambda text: text.startswith("{")))
def test_a_body_is_read_exactly_when_it_repeats_no_key(text: str) -> None:
    for shape in (SHAPES["flat"], COLONS):
        refused = _refusal(shape, text.encode())
        assert _has_pairs_alike(text) if "repeats a key" in refused else not refused or "declare" in refused
        assert refused or not _has_pairs_alike(text)


@settings(deadline=None, max_examples=250)
@given(bodies(), st.data())
def test_a_broken_body_is_refused_or_is_json_all_the_same(body: tuple[str, Any, bytes], data: st.DataObject) -> None:
    kind, _, raw = body
    place = data.draw(st.integers(0, len(raw)))
    put = data.draw(
        st.sampled_from([b"", b"}", b"{", b'"', b",", b":", b"\\", b"\xff", b"\x00", b"NaN", b"0", b"[", b"]"])
    )
    cut = data.draw(st.integers(0, 3))
    broken = raw[:place] + put + raw[place + cut :]
    if _refusal(SHAPES[kind], broken):
        return
    records = SHAPES[kind].read(broken)
    value = json.loads(broken.decode(), parse_constant=float.fromhex)
    assert not _has_pairs_alike(broken.decode())
    plain = DictRecords(NAME, ENTRIES[kind], inner(kind, value))
    assert records.count == plain.count
    shown: dict[str, Any] = dict.fromkeys(records.present, "reveal")
    assert json.loads(records.treat(None, shown, {})) is not NOTHING
