"""The example bank's application, on both databases, through the lines that guard it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dbapi_bank
import pytest

from guard import Actor, Guard, Refused
from guard.demo import bank as example

HERE = Path(__file__).parent.parent.parent / "examples" / "bank"
MINE = (
    "UPDATE loan_case SET officer_id = 'officer-wu'",
    "UPDATE loan_case SET officer_id = 'officer-lin', status = 'open' WHERE customer_id IN (1001, 1002)",
)


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dbapi_bank.sqlite_bank(tmp_path_factory.mktemp("application") / "bank")


@pytest.fixture(params=["sqlite", "postgres"])
def guard(request: pytest.FixtureRequest, recorded: Path, tmp_path: Path) -> Iterator[Guard]:
    folder = tmp_path / "bank"
    if request.param == "sqlite":
        dbapi_bank.copied(recorded, folder)
        place = str(folder / "bank.db")
    else:
        place = request.getfixturevalue("postgres_url")
        dbapi_bank.postgres_bank(recorded, folder, place)
    with Guard.load(folder / "guard.yaml") as made:
        if request.param == "postgres":
            made.consents.record_many([one for one in example.consents() if one.subject in {"1001", "1002"}])
        dbapi_bank.Bank(request.param, folder, place, made).outside(
            *(text.replace("loan_case", "{s}loan_case") for text in MINE)
        )
        yield made


def test_the_application_is_guarded(guard: Guard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(HERE))
    import app  # type: ignore[import-not-found]  # the example's own folder
    import guarded  # type: ignore[import-not-found]

    made = guarded.sessions(guard)
    with made() as session:
        assert len(app.branches(session)) == 3
        with pytest.raises(Refused, match="GUARD-PURPOSE"):
            app.applicant(session, 1002)
        session.rollback()
        with guard.acting(guarded.OFFICER, purpose="loan_underwriting"):
            cases: list[Any] = app.open_cases(session)
            assert len(cases) == 2
            assert cases[0][2].endswith("*" * 15)
            found = app.applicant(session, 1002)
            assert found is not None
            assert found.id_number == cases[1][2]
            app.record_decision(session, 1002, "granted")
            assert len(app.export(session)) == 2
        with guard.acting(guarded.OFFICER, purpose="loan_underwriting"), pytest.raises(Refused, match="GUARD-WRITE"):
            app.record_decision(session, 1003, "granted")
        session.rollback()
        with guard.acting(Actor(id="officer-x", roles=("loan_officer",), unit="b"), purpose="loan_underwriting"):
            assert app.applicant(session, 1002) is None
            assert app.open_cases(session) == []
    made.kw["bind"].dispose()
    kinds = [entry.kind for entry in guard.register.entries() if entry.kind != "consent"]
    assert kinds.count("intent") == kinds.count("done") == 1
    for name in ("app", "guarded"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_the_commands_of_its_readme_run(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    folder = shutil.copytree(
        HERE, tmp_path / "bank", ignore=shutil.ignore_patterns("*.db", "register*", "__py*", "postgres")
    )

    def ran(*command: str) -> str:
        done = subprocess.run([sys.executable, *command], cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    url, config = ([], []) if kind == "sqlite" else ([request.getfixturevalue("postgres_url")], ["postgres/guard.yaml"])
    assert ran("make.py", *url).strip().endswith("guard.yaml")
    branches, refused, shown = ran("guarded.py", *config).splitlines()
    assert "," in branches
    assert "GUARD-PURPOSE" in refused
    assert "reduced=" in shown
    assert "nothing wrong" in " ".join(ran("-m", "guard.cli", "check", *(config or ["guard.yaml"])).split())
