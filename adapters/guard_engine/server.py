"""An OPA server as engine, through opa-python-client.

Each answer carries the revisions of the bundles that made it (OPA's provenance, read in the transaction of
the query); they are compared with the trusted digests every time, so that a server whose bundles were
replaced, rolled back or taken away is refused from its first answer on. This finds the wrong policies on an
honest server; that it is the right server is the business of TLS and of the token.

At start a server that lets policies or data be read or written without a token is refused: whoever can write
to it decides. The writes that are tried cannot succeed: their bodies are not Rego and not JSON.

What opa-python-client lacks is in `guard_engine.transport`: its `query_rule` would serialise the question
again, drop OPA's error body and read the answer leniently, so its pooled session is used directly.
"""

from __future__ import annotations

import logging
import os
import re
import secrets
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import requests

from guard.engine import Entrypoint
from guard.errors import ConfigError, Misuse, Problem, Refused, UnsafeWarning
from guard.wire import MAX_BYTES, NotStrict, strict_json
from guard_engine.bundle import Bundle
from guard_engine.transport import Client, Encoded, TooLarge

if TYPE_CHECKING:
    from guard import config

_log = logging.getLogger(__name__)

_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_CODE: Final = re.compile(rb'"code"\s*:\s*"([a-z_]{1,40})"')
_NONCE: Final = re.compile(r"guard_probe_\w+")
_DENIED: Final = frozenset({401, 403})


class Server:
    """The policies on an OPA server.

    `digests`: layer, or `profile`, to the digest of the trusted bundle. `token_file` is read again for each
    call; `deadline` is seconds for a whole call, `document` and `answer` bytes. Raises Refused where the server
    cannot be used, ConfigError where the settings cannot be right.
    """

    def __init__(
        self,
        url: str,
        digests: Mapping[str, str],
        *,
        token_file: Path | None = None,
        ca_file: Path | None = None,
        deadline: float = 2.0,
        document: int = MAX_BYTES,
        answer: int = MAX_BYTES,
        unsafe_open_server: bool = False,
    ) -> None:
        self._url = _checked(url, unsafe=unsafe_open_server)
        self.digests: Mapping[str, str] = MappingProxyType(dict(digests))
        self._token_file = token_file
        self._ca_file = ca_file
        self._deadline = deadline
        self._document = document
        self._answer = answer
        self._closed = False
        self._process = os.getpid()
        self._client = Client(self._url, ca_file)
        if unsafe_open_server:
            warnings.warn(
                "unsafe_open_server: whoever reaches the OPA server may replace its policies",
                UnsafeWarning,
                stacklevel=2,
            )
        else:
            self._refuse_open()

    def evaluate(self, layer: str, entrypoint: Entrypoint, document: bytes) -> object:
        """See `guard.engine.Engine`."""
        if layer not in self.digests:
            raise Misuse(f"This engine has no layer {layer}.")
        if len(document) > self._document:
            raise Refused.own("GUARD-ENGINE-INPUT", f"The bound is {self._document} bytes.")
        if self._closed:
            raise Refused.own("GUARD-ENGINE-STOPPED", "The engine is closed.")
        path = f"/data/guard/{layer}/{entrypoint}?provenance=true"
        status, text = self._call("POST", path, b'{"input":%b}' % document, self._token())
        if status != 200:
            raise _failed(status, text)
        try:
            answer = strict_json(text.rstrip(b"\n"), self._answer)
        except NotStrict as error:
            raise Refused.own(f"GUARD-DECISION-{error.kind}", f"{error}.") from None
        if not isinstance(answer, dict):
            raise Refused.own("GUARD-ENGINE-ERROR", "The answer is not OPA's.")
        self._compare(answer.get("provenance"))
        if "result" not in answer:
            raise Refused.own("GUARD-DECISION-UNDEFINED")
        return answer["result"]

    def _compare(self, provenance: Any) -> None:
        try:
            revisions = {bundle["revision"] for bundle in provenance["bundles"].values()}
        except (AttributeError, KeyError, TypeError):
            raise Refused.own("GUARD-ENGINE-SWAPPED", "The server does not say which bundles answered.") from None
        for layer, digest in self.digests.items():
            if digest not in revisions:
                raise Refused.own("GUARD-ENGINE-SWAPPED", f"The verified bundle of {layer} is not among them.")

    def close(self) -> None:
        """Closes the connections."""
        self._closed = True
        self._client.close_connection()

    # --- Calls ------------------------------------------------------------------------------------

    def _token(self) -> dict[str, str]:
        if self._token_file is None:
            return {}
        try:
            token = self._token_file.read_text("ascii").strip()
        except (OSError, UnicodeError):
            raise Refused.own("GUARD-ENGINE-ERROR", "The token file cannot be read.") from None
        if not token or not token.isprintable():
            raise Refused.own("GUARD-ENGINE-ERROR", "The token file holds no token.")
        return {"Authorization": f"Bearer {token}"}

    def _call(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> tuple[int, bytes]:
        if self._process != os.getpid():
            # A forked child must not write into its parent's connections: answers would be mixed up. The client
            # first, so that no other thread of the child takes the old one for its own.
            self._client = Client(self._url, self._ca_file)
            self._process = os.getpid()
        try:
            return self._client.call(method, path, body, headers, seconds=self._deadline, limit=self._answer)
        except TooLarge:
            rule, detail = "GUARD-DECISION-SIZE", f"The bound is {self._answer} bytes."
        except TimeoutError:
            rule, detail = "GUARD-ENGINE-SLOW", f"The deadline is {self._deadline} s."
        except requests.exceptions.SSLError:
            rule, detail = "GUARD-ENGINE-STOPPED", "Its certificate cannot be verified."
        except requests.exceptions.ConnectionError:
            rule, detail = "GUARD-ENGINE-STOPPED", "There is no connection to it."
        except (requests.exceptions.RequestException, Encoded, OSError):
            rule, detail = "GUARD-ENGINE-ERROR", "What answers is not an OPA server."
        # Outside the handlers: the error of requests holds the question with its token, and would be the context.
        raise Refused.own(rule, detail)

    # --- At start ---------------------------------------------------------------------------------

    def _refuse_open(self) -> None:
        for method, path, body in self.probes():
            status, _ = self._call(method, path, body, {})
            if status not in _DENIED:
                what = f"{method} /v1{_NONCE.sub('…', path)}"
                raise Refused.own("GUARD-ENGINE-OPEN", f"It answers {what} with {status} to a caller without a token.")

    @staticmethod
    def probes() -> tuple[tuple[str, str, bytes | None], ...]:
        """Method, path and body of what nobody may do without a token. On an open server none of it has an effect."""
        name = f"guard_probe_{secrets.token_hex(8)}"
        return (
            ("GET", "/policies", None),
            ("GET", "/data", None),
            ("GET", "/data/guard", None),
            ("POST", "/query", b'{"query":"data.guard"}'),
            ("POST", "/compile", b'{"query":"data.guard"}'),
            ("PUT", f"/policies/{name}", b"this is not Rego"),
            ("DELETE", f"/policies/{name}", None),
            ("PUT", f"/data/{name}", b"this is not JSON"),
            ("PATCH", f"/data/{name}", b"this is not JSON"),
            ("DELETE", f"/data/{name}", None),
        )


def connect(
    settings: config.Server, bundles: Iterable[Bundle], *, document: int = MAX_BYTES, answer: int = MAX_BYTES
) -> Server:
    """The server of a guard.yaml, which must answer by these bundles."""
    return Server(
        settings.url,
        {one.layer: one.digest for one in bundles},
        token_file=settings.token_file,
        ca_file=settings.ca_file,
        deadline=settings.deadline,
        document=document,
        answer=answer,
        unsafe_open_server=settings.unsafe_open_server,
    )


def _checked(url: str, *, unsafe: bool) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment or parts.username:
        raise ConfigError([Problem("engine.url", 0, f"{url} is not the URL of a server", "http(s)://host:port")])
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK and not unsafe:
        raise ConfigError([Problem("engine.url", 0, "http to another machine shows the token", "use https")])
    return url


def _failed(status: int, body: bytes) -> Refused:
    # OPA's words may quote policies and inputs: they go to the log of the operator, its error code to the caller.
    _log.warning("OPA answered %d: %r", status, body[:2000])
    if status in _DENIED:
        return Refused.own("GUARD-ENGINE-ERROR", f"It refused the token (HTTP {status}).")
    code = _CODE.search(body)
    said = f", {code.group(1).decode()}" if code else ""
    return Refused.own("GUARD-ENGINE-ERROR", f"HTTP {status}{said}.")
