"""Who approves, how long it counts, and who takes it back: on a real ledger of each kind, with a clock of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ledger_places import Place

from guard.draft import Draft
from guard.effects import Claim, Request
from guard.errors import Held, Refused
from guard.messages import OWN
from guard.model import Actor, Recipient
from guard_ledger.review import Reviews
from guard_ledger.reviewers import seated
from guard_ledger.store import Store
from guard_ledger.tables import metadata
from guard_register.seal import KeyFile

NOW = 1_795_420_830
LIN = Actor(id="officer-lin", roles=("loan_officer", "ciso"))
DPO = Actor(id="dpo-he", roles=("dpo",))
CISO = Actor(id="ciso-ma", roles=("ciso",))
BOTH = Actor(id="head-an", roles=("ciso", "dpo"))


class Desk:
    """The reviews of an empty ledger, what they registered, and their clock."""

    def __init__(self, place: Place, key: Path) -> None:
        self.place = place
        self.now = float(NOW)
        self.drafts: list[Draft] = []
        self.full = False
        self._store = Store(place.url, metadata, 5.0, lambda _: None)
        self.reviews = Reviews(
            self._store, sealer=lambda: KeyFile(key), append=self._append, messages=OWN, now=lambda: self.now
        )

    def _append(self, draft: Draft) -> int:
        if self.full:
            raise Refused.own("GUARD-REGISTER")
        self.drafts.append(draft)
        return len(self.drafts)

    def held(self, *by: str) -> str:
        request = Request(digest="d", requester=LIN, purpose="p", by=by or ("dpo",), cap=3, sealed={"sql": "SELECT 1"})
        return self.reviews.hold(request)

    def approved(self) -> str:
        review = self.held()
        assert self.reviews.approve(review, DPO).status == "approved"
        return review

    def claim(self, review: str, persons: int = 3) -> int | None:
        return self.reviews.claim(Claim(review, "d", LIN.id, persons))

    @property
    def kinds(self) -> list[str]:
        return [draft.kind for draft in self.drafts]

    def close(self) -> None:
        self._store.close()


@pytest.fixture
def desk(place: Place, tmp_path: Path) -> Iterator[Desk]:
    made = Desk(place, tmp_path / "key")
    yield made
    made.close()


DAY = 86_400
MONTH = 30 * DAY


# --- Four eyes ------------------------------------------------------------------------------------


def test_who_has_both_roles_approves_for_one_of_them(desk: Desk) -> None:
    review = desk.held("ciso", "dpo")
    assert desk.reviews.approve(review, BOTH).status == "held"
    with pytest.raises(Held):
        desk.claim(review)
    with pytest.raises(Refused, match="dpo") as caught:
        desk.reviews.approve(review, BOTH)
    assert (caught.value.rules, caught.value.entry) == (("GUARD-APPROVER",), 2)
    assert desk.kinds == ["approved", "denied"]
    assert desk.reviews.approve(review, DPO).approved == {"ciso": BOTH.id, "dpo": DPO.id}
    assert desk.claim(review) == 3


@pytest.mark.parametrize("order", [(BOTH, CISO), (BOTH, DPO), (CISO, BOTH), (DPO, BOTH)])
def test_whichever_role_the_other_has_both_are_taken(desk: Desk, order: tuple[Actor, Actor]) -> None:
    review = desk.held("ciso", "dpo")
    waiting = [desk.reviews.approve(review, one) for one in order]
    assert [one.status for one in waiting] == ["held", "approved"]
    assert set(waiting[1].approved.values()) == {one.id for one in order}


@pytest.mark.parametrize("spelt", ["Head-AN", " head-an", "head\uff0dan", "he\u200bad-an"])
def test_another_spelling_is_no_other_person(desk: Desk, spelt: str) -> None:
    review = desk.held("ciso", "dpo")
    desk.reviews.approve(review, BOTH)
    for roles in (("ciso",), ("dpo",), BOTH.roles):
        with pytest.raises(Refused, match="GUARD-APPROVER"):
            desk.reviews.approve(review, Actor(id=spelt, roles=roles))
    assert desk.reviews.get(review).status == "held"


def test_a_role_that_is_taken_needs_no_second_person(desk: Desk) -> None:
    review = desk.held("ciso", "dpo")
    desk.reviews.approve(review, DPO)
    with pytest.raises(Refused, match="ciso"):
        desk.reviews.approve(review, Actor(id="dpo-2", roles=("dpo",)))
    assert desk.reviews.get(review).approved == {"dpo": DPO.id}


def test_a_role_that_somebody_gained_meanwhile_makes_them_no_second_person(desk: Desk) -> None:
    review = desk.held("ciso", "dpo")
    desk.reviews.approve(review, DPO)
    with pytest.raises(Refused, match="GUARD-APPROVER"):
        desk.reviews.approve(review, Actor(id=DPO.id, roles=("dpo", "ciso")))


def test_the_requester_stands_for_none_of_the_roles(desk: Desk) -> None:
    review = desk.held("ciso", "dpo")
    desk.reviews.approve(review, DPO)
    with pytest.raises(Refused, match="asked for themselves"):
        desk.reviews.approve(review, Actor(id="Officer-Lin", roles=("ciso",)))


def test_three_roles_take_three_persons(desk: Desk) -> None:
    review = desk.held("auditor", "ciso", "dpo")
    every = ("auditor", "ciso", "dpo")
    for number in range(2):
        assert desk.reviews.approve(review, Actor(id=f"p-{number}", roles=every)).status == "held"
    assert desk.reviews.approve(review, Actor(id="p-2", roles=("auditor",))).status == "approved"
    assert sorted(desk.reviews.get(review).approved.values()) == ["p-0", "p-1", "p-2"]


_ROLES = ("a", "b", "c", "d")


@given(st.dictionaries(st.sampled_from("uvwxyz"), st.sets(st.sampled_from(_ROLES)).map(tuple), max_size=5))
def test_a_seat_is_of_a_role_that_one_has_nobody_has_two_and_none_is_left_that_could_be_taken(
    persons: dict[str, tuple[str, ...]],
) -> None:
    taken = seated(_ROLES, persons)
    assert all(role in persons[person] for role, person in taken.items())
    assert len(set(taken.values())) == len(taken)

    def most(left: tuple[str, ...], free: frozenset[str]) -> int:
        if not left:
            return 0
        role, *rest = left
        with_role = [1 + most(tuple(rest), free - {one}) for one in free if role in persons[one]]
        return max([most(tuple(rest), free), *with_role])

    assert len(taken) == most(_ROLES, frozenset(persons))


# --- How long it counts ---------------------------------------------------------------------------


@pytest.mark.parametrize(("late", "counts"), [(0, True), (DAY - 1, True), (DAY, False), (DAY + 1, False)])
def test_an_approval_runs_out_a_day_after_it_was_given(desk: Desk, late: int, counts: bool) -> None:
    review = desk.held()
    desk.now += 3 * DAY
    desk.reviews.approve(review, DPO)
    assert desk.reviews.get(review).until == NOW + 4 * DAY
    desk.now += late
    if counts:
        assert desk.claim(review) == 3
        return
    with pytest.raises(Refused, match=r"GUARD-REVIEW.*ran out.*ask again without"):
        desk.claim(review)
    assert desk.reviews.get(review).status == "expired"
    assert desk.reviews.list("approved") == ()
    assert [one.review_id for one in desk.reviews.list("expired")] == [review]
    assert desk.reviews.claim(Claim(review, "other", LIN.id, 3)) is None, "it is not for this: held anew"


@pytest.mark.parametrize(("late", "counts"), [(MONTH - 1, True), (MONTH, False)])
def test_what_nobody_decided_on_runs_out_after_thirty_days(desk: Desk, late: int, counts: bool) -> None:
    review = desk.held()
    desk.now += late
    if counts:
        with pytest.raises(Held):
            desk.claim(review)
        assert desk.reviews.approve(review, DPO).status == "approved"
        return
    for late_call in (
        lambda: desk.claim(review),
        lambda: desk.reviews.approve(review, DPO),
        lambda: desk.reviews.reject(review, DPO),
        lambda: desk.reviews.withdraw(review, LIN),
    ):
        with pytest.raises(Refused, match=r"GUARD-REVIEW.*ran out"):
            late_call()
    assert desk.kinds == []
    assert desk.reviews.list() == ()
    assert [one.status for one in desk.reviews.list(None)] == ["expired"]


def test_the_limits_are_those_of_the_settings(desk: Desk) -> None:
    desk.reviews._lasts = {"held": 20, "approved": 10}  # type: ignore[misc]  # as `Reviews` is made with them
    review = desk.held()
    desk.now += 19
    desk.reviews.approve(review, DPO)
    desk.now += 10
    with pytest.raises(Refused, match="ran out"):
        desk.claim(review)


def test_what_uses_an_approval_up_asks_again_whether_it_ran_out(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was read a moment before: the UPDATE itself must not find one that ran out meanwhile."""
    review = desk.approved()
    monkeypatch.setattr(desk.reviews, "_still", lambda row, *_: row)
    desk.now += DAY
    with pytest.raises(Refused, match="GUARD-REVIEW"):
        desk.claim(review)
    assert desk.reviews.get(review).status == "expired"


# --- Taken back -----------------------------------------------------------------------------------


@pytest.mark.parametrize("actor", [LIN, DPO, Actor(id=LIN.id), Actor(id=DPO.id)])
def test_who_asked_for_it_and_who_approved_it_take_it_back(desk: Desk, actor: Actor) -> None:
    review = desk.approved()
    assert desk.reviews.withdraw(review, actor).status == "withdrawn"
    with pytest.raises(Refused, match=r"GUARD-REVIEW.*taken back"):
        desk.claim(review)
    for again in (desk.reviews.approve, desk.reviews.reject, desk.reviews.withdraw):
        with pytest.raises(Refused, match="GUARD-REVIEW"):
            again(review, DPO)
    assert desk.kinds == ["approved", "withdrawn"]
    assert (desk.drafts[1].actor, desk.drafts[1].review) == (actor, review)


def test_what_waits_is_taken_back_by_its_requester_and_by_one_of_two_who_approved(desk: Desk) -> None:
    first, second = desk.held(), desk.held("ciso", "dpo")
    assert desk.reviews.withdraw(first, LIN).status == "withdrawn"
    with pytest.raises(Refused, match="GUARD-APPROVER"):
        desk.reviews.withdraw(second, DPO)
    desk.reviews.approve(second, DPO)
    assert desk.reviews.withdraw(second, DPO).status == "withdrawn"
    with pytest.raises(Refused, match="GUARD-REVIEW"):
        desk.reviews.approve(second, CISO)
    assert desk.reviews.list() == ()


@pytest.mark.parametrize(
    "actor",
    [
        Actor(id="dpo-other", roles=("dpo",)),
        Actor(id=DPO.id, kind="service", roles=("dpo",)),
        Actor(id="Officer-Lin", roles=("loan_officer",)),
        Actor(id=LIN.id, kind="service", roles=LIN.roles),
        Actor(id="nobody"),
    ],
)
def test_nobody_else_takes_it_back(desk: Desk, actor: Actor) -> None:
    review = desk.approved()
    with pytest.raises(Refused) as caught:
        desk.reviews.withdraw(review, actor)
    assert caught.value.rules == ("GUARD-APPROVER",)
    assert desk.kinds == ["approved", "denied"]
    assert desk.claim(review) == 3


def test_what_a_service_asked_for_is_not_taken_back_by_a_person_of_its_id(desk: Desk) -> None:
    service = Actor(id="nightly", kind="service")
    request = Request(digest="d", requester=service, purpose="p", by=("dpo",), cap=1, sealed={"sql": "SELECT 1"})
    review = desk.reviews.hold(request)
    with pytest.raises(Refused, match="GUARD-APPROVER"):
        desk.reviews.withdraw(review, Actor(id="nightly"))
    assert desk.reviews.withdraw(review, service).status == "withdrawn"


def test_a_request_that_does_not_say_what_asked_is_taken_back_by_its_requester(desk: Desk) -> None:
    """As those of an earlier release are."""
    request = Request(digest="d", requester=LIN, purpose="p", by=("dpo",), cap=1, sealed="nothing that tells")
    assert desk.reviews.withdraw(desk.reviews.hold(request), LIN).status == "withdrawn"


def test_what_was_used_is_not_taken_back(desk: Desk) -> None:
    review = desk.approved()
    desk.claim(review)
    with pytest.raises(Refused, match=r"GUARD-REVIEW.*used"):
        desk.reviews.withdraw(review, LIN)
    assert desk.kinds == ["approved"]


def test_what_cannot_be_registered_is_not_taken_back(desk: Desk) -> None:
    review = desk.approved()
    desk.full = True
    with pytest.raises(Refused, match="GUARD-REGISTER"):
        desk.reviews.withdraw(review, LIN)
    assert desk.reviews.get(review).status == "approved"


@pytest.mark.parametrize("to", [Recipient(kind="subject"), Recipient(kind="staff"), None])
def test_who_asked_for_their_own_data_takes_it_back_without_a_name_in_the_register(
    desk: Desk, to: Recipient | None
) -> None:
    sealed = {"recipient": to} if to else "nothing that tells"
    review = desk.reviews.hold(Request(digest="d", requester=LIN, purpose="p", by=("dpo",), cap=1, sealed=sealed))
    desk.reviews.withdraw(review, LIN)
    assert desk.drafts[0].recipient == to
