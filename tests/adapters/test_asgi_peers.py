"""Ways around other products of this kind: none of them is one around this."""

from __future__ import annotations

import ast
import json
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import pytest
from asgi_world import (
    CHEN,
    GUARDED,
    ONE,
    PUBLIC,
    PURPOSE,
    SOURCE,
    allowing,
    as_lin,
    ask,
    deciding,
    documents,
    get,
    written,
)
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

import guard_asgi
from guard.errors import ConfigError, Misuse, Refused
from guard.model import Activity
from guard.testing import UnsafeGuard, allow_all, deny
from guard_asgi import GuardMiddleware

__all__ = ["allowing", "documents"]

ran: list[str] = []


@pytest.fixture(autouse=True)
def nothing_ran() -> None:
    ran.clear()


async def secret(request: Request) -> Response:
    ran.append(request.method)
    return JSONResponse({"customer_id": 1002, "secret": "SECRET"})


class Handlers(HTTPEndpoint):
    async def get(self, request: Request) -> Response:
        return await secret(request)

    async def options(self, request: Request) -> Response:
        return await secret(request)


async def talk(websocket: WebSocket) -> None:
    ran.append("websocket")
    await websocket.accept()


@pytest.fixture
def denying(documents: Path, tmp_path: Path) -> Iterator[UnsafeGuard]:
    with deciding(documents, tmp_path, deny("PI-02")) as guard:
        yield guard


def application(guard: UnsafeGuard, folder: Path, routes: list[Any], said: dict[str, Any], **more: Any) -> Starlette:
    app = Starlette(routes=routes)
    app.add_middleware(GuardMiddleware, **{"guard": guard, "identify": as_lin, "routes": written(folder, said), **more})
    return app


HOSTS = [
    b"x/docs#",
    b"x/docs?",
    b"bank/docs",
    b"x@bank/docs#",
    b"[::1]/docs#",
    b"bank:80/docs#",
    b"\xff",
    b"",
    b"/docs",
]


@pytest.mark.parametrize("host", HOSTS)
def test_a_host_header_is_no_path(denying: UnsafeGuard, tmp_path: Path, host: bytes) -> None:
    """Where the URL is put together of Host and path, `Host: x/docs#` made the path /docs, which was skipped."""
    routes = [Route("/applications/{customer_id}", secret), Route("/docs", secret)]
    app = application(denying, tmp_path, routes, {ONE: GUARDED, "GET /docs": PUBLIC})
    scope = {"headers": [(b"host", host)], "server": None}
    answered = get(app, "/applications/1002", **scope)
    assert answered.rules == ["PI-02"]
    assert b"SECRET" not in answered.body
    for path in ("/applications/1002", "/docs/../applications/1002", "/docs/%2e%2e/applications/1002"):
        again = get(
            app, path, **{**scope, "headers": [(b"host", b"bank"), (b"host", host), (b"x-forwarded-prefix", host)]}
        )
        assert b"SECRET" not in again.body


@pytest.mark.parametrize(
    "path",
    ["/docs-private", "/docs/private", "/docs/", "//docs", "/docs;x", "/docs%2f", "/docs\0", "/DOCS", "/ docs", ""],
)
def test_what_begins_like_a_public_route_is_none(denying: UnsafeGuard, tmp_path: Path, path: str) -> None:
    """Where exceptions are prefixes, /docs-private is skipped with /docs."""
    routes = [Route("/docs", secret), Route("/{customer_id:path}", secret)]
    said = {"GET /docs": PUBLIC, "GET /{customer_id}": {**GUARDED, "source": SOURCE}}
    answered = get(application(denying, tmp_path, routes, said), path)
    assert b"SECRET" not in answered.body
    assert answered.status in {307, 403, 404}
    with pytest.raises(ConfigError, match="GET /docs-private is not declared"):
        get(application(denying, tmp_path, [routes[0], Route("/docs-private", secret)], {"GET /docs": PUBLIC}), "/docs")


def test_options_is_a_method_like_all(denying: UnsafeGuard, tmp_path: Path) -> None:
    """Where OPTIONS is let through for browsers, it reaches every endpoint that takes it."""
    routes = [Route("/applications/{customer_id}", secret, methods=["GET", "OPTIONS"])]
    with pytest.raises(ConfigError, match=r"OPTIONS /applications/\{customer_id\} is not declared"):
        get(application(denying, tmp_path, routes, {ONE: GUARDED}), "/applications/1002")
    with pytest.raises(ConfigError, match=r"OPTIONS /applications/\{customer_id\} is not declared"):
        get(application(denying, tmp_path, [Route("/applications/{customer_id}", Handlers)], {ONE: GUARDED}), "/")
    said = {ONE: GUARDED, "OPTIONS /applications/{customer_id}": {**GUARDED, "source": SOURCE}}
    for declared in (routes, [Route("/applications/{customer_id}", Handlers)]):
        answered = get(application(denying, tmp_path, declared, said), "/applications/1002", method="OPTIONS")
        assert answered.rules == ["PI-02"]
    ran.clear()
    only_get = application(denying, tmp_path, [Route("/applications/{customer_id}", secret)], {ONE: GUARDED})
    assert get(only_get, "/applications/1002", method="OPTIONS").status == 405
    assert ran == []


@pytest.mark.parametrize("method", ["HEAD", "TRACE", "CONNECT", "PROPFIND", "FOO"])
def test_no_method_is_overlooked(denying: UnsafeGuard, tmp_path: Path, method: str) -> None:
    async def any_method(scope: Any, receive: Any, send: Any) -> None:
        ran.append(method)
        await JSONResponse({"secret": "SECRET"})(scope, receive, send)

    class Whole:
        __call__ = staticmethod(any_method)

    app = application(denying, tmp_path, [Route("/applications/{customer_id}", Whole())], {ONE: GUARDED})
    answered = get(app, "/applications/1002", method=method)
    assert answered.status == 403
    assert b"SECRET" not in answered.body
    assert ran == ([] if method != "HEAD" else ["HEAD"])


def test_a_websocket_is_a_connection_like_all(denying: UnsafeGuard, tmp_path: Path) -> None:
    """Where only requests were thought of, a websocket ends in an AssertionError, or in the application."""
    with pytest.raises(ConfigError, match="WEBSOCKET /talk is not declared"):
        get(
            application(denying, tmp_path, [WebSocketRoute("/talk", talk), Route("/p", secret)], {"GET /p": PUBLIC}),
            "/p",
        )
    app = application(denying, tmp_path, [Route("/p", secret)], {"GET /p": PUBLIC})
    assert get(app, "/p").status == 200
    app.router.routes.append(WebSocketRoute("/talk", talk))
    with TestClient(app) as client, pytest.raises((WebSocketDisconnect, ConfigError)):
        client.websocket_connect("/talk").__enter__()
    assert "websocket" not in ran


def test_a_websocket_that_another_endpoint_takes_is_closed(denying: UnsafeGuard, tmp_path: Path) -> None:
    async def quiet(websocket: WebSocket) -> None:
        try:
            await talk(websocket)
        except Refused:
            return

    for other in (talk, quiet):
        app = application(denying, tmp_path, [WebSocketRoute("/open", secret)], {"WEBSOCKET /open": PUBLIC})
        assert get(app, "/nowhere").status == 404
        app.router.routes.insert(0, WebSocketRoute("/{path:path}", other))
        with TestClient(app) as client, pytest.raises(WebSocketDisconnect) as closed:
            client.websocket_connect("/open").__enter__()
        assert closed.value.code == 1008


def test_a_public_endpoint_that_catches_its_refusal_answers_nothing(denying: UnsafeGuard, tmp_path: Path) -> None:
    async def quiet(scope: Any, receive: Any, send: Any) -> None:
        scope["path"] = "/applications/1002"
        with suppress(Refused):
            await JSONResponse({"secret": "SECRET"})(scope, receive, send)

    app = application(denying, tmp_path, [Mount("/plain", app=quiet)], {"GET /plain/{path}": PUBLIC})
    assert get(app, "/plain/x").rules == ["GUARD-ROUTE"]


def test_a_websocket_of_an_application_without_routes_is_closed(denying: UnsafeGuard, tmp_path: Path) -> None:
    async def plain(scope: Any, receive: Any, send: Any) -> None:
        ran.append(scope["type"])
        await send({"type": "websocket.accept"})

    app = GuardMiddleware(plain, denying, as_lin, written(tmp_path, {ONE: GUARDED}))
    sent: list[Any] = []

    async def call() -> None:
        async def send(message: Any) -> None:
            sent.append(message)

        await app({"type": "websocket", "path": "/talk", "query_string": b"", "headers": []}, None, send)  # type: ignore[arg-type]  # nothing is received

    anyio.run(call)
    assert sent == [{"type": "websocket.close", "code": 1008, "reason": ""}]
    assert ran == []


def test_whatever_fails_denies(allowing: UnsafeGuard, tmp_path: Path) -> None:
    """Where a failing engine is meant to be survived, a denial is survived too."""

    def broken(scope: Any) -> Any:
        raise OSError("the directory of users is down")

    app = application(
        allowing, tmp_path, [Route("/applications/{customer_id}", secret)], {ONE: GUARDED}, identify=broken
    )
    sent: list[Any] = []
    with pytest.raises(Misuse, match=r"identify\(scope\) raised OSError\. .* gives None where nobody") as raised:
        get(app, "/applications/1002", sent=sent)
    assert str(raised.value.__cause__) == "the directory of users is down"
    assert (sent[0]["status"], ran) == (500, [])
    assert json.loads(sent[1]["body"]) == {"type": "about:blank", "title": "Internal Server Error", "status": 500}


def test_what_identify_refuses_is_refused(allowing: UnsafeGuard, tmp_path: Path) -> None:
    async def retired(scope: Any) -> Any:
        raise Refused.own("GUARD-ACTOR", "This account is closed.")

    routes: list[BaseRoute] = [Route("/applications/{customer_id}", secret)]
    app = application(allowing, tmp_path, routes, {ONE: GUARDED}, identify=retired)
    answered = get(app, "/applications/1002")
    assert (answered.status, answered.rules, ran) == (403, ["GUARD-ACTOR"], [])


def test_a_client_names_neither_purpose_nor_actor(allowing: UnsafeGuard, tmp_path: Path) -> None:
    app = application(allowing, tmp_path, [Route("/applications/{customer_id}", secret)], {ONE: GUARDED})
    names = (b"purpose", b"x-purpose", b"guard-purpose", b"guard-actor", b"x-user", b"guard-subject")
    assert get(app, "/applications/1002", headers=[(name, CHEN.id.encode()) for name in names]).status == 200
    assert [one.actor.id for one in allowing.registered.drafts] == ["officer-lin"]


def test_a_slow_decision_holds_nobody_else_up(documents: Path, tmp_path: Path) -> None:
    """Where the engine is asked on the event loop, one slow answer stops the server."""
    asked, goes_on = threading.Event(), threading.Event()

    def slow(activity: Activity) -> dict[str, Any]:
        asked.set()
        assert goes_on.wait(30)
        return allow_all(activity)

    with deciding(documents, tmp_path, slow) as guard:
        routes = [Route("/applications/{customer_id}", secret), Route("/p", secret)]
        app = application(guard, tmp_path, routes, {ONE: GUARDED, "GET /p": PUBLIC})
        order: list[str] = []

        async def one(path: str) -> None:
            await ask(app, path=path)
            order.append(path)

        async def run() -> None:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(one, "/applications/1002")
                await anyio.to_thread.run_sync(asked.wait)
                await one("/p")
                goes_on.set()

        anyio.run(run)
        assert order == ["/p", "/applications/1002"]


def test_it_is_no_base_http_middleware() -> None:
    """Which alone costs twenty times a middleware that passes through, and reads the body on its own."""
    for path in Path(guard_asgi.__file__).parent.glob("*.py"):
        names = {node.id for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Name)}
        assert "BaseHTTPMiddleware" not in names, path


def test_a_purpose_is_no_path(allowing: UnsafeGuard, tmp_path: Path) -> None:
    said = {"GET /{customer_id}": {"purpose": PURPOSE, "source": SOURCE}}
    app = application(allowing, tmp_path, [Route("/{customer_id}", secret)], said)
    assert get(app, "/marketing").json == {"customer_id": 1002}
    assert allowing.registered.find(purpose=PURPOSE)
