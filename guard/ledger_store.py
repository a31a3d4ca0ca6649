"""The ledger's own connections to an SQLite file that it shares with the program.

They never take part in a transaction of the program, leave the file's journal mode as it is, wait a bounded
time for another writer, and let nothing of what the database says about an error pass on.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable
from typing import Any, Final, TypeVar

import msgspec
from sqlalchemy import Connection, Engine, MetaData, create_engine, event, inspect
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, OperationalError, SQLAlchemyError
from sqlalchemy.pool import QueuePool
from sqlalchemy.schema import CreateIndex, CreateTable

from guard.errors import Misuse, Refused

V = TypeVar("V")

_BUSY: Final = "The database is locked: record or withdraw a consent before the transaction, or after it."
_UNUSABLE: Final = "The database cannot be read or written as a ledger."


class Store:
    """Connections to one SQLite file in which `tables` are made if they are not there.

    `wait` bounds in seconds how long a call waits for another writer; `fill` writes what new tables begin with.
    """

    def __init__(
        self, url: str | URL, tables: MetaData, wait: float, fill: Callable[[Connection], None] | None = None
    ) -> None:
        self._url = _address(url)
        self._wait = wait
        self._writing = threading.Lock()
        self._engine = self._connect()
        _OPEN.add(self)
        if self.run(_is_memory):
            raise Misuse(_NO_MEMORY)
        if not self.run(lambda connection: _complete(connection, tables)):
            self.write(lambda connection: _create(connection, tables, fill))

    def _connect(self) -> Engine:
        options = {"poolclass": QueuePool, "pool_timeout": self._wait, "hide_parameters": True}
        engine = create_engine(self._url, connect_args={"timeout": self._wait}, **options)
        event.listen(engine, "connect", _prepare)
        event.listen(engine, "begin", _begin)
        return engine

    def run(self, work: Callable[[Connection], V]) -> V:
        """Reads in one snapshot."""
        return self._shielded(work, writes=False)

    def write(self, work: Callable[[Connection], V]) -> V:
        """Reads and writes in one transaction that no other writer can interleave with."""
        if not self._writing.acquire(timeout=self._wait):
            raise Refused.own("GUARD-LEDGER", _BUSY)
        try:
            return self._shielded(work, writes=True)
        finally:
            self._writing.release()

    def _shielded(self, work: Callable[[Connection], V], *, writes: bool) -> V:
        """Runs a transaction. Nothing of what the database says passes on: it may quote what it was given."""
        try:
            with self._engine.connect() as raw:
                connection = raw.execution_options(guard_writes=writes)
                with connection.begin():
                    return work(connection)
        except OperationalError as error:
            locked = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF in {5, 6}  # SQLITE_BUSY, SQLITE_LOCKED
            problem = _BUSY if locked else _UNUSABLE
        except (SQLAlchemyError, msgspec.MsgspecError, KeyError, ValueError, OSError):
            problem = _UNUSABLE
        raise Refused.own("GUARD-LEDGER", problem)  # here, so that the database's error is not even its context

    def forked(self) -> None:
        """In a forked child: the parent's connections and locks are left alone."""
        self._writing = threading.Lock()
        self._engine.dispose(close=False)

    def close(self) -> None:
        """Closes the connections."""
        self._engine.dispose()


_NO_MEMORY: Final = "The ledger needs a database file: one in memory has no second connection."
_OPEN: weakref.WeakSet[Store] = weakref.WeakSet()


def _forked() -> None:
    for store in tuple(_OPEN):
        store.forked()


os.register_at_fork(after_in_child=_forked)


def _address(url: str | URL) -> URL:
    try:
        made = make_url(url)
    except ArgumentError:
        raise Misuse("The ledger's database is not a database URL such as sqlite:///bank.db.") from None
    if made.get_backend_name() != "sqlite":
        raise Misuse(f"A ledger on {made.get_backend_name()} is not built yet: use sqlite.")
    if made.database in (None, "", ":memory:"):
        raise Misuse(_NO_MEMORY)
    return made.set(drivername="sqlite+pysqlite")


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


def _is_memory(connection: Connection) -> bool:
    """Whether the main database has no file, however its URL spelt that."""
    rows = connection.exec_driver_sql("PRAGMA database_list").all()
    return not any(row[1] == "main" and row[2] for row in rows)


def _complete(connection: Connection, tables: MetaData) -> bool:
    """Whether all tables are there; refuses one that has our name and not our columns, or is a view."""
    seen = inspect(connection)
    names = set(seen.get_table_names())
    views = set(seen.get_view_names())
    for table in tables.sorted_tables:
        there = {column["name"] for column in seen.get_columns(table.name)} if table.name in names else None
        if table.name in views or (there is not None and there != {column.name for column in table.columns}):
            raise Refused.own("GUARD-LEDGER", f"The database has a {table.name} that is not the ledger's.")
    return {table.name for table in tables.sorted_tables} <= names


def _create(connection: Connection, tables: MetaData, fill: Callable[[Connection], None] | None) -> None:
    for table in tables.sorted_tables:
        connection.execute(CreateTable(table, if_not_exists=True))
        for index in table.indexes:
            connection.execute(CreateIndex(index, if_not_exists=True))
    if fill is not None:
        fill(connection)
