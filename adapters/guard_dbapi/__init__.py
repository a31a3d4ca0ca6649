"""DB-API 2.0 under guard: `connect = guard_dbapi.wrap(psycopg.connect, guard, dialect="postgres")`.

What comes back looks like a connection of the driver and is none: it exposes an allow-list, and every
statement takes the road of `guard.enforce`. sqlite3 and psycopg 3 stand behind one seam, `guard_dbapi.driver`.
"""

from guard_dbapi.connection import GuardedConnection, connect, wrap
from guard_dbapi.cursor import GuardedCursor

__all__ = ["GuardedConnection", "GuardedCursor", "connect", "wrap"]
