"""What a decision asks for besides: how many persons at most, and when another person has to approve."""

from __future__ import annotations

from collections.abc import Collection, Generator
from typing import Any, Final, NoReturn, assert_never

import msgspec

from guard.attempt import Attempt
from guard.context import Approval
from guard.effects import Append, Claim, Effect, Hold, Writing
from guard.errors import Held
from guard.model import Decision, Limit, Reason, Review


class Needed(msgspec.Struct, frozen=True):
    """Why another person has to approve, and in which roles; both empty where nobody has to."""

    reasons: tuple[Reason, ...] = ()
    by: tuple[str, ...] = ()


_NOBODY: Final = Needed()


def needed(attempt: Attempt, decision: Decision, persons: int, *, ended: bool) -> Needed:
    """What so many persons need; refuses what they are too many or, at the end, too few for.

    A limit that sends to a review where the decision names nobody who could approve is a limit that refuses.
    """
    if not decision.obligations:
        return _NOBODY
    roles = {one.by for one in decision.obligations if isinstance(one, Review)}
    reasons: list[Reason] = []
    by: set[str] = set()
    for obligation in decision.obligations:
        match obligation:
            case Review(by=role):
                if persons > (obligation.above.subjects if obligation.above else 0):
                    reasons.append(Reason(rule=obligation.rule or "GUARD-HELD"))
                    by.add(role)
            case Limit():
                reason = Reason(rule=obligation.rule or "GUARD-LIMIT")
                if persons > obligation.subjects and obligation.on_exceed == "review" and roles:
                    reasons.append(reason)
                    by |= roles
                elif persons > obligation.subjects or (ended and persons < obligation.minimum):
                    raise attempt.refused((reason,), "Ask for fewer persons at once.")
            case _:
                assert_never(obligation)
    return Needed(tuple(reasons), tuple(sorted(by)))


def reviewed(decision: Decision) -> bool:
    """Whether a decision may ask for an approval at all."""
    return any(isinstance(one, Review) for one in decision.obligations)


def claim(attempt: Attempt, persons: int) -> Writing:
    """Uses up the approval that the attempt quotes: how many persons it reaches, -1 if it is not for this."""
    if attempt.review is None:
        return -1
    cap: int | None = yield Claim(attempt.review, attempt.digest(), attempt.actor.id, persons)
    return -1 if cap is None else cap


def approval(attempt: Attempt, need: Needed, persons: int) -> Generator[Effect, Any, str | None]:
    """The approval that was used up for these persons; None where none is needed. Held where there is none yet."""
    if not need.reasons:
        return None
    if (yield from claim(attempt, persons)) < persons:
        yield from hold(attempt, need, persons)
    return attempt.review


def remember(attempt: Attempt, need: Needed, persons: Collection[str]) -> None:
    """Keeps that these persons were read under the approval that the attempt quotes, for `approved`."""
    if need.reasons and attempt.review is not None:
        by, of = frozenset(need.by), frozenset(persons)
        attempt.approvals.append(Approval(attempt.review, by, of, _categories(attempt)))


def approved(attempt: Attempt, need: Needed, persons: Collection[str]) -> str | None:
    """The approval under which these persons were read in the same act, for one answer that tells no more of them.

    So an answer is not held after the statement that it is made of was: one approval, one reading, one answer.
    """
    if not need.reasons:
        return None
    for one in attempt.approvals:
        if one.persons.issuperset(persons) and one.categories >= _categories(attempt) and one.by.issuperset(need.by):
            attempt.approvals.remove(one)
            return one.review
    return None


def _categories(attempt: Attempt) -> frozenset[str]:
    return frozenset(item.category for item in attempt.activity.items if item.category is not None)


def hold(attempt: Attempt, need: Needed, persons: int) -> Writing:
    """Keeps the attempt for another person and raises Held. Nothing of it has been released or written."""
    review_id: str = yield Hold(attempt.request(need.by, persons))
    entry: int = yield Append(attempt.draft("held", persons=persons, reasons=need.reasons, review=review_id))
    _held(attempt, need, review_id, entry)


def _held(attempt: Attempt, need: Needed, review_id: str, entry: int) -> NoReturn:
    raise Held(need.reasons, review_id=review_id, entry=entry, catalog=attempt.messages)
