"""The release that a guard.yaml names: its bundles read, its engine started, its catalogue loaded."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from guard import catalogue
from guard.cache import Cache
from guard.catalogue import Catalogue
from guard.config import Profile, Server, Settings
from guard.decider import Decider
from guard.engine import Engine
from guard.errors import ConfigError, Problem
from guard.messages import Messages
from guard.release import Release
from guard_engine import bundle, shipped
from guard_engine.bundle import Bundle
from guard_engine.embedded import Bounds, Embedded


def load(settings: Settings) -> Release:
    """The release that a guard.yaml names; ConfigError or Refused says what cannot be trusted."""
    declared = catalogue.load(settings.catalogue)
    bundles = load_bundles(settings)
    return assemble(settings, declared, bundles, _engine(settings, bundles))


def assemble(settings: Settings, declared: Catalogue, bundles: Sequence[Bundle], engine: Engine) -> Release:
    """The release of an engine that answers for these bundles, on a catalogue."""
    limits = settings.limits
    cache = Cache(limits.cache, limits.cache_per_actor)
    layers = tuple(settings.layers.present())
    return Release(
        catalogue=declared,
        decider=Decider(engine, layers, catalogue_digest=declared.digest, cache=cache),
        messages=Messages({rule: words for one in bundles for rule, words in one.rules.items()}),
        purposes=MappingProxyType({name: _basis(entry) for name, entry in _purposes(bundles)}),
        digests=_digests(bundles, declared),
        roles=MappingProxyType({name: _roles(entry) for name, entry in _purposes(bundles)}),
    )


def _digests(bundles: Iterable[Bundle], declared: Catalogue) -> Mapping[str, str]:
    """What decides, as the register keeps it: sources of each layer, its compiled module, profile and catalogue."""
    found = {one.layer: one.digest for one in bundles}
    for one in bundles:
        if one.wasm is not None:
            found[f"{one.layer}.module"] = "sha256:" + hashlib.sha256(one.wasm).hexdigest()
    return MappingProxyType({**found, "catalogue": declared.digest})


def load_bundles(settings: Settings) -> tuple[Bundle, ...]:
    """The bundle of each layer and of the profile, each in its place."""
    bundles = []
    for layer, source in settings.layers.present().items():
        read = bundle.read(shipped.wasm(layer) if source == "builtin" else source)
        if read.layer != layer:
            problem = Problem(
                str(source), 0, f"this is a bundle of the layer {read.layer}", f"name it at layers.{read.layer}"
            )
            raise ConfigError([problem])
        bundles.append(read)
    profile = Profile.load(settings.profile)
    bundles.append(bundle.read(bundle.profile_bundle(profile.data()), str(settings.profile)))
    return tuple(bundles)


def _engine(settings: Settings, bundles: tuple[Bundle, ...]) -> Engine:
    limits = settings.limits
    if isinstance(settings.engine, Server):
        # Imported on demand: opa_client costs 200 ms that the embedded engine does not need.
        from guard_engine import server  # noqa: PLC0415

        return server.connect(settings.engine, bundles, document=limits.input, answer=limits.answer)
    bounds = Bounds(
        fuel=limits.fuel,
        memory=limits.memory,
        document=limits.input,
        answer=limits.answer,
        instances=limits.engines,
        wait=limits.engine_wait,
    )
    return Embedded(bundles, bounds)


def _purposes(bundles: Iterable[Bundle]) -> Iterator[tuple[str, Any]]:
    """Each purpose with what is said of it. The floor's come last: they are what decides."""
    for one in sorted(bundles, key=lambda bundle: bundle.layer == "floor"):
        if one.layer in {"floor", "profile"}:
            purposes: Any = one.data.get("purposes", {})
            yield from ((name, entry if isinstance(entry, Mapping) else {}) for name, entry in purposes.items())


def _basis(entry: Mapping[str, Any]) -> str | None:
    """The first basis, which counts where an actor claims none: `bases` of the floor's, `basis` of own purposes."""
    bases = entry.get("bases") or entry.get("basis")
    return bases[0] if isinstance(bases, Sequence) and bases and isinstance(bases[0], str) else None


def _roles(entry: Mapping[str, Any]) -> tuple[str, ...] | None:
    roles = entry.get("roles")
    return tuple(map(str, roles)) if isinstance(roles, list | tuple) else None
