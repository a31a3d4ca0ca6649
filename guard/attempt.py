"""One attempted operation, and what the roads ask of a plan and of a guarded statement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any, Protocol

import msgspec

from guard.context import Approval
from guard.draft import Draft, Kind
from guard.effects import Request, Row, Values
from guard.errors import Refused
from guard.messages import Messages
from guard.model import Activity, Actor, Decision, Facts, Item, Reason
from guard.purposes import Purposes
from guard.wire import canonical


class Guarded(Protocol):
    """A statement that reaches only what a decision permits (`guard_sql` makes it)."""

    @property
    def hidden(self) -> int: ...  # noqa: D102 — trailing columns that name the persons of a row
    @property
    def collected(self) -> bool: ...  # noqa: D102 — whether a row speaks of several persons together
    @property
    def reduced(self) -> bool: ...  # noqa: D102 — whether the decision may have left something out
    @property
    def rules(self) -> tuple[str, ...]: ...  # noqa: D102 — what shaped it
    @property
    def related(self) -> frozenset[str]: ...  # noqa: D102 — the sources that its relations read
    def persons(self, hidden: Row) -> tuple[str, ...]: ...  # noqa: D102 — canonical keys
    def bind(self, parameters: Any, facts: Facts) -> tuple[str, Values]: ...  # noqa: D102


class GuardedWrite(Guarded, Protocol):
    """A guarded INSERT, UPDATE or DELETE. The rows of both its texts are (allowed, *hidden).

    `before` reads every row that the write may touch; what `bind` gives writes, and answers with the rows as they
    are afterwards (DELETE: as they were).
    """

    def before(self, parameters: Any, facts: Facts) -> tuple[str, Values]: ...  # noqa: D102


class Plan(Protocol):
    """What a statement touches, before anything is decided."""

    @property
    def items(self) -> tuple[Item, ...]: ...  # noqa: D102 — for the Activity
    @property
    def statement(self) -> str: ...  # noqa: D102 — normalised, free of literals
    @property
    def kind(self) -> str: ...  # noqa: D102 — select, insert, update or delete; of records release or collect
    @property
    def writes(self) -> str | None: ...  # noqa: D102 — the source that it writes


class Limits(msgspec.Struct, frozen=True):
    """Bounds of one operation: rows a fetch, and rows held back while an obligation is being counted."""

    batch: int = 256
    buffered: int = 100_000


class Attempt(msgspec.Struct, kw_only=True):
    """One operation that a program attempts. `decision` is filled in once the policies have answered.

    `review` is the id of the approval that it quotes, `basis` the legal basis on which it is decided: what the actor
    claims, else the purpose's own, `roles` those that the purpose is for, None for all, `purposes` what is known of all
    purposes. `approvals` are the act's.
    `leaving` are the persons whose records leave, once that is known: an approval of records is for them alone.
    """

    actor: Actor
    activity: Activity
    facts: Facts
    plan: Plan
    text: str
    parameters: Any
    digests: Mapping[str, str]
    messages: Messages
    review: str | None = None
    basis: str | None = None
    roles: tuple[str, ...] | None = None
    purposes: Purposes = {}
    decision: Decision | None = None
    approvals: list[Approval] = []
    leaving: tuple[str, ...] | None = None

    def draft(
        self,
        kind: Kind,
        *,
        subjects: tuple[str, ...] = (),
        persons: int | None = None,
        rows: int = 0,
        reasons: tuple[Reason, ...] = (),
        refers_to: int | None = None,
        review: str | None = None,
    ) -> Draft:
        """A register entry about this attempt."""
        return Draft(
            kind=kind,
            actor=self.actor,
            activity=self.activity,
            decision=self.decision,
            reasons=reasons,
            basis=self.basis,
            digests=self.digests,
            statement=self.plan.statement,
            sealed={self._word: self.text, "parameters": self.parameters},
            subjects=subjects,
            persons=persons,
            rows=rows,
            refers_to=refers_to,
            review=review,
        )

    def refused(self, reasons: Sequence[Reason], detail: str | None = None, untold: Sequence[str] = ()) -> Refused:
        """A refusal of this attempt in the words of its policies."""
        return Refused(reasons, detail=detail, catalog=self.messages, untold=untold)

    @property
    def _word(self) -> str:
        """What the text is: that of a request, or SQL."""
        return "request" if self.plan.kind in ("release", "collect") else "sql"

    @property
    def named(self) -> tuple[str, ...]:
        """The declared person, if any."""
        return (self.facts.subject,) if self.facts.subject is not None else ()

    def request(self, by: tuple[str, ...], cap: int) -> Request:
        """What another person is asked to approve, if so many persons were met."""
        return Request(
            digest=self.digest(),
            requester=self.actor,
            purpose=self.activity.purpose,
            by=by,
            cap=cap,
            sealed={
                "statement": self.plan.statement,
                self._word: self.text,
                "parameters": self.parameters,
                "subject": self.facts.subject,
                "recipient": self.activity.recipient,
                "operation": self.activity.operation,
            },
        )

    def digest(self) -> str:
        """What an approval is bound to: text and values, who acts, for what, about whom, for whom, decided by what.

        Not the time, and not how many persons. Of records that leave also whose they are and which fields: the text
        of a request says little of what it is answered with. Values of different types differ: `1` is not `'1'`.
        Refused GUARD-REVIEW where a value has no canonical form.
        """
        activity = self.activity
        parts = {
            "kind": self.plan.kind,
            "statement": self.plan.statement,
            "sql": self.text,
            "parameters": _typed(self.parameters),
            "actor": self.actor,
            "operation": activity.operation,
            "purpose": activity.purpose,
            "method": activity.method,
            "recipient": activity.recipient,
            "declared": activity.declared,
            "subject": self.facts.subject,
            "digests": dict(self.digests),
        }
        if self.leaving is not None:
            fields = sorted(item.field for item in activity.items if item.field is not None)
            parts["leaving"] = {"persons": sorted(self.leaving), "fields": fields}
        try:
            return "sha256:" + sha256(canonical(parts)).hexdigest()
        except (TypeError, ValueError, OverflowError):
            problem = "A parameter has a type that cannot be held for review."
        raise Refused.own("GUARD-REVIEW", problem)


def _typed(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {"of": sorted([str(key), _typed(one)] for key, one in value.items())}
    if isinstance(value, list | tuple):
        return {"in": [_typed(one) for one in value]}
    return [type(value).__name__, value]
