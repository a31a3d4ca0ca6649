"""Under a policy that allows everything a guarded application cannot be told from the same one without guard."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import asgi_talks
import pytest
from asgi_talks import App, Noted, Talk
from starlette.datastructures import MutableHeaders
from starlette.middleware.base import BaseHTTPMiddleware

from guard import Actor, testing
from guard.demo import bank
from guard.errors import UnsafeWarning
from guard_asgi import GuardMiddleware

CLERK = Actor(id="clerk", roles=("loan_officer",))

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


@pytest.fixture(scope="module")
def guard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[testing.UnsafeGuard]:
    """A guard whose policies allow everything."""
    place = tmp_path_factory.mktemp("guard")
    bank.build(place)
    (place / "catalogue.yaml").write_text(asgi_talks.CATALOGUE, "utf-8")
    (place / "routes.yaml").write_text(asgi_talks.ROUTES, "utf-8")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnsafeWarning)
        with testing.unsafe_guard(place / "guard.yaml", place / "test") as made:
            yield made


@pytest.fixture
def guarded(guard: testing.UnsafeGuard, folder: Path) -> Callable[..., Noted]:
    """Makes the application with the guard before it."""

    def make(**more: Any) -> Noted:
        made = Noted(folder, **more)
        routes = guard.settings.catalogue.with_name("routes.yaml")
        made.app.add_middleware(GuardMiddleware, guard=guard, identify=lambda _: CLERK, routes=routes)
        return made

    return make


@pytest.mark.parametrize("name", [*asgi_talks.GUARDED, *asgi_talks.PUBLIC])
def test_a_guarded_application_is_not_told(name: str, guard: Any, guarded: Any, folder: Path, loop: str) -> None:
    talk = {**asgi_talks.GUARDED, **asgi_talks.PUBLIC}[name]
    before = len(guard.registered.drafts)
    assert told(talk, guarded(), loop) == told(talk, Noted(folder), loop)
    registered = {draft.kind for draft in guard.registered.drafts[before:]}
    assert bool(registered) == (name in asgi_talks.GUARDED)
    assert "denied" not in registered


@pytest.mark.parametrize("failing", ["startup", "shutdown"])
def test_a_guarded_application_fails_to_start_and_to_stop_as_it_did(
    failing: str, guarded: Any, folder: Path, loop: str
) -> None:
    def life() -> Talk:
        return asgi_talks.life("startup", "shutdown")

    account, _ = told(life, guarded(failing=failing), loop)
    assert account == told(life, Noted(folder, failing=failing), loop)[0]
    assert account["sent"][-1]["type"] == f"lifespan.{failing}.failed"


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


def seen(middleware: Any, folder: Path, loop: str, names: set[str], within: float = 1) -> set[str]:
    """By which conversations a middleware is told."""
    found = set()
    for name in names:
        with_it = Noted(folder)
        with_it.app.add_middleware(middleware)
        expected = told(asgi_talks.PUBLIC[name], Noted(folder), loop)
        try:
            same = told(asgi_talks.PUBLIC[name], with_it, loop, within) == expected
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
    assert seen(Before, folder, loop, set(asgi_talks.PUBLIC), within=10) == set()
