"""Headers as ASGI has them: pairs of bytes, in order, with duplicates; names in any case."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Final, TypeAlias

Headers: TypeAlias = Iterable[tuple[bytes, bytes]]

SILENT: Final = frozenset(
    b"""
    access-control-allow-credentials access-control-allow-headers access-control-allow-methods
    access-control-allow-origin access-control-expose-headers access-control-max-age
    allow connection content-language content-length content-security-policy content-security-policy-report-only
    content-type cross-origin-embedder-policy cross-origin-opener-policy cross-origin-resource-policy date
    deprecation permissions-policy proxy-authenticate ratelimit-limit ratelimit-policy ratelimit-remaining
    ratelimit-reset referrer-policy retry-after server strict-transport-security sunset traceresponse
    transfer-encoding vary www-authenticate x-content-type-options x-correlation-id x-frame-options x-request-id
    """.split()
)
"""Headers that by their meaning say nothing of any person. Any other may hold a value, a count or a hash of them."""


def names(headers: Headers) -> frozenset[bytes]:
    """The names, in lower case."""
    return frozenset([key.lower() for key, _ in headers])


def values(headers: Headers, name: bytes) -> Iterator[bytes]:
    """The values of a header, as often as it is there. `name` in lower case."""
    return (value for key, value in headers if key.lower() == name)


def without(headers: Headers, names: Collection[bytes]) -> list[tuple[bytes, bytes]]:
    """The headers without these, the others as they were."""
    return [(key, value) for key, value in headers if key.lower() not in names]


def silent(headers: Headers, length: int, more: Collection[bytes] = ()) -> list[tuple[bytes, bytes]]:
    """The headers that say nothing of any person, and those; with this content-length where they had one."""
    text = str(length).encode()
    return [
        (key, text if name == b"content-length" else value)
        for key, value in headers
        if (name := key.lower()) in SILENT or name in more
    ]


def changed(headers: Headers, gone: Collection[bytes], length: int) -> list[tuple[bytes, bytes]]:
    """The headers without these, and with this content-length where they had one."""
    text = str(length).encode()
    return [
        (key, text if name == b"content-length" else value)
        for key, value in headers
        if (name := key.lower()) not in gone
    ]
