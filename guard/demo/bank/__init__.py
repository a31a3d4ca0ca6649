"""The example bank: 1,000 real loan applicants with invented identities, cases, loans and consents.

`data/README.md` says where the data comes from and which customer is of which kind.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Final

from guard.consent import Ledger
from guard.consent_record import ConsentRecord
from guard.demo import tables

HERE: Final = Path(__file__).parent
DATA: Final = HERE / "data"
DATABASE: Final = "bank.db"


def build(folder: Path, day: date | None = None) -> Path:
    """Makes the bank's documents and bank.db in `folder`; gives the path of guard.yaml.

    It holds no consents: those are recorded through the ledger (`record`).
    """
    config = tables.documents(HERE, folder)
    database(folder, day)
    return config


def database(folder: Path, day: date | None = None) -> Path:
    """Makes bank.db in `folder`; gives its path."""
    day = day or tables.today()
    made = {
        "customer": tables.rows(DATA / "identity.csv", day),
        "application": _applications(day),
        **{name: tables.rows(DATA / f"{name}.csv", day) for name in ("loan_case", "loan", "branch")},
    }
    return tables.database(HERE, folder / DATABASE, made)


def record(ledger: Ledger, day: date | None = None) -> None:
    """Records everybody's consents, void ones too, and what was withdrawn since."""
    tables.record(ledger, consents(day), withdrawals(day))


def consents(day: date | None = None) -> Iterator[ConsentRecord]:
    """The customers' consent records, in the order in which they were given; some are void."""
    return tables.consents(DATA / "consent.csv", day or tables.today())


def withdrawals(day: date | None = None) -> Iterator[tuple[str, int]]:
    """The consents that were withdrawn since: id and moment (UTC seconds)."""
    return tables.withdrawals(DATA / "consent.csv", day or tables.today())


def _applications(day: date) -> Iterator[dict[str, str | None]]:
    """Each applicant's identity and record: line n of the one belongs to line n of the other."""
    records = tables.rows(DATA / "german_credit.csv", day)
    identities = tables.rows(DATA / "identity.csv", day)
    for number, (identity, record) in enumerate(zip(identities, records, strict=True), 3001):
        loan_purpose, outcome = record.pop("purpose"), record.pop("creditability")
        yield {**identity, **record, "application_id": str(number), "loan_purpose": loan_purpose, "outcome": outcome}
