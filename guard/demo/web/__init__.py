"""The bank's web application, and the lines that guard it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from starlette.applications import Starlette
from starlette.middleware import Middleware

import guard_asgi
import guard_dbapi
from guard.demo.people import CHEN, DPO, FANG, LIN
from guard.demo.web.bank import program
from guard.facade import Guard
from guard.model import Actor

ROUTES: Final = Path(__file__).parent / "routes.yaml"
_STAFF: Final[Mapping[str, Actor]] = {one.id: one for one in (LIN, CHEN, FANG, DPO)}


def application(guard: Guard, inside: Sequence[Middleware] = ()) -> Starlette:
    """The program on a guarded connection, within the middleware; `inside` stands between the two."""
    mark = "?" if guard.settings.database.dialect == "sqlite" else "%s"
    app = program(partial(guard_dbapi.connect, guard), mark)
    for one in inside:
        app.add_middleware(one.cls, *one.args, **one.kwargs)
    app.add_middleware(guard_asgi.GuardMiddleware, guard=guard, identify=signed_in, routes=ROUTES)
    return app


def signed_in(scope: Mapping[str, Any]) -> Actor | None:
    """Who asks, from `Authorization: Bearer officer-lin`, or a customer by the number: here everybody is believed."""
    said = dict(scope["headers"]).get(b"authorization", b"").decode("latin-1").removeprefix("Bearer ")
    return _STAFF.get(said) or (Actor(id=said) if said.isdigit() and said.isascii() else None)
