"""sqlite3 behind the seam. SQLite's authorizer is the witness: it is asked what every text reads and writes.

One authorizer stays on the connection for good and denies by default, so what reaches the connection past the
adapter is refused by the database itself.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing, suppress
from itertools import islice
from pathlib import Path
from threading import RLock
from typing import Any, Final, TypeAlias, TypeVar

import guard_sql
from guard.effects import Row, Values
from guard.errors import Misuse, Refused
from guard.facade import Guard
from guard.model import Condition, Facts
from guard_dbapi.driver import Result, bounded
from guard_ledger.sqlite import TRIGGERS, meddled
from guard_sql.witness import FUNCTIONS
from guard_sql.world import fold, quoted

T = TypeVar("T")

DIALECT: Final = "sqlite"
PERCENT: Final = False
CLOSES: Final = False

_ARGUMENTS: Final = frozenset({"timeout", "isolation_level", "check_same_thread", "cached_statements", "autocommit"})
"""Arguments of sqlite3.connect that change nothing guard relies on. Not `factory` (hands out the raw
connection), `detect_types` (converters of the application) or `uri` (`immutable=1` and `nolock=1` switch the
locks off that make a withdrawal visible)."""

_LEVELS: Final = frozenset({None, "", "DEFERRED", "IMMEDIATE", "EXCLUSIVE"})
_SAVEPOINT: Final = "guard_part"
_CLOSED: Final = "The connection is closed."

Authorizer: TypeAlias = Callable[[int, str | None, str | None, str | None, str | None], int]
"""SQLite's authorizer: action, two names, schema, and the view or trigger that it comes from; 0 allows, 1 denies."""

_PRAGMA: Final = 19
_TRANSACTION: Final = 22
_SAVE: Final = 32


def nobody(*_: object) -> int:
    """Allows nothing: what reaches the connection past the adapter is refused by the database itself."""
    return sqlite3.SQLITE_DENY


def own(action: int, _first: str | None, second: str | None, _schema: str | None, inner: str | None) -> int:
    """Allows the guard's own questions, which hold no text of the program: reads, and the functions of conditions."""
    allowed = action in (sqlite3.SQLITE_READ, sqlite3.SQLITE_SELECT) or (
        action == sqlite3.SQLITE_FUNCTION and second in FUNCTIONS
    )
    return sqlite3.SQLITE_OK if allowed and inner is None else sqlite3.SQLITE_DENY


def control(action: int, *_: object) -> int:
    """Allows beginning and ending transactions and their parts."""
    return sqlite3.SQLITE_OK if action in (_TRANSACTION, _SAVE) else sqlite3.SQLITE_DENY


def _schema(action: int, first: str | None, second: str | None, _schema: str | None, _inner: str | None) -> int:
    """Allows asking which triggers and foreign keys there are."""
    allowed = (
        action == sqlite3.SQLITE_SELECT
        or (action == sqlite3.SQLITE_READ and first == "sqlite_master")
        or (action == _PRAGMA and (first in {"foreign_key_list", "table_info"} or (first, second) == _SETTING))
    )
    return sqlite3.SQLITE_OK if allowed else sqlite3.SQLITE_DENY


_SETTING: Final = ("foreign_keys", None)


def arguments(given: Sequence[Any], keywords: Mapping[str, Any]) -> None:
    """Misuse for an argument of sqlite3.connect that is not on the list."""
    strange = keywords.keys() - _ARGUMENTS - {"database"}
    if len(given) > 1 or strange:
        names = ", ".join(sorted(strange)) or "positional arguments after the first"
        raise Misuse(f"connect takes the database and {', '.join(sorted(_ARGUMENTS))} here, not {names}.")


def connect(url: str) -> sqlite3.Connection:
    """A connection to the file of an SQLite URL."""
    return sqlite3.connect(url.partition(":///")[2])


def take(raw: sqlite3.Connection, guard: Guard, site: guard_sql.Site) -> SqliteSession:
    """Takes a connection; it is closed, and Misuse raised, where it leads to another database than the ledger's.

    Refused GUARD-LEDGER where triggers, be they this connection's alone, stand on the ledger's tables.
    """
    if not isinstance(raw, sqlite3.Connection):
        raise Misuse("wrap takes the connect function of sqlite3 for dialect 'sqlite'.")
    if raw.in_transaction and getattr(raw, "autocommit", -1) is not False:
        raw.close()
        raise Misuse("connect has to give a new connection, outside a transaction.")
    if not _same_database(raw, guard):
        raw.close()
        raise Misuse(
            "This connection leads to another database than the consent ledger's, "
            f"{guard.settings.database.sqlite_file} (database.url in guard.yaml)."
        )
    problem = meddled(raw.execute(TRIGGERS).fetchall())
    if problem is not None:
        raw.close()
        raise Refused.own("GUARD-LEDGER", problem)
    return SqliteSession(raw, site, guard.settings.limits.buffered)


def _why(error: Exception) -> str | None:
    """What may be said of a failure: nothing that depends on a stored value."""
    if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY:
        return "Another writer holds the database; try again."
    if str(error).startswith(("no such table: ", "no such column: ")):
        return "It lacks a table or column that is there as the catalogue says: run guard check."
    return None


def _same_database(raw: sqlite3.Connection, guard: Guard) -> bool:
    """Grants and rows must be of one snapshot: this is the ledger's very file, not a copy of it with its mark."""
    expected = guard.settings.database.sqlite_file
    try:
        row = raw.execute("SELECT value FROM main.guard_meta WHERE key = 'instance'").fetchone()
        files = [file for _, name, file in raw.execute("PRAGMA database_list") if name == "main"]
        same = expected is not None and bool(files) and Path(files[0]).samefile(expected)
    except (sqlite3.Error, OSError):
        return False
    return same and row is not None and row[0] == guard.consents.instance


class SqliteSession:
    """A connection of sqlite3. Safe between threads where the connection is (`check_same_thread=False`).

    A read takes all its rows at once, so that no cursor stays open: SQLite keeps a snapshot while one is, the
    next statement of this connection would see the old one, in which a consent withdrawn in between still
    counts, and without a write-ahead log the reader would keep the ledger from recording the withdrawal at all.
    """

    def __init__(self, raw: sqlite3.Connection, site: guard_sql.Site, most: int) -> None:
        self._raw: sqlite3.Connection | None = raw
        self.site = site
        self._most = most
        self._lock = RLock()
        self._authorizer: Authorizer = nobody
        self._denied = False
        self._keys: dict[str, frozenset[tuple[str, str]]] = {}
        # Met for the first time, json_each is declared in the schema: done here, before nothing of it may be touched.
        raw.execute("SELECT 1 FROM json_each('[]')").close()
        if raw.in_transaction:
            raw.rollback()  # of `autocommit=False`: else the snapshot of these questions would be that of the program's
        # One authorizer for good: setting one makes SQLite prepare its cached statements anew.
        raw.set_authorizer(self._authorize)

    def _authorize(
        self, action: int, first: str | None, second: str | None, schema: str | None, inner: str | None
    ) -> int:
        answer = self._authorizer(action, first, second, schema, inner)
        self._denied |= answer != sqlite3.SQLITE_OK
        return answer

    def work(self, work: Callable[[sqlite3.Connection], T], authorizer: Authorizer) -> T:
        """Does the work, as far as the authorizer lets SQLite; a failure comes out as a refusal without its text.

        GUARD-WITNESS where SQLite reads another table, column or function than planned, else GUARD-DATABASE.

        The refusal is raised outside the handler: `raise … from None` would still keep the original in
        `__context__`, with hidden values in its message.
        """
        with self._lock:
            raw = self._raw
            if raw is None:
                raise Refused.own("GUARD-DATABASE", _CLOSED)
            self._authorizer, self._denied = authorizer, False
            try:
                return work(raw)
            except (sqlite3.Error, sqlite3.Warning, OverflowError, UnicodeError, MemoryError) as error:
                detail = _why(error)
            finally:
                self._authorizer = nobody
            denied = self._denied
        if denied:
            raise Refused.own("GUARD-WITNESS")
        raise Refused.own("GUARD-DATABASE", detail)

    # --- Statements ---

    def run(
        self,
        sql: str,
        parameters: Values,
        guarded: guard_sql.Guarded,
        *,
        name: str | None = None,
        writes: str | None = None,
    ) -> Result:
        """Runs it and takes its rows into memory."""
        if name is not None:
            raise Misuse("sqlite3 has no named cursors.")
        bound, most = dict(parameters), self._most
        witness: Authorizer = guarded.witness
        if writes is not None and (keys := self._keys.get(writes)):
            witness = _besides(witness, keys)

        def work(raw: sqlite3.Connection) -> tuple[list[Row], int | None]:
            with closing(raw.execute(sql, bound)) as cursor:
                return cursor.fetchmany(most + 1), cursor.lastrowid

        rows, lastrowid = self.work(work, witness)
        left = iter(bounded(rows, most))
        return Result(lambda size: list(islice(left, size)), lastrowid)

    def holds(self, source: str, condition: Condition, subjects: tuple[str, ...], facts: Facts) -> set[str]:
        """For whom of `subjects` the condition holds."""
        sql, parameters = guard_sql.holds(self.site, source, condition, subjects, facts)
        rows = self.work(lambda raw: raw.execute(sql, parameters).fetchall(), own)
        return {key for (key,) in rows}

    def writable(self, source: str) -> None:
        """Asks once for the triggers and foreign keys of the table that this source is."""
        table = self.site.world.source(source)
        if table is None or source in self._keys:
            return
        place, name = quoted(table.schema), fold(table.name)

        def work(raw: sqlite3.Connection) -> tuple[list[Row], bool, dict[str, list[Row]]]:
            objects = raw.execute(f"SELECT type, name, tbl_name FROM {place}.sqlite_master").fetchall()  # noqa: S608 -- a schema of the settings, quoted
            (enforced,) = raw.execute("PRAGMA foreign_keys").fetchone()
            tables = [one for kind, one, _ in objects if kind == "table"]
            keys = {one: raw.execute(f"PRAGMA {place}.foreign_key_list({quoted(one)})").fetchall() for one in tables}
            return objects, bool(enforced), keys

        objects, enforced, keys = self.work(work, _schema)
        if any(kind == "trigger" and fold(of) == name for kind, _, of in objects):
            raise Refused.own("GUARD-SQL", f"Table {table.name} has triggers; what they change cannot be decided.")
        self._keys[source] = frozenset(self._compared(table.schema, name, keys)) if enforced else frozenset()

    def _compared(self, schema: str, name: str, keys: Mapping[str, Sequence[Row]]) -> Iterable[tuple[str, str]]:
        """Columns that SQLite reads to hold the foreign keys of and to a table; refused where one changes rows."""
        for child, parts in keys.items():
            for _, _, parent, column, to, on_update, on_delete, _ in parts:
                if fold(parent) == name:
                    if {on_update, on_delete} - {"NO ACTION", "RESTRICT"}:
                        raise Refused.own(
                            "GUARD-SQL", f"A write on {name} would change rows of {child}, by a foreign key."
                        )
                    yield fold(child), fold(column)
                if name in {fold(parent), fold(child)}:
                    yield from ((fold(parent), fold(one)) for one in ((to,) if to else self._primary(schema, parent)))

    def _primary(self, schema: str, table: str) -> list[str]:
        question = f"PRAGMA {quoted(schema)}.table_info({quoted(table)})"
        rows = self.work(lambda raw: raw.execute(question).fetchall(), _schema)
        return [fold(column) for _, column, _, _, _, place in rows if place]

    # --- Transactions ---

    def outlives(self, *, writing: bool) -> bool:
        """A SELECT stands in a transaction if one is open; what writes opens one, unless in autocommit."""
        raw = self._raw
        if raw is None:
            return False
        return raw.in_transaction or (writing and self._begins(raw))

    def _begins(self, raw: sqlite3.Connection) -> bool:
        """Whether sqlite3 itself would open a transaction before a statement that writes."""
        return not isinstance(getattr(raw, "autocommit", -1), bool) and raw.isolation_level is not None

    def start(self) -> None:
        """BEGIN, as deep as `isolation_level` says."""
        self.work(lambda raw: raw.execute(f"BEGIN {raw.isolation_level or ''}").close(), control)

    def control(self, sql: str) -> None:
        """Runs a text about savepoints."""
        self.work(lambda raw: raw.execute(sql).close(), control)

    def savepoint(self) -> None:
        """A savepoint, in the transaction that sqlite3 would open by itself; in autocommit it is one of its own."""

        def work(raw: sqlite3.Connection) -> None:
            if not raw.in_transaction and self._begins(raw):
                raw.execute(f"BEGIN {raw.isolation_level}").close()
            raw.execute(f"SAVEPOINT {_SAVEPOINT}").close()

        self.work(work, control)

    def settle(self, *, keep: bool) -> None:
        """Releases or undoes it."""

        def work(raw: sqlite3.Connection) -> None:
            if not raw.in_transaction:
                if keep:
                    raise sqlite3.OperationalError
                return  # undone by SQLite itself
            if not keep:
                raw.execute(f"ROLLBACK TO {_SAVEPOINT}").close()
            raw.execute(f"RELEASE {_SAVEPOINT}").close()

        try:
            self.work(work, control)
        except Refused as refused:
            refusal = refused
        else:
            return
        if not keep:
            self.close()  # the database undoes it
        raise refusal

    def end(self, *, commit: bool) -> bool:
        """Ends the transaction; where SQLite cannot commit, it stays open."""
        self.work(sqlite3.Connection.commit if commit else sqlite3.Connection.rollback, control)
        return commit

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        return self._raw is not None and self._raw.in_transaction

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self._raw is None

    def mode(self, name: str) -> Any:
        """`isolation_level`, and `autocommit` where Python has it."""
        if name not in {"isolation_level", "autocommit"}:
            raise AttributeError(name)
        return getattr(self._open(), name)

    def set_mode(self, name: str, value: Any) -> None:
        """Sets one of them outside a transaction: sqlite3 would commit."""
        raw = self._open()
        if self.mode(name) == value:
            return
        if raw.in_transaction:
            raise Misuse(f"{name} is set outside a transaction, or as an argument of connect.")
        if name == "isolation_level" and (not isinstance(value, str | None) or value not in _LEVELS):
            raise Misuse("isolation_level is None, '', 'DEFERRED', 'IMMEDIATE' or 'EXCLUSIVE'.")
        self.work(lambda raw: setattr(raw, name, value), control)

    def _open(self) -> sqlite3.Connection:
        if self._raw is None:
            raise Misuse(_CLOSED)
        return self._raw

    def close(self) -> None:
        """Closes it."""
        with self._lock:
            raw, self._raw = self._raw, None
            self._authorizer = control  # with `autocommit=False` it ends with a rollback
            if raw is not None:
                with suppress(sqlite3.Error):
                    raw.close()


def _besides(witness: Authorizer, keys: frozenset[tuple[str, str]]) -> Authorizer:
    """The witness, and the reads by which SQLite holds foreign keys."""

    def authorize(action: int, first: str | None, second: str | None, schema: str | None, inner: str | None) -> int:
        if action == sqlite3.SQLITE_READ and inner is None and first and second and (fold(first), fold(second)) in keys:
            return sqlite3.SQLITE_OK
        return witness(action, first, second, schema, inner)

    return authorize
