"""Conversations with an application, message by message, and an account of each: two applications that give the same
accounts of all of them cannot be told apart from outside.

The application is one of Starlette with everything that it offers. Its routes under /people are guarded ones, in JSON;
all else is public. It notes what it meets inside, which is part of the account.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, TypeAlias

import anyio
import anyio.lowlevel
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Host, Mount, Route, Router, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket, WebSocketDisconnect

App: TypeAlias = Callable[[Any, Any, Any], Awaitable[None]]
Message: TypeAlias = dict[str, Any]
Wrap: TypeAlias = Callable[[Starlette], App]
"""What puts something before the application: through `add_middleware`, or around it."""

PERSON: Final = (
    b'{"customer_id": 1001,  "full_name":"\\u674e\xe6\x98\x8e", "income": 1.10, "big":123456789012345678901}'
)
PEOPLE: Final = (
    b"[" + PERSON + b' , {"customer_id":1002,"full_name":"\xe5\x91\xa8","pets":[{"name":"a"},{"name":"b"}]}]\n'
)

CATALOGUE: Final = """
version: "1"
sources:
  "bank:retail.customer":
    subjects: {holder: customer_id}
    fields: {customer_id: {category: pseudonym, type: integer}}
  "bank:people":
    subjects: {holder: /customer_id}
    fields:
      /customer_id: {category: pseudonym, type: integer}
      /full_name: {category: identity}
      /income: {category: income, type: number}
      /big: {category: income, type: integer}
      /pets/*/name: {category: household}
"""


def public(*routes: str) -> str:
    """Entries of these routes, each `METHOD /path`."""
    entry = '{public: {reason: "a test has no persons", owner: "tests"}}'
    return "\n".join(f'  "{route}": {entry}' for route in routes)


OPEN: Final = (
    *("GET /plain", "POST /plain", "GET /item/{number:int}", "GET /slash/", "GET /boom", "GET /late", "GET /teapot"),
    *("GET /stream", "GET /endless", "POST /upload", "POST /gone", "GET /background", "GET /redirect", "GET /cookies"),
    *("GET /state", "GET /file", "GET /hint", "PUT /many", "DELETE /many", "GET /inner/plain"),
    *("* /static/{path:path}", "WEBSOCKET /echo", "WEBSOCKET /refuse", "WEBSOCKET /early", "WEBSOCKET /fails"),
    "* /hosted/plain",
)

ROUTES: Final = """
version: 1
routes:
  GET /people: {purpose: loan_underwriting, source: "bank:people"}
  GET /people/{customer_id}: {purpose: loan_underwriting, source: "bank:people", subject: {path: customer_id}}
  POST /people:
    purpose: loan_underwriting
    source: "bank:people"
    subject: {body: /customer_id}
    request: {notice: n-loan-2026-03}
    response: {operation: use}
  POST /people/told:
    purpose: loan_underwriting
    source: "bank:people"
    subject: {body: /customer_id}
    request: {notice: n-loan-2026-03}
  GET /inner/people: {purpose: loan_underwriting, source: "bank:people"}
""" + public(*OPEN)


class Noted:
    """An application, and what it met inside."""

    def __init__(self, folder: Path, *, failing: str | None = None) -> None:
        self.notes: list[Any] = []
        self._failing = failing
        self.app = Starlette(routes=self._routes(folder), lifespan=self._lifespan)

    def _routes(self, folder: Path) -> list[Any]:
        inner = Router([Route("/people", self.people), Route("/plain", self.plain)])
        return [
            Route("/people", self.people),
            Route("/people", self.take, methods=["POST"]),
            Route("/people/told", self.told, methods=["POST"]),
            Route("/people/{customer_id}", self.person),
            Route("/plain", self.plain, methods=["GET", "POST"]),
            Route("/item/{number:int}", self.plain),
            Route("/slash/", self.plain),
            Route("/boom", self.boom),
            Route("/late", self.late),
            Route("/teapot", self.teapot),
            Route("/stream", self.stream),
            Route("/endless", self.endless),
            Route("/upload", self.upload, methods=["POST"]),
            Route("/gone", self.gone, methods=["POST"]),
            Route("/background", self.background),
            Route("/redirect", self.redirect),
            Route("/cookies", self.cookies),
            Route("/state", self.state),
            Route("/file", self.file(folder)),
            Route("/hint", self.hint),
            Route("/many", self.plain, methods=["PUT", "DELETE"]),
            Mount("/inner", inner),
            Mount("/static", StaticFiles(directory=folder)),
            WebSocketRoute("/echo", self.echo),
            WebSocketRoute("/refuse", self.refuse),
            WebSocketRoute("/early", self.early),
            WebSocketRoute("/fails", self.fails),
            Host("hosted.example", Router([Route("/hosted/plain", self.plain)])),
        ]

    @asynccontextmanager
    async def _lifespan(self, app: Starlette) -> AsyncIterator[dict[str, Any]]:
        if self._failing == "startup":
            raise RuntimeError("no start")
        yield {"pool": "the pool"}
        self.notes.append("stopped")
        if self._failing == "shutdown":
            raise RuntimeError("no stop")

    # --- Guarded ---------------------------------------------------------------------------------

    async def people(self, request: Request) -> Response:
        return _with(Response(PEOPLE, media_type="application/json"), ("x-a", "1"), ("set-cookie", "a=1"), ("x-a", "2"))

    async def person(self, request: Request) -> Response:
        if request.path_params["customer_id"] == "1009":
            return Response(status_code=204)
        after = BackgroundTask(self._after, request)
        return Response(PERSON, 203, media_type="application/json", background=after)

    async def take(self, request: Request) -> Response:
        self.notes += [request.headers.raw, await request.body(), [one async for one in request.stream()]]
        return Response(await request.body(), 201, {"etag": '"1"'}, "application/vnd.people+json")

    async def told(self, request: Request) -> Response:
        self.notes.append(await request.json())
        return Response(status_code=204)

    # --- Public ----------------------------------------------------------------------------------

    async def plain(self, request: Request) -> Response:
        self.notes.append([str(request.url), request.scope["root_path"], dict(request.path_params), request.client])
        return PlainTextResponse("plain")

    async def boom(self, request: Request) -> Response:
        raise RuntimeError("boom")

    async def late(self, request: Request) -> Response:
        async def parts() -> AsyncIterator[bytes]:
            yield b"one"
            raise RuntimeError("late")

        return StreamingResponse(parts())

    async def teapot(self, request: Request) -> Response:
        raise HTTPException(418, "short and stout", {"x-handle": "1"})

    async def stream(self, request: Request) -> Response:
        turn: anyio.Event = request.scope["turn"]

        async def parts() -> AsyncIterator[bytes]:
            yield b"one"
            await turn.wait()  # set by who has received the first part
            yield b"two"

        return StreamingResponse(parts(), media_type="text/event-stream")

    async def endless(self, request: Request) -> Response:
        return StreamingResponse(_Endless(self.notes))

    async def upload(self, request: Request) -> Response:
        self.notes += [[one async for one in request.stream()], await request.is_disconnected()]
        return PlainTextResponse("taken")

    async def gone(self, request: Request) -> Response:
        try:
            await request.body()
        except ClientDisconnect:
            self.notes.append("gone")
        return PlainTextResponse("nobody listens")

    async def background(self, request: Request) -> Response:
        return PlainTextResponse("first", background=BackgroundTask(self._after, request))

    async def _after(self, request: Request) -> None:
        self.notes.append(f"after {len(request.scope['sent'])} messages")

    async def redirect(self, request: Request) -> Response:
        return RedirectResponse(request.url_for("plain"))

    async def cookies(self, request: Request) -> Response:
        answer = _with(PlainTextResponse("crumbs"), ("vary", "a"), ("link", "</a>"), ("vary", "b"), ("link", "</b>"))
        answer.set_cookie("a", "1")
        answer.set_cookie("b", "2")
        return answer

    async def state(self, request: Request) -> Response:
        self.notes.append([request.state.pool, request.app is self.app])
        return PlainTextResponse("state")

    @staticmethod
    def file(folder: Path) -> Any:
        async def file(request: Request) -> Response:
            return FileResponse(folder / "page.txt")

        return file

    async def hint(self, request: Request) -> Response:
        await request.send_push_promise("/plain")
        return PlainTextResponse("hinted")

    async def echo(self, socket: WebSocket) -> None:
        self.notes += [socket.scope["subprotocols"], socket.headers.raw]
        await socket.accept("chat", headers=[(b"x-a", b"1"), (b"x-a", b"2")])
        try:
            while True:
                await socket.send_text(await socket.receive_text())
        except WebSocketDisconnect as left:
            self.notes.append([left.code, left.reason])

    async def refuse(self, socket: WebSocket) -> None:
        await socket.send_denial_response(PlainTextResponse("not you", 403))

    async def early(self, socket: WebSocket) -> None:
        await socket.close(4000, "no")

    async def fails(self, socket: WebSocket) -> None:
        await socket.accept()
        raise RuntimeError("socket")


class _Endless:
    def __init__(self, notes: list[Any]) -> None:
        self._notes = notes

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        try:
            await anyio.sleep(0.001)
        except anyio.get_cancelled_exc_class():
            self._notes.append("stopped")
            raise
        return b"."


def _with(answer: Response, *headers: tuple[str, str]) -> Response:
    answer.raw_headers += [(name.encode(), value.encode()) for name, value in headers]
    return answer


# --- The account ----------------------------------------------------------------------------------


class Talk:
    """One conversation: what the client sends, and what it does about what it receives."""

    def __init__(self, kind: str = "http", **scope: Any) -> None:
        self.scope: dict[str, Any] = {"type": kind, "asgi": {"version": "3.0", "spec_version": "2.5"}, "state": {}}
        if kind != "lifespan":
            path = scope.pop("path")
            raw, _, query = path.partition("?")
            self.scope |= {"path": raw, "raw_path": raw.encode(), "query_string": query.encode(), "root_path": ""}
            self.scope |= {"http_version": "1.1", "scheme": "http", "server": ("bank", 80), "client": ("1.2.3.4", 5)}
            headers = scope.pop("headers", {})
            headers = {"host": "bank", **headers}
            self.scope["headers"] = [(name.encode(), value.encode()) for name, value in headers.items() if value]
        self.scope |= scope
        self._waiting: list[Message] = []
        self._gone = anyio.Event()
        self.sent: list[Message] = []
        self.scope["sent"] = self.sent
        self.leave_after: int | None = None
        """After so many messages from the application the client is gone."""

    def says(self, *messages: Message) -> Talk:
        self._waiting += messages
        return self

    def body(self, *parts: bytes) -> Talk:
        """The request's body in these parts."""
        last = len(parts) - 1
        return self.says(
            *({"type": "http.request", "body": part, "more_body": at < last} for at, part in enumerate(parts))
        )

    async def account(self, app: App, within: float) -> dict[str, Any]:
        """What can be seen of it from outside; TimeoutError where it does not end within so many seconds."""
        error = None
        with anyio.fail_after(within):
            try:
                await app(self.scope, self._receive, self._send)
            except Exception as raised:  # noqa: BLE001 -- whatever it raises is seen by the server
                error = (type(raised).__name__, str(raised))
        after = {key: self.scope[key] for key in ("path_params", "root_path", "state") if key in self.scope}
        endpoint = getattr(self.scope.get("endpoint"), "__name__", None)
        return {"sent": self.sent, "error": error, "after": after, "endpoint": endpoint}

    async def _receive(self) -> Message:
        await anyio.lowlevel.checkpoint()
        if self._waiting:
            return self._waiting.pop(0)
        await self._gone.wait()
        code = {"code": 1001, "reason": "left"} if self.scope["type"] == "websocket" else {}
        return {"type": f"{self.scope['type']}.disconnect", **code}

    async def _send(self, message: Message) -> None:
        await anyio.lowlevel.checkpoint()
        if self._gone.is_set() and self.scope["type"] == "http" and self.scope["asgi"]["spec_version"] >= "2.4":
            raise OSError("the client is gone")
        message = (
            {**message, "headers": [tuple(one) for one in message["headers"]]} if "headers" in message else message
        )
        self.sent.append(dict(message))
        if "turn" in self.scope and message.get("body"):
            self.scope["turn"].set()
        if self.leave_after is not None and len(self.sent) >= self.leave_after:
            self._gone.set()


def get(path: str, method: str = "GET", *, leave_after: int | None = None, **scope: Any) -> Talk:
    """A request without a body."""
    made = Talk(path=path, method=method, **scope).body(b"")
    made.leave_after = leave_after
    return made


def post(path: str, *parts: bytes, method: str = "POST", **headers: str) -> Talk:
    """A request with a body in parts."""
    length = {} if len(parts) > 1 else {"content-length": str(len(parts[0]))}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Talk(path=path, method=method, headers={**length, **named}).body(*parts)


def socket(path: str, *texts: str, **scope: Any) -> Talk:
    """A websocket that says these texts and leaves."""
    made = Talk("websocket", path=path, subprotocols=["chat"], **scope)
    made.says({"type": "websocket.connect"}, *({"type": "websocket.receive", "text": text} for text in texts))
    made.leave_after = len(texts) + 1
    return made


def waiting() -> Talk:
    made = get("/stream")
    made.scope["turn"] = anyio.Event()
    return made


def gone() -> Talk:
    made = Talk(path="/gone", method="POST")
    return made.says({"type": "http.request", "body": b"half", "more_body": True}, {"type": "http.disconnect"})


def life(*kinds: str) -> Talk:
    return Talk("lifespan").says(*({"type": f"lifespan.{kind}"} for kind in kinds))


def stateful() -> Talk:
    made = get("/state")
    made.scope["state"] = {"pool": "the pool"}
    return made


OLD: Final = {"version": "3.0", "spec_version": "2.0"}
PUSH: Final = {"http.response.push": {}, "websocket.http.response": {}, "http.response.pathsend": {}}

GUARDED: Final[dict[str, Callable[[], Talk]]] = {
    "an object": lambda: get("/people/1001"),
    "an array": lambda: get("/people"),
    "no body": lambda: get("/people/1009"),
    "the head of an array": lambda: get("/people", "HEAD"),
    "an array under a mount": lambda: get("/inner/people"),
    "an object behind a root path": lambda: get("/app/people/1001", root_path="/app"),
    "a form in one part": lambda: post("/people", PERSON, content_type="application/json"),
    "a form in parts": lambda: post("/people", PERSON[:9], b"", PERSON[9:], content_type="application/json"),
    "a form of another type": lambda: post("/people", PERSON, content_type="application/vnd.people+json"),
    "a form that is answered by nothing": lambda: post("/people/told", PERSON, content_type="application/json"),
}
PUBLIC: Final[dict[str, Callable[[], Talk]]] = {
    "plain": lambda: get("/plain?a=1&a=2"),
    "the head": lambda: get("/plain", "HEAD"),
    "a converter": lambda: get("/item/7"),
    "a converter that does not fit": lambda: get("/item/x"),
    "nowhere": lambda: get("/nowhere"),
    "nowhere under the guarded": lambda: get("/people/1001/more"),
    "a method that is not there": lambda: get("/plain", "DELETE"),
    "a method that the guarded route has not": lambda: get("/people", "DELETE"),
    "options": lambda: get("/plain", "OPTIONS"),
    "options of a guarded route": lambda: get("/people", "OPTIONS"),
    "a slash is missing": lambda: get("/slash?a=1"),
    "a slash too many": lambda: get("/plain/"),
    "many methods": lambda: post("/many", b"{", method="PUT"),
    "a post": lambda: post("/plain", b'{"a":1,"a":2'),
    "an upload in parts": lambda: post("/upload", b"one", b"", b"two"),
    "a client that leaves": gone,
    "a stream": waiting,
    "a stream that nobody takes": lambda: get("/endless", leave_after=5),
    "a stream that nobody takes, by an older server": lambda: get("/endless", leave_after=5, asgi=OLD),
    "an exception": lambda: get("/boom"),
    "an exception in the middle": lambda: get("/late"),
    "an answer that is raised": lambda: get("/teapot"),
    "work afterwards": lambda: get("/background"),
    "a redirect": lambda: get("/redirect"),
    "headers twice": lambda: get("/cookies"),
    "the state of the lifespan": stateful,
    "a file": lambda: get("/static/page.txt"),
    "a part of a file": lambda: get("/static/page.txt", headers={"range": "bytes=1-2"}),
    "a file by the server": lambda: get("/file", extensions=PUSH),
    "a file out of the folder": lambda: get("/static/../page.txt"),
    "a push": lambda: get("/hint", extensions=PUSH),
    "under a mount": lambda: get("/inner/plain"),
    "behind a root path": lambda: get("/app/plain", root_path="/app"),
    "on another host": lambda: get("/hosted/plain", headers={"host": "hosted.example"}),
    "no headers at all": lambda: get("/plain", headers={"host": ""}),
    "a websocket": lambda: socket("/echo", "one", "two"),
    "a websocket that is closed": lambda: socket("/early"),
    "a websocket that is refused": lambda: socket("/refuse", extensions=PUSH),
    "a websocket that fails": lambda: socket("/fails"),
    "a websocket nowhere": lambda: socket("/nowhere"),
    "a lifespan": lambda: life("startup", "shutdown"),
}
