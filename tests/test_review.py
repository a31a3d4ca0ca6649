"""A held operation waits for another person, and an approval serves once: on a real ledger and register.

Scenario 8 of the threats: two releases race, the requester approves, a consent is withdrawn or the policy changes
after the approval.
"""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

import guard_dbapi
from guard import Actor, Guard, Held, Misuse, Refused, Settings, drive
from guard.cli.app import run
from guard.demo import tour
from guard.effects import Claim, Request
from guard.model import ALWAYS, Decision, Declared, Item, Reason
from guard.transaction import Transaction
from guard_engine.releases import load

PURPOSE = "loan_underwriting"
ROLE = "data_protection_officer"
LIN = Actor(id="officer-lin", roles=("loan_officer",), unit="branch-3")
DPO = Actor(id="dpo-he", roles=(ROLE,))
MANY = "SELECT customer_id, full_name FROM customer WHERE customer_id BETWEEN ? AND ?"
RANGE = (1001, 1200)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bank whose cases are all assigned to one officer."""
    folder = tmp_path_factory.mktemp("bank")
    tour.open_bank(Settings.load(tour.make_bank(folder))).close()
    with closing(sqlite3.connect(folder / "bank.db")) as raw, raw:
        raw.execute("UPDATE loan_case SET officer_id = 'officer-lin', status = 'open'")
    return folder


class Bank:
    """A copy of it under guard."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.guard = Guard.load(folder / "guard.yaml")
        self._connect = guard_dbapi.wrap(sqlite3.connect, self.guard, dialect="sqlite")

    def ask(self, review: str | None = None, sql: str = MANY, who: Actor = LIN, of: Any = RANGE) -> list[Any]:
        with (
            self.guard.acting(who, purpose=PURPOSE, review=review),
            closing(self._connect(str(self.folder / "bank.db"))) as connection,
        ):
            return connection.execute(sql, of).fetchall()

    def held(self, review: str | None = None, **more: Any) -> str:
        with pytest.raises(Held) as caught:
            self.ask(review, **more)
        return caught.value.review_id

    def approved(self) -> str:
        review = self.held()
        assert self.guard.reviews.approve(review, DPO).status == "approved"
        return review

    def kinds(self, review: str) -> list[str]:
        return [entry.kind for entry in self.guard.register.entries() if entry.review == review]


@pytest.fixture
def bank(template: Path, tmp_path: Path) -> Iterator[Bank]:
    folder = tmp_path / "bank"
    shutil.copytree(template, folder)
    made = Bank(folder)
    yield made
    made.guard.close()


# --- Held, approved, released ---------------------------------------------------------------------


def test_many_persons_are_held_and_released_once_another_person_approved(bank: Bank) -> None:
    review = bank.held()
    (waiting,) = bank.guard.reviews.list()
    assert (waiting.review_id, waiting.status, waiting.requester, waiting.by) == (review, "held", LIN.id, (ROLE,))
    assert waiting.persons > 20
    assert bank.held(review) == review, "quoting what still waits asks for nothing new"
    assert bank.guard.reviews.approve(review, DPO).approved == {ROLE: DPO.id}
    assert len(bank.ask(review)) == waiting.persons
    assert bank.guard.reviews.get(review).status == "consumed"
    assert bank.kinds(review) == ["held", "approved", "read"]


def test_what_is_held_says_what_to_ask_for(bank: Bank) -> None:
    with pytest.raises(Held) as caught:
        bank.ask()
    problem = caught.value.problem()
    assert (problem["status"], problem["type"]) == (202, "urn:guard:held")
    assert problem["review"] == caught.value.review_id in problem["detail"]


def test_an_approval_serves_once(bank: Bank) -> None:
    review = bank.approved()
    bank.ask(review)
    with pytest.raises(Refused, match="used before"):
        bank.ask(review)
    assert bank.kinds(review).count("read") == 1


def test_of_two_releases_that_race_one_is_given_the_rows(bank: Bank) -> None:
    other = Bank(bank.folder)
    review = bank.approved()
    results: list[Any] = []
    start = threading.Barrier(8)

    def release(one: Bank) -> None:
        start.wait()
        try:
            results.append(one.ask(review))
        except Refused as refused:
            results.append(refused.rules)

    threads = [threading.Thread(target=release, args=(one,)) for one in (bank, other) * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    other.guard.close()
    assert sum(isinstance(one, list) for one in results) == 1
    assert {one for one in results if isinstance(one, tuple)} <= {("GUARD-REVIEW",), ("GUARD-LEDGER",)}
    assert bank.kinds(review).count("read") == 1


def test_how_long_an_approval_lasts_is_a_limit_of_guard_yaml(bank: Bank) -> None:
    bank.guard.close()
    config = bank.folder / "guard.yaml"
    text = config.read_text("utf-8")
    config.write_text(text.replace("batch: 256", "approval: 3600\n  held: 7200\n  batch: 256"), "utf-8")
    moment = [float(1_795_420_830)]
    with closing(Guard.load(config, now=lambda: moment[0])) as guard:
        waiting = [guard.reviews.get(guard.reviews.hold(_request())) for _ in range(2)]
        assert [one.until for one in waiting] == [int(moment[0]) + 7200] * 2
        assert guard.reviews.approve(waiting[0].review_id, DPO).until == int(moment[0]) + 3600
        moment[0] += 3600
        with pytest.raises(Refused, match="ran out"):
            guard.reviews.claim(Claim(waiting[0].review_id, "d", LIN.id, 3))
        assert [one.review_id for one in guard.reviews.list()] == [waiting[1].review_id]


def _request() -> Request:
    return Request(digest="d", requester=LIN, purpose=PURPOSE, by=(ROLE,), cap=3, sealed={})


def test_what_was_rejected_stays_so(bank: Bank) -> None:
    review = bank.held()
    assert bank.guard.reviews.reject(review, DPO).status == "rejected"
    with pytest.raises(Refused, match="rejected"):
        bank.ask(review)
    with pytest.raises(Refused, match="rejected"):
        bank.guard.reviews.approve(review, DPO)
    assert bank.kinds(review)[:2] == ["held", "rejected"]


# --- Who may approve ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "approver",
    [
        Actor(id=LIN.id, roles=(ROLE, "loan_officer")),
        Actor(id=" Officer-LIN", roles=(ROLE,)),
        Actor(id="officer\uff0dl\u200bin", roles=(ROLE,)),
        Actor(id="officer-wang", roles=("loan_officer",)),
        Actor(id="job-1", kind="service", roles=(ROLE,)),
        Actor(id="nobody"),
    ],
)
def test_nobody_else_approves_rejects_or_sees_it(bank: Bank, approver: Actor) -> None:
    review = bank.held()
    for attempt in (bank.guard.reviews.approve, bank.guard.reviews.reject, bank.guard.reviews.show):
        with pytest.raises(Refused) as caught:
            attempt(review, approver)
        assert caught.value.rules == ("GUARD-APPROVER",)
        assert caught.value.entry is not None
    assert bank.guard.reviews.get(review).status == "held"
    assert bank.kinds(review) == ["held", "denied", "denied", "denied"]


def test_who_approves_is_an_actor(bank: Bank) -> None:
    review = bank.held()
    with pytest.raises(Misuse):
        bank.guard.reviews.approve(review, "dpo-he")  # type: ignore[arg-type]  # what is tried


def test_what_two_roles_have_to_approve_waits_for_both(bank: Bank) -> None:
    reviews = bank.guard.reviews
    request = Request(digest="d", requester=LIN, purpose=PURPOSE, by=("ciso", ROLE), cap=3, sealed={})
    review = reviews.hold(request)
    assert reviews.approve(review, DPO).status == "held"
    with pytest.raises(Held):
        reviews.claim(Claim(review, "d", LIN.id, 3))
    assert reviews.approve(review, Actor(id="ciso-1", roles=("ciso",))).status == "approved"
    assert reviews.claim(Claim(review, "d", LIN.id, 3)) == 3


def test_the_approver_sees_statement_and_values_and_the_database_does_not(bank: Bank) -> None:
    review = bank.held()
    seen = bank.guard.reviews.show(review, DPO)
    assert (seen["sql"], seen["parameters"], seen["subject"]) == (MANY, list(RANGE), None)
    with closing(sqlite3.connect(bank.folder / "bank.db")) as raw:
        stored = raw.execute("SELECT * FROM guard_review").fetchall()
    assert MANY not in str(stored)
    assert bank.kinds(review) == ["held", "read"], "who looks at it is registered"
    with closing(sqlite3.connect(bank.folder / "bank.db")) as raw, raw:
        raw.execute(
            "INSERT INTO guard_review SELECT 'x', digest, sealed, requester, purpose, by_role, cap, status,"
            " approver, held_at, settled_at FROM guard_review"
        )
    with pytest.raises(Refused, match="GUARD-REGISTER-KEY"):
        bank.guard.reviews.show("x", DPO)


# --- What it is bound to --------------------------------------------------------------------------


def test_another_statement_or_other_values_are_held_anew(bank: Bank) -> None:
    review = bank.approved()
    assert bank.held(review, of=(1001, 1199)) != review
    assert bank.held(review, sql=MANY + " ORDER BY full_name") != review
    assert bank.guard.reviews.get(review).status == "approved", "what it is not for does not use it up"
    assert bank.ask(review)


def test_what_was_declared_otherwise_is_held_anew(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who approves a release on the law's order approves none on a contract."""
    obligations = bank.guard.decide([_activity(bank)])[0].obligations
    made = Decision(id="0", allow=True, rows={_Write.writes: ALWAYS}, obligations=obligations)
    monkeypatch.setattr(type(bank.guard.active.decider), "decide", lambda *_, **__: (made,))

    def write(basis: Any, review: str | None = None) -> None:
        one, declared = _Write(), Declared(basis=basis, evidence="sha256:" + "0" * 64)
        with bank.guard.acting(LIN, purpose=PURPOSE, review=review, declared=declared) as act:
            args: Any = (act, one, "UPDATE …", ("x",), lambda _: one, Transaction())
            drive.carry_out(bank.guard.roads.write(*args), one)

    with pytest.raises(Held) as first:
        write("law")
    review = first.value.review_id
    bank.guard.reviews.approve(review, DPO)
    with pytest.raises(Held) as other:
        write("contract", review)
    assert other.value.review_id != review
    assert bank.guard.reviews.get(review).status == "approved"
    write("law", review)


def test_somebody_else_cannot_use_it(bank: Bank) -> None:
    review = bank.approved()
    with closing(sqlite3.connect(bank.folder / "bank.db")) as raw, raw:
        raw.execute("UPDATE loan_case SET officer_id = 'officer-wang'")
    with pytest.raises(Refused, match="Somebody else asked"):
        bank.ask(review, who=Actor(id="officer-wang", roles=("loan_officer",), unit="branch-3"))
    with pytest.raises(Refused, match="no such review"):
        bank.ask("nothing", who=Actor(id="officer-wang", roles=("loan_officer",), unit="branch-3"))


def test_more_persons_than_were_approved_are_held_anew(bank: Bank) -> None:
    review = bank.approved()
    with closing(sqlite3.connect(bank.folder / "bank.db")) as raw, raw:
        raw.execute("UPDATE guard_review SET cap = cap - 1")
    assert bank.held(review) != review
    assert bank.guard.reviews.get(review).status == "approved"


def test_who_withdrew_after_the_approval_is_not_released(bank: Bank) -> None:
    review = bank.approved()
    before = bank.guard.reviews.get(review).persons
    gone = next(subject for subject in map(str, range(*RANGE)) if bank.guard.consents.withdraw_subject(subject))
    released = bank.ask(review)
    assert len(released) < before
    assert gone not in {str(row[0]) for row in released}


def test_a_policy_that_changed_after_the_approval_holds_anew(bank: Bank) -> None:
    review = bank.approved()
    same = bank.guard.active
    changed = load(bank.guard.settings)
    bank.guard.activate(msgspec.structs.replace(changed, digests={**same.digests, "floor": "sha256:other"}))
    assert bank.held(review) != review


def test_the_next_statement_is_decided_by_the_release_that_was_activated(bank: Bank) -> None:
    one = "SELECT customer_id FROM customer WHERE customer_id = ?"
    assert bank.ask(sql=one, of=(1001,))

    def denies(*_: object, **__: object) -> tuple[Decision, ...]:
        return (Decision(id="0", allow=False, reasons=(Reason(rule="PI-02"),)),)

    stricter = load(bank.guard.settings)
    stricter.decider.decide = denies  # type: ignore[method-assign]  # as if its rules said so
    bank.guard.activate(stricter)
    with pytest.raises(Refused) as caught:
        bank.ask(sql=one, of=(1001,))
    assert caught.value.rules == ("PI-02",)


def test_a_release_with_another_catalogue_or_other_consent_rules_takes_another_guard(bank: Bank) -> None:
    release = bank.guard.active
    with pytest.raises(Misuse, match="catalogue"):
        bank.guard.activate(msgspec.structs.replace(release, digests={**release.digests, "catalogue": "sha256:other"}))
    changed = load(bank.guard.settings)
    changed.decider.judged = "sha256:other"  # type: ignore[misc]  # as if its rules were other ones
    with pytest.raises(Misuse, match="judge"):
        bank.guard.activate(changed)
    changed.close()
    assert bank.guard.active is release


# --- Parts that fail ------------------------------------------------------------------------------


def test_what_cannot_be_registered_is_not_approved(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    review = bank.held()

    def full(_: object) -> int:
        raise Refused.own("GUARD-REGISTER")

    monkeypatch.setattr(bank.guard.reviews, "_append", full)
    with pytest.raises(Refused, match="GUARD-REGISTER"):
        bank.guard.reviews.approve(review, DPO)
    assert bank.guard.reviews.get(review).status == "held"


def test_an_approval_whose_entry_cannot_be_written_is_gone_and_releases_nothing(
    bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    review = bank.approved()
    append = bank.guard.register.append

    def full(draft: Any) -> int:
        if draft.kind == "read":
            raise Refused.own("GUARD-REGISTER")
        return append(draft)

    monkeypatch.setattr(bank.guard.register, "append", full)
    with pytest.raises(Refused, match="GUARD-REGISTER"):
        bank.ask(review)
    monkeypatch.undo()
    with pytest.raises(Refused, match="used before"):
        bank.ask(review)


def test_a_request_too_long_to_be_seen_whole_is_refused(bank: Bank) -> None:
    request = Request(digest="d", requester=LIN, purpose=PURPOSE, by=(ROLE,), cap=3, sealed="x" * 2_000_000)
    with pytest.raises(Refused, match="too long"):
        bank.guard.reviews.hold(request)


# --- A write --------------------------------------------------------------------------------------


class _Write:
    """A write of many persons, its parts in memory."""

    items = (Item(source="bank:retail.customer", field=None, role="write"),)
    statement = "UPDATE customer SET full_name = ?"
    kind = "update"
    writes = "bank:retail.customer"
    hidden, collected, reduced, rules, related = 1, False, False, (), frozenset[str]()

    def __init__(self) -> None:
        self.log: list[str] = []
        self.rows: list[tuple[Any, ...]] = []

    def persons(self, hidden: tuple[Any, ...]) -> tuple[str, ...]:
        return (str(hidden[0]),)

    def before(self, *_: object) -> tuple[str, dict[str, Any]]:
        return "before", {}

    def bind(self, *_: object) -> tuple[str, dict[str, Any]]:
        return "write", {}

    def execute(self, sql: str, _: object) -> None:
        self.log.append(sql)
        self.rows = [(1, f"p{n}") for n in range(30)]

    def fetch(self, size: int) -> list[Any]:
        taken, self.rows = self.rows[:size], self.rows[size:]
        return taken

    def holds(self, *_: object) -> set[str]:
        return set()

    def savepoint(self) -> None:
        self.log.append("savepoint")

    def settle(self, keep: bool) -> None:
        self.log.append("keep" if keep else "undo")


def test_a_write_of_many_persons_is_held_too(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    obligations = bank.guard.decide([_activity(bank)])[0].obligations
    made = Decision(id="0", allow=True, rows={_Write.writes: ALWAYS}, obligations=obligations)
    monkeypatch.setattr(type(bank.guard.active.decider), "decide", lambda *_, **__: (made,))

    def write(review: str | None = None) -> tuple[_Write, int]:
        one = _Write()
        with bank.guard.acting(LIN, purpose=PURPOSE, review=review) as act:
            args: Any = (act, one, "UPDATE …", ("x",), lambda _: one, Transaction())
            return one, drive.carry_out(bank.guard.roads.write(*args), one)

    with pytest.raises(Held) as caught:
        write()
    review = caught.value.review_id
    bank.guard.reviews.approve(review, DPO)
    one, written = write(review)
    assert (written, one.log) == (30, ["savepoint", "before", "write", "keep"])
    assert bank.kinds(review) == ["held", "approved", "intent"]
    with pytest.raises(Refused, match="used before"):
        write(review)


@pytest.mark.parametrize(("kind", "operation"), [("update", "provide"), ("delete", "use"), ("select", "collect")])
def test_a_statement_that_is_no_part_of_the_operation_is_refused(bank: Bank, kind: str, operation: Any) -> None:
    one = _Write()
    one.kind = kind
    with bank.guard.acting(LIN, purpose=PURPOSE, operation=operation) as act:
        args: Any = (act, one, "…", (), lambda _: one, Transaction())
        with pytest.raises(Refused, match="GUARD-OPERATION") as caught:
            (bank.guard.roads.read if kind == "select" else bank.guard.roads.write)(*args)
    assert caught.value.entry is not None
    assert one.log == []


class _Awaited:
    """The same connection, awaited."""

    def __init__(self, inner: _Write) -> None:
        self.inner = inner

    async def execute(self, sql: str, parameters: object) -> None:
        self.inner.execute(sql, parameters)

    async def fetch(self, size: int) -> list[Any]:
        return self.inner.fetch(size)

    async def holds(self, *_: object) -> set[str]:
        return set()

    async def savepoint(self) -> None:
        self.inner.savepoint()

    async def settle(self, keep: bool) -> None:
        self.inner.settle(keep)


def test_reads_and_writes_are_awaited_in_the_same_context(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Decision(id="0", allow=True, rows={_Write.writes: ALWAYS})
    monkeypatch.setattr(type(bank.guard.active.decider), "decide", lambda *_, **__: (made,))
    one, transaction = _Write(), Transaction()
    transaction.begin(bank.guard.roads.mark())

    async def both() -> tuple[int, list[Any]]:
        with bank.guard.acting(LIN, purpose=PURPOSE) as act:
            args: Any = (act, one, "…", (), lambda _: one, transaction)
            there = _Awaited(one)
            written = await drive.carry_out_async(bank.guard.roads.write(*args), there, asyncio.to_thread)
            one.kind = "select"
            batches = drive.drive_async(bank.guard.roads.read(*args), there)
            rows = [row async for batch in batches for row in batch]
            late = drive.drive_async(bank.guard.roads.read(*args), there)
        with pytest.raises(Refused, match="GUARD-CONTEXT"):
            await anext(late)
        return written, rows

    written, rows = asyncio.run(both())
    assert (written, len(rows)) == (30, 30)
    bank.guard.roads.settled(transaction.ended(committed=False))
    kinds = [entry.kind for entry in bank.guard.register.entries() if entry.kind != "consent"]
    assert kinds == ["intent", "read", "rolled_back"]


def _activity(bank: Bank) -> Any:
    """What a bulk read is decided as."""
    seen: list[Any] = []
    decider = bank.guard.active.decider
    decide = decider.decide

    def spying(activities: Any, **more: Any) -> Any:
        seen.extend(activities)
        return decide(activities, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decider, "decide", spying)
        bank.held()
    return seen[0]


# --- The command line -----------------------------------------------------------------------------


def test_the_command_line_holds_lists_shows_approves_and_releases(
    template: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "bank"
    shutil.copytree(template, folder)
    config = ["--config", str(folder / "guard.yaml")]
    who = ["--actor", "officer-lin", "--role", "loan_officer", "--unit", "branch-3", "--purpose", PURPOSE]
    statement = "SELECT customer_id, full_name FROM customer WHERE customer_id < 1201"
    assert run(["sql", statement, *who, *config]) == 4
    failure = capsys.readouterr().err

    def told(*arguments: str, code: int = 0) -> Any:
        assert run(["review", *arguments, *config, "--json"]) == code
        out = capsys.readouterr().out
        return msgspec.json.decode(out) if out else None

    review = told("list")["review_id"]
    assert review in failure
    dpo = ["--actor", "dpo-he", "--role", ROLE]
    assert told("show", review, *dpo)["request"]["sql"] == statement
    told("approve", review, "--actor", "officer-lin", "--role", ROLE, code=3)
    assert told("approve", review, *dpo)["status"] == "approved"
    assert run(["sql", statement, *who, *config, "--review", review]) == 0
    capsys.readouterr()
    assert told("list") is None
    assert told("list", "--all")["status"] == "consumed"
    told("reject", review, *dpo, code=3)
    assert run(["sql", statement, *who, *config]) == 4
    capsys.readouterr()
    other = told("list")["review_id"]
    told("withdraw", other, "--actor", "officer-wang", code=3)
    assert told("withdraw", other, "--actor", "officer-lin")["status"] == "withdrawn"
    assert run(["sql", statement, *who, *config, "--review", other]) == 3
    capsys.readouterr()
    assert run(["review", "list", "--all", *config]) == 0
    assert review in capsys.readouterr().out
    assert run(["review", "show", review, *dpo, *config]) == 0
    assert statement in capsys.readouterr().out
