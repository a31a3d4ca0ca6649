"""What stands before the page, in pure ASGI: who may reach it, and what a browser may do with it.

A page that acts as anybody, on loopback, is reachable by two roads besides its visitor: another site's page that
sends a form (cross-site request forgery), and another site's name that is made to point here (DNS rebinding). So a
request names one of this server's own hosts, and one that changes something comes from its own page.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""Nothing inline, nothing evaluated, nothing from elsewhere."""

_HEADERS: Final = (
    ("cache-control", "no-store"),
    ("content-security-policy", _POLICY),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "camera=(), geolocation=(), microphone=()"),
    ("referrer-policy", "same-origin"),  # with no-referrer, a browser says of a form's own page: Origin null
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
)

_READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})


def hosts(port: int) -> frozenset[str]:
    """What the Host header of this server says: a loopback name with its port, which 80 leaves out."""
    names = ("127.0.0.1", "localhost", "[::1]")
    return frozenset(f"{name}:{port}" for name in names) | (frozenset(names) if port == 80 else frozenset())


class Fence:
    """Lets through what comes from this machine's own browser; anything else is refused before the page sees it.

    `hosts` are the names that it is reached by, `longest` the longest body of the page's own forms (bytes); what is
    below `beyond` has bounds of its own.
    """

    def __init__(self, app: ASGIApp, *, hosts: Collection[str], longest: int, beyond: str) -> None:
        self._app = app
        self._hosts = frozenset(hosts)
        self._longest = longest
        self._beyond = beyond

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on, or answers it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            refusal = self._refusal(scope)
            await (refusal or self._app)(scope, receive, _fenced(send))

    def _refusal(self, scope: Scope) -> PlainTextResponse | None:
        headers = Headers(scope=scope)
        named = headers.getlist("host")
        if len(named) != 1 or named[0].lower() not in self._hosts:
            return PlainTextResponse("This server does not go by that name.", 400)
        if not _of_this_site(headers, named[0].lower(), reading=scope["method"] in _READING):
            return PlainTextResponse("This comes from another site.", 403)
        length = headers.get("content-length", "0")
        if not scope["path"].startswith(self._beyond) and not (length.isdecimal() and int(length) <= self._longest):
            return PlainTextResponse("The form is too long.", 413)
        return None


def _of_this_site(headers: Headers, host: str, *, reading: bool) -> bool:
    """Whether the browser says that its own page asks; a program that is none says nothing, and needs the token.

    Another site may link here, which reads only; it may not embed or fetch.
    """
    site, mode = headers.getlist("sec-fetch-site"), headers.get("sec-fetch-mode")
    if reading:
        return set(site) <= {"same-origin", "none"} or mode == "navigate"
    return set(site) <= {"same-origin"} and all(origin == f"http://{host}" for origin in headers.getlist("origin"))


def _fenced(send: Send) -> Send:
    """Adds what a browser is told, except where the response says it itself."""

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS:
                headers.setdefault(name, value)
        await send(message)

    return sent
