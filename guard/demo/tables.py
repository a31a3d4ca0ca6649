"""The two example holders, made from the CSV files that are shipped with guard: on SQLite or on PostgreSQL.

A CSV column `x:days_ago` becomes a date column `x`, counted back from the day on which the tables are made; an empty
cell is NULL. Nothing is ever dropped: documents and an SQLite file are only made where there are none, and what is
done to a PostgreSQL database stands in `guard.demo.postgres`.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy import Table
from sqlalchemy.dialects import sqlite

from guard import clock
from guard.demo.schema import Holder, Row, made
from guard.errors import Misuse
from guard.model import Consent, Notice
from guard_ledger.consent_record import ConsentRecord
from guard_ledger.ledger import Ledger

ZONE: Final = "Asia/Shanghai"
DOCUMENTS: Final = ("guard.yaml", "catalogue.yaml", "profile.yaml")

_SECONDS: Final = 86_400
_SIDES: Final = ("journal", "wal", "shm")
"""What SQLite keeps beside a database: it removes, or believes, what it finds there."""
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


def build(holder: Holder, folder: Path, day: date | None = None, url: str | None = None) -> Path:
    """Makes documents and tables; gives the path of guard.yaml. Misuse where one of the files is there already.

    `url` is a PostgreSQL database to make the tables in; left out, they are an SQLite file in `folder`.
    """
    for name in DOCUMENTS:
        _absent(folder / name)
    if url is None:
        database(holder, folder, day)
    else:
        from guard.demo import postgres  # noqa: PLC0415 -- for who uses it

        postgres.make(url, holder, day or today())
    folder.mkdir(parents=True, exist_ok=True)
    for name in DOCUMENTS:
        text = (holder.folder / name).read_text(encoding="utf-8")
        _write(folder / name, text if url is None else _placed(text, holder, url), 0o666 if url is None else 0o600)
    return folder / DOCUMENTS[0]


def database(holder: Holder, folder: Path, day: date | None = None) -> Path:
    """Makes the holder's SQLite database in `folder`, its tables filled; gives its path. Misuse if it is there."""
    path = folder / holder.file
    for name in (holder.file, *(f"{holder.file}-{of}" for of in _SIDES)):
        _absent(folder / name)
    folder.mkdir(parents=True, exist_ok=True)
    content = holder.rows(day or today())
    with closing(sqlite3.connect(path)) as connection, connection:
        for table in holder.tables.sorted_tables:
            for statement in made(table):
                connection.execute(str(statement.compile(dialect=sqlite.dialect())))
            _fill(connection, table, content[table.name])
    return path


def _fill(connection: sqlite3.Connection, table: Table, content: Iterable[Row]) -> None:
    columns = table.columns.keys()
    marks = ", ".join(f":{column}" for column in columns)
    connection.executemany(
        f"INSERT INTO {table.name} ({', '.join(columns)}) VALUES ({marks})",  # noqa: S608 -- names of this package
        ({column: row[column] for column in columns} for row in content),
    )


def _absent(path: Path) -> None:
    if os.path.lexists(path):  # a link that leads nowhere is there too: what is written would lie where it leads
        raise Misuse(
            f"{path} exists, and an example is only made where none of its files is: go on with what is there, "
            "or move it away first."
        )


def _write(path: Path, text: str, mode: int) -> None:
    """Where a database URL may hold a password the file is its owner's alone."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as stream:
        stream.write(text)


def _placed(text: str, holder: Holder, url: str) -> str:
    """guard.yaml on another database than the shipped one names; the other documents name none."""
    address = json.dumps(url, ensure_ascii=False)  # JSON's strings are YAML's
    return text.replace(f'"sqlite:///{holder.file}"', address).replace("{main: ", f"{{{holder.schema}: ")


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
        expires_at=given + int(lasts) * _SECONDS if lasts else None,
        assurance=row["assurance"],  # type: ignore[arg-type]  # checked by the ledger
        time=clock.stamp(given, ZONE),
    )


def _moment(day: date, days_ago: str) -> int:
    """Midnight UTC of the day, so many days before."""
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) - int(days_ago) * _SECONDS


def _digest(text: str) -> str:
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()
