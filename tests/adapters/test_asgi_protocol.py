"""Where everything is allowed, a wrapped application is the application: byte by byte, and in how it is spoken to."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from asgi_world import (
    GUARDED,
    ONE,
    PUBLIC,
    Answered,
    allowing,
    as_lin,
    deciding,
    documents,
    get,
    live,
    post,
    scope_of,
    written,
)
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.endpoints import HTTPEndpoint
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.testclient import TestClient
from starlette.websockets import WebSocket

from guard.testing import UnsafeGuard
from guard_asgi import GuardMiddleware

__all__ = ["allowing", "documents"]

ROW = b'{"customer_id": 1002,  "credit_amount":1.10, "full_name":"\\u5468", "outcome":123456789012345678901234567890}'


@pytest.fixture(params=["asyncio", "trio"])
def backend(request: pytest.FixtureRequest) -> str:
    return request.param


# --- The application --------------------------------------------------------------------------------


async def row(request: Request) -> Response:
    response = Response(ROW, media_type="application/json")
    response.raw_headers += [(b"X-Twice", b"1"), (b"set-cookie", b"a=1"), (b"x-twice", b"2"), (b"set-cookie", b"b=2")]
    response.headers["etag"] = '"as-it-was"'
    return response


async def rows(request: Request) -> Response:
    async def parts() -> AsyncIterator[bytes]:
        yield b"["
        yield ROW
        yield b"]"

    return StreamingResponse(parts(), media_type="application/json")


async def empty(request: Request) -> Response:
    return Response(status_code=204)


async def echo(request: Request) -> Response:
    return Response(await request.body(), media_type="application/json", status_code=201)


async def echoed(request: Request) -> Response:
    parts = [part async for part in request.stream()]
    return PlainTextResponse("|".join(part.decode() for part in parts))


async def slow(request: Request) -> Response:
    async def parts() -> AsyncIterator[bytes]:
        for number in range(3):
            yield f"{number};".encode()
            await anyio.lowlevel.checkpoint()

    return StreamingResponse(parts(), media_type="text/event-stream")


def failing(request: Request) -> Response:
    raise ValueError("not for the client")


class Several(HTTPEndpoint):
    async def get(self, request: Request) -> Response:
        return PlainTextResponse("got")

    async def delete(self, request: Request) -> Response:
        return PlainTextResponse("deleted")


async def talking(websocket: WebSocket) -> None:
    await websocket.accept("chat")
    await websocket.send_text(await websocket.receive_text())
    await websocket.close(1001, "gone")


def application(folder: Path, **more: Any) -> Starlette:
    (folder / "static").mkdir(exist_ok=True)
    (folder / "static" / "page.txt").write_text("a page")
    return Starlette(
        routes=[
            Route("/applications/{customer_id:int}", row),
            Route("/all", rows),
            Route("/empty/{customer_id}", empty),
            Route("/applications", echo, methods=["POST"]),
            Route("/echoed", echoed, methods=["POST"]),
            Route("/slow", slow),
            Route("/failing", failing),
            Route("/several", Several),
            Route("/slash/", slow),
            Mount("/in", routes=[Route("/applications/{customer_id}", row), Route("/there", slow)]),
            Mount("/static", StaticFiles(directory=folder / "static")),
            WebSocketRoute("/talk", talking),
        ],
        **more,
    )


SAID = {
    ONE: GUARDED,
    "GET /all": {"purpose": "loan_underwriting", "source": f"bank:{ONE}"},
    "GET /empty/{customer_id}": {**GUARDED, "source": f"bank:{ONE}"},
    "POST /applications": {"purpose": "loan_underwriting", "subject": {"body": "/customer_id"}, "request": {}},
    "POST /echoed": PUBLIC,
    "GET /slow": PUBLIC,
    "GET /slash/": PUBLIC,
    "GET /failing": PUBLIC,
    "GET /several": PUBLIC,
    "DELETE /several": PUBLIC,
    "GET /in/applications/{customer_id}": {**GUARDED, "source": f"bank:{ONE}"},
    "GET /in/there": PUBLIC,
    "* /static/{path:path}": PUBLIC,
    "WEBSOCKET /talk": PUBLIC,
}

Both = tuple[Starlette, Starlette]


@pytest.fixture(scope="module")
def both(documents: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    """The application as it is, and wrapped."""
    folder = tmp_path_factory.mktemp("both")
    with deciding(documents, folder) as guard:
        wrapped = application(folder)
        wrapped.add_middleware(GuardMiddleware, guard=guard, identify=as_lin, routes=written(folder, SAID))
        yield application(folder), wrapped


FORM = b'{"customer_id":1002, "credit_amount": 1.10}'

REQUESTS: list[dict[str, Any]] = [
    {"path": "/applications/1002"},
    {"path": "/applications/1002", "query": b"a=1&a=2"},
    {"path": "/applications/1002", "method": "HEAD"},
    {"path": "/all"},
    {"path": "/empty/1002"},
    {"path": "/applications", **post(FORM)},
    {"path": "/echoed", "method": "POST", "body": [b"one", b"two", b""]},
    {"path": "/slow"},
    {"path": "/several"},
    {"path": "/several", "method": "DELETE"},
    {"path": "/several", "method": "PUT"},
    {"path": "/several", "method": "OPTIONS"},
    {"path": "/in/applications/1002"},
    {"path": "/in/there"},
    {"path": "/in/nowhere"},
    {"path": "/static/page.txt"},
    {"path": "/static/nowhere.txt"},
    {"path": "/static/page.txt", "method": "POST"},
    {"path": "/nowhere"},
    {"path": "/applications/x"},
    {"path": "/applications/1002", "method": "DELETE"},
    {"path": "/applications/1002", "method": "OPTIONS"},
    {"path": "/slash"},
    {"path": "/applications/1002/"},
    {"path": "/slow", "headers": [(b"host", b"x/docs#"), (b"x", b"1"), (b"X", b"2")]},
]


def name(request: dict[str, Any]) -> str:
    return f"{request.get('method', 'GET')} {request['path']}"


def tidy(answered: Answered) -> list[dict[str, Any]]:
    """The messages, without what differs between any two answers of one program."""
    for one in answered.messages:
        if one["type"] == "http.response.start":
            one["headers"] = [
                (key, b"; ".join(sorted(value.split(b", "))) if key == b"allow" else value)
                for key, value in one["headers"]
            ]
    return answered.messages


@pytest.mark.parametrize("request_", REQUESTS, ids=name)
def test_wrapped_it_answers_message_by_message_as_it_is(both: Both, request_: dict[str, Any], backend: str) -> None:
    plain, wrapped = both
    assert tidy(get(wrapped, **request_, backend=backend)) == tidy(get(plain, **request_, backend=backend))


def test_what_an_endpoint_raises_on_a_public_route_is_the_program_s(both: Both, backend: str) -> None:
    for app in both:
        sent: list[dict[str, Any]] = []
        with pytest.raises(ValueError, match="not for the client"):
            get(app, "/failing", backend=backend, sent=sent)
        assert [one["status"] for one in sent[:1]] == [500]
        assert sent[1]["body"] == b"Internal Server Error"


def test_the_program_gets_the_scope_that_the_server_made(tmp_path: Path, allowing: UnsafeGuard) -> None:
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope)
        await Response(ROW, media_type="application/json")(scope, receive, send)

    guarded = GuardMiddleware(app, allowing, as_lin, written(tmp_path, {ONE: GUARDED, "GET /p": PUBLIC}))
    for path in ("/applications/1002", "/p"):
        scope = scope_of(path=path)

        async def call(scope: dict[str, Any] = scope) -> None:
            async def send(message: Any) -> None: ...

            await guarded(scope, None, send)  # type: ignore[arg-type]  # nothing is received

        anyio.run(call)
        assert seen.pop() is scope


def test_streaming_on_a_public_route_is_not_held_back(tmp_path: Path, allowing: UnsafeGuard, backend: str) -> None:
    sent: list[bytes] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for part in (b"one", b"two"):
            await send({"type": "http.response.body", "body": part, "more_body": True})
            assert sent[-1] == part
        await send({"type": "http.response.body", "body": b""})

    async def send(message: Any) -> None:
        sent.append(message.get("body"))

    guarded = GuardMiddleware(app, allowing, as_lin, written(tmp_path, {"GET /slow": PUBLIC}))
    anyio.run(guarded, scope_of(path="/slow"), None, send, backend=backend)
    assert sent == [None, b"one", b"two", b""]


def test_the_application_starts_and_stops_as_it_does(tmp_path: Path, allowing: UnsafeGuard, backend: str) -> None:
    from contextlib import asynccontextmanager

    told: list[str] = []

    @asynccontextmanager
    async def life(app: Any) -> AsyncIterator[dict[str, Any]]:
        told.append("up")
        yield {"pool": 1}
        told.append("down")

    app = application(tmp_path, lifespan=life)
    app.add_middleware(GuardMiddleware, guard=allowing, identify=as_lin, routes=written(tmp_path, SAID))
    said = anyio.run(live, app, backend=backend)
    assert [one["type"] for one in said] == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert told == ["up", "down"]


def test_a_public_websocket_is_spoken_to_as_it_is(both: Both) -> None:
    from starlette.websockets import WebSocketDisconnect

    for app in both:
        with TestClient(app) as client, client.websocket_connect("/talk", subprotocols=["chat"]) as socket:
            assert socket.accepted_subprotocol == "chat"
            socket.send_text("hello")
            assert socket.receive_text() == "hello"
            with pytest.raises(WebSocketDisconnect) as gone:
                socket.receive_text()
            assert (gone.value.code, gone.value.reason) == (1001, "gone")


def test_a_websocket_that_nobody_serves_is_closed_as_by_the_router(both: Both) -> None:
    from starlette.websockets import WebSocketDisconnect

    for app in both:
        with TestClient(app) as client, pytest.raises(WebSocketDisconnect), client.websocket_connect("/nowhere"):
            pass


def test_a_client_that_goes_away_is_seen_by_the_program(tmp_path: Path, allowing: UnsafeGuard, backend: str) -> None:
    seen: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        message = await receive()
        while message["type"] != "http.disconnect":
            seen.append(f"{message['body'].decode()} {message['more_body']}")
            message = await receive()
        seen.append("gone")

    form = {"purpose": "loan_underwriting", "request": {}, "subject": {"body": "/customer_id"}}
    said = {ONE: GUARDED, "POST /applications": form}
    guarded = GuardMiddleware(app, allowing, as_lin, written(tmp_path, said))
    get(guarded, "/applications/1002", gone=True, backend=backend)
    assert seen == [" False", "gone"]
    seen.clear()
    answered = get(guarded, "/applications", **post(FORM), gone=True, backend=backend)
    assert seen == [f"{FORM.decode()} False", "gone"]
    assert not answered.started


def test_a_task_after_the_answer_runs_after_it(tmp_path: Path, allowing: UnsafeGuard) -> None:
    told: list[str] = []

    async def endpoint(request: Request) -> Response:
        return Response(ROW, media_type="application/json", background=BackgroundTask(told.append, "after"))

    app = Starlette(routes=[Route("/applications/{customer_id}", endpoint)])
    app.add_middleware(GuardMiddleware, guard=allowing, identify=as_lin, routes=written(tmp_path, {ONE: GUARDED}))
    assert get(app, "/applications/1002").body == ROW
    assert told == ["after"]


def test_it_stands_inside_compression(tmp_path: Path, allowing: UnsafeGuard) -> None:
    app = application(tmp_path)
    app.add_middleware(GuardMiddleware, guard=allowing, identify=as_lin, routes=written(tmp_path, SAID))
    app.add_middleware(GZipMiddleware, minimum_size=10)
    answered = get(app, "/applications/1002", headers=[(b"accept-encoding", b"gzip")])
    assert answered.header("content-encoding") == ["gzip"]
    assert gzip.decompress(answered.body) == ROW


def test_a_file_on_a_guarded_route_comes_through_the_gate(tmp_path: Path, allowing: UnsafeGuard) -> None:
    """A server that sends files by itself would send them past the guard."""
    (tmp_path / "row.json").write_bytes(ROW)
    app = Starlette(routes=[Route("/applications/{customer_id}", partial(sending, tmp_path / "row.json"))])
    app.add_middleware(GuardMiddleware, guard=allowing, identify=as_lin, routes=written(tmp_path, {ONE: GUARDED}))
    extensions = {"http.response.pathsend": {}, "http.response.zerocopysend": {}, "tls": {"version": 1}}
    answered = get(app, "/applications/1002", extensions=extensions)
    assert answered.body == ROW
    assert {one["type"] for one in answered.messages} == {"http.response.start", "http.response.body"}


async def sending(path: Path, request: Request) -> Response:
    return FileResponse(path, media_type="application/json")


def test_a_program_of_another_framework_is_served_by_its_templates(tmp_path: Path, allowing: UnsafeGuard) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        response = JSONResponse({"customer_id": int(scope["path"].rsplit("/", 1)[1]), "x": 1})
        await response(scope, receive, send)

    said = {"GET /applications/{customer_id:int}": GUARDED, "GET /p/{path:path}": PUBLIC}
    guarded = GuardMiddleware(app, allowing, as_lin, written(tmp_path, said))
    assert get(guarded, "/applications/1002").json == {"customer_id": 1002}
    assert get(guarded, "/applications/1002", method="HEAD").status == 200
    assert get(guarded, "/api/applications/1002", root_path="/api").json == {"customer_id": 1002}
    assert get(guarded, "/p/a/5").json == {"customer_id": 5, "x": 1}
    for path in ("/applications/x", "/applications/1002/", "//applications/1002", "/other/5", "/p"):
        assert get(guarded, path).rules == ["GUARD-ROUTE"], path
    assert get(guarded, "/applications/1002", method="POST").rules == ["GUARD-ROUTE"]


def test_sync_endpoints_see_the_context_too(tmp_path: Path, allowing: UnsafeGuard, backend: str) -> None:
    seen: list[Any] = []

    def endpoint(request: Request) -> Response:
        acting = allowing.current()
        assert request.scope["guard"] is acting
        seen.append((acting.actor.id, acting.subject, acting.purpose))
        return JSONResponse({"customer_id": 1002})

    app = Starlette(routes=[Route("/applications/{customer_id}", endpoint)])
    app.add_middleware(GuardMiddleware, guard=allowing, identify=as_lin, routes=written(tmp_path, {ONE: GUARDED}))
    assert get(app, "/applications/1002", backend=backend).status == 200
    assert seen == [("officer-lin", "1002", "loan_underwriting")]
