"""The response gate: what the program answers waits here until it is decided, registered and stripped.

Nothing of an answer is sent before all of it is here and released; what is not released is never sent. An answer that
cannot be read, from an endpoint that was not the one expected, in a media type that is not JSON, or larger than its
bound is refused as a whole.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

import msgspec
from anyio.to_thread import run_sync

from guard import drive
from guard.catalogue import Subject
from guard.config import Limits
from guard.context import Acting
from guard.errors import Refused
from guard.facade import Guard
from guard.records import Records
from guard.terms import Shown
from guard_asgi import problem, strict
from guard_asgi.acts import beside
from guard_asgi.headers import Headers, names, silent, without
from guard_asgi.incoming import DIGESTS, SAFE
from guard_asgi.media import media
from guard_asgi.problem import Message, Send
from guard_asgi.routers import ELSEWHERE, Course, Found, Scope
from guard_asgi.shapes import JsonRecords
from guard_asgi.table import Rule

_log: Final = logging.getLogger("guard.asgi")

TELLING: Final = DIGESTS | {b"etag", b"last-modified", b"accept-ranges", b"x-total-count", b"link", b"cache-control"}
"""Headers that tell of the body as it was: they go where the body changed."""

OF_BODY: Final = frozenset({b"content-type", b"content-length", b"content-language", b"transfer-encoding"})
"""Headers that go where another body stands in its place."""

PLACES: Final = frozenset({201, 202, 301, 302, 303, 307, 308})
"""Answers that are nothing without their Location."""

UNCACHED: Final = (b"cache-control", b"private, no-store")

GONE: Final = frozenset({404, 410})
"""Errors by which programs say that a record is not there."""

UNTOLD: Final = frozenset({401, 407, 429})
"""Errors that are about who asks and never about whom: they are told before anybody is looked up."""

MOST: Final = 12
"""How many declared fields a line of the log names."""

INLINE: Final = 65_536
"""Bytes of a body that are worked on where the event loop runs; more are in a thread."""


class Nothing:
    """No records: an answer that has none is decided as any other, since that somebody is not there tells too.

    `present` are the fields of which its headers may tell; `alone`: what is not there is one record, not a list.
    """

    count: int = 0
    undeclared: int = 0

    def __init__(self, present: frozenset[str], *, alone: bool) -> None:
        self.present: Final = present
        self.alone: Final = alone

    def persons(self) -> Sequence[tuple[tuple[str, ...], ...]]:
        """See `Records`."""
        return ()

    def values(self, field: str) -> Sequence[object]:  # noqa: ARG002 — the seam's
        """See `Records`."""
        return ()

    def treat(
        self,
        kept: Sequence[int] | None,  # noqa: ARG002 — the seam's
        shown: Mapping[str, Shown | Sequence[Shown]],  # noqa: ARG002 — the seam's
        masks: Mapping[str, str],  # noqa: ARG002 — the seam's
    ) -> bytes:
        """See `Records`."""
        return b""


class Served(msgspec.Struct, frozen=True):
    """One guarded request: by which rule, in whose context, where its router must take it."""

    guard: Guard
    rule: Rule
    acting: Acting
    found: Found
    routed: bool
    text: str
    parameters: object
    limits: Limits


class Answer:
    """What the program sends to, in place of the server."""

    def __init__(self, served: Served, scope: Scope, send: Send) -> None:
        self._served: Final = served
        self._scope: Final = scope
        self._send: Final = send
        self.method: Final[str] = scope["method"]
        self._course: Final = Course(scope)
        self._start: Message | None = None
        self._parts: list[Message] = []
        self._size = 0
        self._unread: Refused | None = None
        self._ended = False
        self._reduced = False
        self._came: JsonRecords | None = None
        self.refusal: Refused | None = None
        self.sent = False
        """Whether anything of an answer went out."""
        self.status: int | None = None

    async def send(self, message: Message) -> None:
        """What ASGI calls `send`. Raises the refusal, so that a program that streams stops."""
        if self.refusal is not None:
            raise self.refusal
        if self._ended:
            raise RuntimeError(f"The answer is complete, and {message['type']} was sent.")
        kind = message["type"]
        try:
            if kind == "http.response.start":
                self._begin(message)
            elif kind == "http.response.body":
                self._part(message)
                if not message.get("more_body", False):
                    self._ended = True  # what another task sends while this is decided was not decided on
                    await self._finish()
            elif kind not in _BESIDE:  # hints before the answer and trailers after it: nobody depends on them
                raise Refused.own("GUARD-RESPONSE", "It is sent past the program, where guard cannot read it.")
        except Refused as refused:
            refused.status = type(refused).status  # the request was not at fault
            self.refusal = refused
            self._served.acting.close()
            raise

    def _begin(self, message: Message) -> None:
        if self._start is not None:
            raise RuntimeError("The answer began already.")
        self.status = status = int(message["status"])
        message = {**message, "headers": list(message.get("headers", ()))}
        headers: Headers = message["headers"]
        self._expected(status)
        if status == 206 or b"content-range" in names(headers):
            raise Refused.own("GUARD-RESPONSE", "A part of an answer cannot be decided on: answer with the whole.")
        self._unread = _unread(headers, self._served.limits)
        self._start = message

    def _expected(self, status: int) -> None:
        """Two routers, one endpoint: what ran is what was declared."""
        served = self._served
        if not served.routed:
            return
        place = served.found.place
        ran = self._course.ran
        if ran is None and status >= 300:
            return  # something before the endpoint refused the request
        if (
            place is None
            or ran is not place.endpoint
            or not self._course.same
            or self._scope.get("path_params", {}) != served.found.parameters
        ):
            raise Refused.own(
                "GUARD-ROUTE",
                f"Another endpoint answered than {served.rule.name}, or a middleware inside the guard did. {ELSEWHERE}",
            )

    def _part(self, message: Message) -> None:
        if self._start is None:
            raise RuntimeError("A body was sent before its answer began.")
        part = bytes(message.get("body", b""))  # a copy of what a program may write again
        self._size += len(part)
        if self._size > self._served.limits.body:
            raise strict.too_large(self._served.limits.body)
        if part and self._unread is not None and (self.status or 0) < 300:
            raise self._unread
        self._parts.append({**message, "body": part})

    async def _finish(self) -> None:
        body = b"".join([part["body"] for part in self._parts])
        status = self.status or 0
        if status >= 300:
            await self._finish_other(status, body)
            return
        if body:
            await self._flush(body, await self._released(partial(self._expected_records, body)))
        else:
            await self._nobody()
            await self._flush(body, body)

    async def _finish_other(self, status: int, body: bytes) -> None:
        """A redirection has no body; an error keeps its own only where it holds records that are declared."""
        goes = b""
        if status not in UNTOLD:
            await self._nobody()
        if status >= 400 and body and self._unread is None:
            goes = await self._released(partial(self._declared_records, body)) or b""
        if goes or not body:
            await self._flush(body, goes)
        elif status >= 400:
            written = problem.body(problem.of_status(status))
            await self._replace([(b"content-type", problem.TYPE)], written)
        else:
            await self._replace([], b"")

    async def failed(self) -> Refused | None:
        """What a program that failed is answered with, where it may not be told that it failed.

        It may have failed since nobody is there: who may not know that is refused as for somebody who is.
        """
        if not self.sent and self.refusal is None:
            try:
                await self._nobody()
            except Refused as refused:
                return refused
        return None

    async def _nobody(self) -> None:
        """Decides on an answer without records: that there are none tells too, but for who was taken in just now."""
        asked, way = self._served.rule.request, self._served.rule.response
        if asked is None or asked.operation not in {"collect", "store"}:
            whole = way.shape.place.fields if way is not None and self.method == "HEAD" else frozenset()
            await self._released(partial(Nothing, whole, alone=self._about_one))

    @property
    def _about_one(self) -> bool:
        """Whether an answer without records says that one is not there; a list that fails says nothing of any."""
        none = self.status in GONE or (self.method in SAFE and (self.status or 500) < 300)
        return none or self._served.rule.subject is not None

    def _expected_records(self, body: bytes) -> Records:
        """The records of an answer; where it has another shape than declared, the log says so: it looks like nobody."""
        self._came = records = self._records(body)
        if records.strange:
            way = records.shape
            declared = sorted(way.place.fields)
            _log.warning(
                "%s: none of what the catalogue declares of %s is in the answer: %s%s. Nobody is found in it.",
                self._served.rule.name,
                way.source,
                ", ".join(declared[:MOST]),
                f" and {len(declared) - MOST} more" if len(declared) > MOST else "",
            )
        return records

    async def nameless(self) -> tuple[str, ...]:
        """The pointers of subjects whom a record of the answer had to name and does not; as declared, no values."""
        way, came = self._served.rule.response, self._came
        if way is None or came is None or not came.count:
            return ()
        subjects = self._served.guard.roads.source(way.source).subjects
        return await run_sync(unnamed, came, subjects) if self._size > INLINE else unnamed(came, subjects)

    @property
    def of_others(self) -> bool:
        """Whether there are records, in an answer about one person."""
        return self._came is not None and self._came.count > 0 and self._served.acting.subject is not None

    async def _say_hidden(self) -> None:
        """Says in the log that a list is empty because its records do not name whom they must."""
        missing = await self.nameless()
        if missing:
            _log.warning(
                "%s: no record of its answer has %s, so all are left out: repeat the subject's key in each.",
                self._served.rule.name,
                " and ".join(missing),
            )

    def _records(self, body: bytes) -> JsonRecords:
        way = self._served.rule.response
        if way is None:
            raise Refused.own("GUARD-ROUTE")
        return way.shape.read(body)

    def _declared_records(self, body: bytes) -> Records | None:
        """The records of an error, if it is nothing else: what a validation quotes is none."""
        try:
            records = self._records(body)
        except Refused:
            return None
        return records if records.count and not records.undeclared else None

    async def _released(self, make: Callable[[], Records | None]) -> bytes:
        """What may go of these records, decided and registered."""
        way = self._served.rule.response
        if way is None:
            return b""
        served, acting = self._served, self._served.acting
        with beside(served.guard, acting, way.operation, way.recipient) as of_answer:
            said: dict[str, Any] = {"text": served.text, "parameters": served.parameters}
            before = len(of_answer.outcomes)
            if self._size > INLINE:
                goes: bytes = await run_sync(_released_there, served.guard, of_answer, way.source, make, said)
            else:  # on the event loop, but for what waits
                records = make()
                if records is None:
                    return b""
                goes = await drive.follow_async(
                    served.guard.roads.release(of_answer, way.source, records, **said), run_sync
                )
        outcomes = of_answer.outcomes[before:]
        if any(outcome.reduced for outcome in outcomes):
            self._reduced = True
        if self._came is not None and self._came.count and outcomes and not outcomes[-1].rows:
            await self._say_hidden()
        return goes

    async def _flush(self, came: bytes, goes: bytes) -> None:
        """Sends the answer: as it came where all of it goes to anybody, else with headers that tell nothing."""
        start = self._start
        if start is None:
            raise RuntimeError("A body was sent before its answer began.")
        # The very object that came, and not one that is equal: that is what `treat` hands on where nothing could hide.
        if goes is came and not self._reduced:
            await self._out(_plain(start, empty=not came, head=self.method == "HEAD"), self._parts)
            return
        headers = self._silent(start, len(goes))
        if not came and self.method == "HEAD":
            headers = without(headers, (b"content-length",))
        headers.append(UNCACHED)
        await self._out(
            {**start, "headers": headers, "trailers": False}, [{"type": "http.response.body", "body": goes}]
        )

    def _silent(self, start: Message, length: int) -> list[tuple[bytes, bytes]]:
        return silent(start["headers"], length, (b"location",) if self.status in PLACES else ())

    async def _replace(self, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        """Sends the answer's status with another body, or with none."""
        start = self._start or {}
        kept = without(self._silent(start, len(body)), OF_BODY)
        kept += [*headers, (b"content-length", str(len(body)).encode()), UNCACHED]
        message = {**start, "headers": kept, "trailers": False}
        await self._out(message, [{"type": "http.response.body", "body": b"" if self.method == "HEAD" else body}])

    async def _out(self, start: Message, parts: Sequence[Message]) -> None:
        self._served.acting.close()
        self._ended = self.sent = True
        await self._send(start)
        for part in parts:
            await self._send(part)


def unnamed(records: JsonRecords, subjects: Mapping[str, Subject]) -> tuple[str, ...]:
    """The pointers of those of these subjects whom every record must name and one does not."""
    try:
        persons = records.persons()
    except Refused:
        return ()  # it names somebody by what is no key: that is told
    needed = [(place, one.column) for place, one in enumerate(subjects.values()) if not one.optional]
    return tuple(column for place, column in needed if not all(of[place] for of in persons))


_BESIDE: Final = frozenset(
    {"http.response.trailers", "http.response.push", "http.response.early_hint", "http.response.debug"}
)


def _released_there(
    guard: Guard, acting: Acting, source: str, make: Callable[[], Records | None], said: dict[str, Any]
) -> bytes:
    """In a thread, all of it in one visit: a large body takes its time too."""
    records = make()
    if records is None:
        return b""
    goes: bytes = drive.follow(guard.roads.release(acting, source, records, **said))
    return goes


def _unread(headers: Headers, limits: Limits) -> Refused | None:
    """Why a body under these headers is not read, if there is one; None where it is JSON."""
    try:
        media(headers, limits)
    except Refused as refused:
        return refused
    return None


def _plain(start: Message, *, empty: bool, head: bool) -> Message:
    """The beginning of an answer that changed in nothing.

    Where no body came, what would be told of one is left out: it was of one that nobody decided on.
    """
    if start.get("trailers"):
        start = {**start, "trailers": False}
    if empty:
        gone = TELLING | {b"content-length"} if head else TELLING
        start = {**start, "headers": without(start["headers"], gone - {b"cache-control"})}
    return start
