"""Against a server that runs: what only a connection shows."""

from __future__ import annotations

import json
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
import uvicorn
from asgi_world import GUARDED, ONE, PUBLIC, PURPOSE, SOURCE, allowing, as_lin, documents, written
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from guard.context import Acting
from guard.testing import UnsafeGuard
from guard_asgi import GuardMiddleware

__all__ = ["allowing", "documents"]


class Bank:
    """An application that notes what happens to it."""

    def __init__(self, guard: UnsafeGuard, folder: Path) -> None:
        self.seen: list[str] = []
        self.acting: list[Acting] = []
        self.waiting = threading.Event()
        self.app = Starlette(
            routes=[
                Route("/applications/{customer_id}", self.one),
                Route("/waits/{customer_id}", self.waits),
                Route("/streams/{customer_id}", self.streams),
                Route("/applications", self.take, methods=["POST"]),
                Route("/slow", self.slow),
            ]
        )
        form = {"purpose": PURPOSE, "subject": {"body": "/customer_id"}, "request": {}}
        said = {
            ONE: GUARDED,
            "GET /waits/{customer_id}": {**GUARDED, "source": SOURCE},
            "GET /streams/{customer_id}": {**GUARDED, "source": SOURCE},
            "POST /applications": form,
            "GET /slow": PUBLIC,
        }
        self.app.add_middleware(GuardMiddleware, guard=guard, identify=as_lin, routes=written(folder, said))

    async def one(self, request: Request) -> Response:
        return JSONResponse({"customer_id": 1002, "x": "SECRET"})

    async def waits(self, request: Request) -> Response:
        self.acting.append(request.scope["guard"])
        self.waiting.set()
        while not await request.is_disconnected():  # noqa: ASYNC110 — what the server says is no event
            await anyio.sleep(0.01)
        self.seen.append("gone")
        return JSONResponse({"customer_id": 1002})

    async def streams(self, request: Request) -> Response:
        async def parts() -> Any:
            try:
                self.acting.append(request.scope["guard"])
                self.waiting.set()
                yield b"["
                await anyio.sleep(60)
            finally:
                self.seen.append("stopped")

        return StreamingResponse(parts(), media_type="application/json")

    async def take(self, request: Request) -> Response:
        self.seen.append((await request.body()).decode())
        return Response(status_code=204)

    async def slow(self, request: Request) -> Response:
        async def parts() -> Any:
            for number in range(3):
                yield f"{number};".encode()

        return StreamingResponse(parts())


class Live:
    def __init__(self, bank: Bank, port: int) -> None:
        self.bank = bank
        self.port = port
        self.url = f"http://127.0.0.1:{port}"

    def raw(self, *parts: bytes, close: bool = True) -> bytes:
        """What comes back for bytes on a connection; closed before the answer where it is not waited for."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as connection:
            for part in parts:
                connection.sendall(part)
            if close:
                return b""
            found = b""
            while part := connection.recv(65_536):
                found += part
            return found


@pytest.fixture
def live(allowing: UnsafeGuard, tmp_path: Path) -> Iterator[Live]:
    bank = Bank(allowing, tmp_path)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        config = uvicorn.Config(bank.app, log_level="critical", loop="asyncio", ws="none", timeout_graceful_shutdown=5)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [taken]})
        thread.start()
        until(lambda: server.started)
        yield Live(bank, taken.getsockname()[1])
        server.should_exit = True
        thread.join(30)
    assert not thread.is_alive()


def until(condition: Callable[[], Any]) -> None:
    for _ in range(3000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("it did not come about")


def test_a_connection_is_kept_over_several_answers(live: Live) -> None:
    with httpx.Client(base_url=live.url) as client:
        for _ in range(2):
            got = client.get("/applications/1002")
            assert got.json() == {"customer_id": 1002}
            head = client.head("/applications/1002")
            assert head.headers["content-length"] == str(len(got.content))
            assert client.get("/slow").text == "0;1;2;"
            assert client.post("/applications", json={"customer_id": 1, "x": 2}).status_code == 204
            assert (
                client.post("/applications", content=b"{", headers={"content-type": "application/json"}).status_code
                == 400
            )
            assert client.get("/nowhere").text == "Not Found"
    assert live.bank.seen == ['{"customer_id":1}'] * 2


def test_a_truncated_body_reaches_nobody(live: Live) -> None:
    head = b"POST /applications HTTP/1.1\r\nhost: bank\r\ncontent-type: application/json\r\n"
    live.raw(head + b"content-length: 100\r\n\r\n", b'{"customer_id":1}')
    live.raw(head + b"transfer-encoding: chunked\r\n\r\n", b'11\r\n{"customer_id":1}\r\n')
    whole = head + b"transfer-encoding: chunked\r\nconnection: close\r\n\r\n" + b'11\r\n{"customer_id":2}\r\n0\r\n\r\n'
    assert b" 204 " in live.raw(whole, close=False)
    assert live.bank.seen == ['{"customer_id":2}']


def test_a_chunked_body_over_the_bound_is_answered_while_it_comes(live: Live) -> None:
    head = b"POST /applications HTTP/1.1\r\nhost: bank\r\nconnection: close\r\n"
    head += b"content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
    chunk = b"40000\r\n" + b" " * 0x40000 + b"\r\n"
    answered = live.raw(head, *[chunk] * 4, b"1\r\n \r\n", close=False)  # and more could follow
    assert b" 413 " in answered.partition(b"\r\n")[0]
    assert json.loads(answered.partition(b"\r\n\r\n")[2])["rules"] == ["GUARD-BODY-SIZE"]
    assert live.bank.seen == []


@pytest.mark.parametrize(("path", "said"), [("/waits/1002", "gone"), ("/streams/1002", "stopped")])
def test_a_client_that_goes_away_is_noticed_and_the_context_ends(live: Live, path: str, said: str) -> None:
    with socket.create_connection(("127.0.0.1", live.port)) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nhost: bank\r\n\r\n".encode())
        assert live.bank.waiting.wait(30)
        assert live.bank.acting[0].open
    until(lambda: live.bank.seen == [said])
    until(lambda: not live.bank.acting[0].open)


def test_a_server_does_not_start_with_what_is_wrong(
    allowing: UnsafeGuard, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    app = Starlette(routes=[Route("/p", lambda _: Response())])
    app.add_middleware(GuardMiddleware, guard=allowing, routes=written(tmp_path, {"GET /p": PUBLIC}))
    config = uvicorn.Config(app, port=0, log_config=None, loop="asyncio", ws="none")
    server = uvicorn.Server(config)
    with caplog.at_level(logging.ERROR, "uvicorn.error"), pytest.raises(SystemExit):
        server.run()
    assert not server.started
    assert "guard: GuardMiddleware takes identify=…" in caplog.text
    assert "Application startup failed" in caplog.text
