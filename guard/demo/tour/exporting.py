"""Steps on a bulk export: held, approved by another person, released once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from guard.demo.people import DPO, FANG, MARKETING, who
from guard.demo.tour.holder import Answer, Holder, Played, Trace
from guard.demo.tour.step import Step
from guard.errors import Held, Refused
from guard.model import Actor

EXPORT: Final = "SELECT customer_id, full_name, mobile FROM customer ORDER BY customer_id"


def steps(bank: Holder) -> Iterator[Played]:
    """The marketer asks, tries to approve it, has it approved, takes it, and tries to take it again."""
    asked = bank.ask(FANG, MARKETING, EXPORT)
    yield _of_export(bank, "export-held", asked)
    review = asked.refused.review_id if isinstance(asked.refused, Held) else None
    yield _self_approved(bank, review)
    yield _released(bank, review)
    yield _of_export(bank, "export-again", bank.ask(FANG, MARKETING, EXPORT, review=review))


def _of_export(bank: Holder, name: str, answer: Answer, message: str = "") -> Played:
    return bank.tell(name, answer, message=message, found={"persons": len(answer.rows)} if answer.rows else {})


def _self_approved(bank: Holder, review: str | None) -> Played:
    """The marketer even has the role of who approves."""
    both = msgspec.structs.replace(FANG, roles=(*FANG.roles, *DPO.roles))
    refused = _approve(bank, review, both)
    rules = refused.rules if refused else ()
    trace = Trace(
        kind="denied" if refused else "approved",
        seq=refused.entry if refused else None,
        actor=both.id,
        rules=rules,
        review=review,
    )
    step = Step(
        step="export-self-approved",
        operation="approve",
        outcome="refused" if refused else "allowed",
        rules=rules,
        detail=bank.detail(
            both,
            f"approves what {FANG.id} asked for",
            rules,
            refused,
            message="It is approved.",
            entry=refused.entry if refused else bank.entry(trace).seq,
            found={"review": review},
        ),
    )
    return Played(step, bank, (trace,) if review else ())  # where nothing was held there is nothing to register


def _released(bank: Holder, review: str | None) -> Played:
    """Another person approves, after which the same statement runs, quoting the review."""
    refused = _approve(bank, review, DPO)
    answer = bank.ask(FANG, MARKETING, EXPORT, review=review)
    message = f"{who(DPO)} approved it; {len(answer.rows)} persons were released, once."
    played = _of_export(bank, "export-released", answer, message)
    if refused is not None:
        return played
    approved = Trace(kind="approved", actor=DPO.id, review=review)
    return msgspec.structs.replace(played, traces=(approved, *played.traces))


def _approve(bank: Holder, review: str | None, actor: Actor) -> Refused | None:
    try:
        bank.guard.reviews.approve(review or "", actor)
    except Refused as refused:
        return refused
    return None
