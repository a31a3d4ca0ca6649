"""examples/app: the application as it was written, the lines that guard it, and what changes by them."""

from __future__ import annotations

import difflib
import importlib.util
import shutil
import sqlite3
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import ModuleType
from typing import Any

import anyio
import httpx
import pytest
import uvicorn

from guard import Actor

EXAMPLES = Path(__file__).parent.parent / "examples"
MINE = (
    "UPDATE loan_case SET officer_id = 'officer-wu'",
    "UPDATE loan_case SET officer_id = 'officer-lin', status = 'open' WHERE customer_id IN (1001, 1002, 1005)",
)
FORM = {
    "customer_id": 1002,
    "monthly_income": 4000,
    "loan_purpose": "car",
    "credit_amount": 20000,
    "foreign_worker": True,
    "religion": "none",
}
MOST = 5


def patched(text: str, diff: str) -> str:
    """The text with the lines of a unified diff added."""
    lines, made, at = text.splitlines(), [], 0
    for line in diff.splitlines()[2:]:
        if line.startswith("@@"):
            start = int(line.split()[1].split(",")[0].removeprefix("-")) - 1
            made += lines[at:start]
            at = start
        elif line.startswith("+"):
            made.append(line[1:])
        else:
            assert line == f" {lines[at]}".rstrip() or line == f" {lines[at]}", "guard.diff is not one of app.py"
            made.append(lines[at])
            at += 1
    return "\n".join([*made, *lines[at:]]) + "\n"


class Asked:
    """An application, asked as its users do."""

    def __init__(self, module: ModuleType) -> None:
        self.module = module

    def __call__(self, method: str, path: str, who: str | None = None, **more: Any) -> httpx.Response:
        headers = {"authorization": f"Bearer {who}"} if who else {}
        return anyio.run(self._ask, method, path, {**headers, **more.pop("headers", {})}, more)

    def get(self, path: str, who: str | None = None, **more: Any) -> httpx.Response:
        return self("GET", path, who, **more)

    async def _ask(self, method: str, path: str, headers: dict[str, str], more: dict[str, Any]) -> httpx.Response:
        transport = httpx.ASGITransport(self.module.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://bank") as client:
            return await client.request(method, path, headers=headers, **more)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folders bank and app as a reader has them after make.py."""
    examples = tmp_path_factory.mktemp("examples")
    for name in ("bank", "app"):
        shutil.copytree(EXAMPLES / name, examples / name, ignore=shutil.ignore_patterns("*.db", "register*", "__py*"))
    load(examples / "app" / "make.py")
    with closing(sqlite3.connect(examples / "bank" / "bank.db", isolation_level=None)) as database:
        for text in MINE:
            database.execute(text)
    diff = (examples / "app" / "guard.diff").read_text("utf-8")
    app = examples / "app" / "app.py"
    app.with_name("guarded.py").write_text(patched(app.read_text("utf-8"), diff), "utf-8")
    return examples


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"example_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def copy(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "examples"
    shutil.copytree(made, folder, ignore=shutil.ignore_patterns("*.jsonl", "*.head", "checkpoint*"))
    monkeypatch.chdir(folder / "app")
    return folder / "app"


@pytest.fixture
def plain(copy: Path) -> Iterator[Asked]:
    module = load(copy / "app.py")
    yield Asked(module)
    module.engine.dispose()
    del sys.modules[module.__name__]


def cases(copy: Path, customer: int) -> list[str]:
    """Whose the cases of a customer are, in order."""
    with closing(sqlite3.connect(copy.parent / "bank" / "bank.db")) as database:
        query = "SELECT officer_id FROM loan_case WHERE customer_id = ? ORDER BY case_id"
        return [officer for (officer,) in database.execute(query, (customer,))]


# --- As it was written --------------------------------------------------------------------------


def test_the_application_knows_nothing_of_guard() -> None:
    lines = (EXAMPLES / "app" / "app.py").read_text("utf-8").split('"""', 2)[2]
    assert "guard" not in lines.lower()


def test_without_guard_everybody_of_the_staff_sees_everything(plain: Asked) -> None:
    assert len(plain.get("/branches").json()) == 3
    assert plain.get("/applications").status_code == 401
    found = plain.get("/applications", "chen").json()
    assert [one["customer_id"] for one in found] == list(range(1001, 1011))
    assert found[0]["id_number"].isalnum()
    one = plain.get("/applications/1005", "chen").json()
    assert one["personal_status_and_sex"]
    assert plain.get("/applications/9", "chen").status_code == 404
    everybody = plain.get("/export", "chen").json()
    assert len(everybody) == 1000
    assert all(one["mobile"].isdigit() for one in everybody)


def test_without_guard_a_form_is_taken_as_it_comes(plain: Asked, copy: Path) -> None:
    assert plain("POST", "/applications", "customer-1002", json=FORM).status_code == 204
    assert cases(copy, 1002) == ["officer-lin", "officer-wu"]
    assert plain("POST", "/applications", "customer-1002", json={**FORM, "customer_id": 1003}).status_code == 204
    assert cases(copy, 1003)[-1] == "officer-wu"


# --- The lines ----------------------------------------------------------------------------------


def test_the_difference_is_five_added_lines(made: Path) -> None:
    before, after = ((made / "app" / name).read_text("utf-8").splitlines() for name in ("app.py", "guarded.py"))
    changes = [line for line in difflib.ndiff(before, after) if not line.startswith("  ")]
    assert [line[0] for line in changes] == ["+"] * MOST
    readme = (EXAMPLES / "app" / "README.md").read_text("utf-8")
    assert all(line[2:] in readme for line in changes)


# --- As it is guarded ---------------------------------------------------------------------------


@pytest.fixture
def guarded(copy: Path) -> Iterator[Asked]:
    module = load(copy / "guarded.py")
    yield Asked(module)
    module.engine.dispose()
    module.guard.close()
    del sys.modules[module.__name__]


DPO = Actor(id="officer-an", roles=("data_protection_officer",), unit="head-office")


def test_an_officer_sees_the_own_cases_as_far_as_their_persons_agreed(guarded: Asked) -> None:
    found = guarded.get("/applications", "lin").json()
    assert [one["customer_id"] for one in found] == [1001, 1002]
    assert found[0]["id_number"].endswith("*" * 15)
    assert found[1]["id_number"].isalnum()
    assert all("****" in one["mobile"] and "personal_status_and_sex" not in one for one in found)
    assert guarded.get("/applications/1001", "lin").json() == found[0]
    assert [one["customer_id"] for one in guarded.get("/export", "lin").json()] == [1001, 1002]
    assert guarded.get("/applications", "chen").json() == []


def test_who_has_no_case_does_not_learn_who_is_a_customer(guarded: Asked) -> None:
    answers = [guarded.get(f"/applications/{number}", "chen") for number in (1002, 1005, 9)]
    assert {answer.status_code for answer in answers} == {403}
    assert {answer.content for answer in answers} == {answers[0].content}
    assert answers[0].json()["rules"] == ["PI-02"]
    assert guarded.get("/applications/1005", "lin").json()["rules"] == ["OP-01"]  # withdrawn: the own case


def test_a_withdrawal_reaches_the_next_request(guarded: Asked) -> None:
    assert guarded.get("/applications/1002", "lin").status_code == 200
    guarded.module.guard.consents.withdraw_subject("1002")
    assert guarded.get("/applications/1002", "lin").json()["rules"] == ["OP-01"]
    assert [one["customer_id"] for one in guarded.get("/applications", "lin").json()] == [1001]


def test_a_form_is_stripped_and_is_the_own(guarded: Asked, copy: Path) -> None:
    assert guarded("POST", "/applications", "customer-1002", json=FORM).status_code == 204
    assert cases(copy, 1002) == ["officer-lin", "officer-lin"]  # foreign_worker did not reach the program
    other = guarded("POST", "/applications", "customer-1002", json={**FORM, "customer_id": 1003})
    assert other.status_code == 403
    assert len(cases(copy, 1003)) == 1
    twice = b'{"customer_id": 1002, "customer_id": 1003}'
    headers = {"content-type": "application/json"}
    assert guarded("POST", "/applications", "customer-1002", content=twice, headers=headers).status_code == 400


def test_what_is_not_about_persons_is_as_it_was(guarded: Asked, plain: Asked) -> None:
    for path, who in (("/branches", None), ("/docs", None), ("/openapi.json", None), ("/nothing", "lin")):
        one, other = guarded.get(path, who), plain.get(path, who)
        assert (one.status_code, one.headers.raw, one.content) == (other.status_code, other.headers.raw, other.content)
    assert guarded.get("/applications").status_code == 401
    assert guarded("PUT", "/applications", "lin").status_code == 405


def test_an_export_of_many_waits_for_another_person_and_leaves_once(guarded: Asked, copy: Path) -> None:
    with closing(sqlite3.connect(copy.parent / "bank" / "bank.db", isolation_level=None)) as database:
        change = "UPDATE loan_case SET officer_id = 'officer-lin', status = 'open' WHERE customer_id < 1100"
        database.execute(change)
    held = guarded.get("/export", "lin")
    assert held.status_code == 202
    assert "" not in held.json()["remedy"]
    review = held.json()["review"]
    quoting = {"guard-review": review}
    assert guarded.get("/export", "lin", headers=quoting).status_code == 202  # nobody has approved it yet
    guarded.module.guard.reviews.approve(review, DPO)
    released = guarded.get("/export", "lin", headers=quoting)
    assert released.status_code == 200
    assert len(released.json()) > 20
    again = guarded.get("/export", "lin", headers=quoting)
    assert again.status_code == 403
    assert again.json()["rules"] == ["GUARD-REVIEW"]


def test_everything_is_in_the_register(guarded: Asked) -> None:
    guarded.get("/applications/1002", "lin")
    guarded.get("/applications/1002", "chen")
    guarded("POST", "/applications", "customer-1002", json=FORM)
    register = guarded.module.guard.register
    entries = [(entry.kind, entry.statement.partition(" ")[0]) for entry in register.entries() if entry.statement]
    assert entries == [
        ("read", "SELECT"),
        ("read", "GET"),
        ("denied", "SELECT"),
        ("intent", "POST"),
        ("intent", "INSERT"),
        ("done", "INSERT"),
        ("done", "POST"),
    ]


def test_it_runs_under_uvicorn(guarded: Asked) -> None:
    config = uvicorn.Config(guarded.module.app, port=0, log_level="error")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        answer = httpx.get(
            f"http://127.0.0.1:{port}/applications/1002", headers={"authorization": "Bearer lin"}, timeout=30
        )
        assert answer.json()["customer_id"] == 1002
    finally:
        server.should_exit = True
        thread.join()
