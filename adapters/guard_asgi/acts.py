"""A request and its answer may be of different operations, or for another recipient: each is an act of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from guard.context import Acting
from guard.facade import Guard
from guard.model import Operation, Recipient


def beside(guard: Guard, acting: Acting, operation: Operation, recipient: Recipient) -> AbstractContextManager[Acting]:
    """The request's act where it is of that operation and recipient; else one beside it, which adds its outcomes."""
    if (operation, recipient) == (acting.operation, acting.recipient):
        return nullcontext(acting)
    return _beside(guard, acting, operation, recipient)


@contextmanager
def _beside(guard: Guard, acting: Acting, operation: Operation, recipient: Recipient) -> Iterator[Acting]:
    own = guard.acting(
        acting.actor,
        purpose=acting.purpose,
        subject=acting.subject,
        operation=operation,
        recipient=recipient,
        declared=acting.declared,
        review=acting.review,
        separate=True,
    )
    with own:
        yield own
    acting.outcomes += own.outcomes
