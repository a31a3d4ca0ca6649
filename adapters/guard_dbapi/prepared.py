"""What a cursor knows of the statement that it runs, sync or async: the plan, the guarded form, what may be seen."""

from __future__ import annotations

from collections import deque
from typing import Any, Final, NamedTuple, Protocol

import guard_sql
from guard.context import Acting
from guard.effects import Row
from guard.errors import Misuse, Refused
from guard.facade import Guard
from guard.model import Decision, Item


class Column(NamedTuple):
    """A visible column, as PEP 249 describes one; the guard knows its name only."""

    name: str
    type_code: None = None
    display_size: None = None
    internal_size: None = None
    precision: None = None
    scale: None = None
    null_ok: None = None


class Running(Protocol):
    """A statement on a session."""

    text: str | None
    guarded: guard_sql.Guarded | None
    decision: Decision | None


class Prepared:
    """What both kinds of cursor share.

    `description` names the columns that the caller may see. `rowcount` is how many rows a write wrote, and -1 after
    a read: how many rows there are is known when the last was released.
    """

    __slots__ = (
        *("_acting", "_cache", "_closed", "_description", "_guard", "_name", "_percent", "_plan", "_rows"),
        *("arraysize", "rowcount"),
    )

    def __init__(self, guard: Guard, cache: guard_sql.PlanCache, *, percent: bool, name: str | None) -> None:
        self._guard: Final = guard
        self._cache: Final = cache
        self._percent: Final = percent
        self._name: Final = name
        self._rows: deque[Row] = deque()
        self._description: tuple[Column, ...] | None = None
        self._plan: guard_sql.Plan | None = None
        self._acting: Acting | None = None
        self._closed = False
        self.arraysize = 1
        self.rowcount = -1

    @property
    def name(self) -> str | None:
        """The name of a server-side cursor."""
        return self._name

    @property
    def description(self) -> tuple[Column, ...] | None:
        """One 7-tuple a visible column, the name first; None before a statement and after a write."""
        return self._description

    @property
    def items(self) -> tuple[Item, ...]:
        """What the statement touches, as policy was asked about it; empty where it could not be read."""
        return () if self._plan is None else self._plan.items

    def _planned(self, sql: str, parameters: Any) -> guard_sql.Plan:
        """The plan; a refusal is registered."""
        if self._closed:
            raise Misuse("This cursor is closed; take a new one from the connection.")
        try:
            self._plan = self._cache.plan(sql, pyformat=self._percent and parameters is not None)
        except Refused as refused:
            refusal = refused
        else:
            return self._plan
        raise self._guard.roads.refuse(self._guard.current(), refusal, sql)

    def _many(self, plan: guard_sql.Plan) -> None:
        if plan.kind == "select":
            raise Refused.own("GUARD-PROXY", "executemany is for statements that write; execute a SELECT.")

    def _apply(self, plan: guard_sql.Plan, running: Running, decision: Decision | None) -> guard_sql.Guarded:
        guarded = self._cache.apply(plan, decision)
        running.guarded, running.decision = guarded, decision
        return guarded

    def _describe(self, running: Running) -> None:
        columns = () if running.guarded is None else running.guarded.columns
        self._description = tuple(Column(name) for name in columns)

    def _within(self) -> None:
        """Rows are taken in the context that they were read in."""
        if self._acting is not None and not self._acting.open:
            self._rows.clear()
            raise Refused.own("GUARD-CONTEXT", "It closed before all rows were taken; take them inside it.")

    def _clear(self) -> None:
        """Nothing of the last statement is left."""
        self._rows.clear()
        self._description = self._plan = self._acting = None
        self.rowcount = -1

    def setinputsizes(self, *_: Any) -> None:
        """Does nothing, as PEP 249 lets it."""

    def setoutputsize(self, *_: Any) -> None:
        """Does nothing, as PEP 249 lets it."""


def copied(parameters: Any) -> Any:
    """The parameters as they are now: the caller's list may change while rows are still being registered."""
    if type(parameters) in (list, tuple):
        return tuple(parameters)
    return dict(parameters) if type(parameters) is dict else parameters


def written(plan: guard_sql.Plan) -> str:
    """The source that a statement writes."""
    if plan.writes is None:
        raise Misuse("A statement that writes has a table that it writes.")
    return plan.writes
