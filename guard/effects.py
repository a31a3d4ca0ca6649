"""What a road asks to happen: each effect says what is done and what is sent back.

A road (`guard.reading`, `guard.writing`) is a generator of these and performs none of them. A driver
(`guard.drive`) performs them one by one; what an effect refuses is thrown into the road at its place.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any, TypeAlias

import msgspec

from guard.draft import Draft
from guard.model import Activity, Actor, Condition, Facts

Row: TypeAlias = tuple[Any, ...]
Values: TypeAlias = Mapping[str, Any] | tuple[Any, ...]
"""The parameters of a guarded text: by name, or in the order of their numbers."""


class Decide(msgspec.Struct, frozen=True):
    """Ask the policies; sent back: the Decision. `actor` is at whose charge it is remembered."""

    activity: Activity
    actor: str


class Mark(msgspec.Struct, frozen=True):
    """Note how far withdrawals have come; sent back: a number."""


class Execute(msgspec.Struct, frozen=True):
    """Run a guarded text; sent back: nothing."""

    sql: str
    parameters: Values


class Fetch(msgspec.Struct, frozen=True):
    """Take at most `size` rows; sent back: a list, empty at the end."""

    size: int


class Holds(msgspec.Struct, frozen=True):
    """Ask for whom of `subjects` the condition holds; sent back: a set of keys.

    A condition between actor, person and ledger (grant, relation, self) is about the person alone; one with a
    fact asks for a row of `source` that fulfils it.
    """

    source: str
    condition: Condition
    subjects: tuple[str, ...]
    facts: Facts


class HoldsEach(msgspec.Struct, frozen=True):
    """`Holds` of several conditions, all answered in one snapshot; sent back: a set of keys for each of them."""

    source: str
    conditions: tuple[Condition, ...]
    subjects: tuple[str, ...]
    facts: Facts


class Withdrawn(msgspec.Struct, frozen=True):
    """Ask who of `subjects` withdrew something since the mark; sent back: a set of keys."""

    mark: int
    subjects: tuple[str, ...]


class Savepoint(msgspec.Struct, frozen=True):
    """Begin what can be undone alone; in autocommit it is a transaction of its own. Sent back: nothing."""


class Settle(msgspec.Struct, frozen=True):
    """Keep or undo what happened since the savepoint; in autocommit keeping commits. Sent back: nothing."""

    keep: bool


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What another person is asked to approve.

    `digest` names what was attempted, by whom and under which policies; `by` the roles that have to approve; `cap`
    how many persons were met. `sealed` is what the approver has to see of it, any JSON value.
    """

    digest: str
    requester: Actor
    purpose: str
    by: tuple[str, ...]
    cap: int
    sealed: object


class Hold(msgspec.Struct, frozen=True):
    """Keep a request until another person has decided on it; sent back: its id."""

    request: Request


class Claim(msgspec.Struct, frozen=True):
    """Use up an approval, for good; sent back: how many persons it reaches, or None if it is for something else.

    It reaches `persons` at least, else it is for something else and is not used up. Refused GUARD-REVIEW where
    there is none or it was used before; `Held` where it is still waited for.
    """

    review_id: str
    digest: str
    requester: str
    persons: int


class Append(msgspec.Struct, frozen=True):
    """Make an entry durable; sent back: its number."""

    draft: Draft


class Release(msgspec.Struct, frozen=True):
    """Hand rows to the program."""

    rows: list[Row]


Effect: TypeAlias = (
    Decide
    | Mark
    | Execute
    | Fetch
    | Holds
    | HoldsEach
    | Withdrawn
    | Savepoint
    | Settle
    | Hold
    | Claim
    | Append
    | Release
)
Road: TypeAlias = Generator[Effect, Any, None]
Writing: TypeAlias = Generator[Effect, Any, int]
"""The road of a write; it returns how many rows were written."""
