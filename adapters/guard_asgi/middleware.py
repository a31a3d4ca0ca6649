"""`GuardMiddleware`: pure ASGI, around an application of any kind.

    app.add_middleware(GuardMiddleware, guard=guard, identify=actor_of, routes="routes.yaml")

Each request on a guarded route is an act of its own: its context is opened before the program is called, and ends
with the last part of the answer. Everything is decided on `scope["path"]`, never on a URL that a header shapes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from guard.context import Acting
from guard.errors import ConfigError, Misuse, Refused
from guard.facade import Guard
from guard_asgi import problem, startup, strict
from guard_asgi.guarded import App, Identify, serve
from guard_asgi.incoming import Receive
from guard_asgi.passing import Watched
from guard_asgi.problem import Message, Send
from guard_asgi.routers import Scope
from guard_asgi.table import Settled, Table


class GuardMiddleware:
    """Guards the routes of an application.

    `identify` makes an Actor of the scope, from what authentication put there. `routes` is the path of routes.yaml,
    taken from the working directory; without it all is declared in code. An application without routes that can be
    read is served by the templates of routes.yaml alone, the first that fits.

    What is wrong is said when the application starts, or with the first request where the server does not tell it
    that it starts: ConfigError or Misuse.
    """

    def __init__(
        self,
        app: App,
        guard: Guard | None = None,
        identify: Identify | None = None,
        routes: str | Path | None = None,
    ) -> None:
        self.app: Final = app
        self._guard: Final = guard
        self._identify: Final = identify
        self._routes: Final = routes
        self._table: Table | None = None
        self._routed = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection, or the application's life."""
        kind = scope["type"]
        if kind == "lifespan":
            await self._live(scope, receive, send)
            return
        if kind not in {"http", "websocket"}:
            raise Misuse(f"GuardMiddleware does not know the protocol {kind!s:.32}.")
        guard, identify = self._checked()
        if kind == "http" and not scope["method"].isupper():
            await self._refuse(strict.refused("Methods have capital letters.", rule="GUARD-REQUEST"), scope, send)
            return
        settled = self._settled(self._compiled(guard, scope), scope)
        rule = settled.rule
        if kind == "websocket":
            await self._websocket(settled, scope, receive, send)
        elif rule is None or rule.purpose is None:
            await self._pass(settled, scope, receive, send)
        elif isinstance(scope.get("guard"), Acting):
            raise Misuse("Two GuardMiddleware stand around this route: keep the outer one.")
        else:
            await serve(guard, identify, self.app, settled, scope, receive, send, routed=self._routed)

    # --- Start ---

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Checks before the application starts. Servers go on without a lifespan that only raises: it is told too."""
        try:
            guard, _ = self._checked()
            self._compiled(guard, scope)
        except (ConfigError, Misuse) as error:
            await receive()
            await send({"type": "lifespan.startup.failed", "message": f"guard: {error}"})
            raise
        await self.app(scope, receive, send)

    def _checked(self) -> tuple[Guard, Identify]:
        if self._table is None:
            startup.checked(self._guard, self._identify)
        return self._guard, self._identify  # type: ignore[return-value]  # checked before the table is made

    def _compiled(self, guard: Guard, scope: Scope) -> Table:
        if self._table is None:
            self._table, self._routed = startup.table(GuardMiddleware, self.app, scope.get("app"), guard, self._routes)
        return self._table

    def _settled(self, table: Table, scope: Scope) -> Settled:
        """Where a request goes; the application is read again if its routes are other ones by now."""
        settled = table.settle(scope)
        if settled.rule is None and table.stale():
            self._table = None
            guard, _ = self._checked()
            settled = self._compiled(guard, scope).settle(scope)
        return settled

    # --- What is not guarded ---

    async def _pass(self, settled: Settled, scope: Scope, receive: Receive, send: Send) -> None:
        """A public route; or no route, which the application's own router answers."""
        public = settled.rule is not None
        watched = Watched(scope, send, settled.found, public=public, routed=self._routed)
        try:
            if not public and (settled.found.place is not None or not self._routed):
                raise Refused.own("GUARD-ROUTE", "No route is declared for this method and path.")
            await self.app(scope, receive, watched.send)
        except Refused as refused:
            if watched.sent:
                raise
            await self._refuse(refused, scope, send)
            return
        if watched.refusal is not None and not watched.sent:  # the program caught it
            await self._refuse(watched.refusal, scope, send)

    async def _refuse(self, refused: Refused, scope: Scope, send: Send) -> None:
        details = refused.problem(problem.language(scope["headers"]))
        await problem.answer(send, details, head=scope["method"] == "HEAD")

    async def _websocket(self, settled: Settled, scope: Scope, receive: Receive, send: Send) -> None:
        public = settled.rule is not None and settled.rule.purpose is None
        watched = Watched(scope, send, settled.found, public=public, routed=self._routed)
        try:
            if not public and (settled.found.place is not None or not self._routed):
                raise Refused.own("GUARD-ROUTE", "No websocket is declared for this path.")
            await self.app(scope, receive, watched.send)
        except Refused:
            if watched.sent:
                raise
            await _close(send)
            return
        if watched.refusal is not None and not watched.sent:
            await _close(send)


async def _close(send: Send) -> None:
    message: Message = {"type": "websocket.close", "code": 1008, "reason": ""}
    await send(message)
