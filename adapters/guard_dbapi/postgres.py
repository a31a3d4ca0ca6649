"""psycopg 3 behind the seam. PostgreSQL's own parser (`pgparse`) is the witness: it reads every text once.

Texts are executed as they were witnessed, with `$1` for a parameter, so nothing is made of `%` in between.
The session searches no schema, and what it hears beside rows (notices, notifications) is not listened to.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from importlib.util import find_spec
from itertools import islice
from threading import RLock
from typing import Any, Final, TypeAlias, TypeVar

import psycopg
from psycopg.postgres import register_default_adapters
from psycopg.pq import Conninfo, TransactionStatus
from psycopg.rows import tuple_row

import guard_sql
from guard.effects import Row, Values
from guard.errors import Misuse, Refused
from guard.facade import Guard
from guard.model import Condition, Facts
from guard_dbapi import talk
from guard_dbapi.driver import Result, bounded
from guard_dbapi.talk import SAVEPOINT, Ask
from guard_sql import paramstyle
from guard_sql.world import quoted

if find_spec("pgparse") is None:
    raise ImportError("Without its witness no text runs.", name="pgparse")

T = TypeVar("T")
Connection: TypeAlias = "psycopg.Connection[Any]"

DIALECT: Final = "postgres"
PERCENT: Final = True
CLOSES: Final = True

MODES: Final = frozenset({"autocommit", "isolation_level", "read_only", "deferrable"})
"""How transactions begin."""

_ARGUMENTS: Final = frozenset(one.keyword.decode() for one in Conninfo.get_defaults()) - {"replication"} | {
    *("conninfo", "autocommit", "prepare_threshold"),
}
"""Arguments of psycopg.connect that change nothing guard relies on: what libpq connects with, and these. Not
`row_factory` (is shown hidden columns), `cursor_factory` or `context` (adapt parameters)."""


def arguments(given: Sequence[Any], keywords: Mapping[str, Any]) -> None:
    """Misuse for an argument of psycopg.connect that is not on the list."""
    strange = keywords.keys() - _ARGUMENTS
    if len(given) > 1 or strange:
        names = ", ".join(sorted(strange)) or "positional arguments after the first"
        raise Misuse(f"connect takes what libpq connects with, autocommit and prepare_threshold here, not {names}.")


def connect(url: str) -> Connection:
    """A connection to a `postgresql://` URL; SQLAlchemy's form of one names the driver too."""
    return psycopg.connect(f"postgresql://{url.partition('://')[2]}")


def quiet(raw: Any) -> None:
    """What a connection needs before its first text, sync or async; Misuse where it is none of PostgreSQL."""
    if raw.pgconn.transaction_status != TransactionStatus.IDLE or raw.info.vendor != "PostgreSQL":
        raise Misuse("connect has to give a new connection to PostgreSQL, outside a transaction.")
    # Nobody hears what a trigger says.
    raw.pgconn.notice_handler = raw.pgconn.notify_handler = None
    # The driver's own adapters, whatever the program registered: a parameter arrives as it was checked.
    register_default_adapters(raw)


def take(raw: Connection, guard: Guard, site: guard_sql.Site) -> PostgresSession:
    """Takes a connection; it is closed, and Misuse raised, where it leads to another database than the ledger's."""
    if not isinstance(raw, psycopg.Connection):
        raise Misuse("wrap takes the connect function of psycopg 3 for dialect 'postgres'.")
    session = PostgresSession(raw, site, guard.settings.limits.buffered)
    try:
        session.prepare(guard)
    except BaseException:
        session.close()
        raise
    return session


def why(raw: Any, error: Exception) -> str | None:
    """What may be said of a failure."""
    if raw.closed or raw.pgconn.transaction_status == TransactionStatus.UNKNOWN:
        return talk.LOST
    return talk.words(error.sqlstate if isinstance(error, psycopg.Error) else None)


def declared(name: str, sql: str) -> str:
    """A cursor of the server for this text."""
    return f"DECLARE {portal(name)} NO SCROLL CURSOR FOR {sql}"


def portal(name: str) -> str:
    """The name of a server-side cursor in SQL text."""
    if not isinstance(name, str) or "\0" in name or not 1 <= len(name.encode(errors="replace")) <= 63:
        raise Misuse("The name of a cursor has 1 to 63 bytes.")
    return quoted(name)


class State:
    """What a session knows of its connection without asking it, sync or async."""

    def __init__(self, raw: Any, site: guard_sql.Site, most: int) -> None:
        self._raw: Any = raw
        """The connection, None once it is closed."""
        self.site = site
        self._most = most
        self._written: set[str] = set()
        self.era = 0
        """How many transactions have ended: a cursor of the server is of one of them."""
        self._alone = False
        """Whether the open transaction is a savepoint's own, in autocommit."""

    def outlives(self, *, writing: bool) -> bool:  # noqa: ARG002 -- a read begins a transaction too
        """Every statement opens a transaction, unless in autocommit."""
        raw = self._raw
        return raw is not None and (not raw.autocommit or self.in_transaction)

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open, failed or not."""
        raw = self._raw
        return raw is not None and raw.pgconn.transaction_status not in _NO_TRANSACTION

    @property
    def sound(self) -> bool:
        """Whether a transaction is open that did not fail."""
        return self._raw is not None and self._raw.pgconn.transaction_status == TransactionStatus.INTRANS

    @property
    def closed(self) -> bool:
        """Whether it was closed, or broke."""
        return self._raw is None or self._raw.closed

    def mode(self, name: str) -> Any:
        """An attribute in `MODES`."""
        if name not in MODES:
            raise AttributeError(name)
        if self._raw is None:
            raise Misuse(talk.CLOSED)
        return getattr(self._raw, name)

    def settable(self, name: str) -> None:
        """Misuse where a mode cannot be set now."""
        self.mode(name)
        if self.in_transaction:
            raise Misuse(f"{name} is set outside a transaction; commit or roll back before.")

    def _declarable(self) -> None:
        if self.mode("autocommit") and not self.in_transaction:
            raise Misuse("A named cursor lives in a transaction; this connection is in autocommit.")

    def _parting(self, raw: Any) -> str:
        """How to begin what can be undone alone."""
        self._alone = raw.autocommit and raw.pgconn.transaction_status == TransactionStatus.IDLE
        return "BEGIN" if self._alone else f"SAVEPOINT {SAVEPOINT}"

    def _settling(self, raw: Any, *, keep: bool) -> tuple[str, ...]:
        """How to keep or undo it."""
        status = raw.pgconn.transaction_status
        if keep and status != TransactionStatus.INTRANS:
            raise psycopg.InternalError  # PostgreSQL would answer a COMMIT by rolling back
        if status == TransactionStatus.IDLE:
            return ()  # undone by PostgreSQL itself
        if self._alone:
            return ("COMMIT",) if keep else ("ROLLBACK",)
        release = f"RELEASE SAVEPOINT {SAVEPOINT}"
        return (release,) if keep else (f"ROLLBACK TO SAVEPOINT {SAVEPOINT}", release)

    def _whole(self) -> bool:
        """Whether a COMMIT would be one: PostgreSQL answers that of a failed transaction by rolling it back."""
        return self._raw is not None and self._raw.pgconn.transaction_status != TransactionStatus.INERROR


class PostgresSession(State):
    """A connection of psycopg. Safe between threads, as psycopg's is."""

    def __init__(self, raw: Connection, site: guard_sql.Site, most: int) -> None:
        super().__init__(raw, site, most)
        self._lock = RLock()
        self._cursor: psycopg.RawCursor[Row] | None = None
        """One for all texts: their rows are taken out of it at once."""

    def work(self, work: Callable[[Connection], T]) -> T:
        """Does the work; a failure comes out as a refusal without its text, raised outside the handler.

        `raise … from None` would still keep the original in `__context__`, with hidden values in its message.
        """
        with self._lock:
            raw: Connection | None = self._raw
            if raw is None:
                raise Refused.own("GUARD-DATABASE", talk.CLOSED)
            try:
                return work(raw)
            except Exception as error:  # noqa: BLE001 -- what fails to load a value may repeat it, whatever it raises
                detail = why(raw, error)
        raise Refused.own("GUARD-DATABASE", detail)

    def prepare(self, guard: Guard) -> None:
        """Pins the session's settings, for good: outside a transaction, which could be rolled back."""
        raw = self._raw
        if raw is None:
            return
        quiet(raw)
        autocommit = raw.autocommit
        self.work(lambda raw: setattr(raw, "autocommit", True))
        self._talk(talk.taken(guard, self.site))
        self.work(lambda raw: setattr(raw, "autocommit", autocommit))

    def _talk(self, talking: talk.Talk) -> None:
        """Walks an exchange."""
        try:
            ask = next(talking)
            while True:
                ask = talking.send(self._asked(ask))
        except StopIteration:
            return

    def _asked(self, ask: Ask) -> list[Row]:
        return self._rows(ask.sql, ask.parameters)

    def _rows(self, sql: str | bytes, values: Values = (), most: int | None = None) -> list[Row]:
        """The rows of one text with `$1` …, at most so many."""
        return self.work(lambda raw: self._all(raw, sql, values, most))

    def _all(self, raw: Connection, sql: str | bytes, values: Values = (), most: int | None = None) -> list[Row]:
        cursor = self._cursor
        if cursor is None:
            cursor = self._cursor = psycopg.RawCursor(raw, row_factory=tuple_row)
        cursor.execute(sql if isinstance(sql, bytes) else sql.encode(), values, prepare=preparable(values))
        if cursor.description is None:
            return []
        return cursor.fetchall() if most is None else cursor.fetchmany(most)

    # --- Statements ---

    def run(
        self,
        sql: str,
        parameters: Values,
        guarded: guard_sql.Guarded,
        *,
        name: str | None = None,
        writes: str | None = None,  # noqa: ARG002 -- the text was witnessed as the write that it is
    ) -> Result:
        """Runs it; without a name its rows are taken into memory."""
        sent, most = talk.witnessed(sql, guarded), self._most
        if name is not None:
            return self._declared(name, sql, parameters)
        left = iter(bounded(self._rows(sent, parameters, most + 1), most))
        return Result(lambda size: list(islice(left, size)))

    def _declared(self, name: str, sql: str, values: Values) -> Result:
        made = declared(name, sql)
        self._declarable()
        self._rows(made, values)
        era, ended = self.era, False

        def fetch(size: int) -> list[Row]:
            nonlocal ended
            if era != self.era:
                raise Refused.own("GUARD-DATABASE", talk.ENDED)
            if ended:
                return []
            rows = self._rows(f"FETCH FORWARD {int(size)} FROM {portal(name)}")
            ended = not rows
            if ended:
                self._rows(f"CLOSE {portal(name)}")
            return rows

        def close() -> None:
            nonlocal ended
            if ended or era != self.era:
                return
            ended = True
            if self.sound:
                self._rows(f"CLOSE {portal(name)}")

        return Result(fetch, close=close)

    def holds(self, source: str, condition: Condition, subjects: tuple[str, ...], facts: Facts) -> set[str]:
        """For whom of `subjects` the condition holds."""
        sql, parameters = guard_sql.holds(self.site, source, condition, subjects, facts)
        rows = self._rows(paramstyle.numbered(sql, tuple(parameters)), tuple(parameters.values()))
        return {key for (key,) in rows}

    def writable(self, source: str) -> None:
        """Asks once for the triggers, rules and foreign keys of the table that this source is."""
        if source not in self._written:
            self._talk(talk.effects(self.site, source))
            self._written.add(source)

    # --- Transactions ---

    def start(self) -> None:
        """BEGIN in autocommit; else psycopg does it with the first text."""
        if self.mode("autocommit"):
            self._rows("BEGIN")

    def control(self, sql: str) -> None:
        """Runs a text about savepoints."""
        self._rows(sql)

    def savepoint(self) -> None:
        """A savepoint; in autocommit a transaction of its own."""
        self.work(lambda raw: self._all(raw, self._parting(raw)))

    def settle(self, *, keep: bool) -> None:
        """Releases or undoes it."""

        def work(raw: Connection) -> None:
            for text in self._settling(raw, keep=keep):
                self._all(raw, text)

        try:
            self.work(work)
        except Refused as refused:
            refusal = refused
        else:
            return
        if not keep:
            self.close()  # the database undoes it
        raise refusal

    def end(self, *, commit: bool) -> bool:
        """Ends the transaction; whether it was committed."""
        whole = self._whole()
        self.era += 1
        self.work(lambda raw: raw.commit() if commit else raw.rollback())
        return commit and whole

    def set_mode(self, name: str, value: Any) -> None:
        """Sets one of them outside a transaction."""
        self.settable(name)
        self.work(lambda raw: setattr(raw, name, value))

    def close(self) -> None:
        """Closes it."""
        with self._lock:
            raw, self._raw = self._raw, None
            self.era += 1
        if raw is not None:
            raw.close()


_NO_TRANSACTION: Final = frozenset({TransactionStatus.IDLE, TransactionStatus.UNKNOWN})


def preparable(values: Values) -> bool | None:
    """False for numbers that a cast can fail over; None where psycopg may choose.

    The plan of a prepared statement can be one for all values. It casts a value where it meets it, so behind a
    comparison with a hidden one, and the error would tell of that; else the planner does it, whatever the rows are.
    """
    return False if any(type(one) in (Decimal, float) for one in values) else None
