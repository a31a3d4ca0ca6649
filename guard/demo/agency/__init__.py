"""The example credit agency: 60 invented persons with credit lines, inquiries and signed consents."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Final

from guard.demo import tables
from guard.demo.agency.schema import metadata, person
from guard.demo.schema import Holder, Row
from guard_ledger.consent_record import ConsentRecord
from guard_ledger.ledger import Ledger

HERE: Final = Path(__file__).parent
DATA: Final = HERE / "data"
DATABASE: Final = "agency.db"


def build(folder: Path, day: date | None = None, *, database: str | None = None) -> Path:
    """Makes the agency's documents and tables; gives the path of guard.yaml in `folder`.

    `database` is the URL of a PostgreSQL database for the tables, left out they are agency.db in `folder`. It holds
    no consents: those are recorded through the ledger (`record`).
    """
    return tables.build(HOLDER, folder, day, database)


def database(folder: Path, day: date | None = None) -> Path:
    """Makes agency.db in `folder`; gives its path."""
    return tables.database(HOLDER, folder, day)


def record(ledger: Ledger, day: date | None = None) -> None:
    """Records everybody's consents, void ones too, and what was withdrawn since."""
    tables.record(ledger, consents(day), withdrawals(day))


def consents(day: date | None = None) -> Iterator[ConsentRecord]:
    """The persons' consent records, in the order in which they were given."""
    return tables.consents(DATA / "consent.csv", day or tables.today())


def withdrawals(day: date | None = None) -> Iterator[tuple[str, int]]:
    """The consents that were withdrawn since: id and moment (UTC seconds)."""
    return tables.withdrawals(DATA / "consent.csv", day or tables.today())


def _rows(day: date) -> Mapping[str, Iterable[Row]]:
    return {name: tables.rows(DATA / f"{name}.csv", day) for name in metadata.tables}


HOLDER: Final = Holder(
    name="agency",
    folder=HERE,
    tables=metadata,
    person=person.c.person_id,
    rows=_rows,
    file=DATABASE,
    schema="demo_agency",
)
