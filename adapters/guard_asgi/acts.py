"""A request and its answer may be of different operations, or for another recipient: each is an act of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from guard.context import Acting
from guard.facade import Guard
from guard.model import Operation, Recipient


@contextmanager
def beside(guard: Guard, acting: Acting, operation: Operation, recipient: Recipient) -> Iterator[Acting]:
    """The request's act where it is of that operation and recipient; else one beside it, which adds its outcomes."""
    if (operation, recipient) == (acting.operation, acting.recipient):
        yield acting
        return
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
