"""The OPA server as engine: what answers, what is trusted, and every way in which it can fail."""

from __future__ import annotations

import datetime as dt
import gzip
import http.server
import ipaddress
import json
import logging
import os
import signal
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from fixtures_opa import Built, Serve

from guard.errors import ConfigError, Misuse, Refused, UnsafeWarning
from guard_engine import bundle, opa
from guard_engine.bundle import Bundle
from guard_engine.server import Server

ASK = b'{"activities":[{"id":"0","purpose":"loan_underwriting","items":[]}]}'
ANSWER = [{"id": "0", "allow": True, "rows": {}, "reads": {}}]
DIGEST = "sha256:" + "1" * 64


def digests(*bundles: Bundle) -> dict[str, str]:
    return {one.layer: one.digest for one in bundles}


def refusal(engine: Server, document: bytes = ASK) -> Refused:
    with pytest.raises(Refused) as caught:
        engine.evaluate("floor", "decision", document)
    return caught.value


@pytest.fixture
def engine(small_server: opa.Running, floor: Built, profile: Bundle) -> Iterator[Server]:
    made = Server(small_server.url, digests(floor.rego, profile), token_file=small_server.token_file)
    yield made
    made.close()


# --- A real OPA -----------------------------------------------------------------------------------


def test_a_server_answers_like_the_module(engine: Server) -> None:
    assert engine.evaluate("floor", "decision", ASK) == ANSWER
    assert engine.evaluate("floor", "consent", b'{"consents":[]}') == []
    with pytest.raises(Misuse):
        engine.evaluate("supervisor", "decision", ASK)


def test_many_threads_get_their_own_answers(engine: Server) -> None:
    def ask(number: int) -> bool:
        document = b'{"activities":[{"id":"%d","purpose":"loan_underwriting","items":[]}]}' % number
        answer: Any = engine.evaluate("floor", "decision", document)
        return answer[0]["id"] == str(number)

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(ask, range(200)))


def test_a_forked_child_does_not_write_into_its_parents_connection(engine: Server) -> None:
    assert engine.evaluate("floor", "decision", ASK) == ANSWER
    before = engine._client
    child = os.fork()
    if not child:
        code = 1
        signal.alarm(20)
        try:
            assert engine.evaluate("floor", "decision", ASK) == ANSWER
            assert engine._client is not before
            code = 0
        finally:
            os._exit(code)
    assert engine.evaluate("floor", "decision", ASK) == ANSWER
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert engine._client is before


def test_the_environment_names_no_proxy_and_no_certificates(
    small_server: opa.Running, floor: Built, profile: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere")
    engine = Server(small_server.url, digests(floor.rego, profile), token_file=small_server.token_file)
    assert engine.evaluate("floor", "decision", ASK) == ANSWER


def test_other_policies_than_the_verified_ones_are_refused(
    small_server: opa.Running, floor: Built, profile: Bundle
) -> None:
    for trusted, missing in (
        ({**digests(floor.rego, profile), "floor": DIGEST}, "floor"),
        ({**digests(floor.rego, profile), "profile": DIGEST}, "profile"),
        ({**digests(floor.rego, profile), "supervisor": DIGEST}, "supervisor"),
    ):
        found = refusal(Server(small_server.url, trusted, token_file=small_server.token_file))
        assert found.rules == ("GUARD-ENGINE-SWAPPED",)
        assert f"of {missing} " in str(found)


def test_an_undefined_entry_point_is_a_refusal(serve: Serve, profile: Bundle, tmp_path: Path) -> None:
    (tmp_path / "x.rego").write_text("package guard.floor\n\nother := 1\n")
    one = bundle.read(bundle.pack(tmp_path, "floor"))
    running = serve({"f.tar.gz": one.raw})
    assert refusal(Server(running.url, digests(one), token_file=running.token_file)).rules == (
        "GUARD-DECISION-UNDEFINED",
    )


def test_a_stopped_server_and_a_slow_one(serve: Serve, floor: Built) -> None:
    running = serve({"f.tar.gz": floor.rego.raw})
    engine = Server(running.url, digests(floor.rego), token_file=running.token_file, deadline=0.3)
    answer = engine.evaluate("floor", "decision", ASK)
    running.process.send_signal(signal.SIGSTOP)
    os.waitpid(running.process.pid, os.WUNTRACED)
    slow = refusal(engine)
    running.process.send_signal(signal.SIGCONT)
    assert slow.rules == ("GUARD-ENGINE-SLOW",)
    assert slow.__context__ is None
    assert "0.3 s" in str(slow)
    time.sleep(0.1)
    assert engine.evaluate("floor", "decision", ASK) == answer
    running.process.kill()
    running.process.wait()
    stopped = refusal(engine)
    assert stopped.rules == ("GUARD-ENGINE-STOPPED",)
    assert stopped.__context__ is None, "what requests raises holds the request with its token"
    with pytest.raises(Refused, match="GUARD-ENGINE-STOPPED"):
        Server(running.url, digests(floor.rego), token_file=running.token_file)


def test_a_closed_engine_refuses(engine: Server) -> None:
    engine.close()
    assert refusal(engine).rules == ("GUARD-ENGINE-STOPPED",)


def test_a_question_above_the_bound(small_server: opa.Running, floor: Built) -> None:
    engine = Server(small_server.url, digests(floor.rego), token_file=small_server.token_file, document=len(ASK))
    engine.evaluate("floor", "decision", ASK)
    assert refusal(engine, ASK + b" ").rules == ("GUARD-ENGINE-INPUT",)


# --- The token ------------------------------------------------------------------------------------


def test_the_token_file_is_read_for_each_call(
    small_server: opa.Running, floor: Built, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    token = tmp_path / "token"
    token.write_bytes(small_server.token_file.read_bytes() + b"\n")
    engine = Server(small_server.url, digests(floor.rego), token_file=token)
    engine.evaluate("floor", "decision", ASK)
    token.write_text("another")
    found = refusal(engine)
    assert found.rules == ("GUARD-ENGINE-ERROR",)
    assert "refused the token" in str(found)
    for content in (b"", b"two\nlines", b"\xff\xfe"):
        token.write_bytes(content)
        assert "token file" in str(refusal(engine))
    token.unlink()
    assert "cannot be read" in str(refusal(engine))
    token.write_bytes(small_server.token_file.read_bytes())
    engine.evaluate("floor", "decision", ASK)


OPEN = {
    "everything": "allow := true",
    "reading policies": 'allow if input.method == "GET"; input.path[1] == "policies"',
    "reading data": 'allow if input.method == "GET"; input.path[1] == "data"',
    "queries": 'allow if input.path[1] == "query"',
    "compiling": 'allow if input.path[1] == "compile"',
    "writing policies": 'allow if input.method == "PUT"; input.path[1] == "policies"',
    "deleting policies": 'allow if input.method == "DELETE"; input.path[1] == "policies"',
    "writing data": 'allow if input.method == "PUT"; input.path[1] == "data"',
    "patching data": 'allow if input.method == "PATCH"',
    "deleting data": 'allow if input.method == "DELETE"; input.path[1] == "data"',
}


@pytest.mark.parametrize("rule", OPEN.values(), ids=OPEN)
def test_a_server_that_is_open_without_a_token_is_refused(
    serve: Serve, floor: Built, rule: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = rule.replace("; ", "\n\t").replace(" if ", " if {\n\t") + ("\n}" if " if " in rule else "")
    monkeypatch.setattr(opa, "AUTHZ", f"{opa.AUTHZ}\n{body}\n")
    running = serve({"f.tar.gz": floor.rego.raw})
    with pytest.raises(Refused, match="GUARD-ENGINE-OPEN"):
        Server(running.url, digests(floor.rego), token_file=running.token_file)
    with pytest.warns(UnsafeWarning, match="unsafe_open_server"):
        engine = Server(running.url, digests(floor.rego), token_file=running.token_file, unsafe_open_server=True)
    engine.evaluate("floor", "decision", ASK)


def test_probing_an_open_server_changes_nothing(serve: Serve, floor: Built, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opa, "AUTHZ", "package system.authz\n\nallow := true\n")
    running = serve({"f.tar.gz": floor.rego.raw})
    with pytest.warns(UnsafeWarning):
        engine = Server(running.url, digests(floor.rego), unsafe_open_server=True)

    def held() -> tuple[Any, dict[str, str]]:
        data, policies = (json.loads(engine._call("GET", path, None, {})[1]) for path in ("/data", "/policies"))
        return data, {one["id"]: one["raw"] for one in policies["result"]}

    before = held()
    for method, path, body in engine.probes():
        assert engine._call(method, path, body, {})[0] in {200, 400, 404}
    assert held() == before


# --- The address ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "opa.example",
        "ftp://127.0.0.1",
        "http://",
        "http://user:word@127.0.0.1",
        "http://127.0.0.1/?a=1",
        "http://127.0.0.1/#a",
    ],
)
def test_what_is_no_address_of_a_server_is_a_problem(url: str) -> None:
    with pytest.raises(ConfigError, match="not the URL"):
        Server(url, {"floor": DIGEST})


def test_a_token_does_not_travel_in_clear() -> None:
    with pytest.raises(ConfigError, match="shows the token"):
        Server("http://opa.example:8181", {"floor": DIGEST})


# --- TLS ------------------------------------------------------------------------------------------


def certificate(folder: Path, host: str) -> tuple[Path, Path]:
    """A self-signed certificate of a loopback server, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(host))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return folder / "cert.pem", folder / "key.pem"


def test_a_certificate_must_come_from_the_named_authority(serve: Serve, floor: Built, tmp_path: Path) -> None:
    cert, key = certificate(tmp_path, "127.0.0.1")
    options = ("--tls-cert-file", cert, "--tls-private-key-file", key)
    running = serve({"f.tar.gz": floor.rego.raw}, options=options, scheme="https")
    trusted = digests(floor.rego)
    Server(running.url, trusted, token_file=running.token_file, ca_file=cert).evaluate("floor", "decision", ASK)
    other, _ = certificate(tmp_path_of(tmp_path, "other"), "127.0.0.1")
    for ca_file in (None, other):
        with pytest.raises(Refused, match=r"GUARD-ENGINE-STOPPED.*certificate"):
            Server(running.url, trusted, token_file=running.token_file, ca_file=ca_file)


def test_a_certificate_of_another_host_is_refused(serve: Serve, floor: Built, tmp_path: Path) -> None:
    cert, key = certificate(tmp_path, "127.0.0.2")
    options = ("--tls-cert-file", cert, "--tls-private-key-file", key)
    running = serve({"f.tar.gz": floor.rego.raw}, options=options, scheme="https")
    with pytest.raises(Refused, match=r"GUARD-ENGINE-STOPPED.*certificate"):
        Server(running.url, digests(floor.rego), token_file=running.token_file, ca_file=cert)


def tmp_path_of(tmp_path: Path, name: str) -> Path:
    (tmp_path / name).mkdir()
    return tmp_path / name


# --- Bundles that change on a running server -------------------------------------------------------


class _Bundles(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        raw = self.server.bundles.get(self.path)  # type: ignore[attr-defined]
        self.send_response(200 if raw else 404)
        self.send_header("Content-Length", str(len(raw or b"")))
        self.end_headers()
        self.wfile.write(raw or b"")

    def log_message(self, format: str, *_: Any) -> None:  # noqa: A002 (a name of the base class)
        pass


def test_a_bundle_swapped_on_the_running_server_is_found_at_once(
    serve: Serve, floor: Built, profile: Bundle, tmp_path: Path
) -> None:
    service = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Bundles)
    service.bundles = {"/floor": floor.rego.raw, "/profile": profile.raw}  # type: ignore[attr-defined]
    threading.Thread(target=service.serve_forever, daemon=True).start()
    polling = {"min_delay_seconds": 1, "max_delay_seconds": 1}
    config = tmp_path / "opa.json"
    config.write_text(
        json.dumps(
            {
                "services": {"s": {"url": f"http://127.0.0.1:{service.server_port}"}},
                "bundles": {
                    name: {"service": "s", "resource": name, "polling": polling} for name in ("floor", "profile")
                },
            }
        )
    )
    running = serve({}, options=("--config-file", config))
    engine = Server(running.url, digests(floor.rego, profile), token_file=running.token_file)
    until = time.monotonic() + 10
    while True:  # a bundle service is asked after OPA listens: until then it has no verified bundle, and is refused
        try:
            assert engine.evaluate("floor", "decision", ASK) == ANSWER
            break
        except Refused as error:
            assert error.rules == ("GUARD-ENGINE-SWAPPED",)  # noqa: PT017 (the one refusal that may come first)
            assert time.monotonic() < until
            time.sleep(0.05)
    looser = bundle.read(bundle.profile_bundle({"kind": "bank", "more": True}))
    service.bundles["/profile"] = looser.raw  # type: ignore[attr-defined]
    found: Refused | None = None
    while found is None and time.monotonic() < until + 10:
        try:
            engine.evaluate("floor", "decision", ASK)
            time.sleep(0.05)
        except Refused as error:
            found = error
    assert found is not None
    assert found.rules == ("GUARD-ENGINE-SWAPPED",)
    assert "of profile " in str(found)
    service.shutdown()
    service.server_close()


# --- A server that lies ---------------------------------------------------------------------------

Reply = Callable[[http.server.BaseHTTPRequestHandler], None]


def body(raw: bytes, status: int = 200, **headers: str) -> Reply:
    def reply(to: http.server.BaseHTTPRequestHandler) -> None:
        to.send_response(status)
        to.send_header("Content-Length", str(len(raw)))
        for name, value in headers.items():
            to.send_header(name.replace("_", "-"), value)
        to.end_headers()
        to.wfile.write(raw)

    return reply


GOOD: dict[str, Any] = {"provenance": {"bundles": {"any": {"revision": DIGEST}}}, "result": []}


def answer(**change: Any) -> Reply:
    return body(json.dumps({**GOOD, **change}).encode())


@contextmanager
def lying(reply: Reply, *, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """A server that answers callers with a token by `reply`, and refuses those without one, as it should."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # one segment an answer, else each waits 40 ms for an acknowledgement

        def handle_any(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            (reply if "Authorization" in self.headers else body(b"{}", 401))(self)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any  # noqa: N815 (names of the base class)

        def log_message(self, format: str, *_: Any) -> None:  # noqa: A002 (the same)
            pass

    class Quiet(http.server.ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            pass

    server = Quiet(("127.0.0.1", 0), Handler)
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def said(reply: Reply, tmp_path: Path, **more: Any) -> Refused:
    token = tmp_path / "token"
    token.write_text("secret")
    with lying(reply) as url:
        engine = Server(url, {"floor": DIGEST}, token_file=token, **{"deadline": 5.0, **more})
        try:
            return refusal(engine)
        finally:
            engine.close()


def test_the_lying_server_can_tell_the_truth(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("secret")
    with lying(answer()) as url:
        engine = Server(url, {"floor": DIGEST}, token_file=tmp_path / "token")
        assert engine.evaluate("floor", "decision", ASK) == []
        engine.close()


LIES: dict[str, tuple[Reply, str]] = {
    "NaN": (body(b'{"provenance":{"bundles":{}},"result":[{"id":"0","allow":NaN}]}'), "GUARD-DECISION-NUMBER"),
    "infinity": (body(b'{"result":[{"id":"0","allow":1e999}]}'), "GUARD-DECISION-NUMBER"),
    "repeated key": (body(b'{"result":[],"result":[{"id":"0","allow":true}]}'), "GUARD-DECISION-JSON"),
    "half a surrogate": (body(b'{"result":["\\ud800"]}'), "GUARD-DECISION-JSON"),
    "no JSON": (body(b"<html>"), "GUARD-DECISION-JSON"),
    "nothing": (body(b""), "GUARD-DECISION-JSON"),
    "not UTF-8": (body(b'{"result":"\xff"}'), "GUARD-DECISION-JSON"),
    "deep nesting": (body(b"[" * 200_000), "GUARD-DECISION-DEPTH"),
    "a list": (body(b"[]"), "GUARD-ENGINE-ERROR"),
    "no result": (body(json.dumps({"provenance": GOOD["provenance"]}).encode()), "GUARD-DECISION-UNDEFINED"),
    "no provenance": (body(b'{"result":[]}'), "GUARD-ENGINE-SWAPPED"),
    "provenance of another form": (answer(provenance=[DIGEST]), "GUARD-ENGINE-SWAPPED"),
    "bundles of another form": (answer(provenance={"bundles": [DIGEST]}), "GUARD-ENGINE-SWAPPED"),
    "a revision of another form": (
        answer(provenance={"bundles": {"a": {"revision": [DIGEST]}}}),
        "GUARD-ENGINE-SWAPPED",
    ),
    "a bundle without revision": (answer(provenance={"bundles": {"a": {}}}), "GUARD-ENGINE-SWAPPED"),
    "another revision": (
        answer(provenance={"bundles": {"a": {"revision": DIGEST[:-1] + "2"}}}),
        "GUARD-ENGINE-SWAPPED",
    ),
    "HTTP 500": (body(b'{"code":"internal_error","message":"secret words"}', 500), "GUARD-ENGINE-ERROR"),
    "HTTP 404": (body(b"not here", 404), "GUARD-ENGINE-ERROR"),
    "HTTP 503": (body(b"", 503, Retry_After="1"), "GUARD-ENGINE-ERROR"),
    "HTTP 204": (body(b"", 204), "GUARD-ENGINE-ERROR"),
    "a redirect": (body(b"", 307, Location="http://127.0.0.1:9/"), "GUARD-ENGINE-ERROR"),
    "compressed": (body(gzip.compress(json.dumps(GOOD).encode()), Content_Encoding="gzip"), "GUARD-ENGINE-ERROR"),
    "too large": (body(b" " * 2000), "GUARD-DECISION-SIZE"),
}


@pytest.mark.parametrize(("reply", "rule"), LIES.values(), ids=LIES)
def test_a_wrong_answer_is_a_refusal_with_its_cause(
    reply: Reply, rule: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bound = {"answer": 1000} if rule == "GUARD-DECISION-SIZE" else {}
    found = said(reply, tmp_path, **bound)
    assert found.rules == (rule,)
    assert "secret" not in str(found)
    assert found.__cause__ is None
    assert found.__suppress_context__ or found.__context__ is None


def test_opas_words_go_to_the_operators_log_only(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    words = json.dumps({"code": "internal_error", "message": "eval_conflict_error: secret"}).encode()
    with caplog.at_level(logging.WARNING, "guard_engine.server"):
        found = said(body(words, 500), tmp_path)
    assert "HTTP 500, internal_error." in str(found)
    assert "eval_conflict_error: secret" in caplog.text


def test_an_error_code_is_a_word_or_left_out(tmp_path: Path) -> None:
    found = said(body(b'{"code":"<b>x</b>","message":""}', 500), tmp_path)
    assert str(found).endswith("HTTP 500.")


def test_a_failed_call_is_not_repeated(tmp_path: Path) -> None:
    calls: list[str] = []

    def count(to: http.server.BaseHTTPRequestHandler) -> None:
        calls.append(to.path)
        body(b"{}", 500)(to)

    said(count, tmp_path)
    assert calls == ["/v1/data/guard/floor/decision?provenance=true"]


def test_a_broken_connection_is_a_refusal(tmp_path: Path) -> None:
    def hang_up(to: http.server.BaseHTTPRequestHandler) -> None:
        to.send_response(200)
        to.send_header("Content-Length", "1000")
        to.end_headers()
        to.wfile.write(b'{"result":')
        to.wfile.flush()
        to.connection.shutdown(socket.SHUT_RDWR)

    found = said(hang_up, tmp_path)
    assert found.rules[0] in {"GUARD-ENGINE-STOPPED", "GUARD-DECISION-JSON"}


class Drip:
    """Answers a byte every 50 ms, for ten seconds or until the caller hangs up."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.hung_up = threading.Event()

    def __call__(self, to: http.server.BaseHTTPRequestHandler) -> None:
        if self.where == "body":
            to.send_response(200)
            to.send_header("Content-Length", "1000")
            to.end_headers()
        try:
            for _ in range(200):
                to.wfile.write(b" " if self.where == "body" else b"X")
                to.wfile.flush()
                time.sleep(0.05)
        except OSError:
            self.hung_up.set()
            raise


@pytest.mark.parametrize("where", ["headers", "body"])
def test_a_server_that_drips_does_not_get_past_the_deadline(where: str, tmp_path: Path) -> None:
    # Each wait for a byte is far below the deadline: only the whole call exceeds it.
    drip = Drip(where)
    assert said(drip, tmp_path, deadline=0.6).rules == ("GUARD-ENGINE-SLOW",)
    assert drip.hung_up.wait(5)


def test_a_server_that_drips_over_tls_does_not_get_past_the_deadline(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path, "127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    (tmp_path / "token").write_text("secret")
    drip = Drip("body")
    with lying(drip, tls=context) as url:
        engine = Server(url, {"floor": DIGEST}, token_file=tmp_path / "token", ca_file=cert, deadline=0.6)
        assert refusal(engine).rules == ("GUARD-ENGINE-SLOW",)
        assert drip.hung_up.wait(5)
        engine.close()


def test_what_is_left_of_a_refused_answer_is_never_read_as_the_next(tmp_path: Path) -> None:
    replies = [answer(), body(b"x" * 5000)]
    (tmp_path / "token").write_text("secret")

    def next_one(to: http.server.BaseHTTPRequestHandler) -> None:
        replies.pop()(to)

    with lying(next_one) as url:
        engine = Server(url, {"floor": DIGEST}, token_file=tmp_path / "token", answer=1000)
        assert refusal(engine).rules == ("GUARD-DECISION-SIZE",)
        assert engine.evaluate("floor", "decision", ASK) == []
        engine.close()


def test_connections_are_kept(tmp_path: Path) -> None:
    ports: set[int] = set()

    def note(to: http.server.BaseHTTPRequestHandler) -> None:
        ports.add(to.client_address[1])
        answer()(to)

    (tmp_path / "token").write_text("secret")
    with lying(note) as url:
        engine = Server(url, {"floor": DIGEST}, token_file=tmp_path / "token")
        for _ in range(5):
            engine.evaluate("floor", "decision", ASK)
        engine.close()
    assert len(ports) == 1
