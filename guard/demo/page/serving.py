"""Serves the page, on this machine only."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

import uvicorn
from starlette.types import ASGIApp

from guard.demo.page.app import application
from guard.errors import Misuse
from guard.facade import Guard

HOST: Final = "127.0.0.1"
LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})


def serve(
    guard: Guard,
    *,
    bank: ASGIApp | None = None,
    host: str = HOST,
    port: int = 8000,
    ready: Callable[[str], object] | None = None,
    refusals: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> None:
    """Serves the page until it is interrupted; port 0 takes a free one. `ready` is told the address.

    `refusals` as in `application`. Misuse for a host that is not the loopback, since the page acts as anybody, and for
    a port that is taken.
    """
    if host not in LOOPBACK:
        raise Misuse(f"The demo's page lets its visitor act as anybody: it is served on 127.0.0.1, not on {host}.")
    with listening(host, port) as bound:
        bound_port = bound.getsockname()[1]
        app = application(guard, bank=bank, port=bound_port, refusals=refusals)
        name = f"[{host}]" if ":" in host else host
        if ready is not None:
            ready(f"http://{name}:{bound_port}/")
        server(app).run(sockets=[bound])


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens there; Misuse where the port is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
        bound.listen(64)
    except OSError:
        bound.close()
        raise Misuse(f"Port {port} of {host} cannot be used; name another with --port.") from None
    return bound


def server(app: ASGIApp) -> uvicorn.Server:
    """The server of the page: it logs no request, trusts no proxy and says no name."""
    return uvicorn.Server(
        uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            limit_concurrency=64,
            timeout_graceful_shutdown=2,
        )
    )
