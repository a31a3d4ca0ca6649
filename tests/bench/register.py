# ruff: noqa: T201 — it prints what it measured
"""Appends a second: the register against plain JSON lines, without fdatasync and with one each.

    python tests/bench/register.py [seconds]

Prints one line a number of threads, each of which waits until its entry is durable before the next. `register`
has the keys of persons at hand, `soon` is the same for as many tasks of one event loop, `+keys` asks the ledger for
them; `entry` builds entries and writes none; `log`
writes lines that are built already; `fsync` and `none` are plain JSON lines with one fsync each and without,
in one file under one lock, nothing built. `ratio` is register over fsync, `soon/f` soon over fsync, `of none` register
over none. What a sync saves is bounded by what trading places between threads costs (`log` shows it), and in the end
by the processor: the last line says how long one entry takes it with 64 at once, fsync left out.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from unittest import mock

from guard.clock import stamp
from guard.draft import Draft
from guard.model import ALWAYS, Activity, Actor, Decision, Declared, Item, Recipient, RelationCondition, Treatment
from guard_ledger.ledger import Ledger
from guard_register import log
from guard_register.log import Log
from guard_register.register import Register
from guard_register.seal import KeyFile

SOURCE = "bank:retail.customer"
FIELDS = ("full_name", "id_number", "mobile", "monthly_income", "home_address", "employer")
OFFICER = Actor(id="o-7", roles=("loan_officer",), unit="branch-3")

ACTIVITY = Activity(
    id="0",
    operation="use",
    purpose="loan_underwriting",
    method="sql",
    actor=OFFICER.facts(),
    recipient=Recipient(kind="staff"),
    subjects="declared",
    items=(
        Item(source=SOURCE, field=None, role="read", subjects=("holder",)),
        *(Item(source=SOURCE, field=name, role="read", category="contact") for name in FIELDS),
    ),
    declared=Declared(),
    time=stamp(1_795_420_800, "Asia/Shanghai"),
)
DECISION = Decision(
    id="0",
    allow=True,
    rows={SOURCE: RelationCondition(rule="PI-02", name="assigned_case")},
    reads={SOURCE: {name: Treatment(reveal=ALWAYS, mask=None, masked_if=ALWAYS) for name in FIELDS}},
)
DRAFT = Draft(
    kind="read",
    actor=OFFICER,
    activity=ACTIVITY,
    decision=DECISION,
    digests={"floor": "sha256:" + "a" * 64, "profile": "sha256:" + "b" * 64, "catalogue": "sha256:" + "c" * 64},
    statement="SELECT full_name, id_number, mobile FROM retail.customer WHERE customer_id = ?",
    sealed=["p-1001"],
    subjects=("p-1001",),
    rows=1,
)


def rate(work: Callable[[], object], threads: int, seconds: float) -> float:
    counts = [0] * threads
    until = time.perf_counter() + seconds

    def run(place: int) -> None:
        while time.perf_counter() < until:
            work()
            counts[place] += 1

    workers = [threading.Thread(target=run, args=(place,)) for place in range(threads)]
    start = time.perf_counter()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return sum(counts) / (time.perf_counter() - start)


def tasks(register: Register, number: int, seconds: float) -> float:
    """Appends a second by so many tasks of one event loop."""
    count = 0
    until = time.perf_counter() + seconds

    async def run() -> None:
        nonlocal count
        while time.perf_counter() < until:
            await register.append_soon(DRAFT)
            count += 1

    async def together() -> None:
        await asyncio.gather(*(run() for _ in range(number)))

    start = time.perf_counter()
    asyncio.run(together())
    return count / (time.perf_counter() - start)


def processor(register: Register, seconds: float) -> str:
    """Microseconds of the processor for each entry, without the disk."""
    said = []
    ways: dict[str, Callable[[], float]] = {
        "tasks": lambda: tasks(register, 64, seconds),
        "threads": lambda: rate(lambda: register.append(DRAFT), 64, seconds),
    }
    with mock.patch.object(log, "_sync", return_value=None):
        for name, work in ways.items():
            begin, start = time.process_time(), time.perf_counter()
            a_second = work()
            count = a_second * (time.perf_counter() - start)
            said.append(f"{name} {(time.process_time() - begin) / count * 1e6:.0f}")
    return ", ".join(said)


def main(seconds: float) -> None:
    with tempfile.TemporaryDirectory(dir=".") as folder:
        where = Path(folder)
        ledger = Ledger(f"sqlite:///{where / 'bank.db'}", judge=lambda _: (), judged="", zone="Asia/Shanghai")
        key = ledger.persons.key("p-1001")
        sealer = KeyFile(where / "register.key")
        constant = Register(where / "r1", holder="bank", keys=lambda of: dict.fromkeys(of, key), sealer=sealer)
        stored = Register(where / "r2", holder="bank", keys=ledger.persons.keys, sealer=sealer)
        bare = Log(where / "r3", wait=5.0)
        line = constant._scribe.line(DRAFT, constant.shard)(7) + b"\n"
        print(f"entry of {len(line)} bytes; {seconds} s each; appends a second")
        names = ("register", "soon", "+keys", "fsync", "none", "entry", "log", "ratio", "soon/f", "of none")
        print(f"{'threads':>8}" + "".join(f"{name:>10}" for name in names))
        with (where / "plain").open("ab", buffering=0) as plain:
            lock = threading.Lock()

            def none() -> None:
                with lock:
                    plain.write(line)

            def each() -> None:
                with lock:
                    plain.write(line)
                    os.fsync(plain.fileno())

            for threads in (1, 8, 64):
                rates = [
                    rate(lambda: constant.append(DRAFT), threads, seconds),
                    tasks(constant, threads, seconds),
                ]
                rates += [
                    rate(work, threads, seconds)
                    for work in (
                        lambda: stored.append(DRAFT),
                        each,
                        none,
                        lambda: constant._scribe.line(DRAFT, constant.shard)(7),
                        lambda: bare.append(lambda _: line[:-1]),
                    )
                ]
                print(
                    f"{threads:>8}"
                    + "".join(f"{one:>10,.0f}" for one in rates)
                    + f"{rates[0] / rates[3]:>9.1f}x{rates[1] / rates[3]:>9.1f}x{rates[0] / rates[4]:>9.2f}x"
                )
        print(f"microseconds of the processor for an entry, 64 at once, no fsync: {processor(constant, seconds)}")
        bare.close()
        constant.close()
        stored.close()
        ledger.close()


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 2.0)
