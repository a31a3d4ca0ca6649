# ruff: noqa: T201 — it prints what it measured
"""What a response costs: as it is, behind a middleware that does nothing, guarded, and behind an OPA middleware.

    python -m tests.bench.web [rounds]

An application answers with one person (1 KB) or with a hundred (100 KB); eight of ten members of a record are declared,
two are dropped. The ways take turns, in another order each round, so that other load hits all of them; medians of wall
time in microseconds of an application of Starlette that answers with ready bytes, and of one of FastAPI that answers
with what it makes JSON of:

- `direct`: the ASGI application is awaited, as a server does it, and nothing else is counted: no server, no client.
- `httpx`: through httpx's ASGITransport, as tests do it: the cost of a client without any network.
- `uvicorn`: as it is run: uvicorn in a process of its own, one connection on loopback that is kept alive, a client that
  is next to nothing (a blocking socket). uvicorn with what it needs itself: asyncio and h11, no uvloop or httptools.

`nothing` is the application alone, `pass-through` a pure ASGI middleware that hands everything on, `BaseHTTP` an empty
BaseHTTPMiddleware. `guarded` has a remembered decision of the shipped floor for a person who asks for the own data;
its register takes entries and keeps none, so it is net of the register; `+register` keeps them on disk. `+ledger` is a
loan officer, for whom cases and consents are asked of the database; net of the register, too. `fastapi-opa` asks a
real OPA server, whose policy allows everything. An overhead is what a way takes more than `pass-through` does.
"""

from __future__ import annotations

import contextlib
import functools
import json
import logging
import multiprocessing
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
import warnings
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import httpx
import uvicorn
from fastapi import FastAPI
from fastapi_opa import OPAConfig, OPAMiddleware  # type: ignore[import-untyped]  # it has no types
from fastapi_opa.auth.auth_interface import AuthInterface  # type: ignore[import-untyped]  # it has no types
from starlette.applications import Starlette
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from guard import Actor, Guard
from guard.demo import bank
from guard_asgi import GuardMiddleware
from guard_engine import opa

CATALOGUE = """
version: "1"
sources:
  "bank:retail.loan_case":
    subjects: {holder: customer_id}
    fields:
      customer_id: {category: pseudonym, type: integer}
      officer_id: {category: account_meta}
      status: {category: account_meta}
  "bank:GET /people/{customer_id}":
    subjects: {holder: /customer_id}
    relations:
      assigned_case: {source: "bank:retail.loan_case", subject: customer_id, actor: officer_id, where: {status: open}}
    fields:
      /customer_id: {category: pseudonym, type: integer}
      /full_name: {category: identity}
      /id_number: {category: identity_number}
      /mobile: {category: contact}
      /home_address: {category: address}
      /employer: {category: employment}
      /monthly_income: {category: income, type: integer}
      /loan_purpose: {category: loan_application}
"""
ROUTES = """
version: 1
routes:
  "GET /people/{customer_id}":
    purpose: own_record_access
    subject: {path: customer_id}
    recipient: subject
  "GET /people":
    purpose: own_record_access
    source: "bank:GET /people/{customer_id}"
    recipient: subject
"""
OF_OFFICER = ROUTES.replace("own_record_access", "loan_underwriting").replace("recipient: subject", "recipient: staff")
SELF = Actor(id="1001")
OFFICER = Actor(id="officer-lin", roles=("loan_officer",), unit="branch-3")
SIZES = {"1 KB": "/people/1001", "100 KB": "/people"}
Call = Callable[[], Awaitable[object]]


def person(number: int = 1001) -> dict[str, Any]:
    """One record of some 930 bytes, of which eight members are declared and two are not."""
    return {
        "customer_id": number,
        "full_name": "周宇",
        "id_number": "445202200404297418",
        "mobile": "15826021930",
        "home_address": "广东省揭阳市榕城区" * 8,
        "employer": "a company with a name as long as companies have " * 4,
        "monthly_income": 5951,
        "loan_purpose": "radio/television",
        "internal_note": "what nobody outside is told; " * 9,
        "row_version": 17,
    }


BODIES = {
    "/people/1001": json.dumps(person(), ensure_ascii=False).encode(),
    "/people": json.dumps([person() for _ in range(110)], ensure_ascii=False).encode(),
}


async def one(request: Request) -> Response:
    """The application's answer; making it costs the same everywhere."""
    return Response(BODIES[request.url.path], media_type="application/json")


def ready() -> Starlette:
    """An application that does next to nothing."""
    return Starlette(routes=[Route("/people/{customer_id}", one), Route("/people", one)])


def usual() -> FastAPI:
    """An application as people write them."""
    app = FastAPI(openapi_url=None)
    records = {path: json.loads(body) for path, body in BODIES.items()}

    @app.get("/people/{customer_id}")
    async def single(customer_id: int) -> dict[str, Any]:
        found: dict[str, Any] = records[f"/people/{customer_id}"]
        return found

    @app.get("/people")
    async def many() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = records["/people"]
        return found

    return app


class PassThrough:
    """Hands everything on."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)


class Empty(BaseHTTPMiddleware):
    """An empty BaseHTTPMiddleware."""

    async def dispatch(self, request: Request, call_next: Any) -> Any:
        return await call_next(request)


class Anybody(AuthInterface):  # type: ignore[misc]  # the base has no types
    """Who asks, for fastapi-opa."""

    async def authenticate(self, request: Request, accepted_methods: Any = None) -> dict[str, str]:
        return {"user": "1001"}


class Unkept:
    """A register that takes every entry and keeps none."""

    def __init__(self, guard: Guard) -> None:
        self._register: Any = guard.register
        self._kept = self._register.append, self._register.append_soon

    def __enter__(self) -> None:
        async def append_soon(_: object) -> int:
            return 0

        self._register.append, self._register.append_soon = (lambda _: 0), append_soon

    def __exit__(self, *_: object) -> None:
        self._register.append, self._register.append_soon = self._kept


@contextlib.contextmanager
def plain_opa(folder: Path) -> Iterator[str | None]:
    """A real OPA server without a token, as fastapi-opa asks it; None where there is no opa."""
    program = opa.find()
    if program is None:
        print("no opa here: fastapi-opa is left out (guard opa install)")
        yield None
        return
    policy = folder / "authz.rego"
    policy.write_text('package httpapi.authz\n\ndefault allow := false\n\nallow if input.user == "1001"\n')
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    command = [program, "run", "--server", "--addr", f"127.0.0.1:{port}", "--log-level", "error", policy]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            _wait(f"{url}/health")
            yield url
        finally:
            process.terminate()


def _wait(url: str) -> None:
    for _ in range(200):
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=1):
            return
        time.sleep(0.05)
    raise SystemExit("opa does not answer")


def opened(folder: Path) -> Guard:
    """A guard with the shipped floor, and the example bank's cases and consents."""
    config = bank.build(folder)
    (folder / "catalogue.yaml").write_text(CATALOGUE, "utf-8")
    (folder / "routes.yaml").write_text(ROUTES, "utf-8")
    (folder / "of_officer.yaml").write_text(OF_OFFICER, "utf-8")
    guard = Guard.load(config)
    guard.consents.record_many([one for one in bank.consents() if one.subject == str(person()["customer_id"])])
    return guard


def direct(app: Any, path: str) -> Call:
    """One call as a server makes it; gives the body that was sent."""
    raw = path.encode()

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def ask() -> bytes:
        sent: list[bytes] = []

        async def send(message: dict[str, Any]) -> None:
            sent.append(message.get("body", b""))

        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.5"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": path,
            "raw_path": raw,
            "query_string": b"",
            "root_path": "",
            "headers": [(b"host", b"bank"), (b"accept", b"*/*"), (b"user-agent", b"bench")],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
            "state": {},
        }
        await app(scope, receive, send)
        return b"".join(sent)

    return ask


class Loopback:
    """One connection to a server on this machine, kept alive."""

    def __init__(self, port: int, path: str) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._request = f"GET {path} HTTP/1.1\r\nhost: bank\r\naccept: */*\r\nuser-agent: bench\r\n\r\n".encode()

    async def ask(self) -> bytes:
        """One call; gives the body. It blocks: nothing else runs here meanwhile."""
        self._socket.sendall(self._request)
        came = self._socket.recv(262_144)
        while b"\r\n\r\n" not in came:
            came += self._socket.recv(262_144)
        head, _, body = came.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        while len(body) < length:
            body += self._socket.recv(262_144)
        return body

    def close(self) -> None:
        """Ends it."""
        self._socket.close()


def through_httpx(client: httpx.AsyncClient, path: str) -> Call:
    async def ask() -> bytes:
        return (await client.get(path)).content

    return ask


async def in_turns(ways: dict[str, Call], rounds: int) -> dict[str, float]:
    """The median of each way in microseconds, some calls of each in turn, in any order."""
    taken: dict[str, list[float]] = {way: [] for way in ways}
    order, dice = [*ways.items()], random.Random(1)
    for turn in range(rounds + 2):
        dice.shuffle(order)
        for way, ask in order:
            times = 2 if way.startswith(("fastapi-opa", "+register")) else 10
            for _ in range(times):
                start = time.perf_counter_ns()
                await ask()
                if turn >= 2:  # the first rounds warm up
                    taken[way].append(time.perf_counter_ns() - start)
    return {way: statistics.median(some) / 1000 for way, some in taken.items()}


def verdict(name: str, figure: float, target: float, *, least: bool = False) -> str:
    """A target, and whether it was met."""
    met = figure >= target if least else figure <= target
    return (
        f"{'met   ' if met else 'MISSED'} {name}: {figure:,.3g}x, target {target:g}x at {'least' if least else 'most'}"
    )


def ways(application: Callable[[], Starlette], guard: Guard, folder: Path, url: str | None) -> dict[str, Any]:
    """The same application in all the ways that are compared."""
    apps = {name: application() for name in ("nothing", "pass-through", "BaseHTTP", "guarded", "+ledger", "+register")}
    apps["pass-through"].add_middleware(PassThrough)
    apps["BaseHTTP"].add_middleware(Empty)
    for name in ("guarded", "+ledger", "+register"):
        actor, file = (OFFICER, "of_officer.yaml") if name == "+ledger" else (SELF, "routes.yaml")
        identify = functools.partial(_always, actor)
        apps[name].add_middleware(GuardMiddleware, guard=guard, identify=identify, routes=folder / file)
    if url is not None:
        apps["fastapi-opa"] = application()
        apps["fastapi-opa"].add_middleware(OPAMiddleware, config=OPAConfig(Anybody(), url))
    return apps


APPLICATIONS: dict[str, Callable[[], Starlette]] = {"Starlette": ready, "FastAPI": usual}


def serve(folder: Path, url: str | None, told: Any) -> None:
    """A process that serves all ways, each on a port of its own; tells the ports. It ends when it is terminated."""
    logging.disable(logging.ERROR)
    for name in ("net", "kept"):
        (folder / name).mkdir()
    with opened(folder / "net") as net, opened(folder / "kept") as kept, Unkept(net):
        made = {of: ways(app, net, folder / "net", url) for of, app in APPLICATIONS.items()}
        for of, app in APPLICATIONS.items():
            made[of]["+register"] = ways(app, kept, folder / "kept", None)["+register"]
        sockets = {of: {name: _listening() for name in apps} for of, apps in made.items()}
        told.send({of: {name: one.getsockname()[1] for name, one in some.items()} for of, some in sockets.items()})

        async def run() -> None:
            async with anyio.create_task_group() as group:
                for of, apps in made.items():
                    for name, app in apps.items():
                        config = uvicorn.Config(app, log_level="critical", access_log=False, http="h11", loop="asyncio")
                        group.start_soon(uvicorn.Server(config).serve, [sockets[of][name]])

        anyio.run(run)


def _listening() -> socket.socket:
    # As uvicorn makes it for a host and a port: asyncio sets TCP_NODELAY on a socket that says that it is of TCP.
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    made.bind(("127.0.0.1", 0))
    made.listen()
    return made


@contextlib.contextmanager
def served(folder: Path, url: str | None) -> Iterator[dict[str, dict[str, int]]]:
    """The ports of all ways, in a process of its own."""
    here, there = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(folder, url, there))
    process.start()
    try:
        yield here.recv()
    finally:
        process.kill()
        process.join()


async def measured(
    made: dict[str, dict[str, Any]], ports: dict[str, dict[str, int]], guard: Guard, rounds: int
) -> list[str]:
    """Prints the table; gives what is said of the targets."""
    said = []
    names = "".join(f"{name:>14}" for name in made["FastAPI"])
    print(f"{'':26}{names}{'guarded/pass':>14}{'overhead: opa/guarded':>23}")
    for size, path in SIZES.items():
        for of, how in [(of, how) for of in made for how in ("direct", "httpx", "uvicorn")]:
            apps = made[of]
            async with contextlib.AsyncExitStack() as stack:
                ways: dict[str, Call] = {}
                for name, app in apps.items():
                    if how == "direct":
                        ask = direct(app, path)
                    elif how == "uvicorn":
                        ask = stack.enter_context(contextlib.closing(Loopback(ports[of][name], path))).ask
                    else:
                        client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://bank")
                        ask = through_httpx(await stack.enter_async_context(client), path)
                    ways[name] = ask if name == "+register" else _unkept(guard, ask)
                await _agree(ways, path)
                found = await in_turns(ways, rounds)
            ratio = found["guarded"] / found["pass-through"]
            row = f"{size}, {of}, {how}"
            print(f"{row:26}" + "".join(f"{one:14,.1f}" for one in found.values()) + f"{ratio:13.2f}x", end="")
            added = {name: one - found["pass-through"] for name, one in found.items()}
            less = added.get("fastapi-opa", 0.0) / max(added["guarded"], 0.1)
            print(f"{less:22.1f}x" if "fastapi-opa" in found else "")
            if size == "1 KB":
                said.append(verdict(f"{row}: guarded to pass-through", ratio, 1.5))
            if size == "1 KB" and "fastapi-opa" in found:
                said.append(verdict(f"{row}: overhead of fastapi-opa to guarded", less, 50, least=True))
    return said


def _unkept(guard: Guard, ask: Call) -> Call:
    async def asked() -> object:
        with Unkept(guard):
            return await ask()

    return asked


async def _agree(ways: dict[str, Call], path: str) -> None:
    whole = json.loads(BODIES[path])
    for name, ask in ways.items():
        got = json.loads(await ask())  # type: ignore[arg-type]  # bytes
        shown = whole
        if name == "+ledger":
            if not got or any("internal_note" in one or "full_name" not in one for one in _list(got)):
                raise SystemExit(f"{name} answers something else: {str(got)[:300]}")
            continue
        if name in {"guarded", "+register"}:
            hidden = {"internal_note", "row_version"}
            some = [{key: value for key, value in one.items() if key not in hidden} for one in _list(whole)]
            shown = some if isinstance(whole, list) else some[0]
        if got != shown:
            raise SystemExit(f"{name} answers something else: {str(got)[:300]}")


def _always(actor: Actor, _: object) -> Actor:
    return actor


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


async def main(rounds: int = 100) -> None:
    """Measures and prints."""
    logging.disable(logging.ERROR)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        guard = stack.enter_context(opened(folder))
        url = stack.enter_context(plain_opa(folder))
        made = {of: ways(app, guard, folder, url) for of, app in APPLICATIONS.items()}
        ports = stack.enter_context(served(folder, url))
        sizes = ", ".join(f"{size}: {len(BODIES[path]):,} bytes" for size, path in SIZES.items())
        print(f"{sizes}; microseconds, medians")
        print("\n".join(await measured(made, ports, guard, rounds)))


if __name__ == "__main__":
    warnings.simplefilter("ignore", ResourceWarning)  # fastapi-opa's connections end with the process
    anyio.run(main, *(int(argument) for argument in sys.argv[1:2]))
