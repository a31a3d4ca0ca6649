"""The drivers of the roads: they perform effects one by one, in their order.

A refusal by an effect is thrown into the road, which registers it and lets it out. Everything else that an effect
raises ends the operation where it stands, with nothing more released; what stood in a savepoint is undone. `drive`
and `carry_out` are synchronous, `drive_async` and `carry_out_async` are the same for a database and a register that
are awaited. They walk the same roads. `follow` walks a road of records, which has no statement to run.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from contextlib import suppress
from functools import partial
from typing import Any, Final, Generic, Protocol, TypeAlias, TypeVar, assert_never, cast

import msgspec

from guard import effects
from guard.context import Acting
from guard.draft import Draft
from guard.errors import Misuse, Refused
from guard.model import Activity, Condition, Decision, Facts

V = TypeVar("V")


class Database(Protocol):
    """The connection a statement runs on. Raises nothing but `Refused`."""

    def execute(self, sql: str, parameters: effects.Values) -> None:
        """Starts a guarded statement."""

    def fetch(self, size: int) -> list[effects.Row]:
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

    async def execute(self, sql: str, parameters: effects.Values) -> None:
        """See `Database.execute`."""

    async def fetch(self, size: int) -> list[effects.Row]:
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


class Answers(Protocol):
    """Who answers for persons where no statement runs (`guard_sql.answers`). Raises nothing but `Refused`."""

    def holds(self, source: str, condition: Condition, subjects: tuple[str, ...], facts: Facts) -> set[str]:
        """For whom of `subjects` the condition holds; `source` says what its relations are."""
        ...

    def holds_each(
        self, source: str, conditions: tuple[Condition, ...], subjects: tuple[str, ...], facts: Facts
    ) -> tuple[set[str], ...]:
        """The same for each of these conditions, in one snapshot."""
        ...


class Services(msgspec.Struct, frozen=True, kw_only=True):
    """What performs the effects that are not of the database: the policies, the register, the ledger, the reviews.

    `known` gives the decision that is remembered, None if none is; `soon` is `append`, awaited; `answers` is asked
    for by roads of records alone.
    """

    decide: Callable[[Activity, str], Decision]
    append: Callable[[Draft], int]
    mark: Callable[[], int]
    withdrawn: Callable[[int, tuple[str, ...]], frozenset[str]]
    hold: Callable[[effects.Request], str]
    claim: Callable[[effects.Claim], int | None]
    answers: Callable[[], Answers]
    known: Callable[[Activity], Decision | None] = lambda _: None
    soon: Callable[[Draft], Awaitable[int]] | None = None


class Begun(msgspec.Struct, Generic[V], frozen=True):
    """A road that was begun, with what performs its effects; `acting` is the context that it was begun in."""

    road: Generator[effects.Effect, Any, V]
    services: Services
    acting: Acting | None = None

    def still_open(self) -> None:
        """Refuses what is taken after the context closed."""
        if self.acting is not None and not self.acting.open:
            raise Refused.own("GUARD-CONTEXT", "It closed before all rows were taken; take them inside it.")


_Served: TypeAlias = (
    effects.Decide | effects.Mark | effects.Withdrawn | effects.Hold | effects.Claim | effects.Append | effects.Release
)


def _serve(effect: _Served, services: Services) -> object:
    """Performs an effect that is none of the database's; gives what is sent back."""
    match effect:
        case effects.Decide(activity, actor):
            return services.decide(activity, actor)
        case effects.Mark():
            return services.mark()
        case effects.Withdrawn(since, persons):
            return services.withdrawn(since, persons)
        case effects.Hold(request):
            return services.hold(request)
        case effects.Claim():
            return services.claim(effect)
        case effects.Append(draft):
            return services.append(draft)
        case effects.Release():
            raise Misuse("What is released is handed out, not performed.")
        case _:
            assert_never(effect)


# --- Synchronous ----------------------------------------------------------------------------------


def _read(effect: effects.Effect, services: Services, database: Database) -> object:
    """Performs one effect of a read; gives what is sent back."""
    match effect:
        case effects.Execute(sql, parameters):
            database.execute(sql, parameters)
        case effects.Fetch(size):
            return database.fetch(size)
        case effects.Holds(source, condition, subjects, facts):
            return database.holds(source, condition, subjects, facts)
        case effects.HoldsEach() | effects.Savepoint() | effects.Settle():
            raise Misuse("A read asks nothing of the kind.")
        case _:
            return _serve(effect, services)
    return None


def _written(effect: effects.Effect, services: Services, database: Writable) -> object:
    """Performs one effect of a write."""
    match effect:
        case effects.Savepoint():
            database.savepoint()
        case effects.Settle(keep):
            database.settle(keep)
        case _:
            return _read(effect, services, database)
    return None


class _Walk(Generic[V]):
    """A road, and what is sent back into it: an answer, or the refusal of an effect."""

    __slots__ = ("_answer", "_refusal", "_road", "parted", "returned")

    def __init__(self, road: Generator[effects.Effect, Any, V]) -> None:
        self._road: Final = road
        self._answer: object = None
        self._refusal: Refused | None = None
        self.parted = False
        """Whether a savepoint was neither kept nor undone yet."""
        self.returned: V
        """What the road returned; there once it has ended."""

    def step(self) -> effects.Effect | None:
        """The next effect; None at the end."""
        answer, refusal = self._answer, self._refusal
        self._answer = self._refusal = None
        try:
            return self._road.send(answer) if refusal is None else self._road.throw(refusal)
        except StopIteration as end:
            self.returned = end.value
            return None

    def answer(self, effect: effects.Effect, answer: object) -> None:
        """What came of an effect."""
        self._answer = answer
        self.parted = isinstance(effect, effects.Savepoint) or (self.parted and not isinstance(effect, effects.Settle))

    def refuse(self, refusal: Refused) -> None:
        """An effect was refused: the road registers it and lets it out."""
        self._refusal = refusal


def drive(begun: Begun[None], database: Database) -> Iterator[list[effects.Row]]:
    """Walks the road of a read; yields each batch of rows that it releases, as long as its context is open."""
    walk = _Walk(begun.road)
    begun.still_open()
    while (effect := walk.step()) is not None:
        if isinstance(effect, effects.Release):
            yield effect.rows
            begun.still_open()
            continue
        try:
            walk.answer(effect, _read(effect, begun.services, database))
        except Refused as refused:
            walk.refuse(refused)


def carry_out(begun: Begun[int], database: Writable) -> int:
    """Walks the road of a write to its end; how many rows were written.

    In autocommit it is committed when this returns, else its outcome is registered when the adapter tells the
    transaction that it ended.
    """
    walk = _Walk(begun.road)
    try:
        while (effect := walk.step()) is not None:
            try:
                walk.answer(effect, _written(effect, begun.services, database))
            except Refused as refused:
                walk.refuse(refused)
    finally:
        if walk.parted:  # something other than a refusal came out of an effect
            with suppress(Refused):
                database.settle(keep=False)
    return walk.returned


def follow(begun: Begun[V]) -> V:
    """Walks the road of records to its end; what it returns."""
    answer: object = None
    refusal: Refused | None = None
    while True:
        try:
            effect = begun.road.send(answer) if refusal is None else begun.road.throw(refusal)
        except StopIteration as end:
            return cast(V, end.value)
        answer = refusal = None
        try:
            answer = _answered(effect, begun.services)
        except Refused as refused:
            refusal = refused


def _answered(effect: effects.Effect, services: Services) -> object:
    match effect:
        case effects.Holds(source, condition, subjects, facts):
            return services.answers().holds(source, condition, subjects, facts)
        case effects.HoldsEach(source, conditions, subjects, facts):
            return services.answers().holds_each(source, conditions, subjects, facts)
        case effects.Execute() | effects.Fetch() | effects.Savepoint() | effects.Settle():
            raise Misuse("Records are released without a statement.")
        case _:
            return _serve(effect, services)


# --- Asynchronous ---------------------------------------------------------------------------------

Offload: TypeAlias = Callable[[Callable[[], object]], Awaitable[object]]
"""Runs a call that blocks, as `asyncio.to_thread` and `anyio.to_thread.run_sync` do."""


async def inline(call: Callable[[], object]) -> object:
    """Runs it here: the event loop waits for the ledger and the register."""
    return call()


async def _read_async(effect: effects.Effect, services: Services, database: AsyncDatabase, offload: Offload) -> object:
    """`_read`, awaited. The register is awaited too; what blocks besides goes through `offload`, a decision never."""
    match effect:
        case effects.Decide(activity, actor):
            return services.decide(activity, actor)
        case effects.Append(draft) if services.soon is not None:
            return await services.soon(draft)
        case effects.Execute(sql, parameters):
            await database.execute(sql, parameters)
        case effects.Fetch(size):
            return await database.fetch(size)
        case effects.Holds(source, condition, subjects, facts):
            return await database.holds(source, condition, subjects, facts)
        case effects.HoldsEach() | effects.Savepoint() | effects.Settle():
            raise Misuse("A read asks nothing of the kind.")
        case _:
            return await offload(partial(_serve, effect, services))
    return None


async def _written_async(
    effect: effects.Effect, services: Services, database: AsyncWritable, offload: Offload
) -> object:
    """`_written`, awaited."""
    match effect:
        case effects.Savepoint():
            await database.savepoint()
        case effects.Settle(keep):
            await database.settle(keep)
        case _:
            return await _read_async(effect, services, database, offload)
    return None


async def drive_async(
    begun: Begun[None], database: AsyncDatabase, offload: Offload = inline
) -> AsyncIterator[list[effects.Row]]:
    """`drive`, awaited. `offload` runs the calls that wait for the ledger and the register, by default here."""
    walk = _Walk(begun.road)
    begun.still_open()
    while (effect := walk.step()) is not None:
        if isinstance(effect, effects.Release):
            yield effect.rows
            begun.still_open()
            continue
        try:
            walk.answer(effect, await _read_async(effect, begun.services, database, offload))
        except Refused as refused:
            walk.refuse(refused)


async def carry_out_async(begun: Begun[int], database: AsyncWritable, offload: Offload = inline) -> int:
    """`carry_out`, awaited. A cancelled task undoes what stood in the savepoint, as far as it still may wait."""
    walk = _Walk(begun.road)
    try:
        while (effect := walk.step()) is not None:
            try:
                walk.answer(effect, await _written_async(effect, begun.services, database, offload))
            except Refused as refused:
                walk.refuse(refused)
    finally:
        if walk.parted:
            with suppress(Refused):
                await database.settle(keep=False)
    return walk.returned


async def follow_async(begun: Begun[V], offload: Offload = inline) -> V:
    """`follow`, awaited: what is remembered is answered here, the register is awaited, all else is offloaded."""
    road, services = begun.road, begun.services
    answer: object = None
    refusal: Refused | None = None
    while True:
        try:
            effect = road.send(answer) if refusal is None else road.throw(refusal)
        except StopIteration as end:
            return cast(V, end.value)
        answer = refusal = None
        try:
            if isinstance(effect, effects.Append) and services.soon is not None:
                answer = await services.soon(effect.draft)
                continue
            answer = services.known(effect.activity) if isinstance(effect, effects.Decide) else None
            if answer is None:
                answer = await offload(partial(_answered, effect, services))
        except Refused as refused:
            refusal = refused
