"""For whom a condition holds, asked of the ledger's own database."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from typing import Any

import pytest
from records_bank import GET, LIN, PURPOSE, Bank, Open, banks

from guard.errors import Misuse, Refused
from guard.model import (
    ALWAYS,
    NEVER,
    FactCondition,
    Facts,
    GrantCondition,
    RelationCondition,
    SelfCondition,
    all_of,
    any_of,
)

__all__ = ["banks"]

GRANT = GrantCondition(rule="OP-01")
CASE = RelationCondition(rule="PI-02", name="assigned_case")
SELF = SelfCondition(rule="PI-45")


@pytest.fixture
def bank(banks: Open) -> Bank:
    made = banks()
    made.consents("1", "2")
    made.cases("1", "3")
    return made


def facts(bank: Bank, **more: Any) -> Facts:
    import time

    given = {
        "actor": LIN.id,
        "subject": None,
        "purpose": PURPOSE,
        "operation": "use",
        "recipient": "",
        "seconds": int(time.time()),
        "date": "2026-11-24",
        "judged": bank.guard.active.decider.judged,
    }
    return Facts(**{**given, **more})


def holding(bank: Bank, condition: Any, *subjects: str, **more: Any) -> set[str]:
    return bank.guard._parts.answers().holds(GET, condition, subjects, facts(bank, **more))


def test_each_kind_of_condition_is_answered(bank: Bank) -> None:
    asked = ("1", "2", "3", "4")
    assert holding(bank, GRANT, *asked) == {"1", "2"}
    assert holding(bank, CASE, *asked) == {"1", "3"}
    assert holding(bank, SELF, *asked, actor="4") == {"4"}
    assert holding(bank, any_of(GRANT, CASE), *asked) == {"1", "2", "3"}
    assert holding(bank, all_of(GRANT, CASE), *asked) == {"1"}
    assert holding(bank, ALWAYS, *asked) == set(asked)
    assert holding(bank, NEVER, *asked) == set()
    assert holding(bank, GRANT) == set()


def test_several_are_answered_together(bank: Bank) -> None:
    each = bank.guard._parts.answers().holds_each(GET, (GRANT, CASE, NEVER), ("1", "2", "3"), facts(bank))
    assert each == ({"1", "2"}, {"1", "3"}, set())


def test_keys_are_compared_exactly(bank: Bank) -> None:
    odd = ("1", "01", " 1", "1 ", "1.0", "1\0", "1x", "", "\ud800", "9" * 40, "1%", "%(x)s", "1'")
    assert holding(bank, GRANT, *odd) == {"1"}
    assert holding(bank, CASE, *odd) == {"1"}


def test_what_was_withdrawn_a_moment_ago_is_gone(bank: Bank) -> None:
    bank.guard.consents.withdraw_subject("1")
    assert holding(bank, GRANT, "1", "2") == {"2"}


def test_who_recorded_a_consent_does_not_use_it(bank: Bank) -> None:
    assert holding(bank, GRANT, "1", actor="web") == set()


@pytest.mark.parametrize(
    "change", [{"purpose": "marketing"}, {"operation": "provide"}, {"recipient": "x"}, {"judged": "y"}]
)
def test_a_grant_is_for_what_it_was_given_for(bank: Bank, change: dict[str, Any]) -> None:
    assert holding(bank, GRANT, "1", **change) == set()


def test_thousands_of_persons_are_asked_about_at_once(bank: Bank) -> None:
    assert holding(bank, GRANT, *(str(number) for number in range(20_000))) == {"1", "2"}


def test_a_fact_or_an_unknown_source_is_misuse(bank: Bank) -> None:
    with pytest.raises(Misuse, match="one of records"):
        holding(bank, FactCondition(rule="X", name="ended", operator="eq", value="2020-01-01"), "1")
    with pytest.raises(Misuse, match="no source"):
        bank.guard._parts.answers().holds("bank:GET /nothing", GRANT, ("1",), facts(bank))


def test_a_relation_without_a_table_here_is_refused(bank: Bank) -> None:
    with pytest.raises(Refused, match="GUARD-DECISION-NAME"):
        holding(bank, RelationCondition(rule="PI-02", name="other"), "1")


def test_what_the_database_says_does_not_pass_on(bank: Bank) -> None:
    schema = "main" if bank.place.kind == "sqlite" else "retail"
    bank.place.run(f"DROP TABLE {schema}.loan_case")
    with pytest.raises(Refused) as caught:
        holding(bank, CASE, "person-of-the-question")
    assert caught.value.rules == ("GUARD-LEDGER",)
    assert "person-of-the-question" not in str(caught.value)
    assert caught.value.__context__ is None


def test_a_program_without_records_loads_no_adapter() -> None:
    code = "import sys, guard.facade; print('guard_sql' in sys.modules, 'sqlglot' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_threads_share_one_and_a_forked_child_opens_its_own(bank: Bank) -> None:
    found: list[set[str]] = []
    threads = [threading.Thread(target=lambda: found.append(holding(bank, GRANT, "1", "9"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [{"1"}] * 8
    child = os.fork()
    if child == 0:
        os._exit(0 if holding(bank, GRANT, "1", "9") == {"1"} else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert holding(bank, GRANT, "2") == {"2"}


def test_a_connection_that_died_is_asked_past(bank: Bank) -> None:
    """What only reads is asked once more, on a new connection."""
    assert holding(bank, GRANT, "1") == {"1"}
    if bank.place.kind == "sqlite":
        pytest.skip("a file does not go away")
    with bank.place.connect(autocommit=True) as other:  # type: ignore[attr-defined]  # of this kind
        ended = other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'guard ledger'"
        ).fetchall()
    assert ended
    assert holding(bank, GRANT, "1") == {"1"}


@pytest.mark.parametrize("fails", [KeyboardInterrupt, ValueError])
def test_a_connection_that_was_left_halfway_is_nobodys(
    bank: Bank, monkeypatch: pytest.MonkeyPatch, fails: type[BaseException]
) -> None:
    """On PostgreSQL it would otherwise commit each statement of the ledger's next transaction by itself."""
    store = bank.guard.consents.store
    alone = store._backend.alone

    def failing(raw: Any, *, on: bool) -> None:
        if not on:
            raise fails
        alone(raw, on=on)

    monkeypatch.setattr(store._backend, "alone", failing)
    with pytest.raises(Refused if fails is ValueError else fails):
        holding(bank, GRANT, "1")
    monkeypatch.undo()
    if bank.place.kind == "postgres":
        with closing(store._engine.raw_connection()) as left:
            assert left.dbapi_connection.autocommit is False  # type: ignore[union-attr]  # it is open
    assert holding(bank, GRANT, "1") == {"1"}


def test_a_locked_database_is_refused_in_time(bank: Bank) -> None:
    if bank.place.kind != "sqlite":
        pytest.skip("readers of PostgreSQL wait for nobody")
    with closing(sqlite3.connect(bank.place.file, isolation_level=None)) as other:  # type: ignore[attr-defined]  # as above
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(Refused, match="locked") as caught:
            holding(bank, GRANT, "1")
    assert caught.value.rules == ("GUARD-LEDGER",)
    assert holding(bank, GRANT, "1") == {"1"}
