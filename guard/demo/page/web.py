"""Asks the bank's own web application, in this process, as a browser would: the same bytes in and out."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import anyio
import msgspec
from starlette.types import ASGIApp, Message

from guard.demo.page.asked import Asked
from guard.demo.page.choices import ROUTES

_SECONDS = 10.0


class Request(msgspec.Struct, frozen=True):
    """A request to the bank, signed in as the chosen actor."""

    method: str
    path: str
    headers: Mapping[str, str]
    form: Mapping[str, Any] | None = None

    @property
    def body(self) -> bytes:
        """The form as JSON."""
        return b"" if self.form is None else msgspec.json.encode(self.form)

    def text(self) -> str:
        """The request as it is written down."""
        head = "".join(f"\n{name}: {value}" for name, value in self.headers.items())
        return f"{self.method} {self.path}{head}" + (f"\n\n{_laid_out(self.body)}" if self.form else "")


class Reply(msgspec.Struct, frozen=True):
    """What came back."""

    status: int
    media: str
    body: bytes

    def document(self) -> dict[str, Any]:
        """Problem Details, empty where the reply is something else."""
        found = msgspec.json.decode(self.body) if self.media == "application/problem+json" else None
        return found if isinstance(found, dict) else {}

    def text(self) -> str:
        """The reply as it is written down."""
        head = f"{self.status} {HTTPStatus(self.status).phrase}" + (
            f"\ncontent-type: {self.media}" if self.media else ""
        )
        return f"{head}\n\n{_laid_out(self.body)}" if self.body else head


def request(asked: Asked) -> Request:
    """The request that a button stands for."""
    route = ROUTES[asked.do]
    headers = {"authorization": f"Bearer {asked.actor}", "accept-language": asked.lang}
    form = None
    if route.form is not None:
        headers["content-type"] = "application/json"
        form = {"customer_id": int(asked.person or 0), **route.form}
    return Request(route.method, route.path.format(asked.person), headers, form)


async def ask(app: ASGIApp, asked: Request, host: str) -> Reply:
    """Sends it, and takes the whole reply."""
    parts: list[bytes] = []
    start: Message = {}
    done = anyio.Event()
    body = [{"type": "http.request", "body": asked.body, "more_body": False}]

    async def receive() -> Message:
        if body:
            return body.pop()
        await done.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            start.update(message)
        elif message["type"] == "http.response.body":
            parts.append(message.get("body", b""))
            if not message.get("more_body", False):
                done.set()

    with anyio.fail_after(_SECONDS):
        await app(_scope(asked, host), receive, send)
    media = dict(start["headers"]).get(b"content-type", b"").decode("latin-1").partition(";")[0]
    return Reply(start["status"], media, b"".join(parts))


def _scope(asked: Request, host: str) -> dict[str, Any]:
    named = {"host": host, **asked.headers, "content-length": str(len(asked.body))}
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": asked.method,
        "scheme": "http",
        "path": asked.path,
        "raw_path": asked.path.encode("ascii"),
        "query_string": b"",
        "root_path": "",
        "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in named.items()],
        "client": ("127.0.0.1", 0),
        "server": ("127.0.0.1", 0),
        "state": {},
    }


def _laid_out(body: bytes) -> str:
    """JSON with a line for each member; anything else as text."""
    try:
        return msgspec.json.format(body, indent=2).decode()
    except (msgspec.DecodeError, UnicodeDecodeError):
        return body.decode("utf-8", "replace")
