"""A raw connection behind the seam, on both databases: what runs on it, what undoes it, what comes out of it."""

from __future__ import annotations

import asyncio
import importlib.util
import sqlite3
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import psycopg
import psycopg.adapt
import pytest

from guard.effects import Values
from guard.errors import Misuse, Refused
from guard_dbapi import postgres_async, sqlite, talk
from guard_dbapi.driver import Driver, Session, driver
from guard_ledger.postgres import IDENTITY
from guard_sql import witness_postgres
from guard_sql.witness import Witness, writing

Kind = Literal["sqlite", "postgres"]
MOST = 100

TABLES = """
CREATE TABLE {s}person (id INTEGER PRIMARY KEY, name TEXT UNIQUE);
CREATE TABLE {s}friend (id INTEGER PRIMARY KEY, of INTEGER REFERENCES {s}person (id));
CREATE TABLE {s}parent (id INTEGER PRIMARY KEY);
CREATE TABLE {s}child (id INTEGER PRIMARY KEY, of INTEGER REFERENCES {s}parent (id) ON DELETE CASCADE);
CREATE TABLE {s}renamed (id INTEGER PRIMARY KEY REFERENCES {s}friend (id) ON UPDATE SET NULL);
CREATE TABLE {s}noted (id INTEGER PRIMARY KEY);
"""
TRIGGER = {
    "sqlite": "CREATE TRIGGER note AFTER UPDATE ON noted BEGIN INSERT INTO person VALUES (new.id, 'x'); END;",
    "postgres": "CREATE FUNCTION retail.note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE NOTICE ''%'', new.id;"
    " RETURN new; END'; CREATE TRIGGER note BEFORE UPDATE ON retail.noted FOR EACH ROW EXECUTE FUNCTION retail.note();",
}
COLUMNS = {"person": ("id", "name"), "friend": ("id", "of"), "parent": ("id",), "child": ("id", "of"), "noted": ("id",)}


@dataclass(frozen=True, eq=False)
class Guarded:
    """Hand-made: whatever text runs is a form of it."""

    witness: Witness
    expected: object = field(default_factory=object)
    witnessed: dict[str, bytes] = field(default_factory=dict)

    def names(self, _: str) -> tuple[str, ...]:
        return ()


class World:
    def __init__(self, schema: str) -> None:
        self.schemas = (schema,)

    def source(self, name: str) -> Any:
        return SimpleNamespace(schema=self.schemas[0], name=name, sql=f'"{self.schemas[0]}"."{name}"')


class Both:
    """One of the databases with its session, and a way to look at it from outside."""

    def __init__(self, kind: Kind, place: Any) -> None:
        self.kind = kind
        self.place = place
        self.schema = "main" if kind == "sqlite" else "retail"
        self.guard: Any = SimpleNamespace(
            settings=SimpleNamespace(
                limits=SimpleNamespace(buffered=MOST),
                database=SimpleNamespace(sqlite_file=place if kind == "sqlite" else None, dialect=kind, url=str(place)),
            ),
            consents=SimpleNamespace(instance="abc", identity=lambda: "abc"),
            active=SimpleNamespace(catalogue=SimpleNamespace(sources=COLUMNS, public=())),
        )
        self.site: Any = SimpleNamespace(world=World(self.schema))
        self.driver: Driver = driver(kind)

    def outside(self, *texts: str) -> list[Any]:
        """Texts on a connection of their own; the rows of the last."""
        if self.kind == "sqlite":
            lite = sqlite3.connect(str(self.place), isolation_level=None)
            try:
                return [lite.execute(text).fetchall() for text in texts][-1]
            finally:
                lite.close()
        with psycopg.connect(str(self.place), autocommit=True) as raw:
            cursors = [raw.execute(text.encode()) for text in texts]
            return cursors[-1].fetchall() if cursors[-1].description else []

    def raw(self, **keywords: Any) -> Any:
        return (sqlite3.connect if self.kind == "sqlite" else psycopg.connect)(str(self.place), **keywords)

    def take(self, raw: Any = None, **keywords: Any) -> Any:
        return self.driver.take(self.raw(**keywords) if raw is None else raw, self.guard, self.site)

    def autocommit(self) -> Any:
        return self.take(**({"isolation_level": None} if self.kind == "sqlite" else {"autocommit": True}))

    def sent(self, sql: str, values: dict[str, Any]) -> tuple[str, Values]:
        """A text with {s} before tables and {name} for parameters, as it is sent, with its values."""
        places = {key: f":{key}" if self.kind == "sqlite" else f"${n}" for n, key in enumerate(values, 1)}
        given = values if self.kind == "sqlite" else tuple(values.values())
        return sql.format(s=f"{self.schema}.", **places), given

    def run(self, session: Session, sql: str, *, name: str | None = None, writes: str = "", **values: Any) -> list[Any]:
        """A text with {s} before tables and {name} for parameters."""
        text, given = self.sent(sql, values)
        reads = {(self.schema, table, column) for table, columns in COLUMNS.items() for column in columns}
        verb = sql.split(maxsplit=1)[0].lower()
        kinds = writing(verb, self.schema, writes, ("name", "id")) if writes else frozenset()
        guarded: Any = Guarded(Witness(reads, writes=kinds))
        return session.run(text, given, guarded, name=name, writes=writes or None).take(MOST)


@pytest.fixture(params=["sqlite", "postgres"])
def both(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Both:
    monkeypatch.setattr(witness_postgres, "check", lambda *_: None)
    kind: Kind = request.param
    place: Any = tmp_path / "x.db" if kind == "sqlite" else request.getfixturevalue("postgres_url")
    made = Both(kind, place)
    if kind == "postgres":
        made.outside("CREATE SCHEMA retail", "CREATE SCHEMA guard")
    schema = "" if kind == "sqlite" else "guard."
    tables = TABLES.format(s="" if kind == "sqlite" else "retail.") + TRIGGER[kind]
    if kind == "sqlite":
        lite = sqlite3.connect(str(place))
        lite.executescript(tables)
        lite.close()
    else:
        made.outside(tables)
    made.outside(
        f"CREATE TABLE {schema}guard_meta (key TEXT, value TEXT)",
        f"INSERT INTO {schema}guard_meta VALUES ('instance', 'abc')",
        *(f"INSERT INTO {made.schema}.person VALUES ({n}, 'n{n}')" for n in range(1, 6)),
        f"INSERT INTO {made.schema}.noted VALUES (77)",
    )
    if kind == "postgres":
        ((identity,),) = made.outside(IDENTITY)
        made.guard.consents.identity = lambda: identity
    return made


@pytest.fixture
def session(both: Both) -> Iterator[Any]:
    made = both.take()
    yield made
    made.close()


NAMES = "SELECT name FROM {s}person ORDER BY id"
RENAME = "UPDATE {s}person SET name = {new} WHERE id = {who} RETURNING id"


def names(both: Both) -> list[str]:
    return [name for (name,) in both.outside(f"SELECT name FROM {both.schema}.person ORDER BY id")]


def refused(rule: str) -> Any:
    return pytest.raises(Refused, match=rule)


# --- Statements -----------------------------------------------------------------------------------


def test_rows_come_in_the_size_that_was_asked_for(both: Both, session: Any) -> None:
    sql = "SELECT id, '%' FROM {s}person WHERE id < {n} AND id <> {m} AND name <> {n2} ORDER BY id"
    text, values = both.sent(sql, {"n": 5, "m": 2, "n2": "x"})
    reads = {(both.schema, "person", "id"), (both.schema, "person", "name")}
    result = session.run(text, values, Guarded(Witness(reads)))
    assert result.take(2) == [(1, "%"), (3, "%")]
    assert result.take(5) == [(4, "%")]
    assert result.take(1) == []


def test_more_rows_than_memory_is_given_to_are_refused(both: Both, session: Any) -> None:
    both.outside(*(f"INSERT INTO {both.schema}.parent VALUES ({n})" for n in range(MOST + 1)))
    with refused("GUARD-LIMIT"):
        both.run(session, "SELECT id FROM {s}parent")


@pytest.mark.parametrize("sql", ["SELECT nothing FROM {s}person", "nonsense {who}", "SELECT id FROM {s}person WHERE"])
def test_no_word_of_the_database_comes_out(both: Both, session: Any, sql: str) -> None:
    with refused("GUARD-") as caught:
        both.run(session, sql, who="secret")
    error: BaseException | None = caught.value
    assert caught.value.__context__ is None
    assert caught.value.__cause__ is None
    assert "nothing" not in str(error)
    assert "secret" not in str(error)


def test_what_a_duplicate_key_names_stays_inside(both: Both, session: Any) -> None:
    session.savepoint()
    with refused("GUARD-DATABASE") as caught:
        both.run(session, RENAME, writes="person", new="n1", who=2)
    session.settle(keep=False)
    assert caught.value.__context__ is None
    assert "n1" not in str(caught.value)
    assert names(both)[:2] == ["n1", "n2"]


def test_a_value_that_python_cannot_hold_stays_inside(both: Both, session: Any) -> None:
    """The driver's own error repeats the value that it could not load."""
    if both.kind == "sqlite":
        both.outside("INSERT INTO person VALUES (9, CAST(x'ff41' AS TEXT))")
        sql = "SELECT name FROM {s}person WHERE id = 9"
    else:
        sql = "SELECT date '20000-01-01'"
    with refused("GUARD-DATABASE") as caught:
        both.run(session, sql)
    assert caught.value.__context__ is None
    assert "20000" not in str(caught.value)


# --- Savepoints and transactions ------------------------------------------------------------------


@pytest.mark.parametrize("alone", [False, True])
def test_what_is_settled_is_kept_or_undone(both: Both, alone: bool) -> None:
    session = both.autocommit() if alone else both.take()
    for keep, expected in ((False, "n1"), (True, "new")):
        session.savepoint()
        assert both.run(session, RENAME, writes="person", new="new", who=1) == [(1,)]
        session.settle(keep=keep)
        assert session.in_transaction is not alone
        if not alone:
            assert session.end(commit=True) is True
        assert names(both)[0] == expected
    session.close()


def test_a_rollback_undoes_what_was_settled(both: Both, session: Any) -> None:
    session.savepoint()
    both.run(session, RENAME, writes="person", new="new", who=1)
    session.settle(keep=True)
    assert session.outlives(writing=False)
    session.end(commit=False)
    assert names(both)[0] == "n1"


def test_a_part_can_be_undone_alone(both: Both, session: Any) -> None:
    for who, keep in ((1, True), (2, False), (3, True)):
        session.savepoint()
        both.run(session, RENAME, writes="person", new=f"new{who}", who=who)
        if who == 2:
            with refused("GUARD-DATABASE"):
                both.run(session, RENAME, writes="person", new="new1", who=3)
        session.settle(keep=keep)
    session.end(commit=True)
    assert names(both)[:3] == ["new1", "n2", "new3"]


def test_an_open_transaction_does_not_outlive_its_connection(both: Both) -> None:
    session = both.take()
    session.savepoint()
    both.run(session, RENAME, writes="person", new="new", who=1)
    session.settle(keep=True)
    session.close()
    assert session.closed
    assert names(both)[0] == "n1"
    for call in (session.savepoint, lambda: session.end(commit=True), lambda: both.run(session, NAMES)):
        with refused("closed"):
            call()


def test_a_part_that_cannot_be_undone_ends_with_the_connection(both: Both, session: Any) -> None:
    session.savepoint()
    both.run(session, RENAME, writes="person", new="new", who=1)
    release = "RELEASE guard_part" if both.kind == "sqlite" else "RELEASE SAVEPOINT guard_part"
    if both.kind == "sqlite":
        session.work(lambda raw: raw.execute(release), sqlite.control)
    else:
        session._rows(release)
    with refused("GUARD-DATABASE"):
        session.settle(keep=False)
    assert session.closed
    assert names(both)[0] == "n1"


def test_what_the_database_undid_is_not_kept(both: Both) -> None:
    session = both.autocommit()
    session.savepoint()
    both.run(session, RENAME, writes="person", new="new", who=1)
    if both.kind == "sqlite":
        session.work(lambda raw: raw.execute("ROLLBACK"), sqlite.control)
    else:
        with refused("GUARD-DATABASE"):
            both.run(session, "SELECT nothing FROM {s}person")
    with refused("GUARD-DATABASE"):
        session.settle(keep=True)
    session.settle(keep=False)
    assert not session.in_transaction
    assert names(both)[0] == "n1"
    session.close()


def test_modes_are_set_outside_a_transaction(both: Both, session: Any) -> None:
    level: Any = "IMMEDIATE" if both.kind == "sqlite" else psycopg.IsolationLevel.SERIALIZABLE
    session.set_mode("isolation_level", level)
    assert session.mode("isolation_level") == level
    session.savepoint()
    with pytest.raises(Misuse, match="outside a transaction"):
        session.set_mode("isolation_level", None)
    with pytest.raises(AttributeError):
        session.mode("row_factory")
    with pytest.raises(AttributeError):
        session.set_mode("row_factory", None)
    if both.kind == "sqlite":
        session.end(commit=False)
        with pytest.raises(Misuse, match="isolation_level is"):
            session.set_mode("isolation_level", "DEFERRED; ATTACH 'x' AS y")


# --- Before a write -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "said"), [("noted", "trigger"), ("parent", "child"), ("friend", "renamed"), ("person", None)]
)
def test_a_write_that_reaches_other_tables_is_refused(both: Both, table: str, said: str | None) -> None:
    session = both.take(_enforced(both))
    if said is None:
        session.writable(table)
        session.savepoint()
        assert both.run(session, RENAME, writes="person", new="new", who=1)
    else:
        with refused("GUARD-SQL") as caught:
            session.writable(table)
        assert said in str(caught.value)
    session.close()


def _enforced(both: Both) -> Any:
    """A connection that holds foreign keys: on SQLite the program switches them on."""
    raw = both.raw()
    if both.kind == "sqlite":
        raw.execute("PRAGMA foreign_keys = ON")
    return raw


# --- PostgreSQL -----------------------------------------------------------------------------------


POSTGRES = pytest.mark.parametrize("both", ["postgres"], indirect=True)


@pytest.fixture
def pg(both: Both) -> Both:
    return both


@POSTGRES
def test_a_failed_transaction_is_never_committed(pg: Both) -> None:
    session = pg.take()
    session.savepoint()
    pg.run(session, RENAME, writes="person", new="new", who=1)
    session.settle(keep=True)
    with refused("GUARD-DATABASE"):
        pg.run(session, "SELECT nothing FROM {s}person")
    with refused("roll it back"):
        pg.run(session, NAMES)
    assert session.end(commit=True) is False
    assert names(pg)[0] == "n1"
    session.close()


@POSTGRES
def test_a_named_cursor_fetches_as_it_is_taken(pg: Both) -> None:
    session = pg.take()
    text = f"SELECT id FROM {pg.schema}.person ORDER BY id"
    result = session.run(text, (), Guarded(Witness(set())), name='of "mine"')
    assert result.take(2) == [(1,), (2,)]
    assert pg.run(session, NAMES)[0] == ("n1",)
    assert result.take(MOST) == [(3,), (4,), (5,)]
    assert result.take(1) == result.take(1) == []
    other = session.run(text, (), Guarded(Witness(set())), name='of "mine"')
    session.end(commit=True)
    with refused("has ended"):
        other.take(1)
    other.close()
    assert not session.in_transaction
    again = session.run(text, (), Guarded(Witness(set())), name='of "mine"')
    session.end(commit=True)
    pg.run(session, NAMES)
    again.close()  # it is of the transaction before, and nothing of this one
    assert pg.run(session, NAMES)
    session.close()


@POSTGRES
def test_a_named_cursor_needs_a_transaction_and_a_name(pg: Both) -> None:
    session = pg.autocommit()
    with pytest.raises(Misuse, match="autocommit"):
        pg.run(session, NAMES, name="x")
    session.close()
    session = pg.take()
    for name in ("", "x" * 64, "a\0b"):
        with pytest.raises(Misuse, match="name"):
            pg.run(session, NAMES, name=name)
    session.close()


@POSTGRES
def test_nobody_hears_what_a_trigger_says(pg: Both) -> None:
    heard: list[Any] = []
    raw = pg.raw()
    raw.add_notice_handler(heard.append)
    raw.add_notify_handler(heard.append)
    session = pg.take(raw)
    session.savepoint()
    pg.run(session, "UPDATE {s}noted SET id = id RETURNING id", writes="noted")
    session._rows("SELECT pg_catalog.pg_notify('x', 'y')")
    session.settle(keep=True)
    raw.execute("LISTEN x")
    session.end(commit=True)
    assert heard == []
    session.close()


@POSTGRES
def test_parameters_are_adapted_as_the_driver_ships_it(pg: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    class Evil(psycopg.adapt.Dumper):
        def dump(self, obj: Any) -> bytes:
            return b"n2"

    raw = pg.raw()
    raw.adapters.register_dumper(str, Evil)
    session = pg.take(raw)
    assert pg.run(session, "SELECT id FROM {s}person WHERE name = {n}", n="n1") == [(1,)]
    session.close()


@POSTGRES
def test_the_session_reads_as_it_was_witnessed(pg: Both) -> None:
    options = "-c search_path=retail -c standard_conforming_strings=off -c DateStyle=German -c transform_null_equals=on"
    session = pg.take(options=options, client_encoding="latin1")
    found = [session._rows(f"SELECT pg_catalog.current_setting('{name}')")[0][0] for name in talk.PINNED]
    assert tuple(found) == tuple(talk.PINNED.values())
    session.end(commit=False)
    assert session._rows("SELECT pg_catalog.current_setting('search_path')") == [("pg_catalog, pg_temp",)]
    with refused("GUARD-DATABASE"):
        session._rows("SELECT id FROM person")
    session.close()


def test_a_connection_in_a_transaction_is_not_taken(both: Both) -> None:
    raw = both.raw()
    raw.execute("SELECT 1" if both.kind == "postgres" else "BEGIN")
    with pytest.raises(Misuse, match="outside a transaction"):
        both.take(raw)
    with pytest.raises((sqlite3.ProgrammingError, psycopg.OperationalError), match="closed"):
        raw.execute("SELECT 1")


@POSTGRES
def test_a_catalogued_view_is_no_table(pg: Both) -> None:
    pg.outside("DROP TABLE retail.child", "CREATE VIEW retail.child AS SELECT id, id AS of FROM retail.person")
    with pytest.raises(Misuse, match="child is no table"):
        pg.take()


@POSTGRES
def test_a_cancelled_statement_says_only_that(pg: Both) -> None:
    session = pg.take(options="-c statement_timeout=50")
    with refused("took too long") as caught:
        pg.run(session, "SELECT pg_catalog.pg_sleep(5)")
    assert caught.value.__context__ is None
    session.close()


@POSTGRES
def test_a_lost_connection_says_only_that(pg: Both) -> None:
    session = pg.take()
    ((pid,),) = session._rows("SELECT pg_catalog.pg_backend_pid()")
    pg.outside(f"SELECT pg_terminate_backend({pid})")
    with refused("connection is lost") as caught:
        pg.run(session, NAMES)
    assert caught.value.__context__ is None
    assert session.closed
    assert not session.in_transaction


@POSTGRES
def test_what_collided_may_be_run_again(pg: Both) -> None:
    one, other = pg.take(), pg.take()
    for session in (one, other):
        session.set_mode("isolation_level", psycopg.IsolationLevel.REPEATABLE_READ)
        pg.run(session, NAMES)
    for session in (one, other):
        session.savepoint()
        if session is other:
            with refused("run the transaction again"):
                pg.run(session, RENAME, writes="person", new="x", who=1)
        else:
            pg.run(session, RENAME, writes="person", new="y", who=1)
        session.settle(keep=session is one)
        session.end(commit=True)
        session.close()


@POSTGRES
def test_a_text_is_witnessed_once_and_runs_as_it_was_witnessed(pg: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    session = pg.take()
    guarded: Any = Guarded(Witness(set()))
    monkeypatch.setattr(witness_postgres, "check", lambda text, *_: seen.append(text))
    for _ in range(3):
        session.run("SELECT $1::text, $2::text, $1::text, '%(a)s'", ("1", "2"), guarded)
    assert seen == ["SELECT $1::text, $2::text, $1::text, '%(a)s'"]
    monkeypatch.setattr(witness_postgres, "check", _disagrees)
    with refused("GUARD-WITNESS"):
        session.run("SELECT 1", (), guarded)
    assert [one.decode() for one in guarded.witnessed.values()] == seen

    session.close()


def _disagrees(*_: object) -> None:
    raise Refused.own("GUARD-WITNESS")


@pytest.mark.parametrize("missing", ["pgparse", "psycopg"])
def test_what_is_not_installed_is_named_with_its_extra(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "guard_dbapi.postgres", raising=False)
    if missing == "psycopg":
        monkeypatch.setitem(sys.modules, "psycopg", None)
    else:
        monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(Misuse, match=rf"{missing}.*personal-data-guard\[postgres\]"):
        driver("postgres")


# --- PostgreSQL, awaited --------------------------------------------------------------------------


def awaited(pg: Both, work: Callable[[postgres_async.AsyncSession], Awaitable[None]], **keywords: Any) -> None:
    async def run() -> None:
        raw = await psycopg.AsyncConnection.connect(str(pg.place), **keywords)
        session = await postgres_async.take(raw, pg.guard, pg.site)
        try:
            await work(session)
        finally:
            await session.close()

    asyncio.run(run())


GUARDED: Any = Guarded(Witness(set()))
ALL = "SELECT id FROM retail.person ORDER BY id"
WRITE = "UPDATE retail.person SET name = $1 WHERE id = 1 RETURNING id"


@POSTGRES
@pytest.mark.parametrize("alone", [False, True])
def test_an_awaited_session_keeps_or_undoes(pg: Both, alone: bool) -> None:
    async def work(session: postgres_async.AsyncSession) -> None:
        for keep, expected in ((False, "n1"), (True, "new")):
            await session.savepoint()
            result = await session.run(WRITE, ("new",), GUARDED)
            assert await result.take(5) == [(1,)]
            await session.settle(keep=keep)
            assert session.in_transaction is not alone
            if not alone:
                assert await session.end(commit=True) is True
            assert names(pg)[0] == expected

    awaited(pg, work, autocommit=alone)


@POSTGRES
def test_an_awaited_session_fetches_from_a_named_cursor(pg: Both) -> None:
    async def work(session: postgres_async.AsyncSession) -> None:
        result = await session.run(ALL, (), GUARDED, name="x")
        assert await result.take(2) == [(1,), (2,)]
        assert await result.take(9) == [(3,), (4,), (5,)]
        assert await result.take(9) == []
        other = await session.run(ALL, (), GUARDED, name="x")
        await session.end(commit=True)
        with refused("has ended"):
            await other.take(1)
        await other.close()

    awaited(pg, work)


@POSTGRES
def test_an_awaited_session_says_no_word_of_the_database(pg: Both) -> None:
    async def work(session: postgres_async.AsyncSession) -> None:
        with refused("GUARD-DATABASE") as caught:
            await session.run("SELECT nothing FROM retail.person", (), GUARDED)
        assert caught.value.__context__ is None
        assert await session.end(commit=True) is False
        with pytest.raises(Misuse, match="name"):
            await session.run(ALL, (), GUARDED, name="")
        await session.set_mode("isolation_level", psycopg.IsolationLevel.SERIALIZABLE)
        assert session.mode("isolation_level") == psycopg.IsolationLevel.SERIALIZABLE
        with refused("GUARD-SQL"):
            await session.writable("noted")

    awaited(pg, work)


@POSTGRES
def test_an_abandoned_session_leaves_nothing(pg: Both) -> None:
    async def work(session: postgres_async.AsyncSession) -> None:
        await session.savepoint()
        await session.run(WRITE, ("new",), GUARDED)
        await session.abandon()
        assert session.closed
        with refused("closed"):
            await session.run(ALL, (), GUARDED)

    awaited(pg, work)
    assert names(pg)[0] == "n1"


@POSTGRES
def test_an_awaited_session_is_of_the_ledgers_database(pg: Both) -> None:
    pg.guard.consents.identity = lambda: "other"

    async def work(_: postgres_async.AsyncSession) -> None:
        pytest.fail("it was taken")

    with pytest.raises(Misuse, match="another database"):
        awaited(pg, work)


# --- SQLite ---------------------------------------------------------------------------------------


SQLITE = pytest.mark.parametrize("both", ["sqlite"], indirect=True)


@pytest.fixture
def lite(both: Both) -> Both:
    return both


@SQLITE
def test_another_writer_is_waited_for_and_then_told(lite: Both) -> None:
    session = lite.take(timeout=0)
    holding = sqlite3.connect(str(lite.place), isolation_level=None)
    holding.execute("BEGIN IMMEDIATE")
    session.savepoint()
    with refused("try again"):
        lite.run(session, RENAME, writes="person", new="x", who=1)
    session.settle(keep=False)
    session.close()
    holding.close()


@SQLITE
@pytest.mark.skipif(sys.version_info < (3, 12), reason="sqlite3 has autocommit from Python 3.12 on")
def test_a_transaction_that_is_always_open_is_a_new_one_when_it_is_taken(lite: Both) -> None:
    """The guard's questions at that time leave no snapshot behind."""
    session = lite.take(autocommit=False)
    lite.outside("UPDATE person SET name = 'since' WHERE id = 1")
    assert session.outlives(writing=False)
    assert lite.run(session, NAMES)[0] == ("since",)
    session.close()


@pytest.mark.parametrize("level", ["", "DEFERRED", "IMMEDIATE", "EXCLUSIVE"])
@SQLITE
def test_a_write_begins_as_the_driver_would(lite: Both, level: str) -> None:
    session = lite.take(isolation_level=level, timeout=0)
    assert not session.outlives(writing=False)
    assert session.outlives(writing=True)
    session.savepoint()
    other = sqlite3.connect(str(lite.place), timeout=0, isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
        held = False
    except sqlite3.OperationalError:
        held = True
    other.close()
    assert held is (level in {"IMMEDIATE", "EXCLUSIVE"})
    session.close()


@SQLITE
def test_a_foreign_key_is_held_by_reads_of_its_own(lite: Both) -> None:
    lite.outside("INSERT INTO friend VALUES (3, 1)")
    session = lite.take(_enforced(lite))
    guarded: Any = Guarded(Witness(set(), writes=writing("insert", "main", "renamed")))
    text = "INSERT INTO main.renamed (id) VALUES (:who)"
    session.writable("renamed")
    for who, name in ((3, None), (4, "GUARD-DATABASE")):
        session.savepoint()
        if name is None:
            session.run(text, {"who": who}, guarded, writes="renamed")
        else:
            with refused(name):
                session.run(text, {"who": who}, guarded, writes="renamed")
        session.settle(keep=name is None)
    with refused("GUARD-WITNESS"):
        session.run(f"{text} -- prepared anew", {"who": 3}, guarded)
    session.close()


@SQLITE
def test_two_threads_do_not_lend_each_other_their_witness(lite: Both) -> None:
    """What one thread's statement may read is not let through for another's."""
    session = lite.take(check_same_thread=False)
    allowed: Any = Guarded(Witness({("main", "person", "name")}))
    nothing: Any = Guarded(Witness(set()))
    leaked: list[Any] = []
    stop = threading.Event()

    def reads() -> None:
        while not stop.is_set():
            session.run("SELECT name FROM main.person", {}, allowed)

    thread = threading.Thread(target=reads)
    thread.start()
    for n in range(300):
        try:
            leaked.append(session.run(f"SELECT name FROM main.person WHERE {n} = {n}", {}, nothing))
        except Refused:
            continue
    stop.set()
    thread.join()
    assert leaked == []
    session.close()
