"""The page as a Starlette application: one page, one form, and what came of it."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import jinja2
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from guard.demo.page import shelves, web
from guard.demo.page.answer import ROWS, Answer
from guard.demo.page.asked import LONGEST, LOOK, Asked, NotAForm, asked, read
from guard.demo.page.choices import ACTORS, CONSENTS, NOBODY, PURPOSES, ROUTES, STATEMENTS
from guard.demo.page.desk import Desk
from guard.demo.page.fence import Fence, hosts
from guard.demo.page.words import WORDS
from guard.facade import Guard
from guard_explain import Lang

HERE: Final = Path(__file__).parent
BANK: Final = "/bank"
"""Where the bank's own application is mounted."""

_FORM: Final = "application/x-www-form-urlencoded"


def application(
    guard: Guard,
    *,
    bank: ASGIApp | None = None,
    port: int = 8000,
    refusals: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> Starlette:
    """The page of an open guard on the example bank, with the bank's own application under /bank.

    It answers to the loopback names with this port, and to nothing else. It lets whoever reaches it act as
    anybody: it is for a bank that is an example. `refusals` says which rules were named by the refusals that the
    register already has, by entry.
    """
    page = Page(guard, bank, refusals)
    routes: list[BaseRoute] = [
        Route("/", page.first, methods=["GET"]),
        Route("/", page.press, methods=["POST"]),
        Mount("/static", StaticFiles(directory=HERE / "static")),
    ]
    if bank is not None:
        routes.append(Mount(BANK, bank))
    fence = Middleware(Fence, hosts=hosts(port), longest=LONGEST, beyond=f"{BANK}/")
    return Starlette(routes=routes, middleware=[fence])


class Page:
    """Renders what the desk did, and what the bank's own application answered, if it is there."""

    def __init__(self, guard: Guard, bank: ASGIApp | None, refusals: Mapping[str, Sequence[str]]) -> None:
        self._bank = bank
        self._desk = Desk(guard, refusals)
        self._token = secrets.token_urlsafe(32)
        self._templates = jinja2.Environment(
            loader=jinja2.FileSystemLoader(HERE / "templates"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.globals |= {
            "actors": ACTORS,
            "consents": CONSENTS,
            "described": guard.describe(),
            "most": ROWS,
            "purposes": PURPOSES,
            "routes": {} if bank is None else ROUTES,
            "statements": STATEMENTS,
        }

    async def first(self, request: Request) -> Response:
        """The page before anything was asked."""
        lang: Lang = "zh" if _prefers_chinese(request) else "en"
        return await run_in_threadpool(self._show, Asked(lang=lang), None, "page.html")

    async def press(self, request: Request) -> Response:
        """A button was pressed: does it, and shows what came of it, in place or as a whole page."""
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
            return PlainTextResponse("The page sends a form.", 415)
        body = await _body(request)
        if body is None:
            return PlainTextResponse("The form is too long.", 413)
        try:
            fields = read(body)
            if not hmac.compare_digest(fields.get("token", "").encode(), self._token.encode()):
                return PlainTextResponse("This form is not of this page; load the page again.", 403)
            one = asked(fields)
        except NotAForm as error:
            return PlainTextResponse(str(error), 400)
        part = "answer.html" if request.headers.get("hx-request") == "true" and one.do != LOOK else "page.html"
        if one.do in ROUTES:
            answer = await self._ask(one, request.headers["host"])
            return await run_in_threadpool(self._show, one, answer, part)
        return await run_in_threadpool(self._press, one, part)

    async def _ask(self, one: Asked, host: str) -> Answer:
        """Asks the bank's own application."""
        if self._bank is None:
            return self._desk.failed(one, "no_bank")
        if ROUTES[one.do].one and one.person == NOBODY:
            return self._desk.failed(one, "choose_person")
        asking = web.request(one)
        mark = await run_in_threadpool(self._desk.mark)
        reply = await web.ask(self._bank, asking, host)
        return await run_in_threadpool(self._desk.replied, one, asking, reply, mark)

    def _press(self, one: Asked, part: str) -> Response:
        return self._show(one, None if one.do == LOOK else self._desk.do(one), part)

    def _show(self, one: Asked, answer: Answer | None, part: str) -> Response:
        lang = one.lang

        def word(name: str, *values: object) -> str:
            return WORDS[name][lang].format(*values)

        shown: dict[str, Any] = {
            "answer": answer,
            "asked": one,
            "lang": lang,
            "persons": shelves.persons(self._desk.guard, lang),
            "register": shelves.register(self._desk.guard, self._desk.refusals),
            "reviews": shelves.reviews(self._desk.guard, self._desk.requester),
            "token": self._token,
            "word": word,
        }
        return HTMLResponse(self._templates.get_template(part).render(shown))


async def _body(request: Request) -> bytes | None:
    """The body, None if it is longer than a form of this page."""
    body = bytearray()
    try:
        async for some in request.stream():
            body += some
            if len(body) > LONGEST:
                return None
    except ClientDisconnect:
        return None
    return bytes(body)


def _prefers_chinese(request: Request) -> bool:
    return request.headers.get("accept-language", "").lower().startswith("zh")
