# ruff: noqa: T201 — it prints what it measured
"""What a decision costs: remembered, in process, on an OPA server.

    python -m tests.bench.engine [rounds]

Every way is measured in turn in one run, so that a busy machine slows all of them; times are medians of one
decision with its answer read and checked, by the shipped floor. The client's CPU alone is shown for a server.
"""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlsplit

import msgspec
from opa_client.opa import OpaClient  # type: ignore[import-untyped]  # it has no types

from guard import wire
from guard.decider import Decider
from guard.model import Activity, Item
from guard_engine import bundle, opa, shipped
from guard_engine.bundle import Bundle
from guard_engine.embedded import Embedded
from guard_engine.server import Server

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples/bank/activities/officer-reads-application.json"
PROFILE = {"kind": "bank", "jurisdiction": "CN", "app_type": None, "notices": None, "purposes": {}}
LAYERS = ("floor",)

replace = msgspec.structs.replace


def small() -> Activity:
    """A loan officer reads six columns of one application."""
    return wire.activity(EXAMPLE.read_bytes())


def large() -> Activity:
    """One hundred items of five wide tables, of all categories that the purpose may see: some 20 KB."""
    purposes = bundle.read(shipped.wasm("floor")).data["purposes"]
    categories = list(purposes["loan_underwriting"]["categories"])
    items: list[Item] = []
    for table in range(5):
        source = f"bank:retail_lending_department.customer_application_table_{table}"
        names = ("assigned_case",), ("adverse_ended_on", "frozen")
        items.append(
            Item(source=source, field=None, role="read", subjects=("holder",), relations=names[0], facts=names[1])
        )
        items += [
            Item(
                source=source,
                field=f"a_column_with_a_name_as_long_as_banks_have_{n:02}_{one}",
                role="read",
                category=one,
            )
            for n, one in zip(range(19), itertools.cycle(categories), strict=False)
        ]
    return replace(small(), items=wire.ordered(items))


def fresh(activity: Activity) -> Iterator[Activity]:
    """The same activity in one minute after the other: never the same question."""
    minute = 0
    while True:
        minute += 1
        yield replace(activity, time=replace(activity.time, seconds=activity.time.seconds + 60 * minute))


def misses(decider: Decider, activity: Activity) -> Callable[[], object]:
    """One decision that is not in the cache."""
    ever = fresh(activity)
    return lambda: decider.decide([next(ever)])


def query_rule(server: opa.Running, activity: Activity) -> Callable[[], object]:
    """opa-python-client as it comes: one query, its answer read by wire.decisions."""
    parts = urlsplit(server.url)
    client = OpaClient(host=parts.hostname, port=parts.port, token=server.token_file.read_text(), retries=0, timeout=10)
    document = {"activities": [msgspec.to_builtins(activity)]}

    def ask() -> object:
        answer = client.query_rule(document, "guard.floor", "decision", {"provenance": True})
        return wire.decisions(answer["result"], [activity])

    return ask


def raw_http(server: opa.Running, activity: Activity) -> Callable[[], object]:
    """One connection of http.client, kept."""
    parts = urlsplit(server.url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)
    headers = {"Authorization": f"Bearer {server.token_file.read_text()}", "Content-Type": "application/json"}

    def ask() -> object:
        document = b'{"input":{"activities":[%b]}}' % wire.canonical(activity)
        connection.request("POST", "/v1/data/guard/floor/decision?provenance=true", document, headers)
        answer: Any = json.loads(connection.getresponse().read())
        return wire.decisions(answer["result"], [activity])

    return ask


def measured(ways: dict[str, Callable[[], object]], rounds: int) -> dict[str, tuple[float, float]]:
    """Wall and CPU of one call each way (medians, µs), all ways in turn in each round."""
    wall: dict[str, list[float]] = {name: [] for name in ways}
    cpu: dict[str, list[float]] = {name: [] for name in ways}
    repeats = {name: 200 if name.startswith("remembered") else 5 for name in ways}
    for turn in range(rounds + 2):
        for name, way in ways.items():
            cpu_0, wall_0 = time.thread_time(), time.perf_counter()
            for _ in range(repeats[name]):
                way()
            wall_1, cpu_1 = time.perf_counter(), time.thread_time()
            if turn >= 2:  # the first rounds warm up
                wall[name].append((wall_1 - wall_0) / repeats[name] * 1e6)
                cpu[name].append((cpu_1 - cpu_0) / repeats[name] * 1e6)
    return {name: (median(wall[name]), median(cpu[name])) for name in ways}


def embedded(profile: Bundle) -> Embedded:
    """The shipped floor in its compiled form."""
    return Embedded([bundle.read(shipped.wasm("floor")), profile])


def main(rounds: int = 60) -> dict[str, tuple[float, float]]:
    """Measures and prints; returns the figures by name."""
    profile = bundle.read(bundle.profile_bundle(PROFILE))
    started = time.perf_counter()
    engine = embedded(profile)
    print(f"embedded engine ready after {(time.perf_counter() - started) * 1e3:.0f} ms, the first of a process")
    asked = {"small": small(), "large": large()}
    for name, activity in asked.items():
        decision = Decider(engine, LAYERS, catalogue_digest="c").decide([activity])[0]
        size = len(wire.canonical(activity))
        print(f"{name}: {len(activity.items)} items, {size} bytes, {'allowed' if decision.allow else 'denied'}")
    ways: dict[str, Callable[[], object]] = {}
    for name, activity in asked.items():
        known = Decider(engine, LAYERS, catalogue_digest="c")
        ways[f"remembered, {name}"] = lambda known=known, one=[activity]: known.decide(one)  # type: ignore[misc]
        ways[f"embedded, {name}"] = misses(Decider(engine, LAYERS, catalogue_digest="c"), activity)
    with contextlib.ExitStack() as stack:
        program = opa.find()
        if program is None:
            print("no opa here: the server is left out (guard opa install)")
        else:
            rego = bundle.read(bundle.pack(shipped.sources("floor"), "floor"))
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            bundles = {"floor.tar.gz": rego.raw, "profile.tar.gz": profile.raw}
            server = stack.enter_context(opa.serve(program, bundles, folder))
            digests = {"floor": rego.digest, "profile": profile.digest}
            remote = Server(server.url, digests, token_file=server.token_file, deadline=10)
            stack.callback(remote.close)
            for name, activity in asked.items():
                ways[f"OPA server, guard, {name}"] = misses(Decider(remote, LAYERS, catalogue_digest="c"), activity)
                ways[f"OPA server, query_rule of opa-python-client, {name}"] = query_rule(server, activity)
                ways[f"OPA server, raw keep-alive HTTP, {name}"] = raw_http(server, activity)
        figures = measured(ways, rounds)
    print(f"\n{'one decision (µs, median)':<58}{'wall':>9}{'CPU':>9}{'to embedded':>13}")
    for name, (wall, cpu) in figures.items():
        base = figures[f"embedded, {name.rpartition(', ')[2]}"][0]
        print(f"{name:<58}{wall:>9.1f}{cpu:>9.1f}{wall / base:>12.2f}x")
    return figures


if __name__ == "__main__":
    warnings.simplefilter("ignore", ResourceWarning)  # the clients' connections end with the process
    main(*(int(argument) for argument in sys.argv[1:2]))
