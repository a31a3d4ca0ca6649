"""The order of the road: decided before executed, registered before released, nothing after a failure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from guard import effects, messages
from guard.attempt import Attempt, Limits
from guard.errors import Held, Refused
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
from guard.reading import reading
from guard.transaction import Transaction
from guard.writing import writing

SOURCE = "bank:retail.customer"
GRANT = GrantCondition(rule="OP-01")
CASE = RelationCondition(rule="PI-02", name="assigned_case")
FROZEN = FactCondition(rule="PI-10", name="frozen", operator="eq", value=False, or_absent=True)


def attempt(subject: str | None = None, *, writes: str | None = None, review: str | None = None) -> Attempt:
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
        kind = writes or "select"

    Plan.writes = SOURCE if writes else None  # type: ignore[attr-defined]  # a class body does not see it
    return Attempt(
        actor=Actor(id="officer-lin"),
        activity=activity,
        facts=facts,
        plan=Plan(),  # type: ignore[arg-type]  # as above
        review=review,
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

    def before(self, parameters: Any, facts: Facts) -> tuple[str, Mapping[str, Any]]:
        return "SELECT before", {}


class World:
    """Performs effects in memory and keeps a log of them.

    `fails` names an effect that refuses, by its name, or by name and number: `Append 2` is the second one.
    """

    def __init__(
        self,
        decision: Decision,
        rows: list[tuple[Any, ...]],
        *,
        fails: str | None = None,
        after: list[tuple[Any, ...]] | None = None,
    ) -> None:
        self.decision = decision
        self.tables = {"SELECT before": list(rows), "SELECT guarded": list(rows if after is None else after)}
        self.rows: list[tuple[Any, ...]] = []
        self.fails = fails
        self.holding: set[Condition] = set()
        self.log: list[str] = []
        self.drafts: list[Any] = []
        self.released: list[tuple[Any, ...]] = []
        self.outcomes: list[Outcome] = []
        self.gone: frozenset[str] = frozenset()
        self.requests: list[effects.Request] = []
        self.claims: list[effects.Claim] = []
        self.reaches: int | None = None
        self.transaction = Transaction()
        self.full_from: int | None = None
        """How many entries the register still takes."""

    def _performed(self, effect: effects.Effect) -> str:
        """Logs it and gives its name; refuses where it is to fail."""
        name = type(effect).__name__
        word = "Keep" if effect == effects.Settle(keep=True) else "Undo" if name == "Settle" else name
        if isinstance(effect, effects.Append):
            word = effect.draft.kind
        self.log.append(word)
        full = name == "Append" and len(self.drafts) == self.full_from
        if full or self.fails in (name, word):
            raise Refused.own("GUARD-DATABASE" if name != "Append" else "GUARD-REGISTER")
        return word

    def perform(self, effect: effects.Effect) -> object:
        self._performed(effect)
        match effect:
            case effects.Decide():
                return self.decision
            case effects.Execute(sql):
                self.rows = list(self.tables[sql])
            case effects.Fetch(size):
                taken, self.rows = self.rows[:size], self.rows[size:]
                return taken
            case effects.Holds(_, condition, subjects, _):
                return set(subjects) if condition in self.holding else set()
            case effects.Mark():
                return 7
            case effects.Withdrawn(mark, subjects):
                assert mark == 7
                return self.gone.intersection(subjects)
            case effects.Hold() | effects.Claim():
                return self._reviewed(effect)
            case effects.Append(draft):
                self.drafts.append(draft)
                return len(self.drafts) - 1
            case effects.Release(rows):
                named = {s for draft in self.drafts if draft.kind == "read" for s in draft.subjects}
                assert {row[0] for row in rows} <= named, "a person was released before the entry that names them"
                self.released += rows
        return None

    def _reviewed(self, effect: effects.Hold | effects.Claim) -> object:
        if isinstance(effect, effects.Hold):
            self.requests.append(effect.request)
            return "review-1"
        self.claims.append(effect)
        return self.reaches if self.reaches is not None and self.reaches >= effect.persons else None

    def run(self, one: Attempt, *, batch: int = 2, buffered: int = 100) -> int:
        limits = Limits(batch=batch, buffered=buffered)
        way = reading if one.plan.writes is None else writing
        road: Any = way(one, lambda _: Guarded(), self.outcomes.append, limits, self.transaction)
        answer: object = None
        failure: Refused | None = None
        while True:
            try:
                effect = road.send(answer) if failure is None else road.throw(failure)
            except StopIteration as end:
                return end.value or 0
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
        *("Fetch", "read", "Release"),
        *("Fetch", "Withdrawn", "read", "Release"),
        *("Fetch", "Withdrawn", "read", "Release"),
        "Fetch",
    ]
    assert [draft.subjects for draft in world.drafts] == [("p0", "p1"), ("p2", "p3"), ("p4",)]
    assert world.released == [(name,) for name, _ in PEOPLE]
    assert world.outcomes == [Outcome(operation="use", reduced=True, rules=("OP-01",), rows=5, entry=2)]


def test_a_denial_is_registered_and_never_executed() -> None:
    world = World(Decision(id="0", allow=False, reasons=(Reason(rule="OP-01"),)), PEOPLE)
    with pytest.raises(Refused) as caught:
        world.run(attempt())
    assert world.log == ["Decide", "denied"]
    assert world.drafts[0].kind == "denied"
    assert (caught.value.rules, caught.value.entry) == (("OP-01",), 0)


@pytest.mark.parametrize("fails", ["Decide", "Mark", "Execute", "Fetch"])
def test_a_failure_is_registered_and_releases_nothing(fails: str) -> None:
    world = World(allowed(GRANT), PEOPLE, fails=fails)
    with pytest.raises(Refused) as caught:
        world.run(attempt())
    assert caught.value.rules == ("GUARD-DATABASE",)
    assert world.log[-1] == "denied"
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
    assert world.log[-3:] == ["Fetch", "read", "Release"]
    assert len(world.released) == 5
    assert world.log.count("read") == 1
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


# --- An older snapshot ----------------------------------------------------------------------------


def test_in_a_transaction_the_first_batch_too_asks_who_withdrew() -> None:
    world = World(allowed(GRANT), PEOPLE)
    world.transaction.begin(7)
    world.gone = frozenset({"p0"})
    world.run(attempt())
    assert world.released == [(f"p{n}",) for n in range(1, 5)]
    assert world.log[:5] == ["Decide", "Execute", "Fetch", "Withdrawn", "read"]
    assert [draft.subjects for draft in world.drafts] == [("p1",), ("p2", "p3"), ("p4",)]


def test_an_older_snapshot_counts_nobody_who_withdrew() -> None:
    world = World(allowed(GRANT, obligations=(Limit(subjects=4),)), PEOPLE)
    world.transaction.begin(7)
    world.gone = frozenset({"p0"})
    world.run(attempt())
    assert len(world.released) == 4


def test_an_older_snapshot_of_several_persons_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Guarded, "collected", True)
    world = World(allowed(GRANT), PEOPLE)
    world.transaction.begin(7)
    world.gone = frozenset({"p0"})
    with pytest.raises(Refused, match="GUARD-WITHDRAWN"):
        world.run(attempt())
    assert world.released == []


def test_who_is_cut_makes_the_result_reduced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Guarded, "reduced", False)
    world = World(allowed(GRANT), PEOPLE)
    world.gone = frozenset({"p3"})
    world.run(attempt())
    assert world.outcomes[0].reduced


@pytest.mark.parametrize("writes", [None, "update"])
def test_a_relation_that_the_transaction_wrote_is_not_used(monkeypatch: pytest.MonkeyPatch, writes: str | None) -> None:
    monkeypatch.setattr(Guarded, "related", frozenset({"bank:retail.loan_case"}))
    world = World(allowed(CASE), WRITTEN if writes else PEOPLE)
    world.transaction.begin(7)
    world.run(attempt(writes=writes))
    world.transaction.wrote("bank:retail.loan_case", world.drafts[0])
    world.log.clear()
    with pytest.raises(Refused, match="GUARD-RELATION"):
        world.run(attempt(writes=writes))
    assert world.log == ["Decide", "denied"]


@pytest.mark.parametrize(("writes", "refused"), [("insert", True), ("update", True), ("delete", False)])
def test_what_is_written_does_not_answer_for_itself(
    monkeypatch: pytest.MonkeyPatch, writes: str, refused: bool
) -> None:
    """A case that an officer gives to herself would make the relation hold for its own row."""
    monkeypatch.setattr(Guarded, "related", frozenset({SOURCE}))
    world = World(allowed(CASE), WRITTEN)
    if refused:
        with pytest.raises(Refused, match="GUARD-RELATION"):
            world.run(attempt(writes=writes))
        assert "Execute" not in world.log
    else:
        assert world.run(attempt(writes=writes)) == 2


# --- A review -------------------------------------------------------------------------------------

REVIEW = Review(by="dpo", above=Threshold(subjects=4), rule="OP-08")


@pytest.mark.parametrize(
    ("obligations", "rules", "by"),
    [
        ((REVIEW,), ("OP-08",), ("dpo",)),
        ((Review(by="dpo"),), ("GUARD-HELD",), ("dpo",)),
        ((REVIEW, Review(by="ciso", above=Threshold(subjects=1), rule="X")), ("OP-08", "X"), ("ciso", "dpo")),
        ((REVIEW, Review(by="ciso", above=Threshold(subjects=9))), ("OP-08",), ("dpo",)),
        (
            (Limit(subjects=4, on_exceed="review", rule="L"), Review(by="dpo", above=Threshold(subjects=9))),
            ("L",),
            ("dpo",),
        ),
    ],
)
@pytest.mark.parametrize("writes", [None, "update"])
def test_what_needs_another_person_is_held(
    obligations: tuple[Any, ...], rules: tuple[str, ...], by: tuple[str, ...], writes: str | None
) -> None:
    rows = [(True, name) for name, _ in PEOPLE] if writes else PEOPLE
    world = World(allowed(GRANT, obligations=obligations), rows)
    with pytest.raises(Held) as caught:
        world.run(attempt(writes=writes))
    held = caught.value
    assert (held.review_id, held.rules, held.entry, held.status) == ("review-1", rules, 0, 202)
    assert (world.released, world.claims, world.outcomes) == ([], [], [])
    assert [(one.kind, one.review, one.persons) for one in world.drafts] == [("held", "review-1", 5)]
    assert [(one.by, one.cap) for one in world.requests] == [(by, 5)]
    if writes:
        assert world.log[-3:] == ["Undo", "Hold", "held"], "the ledger's writer does not wait for this transaction"
        assert "intent" not in world.log


def test_a_limit_that_nobody_could_lift_refuses() -> None:
    world = World(allowed(GRANT, obligations=(Limit(subjects=4, on_exceed="review", rule="L"),)), PEOPLE)
    with pytest.raises(Refused) as caught:
        world.run(attempt())
    assert (type(caught.value), caught.value.rules) == (Refused, ("L",))


def test_an_approval_is_used_up_before_its_entry_and_its_rows() -> None:
    world = World(allowed(GRANT, obligations=(REVIEW,)), PEOPLE)
    world.reaches = 5
    world.run(attempt(review="r"))
    assert world.log[-3:] == ["Claim", "read", "Release"]
    assert world.drafts[0].review == "r"
    assert len(world.released) == 5


def test_an_approval_for_fewer_persons_holds_again_and_is_kept() -> None:
    world = World(allowed(GRANT, obligations=(REVIEW,)), PEOPLE)
    world.reaches = 4
    with pytest.raises(Held):
        world.run(attempt(review="r"))
    assert world.claims == [effects.Claim("r", attempt().digest(), "officer-lin", 5)]
    assert world.released == []


def test_what_needs_no_approval_uses_none_up() -> None:
    world = World(allowed(GRANT, obligations=(REVIEW,)), PEOPLE[:4])
    world.run(attempt(review="r"))
    assert world.claims == []
    assert world.drafts[0].review is None


def test_a_write_claims_its_approval_before_the_database_is_locked() -> None:
    world = World(allowed(GRANT, obligations=(REVIEW,)), [(1, name) for name, _ in PEOPLE])
    world.reaches = 5
    assert world.run(attempt(writes="update", review="r")) == 5
    assert world.log[:3] == ["Decide", "Claim", "Savepoint"]
    assert [(one.kind, one.review) for one in world.drafts] == [("intent", "r"), ("done", None)]


def test_a_write_that_meets_more_than_were_approved_is_held_again() -> None:
    world = World(allowed(GRANT, obligations=(REVIEW,)), [(1, name) for name, _ in PEOPLE])
    world.reaches = 4
    with pytest.raises(Held):
        world.run(attempt(writes="update", review="r"))
    assert "intent" not in world.log


CHANGES: dict[str, Any] = {
    "text": "SELECT other",
    "parameters": (1,),
    "actor": Actor(id="officer-wang"),
    "digests": {"floor": "sha256:other"},
}


@pytest.mark.parametrize("name", CHANGES)
def test_an_approval_is_bound_to(name: str) -> None:
    other = attempt()
    setattr(other, name, CHANGES[name])
    assert other.digest() != attempt().digest()


def test_an_approval_is_bound_to_the_types_of_its_values() -> None:
    digests = set()
    for value in (1, "1", True, 1.0, None, b"1", [1], {"a": 1}):
        one = attempt()
        one.parameters = (value,)
        digests.add(one.digest())
    assert len(digests) == 8
    one = attempt()
    one.parameters = (object(),)
    with pytest.raises(Refused, match="GUARD-REVIEW"):
        one.digest()


# --- A write --------------------------------------------------------------------------------------

WRITTEN = [(1, "p0"), (True, "p1")]
WHOLE = [
    *("Decide", "Savepoint"),
    *("Execute", "Fetch", "Fetch"),
    "intent",
    *("Execute", "Fetch", "Fetch"),
    *("Keep", "done"),
]


def test_a_write_is_looked_at_registered_done_and_looked_at_again() -> None:
    world = World(allowed(GRANT), WRITTEN)
    assert world.run(attempt(writes="update")) == 2
    assert world.log == WHOLE
    intent, done = world.drafts
    assert (intent.kind, intent.subjects, intent.rows) == ("intent", ("p0", "p1"), 2)
    assert (done.kind, done.subjects, done.rows, done.refers_to) == ("done", ("p0", "p1"), 2, 0)
    assert world.outcomes == [Outcome(operation="use", reduced=True, rules=("OP-01",), rows=2, entry=1)]


def test_in_a_transaction_the_outcome_waits_for_its_end() -> None:
    world = World(allowed(GRANT), WRITTEN)
    world.transaction.begin(7)
    world.run(attempt(writes="update"))
    assert world.log == [*WHOLE[:5], "Withdrawn", *WHOLE[5:-1]]
    assert world.outcomes[0].entry == 0
    assert world.transaction.written == frozenset({SOURCE})
    assert [(one.kind, one.refers_to) for one in world.transaction.ended(committed=True)] == [("done", 0)]


@pytest.mark.parametrize("allow", [0, False, None, 2, "1"])
def test_a_row_that_may_not_be_written_undoes_all(allow: object) -> None:
    before = World(allowed(GRANT), [*WRITTEN, (allow, "p2")])
    with pytest.raises(Refused, match="GUARD-WRITE"):
        before.run(attempt(writes="update"))
    assert before.log[-2:] == ["Undo", "denied"]
    assert "intent" not in before.log
    after = World(allowed(GRANT), WRITTEN, after=[*WRITTEN, (allow, "p2")])
    with pytest.raises(Refused, match="GUARD-WRITE") as caught:
        after.run(attempt(writes="update"))
    assert after.log[-2:] == ["Undo", "failed"]
    assert (after.drafts[-1].refers_to, caught.value.entry) == (0, 1)
    assert after.outcomes == []


def test_why_the_declared_person_may_not_be_written_is_told_like_in_a_read() -> None:
    world = World(allowed(GRANT, CASE), [(0, "p1")])
    world.holding = {CASE}
    with pytest.raises(Refused) as caught:
        world.run(attempt("p1", writes="update"))
    assert caught.value.rules == ("OP-01",)
    assert world.log[-2:] == ["Undo", "denied"]


def test_who_withdrew_since_the_transaction_began_is_not_written() -> None:
    world = World(allowed(GRANT), WRITTEN)
    world.transaction.begin(7)
    world.gone = frozenset({"p1"})
    with pytest.raises(Refused, match="GUARD-WITHDRAWN"):
        world.run(attempt(writes="update"))
    assert world.log[-2:] == ["Undo", "denied"]


def test_persons_that_only_the_image_after_names_are_asked_for_and_registered() -> None:
    world = World(allowed(GRANT), [(1, "p0")], after=[(1, "p9")])
    world.transaction.begin(7)
    world.run(attempt(writes="update"))
    assert world.log.count("Withdrawn") == 2
    assert world.log[-2:] == ["intent", "Keep"]
    expected = [("done", ("p0",), 0), ("done", ("p9",), 1)]
    ended = world.transaction.ended(committed=True)
    assert [(one.kind, one.subjects, one.refers_to) for one in ended] == expected
    refused = World(allowed(GRANT), [(1, "p0")], after=[(1, "p9")])
    refused.transaction.begin(7)
    refused.gone = frozenset({"p9"})
    with pytest.raises(Refused, match="GUARD-WITHDRAWN"):
        refused.run(attempt(writes="update"))
    assert refused.log[-2:] == ["Undo", "failed"]
    unregistered = World(allowed(GRANT), [(1, "p0")], after=[(1, "p9")])
    unregistered.full_from = 1
    with pytest.raises(Refused, match="GUARD-REGISTER"):
        unregistered.run(attempt(writes="update"))
    assert "Keep" not in unregistered.log
    assert "Undo" in unregistered.log


def test_a_write_above_its_limit_is_undone() -> None:
    world = World(allowed(GRANT, obligations=(Limit(subjects=1, rule="L"),)), WRITTEN)
    with pytest.raises(Refused, match="L"):
        world.run(attempt(writes="delete"))
    assert world.log[-2:] == ["Undo", "denied"]
    moved = World(allowed(GRANT, obligations=(Limit(subjects=1, rule="L"),)), WRITTEN[:1], after=[(1, "p9")])
    with pytest.raises(Refused, match="L"):
        moved.run(attempt(writes="update"))
    assert moved.log[-2:] == ["Undo", "failed"]


def test_more_rows_than_are_held_in_memory_are_not_written() -> None:
    world = World(allowed(GRANT), WRITTEN)
    with pytest.raises(Refused, match="GUARD-LIMIT"):
        world.run(attempt(writes="update"), buffered=1)
    assert "intent" not in world.log


@pytest.mark.parametrize(
    ("fails", "ending"),
    [
        ("Decide", ["Decide", "denied"]),
        ("Savepoint", ["Savepoint", "denied"]),
        ("intent", ["intent", "Undo", "denied"]),
        ("Keep", ["Keep", "Undo", "failed"]),
    ],
)
def test_what_fails_takes_no_effect_and_is_registered(fails: str, ending: list[str]) -> None:
    world = World(allowed(GRANT), WRITTEN, fails=fails)
    with pytest.raises(Refused):
        world.run(attempt(writes="update"))
    assert world.log[-len(ending) :] == ending
    assert world.outcomes == []


@pytest.mark.parametrize("which", ["Execute", "Fetch"])
def test_a_database_that_fails_after_the_intent_leaves_a_failed_entry(which: str) -> None:
    world = World(allowed(GRANT), WRITTEN)
    performed = world.perform

    def failing(effect: effects.Effect) -> object:
        if "intent" in world.log and type(effect).__name__ == which:
            raise Refused.own("GUARD-DATABASE")
        return performed(effect)

    world.perform = failing  # type: ignore[method-assign]  # the second text is the one that fails
    with pytest.raises(Refused, match="GUARD-DATABASE") as caught:
        world.run(attempt(writes="update"))
    assert world.log[-2:] == ["Undo", "failed"]
    assert (world.drafts[-1].refers_to, caught.value.entry) == (0, 1)


def test_what_cannot_surely_be_undone_is_never_called_failed() -> None:
    world = World(allowed(GRANT), WRITTEN, fails="Settle")
    with pytest.raises(Refused, match="GUARD-DATABASE") as caught:
        world.run(attempt(writes="update"))
    assert world.log[-2:] == ["Keep", "Undo"]
    assert [one.kind for one in world.drafts] == ["intent"]
    assert caught.value.entry == 0


def test_a_register_that_fails_after_the_commit_takes_nothing_back() -> None:
    """The intent stands alone and reads as done, which it is; to raise would make the program write twice."""
    world = World(allowed(GRANT), WRITTEN, fails="done")
    assert world.run(attempt(writes="update")) == 2
    assert [one.kind for one in world.drafts] == ["intent"]
    assert world.outcomes[0].entry == 0


def test_a_crash_between_effect_and_outcome_leaves_the_intent_alone() -> None:
    world = World(allowed(GRANT), WRITTEN)
    limits = Limits()
    road = writing(attempt(writes="update"), lambda _: Guarded(), world.outcomes.append, limits, world.transaction)
    answer: object = None
    while world.log[-1:] != ["Keep"]:
        answer = world.perform(road.send(answer))
    road.close()
    assert [one.kind for one in world.drafts] == ["intent"]
