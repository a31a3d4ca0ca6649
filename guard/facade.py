"""Guard: wires catalogue, engine, ledger and register, and hands the road to the adapters."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Final, ParamSpec, Self, TypeVar, get_args

import msgspec

from guard import clock, context, drive, enforce, jobs, names, purposes
from guard.activities import Activities
from guard.catalogue import Source
from guard.config import Settings
from guard.draft import Draft
from guard.errors import Misuse, Refused
from guard.model import Activity, Actor, Decision, Declared, Facts, Operation, Outcome, Reason, Recipient, Remedy, Role
from guard.operation import Permit
from guard.purposes import Purposes
from guard.records import Kind, Plans, Records
from guard.records import Plan as RecordsPlan
from guard.release import Release

if TYPE_CHECKING:
    from guard.wiring import Parts
    from guard_ledger.ledger import Ledger
    from guard_ledger.review import Reviews
    from guard_register.register import Register

P = ParamSpec("P")
R = TypeVar("R")
V = TypeVar("V")


class Guard:
    """What a program embeds: opened once, closed at the end, shared by its threads.

    `Guard.load("guard.yaml")` opens one from files. It is a context manager; `describe()` says what it loaded.
    """

    _registers: ClassVar[type[Register] | None] = None
    """Another kind of register, for tests."""

    def __init__(self, parts: Parts, *, settings: Settings, now: clock.Steady) -> None:
        self._release = parts.release
        self._ledger = parts.ledger
        self._register = parts.register
        self._reviews = parts.reviews
        self._answers = parts.answers
        self._now = now
        self._before: list[Release] = []
        self._plans = Plans(settings.limits.plans)
        self._activities = Activities(settings.zone)
        self._limits: Final = enforce.Limits(batch=settings.limits.batch, buffered=settings.limits.buffered)
        self._serving: tuple[Release, drive.Services] | None = None
        self.settings: Final = settings

    @classmethod
    def load(cls, path: str | Path = "guard.yaml", *, now: clock.Clock = clock.system) -> Self:
        """A guard from guard.yaml and the documents that it names.

        Raises ConfigError with every problem found, Refused if the engine cannot be trusted.
        """
        return cls.open(Settings.load(path), now=now)

    @classmethod
    def open(cls, settings: Settings, *, now: clock.Clock = clock.system, release: Release | None = None) -> Self:
        """A guard from settings that were read already; it decides by `release`, else by the one that they name."""
        from guard.wiring import parts  # noqa: PLC0415 -- it names engine, ledger and register, which stand on the core

        steady = now if isinstance(now, clock.Steady) else clock.Steady(now)
        kind = {} if cls._registers is None else {"registers": cls._registers}
        return cls(parts(settings, now=steady, release=release, **kind), settings=settings, now=steady)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes engine, ledger and register. Operations afterwards are refused."""
        for release in (*self._before, self._release):
            release.close()
        self._register.close()
        self._ledger.close()

    # --- What the program uses -----------------------------------------------------------------

    @property
    def consents(self) -> Ledger:
        """The consent ledger: record, withdraw, list."""
        return self._ledger

    @property
    def reviews(self) -> Reviews:
        """What waits for another person's approval: list, show, approve, reject, withdraw."""
        return self._reviews

    @property
    def register(self) -> Register:
        """The register: who asked what about whom, why, and what was decided."""
        return self._register

    @property
    def active(self) -> Release:
        """The release that it decides by now."""
        return self._release

    def activate(self, release: Release) -> None:
        """Decides by another release from the next operation on; those under way end under the one they began with.

        Engines of releases before it are closed with the guard. Raises Misuse for a release with another catalogue
        or other consent rules: what is planned, and what was judged, rests on those; open another guard for it.
        """
        if release.digests["catalogue"] != self._release.digests["catalogue"]:
            raise Misuse("A release with another catalogue takes another Guard.")
        if release.decider.judged != self._release.decider.judged:
            raise Misuse("A release whose rules judge consents differently takes another Guard, which judges again.")
        self._before.append(self._release)
        self._release = release

    def acting(
        self,
        actor: Actor,
        *,
        purpose: str | None,
        subject: str | int | None = None,
        operation: Operation = "use",
        recipient: Recipient = context.STAFF,
        declared: Declared = context.NOTHING_DECLARED,
        review: str | None = None,
        separate: bool = False,
    ) -> context.Acting:
        """The context of an act: `with guard.acting(officer, purpose="loan_underwriting", subject="1001"):`.

        `subject` is the person it is about, if it is about one. `review` quotes the approval of an operation that
        was held. Within another context it may only narrow it, unless `separate`. An unknown purpose is refused
        here, GUARD-PURPOSE.
        """
        if not isinstance(actor, Actor):
            raise Misuse("acting(…) takes a guard.Actor; make one from what your authentication knows of the user.")
        if purpose is None or purpose not in self._release.purposes:
            open_to = purposes.open_to(self._release.purposes, actor, operation, recipient)
            reasons = (_of_purposes(open_to, purpose),)
            detail = None if purpose is None else _unknown(purpose, self._release.purposes)
            raise self._registered(
                Refused(reasons, detail=detail, catalog=self._release.messages),
                Draft(kind="denied", actor=actor, recipient=recipient, reasons=reasons),
            )
        return context.Acting(
            self,
            actor,
            purpose,
            subject=None if subject is None else context.subject_key(subject),
            operation=operation,
            recipient=recipient,
            declared=declared,
            review=review,
            separate=separate,
        )

    def job(
        self,
        *,
        actor: Actor | str,
        purpose: str,
        operation: Operation = "use",
        subject: Callable[..., str | int] | None = None,
        recipient: Recipient = context.STAFF,
        declared: Declared = context.NOTHING_DECLARED,
    ) -> Callable[[Callable[P, R]], Callable[P, R]]:
        """A decorator: each call of the function, sync or async, is an act of its own.

        `actor` is an Actor, or the id of a service. `subject` tells from the call's arguments which person it is
        about, if it is about one; a call of which it tells nobody is refused, GUARD-SUBJECT. Misuse, at once, for an
        unknown purpose and for a generator.
        """
        who = Actor(id=actor, kind="service") if isinstance(actor, str) else actor
        if purpose not in self._release.purposes:
            raise Misuse(_unknown(purpose, self._release.purposes))

        def opened(*given: Any, **named: Any) -> context.Acting:
            # A job that is about one person is not about everybody where its arguments name nobody.
            about = None if subject is None else context.subject_key(subject(*given, **named))
            return self.acting(
                who,
                purpose=purpose,
                subject=about,
                operation=operation,
                recipient=recipient,
                declared=declared,
                separate=True,
            )

        def made(function: Callable[P, R]) -> Callable[P, R]:
            return jobs.job(opened, function)

        return made

    def bind(self, function: Callable[P, R]) -> Callable[P, R]:
        """The function within the present act wherever it is called: in a pool, a thread, a later task.

        An executor loses the context otherwise, and what runs there is refused. The act's end reaches it all the
        same. Refused GUARD-PURPOSE where no act is open.
        """
        return jobs.bind(self.current(), function)

    def activity(
        self, source: str, fields: Iterable[str] | None = None, role: Role = "read", *, method: str = "python"
    ) -> Activity:
        """What the open context would do with these fields of a source, by default all: for `operation` and `decide`.

        Misuse for a source or a field that the catalogue does not have.
        """
        entry = self._source(source)
        named = frozenset(entry.fields if fields is None else fields)
        if not named <= entry.fields.keys():
            raise Misuse(f"{source} has no field {', '.join(sorted(named - entry.fields.keys()))}.")
        return self._activities.of(self.current(), entry.items(source, named, role), method, self._now())

    def operation(self, activity: Activity, *, text: str | None = None, parameters: object = None) -> Permit:
        """A permit for an operation of the program's own code on one source, as `activity` describes it.

        `text` and `parameters` say what is looked up, for the register and for who approves it; an approval is
        bound to them, and to the persons that are released.
        """
        acting = self.current()
        sources = [item.source for item in activity.items if item.field is None]
        if len(sources) != 1 or any(item.role == "write" for item in activity.items):
            raise Misuse("A permit is for what is read of one source: make its activity with guard.activity(…).")
        same = self._activities.of(acting, activity.items, activity.method, self._now())
        if msgspec.structs.replace(activity, id=same.id, time=same.time) != same:
            raise Misuse("The activity is not one of the open context: make it there, with guard.activity(…).")
        fields = frozenset(item.field for item in activity.items if item.field is not None)
        plan = self._plans.of(sources[0], self._source(sources[0]), fields, "release")
        if plan.items != activity.items:
            raise Misuse("The activity has items that the catalogue does not have: make it with guard.activity(…).")

        def begin(bound: object) -> tuple[enforce.Attempt, drive.Services]:
            return self._records_attempt(acting, plan, text or plan.statement, bound, activity.method)

        return Permit(plan, begin, self._answers(), self._into(acting), parameters)

    def decide(self, activities: Sequence[Activity]) -> tuple[Decision, ...]:
        """What the policies say, for information: nothing is enforced or registered."""
        return self._release.decider.decide(activities)

    def describe(self) -> str:
        """What it loaded, in a few lines."""
        release, settings = self._release, self.settings
        layers = ", ".join(f"{name} {digest[7:19]}" for name, digest in sorted(release.digests.items()))
        return (
            f"guard for {settings.holder}: {len(release.catalogue.sources)} sources, "
            f"{len(release.purposes)} purposes, engine {settings.engine.kind}\n"
            f"policies: {layers}\nregister: {settings.register_.directory}"
        )

    # --- What adapters use -----------------------------------------------------------------------

    def current(self) -> context.Acting:
        """The open context of this guard; without one the attempt is registered and refused."""
        try:
            return context.current(self)
        except Refused as refused:
            refusal = refused
        if "GUARD-PURPOSE" in refusal.rules:
            open_to = purposes.open_to(self._release.purposes, None, "use", context.STAFF)
            reasons = (_of_purposes(open_to, None),)
            refusal = Refused(reasons, detail=refusal.detail, catalog=self._release.messages)
        raise self._registered(refusal, Draft(kind="denied", actor=NOBODY, reasons=refusal.reasons))

    def refuse(self, acting: context.Acting, refusal: Refused, statement: object = None) -> Refused:
        """Registers the refusal of an attempt that could not be planned; the caller raises what comes back.

        The statement is sealed: one that is not understood may hold anything.
        """
        return self._registered(refusal, _unplanned(acting, refusal, statement))

    async def refuse_async(self, acting: context.Acting, refusal: Refused, statement: object = None) -> Refused:
        """`refuse`, awaited."""
        refusal.entry = await self._register.append_soon(_unplanned(acting, refusal, statement))
        return refusal

    def read(
        self,
        acting: context.Acting,
        plan: enforce.Plan,
        text: str,
        parameters: Any,
        database: drive.Database,
        apply: Callable[[Decision], enforce.Guarded],
        *,
        transaction: enforce.Transaction,
        method: str = "sql",
    ) -> Iterator[list[enforce.Row]]:
        """Decides, executes, registers and releases one read: yields released batches of rows.

        `text` is the statement as the program wrote it: it is kept sealed, with the parameters. `transaction` is
        the connection's.
        """
        attempt, services = self._attempt(acting, plan, text, parameters, method)
        road = enforce.read(attempt, apply, self._into(acting), self._limits, transaction)
        return _while_open(acting, drive.drive(road, drive.Effects(services=services, database=database)))

    def write(
        self,
        acting: context.Acting,
        plan: enforce.Plan,
        text: str,
        parameters: Any,
        database: drive.Writable,
        apply: Callable[[Decision], enforce.GuardedWrite],
        *,
        transaction: enforce.Transaction,
        method: str = "sql",
    ) -> int:
        """Decides, looks, registers and performs one write; gives how many rows were written.

        In autocommit it is committed when this returns, else its outcome is registered when the adapter tells the
        transaction that it ended.
        """
        attempt, services = self._attempt(acting, plan, text, parameters, method)
        road = enforce.write(attempt, apply, self._into(acting), self._limits, transaction)
        return drive.carry_out(road, drive.Effects(services=services, database=database, scope=database))

    def read_async(
        self,
        acting: context.Acting,
        plan: enforce.Plan,
        text: str,
        parameters: Any,
        database: drive.AsyncDatabase,
        apply: Callable[[Decision], enforce.Guarded],
        *,
        transaction: enforce.Transaction,
        offload: drive.Offload = drive.inline,
        method: str = "sql",
    ) -> AsyncIterator[list[enforce.Row]]:
        """`read`, awaited. `offload` runs the calls that wait for the ledger and the register, by default here."""
        attempt, services = self._attempt(acting, plan, text, parameters, method)
        road = enforce.read(attempt, apply, self._into(acting), self._limits, transaction)
        effects = drive.AsyncEffects(services=services, database=database, offload=offload)
        return _while_open_async(acting, drive.drive_async(road, effects))

    async def write_async(
        self,
        acting: context.Acting,
        plan: enforce.Plan,
        text: str,
        parameters: Any,
        database: drive.AsyncWritable,
        apply: Callable[[Decision], enforce.GuardedWrite],
        *,
        transaction: enforce.Transaction,
        offload: drive.Offload = drive.inline,
        method: str = "sql",
    ) -> int:
        """`write`, awaited."""
        attempt, services = self._attempt(acting, plan, text, parameters, method)
        road = enforce.write(attempt, apply, self._into(acting), self._limits, transaction)
        effects = drive.AsyncEffects(services=services, database=database, scope=database, offload=offload)
        return await drive.carry_out_async(road, effects)

    def release(
        self,
        acting: context.Acting,
        source: str,
        records: Records,
        *,
        text: str,
        parameters: object,
        method: str = "http",
    ) -> Any:
        """Decides, looks, registers and releases records of one source: what their `treat` makes of them.

        Those that may not be met are left out; a declared person whose records all are ends as in `guard.missing`.
        `text` is the request that they answer, with its values: it is kept sealed. `parameters` is what an approval
        is bound to beside it and the persons and fields that leave, such as a digest of the request's body. Blocks for
        ledger and register.
        """
        road, services = self._road("release", enforce.release, acting, source, records, text, parameters, method)
        return drive.follow(road, services, self._answers())

    async def release_async(
        self,
        acting: context.Acting,
        source: str,
        records: Records,
        *,
        text: str,
        parameters: object,
        offload: drive.Offload = drive.inline,
        method: str = "http",
    ) -> Any:
        """`release`, awaited. `offload` runs what waits for policies and ledger."""
        road, services = self._road("release", enforce.release, acting, source, records, text, parameters, method)
        return await drive.follow_async(road, services, self._answers(), offload)

    def collect(
        self,
        acting: context.Acting,
        source: str,
        records: Records,
        *,
        text: str,
        parameters: object,
        method: str = "http",
    ) -> enforce.Collected:
        """Decides, looks, registers and takes in records of one source, stripped of what may not be taken in.

        The notice that was shown is in `acting.declared`. All records are taken in or none. What is handed on is
        `records` of what comes back; what became of it is told to `collected`. Blocks for ledger and register.
        """
        road, services = self._road("collect", enforce.collect, acting, source, records, text, parameters, method)
        return drive.follow(road, services, self._answers())

    async def collect_async(
        self,
        acting: context.Acting,
        source: str,
        records: Records,
        *,
        text: str,
        parameters: object,
        offload: drive.Offload = drive.inline,
        method: str = "http",
    ) -> enforce.Collected:
        """`collect`, awaited. `offload` runs what waits for policies and ledger."""
        road, services = self._road("collect", enforce.collect, acting, source, records, text, parameters, method)
        return await drive.follow_async(road, services, self._answers(), offload)

    def collected(self, collected: enforce.Collected, *, done: bool) -> None:
        """Registers what became of records that were taken in: kept, or surely not kept. Only the first call counts.

        Raises nothing: what is missing in the register reads as done, so it never says less than happened.
        """
        outcome = collected.settled(done=done)
        if outcome is not None:
            self.settled((outcome,))

    async def collected_async(self, collected: enforce.Collected, *, done: bool) -> None:
        """`collected`, awaited."""
        outcome = collected.settled(done=done)
        if outcome is not None:
            with suppress(Refused):
                await self._register.append_soon(outcome)

    def mark(self) -> int:
        """How far withdrawals have come: what an adapter tells its `Transaction` before the first statement."""
        return self._ledger.mark()

    def settled(self, outcomes: Sequence[Draft]) -> None:
        """Registers what became of a transaction's writes, as `Transaction.ended` or `undone` tells it.

        Raises nothing: what is missing in the register reads as done, so it never says less than happened.
        """
        for outcome in outcomes:
            with suppress(Refused):
                self._register.append(outcome)

    def _into(self, acting: context.Acting) -> Callable[[Outcome], None]:
        """Where an operation's outcome goes: it is told which shard its entry is in."""

        def keep(outcome: Outcome) -> None:
            acting.outcomes.append(msgspec.structs.replace(outcome, shard=self._register.shard))

        return keep

    def _attempt(
        self, acting: context.Acting, plan: enforce.Plan, text: str, parameters: Any, method: str
    ) -> tuple[enforce.Attempt, drive.Services]:
        """One operation under the present release, and what performs its effects."""
        release = self._release
        now = self._time_to_begin(acting, plan.kind, text)
        actor, purpose = acting.actor, release.purposes.get(acting.purpose)
        activity = self._activities.of(acting, plan.items, method, now)
        facts = Facts(
            actor=actor.id,
            subject=acting.subject,
            purpose=acting.purpose,
            operation=acting.operation,
            recipient=acting.recipient.id or "",
            seconds=int(now),
            date=activity.time.date,
            judged=release.decider.judged,
        )
        attempt = enforce.Attempt(
            actor=actor,
            activity=activity,
            facts=facts,
            plan=plan,
            text=text,
            parameters=parameters,
            digests=release.digests,
            messages=release.messages,
            review=acting.review,
            approvals=acting.approvals,
            basis=acting.declared.basis or (None if purpose is None else purpose.basis),
            roles=None if purpose is None else purpose.roles,
        )
        serving = self._serving
        if serving is None or serving[0] is not release:
            serving = self._serving = release, self._services(release)
        return attempt, serving[1]

    def _services(self, release: Release) -> drive.Services:
        """What performs the effects of operations under a release."""
        register = self._register  # asked by name each time, so that what stands in its place is asked too

        def decide(activity: Activity, actor: str) -> Decision:
            return release.decider.decide((activity,), actor=actor)[0]

        def append(draft: Draft) -> int:
            return register.append(draft)

        def soon(draft: Draft) -> Awaitable[int]:
            return register.append_soon(draft)

        return drive.Services(
            decide=decide,
            append=append,
            soon=soon,
            mark=self._ledger.mark,
            withdrawn=self._ledger.withdrawn_since,
            hold=self._reviews.hold,
            claim=self._reviews.claim,
            known=release.decider.known,
        )

    def _road(
        self,
        kind: Kind,
        road: Callable[[enforce.Attempt, RecordsPlan, Records, Callable[[Outcome], None]], V],
        acting: context.Acting,
        source: str,
        records: Records,
        text: str,
        parameters: object,
        method: str,
    ) -> tuple[V, drive.Services]:
        """The road of records of one source, and what performs its effects."""
        fields = records.present
        plan = self._plans.known(source, fields, kind) or self._plans.of(source, self._source(source), fields, kind)
        attempt, services = self._records_attempt(acting, plan, text, parameters, method)
        return road(attempt, plan, records, self._into(acting)), services

    def _records_attempt(
        self, acting: context.Acting, plan: RecordsPlan, text: str, parameters: object, method: str
    ) -> tuple[enforce.Attempt, drive.Services]:
        """As `_attempt`, for records, which a program may hold longer than the context that they were asked for in."""
        if not acting.open_to(self):
            closed = Refused.own("GUARD-CONTEXT", "It closed before this operation; work that goes on opens its own.")
            raise self.refuse(acting, closed, text)
        return self._attempt(acting, plan, text, parameters, method)

    def _source(self, name: str) -> Source:
        """The catalogue's entry of a source of records."""
        entry = self._release.catalogue.sources.get(name)
        if entry is None:
            raise Misuse(f"{name} is no source of personal data in the catalogue: declare it there, with its fields.")
        return entry

    def _time_to_begin(self, acting: context.Acting, kind: str, text: str) -> float:
        """The time of an operation that may begin; else its refusal is registered and raised."""
        try:
            if acting.operation not in OPERATIONS.get(kind, frozenset()):
                raise Refused.own("GUARD-OPERATION", f"{kind.upper()} is none of {acting.operation}.")
            return self._now()
        except Refused as refused:
            refusal = refused
        raise self.refuse(acting, refusal, text)

    def _registered(self, refusal: Refused, draft: Draft) -> Refused:
        refusal.entry = self._register.append(draft)
        return refusal


def _unknown(purpose: object, known: Purposes) -> str:
    """An institution of this kind may know the purpose that was meant, though the actor has another role."""
    near = names.near(str(purpose), [name for name, one in known.items() if one.offered])
    return f"{purpose!s:.64} is not a purpose" + (f"; did you mean {near}?" if near else ".")


def _of_purposes(open_to: Sequence[str], asked: object) -> Reason:
    """What can be stated instead, what is spelt nearly so in front."""
    listed = open_to if asked is None else names.nearest_first(str(asked), open_to)
    return Reason(rule="GUARD-PURPOSE", remedy=Remedy(purposes=tuple(listed)))


def _unplanned(acting: context.Acting, refusal: Refused, statement: object) -> Draft:
    """What the register keeps of an attempt that came to no activity."""
    return Draft(
        kind="denied",
        actor=acting.actor,
        purpose=acting.purpose,
        recipient=acting.recipient,
        reasons=refusal.reasons,
        sealed=statement,
    )


def _while_open(acting: context.Acting, batches: Iterator[list[enforce.Row]]) -> Iterator[list[enforce.Row]]:
    """The batches, as long as the context that they were read in is open."""
    while acting.open:
        batch = next(batches, None)
        if batch is None:
            return
        yield batch
    raise Refused.own("GUARD-CONTEXT", "It closed before all rows were taken; take them inside it.")


async def _while_open_async(
    acting: context.Acting, batches: AsyncIterator[list[enforce.Row]]
) -> AsyncIterator[list[enforce.Row]]:
    """`_while_open`, awaited."""
    while acting.open:
        batch = await anext(batches, None)
        if batch is None:
            return
        yield batch
    raise Refused.own("GUARD-CONTEXT", "It closed before all rows were taken; take them inside it.")


_STORING: Final = frozenset({"collect", "store", "use", "process"})

OPERATIONS: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "select": frozenset({"use", "process", "transmit", "provide", "disclose", "delete"}),
        "insert": _STORING,
        "update": _STORING,
        "delete": frozenset({"delete"}),
        "collect": _STORING,
        "release": frozenset(get_args(Operation)),
    }
)
"""In which operations a statement or records may be part: each has an answer, that of a deletion too.

A SELECT in `delete`, too, for the job that looks for what to delete; a release in `collect` for what a request that
brings data is answered with.
"""

NOBODY: Final = Actor(id="", kind="service")
"""Who acts where no context says."""
