"""`guard sql`: what it shows of a statement on its way."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import dbapi_bank
import pytest

from guard import Guard
from guard.cli import app
from guard.demo import bank as example
from guard.messages import not_entitled

WHO = ("--actor", "officer-lin", "--role", "loan_officer", "--unit", "branch-3", "--purpose", "loan_underwriting")
ONE = "SELECT full_name, id_number FROM customer WHERE customer_id = 1001"
Output = pytest.CaptureFixture[str]


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dbapi_bank.sqlite_bank(tmp_path_factory.mktemp("cli") / "bank")


@pytest.fixture
def folder(recorded: Path, tmp_path: Path) -> Path:
    return dbapi_bank.copied(recorded, tmp_path / "bank")


@pytest.fixture(params=["sqlite", "postgres"])
def either(request: pytest.FixtureRequest, recorded: Path, tmp_path: Path) -> Path:
    """The bank on one of the two databases."""
    if request.param == "sqlite":
        return dbapi_bank.copied(recorded, tmp_path / "bank")
    made = dbapi_bank.postgres_bank(recorded, tmp_path / "bank", request.getfixturevalue("postgres_url"))
    with Guard.load(made / "guard.yaml") as guard:
        guard.consents.record_many([one for one in example.consents() if one.subject == "1001"])
    return made


def sql(folder: Path, *arguments: str) -> int:
    return app.run(("sql", *arguments, "--config", str(folder / "guard.yaml")))


def test_the_statement_is_shown_before_and_after_with_what_was_decided(either: Path, capsys: Output) -> None:
    assert sql(either, ONE, *WHO, "--show") == 0
    out = capsys.readouterr().out
    before, decided, after = out.index("before"), out.index("decision"), out.index("after")
    assert before < decided < after
    assert "PI-19" in out[decided:after]
    assert "guard_grant" in out[after:]
    assert "1 row, " in out


def test_programs_are_shown_the_same(folder: Path, capsys: Output) -> None:
    assert sql(folder, ONE, *WHO, "--show", "--json") == 0
    shown: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert shown["before"] == ONE
    assert "guard_grant" in shown["sql"]
    assert shown["decision"]["allow"] is True
    assert shown["written"] is None
    assert len(shown["rows"]) == 1


def test_a_write_is_committed_and_counted(either: Path, capsys: Output) -> None:
    raised = "UPDATE customer SET monthly_income = 77 WHERE customer_id = 1001"
    assert sql(either, raised, *WHO, "--show") == 0
    out = capsys.readouterr().out
    assert "RETURNING" in out
    assert "1 row, " in out
    assert sql(either, raised, *WHO, "--json") == 0
    assert json.loads(capsys.readouterr().out)["written"] == 1
    assert sql(either, "SELECT monthly_income FROM customer WHERE customer_id = 1001", *WHO, "--json") == 0
    assert json.loads(capsys.readouterr().out)["rows"] == [[77]]
    assert sql(either, "UPDATE branch SET city = 'Foshan'", *WHO) == 0
    assert "3 rows written" in capsys.readouterr().out
    assert sql(either, "UPDATE customer SET monthly_income = 77 WHERE customer_id = 1003", *WHO) == 3


def test_a_refused_statement_is_shown_without_one_after(folder: Path, capsys: Output) -> None:
    assert sql(folder, "SELECT sqlite_version() FROM customer", *WHO, "--show") == 3
    said = capsys.readouterr()
    assert "before" in said.out
    assert "after" not in said.out
    assert "GUARD-SQL" in said.err


def test_another_url_is_one_of_the_same_database(folder: Path, tmp_path: Path, capsys: Output) -> None:
    (tmp_path / "link.db").symlink_to(folder / "bank.db")
    assert sql(folder, ONE, *WHO, "--database", f"sqlite:///{tmp_path / 'link.db'}") == 0
    assert sql(folder, ONE, *WHO, "--database", f"sqlite:///{tmp_path / 'other.db'}") == 2
    assert "another database" in capsys.readouterr().err


def test_a_delete_names_its_operation(either: Path, capsys: Output) -> None:
    with Guard.load(either / "guard.yaml") as guard:
        guard.consents.withdraw_subject("1001")
    gone = "DELETE FROM application WHERE customer_id = 1001"
    who = ("--actor", "officer-li", "--role", "records_officer", "--unit", "archive", "--purpose", "retention")
    assert sql(either, gone, *who) == 3
    said = capsys.readouterr().err
    assert "GUARD-OPERATION" in said
    assert 'run a DELETE in guard.acting(…, operation="delete")' in " ".join(said.split())
    assert sql(either, gone, *who, "--operation", "delete", "--show") == 0
    assert "1 row, " in capsys.readouterr().out
    assert sql(either, gone, *who, "--operation", "remove") == 2
    assert "is one of collect" in capsys.readouterr().err


def test_the_register_entry_is_named_as_register_show_names_it(folder: Path, capsys: Output) -> None:
    assert sql(folder, ONE, *WHO) == 0
    name = capsys.readouterr().out.split("register entry ")[1].strip()
    assert app.run(("register", "show", "--config", str(folder / "guard.yaml"))) == 0
    assert name in capsys.readouterr().out
    assert sql(folder, ONE, *WHO, "--json") == 0
    outcome = json.loads(capsys.readouterr().out)["outcome"]
    with Guard.load(folder / "guard.yaml") as guard:
        assert [
            one.rows for one in guard.register.entries() if (one.shard, one.seq) == (outcome["shard"], outcome["entry"])
        ] == [1]


@pytest.mark.parametrize(
    ("role", "said"),
    [
        ("loan_oficer", "loan_oficer is not a role that loan_underwriting is for; did you mean loan_officer?"),
        ("marketer", "loan_underwriting is for the roles loan_officer, underwriter, loan_service."),
        (None, "loan_underwriting is for the roles loan_officer, underwriter, loan_service."),
    ],
)
def test_a_role_that_does_not_fit_is_told_which_would(
    folder: Path, capsys: Output, role: str | None, said: str
) -> None:
    who = [*WHO[:2], *WHO[4:], *(() if role is None else ("--role", role))]
    assert sql(folder, ONE, *who) == 3
    assert said in " ".join(capsys.readouterr().err.split())


def test_a_role_that_fits_hears_nothing_of_roles() -> None:
    assert not_entitled("p", ("clerk", "loan_officer"), ("loan_officer",)) is None
    assert not_entitled("p", (), None) is None
