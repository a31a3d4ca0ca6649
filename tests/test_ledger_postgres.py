"""The consent ledger in a PostgreSQL database that it shares with the program: what only PostgreSQL can do to it."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from fixtures_postgres import ROLE, as_superuser
from ledger_places import OnPostgres
from test_consent import CHILD, ZONE, Clock, judge, live, record

from guard.errors import Misuse, Refused
from guard_ledger.ledger import Ledger
from guard_ledger.postgres import IDENTITY


@pytest.fixture
def place(postgres_url: str) -> OnPostgres:
    return OnPostgres(postgres_url)


def opened(place: OnPostgres, **options) -> Ledger:
    return Ledger(place.url, **{"judge": judge, "judged": "sha256:rules", "zone": ZONE, "now": Clock(), **options})


@pytest.fixture
def ledger(place: OnPostgres) -> Iterator[Ledger]:
    with opened(place) as one:
        yield one


def asked(ledger: Ledger, sql: str, *, writes: bool = False) -> object:
    work = ledger.store.write if writes else ledger.store.run
    return work(lambda connection: connection.exec_driver_sql(sql).scalar())


# --- Whose database it is -------------------------------------------------------------------------


def test_a_copy_of_the_database_is_another_one(ledger, place, postgres_server):
    ledger.record(record())
    ledger.close()
    name = place.name
    admin = as_superuser(place.url)
    with psycopg.connect(admin.replace(f"/{name}?", "/postgres?"), autocommit=True) as raw:
        raw.execute(f"CREATE DATABASE {name}_copy TEMPLATE {name} OWNER {ROLE}".encode())
        try:
            copy = OnPostgres(place.url.replace(f"/{name}?", f"/{name}_copy?"))
            with opened(place) as first, opened(copy) as second:
                assert first.instance == second.instance
                assert first.identity() != second.identity()
                assert copy.rows(IDENTITY) == [(second.identity(),)]
                assert place.rows(IDENTITY) == [(first.identity(),)]
        finally:
            raw.execute(f"DROP DATABASE {name}_copy WITH (FORCE)".encode())


def test_what_tells_the_database_calls_nothing_that_an_application_owns(ledger, place):
    before = ledger.identity()
    place.run(
        "CREATE SCHEMA app",
        "CREATE FUNCTION app.current_database() RETURNS name LANGUAGE sql AS $$ SELECT 'postgres'::name $$",
        "CREATE FUNCTION app.join(text, text) RETURNS text LANGUAGE sql AS $$ SELECT 'x' $$",
        "CREATE OPERATOR app.|| (LEFTARG = text, RIGHTARG = text, FUNCTION = app.join)",
    )
    with closing(psycopg.connect(place.url, options="-c search_path=app,pg_catalog")) as raw:
        assert raw.execute("SELECT 'a'::text || 'b'::text").fetchone() == ("x",)
        assert raw.execute(IDENTITY).fetchone() == (before,)


def test_another_driver_or_encoding_is_said_to_be_so(place):
    with pytest.raises(Misuse, match="psycopg"):
        Ledger(place.url.replace("postgresql:", "postgresql+pg8000:"), judge=judge, judged="", zone=ZONE)
    name = place.name
    admin = as_superuser(place.url).replace(f"/{name}?", "/postgres?")
    with psycopg.connect(admin, autocommit=True) as raw:
        raw.execute(
            f"CREATE DATABASE {name}_latin OWNER {ROLE} ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0".encode()
        )
        try:
            with pytest.raises(Refused, match="UTF-8"):
                opened(OnPostgres(place.url.replace(f"/{name}?", f"/{name}_latin?")))
        finally:
            raw.execute(f"DROP DATABASE {name}_latin WITH (FORCE)".encode())


TABLE = "CREATE TABLE guard.guard_withdrawal (LIKE guard.old)"


@pytest.mark.parametrize(
    "texts",
    [
        ["CREATE UNLOGGED TABLE guard.guard_withdrawal (LIKE guard.old)"],  # empty after a crash
        [f"{TABLE} PARTITION BY LIST (subject)"],
        ["CREATE MATERIALIZED VIEW guard.guard_withdrawal AS SELECT * FROM guard.old"],
        [TABLE, "CREATE RULE gone AS ON INSERT TO guard.guard_withdrawal DO INSTEAD NOTHING"],
        [TABLE, "ALTER TABLE guard.guard_withdrawal ENABLE ROW LEVEL SECURITY"],
        [
            TABLE,
            "CREATE FUNCTION guard.gone() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
            "CREATE TRIGGER gone BEFORE INSERT ON guard.guard_withdrawal FOR EACH ROW EXECUTE FUNCTION guard.gone()",
        ],
    ],
)
def test_a_table_that_may_lose_what_is_written_is_not_the_ledgers(place, texts):
    opened(place).close()
    place.run("ALTER TABLE guard.guard_withdrawal RENAME TO old", *texts)
    with pytest.raises(Refused, match="not the ledger's"):
        opened(place)


def test_a_schema_that_an_administrator_made_needs_no_right_on_the_database(place):
    name = place.name
    with psycopg.connect(as_superuser(place.url), autocommit=True) as raw:
        raw.execute(f"ALTER DATABASE {name} OWNER TO postgres".encode())
    with pytest.raises(Refused) as refused:
        opened(place)
    assert refused.value.__context__ is None
    with psycopg.connect(as_superuser(place.url), autocommit=True) as raw:
        raw.execute(f"CREATE SCHEMA guard AUTHORIZATION {ROLE}".encode())
    opened(place).close()


# --- Whatever the session's defaults are ----------------------------------------------------------


def test_defaults_of_the_role_change_neither_snapshot_nor_durability(place):
    name = place.name
    with psycopg.connect(as_superuser(place.url), autocommit=True) as raw:
        for setting in (
            "default_transaction_isolation = 'serializable'",
            "default_transaction_read_only = on",
            "synchronous_commit = off",
            "search_path = app",
            "statement_timeout = '200ms'",
        ):
            raw.execute(f"ALTER DATABASE {name} SET {setting}".encode())
    with opened(place) as ledger:
        assert asked(ledger, "SHOW transaction_isolation", writes=True) == "read committed"
        assert asked(ledger, "SHOW transaction_read_only", writes=True) == "off"
        assert asked(ledger, "SHOW transaction_isolation") == "repeatable read"
        assert asked(ledger, "SHOW transaction_read_only") == "on"
        assert asked(ledger, "SHOW synchronous_commit") == "on"
        assert asked(ledger, "SHOW search_path") == "pg_catalog"
        assert asked(ledger, "SHOW lock_timeout") == "500ms"
        assert asked(ledger, "SHOW statement_timeout") == "1min"
        ledger.record(record())


def test_operators_and_tables_of_an_application_are_never_used(place):
    place.run(
        "CREATE SCHEMA app",
        "CREATE FUNCTION app.same(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT true'",
        "CREATE OPERATOR app.= (LEFTARG = text, RIGHTARG = text, FUNCTION = app.same)",
        "CREATE TABLE app.guard_consent (seq integer)",
    )
    name = place.name
    with psycopg.connect(as_superuser(place.url), autocommit=True) as raw:
        raw.execute(f"ALTER DATABASE {name} SET search_path = app, public, pg_catalog".encode())
    with opened(place) as ledger:
        ledger.record(record())
        ledger.record(record("c-2", "p-2"))
        assert [one.record.subject for one in ledger.list("p-2")] == ["p-2"]
        assert ledger.withdraw("c-2") == 1
        assert live(place) == {("c-1", "loan_underwriting")}
        assert place.rows("SELECT count(*) FROM app.guard_consent") == [(0,)]


def test_text_keys_compare_byte_by_byte_and_times_reach_beyond_2038(ledger, place):
    columns = place.rows(
        "SELECT attrelid::regclass::text || '.' || attname FROM pg_attribute"
        " JOIN pg_collation c ON c.oid = attcollation"
        " WHERE attrelid IN (SELECT oid FROM pg_class WHERE relkind = 'r' AND relnamespace = 'guard'::regnamespace)"
        " AND attnum > 0 AND collname <> 'C'"
    )
    assert columns == []
    with opened(place, now=lambda: 2**33) as later:
        later.record(record(granted_at=2**33))
        later.withdraw("c-1")
        assert later.list("p-1001")[0].withdrawn_at == 2**33


# --- Others in the same database ------------------------------------------------------------------


def test_what_waits_for_another_writer_is_refused_in_time_and_nothing_is_kept(place):
    with opened(place, wait=0.05) as ledger:
        ledger.record(record("c-0", "p-0"))
        with closing(place.connect()) as program:
            program.execute("LOCK TABLE guard.guard_grant IN EXCLUSIVE MODE")
            for call in (lambda: ledger.record(record()), lambda: ledger.withdraw("c-0")):
                with pytest.raises(Refused) as refused:
                    call()
                assert refused.value.rules == ("GUARD-LEDGER",)
                assert "before the transaction" in str(refused.value)
                assert refused.value.__context__ is None
            assert ledger.sequence() == 1  # reading goes on
            assert ledger.list("p-1001") == ()
        ledger.record(record())


def test_a_program_in_a_transaction_of_its_own_holds_nobody_up(ledger, place):
    """S2: the ledger writes on connections of its own; what the program rolls back it never wrote."""
    with closing(place.connect()) as program:
        program.execute("CREATE TABLE public.t (n integer)")
        ledger.record(record())
        assert program.execute("SELECT count(*) FROM guard.guard_grant").fetchone() == (1,)
        program.rollback()
    assert len(live(place)) == 1


@pytest.mark.parametrize("level", ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"])
def test_a_withdrawal_that_is_committed_is_known_to_whoever_asks_for_those_since_a_mark(ledger, place, level):
    """S1: an old snapshot still shows the grant; the mark that was taken before it tells."""
    ledger.record(record())
    mark = ledger.mark()
    with closing(place.connect()) as program:
        program.execute(f"SET TRANSACTION ISOLATION LEVEL {level}".encode())
        alive = "SELECT count(*) FROM guard.guard_grant WHERE withdrawn_at IS NULL"
        assert program.execute(alive).fetchone() == (1,)
        with opened(place) as other:
            other.withdraw("c-1")
        assert program.execute(alive).fetchone() == ((0,) if level == "READ COMMITTED" else (1,))
        assert ledger.withdrawn_since(mark, ["p-1001", "p-2"]) == {"p-1001"}
        # A mark that another process took a moment ago is used again: it cuts more, never less.
        assert ledger.withdrawn_since(ledger.mark(), ["p-1001"]) == {"p-1001"}
        with opened(place) as later:
            assert later.withdrawn_since(later.mark(), ["p-1001"]) == frozenset()


def test_numbers_are_given_in_the_order_of_commits(place):
    """Else a mark could pass over a withdrawal whose number is lower and whose commit is later."""
    with opened(place, wait=20) as first, opened(place, wait=20) as second:
        inside, go = threading.Event(), threading.Event()

        def slow(_: object) -> None:
            inside.set()
            go.wait(20)

        first.record(record("c-1", "p-1"))
        second.record(record("c-2", "p-2"))
        first._append = slow
        one = threading.Thread(target=first.withdraw, args=("c-1",))
        one.start()
        assert inside.wait(20)  # it has its number and has not committed
        two = threading.Thread(target=second.withdraw, args=("c-2",))
        two.start()
        two.join(0.3)
        assert two.is_alive()
        assert first.mark() == 0
        go.set()
        one.join(20)
        two.join(20)
        assert place.rows("SELECT subject FROM guard_withdrawal ORDER BY seq") == [("p-1",), ("p-2",)]


def test_ledgers_that_open_an_empty_database_at_once_make_one(place):
    here = str(Path(__file__).parent)
    commands = [[sys.executable, "-c", CHILD, place.url, name, "2", here] for name in "abcd"]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE) for command in commands]
    assert len({process.communicate()[0] for process in processes}) == 1
    assert [process.returncode for process in processes] == [0] * 4
    assert place.rows("SELECT count(*) FROM guard_meta WHERE key = 'instance'") == [(1,)]


# --- Connections that die -------------------------------------------------------------------------

_END = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'guard ledger'"


def test_a_connection_that_died_is_replaced_for_what_reads_and_refused_for_what_writes(ledger, place):
    ledger.record(record())
    place.rows(_END)
    assert ledger.sequence() == 1
    place.rows(_END)
    with pytest.raises(Refused) as refused:
        ledger.record(record("c-2"))
    assert refused.value.rules == ("GUARD-LEDGER",)
    assert refused.value.__context__ is None
    ledger.record(record("c-2"))


def test_a_server_that_is_not_there_is_refused_without_its_text():
    with pytest.raises(Refused) as refused:
        Ledger("postgresql://p-1001:secret@/bank?host=/nowhere", judge=judge, judged="", zone=ZONE)
    assert refused.value.rules == ("GUARD-LEDGER",)
    assert "secret" not in str(refused.value)
    assert "nowhere" not in str(refused.value)
    assert refused.value.__context__ is None


def test_no_text_of_the_database_comes_out(ledger, place):
    """A constraint that an administrator added fails with the row in its message."""
    place.run("ALTER TABLE guard.guard_consent ADD CONSTRAINT told CHECK (subject <> 'p-1001')")
    with pytest.raises(Refused) as refused:
        ledger.record(record())
    error: BaseException | None = refused.value
    while error is not None:
        assert "p-1001" not in repr(error)
        assert "told" not in repr(error)
        error = error.__context__ or error.__cause__
    assert ledger.list("p-1001") == ()
