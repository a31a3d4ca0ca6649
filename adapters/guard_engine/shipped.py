"""Where the policies that come with guard lie: `policies/` beside the package in a checkout, inside it in the wheel."""

from __future__ import annotations

from pathlib import Path

import guard
from guard.errors import ConfigError, Problem

_PACKAGE = Path(guard.__file__).resolve().parent


def folder() -> Path:
    """The folder that holds one folder a shipped layer and the compiled form of each, `<layer>.wasm.tar.gz`."""
    for candidate in (_PACKAGE / "policies", _PACKAGE.parent / "policies"):
        if (candidate / "floor").is_dir():
            return candidate
    raise ConfigError([Problem(str(_PACKAGE), 0, "the shipped policies are missing", "install guard again")])


def sources(layer: str = "floor") -> Path:
    """The folder of a shipped layer's Rego and data."""
    return _found(folder() / layer)


def wasm(layer: str = "floor") -> Path:
    """The shipped layer's bundle in the wasm form, for the embedded engine."""
    return _found(folder() / f"{layer}.wasm.tar.gz")


def _found(path: Path) -> Path:
    if not path.exists():
        raise ConfigError([Problem(str(path), 0, "this is not shipped", "guard policy build makes it from policies/")])
    return path
