"""What routes declare, in routes.yaml and in code: one table, checked before the first request, with what to write."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from inspect import currentframe
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, cast

import anyio
import anyio.lowlevel
import httpx
import pytest
from asgi_world import GUARDED, LIN, ONE, PUBLIC, PURPOSE, SOURCE, allowing, as_lin, documents, get, written
from fastapi import APIRouter, Depends, FastAPI
from starlette.applications import Starlette
from starlette.authentication import AuthenticationBackend
from starlette.endpoints import HTTPEndpoint
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Host, Match, Mount, Route, Router, WebSocketRoute
from starlette.websockets import WebSocket

import guard_asgi
from guard import Actor
from guard.context import Acting
from guard.errors import ConfigError, Misuse
from guard.testing import UnsafeGuard
from guard_asgi import GuardMiddleware, purpose

__all__ = ["allowing", "documents"]


UNDERWRITING = purpose(PURPOSE, subject={"path": "customer_id"}, source=SOURCE)


def row(request: Request) -> Response:
    return JSONResponse({"customer_id": 1002, "x": "undeclared"})


async def talk(websocket: WebSocket) -> None:
    await websocket.accept()


def wrapped(app: Any, of: UnsafeGuard, folder: Path, said: dict[str, Any] | None, **more: Any) -> Any:
    path = None if said is None else written(folder, said)
    app.add_middleware(GuardMiddleware, **{"guard": of, "identify": as_lin, "routes": path, **more})
    return app


def wrong(app: Any) -> str:
    """What is said when the application starts, in the two ways in which it is said."""
    sent: list[dict[str, Any]] = []

    async def start() -> None:
        async def receive() -> dict[str, Any]:
            return {"type": "lifespan.startup"}

        async def send(message: Any) -> None:
            sent.append(message)

        await app({"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, receive, send)

    with pytest.raises((ConfigError, Misuse)) as raised:
        anyio.run(start)
    assert [one["type"] for one in sent] == ["lifespan.startup.failed"]
    assert str(raised.value) in sent[0]["message"]
    return str(raised.value)


def test_the_public_names_are_these() -> None:
    assert guard_asgi.__all__ == ["GuardMiddleware", "purpose"]


def test_the_adapter_needs_no_fastapi_and_no_event_loop_of_its_own() -> None:
    import subprocess
    import sys

    code = "import sys, guard_asgi; print([n for n in ('fastapi', 'guard_sql', 'sqlglot', 'trio') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    folder = Path(guard_asgi.__file__).parent
    assert not [path for path in folder.glob("*.py") if "import asyncio" in path.read_text("utf-8")]


# --- Wrong uses that everybody makes ----------------------------------------------------------------


@pytest.mark.parametrize("identify", [None, "officer-lin"])
def test_without_identify_it_says_what_to_give(allowing: UnsafeGuard, tmp_path: Path, identify: Any) -> None:
    app = wrapped(Starlette(), allowing, tmp_path, {ONE: GUARDED}, identify=identify)
    assert "identify=…: a function" in wrong(app)
    assert "Actor(id=" in wrong(app)


def test_without_a_guard_it_says_where_to_get_one(allowing: UnsafeGuard, tmp_path: Path) -> None:
    assert 'Guard.load("guard.yaml")' in wrong(wrapped(Starlette(), allowing, tmp_path, {ONE: GUARDED}, guard=None))


def test_servers_without_a_lifespan_hear_it_with_every_request(allowing: UnsafeGuard, tmp_path: Path) -> None:
    app = wrapped(Starlette(routes=[Route("/p", row)]), allowing, tmp_path, {"GET /q": PUBLIC})
    for _ in range(2):
        with pytest.raises(ConfigError, match="GET /p is not declared"):
            get(app, "/p")


def test_an_undeclared_route_is_named_with_the_lines_to_write(allowing: UnsafeGuard, tmp_path: Path) -> None:
    routes = [Route("/p", row), Route("/applications/{customer_id:int}", row, methods=["GET", "PUT"])]
    said = wrong(wrapped(Starlette(routes=routes), allowing, tmp_path, {"GET /p": PUBLIC, ONE: GUARDED}))
    assert "the route PUT /applications/{customer_id} is not declared" in said
    assert '"PUT /applications/{customer_id}: {purpose: …' in said
    assert "{public: {reason: …, owner: …}}" in said
    assert "GET" not in said.replace("routes.yaml", "")


def test_fastapi_s_own_pages_are_routes_too(allowing: UnsafeGuard, tmp_path: Path) -> None:
    app = FastAPI()
    app.get("/applications/{customer_id}")(row)
    said = wrong(wrapped(app, allowing, tmp_path, {ONE: GUARDED}))
    for path in ("/openapi.json", "/docs", "/docs/oauth2-redirect", "/redoc"):
        assert f"the route GET {path} is not declared" in said
        assert f'add "GET {path}: {{public: {{reason: …, owner: …}}}}", since it describes' in said
    assert "purpose:" not in said
    assert "FastAPI(openapi_url=None)" in said


@pytest.mark.parametrize(
    ("entry", "message", "remedy"),
    [
        ({"purpose": "loan_underwritting"}, "is not a purpose", "did you mean loan_underwriting?"),
        ({"purpose": "to_be_nosy"}, "to_be_nosy is not a purpose", "write one of"),
        ({"purpose": PURPOSE, "source": "bank:GET /aplications/{customer_id}"}, "is not in the catalogue", SOURCE),
        ({"purpose": PURPOSE, "source": "bank:retail.customer"}, "is a table", "whose fields are pointers"),
        ({"purpose": PURPOSE, "subject": {"path": "id"}}, "has no parameter id", "name a parameter"),
        (
            {"purpose": PURPOSE, "recipient": {"kind": "handler", "id": "i-1"}},
            "use does not go to handler",
            "staff",
        ),
        ({"purpose": PURPOSE, "recipient": "handler"}, "audience handler", "{kind: handler, id: insurer-1}"),
        ({"purpose": PURPOSE, "operation": "provide"}, "provide does not go to staff", "handler, processor"),
        ({"purpose": PURPOSE, "subject": {"path": "customer_id", "query": "id"}}, "at one place", "one of"),
        ({"purpose": PURPOSE, "subject": {"body": "/customer_id"}}, "no request is declared", "add request"),
        ({"purpose": PURPOSE, "subjet": {}}, "not a key", "did you mean subject?"),
        ({"public": {"reason": "none"}}, "owner is missing", "add the key owner"),
        ({"public": {"reason": "n", "owner": "o"}, "purpose": PURPOSE}, "has nothing else", "keep public alone"),
        ({"subject": {"path": "customer_id"}}, "is not declared", "purpose: …"),
    ],
)
def test_a_wrong_entry_says_what_to_write(
    allowing: UnsafeGuard, tmp_path: Path, entry: dict[str, Any], message: str, remedy: str
) -> None:
    app = wrapped(Starlette(routes=[Route("/applications/{customer_id}", row)]), allowing, tmp_path, {ONE: entry})
    said = wrong(app)
    assert message in said
    assert remedy in said
    assert "routes.yaml" in said


def test_what_is_wrong_in_code_names_the_route_and_no_line(allowing: UnsafeGuard, tmp_path: Path) -> None:
    @purpose("loan_underwritting", source=SOURCE)
    def mistyped(request: Request) -> Response:
        return row(request)

    app = Starlette(routes=[Route("/applications/{customer_id}", mistyped)])
    assert wrong(wrapped(app, allowing, tmp_path, None)) == (
        f"application: {ONE}: loan_underwritting is not a purpose of the policies or the profile — "
        "did you mean loan_underwriting?"
    )


def test_what_is_wrong_under_any_method_has_its_line(allowing: UnsafeGuard, tmp_path: Path) -> None:
    app = Starlette(routes=[Route("/p", row)])
    said = wrong(wrapped(app, allowing, tmp_path, {"* /p": {"purpose": "loan_underwritting", "source": SOURCE}}))
    assert "routes.yaml:3: loan_underwritting is not a purpose" in said


def test_a_subject_or_notice_in_the_body_is_a_field_of_the_catalogue(allowing: UnsafeGuard, tmp_path: Path) -> None:
    entry = {"purpose": PURPOSE, "subject": {"body": "/id"}, "request": {"notice": {"body": "/foreign_worker"}}}
    app = Starlette(routes=[Route("/applications", row, methods=["POST"])])
    said = wrong(wrapped(app, allowing, tmp_path, {"POST /applications": entry}))
    assert "bank:POST /applications has no single field /id" in said
    assert "bank:POST /applications has no single field /foreign_worker" in said
    assert "of type text or integer" in said


def test_a_declaration_for_no_route_is_wrong(allowing: UnsafeGuard, tmp_path: Path) -> None:
    app = Starlette(routes=[Route("/applications/{customer_id}", row)])
    said = wrong(wrapped(app, allowing, tmp_path, {ONE: GUARDED, "GET /application/{customer_id}": GUARDED}))
    assert "has no route GET /application/{customer_id}" in said
    assert f"did you mean {ONE}?" in said


def test_names_of_routes_are_a_method_and_a_path(allowing: UnsafeGuard, tmp_path: Path) -> None:
    for name in ("/p", "get /p", "FETCH /p", "GET p", "GET  /p", "GET /p "):
        app = wrapped(Starlette(routes=[Route("/p", row)]), allowing, tmp_path, {name: PUBLIC})
        assert "a method and a path" in wrong(app), name


def test_without_a_router_every_template_is_declared_whole(allowing: UnsafeGuard, tmp_path: Path) -> None:
    async def plain(scope: Any, receive: Any, send: Any) -> None: ...

    said = written(tmp_path, {ONE: {"subject": {"path": "customer_id"}}})
    assert f"the route {ONE} is not declared" in wrong(GuardMiddleware(plain, allowing, as_lin, said))
    assert "name them in routes=" in wrong(GuardMiddleware(plain, allowing, as_lin))


def test_a_guarded_route_has_methods(allowing: UnsafeGuard, tmp_path: Path) -> None:
    app = Starlette(routes=[Route("/applications/{customer_id}", row)])
    said = {"* /applications/{customer_id}": GUARDED}
    assert "* /applications/{customer_id}" not in wrong(wrapped(app, allowing, tmp_path, {**said, "GET /x": PUBLIC}))
    assert get(wrapped(Starlette(routes=app.routes), allowing, tmp_path, said), "/applications/1002").status == 200


def test_a_file_that_is_not_there_is_named(allowing: UnsafeGuard, tmp_path: Path) -> None:
    app = wrapped(Starlette(), allowing, tmp_path, None, routes=tmp_path / "routs.yaml")
    assert "routs.yaml: cannot be read" in wrong(app)


def test_guarded_websockets_are_not_built_yet(allowing: UnsafeGuard, tmp_path: Path) -> None:
    said = {"WEBSOCKET /talk": {"purpose": PURPOSE, "source": SOURCE}}
    app = Starlette(routes=[WebSocketRoute("/talk", talk)])
    assert "guarded websockets are not built yet" in wrong(wrapped(app, allowing, tmp_path, said))
    undeclared = Starlette(routes=[WebSocketRoute("/talk", talk), Route("/p", row)])
    assert "WEBSOCKET /talk is not declared" in wrong(wrapped(undeclared, allowing, tmp_path, {"GET /p": PUBLIC}))


class Users(AuthenticationBackend):
    async def authenticate(self, conn: Any) -> None:
        return None


class OwnGZip(GZipMiddleware):
    pass


@pytest.mark.parametrize(
    ("middleware", "more", "reason"),
    [
        (GZipMiddleware, {}, "compresses"),
        (OwnGZip, {}, "compresses"),
        (AuthenticationMiddleware, {"backend": Users()}, "signed in"),
        (CORSMiddleware, {"allow_origins": ["*"]}, "preflight"),
    ],
)
def test_the_order_of_middleware_is_checked(
    allowing: UnsafeGuard, tmp_path: Path, middleware: Any, more: Any, reason: str
) -> None:
    routes = [Route("/applications/{customer_id}", row)]
    inside = Starlette(routes=routes)
    inside.add_middleware(middleware, **more)
    said = wrong(wrapped(inside, allowing, tmp_path, {ONE: GUARDED}))
    assert f"{middleware.__name__} stands inside GuardMiddleware" in said
    assert reason in said
    assert f"(GuardMiddleware, …) before app.add_middleware({middleware.__name__}" in said
    outside = wrapped(Starlette(routes=routes), allowing, tmp_path, {ONE: GUARDED})
    outside.add_middleware(middleware, **more)
    assert get(outside, "/applications/1002").status == 200
    around = Starlette(routes=routes, middleware=[Middleware(middleware, **more)])
    said = wrong(GuardMiddleware(around, allowing, as_lin, written(tmp_path, {ONE: GUARDED})))
    assert f"{middleware.__name__} stands inside" in said


def test_it_is_added_once(allowing: UnsafeGuard, tmp_path: Path) -> None:
    app = Starlette(routes=[Route("/applications/{customer_id}", row)])
    twice = wrapped(wrapped(app, allowing, tmp_path, {ONE: GUARDED}), allowing, tmp_path, {ONE: GUARDED})
    assert "added twice" in wrong(twice)
    inner = wrapped(Starlette(routes=app.routes), allowing, tmp_path, {ONE: GUARDED})
    outer = GuardMiddleware(inner, allowing, as_lin, written(tmp_path, {ONE: GUARDED}))
    with pytest.raises(Misuse, match="keep the outer one"):
        get(outer, "/applications/1002")


def test_who_acts_is_an_actor(allowing: UnsafeGuard, tmp_path: Path) -> None:
    app = wrapped(
        Starlette(routes=[Route("/applications/{customer_id}", row)]),
        allowing,
        tmp_path,
        {ONE: GUARDED},
        identify=lambda _: "officer-lin",
    )
    sent: list[Any] = []
    with pytest.raises(Misuse, match=r"identify gives a guard\.Actor"):
        get(app, "/applications/1002", sent=sent)
    assert sent[0]["status"] == 500


def test_nobody_signed_in_is_a_refusal(allowing: UnsafeGuard, tmp_path: Path) -> None:
    async def nobody(scope: Any) -> Actor | None:
        return None

    app = Starlette(routes=[Route("/applications/{customer_id}", row)])
    answered = get(wrapped(app, allowing, tmp_path, {ONE: GUARDED}, identify=nobody), "/applications/1002")
    assert (answered.status, answered.rules) == (403, ["GUARD-ACTOR"])
    assert allowing.registered.drafts == []


def test_who_acts_may_be_found_out_asynchronously(allowing: UnsafeGuard, tmp_path: Path) -> None:
    async def lin(scope: Any) -> Actor:
        await anyio.lowlevel.checkpoint()
        return LIN

    app = Starlette(routes=[Route("/applications/{customer_id}", row)])
    assert get(wrapped(app, allowing, tmp_path, {ONE: GUARDED}, identify=lin), "/applications/1002").status == 200


# --- One table of two places ------------------------------------------------------------------------


def test_a_decorator_declares_a_starlette_endpoint(allowing: UnsafeGuard, tmp_path: Path) -> None:
    @purpose(PURPOSE, subject={"path": "customer_id"}, source=SOURCE)
    def declared(request: Request) -> Response:
        return row(request)

    class Several(HTTPEndpoint):
        @purpose(PURPOSE, source=SOURCE)
        async def get(self, request: Request) -> Response:
            return row(request)

    app = wrapped(
        Starlette(routes=[Route("/mine/{customer_id}", declared), Route("/several", Several)]), allowing, tmp_path, None
    )
    assert get(app, "/mine/1002").json == {"customer_id": 1002}
    assert get(app, "/several").json == {"customer_id": 1002}
    assert allowing.registered.drafts[0].subjects == ("1002",)


def test_a_dependency_declares_a_fastapi_route(allowing: UnsafeGuard, tmp_path: Path) -> None:
    app = FastAPI(openapi_url=None)
    seen: list[Any] = []

    @app.get("/mine/{customer_id}")
    async def mine(customer_id: int, act: Annotated[Acting, Depends(UNDERWRITING)]) -> dict[str, Any]:
        seen.append(act is allowing.current())
        return {"customer_id": customer_id, "x": 1}

    @app.get("/listed", dependencies=[Depends(purpose(PURPOSE, source=SOURCE))])
    def listed() -> list[dict[str, Any]]:
        return [{"customer_id": 1002, "x": 1}]

    router = APIRouter(prefix="/r", dependencies=[Depends(UNDERWRITING)])

    @router.get("/mine/{customer_id}")
    def routed(customer_id: int) -> dict[str, Any]:
        return {"customer_id": customer_id, "x": 1}

    outer = APIRouter(prefix="/outer")
    outer.include_router(router)
    app.include_router(outer, prefix="/api")
    wrapped(app, allowing, tmp_path, None)
    assert get(app, "/mine/1002").json == {"customer_id": 1002}
    assert get(app, "/listed").json == [{"customer_id": 1002}]
    assert get(app, "/api/outer/r/mine/1002").json == {"customer_id": 1002}
    assert get(app, "/api/outer/r/mine/x").json["status"] == 422
    assert seen == [True]


def test_declarations_in_both_places_are_one(allowing: UnsafeGuard, tmp_path: Path) -> None:
    @purpose(PURPOSE)
    def declared(request: Request) -> Response:
        return row(request)

    routes = [Route("/applications/{customer_id}", declared)]
    app = wrapped(Starlette(routes=routes), allowing, tmp_path, {ONE: {"subject": {"path": "customer_id"}}})
    assert get(app, "/applications/1002").json == {"customer_id": 1002}
    assert allowing.registered.drafts[0].activity is not None
    assert allowing.registered.drafts[0].activity.subjects == "declared"


def test_endpoints_of_one_name_are_declared_alike(allowing: UnsafeGuard, tmp_path: Path) -> None:
    """Their templates differ in a convertor alone: the declaration of one would be taken for the other's."""

    @purpose(PURPOSE, source=SOURCE)
    def of_number(request: Request) -> Response:
        return row(request)

    @purpose("marketing", source=SOURCE)
    def of_name(request: Request) -> Response:
        return row(request)

    routes = [Route("/mine/{who:int}", of_number), Route("/mine/{who}", of_name)]
    said = wrong(wrapped(Starlette(routes=routes), allowing, tmp_path, None))
    assert "two endpoints are named GET /mine/{who} and declared differently" in said
    routes[1] = Route("/mine/{name}", of_name)
    app = wrapped(Starlette(routes=routes), allowing, tmp_path, None)
    assert get(app, "/mine/5").status == get(app, "/mine/lin").status == 200
    assert [one.activity.purpose for one in allowing.registered.drafts if one.activity] == [PURPOSE, "marketing"]
    routes[1] = Route("/mine/{who}", of_number)
    assert get(wrapped(Starlette(routes=routes), allowing, tmp_path, None), "/mine/lin").status == 200


@pytest.mark.parametrize("other", [{"purpose": "marketing"}, PUBLIC])
def test_declarations_that_disagree_are_wrong(allowing: UnsafeGuard, tmp_path: Path, other: Any) -> None:
    @purpose(PURPOSE)
    def declared(request: Request) -> Response:
        return row(request)

    routes = [Route("/applications/{customer_id}", declared)]
    said = wrong(wrapped(Starlette(routes=routes), allowing, tmp_path, {ONE: other}))
    assert "purpose is marketing in routes.yaml and loan_underwriting in code" in said or "has nothing else" in said


def test_two_routes_of_one_function_are_declared_alike(allowing: UnsafeGuard, tmp_path: Path) -> None:
    def shared(request: Request) -> Response:
        return row(request)

    alike = purpose(PURPOSE, subject={"path": "customer_id"}, source=SOURCE)
    routes = [Route("/a/{customer_id}", alike(shared)), Route("/b/{customer_id}", UNDERWRITING(shared))]
    app = wrapped(Starlette(routes=routes), allowing, tmp_path, None)
    assert get(app, "/a/1002").json == get(app, "/b/1002").json == {"customer_id": 1002}
    assert [one.subjects for one in allowing.registered.drafts] == [("1002",)] * 2


def test_two_routes_of_one_function_may_have_a_dependency_each(allowing: UnsafeGuard, tmp_path: Path) -> None:
    app = FastAPI(openapi_url=None)

    def shared() -> list[dict[str, Any]]:
        return [{"customer_id": 1002}]

    for path, why in (("/a", PURPOSE), ("/b", "marketing")):
        app.get(path, dependencies=[Depends(purpose(why, source=SOURCE))])(shared)
    wrapped(app, allowing, tmp_path, None)
    assert get(app, "/a").status == get(app, "/b").status == 200
    assert [one.activity.purpose for one in allowing.registered.drafts if one.activity] == [PURPOSE, "marketing"]


def test_declarations_of_one_function_that_differ_are_told_with_their_lines(
    allowing: UnsafeGuard, tmp_path: Path
) -> None:
    def shared(request: Request) -> Response:
        return row(request)

    line = 1 + cast(FrameType, currentframe()).f_lineno
    one = purpose(PURPOSE, source=SOURCE)
    other = purpose("marketing", source=SOURCE)
    said = wrong(
        wrapped(Starlette(routes=[Route("/a", one(shared)), Route("/b", other(shared))]), allowing, tmp_path, None)
    )
    for path in ("/a", "/b"):
        assert (
            f"GET {path} is declared twice: purpose is {PURPOSE} at test_asgi_routes.py:{line} and marketing "
            f"at test_asgi_routes.py:{line + 1} — declare each part once, or the same; a function of two routes"
        ) in said


def test_a_declaration_in_code_that_cannot_be_right_fails_where_it_stands() -> None:
    with pytest.raises(Misuse, match="header is not a key"):
        purpose(PURPOSE, subject={"header": "x"})
    with pytest.raises(Misuse, match="stands on an endpoint"):
        purpose(PURPOSE)("GET /p")  # type: ignore[type-var]  # wrong on purpose


def test_a_declared_route_without_the_middleware_does_not_answer() -> None:
    app = FastAPI(openapi_url=None)

    @app.get("/mine", dependencies=[Depends(purpose(PURPOSE))])
    def mine() -> dict[str, Any]:
        return {"customer_id": 1}

    with pytest.raises(Misuse, match="no GuardMiddleware stands around it"):
        get(app, "/mine")


def test_a_sync_dependency_with_yield_opens_nothing_for_its_endpoint(allowing: UnsafeGuard, tmp_path: Path) -> None:
    """It runs in a thread with a copy of the context. What it opens stays there: the refusal says what to do."""
    app = FastAPI(openapi_url=None)

    def acting() -> Iterator[Acting]:
        with allowing.acting(LIN, purpose=PURPOSE) as act:
            yield act

    @app.get("/mine", dependencies=[Depends(acting)])
    async def mine() -> dict[str, Any]:
        allowing.current()
        return {"customer_id": 1002}

    answered = get(wrapped(app, allowing, tmp_path, {"GET /mine": PUBLIC}), "/mine")
    assert (answered.status, answered.rules) == (403, ["GUARD-PURPOSE"])
    assert "guard_asgi.purpose(" in answered.json["detail"]
    assert "routes.yaml" in answered.json["detail"]
    assert "dependency with yield" in answered.json["detail"]


# --- Two routers ------------------------------------------------------------------------------------


def secret(request: Request) -> Response:
    return JSONResponse({"secret": "SECRET"})


def test_mounts_and_hosts_are_read_through(allowing: UnsafeGuard, tmp_path: Path) -> None:
    inner = Starlette(routes=[Route("/applications/{customer_id}", row)])
    app = Starlette(
        routes=[
            Mount("/v/{version:int}", routes=[Mount("/in", app=inner)]),
            Mount("/m", app=Router([Route("/p", secret)]), middleware=[Middleware(GZipMiddleware)]),
            Host("{sub}.example.org", app=Router([Route("/h", secret)])),
        ]
    )
    said = {"GET /v/{version}/in/applications/{customer_id}": {**GUARDED, "source": SOURCE}}
    wrapped(app, allowing, tmp_path, {**said, "GET /m/p": PUBLIC, "GET /h": PUBLIC})
    assert get(app, "/v/1/in/applications/1002").json == {"customer_id": 1002}
    assert get(app, "/m/p").json == {"secret": "SECRET"}
    assert get(app, "/h").status == 404
    assert get(app, "/h", headers=[(b"host", b"bank")]).status == 404


def test_a_guarded_application_may_be_mounted(allowing: UnsafeGuard, tmp_path: Path) -> None:
    async def limited(request: Request, call_next: Any) -> Response:
        return Response("not now", 503) if "x-late" in request.headers else await call_next(request)

    inner = Starlette(routes=[Route("/applications/{customer_id}", row), Route("/p", secret)])
    inner.add_middleware(BaseHTTPMiddleware, dispatch=limited)
    wrapped(inner, allowing, tmp_path, {ONE: GUARDED, "GET /p": PUBLIC})
    for app in (
        Starlette(routes=[Mount("/of/{branch}", app=inner)]),
        FastAPI(routes=[Mount("/of/{branch}", app=inner)]),
    ):
        assert get(app, "/of/3/applications/1002").json == {"customer_id": 1002}
        assert get(app, "/of/3/p").json == {"secret": "SECRET"}
        assert get(app, "/of/3/nowhere").status == 404
        assert get(app, "/of/3/p", method="DELETE").status == 405
        for path in ("/of/3/applications/1002", "/of/3/p", "/of/3/nowhere"):
            assert get(app, path, headers=[(b"x-late", b"1")]).status == 503, path
    assert get(inner, "/api/applications/1002", root_path="/api").json == {"customer_id": 1002}


def test_a_route_may_be_an_application(allowing: UnsafeGuard, tmp_path: Path) -> None:
    one = Route("/{customer_id}", row)
    apps: list[Any] = [
        Mount("/applications", app=one),
        Mount("/applications", app=one, middleware=[Middleware(Closed)]),
    ]
    apps += [Starlette(routes=[Mount("/applications", app=one)]), Router([Mount("/applications", app=Router([one]))])]
    for app in apps[:1] + apps[2:]:
        guarded = GuardMiddleware(app, allowing, as_lin, written(tmp_path, {ONE: GUARDED}))
        assert get(guarded, "/applications/1002").json == {"customer_id": 1002}
    hidden = GuardMiddleware(apps[1], allowing, as_lin, written(tmp_path, {"GET /applications/{path}": PUBLIC}))
    assert get(hidden, "/applications/1002").rules == ["GUARD-ROUTE"]


def test_a_mounted_application_without_routes_is_one_route(allowing: UnsafeGuard, tmp_path: Path) -> None:
    async def plain(scope: Any, receive: Any, send: Any) -> None:
        await JSONResponse({"secret": "SECRET"})(scope, receive, send)

    app = Starlette(routes=[Mount("/plain", app=plain)])
    assert '"* /plain/{path}: ' in wrong(wrapped(app, allowing, tmp_path, {"GET /p": PUBLIC}))
    app = wrapped(
        Starlette(routes=[Mount("/plain", app=plain)]), allowing, tmp_path, {"GET /plain/{path:path}": PUBLIC}
    )
    assert get(app, "/plain/a/b").json == {"secret": "SECRET"}
    assert get(app, "/plain/a/b", method="HEAD").status == 200
    assert get(app, "/plain/a/b", method="POST").rules == ["GUARD-ROUTE"]


def test_a_kind_of_route_that_is_not_known_is_wrong(allowing: UnsafeGuard, tmp_path: Path) -> None:
    class Own(BaseRoute):
        def matches(self, scope: Any) -> Any:
            return Match.FULL, {}

    assert "Own is a kind of route" in wrong(wrapped(Starlette(routes=[Own()]), allowing, tmp_path, {"GET /p": PUBLIC}))


def test_fastapi_s_frontends_are_routes(allowing: UnsafeGuard, tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "index.html").write_text("a page")
    app = FastAPI(openapi_url=None)
    app.frontend("/site", directory=tmp_path / "site")
    app.get("/applications/{customer_id}")(lambda customer_id: {"customer_id": 1002, "x": 1})
    assert "GET /site/{path} is not declared" in wrong(wrapped(app, allowing, tmp_path, {ONE: GUARDED}))
    again = FastAPI(openapi_url=None)
    again.frontend("/site", directory=tmp_path / "site")
    again.get("/applications/{customer_id}")(lambda customer_id: {"customer_id": 1002, "x": 1})
    wrapped(again, allowing, tmp_path, {ONE: GUARDED, "GET /site/{path}": PUBLIC})
    assert get(again, "/site/index.html").body == b"a page"
    assert get(again, "/applications/1002").json == {"customer_id": 1002}


def test_routes_that_come_later_are_checked_too(allowing: UnsafeGuard, tmp_path: Path) -> None:
    app = wrapped(Starlette(routes=[Route("/p", row)]), allowing, tmp_path, {"GET /p": PUBLIC})
    assert get(app, "/p").status == 200
    app.router.add_route("/later", secret)
    with pytest.raises(ConfigError, match="GET /later is not declared"):
        get(app, "/later")
    with pytest.raises(ConfigError, match="GET /later is not declared"):
        get(app, "/p")


def test_a_route_that_is_put_before_others_later_answers_nothing(allowing: UnsafeGuard, tmp_path: Path) -> None:
    said = {"GET /p": PUBLIC, ONE: GUARDED}
    app = wrapped(
        Starlette(routes=[Route("/p", row), Route("/applications/{customer_id}", row)]), allowing, tmp_path, said
    )
    assert get(app, "/p").status == 200
    app.router.routes.insert(0, Route("/{path:path}", secret))
    for path in ("/p", "/applications/1002"):
        answered = get(app, path)
        assert answered.rules == ["GUARD-ROUTE"]
        assert b"SECRET" not in answered.body


class Elsewhere:
    """A middleware inside the guard that changes where a request goes."""

    def __init__(self, app: Any, change: Callable[[Any], Any]) -> None:
        self.app = app
        self.change = change

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(self.change(scope), receive, send)


CHANGES: dict[str, Callable[[Any], Any]] = {
    "path": lambda scope: scope.update(path="/p/secret") or scope,
    "copied path": lambda scope: {**scope, "path": "/p/secret"},
    "person": lambda scope: scope.update(path="/applications/1003") or scope,
    "method": lambda scope: scope.update(method="POST") or scope,
}


@pytest.mark.parametrize("asked", ["/p/open", "/applications/1002"])
@pytest.mark.parametrize("change", CHANGES)
def test_an_answer_of_another_endpoint_than_declared_is_discarded(
    allowing: UnsafeGuard, tmp_path: Path, change: str, asked: str
) -> None:
    def of_any(request: Request) -> Response:
        return JSONResponse({"customer_id": 1003})

    routes = [
        Route("/p/secret", secret),
        Route("/p/open", secret, methods=["GET", "POST"]),
        Route("/applications/{customer_id}", of_any, methods=["GET", "POST"]),
    ]
    form = {"purpose": PURPOSE, "request": {}, "source": SOURCE}
    said = {
        "GET /p/secret": {"purpose": PURPOSE, "source": SOURCE},
        "GET /p/open": PUBLIC,
        "POST /p/open": form,
        ONE: GUARDED,
        "POST /applications/{customer_id}": form,
    }
    app = Starlette(routes=routes)
    app.add_middleware(Elsewhere, change=CHANGES[change])
    if (change, asked) == ("person", "/p/open"):
        return  # a public route is about nobody
    answered = get(wrapped(app, allowing, tmp_path, said), asked)
    assert answered.rules == ["GUARD-ROUTE"]
    assert b"SECRET" not in answered.body
    assert b"1003" not in answered.body


class ForAMoment:
    """A middleware inside the guard that asks for another person and puts the path back before the answer."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        path = scope["path"]

        async def restored(message: Any) -> None:
            scope["path"] = path
            await send(message)

        scope["path"] = "/applications/1003"
        await self.app(scope, receive, restored)


def test_an_answer_for_other_parameters_is_discarded(allowing: UnsafeGuard, tmp_path: Path) -> None:
    app = Starlette(routes=[Route("/applications/{customer_id}", row)])
    app.add_middleware(ForAMoment)
    answered = get(wrapped(app, allowing, tmp_path, {ONE: GUARDED}), "/applications/1002")
    assert answered.rules == ["GUARD-ROUTE"]


def test_an_endpoint_that_takes_another_s_place_answers_nothing(allowing: UnsafeGuard, tmp_path: Path) -> None:
    app = Starlette(routes=[Route("/applications/{customer_id}", row)])
    wrapped(app, allowing, tmp_path, {ONE: GUARDED})
    assert get(app, "/applications/1002").status == 200
    app.router.routes.insert(0, Route("/applications/{customer_id}", secret))
    answered = get(app, "/applications/1002")
    assert answered.rules == ["GUARD-ROUTE"]
    assert "Another endpoint" in answered.json["detail"]


def test_a_base_http_middleware_inside_is_no_obstacle(allowing: UnsafeGuard, tmp_path: Path) -> None:
    async def counted(request: Request, call_next: Any) -> Response:
        response: Response = await call_next(request)
        response.headers["x-request-id"] = "1"
        return response

    app = Starlette(routes=[Route("/applications/{customer_id}", row)])
    app.add_middleware(BaseHTTPMiddleware, dispatch=counted)
    answered = get(wrapped(app, allowing, tmp_path, {ONE: GUARDED}), "/applications/1002")
    assert answered.json == {"customer_id": 1002}
    assert answered.header("x-request-id") == ["1"]


class Closed:
    """A middleware that does not show what it stands around."""

    def __init__(self, app: Any) -> None:
        self._inner = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self._inner(scope, receive, send)


def test_the_application_s_routes_are_found_behind_what_hides_them(allowing: UnsafeGuard, tmp_path: Path) -> None:
    app = Starlette(routes=[Route("/applications/{customer_id}", row), Route("/p", secret)])
    app.add_middleware(Closed)
    assert "GET /p is not declared" in wrong(wrapped(app, allowing, tmp_path, {ONE: GUARDED}))


def test_an_answer_that_no_endpoint_gave_is_not_the_route_s(allowing: UnsafeGuard, tmp_path: Path) -> None:
    async def short(request: Request, call_next: Any) -> Response:
        return JSONResponse({"customer_id": 1002})

    app = Starlette(routes=[Route("/applications/{customer_id}", row)])
    app.add_middleware(BaseHTTPMiddleware, dispatch=short)
    answered = get(wrapped(app, allowing, tmp_path, {ONE: GUARDED}), "/applications/1002")
    assert answered.rules == ["GUARD-ROUTE"]
    assert "middleware" in answered.json["detail"]


def test_it_works_with_httpx_as_clients_use_it(allowing: UnsafeGuard, tmp_path: Path) -> None:
    app = wrapped(Starlette(routes=[Route("/applications/{customer_id}", row)]), allowing, tmp_path, {ONE: GUARDED})

    async def asked() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://bank") as client:
            return await client.get("/applications/1002")

    assert anyio.run(asked).json() == {"customer_id": 1002}


def test_other_protocols_are_not_served(allowing: UnsafeGuard, tmp_path: Path) -> None:
    app = GuardMiddleware(Starlette(), allowing, as_lin, written(tmp_path, {"GET /p": PUBLIC}))

    async def call() -> None:
        await app({"type": "mqtt"}, None, None)  # type: ignore[arg-type]  # nothing is received or sent

    with pytest.raises(Misuse, match="mqtt"):
        anyio.run(call)
