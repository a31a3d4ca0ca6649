"""A database for a ledger, of either kind, and a look at it past the ledger."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest


class Place:
    """`url` is what a ledger opens; `run` and `rows` go past it, one transaction each, with `:name` parameters."""

    kind: str
    url: str

    def rows(self, sql: str, parameters: Mapping[str, object] | None = None) -> list[tuple]:
        """The rows of a question."""
        raise NotImplementedError

    def run(self, *texts: str) -> None:
        """Texts that change something."""
        raise NotImplementedError


class OnSqlite(Place):
    """A file."""

    kind = "sqlite"

    def __init__(self, file: Path) -> None:
        self.file = file
        self.url = f"sqlite:///{file}"

    def rows(self, sql: str, parameters: Mapping[str, object] | None = None) -> list[tuple]:
        with closing(sqlite3.connect(self.file)) as connection:
            return connection.execute(sql, dict(parameters or {})).fetchall()

    def run(self, *texts: str) -> None:
        with closing(sqlite3.connect(self.file)) as connection, connection:
            for text in texts:
                connection.execute(text)


class OnPostgres(Place):
    """A database of a plain role; the ledger's tables need no schema here, the test's own lie in `public`."""

    kind = "postgres"

    def __init__(self, url: str) -> None:
        self.url = url
        self.name = url.partition("@/")[2].partition("?")[0]

    def connect(self, **options: Any) -> Any:
        import psycopg

        return psycopg.connect(self.url, options="-c search_path=guard,public", **options)

    def rows(self, sql: str, parameters: Mapping[str, object] | None = None) -> list[tuple]:
        import re

        text = re.sub(r"(?<![:\w]):(\w+)", r"%(\1)s", sql.replace("main.", ""))
        with closing(self.connect()) as connection:
            return connection.execute(text, parameters).fetchall()

    def run(self, *texts: str) -> None:
        with closing(self.connect(autocommit=True)) as connection:
            connection.execute("CREATE SCHEMA IF NOT EXISTS guard")
            for text in texts:
                connection.execute(text)


@pytest.fixture(params=["sqlite", "postgres"])
def places(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Place]:
    """Makes empty databases of one kind."""
    if request.param == "postgres":
        fresh = request.getfixturevalue("postgres_urls")
        return lambda: OnPostgres(fresh())
    numbers = iter(range(100))
    return lambda: OnSqlite(tmp_path / f"bank{next(numbers)}.db")


@pytest.fixture
def place(places: Callable[[], Place]) -> Place:
    """An empty database of each kind."""
    return places()
