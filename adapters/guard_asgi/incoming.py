"""The request gate: what is refused before the program sees a byte, and what it gets instead of the body that came.

One declared reading of everything: a header, a query parameter or a body that two programs could read differently is
refused, whichever of them would have been right.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, Final, TypeAlias
from urllib.parse import parse_qsl
from uuid import UUID

from guard.config import Limits
from guard.context import subject_key
from guard.errors import Refused
from guard_asgi import strict
from guard_asgi.headers import Headers, changed, values, without
from guard_asgi.media import media
from guard_asgi.routers import Scope
from guard_asgi.routes import NoticePlace, SubjectPlace
from guard_asgi.shapes import JsonRecords

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]

OVERRIDES: Final = frozenset({b"x-http-method-override", b"x-http-method", b"x-method-override"})
"""Headers by which some programs take one method for another."""

CONDITIONAL: Final = frozenset(
    {b"if-match", b"if-none-match", b"if-modified-since", b"if-unmodified-since", b"if-range", b"range"}
)
"""What asks for less than the whole answer: by 304, 412 and parts, guesses at what was hidden could be confirmed."""

REVIEW: Final = b"guard-review"

SAFE: Final = frozenset({"GET", "HEAD"})


LENGTHS: Final = frozenset({b"content-length", b"transfer-encoding"})


def check(scope: Scope, names: frozenset[bytes]) -> None:
    """Refuses what could be read as another request than it is. `names` are those of its headers."""
    if not names.isdisjoint(OVERRIDES):
        raise strict.refused("It asks to be taken for another method; use that method.", rule="GUARD-REQUEST")
    if scope["query_string"] and any(name.lower() == "_method" for name, _ in query(scope)):
        raise strict.refused("It asks to be taken for another method; use that method.", rule="GUARD-REQUEST")


def whole(scope: Scope, names: frozenset[bytes]) -> None:
    """Leaves out of the request's headers what asks for a part of the answer: it is always given as a whole."""
    if scope["method"] in SAFE and not names.isdisjoint(CONDITIONAL):
        scope["headers"] = without(scope["headers"], CONDITIONAL)


def query(scope: Scope) -> list[tuple[str, str]]:
    """The parameters of the query, repeats and all. Refused where they are not UTF-8."""
    try:
        return parse_qsl(scope["query_string"].decode("ascii"), keep_blank_values=True, errors="strict")
    except ValueError:
        problem = "Its query is not UTF-8 in percent encoding, or has too many parts."
    raise strict.refused(problem, rule="GUARD-REQUEST")


def review(headers: Headers) -> str | None:
    """The id of the approval that is quoted, if any."""
    found = list(values(headers, REVIEW))
    if not found:
        return None
    text = found[0].decode("latin-1")
    if len(found) > 1 or not 1 <= len(text) <= 128 or not text.isascii() or not text.isprintable():
        raise strict.refused("It quotes one approval in Guard-Review, or none.", rule="GUARD-REQUEST")
    return text


# --- Whom it is about -------------------------------------------------------------------------------


def subject(
    place: SubjectPlace | None, scope: Scope, parameters: Mapping[str, Any], records: JsonRecords | None
) -> str | None:
    """The key of the person whom the request is about; None where the route declares none. Refused GUARD-SUBJECT."""
    if place is None:
        return None
    if place.path is not None:
        return _key(parameters[place.path])
    if place.query is not None:
        given = [value for name, value in query(scope) if name == place.query]
        if len(given) != 1:
            raise Refused.own("GUARD-SUBJECT", f"The query names one person, once: {place.query}=….")
        return _key(given[0])
    return _of_body(place.body or "", records)


def _key(value: object) -> str:
    return subject_key(str(value) if isinstance(value, UUID) else value)


def _of_body(pointer: str, records: JsonRecords | None) -> str:
    given = {value for value in (records.values(pointer) if records is not None else ()) if _may_be_key(value)}
    if len(given) != 1:
        raise Refused.own("GUARD-SUBJECT", f"The body names one person, at {pointer}.")
    return _key(given.pop())


def _may_be_key(value: object) -> bool:
    return isinstance(value, str | int)


def notice(place: str | NoticePlace | None, records: JsonRecords | None) -> str | None:
    """The notice that was shown: the route's, or the one that the form says."""
    if not isinstance(place, NoticePlace):
        return place
    given = set(records.values(place.body)) if records is not None else set()
    if len(given) != 1:
        raise strict.refused(f"The body says one notice, at {place.body}.", rule="GUARD-REQUEST")
    said = given.pop()
    if not isinstance(said, str) or not 1 <= len(said) <= 128:
        raise strict.refused(f"The body says one notice, at {place.body}.", rule="GUARD-REQUEST")
    return said


# --- The body ---------------------------------------------------------------------------------------


def announces(headers: Headers) -> bool:
    """Whether a body is to come."""
    return any(
        name == b"transfer-encoding" or (name == b"content-length" and value.strip(b"0 \t") != b"")
        for name, value in ((key.lower(), value) for key, value in headers)
    )


def unexpected(receive: Receive) -> Receive:
    """For a route that takes no body: one that comes unannounced is refused and reaches nobody."""

    async def received() -> Message:
        message = await receive()
        if message["type"] == "http.request" and message.get("body"):
            raise refused_body()
        return message

    return received


def refused_body() -> Refused:
    """Why a body is refused that nobody expects."""
    return strict.refused("This route declares no request: what is not declared is not taken in.")


async def body(scope: Scope, receive: Receive, limits: Limits) -> bytes | None:
    """The whole body of a request, in JSON; None where the client went away. Refused for any other."""
    told = media(scope["headers"], limits)
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        part = bytes(message.get("body", b""))
        size += len(part)
        if size > limits.body:
            raise strict.too_large(limits.body)
        parts.append(part)
        if not message.get("more_body", False):
            break
    told.check(size)
    return b"".join(parts)


DIGESTS: Final = frozenset({b"content-md5", b"digest", b"content-digest", b"repr-digest"})


def hand_on(scope: Scope, receive: Receive, came: bytes, goes: bytes) -> Receive:
    """Gives the program the body that it may have, in one piece; afterwards what the server says, as before."""
    if came != goes:
        scope["headers"] = changed(scope["headers"], DIGESTS, len(goes))
    given = False

    async def received() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": goes, "more_body": False}

    return received


def line(scope: Scope) -> str:
    """The request line as the register keeps it, sealed: method, path and query with their values."""
    asked = scope["query_string"].decode("latin-1")
    return f"{scope['method']} {scope['path']}" + (f"?{asked}" if asked else "")
