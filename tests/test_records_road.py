"""Records on their road: decided, looked at, registered, released; on the ledger of each database."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import msgspec
import pytest
from records_bank import (
    CASE,
    CHEN,
    DPO,
    GET,
    GRANT,
    LIN,
    POST,
    PURPOSE,
    RECENT,
    SELF,
    Bank,
    Open,
    application,
    banks,
    policy,
    refused,
)

from guard import drive
from guard.draft import Draft
from guard.errors import Held, Misuse, Refused
from guard.model import Actor, Recipient

__all__ = ["banks"]

MASKED = {
    "mask": {"with": "id18", "if": "always"},
    "reveal": {"grant": {"separate": True, "category": "identity_number"}, "rule": "PI-19"},
    "rule": "PI-19",
}
DROPPED = {"rule": "PI-01"}
REVIEW = {"id": "review", "by": "dpo", "above": {"subjects": 1}, "rule": "OP-08"}


# --- What leaves ----------------------------------------------------------------------------------


def test_a_release_holds_whom_the_conditions_leave_as_they_may_be_seen(banks: Open) -> None:
    bank = banks(policy(GRANT, CASE, id_number=MASKED, amount=DROPPED))
    bank.consents("1", "3", "4")
    bank.consents("2", categories=("identity", "identity_number"))
    bank.cases("1", "2", "3", "5")
    with bank.acting() as act:
        made = bank.release(act, *(application(number, extra=1) for number in range(1, 7)))
    assert [one["customer_id"] for one in made] == [1, 2, 3], "4 has no case, 5 no consent, 6 neither"
    assert [one["id_number"] for one in made] == ["110***************", "11010119900101123X", "110***************"]
    assert made[0] == {"customer_id": 1, "full_name": "王小明", "id_number": "110***************"}
    (outcome,) = act.outcomes
    assert (outcome.rows, outcome.reduced, outcome.undeclared) == (3, True, 6)
    assert set(outcome.rules) == {"OP-01", "PI-02", "PI-01", "PI-19"}
    draft = bank.guard.registered.require("read")
    assert (draft.subjects, draft.rows, draft.statement) == (("1", "2", "3"), 3, "GET /applications/{customer_id}")
    assert draft.sealed == {"request": "GET /applications/1?page=2", "parameters": None}
    entry = next(one for one in bank.guard.register.entries() if one.seq == outcome.entry)
    treatments = {one.field: one.treatment for one in entry.touched}
    assert treatments[None] == "conditional"
    assert (treatments["/full_name"], treatments["/id_number"], treatments["/loan/amount"]) == (
        "revealed",
        "conditional:id18",
        "dropped",
    )
    assert bank.guard.register.verify().ok


def test_an_allowed_release_leaves_everything_as_it_is(banks: Open) -> None:
    bank = banks()
    whole = [application(1, guarantors=[{"id": 7, "name": "x"}]), application(2, guarantors=[], ended_on=None)]
    with bank.acting() as act:
        assert bank.release(act, *whole) == whole
    assert (act.outcomes[0].reduced, act.outcomes[0].undeclared) == (False, 0)
    assert bank.last.subjects == ("1", "2", "7")


def test_a_withdrawal_counts_from_the_next_release(banks: Open) -> None:
    bank = banks(policy(GRANT))
    bank.consents("1", "2")
    with bank.acting() as act:
        held = [application(1), application(2)]
        assert [one["customer_id"] for one in bank.release(act, *held)] == [1, 2]
        bank.guard.consents.withdraw_subject("1")
        assert [one["customer_id"] for one in bank.release(act, *held)] == [2], "the same records, held since before"


def test_every_person_of_a_record_has_a_grant(banks: Open) -> None:
    bank = banks(policy(GRANT))
    bank.consents("1", "7")
    with bank.acting() as act:
        assert len(bank.release(act, application(1, guarantors=[{"id": 7}]))) == 1
        assert bank.release(act, application(1, guarantors=[{"id": 7}, {"id": 8}])) == []
        assert bank.release(act, {"full_name": "nobody's"}, {"customer_id": None, "guarantors": [{"id": 7}]}) == []
    assert [one.rows for one in act.outcomes] == [1, 0, 0]


def test_a_relation_and_self_are_of_the_first_person(banks: Open) -> None:
    bank = banks(policy(CASE))
    bank.cases("7")
    with bank.acting() as act:
        assert bank.release(act, application(1, guarantors=[{"id": 7}])) == []
        assert len(bank.release(act, application(7, guarantors=[{"id": 1}]))) == 1
    own = banks(policy(SELF))
    with own.acting(actor=Actor(id="7"), recipient=Recipient(kind="subject")) as act:
        made = own.release(act, application(1, guarantors=[{"id": 7}]), application(7, guarantors=[{"id": 1}]))
    assert [one["customer_id"] for one in made] == [7]


def test_a_fact_of_the_record_hides_it(banks: Open) -> None:
    bank = banks(policy(RECENT))
    with bank.acting() as act:
        made = bank.release(
            act,
            application(1, ended_on="2001-01-01"),
            application(2, ended_on="2999-01-01"),
            application(3, ended_on=None),
            application(4, ended_on="soon"),
        )
    assert [one["customer_id"] for one in made] == [2, 3]


def test_what_is_asked_of_a_record_is_not_passed_by_leaving_it_out(banks: Open) -> None:
    """`?fields=…`: who chooses which members the answer has would choose which rules it meets."""
    bank = banks(policy(RECENT))
    old = application(1, ended_on="2001-01-01")
    with bank.acting() as act:
        assert bank.release(act, old) == []
        assert bank.release(act, {name: value for name, value in old.items() if name != "ended_on"}) == []
        assert len(bank.release(act, {**old, "ended_on": None})) == 1, "null is an answer: it has not ended"


def test_a_field_is_treated_record_by_record(banks: Open) -> None:
    shown = {"reveal": CASE, "mask": {"with": "name", "if": GRANT}, "rule": "X"}
    bank = banks(policy(full_name=shown))
    bank.consents("2")
    bank.cases("1")
    with bank.acting() as act:
        made = bank.release(act, application(1), application(2), application(3))
    assert [one.get("full_name") for one in made] == ["王小明", "王**", None]
    assert "full_name" not in made[2]


def test_two_masks_of_two_layers_drop_a_field(banks: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    bank = banks(policy())
    decide = bank.guard.active.decider.decide

    def conflicting(asked: Any, **more: Any) -> Any:
        from guard.model import ALWAYS, CONFLICT, NEVER, Treatment

        (made,) = decide(asked, **more)
        one = Treatment(reveal=NEVER, mask=CONFLICT, masked_if=ALWAYS)
        return (msgspec.structs.replace(made, reads={GET: {**made.reads[GET], "/full_name": one}}),)

    monkeypatch.setattr(bank.guard.active.decider, "decide", conflicting)
    with bank.acting() as act:
        assert "full_name" not in bank.release(act, application(1))[0]


def test_an_operation_is_decided_by_the_release_that_it_began_with(
    banks: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another one may become the active one at any moment, in another thread."""
    bank = banks(policy())
    roads, first = bank.guard.roads, bank.guard.active
    other = msgspec.structs.replace(first, decider=None, digests={"floor": "sha256:other"})
    now = roads._now

    def meanwhile() -> float:
        monkeypatch.setattr(roads, "active", other)
        return now()

    monkeypatch.setattr(roads, "_now", meanwhile)
    with bank.acting() as act:
        made = bank.release(act, application(1))
    monkeypatch.undo()
    assert made[0]["full_name"] == application(1)["full_name"]
    assert bank.last.digests == first.digests


def test_records_are_not_released_in_an_act_of_another_guard(banks: Open) -> None:
    """Two guards in one process share nothing: an open act of one opens nothing at the other."""
    bank, other = banks(policy()), banks(policy())
    with other.acting() as act:
        assert refused(bank.release, act, application(1)).rules == ("GUARD-CONTEXT",)
        assert len(other.release(act, application(1))) == 1
    assert bank.kinds == ["denied"]
    assert len(act.outcomes) == 1


def test_what_could_not_begin_is_registered_without_the_loop_waiting(
    banks: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    bank = banks(policy())
    monkeypatch.setattr(bank.guard.register, "append", lambda _: pytest.fail("the event loop waited for the disk"))
    refusal = Refused.own("GUARD-OPERATION")
    with bank.acting() as act:
        made = asyncio.run(bank.guard.roads.refuse_async(act, refusal, "DELETE /applications/1"))
    assert made is refusal
    assert refusal.entry is not None
    assert (bank.kinds, bank.last.sealed) == (["denied"], "DELETE /applications/1")


def test_no_records_and_nobody_named_is_an_empty_read(banks: Open) -> None:
    bank = banks(policy(GRANT))
    with bank.acting() as act:
        assert bank.release(act) == []
    assert bank.kinds == ["read"]
    assert (bank.last.rows, bank.last.subjects) == (0, ())


# --- A named person -------------------------------------------------------------------------------


def told(bank: Bank, subject: str, *records: Any, actor: Actor = LIN) -> dict[str, Any]:
    with bank.acting(subject, actor=actor) as act:
        error = refused(bank.release, act, *records)
    assert (bank.last.kind, bank.last.subjects) == ("denied", (subject,))
    assert error.entry is not None
    return error.problem()


@pytest.mark.parametrize(("conditions", "rule"), [((GRANT, CASE), "PI-02"), ((GRANT,), "GUARD-ABSENT")])
def test_who_has_no_right_to_know_learns_nothing_of_a_person(banks: Open, conditions: Any, rule: str) -> None:
    """Never a customer, no consent, withdrawn: one answer, for who has no case and where no case is asked."""
    bank = banks(policy(*conditions))
    bank.consents("2", "3")
    bank.guard.consents.withdraw_subject("2")
    answers = [
        told(bank, "1", application(1)),
        told(bank, "2", application(2)),
        told(bank, "9"),
        told(bank, "9", application(1)),
    ]
    if CASE in conditions:
        answers.append(told(bank, "3", application(3)))
    assert all(one == answers[0] for one in answers)
    assert answers[0]["rules"] == [rule]


def test_who_has_the_case_is_told_of_the_consent(banks: Open) -> None:
    bank = banks(policy(GRANT, CASE))
    bank.cases("1")
    answer = told(bank, "1", application(1))
    assert answer["rules"] == ["OP-01"]
    assert "consent" in answer["remedy"][0]


def test_a_record_about_somebody_else_than_the_named_person_is_hidden(banks: Open) -> None:
    bank = banks(policy(GRANT))
    bank.consents("1", "2", "7")
    with bank.acting("7") as act:
        made = bank.release(act, application(1), application(2, guarantors=[{"id": 7}]), application(7))
        assert [one["customer_id"] for one in made] == [2, 7]
        assert bank.release(act, application(1)) == [], "she may be asked for; nothing of her is here"
    assert bank.last.subjects == ("7",)


def test_a_key_that_is_none_refuses_all_and_is_registered(banks: Open) -> None:
    bank = banks(policy(GRANT))
    bank.consents("1")
    with bank.acting() as act:
        assert refused(bank.release, act, application(1), {"customer_id": 1.5}).rules == ("GUARD-SUBJECT",)
    assert bank.kinds == ["denied"]
    assert act.outcomes == []


# --- Order, and what refuses ----------------------------------------------------------------------


def test_nobody_is_looked_up_for_what_policy_denies(banks: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    bank = banks(lambda _: {"allow": False, "reasons": [{"rule": "PI-02"}]})
    monkeypatch.setattr(type(bank.guard._parts.answers()), "holds_each", None)
    with bank.acting() as act:
        assert refused(bank.release, act, application(1)).rules == ("PI-02",)
    assert bank.kinds == ["denied"]


@pytest.mark.parametrize("which", ["release", "collect"])
def test_nothing_is_handed_out_that_cannot_be_registered(
    banks: Open, monkeypatch: pytest.MonkeyPatch, which: str
) -> None:
    bank = banks()

    def full(_: Draft) -> int:
        raise Refused.own("GUARD-REGISTER")

    monkeypatch.setattr(bank.guard.registered, "append", full)
    with bank.acting("1", operation="use" if which == "release" else "collect") as act:
        assert refused(getattr(bank, which), act, {"customer_id": 1}).rules == ("GUARD-REGISTER",)
    assert act.outcomes == []


def test_a_ledger_that_does_not_answer_refuses_and_tells_nothing(banks: Open) -> None:
    bank = banks(policy(GRANT, CASE))
    bank.consents("1")
    schema = "main" if bank.place.kind == "sqlite" else "retail"
    bank.place.run(f"DROP TABLE {schema}.loan_case")
    with bank.acting() as act:
        error = refused(bank.release, act, application(1))
    assert error.rules == ("GUARD-LEDGER",)
    assert "loan_case" not in str(error)
    assert bank.kinds == ["denied"]


def test_after_the_context_nothing_is_released(banks: Open) -> None:
    bank = banks()
    with bank.acting() as act:
        pass
    assert refused(bank.release, act, application(1)).rules == ("GUARD-CONTEXT",)
    assert bank.kinds == ["denied"]
    with bank.acting(operation="collect") as act:
        act.close()
        assert refused(bank.collect, act, {"customer_id": 1}).rules == ("GUARD-CONTEXT",)


@pytest.mark.parametrize(
    ("which", "operation", "recipient"),
    [
        ("collect", "provide", "handler"),
        ("collect", "delete", "staff"),
    ],
)
def test_records_are_taken_in_by_these_operations_only(banks: Open, which: str, operation: Any, recipient: Any) -> None:
    bank = banks()
    with bank.acting(operation=operation, recipient=Recipient(kind=recipient)) as act:
        assert refused(getattr(bank, which), act, {"customer_id": 1}).rules == ("GUARD-OPERATION",)


def test_a_collecting_request_is_answered_in_its_own_act(banks: Open) -> None:
    bank = banks()
    with bank.acting("1", operation="collect") as act:
        bank.collect(act, {"customer_id": 1})
        assert bank.release(act, application(1)) == [application(1)]


def test_a_source_that_the_catalogue_does_not_have_is_misuse(banks: Open) -> None:
    bank = banks()
    with bank.acting() as act, pytest.raises(Misuse, match="declare it there"):
        bank.guard.roads.release(act, "bank:GET /other", bank.records(), text="", parameters=None)


def test_all_persons_and_conditions_are_one_question(banks: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    bank = banks(policy(GRANT, CASE, RECENT, id_number=MASKED, full_name={"reveal": GRANT}))
    store, asked = bank.guard.consents.store, []
    ask = store.ask
    monkeypatch.setattr(store, "ask", lambda *given: asked.append(1) or ask(*given))
    monkeypatch.setattr(store, "run", None)
    with bank.acting() as act:
        bank.release(act, *(application(number) for number in range(1, 200)))
    assert len(asked) == 1


def test_threads_release_each_their_own(banks: Open) -> None:
    bank = banks(policy(GRANT))
    bank.consents("1", "2", "3")
    found: dict[int, Any] = {}
    gate = threading.Barrier(4)

    def one(number: int) -> None:
        gate.wait()
        for _ in range(5):
            with bank.acting() as act:
                found[number] = bank.release(act, application(number), application(number + 4))

    threads = [threading.Thread(target=one, args=(number,)) for number in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {number: len(made) for number, made in found.items()} == {1: 1, 2: 1, 3: 1, 4: 0}


# --- Obligations ----------------------------------------------------------------------------------


def test_a_limit_counts_the_persons_that_are_kept(banks: Open) -> None:
    limit = {"id": "limit", "subjects": 2, "on_exceed": "refuse", "rule": "CR-07"}
    bank = banks(policy(GRANT, obligations=(limit,)))
    bank.consents("1", "2", "3")
    with bank.acting() as act:
        assert len(bank.release(act, application(1), application(2), application(9))) == 2
        error = refused(bank.release, act, application(1), application(2, guarantors=[{"id": 3}]))
    assert error.rules == ("CR-07",)


TWO = (application(1), application(2))


def test_a_held_release_is_approved_by_another_and_leaves_once(banks: Open) -> None:
    bank = banks(policy(obligations=(REVIEW,)))
    given = {"parameters": "sha256:body"}
    with bank.acting() as act:
        held = refused(bank.release, act, *TWO, **given)
    assert isinstance(held, Held)
    assert bank.kinds == ["held"]
    reviews = bank.guard.reviews
    shown = reviews.show(held.review_id, DPO)
    assert (shown["request"], shown["parameters"]) == ("GET /applications/1?page=2", "sha256:body")
    assert "sql" not in shown
    with bank.acting(review=held.review_id) as act:
        assert refused(bank.release, act, *TWO, **given).rules == ("GUARD-HELD",)
    assert refused(reviews.approve, held.review_id, LIN).rules == ("GUARD-APPROVER",)
    reviews.approve(held.review_id, DPO)
    with bank.acting(review=held.review_id) as act:
        assert len(bank.release(act, *TWO, **given)) == 2
        assert (bank.last.kind, bank.last.review) == ("read", held.review_id)
        assert refused(bank.release, act, *TWO, **given).rules == ("GUARD-REVIEW",)


@pytest.mark.parametrize(
    "change",
    [
        {"parameters": "sha256:other"},
        {"text": "GET /applications/2"},
        {"records": (*TWO, application(3))},
        {"records": (application(1), application(3))},
        {"records": (application(1), {**application(2), "ended_on": "2026-01-01"})},
        {"actor": CHEN},
        {"subject": "1"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_an_approval_is_for_what_was_asked(banks: Open, change: dict[str, Any]) -> None:
    bank = banks(policy(obligations=({**REVIEW, "above": {"subjects": 0}},)))
    with bank.acting() as act:
        held = refused(bank.release, act, *TWO)
    assert isinstance(held, Held)
    bank.guard.reviews.approve(held.review_id, DPO)
    given = dict(change)
    records, actor = given.pop("records", TWO), given.pop("actor", LIN)
    with bank.acting(given.pop("subject", None), actor=actor, review=held.review_id) as act:
        again = refused(bank.release, act, *records, **given)
    assert not isinstance(again, Held) or again.review_id != held.review_id
    assert bank.guard.reviews.get(held.review_id).status == "approved", "what it is not for does not use it up"


def test_an_approval_reaches_nobody_who_takes_the_place_of_another(banks: Open) -> None:
    """Both answers hold the same records: who may be in it changed after the approval."""
    bank = banks(policy(GRANT, obligations=({**REVIEW, "above": {"subjects": 0}},)))
    three = (*TWO, application(3))
    bank.consents("1", "2")
    with bank.acting() as act:
        held = refused(bank.release, act, *three)
    assert isinstance(held, Held)
    bank.guard.reviews.approve(held.review_id, DPO)
    bank.guard.consents.withdraw_subject("2")
    bank.consents("3")
    with bank.acting(review=held.review_id) as act:
        again = refused(bank.release, act, *three)
        assert isinstance(again, Held)
        assert again.review_id != held.review_id
    assert bank.guard.reviews.get(held.review_id).status == "approved"


# --- What comes in --------------------------------------------------------------------------------

FORM = {"customer_id": 1, "full_name": "王小明", "religion": "x", "income": 5, "surprise": 1}


def test_a_form_is_stripped_of_what_the_purpose_does_not_need(banks: Open) -> None:
    bank = banks(policy(GRANT, writes={"religion": "strip"}))
    bank.consents("1")
    with bank.acting("1", operation="collect") as act:
        taken = bank.collect(act, FORM)
        assert taken.records == [{"customer_id": 1, "full_name": "王小明", "income": 5}]
        assert bank.kinds == ["intent"]
        assert (bank.last.subjects, bank.last.rows) == (("1",), 1)
        (outcome,) = act.outcomes
        assert (outcome.reduced, outcome.undeclared, outcome.rows, outcome.entry) == (True, 1, 1, taken.entry)
        assert outcome.rules == ("OP-01", "PI-01")
        bank.guard.roads.collected(taken, done=True)
        bank.guard.roads.collected(taken, done=False)
    assert bank.kinds == ["intent", "done"]
    assert bank.last.refers_to == taken.entry
    assert bank.guard.register.verify().ok


def test_what_was_surely_not_kept_is_registered_as_failed(banks: Open) -> None:
    bank = banks()
    with bank.acting("1", operation="collect") as act:
        bank.guard.roads.collected(bank.collect(act, FORM), done=False)
    assert bank.kinds == ["intent", "failed"]


def test_an_outcome_that_cannot_be_registered_reads_as_done(banks: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    bank = banks()
    with bank.acting("1", operation="collect") as act:
        taken = bank.collect(act, FORM)

        def full(_: Draft) -> int:
            raise Refused.own("GUARD-REGISTER")

        monkeypatch.setattr(bank.guard.registered, "append", full)
        bank.guard.roads.collected(taken, done=False)
    assert bank.kinds == ["intent"]


@pytest.mark.parametrize("what", ["refuse", "absent"])
def test_a_field_that_may_not_even_be_stripped_refuses_the_form(banks: Open, what: str) -> None:
    decide = policy(GRANT, writes={"religion": "refuse"})

    def without(activity: Any) -> Any:
        made = decide(activity)
        if what == "absent":
            del made["writes"][POST]["/religion"]
        return made

    bank = banks(without)
    bank.consents("1")
    with bank.acting("1", operation="collect") as act:
        error = refused(bank.collect, act, FORM)
    assert error.rules == ("GUARD-COLLECT",)
    assert error.reasons[0].field == (POST, "/religion")
    assert bank.kinds == ["denied"]


def test_all_records_are_taken_in_or_none(banks: Open) -> None:
    bank = banks(policy(GRANT))
    bank.consents("1", "2")
    with bank.acting(operation="collect") as act:
        assert len(bank.collect(act, FORM, {**FORM, "customer_id": 2}).records) == 2
        assert refused(bank.collect, act, FORM, {**FORM, "customer_id": 3}).rules == ("GUARD-COLLECT",)
    assert bank.kinds == ["intent", "denied"]
    with bank.acting("3", operation="collect") as act:
        assert refused(bank.collect, act, {**FORM, "customer_id": 3}).rules == ("GUARD-ABSENT",)


@pytest.mark.parametrize(
    ("subject", "form"),
    [("2", FORM), ("1", {"full_name": "x"}), (None, {"customer_id": None}), ("1", {**FORM, "customer_id": "01"})],
)
def test_a_form_about_somebody_else_or_nobody_is_refused(banks: Open, subject: str | None, form: Any) -> None:
    bank = banks(policy(GRANT))
    bank.consents("1", "2", "01")
    with bank.acting(subject, operation="collect") as act:
        assert refused(bank.collect, act, form).rules == ("GUARD-SUBJECT",)
    assert bank.kinds == ["denied"]


def test_a_bulk_import_is_held_before_its_intent(banks: Open) -> None:
    bank = banks(policy(obligations=(REVIEW,)))
    two = (FORM, {**FORM, "customer_id": 2})
    with bank.acting(operation="collect") as act:
        held = refused(bank.collect, act, *two)
    assert isinstance(held, Held)
    assert bank.kinds == ["held"]
    bank.guard.reviews.approve(held.review_id, DPO)
    with bank.acting(operation="collect", review=held.review_id) as act:
        taken = bank.collect(act, *two)
        assert (bank.last.kind, bank.last.review) == ("intent", held.review_id)
        assert refused(bank.collect, act, *two).rules == ("GUARD-REVIEW",)
    assert taken.records[1]["customer_id"] == 2


def test_an_approval_to_take_in_is_none_to_give_out(banks: Open) -> None:
    """A route takes in and answers under one name, in one operation."""
    bank = banks(policy(obligations=({**REVIEW, "above": {"subjects": 0}},)))
    given = {"source": POST, "text": "POST /applications", "parameters": "sha256:…"}
    with bank.acting(operation="collect") as act:
        held = refused(bank.collect, act, {"customer_id": 1})
    assert isinstance(held, Held)
    bank.guard.reviews.approve(held.review_id, DPO)
    records = bank.records({"customer_id": 1}, source=POST)
    with bank.acting(operation="collect", review=held.review_id) as act:
        again = refused(lambda: drive.follow(bank.guard.roads.release(act, given.pop("source"), records, **given)))
    assert isinstance(again, Held)
    assert again.review_id != held.review_id


def test_the_purpose_is_the_contexts(banks: Open) -> None:
    bank = banks()
    with bank.acting() as act:
        bank.release(act, application(1))
    assert bank.last.activity.purpose == PURPOSE
    assert bank.last.activity.method == "http"


def test_the_command_line_shows_a_held_request(
    banks: Open, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from contextlib import nullcontext

    from guard.cli import app, review

    bank = banks(policy(obligations=(REVIEW,)))
    with bank.acting() as act:
        held = refused(bank.release, act, *TWO, parameters="sha256:body")
    assert isinstance(held, Held)
    monkeypatch.setattr(review, "_opened", lambda _: nullcontext(bank.guard))
    assert app.run(["review", "show", held.review_id, "--actor", "dpo-1", "--role", "dpo"]) == 0
    said = capsys.readouterr().out
    assert "request: GET /applications/1?page=2" in said
    assert "statement: GET /applications/{customer_id}" in said
    assert "parameters: sha256:body" in said
    assert "sql" not in said
