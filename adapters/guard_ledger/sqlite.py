"""A ledger in an SQLite file that it shares with the program, whose journal mode stays as it is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event, inspect
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import QueuePool

from guard.errors import Misuse

_NO_MEMORY: Final = "The ledger needs a database file: one in memory has no second connection."


class Sqlite:
    """The backend."""

    schema = None

    def connect(self, url: URL, wait: float) -> Engine:
        """See `Backend`."""
        if url.database in (None, "", ":memory:"):
            raise Misuse(_NO_MEMORY)
        options = {"poolclass": QueuePool, "pool_timeout": wait, "hide_parameters": True}
        engine = create_engine(url.set(drivername="sqlite+pysqlite"), connect_args={"timeout": wait}, **options)
        event.listen(engine, "connect", _prepare)
        event.listen(engine, "begin", _begin)
        return engine

    def options(self, *, writes: bool) -> Mapping[str, Any]:
        """See `Backend`."""
        return {"guard_writes": writes}

    def began(self, connection: Connection, *, writes: bool) -> None:
        """Nothing: how it begins is its turn."""

    def check(self, connection: Connection) -> None:
        """Misuse where the main database has no file, however its URL spelt that."""
        rows = connection.exec_driver_sql("PRAGMA database_list").all()
        if not any(row[1] == "main" and row[2] for row in rows):
            raise Misuse(_NO_MEMORY)

    def tables(self, connection: Connection) -> Mapping[str, frozenset[str]]:
        """See `Backend`."""
        seen = inspect(connection)
        found = {name: frozenset(str(one["name"]) for one in seen.get_columns(name)) for name in seen.get_table_names()}
        return {**found, **{name: frozenset() for name in seen.get_view_names()}}

    def meddled(self, connection: Connection) -> str | None:
        """See `Backend`. A file has no owner that the database knows."""
        return meddled(connection.exec_driver_sql(TRIGGERS).all())

    def prepare(self, connection: Connection) -> None:
        """Nothing: the tables lie in the main database."""

    def alone(self, raw: Any, *, on: bool) -> None:
        """Nothing: a statement that reads begins no transaction."""

    def busy(self, error: DBAPIError) -> bool:
        """See `Backend`."""
        return getattr(error.orig, "sqlite_errorcode", 0) & 0xFF in {5, 6}  # SQLITE_BUSY, SQLITE_LOCKED

    def barred(self, error: DBAPIError) -> bool:
        """See `Backend`. SQLite has no roles: the file may not be written."""
        return getattr(error.orig, "sqlite_errorcode", 0) & 0xFF == 8  # SQLITE_READONLY


BACKEND: Final = Sqlite()


TRIGGERS: Final = (
    "SELECT tbl_name FROM main.sqlite_master WHERE type = 'trigger'"
    " UNION ALL SELECT tbl_name FROM temp.sqlite_master WHERE type = 'trigger'"
)
"""The tables that have triggers, those of this one connection among them."""


def meddled(triggers: Iterable[Sequence[Any]]) -> str | None:
    """What `TRIGGERS` found that stands on the ledger's tables, and what to do."""
    tables = sorted({str(name).lower() for (name,) in triggers if str(name).lower().startswith("guard_")})
    if not tables:
        return None
    return f"A trigger on {', '.join(tables)} is not the ledger's: drop it, and see what it has changed there."


def _prepare(connection: Any, _record: object) -> None:
    """A new connection: a commit is durable, deleted bytes are overwritten."""
    cursor = connection.cursor()
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA secure_delete = ON")
    cursor.execute("PRAGMA trusted_schema = OFF")
    cursor.close()


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get("guard_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
