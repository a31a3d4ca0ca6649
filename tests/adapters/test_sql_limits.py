"""No expression that is let through fails over a value: an error would tell what a hidden row holds.

SQLite may run a condition of the statement before the guard's row filter. So everything on the lists (node
types, functions, operators) runs as a condition over hidden values at the database's limits: the longest
text, the smallest integer, bytes that are no text. The result has to be that of a database without them.
"""

from __future__ import annotations

import sqlite3

import pytest
import sql_world as world
from sql_world import CUSTOMER, FACTS, OP01, SITE, Data, decision, grant
from sqlglot import exp

import guard_sql
from guard.errors import Refused
from guard_sql.dialects import SQLITE
from guard_sql.grammar import NODES
from guard_sql.text import read

LIMIT = 100_000
"""The longest text of this database (bytes): SQLite's own limit of 10^9, in small."""

LONGEST = LIMIT - 100
"""The longest text that fits with the rest of its row."""

VALUES = (
    "x" * LONGEST,
    "é" * (LONGEST // 2),
    b"\xff" * LONGEST,
    b"\xff\xfe",
    "a\0b",
    "",
    "9" * 5_000,
    "-9223372036854775809",
    "1e999999",
    -(2**63),
    2**63 - 1,
    -1,
    0,
    float("inf"),
    float("-inf"),
    1.7e308,
    5e-324,
    None,
)

V = "full_name"
EXPRESSIONS = (
    *(f"{name}({V})" for name in ("lower", "upper", "length", "trim", "ltrim", "rtrim", "round")),
    *(f"{name}({V}, 'x')" for name in ("trim", "ltrim", "rtrim", "coalesce", "ifnull", "nullif", "instr")),
    *(f"{name}({V}, {V})" for name in ("coalesce", "nullif", "instr", "round", "substr")),
    f"round({V}, -9223372036854775808)",
    f"round(1.5, {V})",
    f"round(12345678901234567890.5, {V})",
    f"instr('x', {V})",
    f"substr({V}, {V}, {V})",
    f"substr('abc', {V}, {V})",
    f"substr({V}, -9223372036854775808, 9223372036854775807)",
    *(f"({V} {sign} {V})" for sign in ("+", "-", "*", "/", "%", "=", "<>", "<", "<=", ">", ">=", "IS", "IS NOT")),
    *(f"({V} {sign} -1)" for sign in ("+", "-", "*", "/", "%")),
    *(f"({V} {sign} 9223372036854775807)" for sign in ("+", "-", "*", "/", "%")),
    *(f"({V} {sign} 0)" for sign in ("/", "%")),
    *(f"CAST({V} AS {name})" for name in ("TEXT", "INTEGER", "REAL")),
    f"CAST(CAST({V} AS REAL) AS INTEGER)",
    f"(-{V})",
    f"(- (-{V}))",
    f"({V} AND NOT {V} OR {V})",
    f"({V} IN ({V}, NULL, 'x'))",
    f"({V} BETWEEN {V} AND {V})",
    f"({V} IS NULL)",
    f"({V} IS NOT TRUE)",
    f"CASE WHEN {V} THEN {V} ELSE -{V} END",
    f"CASE {V} WHEN {V} THEN 1 END",
    f"({V} LIKE '%{'x%' * 490}')",
    f"({V} NOT LIKE '%!%_' ESCAPE '!')",
    f"({V} LIKE :pattern)",
    f"(customer.{V} = 1.5)",
)


def database(*values: object) -> sqlite3.Connection:
    """One permitted row, and a hidden one for each value."""
    empty = world.empty()
    empty.execute("DROP TABLE customer")
    # Without a type the column keeps every value as it is.
    empty.execute(f"CREATE TABLE customer ({world.TABLES['customer'].replace('full_name TEXT', 'full_name')})")
    made = world.fill(
        empty,
        Data(
            customer=[{"customer_id": 1, "full_name": "x"}],
            grants=[grant("1")],
            scopes={1: {("use", "identity")}},
        ),
    )
    made.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LIMIT)
    for place, one in enumerate(values):
        world.insert(made, "customer", {"customer_id": 2 + place, "full_name": one})
    made.execute("INSERT INTO customer (customer_id, full_name) VALUES (999, CAST(x'fffe80' AS TEXT))")
    return made


FULL = database(*VALUES)
BARE = database()


def said(connection: sqlite3.Connection, sql: str, parameters: object = None) -> object:
    guarded = guard_sql.plan(sql, SITE).apply(decision(CUSTOMER, OP01))
    text, bound = guarded.bind(parameters, FACTS)  # type: ignore[arg-type]
    connection.set_authorizer(guarded.witness)
    try:
        return connection.execute(text, bound).fetchall()
    except sqlite3.Error as error:
        return str(error)
    finally:
        connection.set_authorizer(None)


@pytest.mark.parametrize("expression", EXPRESSIONS, ids=lambda one: one[:40])
@pytest.mark.parametrize(
    "form",
    [
        "SELECT customer_id FROM customer WHERE {} IS NULL OR customer_id = 1",
        "SELECT customer_id, count(*) FROM customer GROUP BY customer_id, {} HAVING {} IS NULL OR customer_id = 1",
        "SELECT max({}) IS NULL, count(DISTINCT customer_id) FROM customer",
        "SELECT customer_id FROM customer ORDER BY {}, customer_id LIMIT 9223372036854775807 OFFSET 0",
    ],
    ids=["where", "having", "aggregate", "order"],
)
def test_nothing_that_is_let_through_fails_over_a_hidden_value(form: str, expression: str) -> None:
    sql = form.replace("{}", expression)
    parameters = {"pattern": "王" * 333} if ":pattern" in sql else None
    rows = said(FULL, sql, parameters)
    assert isinstance(rows, list), rows
    assert len(rows) == 1
    assert rows == said(BARE, sql, parameters)


@pytest.mark.parametrize("name", ["count", "sum", "avg", "min", "max", "total"])
def test_no_aggregate_meets_a_hidden_value(name: str) -> None:
    for sql in (
        f"SELECT {name}({V}) FROM customer",
        f"SELECT customer_id FROM customer GROUP BY customer_id HAVING {name}(CAST({V} AS INTEGER)) IS NOT NULL",
        f"SELECT {name}({V} || {V}) FROM customer",
    ):
        rows = said(FULL, sql)
        assert isinstance(rows, list), rows
        assert rows == said(BARE, sql)


def test_joined_text_stands_where_only_permitted_values_come() -> None:
    for sql in (
        f"SELECT {V} || {V} FROM customer",
        f"SELECT customer_id FROM customer ORDER BY {V} || {V}",
        f"SELECT count(*) FROM customer GROUP BY {V} || {V}",
    ):
        rows = said(FULL, sql)
        assert isinstance(rows, list), rows
        assert rows == said(BARE, sql)


def test_everything_on_the_lists_was_run() -> None:
    """A node or a function that joins the lists has to join the expressions above."""
    seen: set[type[exp.Expr]] = set()
    whole = (
        "SELECT t.*, frozen AS x, count(*) FROM main.loan AS t WHERE 1 GROUP BY 1 HAVING 1 ORDER BY 1 LIMIT 1 OFFSET 1"
    )
    aggregates = "SELECT sum(x), avg(x), min(x), max(x), count(DISTINCT x), total(x), x || 'x'"
    queries = (
        "WITH a (x) AS (SELECT 1) SELECT DISTINCT x FROM a JOIN (SELECT 1 AS y) b ON x = y WHERE EXISTS (SELECT 1)",
        "SELECT 1 UNION SELECT 2",
        "SELECT 1 INTERSECT SELECT 2",
        "SELECT 1 EXCEPT SELECT 2",
        "SELECT sum(principal) OVER (ORDER BY loan_id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM loan",
        "INSERT INTO customer (customer_id, full_name) VALUES (1, 'x')",
        "UPDATE customer SET full_name = 'x' WHERE customer_id = 1",
        "DELETE FROM customer WHERE customer_id = 1",
    )
    for sql in (whole, aggregates, *queries, *(f"SELECT {one}" for one in EXPRESSIONS)):
        seen |= {type(node) for node in read(sql, SITE.world, longest=9_999).tree.walk()}
    assert {*NODES, *SQLITE.functions, *SQLITE.aggregates} <= seen


@pytest.mark.parametrize(
    "expression",
    [
        f"{V} || {V}",
        f"trim({V}, {V})",
        f"trim('x', {V})",
        f"ltrim('x', {V})",
        f"rtrim('x', {V})",
        f"'x' LIKE {V}",
        f"{V} LIKE '{'x' * 50_001}'",
        f"abs({V})",
        f"replace({V}, 'x', 'xx')",
        f"printf('%200000d', {V})",
        f"zeroblob({V})",
        f"json_extract({V}, '$')",
        f"char({V}) || {V}",
        f"hex({V})",
        f"quote({V})",
        f"{V} LIKE 'x' ESCAPE {V}",
        f"group_concat({V})",
    ],
    ids=lambda one: one[:40],
)
def test_what_fails_over_a_value_is_refused_where_hidden_values_come(expression: str) -> None:
    condition = f"SELECT customer_id FROM customer WHERE {expression} IS NULL"
    with pytest.raises(Refused):
        guard_sql.plan(condition, SITE)


@pytest.mark.parametrize(
    "expression",
    [f"{V} || {V}", f"trim('x', {V})", f"'x' LIKE {V}", f"abs({V})", f"hex({V})", f"json_extract({V}, '$')"],
)
def test_the_values_tell_what_can_fail(expression: str) -> None:
    """Without the guard these do fail over the hidden values: the values above reach the limits."""
    with pytest.raises(sqlite3.Error):
        FULL.execute(f"SELECT customer_id FROM customer WHERE ({expression}) IS NULL").fetchall()


@pytest.mark.parametrize("clause", ["LIMIT ?", "LIMIT 1 OFFSET ?"])
def test_any_number_of_64_bits_is_a_limit(clause: str) -> None:
    sql = f"SELECT customer_id FROM customer ORDER BY 1 {clause}"
    for number in (-(2**63), -1, 0, 1, 2**63 - 1):
        rows = said(FULL, sql, [number])
        assert isinstance(rows, list), rows
        assert rows == said(BARE, sql, [number])


def test_subqueries_in_subqueries_do_not_grow_without_bound() -> None:
    """Who stands behind each level is asked in each level around it: the text of deep nesting would fill memory."""
    levels = "".join(
        f"EXISTS (SELECT 1 FROM loan c{i} WHERE c{i}.holder_key = c{i - 1}.holder_key AND " for i in range(1, 25)
    )
    with pytest.raises(Refused, match="too large"):
        guard_sql.plan(f"SELECT 1 AS one FROM loan c0 WHERE {levels}1 = 1{')' * 24}", SITE)


def test_a_with_that_joins_itself_does_not_double_without_bound() -> None:
    levels = ", ".join(f"w{i} AS (SELECT a.* FROM w{i - 1} a JOIN w{i - 1} b ON 1 = 1)" for i in range(1, 25))
    with pytest.raises(Refused, match="too large"):
        guard_sql.plan(f"WITH w0 AS (SELECT * FROM loan), {levels} SELECT * FROM w24", SITE)
