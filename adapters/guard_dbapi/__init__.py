"""DB-API 2.0 under guard: `connect = guard_dbapi.wrap(sqlite3.connect, guard, dialect="sqlite")`.

What comes back looks like a connection of the driver and is none: it exposes an allow-list, and every
statement takes the road of `guard.enforce`. sqlite3 is built; other drivers are not yet.
"""

from guard_dbapi.connection import GuardedConnection, wrap
from guard_dbapi.cursor import GuardedCursor

__all__ = ["GuardedConnection", "GuardedCursor", "wrap"]
