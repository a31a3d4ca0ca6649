"""One HTTP request to an application in this process, and what came of it."""

from __future__ import annotations

import msgspec
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from guard.errors import Refused
from guard.model import Outcome, Reason


class Answer(msgspec.Struct, frozen=True):
    """The status, the outcome of the request's first operation, and why it was refused."""

    status: int
    outcome: Outcome | None
    refused: Refused | None


class Tap:
    """Middleware that keeps what the application receives."""

    def __init__(self, app: ASGIApp, seen: list[bytes]) -> None:
        self._app = app
        self._seen = seen

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""

        async def received() -> Message:
            message = await receive()
            if message["type"] == "http.request":
                self._seen.append(message["body"])
            return message

        await self._app(scope, received, send)


async def post(app: ASGIApp, path: str, who: str, body: bytes) -> Answer:
    """A POST of JSON, signed in as `who`, as a server would hand it to the application."""
    scope: Scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [
            (b"host", b"bank.example"),
            (b"authorization", f"Bearer {who}".encode()),
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
        ],
        "server": ("bank.example", 80),
        "client": ("127.0.0.1", 1),
    }
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, send)
    status: int = sent[0]["status"]
    outcomes = scope["guard"].outcomes if "guard" in scope else ()
    answered = b"".join(one.get("body", b"") for one in sent)
    return Answer(status, outcomes[0] if outcomes else None, _refused(answered) if status >= 400 else None)


def _refused(body: bytes) -> Refused:
    """The refusal that Problem Details tell."""
    told = msgspec.json.decode(body)
    return Refused(tuple(Reason(rule=rule) for rule in told.get("rules", ())), detail=told.get("detail"))
