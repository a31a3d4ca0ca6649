"""The example bank: 1,000 real loan applicants with invented identities, cases, loans and consents.

`data/README.md` says where the data comes from and which customer is of which kind.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Final

from guard.demo import tables
from guard.demo.bank.schema import customer, metadata
from guard.demo.schema import Holder, Row
from guard_ledger.consent_record import ConsentRecord
from guard_ledger.ledger import Ledger

HERE: Final = Path(__file__).parent
DATA: Final = HERE / "data"
DATABASE: Final = "bank.db"


def build(folder: Path, day: date | None = None, *, database: str | None = None) -> Path:
    """Makes the bank's documents and tables; gives the path of guard.yaml in `folder`.

    `database` is the URL of a PostgreSQL database for the tables, left out they are bank.db in `folder`. It holds
    no consents: those are recorded through the ledger (`record`).
    """
    return tables.build(HOLDER, folder, day, database)


def database(folder: Path, day: date | None = None) -> Path:
    """Makes bank.db in `folder`; gives its path."""
    return tables.database(HOLDER, folder, day)


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


def _rows(day: date) -> Mapping[str, Iterable[Row]]:
    return {
        "customer": tables.rows(DATA / "identity.csv", day),
        "application": _applications(day),
        **{name: tables.rows(DATA / f"{name}.csv", day) for name in ("loan_case", "loan", "branch")},
    }


HOLDER: Final = Holder(
    name="bank",
    folder=HERE,
    tables=metadata,
    person=customer.c.customer_id,
    rows=_rows,
    file=DATABASE,
    schema="demo_bank",
)
