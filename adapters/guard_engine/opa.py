"""Finding, installing and running the real `opa`, which builds policies, tests them and can serve them.

Guard needs it only where policies are edited or an OPA server is run; deciding in process does not.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from guard.errors import ConfigError, Problem
from guard_engine import archive

VERSION: Final = "1.22.2"
MODULE: Final = "github.com/open-policy-agent/opa"
RELEASES: Final = "https://openpolicyagent.org/downloads"
"""Where the official releases lie, each beside its SHA-256."""

_LARGEST: Final = 256 * 1024 * 1024


def cache() -> Path:
    """The user's folder in which `install` puts an opa."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "guard" / f"opa-{VERSION}"


def find(given: str | Path | None = None) -> Path | None:
    """The opa to use: `given`, else $GUARD_OPA, else the one on PATH, else the one that `install` made.

    None if there is none. ConfigError if `given` or $GUARD_OPA names no program: what was asked for is not
    silently replaced.
    """
    for what, path in (("opa", given), ("GUARD_OPA", os.environ.get("GUARD_OPA"))):
        if path:
            found = shutil.which(path)
            if found is None:
                raise ConfigError([Problem(what, 0, f"{path} is not a program", "name an opa executable")])
            return Path(found)
    found = shutil.which("opa") or shutil.which(cache() / "opa")
    return Path(found) if found else None


def need(given: str | Path | None = None) -> Path:
    """`find`, or ConfigError with the remedy."""
    found = find(given)
    if found is None:
        raise ConfigError([Problem("opa", 0, "there is no opa on this machine", "guard opa install")])
    return found


def version(opa: Path) -> str:
    """The version that an opa says it is, such as `1.22.2`."""
    text = run(opa, "version").decode("utf-8", "replace")
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name == "Version":
            return value.strip()
    raise ConfigError([Problem(str(opa), 0, "it does not say its version", "name an opa executable")])


def run(opa: Path, *arguments: str | Path, cwd: Path | None = None, seconds: float = 60.0) -> bytes:
    """What a run of opa prints; ConfigError with its own words where it fails."""
    try:
        done = subprocess.run(  # noqa: S603 (the program that the user named, without a shell)
            [opa, *arguments], cwd=cwd, capture_output=True, timeout=seconds, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConfigError([Problem(str(opa), 0, f"it cannot be run ({error})", "name an opa executable")]) from None
    if done.returncode:
        words = (done.stderr or done.stdout).decode("utf-8", "replace").strip()
        raise ConfigError([Problem("opa", 0, f"opa {arguments[0]}: {words}", "mend the policy")])
    return done.stdout


# --- Installing -----------------------------------------------------------------------------------


def install(*, say: Callable[[str], None] = lambda _: None, releases: str = RELEASES) -> Path:
    """An opa on this machine: the one that is there, else built by the Go toolchain, else the official release.

    `say` is told each step. ConfigError says why none of the three worked.
    """
    found = find()
    if found is not None:
        return found
    causes = []
    for name, step in (("the Go toolchain", _build), (f"the release at {releases}", lambda to: _fetch(to, releases))):
        say(f"opa {VERSION} by {name} …")
        cache().mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache()) as folder:
            try:
                made = step(Path(folder))
            except ConfigError as error:
                causes.append(f"{name}: {error.problems[0].message}")
                continue
            target = cache() / made.name
            made.replace(target)
            return target
    raise ConfigError([Problem("opa", 0, "; ".join(causes), "install opa by hand and put it on PATH")])


def _build(to: Path) -> Path:
    go = shutil.which("go")
    if go is None:
        raise ConfigError([Problem("go", 0, "there is no Go toolchain", "install Go")])
    environment = {**os.environ, "GOBIN": str(to), "CGO_ENABLED": "0"}
    try:
        done = subprocess.run(  # noqa: S603 (go itself, without a shell)
            [go, "install", f"{MODULE}@v{VERSION}"], env=environment, capture_output=True, timeout=1800, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConfigError([Problem("go", 0, str(error), "try again")]) from None
    made = shutil.which(to / "opa")
    if done.returncode or made is None:
        words = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise ConfigError([Problem("go", 0, words[-1] if words else "go install made no opa", "see go install")])
    return Path(made)


def release_name(system: str = sys.platform, machine: str | None = None) -> str:
    """The file of the official release for a platform; ConfigError where there is none."""
    kind = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}.get(
        (machine or platform.machine()).lower()
    )
    names = {
        ("linux", "amd64"): "opa_linux_amd64_static",
        ("linux", "arm64"): "opa_linux_arm64_static",
        ("darwin", "amd64"): "opa_darwin_amd64",
        ("darwin", "arm64"): "opa_darwin_arm64_static",
        ("win32", "amd64"): "opa_windows_amd64.exe",
    }
    if (system, kind) not in names:
        raise ConfigError([Problem("opa", 0, f"there is no release for {system} on {machine}", "build it from source")])
    return names[system, kind or ""]


def _fetch(to: Path, releases: str) -> Path:
    name = release_name()
    address = f"{releases}/v{VERSION}/{name}"
    words = _download(address + ".sha256").decode("ascii", "replace").split()
    program = _download(address)
    if not words or hashlib.sha256(program).hexdigest() != words[0].lower():
        raise ConfigError([Problem(address, 0, "the download is not what its checksum says", "try again")])
    made = to / ("opa.exe" if name.endswith(".exe") else "opa")
    made.write_bytes(program)
    made.chmod(0o755)
    return made


def _download(address: str) -> bytes:
    try:
        with urllib.request.urlopen(address, timeout=60) as answer:  # noqa: S310 (the address is ours, https by default)
            data: bytes = answer.read(_LARGEST + 1)
    except (OSError, urllib.error.URLError) as error:
        raise ConfigError([Problem(address, 0, f"it cannot be fetched ({error})", "check the network")]) from None
    if len(data) > _LARGEST:
        raise ConfigError([Problem(address, 0, "it is larger than any opa", "check the address")])
    return data


# --- Serving --------------------------------------------------------------------------------------


class Running(msgspec.Struct, frozen=True):
    """A server that runs: where it answers, the file with its token, its process."""

    url: str
    token_file: Path
    process: subprocess.Popen[bytes]


AUTHZ: Final = "package system.authz\n\ndefault allow := false\n\nallow if input.identity == data.system.authz.token\n"
"""Nothing without the token, everything with it."""


@contextmanager
def serve(
    opa: Path,
    bundles: Mapping[str, bytes],
    folder: Path,
    *,
    options: tuple[str | Path, ...] = (),
    scheme: str = "http",
    seconds: float = 20.0,
) -> Iterator[Running]:
    """Runs an OPA server on a free loopback port until the block ends, closed to everyone without its token.

    `bundles`: file name to bundle, written to `folder`. `options` are further arguments of `opa run`. ConfigError
    with OPA's own words if it does not come up within `seconds`.
    """
    token = secrets.token_urlsafe(24)
    token_file = folder / "token"
    token_file.write_text(token)
    token_file.chmod(0o600)
    manifest = {"revision": "authz", "roots": ["system/authz"], "rego_version": 1}
    authz = {
        ".manifest": json.dumps(manifest).encode(),
        "system/authz/authz.rego": AUTHZ.encode(),
        "system/authz/data.json": json.dumps({"token": token}).encode(),
    }
    arguments: list[str | Path] = ["--authentication=token", "--authorization=basic", *options]
    for name, raw in {**bundles, "authz.tar.gz": archive.pack(authz)}.items():
        path = folder / name
        path.touch(mode=0o600)
        path.write_bytes(raw)
        arguments += ["-b", path]
    port = _free_port()
    log = folder / "opa.log"
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 (the program that the user named, without a shell)
            [opa, "run", "--server", "--addr", f"127.0.0.1:{port}", *arguments],
            stdout=output,
            stderr=output,
            stdin=subprocess.DEVNULL,
            cwd=folder,
        )
    try:
        _await(process, port, seconds, log)
        yield Running(url=f"{scheme}://127.0.0.1:{port}", token_file=token_file, process=process)
    finally:
        process.kill()
        process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _await(process: subprocess.Popen[bytes], port: int, seconds: float, log: Path) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until and process.poll() is None:
        # OPA listens only once its bundles of the command line are active.
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    words = log.read_text("utf-8", "replace").strip().splitlines()
    cause = words[-1] if words else f"it did not listen within {seconds} s"
    raise ConfigError([Problem("opa", 0, f"opa run: {cause}", "mend the bundles or the options")])
