"""The DB-API adapter on both databases: reads, writes, transactions, withdrawals in the middle of them."""

from __future__ import annotations

import sqlite3
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import dbapi_bank
import psycopg
import pytest
from dbapi_bank import LIN, PURPOSE, Bank, Kind
from fixtures_postgres import as_superuser

from guard import Actor, Guard, Misuse, Refused
from guard.demo import bank as example
from guard_dbapi.driver import Statement

ONE = "SELECT full_name, id_number FROM customer WHERE customer_id = ?"
EVERYBODY = "SELECT customer_id FROM customer ORDER BY customer_id"
FEW = {str(number) for number in range(1001, 1013)}
SCORE = Actor(id="svc-score", kind="service", roles=("loan_officer",), unit="risk")
"""Whose act needs no case, so that several persons are met."""


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dbapi_bank.sqlite_bank(tmp_path_factory.mktemp("both") / "bank")


Open = Callable[..., Bank]


@pytest.fixture(params=["sqlite", "postgres"])
def opened(request: pytest.FixtureRequest, recorded: Path, tmp_path: Path) -> Iterator[Open]:
    kind: Kind = request.param
    made: list[Bank] = []

    def make(*texts: str, limits: str = "") -> Bank:
        folder = tmp_path / "bank"
        place, guard = dbapi_bank.loaded(kind, recorded, folder, request, limits)
        if kind == "postgres":
            few = [one for one in example.consents() if one.subject in FEW]
            guard.consents.record_many(few)
            for consent, moment in example.withdrawals():
                if consent in {one.consent.id for one in few}:
                    guard.consents.withdraw(consent, at=moment)
        bank = Bank(kind, folder, place, guard)
        made.append(bank)
        if texts:
            bank.outside(*texts)
        return bank

    yield make
    for bank in made:
        bank.close()


@pytest.fixture
def bank(opened: Open) -> Bank:
    return opened()


def refused(rule: str) -> Any:
    return pytest.raises(Refused, match=rule)


# --- Reads ----------------------------------------------------------------------------------------


def test_rows_come_out_as_from_the_driver(bank: Bank) -> None:
    with bank.guard.acting(LIN, purpose=PURPOSE), bank.connect() as connection:
        cursor = connection.cursor()
        assert cursor.execute(bank.sql(ONE), (1002,)) is cursor
        assert [column.name for column in cursor.description or ()] == ["full_name", "id_number"]
        ((name, number),) = cursor
        assert (name,) in bank.outside("SELECT full_name FROM {s}customer WHERE customer_id = 1002")
        assert number.isalnum()
        assert cursor.fetchone() is None
        ((_, masked),) = cursor.execute(bank.sql(ONE), (1001,))
        assert masked[3:] == "*" * 15


def test_parameters_may_have_names(bank: Bank) -> None:
    place = ":who" if bank.kind == "sqlite" else "%(who)s"
    with bank.guard.acting(LIN, purpose=PURPOSE):
        rows = bank.connect().execute(ONE.replace("?", place), {"who": 1002}).fetchall()
    assert len(rows) == 1


@pytest.mark.parametrize(
    ("sql", "parameters"), [("SELECT '100%' FROM branch", None), ("SELECT '%s' FROM branch", None)]
)
def test_a_percent_sign_is_one_where_there_are_no_parameters(bank: Bank, sql: str, parameters: Any) -> None:
    rows = bank.connect().execute(sql, parameters).fetchall()
    assert rows[0][0] == sql.split("'")[1]


def test_who_is_read_is_registered(bank: Bank) -> None:
    bank.ask(ONE, (1002,))
    (entry,) = bank.entries
    assert entry.kind == "read"
    assert entry.persons.count == 1


def test_public_tables_need_no_context(bank: Bank) -> None:
    assert len(bank.connect().execute("SELECT name FROM branch ORDER BY branch_id").fetchall()) == 3
    assert bank.entries == []


def test_a_refusal_is_registered_and_says_nothing_of_the_database(bank: Bank) -> None:
    bank.outside("ALTER TABLE {s}customer RENAME TO secret_name")
    with pytest.raises(Refused) as caught:
        bank.ask(ONE, (1002,))
    assert caught.value.rules == ("GUARD-DATABASE",)
    assert caught.value.__context__ is None
    assert "secret" not in str(caught.value)
    assert [entry.kind for entry in bank.entries] == ["denied"]


@pytest.mark.parametrize("sql", ["BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT x", "SET x = 1", "SELECT 1; SELECT 2"])
def test_transactions_are_no_statements(bank: Bank, sql: str) -> None:
    with bank.guard.acting(LIN, purpose=PURPOSE), refused("GUARD-SQL"):
        bank.connect().execute(sql)


# --- Attaching ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["row_factory", "cursor_factory", "context", "factory", "detect_types", "nonsense"])
def test_a_way_around_is_no_argument(bank: Bank, name: str) -> None:
    with pytest.raises(Misuse, match="connect takes"):
        bank.connect(**{name: None})


@pytest.mark.parametrize(
    "name",
    [
        *("info", "pgconn", "copy", "notifies", "add_notice_handler", "adapters", "row_factory", "cursor_factory"),
        *("server_cursor_factory", "pipeline", "xid", "tpc_begin", "cancel", "fileno", "wait", "execute_batch", "lock"),
        *("create_function", "backup", "set_authorizer", "text_factory", "blobopen", "__dict__", "stream", "query"),
    ],
)
def test_what_is_not_on_the_list_does_not_exist(bank: Bank, name: str) -> None:
    connection = bank.connect()
    for one in (connection, connection.cursor()):
        assert not hasattr(one, name)
        with pytest.raises(AttributeError):
            setattr(one, name, None)


def test_a_copy_of_the_ledger_is_another_database(bank: Bank, tmp_path: Path) -> None:
    if bank.kind == "sqlite":
        other = str(tmp_path / "copy.db")
        with closing(sqlite3.connect(bank.place)) as here, closing(sqlite3.connect(other)) as there:
            here.backup(there)
    else:
        bank.guard.close()  # else its connections keep it from being copied
        name = bank.place.split("?")[0].rpartition("/")[2]
        other = bank.place.replace(f"/{name}", f"/{name}_copy", 1)
        with psycopg.connect(as_superuser(bank.place).replace(f"/{name}", "/postgres", 1), autocommit=True) as raw:
            raw.execute(f'CREATE DATABASE "{name}_copy" TEMPLATE "{name}"'.encode())
    again = Bank(bank.kind, bank.folder, bank.place, Guard.load(bank.folder / "guard.yaml"))
    with pytest.raises(Misuse, match="another database"):
        again._wrapped(other)
    assert not again.connect().closed
    again.close()


DRIFTS = {
    "column": dict.fromkeys(("sqlite", "postgres"), "ALTER TABLE {s}customer RENAME COLUMN full_name TO name"),
    "table": dict.fromkeys(("sqlite", "postgres"), "ALTER TABLE {s}customer RENAME TO client"),
    "schema": {"sqlite": "DROP TABLE customer", "postgres": "ALTER SCHEMA retail RENAME TO shop"},
    "type": {"sqlite": "DROP TABLE customer", "postgres": "ALTER TABLE {s}customer ALTER customer_id TYPE text"},
}


@pytest.mark.parametrize("texts", DRIFTS.values(), ids=DRIFTS)
def test_a_database_that_is_not_as_the_catalogue_says_points_at_guard_check(bank: Bank, texts: dict[str, str]) -> None:
    bank.outside(texts[bank.kind])
    with refused("GUARD-DATABASE.*catalogue says: run guard check"):
        bank.ask(ONE, (1002,))


def test_an_error_that_a_value_makes_says_nothing_of_the_catalogue(bank: Bank) -> None:
    most = "sum(9223372036854775807 + 0 * credit_amount)" if bank.kind == "sqlite" else "1 / min(0 * credit_amount)"
    with refused("GUARD-DATABASE") as caught:
        bank.ask(f"SELECT {most} FROM application")
    assert "guard check" not in str(caught.value)


# --- Transactions, withdrawals --------------------------------------------------------------------

LEVELS: dict[Kind, tuple[Any, ...]] = {
    "sqlite": (None, "", "DEFERRED", "IMMEDIATE"),
    "postgres": (None, *psycopg.IsolationLevel),
}


def test_who_withdraws_during_a_transaction_is_in_no_later_statement(bank: Bank) -> None:
    for level in LEVELS[bank.kind]:
        with bank.guard.acting(SCORE, purpose=PURPOSE, operation="process"):
            connection = bank.connect()
            connection.isolation_level = level
            everybody = connection.execute(EVERYBODY).fetchall()
            assert everybody
            bank.guard.consents.withdraw_subject(str(everybody[-1][0]))
            assert connection.isolation_level == level
            assert connection.execute(EVERYBODY).fetchall() == everybody[:-1]
            if level is not None and bank.kind == "postgres" and level >= psycopg.IsolationLevel.REPEATABLE_READ:
                with refused("GUARD-WITHDRAWN"):
                    connection.execute("SELECT count(*) FROM customer")
            connection.rollback()
            assert connection.execute(EVERYBODY).fetchall() == everybody[:-1]
            connection.close()


@pytest.mark.skipif(sys.version_info < (3, 12), reason="sqlite3 has autocommit from Python 3.12 on")
def test_a_transaction_that_is_always_open_knows_who_withdrew(bank: Bank) -> None:
    if bank.kind == "sqlite":
        bank.outside("PRAGMA journal_mode = WAL")  # else its lock keeps the ledger from recording a withdrawal
    with bank.guard.acting(SCORE, purpose=PURPOSE, operation="process"):
        connection = bank.connect(autocommit=False)
        everybody = connection.execute(EVERYBODY).fetchall()
        connection.commit()
        assert connection.execute(EVERYBODY).fetchall() == everybody
        bank.guard.consents.withdraw_subject(str(everybody[-1][0]))
        assert connection.execute(EVERYBODY).fetchall() == everybody[:-1]


def test_a_named_cursor_yields_nobody_who_withdrew_meanwhile(opened: Open) -> None:
    bank = opened(limits="batch: 2")
    if bank.kind == "sqlite":
        with bank.guard.acting(LIN, purpose=PURPOSE), pytest.raises(Misuse, match="named cursors"):
            bank.connect().cursor("x").execute("SELECT name FROM branch")
        return
    with bank.guard.acting(SCORE, purpose=PURPOSE, operation="process"):
        connection = bank.connect()
        everybody = connection.execute(EVERYBODY).fetchall()
        with connection.cursor("mine") as cursor:
            cursor.execute(EVERYBODY)
            first = cursor.fetchone()
            bank.guard.consents.withdraw_subject(str(everybody[-1][0]))
            assert [first, *cursor.fetchall()] == everybody[:-1]


def test_a_connection_closes_as_the_drivers_does(bank: Bank) -> None:
    with bank.connect() as connection:
        connection.execute("SELECT name FROM branch")
    assert connection.closed is (bank.kind == "postgres")
    connection.close()
    with bank.guard.acting(LIN, purpose=PURPOSE), refused("closed"):
        connection.execute(ONE.replace("?", "1002"))


# --- Writes ---------------------------------------------------------------------------------------

RAISE = "UPDATE customer SET monthly_income = ? WHERE customer_id = ?"
CLEARED = "UPDATE {s}customer SET monthly_income = 1"
INCOME = "SELECT monthly_income FROM {s}customer WHERE customer_id IN (1001, 1002, 1003) ORDER BY customer_id"


def kinds(bank: Bank) -> list[str]:
    return [entry.kind for entry in bank.entries]


def incomes(bank: Bank) -> list[int]:
    return [one for (one,) in bank.outside(INCOME)]


def test_a_write_is_registered_before_and_after(opened: Open) -> None:
    bank = opened(CLEARED)
    with bank.guard.acting(LIN, purpose=PURPOSE) as act, bank.connect() as connection:
        cursor = connection.execute(bank.sql(RAISE), (9000, 1002))
        assert cursor.rowcount == 1
        assert cursor.description is None
        assert cursor.fetchall() == []
        assert kinds(bank) == ["intent"]
        assert incomes(bank) == [1, 1, 1]
        connection.commit()
    assert kinds(bank) == ["intent", "done"]
    assert incomes(bank) == [1, 9000, 1]
    intent, done = bank.entries
    assert intent.persons.count == done.persons.count == 1
    assert done.refers_to == intent.seq
    assert [outcome.rows for outcome in act.outcomes] == [1]


def test_a_write_that_is_rolled_back_is_registered_as_that(opened: Open) -> None:
    bank = opened(CLEARED)
    with bank.guard.acting(LIN, purpose=PURPOSE):
        connection = bank.connect()
        connection.execute(bank.sql(RAISE), (9000, 1002))
        connection.rollback()
        connection.execute(bank.sql(RAISE), (9000, 1002))
        connection.close()
    assert kinds(bank) == ["intent", "rolled_back", "intent", "rolled_back"]
    assert incomes(bank) == [1, 1, 1]


def test_in_autocommit_a_write_is_done_at_once(opened: Open) -> None:
    bank = opened(CLEARED)
    with bank.guard.acting(LIN, purpose=PURPOSE):
        connection = bank.autocommit()
        connection.execute(bank.sql(RAISE), (9000, 1002))
        assert not connection.in_transaction
    assert kinds(bank) == ["intent", "done"]
    assert incomes(bank) == [1, 9000, 1]


def test_many_writes_are_one_operation_each(opened: Open) -> None:
    bank = opened(CLEARED)
    with bank.guard.acting(LIN, purpose=PURPOSE), bank.connect() as connection:
        cursor = connection.executemany(bank.sql(RAISE), [(2000, 1001), (3000, 1002), (4000, 0)])
        assert cursor.rowcount == 2
    assert incomes(bank) == [2000, 3000, 1]
    assert kinds(bank) == ["intent"] * 3 + ["done"] * 3


def test_who_may_not_be_written_is_not_and_nobody_with_them(opened: Open) -> None:
    bank = opened(CLEARED)
    with bank.guard.acting(LIN, purpose=PURPOSE):
        connection = bank.connect()
        connection.execute(bank.sql(RAISE), (9000, 1002))
        for sql in (
            "UPDATE customer SET monthly_income = 5",
            "UPDATE customer SET monthly_income = 5 WHERE customer_id = 1003",
        ):
            with pytest.raises(Refused):
                connection.execute(sql)
        connection.commit()
    assert incomes(bank) == [1, 9000, 1]
    assert kinds(bank) == ["intent", "denied", "denied", "done"]


def test_a_write_that_is_interrupted_is_undone(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    bank = opened(CLEARED)
    with bank.guard.acting(LIN, purpose=PURPOSE):
        connection = bank.connect()
        fetch = Statement.fetch

        def interrupted(statement: Statement, size: int) -> Any:
            rows = fetch(statement, size)
            if "RETURNING" in (statement.text or ""):
                raise KeyboardInterrupt
            return rows

        monkeypatch.setattr(Statement, "fetch", interrupted)
        with pytest.raises(KeyboardInterrupt):
            connection.execute(bank.sql(RAISE), (9000, 1002))
        connection.commit()
    assert incomes(bank) == [1, 1, 1]


@pytest.mark.parametrize("commit", [True, False])
@pytest.mark.parametrize("late", [True, False])
def test_who_interrupts_the_end_of_a_transaction_makes_no_outcome_up(
    opened: Open, monkeypatch: pytest.MonkeyPatch, late: bool, commit: bool
) -> None:
    """Nobody knows whether the database heard of the commit before; an outcome that is missing reads as done."""
    bank = opened(CLEARED)
    connection = bank.connect()
    end = type(connection._session).end

    def interrupted(session: Any, *, commit: bool) -> bool:
        if late:
            end(session, commit=commit)
        raise KeyboardInterrupt

    with bank.guard.acting(LIN, purpose=PURPOSE):
        connection.execute(bank.sql(RAISE), (7, 1002))
        with monkeypatch.context() as patch:
            patch.setattr(type(connection._session), "end", interrupted)
            with pytest.raises(KeyboardInterrupt):
                (connection.commit if commit else connection.rollback)()
    assert connection.closed
    written = bank.outside("SELECT monthly_income FROM {s}customer WHERE customer_id = 1002") == [(7,)]
    assert written is (late and commit)
    assert [one.kind for one in bank.entries] == ["intent", *([] if commit else ["rolled_back"])]


@pytest.mark.parametrize("what", ["commit", "write", "read", "block"])
@pytest.mark.parametrize("alone", [False, True])
def test_another_thread_waits_until_a_write_is_settled(
    opened: Open, monkeypatch: pytest.MonkeyPatch, what: str, alone: bool
) -> None:
    """Between the write and its check nothing else happens on the connection: a commit would make it stay."""
    bank = opened(CLEARED)
    modes: dict[str, Any] = {"check_same_thread": False} if bank.kind == "sqlite" else {"autocommit": alone}
    if bank.kind == "sqlite" and alone:
        modes["isolation_level"] = None
    connection = bank.connect(**modes)
    fetch, others = Statement.fetch, []
    failed: list[BaseException] = []

    def other() -> None:
        try:
            with bank.guard.acting(LIN, purpose=PURPOSE):
                if what == "commit":
                    connection.commit()
                elif what == "write":
                    connection.execute(bank.sql(RAISE), (8, 1001))
                elif what == "read":
                    connection.execute("SELECT full_name FROM customer WHERE customer_id = 1001").fetchall()
                else:
                    with connection.transaction():
                        connection.execute(bank.sql(RAISE), (8, 1001))
        except BaseException as error:  # noqa: BLE001 -- it is looked at below
            failed.append(error)

    def interrupted(statement: Statement, size: int) -> Any:
        rows = fetch(statement, size)
        if "RETURNING" in (statement.text or "") and not others:
            others.append(threading.Thread(target=other))
            others[0].start()
            others[0].join(0.3)
            raise KeyboardInterrupt
        return rows

    with bank.guard.acting(LIN, purpose=PURPOSE):
        with monkeypatch.context() as patch:
            patch.setattr(Statement, "fetch", interrupted)
            with pytest.raises(KeyboardInterrupt):
                connection.execute(bank.sql(RAISE), (9000, 1002))
            others[0].join()
        connection.commit()
    assert not failed
    assert incomes(bank) == [8 if what in ("write", "block") else 1, 1, 1]
    assert not connection.in_transaction


@pytest.mark.parametrize("alone", [False, True])
def test_two_threads_write_on_one_connection(opened: Open, alone: bool) -> None:
    """What one is refused is undone alone, and what the other wrote stays."""
    bank = opened(CLEARED)
    modes: dict[str, Any] = {"check_same_thread": False} if bank.kind == "sqlite" else {"autocommit": alone}
    if bank.kind == "sqlite" and alone:
        modes["isolation_level"] = None
    connection = bank.connect(**modes)
    refused: list[tuple[str, ...]] = []
    wrote: list[int] = []

    def writing() -> None:
        with bank.guard.acting(LIN, purpose=PURPOSE):
            wrote.extend(connection.execute(bank.sql(RAISE), (value, 1002)).rowcount for value in range(2, 22))

    def trying() -> None:
        with bank.guard.acting(LIN, purpose=PURPOSE):
            for _ in range(20):
                with pytest.raises(Refused) as raised:
                    connection.execute("UPDATE customer SET monthly_income = 5 WHERE customer_id = 1003")
                refused.append(raised.value.rules)

    threads = [threading.Thread(target=one) for one in (writing, trying)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    with bank.guard.acting(LIN, purpose=PURPOSE):
        connection.commit()
    assert wrote == [1] * 20
    assert len(refused) == 20
    assert "GUARD-DATABASE" not in {rule for rules in refused for rule in rules}
    assert incomes(bank) == [1, 21, 1]
    assert kinds(bank).count("done") == 20


def test_who_interrupts_a_savepoint_leaves_no_transaction(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    bank = opened(CLEARED)
    connection = bank.autocommit()
    begin = type(connection._session).savepoint

    def interrupted(session: Any) -> None:
        begin(session)
        raise KeyboardInterrupt

    with bank.guard.acting(LIN, purpose=PURPOSE):
        with monkeypatch.context() as patch:
            patch.setattr(type(connection._session), "savepoint", interrupted)
            with pytest.raises(KeyboardInterrupt):
                connection.execute(bank.sql(RAISE), (7, 1002))
        assert not connection.in_transaction


def test_a_table_with_a_trigger_is_not_written(opened: Open) -> None:
    bank = opened(CLEARED)
    if bank.kind == "sqlite":
        bank.outside("CREATE TRIGGER t AFTER UPDATE ON customer BEGIN UPDATE loan SET status = 'x'; END")
    else:
        bank.outside(
            "CREATE FUNCTION {s}f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END'",
            "CREATE TRIGGER t AFTER UPDATE ON {s}customer FOR EACH ROW EXECUTE FUNCTION {s}f()",
        )
    with bank.guard.acting(LIN, purpose=PURPOSE), refused("trigger"):
        bank.connect().execute(bank.sql(RAISE), (9000, 1002))
    assert kinds(bank) == ["denied"]
    assert incomes(bank) == [1, 1, 1]


def test_a_public_table_is_written_without_an_entry(bank: Bank) -> None:
    with bank.connect() as connection:
        cursor = connection.execute(bank.sql("UPDATE branch SET city = ? WHERE branch_id = 'branch-3'"), ("Foshan",))
        assert cursor.rowcount == 1
    assert bank.outside("SELECT city FROM {s}branch WHERE branch_id = 'branch-3'") == [("Foshan",)]
    assert bank.entries == []


def _raising(bank: Bank, connection: Any, values: tuple[int, int]) -> None:
    with connection.transaction():
        connection.execute(bank.sql(RAISE), values)
        raise ZeroDivisionError


@pytest.mark.parametrize("alone", [False, True])
def test_a_block_is_kept_or_undone_whole(opened: Open, alone: bool) -> None:
    bank = opened(CLEARED)
    with bank.guard.acting(LIN, purpose=PURPOSE):
        connection = bank.autocommit() if alone else bank.connect()
        with connection.transaction():
            connection.execute(bank.sql(RAISE), (2000, 1001))
            with pytest.raises(ZeroDivisionError):
                _raising(bank, connection, (3000, 1002))
            with pytest.raises(Misuse, match="block"):
                connection.commit()
            assert connection.in_transaction
        assert not connection.in_transaction
        assert incomes(bank) == [2000, 1, 1]
        with pytest.raises(ZeroDivisionError):
            _raising(bank, connection, (5000, 1001))
    assert incomes(bank) == [2000, 1, 1]
    assert kinds(bank) == ["intent", "intent", "rolled_back", "done", "intent", "rolled_back"]


def test_who_wrote_a_relation_does_not_read_through_it(bank: Bank) -> None:
    """An officer who assigns a case to himself reads nobody by it in the same transaction."""
    with bank.guard.acting(SCORE, purpose=PURPOSE):
        connection = bank.connect()
        connection.execute("UPDATE loan_case SET status = 'closed' WHERE customer_id = 1002")
    with bank.guard.acting(LIN, purpose=PURPOSE), refused("GUARD-RELATION.*End the transaction first"):
        connection.execute(bank.sql(ONE), (1002,))


def test_what_a_statement_writes_and_rests_on_at_once_ends_in_no_transaction(bank: Bank) -> None:
    with bank.guard.acting(LIN, purpose=PURPOSE), refused("GUARD-RELATION.*purpose that needs no relation"):
        bank.connect().execute("UPDATE loan_case SET status = 'closed' WHERE customer_id = 1002")


def test_an_old_snapshot_writes_nobody_who_withdrew(opened: Open) -> None:
    bank = opened(CLEARED)
    with bank.guard.acting(LIN, purpose=PURPOSE):
        connection = bank.connect()
        if bank.kind == "postgres":
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            connection.execute(bank.sql(ONE), (1002,)).fetchall()
            bank.guard.consents.withdraw_subject("1002")
            with pytest.raises(Refused):
                connection.execute(bank.sql(RAISE), (9000, 1002))
            connection.commit()
    assert incomes(bank) == [1, 1, 1]


def test_the_last_row_id_is_that_of_the_own_insert(bank: Bank) -> None:
    with bank.connect() as connection:
        cursor = connection.execute("INSERT INTO branch (branch_id, name, city) VALUES ('b-9', 'Nine', 'Foshan')")
        assert cursor.rowcount == 1
        assert cursor.lastrowid == (4 if bank.kind == "sqlite" else None)
        assert cursor.execute("SELECT name FROM branch").lastrowid is None


def test_a_write_of_a_public_table_that_fails_is_undone_alone(bank: Bank) -> None:
    new = "INSERT INTO branch (branch_id, name, city) VALUES ('b-9', 'Nine', 'Foshan')"
    connection = bank.connect()
    connection.execute(new)
    with refused("GUARD-DATABASE"):
        connection.execute(new)
    connection.commit()
    assert bank.outside("SELECT count(*) FROM {s}branch") == [(4,)]


def test_a_public_table_that_was_written_counts_for_relations(bank: Bank) -> None:
    connection = bank.connect()
    connection.execute("UPDATE branch SET city = 'Foshan'")
    assert connection._unit.transaction.written == {"bank:retail.branch"}
    connection.rollback()
    assert connection._unit.transaction.written == frozenset()


def test_a_value_that_does_not_fit_its_cast_tells_nothing_of_hidden_rows(bank: Bank) -> None:
    """PostgreSQL plans a prepared statement for all values: the cast ran, or not, behind the other comparison."""
    if bank.kind == "sqlite":
        pytest.skip("a cast of SQLite's cannot fail")
    hidden = {key for (key,) in bank.outside("SELECT customer_id FROM {s}customer")}
    hidden -= {key for (key,) in bank.ask("SELECT customer_id FROM customer")}
    told = []
    for key in (min(hidden), 99_999_999):
        sql = f"SELECT customer_id FROM customer WHERE customer_id = {key} AND CASE WHEN full_name > '' THEN"
        sql += " CAST(%s AS smallint) END > 3"
        connection = bank.connect()
        with bank.guard.acting(LIN, purpose=PURPOSE):
            for _ in range(14):
                connection.execute(sql, (Decimal(1),)).fetchall()
            with pytest.raises(Refused) as failed:
                connection.execute(sql, (Decimal(100_000),))
        told.append(failed.value.rules)
    assert told == [("GUARD-DATABASE",)] * 2
