"""Headers as ASGI has them: pairs of bytes, in order, with duplicates; names in any case."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import TypeAlias

Headers: TypeAlias = Iterable[tuple[bytes, bytes]]


def names(headers: Headers) -> frozenset[bytes]:
    """The names, in lower case."""
    return frozenset([key.lower() for key, _ in headers])


def values(headers: Headers, name: bytes) -> Iterator[bytes]:
    """The values of a header, as often as it is there. `name` in lower case."""
    return (value for key, value in headers if key.lower() == name)


def without(headers: Headers, names: Collection[bytes]) -> list[tuple[bytes, bytes]]:
    """The headers without these, the others as they were."""
    return [(key, value) for key, value in headers if key.lower() not in names]


def changed(headers: Headers, gone: Collection[bytes], length: int) -> list[tuple[bytes, bytes]]:
    """The headers without these, and with this content-length where they had one."""
    text = str(length).encode()
    return [
        (key, text if name == b"content-length" else value)
        for key, value in headers
        if (name := key.lower()) not in gone
    ]
