"""SQLite's own parser may report what the plan named, and nothing else."""

from __future__ import annotations

import sqlite3

import pytest
import sql_world as world
from sql_world import LOAN, decision, run

from guard.model import GrantCondition
from guard_sql.witness import Witness, writing

READS = {("main", "loan", "status"), ("main", "loan", "住址")}


@pytest.fixture
def connection() -> sqlite3.Connection:
    made = world.empty()
    made.execute('ALTER TABLE loan ADD COLUMN "住址" TEXT')
    return made


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT status FROM loan",
        "SELECT STATUS FROM MAIN.LOAN",
        'SELECT "住址" FROM loan',
        "SELECT count(*) FROM main.loan",
        "SELECT lower(status) FROM loan WHERE status LIKE 'a'",
        "SELECT 1",
    ],
)
def test_what_was_named_is_let_through(connection: sqlite3.Connection, sql: str) -> None:
    connection.set_authorizer(Witness(READS))
    connection.execute(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT principal FROM loan",
        "SELECT status FROM loan WHERE principal > 1",
        "SELECT status FROM loan ORDER BY loan_id",
        "SELECT rowid FROM loan",
        "SELECT count(*) FROM main.customer",
        "SELECT count(*) FROM loan",
        "SELECT sql FROM sqlite_schema",
        "SELECT abs(1)",
        "SELECT random()",
        "SELECT load_extension('x')",
        "SELECT status FROM seen",
        "SELECT * FROM pragma_table_info('loan')",
        "PRAGMA table_info(loan)",
        "ATTACH ':memory:' AS x",
        "UPDATE loan SET status = 1",
        "DELETE FROM loan",
        "INSERT INTO loan (status) VALUES (1)",
        "CREATE TEMP TABLE x (a)",
        "BEGIN",
        "WITH RECURSIVE r AS (SELECT 1 UNION ALL SELECT 1 FROM r) SELECT 1 FROM r",
    ],
)
def test_what_was_not_named_never_runs(connection: sqlite3.Connection, sql: str) -> None:
    connection.execute("CREATE VIEW seen AS SELECT status FROM loan")
    connection.set_authorizer(Witness(READS))
    with pytest.raises(sqlite3.DatabaseError, match=r"authorized|prohibited"):
        connection.execute(sql)


def test_a_table_of_the_session_is_another_table(connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TEMP TABLE loan (status)")
    connection.set_authorizer(Witness(READS))
    with pytest.raises(sqlite3.DatabaseError):
        connection.execute("SELECT status FROM loan")
    connection.execute("SELECT status FROM main.loan")


def test_a_table_that_became_a_view_is_refused() -> None:
    connection = world.empty()
    connection.execute("ALTER TABLE loan RENAME TO other")
    connection.execute("CREATE VIEW loan AS SELECT * FROM other")
    with pytest.raises(sqlite3.DatabaseError, match=r"authorized|prohibited"):
        run(connection, "SELECT loan_id FROM loan", decision(LOAN, GrantCondition(rule="OP-01")))


def test_what_a_view_reads_is_refused_even_where_its_table_is_named() -> None:
    witness = Witness(READS)
    assert witness(20, "loan", "status", "main", None) == 0
    assert witness(20, "loan", "status", "main", "seen") == 1


WRITES = {
    "UPDATE loan SET status = 'x' WHERE status = 'y' RETURNING status": writing("update", "main", "LOAN", ["Status"]),
    "INSERT INTO loan (status) VALUES ('x') RETURNING status": writing("insert", "main", "loan"),
    "DELETE FROM loan WHERE status = 'y' RETURNING status": writing("delete", "main", "loan"),
}


@pytest.mark.parametrize("sql", WRITES)
def test_a_write_is_the_one_that_was_planned(connection: sqlite3.Connection, sql: str) -> None:
    connection.isolation_level = None
    for planned, writes in WRITES.items():
        connection.set_authorizer(Witness(READS, writes=writes))
        if sql == planned:
            connection.execute(sql).fetchall()
        else:
            with pytest.raises(sqlite3.DatabaseError, match=r"not authorized|prohibited"):
                connection.execute(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE loan SET status = 'x', principal = 1",
        "UPDATE loan SET principal = 1",
        "UPDATE loan SET status = 'x' WHERE principal = 1",
        "UPDATE loan SET status = 'x' RETURNING principal",
        "UPDATE customer SET full_name = 'x'",
        "UPDATE OR REPLACE loan SET principal = 'x'",
        "REPLACE INTO loan (status) VALUES ('x')",
        "DELETE FROM loan",
    ],
)
def test_a_write_reaches_no_other_column(connection: sqlite3.Connection, sql: str) -> None:
    connection.isolation_level = None
    connection.set_authorizer(Witness(READS, writes=writing("update", "main", "loan", ["status"])))
    with pytest.raises(sqlite3.DatabaseError, match=r"not authorized|prohibited"):
        connection.execute(sql)


def test_what_a_trigger_or_a_cascade_does_is_no_part_of_a_write(connection: sqlite3.Connection) -> None:
    connection.isolation_level = None
    connection.executescript(
        "PRAGMA foreign_keys = ON; CREATE TABLE kept (at TEXT);"
        "CREATE TABLE parent (id INTEGER PRIMARY KEY);"
        "CREATE TABLE child (id INTEGER REFERENCES parent ON DELETE CASCADE);"
        "CREATE TRIGGER seen_it AFTER UPDATE ON loan BEGIN INSERT INTO kept VALUES (new.status); END;"
    )
    reads = {*READS, ("main", "parent", "id"), ("main", "child", "id")}
    for writes, sql in (
        (writing("update", "main", "loan", ["status"]), "UPDATE loan SET status = 'x'"),
        (writing("delete", "main", "parent"), "DELETE FROM parent WHERE id = 1"),
    ):
        connection.set_authorizer(Witness(reads, writes=writes | writing("insert", "main", "kept")))
        with pytest.raises(sqlite3.DatabaseError, match=r"not authorized|prohibited"):
            connection.execute(sql)
