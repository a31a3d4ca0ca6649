"""What is to be registered of one attempted operation: handed from the roads to the register, in clear.

It lives in memory only. What is written of it, and how, is the register's business (`guard_register.entry`).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, TypeAlias

import msgspec

from guard.model import Activity, Actor, Decision, Reason, Recipient

Kind: TypeAlias = Literal[
    "read",
    "intent",
    "done",
    "failed",
    "rolled_back",
    "denied",
    "held",
    "approved",
    "rejected",
    "withdrawn",
    "consent",
]
"""A read is one released batch. What is `held` waits for another person, who has it `approved` or `rejected`, unless
it is `withdrawn`; `review` names it in all of these, and in what was released on it. An `intent` comes before the
effect of a write; `done`, `failed` and `rolled_back` refer to it, and an intent that nothing refers to reads as done.
"""


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be registered, in clear. `Register.append` makes an Entry of it.

    `sealed` holds the parameters and literals of the statement, any JSON value. `subjects` are canonical
    keys. Where persons cannot be told one by one, `persons` is how many they are. `refers_to` is the number
    of an earlier entry of this process. `consent` is the id of a consent that was recorded or withdrawn.
    `purpose` and `recipient` are for attempts that came to no activity. An actor to whom data go as the person
    they are about, or of whom no recipient is known, is written as a commitment like any other person.
    """

    kind: Kind
    actor: Actor
    activity: Activity | None = None
    purpose: str | None = None
    recipient: Recipient | None = None
    decision: Decision | None = None
    reasons: tuple[Reason, ...] = ()
    basis: str | None = None
    digests: Mapping[str, str] = MappingProxyType({})
    statement: str | None = None
    sealed: object = None
    subjects: tuple[str, ...] = ()
    persons: int | None = None
    rows: int | None = None
    refers_to: int | None = None
    review: str | None = None
    consent: str | None = None
