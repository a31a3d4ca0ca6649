"""Review: what one person attempted waits until another has approved it, and an approval serves once.

A held operation is a row of `guard_review` in the ledger's database; nothing of it runs or is kept in memory. What
the approver has to see is sealed with the register's key. An approval is bound to the digest of the attempt and to
the number of persons; the requester runs the operation again, it is decided again, and one UPDATE uses the approval
up: of two that race, one finds it gone. Every approval, rejection, withdrawal and attempt at one is in the register
first. What nobody decided on runs out, and so does an approval: by the guard's clock, in the UPDATE that would use it.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Any, Final, Literal, TypeAlias

import msgspec
from sqlalchemy import ColumnElement, Connection, Select, insert, select, update

from guard import clock
from guard.context import STAFF
from guard.draft import Draft, Kind
from guard.effects import Claim, Request
from guard.errors import Held, Misuse, Refused
from guard.messages import Messages
from guard.model import Actor, Reason, Recipient
from guard.wire import canonical
from guard_ledger.reviewers import seated, spelt
from guard_ledger.store import Store
from guard_ledger.tables import review as table
from guard_register import seal
from guard_register.entry import Sealed

Status: TypeAlias = Literal["held", "approved", "consumed", "rejected", "withdrawn", "expired"]
"""`expired` is told of what is held or approved and ran out; the table keeps what it was before."""

_SETTLED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "consumed": "It was used before: ask again without quoting it.",
        "rejected": "It was rejected.",
        "withdrawn": "It was taken back: ask again without quoting it.",
        "expired": "It ran out: ask again without quoting it, so that it is held anew.",
    }
)
"""What is said of one that can be neither decided on nor used."""

SHARD: Final = "review"
"""What a sealed request is bound to in the place of a shard, so that it opens as no entry of the register."""

_LONGEST: Final = 1024 * 1024
"""The longest request in bytes: an approver sees all of it, so what is longer is refused."""


_KIND: Final = "requester_kind"
"""What the sealed part of a request says its requester is: the id alone may be that of a person and of a service."""

_FASTER: Final = "Somebody was faster."


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """A request as the table keeps it. `by` are the roles that approve, `approved` who did for each of them so far.

    No person stands for two of them; of what was rejected it is who did that. `persons` is how many were met, the
    most that an approval reaches. Times are UTC seconds; `until` is when it runs out, None where it cannot any more.
    """

    review_id: str
    status: Status
    requester: str
    purpose: str
    by: tuple[str, ...]
    approved: Mapping[str, str]
    persons: int
    held_at: int
    settled_at: int | None
    until: int | None = None


class Reviews:
    """The requests of one ledger's database. Safe for threads and processes.

    `store` reaches the database, `sealer` the register's key, `append` the register. `approval` is for how long an
    approval may be used, `held` for how long a request waits, in seconds.
    """

    def __init__(
        self,
        store: Store,
        *,
        sealer: Callable[[], seal.Sealer],
        append: Callable[[Draft], int],
        messages: Messages,
        now: clock.Clock = clock.system,
        approval: int = 86_400,
        held: int = 2_592_000,
    ) -> None:
        self._store = store
        self._sealer = sealer
        self._append = append
        self._messages = messages
        self._now = now
        self._lasts: Final = {"held": held, "approved": approval}

    # --- What approvers do ---

    def list(self, status: Status | None = "held") -> tuple[Waiting, ...]:
        """The requests of this status, by default those that wait; None for all. The oldest first."""
        asked = select(table).order_by(table.c.held_at, table.c.review_id)
        if status is not None:
            asked = asked.where(table.c.status.in_(self._lasts if status == "expired" else (status,)))
        found = self._store.run(lambda connection: tuple(self._waiting(row) for row in connection.execute(asked)))
        return found if status is None else tuple(one for one in found if one.status == status)

    def get(self, review_id: str) -> Waiting:
        """One request; Refused GUARD-REVIEW where there is none."""
        return self._waiting(self._row(review_id))

    def show(self, review_id: str, actor: Actor) -> Mapping[str, Any]:
        """What was attempted, with its values, for one who may approve it: statement, sql, parameters, subject …

        That it was looked at is registered too.
        """
        row = self._row(review_id)
        self._may_decide(row, actor)
        self._register("read", actor, review_id)
        opened: dict[str, Any] = self._opened(row)
        return opened

    def approve(self, review_id: str, actor: Actor) -> Waiting:
        """Approves for one role of the request that this person has; it is approved once each is by another person.

        Refused GUARD-APPROVER for the requester, for who has none of the roles that are left or approved before, and
        for what is no person; GUARD-REVIEW where it does not wait any more.
        """
        row = self._row(review_id)
        roles = self._may_decide(row, actor)
        self._still(row, "held")
        if _with(row, actor, roles) is None:
            left = [role for role in _roles(row) if role not in seated(_roles(row), _approvers(row))]
            raise self._not_theirs(row, actor, f"Another person has to approve it as {' and as '.join(left)}.")
        self._register("approved", actor, review_id)

        def approving(connection: Connection) -> Waiting:
            row = self._still(_found(connection, review_id), "held")
            approvers = _with(row, actor, roles)
            if approvers is None:
                raise Refused.own("GUARD-REVIEW", _FASTER)
            changes: dict[str, Any] = {"approver": _text(approvers)}
            if len(approvers) == len(_roles(row)):
                changes |= {"status": "approved", "settled_at": int(self._now())}
            self._move(connection, row, changes)
            return self._waiting(connection.execute(_one(review_id)).one())

        return self._store.write(approving)

    def reject(self, review_id: str, actor: Actor) -> Waiting:
        """Rejects it for good; as for `approve`."""
        row = self._row(review_id)
        roles = self._may_decide(row, actor)
        self._still(row, "held")
        self._register("rejected", actor, review_id)

        def rejecting(connection: Connection) -> Waiting:
            row = self._still(_found(connection, review_id), "held")
            by = _text({actor.id: roles})
            self._move(connection, row, {"status": "rejected", "approver": by, "settled_at": int(self._now())})
            return self._waiting(connection.execute(_one(review_id)).one())

        return self._store.write(rejecting)

    def withdraw(self, review_id: str, actor: Actor) -> Waiting:
        """Takes a request or its approval back for good, before it is used: its requester, or one who approved it.

        A person and a service are two, whatever their ids.

        Refused GUARD-APPROVER for anybody else; GUARD-REVIEW where it was used, rejected or ran out.
        """
        row = self._row(review_id)
        _actor(actor)
        approved = actor.kind == "person" and actor.id in _approvers(row)
        kind, recipient = self._asked_as(row)
        if not approved and (actor.id != row.requester or kind not in (None, actor.kind)):
            raise self._not_theirs(row, actor, "Who asked for it, or approved it, takes it back.")
        self._still(row, "held", "approved")
        self._register("withdrawn", actor, review_id, to=STAFF if approved else recipient)

        def withdrawing(connection: Connection) -> Waiting:
            row = self._still(_found(connection, review_id), "held", "approved")
            self._move(connection, row, {"status": "withdrawn", "settled_at": int(self._now())})
            return self._waiting(connection.execute(_one(review_id)).one())

        return self._store.write(withdrawing)

    # --- What roads ask ---

    def hold(self, request: Request) -> str:
        """Keeps a request; gives its id."""
        review_id = secrets.token_hex(8)
        shown: Any = request.sealed
        if isinstance(shown, Mapping):
            shown = {**shown, _KIND: request.requester.kind}
        sealed = self._sealed(shown, review_id)
        row = {
            "review_id": review_id,
            "digest": request.digest,
            "sealed": _text(sealed),
            "requester": request.requester.id,
            "purpose": request.purpose,
            "by_role": _text(request.by),
            "cap": request.cap,
            "status": "held",
            "approver": None,
            "held_at": int(self._now()),
            "settled_at": None,
        }
        self._store.write(lambda connection: connection.execute(insert(table), [row]))
        return review_id

    def claim(self, asked: Claim) -> int | None:
        """Uses up an approval; see `guard.effects.Claim`."""

        def claiming(connection: Connection) -> int | None:
            row = _found(connection, asked.review_id)
            if row.requester != asked.requester:
                raise Refused.own("GUARD-REVIEW", "Somebody else asked for it.")
            if row.digest != asked.digest:
                return None
            if self._still(row, "held", "approved").status == "held":
                raise Held((Reason(rule="GUARD-HELD"),), review_id=row.review_id)
            if row.cap < asked.persons:
                return None
            self._move(connection, row, {"status": "consumed", "settled_at": int(self._now())})
            cap: int = row.cap
            return cap

        return self._store.write(claiming)

    # --- Parts ---

    def _row(self, review_id: str) -> Any:
        return self._store.run(lambda connection: _found(connection, review_id))

    def _may_decide(self, row: Any, actor: Actor) -> tuple[str, ...]:
        """The roles in which this person decides on it; a refusal is registered and raised where there is none."""
        _actor(actor)
        roles = tuple(role for role in _roles(row) if role in actor.roles)
        own = spelt(actor.id) == spelt(row.requester)
        if roles and actor.kind == "person" and not own:
            return roles
        problem = "Nobody approves what they asked for themselves."
        if not own:
            problem = f"A person with the role {' or '.join(_roles(row))} decides on it."
        raise self._not_theirs(row, actor, problem)

    def _not_theirs(self, row: Any, actor: Actor, problem: str) -> Refused:
        refusal = Refused((Reason(rule="GUARD-APPROVER"),), detail=problem, catalog=self._messages)
        refusal.entry = self._register("denied", actor, row.review_id, refusal.reasons)
        return refusal

    def _until(self, row: Any) -> int | None:
        """When a row runs out, in UTC seconds; None where it does not."""
        since = row.held_at if row.status == "held" else row.settled_at
        return since + self._lasts[row.status] if row.status in self._lasts else None

    def _still(self, row: Any, *statuses: Status) -> Any:
        """A row of one of these statuses that has not run out; refused where it is another."""
        status = self._waiting(row).status
        if status in statuses:
            return row
        raise Refused.own("GUARD-REVIEW", _SETTLED.get(status, f"It is {status} already."))

    def _move(self, connection: Connection, row: Any, changes: Mapping[str, Any]) -> None:
        """Changes a row that is still as it was read and has not run out; of two that race, the second is refused."""
        live: ColumnElement[int] = table.c.held_at if row.status == "held" else table.c.settled_at
        same = (
            table.c.review_id == row.review_id,
            table.c.status == row.status,
            table.c.approver.is_not_distinct_from(row.approver),
            live > int(self._now()) - self._lasts[row.status],
        )
        if connection.execute(update(table).where(*same).values(**changes)).rowcount != 1:
            raise Refused.own("GUARD-REVIEW", _FASTER)

    def _waiting(self, row: Any) -> Waiting:
        until = self._until(row)
        return Waiting(
            review_id=row.review_id,
            status=row.status if until is None or self._now() < until else "expired",
            requester=row.requester,
            purpose=row.purpose,
            by=_roles(row),
            approved=seated(_roles(row), _approvers(row)),
            persons=row.cap,
            held_at=row.held_at,
            settled_at=row.settled_at,
            until=until,
        )

    def _register(
        self,
        kind: Kind,
        actor: Actor,
        review_id: str,
        reasons: tuple[Reason, ...] = (),
        to: Recipient | None = STAFF,
    ) -> int:
        """Before anything changes; that it happened may then be said of more than did, never of less."""
        return self._append(Draft(kind=kind, actor=actor, recipient=to, reasons=reasons, review=review_id))

    def _opened(self, row: Any) -> Any:
        sealed = msgspec.json.decode(row.sealed, type=Sealed)
        return msgspec.json.decode(self._sealer().open(sealed, SHARD, row.review_id))

    def _asked_as(self, row: Any) -> tuple[object, Recipient | None]:
        """What asked, a person or a service, and to whom the request goes; None for what is not known.

        One who asks for their own data is a person in the register, and has no name. A request of an earlier release
        does not say what asked.
        """
        kind, recipient = None, None
        with suppress(Refused, msgspec.MsgspecError, KeyError, TypeError, AttributeError):
            opened = self._opened(row)
            kind = opened.get(_KIND)
            recipient = msgspec.convert(opened["recipient"], Recipient)
        return kind, recipient

    def _sealed(self, value: object, review_id: str) -> Sealed:
        problem = "It is too long to be held for review."
        try:
            if len(canonical(value)) <= _LONGEST:
                return seal.seal(self._sealer(), value, SHARD, review_id)
        except (TypeError, ValueError, OverflowError):
            problem = "A parameter has a type that cannot be held for review."
        raise Refused.own("GUARD-REVIEW", problem)


def _one(review_id: str) -> Select[Any]:
    return select(table).where(table.c.review_id == review_id)


def _found(connection: Connection, review_id: str) -> Any:
    row = connection.execute(_one(review_id)).one_or_none() if type(review_id) is str else None
    if row is None:
        raise Refused.own("GUARD-REVIEW", "There is no such review.")
    return row


def _actor(actor: object) -> None:
    if not isinstance(actor, Actor):
        raise Misuse("Who approves is a guard.Actor; make one from what your authentication knows of the user.")


def _roles(row: Any) -> tuple[str, ...]:
    """The roles that have to approve."""
    return msgspec.json.decode(row.by_role, type=tuple[str, ...])


def _approvers(row: Any) -> dict[str, tuple[str, ...]]:
    """Who approved so far, each with the roles of the request that this person has."""
    return msgspec.json.decode(row.approver, type=dict[str, tuple[str, ...]]) if row.approver else {}


def _with(row: Any, actor: Actor, roles: tuple[str, ...]) -> dict[str, tuple[str, ...]] | None:
    """Who approved once this person did too; None where that takes no role that nobody stands for yet."""
    before = _approvers(row)
    after = {**before, actor.id: roles}
    same = any(spelt(actor.id) == spelt(one) for one in before)
    return None if same or len(seated(_roles(row), after)) == len(before) else after


def _text(value: object) -> str:
    return msgspec.json.encode(value).decode()
