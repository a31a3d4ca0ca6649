"""Guard: what a program uses. What adapters use is `Guard.roads`, and `current`, which tells them who acts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Final, ParamSpec, Self, TypeVar, get_args

from guard import clock, context, jobs, names, purposes
from guard.config import Settings
from guard.draft import Draft
from guard.errors import Misuse, Refused
from guard.model import Activity, Actor, Decision, Declared, Operation, Reason, Recipient, Remedy, Role
from guard.operation import Permit
from guard.release import Release
from guard.roads import Roads

if TYPE_CHECKING:
    from guard.wiring import Parts
    from guard_ledger.ledger import Ledger
    from guard_ledger.review import Reviews
    from guard_register.register import Register

_OPERATIONS: Final[tuple[Operation, ...]] = get_args(Operation)

P = ParamSpec("P")
R = TypeVar("R")


class Guard:
    """What a program embeds: opened once, closed at the end, shared by its threads.

    `Guard.load("guard.yaml")` opens one from files. It is a context manager; `describe()` says what it loaded.
    """

    _registers: ClassVar[type[Register] | None] = None
    """Another kind of register, for tests."""

    def __init__(self, parts: Parts, *, settings: Settings, now: clock.Steady) -> None:
        self._parts: Final = parts
        self._before: list[Release] = []
        self.settings: Final = settings
        self.roads: Final = Roads(parts, self, settings=settings, now=now)

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
        for release in (*self._before, self.roads.active):
            release.close()
        self._parts.register.close()
        self._parts.ledger.close()

    # --- What the program uses -----------------------------------------------------------------

    @property
    def consents(self) -> Ledger:
        """The consent ledger: record, withdraw, list."""
        return self._parts.ledger

    @property
    def reviews(self) -> Reviews:
        """What waits for another person's approval: list, show, approve, reject, withdraw."""
        return self._parts.reviews

    @property
    def register(self) -> Register:
        """The register: who asked what about whom, why, and what was decided."""
        return self._parts.register

    @property
    def active(self) -> Release:
        """The release that it decides by now."""
        return self.roads.active

    def activate(self, release: Release) -> None:
        """Decides by another release from the next operation on; those under way end under the one they began with.

        Engines of releases before it are closed with the guard. Raises Misuse for a release with another catalogue
        or other consent rules: what is planned, and what was judged, rests on those; open another guard for it.
        """
        if release.digests["catalogue"] != self.roads.active.digests["catalogue"]:
            raise Misuse("A release with another catalogue takes another Guard.")
        if release.decider.judged != self.roads.active.decider.judged:
            raise Misuse("A release whose rules judge consents differently takes another Guard, which judges again.")
        self._before.append(self.roads.active)
        self.roads.active = release

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
        here, GUARD-PURPOSE, and what is no operation is Misuse.
        """
        if not isinstance(actor, Actor):
            raise Misuse("acting(…) takes a guard.Actor; make one from what your authentication knows of the user.")
        if operation not in _OPERATIONS:
            raise Misuse(f"{operation!s:.64} is not an operation; use one of {', '.join(_OPERATIONS)}.")
        if purpose is None or purpose not in self.roads.active.purposes:
            open_to = purposes.open_to(self.roads.active.purposes, actor, operation, recipient)
            reasons = (_of_purposes(open_to, purpose),)
            detail = None if purpose is None else purposes.unknown(purpose, self.roads.active.purposes)
            raise self._registered(
                Refused(reasons, detail=detail, catalog=self.roads.active.messages),
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
        if purpose not in self.roads.active.purposes:
            raise Misuse(purposes.unknown(purpose, self.roads.active.purposes))

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
        entry = self.roads.source(source)
        named = frozenset(entry.fields if fields is None else fields)
        if not named <= entry.fields.keys():
            raise Misuse(f"{source} has no field {', '.join(sorted(named - entry.fields.keys()))}.")
        return self.roads.activity(self.current(), entry.items(source, named, role), method)

    def operation(self, activity: Activity, *, text: str | None = None, parameters: object = None) -> Permit:
        """A permit for an operation of the program's own code on one source, as `activity` describes it.

        `text` and `parameters` say what is looked up, for the register and for who approves it; an approval is
        bound to them, and to the persons that are released.
        """
        return self.roads.permit(self.current(), activity, text, parameters)

    def decide(self, activities: Sequence[Activity]) -> tuple[Decision, ...]:
        """What the policies say, for information: nothing is enforced or registered."""
        return self.roads.active.decider.decide(activities)

    def describe(self) -> str:
        """What it loaded, in a few lines."""
        release, settings = self.roads.active, self.settings
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
            open_to = purposes.open_to(self.roads.active.purposes, None, "use", context.STAFF)
            reasons = (_of_purposes(open_to, None),)
            refusal = Refused(reasons, detail=refusal.detail, catalog=self.roads.active.messages)
        raise self._registered(refusal, Draft(kind="denied", actor=NOBODY, reasons=refusal.reasons))

    def _registered(self, refusal: Refused, draft: Draft) -> Refused:
        refusal.entry = self._parts.register.append(draft)
        return refusal


def _of_purposes(open_to: Sequence[str], asked: object) -> Reason:
    """What can be stated instead, what is spelt nearly so in front."""
    listed = open_to if asked is None else names.nearest_first(str(asked), open_to)
    return Reason(rule="GUARD-PURPOSE", remedy=Remedy(purposes=tuple(listed)))


NOBODY: Final = Actor(id="", kind="service")
"""Who acts where no context says."""
