"""What people write is read in one way, or refused with the line."""

import json
import random

import pytest
from pydantic import Field

from guard import documents, strict
from guard.documents import parse
from guard.errors import ConfigError
from guard.strict import Finding, FrozenMap, Inconsistent, Strict


def problems(text: str | bytes, file: str = "a.yaml"):
    raw = text if isinstance(text, bytes) else text.encode()
    with pytest.raises(ConfigError) as caught:
        parse(raw, file)
    return caught.value.problems


# --- YAML -----------------------------------------------------------------------------------------


def test_plain_values_have_their_types():
    text = 'a: text\nb: 12\nc: -1.5\nd: true\ne: null\nf: "0123"\ng: [x, {h: 1e3}]\ni: |\n  two\n  lines\n'
    assert parse(text.encode(), "a.yaml").data == {
        "a": "text",
        "b": 12,
        "c": -1.5,
        "d": True,
        "e": None,
        "f": "0123",
        "g": ["x", {"h": 1000.0}],
        "i": "two\nlines\n",
    }


@pytest.mark.parametrize("text", ["127.0.0.1", "1.2.3", "v1", "sqlite:///bank.db", "P5Y", "张三", "a:b", "x = y"])
def test_text_that_every_reader_takes_for_text_needs_no_quotes(text):
    assert parse(f"a: {text}\n".encode(), "a.yaml").data == {"a": text}


@pytest.mark.parametrize(
    "scalar",
    ["NO", "no", "n", "y", "Yes", "on", "off", "True", "FALSE", "~", "Null", "0123", "0x1f", "0o17", "1_000", "1,000",
     "+1", ".5", "1.", "1:30", "190:20:30", "2026-11-23", "2026-1-3", ".nan", ".inf", "-.INF", "NaN", "Infinity",
     "1e999", "12345678901234567890", "<<", "="],
)  # fmt: skip
@pytest.mark.parametrize("where", ["value", "key", "element"])
def test_a_scalar_that_two_readers_take_for_two_things_is_an_error(scalar, where):
    text = {"value": f"a: 1\nb: {scalar}\n", "key": f"a: 1\n{scalar}: 1\n", "element": f"a: 1\nb: [x, {scalar}]\n"}
    found = problems(text[where])
    assert [problem.line for problem in found] == [2]
    assert all(problem.file == "a.yaml" and problem.remedy for problem in found)


@pytest.mark.parametrize("scalar", ["NO", "0123", "1:30", "2026-11-23", "~", ".nan"])
def test_the_same_in_quotes_is_text(scalar):
    assert parse(f"a: \"{scalar}\"\nb: '{scalar}'\n".encode(), "a.yaml").data == {"a": scalar, "b": scalar}


@pytest.mark.parametrize(
    ("text", "line", "word"),
    [
        ("a: 1\nb: 2\na: 3\n", 3, "repeated (first on line 1)"),
        ("a: {b: 1,\n    b: 2}\n", 2, "repeated"),
        ('a: 1\n"\\u0061": 2\n', 2, "repeated"),
        ("a: &x 1\n", 1, "anchor"),
        ("a: 1\nb: *x\n", 2, "alias"),
        ("a: &x {b: 1}\nc: {<<: *x}\n", 1, "anchor"),
        ("a: !!python/object/apply:os.system [x]\n", 1, "tag"),
        ("a: !!str 1\n", 1, "tag"),
        ("!x\na: 1\n", 1, "tag"),
        ("a: 1\n---\nb: 2\n", 2, "second document"),
        ("%YAML 1.1\n---\na: 1\n", 1, "directive"),
        ("%TAG ! tag:x,2000:\n---\na: 1\n", 1, "directive"),
        ("a: 1\nb:\n", 2, "missing"),
        ("a: 1\n- b\n", 2, "YAML"),
        ("a: [1,\n", 2, "YAML"),
        ("a: 1\n\tb: 2\n", 2, "YAML"),
        ("a: 1\n? [b]\n: 2\n", 2, "key"),
        ("1: a\n", 1, "key"),
        ("null: a\n", 1, "key"),
        ("a: 1\nb: e\u0301\n", 2, "NFC"),
        ('a: 1\nb: "e\\u0301"\n', 2, "NFC"),
        ("a: 1\nb: x\u200by\n", 2, "U+200B"),
        ("a: 1\n# \u202e hidden\n", 2, "U+202E"),
        ('a: 1\nb: "\\u202e"\n', 2, "U+202E"),
        ('a: 1\nb: "\\0"\n', 2, "U+0000"),
        ("a: 1\nb: x\u0085c: 2\n", 2, "U+0085"),
        ("a: 1\nb: x\u2028c: 2\n", 2, "U+2028"),
        ("\ufeffa: 1\n", 1, "U+FEFF"),
        ("", 1, "empty"),
        ("# nothing\n", 1, "empty"),
        ("a: " + "[" * 30 + "]" * 30 + "\n", 1, "deeper"),
    ],
)
def test_what_hides_structure_is_an_error_with_its_line(text, line, word):
    first = problems(text)[0]
    assert (first.line, word in first.message, first.file) == (line, True, "a.yaml"), first
    assert first.remedy


def test_all_problems_are_found_at_once():
    assert [problem.line for problem in problems("a: NO\nb: 0123\nb: 1\nc: &x 1\n")] == [1, 2, 3, 4]


@pytest.mark.parametrize("raw", [b"a: \xff\n", "a: 1\n".encode("utf-16"), b"\x00"])
def test_other_encodings_than_utf8_are_refused(raw):
    assert problems(raw)


def test_size_is_bounded_before_parsing():
    assert "larger" in problems(b"a: " + b"[" * documents.MAX_BYTES)[0].message


def test_depth_is_bounded_without_recursion():
    assert "deeper" in problems("[" * 200_000)[0].message


def test_a_file_that_is_not_there_is_a_problem(tmp_path):
    with pytest.raises(ConfigError) as caught:
        documents.read(tmp_path / "none.yaml")
    assert "cannot be read" in str(caught.value)
    assert "none.yaml" in str(caught.value)
    with pytest.raises(ConfigError):
        documents.read(tmp_path)


def test_lines_of_all_parts():
    document = parse(b"a:\n  b: 1\n  c:\n    - x\n    - d: 2\n", "a.yaml")
    assert [document.line(place) for place in [(), ("a",), ("a", "b"), ("a", "c"), ("a", "c", 1, "d")]] == [
        1,
        1,
        2,
        3,
        5,
    ]
    assert document.line(("a", "c", 7, "z")) == 3, "the nearest part around what is not there"


# --- JSON -----------------------------------------------------------------------------------------


def test_json_is_read_with_lines():
    document = parse(b'{"a": 1,\n "b": [1,\n  {"c": "}"}]}', "a.json")
    assert document.data == {"a": 1, "b": [1, {"c": "}"}]}
    assert [document.line(place) for place in [("a",), ("b", 0), ("b", 1, "c")]] == [1, 2, 3]


@pytest.mark.parametrize(
    ("text", "line", "word"),
    [
        ('{"a": 1,\n "a": 2}', 2, "repeated"),
        ('{"a": {},\n "\\u0061": 2}', 2, "repeated"),
        ('{"a":\n NaN}', 2, "NaN"),
        ('{"a":\n -Infinity}', 2, "Infinity"),
        ('{"a": [1,\n 1e999]}', 2, "too large"),
        ('{"a":\n}', 2, "JSON"),
        ('{"a": 1} x', 1, "JSON"),
        ('{"a":\n "e\u0301"}', 2, "NFC"),
        ('{"a": 1, "a": 2}]]]', 1, "repeat"),
        ('[{"a": 1, "a": 2}, "\\q"', 1, "repeat"),
        ("[NaN, 1x, -", 1, "NaN"),
        ("[1e999, 1x", 1, "too large"),
        ("", 1, "JSON"),
    ],
)
def test_json_that_is_not_strict_is_an_error_with_its_line(text, line, word):
    first = problems(text, "a.json")[0]
    assert (first.line, word in first.message) == (line, True), first


JSON_TEXTS = [
    "",
    "a",
    "NO",
    "0123",
    "x: y",
    "# c",
    "张三",
    "𠮷野",
    "a\tb",
    "a\nb",
    'q"\\/',
    "<<",
    "{",
    "- x",
    "\\u0041",
    " l ",
]


@pytest.mark.parametrize("ascii_only", [False, True])
@pytest.mark.parametrize("indent", [None, 0, 2, "\t"])
@pytest.mark.parametrize("separators", [(",", ":"), (" , ", " : ")])
def test_json_is_read_as_every_other_reader_does(ascii_only, indent, separators):
    value = {
        text: [text, {text + "x": [number, [], {}, {"": None}]}]
        for text, number in zip(JSON_TEXTS, [0, -1, 1.5, 1e3, True, False, None] * 3, strict=False)
    }
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent, separators=separators)
    assert parse(text.encode(), "a.json").data == value


@pytest.mark.parametrize("count", [30, 100_000])
def test_json_depth_is_bounded(count):
    assert problems("[" * count + "]" * count, "a.json")


def test_escaped_json_text_is_held_to_the_same_characters():
    assert problems('{"a": 1,\n "b": "e\\u0301"}', "a.json")[0].line == 2
    assert problems('{"a": 1,\n "x\\u200b": 1}', "a.json")[0].line == 2
    assert problems('{"a": 1,\n "x": "\\ud800"}', "a.json")[0].line == 2


# --- Whatever comes -------------------------------------------------------------------------------

SEEDS = [
    "version: '1'\nsources:\n  bank:t.a:\n    subjects: {holder: id}\n    fields:\n      id: {category: x}\n",
    "a: &x [1, *x]\nb: {c: !t d, ? e}\n---\n%YAML 1.2\n",
    '{"a": [1, {"b": "c\\u0041"}],\n "d": NaN, "d": 1e999}',
]
BITS = [
    "\\ud800",
    "\\u",
    "NaN",
    "---\n",
    "<<",
    "no",
    '"a":',
    "\n  ",
    *"{}[]:,\"'\\\n\t&*!|>-?#%@` 01eE.+~<=\0\u200b\ud800é",
]


@pytest.mark.parametrize("file", ["a.yaml", "a.json"])
def test_any_bytes_are_read_or_refused_with_a_line(file):
    chance = random.Random(1)
    read, found = 0, []
    for _ in range(1500):
        signs = list(chance.choice(SEEDS))
        for _ in range(chance.randrange(4)):
            at = chance.randrange(len(signs))
            signs[at : at + chance.randrange(3)] = [chance.choice(BITS)]
        try:
            parse("".join(signs).encode("utf-8", "surrogatepass"), file)
            read += 1
        except ConfigError as error:
            found += error.problems
    assert len(found) > 500
    assert all(one.line and one.remedy for one in found)
    assert (read > 50) == (file == "a.yaml"), "no seed is strict JSON"


# --- Models ---------------------------------------------------------------------------------------


class Part(Strict):
    size: int = Field(ge=1)
    words: tuple[str, ...] = ()


class Whole(Strict):
    name: str
    parts: FrozenMap[str, Part] = Field(default_factory=dict, validate_default=True)


def wrong(text: str, kind=Whole):
    with pytest.raises(ConfigError) as caught:
        strict.model(parse(text.encode(), "a.yaml"), kind)
    return [(problem.line, problem.message) for problem in caught.value.problems], caught.value.problems


@pytest.mark.parametrize(
    ("text", "line", "word", "remedy"),
    [
        ("name: x\nparts:\n  a:\n    size: 0\n", 4, "parts.a.size", "raise"),
        ('name: x\nparts:\n  a:\n    size: "1"\n', 4, "parts.a.size", "whole number"),
        ("name: x\nparts:\n  a:\n    size: true\n", 4, "parts.a.size", "whole number"),
        ("name: x\nparts:\n  a:\n    size: 1.0\n", 4, "parts.a.size", "whole number"),
        ("name: 1\n", 1, "name", "quotes"),
        ("name: x\npart: {}\n", 2, "part is not a key", "did you mean parts?"),
        ("name: x\nparts:\n  a: {words: [x]}\n", 3, "parts.a.size is missing", "add the key size"),
        ("name: x\nparts:\n  a:\n    size: 1\n    words: x\n", 5, "parts.a.words", "list"),
        ("name: x\nparts:\n  a:\n    size: 1\n    words:\n      - x\n      - 2\n", 7, "words.1", "quotes"),
        ("name: x\nparts: {a: x}\n", 2, "parts.a is 'x'", "with the keys size, words"),
        ("- x\n", 1, "the document", "mapping"),
        ("x\n", 1, "the document", "mapping"),
    ],
)
def test_what_pydantic_finds_has_line_and_remedy(text, line, word, remedy):
    _, found = wrong(text)
    assert any(one.line == line and word in one.message and remedy in one.remedy for one in found), found


def test_what_a_model_finds_itself_has_the_line_of_each_finding():
    class Careful(Whole):
        def model_post_init(self, context):
            raise Inconsistent([Finding(("parts", name), f"{name}!", "mend it") for name in self.parts])

    found, _ = wrong("name: x\nparts:\n  a: {size: 1}\n  b: {size: 1}\n", Careful)
    assert found == [(3, "a!"), (4, "b!")]


def test_a_model_cannot_be_changed():
    whole = strict.model(parse(b"name: x\nparts: {a: {size: 1, words: [x]}}\n", "a.yaml"), Whole)
    with pytest.raises(TypeError):
        whole.parts["b"] = Part(size=2)
    assert isinstance(whole.parts["a"].words, tuple)
    assert whole.model_dump_json() == '{"name":"x","parts":{"a":{"size":1,"words":["x"]}}}'


def test_a_long_value_is_not_repeated_in_a_problem():
    class Url(Strict):
        name: str = Field(pattern="^x$")

    found, _ = wrong(f"name: {'s' * 5000}\n", Url)
    assert len(found[0][1]) < 200
