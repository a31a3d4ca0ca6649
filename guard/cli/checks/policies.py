"""Layers, categories and purposes: what the policies know of what the holder declares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from guard import clock, names
from guard.cli.checks.findings import Findings, Loaded
from guard.config import Profile, Settings
from guard.documents import Document
from guard.errors import ConfigError, Refused
from guard.model import Activity, ActorFacts, Declared, Recipient
from guard.names import meant
from guard.wire import canonical, ordered
from guard_engine import bundle, shipped
from guard_engine.bundle import Bundle
from guard_engine.embedded import Bounds, Embedded

Floor = Mapping[str, Any]
"""The document at data.guard.floor."""

_TOLD: Final = 6
"""Categories that one remedy names."""

FORBIDDEN: Final = "CR-02"
"""The rule that forbids some categories to some kinds of institution, whatever the consent."""


def look(settings: Settings, document: Document, found: Findings) -> tuple[Bundle, ...] | None:
    """Reads the bundle of every layer; None if one of them is wrong."""
    bundles: list[Bundle] = []
    present = settings.layers.present()
    for layer, source in present.items():
        place = ("layers", layer)
        try:
            read = bundle.read(shipped.wasm(layer) if source == "builtin" else source)
        except ConfigError as error:
            found.errors += [document.problem(place, one.message, one.remedy) for one in error.problems]
            continue
        if read.layer == layer:
            bundles.append(read)
        else:
            message = f"{source} is a bundle of the layer {read.layer}"
            found.errors.append(document.problem(place, message, f"name a bundle of the layer {layer}"))
    return tuple(bundles) if len(bundles) == len(present) else None


def start(loaded: Loaded, profile: Profile, bundles: Sequence[Bundle], found: Findings) -> None:
    """Starts the policies within the configured bounds and asks them once about everything in the catalogue."""
    limits = loaded.settings.limits
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
        engine = Embedded([*bundles, own], bounds)
    except ConfigError as error:
        for one in error.problems:
            layer = next((given.layer for given in bundles if one.file.endswith(given.layer)), "")
            found.errors.append(loaded.document.problem(("layers", layer), one.message, one.remedy))
        return
    try:
        question = canonical({"activities": [_everything(loaded)]})
        for given in bundles:
            engine.evaluate(given.layer, "decision", question)
    except Refused as refused:
        message = f"the policies do not answer for all of the catalogue at once: {refused}"
        remedy = "raise the limit, or mend the policies"
        found.errors.append(loaded.document.problem(("limits",), message, remedy))
    finally:
        engine.close()


def _everything(loaded: Loaded) -> Activity:
    """The largest question that a program can put: a person looks at all that is kept, which statute allows."""
    items = [source.item(name) for name, source in loaded.catalogue.sources.items()]
    items += [
        source.field_item(name, one) for name, source in loaded.catalogue.sources.items() for one in source.fields
    ]
    return Activity(
        id="0",
        operation="use",
        purpose="own_record_access",
        method="check",
        actor=ActorFacts(kind="person"),
        recipient=Recipient(kind="subject"),
        subjects="declared",
        items=ordered(items),
        declared=Declared(),
        time=clock.stamp(0, loaded.settings.zone),
    )


def categories(loaded: Loaded, floor: Floor, found: Findings) -> None:
    """Every category of the catalogue is one that the floor knows: an unknown one is never released."""
    known = floor["categories"]
    for name, source in loaded.catalogue.sources.items():
        for field, entry in source.fields.items():
            if entry.category not in known:
                message = f"no policy knows the category {entry.category}"
                remedy = _category(entry.category, known)
                place = ("sources", name, "fields", field, "category")
                found.errors.append(loaded.catalogue_document.problem(place, message, remedy))


def _category(word: str, known: Mapping[str, Any]) -> str:
    """What to write for a word that is no category: it may be a trait or a mask, which several have, or misspelt."""
    traits = [name for name, entry in known.items() if entry.get(word) is True]
    if traits:
        return f"{word} is a trait of {_listed(traits)}: name one of them"
    masks = [name for name, entry in known.items() if entry.get("mask") == word]
    if masks:
        return f"{word} is the mask of {_listed(masks)}: name the category"
    return meant(word, known, "guard policy show lists the categories")


def _listed(words: Sequence[str]) -> str:
    return ", ".join(words[:_TOLD]) + (", …" if len(words) > _TOLD else "")


def relations(loaded: Loaded, floor: Floor, profile: Profile, found: Findings) -> None:
    """A source without the relation that purposes ask for cannot be reached for any of them by staff.

    A relation that no purpose asks for may be a misspelt one. Of a route nothing more can be said here: who receives
    its answers stands in the table of routes, and the person's own data take no relation.
    """
    every = {**{name: one.model_dump() for name, one in profile.purposes.items()}, **floor["purposes"]}
    asking: dict[str, list[str]] = {}
    for name, purpose in sorted(every.items()):
        if purpose.get("relation") and profile.kind in purpose.get("kinds", (profile.kind,)):
            asking.setdefault(purpose["relation"], []).append(name)
    for name, source in loaded.catalogue.sources.items():
        idle = source.relations.keys() - asking.keys()
        for relation in sorted(asking.keys() - source.relations.keys()):
            near = names.near(relation, idle)
            if near is None and _of_the_web(name):
                continue
            these = ", ".join(asking[relation])
            one = len(asking[relation]) == 1
            who, ask, they = (f"purpose {these}", "asks", "it") if one else (f"purposes {these}", "ask", "they")
            message = (
                f"the {who} {ask} for the relation {relation}, which {name} does not declare: {they} cannot reach it"
            )
            declare = f"nothing to do unless {they} should: then declare it under relations"
            remedy = declare if near is None else f"write {relation} for {near}"
            found.warnings.append(loaded.catalogue_document.problem(("sources", name), message, remedy))


def _of_the_web(name: str) -> bool:
    return " /" in name


def purposes(loaded: Loaded, floor: Floor, profile: Profile, document: Document, found: Findings) -> None:
    """Purposes of the institution's own add to those of law, and speak of what is there."""
    relations = {name for source in loaded.catalogue.sources.values() for name in source.relations}
    known = floor["categories"]
    bound = profile.kind in floor.get("binds", {}).get(FORBIDDEN, ())
    for name, purpose in profile.purposes.items():
        place = ("purposes", name)
        if name in floor["purposes"]:
            message = f"{name} is a purpose of the floor, which cannot be redefined"
            found.errors.append(document.problem(place, message, "give it another name, or remove it"))
        for position, category in enumerate(purpose.categories):
            where = (*place, "categories", position)
            if category not in known:
                remedy = _category(category, known)
                found.errors.append(document.problem(where, f"no policy knows the category {category}", remedy))
            elif bound and known[category].get("forbidden"):
                message = f"{category} may not be used by a {profile.kind} ({FORBIDDEN}), whatever the consent"
                found.errors.append(document.problem(where, message, "remove it"))
            elif known[category].get("closed"):
                message = f"{category} is closed to purposes of an institution's own"
                found.errors.append(document.problem(where, message, "remove it"))
        if purpose.relation is not None and purpose.relation not in relations:
            message = f"no source of the catalogue has the relation {purpose.relation}"
            remedy = meant(purpose.relation, relations, "declare it in the catalogue, or write null")
            found.errors.append(document.problem((*place, "relation"), message, remedy))
