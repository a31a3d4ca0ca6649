"""PostgreSQL's own parser must read what the plan named, and nothing else."""

# ruff: noqa: E501 — a statement stands in one line; none is run

from __future__ import annotations

import sys
from dataclasses import replace
from importlib import util

import pytest

from guard.errors import Refused
from guard_sql import witness_postgres
from guard_sql.witness_postgres import DEEPEST, Expected, check

pytest.importorskip("pgparse")

TEMPLATE = (
    '(SELECT t."id" AS "id", t."name" AS "name", CAST(t."id" AS pg_catalog.text) COLLATE pg_catalog."C" AS '
    '"guard_person_0" FROM "retail"."person" AS t WHERE (EXISTS (SELECT 1 FROM "guard".guard_grant AS g WHERE '
    '(g.subject OPERATOR(pg_catalog.=) CAST(t."id" AS pg_catalog.text) COLLATE pg_catalog."C") AND '
    "(g.purpose OPERATOR(pg_catalog.=) CAST(:g_purpose AS pg_catalog.text)))))"
)
READS = frozenset(
    {
        *(("retail", "person", one) for one in ("id", "name")),
        *(("guard", "guard_grant", one) for one in ("subject", "purpose")),
        *(("retail", "branch", one) for one in ("", "id", "city")),
    }
)
PLANNED = Expected(
    kinds=frozenset({"select"}),
    reads=READS,
    templates=(TEMPLATE,),
    public=frozenset({("retail", "branch")}),
    ctes=frozenset({"guard_cte_0", "guard_cte_1"}),
)
T0 = TEMPLATE.replace(":g_purpose", "$1")
BRANCH = '"retail"."branch" AS "t1"'


def refused(sql: str, expected: Expected = PLANNED, names: tuple[str, ...] = ("g_purpose",)) -> str:
    with pytest.raises(Refused) as caught:
        check(sql, expected, names)
    assert caught.value.rules == ("GUARD-WITNESS",)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    return str(caught.value)


@pytest.mark.parametrize(
    "sql",
    [
        'SELECT "t0"."id" AS "id", "t0"."guard_person_0" AS "p" FROM {t} AS "t0"',
        'SELECT "t0"."id" FROM {t} AS "t0" LEFT JOIN {b} ON "t0"."id" = "t1"."id" WHERE "t1"."city" LIKE \'a%\' ESCAPE \'!\'',
        'SELECT "t1"."city" FROM {b} WHERE "t1"."id" IN (SELECT "t0"."id" AS "c0" FROM {t} AS "t0" LIMIT 3 OFFSET $2)',
        'WITH "guard_cte_0" AS (SELECT "t0"."id" AS "c0" FROM {t} AS "t0" OFFSET 0) SELECT "t2"."c0" FROM "guard_cte_0" AS "t2"',
        'SELECT "t2"."c0" FROM (SELECT "t0"."id" AS "c0" FROM {t} AS "t0" UNION ALL SELECT "t1"."id" FROM {b}) AS "t2"',
        'SELECT COUNT(*) AS "c", CAST("pg_catalog".jsonb_agg(DISTINCT "t0"."guard_person_0") AS TEXT) FROM {t} AS "t0" GROUP BY "t0"."id" HAVING COUNT(*) > 1 ORDER BY "t0"."id" DESC NULLS LAST',
        'SELECT ROW_NUMBER() OVER (PARTITION BY "t0"."id" ORDER BY "t0"."name" ROWS BETWEEN 2 PRECEDING AND CURRENT ROW) FROM {t} AS "t0"',
        'SELECT SUBSTRING("t0"."name" FROM 1 FOR 2), TRIM(LEADING \'x\' FROM "t0"."name"), POSITION(\'x\' IN "t0"."name") FROM {t} AS "t0"',
        'SELECT CASE WHEN "t0"."id" = 1 THEN NULL ELSE COALESCE("t0"."name", \'王\') END AS "x" FROM {t} AS "t0", {t} AS "t3"',
        "SELECT '王' AS \"x\", CAST(INTERVAL '1 YEAR' AS TEXT), CAST($2 AS DOUBLE PRECISION) FROM {t} AS \"t0\"",
        "SELECT 1",
    ],
)
def test_what_was_planned_passes(sql: str) -> None:
    check(sql.format(t=T0, b=BRANCH), PLANNED, ("g_purpose", "u0"))


HOSTILE = {
    # Kinds of statement.
    "INSERT INTO retail.branch (id) VALUES (1)": "the statement is a InsertStmt",
    "DELETE FROM retail.branch": "the statement is a DeleteStmt",
    "SELECT 1; SELECT 2": "one statement",
    "": "one statement",
    "SELECT": None,
    "COPY retail.person TO STDOUT": "the statement is a CopyStmt",
    "SELECT 1\0": "one statement",
    "SELECT '": "one statement",
    "SELECT \ud800": "one statement",
    # Tables.
    'SELECT 1 FROM {t} AS "t0", retail.person AS x': "it reads retail.person",
    "SELECT 1 FROM retail.person": "it reads retail.person",
    "SELECT 1 FROM guard.guard_grant AS g": "it reads guard.guard_grant",
    "SELECT 1 FROM branch": "it reads branch, without a schema",
    "SELECT 1 FROM pg_catalog.pg_class AS c": "it reads pg_catalog.pg_class",
    "SELECT 1 FROM x.retail.branch AS t": "RangeVar with catalogname",
    "SELECT 1 FROM ONLY retail.branch AS t": "ONLY",
    "TABLE retail.person": "",
    "SELECT 1 FROM retail.secret110101199001011234": "it reads retail.…",
    'SELECT 1 FROM "guard_witness"."14" AS t': "a name of the witness's own",
    # Columns.
    "SELECT t1.secret FROM {b}": "it reads retail.branch.secret",
    "SELECT t1.ctid FROM {b}": "it reads retail.branch.ctid",
    'SELECT t0.row_to_json FROM {t} AS "t0"': "it reads row_to_json, which its source does not offer",
    'SELECT t0.secret FROM {t} AS "t0"': "it reads secret",
    'SELECT t0 FROM {t} AS "t0"': "ColumnRef of no source",
    'SELECT * FROM {t} AS "t0"': "A_Star",
    'SELECT t0.* FROM {t} AS "t0"': "A_Star",
    "SELECT city FROM {b}": "ColumnRef of no source",
    "SELECT retail.branch.city FROM retail.branch": "ColumnRef of no source",
    "SELECT (t1).city FROM {b}": "A_Indirection",
    # Functions, operators, types.
    "SELECT pg_read_file('x')": "it names the function pg_read_file",
    "SELECT pg_catalog.lower('x')": "it names the function pg_catalog.lower",
    "SELECT mine.lower('x')": "it names the function mine.lower",
    "SELECT a.b.lower('x')": "it names the function",
    "SELECT query_to_xml('select', true, true, '')": "it names the function query_to_xml",
    "SELECT current_user": "SQLValueFunction",
    "SELECT count(*) FILTER (WHERE true) FROM {b}": "FuncCall with agg_filter",
    "SELECT max(t1.id ORDER BY t1.id) FROM {b}": "FuncCall with agg_order",
    "SELECT max(VARIADIC t1.id) FROM {b}": "FuncCall with func_variadic",
    "SELECT max(*) FROM {b}": "FuncCall with a star",
    "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY t1.id) FROM {b}": "it names the function",
    "SELECT lower(s => 'x')": "NamedArgExpr",
    "SELECT 1 ^ 2": "operator",
    "SELECT 1 OPERATOR(mine.=) 2": "operator",
    "SELECT 'a' ~ 'b'": "operator",
    "SELECT 'a' SIMILAR TO 'b'": "operator",
    "SELECT 'a' ILIKE 'b'": "operator",
    "SELECT 1 = ALL (ARRAY[1])": "A_Expr with kind",
    "SELECT 1 BETWEEN SYMMETRIC 1 AND 2": "operator",
    "SELECT 'person'::regclass": "it names the type regclass",
    "SELECT CAST('x' AS mine.text)": "it names the type mine.text",
    "SELECT CAST('x' AS pg_catalog.xml)": "it names the type",
    "SELECT '{{1}}'::int[]": "TypeName with arrayBounds",
    "SELECT 'a' COLLATE \"x\"": "it names the collation x",
    "SELECT t1.id AT TIME ZONE 'x' FROM {b}": "it names the function pg_catalog.timezone",
    # Forms.
    "SELECT * INTO x FROM retail.branch AS t": "",
    "SELECT 1 INTO x": "SelectStmt with intoClause",
    "SELECT 1 FROM {b} FOR UPDATE": "SelectStmt with lockingClause",
    "SELECT 1 FROM current_date": "RangeFunction",
    "SELECT 1 FROM generate_series(1, 2) AS g": "RangeFunction",
    "SELECT 1 FROM ROWS FROM (generate_series(1, 2)) AS g": "RangeFunction",
    "SELECT 1 FROM LATERAL (SELECT 1) AS x": "RangeSubselect with lateral",
    "SELECT 1 FROM (SELECT 1 AS a) AS x(b)": "Alias with colnames",
    "SELECT 1 FROM (SELECT 1)": "without a name",
    "SELECT 1 FROM retail.branch AS t TABLESAMPLE SYSTEM (1)": "RangeTableSample",
    "SELECT 1 FROM {b} NATURAL JOIN retail.branch AS t2": "JoinExpr with isNatural",
    "SELECT 1 FROM {b} JOIN retail.branch AS t2 USING (id)": "JoinExpr with usingClause",
    "SELECT 1 FROM ({b} CROSS JOIN retail.branch AS t2) AS j": "JoinExpr with alias",
    "SELECT 1 FROM {b}, {b}": "two sources have one name",
    "SELECT DISTINCT ON (t1.id) t1.id FROM {b}": "DISTINCT ON",
    "SELECT 1 FROM {b} ORDER BY t1.id FETCH FIRST 1 ROW WITH TIES": "SelectStmt with limitOption",
    "SELECT sum(t1.id) OVER w FROM {b} WINDOW w AS ()": "SelectStmt with windowClause",
    "SELECT sum(t1.id) OVER w FROM {b}": "WindowDef with name",
    "SELECT count(*) FROM {b} GROUP BY ROLLUP (t1.id)": "GroupingSet",
    "SELECT count(*) FROM {b} GROUP BY DISTINCT t1.id": "SelectStmt with groupDistinct",
    "SELECT 1 = ALL (SELECT 1)": "SubLink with subLinkType",
    "SELECT 1 < ANY (SELECT 1)": "SubLink with operName",
    "SELECT ARRAY(SELECT 1)": "SubLink with subLinkType",
    "SELECT (1, 2) = (SELECT 1, 2)": "RowExpr",
    "SELECT ARRAY[1]": "A_ArrayExpr",
    "SELECT ROW(1)": "RowExpr",
    "SELECT GREATEST(1, 2)": "MinMaxExpr",
    "SELECT 1 FROM {b} ORDER BY t1.id USING <": "SortBy with",
    "SELECT xmlelement(name x)": "XmlExpr",
    "SELECT JSON_ARRAY(SELECT 1)": "Json",
    "SELECT 1 FROM JSON_TABLE('1', '$' COLUMNS (a int)) AS j": "JsonTable",
    "SELECT DEFAULT": "SetToDefault",
    # WITH.
    "WITH person AS (SELECT 1 AS a) SELECT 1 FROM person AS p": "a WITH under another name",
    "WITH guard_cte_7 AS (SELECT 1 AS a) SELECT 1": "a WITH under another name",
    "WITH RECURSIVE guard_cte_0 AS (SELECT 1 AS a) SELECT 1": "WithClause with recursive",
    "WITH guard_cte_0 AS MATERIALIZED (SELECT 1 AS a) SELECT 1": "CommonTableExpr with ctematerialized",
    "WITH guard_cte_0(b) AS (SELECT 1 AS a) SELECT 1": "CommonTableExpr with aliascolnames",
    "WITH guard_cte_0 AS (DELETE FROM retail.branch RETURNING true) SELECT 1": "DeleteStmt in another",
    "SELECT 1 FROM guard_cte_0 AS x": "it reads",
    "WITH guard_cte_0 AS (SELECT 1 AS a) SELECT x.b FROM guard_cte_0 AS x": "it reads b, which",
    "WITH guard_cte_0 AS (SELECT 1 AS a) SELECT (WITH guard_cte_0 AS (SELECT 2 AS a) SELECT 1)": "another name",
    "SELECT x.a FROM (WITH guard_cte_0 AS (SELECT 1 AS a) SELECT 1 AS a) AS x, guard_cte_0 AS y": "without a schema",
}


@pytest.mark.parametrize("sql", HOSTILE)
def test_what_was_not_planned_is_refused(sql: str) -> None:
    wanted = HOSTILE[sql]
    text = sql.format(t=T0, b=BRANCH)
    if wanted is None:
        check(text, PLANNED, ("g_purpose",))
    else:
        assert wanted in refused(text)


@pytest.mark.parametrize(
    "sql",
    [
        "FROM retail.person |> AS a",
        "FROM retail.person |> SELECT id",
        "SELECT 1 FROM retail.branch AS t PIVOT (max(id) FOR city IN ('a'))",
        "SELECT 1 FROM MATCH(TABLE retail.person)",
        "SELECT 1 FROM file('path', Parquet)",
        "SELECT 1 FROM 'retail.person'",
        "SELECT /*+ x */ 1 FROM retail.branch t FOR SYSTEM_TIME AS OF 'x'",
        "SELECT 1 -- x\n; DROP TABLE x",
    ],
)
def test_what_sqlglot_and_postgresql_read_differently_is_refused(sql: str) -> None:
    refused(sql)


@pytest.mark.parametrize("sign", ["(", "NOT ", "1+", "(SELECT ", "- "])
@pytest.mark.parametrize("times", [DEEPEST * 2, 20_000])
def test_deep_nesting_is_refused(sign: str, times: int) -> None:
    """Parentheses alone make no tree: PostgreSQL's own parser ends them."""
    ends = ")" if "(" in sign else ""
    inner = "SELECT 1" if sign == "(" else "1"
    text = "SELECT " + sign * times + inner + ends * times
    if times < 20_000 and sign in "(- ":
        check("SELECT " + "(" * times + "1" + ")" * times, PLANNED)
    else:
        refused(text)


def test_the_tree_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(witness_postgres, "DEEPEST", 20)
    check("SELECT " + "1 + " * 15 + "1", PLANNED)
    assert "nested too deeply" in refused("SELECT " + "1 + " * 20 + "1")


def test_a_template_is_the_very_text_and_stands_where_a_table_stands() -> None:
    for changed in (
        T0.replace("EXISTS", "NOT EXISTS"),
        T0.replace('"name" AS', '"secret" AS'),
        T0.replace(" WHERE (EXISTS", " WHERE TRUE OR (EXISTS"),
        T0.replace("$1", "$2"),
    ):
        assert "it reads" in refused(f'SELECT "t0"."id" FROM {changed} AS "t0"')
    for hidden in (
        f"SELECT '{T0.replace(chr(39), chr(39) * 2)}' AS x",
        f"SELECT 1 AS x /* {T0} */",
        f"SELECT {T0} AS x",
        f'SELECT "t0"."id" FROM {T0} AS "t0" -- {T0}',
        f"SELECT 1 WHERE 1 IN {T0}",
        f"SELECT U&{T0[1:]}",
        f'SELECT 1 FROM {T0}"x"',
        f'SELECT 1 FROM "guard_witness"."14" AS y, {T0} AS "x"',
    ):
        refused(hidden)


def test_a_template_is_a_subquery_of_its_own() -> None:
    one, around = "(SELECT 1 AS a)", "(SELECT x.a AS a FROM (SELECT 1 AS a) AS x)"
    check(f"SELECT y.a FROM {one} AS y", replace(PLANNED, templates=(one,)))
    nested = f"SELECT y.a FROM {around} AS y"
    assert "a template stands in another" in refused(nested, replace(PLANNED, templates=(one, around)))
    assert "no subquery" in refused("SELECT 1 FROM retail.person AS t", replace(PLANNED, templates=("retail.person",)))
    writes = replace(PLANNED, kinds=frozenset({"delete"}), written=("retail", "person"))
    assert "it writes to a template" in refused(f"DELETE FROM {T0} AS t", writes)


def test_what_a_template_reads_is_planned_too() -> None:
    less = replace(PLANNED, reads=READS - {("guard", "guard_grant", "purpose")})
    assert "a template reads guard.guard_grant.purpose" in refused(f'SELECT "t0"."id" FROM {T0} AS "t0"', less)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("OPERATOR(pg_catalog.=)", "="),
        ("(EXISTS", '(t."id" = 1) AND (EXISTS'),
        ("(EXISTS", '(length(t."name") OPERATOR(pg_catalog.>) 1) AND (EXISTS'),
        ("(EXISTS", '(t."id" IN (SELECT 1)) AND (EXISTS'),
        ("(EXISTS", '(CASE t."id" WHEN 1 THEN TRUE END) AND (EXISTS'),
        ("(EXISTS", '(t."id" BETWEEN 1 AND 2) AND (EXISTS'),
        ('"guard".guard_grant', "guard_grant"),
        ('"retail"."person"', "person"),
        ('pg_catalog."C"', '"C"'),
    ],
)
def test_in_a_template_every_name_has_its_schema(before: str, after: str) -> None:
    made = TEMPLATE.replace(before, after)
    assert made != TEMPLATE
    text = made.replace(":g_purpose", "$1")
    refused(f'SELECT "t0"."id" FROM {text} AS "t0"', replace(PLANNED, templates=(made,)))


WRITE = replace(
    PLANNED, kinds=frozenset({"update", "select"}), templates=(), public=frozenset(), written=("retail", "person"),
    fields=frozenset({"name"}),
)  # fmt: skip
ALLOWED = (
    '((t."id" IS NOT NULL) AND (EXISTS (SELECT 1 FROM "guard".guard_grant AS g '
    "WHERE g.purpose OPERATOR(pg_catalog.=) $1)))"
)


@pytest.mark.parametrize(
    "sql",
    [
        f'UPDATE "retail"."person" AS t SET "name" = \'x\' WHERE (t."id" = 1) AND {ALLOWED} RETURNING {ALLOWED}, t."id"',
        f'SELECT {ALLOWED}, t."id" FROM "retail"."person" AS t WHERE (t."id" = 1) AND (({ALLOWED}) IS NOT TRUE)',
    ],
)
def test_a_write_and_the_look_before_it_pass(sql: str) -> None:
    check(sql, WRITE)


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE retail.branch AS t SET name = 'x'",
        "UPDATE retail.person AS t SET secret = 'x'",
        "UPDATE retail.person AS t SET name = t.secret",
        "UPDATE retail.person AS t SET name = 'x' RETURNING t.secret",
        "UPDATE retail.person AS t SET name = 'x' RETURNING *",
        "UPDATE retail.person AS t SET (name) = (SELECT 'x')",
        "UPDATE retail.person AS t SET name[1] = 'x'",
        "UPDATE retail.person AS t SET name = DEFAULT",
        "UPDATE retail.person AS t SET name = 'x' FROM retail.branch AS b",
        "UPDATE retail.person AS t SET name = 'x' WHERE CURRENT OF c",
        "WITH guard_cte_0 AS (UPDATE retail.person AS t SET name = 'x') SELECT true, t.id FROM retail.person AS t",
        "UPDATE ONLY retail.person AS t SET name = 'x'",
        "UPDATE person AS t SET name = 'x'",
        "WITH guard_cte_0 AS (SELECT 1 AS a) UPDATE retail.person AS t SET name = 'x'",
        "INSERT INTO retail.person AS t (name) VALUES ('x')",
        "DELETE FROM retail.person AS t",
        "MERGE INTO retail.person AS t USING retail.branch AS b ON true WHEN MATCHED THEN DELETE",
        "TRUNCATE retail.person",
    ],
)
def test_another_write_is_refused(sql: str) -> None:
    refused(sql, WRITE)


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO retail.person AS t (name) VALUES ('x') ON CONFLICT DO NOTHING",
        "INSERT INTO retail.person AS t (name) OVERRIDING SYSTEM VALUE VALUES ('x')",
        "INSERT INTO retail.person AS t (name) DEFAULT VALUES",
        "INSERT INTO retail.person AS t (secret) VALUES ('x')",
        "INSERT INTO retail.person AS t (name) SELECT a.secret FROM retail.person AS a",
        "INSERT INTO retail.person AS t (name) VALUES ('x') RETURNING t.secret",
    ],
)
def test_an_insert_is_the_planned_one(sql: str) -> None:
    planned = replace(WRITE, kinds=frozenset({"insert"}))
    check("INSERT INTO retail.person AS t (name) VALUES ('x'), ('y') RETURNING t.id", planned)
    refused(sql, planned)


def test_it_is_loaded_on_demand() -> None:
    assert util.find_spec("pgparse") is not None
    assert not any(name in vars(sys.modules[witness_postgres.__name__]) for name in ("pgparse",))
