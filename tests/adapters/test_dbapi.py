"""The DB-API adapter: an allow-list in front of the driver, and every statement on the road."""

from __future__ import annotations

import json
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

import guard_dbapi
from guard import Actor, Declared, Guard, Misuse, Recipient, Refused, Settings
from guard.demo import tour
from guard_register.seal import KeyFile, unseal

LIN = Actor(id="officer-lin", roles=("loan_officer",), unit="branch-3")
PURPOSE = "loan_underwriting"
MINE = "UPDATE loan_case SET officer_id = 'officer-lin', status = 'open';"
ONE = "SELECT full_name, id_number FROM customer WHERE customer_id = ?"


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bank whose consents are recorded, to be copied."""
    folder = tmp_path_factory.mktemp("dbapi") / "bank"
    tour.open_bank(Settings.load(tour.make_bank(folder))).close()
    return folder


class Bank:
    def __init__(self, folder: Path, guard: Guard, before: Bank | None = None) -> None:
        self.folder = folder
        self.file = str(folder / "bank.db")
        self.guard = guard
        self._wrapped = guard_dbapi.wrap(sqlite3.connect, guard, dialect="sqlite")
        self._open: list[guard_dbapi.GuardedConnection] = [] if before is None else before._open

    def connect(self, *arguments: Any, **keywords: Any) -> guard_dbapi.GuardedConnection:
        made = self._wrapped(*arguments, **keywords)
        self._open.append(made)
        return made

    def close(self) -> None:
        for one in self._open:
            one.close()
        self.guard.close()

    def raw(self, script: str) -> None:
        with sqlite3.connect(self.file) as connection:
            connection.executescript(script)
        connection.close()

    @property
    def entries(self) -> list[Any]:
        """What was registered since the bank was opened."""
        return [entry for entry in self.guard.register.entries() if entry.kind != "consent"]

    def ask(self, sql: str, parameters: Any = (), **acting: Any) -> list[tuple[Any, ...]]:
        with self.guard.acting(LIN, **{"purpose": PURPOSE, **acting}):
            rows: list[tuple[Any, ...]] = self.connect(self.file).execute(sql, parameters).fetchall()
            return rows


Open = Callable[..., Bank]


@pytest.fixture
def opened(recorded: Path, tmp_path: Path) -> Iterator[Open]:
    made: list[Bank] = []

    def make(script: str = "", limits: str = "", now: Callable[[], float] = time.time) -> Bank:
        folder = tmp_path / f"bank{len(made)}"
        shutil.copytree(recorded, folder, ignore=shutil.ignore_patterns("*.jsonl", "*.head", "checkpoint*"))
        if limits:
            config = folder / "guard.yaml"
            config.write_text(config.read_text("utf-8").replace("  batch: 256", f"  {limits}\n  batch: 256"), "utf-8")
        guard = Guard.load(folder / "guard.yaml", now=now)
        bank = Bank(folder, guard)
        made.append(bank)
        if script:
            bank.raw(script)
        return bank

    yield make
    for bank in made:
        bank.close()


@pytest.fixture
def bank(opened: Open) -> Bank:
    return opened()


def refused(rule: str) -> Any:
    return pytest.raises(Refused, match=rule)


# --- What a program sees --------------------------------------------------------------------------


def test_rows_come_out_as_from_the_driver(bank: Bank) -> None:
    with bank.guard.acting(LIN, purpose=PURPOSE), bank.connect(bank.file) as connection:
        cursor = connection.cursor()
        assert cursor.execute(ONE, (1002,)) is cursor
        assert cursor.connection is connection
        assert [column[0] for column in cursor.description or ()] == ["full_name", "id_number"]
        (row,) = cursor
        assert len(row) == 2
        assert cursor.fetchone() is None
        assert cursor.execute(ONE.replace("?", ":who"), {"who": 1002}).fetchmany(5) == [row]
        assert cursor.rowcount == -1


def test_public_tables_need_no_context_and_leave_no_entry(bank: Bank) -> None:
    rows = bank.connect(bank.file).execute("SELECT name FROM branch ORDER BY branch_id").fetchall()
    assert len(rows) == 3
    assert bank.entries == []


@pytest.mark.parametrize(
    "name",
    [
        *("create_function", "create_collation", "create_aggregate", "set_authorizer", "set_trace_callback"),
        *("backup", "serialize", "deserialize", "iterdump", "blobopen", "enable_load_extension", "load_extension"),
        *("row_factory", "text_factory", "total_changes", "interrupt", "__dict__", "info", "pgconn", "adapters"),
        *("copy", "notifies", "add_notice_handler", "cursor_factory", "_raw", "pipeline", "xid", "query"),
    ],
)
def test_what_is_not_on_the_list_does_not_exist(bank: Bank, name: str) -> None:
    connection = bank.connect(bank.file)
    assert not hasattr(connection, name)
    assert not hasattr(connection.cursor(), name)
    with pytest.raises(AttributeError):
        setattr(connection, name, None)


@pytest.mark.parametrize("call", ["executemany", "executescript"])
def test_more_than_one_statement_at_once_is_refused(bank: Bank, call: str) -> None:
    with refused("GUARD-PROXY"):
        getattr(bank.connect(bank.file), call)("SELECT 1", [()])


# --- Attaching ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "keywords",
    [
        {"factory": sqlite3.Connection},
        {"detect_types": sqlite3.PARSE_DECLTYPES},
        {"uri": True},
        {"nonsense": 1},
    ],
)
def test_a_way_around_is_no_argument(bank: Bank, keywords: dict[str, Any]) -> None:
    with pytest.raises(Misuse, match="connect takes"):
        bank.connect(bank.file, **keywords)
    with pytest.raises(Misuse, match="connect takes"):
        bank.connect(bank.file, 5.0)


def test_another_dialect_is_not_guarded(bank: Bank) -> None:
    for dialect in ("postgres", "mysql"):
        with pytest.raises(Misuse, match="sqlite"):
            guard_dbapi.wrap(sqlite3.connect, bank.guard, dialect=dialect)


def test_a_misspelt_dialect_is_told_those_that_there_are_and_the_near_one(bank: Bank) -> None:
    for dialect, said in (("sqlit", " Did you mean 'sqlite'?"), ("mysql", "")):
        with pytest.raises(Misuse) as raised:
            guard_dbapi.wrap(sqlite3.connect, bank.guard, dialect=dialect)
        assert str(raised.value) == f"guard_dbapi guards postgres and sqlite, not {dialect!r}.{said}"


def test_only_the_ledgers_own_database_is_read(bank: Bank, opened: Open, tmp_path: Path) -> None:
    shutil.copy(bank.file, tmp_path / "copy.db")
    for other in (str(tmp_path / "copy.db"), str(tmp_path / "new.db"), ":memory:", opened().file):
        with pytest.raises(Misuse, match="another database"):
            bank.connect(other)


def test_a_link_to_the_database_is_the_database(bank: Bank, tmp_path: Path) -> None:
    (tmp_path / "link.db").symlink_to(bank.file)
    with bank.guard.acting(LIN, purpose=PURPOSE):
        assert bank.connect(str(tmp_path / "link.db")).execute(ONE, (1002,)).fetchall()


# --- Refusals -------------------------------------------------------------------------------------


def test_every_refusal_is_registered(bank: Bank) -> None:
    connection = bank.connect(bank.file)
    with refused("GUARD-PURPOSE"):
        connection.execute(ONE, (1002,))
    with refused("GUARD-PURPOSE"):
        bank.guard.acting(LIN, purpose="curiosity")
    with bank.guard.acting(LIN, purpose=PURPOSE):
        for sql in ("SELECT * FROM sqlite_schema", "DROP TABLE customer", "nonsense", "SELECT " + "x" * 100_000):
            with refused("GUARD-SQL"):
                connection.execute(sql)
    with refused("PI-02"):
        bank.ask(ONE, (1002,), purpose="marketing")
    assert [entry.kind for entry in bank.entries] == ["denied"] * 7
    assert len({entry.seq for entry in bank.entries}) == 7


@pytest.mark.parametrize("parameters", [(object(),), ("\ud800",), (float("nan"),), {"a": 1}, (1, 2), (), 5, "12"])
def test_parameters_that_do_not_fit_are_a_registered_refusal(bank: Bank, parameters: Any) -> None:
    with pytest.raises(Refused) as caught:
        bank.ask(ONE, parameters)
    assert caught.value.rules[0].startswith("GUARD-SQL-PARAMETERS")
    assert [entry.kind for entry in bank.entries] == ["denied"]


def test_the_databases_own_words_stay_inside(opened: Open) -> None:
    """A table that went away after it was catalogued: the driver's message names it, and might name a value."""
    bank = opened("ALTER TABLE customer RENAME TO secret_name;")
    with pytest.raises(Refused) as caught:
        bank.ask(ONE, (1002,))
    error: BaseException | None = caught.value
    assert caught.value.rules == ("GUARD-DATABASE",)
    while error is not None:
        assert "no such table" not in str(error)
        assert not isinstance(error, sqlite3.Error)
        error = error.__cause__ or error.__context__


def test_a_closed_connection_or_cursor_says_so(bank: Bank) -> None:
    connection = bank.connect(bank.file)
    cursor = connection.cursor()
    cursor.close()
    with pytest.raises(Misuse, match="closed"):
        cursor.execute(ONE, (1002,))
    connection.close()
    with bank.guard.acting(LIN, purpose=PURPOSE), refused("closed"):
        connection.execute(ONE, (1002,))


def test_another_thread_than_the_drivers_is_a_refusal(bank: Bank) -> None:
    connection = bank.connect(bank.file)
    caught: list[BaseException] = []

    def work() -> None:
        try:
            with bank.guard.acting(LIN, purpose=PURPOSE):
                connection.execute(ONE, (1002,))
        except Refused as error:
            caught.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert [error.rules for error in caught] == [("GUARD-DATABASE",)]  # type: ignore[attr-defined]


# --- What policy is asked, what the register keeps ------------------------------------------------


def test_policy_is_asked_about_what_the_context_says(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    actors: list[str] = []
    decider = bank.guard.active.decider
    decide = decider.decide

    def spy(activities: Any, *, actor: str = "") -> Any:
        asked.extend(activities)
        actors.append(actor)
        return decide(activities, actor=actor)

    monkeypatch.setattr(decider, "decide", spy)
    declared = Declared(notice="n-1", basis="contract", evidence="form-7")
    to = Recipient(kind="handler", id="insurer-1")
    with pytest.raises(Refused):
        bank.ask(ONE, (1002,), subject=1002, operation="provide", recipient=to, declared=declared)
    bank.ask("SELECT count(*) FROM customer")
    first, second = asked
    assert (first.subjects, second.subjects) == ("declared", "many")
    assert (first.declared, first.recipient, first.operation) == (declared, to, "provide")
    assert first.actor == LIN.facts()
    assert actors == [LIN.id, LIN.id]


def test_a_grant_to_one_recipient_is_none_to_another(opened: Open) -> None:
    """The recipient that the context names is the one that the grants are compared with."""
    bank = opened("UPDATE guard_grant SET recipient = 'insurer-1', separate = 1, assurance = 2 WHERE subject = '1002';")
    bank.raw(
        "INSERT INTO guard_scope SELECT DISTINCT scope, 'provide', category FROM guard_scope WHERE operation = 'use';"
    )
    for name, expected in (("insurer-1", 1), ("insurer-2", 0)):
        to = Recipient(kind="handler", id=name)
        rows = bank.ask("SELECT full_name FROM customer", operation="provide", recipient=to)
        assert len(rows) == expected


def test_values_are_sealed_and_persons_are_not_named(bank: Bank) -> None:
    sql = 'SELECT full_name AS "id 110101199003071234" FROM customer WHERE customer_id = 1002 AND mobile <> ?'
    bank.ask(sql, ("13800000000",))
    (path,) = (bank.folder / "register").glob("*.jsonl")
    text = path.read_bytes()
    for secret in (b"1002", b"110101199003071234", b"13800000000"):
        assert secret not in text
    (entry,) = bank.entries
    assert entry.persons.count == 1
    kept = unseal(KeyFile(bank.folder / "register.key"), entry)
    assert kept == {"sql": sql, "parameters": ["13800000000"]}


def test_the_callers_list_is_kept_as_it_was(opened: Open) -> None:
    bank = opened(limits="buffered: 5000")
    asked = [1002]
    with bank.guard.acting(LIN, purpose=PURPOSE):
        cursor = bank.connect(bank.file).execute(ONE, asked)
        asked[0] = 999
        cursor.fetchall()
    kept: Any = unseal(KeyFile(bank.folder / "register.key"), bank.entries[-1])
    assert kept["parameters"] == [1002]


def test_a_register_that_cannot_be_written_releases_nothing(bank: Bank) -> None:
    register = bank.folder / "register"
    (path,) = [*register.glob("*.jsonl")] or [None]
    bank.guard.register.close()
    with refused("GUARD-REGISTER"):
        bank.ask(ONE, (1002,))
    assert path is None or path.exists()


# --- Time, context, withdrawal --------------------------------------------------------------------


def test_the_next_statement_does_not_see_who_withdrew(bank: Bank) -> None:
    with bank.guard.acting(LIN, purpose=PURPOSE):
        connection = bank.connect(bank.file)
        open_cursor = connection.execute("SELECT customer_id FROM customer")
        assert open_cursor.fetchone()
        assert connection.execute(ONE, (1002,)).fetchall()
        bank.guard.consents.withdraw_subject("1002")  # not kept waiting by the cursor that is still open
        assert connection.execute(ONE, (1002,)).fetchall() == []


def test_rows_are_taken_inside_the_context(bank: Bank) -> None:
    with bank.guard.acting(LIN, purpose=PURPOSE):
        cursor = bank.connect(bank.file).execute("SELECT full_name FROM customer")
    for take in (cursor.fetchall, cursor.fetchone, cursor.fetchmany):
        with refused("GUARD-CONTEXT"):
            take()


def test_a_new_statement_forgets_the_rows_of_the_last(bank: Bank) -> None:
    with bank.guard.acting(LIN, purpose=PURPOSE):
        cursor = bank.connect(bank.file).execute("SELECT full_name FROM customer")
        with refused("GUARD-SQL"):
            cursor.execute("SELECT nothing FROM nowhere")
        assert cursor.fetchall() == []
        assert cursor.description is None


@pytest.mark.parametrize("operation", ["collect", "store"])
def test_a_select_is_not_collecting_or_storing(bank: Bank, operation: str) -> None:
    said = rf'It is in {operation}: run a SELECT in guard\.acting\(…, operation="use" or "process"'
    with refused(f"GUARD-OPERATION.*{said}"):
        bank.ask(ONE, (1002,), operation=operation)
    assert [entry.kind for entry in bank.entries] == ["denied"]


@pytest.mark.parametrize("operation", ["use", "process"])
def test_an_inquiry_in_bulk_releases_nobody_under_any_name(opened: Open, operation: str) -> None:
    bank = opened(MINE)
    with refused("OP-08"):
        bank.ask("SELECT full_name FROM customer", operation=operation)


def test_a_clock_set_back_revives_nothing(opened: Open) -> None:
    now = [time.time()]
    bank = opened(now=lambda: now[0])
    assert bank.ask(ONE, (1002,))
    now[0] += 400 * 86_400
    assert bank.ask(ONE, (1002,)) == []
    now[0] -= 400 * 86_400
    assert bank.ask(ONE, (1002,)) == []


@pytest.mark.parametrize("reading", [float("nan"), float("inf"), -1.0, 1e300, None])
def test_a_clock_that_tells_no_time_is_a_registered_refusal(opened: Open, reading: Any) -> None:
    now: list[Any] = [time.time()]
    bank = opened(now=lambda: now[0])
    with bank.guard.acting(LIN, purpose=PURPOSE):
        now[0] = reading
        with refused("GUARD-CLOCK"):
            bank.connect(bank.file).execute(ONE, (1002,))
    assert [entry.kind for entry in bank.entries] == ["denied"]


def test_more_rows_than_the_bound_are_refused(opened: Open) -> None:
    bank = opened(MINE, limits="buffered: 256")
    with refused("GUARD-LIMIT"):
        bank.ask("SELECT case_id FROM loan_case")


@pytest.mark.parametrize("limit", ["statement: 64", "parameters: 0"])
def test_the_limits_of_guard_yaml_hold(opened: Open, limit: str) -> None:
    bank = opened(limits=limit)
    with refused("GUARD-SQL"):
        bank.ask(ONE + " " * 64, (1002,))


# --- A named person -------------------------------------------------------------------------------

ONLY = (
    "DELETE FROM loan; UPDATE loan_case SET officer_id = 'officer-wu'; "
    "UPDATE loan_case SET officer_id = 'officer-lin', status = 'open' WHERE customer_id = 1002;"
)
LOAN = (
    "INSERT INTO loan (loan_id, customer_id, guarantor_id, principal, status, overdue_days, overdue_ended_at) VALUES "
)


def said(bank: Bank, subject: str) -> Any:
    try:
        return bank.ask("SELECT loan_id FROM loan", subject=subject, purpose="post_loan_management")
    except Refused as refusal:
        return refusal.rules


def test_who_stands_surety_for_a_hidden_loan_is_not_told(opened: Open) -> None:
    one = opened(ONLY + LOAN + "(1, 1002, 1500, 5, 'normal', 0, NULL);")
    other = opened(ONLY + LOAN + "(1, 1002, 1501, 5, 'normal', 0, NULL);")
    assert said(one, "1500") == said(other, "1500") == ("PI-02",)


def test_that_there_was_an_adverse_record_is_not_told(opened: Open) -> None:
    old = opened(ONLY + LOAN + "(1, 1002, NULL, 5, 'normal', 90, '2015-01-01');")
    none = opened(ONLY)
    assert said(old, "1002") == said(none, "1002")


def test_the_register_verifies_after_all_of_it(bank: Bank) -> None:
    bank.ask(ONE, (1002,))
    with pytest.raises(Refused):
        bank.ask("nonsense")
    assert bank.guard.register.verify().ok
    for path in (bank.folder / "register").glob("*.jsonl"):
        for line in path.read_text("utf-8").splitlines():
            assert json.loads(line)["v"] == 1


# --- The database's own parser as witness ---------------------------------------------------------


def test_a_table_that_became_a_view_is_refused_by_the_database(opened: Open) -> None:
    view = "CREATE VIEW branch AS SELECT customer_id AS branch_id, full_name AS name, id_number AS city FROM customer;"
    bank = opened("DROP TABLE branch;" + view)
    with refused("GUARD-WITNESS"):
        bank.connect(bank.file).execute("SELECT branch_id, name, city FROM branch")


@pytest.mark.parametrize(
    "sql", ["ATTACH 'x.db' AS x", "PRAGMA user_version", "SELECT * FROM sqlite_schema", "SELECT 1", "BEGIN"]
)
def test_what_reaches_the_connection_past_the_adapter_is_refused(bank: Bank, sql: str) -> None:
    raw: sqlite3.Connection = bank.connect(bank.file)._session._raw  # type: ignore[attr-defined]
    with pytest.raises(sqlite3.DatabaseError, match=r"not authorized|prohibited"):
        raw.execute(sql)


def test_a_statement_that_reads_more_than_its_plan_is_refused(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the rewriting had let something through: the plan names one column, the text another."""
    bind = guard_dbapi.cursor.guard_sql.Guarded.bind

    def other(self: Any, parameters: Any, facts: Any) -> Any:
        sql, values = bind(self, parameters, facts)
        return sql.replace('"mobile"', '"id_number"'), values

    monkeypatch.setattr(guard_dbapi.cursor.guard_sql.Guarded, "bind", other)
    with refused("GUARD-WITNESS"):
        bank.ask("SELECT mobile FROM customer")
    assert [entry.kind for entry in bank.entries] == ["denied"]


def test_transactions_end_through_the_methods(bank: Bank) -> None:
    connection = bank.connect(bank.file)
    connection.commit()
    connection.rollback()
    assert connection.in_transaction is False


# --- Other rules ----------------------------------------------------------------------------------


def with_purpose(bank: Bank, text: str) -> Bank:
    """The same bank, opened again under another profile."""
    profile = bank.folder / "profile.yaml"
    profile.write_text(profile.read_text("utf-8").replace("purposes:", f"purposes:\n{text}", 1), "utf-8")
    bank.guard.close()
    return Bank(bank.folder, Guard.load(bank.folder / "guard.yaml"), bank)


SURVEY = "  survey: {basis: [consent], categories: [contact]}"


def test_consents_outlive_a_change_of_profile(bank: Bank) -> None:
    before = bank.ask("SELECT customer_id, full_name, id_number FROM customer ORDER BY customer_id")
    changed = with_purpose(bank, SURVEY)
    with changed.guard:
        assert changed.ask("SELECT customer_id, full_name, id_number FROM customer ORDER BY customer_id") == before
        assert changed.guard.consents.rejudge() == 0


def test_judging_again_revives_nobody(bank: Bank) -> None:
    bank.guard.consents.withdraw_subject("1002")
    changed = with_purpose(bank, SURVEY)
    with changed.guard:
        assert changed.ask(ONE, (1002,)) == []
        changed.guard.consents.withdraw_subject("1001")
        assert changed.ask(ONE, (1001,)) == []


def test_a_void_consent_stays_void_under_rules_that_would_allow_it(bank: Bank) -> None:
    bank.raw("UPDATE guard_consent SET valid = 1 WHERE subject IN ('1011', '1012');")
    changed = with_purpose(bank, SURVEY)
    with changed.guard:
        assert changed.ask(ONE, (1011,)) == changed.ask(ONE, (1012,)) == []


def test_a_grant_judged_again_is_no_wider_and_no_longer(bank: Bank) -> None:
    bank.raw(
        "UPDATE guard_grant SET valid_until = valid_from + 40 * 86400, scope = (SELECT min(s.scope) FROM guard_scope s"
        " WHERE s.category = 'identity' AND s.operation = 'use') WHERE subject = '1002';"
    )
    changed = with_purpose(bank, SURVEY)
    with changed.guard, sqlite3.connect(bank.file) as raw:
        grants = raw.execute(
            "SELECT DISTINCT judged, valid_until - valid_from, scope FROM guard_grant WHERE subject = '1002'"
        ).fetchall()
    raw.close()
    assert len({judged for judged, _, _ in grants}) == 2
    assert {days for _, days, _ in grants} == {40 * 86_400}


# --- What newcomers run into ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong", [{"id": 5}, {"kind": "robot"}, {"roles": "loan_officer"}, {"roles": None}, {"roles": (1,)}, {"unit": 3}]
)
def test_what_is_no_actor_is_said_when_it_is_made(wrong: dict[str, Any]) -> None:
    with pytest.raises((TypeError, ValueError), match="an Actor's"):
        Actor(**{"id": "officer-lin", **wrong})


def test_wrap_says_what_it_takes(bank: Bank) -> None:
    for arguments in ((sqlite3, bank.guard), (bank.guard, sqlite3.connect), (sqlite3.connect, None)):
        with pytest.raises(Misuse, match="wrap takes"):
            guard_dbapi.wrap(*arguments, dialect="sqlite")  # type: ignore[arg-type]


def test_a_misspelt_purpose_is_called_by_its_name(bank: Bank) -> None:
    with refused("did you mean loan_underwriting"):
        bank.guard.acting(LIN, purpose="loan_underwritting")


def test_a_void_consent_is_refused_in_the_words_of_its_rule(bank: Bank) -> None:
    from guard.demo import bank as example

    void = next(one for one in example.consents() if one.subject == "1012")
    consent = replace(void.consent, id="again")
    with pytest.raises(Refused) as caught:
        bank.guard.consents.record(replace(void, consent=consent))
    assert "no description" not in str(caught.value)
    assert "Personal Information Protection Law" in str(caught.value)


def test_a_retention_job_sees_whose_consents_have_all_ended(bank: Bank) -> None:
    job = Actor(id="svc-retention", kind="service", roles=("retention_service",), unit="data-office")
    bank.guard.consents.withdraw_subject("1002")
    with bank.guard.acting(job, purpose="retention", operation="delete"):
        rows = bank.connect(bank.file).execute("SELECT customer_id FROM customer WHERE customer_id < 1013").fetchall()
    found = {key for (key,) in rows}
    assert 1002 in found
    assert not {1001, 1003, 1006} & found


def test_who_withdraws_while_rows_are_taken_is_in_no_later_batch(opened: Open) -> None:
    bank = opened(MINE)
    config = bank.folder / "guard.yaml"
    config.write_text(config.read_text("utf-8").replace("batch: 256", "batch: 2"), "utf-8")
    bank.guard.close()
    bank = Bank(bank.folder, Guard.load(config), bank)
    job = Actor(id="svc-score", kind="service", roles=("loan_officer",), unit="risk")
    sql = "SELECT customer_id FROM customer ORDER BY customer_id"
    with bank.guard, bank.guard.acting(job, purpose=PURPOSE, operation="process"):
        everybody = bank.connect(bank.file).execute(sql).fetchall()
        cursor = bank.connect(bank.file).execute(sql)
        bank.guard.consents.withdraw_subject(str(everybody[-1][0]))
        assert cursor.fetchall() == everybody[:-1]


def test_a_start_with_nothing_to_judge_needs_no_write(bank: Bank) -> None:
    """A program that holds the database does not keep another process from starting."""
    bank.guard.close()
    Guard.load(bank.folder / "guard.yaml").close()
    holding = sqlite3.connect(bank.file, isolation_level=None)
    holding.execute("BEGIN IMMEDIATE")
    try:
        Guard.load(bank.folder / "guard.yaml").close()
    finally:
        holding.close()
