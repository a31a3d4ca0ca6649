# ruff: noqa: T201 — it prints what it measured
"""What the SQL guard costs: reading, rewriting and binding a statement, and running it on SQLite.

    python tests/bench/sql.py [rows]

Medians of this thread's own processor time, so that other load shows less. `first seen` has a statement
that the guard never met, under a decision that it has; `first decision` meets both for the first time, in
a closed world that is built. The second table runs statements beside their guarded form, prepared, on a
table of `rows` customers, each with a consent, a case, and an index on the key; `ratio` is guarded over plain.
"""

from __future__ import annotations

import itertools
import sqlite3
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "adapters"))

import sql_world as world
from sql_world import CUSTOMER

import guard_sql
from guard.model import GrantCondition, RelationCondition, all_of

SEPARATE = GrantCondition(rule="PI-19", category="identity_number", separate=True)
DECISION = world.decision(
    CUSTOMER,
    all_of(GrantCondition(rule="OP-01"), RelationCondition(rule="PI-02", name="assigned_case")),
    {
        "customer_id": world.shown(),
        "full_name": world.shown(),
        "id_number": world.masked("id18", SEPARATE),
        "mobile": world.masked("phone"),
        "grade": world.shown(),
    },
)
POINT = "SELECT customer_id, full_name, id_number, mobile FROM customer WHERE customer_id = ?"
STATEMENTS = {
    "point": (POINT, (500,)),
    "range": ("SELECT full_name, mobile FROM customer WHERE customer_id BETWEEN ? AND ?", (500, 600)),
    "aggregate": ("SELECT grade, count(*) FROM customer GROUP BY grade", ()),
}


def median(work: Callable[[], object], times: int) -> float:
    """Microseconds."""
    taken = []
    for _ in range(times):
        start = time.thread_time_ns()
        work()
        taken.append(time.thread_time_ns() - start)
    return statistics.median(taken) / 1000


def rewriting() -> None:
    numbers = itertools.count()
    site, cache = world.SITE, guard_sql.PlanCache(world.SITE)
    guard_sql.plan(POINT, site).apply(DECISION)

    def fresh() -> str:
        return f"{POINT} AND grade <> 'g{next(numbers)}'"

    def first_decision() -> None:
        new = guard_sql.Site(catalogue=world.CATALOGUE, holder="bank", schemas={"main": "retail"})
        guard_sql.plan(POINT, new).apply(DECISION)

    plan = guard_sql.plan(POINT, site)
    guarded = plan.apply(DECISION)
    one = world.facts(subject="500")
    for name, work, times in (
        ("plan", lambda: guard_sql.plan(fresh(), site), 3000),
        ("apply", lambda: plan.apply(DECISION), 3000),
        ("first seen: plan + apply", lambda: guard_sql.plan(fresh(), site).apply(DECISION), 3000),
        ("first decision: site + plan + apply", first_decision, 200),
        ("met before: two look-ups", lambda: cache.apply(cache.plan(POINT), DECISION), 20_000),
        ("bind", lambda: guarded.bind((500,), one), 20_000),
        ("persons of one row", lambda: guarded.persons(("500",)), 20_000),
    ):
        print(f"{name:40}{median(work, times):10.1f} us")


def bank(rows: int) -> sqlite3.Connection:
    connection = world.empty()
    connection.execute("CREATE UNIQUE INDEX by_customer ON customer (customer_id)")
    connection.execute("CREATE INDEX by_case ON loan_case (customer_id)")
    made = world.Data(
        customer=[
            {
                "customer_id": n,
                "full_name": "王小明",
                "id_number": "1" * 18,
                "mobile": "13812345678",
                "grade": "ABCDE"[n % 5],
            }
            for n in range(rows)
        ],
        loan_case=[{"customer_id": n, "officer": world.FACTS.actor, "status": "open"} for n in range(rows)],
        grants=[world.grant(str(n)) for n in range(rows)],
        scopes={1: {("use", "identity"), ("use", "contact")}},
    )
    return world.fill(connection, made)


def running(rows: int) -> None:
    connection = bank(rows)
    for name, (sql, parameters) in STATEMENTS.items():
        guarded = guard_sql.plan(sql, world.SITE).apply(DECISION)
        times = 2000 if name == "point" else 300 if name == "range" else 5
        plain = median(lambda: connection.execute(sql, parameters).fetchall(), times)  # noqa: B023  runs here
        text, bound = guarded.bind(parameters, world.FACTS)
        with_guard = median(lambda: connection.execute(text, bound).fetchall(), times)  # noqa: B023  runs here
        print(f"{name:12}{plain:12.1f} us plain{with_guard:12.1f} us guarded{with_guard / plain:8.2f} ratio")


if __name__ == "__main__":
    rewriting()
    running(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
