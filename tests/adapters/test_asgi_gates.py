"""The two gates: what does not come in, and what does not go out."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import anyio
import pytest
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
    post,
    scope_of,
    written,
)
from hypothesis import given, settings, strategies
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.responses import StreamingResponse as Streaming
from starlette.routing import Route

from guard.errors import Refused
from guard.model import Activity
from guard.testing import UnsafeGuard, allow_all
from guard_asgi import GuardMiddleware

__all__ = ["allowing", "documents"]

COLLECT = {"purpose": PURPOSE, "subject": {"body": "/customer_id"}, "request": {"notice": "n-loan-2026-03"}}
SAID = {ONE: GUARDED, "POST /applications": COLLECT, "GET /all": {"purpose": PURPOSE, "source": SOURCE}}
FORM = {"customer_id": 1002, "credit_amount": 5}


@pytest.fixture(params=["asyncio", "trio"])
def backend(request: pytest.FixtureRequest) -> str:
    return request.param


class App:
    """An application whose endpoints are one function, guarded."""

    def __init__(self, guard: UnsafeGuard, folder: Path, said: dict[str, Any] = SAID) -> None:
        self.guard = guard
        self.ran = 0
        self.bodies: list[bytes] = []
        self.requests: list[Request] = []
        self.respond: Callable[[Request], Any] = lambda _: JSONResponse({"customer_id": 1002})
        self.app = Starlette(
            routes=[
                Route("/applications/{customer_id}", self.endpoint, methods=["GET", "HEAD", "PUT"]),
                Route("/applications", self.endpoint, methods=["POST"]),
                Route("/all", self.endpoint),
            ]
        )
        put = {"PUT /applications/{customer_id}": {**COLLECT, "source": "bank:POST /applications"}}
        path = written(folder, {**said, **put})
        self.app.add_middleware(GuardMiddleware, guard=guard, identify=as_lin, routes=path)

    async def endpoint(self, request: Request) -> Response:
        self.ran += 1
        self.requests.append(request)
        if request.method in {"POST", "PUT"}:
            self.bodies.append(await request.body())
        answer = self.respond(request)
        if isinstance(answer, Exception):
            raise answer
        assert isinstance(answer, Response)
        return answer

    def __call__(self, path: str = "/applications/1002", **more: Any) -> Answered:
        return get(self.app, path, **more)

    def answering(self, answer: Any, path: str = "/applications/1002", **more: Any) -> Answered:
        self.respond = lambda _: answer
        return self(path, **more)


@pytest.fixture
def app(allowing: UnsafeGuard, tmp_path: Path) -> App:
    return App(allowing, tmp_path)


# --- Requests ---------------------------------------------------------------------------------------


def test_what_no_field_declares_never_comes_in(app: App, backend: str) -> None:
    form = {"religion": "none", **FORM, "nested": {"customer_id": 9}, "_method": "DELETE"}
    answered = app("/applications", **post(form), backend=backend)
    assert answered.status == 200
    assert app.bodies == [b'{"customer_id":1002,"credit_amount":5}']
    request = app.requests[0]
    assert request.headers["content-length"] == str(len(app.bodies[0]))
    drafts = app.guard.registered.drafts
    assert [(one.kind, one.subjects) for one in drafts] == [
        ("intent", ("1002",)),
        ("read", ("1002",)),
        ("done", ("1002",)),
    ]
    assert drafts[0].activity is not None
    assert drafts[0].activity.operation == "collect"
    assert drafts[0].activity.declared.notice == "n-loan-2026-03"
    assert drafts[2].refers_to == app.requests[0].scope["guard"].outcomes[0].entry


def test_a_body_that_may_come_in_whole_comes_in_as_it_is(app: App) -> None:
    body = b'{ "customer_id":1002 , "credit_amount":1.10}'
    app("/applications", **post(body, headers=[(b"digest", b"x")]))
    assert app.bodies == [body]
    assert app.requests[0].headers["digest"] == "x"
    app("/applications", **post(body[:-1] + b',"x":1}', headers=[(b"digest", b"x")]))
    assert app.bodies[1] == b'{"customer_id":1002,"credit_amount":1.10}'
    assert "digest" not in app.requests[1].headers


def sent(body: bytes, *headers: tuple[bytes, bytes]) -> dict[str, Any]:
    return {"method": "POST", "body": body, "headers": list(headers)}


GOOD = json.dumps(FORM).encode()

HOSTILE: dict[str, tuple[dict[str, Any], int, str]] = {
    "no media type": (sent(GOOD), 415, "GUARD-BODY"),
    "form": (sent(b"customer_id=1002", (b"content-type", b"application/x-www-form-urlencoded")), 415, "GUARD-BODY"),
    "text": (sent(GOOD, (b"content-type", b"text/plain")), 415, "GUARD-BODY"),
    "multipart": (sent(GOOD, (b"content-type", b"multipart/form-data; boundary=x")), 415, "GUARD-BODY"),
    "utf-16": (sent(json.dumps(FORM).encode("utf-16"), JSON), 400, "GUARD-BODY"),
    "another charset": (sent(GOOD, (b"content-type", b"application/json; charset=gbk")), 415, "GUARD-BODY"),
    "two media types": (sent(GOOD, JSON, (b"Content-Type", b"text/plain")), 400, "GUARD-BODY"),
    "compressed": (sent(zlib.compress(GOOD), JSON, (b"content-encoding", b"deflate")), 415, "GUARD-BODY"),
    "empty": (sent(b"", JSON), 400, "GUARD-BODY"),
    "malformed": (sent(b'{"customer_id":1002,}', JSON), 400, "GUARD-BODY"),
    "truncated": (sent(GOOD[:-1], JSON), 400, "GUARD-BODY"),
    "two texts": (sent(GOOD + GOOD, JSON), 400, "GUARD-BODY"),
    "NaN": (sent(b'{"customer_id":1002,"credit_amount":NaN}', JSON), 400, "GUARD-BODY"),
    "repeated key": (sent(b'{"customer_id":1001,"customer_id":1002}', JSON), 400, "GUARD-BODY"),
    "repeated undeclared key": (sent(b'{"customer_id":1002,"x":1,"x":2}', JSON), 400, "GUARD-BODY"),
    "not UTF-8": (sent(b'{"customer_id":1002,"full_name":"\xff"}', JSON), 400, "GUARD-BODY"),
    "deep": (sent(b'{"customer_id":1002,"x":' + b"[" * 5000 + b"]" * 5000 + b"}", JSON), 400, "GUARD-BODY"),
    "an object in a field": (sent(b'{"customer_id":1002,"full_name":{"a":1}}', JSON), 400, "GUARD-BODY"),
    "shorter than said": (sent(GOOD, JSON, (b"content-length", b"500")), 400, "GUARD-BODY"),
    "longer than said": (sent(GOOD, JSON, (b"content-length", b"5")), 400, "GUARD-BODY"),
    "two lengths": (sent(GOOD, JSON, (b"content-length", b"39"), (b"content-length", b"5")), 400, "GUARD-BODY"),
    "said to be over the bound": (sent(GOOD, JSON, (b"content-length", b"9999999")), 413, "GUARD-BODY-SIZE"),
    "nobody": (sent(b'{"credit_amount":5}', JSON), 403, "GUARD-SUBJECT"),
    "several": (sent(b'[{"customer_id":1001},{"customer_id":1002}]', JSON), 403, "GUARD-SUBJECT"),
    "no key": (sent(b'{"customer_id":" 1002"}', JSON), 403, "GUARD-SUBJECT"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_body_of_two_readings_reaches_nobody(app: App, case: str) -> None:
    request, status, rule = HOSTILE[case]
    answered = app("/applications", **request)
    assert (answered.status, answered.json["status"], answered.rules) == (status, status, [rule])
    assert answered.header("content-type") == ["application/problem+json"]
    assert app.ran == 0
    assert [one.kind for one in app.guard.registered.drafts] == ["denied"]


def test_a_chunked_body_over_the_bound_is_refused_while_it_comes(app: App, backend: str) -> None:
    """An engine that reads an empty document of it, and allows what is not there, was walked around this way."""
    chunks = [b'{"customer_id":1002,"full_name":"', *[b"x" * 65_536] * 20, b'"}']
    answered = app("/applications", method="POST", body=chunks, headers=[JSON], backend=backend)
    assert (answered.status, answered.rules) == (413, ["GUARD-BODY-SIZE"])
    assert app.ran == 0


def test_a_body_without_end_is_not_waited_for(app: App, backend: str) -> None:
    came: list[int] = []
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        came.append(1)
        assert len(came) < 100
        return {"type": "http.request", "body": b" " * 65_536, "more_body": True}

    async def send(message: Any) -> None:
        sent.append(message)

    anyio.run(app.app, scope_of("POST", "/applications", headers=[JSON]), receive, send, backend=backend)
    assert sent[0]["status"] == 413
    assert len(came) == 17


def test_a_chunked_body_within_it_comes_as_one(app: App) -> None:
    chunked = {"method": "POST", "body": [GOOD[:5], GOOD[5:]], "headers": [JSON, (b"transfer-encoding", b"chunked")]}
    assert app("/applications", **chunked).status == 200
    assert app.bodies == [GOOD]


def test_a_client_that_goes_away_in_its_body_has_sent_nothing(app: App, backend: str) -> None:
    answered = app("/applications", method="POST", body=[GOOD], cut=True, headers=[JSON], backend=backend)
    assert not answered.started
    assert app.ran == 0
    assert app.guard.registered.drafts == []


@pytest.mark.parametrize(
    "headers", [[(b"content-length", b"2")], [(b"transfer-encoding", b"chunked")], [(b"content-length", b"x")], []]
)
def test_a_body_that_nobody_declared_reaches_nobody(app: App, headers: Any) -> None:
    seen: list[Any] = []

    async def reading(request: Request) -> Response:
        seen.append(await request.body())
        return JSONResponse({"customer_id": 1002})

    app.app.router.routes[0] = Route("/applications/{customer_id}", reading, methods=["GET", "HEAD", "PUT"])
    answered = app(body=b"{}", headers=headers)
    assert (answered.status, answered.rules) == (400, ["GUARD-BODY"])
    assert seen == []
    assert app(headers=[(b"content-length", b"0")]).status == 200


@pytest.mark.parametrize("headers", [[(b"Content-Length", b"2")], [(b"transfer-encoding", b"chunked")]])
def test_an_announced_body_that_nobody_declared_keeps_the_program_from_running(app: App, headers: Any) -> None:
    assert app(body=b"{}", headers=headers).rules == ["GUARD-BODY"]
    assert app.ran == 0


@pytest.mark.parametrize(
    ("said", "notice"),
    [({"loan_purpose": "n-1"}, "n-1"), ({}, None), ({"loan_purpose": ""}, None), ({"loan_purpose": 5}, None)],
)
def test_a_form_may_say_which_notice_it_showed(
    allowing: UnsafeGuard, tmp_path: Path, said: dict[str, Any], notice: str | None
) -> None:
    form = {**COLLECT, "request": {"notice": {"body": "/loan_purpose"}}}
    app = App(allowing, tmp_path, {**SAID, "POST /applications": form})
    answered = app("/applications", **post({**FORM, **said}))
    if notice is None:
        assert (answered.rules, app.ran) == (["GUARD-REQUEST"], 0)
    else:
        assert app.requests[0].scope["guard"].declared.notice == notice


def test_what_is_done_with_a_form_may_be_another_operation(documents: Path, tmp_path: Path) -> None:
    seen: list[str] = []

    def decide(activity: Activity) -> dict[str, Any]:
        seen.append(activity.operation)
        return allow_all(activity)

    with deciding(documents, tmp_path, decide) as guard:
        app = App(guard, tmp_path, {**SAID, "POST /applications": {**COLLECT, "operation": "store"}})
        app("/applications", **post(FORM))
        acting = app.requests[0].scope["guard"]
    assert list(dict.fromkeys(seen)) == ["collect", "use"]
    assert acting.operation == "store"
    assert [one.operation for one in acting.outcomes] == ["collect", "use"]


def test_large_bodies_are_worked_on_in_a_thread(app: App, backend: str) -> None:
    large = {**FORM, "full_name": "x" * 70_000}
    app.respond = lambda _: JSONResponse({**large, "other": "SECRET"})
    answered = app("/applications", **post({**large, "other": 1}), backend=backend)
    assert answered.json == large
    assert json.loads(app.bodies[0]) == large
    error = JSONResponse({"detail": "x" * 70_000}, 400)
    assert app.answering(error, "/all", backend=backend).json["title"] == "Bad Request"


def test_path_and_body_name_one_person(app: App, allowing: UnsafeGuard, tmp_path: Path) -> None:
    put = {**COLLECT, "subject": {"path": "customer_id"}, "source": "bank:POST /applications"}
    routes = [Route("/applications/{customer_id}", app.endpoint, methods=["PUT"])]
    confused = Starlette(routes=routes)
    path = written(tmp_path, {"PUT /applications/{customer_id}": put})
    confused.add_middleware(GuardMiddleware, guard=allowing, identify=as_lin, routes=path)
    form = {**post({"customer_id": 1003}), "method": "PUT"}
    assert get(confused, "/applications/1002", **form).rules == ["GUARD-SUBJECT"]
    assert app.ran == 0
    app.respond = lambda _: Response(status_code=204)
    assert get(confused, "/applications/1003", **form).status == 204


def of_query(app: App, allowing: UnsafeGuard, tmp_path: Path) -> Starlette:
    asked = Starlette(routes=[Route("/applications", app.endpoint)])
    entry = {"purpose": PURPOSE, "subject": {"query": "id"}, "source": SOURCE}
    path = written(tmp_path, {"GET /applications": entry})
    asked.add_middleware(GuardMiddleware, guard=allowing, identify=as_lin, routes=path)
    return asked


@pytest.mark.parametrize(
    ("query", "rule"),
    [
        (b"id=1001&id=1002", "GUARD-SUBJECT"),
        (b"id=1001&%69d=1002", "GUARD-SUBJECT"),
        (b"", "GUARD-SUBJECT"),
        (b"id=", "GUARD-SUBJECT"),
        (b"id=1001;id=1002", "GUARD-SUBJECT"),
        (b"id=%ff", "GUARD-REQUEST"),
        (b"id=\xff", "GUARD-REQUEST"),
    ],
)
def test_a_query_names_one_person_once(
    app: App, allowing: UnsafeGuard, tmp_path: Path, query: bytes, rule: str
) -> None:
    answered = get(of_query(app, allowing, tmp_path), "/applications", query=query)
    if query == b"id=1001;id=1002":  # one value, which is nobody's key here
        assert answered.status == 403
        return
    assert answered.rules == [rule]
    assert app.ran == 0


def test_an_element_about_another_person_is_hidden_whatever_the_route_says(app: App) -> None:
    both = [{"customer_id": 1002}, {"customer_id": 1003}]
    assert app.answering(JSONResponse(both)).json == [{"customer_id": 1002}]
    assert app.answering(JSONResponse({"customer_id": 1003})).rules == ["GUARD-ABSENT"]


def test_an_answer_of_another_shape_looks_like_nobody_and_the_log_says_which_fields_were_expected(
    app: App, caplog: pytest.LogCaptureFixture
) -> None:
    nobody = app.answering(JSONResponse({"customer_id": 1003}))
    wrapped = app.answering(JSONResponse({"data": [{"customer_id": 1002}]}))
    assert wrapped.rules == nobody.rules == ["GUARD-ABSENT"]
    assert wrapped.json == nobody.json
    _, line, withheld = caplog.records
    assert (line.name, line.levelname) == (withheld.name, withheld.levelname) == ("guard.asgi", "WARNING")
    said = line.getMessage()
    assert said.startswith(f"{ONE}: none of what the catalogue declares of {SOURCE} is in the answer: /")
    assert "/customer_id, /full_name" in said
    assert "1002" not in said
    assert "data" not in said


@pytest.mark.parametrize("answer", [{"customer_id": 1002, "data": 1}, {"customer_id": None}, [], {}])
def test_an_answer_of_the_declared_shape_is_no_line_in_the_log(
    app: App, caplog: pytest.LogCaptureFixture, answer: Any
) -> None:
    app.answering(JSONResponse(answer))
    app.answering(JSONResponse({"detail": "no such application"}, 404))
    assert "none of what the catalogue declares" not in caplog.text


def test_an_answer_without_its_subject_is_withheld_and_the_log_says_that_the_handler_ran(
    app: App, caplog: pytest.LogCaptureFixture
) -> None:
    answered = app.answering(JSONResponse({"full_name": "Secret"}), "/applications", **post(FORM))
    assert (answered.status, answered.rules, app.ran) == (403, ["GUARD-ABSENT"], 1)
    (line,) = caplog.records
    assert [one.kind for one in app.guard.registered.drafts] == ["intent", "denied"]
    entry = f"{app.guard.roads.shard[:6]}/1"
    assert (line.name, line.levelname) == ("guard.asgi", "WARNING")
    assert line.getMessage() == (
        f"POST /applications: the client is told 403 GUARD-ABSENT; register entry {entry}. The handler ran, and what "
        "it committed stays; its answer was withheld because it has no /customer_id: answer 204 or repeat the "
        "subject's key."
    )
    caplog.clear()
    app.answering(JSONResponse({"ok": True}), "/applications", **post(FORM))
    assert caplog.records[-1].getMessage().endswith("answer 204 or repeat the subject's key.")


def test_an_answer_that_leaves_its_subject_out_is_a_line_in_the_log(app: App, caplog: pytest.LogCaptureFixture) -> None:
    assert app.answering(JSONResponse({"full_name": "Secret"})).rules == ["GUARD-ABSENT"]
    assert caplog.records[-1].getMessage().endswith("because it has no /customer_id: repeat the subject's key.")
    large = [{"full_name": "Secret"}] * 5_000
    for records in (large[:2], large):
        caplog.clear()
        assert app.answering(JSONResponse(records)).json == []
        (line,) = caplog.records
        assert line.getMessage() == (
            f"{ONE}: no record of its answer has /customer_id, so all are left out: repeat the subject's key in each."
        )


def test_an_answer_about_somebody_else_is_a_line_in_the_log(app: App, caplog: pytest.LogCaptureFixture) -> None:
    assert app.answering(JSONResponse({"customer_id": 1003})).rules == ["GUARD-ABSENT"]
    (line,) = caplog.records
    assert line.getMessage().endswith("its answer was withheld because it is about somebody else than the request.")
    assert "1003" not in caplog.text


def test_an_answer_that_goes_is_no_line_in_the_log(app: App, caplog: pytest.LogCaptureFixture) -> None:
    assert app().status == 200
    assert app.answering(JSONResponse([{"customer_id": 1002}, {"customer_id": 1003}])).status == 200
    assert app.answering(Response(status_code=204), "/applications", **post(FORM)).status == 204
    assert caplog.records == []


@pytest.mark.parametrize("header", [b"x-http-method-override", b"X-HTTP-Method", b"X-Method-Override"])
def test_a_request_that_asks_for_another_method_is_refused(app: App, header: bytes) -> None:
    answered = app(headers=[(header, b"PUT")])
    assert (answered.status, answered.rules) == (400, ["GUARD-REQUEST"])
    assert app.ran == 0


@pytest.mark.parametrize("query", [b"_method=PUT", b"a=1&_Method=put", b"%5fmethod=PUT"])
def test_and_so_it_is_in_its_query(app: App, query: bytes) -> None:
    assert app(query=query).rules == ["GUARD-REQUEST"]
    assert app.ran == 0


@pytest.mark.parametrize("method", ["get", "gEt", "Get"])
def test_methods_are_in_capitals(app: App, method: str) -> None:
    assert app(method=method).rules == ["GUARD-REQUEST"]
    assert app.ran == 0


def test_conditions_and_parts_are_not_for_guarded_answers(app: App) -> None:
    """By 304 and by parts of a file, guesses at what is hidden could be confirmed."""
    conditions = [(b"If-None-Match", b'"x"'), (b"if-modified-since", b"x"), (b"Range", b"bytes=0-9"), (b"a", b"b")]
    app(headers=conditions)
    assert [key for key, _ in app.requests[0].scope["headers"]] == [b"host", b"a"]
    assert app.answering(Response(b"{}", 206, media_type="application/json")).rules == ["GUARD-RESPONSE"]
    part = JSONResponse({"customer_id": 1002}, headers={"content-range": "bytes 0-9/99"})
    assert app.answering(part).rules == ["GUARD-RESPONSE"]


@pytest.mark.parametrize("value", [[b""], [b"a", b"b"], [b"x" * 129], [b"\xff"]])
def test_one_approval_is_quoted_or_none(app: App, value: list[bytes]) -> None:
    assert app(headers=[(b"Guard-Review", one) for one in value]).rules == ["GUARD-REQUEST"]
    assert app.ran == 0


def test_a_quoted_approval_is_in_the_context(app: App) -> None:
    app(headers=[(b"guard-review", b"r-1")])
    assert app.requests[0].scope["guard"].review == "r-1"


# --- Answers ----------------------------------------------------------------------------------------


CONSENTED = {"grant": {"category": "identity"}, "rule": "PI-05"}


def masking(activity: Activity) -> dict[str, Any]:
    """Names are masked, numbers are hidden, the rest is as it is."""
    answer = allow_all(activity)
    for fields in answer["reads"].values():
        if "/full_name" in fields:
            fields["/full_name"] = {"reveal": CONSENTED, "mask": {"with": "name", "if": "always"}, "rule": "PI-19"}
        fields.pop("/id_number", None)
    return answer


@pytest.fixture
def strict(documents: Path, tmp_path: Path) -> Iterator[App]:
    with deciding(documents, tmp_path, masking) as guard:
        yield App(guard, tmp_path)


ROW = {"customer_id": 1002, "full_name": "李小明", "id_number": "110101199003071234", "other": "SECRET"}


def test_an_answer_is_what_its_recipient_may_have(strict: App, backend: str) -> None:
    response = JSONResponse(ROW, headers={"etag": '"x"', "X-Total-Count": "7", "Digest": "x", "x-request-id": "1"})
    response.raw_headers += [(b"X-Request-Id", b"2"), (b"last-modified", b"x")]
    answered = strict.answering(response, backend=backend)
    assert answered.json == {"customer_id": 1002, "full_name": "李**"}
    assert answered.headers == [
        (b"x-request-id", b"1"),
        (b"content-length", str(len(answered.body)).encode()),
        (b"content-type", b"application/json"),
        (b"X-Request-Id", b"2"),
        (b"cache-control", b"private, no-store"),
    ]


def test_records_lie_where_the_route_says(documents: Path, tmp_path: Path) -> None:
    said = {**SAID, "GET /all": {"purpose": PURPOSE, "source": SOURCE, "response": {"records": "/data/items"}}}
    with deciding(documents, tmp_path, masking) as guard:
        app = App(guard, tmp_path, said)
        page = {"total": 7, "data": {"items": [ROW, {"customer_id": 5}], "next": "SECRET"}}
        shown = {"data": {"items": [{"customer_id": 1002, "full_name": "李**"}, {"customer_id": 5}]}}
        assert app.answering(JSONResponse(page), "/all").json == shown
        assert app.answering(JSONResponse([ROW]), "/all").rules == ["GUARD-BODY"]
        assert guard.registered.require("read").subjects == ("1002", "5")


def test_a_head_tells_the_length_of_what_a_get_gives(strict: App) -> None:
    got, head = strict.answering(JSONResponse(ROW)), strict.answering(JSONResponse(ROW), method="HEAD")
    assert head.header("content-length") == got.header("content-length")

    def only_headers(_: Request) -> Response:
        response = Response(b"", media_type="application/json")
        response.raw_headers = [(b"content-length", b"99"), JSON, (b"ETag", b"of all"), (b"cache-control", b"x")]
        return response

    strict.respond = only_headers
    assert strict(method="HEAD").headers == [JSON, (b"cache-control", b"private, no-store")]
    assert strict().headers == [(b"content-length", b"99"), JSON, (b"cache-control", b"x")]


def test_nothing_is_sent_before_all_of_it_is_released(strict: App, backend: str) -> None:
    def parts() -> Iterator[bytes]:
        yield b'[{"customer_id":1002,"other":"SECRET"}'
        raise ValueError("halfway")

    messages: list[Any] = []
    with pytest.raises(ValueError, match="halfway"):
        strict.answering(Streaming(parts(), media_type="application/json"), sent=messages, backend=backend)
    assert messages[0]["status"] == 500
    assert b"SECRET" not in messages[1]["body"]
    assert len(messages) == 2


@pytest.mark.parametrize(
    "response",
    [
        PlainTextResponse("SECRET"),
        HTMLResponse("<b>SECRET</b>"),
        Response(b'{"a":"SECRET"}'),
        Response(b'{"a":"SECRET"}', media_type="application/problem+json; charset=gbk"),
        Response(b'{"a":"SECRET"', media_type="application/json"),
        Response(b'{"a":"SECRET","a":1}', media_type="application/json"),
        Response(b'"SECRET"', media_type="application/json"),
        Response(b"callback({'a':'SECRET'})", media_type="application/javascript"),
        Response(zlib.compress(b"SECRET"), media_type="application/json", headers={"content-encoding": "deflate"}),
        JSONResponse({"data": {"aliased": "SECRET"}}, media_type="application/graphql-response+json"),
        Streaming(iter([b"data: SECRET\n\n"]), media_type="text/event-stream"),
        JSONResponse(["SECRET" * 200_000]),
    ],
    ids=range(12),
)
def test_an_answer_that_cannot_be_read_is_refused_whole(app: App, response: Response) -> None:
    answered = app.answering(response)
    assert answered.status == answered.json["status"] == 403
    assert answered.rules[0] in {"GUARD-BODY", "GUARD-BODY-SIZE"}
    assert b"SECRET" not in answered.body
    assert [one.kind for one in app.guard.registered.drafts] == ["denied"]


def test_a_stream_without_end_is_stopped_at_the_bound(app: App, backend: str) -> None:
    async def endless() -> Any:
        while True:
            yield b"[" * 65_536

    answered = app.answering(Streaming(endless(), media_type="application/json"), backend=backend)
    assert answered.rules == ["GUARD-BODY-SIZE"]


def test_an_answer_sent_past_the_program_is_refused(allowing: UnsafeGuard, tmp_path: Path) -> None:
    async def plain(scope: Any, receive: Any, send: Any) -> None:
        assert "extensions" not in scope or scope["extensions"] == {}
        await send({"type": "http.response.start", "status": 200, "headers": [JSON], "trailers": True})
        await send({"type": "http.response.early_hint", "links": [b"</SECRET>"]})
        if scope["path"].endswith("1"):
            await send({"type": "http.response.pathsend", "path": "/etc/passwd"})
        if scope["path"].endswith("2"):
            await send({"type": "http.response.zerocopysend", "file": 0})
        await send({"type": "http.response.body", "body": b'{"customer_id":3}'})

    guarded = GuardMiddleware(plain, allowing, as_lin, written(tmp_path, {ONE: GUARDED}))
    for path in ("/applications/1", "/applications/2"):
        assert get(guarded, path, extensions={"http.response.pathsend": {}}).rules == ["GUARD-RESPONSE"]
    answered = get(guarded, "/applications/3")
    assert answered.json == {"customer_id": 3}
    assert len(answered.messages) == 2
    assert answered.messages[0]["trailers"] is False


BODIES = [
    json.dumps([ROW, {"customer_id": 5, "id_number": "SECRET"}]).encode(),
    json.dumps(ROW).encode(),
    b'{"detail":"SECRET"}',
    b"SECRET",
    b"",
]
TYPES = [b"application/json", b"text/plain", b"text/event-stream", b"application/json; charset=utf-16", None]
BESIDE = [
    {"type": "http.response.early_hint", "links": [b"SECRET"]},
    {"type": "http.response.debug", "info": {"template": "SECRET"}},
    {"type": "http.response.trailers", "headers": [(b"x", b"SECRET")]},
    {"type": "http.response.pathsend", "path": "SECRET"},
]


def test_however_it_is_sent_what_is_hidden_is_not(documents: Path, tmp_path: Path) -> None:
    """Any status, media type, cutting of the body, and anything in between: the same answer, without what is hidden."""
    said: list[Any] = []

    async def program(scope: Any, receive: Any, send: Any) -> None:
        for message in said:
            await send(message)

    with deciding(documents, tmp_path, masking) as guard:
        guarded = GuardMiddleware(program, guard, as_lin, written(tmp_path, {"GET /all": SAID["GET /all"]}))

        @settings(max_examples=150, deadline=None)
        @given(data=strategies.data())
        def any_way(data: strategies.DataObject) -> None:
            body = data.draw(strategies.sampled_from(BODIES))
            cuts = sorted(data.draw(strategies.lists(strategies.integers(0, len(body)), max_size=4)))
            parts = [body[one:other] for one, other in pairwise([0, *cuts, len(body)])]
            headers = [(b"content-length", str(len(body)).encode()), (b"etag", b"SECRET")]
            kind = data.draw(strategies.sampled_from(TYPES))
            headers += [] if kind is None else [(b"Content-Type", kind)]
            status = data.draw(strategies.sampled_from([200, 201, 206, 302, 400, 404, 422, 500]))
            start: dict[str, Any] = {"type": "http.response.start", "status": status, "headers": headers}
            whole = [start, {"type": "http.response.body", "body": body}]
            said[:] = whole
            expected = get(guarded, "/all").whole
            said[:] = [start, *[{"type": "http.response.body", "body": part, "more_body": True} for part in parts]]
            said.append({"type": "http.response.body"})
            for message in data.draw(strategies.lists(strategies.sampled_from(BESIDE[:3]), max_size=2)):
                said.insert(data.draw(strategies.integers(0, len(said) - 1)), message)
            answered = get(guarded, "/all")
            assert answered.whole == expected
            said.insert(data.draw(strategies.integers(0, len(said) - 1)), BESIDE[3])
            past = get(guarded, "/all")
            assert past.rules[0].startswith("GUARD-")
            for one in (answered, past):
                assert "SECRET" not in str(one.messages)
                assert "110101199003071234" not in str(one.messages)

        any_way()


def test_what_a_program_writes_into_a_part_afterwards_is_not_sent(allowing: UnsafeGuard, tmp_path: Path) -> None:
    async def reusing(scope: Any, receive: Any, send: Any) -> None:
        buffer, headers = bytearray(b'{"customer_id":1'), [JSON]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": memoryview(buffer), "more_body": True})
        buffer[:] = b'{"X":"SECRET"   '
        headers.append((b"x", b"SECRET"))
        await send({"type": "http.response.body", "body": b"}"})

    guarded = GuardMiddleware(reusing, allowing, as_lin, written(tmp_path, {ONE: GUARDED}))
    answered = get(guarded, "/applications/1")
    assert answered.body == b'{"customer_id":1}'
    assert answered.headers == [JSON]


def test_a_program_that_catches_the_refusal_changes_nothing(allowing: UnsafeGuard, tmp_path: Path) -> None:
    async def stubborn(scope: Any, receive: Any, send: Any) -> None:
        for _ in range(3):
            try:
                await PlainTextResponse("SECRET")(scope, receive, send)
            except Refused:
                continue

    guarded = GuardMiddleware(stubborn, allowing, as_lin, written(tmp_path, {ONE: GUARDED}))
    answered = get(guarded, "/applications/1")
    assert answered.rules == ["GUARD-BODY"]
    assert len(answered.messages) == 2


def test_a_second_answer_after_the_first_goes_nowhere(allowing: UnsafeGuard, tmp_path: Path) -> None:
    async def twice(scope: Any, receive: Any, send: Any) -> None:
        await JSONResponse({"customer_id": 1})(scope, receive, send)
        with pytest.raises(RuntimeError):
            await send({"type": "http.response.body", "body": b"SECRET"})
        with pytest.raises(RuntimeError):
            await JSONResponse({"customer_id": 1, "x": "SECRET"})(scope, receive, send)

    guarded = GuardMiddleware(twice, allowing, as_lin, written(tmp_path, {ONE: GUARDED}))
    assert get(guarded, "/applications/1").body == b'{"customer_id":1}'


def test_an_error_says_no_more_than_its_status(app: App) -> None:
    quoting = JSONResponse({"detail": "no such name: SECRET"}, 422, headers={"retry-after": "5", "etag": "x"})
    answered = app.answering(quoting)
    assert answered.status == 422
    assert answered.json == {"type": "about:blank", "title": "Unprocessable Entity", "status": 422}
    assert answered.header("retry-after") == ["5"]
    assert answered.header("etag") == []
    assert app.answering(HTTPException(401, "SECRET", {"www-authenticate": "Bearer"})).header("www-authenticate")
    answered = app.answering(PlainTextResponse("SECRET", 599))
    assert answered.json == {"type": "about:blank", "title": "Error", "status": 599}


def test_an_error_that_holds_declared_records_is_an_answer(strict: App) -> None:
    answered = strict.answering(JSONResponse({"customer_id": 1002, "full_name": "李小明"}, 409))
    assert (answered.status, answered.json) == (409, {"customer_id": 1002, "full_name": "李**"})
    assert strict.answering(JSONResponse(ROW, 409)).json["title"] == "Conflict"


def test_a_redirection_has_no_body(app: App) -> None:
    answered = app.answering(RedirectResponse("/elsewhere", 303))
    assert (answered.status, answered.body, answered.header("location")) == (303, b"", ["/elsewhere"])
    answered = app.answering(HTMLResponse("SECRET", 302))
    assert (answered.status, answered.body, answered.header("content-length")) == (302, b"", ["0"])


def test_what_a_program_raises_is_raised_and_tells_the_client_nothing(app: App) -> None:
    app.app.debug = True
    messages: list[Any] = []
    with pytest.raises(KeyError, match="SECRET"):
        app.answering(KeyError("SECRET"), sent=messages, headers=[(b"accept", b"text/html")])
    assert messages[0]["status"] == 500
    assert json.loads(messages[1]["body"]) == {"type": "about:blank", "title": "Internal Server Error", "status": 500}


def test_a_refusal_in_the_program_is_problem_details(app: App, backend: str) -> None:
    answered = app.answering(Refused.own("GUARD-SQL", "It is not a SELECT."), backend=backend)
    assert (answered.status, answered.rules) == (403, ["GUARD-SQL"])
    assert answered.header("content-type") == ["application/problem+json"]
    assert "GUARD-SQL" in str(app.guard.registered.drafts[0].reasons)

    async def in_a_group(request: Request) -> Response:
        async def refused() -> None:
            raise Refused.own("GUARD-SQL")

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(refused)
        return Response()

    app.app.router.routes[2] = Route("/all", in_a_group)
    said = get(app.app, "/all", backend=backend)
    assert said.rules == ["GUARD-SQL"]


def test_a_refusal_among_other_failures_is_a_failure(app: App, backend: str) -> None:
    failures = ExceptionGroup("both", [Refused.own("GUARD-SQL"), ExceptionGroup("inner", [ValueError("SECRET")])])
    sent: list[Any] = []
    with pytest.raises(ExceptionGroup):
        app.answering(failures, sent=sent, backend=backend)
    assert sent[0]["status"] == 500
    alone = ExceptionGroup("one", [ExceptionGroup("inner", [Refused.own("GUARD-SQL")])])
    assert app.answering(alone, backend=backend).rules == ["GUARD-SQL"]


def test_a_program_that_handles_refusals_does_not_handle_the_gate_s(app: App) -> None:
    """Its handler is called when the answer has begun already, which Starlette takes for an error."""
    app.app.add_exception_handler(Refused, lambda _, __: PlainTextResponse("SECRET"))
    assert app.answering(PlainTextResponse("SECRET")).rules == ["GUARD-BODY"]
    assert app.answering(Refused.own("GUARD-SQL")).rules == ["GUARD-BODY"]


def test_a_refusal_after_the_answer_is_raised(app: App) -> None:
    def after() -> None:
        app.guard.current()

    with pytest.raises(Refused, match="GUARD-CONTEXT"):
        app.answering(JSONResponse({"customer_id": 1002}, background=BackgroundTask(after)))


@pytest.mark.parametrize(
    ("header", "chinese"),
    [
        (b"zh-CN,zh;q=0.9,en;q=0.8", True),
        (b"en,zh;q=0.5", False),
        (b"fr", False),
        (b"", False),
        (b"zh;q=x,en;q=0", False),
    ],
)
def test_a_refusal_speaks_the_client_s_language(app: App, header: bytes, chinese: bool) -> None:
    answered = app.answering(Refused.own("GUARD-SQL"), headers=[(b"accept-language", header)])
    assert ("无法保证该语句的安全" in answered.json["title"]) is chinese


def test_a_refusal_of_a_head_has_no_body(app: App) -> None:
    whole, head = (app.answering(Refused.own("GUARD-SQL"), method=method) for method in ("GET", "HEAD"))
    assert head.headers == whole.headers
    assert (head.body, whole.body != b"") == (b"", True)


def test_a_refusal_in_a_public_route_is_problem_details_too(allowing: UnsafeGuard, tmp_path: Path) -> None:
    def endpoint(request: Request) -> Response:
        allowing.current()
        return Response()

    app = Starlette(routes=[Route("/p", endpoint)])
    app.add_middleware(GuardMiddleware, guard=allowing, identify=as_lin, routes=written(tmp_path, {"GET /p": PUBLIC}))
    assert get(app, "/p").rules == ["GUARD-PURPOSE"]


# --- The context ------------------------------------------------------------------------------------


def test_the_context_ends_with_the_answer(app: App, backend: str) -> None:
    """A task that goes on after the answer still has the context, and is refused until it opens its own."""
    told: list[Any] = []

    def after() -> None:
        try:
            app.guard.current()
        except Refused as refused:
            told.append(refused.rules)
        with app.guard.acting(app.requests[0].scope["guard"].actor, purpose=PURPOSE, separate=True):
            told.append(app.guard.current().purpose)

    app.answering(JSONResponse({"customer_id": 1002}, background=BackgroundTask(after)), backend=backend)
    assert told == [("GUARD-CONTEXT",), PURPOSE]


@pytest.mark.parametrize("how", ["answer", "refused", "raised", "cancelled"])
def test_the_context_ends_however_the_request_ends(app: App, how: str, backend: str) -> None:
    async def run() -> None:
        with anyio.CancelScope() as scope:

            async def endpoint(request: Request) -> Response:
                app.requests.append(request)
                if how == "cancelled":
                    scope.cancel()
                    await anyio.sleep_forever()
                if how == "raised":
                    raise ValueError
                return PlainTextResponse("no") if how == "refused" else JSONResponse({"customer_id": 1002})

            app.app.router.routes[0] = Route("/applications/{customer_id}", endpoint, methods=["GET", "HEAD", "PUT"])
            from asgi_world import ask

            if how == "raised":
                with pytest.raises(ValueError):  # noqa: PT011 — any will do
                    await ask(app.app, path="/applications/1002")
            else:
                await ask(app.app, path="/applications/1002")
        with pytest.raises(Refused, match="GUARD-PURPOSE"):
            app.guard.current()

    anyio.run(run, backend=backend)
    assert not app.requests[0].scope["guard"].open


def test_each_request_is_an_act_of_its_own(app: App) -> None:
    """Whatever was open around the server, or is quoted by a client, opens nothing here."""
    from guard import Actor

    other = Actor(id="officer-chen", roles=("marketer",))
    with app.guard.acting(other, purpose="marketing", subject="1009"):
        assert app(headers=[(b"guard-purpose", b"marketing")]).status == 200
    acting = app.requests[0].scope["guard"]
    assert (acting.actor.id, acting.purpose, acting.subject) == ("officer-lin", PURPOSE, "1002")


def test_what_became_of_what_was_taken_in_is_registered(app: App) -> None:
    def kinds() -> list[str]:
        drafts = app.guard.registered.drafts
        found = [one.kind for one in drafts if one.kind in {"intent", "done", "failed"}]
        drafts.clear()
        return found

    app.answering(Response(status_code=204), "/applications", **post(FORM))
    assert kinds() == ["intent", "done"]
    app.answering(JSONResponse({"detail": "x"}, 422), "/applications", **post(FORM))
    assert kinds() == ["intent", "failed"]
    app.answering(JSONResponse({"detail": "x"}, 500), "/applications", **post(FORM))
    assert kinds() == ["intent"]
    with pytest.raises(ValueError):  # noqa: PT011 — any will do
        app.answering(ValueError(), "/applications", **post(FORM))
    assert kinds() == ["intent"]


def test_operation_and_audience_are_those_of_the_route(documents: Path, tmp_path: Path) -> None:
    seen: list[tuple[str, str, str, str | None]] = []

    def decide(activity: Activity) -> dict[str, Any]:
        seen.append((activity.operation, activity.recipient.kind, activity.method, activity.recipient.id))
        return allow_all(activity)

    said = {
        **SAID,
        "GET /all": {
            "purpose": PURPOSE,
            "source": SOURCE,
            "operation": "provide",
            "recipient": {"kind": "handler", "id": "i-1"},
        },
        "POST /applications": {**COLLECT, "response": {"operation": "use", "recipient": "subject", "source": SOURCE}},
    }
    with deciding(documents, tmp_path, decide) as guard:
        app = App(guard, tmp_path, said)
        app("/all")
        app("/applications", **post(FORM))
    assert list(dict.fromkeys(seen)) == [
        ("provide", "handler", "http", "i-1"),
        ("collect", "staff", "http", None),
        ("use", "subject", "http", None),
    ]
    assert [one.operation for one in app.requests[1].scope["guard"].outcomes] == ["collect", "use"]
