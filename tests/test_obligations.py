"""One approval serves one answer of the act that it was used up in, and only for what was read under it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from guard.context import Approval
from guard.model import Reason
from guard.obligations import Needed, approved, remember

DPO = Needed((Reason(rule="OP-08"),), ("dpo",))


def attempt(*categories: str, review: str | None = None, approvals: list[Approval] | None = None) -> Any:
    items = [SimpleNamespace(category=one) for one in (*categories, None)]
    kept = [] if approvals is None else approvals
    return SimpleNamespace(approvals=kept, review=review, activity=SimpleNamespace(items=items))


def used(*persons: str) -> list[Approval]:
    """What an act keeps once a statement was released under review r."""
    read = attempt("identity", "income", review="r")
    remember(read, DPO, persons)
    return list(read.approvals)


def test_the_answer_of_what_was_read_leaves_under_the_same_approval_once() -> None:
    kept = used("1", "2")
    answer = attempt("identity", approvals=kept)
    assert approved(answer, DPO, ["1", "2"]) == "r"
    assert approved(answer, DPO, ["1", "2"]) is None
    assert kept == []


@pytest.mark.parametrize(
    ("categories", "persons", "by"),
    [
        (["identity"], ["1", "3"], ("dpo",)),
        (["identity", "deposit"], ["1"], ("dpo",)),
        (["identity"], ["1"], ("dpo", "risk")),
    ],
    ids=["another person", "another category", "another reviewer"],
)
def test_an_answer_with_more_than_was_approved_is_held_anew(
    categories: list[str], persons: list[str], by: tuple[str, ...]
) -> None:
    kept = used("1", "2")
    need = Needed(DPO.reasons, by)
    assert approved(attempt(*categories, approvals=kept), need, persons) is None
    assert len(kept) == 1


def test_what_needed_no_approval_leaves_none_behind_and_takes_none() -> None:
    nothing = Needed()
    read = attempt("identity", review="r")
    remember(read, nothing, ["1"])
    assert read.approvals == []
    kept = used("1")
    assert approved(attempt("identity", approvals=kept), nothing, ["1"]) is None
    assert len(kept) == 1
    unquoted = attempt("identity")
    remember(unquoted, DPO, ["1"])
    assert unquoted.approvals == []
