"""What a route declares: routes.yaml, and the same by `guard_asgi.purpose`.

::

    version: 1
    routes:
      GET /applications/{customer_id}:
        purpose: loan_underwriting
        subject: {path: customer_id}      # or {query: …}, {body: /pointer}; left out: many persons
        recipient: staff                  # the audience: staff, subject, public or {kind: handler, id: insurer-1}
      POST /applications:
        purpose: loan_underwriting
        subject: {body: /customer_id}
        request: {notice: n-loan-2026-03}
        response: {recipient: subject}
      GET /branches: {public: {reason: "names of our branches", owner: "retail data office"}}

A route is named by its method and its template; what stands after a colon in a parameter (`{id:int}`) is no part of
the name. `*` is every method. A route that is not named here, or in code, is not served.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field

from guard import documents, strict
from guard.catalogue import SourceName, Statement
from guard.documents import Document
from guard.errors import Problem
from guard.model import RECIPIENTS, WITHIN, Operation, Recipient, RecipientKind
from guard.strict import Finding, FrozenMap, Name, Strict

METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "QUERY"})
ANY: Final = "*"
WEBSOCKET: Final = "WEBSOCKET"

Pointer: TypeAlias = Annotated[str, Field(max_length=256, pattern=r"^(/([^~/*]|~0|~1)*)*$")]
"""A JSON pointer (RFC 6901); "" is the whole document."""

DOCUMENTATION: Final = frozenset({"/openapi.json", "/docs", "/docs/oauth2-redirect", "/redoc"})
"""The pages that FastAPI adds by itself."""

_CONVERTOR: Final = re.compile(r"{([a-zA-Z_][a-zA-Z0-9_]*):[a-zA-Z_][a-zA-Z0-9_]*}")


def template(path: str) -> str:
    """A path template as it is named here: without the convertors of its parameters."""
    return _CONVERTOR.sub(r"{\1}", path)


def _route_name(name: str) -> str:
    method, _, path = name.partition(" ")
    if method not in METHODS | {ANY, WEBSOCKET} or not path.startswith("/") or path != path.strip():
        raise ValueError("is not a method and a path, as in GET /applications/{customer_id}")
    return name


RouteName: TypeAlias = Annotated[str, Field(max_length=512), AfterValidator(_route_name)]


class SubjectPlace(Strict):
    """Where a request says whom it is about: one parameter of the path, of the query, or a field of the body."""

    path: Name | None = None
    query: Name | None = None
    body: Pointer | None = None

    def findings(self) -> Iterator[Finding]:
        """It is one of the three."""
        if len([place for place in (self.path, self.query, self.body) if place is not None]) != 1:
            yield Finding((), "a subject is at one place", "write one of {path: …}, {query: …}, {body: /…}")


class Audience(Strict):
    """Who receives the answer."""

    kind: RecipientKind
    id: Name | None = None

    def findings(self) -> Iterator[Finding]:
        """Only handlers and processors have an id."""
        if (self.kind not in {*WITHIN, "public"}) != (self.id is not None):
            remedy = "a handler or processor has an id, as in {kind: handler, id: insurer-1}; the others have none"
            yield Finding(("kind",), f"the audience {self.kind} is not named right", remedy)

    def recipient(self) -> Recipient:
        """The same as an Activity has it."""
        return Recipient(kind=self.kind, id=self.id)


def _audience(raw: object) -> object:
    return {"kind": raw} if isinstance(raw, str) else raw


AudienceEntry: TypeAlias = Annotated[Audience, BeforeValidator(_audience)]


class NoticePlace(Strict):
    """The field of the body in which the form says which notice it showed."""

    body: Pointer


class RequestEntry(Strict):
    """What comes in: `records` points at the record, or the array of records, in the body."""

    operation: Operation = "collect"
    notice: Name | NoticePlace | None = None
    records: Pointer = ""
    source: SourceName | None = None


class ResponseEntry(Strict):
    """What goes out."""

    operation: Operation | None = None
    recipient: AudienceEntry | None = None
    records: Pointer = ""
    source: SourceName | None = None


class DeclaredEntry(Strict):
    """What the holder states about every operation of the route."""

    pia: Name | None = None
    approval: Name | None = None
    basis: Name | None = None
    evidence: Name | None = None


class PublicEntry(Strict):
    """No personal data: who says so, and why."""

    reason: Statement
    owner: Statement


class Entry(Strict):
    """One route. What it leaves unsaid may be said in code, and the other way round."""

    purpose: Name | None = None
    subject: SubjectPlace | None = None
    operation: Operation | None = None
    recipient: AudienceEntry | None = None
    source: SourceName | None = None
    request: RequestEntry | None = None
    response: ResponseEntry | None = None
    declared: DeclaredEntry | None = None
    public: PublicEntry | None = None

    def findings(self) -> Iterator[Finding]:
        """A public route has nothing else; another's parts fit each other."""
        if self.public is not None and self.model_fields_set != {"public"}:
            yield Finding(("public",), "a public route has nothing else", "keep public alone, or remove it")
            return
        yield from self._audience_findings()
        if self.subject is not None and self.subject.body is not None and self.request is None:
            remedy = "add request, which says how the body is read"
            yield Finding(("subject",), "the subject is in the body, and no request is declared", remedy)

    def _audience_findings(self) -> Iterator[Finding]:
        response = self.response or ResponseEntry()
        operation = response.operation or (self.operation if self.request is None else None) or "use"
        audience = response.recipient or self.recipient
        kind = "staff" if audience is None else audience.kind
        if kind not in RECIPIENTS.get(operation, WITHIN):
            known = ", ".join(sorted(RECIPIENTS.get(operation, WITHIN)))
            yield Finding(("recipient",), f"{operation} does not go to {kind}", f"write one of {known}")


class Routes(Strict):
    """routes.yaml."""

    version: Annotated[int, Field(ge=1, le=1)]
    routes: FrozenMap[RouteName, Entry] = Field(min_length=1)


def load(path: Path) -> tuple[Document, Routes]:
    """The document and what it declares; ConfigError with file, line and remedy of all that is wrong."""
    document = documents.read(path)
    return document, strict.model(document, Routes)


class Disagreement(ValueError):
    """Two declarations of one route say different things: which part, and both values with where they are said."""

    def __init__(self, part: str, one: tuple[object, str], other: tuple[object, str]) -> None:
        self.part = part
        super().__init__(f"{part} is {one[0]} {one[1]} and {other[0]} {other[1]}")


def merged(
    one: Entry | None, other: Entry | None, where: tuple[str, str] = ("in routes.yaml", "in code")
) -> Entry | None:
    """What two declarations of one route say together; Disagreement where both say a part differently.

    `where` says where each stands. ConfigError where they do not fit together.
    """
    if one is None or other is None:
        return one or other
    parts: dict[str, Any] = _said(one)
    for part, value in _said(other).items():
        if part in parts and parts[part] != value:
            raise Disagreement(part, (parts[part], where[0]), (value, where[1]))
        parts[part] = value
    return entry("the declarations together", parts)


def entry(name: str, parts: Mapping[str, Any]) -> Entry:
    """An entry from data; ConfigError says what is wrong in it."""
    return strict.model(Document(name, dict(parts), {}), Entry)


def _said(one: Entry) -> dict[str, Any]:
    return one.model_dump(mode="json", exclude_unset=True)


def undeclared(file: str, name: str) -> Problem:
    """What is to be written for a route that nobody declared."""
    guarded, public = f"{name}: {{purpose: …, subject: {{path: …}}}}", f"{name}: {{public: {{reason: …, owner: …}}}}"
    remedy = f'add "{guarded}", or, if it holds no personal data, "{public}"'
    if name.partition(" ")[2] in DOCUMENTATION:
        remedy = f'add "{public}", since it describes the routes and holds no data, or make FastAPI(openapi_url=None)'
    return Problem(file, 0, f"the route {name} is not declared, so it is not served", remedy)
