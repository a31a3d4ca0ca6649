"""A guarded connection: an allow-list in front of the driver's own.

There is no `__getattr__`: what is not named here does not exist, since a passthrough is a side door
(`create_function` could redefine the functions of a mask, `backup` copies the file, `executescript` runs
what nobody read).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeAlias

import guard_sql
from guard.errors import Misuse, Refused
from guard.facade import Guard
from guard_dbapi.cursor import GuardedCursor
from guard_dbapi.raw import Raw

Connect: TypeAlias = Callable[..., sqlite3.Connection]

_KEYWORDS: Final = frozenset({"timeout", "isolation_level", "check_same_thread", "cached_statements"})
"""Arguments of sqlite3.connect that change nothing guard relies on. Not `factory` (hands out the raw
connection), `detect_types` (converters of the application), `autocommit` (opens read transactions, in
which a withdrawal would not be seen) or `uri` (`immutable=1` and `nolock=1` switch the locks off that make one
visible)."""


def wrap(connect: Connect, guard: Guard, *, dialect: str) -> Callable[..., GuardedConnection]:
    """The driver's `connect`, guarded: call it as before.

    Raises Misuse for a dialect that is not built, for connect arguments that would open a way around, and
    where the connection leads to another database than the consent ledger's.
    """
    if not callable(connect) or not isinstance(guard, Guard):
        raise Misuse("wrap takes the driver's connect function, such as sqlite3.connect, and then the Guard.")
    if dialect != "sqlite" or guard.settings.database.dialect != dialect:
        raise Misuse(
            f"guard_dbapi guards sqlite in this version, not {dialect!r}; guard.yaml says "
            f"{guard.settings.database.dialect!r}."
        )
    release, limits = guard.release, guard.settings.limits
    site = guard_sql.Site(
        dialect=dialect,
        holder=guard.settings.holder,
        schemas=guard.settings.database.schemas,
        catalogue=release.catalogue,
        statement=limits.statement,
        parameters=limits.parameters,
    )
    cache = guard_sql.PlanCache(site, size=limits.plans)

    def guarded(*args: Any, **keywords: Any) -> GuardedConnection:
        strange = keywords.keys() - _KEYWORDS - {"database"}
        if len(args) > 1 or strange:
            names = ", ".join(sorted(strange)) or "positional arguments after the first"
            raise Misuse(f"connect takes the database and {', '.join(sorted(_KEYWORDS))} here, not {names}.")
        raw = connect(*args, **keywords)
        try:
            _same_database(raw, guard)
        except Misuse:
            raw.close()
            raise
        return GuardedConnection(Raw(raw, site, limits.buffered), guard, cache)

    return guarded


def _same_database(raw: sqlite3.Connection, guard: Guard) -> None:
    """Grants and rows must be of one snapshot: this is the ledger's very file, not a copy of it with its mark."""
    try:
        row = raw.execute("SELECT value FROM main.guard_meta WHERE key = 'instance'").fetchone()
        files = [file for _, name, file in raw.execute("PRAGMA database_list") if name == "main"]
        expected = guard.settings.database.sqlite_file
        same = expected is not None and bool(files) and Path(files[0]).samefile(expected)
    except (sqlite3.Error, OSError):
        row, same = None, False
    if row is None or row[0] != guard.consents.instance or not same:
        raise Misuse(
            "This connection leads to another database than the consent ledger's, "
            f"{guard.settings.database.sqlite_file} (database.url in guard.yaml)."
        )


class GuardedConnection:
    """A PEP 249 connection whose statements are decided, rewritten and registered."""

    __slots__ = ("_cache", "_guard", "_raw")

    def __init__(self, raw: Raw, guard: Guard, cache: guard_sql.PlanCache) -> None:
        self._raw = raw
        self._guard = guard
        self._cache = cache

    def cursor(self) -> GuardedCursor:
        """A new cursor."""
        return GuardedCursor(self, self._raw, self._guard, self._cache)

    def execute(self, sql: str, parameters: Any = ()) -> GuardedCursor:
        """A new cursor on which the statement was executed (as sqlite3 does)."""
        return self.cursor().execute(sql, parameters)

    def commit(self) -> None:
        """Commits; the database's own error text does not come out."""
        self._raw.end(commit=True)

    def rollback(self) -> None:
        """Rolls back."""
        self._raw.end(commit=False)

    def close(self) -> None:
        """Closes the connection and what was not fetched from it."""
        self._raw.close()

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        return self._raw.in_transaction

    def executemany(self, *_: Any) -> GuardedCursor:
        """Refused: statements that write are not built yet."""
        raise Refused.own("GUARD-PROXY", "executemany is not built; execute one SELECT at a time.")

    def executescript(self, *_: Any) -> GuardedCursor:
        """Refused: a script is more than one statement."""
        raise Refused.own("GUARD-PROXY", "executescript runs several statements; execute one SELECT at a time.")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._raw.end(commit=kind is None)
