"""What the pool holds instead of the driver's connection: a guarded one, with what SQLAlchemy itself asks of it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final, Self

import guard_sql
from guard.errors import Refused
from guard.facade import Guard
from guard_dbapi import GuardedConnection, GuardedCursor
from guard_dbapi.driver import Driver, Session

_PART: Final = re.compile(r"(SAVEPOINT|ROLLBACK TO SAVEPOINT|RELEASE SAVEPOINT) (sa_savepoint_[0-9]{1,9})", re.ASCII)
"""What SQLAlchemy itself says of savepoints, and under which names. Others are refused like any such statement."""


class Link(GuardedConnection):
    """A guarded connection of an engine.

    The methods that hand out more than rows do nothing where SQLAlchemy calls them by itself, else they are refused.
    """

    __slots__ = ("_parts",)

    def __init__(self, session: Session, guard: Guard, cache: guard_sql.PlanCache, behind: Driver) -> None:
        super().__init__(session, guard, cache, behind)
        self._parts: list[tuple[str, int]] = []

    def of(self, guard: Guard) -> bool:
        """Whether it belongs to this guard."""
        return self._guard is guard

    @property
    def dialect(self) -> str:
        """The dialect of the database behind it."""
        return self._driver.DIALECT

    def cursor(self, name: str | None = None) -> LinkCursor:
        """A new cursor. With a name it is one of the server."""
        return LinkCursor(self, self._session, self._unit, self._guard, self._cache, self._driver, name=name)

    def part(self, what: str, name: str) -> None:
        """Begins, undoes or keeps a savepoint of the program (`begin_nested`)."""
        names = [one for one, _ in self._parts]
        if what == "SAVEPOINT":
            if not self._session.in_transaction:
                # sqlite3 opens none by itself here, and the outermost RELEASE would be a COMMIT.
                self._unit.begun()
                self._session.start()
            self._session.control(f"SAVEPOINT {name}")
            self._parts.append((name, self._unit.transaction.point()))
            return
        if name not in names:
            raise Refused.own("GUARD-PROXY", "No such savepoint is open.")
        place = names.index(name)
        self._session.control(f"{what} {name}")
        if what == "RELEASE SAVEPOINT":
            del self._parts[place:]
            return
        del self._parts[place + 1 :]
        self._unit.undone(self._parts[place][1])

    def commit(self) -> None:
        """Commits."""
        self._parts.clear()
        super().commit()

    def rollback(self) -> None:
        """Rolls back. What was lost with its connection is rolled back already."""
        self._parts.clear()
        if self._session.closed:
            self._unit.ended(committed=False)
        else:
            super().rollback()

    def ping(self) -> bool:
        """Whether the database still answers (`pool_pre_ping`)."""
        if self._session.closed:
            return False
        if self._driver.DIALECT == "sqlite" or self._session.in_transaction:
            return True
        try:
            self._session.control("SELECT 1")
            self._unit.end(commit=False)
        except Refused:
            return False
        return True

    # --- What SQLAlchemy's dialects do with a new connection ---

    @property
    def driver_connection(self) -> Self:
        """Itself: there is nothing behind it that a program may have."""
        return self

    @property
    def broken(self) -> bool:
        """Whether it was closed, or broke."""
        return self.closed

    @property
    def deferrable(self) -> Any:
        """Whether transactions wait for a safe snapshot (psycopg)."""
        return self._session.mode("deferrable")

    @deferrable.setter
    def deferrable(self, value: Any) -> None:
        self._session.set_mode("deferrable", value)

    def add_notice_handler(self, *_: Any) -> None:
        """Does nothing: nobody hears what a trigger says."""

    def create_function(self, name: str, *_: Any, **__: Any) -> None:
        """Does nothing for those that SQLAlchemy brings along, which no guarded statement may call."""
        if name not in {"regexp", "floor"}:
            raise Refused.own("GUARD-PROXY", "A function of the program's could stand in for one of a mask's.")

    def xid(self, *_: Any) -> Any:
        """Refused: what is prepared would be committed by a connection that is not guarded."""
        raise Refused.own("GUARD-PROXY", "Two-phase transactions are not built.")

    tpc_begin = tpc_prepare = tpc_commit = tpc_rollback = tpc_recover = xid


class LinkCursor(GuardedCursor):
    """A guarded cursor that SQLAlchemy's savepoints come through as text."""

    __slots__ = ("_link",)

    def __init__(self, connection: Link, *rest: Any, name: str | None = None) -> None:
        super().__init__(connection, *rest, name=name)
        self._link: Final = connection

    def execute(self, sql: str, parameters: Any = None) -> Self:
        """Decides, rewrites and runs one statement."""
        found = _PART.fullmatch(sql) if type(sql) is str and not parameters else None
        if found is None:
            super().execute(sql, parameters)
        else:
            self._forget()
            self._link.part(found[1], found[2])
        return self

    def executemany(self, sql: str, parameters: Iterable[Any]) -> Self:
        """Runs a statement that writes for each of the parameters."""
        super().executemany(sql, parameters)
        return self
