"""Finding, installing and running the real opa."""

from __future__ import annotations

import hashlib
import http.server
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from fixtures_opa import FIXTURES, Built

from guard.errors import ConfigError
from guard_engine import bundle, opa
from guard_engine.build import build

SCRIPT = "#!/bin/sh\necho 'Version: 9.9.9'\n"


def program(path: Path, text: str = SCRIPT) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without any opa and without Go: its cache, PATH and GUARD_OPA lead nowhere."""
    monkeypatch.delenv("GUARD_OPA", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


# --- Finding --------------------------------------------------------------------------------------


def test_where_there_is_none_none_is_found(bare: Path) -> None:
    assert opa.find() is None
    with pytest.raises(ConfigError, match="guard opa install"):
        opa.need()


def test_the_argument_goes_before_the_variable_the_path_and_the_cache(
    bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cached = program(opa.cache() / "opa")
    assert opa.find() == cached
    on_path = program(bare / "bin" / "opa")
    assert opa.find() == on_path
    named = program(bare / "named")
    monkeypatch.setenv("GUARD_OPA", str(named))
    assert opa.find() == named
    given = program(bare / "given")
    assert opa.find(given) == given
    assert opa.version(given) == "9.9.9"


def test_what_was_asked_for_is_not_replaced_silently(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(bare / "bin" / "opa")
    with pytest.raises(ConfigError, match="not a program"):
        opa.find(bare / "nothing")
    monkeypatch.setenv("GUARD_OPA", str(bare / "nothing"))
    with pytest.raises(ConfigError, match="GUARD_OPA"):
        opa.find()


def test_a_program_that_is_no_opa_is_a_problem(bare: Path) -> None:
    with pytest.raises(ConfigError, match="does not say its version"):
        opa.version(program(bare / "x", "#!/bin/sh\necho hello\n"))
    with pytest.raises(ConfigError, match="words of its own"):
        opa.version(program(bare / "y", "#!/bin/sh\necho words of its own >&2\nexit 3\n"))
    with pytest.raises(ConfigError, match="cannot be run"):
        opa.version(bare / "gone")
    with pytest.raises(ConfigError, match="cannot be run"):
        opa.run(program(bare / "z", "#!/bin/sh\nexec /bin/sleep 5\n"), "version", seconds=0.1)


def test_the_real_opa_says_its_version(opa_program: Path) -> None:
    assert int(opa.version(opa_program).split(".")[0]) >= 1


# --- Installing -----------------------------------------------------------------------------------


def test_what_is_there_is_not_installed_again(bare: Path) -> None:
    there = program(bare / "bin" / "opa")
    said: list[str] = []
    assert opa.install(say=said.append, releases="http://127.0.0.1:9") == there
    assert said == []


def test_go_builds_it_into_the_users_cache(bare: Path) -> None:
    program(
        bare / "bin" / "go",
        '#!/bin/sh\n[ "$1 $2" = "install github.com/open-policy-agent/opa@v1.22.2" ] || exit 1\n'
        'printf \'#!/bin/sh\\necho Version: 1.22.2\\n\' > "$GOBIN/opa"\n/bin/chmod 755 "$GOBIN/opa"\n',
    )
    made = opa.install(releases="http://127.0.0.1:9")
    assert made == opa.cache() / "opa"
    assert opa.version(made) == "1.22.2"
    assert opa.find() == made
    assert [path.name for path in opa.cache().iterdir()] == ["opa"]


@pytest.fixture
def releases(bare: Path) -> Iterator[tuple[str, dict[str, bytes]]]:
    """A server of releases, and the files it has."""
    files: dict[str, bytes] = {}

    class Files(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = files.get(self.path)
            self.send_response(404 if body is None else 200)
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, format: str, *_: object) -> None:  # noqa: A002 (a name of the base class)
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Files)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", files
    server.shutdown()
    server.server_close()


def test_a_release_is_taken_with_its_checksum(bare: Path, releases: tuple[str, dict[str, bytes]]) -> None:
    url, files = releases
    name = f"/v{opa.VERSION}/{opa.release_name()}"
    files[name] = SCRIPT.encode()
    files[name + ".sha256"] = f"{hashlib.sha256(SCRIPT.encode()).hexdigest()}  {opa.release_name()}\n".encode()
    said: list[str] = []
    made = opa.install(say=said.append, releases=url)
    assert (made.name, opa.version(made)) == ("opa", "9.9.9")
    assert len(said) == 2
    assert "Go toolchain" in said[0]


@pytest.mark.parametrize("checksum", [hashlib.sha256(b"another").hexdigest().encode(), b"", b"\xff"])
def test_a_release_that_is_not_what_its_checksum_says_is_thrown_away(
    bare: Path, releases: tuple[str, dict[str, bytes]], checksum: bytes
) -> None:
    url, files = releases
    name = f"/v{opa.VERSION}/{opa.release_name()}"
    files.update({name: SCRIPT.encode(), name + ".sha256": checksum})
    with pytest.raises(ConfigError, match="not what its checksum says"):
        opa.install(releases=url)
    assert opa.find() is None
    assert list(opa.cache().iterdir()) == []


def test_where_nothing_works_every_cause_is_named(bare: Path, releases: tuple[str, dict[str, bytes]]) -> None:
    program(bare / "bin" / "go", "#!/bin/sh\necho no network >&2\nexit 1\n")
    with pytest.raises(ConfigError, match=r"no network.*cannot be fetched.*404") as caught:
        opa.install(releases=releases[0])
    assert "by hand" in str(caught.value)


def test_every_platform_has_its_release_or_a_word_about_it() -> None:
    assert opa.release_name("linux", "x86_64") == "opa_linux_amd64_static"
    assert opa.release_name("linux", "aarch64") == "opa_linux_arm64_static"
    assert opa.release_name("darwin", "arm64") == "opa_darwin_arm64_static"
    assert opa.release_name("win32", "AMD64") == "opa_windows_amd64.exe"
    with pytest.raises(ConfigError, match="source"):
        opa.release_name("linux", "riscv64")


# --- Building -------------------------------------------------------------------------------------


def test_a_build_is_the_same_bytes_each_time(opa_program: Path, floor: Built) -> None:
    assert build(FIXTURES / "floor", "floor", opa_program) == (floor.rego.raw, floor.wasm.raw)
    assert floor.rego.raw == bundle.pack(FIXTURES / "floor", "floor")


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("decision := [", "rego_parse_error"),
        ("decision := [x | x := data.nothing.here; y := 1]", "rego_compile_error"),
        ("decision := []", "rego_unsafe_var_error|consent"),
        ("consent := []\n\ndecision := [x | some x in [1]; nosuch(x)]", "undefined function"),
    ],
)
def test_what_opa_finds_wrong_is_told_in_its_words(tmp_path: Path, opa_program: Path, text: str, cause: str) -> None:
    (tmp_path / "x.rego").write_text(f"package guard.floor\n\n{text}\n")
    with pytest.raises(ConfigError, match=cause):
        build(tmp_path, "floor", opa_program)


def test_words_that_opa_reads_differently_are_refused(tmp_path: Path, opa_program: Path) -> None:
    # METADATA inside a text is none for OPA.
    (tmp_path / "x.rego").write_text(
        "package guard.floor\n\nconsent := []\n\ndecision := [`\n"
        "# METADATA\n# custom:\n#   rule: X-01\n#   clause: c\n#   en: e\n#   zh: z\n`]\n"
    )
    with pytest.raises(ConfigError, match="opa reads the words of X-01 differently"):
        build(tmp_path, "floor", opa_program)


# --- Serving --------------------------------------------------------------------------------------


def test_a_server_that_cannot_start_says_why(tmp_path: Path, opa_program: Path) -> None:
    with (
        pytest.raises(ConfigError, match=r"archive read failed|gzip"),
        opa.serve(opa_program, {"x": b"broken"}, tmp_path),
    ):
        pass


def test_a_bundle_with_a_module_stops_an_opa_without_wasm(tmp_path: Path, opa_program: Path, floor: Built) -> None:
    # Why one release is two bundles. An OPA with a Wasm runtime takes it.
    try:
        with opa.serve(opa_program, {"floor.tar.gz": floor.wasm.raw}, tmp_path):
            assert b"WebAssembly: available" in opa.run(opa_program, "version")
    except ConfigError as error:
        assert "engine not found" in str(error)  # noqa: PT017 (either is right, by how opa was built)


def test_the_token_is_nobody_elses_to_read(tmp_path: Path, opa_program: Path, floor: Built) -> None:
    with opa.serve(opa_program, {"floor.tar.gz": floor.rego.raw}, tmp_path) as running:
        if os.name == "posix":
            for name in ("token", "authz.tar.gz"):
                assert (tmp_path / name).stat().st_mode & 0o077 == 0
        assert running.process.poll() is None
    assert running.process.poll() is not None
