"""The model: a database with snapshots, a ledger, a register, a review store, and processes that take steps in them.

A process is a generator that stops before each step that reads or writes what others share; what lies between (rows
of a snapshot that was taken, a savepoint) commutes with everything and is part of the step before. Every step checks
what must never happen, so every prefix of a schedule, a crash of the machine, is checked too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Mapping
from types import MappingProxyType
from typing import Any, Final, TypeAlias

import msgspec

from guard import effects, messages
from guard.attempt import Attempt, Limits
from guard.collecting import collecting
from guard.draft import Draft
from guard.errors import Held, Refused
from guard.model import (
    ALWAYS,
    Activity,
    Actor,
    ActorFacts,
    Decision,
    Declared,
    Facts,
    GrantCondition,
    Item,
    Reason,
    Recipient,
    Review,
    Threshold,
    Time,
)
from guard.reading import reading
from guard.releasing import releasing
from guard.transaction import Transaction
from guard.writing import writing

SOURCE: Final = "bank:retail.customer"
PERSONS: Final = ("p0", "p1", "p2")
WITHDRAWS: Final = "p1"
REVIEW: Final = "review-0"
HOLDER: Final = "holder"
"""Who asked for it."""
GRANT: Final = GrantCondition(rule="OP-01")
DPO: Final = Review(by="dpo", above=Threshold(subjects=1), rule="OP-08")
BATCH: Final = 2

Steps: TypeAlias = Generator[str, None, None]
"""A process: what it yields names the step that it takes next."""


class Broken(AssertionError):
    """What must never happen has happened."""


class Roads(msgspec.Struct, frozen=True):
    """The roads that are tried: those of guard, or mutants of them."""

    reading: Callable[..., Any] = reading
    writing: Callable[..., Any] = writing
    releasing: Callable[..., Any] = releasing
    collecting: Callable[..., Any] = collecting
    claims_at_once: bool = True
    """Whether the review store uses an approval up in one step, or looks first and writes later."""


class _Guarded:
    """What a decision makes of a statement: the model of guard_sql. Its parameters carry the decision."""

    hidden = 1
    collected = False
    reduced = False
    rules = ()
    related: frozenset[str] = frozenset()

    def __init__(self, decision: Decision) -> None:
        self.parameters = {"granted": decision.rows.get(SOURCE, ALWAYS) == GRANT}

    def persons(self, hidden: tuple[Any, ...]) -> tuple[str, ...]:
        return hidden

    def bind(self, parameters: Any, facts: Facts) -> tuple[str, Mapping[str, Any]]:
        return "guarded", self.parameters

    def before(self, parameters: Any, facts: Facts) -> tuple[str, Mapping[str, Any]]:
        return "before", self.parameters


class _Plan(msgspec.Struct, frozen=True):
    kind: str
    writes: str | None
    items: tuple[Item, ...]
    statement: str = "statement"


def _plan(kind: str) -> _Plan:
    item = Item(source=SOURCE, field=None, role="read" if kind == "select" else "write", subjects=("holder",))
    return _Plan(kind, None if kind == "select" else SOURCE, (item,))


_PLANS: Final = {kind: _plan(kind) for kind in ("select", "update")}
_ACTIVITIES: Final = {
    kind: Activity(
        id="0",
        operation="use",
        purpose="loan_underwriting",
        method="sql",
        actor=ActorFacts(kind="person"),
        recipient=Recipient(kind="staff"),
        subjects="many",
        items=_PLANS[kind].items,
        declared=Declared(),
        time=Time(seconds=0, date="1970-01-01", hour=8, zone="Asia/Shanghai"),
    )
    for kind in _PLANS
}
_LIMITS: Final = Limits(batch=BATCH)


def attempt(who: str, kind: str, release: int, review: str | None = None) -> Attempt:
    """One operation under a release."""
    facts = Facts(
        actor=who,
        subject=None,
        purpose="loan_underwriting",
        operation="use",
        recipient="",
        seconds=0,
        date="1970-01-01",
        judged="",
    )
    return Attempt(
        actor=Actor(id=who),
        activity=_ACTIVITIES[kind],
        facts=facts,
        plan=_PLANS[kind],
        text="statement",
        parameters=None,
        digests=MappingProxyType({"floor": f"release-{release}"}),
        messages=messages.OWN,
        review=review,
    )


DECISIONS: Final[Mapping[tuple[int, bool], Decision]] = {
    (release, bulk): Decision(
        id="0", allow=True, rows={SOURCE: GRANT}, obligations=(DPO,) if bulk or release == 2 else ()
    )
    for release in (1, 2)
    for bulk in (False, True)
}
"""What each release decides: the second sends everything to review, the first what is read in bulk."""


class World:
    """What the processes share. `time` counts steps; nothing else tells one."""

    def __init__(self, roads: Roads, *, approved: bool) -> None:
        self.roads = roads
        self.time = 0
        self.release = 1
        self.values = dict.fromkeys(PERSONS, 0)
        self.withdrawn: dict[str, int] = {}
        self.withdrawals: list[str] = []
        self.register: list[Draft] = []
        self.requests = {REVIEW: attempt(HOLDER, "select", 1).digest()}
        self.status = {REVIEW: "approved" if approved else "held"}
        self.claimed: Counter[str] = Counter()
        self.served: Counter[str] = Counter()
        self.released = 0
        self.handed = 0
        self.effects = 0

    def append(self, draft: Draft) -> int:
        """Makes an entry durable."""
        self.register.append(draft)
        return len(self.register) - 1

    def hold(self, request: effects.Request) -> str:
        """Keeps a request."""
        review = f"review-{len(self.requests)}"
        self.requests[review] = request.digest
        self.status[review] = "held"
        return review

    def used(self, review: str | None) -> None:
        """Something was released on an approval."""
        if review is not None:
            self.served[review] += 1
            if self.served[review] > 1 or self.claimed[review] > 1:
                raise Broken("an approval used twice")
            if self.claimed[review] < 1:
                raise Broken("an approval that was not used up")

    def may_claim(self, asked: effects.Claim) -> bool:
        """Whether an approval is there and for this."""
        if self.requests[asked.review_id] != asked.digest:
            return False
        status = self.status[asked.review_id]
        if status == "held":
            raise Held((Reason(rule="GUARD-HELD"),), review_id=asked.review_id)
        if status != "approved":
            raise Refused.own("GUARD-REVIEW")
        return asked.persons <= len(PERSONS)

    def claim(self, asked: effects.Claim) -> int:
        """Uses it up."""
        self.status[asked.review_id] = "consumed"
        self.claimed[asked.review_id] += 1
        return len(PERSONS)


class Connection:
    """One connection of the model database: every statement, or the transaction, has a snapshot."""

    def __init__(self, world: World, *, writes: bool) -> None:
        self.world = world
        self.writes = writes
        self.snapshot: frozenset[str] | None = None
        self.started = 0
        self.mine: list[Draft] = []
        """The durable entries of its operation."""
        self.batches = 0
        self.rows: list[tuple[Any, ...]] = []
        self.staged: list[str] = []
        """Persons of writes that are not committed."""

    def begin(self) -> None:
        """The first statement of a transaction, whose snapshot the later ones keep."""
        self.snapshot = frozenset(self.world.withdrawn)

    def execute(self, sql: str, parameters: Mapping[str, Any]) -> None:
        world = self.world
        self.started = world.time
        hidden = frozenset(world.withdrawn) if self.snapshot is None else self.snapshot
        seen = [person for person in PERSONS if not (parameters["granted"] and person in hidden)]
        if self.writes and sql == "guarded":
            self._intended()
            self.staged += seen
        self.rows = [(1 if self.writes else person, person) for person in seen]

    def fetch(self, size: int) -> list[tuple[Any, ...]]:
        taken, self.rows = self.rows[:size], self.rows[size:]
        return taken

    def commit(self) -> None:
        """What was written takes effect."""
        if self.staged:
            self._intended()
            for person in self.staged:
                self.world.values[person] += 1
            self.world.effects += 1
        self.rollback()

    def rollback(self) -> None:
        self.staged = []

    def _intended(self) -> None:
        if not any(one.kind == "intent" for one in self.mine):
            raise Broken("an effect without its intent entry")

    def release(self, rows: list[tuple[Any, ...]]) -> None:
        """Rows reach the program; a row shows its person."""
        world = self.world
        persons = [person for (person,) in rows]
        entries = [one for one in self.mine if one.kind == "read"]
        if len(entries) <= self.batches or not set(persons) <= set(entries[-1].subjects):
            raise Broken("a row released before its durable entry")
        self.batches += 1
        for person in persons:
            if world.withdrawn.get(person, self.started) < self.started:
                raise Broken("a withdrawn person's row released by a statement that began after the commit")
        world.released += len(rows)
        world.used(entries[-1].review)


# --- Processes ------------------------------------------------------------------------------------


def operation(world: World, who: str, kind: str, *, review: str | None = None, older: bool = False) -> Steps:
    """One operation on a connection of its own: in autocommit, or in a transaction whose snapshot is older."""
    connection = Connection(world, writes=kind == "update")
    transaction = Transaction()
    try:
        if older:
            yield "Mark"
            transaction.begin(len(world.withdrawals))
            yield "Begin"
            connection.begin()
        yield "Decide"
        one = attempt(who, kind, world.release, review)
        decision = DECISIONS[world.release, review is not None]
        way = world.roads.writing if connection.writes else world.roads.reading
        road = way(one, _Guarded, lambda _: None, _LIMITS, transaction)
        yield from _driven(world, road, connection, transaction, decision)
        if older:
            yield "Commit"
            connection.commit()
            for outcome in transaction.ended(committed=True):
                yield "Append"
                world.append(outcome)
    finally:
        connection.rollback()  # a crash: what was not committed is gone


def _driven(world: World, road: Any, connection: Connection, transaction: Transaction, decision: Decision) -> Steps:
    answer: object = None
    refusal: Refused | None = None
    while True:
        try:
            effect = road.send(answer) if refusal is None else road.throw(refusal)
        except StopIteration:
            return
        answer = refusal = None
        if isinstance(effect, effects.Decide):
            answer = decision  # of the release that the operation began with
        elif isinstance(effect, effects.Fetch):
            answer = connection.fetch(effect.size)
        elif not isinstance(effect, effects.Savepoint):
            yield type(effect).__name__
            try:
                if isinstance(effect, effects.Claim) and world.may_claim(effect) and not world.roads.claims_at_once:
                    yield "Claimed"
                    answer = world.claim(effect)
                else:
                    answer = _on_connection(world, effect, connection, transaction)
            except Refused as refused:
                refusal = refused


def _on_connection(world: World, effect: effects.Effect, connection: Connection, transaction: Transaction) -> object:
    match effect:
        case effects.Mark():
            return len(world.withdrawals)
        case effects.Execute(sql, parameters):
            connection.execute(sql, parameters)
        case effects.Settle(keep):
            if not keep:
                connection.rollback()
            elif transaction.mark is None:
                connection.commit()
        case effects.Withdrawn(mark, subjects):
            return frozenset(world.withdrawals[mark:]) & frozenset(subjects)
        case effects.Append(draft):
            connection.mine.append(draft)
            return world.append(draft)
        case effects.Release(rows):
            connection.release(rows)
        case _:
            return performed(world, effect)
    return None


def performed(world: World, effect: effects.Effect) -> object:
    """What a road asks of the reviews; it asks for nothing else."""
    if isinstance(effect, effects.Hold):
        return world.hold(effect.request)
    if isinstance(effect, effects.Claim):
        return world.claim(effect) if world.may_claim(effect) else None
    raise Broken(f"the road asks for {effect}")


def withdrawal(world: World) -> Steps:
    """As `Ledger.withdraw`: registered before it is committed."""
    yield "Append"
    world.append(Draft(kind="consent", actor=Actor(id="ledger"), subjects=(WITHDRAWS,)))
    yield "Commit"
    world.withdrawn[WITHDRAWS] = world.time
    world.withdrawals.append(WITHDRAWS)


def approving(world: World, review: str) -> Steps:
    """As `Reviews.approve`: looked at, registered, then changed if it still waits."""
    yield "Look"
    if world.status[review] != "held":
        return
    yield "Append"
    world.append(Draft(kind="approved", actor=Actor(id="dpo"), review=review))
    yield "Update"
    if world.status[review] == "held":
        world.status[review] = "approved"


def activation(world: World) -> Steps:
    """Another release decides from the next operation on."""
    yield "Swap"
    world.release = 2


def held(world: World) -> Steps:
    """A read that was held is run again quoting its approval; once more if that was still waited for."""
    for _ in range(2):
        try:
            yield from operation(world, HOLDER, "select", review=REVIEW)
        except Held as waiting:
            if waiting.review_id != REVIEW:
                return
        else:
            return


PROCESSES: Final[Mapping[str, Callable[[World], Steps]]] = {
    "read": lambda world: operation(world, "reader", "select"),
    "read in a transaction": lambda world: operation(world, "reader", "select", older=True),
    "write": lambda world: operation(world, "writer", "update"),
    "write in a transaction": lambda world: operation(world, "writer", "update", older=True),
    "held read": held,
    "withdrawal": withdrawal,
    "approval": lambda world: approving(world, REVIEW),
    "activation": activation,
}
