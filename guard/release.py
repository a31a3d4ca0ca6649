"""One release of everything that decides: layers, catalogue, engine, words.

Immutable. An operation lives under the release it began with; activating another swaps one reference.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import msgspec

from guard import catalogue
from guard.catalogue import Catalogue
from guard.config import Profile, Server, Settings
from guard.engine import Engine, bundle, shipped
from guard.engine.bundle import Bundle
from guard.engine.cache import Cache
from guard.engine.decider import Decider
from guard.engine.embedded import Bounds, Embedded
from guard.errors import ConfigError, Problem
from guard.messages import Messages


class Release(msgspec.Struct, frozen=True):
    """What one guard decides by.

    `digests` names the sources and the compiled module of each layer, the profile and the catalogue
    (`sha256:…`), `purposes` those that the floor or the profile knows, each with the basis that it has by itself;
    `roles` are those that a purpose is for, null for all.
    """

    catalogue: Catalogue
    decider: Decider
    messages: Messages
    purposes: Mapping[str, str | None]
    digests: Mapping[str, str]
    roles: Mapping[str, tuple[str, ...] | None]

    def close(self) -> None:
        """Gives back what its engine holds; decisions afterwards are refused."""
        self.decider.engine.close()


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
        from guard.engine import server  # noqa: PLC0415

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
