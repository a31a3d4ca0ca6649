"""Refusals as HTTP answers: RFC 9457 Problem Details, in English or Chinese."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from http import HTTPStatus
from typing import Any, Final, TypeAlias

import msgspec

from guard_asgi.headers import Headers, values

Message: TypeAlias = MutableMapping[str, Any]
Send: TypeAlias = Callable[[Message], Awaitable[None]]

TYPE: Final = b"application/problem+json"


def of_status(status: int) -> dict[str, Any]:
    """Problem Details that say no more than the status does."""
    try:
        title = HTTPStatus(status).phrase
    except ValueError:
        title = "Error"
    return {"type": "about:blank", "title": title, "status": status}


def body(problem: Mapping[str, Any]) -> bytes:
    """The bytes of Problem Details."""
    return msgspec.json.encode(problem)


async def answer(send: Send, problem: Mapping[str, Any], *, head: bool) -> None:
    """Sends Problem Details as the whole answer; to a HEAD without the body."""
    written = body(problem)
    headers = [
        (b"content-type", TYPE),
        (b"content-length", str(len(written)).encode()),
        (b"cache-control", b"private, no-store"),
    ]
    await send({"type": "http.response.start", "status": problem["status"], "headers": headers})
    await send({"type": "http.response.body", "body": b"" if head else written})


def language(headers: Headers) -> str:
    """`zh` or `en`, whichever Accept-Language prefers; `en` where it says neither."""
    best, preferred = 0.0, "en"
    for value in values(headers, b"accept-language"):
        for part in value[:512].decode("latin-1").lower().split(","):
            tag, *more = (piece.strip() for piece in part.split(";"))
            name = tag.partition("-")[0]
            weight = _weight(more)
            if name in {"en", "zh"} and weight > best:
                best, preferred = weight, name
    return preferred


def _weight(parameters: list[str]) -> float:
    for one in parameters:
        name, _, value = one.partition("=")
        if name.strip() == "q":
            text = value.strip()
            return float(text) if text.replace(".", "", 1).isascii() and text.replace(".", "", 1).isdigit() else 0.0
    return 1.0
