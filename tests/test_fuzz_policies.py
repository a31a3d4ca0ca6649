"""The floor and an institution's layer on tens of thousands of activities: two engines, one answer.

The embedded engine runs what OPA compiled, the server interprets the sources; a difference between them would be a
decision that depends on how guard is installed. What the run reached is counted, so that it cannot pass by asking
nothing: lawful and unlawful in fair shares, and every rule of the floor many times.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from fixtures_opa import FIXTURES, Built
from fuzzing import generator
from fuzzing.generator import Generator

from guard import merge, wire
from guard.engine import Engine, Entrypoint
from guard.model import Activity, Consent, Decision, Verdict, rules_of
from guard_engine import bundle, opa, shipped
from guard_engine.embedded import Embedded
from guard_engine.server import Server

pytestmark = pytest.mark.fuzz

SEED = 20260501
LAYERS = ("floor", "institution")
ACTIVITIES = 4_000
"""Of each of the six kinds of institution."""
CONSENTS = 600
BROKEN = 300
BATCH = 200
RULES = [row["id"] for row in csv.DictReader((FIXTURES / "floor_rules.csv").read_text("utf-8").splitlines())]
"""The rules of the floor."""


class Tally:
    """What a run reached, and where the engines differed."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.rules: Counter[str] = Counter()
        self.bodies: set[bytes] = set()
        self.differences: list[tuple[str, Any]] = []
        self.kinds: Counter[str] = Counter()


def batched(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    return (values[start : start + BATCH] for start in range(0, len(values), BATCH))


def both(engines: Sequence[Engine], layer: str, entry: Entrypoint, name: str, values: Iterable[Any]) -> list[Any]:
    document = wire.canonical({name: list(values)})
    return [engine.evaluate(layer, entry, document) for engine in engines]


def decided(tally: Tally, engines: Sequence[Engine], asked: Sequence[Activity]) -> None:
    layered: list[tuple[Decision, ...]] = []
    for layer in LAYERS:
        here, there = (
            wire.decisions(answer, asked) for answer in both(engines, layer, "decision", "activities", asked)
        )
        tally.differences += [(layer, one) for one, a, b in zip(asked, here, there, strict=True) if a != b]
        layered.append(here)
    for activity, of_layers in zip(asked, zip(*layered, strict=True), strict=True):
        decision = merge.merge(of_layers)
        tally.bodies.add(wire.canonical(msgspec.structs.replace(activity, id="")))
        tally.counts["allow" if decision.allow else "deny"] += 1
        tally.rules.update(spoken(of_layers[0]))


def spoken(decision: Decision) -> set[str]:
    """The rules that had a part in a decision."""
    found = {reason.rule for reason in decision.reasons}
    for rows in decision.rows.values():
        found.update(rules_of(rows))
    for fields in decision.reads.values():
        for treatment in fields.values():
            found.update(treatment.rules, rules_of(treatment.masked_if))
    return found | {obligation.rule for obligation in decision.obligations if obligation.rule}


def judged(tally: Tally, engines: Sequence[Engine], asked: Sequence[Consent]) -> None:
    layered: list[tuple[Verdict, ...]] = []
    for layer in LAYERS:
        here, there = (wire.verdicts(answer, asked) for answer in both(engines, layer, "consent", "consents", asked))
        tally.differences += [(layer, one) for one, a, b in zip(asked, here, there, strict=True) if a != b]
        layered.append(here)
    for of_layers in zip(*layered, strict=True):
        tally.counts["valid" if merge.merge_verdicts(of_layers).valid else "void"] += 1
        tally.rules.update({reason.rule for reason in of_layers[0].reasons})


def unreadable(tally: Tally, engines: Sequence[Engine], entry: Entrypoint, values: Sequence[dict[str, Any]]) -> None:
    name = "activities" if entry == "decision" else "consents"
    for asked in batched(values):
        here, there = (unordered(answer) for answer in both(engines, "floor", entry, name, asked))
        tally.differences += [("broken", one) for one, a, b in zip(asked, here, there, strict=True) if a != b]
        assert [one["id"] for one in here] == [one["id"] for one in asked]
        assert all(one["reasons"] for one in here if not (one.get("allow") or one.get("valid")))
        tally.counts["broken"] += len(asked)


def unordered(value: Any) -> Any:
    """JSON with reasons in one order: OPA's sets have none."""
    for one in value:
        one["reasons"] = sorted(one["reasons"], key=wire.canonical)
    return value


@pytest.fixture(scope="module")
def tally(built: Callable[[Path, str], Built], opa_program: Path, tmp_path_factory: pytest.TempPathFactory) -> Tally:
    layers = [built(shipped.sources("floor"), "floor"), built(FIXTURES / "institution", "institution")]
    data = layers[0].rego.data
    reached = Tally()
    for kind in data["kinds"]:
        holder = bundle.read(bundle.profile_bundle(generator.profile(kind)))
        embedded = Embedded([*(layer.wasm for layer in layers), holder])
        bundles = {f"{one.layer}.tar.gz": one.raw for one in (*(layer.rego for layer in layers), holder)}
        with opa.serve(opa_program, bundles, tmp_path_factory.mktemp("opa")) as running:
            server = Server(running.url, embedded.digests, token_file=running.token_file, deadline=60)
            fuzz(reached, (embedded, server), Generator(kind, data, SEED))
            server.close()
        embedded.close()
        reached.kinds[kind] += 1
    return reached


def fuzz(reached: Tally, engines: Sequence[Engine], made: Generator) -> None:
    activities = tuple(made.activities(ACTIVITIES))
    for asked in batched(activities):
        decided(reached, engines, asked)
    consents = tuple(made.consents(CONSENTS))
    for given in batched(consents):
        judged(reached, engines, given)
    unreadable(reached, engines, "decision", [made.broken(one) for one in activities[:BROKEN]])
    unreadable(reached, engines, "consent", [made.broken(one) for one in consents[:BROKEN]])


def test_both_engines_answer_alike(tally: Tally) -> None:
    assert tally.differences == []


def test_the_run_reached_what_it_claims(tally: Tally, capsys: pytest.CaptureFixture[str]) -> None:
    asked = tally.counts["allow"] + tally.counts["deny"]
    with capsys.disabled():
        print(f"\n  {asked} activities ({len(tally.bodies)} distinct), {dict(tally.counts)}")  # noqa: T201 (the counts are for people)
        print("  " + ", ".join(f"{rule} {count}" for rule, count in sorted(tally.rules.items())))  # noqa: T201
    assert len(tally.kinds) == 6
    assert len(tally.bodies) >= 20_000
    assert tally.counts["allow"] >= asked / 5
    assert tally.counts["deny"] >= asked / 5
    assert tally.counts["valid"] >= CONSENTS
    assert tally.counts["void"] >= CONSENTS
    assert {rule: tally.rules[rule] for rule in RULES if tally.rules[rule] < 50} == {}


def test_the_seed_decides_everything() -> None:
    data = bundle.base_data(bundle.sources_of(shipped.sources("floor"), "floor"), "guard/floor")
    one, other = (Generator("bank", data, SEED) for _ in range(2))
    assert list(one.activities(50)) == list(other.activities(50))
    assert list(one.consents(50)) == list(other.consents(50))
