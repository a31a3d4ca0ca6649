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
from guard.model import Actor
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
