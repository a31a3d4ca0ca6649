"""One reading of a JSON body, or none: what two readers could take for two documents is refused.

What the compiled codec of msgspec sees to by itself: grammar, truncation, trailing bytes, NaN, half surrogate
pairs, nesting that would exhaust the stack. What it does not is here: size, a byte order mark, UTF-8 in parts
that it skips or hands on as they stand, repeated keys, and how deep a body may be.

No refusal quotes the body.
"""

from __future__ import annotations

import codecs
import json
import re
from typing import Any, Final

import msgspec

from guard.config import Limits
from guard.errors import Refused

_PIECE: Final = 131_072
"""Bytes that are looked at in one piece."""

_MARKS: Final = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
_TEXT: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"')
_ONE_KIND: Final = bytes.maketrans(b"{}", b"[]")
_NOT_STRUCTURE: Final = bytes(set(range(256)) - set(b'"[]{}'))

# A float is read as a bool: its value is of no interest here, and 1e400 is a number of JSON.
_anything: Final = msgspec.json.Decoder(float_hook=bool)
_written: Final = msgspec.json.Encoder()


def refused(detail: str, *, rule: str = "GUARD-BODY", status: int = 400) -> Refused:
    """A refusal of a body or of what its headers say of it, with the HTTP status for a request."""
    made = Refused.own(rule, detail)
    made.status = status
    return made


def too_large(limit: int) -> Refused:
    """The refusal of a body above the limit (bytes)."""
    detail = f"At most {limit} bytes are read: send less at a time, or raise limits.body."
    return refused(detail, rule="GUARD-BODY-SIZE", status=413)


def too_deep(limit: int) -> Refused:
    """The refusal of a body nested deeper than the limit (levels)."""
    return refused(f"It is nested too deeply: at most {limit} levels; send it flatter, or raise limits.depth.")


def malformed() -> Refused:
    """The refusal of what is no JSON text."""
    return refused("It is not one whole JSON text (RFC 8259): send strict JSON, without NaN, comments, a second text.")


def check_bytes(body: bytes, limits: Limits) -> None:
    """Refuses what is too large and what is not UTF-8 without a byte order mark."""
    if len(body) > limits.body:
        raise too_large(limits.body)
    if body.isascii():
        return
    if body.startswith(_MARKS):
        raise refused("It begins with a byte order mark: send UTF-8 without one.")
    try:
        if len(body) <= _PIECE:
            body.decode()
        else:
            _decode(body)
    except UnicodeDecodeError:
        refusal = refused("It is not UTF-8: send UTF-8.")
    else:
        return
    raise refusal


def _decode(body: bytes) -> None:
    """Piece by piece, since the text of a large body takes longer to make room for than to read."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    for start in range(0, len(body), _PIECE):
        decoder.decode(body[start : start + _PIECE])
    decoder.decode(b"", final=True)


def careful(body: bytes, limits: Limits, *, brackets: int | None = None) -> Any:
    """The body as plain data, floats as booleans; refused if it repeats a key anywhere or is nested too deeply.

    The body has passed `check_bytes`. Keys are compared as the texts that they spell, escaped or not. It is known to
    be nested at most `brackets` levels: there are no more brackets, or it is known how deep the others are.
    """
    try:
        value = _anything.decode(body)
        if brackets is None:
            brackets = body.count(b"[") + body.count(b"{")
        if brackets > limits.depth and deeper(body, limits.depth):
            refusal = too_deep(limits.depth)
        elif _repeats(body, value):
            refusal = refused("An object in it repeats a key: send each key once.")
        else:
            return value
    except RecursionError:
        refusal = too_deep(limits.depth)
    except msgspec.ValidationError:
        refusal = refused("It holds a whole number of more digits than can be read: send it as text.")
    except msgspec.DecodeError:
        refusal = malformed()
    raise refusal


def _repeats(body: bytes, value: Any) -> bool:
    """Whether an object repeats a key.

    Each member has one colon outside of texts. Of two equal keys the reader keeps the last, so what it writes
    has fewer colons than the body, unless an escaped colon in a text makes up for one: then every pair is seen.
    """
    if b"\\" in body and (b"\\u003a" in body or b"\\u003A" in body):
        return _has_pairs_alike(body)
    return body.count(b":") != _written.encode(value).count(b":")


def _has_pairs_alike(body: bytes) -> bool:
    alike = False

    def pairs(found: list[tuple[str, Any]]) -> None:
        nonlocal alike
        alike = alike or len({key for key, _ in found}) < len(found)

    json.loads(body, object_pairs_hook=pairs)
    return alike


def deeper(body: bytes, limit: int) -> bool:
    """Whether a well-formed body has arrays and objects nested deeper than the limit (levels)."""
    left = _brackets(body)
    for _ in range(limit):  # each round takes the innermost level off
        if not left:
            return False
        left = left.replace(b"[]", b"")
    return bool(left)


def _brackets(body: bytes) -> bytes:
    """The brackets outside of texts, those of objects written like those of arrays."""
    if b'\\"' not in body:
        # A text without brackets leaves two quotes beside each other, one with brackets an odd quote before them.
        left = body.translate(_ONE_KIND, _NOT_STRUCTURE).replace(b'""', b"")
        if b'"' not in left:
            return left
    return _TEXT.sub(b"", body).translate(_ONE_KIND, _NOT_STRUCTURE)
