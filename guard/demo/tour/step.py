"""What a step tells: one object, the same for people, for programs and for the page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

import msgspec

from guard.model import Operation

Ended: TypeAlias = Literal["allowed", "reduced", "refused", "held", "detected"]
Did: TypeAlias = Operation | Literal["consent", "approve", "verify"]
"""An operation on personal data, or what is done about one: a consent is recorded, a review approved, a register
verified."""


class Statements(msgspec.Struct, frozen=True):
    """A statement as the program wrote it and as it ran (None if it did not run)."""

    before: str
    after: str | None


class Detail(msgspec.Struct, frozen=True, kw_only=True):
    """What happened in words, the clause of each rule, the register entry, and the first rows that were released.

    `entry` counts within `shard`, the part of the register that one process writes.

    `message` is the guard's own sentence on this very case, or what the rows show. `found` holds what the step is
    about in numbers, and what the tour computed by itself to compare with.
    """

    who: str
    what: str
    message: str
    clauses: dict[str, str] = {}
    sentences: dict[str, str] = {}
    remedy: tuple[str, ...] = ()
    entry: int | None = None
    shard: str | None = None
    columns: tuple[str, ...] = ()
    sample: tuple[tuple[Any, ...], ...] = ()
    found: Mapping[str, Any] = {}


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One step: a real call and its outcome. `rows` counts released rows."""

    step: str
    operation: Did
    outcome: Ended
    rules: tuple[str, ...] = ()
    rows: int = 0
    sql: Statements | None = None
    detail: Detail


class Disagreement(Exception):
    """The guard said something of its own work that is not so: a bug, never an outcome."""
