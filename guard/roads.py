"""The roads of one guard, as adapters take them: each begins an operation under the present release.

What comes back is driven (`guard.drive`) by who caught the operation, on the connection or the event loop that it was
caught on. An attempt that may not even begin is registered, and raised here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeVar, get_args

import msgspec

from guard import clock
from guard.activities import Activities
from guard.attempt import Attempt, Guarded, GuardedWrite, Limits, Plan
from guard.catalogue import Source
from guard.collecting import Collected, collecting
from guard.config import Settings
from guard.context import Acting
from guard.draft import Draft
from guard.drive import Begun, Services
from guard.effects import Claim, Request
from guard.errors import Misuse, Refused
from guard.model import Activity, Decision, Facts, Item, Operation, Outcome
from guard.operation import Permit
from guard.reading import reading
from guard.records import Kind, Plans, Records
from guard.records import Plan as RecordsPlan
from guard.release import Release
from guard.releasing import releasing
from guard.transaction import Transaction
from guard.writing import writing

if TYPE_CHECKING:
    from guard.wiring import Parts

V = TypeVar("V")


class Roads:
    """Begins operations. `active` decides on those that begin from now on; those under way end under their own.

    `owner` is the guard whose contexts these are. Shared between threads.
    """

    def __init__(self, parts: Parts, owner: object, *, settings: Settings, now: clock.Steady) -> None:
        self.active: Release = parts.release
        self._parts: Final = parts
        self._owner: Final = owner
        self._now: Final = now
        self._plans: Final = Plans(settings.limits.plans)
        self._activities: Final = Activities(settings.zone)
        self._limits: Final = Limits(batch=settings.limits.batch, buffered=settings.limits.buffered)
        self._serving: tuple[Release, Services] | None = None

    # --- Statements ---

    def read(
        self,
        acting: Acting,
        plan: Plan,
        text: str,
        parameters: Any,
        apply: Callable[[Decision], Guarded],
        transaction: Transaction,
        *,
        method: str = "sql",
    ) -> Begun[None]:
        """A statement that reads, to be decided, executed, registered and released.

        `text` is the statement as the program wrote it: it is kept sealed, with the parameters. `apply` makes of the
        plan what a decision permits, `transaction` is the connection's.
        """
        attempt, services = self._attempt(acting, plan, text, parameters, method)
        road = reading(attempt, apply, self._into(acting), self._limits, transaction)
        return Begun(road, services, acting)

    def write(
        self,
        acting: Acting,
        plan: Plan,
        text: str,
        parameters: Any,
        apply: Callable[[Decision], GuardedWrite],
        transaction: Transaction,
        *,
        method: str = "sql",
    ) -> Begun[int]:
        """A statement that writes, to be decided, looked at, registered and performed."""
        attempt, services = self._attempt(acting, plan, text, parameters, method)
        return Begun(writing(attempt, apply, self._into(acting), self._limits, transaction), services, acting)

    def settled(self, outcomes: Sequence[Draft]) -> None:
        """Registers what became of a transaction's writes, as `Transaction.ended` or `undone` tells it.

        Raises nothing: what is missing in the register reads as done, so it never says less than happened.
        """
        for outcome in outcomes:
            with suppress(Refused):
                self._parts.register.append(outcome)

    def mark(self) -> int:
        """How far withdrawals have come: what an adapter tells its `Transaction` before the first statement."""
        return self._parts.ledger.mark()

    # --- Records ---

    def release(
        self, acting: Acting, source: str, records: Records, *, text: str, parameters: object, method: str = "http"
    ) -> Begun[Any]:
        """Records of one source that leave, to be decided on, registered and released: what their `treat` makes.

        Those that may not be met are left out; a declared person whose records all are ends as in `guard.missing`.
        `text` is the request that they answer, with its values: it is kept sealed. `parameters` is what an approval
        is bound to beside it and the persons and fields that leave, such as a digest of the request's body.
        """
        plan, attempt, services = self._of_records("release", acting, source, records, text, parameters, method)
        return Begun(releasing(attempt, plan, records, self._into(acting)), services)

    def collect(
        self, acting: Acting, source: str, records: Records, *, text: str, parameters: object, method: str = "http"
    ) -> Begun[Collected]:
        """Records of one source that come in, to be decided on, registered and stripped of what may not be taken in.

        The notice that was shown is in `acting.declared`. All records are taken in or none. What is handed on is
        `records` of what comes back; what became of it is told to `collected`.
        """
        plan, attempt, services = self._of_records("collect", acting, source, records, text, parameters, method)
        return Begun(collecting(attempt, plan, records, self._into(acting)), services)

    def collected(self, collected: Collected, *, done: bool) -> None:
        """Registers what became of records that were taken in: kept, or surely not kept. Only the first call counts.

        Raises nothing: what is missing in the register reads as done, so it never says less than happened.
        """
        outcome = collected.settled(done=done)
        if outcome is not None:
            self.settled((outcome,))

    async def collected_async(self, collected: Collected, *, done: bool) -> None:
        """`collected`, awaited."""
        outcome = collected.settled(done=done)
        if outcome is not None:
            with suppress(Refused):
                await self._parts.register.append_soon(outcome)

    # --- Operations of a program's own code ---

    def activity(self, acting: Acting, items: tuple[Item, ...], method: str) -> Activity:
        """What an act would do with these items now."""
        return self._activities.of(acting, items, method, self._now())

    def permit(self, acting: Acting, activity: Activity, text: str | None, parameters: object) -> Permit:
        """A permit for an activity of this act, on what is read of one source; see `Guard.operation`."""
        sources = [item.source for item in activity.items if item.field is None]
        if len(sources) != 1 or any(item.role == "write" for item in activity.items):
            raise Misuse("A permit is for what is read of one source: make its activity with guard.activity(…).")
        same = self.activity(acting, activity.items, activity.method)
        if msgspec.structs.replace(activity, id=same.id, time=same.time) != same:
            raise Misuse("The activity is not one of the open context: make it there, with guard.activity(…).")
        fields = frozenset(item.field for item in activity.items if item.field is not None)
        plan = self._plans.of(sources[0], self.source(sources[0]), fields, "release")
        if plan.items != activity.items:
            raise Misuse("The activity has items that the catalogue does not have: make it with guard.activity(…).")

        def begin(bound: object) -> tuple[Attempt, Services]:
            return self._still(acting, plan, text or plan.statement, bound, activity.method)

        return Permit(plan, begin, self._into(acting), parameters)

    def source(self, name: str) -> Source:
        """The catalogue's entry of a source of records."""
        entry = self.active.catalogue.sources.get(name)
        if entry is None:
            raise Misuse(f"{name} is no source of personal data in the catalogue: declare it there, with its fields.")
        return entry

    # --- What could not begin ---

    def refuse(self, acting: Acting, refusal: Refused, statement: object = None) -> Refused:
        """Registers the refusal of an attempt that could not be planned; the caller raises what comes back.

        The statement is sealed: one that is not understood may hold anything.
        """
        refusal.entry = self._parts.register.append(_unplanned(acting, refusal, statement))
        return refusal

    async def refuse_async(self, acting: Acting, refusal: Refused, statement: object = None) -> Refused:
        """`refuse`, awaited."""
        refusal.entry = await self._parts.register.append_soon(_unplanned(acting, refusal, statement))
        return refusal

    @property
    def shard(self) -> str | None:
        """The part of the register that this process writes: with it the number of an entry names one. None: closed."""
        with suppress(Refused):
            return self._parts.register.shard
        return None

    # --- Parts ---

    def _of_records(
        self, kind: Kind, acting: Acting, source: str, records: Records, text: str, parameters: object, method: str
    ) -> tuple[RecordsPlan, Attempt, Services]:
        fields = records.present
        plan = self._plans.known(source, fields, kind) or self._plans.of(source, self.source(source), fields, kind)
        return plan, *self._still(acting, plan, text, parameters, method)

    def _still(
        self, acting: Acting, plan: RecordsPlan, text: str, parameters: object, method: str
    ) -> tuple[Attempt, Services]:
        """As `_attempt`, for records, which a program may hold longer than the context that they were asked for in."""
        if not acting.open_to(self._owner):
            closed = Refused.own("GUARD-CONTEXT", "It closed before this operation; work that goes on opens its own.")
            raise self.refuse(acting, closed, text)
        return self._attempt(acting, plan, text, parameters, method)

    def _attempt(self, acting: Acting, plan: Plan, text: str, parameters: Any, method: str) -> tuple[Attempt, Services]:
        """One operation, and what performs its effects, both under the release that is the present one here."""
        release = self.active
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
        attempt = Attempt(
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
            purposes=release.purposes,
        )
        return attempt, self._services(release)

    def _time_to_begin(self, acting: Acting, kind: str, text: str) -> float:
        """The time of an operation that may begin; else its refusal is registered and raised."""
        try:
            if acting.operation not in OPERATIONS.get(kind, frozenset()):
                raise Refused.own("GUARD-OPERATION", _run_in(kind, acting.operation))
            return self._now()
        except Refused as refused:
            refusal = refused
        raise self.refuse(acting, refusal, text)

    def _services(self, release: Release) -> Services:
        """What performs the effects of operations under a release: made once for it."""
        known = self._serving
        if known is None or known[0] is not release:
            known = self._serving = release, _services(self._parts, release)
        return known[1]

    def _into(self, acting: Acting) -> Callable[[Outcome], None]:
        """Where an operation's outcome goes: it is told which shard its entry is in."""

        def keep(outcome: Outcome) -> None:
            acting.outcomes.append(msgspec.structs.replace(outcome, shard=self._parts.register.shard))

        return keep


def _run_in(kind: str, operation: str) -> str:
    """In which operations that may be which this one may not."""
    fitting = [one for one in get_args(Operation) if one in OPERATIONS.get(kind, ())]
    acts = " or ".join(f'"{one}"' for one in fitting)
    work = f"run {'an' if kind[0] in 'iu' else 'a'} {kind.upper()}" if kind in _SQL else f"{kind} records"
    return f"It is in {operation}: {work} in guard.acting(…, operation={acts})."


def _services(parts: Parts, release: Release) -> Services:
    """Register and reviews are asked by name each time, so that what a test puts in their place is asked too."""
    register, reviews = parts.register, parts.reviews

    def decide(activity: Activity, actor: str) -> Decision:
        return release.decider.decide((activity,), actor=actor)[0]

    def append(draft: Draft) -> int:
        return register.append(draft)

    def soon(draft: Draft) -> Awaitable[int]:
        return register.append_soon(draft)

    def hold(request: Request) -> str:
        return reviews.hold(request)

    def claim(claim: Claim) -> int | None:
        return reviews.claim(claim)

    return Services(
        decide=decide,
        append=append,
        soon=soon,
        mark=parts.ledger.mark,
        withdrawn=parts.ledger.withdrawn_since,
        hold=hold,
        claim=claim,
        answers=parts.answers,
        known=release.decider.known,
    )


def _unplanned(acting: Acting, refusal: Refused, statement: object) -> Draft:
    """What the register keeps of an attempt that came to no activity."""
    return Draft(
        kind="denied",
        actor=acting.actor,
        purpose=acting.purpose,
        recipient=acting.recipient,
        reasons=refusal.reasons,
        sealed=statement,
    )


_STORING: Final = frozenset({"collect", "store", "use", "process"})

_SQL: Final = frozenset({"select", "insert", "update", "delete"})

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
