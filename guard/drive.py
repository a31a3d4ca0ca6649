"""The drivers of the roads in `guard.enforce`: they perform effects one by one, in their order.

A refusal by an effect is thrown into the road, which registers it and lets it out. Everything else that an effect
raises ends the operation where it stands, with nothing more released; what stood in a savepoint is undone. `drive`
and `carry_out` are synchronous, `drive_async` and `carry_out_async` are the same for a database and a register that
are awaited. They walk the same roads. `follow` walks a road of records, which has no statement to run.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, Final, Generic, Protocol, TypeAlias, TypeVar, assert_never, cast

import msgspec

from guard import enforce
from guard.draft import Draft
from guard.errors import Misuse, Refused
from guard.model import Activity, Condition, Decision, Facts

V = TypeVar("V")


class Database(Protocol):
    """The connection a statement runs on. Raises nothing but `Refused`."""

    def execute(self, sql: str, parameters: Mapping[str, Any]) -> None:
        """Starts a guarded statement."""

    def fetch(self, size: int) -> list[enforce.Row]:
        """The next rows of it, empty at the end."""
        ...

    def holds(self, source: str, condition: Condition, subjects: tuple[str, ...], facts: Facts) -> set[str]:
        """For whom of `subjects` a row of `source` fulfils the condition."""
        ...


class Scope(Protocol):
    """What can be undone alone on a connection. Raises nothing but `Refused`."""

    def savepoint(self) -> None:
        """Begins it; in autocommit, a transaction of its own."""

    def settle(self, keep: bool) -> None:
        """Keeps or undoes it; in autocommit keeping commits. When undoing returns, nothing of it is left."""


class Writable(Database, Scope, Protocol):
    """A connection that a write runs on."""


class AsyncDatabase(Protocol):
    """A `Database` that is awaited."""

    async def execute(self, sql: str, parameters: Mapping[str, Any]) -> None:
        """See `Database.execute`."""

    async def fetch(self, size: int) -> list[enforce.Row]:
        """See `Database.fetch`."""
        ...

    async def holds(self, source: str, condition: Condition, subjects: tuple[str, ...], facts: Facts) -> set[str]:
        """See `Database.holds`."""
        ...


class AsyncScope(Protocol):
    """A `Scope` that is awaited."""

    async def savepoint(self) -> None:
        """See `Scope.savepoint`."""

    async def settle(self, keep: bool) -> None:
        """See `Scope.settle`."""


class AsyncWritable(AsyncDatabase, AsyncScope, Protocol):
    """A connection that a write runs on, awaited."""


class Services(msgspec.Struct, frozen=True, kw_only=True):
    """What performs the effects that are not of the database: the policies, the register, the ledger, the reviews.

    `known` gives the decision that is remembered, None if none is; `soon` is `append`, awaited.
    """

    decide: Callable[[Activity, str], Decision]
    append: Callable[[Draft], int]
    mark: Callable[[], int]
    withdrawn: Callable[[int, tuple[str, ...]], frozenset[str]]
    hold: Callable[[enforce.Request], str]
    claim: Callable[[enforce.Claim], int | None]
    known: Callable[[Activity], Decision | None] = lambda _: None
    soon: Callable[[Draft], Awaitable[int]] | None = None


_Served: TypeAlias = (
    enforce.Decide | enforce.Mark | enforce.Withdrawn | enforce.Hold | enforce.Claim | enforce.Append | enforce.Release
)


def _serve(effect: _Served, services: Services) -> object:
    """Performs an effect that is none of the database's; gives what is sent back."""
    match effect:
        case enforce.Decide(activity, actor):
            return services.decide(activity, actor)
        case enforce.Mark():
            return services.mark()
        case enforce.Withdrawn(since, persons):
            return services.withdrawn(since, persons)
        case enforce.Hold(request):
            return services.hold(request)
        case enforce.Claim():
            return services.claim(effect)
        case enforce.Append(draft):
            return services.append(draft)
        case enforce.Release():
            raise Misuse("What is released is handed out, not performed.")
        case _:
            assert_never(effect)


# --- Synchronous ----------------------------------------------------------------------------------


class Effects(msgspec.Struct, frozen=True, kw_only=True):
    """What performs the effects of a road. `scope` is there for a write."""

    services: Services
    database: Database
    scope: Scope | None = None

    def perform(self, effect: enforce.Effect) -> object:
        """Performs one effect; gives what is sent back."""
        match effect:
            case enforce.Execute(sql, parameters):
                self.database.execute(sql, parameters)
            case enforce.Fetch(size):
                return self.database.fetch(size)
            case enforce.Holds(source, condition, subjects, facts):
                return self.database.holds(source, condition, subjects, facts)
            case enforce.HoldsEach():
                raise Misuse(_NO_RECORDS)
            case enforce.Savepoint():
                _scope(self.scope).savepoint()
            case enforce.Settle(keep):
                _scope(self.scope).settle(keep)
            case _:
                return _serve(effect, self.services)
        return None


_NO_RECORDS: Final = "Only a road of records asks of several conditions at once."


def _scope(scope: V | None) -> V:
    if scope is None:
        raise Misuse("A write needs a connection with savepoints.")
    return scope


class _Walk(Generic[V]):
    """A road, and what is sent back into it: an answer, or the refusal of an effect."""

    __slots__ = ("_answer", "_refusal", "_road", "parted", "returned")

    def __init__(self, road: Generator[enforce.Effect, Any, V]) -> None:
        self._road: Final = road
        self._answer: object = None
        self._refusal: Refused | None = None
        self.parted = False
        """Whether a savepoint was neither kept nor undone yet."""
        self.returned: V
        """What the road returned; there once it has ended."""

    def step(self) -> enforce.Effect | None:
        """The next effect; None at the end."""
        answer, refusal = self._answer, self._refusal
        self._answer = self._refusal = None
        try:
            return self._road.send(answer) if refusal is None else self._road.throw(refusal)
        except StopIteration as end:
            self.returned = end.value
            return None

    def answer(self, effect: enforce.Effect, answer: object) -> None:
        """What came of an effect."""
        self._answer = answer
        self.parted = isinstance(effect, enforce.Savepoint) or (self.parted and not isinstance(effect, enforce.Settle))

    def refuse(self, refusal: Refused) -> None:
        """An effect was refused: the road registers it and lets it out."""
        self._refusal = refusal


def drive(road: enforce.Road, effects: Effects) -> Iterator[list[enforce.Row]]:
    """Walks the road of a read; yields each batch of rows that it releases."""
    walk = _Walk(road)
    while (effect := walk.step()) is not None:
        if isinstance(effect, enforce.Release):
            yield effect.rows
            continue
        try:
            walk.answer(effect, effects.perform(effect))
        except Refused as refused:
            walk.refuse(refused)


def carry_out(road: enforce.Writing, effects: Effects) -> int:
    """Walks the road of a write to its end; how many rows were written."""
    walk = _Walk(road)
    try:
        while (effect := walk.step()) is not None:
            try:
                walk.answer(effect, effects.perform(effect))
            except Refused as refused:
                walk.refuse(refused)
    finally:
        if walk.parted:  # something other than a refusal came out of an effect
            with suppress(Refused):
                _scope(effects.scope).settle(keep=False)
    return walk.returned


class Answers(Protocol):
    """Who answers for persons where no statement runs (`guard.answers`). Raises nothing but `Refused`."""

    def holds(self, source: str, condition: Condition, subjects: tuple[str, ...], facts: Facts) -> set[str]:
        """For whom of `subjects` the condition holds; `source` says what its relations are."""
        ...

    def holds_each(
        self, source: str, conditions: tuple[Condition, ...], subjects: tuple[str, ...], facts: Facts
    ) -> tuple[set[str], ...]:
        """The same for each of these conditions, in one snapshot."""
        ...


Following: TypeAlias = Generator[enforce.Effect, Any, V]
"""A road of records; what it returns."""


def follow(road: Following[V], services: Services, answers: Answers) -> V:
    """Walks the road of records to its end; what it returns."""
    answer: object = None
    refusal: Refused | None = None
    while True:
        try:
            effect = road.send(answer) if refusal is None else road.throw(refusal)
        except StopIteration as end:
            return cast(V, end.value)
        answer = refusal = None
        try:
            answer = _answered(effect, services, answers)
        except Refused as refused:
            refusal = refused


def _answered(effect: enforce.Effect, services: Services, answers: Answers) -> object:
    match effect:
        case enforce.Holds(source, condition, subjects, facts):
            return answers.holds(source, condition, subjects, facts)
        case enforce.HoldsEach(source, conditions, subjects, facts):
            return answers.holds_each(source, conditions, subjects, facts)
        case enforce.Execute() | enforce.Fetch() | enforce.Savepoint() | enforce.Settle():
            raise Misuse("Records are released without a statement.")
        case _:
            return _serve(effect, services)


# --- Asynchronous ---------------------------------------------------------------------------------

Offload: TypeAlias = Callable[[Callable[[], object]], Awaitable[object]]
"""Runs a call that blocks, as `asyncio.to_thread` and `anyio.to_thread.run_sync` do."""


async def inline(call: Callable[[], object]) -> object:
    """Runs it here: the event loop waits for the ledger and the register."""
    return call()


class AsyncEffects(msgspec.Struct, frozen=True, kw_only=True):
    """`Effects` whose database is awaited, and whose register is if it can be.

    What blocks besides goes through `offload`; a decision never does.
    """

    services: Services
    database: AsyncDatabase
    scope: AsyncScope | None = None
    offload: Offload = inline

    async def perform(self, effect: enforce.Effect) -> object:
        """Performs one effect; gives what is sent back."""
        match effect:
            case enforce.Decide(activity, actor):
                return self.services.decide(activity, actor)
            case enforce.Append(draft) if self.services.soon is not None:
                return await self.services.soon(draft)
            case enforce.Execute(sql, parameters):
                await self.database.execute(sql, parameters)
            case enforce.Fetch(size):
                return await self.database.fetch(size)
            case enforce.Holds(source, condition, subjects, facts):
                return await self.database.holds(source, condition, subjects, facts)
            case enforce.HoldsEach():
                raise Misuse(_NO_RECORDS)
            case enforce.Savepoint():
                await _scope(self.scope).savepoint()
            case enforce.Settle(keep):
                await _scope(self.scope).settle(keep)
            case _:
                return await self.offload(partial(_serve, effect, self.services))
        return None


async def drive_async(road: enforce.Road, effects: AsyncEffects) -> AsyncIterator[list[enforce.Row]]:
    """`drive`, awaited."""
    walk = _Walk(road)
    while (effect := walk.step()) is not None:
        if isinstance(effect, enforce.Release):
            yield effect.rows
            continue
        try:
            walk.answer(effect, await effects.perform(effect))
        except Refused as refused:
            walk.refuse(refused)


async def carry_out_async(road: enforce.Writing, effects: AsyncEffects) -> int:
    """`carry_out`, awaited. A cancelled task undoes what stood in the savepoint, as far as it still may wait."""
    walk = _Walk(road)
    try:
        while (effect := walk.step()) is not None:
            try:
                walk.answer(effect, await effects.perform(effect))
            except Refused as refused:
                walk.refuse(refused)
    finally:
        if walk.parted:
            with suppress(Refused):
                await _scope(effects.scope).settle(keep=False)
    return walk.returned


async def follow_async(road: Following[V], services: Services, answers: Answers, offload: Offload = inline) -> V:
    """`follow`, awaited: what is remembered is answered here, the register is awaited, all else is offloaded."""
    answer: object = None
    refusal: Refused | None = None
    while True:
        try:
            effect = road.send(answer) if refusal is None else road.throw(refusal)
        except StopIteration as end:
            return cast(V, end.value)
        answer = refusal = None
        try:
            if isinstance(effect, enforce.Append) and services.soon is not None:
                answer = await services.soon(effect.draft)
                continue
            answer = services.known(effect.activity) if isinstance(effect, enforce.Decide) else None
            if answer is None:
                answer = await offload(partial(_answered, effect, services, answers))
        except Refused as refused:
            refusal = refused
