"""The table of routes: what was declared, checked against the catalogue and compiled once.

A `Rule` is what one route of the application does, with whose data, for whom. `compiled` makes the table of an
application; everything that does not fit is told at once, with the lines to write.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol, TypeAlias

import msgspec
from starlette.convertors import Convertor
from starlette.routing import compile_path

from guard.catalogue import SUBJECT_TYPES, Catalogue, Source
from guard.config import Limits
from guard.context import STAFF
from guard.documents import Document
from guard.errors import ConfigError, Misuse, Problem
from guard.model import Declared, Operation, Recipient
from guard.names import meant, near
from guard.purposes import Purposes
from guard_asgi import routers, routes
from guard_asgi.routers import Found, Level, Place, Scope
from guard_asgi.routes import ANY, WEBSOCKET, Disagreement, Entry, NoticePlace, Routes
from guard_asgi.shapes import Shape


class Way(msgspec.Struct, frozen=True):
    """One direction of a route: how its body is read, and the operation that it is."""

    source: str
    shape: Shape
    operation: Operation
    recipient: Recipient
    notice: str | NoticePlace | None = None


class Rule(msgspec.Struct, frozen=True):
    """What one route does. `request` is None where it takes no body, `purpose` where it is public."""

    name: str
    purpose: str | None
    response: Way | None = None
    request: Way | None = None
    subject: routes.SubjectPlace | None = None
    operation: Operation = "use"
    recipient: Recipient = STAFF
    declared: Declared = Declared()


PUBLIC: Final = "public"


class Settled(msgspec.Struct, frozen=True):
    """Where a request goes and by which rule: no rule is a route that nobody declared."""

    rule: Rule | None
    found: Found


class Table(Protocol):
    """What the middleware asks."""

    def settle(self, scope: Scope) -> Settled:
        """Where the request of this scope goes. The scope is not changed."""
        ...

    def stale(self) -> bool:
        """Whether the application's routes are other ones by now."""
        ...


Rules: TypeAlias = Mapping[tuple[str, str], Rule]
"""By method and template."""


class OfRouter:
    """The table of an application with a router: the router's own routes decide where a request goes."""

    def __init__(self, level: Level, rules: Rules) -> None:
        self._level = level
        self._rules = rules

    def settle(self, scope: Scope) -> Settled:
        """Where the request of this scope goes."""
        found = routers.find(self._level, scope)
        if found.place is None:
            return Settled(None, found)
        method = WEBSOCKET if scope["type"] == "websocket" else scope["method"]
        return Settled(_rule(self._rules, method, found.place.path), found)

    def stale(self) -> bool:
        """Whether routes were added or removed."""
        return self._level.stale()


class _Written(NamedTuple):
    """A template of routes.yaml."""

    method: str
    pattern: re.Pattern[str]
    convertors: Mapping[str, Convertor[Any]]
    place: Place
    rule: Rule


def _written(method: str, path: str, rule: Rule) -> _Written:
    pattern, _, convertors = compile_path(path)
    return _Written(method, pattern, convertors, Place(routes.template(path), None, None, lambda _: None), rule)


class OfTemplates:
    """The table of any other ASGI application: the templates of routes.yaml, in their order; the first that fits."""

    def __init__(self, rules: Rules) -> None:
        self._written = [_written(method, path, rule) for (method, path), rule in rules.items()]

    def settle(self, scope: Scope) -> Settled:
        """Where the request of this scope goes."""
        path = route_path(scope)
        if _AMBIGUOUS.search(path):
            return Settled(None, Found(None, {}))
        asked = WEBSOCKET if scope["type"] == "websocket" else scope["method"]
        for one in self._written:
            match = one.pattern.match(path) if one.method in {asked, ANY, _LIKE.get(asked)} else None
            if match:
                found = {name: one.convertors[name].convert(text) for name, text in match.groupdict().items()}
                return Settled(one.rule, Found(one.place, found))
        return Settled(None, Found(None, {}))

    def stale(self) -> bool:
        """Never: there is nothing that could change."""
        return False


_AMBIGUOUS: Final = re.compile(r"//|/\.\.?(?=[;/]|$)|[\\%\x00-\x1f\x7f]")
"""What one program resolves or decodes and another does not: a template says nothing about such a path."""

_LIKE: Final = {"HEAD": "GET"}
"""A HEAD is decided as the GET that it asks about."""


def _rule(rules: Mapping[tuple[str, str], Any], method: str, path: str) -> Any:
    found = rules.get((_LIKE.get(method, method), path))
    if found is None and method in _LIKE:
        found = rules.get((method, path))
    return found if found is not None or method == WEBSOCKET else rules.get((ANY, path))


def route_path(scope: Scope) -> str:
    """The path within the application: what stands before it (root_path) is the server's or a mount's."""
    path, root = str(scope["path"]), str(scope.get("root_path", ""))
    return path[len(root) :] if root and (path == root or path.startswith(root + "/")) else path


# --- Compiling --------------------------------------------------------------------------------------


class World(msgspec.Struct, frozen=True):
    """What declarations are checked against."""

    holder: str
    catalogue: Catalogue
    purposes: Purposes
    limits: Limits


def compiled(app: Any, document: Document | None, declared: Routes | None, world: World) -> Table:
    """The table of an application: `app` has routes, or is None for any other ASGI application.

    ConfigError lists all that is not declared, declared twice and differently, or does not fit the catalogue.
    """
    return _Compiler(document or Document("application", {}, {}), declared, world).table(app)


_RENAME: Final = "declare them alike, or give a parameter of one of the templates another name"


_ONCE: Final = (
    "declare each part once, or the same; a function of two routes is declared in routes.yaml, or by Depends on each"
)


class _Compiler:
    def __init__(self, document: Document, declared: Routes | None, world: World) -> None:
        self.document = document
        self.names = {} if declared is None else dict(declared.routes)
        self.written = {_named(name): entry for name, entry in self.names.items()}
        self.world = world
        self.problems: list[Problem] = []

    def table(self, app: Any) -> Table:
        made: Table
        if app is None:
            made = OfTemplates(self._templates())
        else:
            level = routers.read(app)
            made = OfRouter(level, self.rules(list(level.places())))
        if self.problems:
            raise ConfigError(sorted(set(self.problems), key=lambda one: (one.line, one.message)))
        return made

    def _templates(self) -> Rules:
        """The rules of the templates as they are written, with the convertors of their parameters."""
        made: dict[tuple[str, str], Rule] = {}
        for name, entry in self.names.items():
            method, path = name.split(" ", 1)
            if entry.purpose is None and entry.public is None:
                self.problems.append(routes.undeclared(self.document.file, name))
            else:
                made[method, path] = self.rule(method, routes.template(path), entry)
        return made

    def rules(self, places: Sequence[Place]) -> Rules:
        """The rule of every method of every endpoint."""
        entries: dict[tuple[str, str], Entry] = {}
        used: set[tuple[str, str]] = set()
        for place in places:
            for method, written in self._methods(place):
                if written is not None:
                    used.add(written)
                entry = self._entry(place, method, written)
                if entry is not None and entries.setdefault((method, place.path), entry) != entry:
                    name = f"{method} {place.path}"
                    self._wrong(name, f"two endpoints are named {name} and declared differently", _RENAME)
        self._unused(used, {f"{method} {path}" for method, path in entries})
        return {(method, path): self.rule(method, path, entry) for (method, path), entry in entries.items()}

    def _methods(self, place: Place) -> Iterator[tuple[str, tuple[str, str] | None]]:
        """The methods of an endpoint that have a rule of their own, and the written declaration of each."""
        methods: Iterable[str] = place.methods or ()
        if place.methods is None:  # any method: those that are declared
            methods = {method for method, path in self.written if path == place.path and method != WEBSOCKET}
            methods = methods or {ANY}
        for method in sorted(methods):
            if method == "HEAD" and "GET" in (place.methods or ()):
                continue
            candidates = ((method, place.path), *(((ANY, place.path),) if method != WEBSOCKET else ()))
            yield method, next((one for one in candidates if one in self.written), None)

    def _entry(self, place: Place, method: str, written: tuple[str, str] | None) -> Entry | None:
        """What is declared for one method of an endpoint, in both places together."""
        name = f"{method} {place.path}"
        try:
            entry = routes.merged(self.written[written] if written else None, place.entry(method))
        except Disagreement as error:
            self._wrong(name, f"{name} is declared twice: {error}", _ONCE)
            return None
        except ConfigError as error:
            self._wrong(name, f"{name}: {error.problems[0].message}", error.problems[0].remedy)
            return None
        if entry is None or (entry.public is None and entry.purpose is None):
            self.problems.append(routes.undeclared(self.document.file, name))
            return None
        return entry

    def _unused(self, used: set[tuple[str, str]], known: Collection[str]) -> None:
        for name in self.names:
            if _named(name) not in used:
                meant = near(name, known)
                remedy = (
                    f"did you mean {meant}?" if meant else "remove it, or name the template as the application does"
                )
                self._wrong(name, f"the application has no route {name}", remedy)

    def rule(self, method: str, path: str, entry: Entry) -> Rule:
        """One entry, compiled. What is wrong is noted, and the rule is then of no use."""
        name = f"{method} {path}"
        if entry.public is not None:
            return Rule(name, None)
        if method == WEBSOCKET:
            self._wrong(
                name, "guarded websockets are not built yet", "declare it public with reason and owner, or remove it"
            )
        if method == ANY and entry.source is None:
            self._wrong(name, "a route for every method has no source of its own", "declare each method")
        if str(entry.purpose) not in self.world.purposes:
            offered = sorted(name for name, one in self.world.purposes.items() if one.offered)
            remedy = meant(str(entry.purpose), offered, f"write one of {', '.join(offered)}")
            self._wrong(name, f"{entry.purpose} is not a purpose of the policies or the profile", remedy, "purpose")
        self._parameter(name, path, entry)
        asked, given = entry.request, entry.response or routes.ResponseEntry()
        recipient = STAFF if entry.recipient is None else entry.recipient.recipient()
        out = recipient if given.recipient is None else given.recipient.recipient()
        own = entry.source or f"{self.world.holder}:{name}"
        operation = entry.operation or (asked.operation if asked else given.operation) or "use"
        request = None
        if asked is not None:
            request = self._way(name, asked.source or own, asked.records, asked.operation, recipient, asked.notice)
            self._pointers(name, request, entry)
        return Rule(
            name,
            entry.purpose,
            response=self._way(
                name, given.source or own, given.records, given.operation or ("use" if asked else operation), out
            ),
            request=request,
            subject=entry.subject,
            operation=operation,
            recipient=recipient if asked else out,
            declared=Declared(**entry.declared.model_dump()) if entry.declared else Declared(),
        )

    def _way(
        self,
        name: str,
        source: str,
        records: str,
        operation: Operation,
        recipient: Recipient,
        notice: str | NoticePlace | None = None,
    ) -> Way | None:
        entry = self.world.catalogue.sources.get(source)
        if entry is None:
            known = near(source, self.world.catalogue.sources)
            remedy = "add it to the catalogue with the fields of the body, or name another by source"
            self._wrong(
                name, f"{source} is not in the catalogue", remedy + (f"; did you mean {known}?" if known else "")
            )
            return None
        if not all(field.startswith("/") for field in entry.fields):
            self._wrong(
                name, f"{source} is a table", "name a source whose fields are pointers, such as /customer_id", "source"
            )
            return None
        try:
            shape = Shape(source, entry, at=records, limits=self.world.limits)
        except Misuse as error:
            self._wrong(name, f"{source} cannot be read: {error}", "declare other fields in the catalogue")
            return None
        return Way(source, shape, operation, recipient, notice)

    def _parameter(self, name: str, path: str, entry: Entry) -> None:
        """A subject in the path is one of its parameters."""
        place = entry.subject
        if place is not None and place.path is not None and place.path not in re.findall(r"{(\w+)}", path):
            self._wrong(name, f"{path} has no parameter {place.path}", "name a parameter of the path", "subject")

    def _pointers(self, name: str, request: Way | None, entry: Entry) -> None:
        """What is read of the body is a field of its source."""
        if request is None:
            return
        source: Source = self.world.catalogue.sources[request.source]
        read = {"subject": entry.subject.body if entry.subject else None}
        read["request"] = request.notice.body if isinstance(request.notice, NoticePlace) else None
        for part, pointer in read.items():
            field = source.fields.get(pointer) if pointer is not None else None
            if pointer is not None and (field is None or field.type not in SUBJECT_TYPES or "/*" in pointer):
                self._wrong(
                    name,
                    f"{request.source} has no single field {pointer}",
                    "name a field of the catalogue, of type text or integer",
                    part,
                )

    def _wrong(self, name: str, message: str, remedy: str, part: str | None = None) -> None:
        method, path = _named(name)
        of_path = {_named(one)[0]: one for one in self.names if _named(one)[1] == path}
        written = of_path.get(method, of_path.get(ANY))
        if written is None:  # declared in code alone: no line to point at, so the route is named
            said = message if name in message else f"{name}: {message}"
            self.problems.append(Problem("application", 0, said, remedy))
            return
        place: tuple[str, ...] = ("routes", written) if part is None else ("routes", written, part)
        self.problems.append(self.document.problem(place, message, remedy))


def _named(name: str) -> tuple[str, str]:
    method, _, path = name.partition(" ")
    return method, routes.template(path)
