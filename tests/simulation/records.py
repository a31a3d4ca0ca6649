"""Records in the model: a program holds those of all persons since before, and releases them, or takes them in.

No statement runs: what a condition says of a person is as the ledger is when the road asks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, cast

import msgspec

from guard import catalogue, effects
from guard.attempt import Attempt
from guard.draft import Draft
from guard.effects import HoldsEach
from guard.errors import Held, Refused
from guard.model import ALWAYS, Decision, Treatment
from guard.records import DictRecords, Plan
from simulation.world import (
    DECISIONS,
    HOLDER,
    PERSONS,
    REVIEW,
    SOURCE,
    Broken,
    Steps,
    World,
    approving,
    attempt,
    performed,
)

REVIEW_OF_RECORDS: Final = "review-of-records"

ENTRY: Final = catalogue.load(
    {
        "version": "1",
        "sources": {
            SOURCE: {
                "subjects": {"holder": "customer_id"},
                "fields": {"customer_id": {"category": "pseudonym"}},
            }
        },
    }
).sources[SOURCE]

_RECORDS: Final = DictRecords(SOURCE, ENTRY, [{"customer_id": person} for person in PERSONS])
_SHOWN: Final = {SOURCE: {"customer_id": Treatment(reveal=ALWAYS, mask=None, masked_if=ALWAYS)}}


def _plan(kind: str) -> Plan:
    return Plan.of(SOURCE, ENTRY, _RECORDS.present, cast(Any, kind))


PLANS: Final = {kind: _plan(kind) for kind in ("release", "collect")}


def _attempt(who: str, kind: str, release: int, review: str | None) -> Attempt:
    one = attempt(who, "select", release, review)
    one.plan = PLANS[kind]
    one.activity = msgspec.structs.replace(one.activity, items=one.plan.items)
    return one


def _decision(release: int, *, bulk: bool) -> Decision:
    decided = DECISIONS[release, bulk]
    return msgspec.structs.replace(decided, reads=_SHOWN, writes={SOURCE: {"customer_id": "keep"}})


def of_records(world: World, who: str, kind: str, *, review: str | None = None) -> Steps:
    """One release or collection."""
    _seeded(world)
    yield "Decide"
    one = _attempt(who, kind, world.release, review)
    decision = _decision(world.release, bulk=review is not None)
    way = world.roads.releasing if kind == "release" else world.roads.collecting
    road = way(one, PLANS[kind], _RECORDS, lambda _: None)
    mine: list[Draft] = []
    looked: list[int] = []
    made = yield from _followed(world, road, decision, mine, looked)
    if kind == "collect":
        made = made.records
    _handed_out(world, [record["customer_id"] for record in made], mine, looked, kind)


def _followed(world: World, road: Any, decision: Decision, mine: list[Draft], looked: list[int]) -> Any:
    answer: object = None
    refusal: Refused | None = None
    while True:
        try:
            effect = road.send(answer) if refusal is None else road.throw(refusal)
        except StopIteration as end:
            return end.value
        answer = refusal = None
        if isinstance(effect, effects.Decide):
            answer = decision
            continue
        yield type(effect).__name__
        try:
            if isinstance(effect, HoldsEach):
                looked.append(world.time)
                answer = tuple(set(effect.subjects) - world.withdrawn.keys() for _ in effect.conditions)
            elif isinstance(effect, effects.Append):
                mine.append(effect.draft)
                answer = world.append(effect.draft)
            else:
                answer = performed(world, effect)
        except Refused as refused:
            refusal = refused


def _handed_out(world: World, persons: list[str], mine: list[Draft], looked: list[int], kind: str) -> None:
    """Records reach the program."""
    wanted = "read" if kind == "release" else "intent"
    entries = [one for one in mine if one.kind == wanted]
    if not entries or not set(persons) <= set(entries[-1].subjects):
        raise Broken("a record handed out before its durable entry")
    # Who withdrew before the road looked must not be among them; a road that never looked is as late as it can be.
    began = looked[-1] if looked else world.time
    for person in persons:
        if world.withdrawn.get(person, began) < began:
            raise Broken("a withdrawn person's record handed out by a road that looked after the commit")
    world.handed += len(persons)
    world.used(entries[-1].review)


def held_release(world: World) -> Steps:
    """A release that was held is run again quoting its approval; once more if that was still waited for."""
    for _ in range(2):
        try:
            yield from of_records(world, HOLDER, "release", review=REVIEW_OF_RECORDS)
        except Held as waiting:
            if waiting.review_id != REVIEW_OF_RECORDS:
                return
        else:
            return


def _seeded(world: World) -> None:
    """The review of the holder's release is there from the beginning, as the other one is."""
    if REVIEW_OF_RECORDS not in world.requests:
        world.requests[REVIEW_OF_RECORDS] = _attempt(HOLDER, "release", 1, None).digest()
        world.status[REVIEW_OF_RECORDS] = world.status[REVIEW]


def _approval(world: World) -> Steps:
    _seeded(world)
    yield from approving(world, REVIEW_OF_RECORDS)


PROCESSES: Final[Mapping[str, Callable[[World], Steps]]] = {
    "release": lambda world: of_records(world, "reader", "release"),
    "collect": lambda world: of_records(world, "writer", "collect"),
    "held release": held_release,
    "approval of records": _approval,
}
