"""Approvals, rejections and releases that race on a live database, from several processes' guards: one wins."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import dbapi_bank
import pytest
from dbapi_bank import LIN, PURPOSE, Bank

from guard import Actor, Guard
from guard.effects import Claim, Request
from guard.errors import Held, Refused
from guard_ledger.review import Waiting

ROUNDS = 8
BY = "data_protection_officer"
HE = Actor(id="dpo-he", roles=(BY,))
MA = Actor(id="dpo-ma", roles=(BY,))
CISO = Actor(id="ciso-1", roles=("ciso",))
HARMLESS = {("GUARD-REVIEW",), ("GUARD-HELD",), ("GUARD-LEDGER",), ("GUARD-APPROVER",)}


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dbapi_bank.sqlite_bank(tmp_path_factory.mktemp("races") / "bank")


@pytest.fixture(params=["sqlite", "postgres"])
def guards(request: pytest.FixtureRequest, recorded: Path, tmp_path: Path) -> Iterator[list[Guard]]:
    """Two on one database, as two processes have them."""
    if request.param == "sqlite":
        folder = dbapi_bank.copied(recorded, tmp_path / "bank")
        place = str(folder / "bank.db")
    else:
        place = request.getfixturevalue("postgres_url")
        folder = dbapi_bank.postgres_bank(recorded, tmp_path / "bank", place)
    made = [Guard.load(folder / "guard.yaml") for _ in range(2)]
    bank = Bank(request.param, folder, place, made[0])
    yield made
    bank.close()
    made[1].close()


def racing(*works: Callable[[], Any]) -> list[Any]:
    """What came of each, begun at once: what it gave, or the rules that it was refused by."""
    start = threading.Barrier(len(works))
    ended: list[Any] = [None] * len(works)

    def run(place: int, work: Callable[[], Any]) -> None:
        start.wait()
        try:
            ended[place] = work()
        except (Refused, Held) as refused:
            ended[place] = refused.rules

    threads = [threading.Thread(target=run, args=one) for one in enumerate(works)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert {one for one in ended if isinstance(one, tuple)} <= HARMLESS
    return ended


def held(guard: Guard, *by: str) -> str:
    return guard.reviews.hold(Request(digest="d", requester=LIN, purpose=PURPOSE, by=by, cap=3, sealed={}))


def test_of_approvals_and_rejections_one_stands(guards: list[Guard]) -> None:
    one, other = (guard.reviews for guard in guards)
    for _ in range(ROUNDS):
        review = held(guards[0], BY)
        claim = Claim(review, "d", LIN.id, 3)
        ended = racing(
            *(partial(reviews.approve, review, HE) for reviews in (one, other)),
            *(partial(reviews.reject, review, MA) for reviews in (one, other)),
            *(partial(reviews.claim, claim) for reviews in (one, other, one, other)),
        )
        decided = [one.status for one in ended[:4] if isinstance(one, Waiting)]
        assert len(decided) == 1, ended
        claimed = [one for one in ended[4:] if one == 3]
        assert len(claimed) <= (decided == ["approved"])
        status = one.get(review).status
        assert status == ("consumed" if claimed else decided[0])
        kinds = [entry.kind for entry in guards[0].register.entries() if entry.review == review]
        assert decided[0] in kinds, "an approval that stands is in the register"


def test_an_approval_is_used_once(guards: list[Guard]) -> None:
    for _ in range(ROUNDS):
        review = held(guards[0], BY)
        guards[1].reviews.approve(review, HE)
        claim = Claim(review, "d", LIN.id, 3)
        ended = racing(*(partial(guard.reviews.claim, claim) for guard in guards * 4))
        assert ended.count(3) == 1, ended


def test_of_two_roles_neither_is_lost(guards: list[Guard]) -> None:
    for _ in range(ROUNDS):
        review = held(guards[0], BY, "ciso")
        racing(partial(guards[0].reviews.approve, review, HE), partial(guards[1].reviews.approve, review, CISO))
        waiting = guards[0].reviews.get(review)
        assert (waiting.status == "approved") is (set(waiting.approved) == {BY, "ciso"})
        for actor in (HE, CISO):
            if actor.id not in waiting.approved.values():
                guards[0].reviews.approve(review, actor)
        assert guards[1].reviews.get(review).approved == {BY: HE.id, "ciso": CISO.id}
        assert guards[1].reviews.claim(Claim(review, "d", LIN.id, 3)) == 3


def test_who_has_both_roles_is_one_person_in_a_race_too(guards: list[Guard]) -> None:
    both = Actor(id="head-an", roles=("ciso", BY))
    for _ in range(ROUNDS):
        review = held(guards[0], BY, "ciso")
        racing(*(partial(guard.reviews.approve, review, both) for guard in guards * 2))
        waiting = guards[0].reviews.get(review)
        assert (waiting.status, len(waiting.approved)) == ("held", 1)


def test_of_a_withdrawal_and_a_release_one_stands(guards: list[Guard]) -> None:
    for _ in range(ROUNDS):
        review = held(guards[0], BY)
        guards[1].reviews.approve(review, HE)
        claims = [partial(guard.reviews.claim, Claim(review, "d", LIN.id, 3)) for guard in guards]
        ended = racing(*claims, partial(guards[0].reviews.withdraw, review, HE))
        withdrawn = isinstance(ended[2], Waiting)
        assert ended[:2].count(3) + withdrawn == 1, ended
        assert guards[1].reviews.get(review).status == ("withdrawn" if withdrawn else "consumed")
