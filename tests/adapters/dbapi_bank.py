"""The example bank on either database, for tests of the adapters."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final, Literal

import psycopg
import pytest

import guard_dbapi
from guard import Actor, Guard, Settings
from guard import catalogue as catalogues
from guard.catalogue import Catalogue, Source
from guard.demo import bank as example
from guard.demo import tour

Kind = Literal["sqlite", "postgres"]

LIN: Final = Actor(id="officer-lin", roles=("loan_officer",), unit="branch-3")
PURPOSE: Final = "loan_underwriting"
TABLES: Final = ("customer", "application", "loan_case", "loan", "branch")

_TYPES: Final = {"text": "text", "integer": "integer", "date": "date", "boolean": "boolean"}
_KEYS: Final = {"customer": "customer_id", "loan_case": "case_id", "loan": "loan_id", "branch": "branch_id"}


class Bank:
    """A bank, the guard before it, and a way to look at its tables from outside."""

    def __init__(self, kind: Kind, folder: Path, place: str, guard: Guard) -> None:
        self.kind = kind
        self.folder = folder
        self.place = place
        self.guard = guard
        self.schema = "main" if kind == "sqlite" else "retail"
        driver: Any = sqlite3.connect if kind == "sqlite" else psycopg.connect
        self._wrapped: Callable[..., guard_dbapi.GuardedConnection] = guard_dbapi.wrap(driver, guard, dialect=kind)
        self._open: list[guard_dbapi.GuardedConnection] = []

    def connect(self, **keywords: Any) -> guard_dbapi.GuardedConnection:
        """A guarded connection, closed with the bank."""
        made = self._wrapped(self.place, **keywords)
        self._open.append(made)
        return made

    def autocommit(self) -> guard_dbapi.GuardedConnection:
        """A guarded connection in autocommit."""
        return self.connect(isolation_level=None) if self.kind == "sqlite" else self.connect(autocommit=True)

    def outside(self, *texts: str) -> list[Any]:
        """Texts past the guard, with {s} before tables; the rows of the last."""
        said = [text.format(s=f"{self.schema}.") for text in texts]
        if self.kind == "sqlite":
            with closing(sqlite3.connect(self.place, isolation_level=None)) as lite:
                return [lite.execute(text).fetchall() for text in said][-1]
        with psycopg.connect(self.place, autocommit=True) as raw:
            last = [raw.execute(text.encode()) for text in said][-1]
            return last.fetchall() if last.description else []

    def ask(self, sql: str, parameters: Any = None, **acting: Any) -> list[tuple[Any, ...]]:
        """One read on a connection of its own."""
        with self.guard.acting(**{"actor": LIN, "purpose": PURPOSE, **acting}):
            return self.connect().execute(self.sql(sql), parameters).fetchall()

    def sql(self, text: str) -> str:
        """A text with ? for its parameters as the driver wants it."""
        return text if self.kind == "sqlite" else text.replace("?", "%s")

    @property
    def entries(self) -> list[Any]:
        """What was registered since the bank was opened."""
        return [entry for entry in self.guard.register.entries() if entry.kind != "consent"]

    def close(self) -> None:
        """Closes all."""
        for one in self._open:
            one.close()
        self.guard.close()


def sqlite_bank(folder: Path) -> Path:
    """A bank on SQLite with its consents recorded; to be copied."""
    tour.open_bank(Settings.load(tour.make_bank(folder))).close()
    return folder


def copied(recorded: Path, folder: Path) -> Path:
    """A copy of a recorded bank, without what was registered."""
    shutil.copytree(recorded, folder, ignore=shutil.ignore_patterns("*.jsonl", "*.head", "checkpoint*"))
    return folder


def postgres_bank(recorded: Path, folder: Path, url: str) -> Path:
    """The same bank without its consents, moved to an empty PostgreSQL database, its documents in `folder`."""
    copied(recorded, folder)
    config = folder / "guard.yaml"
    text = config.read_text("utf-8").replace('"sqlite:///bank.db"', f'"{url}"').replace("{main:", "{retail:")
    config.write_text(text, "utf-8")
    with psycopg.connect(url) as raw, closing(sqlite3.connect(folder / "bank.db")) as lite:
        raw.execute("CREATE SCHEMA retail")
        catalogue = catalogues.load(folder / "catalogue.yaml")
        for table in TABLES:
            _move(raw, lite, table, _columns(catalogue, table))
    return folder


FEW: Final = frozenset(str(number) for number in range(1001, 1013))
"""The customers of whom there is one of each kind."""


def small_bank(recorded: Path, folder: Path, url: str) -> Bank:
    """The bank on PostgreSQL with the consents of `FEW` alone, two rows a batch."""
    config = postgres_bank(recorded, folder, url) / "guard.yaml"
    config.write_text(config.read_text("utf-8").replace("batch: 256", "batch: 2"), "utf-8")
    guard = Guard.load(config)
    guard.consents.record_many([one for one in example.consents() if one.subject in FEW])
    return Bank("postgres", folder, url, guard)


def _columns(catalogue: Catalogue, table: str) -> dict[str, str]:
    entry = {**catalogue.sources, **catalogue.public}[f"bank:retail.{table}"]
    if isinstance(entry, Source):
        return {name: _TYPES[one.type] for name, one in entry.fields.items()}
    return {name: _TYPES[one] for name, one in entry.fields.items()}


def _move(raw: Any, lite: sqlite3.Connection, table: str, columns: dict[str, str]) -> None:
    key = _KEYS.get(table, f"{table}_id")
    parts = [f'"{name}" {kind}{" PRIMARY KEY" if name == key else ""}' for name, kind in columns.items()]
    raw.execute(f"CREATE TABLE retail.{table} ({', '.join(parts)})".encode())
    names = ", ".join(f'"{name}"' for name in columns)
    flags: Sequence[bool] = [kind == "boolean" for kind in columns.values()]
    with raw.cursor().copy(f"COPY retail.{table} ({names}) FROM STDIN".encode()) as copy:
        for row in lite.execute(f"SELECT {names} FROM {table}"):
            copy.write_row([bool(cell) if flag else cell for cell, flag in zip(row, flags, strict=True)])


def loaded(kind: Kind, recorded: Path, folder: Path, request: pytest.FixtureRequest, limits: str) -> tuple[str, Guard]:
    """A copy of the recorded bank on either database, and the guard before it: where it lies, and the guard."""
    if kind == "sqlite":
        copied(recorded, folder)
        place = str(folder / "bank.db")
    else:
        place = request.getfixturevalue("postgres_url")
        postgres_bank(recorded, folder, place)
    if limits:
        config = folder / "guard.yaml"
        config.write_text(config.read_text("utf-8").replace("batch: 256", limits), "utf-8")
    return place, Guard.load(folder / "guard.yaml")
