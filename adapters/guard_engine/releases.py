"""The release that a guard.yaml names: its bundles read, its engine started, its catalogue loaded."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from guard import catalogue, purposes
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
    data = {one.layer: one.data for one in bundles}
    return Release(
        catalogue=declared,
        decider=Decider(engine, layers, catalogue_digest=declared.digest, cache=cache),
        messages=Messages({rule: words for one in bundles for rule, words in one.rules.items()}),
        purposes=MappingProxyType(purposes.known(data.get("floor", {}), data.get("profile", {}))),
        categories=frozenset(data.get("floor", {}).get("categories", {})),
        digests=_digests(bundles, declared),
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
