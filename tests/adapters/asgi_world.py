"""What the tests of guard_asgi share: a caller that speaks plain ASGI, and guards to put in front of applications."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import anyio
import pytest

from guard import Actor, Guard
from guard.demo import bank
from guard.errors import UnsafeWarning
from guard.testing import Decide, UnsafeGuard, allow_all
from guard.testing import unsafe_guard as opened

LIN: Final = Actor(id="officer-lin", roles=("loan_officer",), unit="branch-3")
CHEN: Final = Actor(id="officer-chen", roles=("loan_officer",), unit="branch-3")
PURPOSE: Final = "loan_underwriting"
ONE: Final = "GET /applications/{customer_id}"
SOURCE: Final = f"bank:{ONE}"
JSON: Final = (b"content-type", b"application/json")

Headers = Sequence[tuple[bytes, bytes]]


class Answered:
    """What came back for one request."""

    def __init__(self, messages: list[dict[str, Any]]) -> None:
        self.messages = messages
        starts = [one for one in messages if one["type"] == "http.response.start"]
        self.started = bool(starts)
        self.status: int | None = starts[0]["status"] if starts else None
        self.headers: list[tuple[bytes, bytes]] = (
            [(bytes(k), bytes(v)) for k, v in starts[0]["headers"]] if starts else []
        )
        self.parts = [bytes(one.get("body", b"")) for one in messages if one["type"] == "http.response.body"]
        self.body = b"".join(self.parts)

    def header(self, name: str) -> list[str]:
        return [value.decode() for key, value in self.headers if key.lower() == name.encode()]

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def rules(self) -> list[str]:
        return self.json["rules"]

    @property
    def whole(self) -> tuple[Any, ...]:
        """All that a client can tell two answers apart by."""
        return (self.status, self.headers, self.body)


def scope_of(
    method: str = "GET", path: str = "/", *, query: bytes = b"", headers: Headers = (), **more: Any
) -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": query,
        "headers": [(b"host", b"bank"), *headers],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
        **more,
    }


async def ask(
    app: Any,
    method: str = "GET",
    path: str = "/",
    *,
    body: bytes | Sequence[bytes] = b"",
    cut: bool = False,
    gone: bool = False,
    sent: list[dict[str, Any]] | None = None,
    **more: Any,
) -> Answered:
    """One request. `body` in parts where it is a sequence.

    The client waits for the answer, unless it is `gone` after the request; `cut`: it goes before the last part.
    """
    scope = scope_of(method, path, **more)
    parts = [body] if isinstance(body, bytes) else list(body)
    messages = [
        {"type": "http.request", "body": part, "more_body": cut or number < len(parts)}
        for number, part in enumerate(parts, 1)
    ]
    out: list[dict[str, Any]] = [] if sent is None else sent

    async def receive() -> dict[str, Any]:
        if not messages and not (cut or gone):
            await anyio.sleep_forever()
        return messages.pop(0) if messages else {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        out.append(dict(message))

    await app(scope, receive, send)
    return Answered(out)


def post(value: Any, **more: Any) -> dict[str, Any]:
    """The keywords of a request with a JSON body."""
    written = value if isinstance(value, bytes) else json.dumps(value).encode()
    headers = [JSON, (b"content-length", str(len(written)).encode()), *more.pop("headers", ())]
    return {"method": "POST", "body": written, "headers": headers, **more}


def get(app: Any, path: str = "/", *, backend: str = "asyncio", **more: Any) -> Answered:
    """One request from a program that is not asynchronous."""
    return anyio.run(partial(ask, app, path=path, **more), backend=backend)


async def live(app: Any) -> list[dict[str, Any]]:
    """Starts an application and stops it again: what it says of both."""
    asked = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    said: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return asked.pop(0)

    async def send(message: dict[str, Any]) -> None:
        said.append(message)

    await app({"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, receive, send)
    return said


# --- Guards -----------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def documents(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example bank's guard.yaml, with what it names and a database."""
    return bank.build(tmp_path_factory.mktemp("bank"))


@contextmanager
def deciding(config: Path, folder: Path, decide: Decide = allow_all) -> Iterator[UnsafeGuard]:
    """A guard whose policies are a function."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnsafeWarning)
        with opened(config, folder, decide=decide) as guard:
            yield guard


@pytest.fixture
def allowing(documents: Path, tmp_path: Path) -> Iterator[UnsafeGuard]:
    """A guard that allows everything."""
    with deciding(documents, tmp_path) as guard:
        yield guard


@pytest.fixture(scope="session")
def consented(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example bank's folder, with its customers' consents."""
    folder = tmp_path_factory.mktemp("consented")
    with Guard.load(bank.build(folder)) as guard:
        bank.record(guard.consents)
    return folder


@pytest.fixture
def lawful(consented: Path, tmp_path: Path) -> Iterator[Guard]:
    """The example bank's own guard."""
    shutil.copytree(consented, tmp_path, dirs_exist_ok=True)
    with Guard.load(tmp_path / "guard.yaml") as guard:
        yield guard


def written(folder: Path, routes: Mapping[str, Any]) -> Path:
    """routes.yaml with these routes."""
    path = folder / "routes.yaml"
    lines = [f"  {json.dumps(name)}: {json.dumps(entry)}" for name, entry in routes.items()]
    path.write_text("\n".join(["version: 1", "routes:", *lines, ""]), "utf-8")
    return path


PUBLIC: Final[Mapping[str, Any]] = {"public": {"reason": "no persons in it", "owner": "web team"}}
GUARDED: Final[Mapping[str, Any]] = {"purpose": PURPOSE, "subject": {"path": "customer_id"}}


def as_lin(scope: Any) -> Actor:
    return LIN


Wrap = Callable[..., Any]
