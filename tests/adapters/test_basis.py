"""A contract is no consent and a consent no contract: rows are met by grants of the basis that the activity goes by."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import dbapi_bank
import msgspec
import pytest
from dbapi_bank import Bank, Kind

from guard import Refused
from guard.demo import bank as example
from guard.model import Declared

ON_CONTRACT = Declared(basis="contract", evidence="contract-7")
WHO = "1001"
READ = f"SELECT customer_id, full_name FROM customer WHERE customer_id = {WHO}"


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dbapi_bank.sqlite_bank(tmp_path_factory.mktemp("basis") / "bank")


@pytest.fixture(params=["sqlite", "postgres"])
def bank(recorded: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Bank]:
    kind: Kind = request.param
    place, guard = dbapi_bank.loaded(kind, recorded, tmp_path / "bank", request, "")
    made = Bank(kind, tmp_path / "bank", place, guard)
    made.outside(f"UPDATE {{s}}loan_case SET officer_id = 'officer-lin', status = 'open' WHERE customer_id = {WHO}")
    yield made
    made.close()


def agreed(bank: Bank, basis: str) -> None:
    """The one agreement of the person for underwriting rests on this."""
    bank.guard.consents.withdraw_subject(WHO)
    of = next(
        one for one in example.consents() if one.subject == WHO and one.consent.purposes == ("loan_underwriting",)
    )
    assert of.consent.notice is not None
    now = int(time.time()) + 1  # later than what was withdrawn
    consent = msgspec.structs.replace(
        of.consent,
        id=f"c-{basis}",
        basis=basis,
        granted_at=now,
        notice=msgspec.structs.replace(of.consent.notice, shown_at=now),
    )
    while time.time() < now:
        time.sleep(0.1)
    assert bank.guard.consents.record(msgspec.structs.replace(of, consent=consent)).valid


def met(bank: Bank, declared: Declared) -> list[str]:
    return [str(number) for number, _ in bank.ask(READ, declared=declared)]


@pytest.mark.parametrize(("agreement", "by_default", "on_contract"), [("consent", [WHO], []), ("contract", [], [WHO])])
def test_the_row_of_a_person_is_met_on_the_basis_that_the_activity_goes_by(
    bank: Bank, agreement: str, by_default: list[str], on_contract: list[str]
) -> None:
    agreed(bank, agreement)
    assert met(bank, Declared()) == by_default
    assert met(bank, ON_CONTRACT) == on_contract


def test_a_person_who_is_asked_for_by_name_is_refused_with_the_rule(bank: Bank) -> None:
    agreed(bank, "contract")
    with pytest.raises(Refused, match="OP-01"):
        bank.ask(READ, subject=WHO)
    assert bank.ask(READ, subject=WHO, declared=ON_CONTRACT)
