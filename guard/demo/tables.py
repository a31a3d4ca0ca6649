"""Example databases from the CSV files that are shipped with guard.

A CSV column `x:days_ago` becomes a date column `x`, counted back from the day on which the database is
made; an empty cell is NULL. Nothing is ever dropped: a database is only made where there is none.
"""

from __future__ import annotations

import csv
import hashlib
import shutil
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from guard import clock
from guard.consent import Ledger
from guard.consent_record import ConsentRecord
from guard.errors import Misuse
from guard.model import Consent, Notice

ZONE: Final = "Asia/Shanghai"
DOCUMENTS: Final = ("guard.yaml", "catalogue.yaml", "profile.yaml")

_DAY: Final = 86_400
_AGO: Final = ":days_ago"


def today() -> date:
    """The day in the examples' calendar."""
    return datetime.now(ZoneInfo(ZONE)).date()


def rows(path: Path, day: date) -> Iterator[dict[str, str | None]]:
    """The rows of a CSV file, its dates counted back from `day`."""
    with path.open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            yield dict(_cell(name, text, day) for name, text in row.items())


def _cell(name: str, text: str, day: date) -> tuple[str, str | None]:
    if not name.endswith(_AGO):
        return name, text or None
    return name.removesuffix(_AGO), (day - timedelta(days=int(text))).isoformat() if text else None


def documents(source: Path, folder: Path) -> Path:
    """Copies the documents of `source` to `folder`; gives the path of guard.yaml. Misuse if one is there already."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in DOCUMENTS:
        _absent(folder / name)
    for name in DOCUMENTS:
        shutil.copyfile(source / name, folder / name)
    return folder / DOCUMENTS[0]


def database(source: Path, path: Path, tables: Mapping[str, Iterable[Mapping[str, str | None]]]) -> Path:
    """Makes the database of `source`, its tables filled; gives its path. Misuse if it is there already."""
    _absent(path)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript((source / "schema.sql").read_text(encoding="utf-8"))
        for table, content in tables.items():
            _fill(connection, table, content)
    return path


def _absent(path: Path) -> None:
    if path.exists():
        raise Misuse(f"{path} exists: an example is only made where none of its files is.")


def _fill(connection: sqlite3.Connection, table: str, content: Iterable[Mapping[str, str | None]]) -> None:
    columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
    marks = ", ".join(f":{column}" for column in columns)
    connection.executemany(
        f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})",  # noqa: S608 -- names from schema.sql
        ({column: row[column] for column in columns} for row in content),
    )


# --- Consents -------------------------------------------------------------------------------------


def consents(path: Path, day: date) -> Iterator[ConsentRecord]:
    """The consent records of a consent.csv, given so many days before `day`."""
    for row in _consent_rows(path):
        given = _moment(day, row["granted:days_ago"])
        yield ConsentRecord(
            subject=row["subject"],
            recorder=row["recorder"],
            evidence=_digest(row["evidence"]) if row["evidence"] else None,
            consent=_consent(row, given),
        )


def withdrawals(path: Path, day: date) -> Iterator[tuple[str, int]]:
    """The consents of a consent.csv that were withdrawn: id and moment (UTC seconds)."""
    for row in _consent_rows(path):
        if row["withdrawn:days_ago"]:
            yield row["consent_id"], _moment(day, row["withdrawn:days_ago"])


def record(ledger: Ledger, given: Iterable[ConsentRecord], ended: Iterable[tuple[str, int]]) -> None:
    """Records consents in one batch, then what was withdrawn since. A void consent is kept and makes no grant."""
    ledger.record_many(given)
    for consent_id, moment in ended:
        ledger.withdraw(consent_id, at=moment)


def _consent_rows(path: Path) -> Iterator[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        yield from csv.DictReader(stream)


def _consent(row: Mapping[str, str], given: int) -> Consent:
    lasts = row["lasts_days"]
    return Consent(
        id=row["consent_id"],
        purposes=tuple(row["purposes"].split("|")),
        operations=tuple(row["operations"].split("|")),  # type: ignore[arg-type]  # checked by the ledger
        categories=tuple(row["categories"].split("|")),
        recipient=row["recipient"] or None,
        basis=row["basis"],
        method=row["method"],
        form=row["form"],
        separate=row["separate"] == "1",
        written=row["written"] == "1",
        bundled=row["bundled"] == "1",
        preticked=row["preticked"] == "1",
        refusal_denies_service=row["refusal_denies_service"] == "1",
        adverse_effect_told=row["adverse_effect_told"] == "1",
        guardian=row["guardian"] == "1",
        notice=Notice(
            id=row["notice_id"],
            version=row["notice_version"],
            digest=_digest(f"{row['notice_id']} {row['notice_version']}"),
            shown_at=given - 60,
        ),
        granted_at=given,
        expires_at=given + int(lasts) * _DAY if lasts else None,
        assurance=row["assurance"],  # type: ignore[arg-type]  # checked by the ledger
        time=clock.stamp(given, ZONE),
    )


def _moment(day: date, days_ago: str) -> int:
    """Midnight UTC of the day, so many days before."""
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) - int(days_ago) * _DAY


def _digest(text: str) -> str:
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()
