"""A guarded connection: an allow-list in front of the driver's own.

There is no `__getattr__`: what is not named here does not exist, since a passthrough is a side door
(`create_function` could redefine the functions of a mask, `backup` and `copy` carry the table out,
`executescript` runs what nobody read, a notice handler hears what a trigger says).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Final, Self, TypeAlias

import guard_sql
from guard.errors import Misuse, Refused
from guard.facade import Guard
from guard_dbapi.cursor import GuardedCursor
from guard_dbapi.driver import Driver, Session, driver, known, site_of
from guard_dbapi.unit import Unit

Connect: TypeAlias = Callable[..., Any]


def wrap(connect: Connect, guard: Guard, *, dialect: str) -> Callable[..., GuardedConnection]:
    """The driver's `connect`, guarded: call it as before.

    Raises Misuse for a dialect that is not built or whose parts are not installed, for connect arguments that
    would open a way around, and where the connection leads to another database than the consent ledger's.
    """
    if not callable(connect) or not isinstance(guard, Guard):
        raise Misuse("wrap takes the driver's connect function, such as sqlite3.connect, and then the Guard.")
    known(dialect)
    if guard.settings.database.dialect != dialect:
        raise Misuse(f"guard.yaml says that the database is {guard.settings.database.dialect!r}, not {dialect!r}.")
    behind = driver(dialect)
    site = site_of(guard)
    cache = guard_sql.PlanCache(site, size=guard.settings.limits.plans)

    def guarded(*args: Any, **keywords: Any) -> GuardedConnection:
        behind.arguments(args, keywords)
        session = behind.take(connect(*args, **keywords), guard, site)
        return GuardedConnection(session, guard, cache, behind)

    return guarded


def connect(guard: Guard, url: str | None = None) -> GuardedConnection:
    """A guarded connection to the database of guard.yaml, or to another URL of the same database."""
    dialect = guard.settings.database.dialect
    return wrap(driver(dialect).connect, guard, dialect=dialect)(url or guard.settings.database.url)


class GuardedConnection:
    """A PEP 249 connection whose statements are decided, rewritten and registered."""

    __slots__ = ("_cache", "_driver", "_guard", "_session", "_unit")

    def __init__(self, session: Session, guard: Guard, cache: guard_sql.PlanCache, behind: Driver) -> None:
        self._session: Final = session
        self._unit: Final = Unit(session, guard)
        self._guard: Final = guard
        self._cache: Final = cache
        self._driver: Final = behind

    def cursor(self, name: str | None = None) -> GuardedCursor:
        """A new cursor. With a name it is one of the server (psycopg): its rows are fetched as they are taken."""
        return GuardedCursor(self, self._session, self._unit, self._guard, self._cache, self._driver, name=name)

    def execute(self, sql: str, parameters: Any = None) -> GuardedCursor:
        """A new cursor on which the statement was executed."""
        return self.cursor().execute(sql, parameters)

    def commit(self) -> None:
        """Commits; the database's own error text does not come out."""
        self._unit.free()
        self._unit.end(commit=True)

    def rollback(self) -> None:
        """Rolls back."""
        self._unit.free()
        self._unit.end(commit=False)

    def transaction(self) -> AbstractContextManager[None]:
        """`with connection.transaction():` is a transaction, within one a savepoint: undone if its body raises."""
        return self._unit.block()

    def close(self) -> None:
        """Closes the connection and what was not fetched from it."""
        self._unit.close()

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self._session.closed

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        return self._session.in_transaction

    @property
    def isolation_level(self) -> Any:
        """How the driver begins transactions; guard never changes it."""
        return self._session.mode("isolation_level")

    @isolation_level.setter
    def isolation_level(self, value: Any) -> None:
        self._session.set_mode("isolation_level", value)

    @property
    def autocommit(self) -> Any:
        """Whether each statement is a transaction of its own (psycopg, and sqlite3 from Python 3.12 on)."""
        return self._session.mode("autocommit")

    @autocommit.setter
    def autocommit(self, value: Any) -> None:
        self._session.set_mode("autocommit", value)

    @property
    def read_only(self) -> Any:
        """Whether transactions may write (psycopg)."""
        return self._session.mode("read_only")

    @read_only.setter
    def read_only(self, value: Any) -> None:
        self._session.set_mode("read_only", value)

    def executemany(self, sql: str, parameters: Iterable[Any]) -> GuardedCursor:
        """A new cursor on which the statement was executed for each of the parameters."""
        return self.cursor().executemany(sql, parameters)

    def executescript(self, *_: Any) -> GuardedCursor:
        """Refused: a script is more than one statement."""
        raise Refused.own("GUARD-PROXY", "executescript runs several statements; execute one at a time.")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session.closed:
            return
        try:
            self._unit.end(commit=kind is None)
        except Refused:
            if kind is None:
                raise
            self.close()  # the database undoes it, and the error of the body comes out
        if self._driver.CLOSES:
            self.close()
