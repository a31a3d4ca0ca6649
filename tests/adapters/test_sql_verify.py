"""The text that was written is read back: what does not read as planned never runs."""

from __future__ import annotations

import pytest
import sqlglot

from guard.errors import Refused
from guard_sql import parts, verify
from guard_sql.dialects import SQLITE
from guard_sql.writing import write

TABLE = '"main"."loan"'
NAMED = {("main", "loan")}


def tree(sql: str) -> sqlglot.exp.Expr:
    return sqlglot.parse_one(sql, read="sqlite")


PLANNED = 'SELECT "t0"."a" AS "a" FROM "guard_source_0" AS "t0" WHERE "t0"."a" = :u0'


def outer(sql: str, planned: str = PLANNED) -> None:
    verify.outer(sql, tree(planned), SQLITE, {(None, "guard_source_0")}, {"a"})


def test_a_statement_that_reads_as_planned_passes() -> None:
    outer(PLANNED)


@pytest.mark.parametrize(
    "sql",
    [
        PLANNED.replace("= :u0", "= :u1"),
        PLANNED.replace(' WHERE "t0"."a" = :u0', ""),
        PLANNED.replace("= :u0", "= :u0 OR 1"),
        PLANNED + " LIMIT 1",
        PLANNED.replace('"t0"."a" AS', '"t0"."b" AS'),
        PLANNED.replace("= :u0", "= :u0 COLLATE NOCASE"),
        PLANNED.replace("= :u0", "= ':u0'"),
        PLANNED.replace('AS "a"', 'AS "A"'),
        PLANNED.replace("SELECT", "SELECT DISTINCT"),
        PLANNED.replace('"t0"."a" AS "a"', '"t0"."a" AS "a", "t0"."a" AS "a"'),
        PLANNED.replace('AS "t0"', 'AS "t0" INDEXED BY "a"'),
        PLANNED.replace('AS "t0"', 'AS "t0" CROSS JOIN "guard_source_0" AS "t1"'),
    ],
)
def test_a_statement_that_reads_as_another_is_refused(sql: str) -> None:
    with pytest.raises(Refused):
        outer(sql)
    with pytest.raises(Refused):
        outer(PLANNED, sql)


def test_parentheses_that_were_lost_are_seen() -> None:
    """The tree is compared, and not the text that it makes: here two trees make the same one."""
    planned = tree(PLANNED.replace("= :u0", "= :u0 AND 1"))
    either = sqlglot.exp.Or(this=sqlglot.exp.Literal.number(1), expression=sqlglot.exp.Literal.number(2))
    planned.args["where"].this.set("expression", either)
    with pytest.raises(Refused):
        verify.outer(planned.sql("sqlite"), planned, SQLITE, {(None, "guard_source_0")}, {"a"})


@pytest.mark.parametrize("called", ["total", "TOTAL", "ToTal"])
def test_the_name_of_a_function_reads_back_as_it_was_written(called: str) -> None:
    planned = tree(PLANNED.replace('"t0"."a" AS', f'{called}("t0"."a") AS'))
    verify.outer(write(planned, SQLITE), planned, SQLITE, {(None, "guard_source_0")}, {"a"})


@pytest.mark.parametrize(
    "sql",
    [
        PLANNED.replace('"guard_source_0"', '"loan"'),
        PLANNED.replace('"guard_source_0"', '"main"."guard_source_0"'),
        PLANNED.replace('FROM "guard_source_0" AS "t0"', 'FROM "guard_source_0" AS "t0", "loan" AS "x"'),
        PLANNED.replace('"t0"."a" AS', '"a" AS'),
        PLANNED.replace('"t0"."a" AS', '"t0"."b" AS'),
        PLANNED.replace('"t0"."a" AS', 'ABS("t0"."a") AS'),
        PLANNED.replace('"t0"."a" AS', 'load_extension("t0"."a") AS'),
        PLANNED.replace("= :u0", '= (SELECT 1 FROM "loan" AS "t1")'),
        PLANNED.replace("= :u0", '= (SELECT "t0"."b")'),
    ],
)
def test_a_plan_that_went_wrong_is_refused_though_it_reads_as_planned(sql: str) -> None:
    with pytest.raises(Refused):
        outer(sql, sql)


PART = 'EXISTS (SELECT 1 FROM "main".guard_grant AS g WHERE g.subject = t."holder_key" AND g.purpose = :g_purpose)'
GRANTS = {*NAMED, ("main", "guard_grant")}


def test_a_part_says_what_it_reads() -> None:
    reads = parts.part(PART, TABLE, SQLITE, GRANTS, {"g_purpose"})
    assert reads == {
        ("main", "guard_grant", "subject"),
        ("main", "guard_grant", "purpose"),
        ("main", "loan", "holder_key"),
    }


@pytest.mark.parametrize(
    ("sql", "tables", "parameters"),
    [
        (PART, NAMED, {"g_purpose"}),
        (PART, {*GRANTS, ("main", "x")}, {"g_purpose"}),
        (PART, GRANTS, set()),
        (PART, GRANTS, {"g_purpose", "g_now"}),
        (PART.replace('"main".guard_grant', "guard_grant"), GRANTS, {"g_purpose"}),
        (PART.replace("AS g", "AS x"), GRANTS, {"g_purpose"}),
        (PART.replace("g.subject", "subject"), GRANTS, {"g_purpose"}),
        (PART.replace("g.subject", "r.subject"), GRANTS, {"g_purpose"}),
        (PART.replace("g.subject", "abs(g.subject)"), GRANTS, {"g_purpose"}),
        (PART.replace("g.subject", "load_extension(g.subject)"), GRANTS, {"g_purpose"}),
        (PART + ", 1", GRANTS, {"g_purpose"}),
        (PART + " AS x, 1", GRANTS, {"g_purpose"}),
        (PART + ")", GRANTS, {"g_purpose"}),
        (PART + "; SELECT 1", GRANTS, {"g_purpose"}),
        ("1 UNION SELECT 1", NAMED, set()),
    ],
)
def test_a_part_that_is_not_what_its_condition_needs_is_refused(
    sql: str, tables: set[tuple[str, str]], parameters: set[str]
) -> None:
    with pytest.raises(Refused):
        parts.part(sql, TABLE, SQLITE, tables, parameters)
