"""guard(Q)(D) = Q(permitted copy of D) for TPC-H's 22 queries on PostgreSQL.

Customers and their orders are personal. Half of the customers have a grant for this purpose; telephone numbers are
masked; what a query does not name is not decided about. The copy is filled from the generated rows in Python.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
import tpch_tables as tpch
from fixtures_postgres import ROLE, _url
from sqlalchemy.dialects import postgresql

import guard_sql
from guard import catalogue, masks
from guard.errors import Refused
from guard.model import ALWAYS, NEVER, Decision, Facts, GrantCondition, Treatment
from guard_ledger import tables as ledger_tables

QUERIES = {
    int(number): text.strip()
    for number, text in re.findall(
        r"^-- Q(\d+)\n(.*?)(?=^-- Q|\Z)",
        (Path(__file__).parent / "queries.sql").read_text("utf-8"),
        re.DOTALL | re.MULTILINE,
    )
}
REFUSED: dict[int, str] = {}
"""Queries that guard_sql does not let through -> what it says."""

WITHOUT_PERSONS = [1, 2, 6, 11, 14, 15, 16, 17, 19, 20]
"""Queries that touch no personal table: all others answer differently on what is permitted."""

NOW = 1_795_420_800
FACTS = Facts(
    actor="analyst",
    subject=None,
    purpose="statistics",
    operation="use",
    recipient="",
    seconds=NOW,
    date="2026-11-23",
    judged="rules-1",
)
PERSONAL = {"customer": "c_custkey", "orders": "o_custkey"}
CATEGORY = {"c_phone": "contact", "c_name": "identity", "c_address": "address", "c_acctbal": "deposit"}
CATALOGUE = catalogue.load(
    {
        "version": "1",
        "sources": {
            f"shop:sales.{table}": {
                "subjects": {"holder": subject},
                "fields": {
                    name: {"category": "pseudonym" if name == subject else CATEGORY.get(name, "loan"), "type": kind}
                    for name, kind in tpch.COLUMNS[table].items()
                },
            }
            for table, subject in PERSONAL.items()
        },
        "public": {
            f"shop:sales.{table}": {"reason": "no person", "owner": "it", "fields": dict(columns)}
            for table, columns in tpch.COLUMNS.items()
            if table not in PERSONAL
        },
    }
)
SITE = guard_sql.Site(catalogue=CATALOGUE, holder="shop", schemas={"raw": "sales"}, dialect="postgres")
SHOWN = Treatment(reveal=ALWAYS, mask=None, masked_if=ALWAYS)
MASKED = Treatment(reveal=NEVER, mask="phone", masked_if=ALWAYS)
TYPES = {"integer": "BIGINT", "text": "TEXT", "number": "NUMERIC", "date": "DATE"}

Rows = list[tuple[Any, ...]]


def consenting(customer: int) -> bool:
    return customer * 7919 % 2 == 0 if customer % 3 else customer % 6 == 0


class Shop:
    """The raw tables in schema raw, the permitted ones in schema copy."""

    def __init__(self, url: str) -> None:
        import psycopg

        self.raw = psycopg.connect(url, autocommit=True)
        self.sent = psycopg.RawCursor
        rows = tpch.tables()
        self.do("SET statement_timeout = '120s'")
        for schema in ("raw", "copy", "guard"):
            self.do(f"CREATE SCHEMA {schema}")
        for table in (ledger_tables.scope, ledger_tables.grant):
            made = table.to_metadata(sqlalchemy.MetaData(), schema="guard")
            self.do(str(sqlalchemy.schema.CreateTable(made).compile(dialect=postgresql.dialect())))
            for index in made.indexes:
                self.do(str(sqlalchemy.schema.CreateIndex(index).compile(dialect=postgresql.dialect())))
        self.do("INSERT INTO guard.guard_scope VALUES (1, 'use', 'deposit')")
        for table, of in rows.items():
            self.fill("raw", table, of)
            self.fill("copy", table, [self.treated(table, row) for row in of if self.permitted(table, row)])
        columns = [one.name for one in ledger_tables.grant.columns if one.name != "grant_id"]
        known = {"consent_id": "c", "purpose": FACTS.purpose, "recipient": "", "scope": 1, "basis": "consent"}
        known |= {"separate": 0, "written": 0, "assurance": 1, "recorder": "desk", "judged": FACTS.judged}
        known |= {"valid_from": NOW - 1, "valid_until": NOW + 1, "withdrawn_at": None, "evidence": None}
        people = [row[0] for row in rows["customer"] if consenting(row[0])]
        self.copy_in(
            "guard.guard_grant", columns, [[{**known, "subject": str(one)}[c] for c in columns] for one in people]
        )
        self.do("ANALYZE")

    def do(self, sql: str, parameters: Any = None) -> Any:
        return self.raw.execute(sql.encode(), parameters)

    def fill(self, schema: str, table: str, rows: Sequence[Sequence[Any]]) -> None:
        columns = tpch.COLUMNS[table]
        typed = ", ".join(f"{name} {TYPES[kind]}" for name, kind in columns.items())
        self.do(f"CREATE TABLE {schema}.{table} ({typed}, PRIMARY KEY ({tpch.KEYS[table]}))")
        self.copy_in(f"{schema}.{table}", list(columns), rows)

    def copy_in(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        with self.raw.cursor().copy(f"COPY {table} ({', '.join(columns)}) FROM STDIN".encode()) as stream:
            for row in rows:
                stream.write_row(row)

    def permitted(self, table: str, row: Sequence[Any]) -> bool:
        return table not in PERSONAL or consenting(row[list(tpch.COLUMNS[table]).index(PERSONAL[table])])

    def treated(self, table: str, row: Sequence[Any]) -> list[Any]:
        names = list(tpch.COLUMNS[table])
        return [masks.apply("phone", one) if name == "c_phone" else one for name, one in zip(names, row, strict=True)]

    def asked(self, sql: str, path: str, parameters: Any = None) -> tuple[Rows, list[str]]:
        self.do(f"SET search_path = {path}")
        cursor = self.sent(self.raw)
        cursor.execute(sql.encode(), parameters)
        return cursor.fetchall(), [one[0] for one in cursor.description]

    def close(self) -> None:
        self.raw.close()


@pytest.fixture(scope="module")
def shop(postgres_server: Path) -> Iterator[Shop]:
    import psycopg

    with psycopg.connect(_url(postgres_server, "postgres", "postgres"), autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE tpch OWNER {ROLE}".encode())
    with closing(Shop(_url(postgres_server, ROLE, "tpch"))) as made:
        yield made


def decision(plan: guard_sql.Plan) -> Decision:
    fields: dict[str, list[str]] = {}
    for item in plan.items:
        fields.setdefault(item.source, []).extend(() if item.field is None else (item.field,))
    return Decision(
        id="0",
        allow=True,
        rows=dict.fromkeys(fields, GrantCondition(rule="OP-01")),
        reads={
            source: {name: MASKED if name == "c_phone" else SHOWN for name in names} for source, names in fields.items()
        },
    )


def guarded(sql: str) -> tuple[guard_sql.Guarded, bool]:
    plan = guard_sql.plan(sql, SITE)
    return plan.apply(None if plan.public else decision(plan)), plan.public


def test_all_22_are_there_and_each_has_an_answer(shop: Shop) -> None:
    assert sorted(QUERIES) == list(range(1, 23))
    empty = [number for number, sql in QUERIES.items() if not shop.asked(sql, "raw")[0]]
    assert empty == []
    permitted = {number: shop.asked(sql, "copy")[0] for number, sql in QUERIES.items()}
    assert sum(map(bool, permitted.values())) >= 20, "hardly anything is left to compare"
    same = [
        number
        for number, sql in QUERIES.items()
        if Counter(map(repr, permitted[number])) == Counter(map(repr, shop.asked(sql, "raw")[0]))
    ]
    assert same == WITHOUT_PERSONS


@pytest.mark.parametrize("number", sorted(QUERIES))
def test_the_guarded_query_is_the_query_on_what_is_permitted(shop: Shop, number: int) -> None:
    sql = QUERIES[number]
    expected, names = shop.asked(sql, "copy")
    if number in REFUSED:
        with pytest.raises(Refused, match=re.escape(REFUSED[number])):
            guarded(sql)
        return
    made, public = guarded(sql)
    text, bound = made.bind(None, FACTS)
    rows, _ = shop.asked(text, "pg_catalog, pg_temp", bound)
    visible = len(made.columns)
    assert list(made.columns) == names
    assert Counter(map(repr, (row[:visible] for row in rows))) == Counter(map(repr, expected))
    persons = {int(one) for row in rows for one in made.persons(row[visible:])}
    assert all(map(consenting, persons))
    assert public or not rows or persons
