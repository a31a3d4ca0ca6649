"""Which part of a consent record is wrong, and what to write there. No value is told but words of closed lists."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, get_args

import msgspec

from guard.model import ASSURANCE, Operation
from guard.names import near

_AT: Final = re.compile(r" - at `\$\.?(.*)`\Z", re.DOTALL)
_TYPE: Final = re.compile(r"Expected `([^`]*)`, got `([^`]*)`")
_MISSING: Final = re.compile(r"Object missing required field `(\w+)`")
_WORD: Final = re.compile(r"Invalid enum value '(.*)'\Z", re.DOTALL)

_TIMES: Final = frozenset({"granted_at", "expires_at", "shown_at"})

_LISTS: Final[Mapping[str, tuple[str, ...]]] = {"operations": get_args(Operation), "assurance": ASSURANCE}
"""The parts whose words are of a closed list: what is written there in error may be told, as nothing of a person's."""

_WRITE: Final[Mapping[str, str]] = {
    "str": "write text",
    "int": "write a whole number",
    "bool": "write True or False",
    "array": 'write a tuple of texts, such as ("…",)',
    "object": "write the record of its kind",
}


def said(error: msgspec.ValidationError) -> str:
    """What a ValidationError about a record says of its place and types, without the value that it may quote."""
    text = str(error)
    at = _AT.search(text)
    path, text = (at[1], text[: at.start()]) if at else ("", text)
    part = path or "the record"
    last = path.rsplit(".", 1)[-1].split("[", 1)[0]
    if missing := _MISSING.match(text):
        return f"{path}{'.' if path else ''}{missing[1]} is missing."
    if types := _TYPE.match(text):
        return f"{part} is {_a(types[2])}: {_write(last, types[1])}."
    word = _WORD.match(text)
    if word and last in _LISTS:
        closest = near(word[1], _LISTS[last])
        meant = "" if closest is None else f"; did you mean {closest}?"
        end = "" if meant else "."
        return f"{part.split('[', 1)[0]}: {word[1][:32]!a} is none of {', '.join(_LISTS[last])}{meant}{end}"
    if text.startswith("Object contains unknown field"):
        return f"{part} has a part that no consent record has."
    return f"{part} is not what a consent record holds there."


def _a(kind: str) -> str:
    if kind == "null":
        return "None"
    return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"


def _write(part: str, expected: str) -> str:
    if part in _TIMES:
        return "write whole seconds, int(time())"
    first, _, rest = expected.partition(" | ")
    return _WRITE.get(first, f"write {first}") + (" or None" if rest else "")
