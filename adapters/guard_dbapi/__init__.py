"""DB-API 2.0 under guard: `connect = guard_dbapi.wrap(psycopg.connect, guard, dialect="postgres")`.

What comes back looks like a connection of the driver and is none: it exposes an allow-list, and every
statement takes the road of `guard.enforce`. sqlite3 and psycopg 3 stand behind one seam, `guard_dbapi.driver`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from guard_dbapi.connection import GuardedConnection, connect, wrap
from guard_dbapi.cursor import GuardedCursor

if TYPE_CHECKING:
    from guard_dbapi.connection_async import AsyncGuardedConnection, wrap_async
    from guard_dbapi.cursor_async import AsyncGuardedCursor

__all__ = [
    "AsyncGuardedConnection",
    "AsyncGuardedCursor",
    "GuardedConnection",
    "GuardedCursor",
    "connect",
    "wrap",
    "wrap_async",
]

_ASYNC = frozenset({"AsyncGuardedConnection", "AsyncGuardedCursor", "wrap_async"})


def __getattr__(name: str) -> Any:
    """What stands on psycopg is loaded when it is asked for; Misuse where it is not installed."""
    if name not in _ASYNC:
        raise AttributeError(name)
    from guard_dbapi import driver  # noqa: PLC0415 -- not everybody has psycopg

    driver.driver("postgres")
    from guard_dbapi import connection_async, cursor_async  # noqa: PLC0415

    return getattr(cursor_async if name == "AsyncGuardedCursor" else connection_async, name)
