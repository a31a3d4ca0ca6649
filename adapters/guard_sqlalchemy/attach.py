"""Putting a guard before an engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar
from weakref import WeakKeyDictionary

from sqlalchemy import Engine, event
from sqlalchemy.engine import Connection, ExceptionContext
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool.base import _AdhocProxiedConnection

import guard_sql
from guard.errors import Misuse, Refused
from guard.facade import Guard
from guard_dbapi.driver import Driver, driver, site_of
from guard_sqlalchemy.awaited import AwaitedLink
from guard_sqlalchemy.link import Link
from guard_sqlalchemy.sessions import Contexts

E = TypeVar("E")

_DRIVERS: Final[Mapping[tuple[str, str], str]] = {
    ("sqlite", "pysqlite"): "sqlite",
    ("sqlite", "aiosqlite"): "sqlite",
    ("postgresql", "psycopg"): "postgres",
    ("postgresql", "psycopg_async"): "postgres",
}
"""Which of SQLAlchemy's dialects and drivers are guarded, as which dialect."""

_ATTACHED: Final[WeakKeyDictionary[Any, Guard]] = WeakKeyDictionary()
"""The dialect of each guarded engine: an engine shares it with what `execution_options` makes of it."""

_SESSIONS: Final = Contexts(lambda engine: _ATTACHED.get(engine.dialect))


def attach(engine: E, guard: Guard) -> E:
    """The same engine, guarded from now on: an `Engine`, or an `AsyncEngine`. Attach it before it is used.

    Misuse for a driver that is not guarded or not installed, another database than guard.yaml's, and an engine
    that was attached or used before.
    """
    sync = getattr(engine, "sync_engine", engine)
    if not isinstance(sync, Engine) or not isinstance(guard, Guard):
        raise Misuse("attach takes an Engine or an AsyncEngine, and then the Guard.")
    dialect: Any = sync.dialect
    if dialect in _ATTACHED:
        raise Misuse("This engine is guarded already.")
    named = _DRIVERS.get((dialect.name, dialect.driver))
    if named is None:
        offered = ", ".join(sorted({f"{one}+{by.removesuffix('_async')}" for one, by in _DRIVERS}))
        raise Misuse(f"guard_sqlalchemy guards {offered}, not {dialect.name}+{dialect.driver}.")
    if guard.settings.database.dialect != named:
        raise Misuse(f"guard.yaml says that the database is {guard.settings.database.dialect!r}, not {named!r}.")
    opening = Opening(sync, guard, driver(named))
    _SESSIONS.listen()
    _ATTACHED[dialect] = guard
    _settle(dialect)
    _quiet(sync)
    event.listen(sync, "set_engine_execution_options", lambda made, _: _quiet(made))
    event.listen(sync, "do_connect", opening.connect, insert=True)
    event.listen(sync.pool, "connect", opening.check, insert=True)
    event.listen(sync.pool, "checkout", opening.check_out, insert=True)
    event.listen(sync, "handle_error", _unwrapped, retval=True)
    event.listen(sync, "begin_twophase", _two_phase)
    event.listen(sync, "prepare_twophase", _two_phase)
    return engine


def _unwrapped(context: ExceptionContext) -> BaseException | None:
    """A refusal comes out as one, also where SQLAlchemy wraps what happened while it asked for a key."""
    refused = context.original_exception
    if context.sqlalchemy_exception is None or not isinstance(refused, Refused):
        return None
    # Another one: what is raised from itself has no end for who walks its causes.
    same = type(refused).__new__(type(refused), *refused.args)
    vars(same).update(vars(refused))
    return same


def _two_phase(*_: Any) -> None:
    raise Refused.own("GUARD-PROXY", "Two-phase transactions are not built.")


def _quiet(engine: Any) -> None:
    """No value comes into a log or an error's text: neither parameters nor, at echo="debug", rows."""
    engine.hide_parameters = True
    engine._should_log_debug = lambda: False  # noqa: SLF001 -- the one place that decides it
    engine.clear_compiled_cache()


def _settle(dialect: Any) -> None:
    """What the dialect does by itself is what guarded statements can do; said again once it knows its database."""
    # A text with RETURNING would be shown rows that it wrote before they are registered.
    for name in (
        *("insert_returning", "update_returning", "delete_returning", "use_insertmanyvalues"),
        *("insert_executemany_returning", "insert_executemany_returning_sort_by_parameter_order"),
        *("update_executemany_returning", "delete_executemany_returning", "use_native_hstore"),
    ):
        if hasattr(dialect, name):
            setattr(dialect, name, False)
    if hasattr(dialect, "favor_returning_over_lastrowid"):
        dialect.favor_returning_over_lastrowid = False


def _hand(dialect: Any) -> None:
    """What the dialect asks of a connection is asked of a guarded one, from now on."""
    dialect.do_ping = lambda link: link.ping()
    dialect.get_driver_connection = lambda link: link
    dialect.initialize = lambda _: None
    if dialect.name == "sqlite":
        dialect.set_isolation_level = _set_sqlite_level
    level, asked = _LEVELS[dialect.name], dialect.get_isolation_level
    # Another task may still be asking a connection of its own what this one knows by now.
    dialect.get_isolation_level = lambda one: (
        level(one, dialect.default_isolation_level) if isinstance(one, Link | AwaitedLink) else asked(one)
    )


def _set_sqlite_level(link: Any, level: str) -> None:
    """AUTOCOMMIT or SERIALIZABLE: what others wrote and may yet undo is not read."""
    if level not in {"AUTOCOMMIT", "SERIALIZABLE"}:
        raise Misuse("The isolation level of SQLite is SERIALIZABLE or AUTOCOMMIT here.")
    link.isolation_level = None if level == "AUTOCOMMIT" else ""


def _sqlite_level(link: Any, default: str) -> str:
    return "AUTOCOMMIT" if link.isolation_level is None else default


def _postgres_level(link: Any, default: str) -> str:
    if link.autocommit:
        return "AUTOCOMMIT"
    level = link.isolation_level
    return default if level is None else level.name.replace("_", " ")


_LEVELS: Final[Mapping[str, Callable[[Any, str], str]]] = {"sqlite": _sqlite_level, "postgresql": _postgres_level}
"""How each dialect's connections say their isolation level."""


class Opening:
    """How an engine comes to its connections."""

    def __init__(self, engine: Engine, guard: Guard, behind: Driver) -> None:
        self._engine: Final = engine
        self._guard: Final = guard
        self._behind: Final = behind
        self._site: Final = site_of(guard)
        self._cache: Final = guard_sql.PlanCache(self._site, size=guard.settings.limits.plans)
        self._known = False

    def connect(self, dialect: Any, _record: Any, cargs: tuple[Any, ...], cparams: dict[str, Any]) -> Any:
        """A guarded connection in place of the driver's."""
        given = {name: value for name, value in cparams.items() if name != "context"}  # the driver's own adapters
        if dialect.is_async and self._behind.DIALECT == "sqlite":
            given["check_same_thread"] = False  # one thread for all, but not the one that connects
        self._behind.arguments(cargs, given)
        self._know(dialect, cargs, cparams)
        opening = self._opening(cargs, given)
        return AwaitedLink(opening) if dialect.is_async else opening()

    def _opening(self, cargs: tuple[Any, ...], given: dict[str, Any]) -> Callable[[], Link]:
        behind = self._behind

        def opening() -> Link:
            raw = self._dialled(cargs, given)
            return Link(behind.take(raw, self._guard, self._site), self._guard, self._cache, behind)

        return opening

    def _dialled(self, cargs: tuple[Any, ...], given: dict[str, Any]) -> Any:
        """The driver's connection; its own words stay inside."""
        module = __import__("sqlite3" if self._behind.DIALECT == "sqlite" else "psycopg")
        try:
            return module.connect(*cargs, **given)
        except (module.Error, OSError):
            failed = True
        if failed:
            raise Refused.own("GUARD-DATABASE", "It cannot be connected to.")
        return None

    def _know(self, dialect: Any, cargs: tuple[Any, ...], cparams: dict[str, Any]) -> None:
        """Lets the dialect ask once what it wants to know of its database, on a connection of its own."""
        if self._known:
            return
        raw: Any = None
        failed: Refused | None = None
        try:
            raw = dialect.connect(*cargs, **cparams)
            about = Connection(
                self._engine,
                connection=_AdhocProxiedConnection(raw, None),  # type: ignore[arg-type]  # as SQLAlchemy itself does it
                _has_events=False,
                _allow_revalidate=False,
                _allow_autobegin=False,
            )
            dialect.initialize(about)
        except (dialect.loaded_dbapi.Error, OSError):
            failed = Refused.own("GUARD-DATABASE", "It cannot be connected to.")
        finally:
            if raw is not None:
                raw.close()
        if failed is not None:
            raise failed
        _settle(dialect)
        _hand(dialect)
        self._known = True

    def check(self, dbapi_connection: Any, *_: Any) -> None:
        """Whatever else the pool was given is refused."""
        if type(dbapi_connection) not in (Link, AwaitedLink) or not dbapi_connection.of(self._guard):
            raise Misuse("The engine is attached before it is used, and makes its connections itself (no creator=).")

    def check_out(self, dbapi_connection: Any, record: Any, fairy: Any) -> None:  # noqa: ARG002 -- SQLAlchemy asks for them by name
        """Nor is one lent that is lost."""
        self.check(dbapi_connection)
        if dbapi_connection.closed:
            raise DisconnectionError
