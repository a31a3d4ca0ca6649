"""Activities and consent records that try policies: lawful seeds for every institution and purpose, then changed.

A generator that invents activities from nothing meets one rule in a hundred: nearly all of what it makes is refused
by the first test. So each starts lawful and gets at most three changes; all of them remain what an adapter could
have built. `broken` goes on from there to what none could.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, get_args

import msgspec
from msgspec.structs import replace

from guard import wire
from guard.model import (
    RECIPIENTS,
    WITHIN,
    Activity,
    ActorFacts,
    Assurance,
    Consent,
    Declared,
    Item,
    Notice,
    Operation,
    Recipient,
    Time,
)

OPERATIONS: Final[tuple[Operation, ...]] = get_args(Operation)
ASSURANCES: Final[tuple[Assurance, ...]] = get_args(Assurance)
NOW: Final = 1_795_420_800
DAY: Final = 86_400
WRITES: Final = frozenset({"collect", "store", "delete"})
CHANGES: Final = (0, 0, 0, 1, 1, 1, 1, 2, 2, 3)
"""How many changes a seed gets, each as often as the other."""

OWN: Final[Mapping[str, Mapping[str, Any]]] = {
    "service": {
        "basis": ["consent"],
        "categories": [
            *("identity", "contact", "address", "employment", "income", "deposit", "location", "credit_report"),
            *("adverse", "device_id", "religion", "disease", "petition", "marriage", "financial_account", "honours"),
            "pseudonym",
        ],
        "relation": None,
    },
    "advice": {
        "basis": ["consent"],
        "categories": ["identity", "honours", "deposit", "marriage"],
        "relation": "assigned_case",
    },
    "sale": {"basis": ["profit"], "categories": ["identity"], "relation": None},
    "marketing": {"basis": ["consent"], "categories": ["location", "aml"], "relation": None},
}
"""Purposes of the institution's own: two lawful, one on no basis of the law, one that takes a name of the floor's."""


def profile(kind: str) -> dict[str, Any]:
    """The profile that generated activities belong to."""
    return {
        "kind": kind,
        "jurisdiction": "CN",
        "app_type": "map_navigation",
        "purposes": OWN,
        "notices": ["n-1", "n-2"],
    }


class Generator:
    """Makes activities and consents for one kind of institution. `data` is the floor's base data."""

    def __init__(self, kind: str, data: Mapping[str, Any], seed: int) -> None:
        self._random = random.Random(f"{kind} {seed}")
        self._categories = [*data["categories"], "of_no_class"]
        floor = {name: one for name, one in data["purposes"].items() if kind in one["kinds"]}
        own = {
            name: {**data["own_purpose"], "bases": one["basis"], **one}
            for name, one in OWN.items()
            if one["basis"] == ["consent"] and name not in floor
        }
        self._purposes: dict[str, Mapping[str, Any]] = {**floor, **own}
        self._names = [*data["purposes"], *OWN, "gossip", ""]
        self._roles = sorted({role for one in data["purposes"].values() for role in one["roles"] or ()})
        self._bases = [*data["bases"], "legitimate_interest", ""]

    # --- Activities -------------------------------------------------------------------------------

    def activities(self, count: int) -> Iterator[Activity]:
        """`count` activities, numbered from 0, each with up to three changes to a lawful one."""
        changes: list[Callable[[Activity], Activity]] = [
            self._operation,
            self._purpose,
            self._actor,
            self._recipient,
            self._add,
            self._add,
            self._take,
            self._source,
            self._second_source,
            self._role,
            self._declared,
            self._declared,
            self._time,
            self._only_surplus,
        ]
        for number in range(count):
            made = self._lawful(str(number))
            for _ in range(self._random.choice(CHANGES)):
                made = self._random.choice(changes)(made)
            made = replace(made, items=wire.ordered(made.items))
            wire.check_activity(made)
            yield made

    def _lawful(self, number: str) -> Activity:
        name = self._random.choice([*self._purposes])
        purpose = self._purposes[name]
        operation = self._random.choice([*purpose["operations"]])
        kind = self._random.choice(purpose["operations"][operation])
        person = self._random.random() < 0.7
        return Activity(
            id=number,
            operation=operation,
            purpose=name,
            method=self._random.choice(("sql", "http", "job")),
            actor=ActorFacts(
                kind="person" if person else "service",
                roles=tuple(self._some(purpose["roles"] or ["clerk"], 2)),
                unit=self._random.choice(("branch-1", "branch-2")),
            ),
            recipient=Recipient(kind=kind, id="company-1" if operation in RECIPIENTS and kind != "public" else None),
            subjects=self._random.choice(("declared", "many")),
            items=self._items("t", self._some([*purpose["categories"]] or ["identity"], 6), operation),
            declared=Declared(notice=self._random.choice(("n-1", "n-2")) if operation == "collect" else None),
            time=self._at(),
        )

    def _at(self) -> Time:
        minute = self._random.randrange(24 * 60)
        hour = self._random.randrange(8, 20) if self._random.random() < 0.9 else self._random.randrange(24)
        return Time(seconds=NOW + minute * 60, date="2026-11-23", hour=hour, zone="Asia/Shanghai")

    def _items(self, source: str, categories: list[str], operation: str) -> tuple[Item, ...]:
        role: Any = "write" if operation in WRITES else "read"
        return (
            Item(
                source=source,
                field=None,
                role=role,
                subjects=("holder",),
                relations=("assigned_case",),
                facts=("adverse_ended_on", "frozen"),
            ),
            *(self._field(source, category, role) for category in categories),
        )

    def _field(self, source: str, category: str, role: Any) -> Item:
        number = self._random.randrange(10**9)
        return Item(source=source, field=f"{category}_{number}", role=role, category=category)

    def _some(self, of: list[str], most: int) -> list[str]:
        return self._random.sample(of, self._random.randint(1, min(most, len(of))))

    # --- One change each; what comes out is still what an adapter could build ----------------------

    def _operation(self, made: Activity) -> Activity:
        return self._fitting(replace(made, operation=self._random.choice(OPERATIONS)))

    def _fitting(self, made: Activity) -> Activity:
        kinds = sorted(RECIPIENTS.get(made.operation, WITHIN))
        if made.recipient.kind in kinds:
            return made
        kind: Any = self._random.choice(kinds)
        return replace(made, recipient=replace(made.recipient, kind=kind))

    def _purpose(self, made: Activity) -> Activity:
        return replace(made, purpose=self._random.choice(self._names))

    def _actor(self, made: Activity) -> Activity:
        roles = self._random.choice((made.actor.roles, (), tuple(self._some(self._roles, 3))))
        kind: Any = self._random.choice(("person", "person", "service"))
        return replace(
            made, actor=ActorFacts(kind=kind, roles=roles, unit=self._random.choice((made.actor.unit, None, "")))
        )

    def _recipient(self, made: Activity) -> Activity:
        kind: Any = self._random.choice(sorted(RECIPIENTS.get(made.operation, WITHIN)))
        return replace(made, recipient=Recipient(kind=kind, id=self._random.choice((None, "", "company-2"))))

    def _add(self, made: Activity) -> Activity:
        categories = self._some(self._categories, 3)
        role: Any = "write" if made.operation in WRITES else self._random.choice(("read", "filter", "aggregate"))
        return replace(made, items=(*made.items, *(self._field("t", one, role) for one in categories)))

    def _take(self, made: Activity) -> Activity:
        fields = [item for item in made.items if item.field is not None]
        kept = self._random.sample(fields, self._random.randrange(len(fields) + 1))
        return replace(made, items=(*(item for item in made.items if item.field is None), *kept))

    def _source(self, made: Activity) -> Activity:
        change: dict[str, Any] = self._random.choice(
            (
                {"facts": ()},
                {"facts": ("frozen",)},
                {"facts": ("colour", "frozen")},
                {"relations": ()},
                {"subjects": ()},
            )
        )
        return replace(
            made, items=tuple(replace(item, **change) if item.field is None else item for item in made.items)
        )

    def _second_source(self, made: Activity) -> Activity:
        if any(item.source == "u" for item in made.items):
            return made
        categories = [item.category or "" for item in made.items if item.field is not None]
        return replace(made, items=(*made.items, *self._items("u", categories[:3], made.operation)))

    def _role(self, made: Activity) -> Activity:
        roles: Any = ("read", "filter", "aggregate", "write")
        return replace(
            made,
            items=tuple(
                replace(item, role=self._random.choice(roles)) if item.field is not None else item
                for item in made.items
            ),
        )

    def _declared(self, made: Activity) -> Activity:
        purpose = self._purposes.get(made.purpose)
        bases = self._bases if purpose is None or self._random.random() < 0.5 else [*purpose["bases"]]
        change = self._random.choice(
            (
                {"notice": self._random.choice((None, "", "n-0", "n-1"))},
                {"basis": self._random.choice(bases), "evidence": self._random.choice((None, "", "form-1", "form-1"))},
                {"pia": "pia-1", "approval": "a-1"},
            )
        )
        return replace(made, declared=replace(made.declared, **change))

    def _time(self, made: Activity) -> Activity:
        return replace(made, time=self._at())

    def _only_surplus(self, made: Activity) -> Activity:
        surplus = self._some(["ethnicity", "third_party", "petition", "of_no_class", "authentication"], 2)
        return replace(made, items=self._items("t", surplus, made.operation))

    # --- Consents ---------------------------------------------------------------------------------

    def consents(self, count: int) -> Iterator[Consent]:
        """`count` consent records, numbered from 0, each with up to three changes to a valid one."""
        for number in range(count):
            made = self._valid(str(number))
            for _ in range(self._random.choice(CHANGES)):
                made = self._spoilt(made)
            yield made

    def _valid(self, number: str) -> Consent:
        resting = [name for name, one in self._purposes.items() if {"consent", "contract"} & {*one["bases"]}]
        name = self._random.choice(resting)
        purpose = self._purposes[name]
        at = self._at()
        granted = at.seconds - self._random.randrange(1, 100) * DAY
        return Consent(
            id=number,
            purposes=(name,),
            operations=self._operations([*purpose["operations"]]),
            categories=tuple(self._some([*purpose["categories"]], 6)),
            recipient=self._random.choice((None, "company-1")),
            basis=self._random.choice([basis for basis in purpose["bases"] if basis != "statute"]),
            method="opt_in",
            form="electronic",
            separate=True,
            written=True,
            bundled=False,
            preticked=False,
            refusal_denies_service=False,
            adverse_effect_told=True,
            guardian=False,
            notice=Notice(id="n-1", version="7", shown_at=granted - 2),
            granted_at=granted,
            expires_at=granted + self._random.choice((200, 366, 400, 4000)) * DAY,
            assurance=self._random.choice(("observed", "proved")),
            time=at,
        )

    def _operations(self, of: Sequence[Operation]) -> tuple[Operation, ...]:
        return tuple(self._random.sample(of, self._random.randint(1, min(4, len(of)))))

    def _spoilt(self, made: Consent) -> Consent:
        any_of = self._random.choice
        now = NOW if made.time is None else made.time.seconds
        change: dict[str, Any] = any_of(
            (
                {"purposes": tuple(self._some(self._names, 2))},
                {"operations": self._operations(OPERATIONS)},
                {"categories": (*made.categories, *self._some(self._categories, 3))},
                {"recipient": any_of((None, ""))},
                {"basis": any_of(self._bases)},
                {"method": any_of(("opt_out", "silence"))},
                {"separate": False},
                {"written": False},
                {"bundled": True},
                {"preticked": True},
                {"refusal_denies_service": True},
                {"adverse_effect_told": False},
                {"guardian": True},
                {"notice": any_of((None, Notice(id="n-1", version="7"), Notice(id="", version="7", shown_at=0)))},
                {"granted_at": now + self._random.randrange(-60, 120)},
                {"expires_at": any_of((None, made.granted_at, now, now - DAY))},
                {"assurance": any_of(ASSURANCES)},
            )
        )
        return replace(made, **change)

    # --- What no adapter builds -------------------------------------------------------------------

    def broken(self, value: Activity | Consent) -> dict[str, Any]:
        """The value as JSON with one part, never its id, taken away or turned into something else."""
        made: dict[str, Any] = msgspec.to_builtins(value)
        at: Any = made
        while True:
            keys = [key for key in (at if isinstance(at, dict) else range(len(at))) if key != "id" or at is not made]
            key = self._random.choice(keys)
            if isinstance(at[key], dict | list) and at[key] and self._random.random() < 0.7:
                at = at[key]
                continue
            if isinstance(at, dict) and self._random.random() < 0.4:
                del at[key]
            else:
                at[key] = self._random.choice((None, True, False, 0, -1, 1.5, "", "x", [], {}, ["x"], {"x": 1}, [None]))
            return made
