"""What a connection did in a transaction, and what becomes of it at the end."""

from __future__ import annotations

import pytest

from guard.draft import Draft
from guard.errors import Misuse
from guard.model import Actor
from guard.transaction import Transaction


def done(intent: int) -> Draft:
    return Draft(kind="done", actor=Actor(id="officer-lin"), refers_to=intent, rows=1)


def begun(*intents: int) -> Transaction:
    made = Transaction()
    made.begin(7)
    for intent in intents:
        made.wrote(f"bank:retail.t{intent}", done(intent))
    return made


def test_outside_a_transaction_there_is_no_mark_and_nothing_to_remember() -> None:
    made = Transaction()
    assert (made.mark, made.written) == (None, frozenset())
    with pytest.raises(Misuse):
        made.wrote("bank:retail.customer", done(1))
    assert made.ended(committed=True) == ()


def test_the_mark_is_that_of_the_first_statement() -> None:
    made = begun()
    assert made.mark == 7
    with pytest.raises(Misuse):
        made.begin(8)


@pytest.mark.parametrize(("committed", "kind"), [(True, "done"), (False, "rolled_back")])
def test_every_write_has_its_outcome_at_the_end(committed: bool, kind: str) -> None:
    made = begun(1, 4)
    outcomes = made.ended(committed)
    assert [(one.kind, one.refers_to) for one in outcomes] == [(kind, 1), (kind, 4)]
    assert (made.mark, made.written) == (None, frozenset())
    made.begin(9)


def test_what_is_undone_to_a_savepoint_is_rolled_back_and_still_counts_as_written() -> None:
    """A relation that was written and undone is not trusted before the transaction ends."""
    made = begun(1)
    point = made.point()
    made.wrote("bank:retail.t4", done(4))
    assert [(one.kind, one.refers_to) for one in made.undone(point)] == [("rolled_back", 4)]
    assert made.written == {"bank:retail.t1", "bank:retail.t4"}
    assert [one.refers_to for one in made.ended(committed=True)] == [1]


def test_a_public_source_that_was_written_has_no_outcome() -> None:
    transaction = Transaction()
    transaction.touched("bank:retail.branch")
    assert transaction.written == frozenset()
    transaction.begin(7)
    transaction.touched("bank:retail.branch")
    assert transaction.written == {"bank:retail.branch"}
    assert transaction.ended(committed=True) == ()
    assert transaction.written == frozenset()
