"""The order of the road: decided before executed, registered before released, nothing after a failure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from guard import enforce, messages
from guard.errors import Refused
from guard.model import (
    ALWAYS,
    Activity,
    Actor,
    ActorFacts,
    Condition,
    Decision,
    Declared,
    FactCondition,
    Facts,
    GrantCondition,
    Item,
    Limit,
    Outcome,
    Reason,
    Recipient,
    RelationCondition,
    Review,
    Threshold,
    Time,
    all_of,
    any_of,
)

SOURCE = "bank:retail.customer"
GRANT = GrantCondition(rule="OP-01")
CASE = RelationCondition(rule="PI-02", name="assigned_case")
FROZEN = FactCondition(rule="PI-10", name="frozen", operator="eq", value=False, or_absent=True)


def attempt(subject: str | None = None) -> enforce.Attempt:
    item = Item(source=SOURCE, field=None, role="read", subjects=("holder",), relations=("assigned_case",))
    activity = Activity(
        id="0",
        operation="use",
        purpose="loan_underwriting",
        method="sql",
        actor=ActorFacts(kind="person"),
        recipient=Recipient(kind="staff"),
        subjects="many" if subject is None else "declared",
        items=(item,),
        declared=Declared(),
        time=Time(seconds=0, date="1970-01-01", hour=8, zone="Asia/Shanghai"),
    )
    facts = Facts(
        actor="officer-lin",
        subject=subject,
        purpose="loan_underwriting",
        operation="use",
        recipient="",
        seconds=0,
        date="1970-01-01",
        judged="",
    )

    class Plan:
        items = (item,)
        statement = "SELECT full_name FROM customer"
        kind = "select"
        writes = None

    return enforce.Attempt(
        actor=Actor(id="officer-lin"),
        activity=activity,
        facts=facts,
        plan=Plan(),
        text="SELECT full_name FROM customer",
        parameters=None,
        digests={},
        messages=messages.OWN,
    )


class Guarded:
    hidden = 1
    collected = False
    reduced = True
    rules = ("OP-01",)
    related: frozenset[str] = frozenset()

    def persons(self, hidden: tuple[Any, ...]) -> tuple[str, ...]:
        return (str(hidden[0]),)

    def bind(self, parameters: Any, facts: Facts) -> tuple[str, Mapping[str, Any]]:
        return "SELECT guarded", {}


class World:
    """Performs effects in memory and keeps a log of them; `fails` names an effect that refuses."""

    def __init__(self, decision: Decision, rows: list[tuple[Any, ...]], *, fails: str | None = None) -> None:
        self.decision = decision
        self.rows = list(rows)
        self.fails = fails
        self.holding: set[Condition] = set()
        self.log: list[str] = []
        self.drafts: list[Any] = []
        self.released: list[tuple[Any, ...]] = []
        self.outcomes: list[Outcome] = []
        self.gone: frozenset[str] = frozenset()

    def perform(self, effect: enforce.Effect) -> object:
        name = type(effect).__name__
        self.log.append(name)
        if name == self.fails:
            raise Refused.own("GUARD-DATABASE" if name != "Append" else "GUARD-REGISTER")
        match effect:
            case enforce.Decide():
                return self.decision
            case enforce.Fetch(size):
                taken, self.rows = self.rows[:size], self.rows[size:]
                return taken
            case enforce.Holds(_, condition, subjects, _):
                return set(subjects) if condition in self.holding else set()
            case enforce.Mark():
                return 7
            case enforce.Withdrawn(mark, subjects):
                assert mark == 7
                return self.gone.intersection(subjects)
            case enforce.Append(draft):
                self.drafts.append(draft)
                return len(self.drafts) - 1
            case enforce.Release(rows):
                named = {s for draft in self.drafts if draft.kind == "read" for s in draft.subjects}
                assert {row[0] for row in rows} <= named, "a person was released before the entry that names them"
                self.released += rows
        return None

    def run(self, one: enforce.Attempt, *, batch: int = 2, buffered: int = 100) -> None:
        limits = enforce.Limits(batch=batch, buffered=buffered)
        road = enforce.read(one, lambda _: Guarded(), self.outcomes.append, limits, enforce.Transaction())
        answer: object = None
        failure: Refused | None = None
        while True:
            try:
                effect = road.send(answer) if failure is None else road.throw(failure)
            except StopIteration:
                return
            answer = failure = None
            try:
                answer = self.perform(effect)
            except Refused as refused:
                failure = refused


def allowed(*conditions: Condition, obligations: tuple[Any, ...] = ()) -> Decision:
    rows = all_of(*conditions) if conditions else ALWAYS
    return Decision(id="0", allow=True, rows={SOURCE: rows}, obligations=obligations)


PEOPLE = [(f"p{n}", f"p{n}") for n in range(5)]


def test_each_batch_is_registered_before_it_is_released() -> None:
    world = World(allowed(GRANT), PEOPLE)
    world.run(attempt())
    assert world.log == [
        *("Decide", "Mark", "Execute"),
        *("Fetch", "Append", "Release"),
        *("Fetch", "Withdrawn", "Append", "Release"),
        *("Fetch", "Withdrawn", "Append", "Release"),
        "Fetch",
    ]
    assert [draft.subjects for draft in world.drafts] == [("p0", "p1"), ("p2", "p3"), ("p4",)]
    assert world.released == [(name,) for name, _ in PEOPLE]
    assert world.outcomes == [Outcome(operation="use", reduced=True, rules=("OP-01",), rows=5, entry=2)]


def test_a_denial_is_registered_and_never_executed() -> None:
    world = World(Decision(id="0", allow=False, reasons=(Reason(rule="OP-01"),)), PEOPLE)
    with pytest.raises(Refused) as caught:
        world.run(attempt())
    assert world.log == ["Decide", "Append"]
    assert world.drafts[0].kind == "denied"
    assert (caught.value.rules, caught.value.entry) == (("OP-01",), 0)


@pytest.mark.parametrize("fails", ["Decide", "Mark", "Execute", "Fetch"])
def test_a_failure_is_registered_and_releases_nothing(fails: str) -> None:
    world = World(allowed(GRANT), PEOPLE, fails=fails)
    with pytest.raises(Refused) as caught:
        world.run(attempt())
    assert caught.value.rules == ("GUARD-DATABASE",)
    assert world.log[-1] == "Append"
    assert world.drafts[-1].kind == "denied"
    assert world.released == []


def test_a_register_that_cannot_be_written_releases_nothing() -> None:
    world = World(allowed(GRANT), PEOPLE, fails="Append")
    with pytest.raises(Refused) as caught:
        world.run(attempt())
    assert caught.value.rules == ("GUARD-REGISTER",)
    assert world.released == []


def test_who_withdraws_while_rows_are_taken_is_in_no_later_batch() -> None:
    world = World(allowed(GRANT), PEOPLE)
    world.gone = frozenset({"p0", "p3"})
    world.run(attempt())
    # p0 was released before anyone could have withdrawn; p3 is cut, and in no entry.
    assert world.released == [("p0",), ("p1",), ("p2",), ("p4",)]
    assert [draft.subjects for draft in world.drafts] == [("p0", "p1"), ("p2",), ("p4",)]


def test_rows_of_several_persons_are_refused_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Guarded, "collected", True)
    world = World(allowed(GRANT), PEOPLE)
    world.gone = frozenset({"p3"})
    with pytest.raises(Refused, match="GUARD-WITHDRAWN"):
        world.run(attempt())
    assert world.released == [("p0",), ("p1",)]


def test_an_empty_read_is_registered_too() -> None:
    world = World(allowed(GRANT), [])
    world.run(attempt())
    assert [draft.kind for draft in world.drafts] == ["read"]
    assert world.outcomes[0].rows == 0


@pytest.mark.parametrize(
    ("obligation", "rule"),
    [
        (Limit(subjects=4, rule="CR-THR"), "CR-THR"),
        (Limit(subjects=4), "GUARD-LIMIT"),
        (Limit(subjects=9, minimum=6, rule="MIN"), "MIN"),
    ],
)
def test_a_broken_obligation_releases_nobody(obligation: Limit | Review, rule: str) -> None:
    world = World(allowed(GRANT, obligations=(obligation,)), PEOPLE)
    with pytest.raises(Refused) as caught:
        world.run(attempt())
    assert caught.value.rules == (rule,)
    assert world.released == []
    assert world.drafts[-1].kind == "denied"


def test_a_kept_obligation_releases_all_at_the_end() -> None:
    world = World(
        allowed(GRANT, obligations=(Limit(subjects=5), Review(by="dpo", above=Threshold(subjects=5)))), PEOPLE
    )
    world.run(attempt())
    assert world.log[-3:] == ["Fetch", "Append", "Release"]
    assert len(world.released) == 5
    assert world.log.count("Append") == 1
    assert not {"Mark", "Withdrawn"} & set(world.log), "the ledger is asked for nothing that is not used"


def test_what_is_held_back_has_a_bound() -> None:
    world = World(allowed(GRANT, obligations=(Limit(subjects=99),)), PEOPLE)
    with pytest.raises(Refused, match="GUARD-LIMIT"):
        world.run(attempt(), buffered=2)
    assert world.released == []


# --- A named person who was filtered away ---------------------------------------------------------


def missing(holding: set[Condition], *conditions: Condition) -> tuple[str, ...]:
    world = World(allowed(*conditions), [])
    world.holding = holding
    with pytest.raises(Refused) as caught:
        world.run(attempt("p1"))
    assert world.drafts[-1].subjects == ("p1",)
    return caught.value.rules


def test_who_lacks_the_case_is_told_so() -> None:
    assert missing({GRANT, FROZEN}, GRANT, CASE, FROZEN) == ("PI-02",)


def test_who_lacks_the_case_learns_nothing_of_the_person() -> None:
    """A stranger, a person without consent and a frozen one look the same."""
    for holding in (set(), {GRANT}, {FROZEN}, {GRANT, FROZEN}):
        assert missing(holding, GRANT, CASE, FROZEN) == ("PI-02",)


def test_who_has_the_case_learns_that_the_consent_is_missing() -> None:
    assert missing({CASE, FROZEN}, GRANT, CASE, FROZEN) == ("OP-01",)


@pytest.mark.parametrize("fact", [FROZEN, any_of(FROZEN, GRANT)])
def test_nobody_learns_what_the_rows_of_a_person_hold(fact: Condition) -> None:
    """An adverse record past its five years may not be told, and so not that there was one (CR-05)."""
    world = World(allowed(GRANT, CASE, fact), [])
    world.holding = {GRANT, CASE}
    world.run(attempt("p1"))
    assert world.outcomes[0].rows == 0


def test_a_refusal_that_cannot_be_registered_carries_no_other() -> None:
    world = World(Decision(id="0", allow=False, reasons=(Reason(rule="OP-01"),)), PEOPLE, fails="Append")
    with pytest.raises(Refused) as caught:
        world.run(attempt())
    assert caught.value.rules == ("GUARD-REGISTER",)
    assert caught.value.__context__ is None
    assert caught.value.__cause__ is None


def test_without_a_right_to_know_absent_and_refused_look_the_same() -> None:
    assert missing(set(), GRANT) == ("GUARD-ABSENT",)


def test_a_person_whose_rows_merely_do_not_match_is_an_empty_answer() -> None:
    world = World(allowed(GRANT, CASE), [])
    world.holding = {GRANT, CASE}
    world.run(attempt("p1"))
    assert world.outcomes[0].rows == 0
