"""The ledger's own connections to the database that it shares with the program.

They never take part in a transaction of the program, wait a bounded time for another writer, and let nothing of
what the database says about an error pass on. What differs between databases is a `Backend`.
"""

from __future__ import annotations

import importlib
import os
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from types import MappingProxyType
from typing import Any, Final, Protocol, TypeAlias, TypeVar

import msgspec
from sqlalchemy import Connection, Engine, MetaData
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.schema import CreateIndex, CreateTable

from guard.errors import Misuse, Refused

V = TypeVar("V")

Row: TypeAlias = tuple[Any, ...]

_BUSY: Final = "The database is locked: record or withdraw a consent before the transaction, or after it."
_UNUSABLE: Final = "The database cannot be read or written as a ledger: run guard check."
_BARRED: Final = (
    "This role may not use the ledger's tables, or not make them: run guard check, which says what it lacks."
)
_TRIES: Final = 2
"""A pooled connection may have died since it was used: what only reads is asked once more on a new one."""


class Backend(Protocol):
    """What a kind of database does in its own way."""

    schema: str | None
    """Where the ledger's tables are; None: where a connection begins."""

    def connect(self, url: URL, wait: float) -> Engine:
        """An engine whose connections are set up for a ledger; `wait` in seconds. Misuse if it cannot hold one."""
        ...

    def options(self, *, writes: bool) -> Mapping[str, Any]:
        """The execution options of a transaction: one snapshot to read in, or the only writer."""
        ...

    def began(self, connection: Connection, *, writes: bool) -> None:
        """The first thing in a transaction: a writer waits for its turn, so that what it reads is the newest."""
        ...

    def check(self, connection: Connection) -> None:
        """Misuse or Refused if this database cannot hold a ledger."""
        ...

    def tables(self, connection: Connection) -> Mapping[str, frozenset[str]]:
        """The columns of each table there, by name; none for what has a name and is no ordinary table."""
        ...

    def meddled(self, connection: Connection) -> str | None:
        """What on the ledger's tables is not the ledger's and could change what is kept there, and what to do."""
        ...

    def prepare(self, connection: Connection) -> None:
        """Makes the place of the tables, if need be."""
        ...

    def alone(self, raw: Any, *, on: bool) -> None:
        """Lets a driver's connection run one statement without a transaction around it, or again only within one."""
        ...

    def busy(self, error: DBAPIError) -> bool:
        """Whether another writer was in the way."""
        ...

    def barred(self, error: DBAPIError) -> bool:
        """Whether the role lacks a right."""
        ...


_BACKENDS: Final = MappingProxyType({"sqlite": "guard_ledger.sqlite", "postgresql": "guard_ledger.postgres"})


class Store:
    """Connections to one database in which `tables` are made if they are not there.

    `wait` bounds in seconds how long a call waits for another writer; `fill` writes what new tables begin with.
    """

    def __init__(
        self, url: str | URL, tables: MetaData, wait: float, fill: Callable[[Connection], None] | None = None
    ) -> None:
        address = _address(url)
        self._backend = _backend(address)
        self._wait = wait
        self._writing = threading.Lock()
        self._closed = False
        engine = self._backend.connect(address, wait)
        schema = self._backend.schema
        self._engine = engine if schema is None else engine.execution_options(schema_translate_map={None: schema})
        # At DEBUG, SQLAlchemy's logger would print rows: persons and their keys.
        self._engine._should_log_debug = lambda: False  # type: ignore[method-assign]  # noqa: SLF001 -- asked by it alone
        _OPEN.add(self)
        try:
            self.run(self._backend.check)
            if not self.run(lambda connection: self._complete(connection, tables)):
                self.write(lambda connection: self._create(connection, tables, fill))
        except BaseException:
            self.close()
            raise

    @property
    def kind(self) -> str:
        """The kind of database: sqlite or postgresql."""
        return self._engine.dialect.name

    def run(self, work: Callable[[Connection], V]) -> V:
        """Reads in one snapshot. `work` may be called twice."""
        return self._shielded(work, writes=False)

    def ask(self, sql: str, parameters: Mapping[str, Any]) -> list[Row]:
        """The rows of one text that reads, in the driver's own style. One statement is one snapshot.

        It goes past SQLAlchemy, which on SQLite takes four times as long as the statement, and needs no transaction.
        """
        return self._scrubbed(lambda: self._asked(sql, parameters), tries=_TRIES)

    def _asked(self, sql: str, parameters: Mapping[str, Any]) -> list[Row]:
        dialect, held = self._engine.dialect, None
        try:
            held = self._engine.raw_connection()
            self._backend.alone(held.dbapi_connection, on=True)
            with closing(held.cursor()) as cursor:
                cursor.execute(sql, parameters)
                rows = cursor.fetchall()
            self._backend.alone(held.dbapi_connection, on=False)
        except BaseException as raised:
            error: Any = raised
            driver_s = isinstance(error, dialect.loaded_dbapi.Error)
            lost = driver_s and dialect.is_disconnect(error, held and held.dbapi_connection, None)
            if held is not None:
                held.invalidate()  # whatever state it is in, nobody else gets it
            if driver_s:
                raise DBAPIError(None, None, error, hide_parameters=True, connection_invalidated=lost) from None
            raise
        held.close()
        return list(rows)

    def write(self, work: Callable[[Connection], V]) -> V:
        """Reads and writes in one transaction that no other writer can interleave with."""
        if not self._writing.acquire(timeout=self._wait):
            raise Refused.own("GUARD-LEDGER", _BUSY)
        try:
            return self._shielded(work, writes=True)
        finally:
            self._writing.release()

    def _shielded(self, work: Callable[[Connection], V], *, writes: bool) -> V:
        """Runs a transaction."""

        def running() -> V:
            with self._engine.connect() as raw:
                connection = raw.execution_options(**self._backend.options(writes=writes))
                with connection.begin():
                    self._backend.began(connection, writes=writes)
                    return work(connection)

        return self._scrubbed(running, tries=1 if writes else _TRIES)

    def _scrubbed(self, work: Callable[[], V], *, tries: int) -> V:
        """Nothing of what the database says passes on: it may quote what it was given."""
        if self._closed:
            raise Refused.own("GUARD-LEDGER", "It is closed.")
        problem = _UNUSABLE
        for _ in range(tries):
            try:
                return work()
            except DBAPIError as error:
                problem = _BUSY if self._backend.busy(error) else _BARRED if self._backend.barred(error) else _UNUSABLE
                lost = error.connection_invalidated
            except (SQLAlchemyError, msgspec.MsgspecError, KeyError, ValueError, OSError):
                lost = False
            if not lost:
                break
        raise Refused.own("GUARD-LEDGER", problem)  # here, so that the database's error is not even its context

    def _complete(self, connection: Connection, tables: MetaData) -> bool:
        """Whether all tables are there; refuses one that has our name and not our columns, or is no table."""
        self.sound(connection)
        there = self._backend.tables(connection)
        for table in tables.sorted_tables:
            columns = there.get(table.name)
            if columns is not None and columns != {column.name for column in table.columns}:
                raise Refused.own("GUARD-LEDGER", f"The database has a {table.name} that is not the ledger's.")
        return {table.name for table in tables.sorted_tables} <= there.keys()

    def sound(self, connection: Connection) -> None:
        """Refuses a ledger on whose tables somebody put what could change what is kept there."""
        problem = self._backend.meddled(connection)
        if problem is not None:
            raise Refused.own("GUARD-LEDGER", problem)

    def _create(self, connection: Connection, tables: MetaData, fill: Callable[[Connection], None] | None) -> None:
        self._backend.prepare(connection)
        for table in tables.sorted_tables:
            connection.execute(CreateTable(table, if_not_exists=True))
            for index in table.indexes:
                connection.execute(CreateIndex(index, if_not_exists=True))
        if fill is not None:
            fill(connection)

    def forked(self) -> None:
        """In a forked child: the parent's connections and locks are left alone."""
        self._writing = threading.Lock()
        self._engine.dispose(close=False)

    def close(self) -> None:
        """Closes the connections. What is asked afterwards is refused."""
        self._closed = True
        self._engine.dispose()


_OPEN: weakref.WeakSet[Store] = weakref.WeakSet()


def _forked() -> None:
    for store in tuple(_OPEN):
        store.forked()


os.register_at_fork(after_in_child=_forked)


def _address(url: str | URL) -> URL:
    try:
        return make_url(url)
    except ArgumentError:
        raise Misuse("The ledger's database is not a database URL such as sqlite:///bank.db.") from None


def _backend(url: URL) -> Backend:
    name = _BACKENDS.get(url.get_backend_name())
    if name is None:
        raise Misuse(f"A ledger on {url.get_backend_name()} is not built yet: use sqlite or postgresql.")
    module: Any = importlib.import_module(name)  # the other's is not loaded
    backend: Backend = module.BACKEND
    return backend


_CHUNK: Final = 500
"""Values in one IN list; SQLite bounds the parameters of a statement."""


def chunks(values: Iterable[V], size: int = _CHUNK) -> Iterator[list[V]]:
    """The values in runs of at most `size`."""
    listed = list(values)
    return (listed[start : start + size] for start in range(0, len(listed), size))
