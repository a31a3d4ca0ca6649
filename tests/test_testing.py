"""What a program's own tests use: policies by a function, a register that can be asked."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import guard_dbapi
from guard import testing
from guard.demo import bank
from guard.errors import Misuse, Refused, UnsafeWarning
from guard.model import Activity, Actor
from guard.testing_fixtures import Opens, unsafe_guard

__all__ = ["unsafe_guard"]

OFFICER = Actor(id="officer-lin", roles=("loan_officer",), unit="branch-3")
READ = "SELECT full_name, id_number FROM application WHERE customer_id = 1001"


@pytest.fixture
def documents(tmp_path: Path) -> Iterator[Path]:
    """A program's own documents and its test database."""
    folder = tmp_path / "program"
    yield bank.build(folder)
    assert not (folder / "register").exists(), "the program's own register was written"


def url(documents: Path) -> str:
    return f"sqlite:///{documents.parent / bank.DATABASE}"


def read(guard: testing.UnsafeGuard, sql: str = READ, **context: Any) -> list[Any]:
    connect = guard_dbapi.wrap(sqlite3.connect, guard, dialect="sqlite")
    act = guard.acting(OFFICER, purpose="loan_underwriting", **context)
    with closing(connect(str(guard.settings.database.sqlite_file))) as connection, act:
        return connection.execute(sql).fetchall()


def test_allow_all_shows_everything_and_registers_whom_it_showed(documents: Path, unsafe_guard: Opens) -> None:
    guard = unsafe_guard(documents, database=url(documents))
    ((name, number),) = read(guard)
    assert name
    assert number.isalnum()
    assert len(number) == 18
    entry = guard.registered.require("read", person="1001", actor="officer-lin", purpose="loan_underwriting")
    assert entry.rows == 1
    assert guard.register.verify().ok


def test_a_denial_is_refused_by_its_rules_and_registered(documents: Path, unsafe_guard: Opens) -> None:
    guard = unsafe_guard(documents, database=url(documents), decide=testing.deny("PI-02", "MY-01"))
    with pytest.raises(Refused) as caught:
        read(guard)
    assert set(caught.value.rules) == {"PI-02", "MY-01"}
    assert guard.registered.find("denied", rule="MY-01")
    with pytest.raises(AssertionError, match="there are: "):
        guard.registered.require("read")


def test_a_function_decides_by_the_activity(documents: Path, unsafe_guard: Opens) -> None:
    def masks(activity: Activity) -> dict[str, Any]:
        answer = testing.allow_all(activity)
        for fields in answer["reads"].values():
            if "id_number" in fields:
                fields["id_number"] = {"mask": {"with": "id18", "if": "always"}, "rule": "MY-02"}
        return answer

    guard = unsafe_guard(documents, database=url(documents), decide=masks)
    ((_, number),) = read(guard)
    assert "*" in number


def test_what_a_function_gets_wrong_is_refused_as_of_any_engine(documents: Path, unsafe_guard: Opens) -> None:
    guard = unsafe_guard(documents, database=url(documents), decide=lambda _: {"allow": "yes"})
    with pytest.raises(Refused, match="GUARD-DECISION"):
        read(guard)


def test_it_warns_by_name(documents: Path, tmp_path: Path) -> None:
    opening = testing.unsafe_guard(documents, tmp_path, database=url(documents))
    with pytest.warns(UnsafeWarning, match="nothing is decided by law"), opening:
        pass


def test_without_a_database_it_has_one_of_its_own(documents: Path, unsafe_guard: Opens, tmp_path: Path) -> None:
    guard = unsafe_guard(documents)
    assert guard.settings.database.sqlite_file == tmp_path / "test.db"


def test_no_engine_is_started(documents: Path, unsafe_guard: Opens) -> None:
    guard = unsafe_guard(documents, database=url(documents))
    assert type(guard.active.decider.engine).__module__ == "guard.testing"


def test_the_programs_own_folder_is_misuse(documents: Path) -> None:
    """What a function allowed would stand in the program's register, under its key."""
    for folder in (documents.parent, documents.parent / ".." / documents.parent.name):
        opening = testing.unsafe_guard(documents, folder, database=url(documents))
        with pytest.raises(Misuse, match="folder is the program's own"), pytest.warns(UnsafeWarning), opening:
            pass


def test_the_programs_own_database_is_none_by_default(documents: Path, tmp_path: Path) -> None:
    text = documents.read_text("utf-8")
    documents.write_text(
        text.replace("sqlite:///bank.db", "sqlite:///test.db")
        .replace("directory: register", "directory: own/register")
        .replace("key_file: register.key", "key_file: own/register.key"),
        "utf-8",
    )
    opening = testing.unsafe_guard(documents, documents.parent)
    with pytest.raises(Misuse, match=r"test\.db is the program's own"), pytest.warns(UnsafeWarning), opening:
        pass
