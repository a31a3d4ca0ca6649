"""A permit for a program's own code: decided before it looks anything up, released once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from records_bank import CASE, CHEN, DPO, GET, GRANT, PURPOSE, TABLE, Open, application, banks, policy, refused

from guard.errors import Held, Misuse, Refused

__all__ = ["banks"]

MASKED = {"mask": {"with": "id18", "if": "always"}, "rule": "PI-19"}
FIELDS = ["customer_id", "full_name", "id_number"]
REVIEW = {"id": "review", "by": "dpo", "above": {"subjects": 1}, "rule": "OP-08"}


def customer(number: int, **more: Any) -> dict[str, Any]:
    return {"customer_id": number, "full_name": "王小明", "id_number": "11010119900101123X", **more}


def test_the_open_context_says_who_acts_and_the_program_what_it_reads(banks: Open) -> None:
    bank = banks()
    with bank.acting("1"):
        made = bank.guard.activity(TABLE, FIELDS)
        assert (made.purpose, made.subjects, made.method, made.operation) == (PURPOSE, "declared", "python", "use")
        assert [item.field for item in made.items] == [None, *sorted(FIELDS)]
        assert {item.field for item in bank.guard.activity(GET).items} > {"/full_name", "/guarantors/*/id"}
        assert {item.role for item in bank.guard.activity(TABLE, role="write").items} == {"write"}
        assert bank.guard.decide([made])[0].allow
        with pytest.raises(Misuse, match="no field iban"):
            bank.guard.activity(TABLE, ["iban"])
        with pytest.raises(Misuse, match="declare it there"):
            bank.guard.activity("bank:retail.other")
    with pytest.raises(Refused, match="GUARD-PURPOSE"):
        bank.guard.activity(TABLE)


def test_a_permit_releases_rows_as_they_may_be_seen(banks: Open) -> None:
    bank = banks(policy(GRANT, CASE, id_number=MASKED))
    bank.consents("1", "2")
    bank.cases("1")
    with bank.acting() as act, bank.guard.operation(bank.guard.activity(TABLE, FIELDS)) as permit:
        assert set(permit.decision.reads[TABLE]) == set(FIELDS)
        rows = permit.release([customer(1, frozen=False, extra=1), customer(2), customer(3)])
    assert rows == [customer(1, id_number="110***************")]
    assert bank.kinds == ["read"]
    assert (bank.last.statement, bank.last.subjects, bank.last.rows) == ("retail.customer", ("1",), 1)
    assert "frozen" not in rows[0], "a field that the activity does not have"
    assert (act.outcomes[0].rows, act.outcomes[0].undeclared) == (1, 1)


def test_records_of_a_route_are_the_objects_that_they_are(banks: Open) -> None:
    bank = banks()
    with bank.acting(), bank.guard.operation(bank.guard.activity(GET)) as permit:
        assert permit.release([application(1)]) == [application(1)]


def test_a_denial_comes_before_anything_is_looked_up(banks: Open) -> None:
    bank = banks(lambda _: {"allow": False, "reasons": [{"rule": "PI-02"}]})
    looked = []
    with bank.acting() as act:
        permit = bank.guard.operation(bank.guard.activity(TABLE))
        with pytest.raises(Refused, match="PI-02"), permit:
            looked.append(1)
    assert not looked
    assert bank.kinds == ["denied"]
    assert act.outcomes == []


def test_it_is_decided_again_when_it_releases(banks: Open) -> None:
    answers: list[Any] = []
    shown = policy(GRANT)
    bank = banks(lambda activity: answers.append(1) or shown(activity))  # type: ignore[func-returns-value]  # counted
    bank.consents("1")
    with bank.acting(), bank.guard.operation(bank.guard.activity(TABLE, FIELDS)) as permit:
        bank.guard.consents.withdraw_subject("1")
        assert permit.release([customer(1)]) == []


def test_a_permit_that_releases_nothing_is_a_read_of_nothing(banks: Open) -> None:
    bank = banks()
    with bank.acting("1") as act:
        with bank.guard.operation(bank.guard.activity(TABLE)):
            pass
        assert (bank.last.kind, bank.last.rows, bank.last.subjects) == ("read", 0, ("1",))
        with pytest.raises(ZeroDivisionError), bank.guard.operation(bank.guard.activity(TABLE)):
            raise ZeroDivisionError
    assert bank.kinds == ["read", "read"]
    assert [one.rows for one in act.outcomes] == [0, 0]


def test_the_error_of_the_block_comes_out_even_if_the_register_fails(
    banks: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    bank = banks()

    def full(_: object) -> int:
        raise Refused.own("GUARD-REGISTER")

    with bank.acting():
        monkeypatch.setattr(bank.guard.registered, "append", full)
        with pytest.raises(ZeroDivisionError), bank.guard.operation(bank.guard.activity(TABLE)):
            raise ZeroDivisionError
        with pytest.raises(Refused, match="GUARD-REGISTER"), bank.guard.operation(bank.guard.activity(TABLE)):
            pass


def test_a_permit_is_used_once(banks: Open) -> None:
    bank = banks()
    with bank.acting():
        permit = bank.guard.operation(bank.guard.activity(TABLE))
        for early in (lambda: permit.decision, lambda: permit.release([])):
            with pytest.raises(Misuse, match="entered first"):
                early()
        with permit:
            permit.release([customer(1)])
            with pytest.raises(Misuse, match="releases once"):
                permit.release([customer(2)])
        with pytest.raises(Misuse, match="releases once"):
            permit.release([customer(2)])
        with pytest.raises(Misuse, match="one operation"), permit:
            pass
    assert bank.kinds == ["read"]


def test_a_refused_release_uses_the_permit_up(banks: Open) -> None:
    bank = banks(policy(GRANT))
    with bank.acting("1"), bank.guard.operation(bank.guard.activity(TABLE)) as permit:
        with pytest.raises(Refused, match="GUARD-ABSENT"):
            permit.release([customer(1)])
        with pytest.raises(Misuse, match="releases once"):
            permit.release([])
    assert bank.kinds == ["denied"]


def test_a_permit_ends_with_its_context(banks: Open) -> None:
    bank = banks()
    with bank.acting() as act:
        permit = bank.guard.operation(bank.guard.activity(TABLE)).__enter__()
        act.close()
        with pytest.raises(Refused, match="GUARD-CONTEXT"):
            permit.release([customer(1)])


def test_an_activity_of_another_act_opens_nothing(banks: Open) -> None:
    bank = banks()
    with bank.acting():
        mine = bank.guard.activity(TABLE, FIELDS)
    with bank.acting("1"), pytest.raises(Misuse, match="open context"):
        bank.guard.operation(mine)
    with bank.acting(actor=CHEN), bank.guard.operation(mine):
        pass  # an activity says what kind of actor, never who
    narrower = msgspec.structs.replace(mine, items=mine.items[:2])
    other = msgspec.structs.replace(mine.items[1], category="contact")
    with bank.acting():
        with bank.guard.operation(narrower) as permit:
            assert permit.release([customer(1)]) == [{"customer_id": 1}]
        for wrong in (
            msgspec.structs.replace(mine, purpose="marketing"),
            msgspec.structs.replace(mine, items=(mine.items[0], other)),
            msgspec.structs.replace(mine, items=mine.items[1:]),
            msgspec.structs.replace(mine, items=(*mine.items, *bank.guard.activity(GET).items)),
            bank.guard.activity(TABLE, role="write"),
        ):
            with pytest.raises(Misuse):
                bank.guard.operation(wrong)
    assert bank.kinds == ["read", "read"]


# --- Whom it is about -----------------------------------------------------------------------------


def test_the_program_may_say_whom_records_are_about(banks: Open) -> None:
    bank = banks(policy(GRANT))
    bank.consents("1", "2", "7")
    scores = [{"full_name": "a"}, {"full_name": "b"}, {"full_name": "c"}]
    with bank.acting():
        with bank.guard.operation(bank.guard.activity(TABLE, ["full_name"])) as permit:
            assert permit.release(scores, subjects=[1, "2", 3]) == scores[:2]
        assert bank.last.subjects == ("1", "2")
        with bank.guard.operation(bank.guard.activity(GET)) as permit:
            made = permit.release(scores, subjects=[(1, 7), (2, 8), (2, None)])
        assert [one["full_name"] for one in made] == ["a", "c"]
    assert bank.last.subjects == ("1", "2", "7")


def test_without_subjects_a_record_that_names_nobody_is_hidden(banks: Open) -> None:
    bank = banks()
    with bank.acting(), bank.guard.operation(bank.guard.activity(TABLE, ["full_name"])) as permit:
        assert permit.release([{"full_name": "a"}]) == []


@pytest.mark.parametrize("said", [["2"], [" 1"], [1.5], [True], [(None,)], [()]])
def test_subjects_that_are_none_or_differ_from_the_record_refuse(banks: Open, said: Any) -> None:
    bank = banks()
    with bank.acting(), bank.guard.operation(bank.guard.activity(TABLE, FIELDS)) as permit:
        assert refused(permit.release, [customer(1)], subjects=said).rules == ("GUARD-SUBJECT",)
    assert bank.kinds == ["denied"]


@pytest.mark.parametrize("said", [[], ["1", "2"], [("1", "2")]])
def test_each_record_has_its_subjects(banks: Open, said: Any) -> None:
    bank = banks()
    with bank.acting(), bank.guard.operation(bank.guard.activity(TABLE, FIELDS)) as permit, pytest.raises(Misuse):
        permit.release([customer(1)], subjects=said)


# --- Review ---------------------------------------------------------------------------------------


def test_an_approval_is_for_these_fields_of_these_persons(banks: Open) -> None:
    bank = banks(policy(obligations=(REVIEW,)))

    def run(*numbers: int, fields: Any = FIELDS, review: str | None = None, **more: Any) -> Any:
        with bank.acting(review=review), bank.guard.operation(bank.guard.activity(TABLE, fields), **more) as permit:
            return permit.release([customer(number) for number in numbers])

    def held(*numbers: int, **more: Any) -> str:
        with pytest.raises(Held) as caught:
            run(*numbers, **more)
        return caught.value.review_id

    given = {"text": "customers of branch 3", "parameters": {"branch": 3}}
    review = held(1, 2, **given)
    shown = bank.guard.reviews.show(review, DPO)
    assert (shown["request"], shown["parameters"]["given"]) == ("customers of branch 3", {"branch": 3})
    assert (shown["parameters"]["persons"], shown["parameters"]["fields"]) == (["1", "2"], sorted(FIELDS))
    bank.guard.reviews.approve(review, DPO)
    for other in (
        {"parameters": {"branch": 4}},
        {"text": "customers of branch 4"},
        {"fields": ["customer_id", "full_name"]},
    ):
        assert held(1, 2, review=review, **{**given, **other}) != review
    assert held(1, 3, review=review, **given) != review
    assert len(run(2, 1, review=review, **given)) == 2
    with pytest.raises(Refused, match="GUARD-REVIEW"):
        run(1, 2, review=review, **given)


LOAN = {"customer_id": 1, "guarantor_id": 2, "guarantor_name": "李华"}
LOANS = """
  bank:retail.loan:
    subjects: {holder: customer_id, guarantor: {column: guarantor_id, optional: true}}
    fields:
      customer_id: {category: pseudonym, type: integer}
      guarantor_id: {category: pseudonym, type: integer}
      guarantor_name: {category: identity}
"""


def test_a_second_person_is_not_passed_by_leaving_the_key_out(banks: Open, tmp_path: Path) -> None:
    """`?fields=…`: who chooses which members a record has would choose whose consent is asked for."""
    with (tmp_path / "program" / "catalogue.yaml").open("a", encoding="utf-8") as catalogue:
        catalogue.write(LOANS)
    source, silent = "bank:retail.loan", {key: value for key, value in LOAN.items() if key != "guarantor_id"}
    bank = banks(policy(GRANT))
    bank.consents("1")

    def released(record: dict[str, Any], subjects: Any = None) -> int:
        with bank.acting(), bank.guard.operation(bank.guard.activity(source, ["guarantor_name"])) as permit:
            return len(permit.release([record], subjects=subjects))

    assert released(LOAN) == 0
    assert released(silent) == 0
    assert released(silent, [(1, 2)]) == 0
    assert released({**silent, "guarantor_id": None}) == 1, "null is an answer: there is nobody"
    assert released(silent, [(1, None)]) == 1, "so is what the program says"
    bank.consents("2")
    assert released(LOAN) == released(silent, [(1, 2)]) == 1
    assert released(silent) == 0
