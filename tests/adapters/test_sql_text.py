"""Text is bounded before a parser reads it."""

from __future__ import annotations

import threading

import pytest
from sql_world import CATALOGUE, CUSTOMER, SITE, decision, plan

import guard_sql
from guard.errors import Refused
from guard_sql import text
from guard_sql.dialects import SQLITE
from guard_sql.writing import write


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1" + " " * 70_000,
        "SELECT full_name FROM customer WHERE full_name = '" + "王" * 22_000 + "'",
        "SELECT full_name FROM customer WHERE full_name LIKE '" + "a" * 1_001 + "'",
        "SELECT full_name FROM customer WHERE full_name NOT LIKE '" + "王" * 334 + "'",
        "SELECT full_name FROM customer WHERE full_name LIKE '" + "😀" * 251 + "' ESCAPE '!'",
        "SELECT " + "(" * 40 + "1" + ")" * 40,
        "SELECT " + "CASE WHEN 1 THEN " * 40 + "1" + " END" * 40,
        "SELECT " + "NOT " * 100 + "1",
        "SELECT " + "- " * 100 + "1",
        "SELECT 1" + " + 1" * 400,
        "SELECT 1" + " OR 1" * 400,
        "SELECT " + "1, " * 5_000 + "1",
        "SELECT " + "lower(" * 40 + "1" + ")" * 40,
        "SELECT full_name AS x FROM customer ORDER BY " + ", ".join(["x"] * 9_000),
        "SELECT " + " || ".join(["full_name"] * 100) + " AS x FROM customer ORDER BY " + ", ".join(["x"] * 200),
    ],
    ids=lambda sql: sql[:24],
)
def test_what_is_too_long_or_too_deep_is_refused(sql: str) -> None:
    with pytest.raises(Refused) as raised:
        plan(sql)
    assert raised.value.rules == ("GUARD-SQL",)


def test_bounds_hold_on_a_small_stack() -> None:
    """A thread's stack may be small; the parser is recursive."""
    refused: list[Refused] = []

    def work() -> None:
        for sql in ("SELECT " + "(" * 10_000, "SELECT " + "NOT " * 10_000, "SELECT " + "CASE " * 8_000):
            try:
                plan(sql)
            except Refused as error:
                refused.append(error)

    threading.stack_size(256 * 1024)
    try:
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    finally:
        threading.stack_size(0)
    assert len(refused) == 3


def test_what_is_just_within_the_bounds_works_on_a_small_stack() -> None:
    made: list[str] = []
    long = "SELECT full_name FROM customer WHERE customer_id = 1" + " OR customer_id = 1" * 240
    nested = (
        "SELECT " + "(" * 30 + "full_name" + ")" * 30 + ", " + "lower(" * 30 + "full_name" + ")" * 30 + " FROM customer"
    )

    def work() -> None:
        made.extend(plan(sql).apply(decision(CUSTOMER)).text for sql in (long, nested))

    threading.stack_size(512 * 1024)
    try:
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    finally:
        threading.stack_size(0)
    assert len(made) == 2


@pytest.mark.parametrize("sql", ["SELECT 'a\0b'", "SELECT 1 -- \0", "SELECT '\ud800'"])
def test_a_nul_or_half_a_character_is_refused_also_in_a_literal(sql: str) -> None:
    """SQLite would read the statement up to the NUL."""
    with pytest.raises(Refused) as raised:
        plan(sql)
    assert raised.value.rules == ("GUARD-SQL",)


@pytest.mark.parametrize("sql", [b"SELECT 1", None, 1, ["SELECT 1"]])
def test_a_statement_is_text(sql: object) -> None:
    with pytest.raises(Refused):
        guard_sql.plan(sql, SITE)  # type: ignore[arg-type]


def test_a_site_says_how_long_a_statement_is_and_how_many_parameters_it_takes() -> None:
    small = guard_sql.Site(catalogue=SITE.catalogue, holder="bank", schemas=SITE.schemas, statement=20, parameters=1)
    for sql in ("SELECT ?", "SELECT :a, :a", "SELECT 'abcdefghij'", "SELECT '王王王'"):
        guard_sql.plan(sql, small)
    for sql in ("SELECT ?, ?", "SELECT :a, :b"):
        with pytest.raises(Refused) as raised:
            guard_sql.plan(sql, small)
        assert raised.value.rules == ("GUARD-SQL-PARAMETERS",)
    for sql in ("SELECT 1 FROM customer", "SELECT '王王王王'"):
        with pytest.raises(Refused) as raised:
            guard_sql.plan(sql, small)
        assert raised.value.rules == ("GUARD-SQL",)
    with pytest.raises(Refused) as raised:
        guard_sql.plan("SELECT " + "?, " * 1_000 + "?", SITE)
    assert raised.value.rules == ("GUARD-SQL-PARAMETERS",)


def test_many_threads_read_and_write_at_once() -> None:
    """What was used before is never in use by another, and keeps nothing of what it read."""
    statements = [f'SELECT "full_name" FROM "customer" WHERE "id" = \'k-{place}\'' for place in range(200)]
    failed: list[object] = []

    def work() -> None:
        for sql in statements:
            tokens = text.tokenise(sql, SQLITE)
            if [sql[one.start : one.end + 1] for one in tokens] != sql.replace(" =", " = ").split():
                failed.append(sql)
            if write(text.parse(tokens, sql, SQLITE), SQLITE) != sql:
                failed.append(sql)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    for idle in (SQLITE.tokenisers, SQLITE.parsers, SQLITE.generators):
        assert 0 < len(idle._kept) <= 16
    assert not any(one.sql or one.tokens for one in SQLITE.tokenisers._kept)
    assert not any(one.sql or one._tokens or one._chunks or one.errors for one in SQLITE.parsers._kept)
    assert not any(one.unsupported_messages for one in SQLITE.generators._kept)


def test_what_failed_is_not_used_again() -> None:
    kept = len(SQLITE.tokenisers._kept)
    with pytest.raises(Refused):
        text.tokenise("SELECT 'never closed", SQLITE)
    assert len(SQLITE.tokenisers._kept) == max(kept - 1, 0)
    kept = len(SQLITE.parsers._kept)
    sql = "SELECT 1 FROM"
    with pytest.raises(Refused):
        text.parse(text.tokenise(sql, SQLITE), sql, SQLITE)
    assert len(SQLITE.parsers._kept) == max(kept - 1, 0)


CALLS = {
    "sqlite": {
        "strftime('%Y', birth)": "strftime",
        "Abs(1)": "Abs",
        "random()": "random",
        "json_extract(full_name, '$')": "json_extract",
        "date_trunc('day', 1)": "date_trunc",
        "full_name ->> 'x'": "->>",
        "current_date": "current_date",
    },
    "postgres": {
        "now()": "now",
        "date_trunc('day', 1)": "date_trunc",
        "to_char(1, '9')": "to_char",
        "regexp_replace(full_name, 'a', 'b')": "regexp_replace",
        "array_agg(full_name)": "array_agg",
    },
}


@pytest.mark.parametrize(("dialect", "call", "name"), [(d, c, n) for d, of in CALLS.items() for c, n in of.items()])
def test_a_function_is_named_as_it_was_written(dialect: str, call: str, name: str) -> None:
    postgres = guard_sql.Site(catalogue=CATALOGUE, holder="bank", schemas={"retail": "retail"}, dialect="postgres")
    site = SITE if dialect == "sqlite" else postgres
    for pyformat in (False, dialect == "postgres"):
        given = call.replace("%", "%%") if pyformat else call
        with pytest.raises(Refused) as caught:
            guard_sql.plan(f"SELECT 'a', {given} FROM customer", site, pyformat=pyformat)
        assert caught.value.detail == f"{name} is not on the list."
