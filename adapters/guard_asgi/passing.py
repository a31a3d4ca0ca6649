"""What passes untouched: public routes, and what the application's own router answers where no endpoint does.

The messages are handed on as they come. Only the first of an answer is looked at: whether the endpoint that was
declared public is the one that answers.
"""

from __future__ import annotations

from typing import Final

from guard.errors import Refused
from guard_asgi.problem import Message, Send
from guard_asgi.routers import ELSEWHERE, Course, Found, Scope


class Watched:
    """What the program sends to. `sent` says whether anything of an answer went out."""

    def __init__(self, scope: Scope, send: Send, found: Found, *, public: bool, routed: bool) -> None:
        self._send: Final = send
        self._found: Final = found
        self._public: Final = public
        self._routed: Final = routed
        self._course: Final = Course(scope)
        self.sent = False
        self.refusal: Refused | None = None

    async def send(self, message: Message) -> None:
        """What ASGI calls `send`."""
        if not self.sent:
            self._look(message)
            self.sent = True
        await self._send(message)

    def _look(self, message: Message) -> None:
        if self.refusal is None and self._routed and not self._expected(message):
            detail = "Another endpoint answered than is declared public" if self._public else "No route is declared"
            self.refusal = Refused.own("GUARD-ROUTE", f"{detail}, or a middleware inside the guard did. {ELSEWHERE}")
        if self.refusal is not None:
            raise self.refusal

    def _expected(self, message: Message) -> bool:
        ran = self._course.ran
        kind = message["type"]
        if kind == "websocket.close":
            return True
        error = kind in _STARTS and int(message["status"]) >= 300
        place = self._found.place
        if not self._course.same:
            return False
        if place is not None:
            return ran is place.endpoint or (ran is None and error)
        return error and (ran is None or any(ran is one for one in self._found.passed))


_STARTS: Final = frozenset({"http.response.start", "websocket.http.response.start"})
