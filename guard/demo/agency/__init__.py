"""The example credit agency: 60 invented persons with credit lines, inquiries and signed consents."""

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
DATABASE: Final = "agency.db"
TABLES: Final = ("person", "wealth", "credit_line", "inquiry_case")


def build(folder: Path, day: date | None = None) -> Path:
    """Makes the agency's documents and agency.db in `folder`; gives the path of guard.yaml.

    It holds no consents: those are recorded through the ledger (`record`).
    """
    config = tables.documents(HERE, folder)
    database(folder, day)
    return config


def database(folder: Path, day: date | None = None) -> Path:
    """Makes agency.db in `folder`; gives its path."""
    day = day or tables.today()
    made = {name: tables.rows(DATA / f"{name}.csv", day) for name in TABLES}
    return tables.database(HERE, folder / DATABASE, made)


def record(ledger: Ledger, day: date | None = None) -> None:
    """Records everybody's consents, void ones too, and what was withdrawn since."""
    tables.record(ledger, consents(day), withdrawals(day))


def consents(day: date | None = None) -> Iterator[ConsentRecord]:
    """The persons' consent records, in the order in which they were given."""
    return tables.consents(DATA / "consent.csv", day or tables.today())


def withdrawals(day: date | None = None) -> Iterator[tuple[str, int]]:
    """The consents that were withdrawn since: id and moment (UTC seconds)."""
    return tables.withdrawals(DATA / "consent.csv", day or tables.today())
