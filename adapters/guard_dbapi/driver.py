"""The seam between the proxy and the database's own driver: one module a driver stands behind it.

A `Driver` says how a raw connection is made and taken; a `Session` is one that was taken. Whatever reaches the
raw connection from then on comes through the session, which runs guarded text only, lets the database's own
parser agree first, and lets no error text of the database out.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol, TypeAlias

import msgspec

import guard_sql
from guard.effects import Row, Values
from guard.errors import Misuse, Refused
from guard.facade import Guard
from guard.model import Condition, Decision, Facts
from guard.names import near

Take: TypeAlias = Callable[[int], list[Row]]
"""The next rows of a statement, at most so many, none at the end."""


class Result(msgspec.Struct, frozen=True):
    """What came of one text: its rows, and the row id that SQLite gave to what an INSERT wrote last."""

    take: Take
    lastrowid: int | None = None
    close: Callable[[], None] = lambda: None
    """Ends it before its last row."""


class Session(Protocol):
    """A raw connection that was taken into guard. Raises nothing but `Refused` and, for wrong use, `Misuse`."""

    site: guard_sql.Site

    def run(
        self,
        sql: str,
        parameters: Values,
        guarded: guard_sql.Guarded,
        *,
        name: str | None = None,
        writes: str | None = None,
    ) -> Result:
        """Runs a guarded text, once the database's own parser agrees.

        `name` is that of a server-side cursor; without one the rows are taken into memory, as many as
        `limits.buffered` lets. `writes` is the source that it writes.
        """
        ...

    def holds(self, source: str, condition: Condition, subjects: tuple[str, ...], facts: Facts) -> set[str]:
        """For whom of `subjects` the condition holds: a question of the guard's own."""
        ...

    def writable(self, table: str) -> None:
        """Refused, GUARD-SQL, where a write on this source would change other tables or run a trigger."""

    def outlives(self, *, writing: bool) -> bool:
        """Whether the next statement belongs to a transaction that is still open when it ended."""
        ...

    def start(self) -> None:
        """Opens a transaction, in autocommit too."""

    def control(self, sql: str) -> None:
        """Runs a text of the guard's own about savepoints."""

    def savepoint(self) -> None:
        """Begins what can be undone alone: a part of the transaction, which is opened if the driver would open one.

        In autocommit it is a transaction of its own.
        """

    def settle(self, *, keep: bool) -> None:
        """Keeps or undoes what happened since the savepoint. What cannot be undone ends with the connection."""

    def end(self, *, commit: bool) -> bool:
        """Ends the transaction; whether it was committed, which a failed transaction never is."""
        ...

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        ...

    @property
    def closed(self) -> bool:
        """Whether it was closed, or broke."""
        ...

    def mode(self, name: str) -> Any:
        """An attribute of the driver's connection that says how transactions begin; AttributeError if it has none."""
        ...

    def set_mode(self, name: str, value: Any) -> None:
        """Sets it; Misuse inside a transaction."""

    def close(self) -> None:
        """Closes it; later calls are refused."""


class Driver(Protocol):
    """What a driver's module offers."""

    DIALECT: str
    PERCENT: bool
    """Whether a statement with parameters is read with `%s` and `%(name)s`."""
    CLOSES: bool
    """Whether `with connection:` closes it at the end."""

    def arguments(self, given: Sequence[Any], keywords: Mapping[str, Any]) -> None:
        """Misuse for an argument of connect that opens a way around."""

    def connect(self, url: str) -> Any:
        """A raw connection to the database of a URL, as guard.yaml has it."""
        ...

    def take(self, raw: Any, guard: Guard, site: guard_sql.Site) -> Session:
        """Takes a raw connection; Misuse where it leads to another database than the ledger's. Closes it then."""
        ...


_MODULES: Final = {"sqlite": "guard_dbapi.sqlite", "postgres": "guard_dbapi.postgres"}


def known(dialect: str) -> str:
    """The module of a dialect's driver; Misuse where there is none, with the dialects that there are."""
    name = _MODULES.get(dialect)
    if name is None:
        found = near(str(dialect), _MODULES)
        hint = "" if found is None else f" Did you mean {found!r}?"
        raise Misuse(f"guard_dbapi guards {' and '.join(sorted(_MODULES))}, not {dialect!r}.{hint}")
    return name


def driver(dialect: str) -> Driver:
    """The driver of a dialect; Misuse where there is none, or where what it stands on is not installed."""
    name = known(dialect)
    try:
        module: Any = importlib.import_module(name)
    except ImportError as missing:
        what = missing.name
    else:
        found: Driver = module
        return found
    raise Misuse(
        f"Guarding {dialect} takes {what}, which is not installed: pip install 'personal-data-guard[{dialect}]'."
    )


def site_of(guard: Guard) -> guard_sql.Site:
    """Where the statements of this guard run."""
    limits = guard.settings.limits
    return guard_sql.Site(
        dialect=guard.settings.database.dialect,
        holder=guard.settings.holder,
        schemas=guard.settings.database.schemas,
        catalogue=guard.active.catalogue,
        statement=limits.statement,
        parameters=limits.parameters,
    )


def bounded(rows: Sequence[Row], most: int) -> Sequence[Row]:
    """The rows, of which one more than `most` was asked for."""
    if len(rows) > most:
        raise Refused.own("GUARD-LIMIT", f"More than {most} rows; ask for fewer at once.")
    return rows


class Statement:
    """One guarded statement on a session: the `Database` and the `Scope` of `guard.drive`."""

    __slots__ = ("_name", "_session", "_writes", "decision", "guarded", "lastrowid", "parted", "result", "text")

    def __init__(self, session: Session, *, name: str | None = None, writes: str | None = None) -> None:
        self._session = session
        self._name = name
        self._writes = writes
        self.result = Result(lambda _: [])
        self.text: str | None = None
        """The guarded text that ran last, None before."""
        self.lastrowid: int | None = None
        self.parted = False
        """Whether a savepoint was neither kept nor undone yet."""
        self.decision: Decision | None = None
        self.guarded: guard_sql.Guarded | None = None
        """What the text that runs next is a form of."""

    def execute(self, sql: str, parameters: Values) -> None:
        """Runs it."""
        if self.guarded is None:
            raise Misuse("A statement runs once it is guarded.")
        self.text = sql
        self.result = self._session.run(sql, parameters, self.guarded, name=self._name, writes=self._writes)
        self.lastrowid = self.result.lastrowid

    def fetch(self, size: int) -> list[Row]:
        """The next rows."""
        return self.result.take(size)

    def holds(self, source: str, condition: Condition, subjects: tuple[str, ...], facts: Facts) -> set[str]:
        """For whom of `subjects` the condition holds."""
        return self._session.holds(source, condition, subjects, facts)

    def savepoint(self) -> None:
        """Begins what can be undone alone."""
        self.parted = True  # before it is: what ends it meanwhile leaves nothing open
        try:
            self._session.savepoint()
        except Refused:
            self.parted = False
            raise

    def settle(self, keep: bool) -> None:
        """Keeps or undoes it."""
        self._session.settle(keep=keep)
        self.parted = False

    def close(self) -> None:
        """Rows that were not taken never are."""
        self.result.close()
