"""Under a policy that allows everything a guarded application cannot be told from the same one without guard."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import asgi_talks
import pytest
from asgi_talks import App, Noted, Talk
from starlette.datastructures import MutableHeaders
from starlette.middleware.base import BaseHTTPMiddleware

Account = tuple[dict[str, Any], list[Any]]


@pytest.fixture(params=["asyncio", "trio"])
def loop(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("static")
    (made / "page.txt").write_text("hello")
    return made


def told(talk: Callable[[], Talk], noted: Noted, loop: str, within: float = 10) -> Account:
    """What the client and the application saw of one conversation."""

    async def run() -> Account:
        account = await talk().account(noted.app, within)
        return account, noted.notes

    return anyio.run(run, backend=loop)


# --- What would be told ---------------------------------------------------------------------------


class Before:
    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)


class CopyScope(Before):
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(dict(scope), receive, send)


class HttpOnly(Before):
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await self.app(scope, receive, send)


class DedupHeaders(Before):
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def sent(message: Any) -> None:
            if "headers" in message:
                message = {**message, "headers": list(dict(message["headers"]).items())}
            await send(message)

        await self.app(scope, receive, sent)


class BufferAll(Before):
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        held: list[Any] = []

        async def sent(message: Any) -> None:
            held.append(message)

        await self.app(scope, receive, sent)
        for message in held:
            await send(message)


class ReplayForever(Before):
    """Once the last part of the body was received, there is nothing else any more: nobody is ever gone."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        last: list[Any] = []

        async def received() -> Any:
            message = last[0] if last else await receive()
            if not message.get("more_body"):
                last.append(message)
            await anyio.lowlevel.checkpoint()
            return message

        await self.app(scope, received, send)


class JoinedBody(Before):
    """The whole request is read before the application is asked."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", scope["type"] == "http"
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        first = [{"type": "http.request", "body": body, "more_body": False}] if scope["type"] == "http" else []

        async def received() -> Any:
            return first.pop() if first else await receive()

        await self.app(scope, received, send)


class Swallows(Before):
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        with contextlib.suppress(RuntimeError):
            await self.app(scope, receive, send)


class NoExtensions(Before):
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        scope["extensions"] = {}
        await self.app(scope, receive, send)


class SaysSo(Before):
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def sent(message: Any) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["x-guarded"] = "1"
            await send(message)

        await self.app(scope, receive, sent)


class Awaits(BaseHTTPMiddleware):
    async def dispatch(self, request: Any, call_next: Any) -> Any:
        return await call_next(request)


TELLING: dict[type, set[str]] = {
    CopyScope: {"plain", "a converter", "under a mount", "a websocket"},
    HttpOnly: {"a websocket", "a lifespan"},
    DedupHeaders: {"headers twice", "a websocket"},
    BufferAll: {"a stream", "work afterwards"},
    ReplayForever: {"a stream that nobody takes, by an older server", "a websocket"},
    JoinedBody: {"an upload in parts", "a client that leaves"},
    Swallows: {"an exception", "an exception in the middle", "a websocket that fails"},
    NoExtensions: {"a file by the server", "a push", "a websocket that is refused"},
    SaysSo: {"plain", "nowhere", "a stream"},
    Awaits: {"a push", "an answer that is raised"},
}


def seen(middleware: Any, folder: Path, loop: str, names: set[str]) -> set[str]:
    """By which conversations a middleware is told."""
    found = set()
    for name in names:
        with_it = Noted(folder)
        with_it.app.add_middleware(middleware)
        expected = told(asgi_talks.PUBLIC[name], Noted(folder), loop)
        try:
            same = told(asgi_talks.PUBLIC[name], with_it, loop, within=1) == expected
        except Exception:  # noqa: BLE001 -- a middleware that hangs or fails is told, too
            same = False
        if not same:
            found.add(name)
    return found


@pytest.mark.parametrize("middleware", TELLING, ids=lambda one: one.__name__)
def test_a_middleware_that_changes_something_is_told(middleware: Any, folder: Path, loop: str) -> None:
    names = TELLING[middleware]
    assert seen(middleware, folder, loop, names) == names


def test_a_middleware_that_changes_nothing_is_not_told(folder: Path, loop: str) -> None:
    assert seen(Before, folder, loop, set(asgi_talks.PUBLIC)) == set()
