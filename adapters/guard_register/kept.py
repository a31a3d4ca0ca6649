"""What an entry keeps of what a program passed, whatever that was: an attempt is registered in any case.

A value that cannot be sealed as JSON (an object, a lone surrogate, a number that is none, what is too long or
too deep) is sealed as a description: `{"unkept": type, "length": …, "sha256": …}`, the digest where it has
bytes. A text that stands in clear and cannot is replaced by its type and length alone.
"""

from __future__ import annotations

import math
from base64 import b64encode
from collections.abc import Mapping
from contextlib import suppress
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from hashlib import sha256
from typing import Any, Final, TypeVar
from uuid import UUID

import msgspec

from guard.wire import canonical

MAX_SEALED: Final = 2 * 1024 * 1024
"""The most of one entry that is sealed, in bytes of JSON: encrypted it leaves room for the rest of the line."""

MAX_STATEMENT: Final = 256 * 1024
"""The longest statement that stands in clear, in bytes of UTF-8."""

MAX_NAME: Final = 1024
"""The longest other text that stands in clear, in bytes of UTF-8."""

_DEPTH: Final = 16
_PARTS: Final = 8
_BITS: Final = 4096
"""Python does not write much longer integers in decimal digits."""

_AS_TEXT: Final = frozenset({date, datetime, time, timedelta, Decimal, UUID})
"""Kept as the text that JSON has for them; exactly these types, since a subclass may do anything."""

_name: Final = type.__dict__["__name__"].__get__  # the type's own name, past what a metaclass says

_OF_PARTS: Final = (list, tuple, dict)  # a union written in place would be made anew for each part

R = TypeVar("R", bound=msgspec.Struct)


def kept(given: object, most: int = MAX_SEALED) -> msgspec.Raw:
    """The value as canonical JSON of at most `most` bytes; never fails.

    Where a mapping of a few parts is too long as a whole, each part gets an equal share of the room.
    """
    fits, made = _within(given, most)
    if fits or type(given) is not dict or not 0 < len(given) <= _PARTS:
        return made
    share = most // len(given) - MAX_NAME * 8  # a key may be six times as long in JSON as in UTF-8
    if share < MAX_NAME or any(text(key) != key for key in given):
        return made
    return _raw({key: _within(part, share)[1] for key, part in given.items()})


def text(given: object, most: int = MAX_NAME) -> str:
    """The text itself; or what it was, if it cannot stand in clear."""
    if type(given) is str and len(given) <= most:
        data = _utf8(given)
        if data is not None and len(data) <= most:
            return given
    told = _described(given)
    length = f" of length {told['length']}" if "length" in told else ""
    return f"({told['unkept']}{length}, not kept)"


def texts(record: R) -> R:
    """The record, each of its parts a text that can stand in clear; absent ones stay absent."""
    parts = {name: getattr(record, name) for name in record.__struct_fields__}
    return msgspec.structs.replace(record, **{name: text(part) for name, part in parts.items() if part is not None})


def _within(given: object, most: int) -> tuple[bool, msgspec.Raw]:
    try:
        made = _raw(_Reader(most).read(given))
        if len(made) <= most:
            return True, made
    except Exception:  # noqa: BLE001, S110 — what a value of the program may raise is not known, nor told
        pass
    return False, _raw(_described(given))


def _raw(made: object) -> msgspec.Raw:
    return msgspec.Raw(canonical(made))


class _TooMuch(Exception):
    """The value has more parts than fit."""


class _Reader:
    """Reads one value. `left` bounds the work: at least so many bytes would be written."""

    __slots__ = ("_left",)

    def __init__(self, left: int) -> None:
        self._left = left

    def read(self, given: Any, depth: int = 0) -> object:
        """The value, what cannot be kept described in its place."""
        self._left -= 2  # each part has a character and a comma at least
        if self._left < 0:
            raise _TooMuch
        kind = type(given)
        if given is None or kind is bool:
            return given
        if issubclass(kind, str):
            return self._text(str.__str__(given))
        if issubclass(kind, int):
            number = int.__int__(given)
            return number if number.bit_length() <= _BITS else _described(given)
        if issubclass(kind, float):
            real = float.__float__(given)
            return real if math.isfinite(real) else _described(given)
        if issubclass(kind, bytes):
            return self._bytes(bytes.__getitem__(given, slice(None)))
        if kind in _AS_TEXT:
            return msgspec.to_builtins(given)
        if issubclass(kind, _OF_PARTS) and depth < _DEPTH:
            return self._parts(given, depth + 1)
        return _described(given)

    def _text(self, plain: str) -> object:
        if len(plain) > self._left or not (plain.isascii() or _utf8(plain) is not None):
            return _described(plain)
        self._left -= len(plain)
        return plain

    def _bytes(self, plain: bytes) -> object:
        if len(plain) > self._left:
            return _described(plain)
        self._left -= len(plain)
        return b64encode(plain).decode()

    def _parts(self, given: Any, depth: int) -> object:
        for base in (list, tuple):
            if issubclass(type(given), base):
                return [self.read(part, depth) for part in base.__iter__(given)]
        pairs = []
        named = True
        for key, part in dict.items(given):
            name = self.read(key, depth)
            named = named and type(key) is str and type(name) is str
            pairs.append((name, self.read(part, depth)))
        return dict(pairs) if named else [list(pair) for pair in pairs]


def _described(given: Any) -> Mapping[str, object]:
    """What a value was, without what it said."""
    kind = type(given)
    told: dict[str, object] = {"unkept": _name(kind)[:100]}
    for base in (str, bytes, bytearray, list, tuple, dict):
        if issubclass(kind, base):
            told["length"] = base.__len__(given)
    if issubclass(kind, str):
        told["sha256"] = sha256(str.encode(given, "utf-8", "surrogatepass")).hexdigest()
    elif issubclass(kind, bytes | bytearray):
        told["sha256"] = sha256(given).hexdigest()
    elif kind is memoryview:
        with suppress(ValueError):  # it may be released
            told |= {"length": given.nbytes, "sha256": sha256(given.tobytes()).hexdigest()}
    return told


def _utf8(plain: str) -> bytes | None:
    try:
        return plain.encode()
    except UnicodeEncodeError:
        return None
