"""Who acts, for what purpose, about whom: set once, inherited by every adapter.

A `ContextVar` holds a handle, not the facts, so that closing it reaches every copy of the context that a
task, a thread or a generator took along. A nested context may only narrow its parent; an act for another
purpose is `separate`.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Final, NamedTuple, Self

from guard.errors import Refused
from guard.model import Actor, Declared, Operation, Outcome, Recipient

STAFF: Final = Recipient(kind="staff")
NOTHING_DECLARED: Final = Declared()

UNOPENED: Final = (
    "State it with guard.acting(actor, purpose=…). In a web application the route states it, in routes.yaml or by "
    "guard_asgi.purpose(…); a dependency with yield cannot."
)

_current: ContextVar[Acting | None] = ContextVar("guard_acting", default=None)


class Approval(NamedTuple):
    """What other persons approved, and was done: about whom, of which categories, in which of their roles."""

    review: str
    by: frozenset[str]
    persons: frozenset[str]
    categories: frozenset[str]


class Acting:
    """One act: a context manager, and afterwards the account of what came of it.

    `outcomes` has one entry for each operation that ran in it, in order. `review` is the id of an approval that it
    quotes: of the one operation that was held for it. `approvals` are those that statements used up in it: one
    answer with what was read under one leaves under it too.
    """

    __slots__ = (
        "_closed",
        "_owner",
        "_separate",
        "_token",
        "actor",
        "approvals",
        "declared",
        "operation",
        "outcomes",
        "purpose",
        "recipient",
        "review",
        "subject",
    )

    def __init__(  # the parts of one context; it is built in one place, `Guard.acting`
        self,
        owner: object,
        actor: Actor,
        purpose: str,
        *,
        subject: str | None = None,
        operation: Operation = "use",
        recipient: Recipient = STAFF,
        declared: Declared = NOTHING_DECLARED,
        review: str | None = None,
        separate: bool = False,
    ) -> None:
        self._owner = owner
        self._separate = separate
        self._closed = False
        self._token: Token[Acting | None] | None = None
        self.actor = actor
        self.purpose = purpose
        self.subject = subject
        self.operation: Operation = operation
        self.recipient = recipient
        self.declared = declared
        self.review = review
        self.outcomes: list[Outcome] = []
        self.approvals: list[Approval] = []

    def __enter__(self) -> Self:
        if self._closed or self._token is not None:
            raise Refused.own("GUARD-CONTEXT", "A context is entered once.")
        parent = _current.get()
        if parent is not None and parent.open and not self._separate:
            self._narrow(parent)
            self.approvals = parent.approvals
        self._token = _current.set(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed = True
        if self._token is not None:
            try:  # noqa: SIM105 — a third of the time of `suppress`, once for each request
                _current.reset(self._token)
            except ValueError:
                pass  # closed in another Context than it was opened in: the closed flag reaches it

    def close(self) -> None:
        """Ends it for every copy of the context; leaving the block afterwards changes nothing more."""
        self._closed = True

    @property
    def open(self) -> bool:
        """Whether operations may still run in it."""
        return self._token is not None and not self._closed

    def open_to(self, owner: object) -> bool:
        """Whether operations of this guard may still run in it."""
        return self._owner is owner and self._token is not None and not self._closed

    def belongs(self, owner: object) -> bool:
        """Whether it was opened by this guard: two guards in one process share nothing."""
        return self._owner is owner

    def _narrow(self, parent: Acting) -> None:
        same = (
            parent.belongs(self._owner)
            and self.actor == parent.actor
            and self.purpose == parent.purpose
            and self.operation == parent.operation
            and self.recipient == parent.recipient
            and self.declared == parent.declared
            and parent.subject in (None, self.subject)
            and parent.review in (None, self.review)
        )
        if not same:
            raise Refused.own(
                "GUARD-NARROW", "Leave the outer context first, or open this one with separate=True: an act of its own."
            )


def current(owner: object) -> Acting:
    """The open context of this guard, or GUARD-PURPOSE: without one nothing is decided."""
    acting = _current.get()
    if acting is None or not acting.belongs(owner):
        raise Refused.own("GUARD-PURPOSE", UNOPENED)
    if not acting.open:
        raise Refused.own("GUARD-CONTEXT", "It closed before this operation; work that goes on opens its own.")
    return acting


@contextmanager
def carried(acting: Acting) -> Iterator[None]:
    """The same act in another thread or task, which did not inherit it.

    GUARD-CONTEXT if it closed meanwhile, GUARD-NARROW where another act is open: two are never mixed.
    """
    if not acting.open:
        raise Refused.own("GUARD-CONTEXT", "It closed before this call; work that goes on opens its own.")
    there = _current.get()
    if there is not None and there.open and there is not acting:
        raise Refused.own("GUARD-NARROW", "What is bound to one act is not called within another.")
    token = _current.set(acting)
    try:
        yield
    finally:
        with suppress(ValueError):
            _current.reset(token)


def subject_key(text: object) -> str:
    """A person's key as canonical text, or GUARD-SUBJECT.

    Keys are compared byte by byte: NFC, 1 to 128 characters, no control characters, no outer spaces. An
    integer key is its decimal digits.
    """
    if isinstance(text, int) and not isinstance(text, bool):
        text = str(text)
    if type(text) is str and text.isascii() and text.isalnum() and len(text) <= 128:
        return text  # what most keys are: each of the checks below holds for it
    if (
        not isinstance(text, str)
        or not 1 <= len(text) <= 128
        or text != text.strip()
        or not unicodedata.is_normalized("NFC", text)
        or any(unicodedata.category(character).startswith("C") for character in text)
    ):
        raise Refused.own("GUARD-SUBJECT")
    return text
