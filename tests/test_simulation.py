"""The roads, in every order of their steps with those of others: a deterministic simulation.

In none is a row or a record released before its durable entry, a withdrawn person's row released by a statement that
began after the commit, a withdrawn person's record by a road that looked after it, an effect without its intent entry,
or an approval used twice. Roads in which two lines are swapped fail.
"""

from __future__ import annotations

import inspect
import os
import sys
from collections import Counter
from collections.abc import Callable
from itertools import combinations_with_replacement
from types import ModuleType
from typing import Any

import msgspec
import pytest
from simulation.schedules import PROCESSES, every, random_schedule
from simulation.world import Broken, Roads

from guard import collecting, reading, releasing, writing
from guard.model import ALWAYS

SCHEDULES = int(os.environ.get("GUARD_SCHEDULES", "20000"))
"""Random schedules of all six."""

SIX = ("read", "write", "held read", "withdrawal", "approval", "activation")
OLDER = ("read in a transaction", "write in a transaction")
RECORDS = ("release", "collect", "held release")
OF_RECORDS = (*RECORDS, "withdrawal", "approval of records", "activation")
PAIRS = [
    *combinations_with_replacement(SIX, 2),
    *((older, other) for older in OLDER for other in ("withdrawal", "approval", "activation")),
    *(pair for pair in combinations_with_replacement(OF_RECORDS, 2) if set(pair) & set(RECORDS)),
]
"""Any two of the six; what is read or written in an older snapshot, with what changes meanwhile; and records."""


@pytest.mark.parametrize("pair", PAIRS, ids=" + ".join)
def test_every_interleaving_of_two(pair: tuple[str, str]) -> None:
    count = sum(every(Roads(), pair, approved=approved) for approved in _states(pair))
    sys.stdout.write(f"\n{' + '.join(pair)}: {count} schedules\n")
    assert count > 1


def _states(pair: tuple[str, ...]) -> tuple[bool, ...]:
    """Whether the held read is approved already: both, where that makes a difference."""
    return (False, True) if {"held read", "held release"} & set(pair) else (False,)


def test_random_schedules_of_all_six() -> None:
    seen: Counter[str] = Counter()
    for seed in range(SCHEDULES):
        world = random_schedule(Roads(), seed)
        seen["steps"] += world.time
        seen["rows"] += world.released
        seen["records"] += world.handed
        seen["effects"] += world.effects
        seen["approvals used"] += world.claimed.total()
        seen["served"] += world.served.total()
        seen["denied or held"] += sum(one.kind in {"denied", "held"} for one in world.register)
        seen["withdrawn"] += len(world.withdrawn)
    told = ", ".join(f"{count} {name}" for name, count in seen.items())
    sys.stdout.write(f"\n{SCHEDULES} random schedules: {told}\n")
    for name in ("rows", "records", "effects", "approvals used", "served", "denied or held", "withdrawn"):
        assert seen[name] > SCHEDULES / 20, f"hardly any schedule has {name}: they try little"


# --- Mutants --------------------------------------------------------------------------------------


def mutant(module: ModuleType, *changes: tuple[str, str]) -> Any:
    """The module with lines of its source changed; each must be there exactly once."""
    source = inspect.getsource(module)
    for old, new in changes:
        assert source.count(old) == 1, f"no longer in the road: {old}"
        source = source.replace(old, new)
    made = ModuleType(module.__name__)
    made.__dict__.update(ALWAYS=ALWAYS, replace=msgspec.structs.replace)
    exec(compile(source, f"<mutant of {module.__name__}>", "exec"), made.__dict__)
    return made


DECIDE = "    decision = yield from decided(attempt)\n"
EXECUTE = "    yield Execute(*statement)\n"
READ_ENTRY = (
    '            entry = yield Append(attempt.draft("read", subjects=persons, rows=len(held), review=review))\n'
)
RELEASE = "            yield Release(held)\n"
REVIEWED = "            review = yield from approval(attempt, need, len(seen))\n"
INTENT = "    yield from _intend(attempt, state, tuple(sorted(state.persons)) or attempt.named, rows)\n"
WRITE = """    state.rows, after = yield from _image(
        attempt, None, guarded, limits, guarded.bind(attempt.parameters, attempt.facts)
    )
"""


RECORDS_DECIDE = DECIDE
STALE = "    decision = replace(decision, rows={plan.source: ALWAYS})\n"
RECORDS_REVIEWED = (
    "    review = approved(attempt, need, persons) or (yield from approval(attempt, need, len(persons)))\n"
)
RECORDS_ENTRY = (
    '    entry: int = yield Append(attempt.draft("read", subjects=persons or attempt.named, rows=len(kept),'
    " review=review))\n"
)
COLLECTED_ENTRY = (
    '    entry: int = yield Append(attempt.draft("intent", subjects=subjects, rows=records.count, review=review))\n'
)
COLLECTED_TERMS = "    terms = plan.terms(decision)\n"


def _reading(*changes: tuple[str, str]) -> Roads:
    return Roads(reading=mutant(reading, *changes).reading)


MUTANTS: dict[str, tuple[Callable[[], Roads], tuple[str, str], str]] = {
    "released before it is registered": (
        lambda: _reading((READ_ENTRY + RELEASE, RELEASE + READ_ENTRY)),
        ("read", "activation"),
        "a row released before its durable entry",
    ),
    "executed before it is decided": (
        lambda: _reading(
            (DECIDE, '    decision = Decision(id="0", allow=True)\n'),
            (EXECUTE, EXECUTE + DECIDE),
        ),
        ("read", "withdrawal"),
        "a withdrawn person's row released",
    ),
    "an older snapshot is trusted": (
        lambda: _reading(("(older or entry is not None)", "entry is not None")),
        ("read in a transaction", "withdrawal"),
        "a withdrawn person's row released",
    ),
    "written before it is registered": (
        lambda: Roads(writing=mutant(writing, (INTENT + WRITE, WRITE + INTENT)).writing),
        ("write", "activation"),
        "an effect without its intent entry",
    ),
    "not registered before it is written": (
        lambda: Roads(writing=mutant(writing, (INTENT, "    state.intents.append(_Intent(0, ()))\n")).writing),
        ("write", "withdrawal"),
        "an effect without its intent entry",
    ),
    "released before the approval is used up": (
        lambda: _reading(
            (REVIEWED, "            review = attempt.review\n"),
            (RELEASE, RELEASE + "            yield from approval(attempt, need, len(seen))\n"),
        ),
        ("held read", "held read"),
        "an approval",
    ),
    "records released before they are registered": (
        lambda: Roads(releasing=mutant(releasing, (RECORDS_ENTRY, "    entry = None\n")).releasing),
        ("release", "activation"),
        "a record handed out before its durable entry",
    ),
    "records looked at before they are held": (
        lambda: Roads(
            releasing=mutant(
                releasing,
                (RECORDS_REVIEWED, "    review = attempt.review\n"),
            ).releasing
        ),
        ("held release", "activation"),
        "an approval that was not used up",
    ),
    "records released by what was known before": (
        lambda: Roads(releasing=mutant(releasing, (RECORDS_DECIDE, RECORDS_DECIDE + STALE)).releasing),
        ("release", "withdrawal"),
        "a withdrawn person's record",
    ),
    "records taken in before they are registered": (
        lambda: Roads(collecting=mutant(collecting, (COLLECTED_ENTRY, "    entry = 0\n")).collecting),
        ("collect", "activation"),
        "a record handed out before its durable entry",
    ),
    "records taken in whoever withdrew": (
        lambda: Roads(collecting=mutant(collecting, (COLLECTED_TERMS, STALE + COLLECTED_TERMS)).collecting),
        ("collect", "withdrawal"),
        "a withdrawn person's record",
    ),
    "an approval looked at, then used up": (
        lambda: Roads(claims_at_once=False),
        ("held read", "held read"),
        "an approval used twice",
    ),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_the_simulation_sees(name: str) -> None:
    made, pair, problem = MUTANTS[name]
    with pytest.raises(Broken, match=problem):
        every(made(), pair, approved=True)


@pytest.mark.parametrize("name", MUTANTS)
def test_random_schedules_see(name: str) -> None:
    roads = MUTANTS[name][0]()

    def tried() -> None:
        for seed in range(2_000):
            random_schedule(roads, seed)

    with pytest.raises(Broken):
        tried()


def test_every_process_is_in_some_pair() -> None:
    assert set(PROCESSES) == {name for pair in PAIRS for name in pair}
