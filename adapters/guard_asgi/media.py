"""One declared reading of a body's headers: UTF-8 JSON, as long as it is said to be, not encoded.

Headers that two readers could take for two things, and media types that guard does not read, are refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final

import msgspec

from guard.config import Limits
from guard.errors import Refused
from guard_asgi import strict

_TYPE: Final = re.compile(rb"application/(?:json|[a-z0-9!#$&^_.-]+\+json)", re.IGNORECASE)
_PARAMETER: Final = re.compile(rb'charset=(?:utf-8|"utf-8")', re.IGNORECASE)
_DIGITS: Final = 15
"""Of a length, at most."""

_READ: Final = frozenset({b"content-type", b"content-length", b"content-encoding", b"transfer-encoding"})

# The members of a GraphQL answer have the names that the question gave them: they say nothing of what is in them.
_NAMED_BY_THE_CALLER: Final = re.compile(rb"application/graphql.*", re.IGNORECASE)


class Media(msgspec.Struct, frozen=True):
    """What the headers say of a body. `length` in bytes, None where they say none."""

    length: int | None

    def check(self, arrived: int) -> None:
        """Refuses a body that is shorter or longer than was said."""
        if self.length is not None and self.length != arrived:
            raise strict.refused("It is not as long as content-length says: send it whole.")


def media(headers: Iterable[tuple[bytes, bytes]], limits: Limits | None = None) -> Media:
    """The reading of the headers of a body that is not empty.

    Refused GUARD-BODY with status 415 for a media type or a content encoding that is not read, 400 for headers that
    contradict themselves; GUARD-BODY-SIZE, 413, for a length above `limits.body`.
    """
    said: dict[bytes, bytes] = {}
    for spelt, value in headers:
        name = spelt.lower()
        if name in _READ:
            if name in said:
                raise strict.refused(f"It has more than one header {name.decode()}: send one.")
            said[name] = value.strip(b" \t")
    if b"content-type" not in said:
        raise _unread("It has no content-type: send application/json.")
    _check_type(said[b"content-type"])
    if b"content-encoding" in said and said[b"content-encoding"].lower() != b"identity":
        raise _unread("It has a content-encoding: send it as it is, without compression.")
    if b"transfer-encoding" in said:
        _check_transfer(said)
    return Media(_length(said[b"content-length"], limits or Limits()) if b"content-length" in said else None)


@lru_cache(maxsize=64)
def _check_type(value: bytes) -> None:
    kind, *parameters = (part.strip(b" \t") for part in value.split(b";"))
    if not _TYPE.fullmatch(kind) or _NAMED_BY_THE_CALLER.fullmatch(kind):
        raise _unread(
            "Its content-type is not one that guard reads: send application/json, or a type that ends in +json."
        )
    parameters = [part for part in parameters if part]
    if len(parameters) > 1 or not all(_PARAMETER.fullmatch(part) for part in parameters):
        raise _unread("Its content-type has parameters that guard does not read: send none, or charset=utf-8.")


def _check_transfer(said: Mapping[bytes, bytes]) -> None:
    if said[b"transfer-encoding"].lower() != b"chunked":
        raise _unread("It has a transfer-encoding that guard does not read: send it as it is, or chunked.")
    if b"content-length" in said:
        raise strict.refused("It has a content-length and a transfer-encoding: send one of them.")


def _length(said: bytes, limits: Limits) -> int:
    if not said.isdigit() or len(said) > _DIGITS:
        raise strict.refused("Its content-length is not a number of bytes: send its digits.")
    length = int(said)
    if length > limits.body:
        raise strict.too_large(limits.body)
    return length


def _unread(detail: str) -> Refused:
    return strict.refused(detail, status=415)
