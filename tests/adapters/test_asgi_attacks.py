"""Ways around the web adapter that somebody tried: each is one that was open, or nearly was."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import pytest
import yaml
from asgi_world import (
    GUARDED,
    JSON,
    ONE,
    PUBLIC,
    PURPOSE,
    SOURCE,
    Answered,
    allowing,
    as_lin,
    deciding,
    documents,
    get,
    written,
)
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from guard.catalogue import Source
from guard.demo import bank
from guard.errors import Refused
from guard.model import Activity
from guard.records import DictRecords
from guard.testing import UnsafeGuard, allow_all, deny
from guard_asgi import GuardMiddleware
from guard_asgi.shapes import Shape

__all__ = ["allowing", "documents"]

ALL = {"purpose": PURPOSE, "source": SOURCE}


def partly(activity: Activity) -> dict[str, Any]:
    """Numbers are hidden, and who is above one."""
    answer = allow_all(activity)
    low = {"fact": "amount", "operator": "lt", "value": 10, "or_absent": True, "rule": "CR-05"}
    answer["rows"] = {source: [low] for source in answer["rows"]}
    for fields in answer["reads"].values():
        fields.pop("/id_number", None)
    return answer


def plain_app(guard: UnsafeGuard, folder: Path, routes: list[Any], said: dict[str, Any]) -> Starlette:
    app = Starlette(routes=routes)
    app.add_middleware(GuardMiddleware, guard=guard, identify=as_lin, routes=written(folder, said))
    return app


# --- An answer without records is an answer -----------------------------------------------------------

NOTHING: list[Any] = [
    HTTPException(404),
    HTTPException(403),
    HTTPException(500),
    Response(status_code=204, headers={"x-total-count": "17"}),
    RedirectResponse("/people/SECRET", 303),
    JSONResponse({"detail": "SECRET"}, 409),
    IndexError("nobody"),
]


@pytest.mark.parametrize("path", ["/all", "/applications/1002"])
@pytest.mark.parametrize("nothing", NOTHING, ids=range(len(NOTHING)))
def test_who_is_denied_learns_nothing_from_how_the_program_answers(
    documents: Path, tmp_path: Path, nothing: Any, path: str
) -> None:
    """A list of nobody was not decided on: 404 or 403 told whether somebody of that name is there."""

    def endpoint(request: Request) -> Response:
        if "q=absent" in str(request.url):
            if isinstance(nothing, Exception):
                raise nothing
            assert isinstance(nothing, Response)
            return nothing
        return JSONResponse({"customer_id": 1002})

    with deciding(documents, tmp_path, deny("PI-02")) as guard:
        routes = [Route("/all", endpoint), Route("/applications/{customer_id}", endpoint)]
        app = plain_app(guard, tmp_path, routes, {"GET /all": ALL, ONE: GUARDED})
        there = get(app, path, query=b"q=present")
        sent: list[Any] = []
        with suppress(IndexError):
            get(app, path, query=b"q=absent", sent=sent)
        assert Answered(sent).whole == there.whole
        assert there.rules == ["PI-02"]
        assert [one.kind for one in guard.registered.drafts] == ["denied", "denied"]


def test_every_answer_of_a_guarded_route_is_registered(allowing: UnsafeGuard, tmp_path: Path) -> None:
    answers = [Response(status_code=204), RedirectResponse("/x", 303), JSONResponse({"detail": "x"}, 404)]

    def endpoint(request: Request) -> Response:
        return answers[int(request.query_params["n"])]

    app = plain_app(allowing, tmp_path, [Route("/all", endpoint)], {"GET /all": ALL})
    for number in range(3):
        get(app, "/all", query=f"n={number}".encode())
    assert [one.kind for one in allowing.registered.drafts] == ["read"] * 3


@pytest.mark.parametrize("operation", ["use", "process", "store", "delete"])
def test_what_changes_something_is_decided_on_before_it_does(documents: Path, tmp_path: Path, operation: str) -> None:
    """A DELETE has no body: the program had run, and deleted, when its answer was refused and registered so."""
    ran: list[str] = []

    def endpoint(request: Request) -> Response:
        ran.append(request.method)
        return Response(status_code=204)

    said = {"DELETE /applications/{customer_id}": {**GUARDED, "source": SOURCE, "operation": operation}}
    routes = [Route("/applications/{customer_id}", endpoint, methods=["DELETE"])]
    with deciding(documents, tmp_path, deny("PI-02")) as guard:
        assert get(plain_app(guard, tmp_path, routes, said), "/applications/1002", method="DELETE").rules == ["PI-02"]
        assert [one.kind for one in guard.registered.drafts] == ["denied"]
    assert ran == []


# --- Tasks beside each other -----------------------------------------------------------------------


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_part_that_comes_while_it_is_decided_is_not_sent(documents: Path, tmp_path: Path, backend: str) -> None:
    """Parts were joined, decided on, and then sent as they were by then: with one more."""
    asked, goes_on = anyio.Event, anyio.Event
    events: dict[str, anyio.Event] = {}

    def decide(activity: Activity) -> dict[str, Any]:
        anyio.from_thread.run_sync(events["asked"].set)
        anyio.from_thread.run(events["goes on"].wait)
        return allow_all(activity)

    async def talking(scope: Any, receive: Any, send: Any) -> None:
        events.update({"asked": asked(), "goes on": goes_on()})

        async def ping() -> None:
            await events["asked"].wait()
            try:
                await send({"type": "http.response.body", "body": b',"SECRET"', "more_body": True})
            except RuntimeError:
                pass
            finally:
                events["goes on"].set()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ping)
            await send({"type": "http.response.start", "status": 200, "headers": [JSON]})
            await send({"type": "http.response.body", "body": b'{"customer_id":1002}'})

    with deciding(documents, tmp_path, decide) as guard:
        app = GuardMiddleware(talking, guard, as_lin, written(tmp_path, {ONE: GUARDED}))
        answered = get(app, "/applications/1002", backend=backend)
    assert answered.body == b'{"customer_id":1002}'


# --- Headers ---------------------------------------------------------------------------------------

SHOWN = {"customer_id": 1002, "credit_amount": 2}

TELLING = {
    "etag": '"a hash of all of it"',
    "x-total-count": "17",
    "x-pagination": '{"total": 17}',
    "server-timing": "rows;dur=17",
    "set-cookie": "name=SECRET",
    "x-customer-name": "SECRET",
    "content-location": "/people/SECRET",
    "refresh": "0; url=/SECRET",
    "link": "</people?page=9>; rel=last",
    "cache-control": "public, max-age=3600",
}


@pytest.fixture
def hiding(tmp_path: Path) -> Iterator[UnsafeGuard]:
    config = bank.build(tmp_path / "bank")
    catalogue = config.parent / "catalogue.yaml"
    head = "  bank:GET /applications/{customer_id}:\n"
    text = catalogue.read_text("utf-8").replace(head, head + "    facts: {amount: /credit_amount}\n")
    catalogue.write_text(text, "utf-8")
    with deciding(config, tmp_path, partly) as guard:
        yield guard


@pytest.mark.parametrize(
    "answer",
    [
        JSONResponse({**SHOWN, "id_number": "SECRET"}, headers=TELLING),
        JSONResponse({**SHOWN, "name": "SECRET"}, headers=TELLING),
        JSONResponse(SHOWN, headers=TELLING),
        JSONResponse({"detail": "SECRET"}, 404, headers=TELLING),
        Response(status_code=204, headers=TELLING),
        Response(status_code=304, headers=TELLING),
        Response("SECRET", 302, headers=TELLING),
    ],
    ids=range(7),
)
def test_no_header_says_what_the_body_may_not(hiding: UnsafeGuard, tmp_path: Path, answer: Response) -> None:
    """Headers that tell are without number: those that go are the ones that are known to tell nothing."""
    app = plain_app(hiding, tmp_path, [Route("/all", lambda _: answer)], {"GET /all": ALL})
    answered = get(app, "/all")
    assert set(TELLING) & {key.decode().lower() for key, _ in answered.headers} <= {"cache-control"}
    assert answered.header("cache-control") in (["private, no-store"], [])
    assert b"SECRET" not in str(answered.headers).encode() + answered.body


def test_a_head_has_no_header_that_a_get_has_not(hiding: UnsafeGuard, tmp_path: Path) -> None:
    class One(HTTPEndpoint):
        def get(self, request: Request) -> Response:
            return JSONResponse({**SHOWN, "id_number": "SECRET"}, headers=TELLING)

        def head(self, request: Request) -> Response:
            return Response(b"", media_type="application/json", headers=TELLING)

    app = plain_app(hiding, tmp_path, [Route("/all", One)], {"GET /all": ALL})
    got, head = get(app, "/all"), get(app, "/all", method="HEAD")
    assert {key for key, _ in head.headers} <= {key for key, _ in got.headers}


@pytest.mark.parametrize("header", [b"if-match", b"If-Unmodified-Since", b"if-none-match"])
def test_a_guess_at_a_hash_is_not_confirmed(hiding: UnsafeGuard, tmp_path: Path, header: bytes) -> None:
    """A program that answers 412 tells whether the hash of what is hidden was guessed."""

    def endpoint(request: Request) -> Response:
        if header.decode().lower() in request.headers:
            return Response(status_code=412)
        return JSONResponse({"customer_id": 1002, "credit_amount": 2})

    app = plain_app(hiding, tmp_path, [Route("/all", endpoint)], {"GET /all": ALL})
    answered = get(app, "/all", headers=[(header, b'"guess"')])
    assert (answered.status, answered.json["customer_id"]) == (200, 1002)


# --- Methods and paths -------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["FORGET_PERSON", "REMOVE", "DISPATCH", "METHOD_NOT_ALLOWED", "__INIT__"])
def test_a_method_does_not_name_a_helper_of_an_endpoint(allowing: UnsafeGuard, tmp_path: Path, method: str) -> None:
    """Starlette takes any attribute of the class for a handler: `REMOVE /people/1` ran `remove`."""
    ran: list[str] = []

    class People(HTTPEndpoint):
        async def get(self, request: Request) -> Response:
            return JSONResponse({"customer_id": 1002})

        async def remove(self, request: Request) -> Response:
            ran.append("remove")
            return Response("SECRET", 409)

        async def forget_person(self, request: Request) -> Response:
            ran.append("forget_person")
            return Response("SECRET")

    app = plain_app(allowing, tmp_path, [Route("/applications/{customer_id}", People)], {ONE: GUARDED})
    answered = get(app, "/applications/1002", method=method)
    assert ran == []
    assert (answered.status, answered.rules) == (403, ["GUARD-ROUTE"])
    assert get(app, "/applications/1002", method="PATCH").status == 405


def test_an_endpoint_that_dispatches_by_itself_takes_every_method(allowing: UnsafeGuard, tmp_path: Path) -> None:
    ran: list[str] = []

    class Own(HTTPEndpoint):
        def get(self, request: Request) -> Response:
            return JSONResponse({"customer_id": 1002})

        async def dispatch(self) -> None:
            ran.append(self.scope["method"])
            await Response("SECRET", 409)(self.scope, self.receive, self.send)

    app = plain_app(allowing, tmp_path, [Route("/applications/{customer_id}", Own)], {ONE: GUARDED})
    assert get(app, "/applications/1002", method="PATCH").rules == ["GUARD-ROUTE"]
    assert ran == []


@pytest.mark.parametrize(
    "path",
    [
        "/static/../applications/1002",
        "/static/./x",
        "/static/a/..",
        "/static//applications/1002",
        "/static/..;/applications/1002",
        "/static/..\\applications\\1002",
        "/static/%2e%2e/applications/1002",
        "/static/a\0b",
    ],
)
def test_a_path_that_a_program_may_read_otherwise_is_refused(allowing: UnsafeGuard, tmp_path: Path, path: str) -> None:
    """Where no router can be asked, `/static/../people/1` was the public `/static/…` for guard."""
    ran: list[str] = []

    async def resolving(scope: Any, receive: Any, send: Any) -> None:
        ran.append(scope["path"])
        await JSONResponse({"secret": "SECRET"})(scope, receive, send)

    said = {ONE: GUARDED, "GET /static/{path:path}": PUBLIC}
    app = GuardMiddleware(resolving, allowing, as_lin, written(tmp_path, said))
    assert get(app, path).status in {400, 403}
    assert ran == []
    assert get(app, "/static/a/b.css").status == 200
    assert get(app, "/static/").status == 200


# --- Whom a record is about ---------------------------------------------------------------------------


NOBODY: dict[str, Any] = {
    "null": JSONResponse(None),
    "no content": Response(status_code=204),
    "404": HTTPException(404),
    "500": JSONResponse({"detail": "no row"}, 500),
    "redirect": RedirectResponse("/nobody", 303),
    "raised": IndexError("no row"),
}


@pytest.mark.parametrize("nobody", NOBODY)
def test_who_is_hidden_by_what_the_record_says_is_like_who_is_not_there(
    hiding: UnsafeGuard, tmp_path: Path, nobody: str
) -> None:
    """An entry past its period must not be told of: 403 in the place of 404 told of it."""

    def endpoint(request: Request) -> Response:
        if request.path_params["customer_id"] != "1009":
            amount = int(request.path_params["customer_id"]) - 1000
            return JSONResponse({"customer_id": amount + 1000, "credit_amount": amount})
        if isinstance(NOBODY[nobody], Exception):
            raise NOBODY[nobody]
        answer: Response = NOBODY[nobody]
        return answer

    app = plain_app(hiding, tmp_path, [Route("/applications/{customer_id}", endpoint)], {ONE: GUARDED})
    assert get(app, "/applications/1005").json == {"customer_id": 1005, "credit_amount": 5}
    hidden = get(app, "/applications/1020")
    sent: list[Any] = []
    with suppress(IndexError):
        get(app, "/applications/1009", sent=sent)
    assert Answered(sent).whole == hidden.whole


@pytest.mark.parametrize("nobody", ["null", "no content", "404"])
def test_where_no_person_is_declared_hidden_and_absent_are_alike_too(
    hiding: UnsafeGuard, tmp_path: Path, nobody: str
) -> None:
    def endpoint(request: Request) -> Response:
        if request.path_params["customer_id"] == "1020":
            return JSONResponse({"customer_id": 1020, "credit_amount": 20})
        if isinstance(NOBODY[nobody], Exception):
            raise NOBODY[nobody]
        answer: Response = NOBODY[nobody]
        return answer

    app = plain_app(hiding, tmp_path, [Route("/applications/{customer_id}", endpoint)], {ONE: {"purpose": PURPOSE}})
    hidden, absent = get(app, "/applications/1020"), get(app, "/applications/1009")
    assert hidden.rules == ["GUARD-ABSENT"]
    assert hidden.whole == absent.whole


def test_what_a_list_says_of_its_question_is_not_about_anybody(hiding: UnsafeGuard, tmp_path: Path) -> None:
    app = plain_app(
        hiding, tmp_path, [Route("/all", lambda _: JSONResponse({"detail": "below"}, 422))], {"GET /all": ALL}
    )
    assert get(app, "/all").json["title"] == "Unprocessable Entity"


def source_of(text: str) -> Source:
    return Source.model_validate(yaml.safe_load(text))


WITH_GUARANTORS = """
subjects: {holder: /id, guarantor: {column: "/guarantors/*/id", optional: true}}
fields:
  /id: {category: pseudonym}
  "/guarantors/*/id": {category: pseudonym}
  "/guarantors/*/name": {category: identity}
"""


@pytest.mark.parametrize(
    ("guarantors", "unnamed"),
    [
        ([{"id": "5", "name": "A"}, {"name": "SECRET"}], True),
        ([{"id": None, "name": "SECRET"}], True),
        ([{"name": "SECRET"}], True),
        ([{"id": "5", "name": "A"}], False),
        ([{"id": None, "name": None}], False),
        ([{}], False),
        ([None], False),
        ([], False),
        (None, False),
    ],
)
def test_somebody_in_a_record_who_is_not_named_is_not_nobody(guarantors: Any, unnamed: bool) -> None:
    """A guarantor without a number left under the consent of the others."""
    entry = source_of(WITH_GUARANTORS)
    record = {"id": "1", "guarantors": guarantors}
    for records in (
        Shape("bank:x", entry).read(json.dumps([record]).encode()),
        DictRecords("bank:x", entry, [record]),
    ):
        if unnamed:
            with pytest.raises(Refused, match="GUARD-SUBJECT"):
                records.persons()
        else:
            assert records.persons()[0][0] == ("1",)


def test_what_answers_before_an_endpoint_is_seen_is_decided_on_too(documents: Path, tmp_path: Path) -> None:
    """What ran behind a copy of the scope is not seen: its 404 was taken for one that is about nobody."""

    def endpoint(request: Request) -> Response:
        if "absent" in str(request.url):
            raise HTTPException(404)
        return JSONResponse({"customer_id": 1002})

    class Copying:
        def __init__(self, app: Any) -> None:
            self.app = app

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await self.app(dict(scope), receive, send)

    with deciding(documents, tmp_path, deny("PI-02")) as guard:
        app = Starlette(routes=[Route("/all", endpoint)])
        app.add_middleware(Copying)
        app.add_middleware(GuardMiddleware, guard=guard, identify=as_lin, routes=written(tmp_path, {"GET /all": ALL}))
        assert get(app, "/all", query=b"q=absent").status == get(app, "/all", query=b"q=present").status == 403
