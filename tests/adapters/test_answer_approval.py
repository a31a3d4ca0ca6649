"""What was read from the database under an approval leaves in one answer under it, and nothing else does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dbapi_bank
import pytest
from dbapi_bank import LIN, PURPOSE, Bank

from guard import Actor, Held, Refused, drive
from guard.context import Acting, Approval
from guard.model import Reason
from guard.obligations import Needed, approved
from guard.records import DictRecords

SOURCE = "bank:GET /applications/{customer_id}"
READ = "SELECT customer_id, full_name FROM customer WHERE customer_id < 1100"
DPO = Actor(id="officer-an", roles=("data_protection_officer",), unit="head-office")


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dbapi_bank.sqlite_bank(tmp_path_factory.mktemp("approval") / "bank")


@pytest.fixture
def bank(recorded: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Bank]:
    place, guard = dbapi_bank.loaded("sqlite", recorded, tmp_path / "bank", request, "")
    made = Bank("sqlite", tmp_path / "bank", place, guard)
    made.outside("UPDATE loan_case SET officer_id = 'officer-lin', status = 'open' WHERE customer_id < 1100")
    yield made
    made.close()


def approval(bank: Bank) -> str:
    """The approval of one reading."""
    with pytest.raises(Held) as held, bank.guard.acting(LIN, purpose=PURPOSE):
        bank.connect().execute(READ)
    bank.guard.reviews.approve(held.value.review_id, DPO)
    return held.value.review_id


def read(bank: Bank) -> list[dict[str, Any]]:
    rows = bank.connect().execute(READ).fetchall()
    return [{"customer_id": number, "full_name": name} for number, name in rows]


def answer(bank: Bank, act: Acting, records: list[dict[str, Any]]) -> list[Any]:
    made = DictRecords(SOURCE, bank.guard.active.catalogue.sources[SOURCE], records)
    return list(drive.follow(bank.guard.roads.release(act, SOURCE, made, text="GET /export", parameters=None)))


def test_one_answer_leaves_under_the_approval_of_what_it_is_made_of(bank: Bank) -> None:
    review = approval(bank)
    with bank.guard.acting(LIN, purpose=PURPOSE, review=review) as act:
        found = read(bank)
        assert answer(bank, act, found) == found
        with pytest.raises(Held):
            answer(bank, act, found)
    assert [entry.review for entry in bank.entries if entry.kind == "read"] == [review, review]


@pytest.mark.parametrize("more", [{"mobile": "13800000000"}, {"outcome": "good"}])
def test_an_answer_that_tells_more_of_them_is_held(bank: Bank, more: dict[str, str]) -> None:
    with bank.guard.acting(LIN, purpose=PURPOSE, review=approval(bank)) as act:
        found = [{**one, **more} for one in read(bank)]
        with pytest.raises(Held):
            answer(bank, act, found)


def test_an_answer_about_others_is_held(bank: Bank) -> None:
    with bank.guard.acting(LIN, purpose=PURPOSE, review=approval(bank)) as act:
        found = read(bank)
        bank.outside("UPDATE loan_case SET officer_id = 'officer-lin', status = 'open' WHERE customer_id < 1200")
        others = [{"customer_id": number, "full_name": "x"} for number in range(1100, 1200)]
        with pytest.raises(Held):
            answer(bank, act, [*found, *others])


def test_another_act_has_no_part_in_it(bank: Bank) -> None:
    review = approval(bank)
    with bank.guard.acting(LIN, purpose=PURPOSE, review=review):
        found = read(bank)
    with bank.guard.acting(LIN, purpose=PURPOSE) as act, pytest.raises(Held):
        answer(bank, act, found)
    with bank.guard.acting(LIN, purpose=PURPOSE, review=review) as act, pytest.raises(Held):
        answer(bank, act, found)


def test_a_second_reading_is_held(bank: Bank) -> None:
    with bank.guard.acting(LIN, purpose=PURPOSE, review=approval(bank)):
        read(bank)
        with pytest.raises(Refused, match="GUARD-REVIEW"):
            read(bank)


def test_a_narrower_act_within_reads_for_the_answer(bank: Bank) -> None:
    review = approval(bank)
    with bank.guard.acting(LIN, purpose=PURPOSE, review=review) as act:
        with bank.guard.acting(LIN, purpose=PURPOSE, review=review):
            found = read(bank)
        assert answer(bank, act, found) == found


def test_an_approval_in_one_role_is_none_in_another() -> None:
    kept = [Approval("r-1", frozenset({"data_protection_officer"}), frozenset({"1001"}), frozenset())]
    attempt: Any = SimpleNamespace(approvals=kept, activity=SimpleNamespace(items=()))
    need = Needed((Reason(rule="OP-08"),), ("auditor", "data_protection_officer"))
    assert approved(attempt, need, ("1001",)) is None
    assert approved(attempt, Needed(need.reasons, ("data_protection_officer",)), ("1001",)) == "r-1"
    assert kept == []
