"""Building a layer with the real OPA: its rego bundle and its wasm bundle, of one revision.

The compiled module comes from `opa build`; the archives are written here, so that they hold exactly the
sources, carry their digest and come out the same bytes each time.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from guard.engine import ENTRYPOINTS
from guard.errors import ConfigError, Problem
from guard.messages import Message
from guard_engine import archive, bundle, metadata
from guard_engine import opa as real
from guard_engine.embedded import Embedded


def build(directory: Path, layer: str, opa: Path) -> tuple[bytes, bytes]:
    """The rego and the wasm bundle of the layer in `directory`.

    ConfigError says what OPA's strict check, its inspection or the loading of the result found wrong;
    a policy that calls a builtin of its host is refused by name (GUARD-BUNDLE-BUILTIN).
    """
    real.run(opa, "check", "--strict", directory)
    rego = bundle.pack(directory, layer)
    sources = bundle.sources_of(directory, layer)
    with tempfile.TemporaryDirectory(prefix="guard-") as folder:
        root = Path(folder)
        for name, text in sources.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(text)
        _same_rules(json.loads(real.run(opa, "inspect", "-a", "-f", "json", ".", cwd=root)), bundle.read(rego).rules)
        entries = [part for name in ENTRYPOINTS for part in ("-e", f"guard/{layer}/{name}")]
        real.run(opa, "build", "-t", "wasm", *entries, "-o", "built.tar.gz", "guard", cwd=root)
        module = archive.unpack((root / "built.tar.gz").read_bytes())[bundle.MODULE]
    wasm = bundle.assemble(layer, sources, module)
    Embedded([bundle.read(wasm)]).close()
    return rego, wasm


def _same_rules(inspected: Mapping[str, Any], read: Mapping[str, Message]) -> None:
    found: dict[str, Message] = {}
    for one in inspected.get("annotations", ()):
        words = metadata.described(one["annotations"])
        if words is not None and words[1] is not None:
            found[words[0]] = words[1]
    if found != read:
        wrong = ", ".join(sorted(rule for rule in found.keys() | read.keys() if found.get(rule) != read.get(rule)))
        problem = Problem("METADATA", 0, f"opa reads the words of {wrong} differently", "put them right above a rule")
        raise ConfigError([problem])
