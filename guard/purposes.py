"""The purposes that policies and profile know: to whom each is open, as far as that can be said beforehand.

Nothing is decided here. It says what to write where a purpose is missing or misspelt, and lists what there is.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable, Mapping
from typing import Any, TypeAlias

import msgspec

from guard import names
from guard.model import Actor, Consent, Recipient


class Purpose(msgspec.Struct, frozen=True):
    """A purpose by what is declared of it.

    `offered` says whether this kind of institution has it; `roles` whom it is for, None for all; `operations` to whom
    the data of each may go. `bases` are its legal bases, the first of them its own. `own` is one of the profile.
    """

    offered: bool
    roles: tuple[str, ...] | None
    operations: Mapping[str, tuple[str, ...]]
    bases: tuple[str, ...]
    categories: tuple[str, ...]
    relation: str | None
    own: bool

    @property
    def basis(self) -> str | None:
        """The basis that counts where an actor claims none."""
        return self.bases[0] if self.bases else None

    def open_to(self, actor: Actor, operation: str, recipient: Recipient) -> bool:
        """Whether an actor could have it for this operation. The person's own data need no role."""
        if not self.offered or recipient.kind not in self.operations.get(operation, ()):
            return False
        return self.roles is None or recipient.kind == "subject" or not set(self.roles).isdisjoint(actor.roles)


Purposes: TypeAlias = Mapping[str, Purpose]


def known(floor: Mapping[str, Any], profile: Mapping[str, Any]) -> dict[str, Purpose]:
    """All purposes by name; the floor's own win over one of the same name in the profile."""
    common, categories = floor.get("own_purpose", {}), floor.get("categories", {})
    closed = {name for name, entry in categories.items() if entry.get("closed")}
    made = {name: _purpose({**common, **_own(entry, closed)}, profile, own=True) for name, entry in _entries(profile)}
    return made | {name: _purpose(entry, profile, own=False) for name, entry in _entries(floor)}


def unknown(purpose: object, purposes: Purposes) -> str:
    """That no policy knows a purpose. One of this kind of institution may be meant, though it is for another role."""
    return _no(str(purpose), "purpose", [name for name, one in purposes.items() if one.offered])


def unknown_in(consent: Consent, purposes: Purposes, categories: Collection[str]) -> str | None:
    """Which purposes and categories of a consent no policy knows, and which may be meant; None if all are known."""
    said = [unknown(one, purposes) for one in consent.purposes if one not in purposes]
    said += [_no(one, "category", categories) for one in consent.categories if one not in categories]
    return " ".join(said) or None


def without(purpose: str, operation: str, purposes: Purposes) -> str | None:
    """That a purpose does not have an operation, and which purposes do; None where it has it, or is not known."""
    entry = purposes.get(purpose)
    if entry is None or operation in entry.operations:
        return None
    having = sorted(name for name, one in purposes.items() if one.offered and operation in one.operations)
    others = f" The purposes for {operation}: {', '.join(having)}." if having else ""
    return f"{purpose} is not for the operation {operation}, but for {', '.join(entry.operations)}.{others}"


def _no(word: str, kind: str, known: Collection[str]) -> str:
    near = names.near(word, known)
    return f"{word:.64} is not a {kind}" + (f"; did you mean {near}?" if near else ".")


def open_to(purposes: Purposes, actor: Actor | None, operation: str, recipient: Recipient) -> tuple[str, ...]:
    """Those that this actor could have, sorted; where there is none, or nobody is known, all that are offered."""
    offered = sorted(name for name, one in purposes.items() if one.offered)
    fitting = (
        () if actor is None else tuple(name for name in offered if purposes[name].open_to(actor, operation, recipient))
    )
    return fitting or tuple(offered)


def _own(entry: Mapping[str, Any], closed: Container[str]) -> dict[str, Any]:
    """What a profile says of a purpose of its own; all else is the same for all of them."""
    said = {part: entry.get(part) for part in ("basis", "roles", "relation")}
    return {**said, "categories": [one for one in entry.get("categories") or () if one not in closed]}


def _entries(data: Mapping[str, Any]) -> Iterable[tuple[str, Mapping[str, Any]]]:
    purposes: Any = data.get("purposes", {})
    return [(name, entry if isinstance(entry, Mapping) else {}) for name, entry in purposes.items()]


def _purpose(entry: Mapping[str, Any], profile: Mapping[str, Any], *, own: bool) -> Purpose:
    roles, app, kind = entry.get("roles"), entry.get("app_type"), profile.get("kind")
    return Purpose(
        offered=kind in entry.get("kinds", ()) and app in (None, profile.get("app_type")),
        roles=tuple(map(str, roles)) if isinstance(roles, list | tuple) else None,
        operations={name: tuple(to) for name, to in entry.get("operations", {}).items()},
        bases=_names(entry.get("bases") or entry.get("basis")),
        categories=_names(list(entry.get("categories") or ())),
        relation=entry.get("relation"),
        own=own,
    )


def _names(value: object) -> tuple[str, ...]:
    return tuple(one for one in value if isinstance(one, str)) if isinstance(value, list | tuple) else ()
