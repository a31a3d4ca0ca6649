"""Who approves for whom: each role that has to approve is taken by another person, and two spellings are one person.

Pure. An approver with several of the roles stands for one of them, whichever lets the others be taken: that is a
matching of persons to roles. Who adds nothing to it now never will (the persons that can be matched at once are the
independent sets of a matroid), so that those who are kept all count.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence


def seated(roles: Sequence[str], persons: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Which person stands for which role; of the roles as many as can be taken by different persons.

    `persons` are ids, each with the roles that this person has.
    """
    taken: dict[str, str] = {}
    for person in persons:
        _seat(person, roles, persons, taken, set())
    return taken


def _seat(
    person: str, roles: Sequence[str], persons: Mapping[str, Sequence[str]], taken: dict[str, str], tried: set[str]
) -> bool:
    """Gives this person a role, moving those who have another one to go to (an augmenting path)."""
    for role in roles:
        if role not in persons[person] or role in tried:
            continue
        tried.add(role)
        if role not in taken or _seat(taken[role], roles, persons, taken, tried):
            taken[role] = person
            return True
    return False


def spelt(actor: str) -> str:
    """An id without what sign-ins tend to overlook: one account may well be `officer-lin`, `Officer-Lin` and more.

    That two persons whose ids differ in nothing else cannot approve for each other is the safe side.
    """
    plain = unicodedata.normalize("NFKC", actor).casefold()
    return "".join(one for one in plain if not one.isspace() and unicodedata.category(one)[0] != "C")
