"""What is asked of the policies again and again: within a minute the same question is the same object.

So what was worked out for it, such as the key under which its decision is kept, is found again without doing the work
again. Two questions are one only where every part of them is the same text or the very same object: Python takes `1`,
`True` and `1.0` for equal, and a text of a class of its own for what it likes.
"""

from __future__ import annotations

from typing import Any, Final

from msgspec.structs import astuple

from guard import clock
from guard.context import Acting
from guard.model import Activity, Declared, Item, Recipient

MOST: Final = 1_024
"""Activities that are kept (count); those of minutes before go with the others when they are so many."""

_TEXT: Final = frozenset({str, type(None)})


class Activities:
    """The activities of one guard, in the calendar of `zone`. Safe for threads."""

    def __init__(self, zone: str) -> None:
        self._zone: Final = zone
        self._made: dict[tuple[Any, ...], Activity] = {}

    def of(self, acting: Acting, items: tuple[Item, ...], method: str, now: float) -> Activity:
        """What an act would do with these items of a plan, at this time."""
        minute = int(now // 60)
        actor, recipient, declared = acting.actor, acting.recipient, acting.declared
        said = (acting.operation, acting.purpose, method, actor.kind, actor.unit, *actor.roles)
        # What is kept keeps `recipient`, `declared` and `items` alive, so that no other has their identity.
        key = (said, acting.subject is None, id(recipient), id(declared), id(items), minute)
        plain = _TEXT.issuperset(map(type, said))
        made = self._made.get(key) if plain else None
        if made is not None:
            return made
        made = Activity(
            id="0",
            operation=acting.operation,
            purpose=acting.purpose,
            method=method,
            actor=actor.facts(),
            recipient=recipient,
            subjects="many" if acting.subject is None else "declared",
            items=items,
            declared=declared,
            time=clock.stamp(now, self._zone),
        )
        if plain and type(items) is tuple and _settled(recipient, declared):
            if len(self._made) >= MOST:
                self._made.clear()
            self._made[key] = made
        return made


def _settled(recipient: object, declared: object) -> bool:
    """Whether nothing in them can change."""
    if type(recipient) is not Recipient or type(declared) is not Declared:
        return False
    return _TEXT.issuperset(map(type, (*astuple(recipient), *astuple(declared))))
