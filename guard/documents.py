"""The strict reading of what people write: YAML and JSON documents, with the line of everything in them.

YAML is read as the part that YAML 1.1 and 1.2 agree on. What two readers could take for different things
is an error that says what to write instead: `NO` and `on` (booleans in 1.1), `0123` (octal or decimal),
`1:30` (90 in 1.1), bare dates, a key without a value. What hides structure is an error too: repeated keys,
anchors, aliases, merge keys, tags, directives, several documents, invisible characters, text outside
Unicode NFC. Size and depth are bounded. A JSON document has to be what `guard.wire.strict_json` takes besides.

A `Document` knows the line of every part, so that what is found wrong with it later (`guard.strict`) has one too.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, TypeAlias

import msgspec
import yaml
from msgspec.structs import replace
from yaml import events

from guard.errors import ConfigError, Problem
from guard.wire import NotStrict, strict_json

Place: TypeAlias = tuple[str | int, ...]
"""The way to a part of a document: keys and positions from its root."""

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
_ESCAPE: Final = re.compile(r"\\(?:(u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})|.)")
"""An escape of a JSON text; in the group a pair that is one character."""


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
    return _json(raw, text, file) if file.endswith(".json") else _Reader(text, file).document()


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
        for wrong, remedy in characters(line.removesuffix("\r"))
    ]
    if found:
        raise ConfigError(found)
    return text


def characters(text: str) -> Iterator[tuple[str, str]]:
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


class _Reader:
    """Builds data from parser events, with the line of each part, and gathers all that is wrong."""

    def __init__(self, text: str, file: str) -> None:
        self.file = file
        self.lines: dict[Place, int] = {}
        self.problems: list[Problem] = []
        self.events: Iterator[events.Event] = yaml.parse(text, Loader=yaml.SafeLoader)

    def document(self) -> Document:
        """The one document of the text; ConfigError with all that is wrong."""
        data = None
        try:
            for event in self.events:
                if isinstance(event, events.DocumentStartEvent):
                    self.start(event)
                elif isinstance(event, events.NodeEvent):
                    data = self.part(event, ())
        except yaml.MarkedYAMLError as error:
            line = int(getattr(error.problem_mark or error.context_mark, "line", -1)) + 1
            message = f"is not YAML: {error.problem or error.context}"
            self.problems.append(Problem(self.file, line, message, "mend the syntax"))
        except yaml.YAMLError:
            self.problems.append(Problem(self.file, 0, "is not YAML", "mend the syntax"))
        if not self.lines and not self.problems:
            self.problems.append(Problem(self.file, 1, "is empty", "write the document"))
        if self.problems:
            raise ConfigError(self.problems)
        return Document(file=self.file, data=data, lines=MappingProxyType(self.lines))

    def start(self, event: events.DocumentStartEvent) -> None:
        if event.version or event.tags:
            self.wrong(event, "a YAML directive", "remove the line that begins with %")
        if self.lines:
            self.wrong(event, "a second document in one file", "keep one document a file")
            raise ConfigError(self.problems)

    def wrong(self, event: events.Event, message: str, remedy: str) -> None:
        self.problems.append(Problem(self.file, _line(event), message, remedy))

    def part(self, event: events.NodeEvent, place: Place) -> object:
        """A value or element, which has its line at its place. A value stands for its key, whose line is the part's."""
        self.lines.setdefault(place, _line(event))
        return self.node(event, place)

    def node(self, event: events.NodeEvent, place: Place) -> object:
        if isinstance(event, events.AliasEvent):
            self.wrong(event, f"the alias *{event.anchor}", "write the value out")
            return None
        if event.anchor is not None:
            self.wrong(event, f"the anchor &{event.anchor}", "remove it and write the value out where it is used")
        if isinstance(event, events.ScalarEvent | events.CollectionStartEvent) and event.tag is not None:
            self.wrong(event, f"the tag {event.tag}", "remove the tag: types are known from the schema")
        if isinstance(event, events.ScalarEvent):
            return self.scalar(event)
        if len(place) == MAX_DEPTH:
            self.wrong(event, f"nested deeper than {MAX_DEPTH} levels", "flatten it")
            raise ConfigError(self.problems)
        if isinstance(event, events.MappingStartEvent):
            return self.mapping(place)
        return [self.part(one, (*place, position)) for position, one in enumerate(self.until_the_end())]

    def until_the_end(self) -> Iterator[Any]:
        """The events that begin the parts of a collection; whoever takes one reads that part whole."""
        return takewhile(lambda event: not isinstance(event, events.CollectionEndEvent), self.events)

    def mapping(self, place: Place) -> dict[str, object]:
        made: dict[str, object] = {}
        for event in self.until_the_end():
            key = self.key(event, place)
            at = (*place, key)
            if key in made:
                message = f"the key {key} is repeated (first on line {self.lines[at]})"
                self.wrong(event, message, "keep one of the two")
            self.lines.setdefault(at, _line(event))
            made[key] = self.part(next(self.events), at)  # type: ignore[arg-type]  # the parser gives each key a value
        return made

    def key(self, event: events.NodeEvent, place: Place) -> str:
        known = len(self.problems)
        key = self.node(event, place)
        if isinstance(key, str):
            return key
        if len(self.problems) == known:
            self.wrong(event, f"the key {json.dumps(key)} is not text", "put the key in quotes")
        return f"?{len(self.problems)}"

    def scalar(self, event: events.ScalarEvent) -> object:
        text = event.value
        if event.style is not None:
            for message, remedy in characters(text):
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


# --- JSON -----------------------------------------------------------------------------------------


def _json(raw: bytes, text: str, file: str) -> Document:
    """Strict JSON is YAML and read as that, which tells its lines; what is not strict, for the line of its fault."""
    fault = None
    try:
        strict_json(raw, MAX_BYTES)
    except NotStrict as error:
        fault = f"is not strict JSON: {error}"
        stated = re.search(r": line (\d+) column", fault)
        if stated:
            raise ConfigError([Problem(file, int(stated[1]), fault[: stated.start()], "mend it there")]) from None
    # Between the tokens of JSON a tab is a space, and within a text of it there is none. YAML has no pairs of escapes.
    text = _ESCAPE.sub(lambda found: json.loads(f'"{found[0]}"') if found[1] else found[0], text.replace("\t", " "))
    try:
        document = _Reader(text, file).document()
    except ConfigError as error:
        if fault is None:
            raise
        raise ConfigError([replace(one, message=f"{fault}: {one.message}") for one in error.problems]) from None
    if fault is not None:
        raise ConfigError([Problem(file, 1, fault, "mend it there")])
    return document
