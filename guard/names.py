"""The name that somebody meant, where one that is known is spelt nearly so: a remedy, never a repair."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Sequence


def near(name: str, known: Collection[str]) -> str | None:
    """The known name that is spelt most like it, if one is near."""
    return next(iter(difflib.get_close_matches(name, sorted(known), n=1)), None)


def meant(name: str, known: Collection[str], otherwise: str) -> str:
    """A remedy: the known name that is nearest, or what else to do."""
    found = near(name, known)
    return otherwise if found is None else f"did you mean {found}?"


def nearest_first(name: str, known: Sequence[str]) -> tuple[str, ...]:
    """The known names, those in front that are spelt nearly so."""
    close = difflib.get_close_matches(name, known, n=len(known)) if known else []
    return (*close, *(one for one in known if one not in close))
