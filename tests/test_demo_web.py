"""The bank's web application behind the guard, on both databases: who sees what of whom over HTTP."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from guard import Guard, Settings
from guard.demo import bank, web
from guard.demo.tour import open_bank

Ask = Callable[..., httpx.Response]


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def guard(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guard]:
    folder = tmp_path_factory.mktemp("web")
    url = request.getfixturevalue("module_url") if request.param == "postgres" else None
    with open_bank(Settings.load(bank.build(folder, database=url))) as opened:
        yield opened


@pytest.fixture(scope="module")
def module_url(postgres_server: Path) -> Iterator[str]:
    """The URL of a database of this module's own."""
    import psycopg
    from fixtures_postgres import ROLE, _url

    with psycopg.connect(_url(postgres_server, "postgres", "postgres"), autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE demo_web OWNER {ROLE}".encode())
        yield _url(postgres_server, ROLE, "demo_web")
        admin.execute(b"DROP DATABASE demo_web WITH (FORCE)")


@pytest.fixture(scope="module")
def ask(guard: Guard) -> Ask:
    app = web.application(guard)

    async def asked(method: str, path: str, who: str | None, more: dict[str, Any]) -> httpx.Response:
        headers = {"authorization": f"Bearer {who}".encode()} if who else {}
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://bank") as client:
            return await client.request(method, path, headers=headers, **more)

    return lambda method, path, who=None, **more: anyio.run(asked, method, path, who, more)


def test_branches_are_everybodys(ask: Ask) -> None:
    found = ask("GET", "/branches")
    assert found.status_code == 200
    assert len(found.json()) == 3


def test_who_is_not_signed_in_is_told_to(ask: Ask) -> None:
    for who in (None, "somebody", "officer-lin ", "１００１"):
        found = ask("GET", "/applications/1001", who)
        assert found.status_code == 403
        assert found.json()["rules"] == ["GUARD-ACTOR"]


def test_the_officer_of_the_case_sees_it_masked(ask: Ask) -> None:
    found = ask("GET", "/applications/1001", "officer-lin")
    assert found.status_code == 200
    assert found.json()["id_number"] == "445***************"
    assert found.json()["mobile"] == "186****3900"


@pytest.mark.parametrize(
    ("path", "who", "rule"),
    [
        ("/applications/1001", "officer-chen", "PI-02"),
        ("/applications/1006", "officer-lin", "OP-01"),
        ("/applications/1001", "marketer-fang", "PI-02"),
        ("/applications", "1001", "PI-02"),
    ],
)
def test_others_are_refused_with_the_rule(path: str, who: str, rule: str, ask: Ask) -> None:
    found = ask("GET", path, who)
    assert found.status_code == 403
    assert rule in found.json()["rules"]
    assert "id_number" not in found.text


def test_a_list_has_the_consenting_persons_of_ones_own_cases(ask: Ask) -> None:
    lin, chen = (
        {one["customer_id"] for one in ask("GET", "/applications", who).json()}
        for who in ("officer-lin", "officer-chen")
    )
    assert lin
    assert chen
    assert not lin & chen
    assert not lin & {1003, 1005, 1006, 1007, 1008, 1009, 1010, 1011, 1012}


def test_an_application_of_somebody_else_is_not_taken_in(ask: Ask, guard: Guard) -> None:
    before = guard.register.verify().size
    found = ask("POST", "/applications", "1001", json={"customer_id": 1002, "loan_purpose": "car"})
    assert found.status_code == 403
    assert "OP-01" in found.json()["rules"]
    entries = list(guard.register.entries())[before:]
    assert {entry.kind for entry in entries} == {"denied"}


def test_what_was_taken_in_is_registered_with_what_became_of_it(ask: Ask, guard: Guard) -> None:
    before = guard.register.verify().size
    form = {"customer_id": 1001, "loan_purpose": "car", "credit_amount": 100, "foreign_worker": False}
    assert ask("POST", "/applications", "1001", json=form).status_code == 204
    kinds = [(entry.kind, entry.method) for entry in list(guard.register.entries())[before:]]
    assert kinds == [("intent", "http"), ("intent", "sql"), ("done", "sql"), ("done", "http")]
