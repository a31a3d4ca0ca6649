"""HTTP to an OPA server as a guard needs it, under opa-python-client.

The client's own session follows redirects, trusts proxies and certificates named by the environment, waits
without an end for a server that drips, and reads answers of any size. Here a call has one deadline from
connect to the last byte, an answer has a bound, and nothing is followed, retried or taken from the environment.
"""

from __future__ import annotations

import http.client
import io
import socket
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import requests
from opa_client.opa import OpaClient  # type: ignore[import-untyped]  # it has no types
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError
from urllib3.exceptions import TimeoutError as Urllib3Timeout


class TooLarge(Exception):
    """The answer is larger than its bound."""


class Encoded(Exception):
    """The answer is compressed, which nobody asked for."""


class _Call(threading.local):
    until = float("inf")


_CALL: Final = _Call()
"""When the call that this thread is in must have ended (monotonic seconds)."""


def _left() -> float:
    left = _CALL.until - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


class _Timed(io.RawIOBase):
    """The bytes of a socket; each wait for more is cut to what is left of the call."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket) -> None:
        self._raw = raw
        self._sock = sock

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int | None:
        self._sock.settimeout(_left())
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *arguments: Any, **more: Any) -> None:
        super().__init__(sock, *arguments, **more)
        self.fp = io.BufferedReader(_Timed(self.fp.detach(), sock))  # a BufferedReader is there


class _Plain(HTTPConnection):
    response_class = _Response

    def connect(self) -> None:
        self.timeout = _left()
        super().connect()


class _Secure(HTTPSConnection):
    response_class = _Response

    def connect(self) -> None:
        self.timeout = _left()
        super().connect()


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _Plain  # pyright: ignore[reportAssignmentType]  # a class of its base, as urllib3 documents


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _Secure  # pyright: ignore[reportAssignmentType]  # the same


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *arguments: Any, **more: Any) -> None:
        super().init_poolmanager(*arguments, **more)
        self.poolmanager.pool_classes_by_scheme = {"http": _PlainPool, "https": _SecurePool}


class Client(OpaClient):  # type: ignore[misc]  # of a class without types
    """opa-python-client with a session of its own making. Not to be shared with a forked child."""

    def __init__(self, url: str, ca_file: Path | None) -> None:
        self._verify = str(ca_file) if ca_file else True
        parts = urlsplit(url)
        super().__init__(host=parts.hostname or "", port=parts.port or 0, ssl=parts.scheme == "https", retries=0)
        self.root_url = url.rstrip("/") + "/" + self.version

    def _init_session(self) -> requests.Session:
        session = requests.Session()
        session.trust_env = False
        session.verify = self._verify
        session.headers.update({"Accept-Encoding": "identity", "Content-Type": "application/json"})
        adapter = _Adapter(pool_connections=1, pool_maxsize=32)  # without retries
        session.mount("http://", adapter)
        session.mount("https://", adapter)
        return session

    def call(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str], *, seconds: float, limit: int
    ) -> tuple[int, bytes]:
        """Status and body of one call to `path` under the API's root.

        Raises TooLarge, Encoded, TimeoutError, and requests' RequestException for all else.
        """
        _CALL.until = time.monotonic() + seconds
        try:
            with self._session.request(
                method,
                self.root_url + path,
                data=body,
                headers=headers,
                timeout=seconds,
                allow_redirects=False,
                stream=True,
            ) as response:
                text = response.raw.read(limit + 1, decode_content=False)
                if len(text) > limit:
                    raise TooLarge
                if "Content-Encoding" in response.headers:
                    raise Encoded
                return response.status_code, text
        except (requests.exceptions.Timeout, Urllib3Timeout) as error:
            raise TimeoutError from error
        except HTTPError as error:
            raise requests.exceptions.ConnectionError from error
        finally:
            _CALL.until = float("inf")
