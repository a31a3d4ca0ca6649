"""A web application under the shipped policies, on the example bank: nothing here stands for anything else."""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
from asgi_world import CHEN, GUARDED, LIN, ONE, PURPOSE, SOURCE, Answered, ask, consented, get, lawful, post, written
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

import guard_dbapi
from guard import Actor, Guard
from guard_asgi import GuardMiddleware

__all__ = ["consented", "lawful"]

FIELDS = "customer_id, full_name, id_number, mobile, loan_purpose, credit_amount, personal_status_and_sex"
OFFICER = Actor(id="dpo-zhao", roles=("data_protection_officer",), unit="head-office")
MARKETER = Actor(id="marketer-sun", roles=("marketer",), unit="branch-3")
KEEPER = Actor(id="keeper-wu", roles=("records_officer",), unit="head-office")
ACTORS = {one.id: one for one in (KEEPER, LIN, CHEN, OFFICER, MARKETER, Actor(id="1002"), Actor(id="1003"))}

SAID: dict[str, Any] = {
    ONE: GUARDED,
    "GET /applications": {"purpose": PURPOSE, "source": SOURCE},
    "GET /guarded/{customer_id}": {**GUARDED, "source": SOURCE},
    "GET /contacts/{customer_id}": {"purpose": "marketing", "subject": {"path": "customer_id"}, "source": SOURCE},
    "DELETE /applications/{customer_id}": {
        "purpose": "retention",
        "subject": {"path": "customer_id"},
        "source": SOURCE,
        "operation": "delete",
    },
    "POST /applications": {
        "purpose": PURPOSE,
        "subject": {"body": "/customer_id"},
        "recipient": "subject",
        "request": {"notice": "n-loan-2026-03"},
    },
    "POST /contacts": {
        "purpose": "marketing",
        "source": "bank:POST /applications",
        "subject": {"body": "/customer_id"},
        "request": {"notice": "n-marketing-2026-03"},
    },
    "POST /hidden": {
        "purpose": PURPOSE,
        "source": "bank:POST /applications",
        "subject": {"body": "/customer_id"},
        "recipient": "subject",
        "request": {},
    },
}


class Bank:
    """The bank's application, on a database that it reads past the guard: what it answers is guarded."""

    def __init__(self, guard: Guard, folder: Path) -> None:
        self.guard = guard
        self.file = folder / "bank.db"
        self.absent: Any = HTTPException(404)
        self.taken: list[bytes] = []
        self.connect = guard_dbapi.wrap(sqlite3.connect, guard, dialect="sqlite")
        self.app = Starlette(
            routes=[
                Route("/applications/{customer_id:int}", self.one),
                Route("/applications/{customer_id}", self.erase, methods=["DELETE"]),
                Route("/contacts/{customer_id:int}", self.one),
                Route("/guarded/{customer_id:int}", self.of_guarded_database),
                Route("/applications", self.all),
                Route("/applications", self.take, methods=["POST"]),
                Route("/hidden", self.take, methods=["POST"]),
                Route("/contacts", self.take, methods=["POST"]),
            ]
        )
        self.app.add_middleware(GuardMiddleware, guard=guard, identify=self.who, routes=written(folder, SAID))

    def who(self, scope: Any) -> Actor | None:
        said = dict(scope["headers"]).get(b"x-user", b"officer-lin")
        return ACTORS.get(said.decode())

    def rows(self, where: str, *values: Any) -> list[dict[str, Any]]:
        with closing(sqlite3.connect(self.file)) as database:
            database.row_factory = sqlite3.Row
            return [dict(row) for row in database.execute(f"SELECT {FIELDS} FROM application WHERE {where}", values)]

    @property
    def entries(self) -> list[Any]:
        return [one for one in self.guard.register.entries() if one.kind != "consent"]

    def outside(self, text: str) -> None:
        with closing(sqlite3.connect(self.file, isolation_level=None)) as database:
            database.execute(text)

    def one(self, request: Request) -> Response:
        found = self.rows("customer_id = ?", request.path_params["customer_id"])
        if found:
            return JSONResponse(found[0])
        if isinstance(self.absent, Exception):
            raise self.absent
        return self.absent  # type: ignore[no-any-return]  # a Response

    def of_guarded_database(self, request: Request) -> Response:
        with closing(self.connect(str(self.file), check_same_thread=False)) as connection:
            query = "SELECT customer_id, full_name, id_number FROM application WHERE customer_id = ?"
            found = connection.execute(query, (request.path_params["customer_id"],)).fetchall()
        return JSONResponse(dict(zip(("customer_id", "full_name", "id_number"), found[0], strict=True)))

    def erase(self, request: Request) -> Response:
        with closing(self.connect(str(self.file), check_same_thread=False)) as connection:
            connection.execute(
                "DELETE FROM application WHERE customer_id = ?", (int(request.path_params["customer_id"]),)
            )
            connection.commit()
        return Response(status_code=204)

    def all(self, request: Request) -> Response:
        return JSONResponse(self.rows("customer_id < ?", int(request.query_params["below"])))

    async def take(self, request: Request) -> Response:
        self.taken.append(await request.body())
        return Response(status_code=204)

    def __call__(self, path: str, user: str = "officer-lin", **more: Any) -> Answered:
        headers = [(b"x-user", user.encode()), *more.pop("headers", ())]
        return get(self.app, path, headers=headers, **more)


@pytest.fixture
def bank(lawful: Guard, tmp_path: Path) -> Bank:
    return Bank(lawful, tmp_path)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_an_officer_sees_the_own_case_as_the_consent_covers_it(bank: Bank, backend: str) -> None:
    seen = bank("/applications/1001", backend=backend).json
    assert seen["id_number"].endswith("***")
    assert seen["mobile"][3:7] == "****"
    assert "personal_status_and_sex" not in seen
    assert bank("/applications/1002").json["id_number"].isalnum()
    refused = bank("/applications/1004")
    assert (refused.status, refused.rules) == (403, ["PI-02"])
    assert "assigned_case" in refused.json["remedy"][0]
    last = bank.entries[-1]
    assert last.kind == "denied"
    assert "PI-02" in str(last.decision)


def test_the_log_has_the_rules_that_the_client_is_not_told(bank: Bank, caplog: pytest.LogCaptureFixture) -> None:
    """The same for who consented to another operation and for who is no customer."""
    lines = []
    for customer in (1002, 999_999):
        caplog.clear()
        refused = bank("/contacts", "marketer-sun", **post({"customer_id": customer, "mobile": "13800000000"}))
        assert (refused.status, refused.rules, "OP-01" in refused.body.decode()) == (403, ["GUARD-ABSENT"], False)
        (line,) = caplog.records
        last = bank.entries[-1]
        assert last.kind == "denied"
        assert "OP-01" in str(last.decision)
        lines.append(line.getMessage().replace(f"{last.shard[:6]}/{last.seq}", "…"))
    assert bank.taken == []
    told = "POST /contacts: the client is told 403 GUARD-ABSENT; register entry …; "
    assert lines == [told + "collect for marketing rests on OP-01, PI-05. The handler did not run."] * 2


def test_the_log_says_that_the_handler_ran_whose_answer_was_withheld(
    bank: Bank, caplog: pytest.LogCaptureFixture
) -> None:
    bank("/guarded/1002")
    assert caplog.records == []
    bank.guard.consents.withdraw_subject("1002")
    assert bank("/applications/1002").rules == ["OP-01"]
    (line,) = caplog.records
    assert "the client is told 403 OP-01; register entry " in line.getMessage()
    assert line.getMessage().endswith("The handler ran, and what it committed stays; its answer was withheld.")
    assert "1002" not in line.getMessage()


def test_of_many_each_is_decided_on(bank: Bank) -> None:
    seen = bank("/applications", query=b"below=1013").json
    assert [one["customer_id"] for one in seen] == [1001, 1002, 1003]
    assert [one["id_number"].endswith("***") for one in seen] == [True, False, False]
    assert [one["customer_id"] for one in bank("/applications", "officer-chen", query=b"below=1013").json] == [1004]
    empty = bank("/applications", query=b"below=5")
    assert (empty.status, empty.json) == (200, [])


ABSENT: list[Any] = [
    HTTPException(404),
    JSONResponse({"detail": "not a customer"}, 404),
    HTTPException(410),
    JSONResponse({"detail": "who?"}, 400),
    JSONResponse(None),
    JSONResponse([]),
    Response(status_code=204),
    JSONResponse({"detail": "no row"}, 500),
    HTTPException(503),
    RedirectResponse("/nobody", 303),
    IndexError("no row"),
]


def asked(bank: Bank, path: str, user: str) -> Answered:
    """Where the program fails: what was answered, whatever is raised besides."""
    sent: list[dict[str, Any]] = []
    with suppress(IndexError):
        bank(path, user, sent=sent)
    return Answered(sent)


@pytest.mark.parametrize("absent", ABSENT, ids=range(len(ABSENT)))
def test_who_is_no_customer_is_like_who_never_consented_and_who_withdrew(bank: Bank, absent: Any) -> None:
    """For an actor without a right to that fact: status, headers, body, however the program says that nobody is."""
    bank.absent = absent
    ask = partial(asked, bank) if isinstance(absent, IndexError) else bank
    never, without, withdrawn = (ask(f"/applications/{who}", "officer-chen") for who in (999_999, 1006, 1005))
    assert never.whole == without.whole == withdrawn.whole
    assert (never.status, never.rules) == (403, ["PI-02"])
    never, without, withdrawn = (ask(f"/contacts/{who}", "marketer-sun") for who in (999_999, 1006, 1005))
    assert never.whole == without.whole == withdrawn.whole
    assert never.status == 403


def test_who_has_the_case_is_told_that_the_consent_is_missing(bank: Bank) -> None:
    for customer in (1005, 1006):
        refused = bank(f"/applications/{customer}")
        assert refused.rules == ["OP-01"]
        assert "consent" in refused.json["remedy"][0]


def test_a_withdrawal_works_from_the_next_answer_on(bank: Bank) -> None:
    assert bank("/applications/1002").status == 200
    bank.guard.consents.withdraw_subject("1002")
    assert bank("/applications/1002").rules == ["OP-01"]
    assert 1002 not in [one["customer_id"] for one in bank("/applications", query=b"below=1013").json]


def test_the_context_reaches_the_database_adapter(bank: Bank) -> None:
    seen = bank("/guarded/1001").json
    assert seen["id_number"].endswith("***")
    refused = bank("/guarded/1004")
    assert (refused.status, refused.rules) == (403, ["PI-02"])
    assert bank("/guarded/999999").rules == ["PI-02"]


FORM = {"customer_id": 1002, "loan_purpose": "car", "credit_amount": 9000, "religion": "none", "foreign_worker": True}


def test_a_form_is_stripped_to_what_the_purpose_needs(bank: Bank) -> None:
    assert bank("/applications", "1002", **post(FORM)).status == 204
    assert bank.taken == [b'{"customer_id":1002,"loan_purpose":"car","credit_amount":9000}']
    assert [one.kind for one in bank.entries] == ["intent", "done"]


def test_a_form_without_its_notice_or_from_another_person_reaches_nobody(bank: Bank) -> None:
    assert "notice" in bank("/hidden", "1002", **post(FORM)).body.decode()
    assert bank("/applications", "1003", **post(FORM)).status == 403
    assert bank("/applications", "marketer-sun", **post(FORM)).status == 403
    assert bank.taken == []


def test_many_are_held_for_another_person_and_released_once(bank: Bank) -> None:
    case = "UPDATE loan_case SET officer_id = 'officer-{}', status = 'open' WHERE customer_id {}"
    bank.outside(case.format("lin", "<> 1002"))
    bank.outside(case.format("chen", "= 1002"))
    ask_for_all = partial(bank, "/applications", query=b"below=1200")
    held = ask_for_all()
    assert (held.status, held.json["type"]) == (202, "urn:guard:held")
    review = held.json["review"]
    quoted = [(b"guard-review", review.encode())]
    assert ask_for_all(headers=quoted).json["review"] == review
    bank.guard.reviews.approve(review, OFFICER)
    other = bank("/applications", query=b"below=1201", headers=quoted)
    assert other.json.get("review") not in (None, review)
    for leaves, comes in ((1001, 1002), (1002, 1001)):
        bank.outside(case.format("chen", f"= {leaves}"))
        bank.outside(case.format("lin", f"= {comes}"))
        if comes == 1002:  # as many persons, and one of them another
            assert ask_for_all(headers=quoted).json.get("review") not in (None, review)
    released = ask_for_all(headers=quoted)
    assert released.status == 200
    assert len(released.json) > 20
    again = ask_for_all(headers=quoted)
    assert (again.status, again.rules) == (403, ["GUARD-REVIEW"])


def test_requests_at_once_keep_their_actors(bank: Bank) -> None:
    async def run() -> dict[tuple[str, int], Answered]:
        found: dict[tuple[str, int], Answered] = {}

        async def one(user: str, customer: int) -> None:
            headers = [(b"x-user", user.encode())]
            found[user, customer] = await ask(bank.app, path=f"/applications/{customer}", headers=headers)

        async with anyio.create_task_group() as tasks:
            for number in range(20):
                tasks.start_soon(one, *(("officer-lin", 1001 + number % 4) if number % 2 else ("officer-chen", 1004)))
        return found

    for (user, customer), answered in anyio.run(run).items():
        assert (answered.status == 200) == ((user == "officer-lin") == (customer in {1001, 1002, 1003}))


def test_an_engine_or_register_that_fails_releases_nothing(bank: Bank) -> None:
    bank.guard.register.close()
    refused = bank("/applications/1002")
    assert (refused.status, refused.rules) == (403, ["GUARD-REGISTER"])
    bank.guard.active.close()
    assert bank("/applications/1002").status == 403
    assert bank("/applications", "1002", **post(FORM)).status == 403
    assert bank.taken == []


def test_a_route_deletes_who_withdrew_and_nobody_else(bank: Bank) -> None:
    """Decided on before the program runs, by the database again, and once more for the answer."""
    refused = bank("/applications/1001", "keeper-wu", method="DELETE")
    assert (refused.status, refused.rules) == (403, ["GUARD-ABSENT"])
    assert len(bank.rows("customer_id = 1001")) == 1
    bank.guard.consents.withdraw_subject("1005")
    begun = len(bank.entries)
    done = bank("/applications/1005", "keeper-wu", method="DELETE")
    assert done.status == 204, done.json
    assert bank.rows("customer_id = 1005") == []
    assert [one.kind for one in bank.entries[begun:]] == ["read", "intent", "done", "read"]
