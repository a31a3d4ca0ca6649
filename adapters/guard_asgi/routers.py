"""The application's own router, read once: where each endpoint stands, and which one a request will reach.

Two routers that read one path differently are a way around a guard. So there is no second one for Starlette and
FastAPI: each request is put to the very route objects that will route it, on a copy of its scope. What they then put
into the scope is compared when the answer begins (`guard_asgi.outgoing`, `guard_asgi.passing`).

FastAPI is known by what its objects have, never imported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping, Sequence
from typing import Any, Final, NamedTuple, Protocol, TypeAlias, cast

from starlette.endpoints import HTTPEndpoint
from starlette.routing import BaseRoute, Host, Match, Mount, Route, Router, WebSocketRoute

from guard.errors import ConfigError, Problem
from guard_asgi.purpose import Purpose
from guard_asgi.routes import METHODS, WEBSOCKET, Entry, template

Scope: TypeAlias = MutableMapping[str, Any]

_WEBSOCKET: Final = frozenset({WEBSOCKET})

_DEEP: Final = 64
"""How many wrappers may stand around a router."""


class Matcher(Protocol):
    """A route, as Starlette's router asks it."""

    def matches(self, scope: Scope, /) -> tuple[Match, Scope]: ...  # noqa: D102


class Place(NamedTuple):
    """One endpoint: its template, its methods (None: it takes any), and what the router names it in the scope."""

    path: str
    methods: frozenset[str] | None
    endpoint: object
    entry: Callable[[str], Entry | None]
    """What the code declares for a method."""

    @property
    def websocket(self) -> bool:
        """Whether it is one for websockets."""
        return self.methods == _WEBSOCKET

    def handles(self, scope: Scope) -> bool:
        """Whether it has a handler for the request."""
        return self.methods is None or scope.get("method") in self.methods or self.websocket


class Leaf(NamedTuple):
    """A route that ends at an endpoint."""

    matcher: Matcher
    place: Place


class Branch(NamedTuple):
    """A route that hands on to another router."""

    matcher: Matcher
    level: Level


class Level:
    """The routes of one router in their order; `last` are asked when none of the others answers."""

    __slots__ = ("_lists", "last", "nodes")

    def __init__(self, lists: Sequence[tuple[Any, tuple[Any, ...]]]) -> None:
        self.nodes: list[Leaf | Branch] = []
        self.last: list[Leaf | Branch] = []
        self._lists = lists

    def stale(self) -> bool:
        """Whether routes were added or removed since it was read."""
        return any(tuple(now) != then for now, then in self._lists) or any(
            isinstance(node, Branch) and node.level.stale() for node in self.nodes
        )

    def places(self) -> Iterator[Place]:
        """Every endpoint, in the order in which they are asked."""
        for node in (*self.nodes, *self.last):
            if isinstance(node, Branch):
                yield from node.level.places()
            else:
                yield node.place


class Found(NamedTuple):
    """Where a request will go: `place` is None where no endpoint takes it, so that the router itself answers.

    `passed` are the endpoints that the scope may name in that case, `parameters` those of the path.
    """

    place: Place | None
    parameters: MutableMapping[str, Any]
    passed: tuple[object, ...] = ()


def find(level: Level, scope: Scope) -> Found:
    """Where the request of this scope will go. The scope is not changed."""
    trial = dict(scope)
    passed: list[object] = []
    while True:
        node, child = _first(level, trial, passed)
        if node is None:
            return Found(None, {}, tuple(passed))
        trial.update(child)
        if isinstance(node, Branch):
            level = node.level
            passed.append(trial.get("endpoint"))
            continue
        place = node.place
        # A class without a handler for a method answers 405 itself. For any other name than that of a method it may
        # have an attribute, which Starlette takes for the handler: nobody declared that.
        if place.handles(scope) or scope["method"] not in METHODS:
            return Found(place, trial.get("path_params", {}))
        return Found(None, {}, (place.endpoint,))


def _first(level: Level, scope: Scope, passed: list[object]) -> tuple[Leaf | Branch | None, Scope]:
    """The first route of a level that takes the request; those that would but for the method are passed over."""
    partial = False
    for node in level.nodes:
        match, child = node.matcher.matches(scope)
        if match is Match.FULL:
            return node, child
        if match is Match.PARTIAL:
            partial = True
            passed.append(child.get("endpoint"))
    for node in () if partial else level.last:
        match, child = node.matcher.matches(scope)
        if match is Match.FULL:
            return node, child
    return None, {}


ELSEWHERE: Final = (
    "What answers by itself, or copies or changes the scope, stands outside: add it after GuardMiddleware."
)
"""What to do where not the endpoint that was expected answered."""


class Course:
    """What a request asks for when it is put to the router, to be compared with what answered."""

    __slots__ = ("_asked", "_before", "_scope")

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._asked = (scope.get("method"), scope["path"])
        self._before = scope.get("endpoint")

    @property
    def same(self) -> bool:
        """Whether method and path are still those that were asked for."""
        return (self._scope.get("method"), self._scope["path"]) == self._asked

    @property
    def ran(self) -> object:
        """The endpoint that the router reached; None where it reached none. A mount around all names itself before."""
        now = self._scope.get("endpoint")
        return None if now is self._before else now


# --- Reading the router ---------------------------------------------------------------------------


def routed(app: object) -> Any:
    """The application or router with the routes, inside whatever wraps it; None for any other ASGI application."""
    for _ in range(_DEEP):
        if isinstance(app, BaseRoute):
            return Router([app])  # a route that is an application by itself
        if isinstance(getattr(app, "routes", None), list):
            return app
        inner = getattr(app, "app", None)
        if inner is None:
            return None
        app = inner
    return None


def read(app: Any, prefix: str = "") -> Level:
    """The routes of an application or router. ConfigError for a kind of route that guard does not know."""
    router = getattr(app, "router", app)
    late = getattr(router, "_iter_low_priority_routes", None)  # FastAPI's frontends
    lists: list[tuple[Any, tuple[Any, ...]]] = []
    level = Level(lists)
    _fill(level.nodes, router.routes, prefix, lists)
    if late is not None:
        lists.append((router._low_priority_routes, tuple(router._low_priority_routes)))  # noqa: SLF001 — FastAPI has no other name for it
        level.last = [leaf for candidate in late() for leaf in _frontend(candidate, prefix)]
    return level


def _fill(nodes: list[Leaf | Branch], routes: Any, prefix: str, lists: list[tuple[Any, tuple[Any, ...]]]) -> None:
    lists.append((routes, tuple(routes)))
    for route in routes:
        if hasattr(route, "effective_candidates"):
            _fill_included(nodes, route, prefix, lists)
        else:
            nodes.append(_node(route, prefix))


def _fill_included(
    nodes: list[Leaf | Branch], included: Any, prefix: str, lists: list[tuple[Any, tuple[Any, ...]]]
) -> None:
    """FastAPI's include_router: its routes with the prefix and the dependencies that the inclusion adds."""
    lists.append((included.original_router.routes, tuple(included.original_router.routes)))
    for candidate in included.effective_candidates():
        if hasattr(candidate, "effective_candidates"):
            _fill_included(nodes, candidate, prefix, lists)
        elif candidate.starlette_route is not None:
            nodes.append(_node(candidate.starlette_route, prefix))
        else:
            nodes.append(_route(candidate, prefix))


def _node(route: Any, prefix: str) -> Leaf | Branch:
    if isinstance(route, Mount | Host):
        inner = routed(route.app)
        here = prefix + template(route.path) if isinstance(route, Mount) else prefix
        if inner is not None and inner.routes:
            return Branch(route, read(inner, here))
        return Leaf(route, Place(f"{here}/{{path}}", None, route.app, _undeclared))
    if isinstance(route, WebSocketRoute):
        entry = _entry_of(route)
        return Leaf(route, Place(prefix + template(route.path), frozenset({WEBSOCKET}), route.endpoint, entry))
    if isinstance(route, Route):
        return _route(route, prefix)
    raise ConfigError(
        [
            Problem(
                "application",
                0,
                f"{type(route).__name__} is a kind of route that guard does not know",
                "use Route, WebSocketRoute, Mount or Host",
            )
        ]
    )


def _route(route: Any, prefix: str) -> Leaf:
    """A Route of Starlette or FastAPI, or one that FastAPI made of it for an inclusion."""
    methods = frozenset(route.methods) if route.methods else _handled(route.endpoint)
    return Leaf(cast(Matcher, route), Place(prefix + template(route.path), methods, route.endpoint, _entry_of(route)))


def _handled(endpoint: object) -> frozenset[str] | None:
    """The methods of a class of handlers; None for an ASGI application, which may take any."""
    own = ("__await__", "dispatch", "method_not_allowed")
    if not (isinstance(endpoint, type) and issubclass(endpoint, HTTPEndpoint)) or any(
        getattr(endpoint, name) is not getattr(HTTPEndpoint, name) for name in own
    ):
        return None
    methods = {method for method in METHODS if getattr(endpoint, method.lower(), None) is not None}
    return frozenset(methods | ({"HEAD"} if "GET" in methods else set()))


def _frontend(candidate: Any, prefix: str) -> Iterator[Leaf]:
    """FastAPI's static frontends: the scope names no endpoint for them."""
    original = getattr(candidate, "original_route", candidate)
    if not hasattr(original, "routes"):
        yield _route(candidate, prefix) if hasattr(candidate, "path_regex") else cast(Leaf, _node(candidate, prefix))
        return
    inclusion = getattr(candidate, "frontend_prefix", "")
    for route in original.routes:
        path = (inclusion + route.path).rstrip("/")
        yield Leaf(candidate, Place(f"{prefix}{path}/{{path}}", frozenset({"GET", "HEAD"}), None, _undeclared))


# --- What the code declares ------------------------------------------------------------------------


def _entry_of(route: Any) -> Callable[[str], Entry | None]:
    """What `guard_asgi.purpose` declares for a route: on its endpoint, or among FastAPI's dependencies."""
    endpoint = route.endpoint

    def entry(method: str) -> Entry | None:
        handler = getattr(endpoint, method.lower(), None) if isinstance(endpoint, type) else None
        stated = [*_of_dependencies(getattr(route, "dependant", None)), *Purpose.on(endpoint), *Purpose.on(handler)]
        return Purpose.together(stated)

    return entry


def _undeclared(method: str) -> None:  # noqa: ARG001 — what has no code of its own declares nothing in it
    return None


def _of_dependencies(dependant: Any) -> Iterator[Purpose]:
    for one in getattr(dependant, "dependencies", ()):
        if isinstance(one.call, Purpose):
            yield one.call
        yield from _of_dependencies(one)
