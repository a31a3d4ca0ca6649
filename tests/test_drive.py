"""The drivers: the same roads, synchronous and awaited; what is no refusal ends them and undoes what was begun."""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Mapping
from typing import Any

import msgspec
import pytest

from guard import drive, effects, messages
from guard.attempt import Attempt, Limits
from guard.context import Acting
from guard.draft import Draft
from guard.errors import Misuse, Refused
from guard.model import ALWAYS, Activity, Actor, ActorFacts, Condition, Decision, Declared, Facts, Item, Recipient, Time
from guard.reading import reading
from guard.transaction import Transaction
from guard.writing import writing

SOURCE = "bank:retail.customer"


class Statement:
    """Plan and guarded statement in one."""

    items = (Item(source=SOURCE, field=None, role="read"),)
    statement = "statement"
    hidden, collected, reduced = 1, False, False
    rules: tuple[str, ...] = ()
    related: frozenset[str] = frozenset()

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.writes = None if kind == "select" else SOURCE

    def persons(self, hidden: tuple[Any, ...]) -> tuple[str, ...]:
        return (str(hidden[0]),)

    def bind(self, parameters: Any, facts: Facts) -> tuple[str, Mapping[str, Any]]:
        return "guarded", {}

    def before(self, parameters: Any, facts: Facts) -> tuple[str, Mapping[str, Any]]:
        return "before", {}


def attempt(kind: str) -> Attempt:
    plan = Statement(kind)
    actor = Actor(id="officer-lin")
    activity = Activity(
        id="0",
        operation="use",
        purpose="loan_underwriting",
        method="sql",
        actor=ActorFacts(kind="person"),
        recipient=Recipient(kind="staff"),
        subjects="many",
        items=plan.items,
        declared=Declared(),
        time=Time(seconds=0, date="1970-01-01", hour=8, zone="Asia/Shanghai"),
    )
    facts = Facts(
        actor=actor.id,
        subject=None,
        purpose=activity.purpose,
        operation="use",
        recipient="",
        seconds=0,
        date="1970-01-01",
        judged="",
    )
    return Attempt(
        actor=actor,
        activity=activity,
        facts=facts,
        plan=plan,
        text="statement",
        parameters=None,
        digests={},
        messages=messages.OWN,
    )


class Database:
    """A connection in memory; `breaks` is the text that raises what is no refusal."""

    def __init__(self, breaks: str | None = None) -> None:
        self.log: list[str] = []
        self.breaks = breaks
        self.rows: list[tuple[Any, ...]] = []

    def execute(self, sql: str, parameters: Mapping[str, Any]) -> None:
        self.log.append(sql)
        if sql == self.breaks:
            raise KeyboardInterrupt
        self.rows = [(1, "p0"), (1, "p1"), (1, "p2")]

    def fetch(self, size: int) -> list[tuple[Any, ...]]:
        taken, self.rows = self.rows[:size], self.rows[size:]
        return taken

    def holds(self, source: str, condition: Condition, subjects: tuple[str, ...], facts: Facts) -> set[str]:
        return set()

    def savepoint(self) -> None:
        self.log.append("savepoint")

    def settle(self, keep: bool) -> None:
        self.log.append("keep" if keep else "undo")


class Awaited:
    """The same, awaited."""

    def __init__(self, inner: Database) -> None:
        self.inner = inner

    async def execute(self, sql: str, parameters: Mapping[str, Any]) -> None:
        self.inner.execute(sql, parameters)

    async def fetch(self, size: int) -> list[tuple[Any, ...]]:
        return self.inner.fetch(size)

    async def holds(self, source: str, condition: Condition, subjects: tuple[str, ...], facts: Facts) -> set[str]:
        return self.inner.holds(source, condition, subjects, facts)

    async def savepoint(self) -> None:
        self.inner.savepoint()

    async def settle(self, keep: bool) -> None:
        self.inner.settle(keep)


class Parts:
    """Everything else that a road asks for."""

    def __init__(self, *, full: bool = False) -> None:
        self.drafts: list[Draft] = []
        self.full = full
        self.services = drive.Services(
            decide=lambda *_: Decision(id="0", allow=True, rows={SOURCE: ALWAYS}),
            append=self.append,
            mark=lambda: 7,
            withdrawn=lambda mark, persons: frozenset(persons) & {"p2"},
            hold=lambda _: "review",
            claim=lambda _: None,
            answers=lambda: pytest.fail("nobody is asked"),
        )

    def append(self, draft: Draft) -> int:
        if self.full:
            raise Refused.own("GUARD-REGISTER")
        self.drafts.append(draft)
        return len(self.drafts) - 1


LIMITS = Limits(batch=2)


def read_road() -> effects.Road:
    one = attempt("select")
    return reading(one, lambda _: one.plan, lambda _: None, LIMITS, Transaction())  # type: ignore[arg-type, return-value]  # plan and guarded in one


def write_road() -> effects.Writing:
    one = attempt("update")
    return writing(one, lambda _: one.plan, lambda _: None, LIMITS, Transaction())  # type: ignore[arg-type, return-value]  # as above


def read(database: Database, parts: Parts, *, awaited: bool) -> list[list[Any]]:
    if not awaited:
        return list(drive.drive(drive.Begun(read_road(), parts.services), database))

    async def taken() -> list[list[Any]]:
        begun = drive.Begun(read_road(), parts.services)
        return [batch async for batch in drive.drive_async(begun, Awaited(database), _in_thread)]

    return asyncio.run(taken())


def write(database: Database, parts: Parts, *, awaited: bool) -> int:
    begun = drive.Begun(write_road(), parts.services)
    if not awaited:
        return drive.carry_out(begun, database)
    return asyncio.run(drive.carry_out_async(begun, Awaited(database)))


async def _in_thread(call: Any) -> object:
    return await asyncio.to_thread(call)


both = pytest.mark.parametrize("awaited", [False, True])


@both
def test_a_read_is_handed_out_batch_by_batch(awaited: bool) -> None:
    """p2 withdrew meanwhile and is in no later batch."""
    parts = Parts()
    assert read(Database(), parts, awaited=awaited) == [[(1,), (1,)]]
    assert [one.subjects for one in parts.drafts] == [("p0", "p1")]


@both
def test_a_write_is_carried_out(awaited: bool) -> None:
    database, parts = Database(), Parts()
    assert write(database, parts, awaited=awaited) == 3
    assert database.log == ["savepoint", "before", "guarded", "keep"]
    assert [one.kind for one in parts.drafts] == ["intent", "done"]


@both
def test_a_register_that_is_full_lets_nothing_happen(awaited: bool) -> None:
    database = Database()
    with pytest.raises(Refused, match="GUARD-REGISTER"):
        write(database, Parts(full=True), awaited=awaited)
    assert database.log == ["savepoint", "before", "undo"]
    with pytest.raises(Refused, match="GUARD-REGISTER"):
        read(Database(), Parts(full=True), awaited=awaited)


@both
@pytest.mark.parametrize("breaks", ["before", "guarded"])
def test_what_is_no_refusal_undoes_the_write(breaks: str, awaited: bool) -> None:
    database, parts = Database(breaks), Parts()
    with pytest.raises(KeyboardInterrupt):
        write(database, parts, awaited=awaited)
    assert database.log[-1] == "undo"
    assert [one.kind for one in parts.drafts] == (["intent"] if breaks == "guarded" else [])


def test_a_task_that_is_cancelled_undoes_its_write() -> None:
    database, parts = Database(), Parts()
    written = asyncio.Event()

    class Slow(Awaited):
        async def execute(self, sql: str, parameters: Mapping[str, Any]) -> None:
            await super().execute(sql, parameters)
            if sql == "guarded":
                written.set()
                await asyncio.sleep(60)

    async def cancelled() -> None:
        slow = Slow(database)
        begun = drive.Begun(write_road(), parts.services)
        task = asyncio.create_task(drive.carry_out_async(begun, slow))
        await written.wait()
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(cancelled())
    assert database.log[-1] == "undo"
    assert [one.kind for one in parts.drafts] == ["intent"]


def test_a_read_takes_no_savepoint() -> None:
    with pytest.raises(Misuse, match="nothing of the kind"):
        list(drive.drive(drive.Begun(write_road(), Parts().services), Database()))  # type: ignore[arg-type]  # a write's


# --- A context that closed ------------------------------------------------------------------------


def taken(begun: drive.Begun[None], database: Database, awaited: bool, closes: Acting | None = None) -> list[Any]:
    """What leaves a read until it ends or is refused; `closes` ends its context after the first batch."""
    batches: list[Any] = []

    def kept(batch: list[Any]) -> None:
        batches.append(batch)
        if closes is not None and closes.open:
            closes.close()

    async def walked() -> None:
        async for batch in drive.drive_async(begun, Awaited(database)):
            kept(batch)

    def walk() -> None:
        for batch in drive.drive(begun, database):
            kept(batch)

    with pytest.raises(Refused, match="GUARD-CONTEXT"):
        asyncio.run(walked()) if awaited else walk()
    return batches


@both
def test_a_read_first_taken_after_its_context_closed_executes_nothing(awaited: bool) -> None:
    database, parts = Database(), Parts()
    with Acting(object(), Actor(id="officer-lin"), "loan_underwriting") as act:
        begun = drive.Begun(read_road(), parts.services, act)
    assert taken(begun, database, awaited) == []
    assert (database.log, parts.drafts) == ([], [])


@both
def test_no_further_batch_leaves_once_the_context_closed(awaited: bool) -> None:
    database, parts = Database(), Parts()
    parts.services = msgspec.structs.replace(parts.services, withdrawn=lambda *_: frozenset())
    with Acting(object(), Actor(id="officer-lin"), "loan_underwriting") as act:
        batches = taken(drive.Begun(read_road(), parts.services, act), database, awaited, closes=act)
    assert batches == [[(1,), (1,)]]
    assert database.rows == [(1, "p2")], "it was not even fetched"


# --- A road of records ----------------------------------------------------------------------------

DECIDED = Decision(id="0", allow=True)


def records_road(*asked: effects.Effect) -> Generator[effects.Effect, Any, list[Any]]:
    """Asks these effects; gives what came of them."""
    answers = []
    for effect in asked:
        answers.append((yield effect))  # noqa: PERF401 -- nothing yields from within a comprehension
    return answers


def test_what_is_remembered_is_used_on_the_loop_and_the_register_awaited() -> None:
    """Neither costs a thread: only what may block goes through `offload`."""
    parts, soon, offloaded = Parts(), list[Draft](), list[str]()

    async def append_soon(draft: Draft) -> int:
        await asyncio.sleep(0)
        soon.append(draft)
        return 41

    async def offload(call: Any) -> object:
        offloaded.append(type(call.args[0]).__name__)
        return call()

    one = attempt("select")
    services = msgspec.structs.replace(
        parts.services,
        decide=lambda *_: pytest.fail("it was decided before"),
        known=lambda activity: DECIDED if activity is one.activity else None,
        soon=append_soon,
    )
    draft = one.draft("read")
    road = records_road(effects.Decide(one.activity, one.actor.id), effects.Append(draft), effects.Mark())
    assert asyncio.run(drive.follow_async(drive.Begun(road, services), offload)) == [DECIDED, 41, 7]
    assert (soon, parts.drafts, offloaded) == ([draft], [], ["Mark"])


def test_what_is_not_remembered_is_decided_off_the_loop() -> None:
    parts, offloaded = Parts(), list[str]()

    async def offload(call: Any) -> object:
        offloaded.append(type(call.args[0]).__name__)
        return call()

    one = attempt("select")
    services = msgspec.structs.replace(parts.services, decide=lambda *_: DECIDED)
    road = records_road(effects.Decide(one.activity, one.actor.id), effects.Append(one.draft("read")))
    assert asyncio.run(drive.follow_async(drive.Begun(road, services), offload)) == [DECIDED, 0]
    assert offloaded == ["Decide", "Append"], "nor is there a register that can be awaited"


@both
@pytest.mark.parametrize(
    "effect",
    [effects.Execute("SELECT 1", {}), effects.Fetch(1), effects.Savepoint(), effects.Settle(keep=True)],
    ids=lambda effect: type(effect).__name__,
)
def test_a_road_of_records_runs_no_statement(effect: effects.Effect, awaited: bool) -> None:
    begun = drive.Begun(records_road(effect), Parts().services)
    with pytest.raises(Misuse, match="without a statement"):
        asyncio.run(drive.follow_async(begun)) if awaited else drive.follow(begun)
