"""From activities to decisions: what is asked, what is remembered, and for whom."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import pytest
from fixtures_opa import Built
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from test_engine_hostile import ACTIVITY

from guard.cache import Cache
from guard.decider import PART, Decider
from guard.engine import Entrypoint
from guard.errors import Misuse, Refused
from guard.model import ALWAYS, Activity, ActorFacts, Consent, Decision, GrantCondition, Notice, Scope, Time, Verdict
from guard_engine.bundle import Bundle
from guard_engine.embedded import Bounds, Embedded

replace = msgspec.structs.replace


class Scripted:
    """An engine that answers by a function, and counts."""

    def __init__(
        self, answer: Callable[[str, dict[str, Any]], object], digests: Mapping[str, str] | None = None
    ) -> None:
        self.digests = digests or {"floor": "sha256:f", "institution": "sha256:i", "profile": "sha256:p"}
        self.answer = answer
        self.asked: list[tuple[str, Entrypoint, dict[str, Any]]] = []

    def evaluate(self, layer: str, entrypoint: Entrypoint, document: bytes) -> object:
        read = json.loads(document)
        self.asked.append((layer, entrypoint, read))
        return self.answer(layer, read)

    def close(self) -> None:
        pass


def allows(_: str, document: dict[str, Any]) -> object:
    return [
        {"id": one["id"], "allow": True, "rows": {one["items"][0]["source"]: "all"}} for one in document["activities"]
    ]


def scripted(answer: Callable[[str, dict[str, Any]], object] = allows, **more: Any) -> tuple[Scripted, Decider]:
    engine = Scripted(answer)
    return engine, Decider(engine, ("floor",), **{"catalogue_digest": "sha256:c", **more})


def at(minute: int, activity: Activity = ACTIVITY) -> Activity:
    return replace(activity, time=replace(activity.time, seconds=ACTIVITY.time.seconds + 60 * minute))


# --- Asking ---------------------------------------------------------------------------------------


def test_the_misses_of_one_call_travel_together_once_a_layer() -> None:
    engine = Scripted(allows)
    decider = Decider(engine, ("floor", "institution"), catalogue_digest="sha256:c")
    activities = [at(0), at(1), replace(at(0), id="again"), replace(at(2), id="third")]
    decisions = decider.decide(activities)
    assert [(layer, entrypoint, len(document["activities"])) for layer, entrypoint, document in engine.asked] == [
        ("floor", "decision", 3),
        ("institution", "decision", 3),
    ]
    assert [one.id for one in decisions] == ["0", "0", "again", "third"]
    assert decisions[0].rows == {ACTIVITY.items[0].source: ALWAYS}


def test_a_long_list_is_asked_in_parts_that_fit_one_evaluation() -> None:
    engine, decider = scripted()
    size = len(msgspec.json.encode(ACTIVITY))
    count = 3 * PART // size
    activities = [replace(at(minute), id=f"a{minute}") for minute in range(count)]
    decisions = decider.decide(activities)
    assert [one.id for one in decisions] == [one.id for one in activities]
    lengths = [len(json.dumps(document)) for _, _, document in engine.asked]
    assert 3 <= len(lengths) <= 5
    assert sum(len(document["activities"]) for _, _, document in engine.asked) == count
    assert len({one["id"] for _, _, document in engine.asked for one in document["activities"]}) == count
    large = replace(ACTIVITY, purpose="p" * 2 * PART)
    assert [one.id for one in decider.decide([large, replace(at(count), id="z"), large])] == ["0", "z", "0"]
    assert [len(document["activities"]) for _, _, document in engine.asked[len(lengths) :]] == [1, 1]


def test_a_thousand_activities_fit_the_ordinary_fuel(floor: Built, profile: Bundle) -> None:
    decider = Decider(Embedded([floor.wasm, profile], Bounds(fuel=50_000_000)), ("floor",), catalogue_digest="sha256:c")
    assert all(one.allow for one in decider.decide([at(minute) for minute in range(1000)]))


def test_no_activity_asks_nothing() -> None:
    engine, decider = scripted()
    assert decider.decide([]) == ()
    assert decider.judge([]) == ()
    assert engine.asked == []


def test_decisions_depend_on_no_id() -> None:
    engine, decider = scripted()
    first = decider.decide([replace(ACTIVITY, id="a secret \\ id \n")])[0]
    second = decider.decide([replace(ACTIVITY, id="")])[0]
    assert len(engine.asked) == 1
    assert replace(first, id="") == second
    assert "secret" not in json.dumps(engine.asked)


def test_all_layers_must_allow() -> None:
    def but_not(layer: str, document: dict[str, Any]) -> object:
        if layer == "floor":
            return allows(layer, document)
        return [{"id": one["id"], "allow": False, "reasons": [{"rule": "I-01"}]} for one in document["activities"]]

    decider = Decider(Scripted(but_not), ("floor", "institution"), catalogue_digest="sha256:c")
    decision = decider.decide([ACTIVITY])[0]
    assert (decision.allow, [reason.rule for reason in decision.reasons]) == (False, ["I-01"])


@pytest.mark.parametrize(
    "layers",
    [(), ("institution",), ("floor", "floor"), ("floor", "supervisor")],
    ids=["none", "no floor", "twice", "unknown"],
)
def test_layers_that_cannot_be_are_misuse(layers: tuple[str, ...]) -> None:
    with pytest.raises(Misuse):
        Decider(Scripted(allows), layers, catalogue_digest="sha256:c")


@pytest.mark.parametrize(
    "change",
    [
        {"items": ()},
        {"operation": "peek"},
        {"purpose": ["a", "b"]},
        {"actor": ActorFacts(kind="person", roles="loan_officer")},  # type: ignore[arg-type]
        {"time": Time(seconds=1.5, date="2026-11-23", hour=16, zone="Asia/Shanghai")},  # type: ignore[arg-type]
        {"time": Time(seconds=1795420801, date="2026-11-23", hour=16, zone="Asia/Shanghai")},
        {"purpose": "e\u0301"},
        {"purpose": "\ud800"},
        {"purpose": object()},
        {"purpose": float("nan")},
        {"method": None},
    ],
    ids=str,
)
def test_a_malformed_activity_is_refused_before_any_policy_sees_it(change: dict[str, Any]) -> None:
    engine, decider = scripted()
    for _ in range(2):
        with pytest.raises(Refused, match="GUARD-ACTIVITY"):
            decider.decide([ACTIVITY, replace(ACTIVITY, **change)])
    assert engine.asked == []


def test_one_wrong_answer_refuses_the_whole_call_and_nothing_is_remembered() -> None:
    wrong = [True]

    def answer(layer: str, document: dict[str, Any]) -> object:
        made: Any = allows(layer, document)
        if wrong[0]:
            made[1]["allow"] = 1
        return made

    engine, decider = scripted(answer)
    with pytest.raises(Refused, match="GUARD-DECISION-ALLOW"):
        decider.decide([at(0), at(1)])
    wrong[0] = False
    assert all(one.allow for one in decider.decide([at(0), at(1)]))
    assert [len(document["activities"]) for _, _, document in engine.asked] == [2, 2]


def test_an_engine_that_fails_is_asked_again() -> None:
    causes = ["GUARD-ENGINE-STOPPED", "GUARD-ENGINE-SLOW", "GUARD-DECISION-UNDEFINED"]

    def answer(layer: str, document: dict[str, Any]) -> object:
        if causes:
            raise Refused.own(causes.pop())
        return allows(layer, document)

    engine, decider = scripted(answer)
    for _ in range(3):
        with pytest.raises(Refused):
            decider.decide([ACTIVITY])
    assert decider.decide([ACTIVITY])[0].allow
    assert len(engine.asked) == 4


# --- Remembering ----------------------------------------------------------------------------------


def test_an_answer_is_remembered_whether_it_allows_or_denies() -> None:
    def by_purpose(_: str, document: dict[str, Any]) -> object:
        (one,) = document["activities"]
        if one["purpose"] == "other":
            return [{"id": one["id"], "allow": False, "reasons": [{"rule": "T-01"}]}]
        return allows(_, document)

    engine, decider = scripted(by_purpose)
    for activity in (ACTIVITY, replace(ACTIVITY, purpose="other")):
        assert decider.decide([activity]) == decider.decide([activity])
    assert len(engine.asked) == 2


CHANGES = [
    {"operation": "process"},
    {"purpose": "inquiry"},
    {"method": "http"},
    {"actor": ActorFacts(kind="service", roles=("loan_officer",), unit="branch-3")},
    {"actor": ActorFacts(kind="person", roles=("loan_officer", "auditor"), unit="branch-3")},
    {"actor": ActorFacts(kind="person", roles=("loan_officer",), unit=None)},
    {"recipient": replace(ACTIVITY.recipient, kind="subject")},
    {"recipient": replace(ACTIVITY.recipient, id="x")},
    {"subjects": "many"},
    {"items": ACTIVITY.items[:1]},
    {"items": (replace(ACTIVITY.items[0], relations=()), ACTIVITY.items[1])},
    {"items": (ACTIVITY.items[0], replace(ACTIVITY.items[1], category="identity_number"))},
    {"items": (ACTIVITY.items[0], replace(ACTIVITY.items[1], role="filter"))},
    {"declared": replace(ACTIVITY.declared, notice=None)},
    {"declared": replace(ACTIVITY.declared, basis="statute")},
    {"time": replace(ACTIVITY.time, seconds=ACTIVITY.time.seconds + 60)},
    {"time": replace(ACTIVITY.time, hour=17)},
    {"time": replace(ACTIVITY.time, date="2026-11-24")},
    {"time": replace(ACTIVITY.time, zone="UTC")},
]


def test_whatever_differs_is_asked_anew() -> None:
    engine, decider = scripted()
    for change in ({}, *CHANGES):
        decider.decide([replace(ACTIVITY, **change)])
    assert len(engine.asked) == len(CHANGES) + 1
    for change in ({}, *CHANGES):
        decider.decide([replace(ACTIVITY, **change)])
    assert len(engine.asked) == len(CHANGES) + 1


def test_the_last_minute_before_closing_is_not_the_first_one_after() -> None:
    engine, decider = scripted()
    before = replace(ACTIVITY, time=Time(seconds=1795427940, date="2026-11-23", hour=17, zone="Asia/Shanghai"))
    after = replace(before, time=Time(seconds=1795428000, date="2026-11-23", hour=18, zone="Asia/Shanghai"))
    decider.decide([before])
    decider.decide([after])
    assert [document["activities"][0]["time"]["hour"] for _, _, document in engine.asked] == [17, 18]


def test_one_and_true_and_one_point_zero_are_three_questions() -> None:
    # In Python they are one key of a dict. Here none can ride on the entry of another.
    engine, decider = scripted()
    decider.decide([replace(ACTIVITY, time=replace(ACTIVITY.time, hour=1))])
    for value in (True, 1.0):
        with pytest.raises(Refused, match="GUARD-ACTIVITY"):
            decider.decide([replace(ACTIVITY, time=replace(ACTIVITY.time, hour=value))])  # type: ignore[arg-type]
    assert len(engine.asked) == 1


@pytest.mark.parametrize("changed", ["floor", "institution", "profile", "catalogue", "layers"])
def test_other_policies_profile_or_catalogue_share_no_entry(changed: str) -> None:
    cache = Cache()
    digests = {"floor": "sha256:f", "institution": "sha256:i", "profile": "sha256:p"}

    def decide(**change: str) -> int:
        engine = Scripted(allows, {**digests, **{name: value for name, value in change.items() if name in digests}})
        layers = ("floor",) if "layers" in change else ("floor", "institution")
        catalogue = change.get("catalogue", "sha256:c")
        Decider(engine, layers, catalogue_digest=catalogue, cache=cache).decide([ACTIVITY])
        return len(engine.asked)

    assert (decide(), decide()) == (2, 0)
    assert decide(**{changed: "sha256:other"}) > 0


def test_the_digest_of_consent_rules_follows_policies_and_profile_not_the_catalogue() -> None:
    def judged(catalogue: str = "sha256:c", **change: str) -> str:
        digests = {"floor": "sha256:f", "profile": "sha256:p", **change}
        return Decider(Scripted(allows, digests), ("floor",), catalogue_digest=catalogue).judged

    assert judged() == judged(catalogue="sha256:d")
    assert len({judged(), judged(floor="sha256:g"), judged(profile="sha256:q")}) == 3


def test_a_remembered_decision_cannot_be_poisoned() -> None:
    _, decider = scripted()
    decision = decider.decide([ACTIVITY])[0]
    with pytest.raises(TypeError):
        decision.rows["another"] = ALWAYS  # type: ignore[index]
    with pytest.raises(AttributeError):
        decision.allow = True  # type: ignore[misc]


# --- The cache ------------------------------------------------------------------------------------

ANY = Decision(id="0", allow=False)


def test_the_least_recently_used_goes_first() -> None:
    cache = Cache(3, 3)
    for key in (b"a", b"b", b"c"):
        cache.put(key, ANY, "x")
    cache.get(b"a")
    cache.put(b"d", ANY, "y")
    assert [key for key in (b"a", b"b", b"c", b"d") if cache.get(key)] == [b"a", b"c", b"d"]


def test_an_actor_who_varies_its_questions_pushes_out_its_own_only() -> None:
    cache = Cache(100, 10)
    for number in range(80):
        cache.put(b"good %d" % number, ANY, f"actor {number % 8}")
    for number in range(10_000):
        cache.put(b"flood %d" % number, ANY, "attacker")
    assert all(cache.get(b"good %d" % number) for number in range(80))
    assert len(cache) == 90
    assert cache.get(b"flood 9999")


def test_who_uses_an_entry_of_another_pays_nothing() -> None:
    engine = Scripted(allows)
    cache = Cache(100, 2)
    decider = Decider(engine, ("floor",), catalogue_digest="sha256:c", cache=cache)
    for minute in range(2):
        decider.decide([at(minute)], actor="first")
    for minute in range(2):
        decider.decide([at(minute)], actor="second")
    assert len(engine.asked) == 2
    for minute in range(2, 4):
        decider.decide([at(minute)], actor="second")
    assert len(cache) == 4


def test_a_share_is_a_part_of_the_cache() -> None:
    for size, share in ((0, 1), (10, -1), (10, 11)):
        with pytest.raises(Misuse):
            Cache(size, share)


def test_a_share_of_nothing_keeps_nothing() -> None:
    cache = Cache(10, 0)
    cache.put(b"k", Decision(id="", allow=False), "officer")
    assert cache.get(b"k") is None


KEYS = [b"%d" % number for number in range(9)]


class CacheMachine(RuleBasedStateMachine):
    """The cache against a list: most recently used last."""

    def __init__(self) -> None:
        super().__init__()
        self.cache = Cache(5, 2)
        self.model: list[tuple[bytes, str]] = []

    @rule(key=st.sampled_from(KEYS), actor=st.sampled_from("abcd"))
    def put(self, key: bytes, actor: str) -> None:
        self.cache.put(key, ANY, actor)
        if key in [known for known, _ in self.model]:
            return
        own = [entry for entry in self.model if entry[1] == actor]
        if len(own) >= 2:
            self.model.remove(own[0])
        elif len(self.model) >= 5:
            self.model.pop(0)
        self.model.append((key, actor))

    @rule(key=st.sampled_from(KEYS))
    def get(self, key: bytes) -> None:
        found = [entry for entry in self.model if entry[0] == key]
        assert (self.cache.get(key) is not None) == bool(found)
        for entry in found:
            self.model.remove(entry)
            self.model.append(entry)

    @rule()
    def clear(self) -> None:
        self.cache.clear()
        self.model.clear()

    @invariant()
    def same(self) -> None:
        assert [(key, actor) for key, (_, actor) in self.cache._entries.items()] == self.model
        shares = {(key, actor) for actor, share in self.cache._shares.items() for key in share}
        assert shares == set(self.model)
        assert all(self.cache._shares.values())


TestCache = CacheMachine.TestCase
TestCache.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_threads_share_a_cache() -> None:
    cache = Cache(50, 10)
    start = threading.Barrier(4)

    def work(number: int) -> None:
        start.wait()
        for step in range(3000):
            key = b"%d" % (step * 7 % 97)
            if cache.get(key) is None:
                cache.put(key, ANY, f"actor {(number + step) % 9}")

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(work, range(4))) == [None] * 4
    assert len(cache) <= 50
    shares = {key for share in cache._shares.values() for key in share}
    assert shares == cache._entries.keys()
    assert all(len(share) <= 10 for share in cache._shares.values())


# --- Consents -------------------------------------------------------------------------------------

CONSENT = Consent(
    id="c-1",
    purposes=("loan_underwriting",),
    operations=("use", "process"),
    categories=("income",),
    recipient=None,
    basis="consent",
    method="web",
    form="electronic",
    separate=True,
    written=False,
    bundled=False,
    preticked=False,
    refusal_denies_service=False,
    adverse_effect_told=True,
    guardian=False,
    notice=Notice(id="n", version="1"),
    granted_at=1795420800,
    expires_at=1795507200,
    assurance="observed",
    time=ACTIVITY.time,
)


def test_verdicts_are_merged_named_and_never_remembered(floor: Built, profile: Bundle) -> None:
    decider = Decider(Embedded([floor.wasm, profile]), ("floor",), catalogue_digest="sha256:c")
    forever = replace(CONSENT, id="c-2", expires_at=None)
    valid, invalid = decider.judge([CONSENT, forever])
    scopes = (
        Scope(operations=("process",), categories=("income",)),
        Scope(operations=("use",), categories=("income",)),
    )
    assert valid == Verdict(id="c-1", valid=True, scopes=scopes, valid_until=1795507200)
    assert (invalid.id, invalid.valid, [one.rule for one in invalid.reasons]) == ("c-2", False, ["T-01"])

    engine = Scripted(lambda _, document: [{"id": one["id"], "valid": False} for one in document["consents"]])
    decider = Decider(engine, ("floor",), catalogue_digest="sha256:c")
    for _ in range(2):
        assert not decider.judge([CONSENT])[0].valid
    assert len(engine.asked) == 2
    assert "c-1" not in json.dumps(engine.asked)


def test_a_malformed_consent_is_refused() -> None:
    engine, decider = scripted()
    with pytest.raises(Refused, match="GUARD-ACTIVITY"):
        decider.judge([replace(CONSENT, separate=1)])
    with pytest.raises(Refused, match="stamps"):
        decider.judge([replace(CONSENT, time=None)])
    assert engine.asked == []


# --- The real engine ------------------------------------------------------------------------------


def test_a_decision_of_the_real_engine(floor: Built, profile: Bundle) -> None:
    decider = Decider(Embedded([floor.wasm, profile]), ("floor",), catalogue_digest="sha256:c")
    decision = decider.decide([ACTIVITY])[0]
    assert decision.allow
    assert decision.rows == {"bank:retail.customer": GrantCondition(rule="T-01")}
    treatment = decision.reads["bank:retail.customer"]["income"]
    assert treatment.reveal == GrantCondition(rule="T-01", category="income")
    assert not decider.decide([replace(ACTIVITY, purpose="curiosity")])[0].allow


@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["loan_underwriting", "none"])), max_size=8))
@settings(max_examples=50, deadline=None)
def test_a_batch_decides_each_as_if_alone(asked: list[tuple[int, str]]) -> None:
    def by_purpose(layer: str, document: dict[str, Any]) -> object:
        made: Any = allows(layer, document)
        return [
            answer if one["purpose"] == "loan_underwriting" else {"id": one["id"], "allow": False}
            for answer, one in zip(made, document["activities"], strict=True)
        ]

    activities = [replace(at(minute), purpose=purpose, id=str(n)) for n, (minute, purpose) in enumerate(asked)]
    _, together = scripted(by_purpose)
    _, alone = scripted(by_purpose)
    assert together.decide(activities) == tuple(alone.decide([one])[0] for one in activities)


# --- Remembered by the activity itself -------------------------------------------------------------


def test_what_is_known_is_known_by_the_activity_and_never_past_it() -> None:
    _, decider = scripted()
    asked, same = at(1), at(1)
    assert decider.known(asked) is None
    (decision,) = decider.decide((asked,))
    assert decider.known(asked) == decider.known(same) == decision
    assert decider.known(at(2)) is None
    assert scripted()[1].known(asked) is None, "another release decides for itself"


def test_what_the_cache_dropped_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("guard.decider.KEYS", 2)
    _, decider = scripted(cache=Cache(2, 2))
    activities = [at(minute) for minute in range(5)]
    for one in activities:
        decider.decide((one,))
        assert decider.known(one) is not None
    assert [decider.known(one) is not None for one in activities] == [False, False, False, True, True]
    assert len(decider._keys) <= 2
