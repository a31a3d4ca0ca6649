"""SQLAlchemy under guard: `engine = guard_sqlalchemy.attach(create_engine(url), guard)`.

Core, ORM and text, sync and async. The engine's pool holds guarded connections only, so whatever a program takes
from it (`raw_connection()`, `driver_connection`, a pool event) leads to the road of `guard.enforce` too.
"""

from guard_sqlalchemy.attach import attach

__all__ = ["attach"]
