"""Finding and installing the real `opa`, which builds policies, tests them and can serve them.

Guard needs it only where policies are edited or an OPA server is run; deciding in process does not.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

from guard.errors import ConfigError, Problem

VERSION: Final = "1.22.2"
MODULE: Final = "github.com/open-policy-agent/opa"


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
