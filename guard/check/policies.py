"""Layers, categories and purposes: what the policies know of what the holder declares."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from guard.check.findings import Findings, Loaded, nearest
from guard.config import Layer, Profile, Settings
from guard.documents import Document
from guard.engine import bundle, shipped
from guard.engine.bundle import Bundle
from guard.engine.embedded import Bounds, Embedded
from guard.errors import ConfigError, Refused

Floor = Mapping[str, Any]
"""The document at data.guard.floor."""

FORBIDDEN: Final = "CR-02"
"""The rule that forbids some categories to some kinds of institution, whatever the consent."""


def look(settings: Settings, document: Document, profile: Profile | None, found: Findings) -> Floor | None:
    """Loads every layer as the engine will; gives the floor's data, or None if the floor cannot be read."""
    before = len(found.errors)
    bundles: dict[Layer, Bundle] = {}
    for layer, source in settings.layers.present().items():
        place = ("layers", layer)
        try:
            read = bundle.read(shipped.wasm(layer) if source == "builtin" else source)
        except ConfigError as error:
            found.errors += [document.problem(place, one.message, one.remedy) for one in error.problems]
            continue
        if read.layer != layer:
            message = f"{source} is a bundle of the layer {read.layer}"
            found.errors.append(document.problem(place, message, f"name a bundle of the layer {layer}"))
            continue
        bundles[layer] = read
    if len(found.errors) == before and profile is not None and settings.engine.kind == "embedded":
        _run(settings, document, profile, bundles, found)
    return bundles["floor"].data if "floor" in bundles else None


def _run(
    settings: Settings, document: Document, profile: Profile, bundles: Mapping[Layer, Bundle], found: Findings
) -> None:
    """Starts the policies once within the configured bounds: a bundle that cannot start is known now."""
    limits = settings.limits
    bounds = Bounds(
        fuel=limits.fuel,
        memory=limits.memory,
        document=limits.input,
        answer=limits.answer,
        instances=1,
        wait=limits.engine_wait,
    )
    own = bundle.read(bundle.profile_bundle(profile.data()))
    try:
        engine = Embedded([*bundles.values(), own], bounds)
    except ConfigError as error:
        for one in error.problems:
            place = next((("layers", layer) for layer in bundles if one.file.endswith(layer)), ("layers",))
            found.errors.append(document.problem(place, one.message, one.remedy))
        return
    except Refused as refused:
        remedy = "raise limits.fuel and limits.memory, or take a bundle that needs less"
        found.errors.append(document.problem(("limits",), f"the policies cannot start: {refused}", remedy))
        return
    try:
        for layer in bundles:
            engine.evaluate(layer, "decision", b'{"activities":[]}')
    except Refused as refused:
        remedy = "raise the limit, or mend the policies"
        found.errors.append(document.problem(("limits",), f"the policies give no answer: {refused}", remedy))
    finally:
        engine.close()


def categories(loaded: Loaded, floor: Floor, found: Findings) -> None:
    """Every category of the catalogue is one that the floor knows: an unknown one is never released."""
    known = floor["categories"]
    for name, source in loaded.catalogue.sources.items():
        for field, entry in source.fields.items():
            if entry.category not in known:
                message = f"no policy knows the category {entry.category}"
                remedy = nearest(entry.category, known, "take one of data.guard.floor.categories")
                place = ("sources", name, "fields", field, "category")
                found.errors.append(loaded.catalogue_document.problem(place, message, remedy))


def purposes(loaded: Loaded, floor: Floor, profile: Profile, document: Document, found: Findings) -> None:
    """Purposes of the institution's own add to those of law, and speak of what is there."""
    relations = {name for source in loaded.catalogue.sources.values() for name in source.relations}
    forbidden = {name for name, about in floor["categories"].items() if about.get("forbidden")}
    bound = profile.kind in floor.get("binds", {}).get(FORBIDDEN, ())
    for name, purpose in profile.purposes.items():
        place = ("purposes", name)
        if name in floor["purposes"]:
            message = f"{name} is a purpose of the floor, which cannot be redefined"
            found.errors.append(document.problem(place, message, "give it another name, or remove it"))
        for position, category in enumerate(purpose.categories):
            where = (*place, "categories", position)
            if category not in floor["categories"]:
                remedy = nearest(category, floor["categories"], "take one of data.guard.floor.categories")
                found.errors.append(document.problem(where, f"no policy knows the category {category}", remedy))
            elif bound and category in forbidden:
                message = f"{category} may not be used by a {profile.kind} ({FORBIDDEN}), whatever the consent"
                found.errors.append(document.problem(where, message, "remove it"))
        if purpose.relation is not None and purpose.relation not in relations:
            message = f"no source of the catalogue has the relation {purpose.relation}"
            remedy = nearest(purpose.relation, relations, "declare it in the catalogue, or write null")
            found.errors.append(document.problem((*place, "relation"), message, remedy))
