"""OPA bundles: what a layer's policies and data look like on disk and on the wire.

One release of a layer is two bundles of the same sources and the same revision: the rego form, for an OPA
server, and the wasm form, the same files and the compiled module beside them, for the embedded engine. (An
OPA without a Wasm runtime refuses to load a bundle with a module.) The revision is the digest of the sources:
sha256 of one line a file (`*.rego` and `data.json`, sorted by name), `<sha256 of the file>  <its name in the
bundle>`, which is what `sha256sum` prints. A bundle owns one root, `guard/<layer>`, and holds nothing else.
Bundles arrive verified (or are shipped with guard); the checks here keep a damaged or a misplaced one out.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal, NoReturn

import msgspec

from guard.engine import ENTRYPOINTS, LAYERS, PROFILE
from guard.errors import ConfigError, Problem
from guard.messages import Message
from guard.wire import NotStrict, canonical, strict_json
from guard_engine import archive, metadata

MANIFEST: Final = ".manifest"
MODULE: Final = "policy.wasm"
_OPTIONAL: Final = frozenset({MODULE, ".signatures.json"})
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")


class _Metadata(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    layer: str
    sources: str
    rules: dict[str, Message] = {}
    wasm: str | None = None


class _Wasm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    entrypoint: str
    module: str


class _Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    revision: str
    roots: tuple[str, ...]
    metadata: _Metadata
    rego_version: Literal[0, 1] | None = None
    wasm: tuple[_Wasm, ...] = ()


class Bundle(msgspec.Struct, frozen=True, kw_only=True):
    """A bundle that was read and checked.

    `layer` is one of `LAYERS`, or `profile`. `digest` is the `sha256:…` of its sources, `data` the document at
    `data.guard.<layer>`, `wasm` the compiled module (None in the rego form and in a profile), `rules` the words
    of its rules. `raw` is the archive itself, as an OPA server takes it.
    """

    layer: str
    digest: str
    data: Mapping[str, Any]
    wasm: bytes | None
    rules: Mapping[str, Message]
    raw: bytes


def read(source: Path | bytes, name: str = "bundle") -> Bundle:
    """Reads a bundle from a file or its bytes; ConfigError (GUARD-BUNDLE) says what is wrong with it."""
    if isinstance(source, Path):
        name = str(source)
        try:
            with source.open("rb") as file:
                raw = file.read(archive.MAX_PACKED + 1)
        except OSError as error:
            _wrong(name, f"it cannot be read ({error.strerror})")
    else:
        raw = source
    try:
        return _checked(archive.unpack(raw), raw)
    except (ValueError, RecursionError) as error:
        _wrong(name, str(error))


def _wrong(name: str, cause: str) -> NoReturn:
    problem = Problem(
        name, 0, f"GUARD-BUNDLE: the policy bundle is not one that guard can trust: {cause}", "fetch it again"
    )
    raise ConfigError([problem]) from None


def _checked(files: dict[str, bytes], raw: bytes) -> Bundle:
    if MANIFEST not in files:
        raise ValueError("it has no .manifest")
    try:
        manifest = msgspec.convert(strict_json(files.pop(MANIFEST)), _Manifest)
    except (NotStrict, msgspec.ValidationError) as error:
        raise ValueError(f".manifest: {error}") from None
    layer = manifest.metadata.layer
    if layer not in {*LAYERS, PROFILE}:
        raise ValueError(f"there is no layer {layer!r}")
    root = f"guard/{layer}"
    if manifest.roots != (root,):
        raise ValueError(f"a bundle of the layer {layer} has the one root {root}")
    sources = {name: text for name, text in files.items() if name not in _OPTIONAL}
    for name in sources:
        if not name.startswith(root + "/") or not name.endswith((".rego", "/data.json")):
            raise ValueError(f"the file {name} does not belong in a bundle of the layer {layer}")
    if layer == PROFILE and (sources.keys() != {f"{root}/data.json"} or MODULE in files):
        raise ValueError("a profile is data only")
    _check_digest(manifest, sources)
    module = files.get(MODULE)
    _check_module(manifest, root, module)
    return Bundle(
        layer=layer,
        digest=manifest.revision,
        data=base_data(sources, root),
        wasm=module,
        rules=manifest.metadata.rules,
        raw=raw,
    )


def _check_digest(manifest: _Manifest, sources: Mapping[str, bytes]) -> None:
    if manifest.revision != manifest.metadata.sources or not _DIGEST.fullmatch(manifest.revision):
        raise ValueError("its revision is not the digest of its sources")
    # A wasm bundle may leave its Rego out; then the manifest's word is all there is.
    whole = any(name.endswith(".rego") for name in sources) or manifest.metadata.layer == PROFILE
    if whole and digest(sources) != manifest.revision:
        raise ValueError("its files are not those of its revision")


def _check_module(manifest: _Manifest, root: str, module: bytes | None) -> None:
    if module is None:
        if manifest.wasm or manifest.metadata.wasm:
            raise ValueError("its compiled module is missing")
        return
    if {(one.entrypoint, one.module.removeprefix("/")) for one in manifest.wasm} != {
        (f"{root}/{name}", MODULE) for name in ENTRYPOINTS
    }:
        raise ValueError("its module has other entry points than decision and consent")
    if manifest.metadata.wasm != _sha256(module):
        raise ValueError("its compiled module is not the one of its manifest")


def _sha256(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def digest(sources: Mapping[str, bytes]) -> str:
    """The digest of sources by their names in the bundle."""
    lines = (f"{hashlib.sha256(sources[name]).hexdigest()}  {name}\n" for name in sorted(sources))
    return _sha256("".join(lines).encode())


def base_data(sources: Mapping[str, bytes], root: str) -> dict[str, Any]:
    """The document at the root: each data.json at the place of its folder. Two that overlap are a ValueError."""
    data: dict[str, Any] = {}
    for name in sorted(sources, key=lambda name: (name.count("/"), name)):
        if not name.endswith("/data.json"):
            continue
        try:
            value = strict_json(sources[name])
        except NotStrict as error:
            raise ValueError(f"{name}: {error}") from None
        if not isinstance(value, dict):
            raise ValueError(f"{name} is not an object")  # noqa: TRY004 (a wrong document)
        at = data
        for part in name.removeprefix(root + "/").split("/")[:-1]:
            at = at.setdefault(part, {})
            if not isinstance(at, dict):
                break
        if not isinstance(at, dict) or at.keys() & value.keys():
            raise ValueError(f"{name} overlaps with the data above it")
        at.update(value)
    return data


# --- Writing --------------------------------------------------------------------------------------


def sources_of(directory: Path, layer: str) -> dict[str, bytes]:
    """The sources of a layer by their names in the bundle: `directory`'s *.rego without tests, and its data.json."""
    found: dict[str, bytes] = {}
    problems: list[Problem] = []
    for path in sorted(directory.rglob("*")):
        if not path.is_file() or any(part.startswith(".") for part in path.relative_to(directory).parts):
            continue
        if (path.suffix == ".rego" and not path.stem.endswith("_test")) or path.name == "data.json":
            found[f"guard/{layer}/{path.relative_to(directory).as_posix()}"] = path.read_bytes()
        elif path.name in {"data.yaml", "data.yml"}:
            problems.append(Problem(str(path), 0, "OPA would load this file, guard does not", "write it as data.json"))
    if not any(name.endswith(".rego") for name in found):
        problems.append(Problem(str(directory), 0, "there is no policy (*.rego)", f"put the layer {layer} there"))
    if problems:
        raise ConfigError(problems)
    return found


def pack(directory: Path, layer: str) -> bytes:
    """The rego form of a layer from its folder: deterministic, without OPA."""
    if layer not in LAYERS:
        raise ConfigError([Problem(str(directory), 0, f"there is no layer {layer!r}", f"one of {', '.join(LAYERS)}")])
    return assemble(layer, sources_of(directory, layer))


def profile_bundle(profile: Mapping[str, Any]) -> bytes:
    """The data-only bundle that says who the institution is; `profile` is the document at `data.guard.profile`."""
    data = json.dumps(profile, ensure_ascii=False, allow_nan=False, indent=1, sort_keys=True).encode()
    return assemble(PROFILE, {f"guard/{PROFILE}/data.json": data + b"\n"})


def rego_form(bundle: Bundle) -> bytes:
    """The same release without its compiled module, as an OPA server takes it; ConfigError if it has no sources."""
    files = archive.unpack(bundle.raw)
    sources = {name: text for name, text in files.items() if name not in {*_OPTIONAL, MANIFEST}}
    made = assemble(bundle.layer, sources)
    if read(made).digest != bundle.digest:
        _wrong(bundle.layer, "its sources were left out")
    return made


def assemble(layer: str, sources: Mapping[str, bytes], module: bytes | None = None) -> bytes:
    """A bundle of sources by their names in it, with the compiled module in the wasm form. Checked as if read."""
    root = f"guard/{layer}"
    sum_of = digest(sources)
    manifest = _Manifest(
        revision=sum_of,
        roots=(root,),
        rego_version=1,
        wasm=() if module is None else tuple(_Wasm(f"{root}/{name}", MODULE) for name in ENTRYPOINTS),
        metadata=_Metadata(
            layer=layer,
            sources=sum_of,
            rules=metadata.rules({name: text for name, text in sources.items() if name.endswith(".rego")}),
            wasm=None if module is None else _sha256(module),
        ),
    )
    files = {MANIFEST: canonical(manifest), **sources}
    if module is not None:
        files[MODULE] = module
    try:
        raw = archive.pack(files)
    except archive.ArchiveError as error:
        _wrong(layer, str(error))
    read(raw, layer)
    return raw
