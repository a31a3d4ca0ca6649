"""What is checked before the first request is served, and said with what to do about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from guard.errors import ConfigError, Misuse, Problem
from guard.facade import Guard
from guard_asgi import routers, routes
from guard_asgi.table import Table, World, compiled

OUTSIDE: Final = {
    "GZipMiddleware": "it compresses what guard has to read",
    "BrotliMiddleware": "it compresses what guard has to read",
    "CompressMiddleware": "it compresses what guard has to read",
    "ZstdMiddleware": "it compresses what guard has to read",
    "AuthenticationMiddleware": "who is signed in has to be known when guard asks",
    "SessionMiddleware": "who is signed in has to be known when guard asks",
    "CORSMiddleware": "a preflight reaches no endpoint, and guard's own answers need its headers",
}
"""Middleware that stands outside the guard, by name, and why."""


def checked(guard: object, identify: object) -> None:
    """Misuse where GuardMiddleware was not given what it needs."""
    if not isinstance(guard, Guard):
        raise Misuse(
            'GuardMiddleware takes guard=…: app.add_middleware(GuardMiddleware, guard=Guard.load("guard.yaml"), …).'
        )
    if not callable(identify):
        raise Misuse(
            "GuardMiddleware takes identify=…: a function, sync or async, that makes of the ASGI scope the guard.Actor "
            'who is signed in, such as lambda scope: Actor(id=scope["user"].username, roles=("loan_officer",)).'
        )


def table(middleware: type, app: object, outer: object, guard: Guard, path: str | Path | None) -> tuple[Table, bool]:
    """The table of an application, and whether its own router decides where a request goes.

    `app` is what the middleware was put around, `outer` the application that the scope names. ConfigError or Misuse
    lists what is wrong.
    """
    routed = routers.routed(app)
    if routed is None and _stands_in(middleware, outer):
        routed = outer
    problems = list(_order(middleware, outer, routed))
    document, declared = routes.load(Path(path)) if path is not None else (None, None)
    if routed is None and declared is None:
        raise Misuse('This application has no routes to read: name them in routes="routes.yaml".')
    active = guard.active
    world = World(guard.settings.holder, active.catalogue, active.purposes, guard.settings.limits)
    made: Table | None = None
    try:
        made = compiled(routed, document, declared, world)
    except ConfigError as error:
        problems += error.problems
    if problems or made is None:
        raise ConfigError(problems)
    return made, routed is not None


def _stands_in(middleware: type, app: object) -> bool:
    return any(_is(one.cls, middleware) for one in getattr(app, "user_middleware", ()))


def _is(one: Any, middleware: type) -> bool:
    return isinstance(one, type) and issubclass(one, middleware)


def _order(middleware: type, outer: object, routed: object) -> Iterator[Problem]:
    """Middleware stands in order: the first of the list is the outermost."""
    stack = [one.cls for one in getattr(outer, "user_middleware", ())]
    places = [number for number, one in enumerate(stack) if _is(one, middleware)]
    if len(places) > 1:
        yield Problem("application", 0, "GuardMiddleware is added twice", "add it once")
    inside = stack[places[0] + 1 :] if places else [one.cls for one in getattr(routed, "user_middleware", ())]
    for one in inside:
        reason = next((OUTSIDE[name] for name in _names(one) if name in OUTSIDE), None)
        if reason is not None:
            name = _names(one)[0]
            yield Problem(
                "application",
                0,
                f"{name} stands inside GuardMiddleware: {reason}",
                f"call app.add_middleware(GuardMiddleware, …) before app.add_middleware({name}, …): "
                "what is added last stands outermost",
            )


def _names(one: Callable[..., Any]) -> list[str]:
    return [base.__name__ for base in getattr(one, "__mro__", ()) if base is not object] or [
        getattr(one, "__name__", type(one).__name__)
    ]
