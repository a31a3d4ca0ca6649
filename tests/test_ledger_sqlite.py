"""The consent ledger in an SQLite file that it shares with the program."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from test_consent import ZONE, Clock, judge, record

from guard.errors import Refused
from guard_ledger.ledger import Ledger
from guard_ledger.person_keys import PersonKeys


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "bank.db"


@pytest.fixture
def now() -> Clock:
    return Clock()


def test_recording_while_the_program_holds_the_database_is_refused_at_once(path, now):
    with Ledger(f"sqlite:///{path}", judge=judge, judged="", zone=ZONE, now=now, wait=0.05) as ledger:
        ledger.record(record("c-0", subject="p-0"))
        program = sqlite3.connect(path, isolation_level=None)
        program.execute("BEGIN IMMEDIATE")
        for call in (
            lambda: ledger.record(record()),
            lambda: ledger.withdraw("c-0"),
            lambda: ledger.persons.key("p-7"),
        ):
            with pytest.raises(Refused) as refused:
                call()
            assert refused.value.rules == ("GUARD-LEDGER",)
            assert "before the transaction" in str(refused.value)
            assert refused.value.__context__ is None
        assert ledger.sequence() == 1  # reading goes on
        program.execute("ROLLBACK")
        program.close()
        ledger.record(record())


def test_a_read_cursor_left_open_refuses_the_record_and_nothing_is_kept(path, now):
    """In a rollback journal a reader holds off every commit; in WAL it does not. The mode is the program's choice."""
    with Ledger(f"sqlite:///{path}", judge=judge, judged="", zone=ZONE, now=now, wait=0.05) as ledger:
        ledger.record_many(record(f"c-{i}", f"p-{i}") for i in range(3))
        program = sqlite3.connect(path)
        cursor = program.execute("SELECT subject FROM guard_grant")
        cursor.fetchone()
        with pytest.raises(Refused, match="locked"):
            ledger.record(record("c-9", "p-0"))
        cursor.close()
        assert len(ledger.list("p-0")) == 1
        assert program.execute("PRAGMA journal_mode = WAL").fetchone() == ("wal",)
        cursor = program.execute("SELECT subject FROM guard_grant")
        cursor.fetchone()
        ledger.record(record("c-9", "p-0"))
        program.close()


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_the_journal_mode_is_left_as_it_is(path, now, mode):
    program = sqlite3.connect(path)
    assert program.execute(f"PRAGMA journal_mode = {mode}").fetchone() == (mode,)
    with Ledger(f"sqlite:///{path}", judge=judge, judged="", zone=ZONE, now=now) as ledger:
        ledger.record(record())
        assert program.execute("PRAGMA journal_mode").fetchone() == (mode,)
    program.close()


def test_person_keys_in_a_database_of_their_own_can_be_made_while_the_program_holds_the_ledgers(path, tmp_path, now):
    persons = PersonKeys(f"sqlite:///{tmp_path / 'persons.db'}")
    with Ledger(f"sqlite:///{path}", judge=judge, judged="", zone=ZONE, now=now, wait=0.05, persons=persons) as ledger:
        program = sqlite3.connect(path, isolation_level=None)
        program.execute("BEGIN EXCLUSIVE")
        assert len(ledger.persons.key("p-7")) == 32
        with pytest.raises(Refused):
            ledger.sequence()
        program.close()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT name FROM sqlite_master WHERE name = 'guard_person'").fetchall() == []


def test_what_is_no_database_is_refused_without_its_text(path):
    path.write_bytes(b"a letter about p-1001" * 100)
    with pytest.raises(Refused) as refused:
        Ledger(f"sqlite:///{path}", judge=judge, judged="", zone=ZONE)
    assert refused.value.rules == ("GUARD-LEDGER",)
    assert refused.value.__context__ is None


def test_opening_needs_no_write_once_the_tables_are_there(path, now):
    with Ledger(f"sqlite:///{path}", judge=judge, judged="", zone=ZONE, now=now):
        pass
    program = sqlite3.connect(path, isolation_level=None)
    program.execute("BEGIN IMMEDIATE")
    with Ledger(f"sqlite:///{path}", judge=judge, judged="", zone=ZONE, now=now, wait=0.05) as ledger:
        assert ledger.sequence() == 0
    program.close()


def test_the_wait_for_other_writers_is_bounded_as_said(path, now):
    with Ledger(f"sqlite:///{path}", judge=judge, judged="", zone=ZONE, now=now, wait=0.25) as ledger:
        assert ledger._store.run(lambda connection: connection.exec_driver_sql("PRAGMA busy_timeout").scalar()) == 250
