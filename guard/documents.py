"""The strict reading of what people write: YAML and JSON documents, with the line of everything in them.

YAML is read as the part that YAML 1.1 and 1.2 agree on. What two readers could take for different things
is an error that says what to write instead: `NO` and `on` (booleans in 1.1), `0123` (octal or decimal),
`1:30` (90 in 1.1), bare dates, a key without a value. What hides structure is an error too: repeated keys,
anchors, aliases, merge keys, tags, directives, several documents, invisible characters, text outside
Unicode NFC. Size and depth are bounded. JSON documents are read by `guard.wire.strict_json`.

A `Document` knows the line of every part, so that what pydantic finds wrong becomes a `Problem` with file,
line and remedy.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Final, NamedTuple, TypeAlias, TypeVar, get_args

import msgspec
import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainSerializer, ValidationError
from yaml import events

from guard.errors import ConfigError, Problem
from guard.names import meant
from guard.wire import NotStrict, strict_json

Place: TypeAlias = tuple[str | int, ...]
"""The way to a part of a document: keys and positions from its root."""

K = TypeVar("K")
V = TypeVar("V")
M = TypeVar("M", bound=BaseModel)

MAX_BYTES: Final = 1024 * 1024
"""The largest document, in bytes."""

MAX_DEPTH: Final = 24
"""The deepest nesting of mappings and lists."""

_INTEGER: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,17})", re.ASCII)
_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,17})(?:\.[0-9]{1,17})?(?:[eE][-+]?[0-9]{1,2})?", re.ASCII)
_NUMBER_LIKE: Final = re.compile(
    r"[-+]?(?:(?:[0-9][0-9_,]*\.?[0-9_]*|\.[0-9][0-9_]*)(?:[eE][-+]?[0-9]+)?|0[xob][0-9A-Fa-f_]+)", re.ASCII
)
_SEXAGESIMAL: Final = re.compile(r"[-+]?[0-9]+(?::[0-9]+)+(?:\.[0-9]*)?", re.ASCII)
_NOT_FINITE: Final = re.compile(r"[-+]?\.?(?:inf|infinity|nan)", re.ASCII | re.IGNORECASE)
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt ].*)?", re.ASCII)
_LOOSE_BOOLEANS: Final = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false"})
_CONSTANTS: Final = MappingProxyType({"null": None, "true": True, "false": False})
_JSON_TOKEN: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]:,]|[^\s{}\[\]:,"]+', re.DOTALL)


class Document(msgspec.Struct, frozen=True):
    """What was read: plain data (dict, list, str, int, float, bool, None) and the line of each part of it."""

    file: str
    data: Any
    lines: Mapping[Place, int]

    def line(self, place: Sequence[str | int]) -> int:
        """The line of a part, or of the nearest part around it. Steps that the document lacks are passed over."""
        at: Place = ()
        for step in place:
            if (*at, step) in self.lines:
                at = (*at, step)
        return self.lines.get(at, 1)

    def problem(self, place: Sequence[str | int], message: str, remedy: str) -> Problem:
        """Something wrong at a place of this document."""
        return Problem(file=self.file, line=self.line(place), message=message, remedy=remedy)


class Finding(NamedTuple):
    """Something wrong at a place relative to the model that found it."""

    place: Place
    message: str
    remedy: str


class Inconsistent(ValueError):
    """What a model's own checks found; pydantic carries it to `problems`, which gives each finding its line."""

    def __init__(self, findings: Iterable[Finding]) -> None:
        self.findings = tuple(findings)
        super().__init__("; ".join(finding.message for finding in self.findings))


# --- Reading --------------------------------------------------------------------------------------


def read(path: Path) -> Document:
    """The document in a file, JSON if its name ends in `.json`, else YAML. ConfigError if it is not strict."""
    file = str(path)
    try:
        with path.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ConfigError(
            [Problem(file, 0, f"cannot be read: {reason}", "name a file that exists and is readable")]
        ) from None
    return parse(raw, file)


def parse(raw: bytes, file: str) -> Document:
    """The document in these bytes; `file` names it in problems and tells JSON from YAML."""
    text = _text(raw, file)
    return _json(raw, text, file) if file.endswith(".json") else _yaml(text, file)


def _text(raw: bytes, file: str) -> str:
    if len(raw) > MAX_BYTES:
        raise ConfigError(
            [Problem(file, 0, f"is larger than {MAX_BYTES} bytes", "split it, or remove what does not belong")]
        )
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ConfigError([Problem(file, line, "is not UTF-8", "save the file as UTF-8")]) from None
    found = [
        Problem(file, number, wrong, remedy)
        for number, line in enumerate(text.split("\n"), 1)
        for wrong, remedy in _characters(line.removesuffix("\r"))
    ]
    if found:
        raise ConfigError(found)
    return text


def _characters(text: str) -> Iterator[tuple[str, str]]:
    """What is wrong with the characters of a line or value: two texts that look alike must be alike."""
    if text.isascii() and text.isprintable():
        return  # nearly all lines
    if not unicodedata.is_normalized("NFC", text):
        yield "holds text that is not in Unicode NFC", "write it in its composed form (NFC)"
    for character in text:
        # Cf: bidirectional overrides and zero-width signs; Zl and Zp: line ends in YAML 1.1 alone.
        if character not in "\t\n" and unicodedata.category(character) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}:
            yield f"holds the invisible character U+{ord(character):04X}", "remove it"
            return


# --- YAML -----------------------------------------------------------------------------------------


class _Open:
    """A mapping or list whose end was not met yet."""

    __slots__ = ("data", "key", "place", "taken")

    def __init__(self, data: dict[str, Any] | list[Any], place: Place) -> None:
        self.data = data
        self.place = place
        self.key: str | None = None
        """The key that waits for its value."""
        self.taken: dict[str, int] = {}
        """Keys met so far, with their lines."""


class _Builder:
    """Builds data from parser events, without recursion, and gathers all that is wrong."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[Problem] = []
        self.lines: dict[Place, int] = {}
        self.root: Any = None
        self.stack: list[_Open] = []
        self.documents = 0

    def wrong(self, event: events.Event, message: str, remedy: str) -> None:
        self.problems.append(Problem(self.file, _line(event), message, remedy))

    def feed(self, event: events.Event) -> bool:
        """Takes one event; False where reading on makes no sense."""
        if isinstance(event, events.DocumentStartEvent):
            self.documents += 1
            if event.version or event.tags:
                self.wrong(event, "a YAML directive", "remove the line that begins with %")
            if self.documents > 1:
                self.wrong(event, "a second document in one file", "keep one document a file")
                return False
        elif isinstance(event, events.AliasEvent):
            self.wrong(event, f"the alias *{event.anchor}", "write the value out")
            self.put(event, None)
        elif isinstance(event, events.NodeEvent):
            return self.node(event)
        elif isinstance(event, events.CollectionEndEvent):
            self.stack.pop()
        return True

    def node(self, event: events.NodeEvent) -> bool:
        if event.anchor is not None:
            self.wrong(event, f"the anchor &{event.anchor}", "remove it and write the value out where it is used")
        if getattr(event, "tag", None) is not None:
            self.wrong(event, f"the tag {event.tag}", "remove the tag: types are known from the schema")  # type: ignore[attr-defined]  # only scalars and collections get here, and both have it
        if isinstance(event, events.ScalarEvent):
            self.put(event, self.scalar(event))
            return True
        data: dict[str, Any] | list[Any] = {} if isinstance(event, events.MappingStartEvent) else []
        self.stack.append(_Open(data, self.put(event, data)))
        if len(self.stack) > MAX_DEPTH:
            self.wrong(event, f"nested deeper than {MAX_DEPTH} levels", "flatten it")
            return False
        return True

    def put(self, event: events.Event, value: object) -> Place:
        """Gives a value its place: the root, an element, a key, or the value of the waiting key."""
        if not self.stack:
            self.root = value
            self.lines[()] = _line(event)
            return ()
        top = self.stack[-1]
        if isinstance(top.data, list):
            place: Place = (*top.place, len(top.data))
            top.data.append(value)
        elif top.key is None:
            return self.take_key(event, value, top)
        else:
            place = (*top.place, top.key)
            top.data[top.key] = value
            top.key = None
            return place
        self.lines[place] = _line(event)
        return place

    def take_key(self, event: events.Event, value: object, top: _Open) -> Place:
        if not isinstance(value, str):
            if isinstance(event, events.ScalarEvent) and not any(p.line == _line(event) for p in self.problems):
                self.wrong(event, f"the key {event.value} is not text", "put the key in quotes")
            elif not isinstance(event, events.ScalarEvent):
                self.wrong(event, "a key that is not text", "use a plain word as key")
            value = f"?{len(top.taken)}"
        first = top.taken.setdefault(value, _line(event))
        if value in top.data:
            self.wrong(event, f"the key {value} is repeated (first on line {first})", "keep one of the two")
        top.key = value
        self.lines.setdefault((*top.place, value), _line(event))
        return (*top.place, value)

    def scalar(self, event: events.ScalarEvent) -> object:
        text = event.value
        if event.style is not None:
            for message, remedy in _characters(text):
                self.wrong(event, f"the text {message}", remedy)
            return text
        complaint = _ambiguous(text)
        if complaint:
            self.wrong(event, *complaint)
            return None
        return _plain(text)


def _line(event: events.Event) -> int:
    return int(getattr(event.start_mark, "line", 0)) + 1


_AMBIGUOUS: Final[tuple[tuple[Callable[[str], object], str, str], ...]] = (
    (lambda text: text == "", "a value is missing", "write the value, or null, {} or []"),
    (
        lambda text: text.lower() in _LOOSE_BOOLEANS and text not in {"true", "false"},
        "{} is a boolean to some readers and text to others",
        'write true or false, or "{}" in quotes',
    ),
    (
        lambda text: text == "~" or (text.lower() == "null" and text != "null"),
        "{} is null to some readers and text to others",
        'write null, or "{}" in quotes',
    ),
    (_NOT_FINITE.fullmatch, "{} is not a number", 'write a finite number, or "{}" in quotes'),
    (_SEXAGESIMAL.fullmatch, "{} is a number to base 60 to some readers", 'write "{}" in quotes'),
    (_DATE.fullmatch, "{} is a date to some readers and text to others", 'write "{}" in quotes'),
    (
        lambda text: _NUMBER_LIKE.fullmatch(text) and not _NUMBER.fullmatch(text),
        "{} is not a plain decimal number",
        'write a plain decimal number, or "{}" in quotes',
    ),
    (lambda text: text in {"<<", "="}, "the sign {} has a meaning of its own in YAML 1.1", "write the keys out"),
)
"""Which unquoted scalars could be read in two ways: test, message, remedy."""


def _ambiguous(text: str) -> tuple[str, str] | None:
    """Why an unquoted scalar could be read in two ways, and what to write instead; None if it cannot."""
    for test, message, remedy in _AMBIGUOUS:
        if test(text):
            return message.replace("{}", text), remedy if not text else remedy.replace("{}", text)
    return None


def _plain(text: str) -> object:
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _NUMBER.fullmatch(text) else text


def _yaml(text: str, file: str) -> Document:
    builder = _Builder(file)
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            if not builder.feed(event):
                break
    except yaml.MarkedYAMLError as error:
        line = int(getattr(error.problem_mark or error.context_mark, "line", -1)) + 1
        message = f"is not YAML: {error.problem or error.context}"
        builder.problems.append(Problem(file, line, message, "mend the syntax"))
    except yaml.YAMLError:
        builder.problems.append(Problem(file, 0, "is not YAML", "mend the syntax"))
    if not builder.documents and not builder.problems:
        builder.problems.append(Problem(file, 1, "is empty", "write the document"))
    if builder.problems:
        raise ConfigError(builder.problems)
    return Document(file=file, data=builder.root, lines=MappingProxyType(builder.lines))


# --- JSON -----------------------------------------------------------------------------------------


def _json(raw: bytes, text: str, file: str) -> Document:
    try:
        data = strict_json(raw, MAX_BYTES)
    except NotStrict as error:
        try:
            line, message = _json_fault(text, error)
        except (IndexError, ValueError):  # what follows the fault is not even JSON
            line, message = 1, str(error)
        raise ConfigError([Problem(file, line, f"is not strict JSON: {message}", "mend it there")]) from None
    lines, _ = _json_lines(text)
    if max(map(len, lines)) > MAX_DEPTH:
        raise ConfigError([Problem(file, 1, f"nested deeper than {MAX_DEPTH} levels", "flatten it")])
    found = [
        Problem(file, text.count("\n", 0, token.start()) + 1, f"the text {message}", remedy)
        for token in _JSON_TOKEN.finditer(text)
        if "\\" in token[0]
        for message, remedy in _characters(json.loads(token[0]))
    ]
    if found:
        raise ConfigError(found)
    return Document(file=file, data=data, lines=MappingProxyType(lines))


def _json_fault(text: str, error: NotStrict) -> tuple[int, str]:
    """The line and words of what the strict reading refused."""
    stated = re.match(r"(.*?): line (\d+) column", str(error))
    if stated:
        return int(stated[2]), stated[1]
    if error.kind == "NUMBER":
        for token in _JSON_TOKEN.finditer(text):
            word = token[0]
            if word.lstrip("-") in {"NaN", "Infinity"} or (
                word[0] in "-0123456789" and abs(float(word)) == float("inf")
            ):
                return text.count("\n", 0, token.start()) + 1, str(error)
    if error.kind == "JSON":
        _, repeated = _json_lines(text)
        if repeated:
            return repeated[0][1], f"the key {repeated[0][0]} is repeated"
        for token in _JSON_TOKEN.finditer(text):
            if re.search(r"\\u[dD][89a-fA-F]", token[0]) and not _encodable(json.loads(token[0])):
                return text.count("\n", 0, token.start()) + 1, "half of a surrogate pair"
    return 1, str(error)


def _encodable(text: str) -> bool:
    return not any(unicodedata.category(character) == "Cs" for character in text)


def _json_lines(text: str) -> tuple[dict[Place, int], list[tuple[str, int]]]:
    """The line of each part of a JSON text that the strict reading took, and its repeated keys."""
    lines: dict[Place, int] = {}
    repeated: list[tuple[str, int]] = []
    stack: list[tuple[Place, bool]] = []  # open containers: place, whether a mapping
    place: Place = ()
    key: str | None = None
    counts: dict[Place, int] = {}
    line, seen = 1, 0
    for token in _JSON_TOKEN.finditer(text):
        line, seen = line + text.count("\n", seen, token.start()), token.start()
        word = token[0]
        if word in ":,":
            continue
        if word in "}]":
            stack.pop()
            continue
        if not stack:
            place = ()
            lines[()] = line
        elif stack[-1][1] and key is None:
            key = str(json.loads(word))
            place = (*stack[-1][0], key)
            if place in lines:
                repeated.append((key, line))
            lines[place] = line
            continue
        elif stack[-1][1]:
            place, key = (*stack[-1][0], str(key)), None
        else:
            at = stack[-1][0]
            counts[at] = counts.get(at, -1) + 1
            place = (*at, counts[at])
            lines[place] = line
        if word in "{[":
            stack.append((place, word == "{"))
    return lines, repeated


# --- Models ---------------------------------------------------------------------------------------


def _text_of_one_reading(text: str) -> str:
    for message, _ in _characters(text):
        raise ValueError(message)
    return text


Name: TypeAlias = Annotated[str, Field(min_length=1, max_length=128), AfterValidator(_text_of_one_reading)]
"""A name that people write: in Unicode NFC, without invisible characters, at most 128 characters."""

FrozenMap: TypeAlias = Annotated[
    Mapping[K, V], AfterValidator(lambda mapping: MappingProxyType(dict(mapping))), PlainSerializer(dict)
]
"""A mapping that does not change: pydantic's `frozen` alone protects only the attribute."""


class Strict(BaseModel):
    """A document or a part of one: nothing is converted, unknown keys are errors, nothing changes."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


def model(document: Document, kind: type[M], context: Mapping[str, Any] | None = None) -> M:
    """The document as a model; ConfigError with file, line and remedy of all that does not fit."""
    try:
        return kind.model_validate(_tuples(document.data), context=dict(context or {}))
    except ValidationError as error:
        raise ConfigError(problems(error, document, kind)) from None


def _tuples(value: Any) -> Any:
    """The data with tuples in place of lists: models hold no list, since what is configured does not change."""
    if isinstance(value, dict):
        return {key: _tuples(part) for key, part in value.items()}
    return tuple(_tuples(part) for part in value) if isinstance(value, list) else value


def problems(error: ValidationError, document: Document, kind: type[BaseModel]) -> list[Problem]:
    """What pydantic found, each with file, line, a plain message and a remedy, in order of place."""
    found: list[Problem] = []
    for detail in error.errors(include_url=False, include_input=True):
        place = detail["loc"]
        if detail["type"] == "union_tag_invalid":
            # pydantic points at the whole part; what is wrong is its tag.
            place = (*place, str(detail.get("ctx", {}).get("discriminator")).strip("'"))
        cause = detail.get("ctx", {}).get("error")
        if isinstance(cause, Inconsistent):
            found += [document.problem((*place, *one.place), one.message, one.remedy) for one in cause.findings]
        else:
            found.append(document.problem(place, *_plainly(detail, _steps(document, place), kind)))
    return sorted(set(found), key=lambda problem: (problem.line, problem.message))


def _steps(document: Document, place: Place) -> list[str]:
    """The steps of a place that stand in the document, and a last one that is missing there; not pydantic's own."""
    steps: Place = ()
    for number, step in enumerate(place, 1):
        if (*steps, step) in document.lines or (number == len(place) and step != "[key]"):
            steps = (*steps, step)
    return [str(step) for step in steps]


def _plainly(detail: Mapping[str, Any], steps: list[str], kind: type[BaseModel]) -> tuple[str, str]:
    """Message and remedy of one of pydantic's errors."""
    what = str(detail["type"])
    words = {**detail.get("ctx", {}), "name": ".".join(steps) or "the document", "last": steps[-1] if steps else ""}
    words["input"] = _short(detail["input"])
    words["keys"] = ", ".join(_named(kind, words.get("class_name")))
    if what == "extra_forbidden":
        return f"{words['name']} is not a key that guard knows", meant(words["last"], _keys(kind), "remove it")
    if what in _MESSAGES:
        message, remedy = _MESSAGES[what]
        return message.format_map(words), remedy.format_map(words)
    said = str(detail["msg"])
    return f"{words['name']}: {said[:1].lower()}{said[1:]}", _REMEDIES.get(what, "correct the value")


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


_MESSAGES: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "missing": ("{name} is missing", "add the key {last}"),
        "value_error": ("{name}: {error}", "correct the value {input}"),
        "literal_error": ("{name} is {input}", "write {expected}"),
        "model_type": ("{name} is {input}", "write a mapping with the keys {keys}"),
        "union_tag_invalid": ("{name}: {tag} is none of the known kinds", "write {expected_tags}"),
        "union_tag_not_found": ("{name} does not say its kind", "add the key {discriminator}"),
    }
)

_REMEDIES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "string_type": "write text, in quotes if it could be read as something else",
        "int_type": "write a whole number without quotes",
        "float_type": "write a number without quotes",
        "bool_type": "write true or false",
        "dict_type": "write a mapping: key: value",
        "tuple_type": "write a list: [a, b]",
        "list_type": "write a list: [a, b]",
        "string_pattern_mismatch": "write it in the expected form",
        "string_too_short": "write at least one character",
        "string_too_long": "shorten it",
        "too_short": "give at least one",
        "greater_than_equal": "raise it to the bound",
        "less_than_equal": "lower it to the bound",
    }
)


def _named(kind: type[BaseModel], name: object) -> list[str]:
    """The keys of the model of this name, in their order."""
    return next((_own(one) for one in _models(kind) if one.__name__ == name), [])


def _keys(kind: type[BaseModel]) -> set[str]:
    """All keys that a model and the models inside it know."""
    return {key for one in _models(kind) for key in _own(one)}


def _own(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def _models(kind: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """A model and those inside it."""
    waiting: list[Any] = [kind]
    seen: set[int] = set()
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, type) and issubclass(one, BaseModel):
            yield one
            waiting += [field.annotation for field in one.model_fields.values()]
        else:
            waiting += get_args(one)
