"""What all roads of operations have in common: they begin with the decision, and a refusal is registered first.

A road (`guard.reading`, `guard.writing`, `guard.releasing`, `guard.collecting`) is a generator without I/O: it yields
what has to happen (`guard.effects`) and is sent what came of it. An effect that is refused is thrown in at its place,
and nothing after it happens but that the refusal is registered before it is raised.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeAlias, TypeVar

from guard.attempt import Attempt, Guarded
from guard.effects import Append, Decide, Effect
from guard.errors import Refused
from guard.messages import not_entitled
from guard.model import Decision, Reason
from guard.purposes import without
from guard.transaction import Transaction

P = ParamSpec("P")
V = TypeVar("V")

Road: TypeAlias = Callable[Concatenate[Attempt, P], Generator[Effect, Any, V]]


def registered(road: Road[P, V]) -> Road[P, V]:
    """The same road; a refusal is registered before it is raised."""

    @wraps(road)
    def begun(attempt: Attempt, /, *given: P.args, **named: P.kwargs) -> Generator[Effect, Any, V]:
        try:
            return (yield from road(attempt, *given, **named))
        except Refused as refused:
            refusal = refused
        # Outside the handler: if the register fails, its refusal must not carry this one in its `__context__`.
        if refusal.entry is None:
            refusal.entry = yield Append(attempt.draft("denied", subjects=attempt.named, reasons=refusal.reasons))
        raise refusal

    return begun


def decided(attempt: Attempt) -> Generator[Effect, Any, Decision]:
    """What the policies say of the attempt, which keeps it; refused is what they do not allow."""
    decision: Decision = yield Decide(attempt.activity, attempt.actor.id)
    attempt.decision = decision
    if not decision.allow:
        reasons = decision.reasons or (Reason(rule="GUARD-DECISION-UNDEFINED"),)
        activity = attempt.activity
        said = (
            without(activity.purpose, activity.operation, attempt.purposes),
            not_entitled(activity.purpose, attempt.actor.roles, attempt.roles),
        )
        raise attempt.refused(reasons, " ".join(filter(None, said)) or None)
    return decision


def unrelated(attempt: Attempt, guarded: Guarded, transaction: Transaction) -> None:
    """Refuses a relation that rests on what this transaction wrote: an actor could make it and then roll back.

    An INSERT or UPDATE may not rest on what it writes itself either, since its own rows would answer for it.
    """
    own = {attempt.plan.writes} if attempt.plan.kind in {"insert", "update"} else set()
    if guarded.related & own:
        detail = "The statement itself writes what it rests on: write it for a purpose that needs no relation."
    elif guarded.related & transaction.written:
        detail = "End the transaction first, or let somebody else write it."
    else:
        return
    raise attempt.refused((Reason(rule="GUARD-RELATION"),), detail)


def rules_that_applied(guarded: Guarded, decision: Decision) -> tuple[str, ...]:
    """The rules that shaped the statement, and those of its obligations."""
    return tuple(dict.fromkeys((*guarded.rules, *(one.rule for one in decision.obligations if one.rule))))
