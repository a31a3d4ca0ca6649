"""The tour: four real calls, and exactly which of them change when a policy, a consent or a case does."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from fixtures_opa import Built, Serve

from guard.config import Settings
from guard.demo import tour
from guard.demo.tour import APPLICANT, Step
from guard.engine import bundle, shipped
from guard.facade import Guard
from guard.release import load_bundles

STEPS = ["read-one", "not-my-case", "no-purpose", "read-all"]


def play(settings: Settings, change: Callable[[Guard], None] = lambda _: None) -> dict[str, Step]:
    with tour.open_bank(settings) as guard:
        change(guard)
        with closing(tour.Tour(guard)) as played:
            return {step.step: step for step in played.steps()}


@contextmanager
def database(settings: Settings) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(settings.database.sqlite_file)) as connection, connection:
        yield connection


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.load(tour.make_bank(tmp_path / "bank"))


@pytest.fixture(scope="module")
def unchanged(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Step]:
    return play(Settings.load(tour.make_bank(tmp_path_factory.mktemp("tour") / "bank")))


def seen(step: Step) -> tuple[Any, ...]:
    """All of a step that may not depend on how often it is played."""
    return (step.outcome, step.rules, step.rows, step.detail.sample, step.sql)


def changed(before: dict[str, Step], after: dict[str, Step]) -> list[str]:
    return [name for name in STEPS if seen(before[name]) != seen(after[name])]


def test_the_four_steps(unchanged: dict[str, Step]) -> None:
    assert [(step.step, step.outcome, step.rows) for step in unchanged.values()] == [
        ("read-one", "reduced", 1),
        ("not-my-case", "refused", 0),
        ("no-purpose", "refused", 0),
        ("read-all", "reduced", unchanged["read-all"].rows),
    ]
    assert unchanged["not-my-case"].rules == ("PI-02",)
    assert unchanged["no-purpose"].rules == ("GUARD-PURPOSE",)
    assert {"OP-01", "PI-02", "PI-19"} <= set(unchanged["read-one"].rules)


def test_the_identity_number_is_masked(unchanged: dict[str, Step]) -> None:
    step = unchanged["read-one"]
    (row,) = step.detail.sample
    number = dict(zip(step.detail.columns, row, strict=True))["id_number"]
    assert number[3:] == "*" * 15
    assert number[:3].isdigit()


def test_read_all_is_the_consenting_persons_of_open_cases(unchanged: dict[str, Step], settings: Settings) -> None:
    """Counted by hand from the tables, with nothing of guard's SQL."""
    with tour.open_bank(settings):
        pass
    with database(settings) as raw:
        mine = {
            str(c)
            for (c,) in raw.execute(
                "SELECT customer_id FROM loan_case WHERE officer_id = 'officer-lin' AND status = 'open'"
            )
        }
        frozen = {str(c) for (c,) in raw.execute("SELECT customer_id FROM application WHERE frozen_flag = 1")}
        consenting = {
            subject
            for (subject,) in raw.execute(
                "SELECT subject FROM guard_grant WHERE purpose = 'loan_underwriting' AND withdrawn_at IS NULL"
                " AND valid_until > unixepoch() AND recorder <> 'officer-lin'"
            )
        }
    expected = (mine - frozen) & consenting
    assert 0 < len(expected) < len(mine)
    step = unchanged["read-all"]
    assert step.rows == len(expected)
    column = step.detail.columns.index("customer_id")
    assert {str(row[column]) for row in step.detail.sample} <= expected


def test_the_columns_a_lender_may_not_use_are_not_there(unchanged: dict[str, Step]) -> None:
    assert not {"personal_status_and_sex", "foreign_worker"} & set(unchanged["read-all"].detail.columns)


def test_every_step_is_registered(settings: Settings) -> None:
    with tour.open_bank(settings) as guard, closing(tour.Tour(guard)) as played:
        steps = list(played.steps())
        entries = {entry.seq: entry for entry in guard.register.entries()}
        assert guard.register.verify().ok
    assert [entries[step.detail.entry].kind for step in steps] == ["read", "denied", "denied", "read"]
    read_all = entries[steps[3].detail.entry]
    assert read_all.persons is not None
    assert read_all.persons.count == steps[3].rows


def test_one_datum_of_the_policy(
    unchanged: dict[str, Step], settings: Settings, tmp_path: Path, built: Callable[[Path, str], Built]
) -> None:
    """Identity numbers get no mask: they are dropped where they were masked, and nothing else changes."""
    policy = tmp_path / "floor"
    shutil.copytree(shipped.sources("floor"), policy)
    data = json.loads((policy / "data.json").read_text("utf-8"))
    assert data["categories"]["identity_number"].pop("mask") == "id18"
    (policy / "data.json").write_text(json.dumps(data, ensure_ascii=False), "utf-8")
    path = tmp_path / "floor.wasm.tar.gz"
    path.write_bytes(built(policy, "floor").wasm.raw)
    layers = settings.layers.model_copy(update={"floor": path})
    after = play(settings.model_copy(update={"layers": layers}))
    assert changed(unchanged, after) == ["read-one", "not-my-case", "read-all"]
    assert after["read-one"].detail.sample[0][1] is None
    # The colleague is still refused, for the same reason: only the statement that found nothing differs.
    assert seen(after["not-my-case"])[:4] == seen(unchanged["not-my-case"])[:4]


def test_one_consent(unchanged: dict[str, Step], settings: Settings) -> None:
    """The applicant withdraws: the officer is refused, and sees one person less."""
    after = play(settings, lambda guard: guard.consents.withdraw_subject(APPLICANT))
    assert changed(unchanged, after) == ["read-one", "read-all"]
    assert (after["read-one"].outcome, after["read-one"].rules) == ("refused", ("OP-01",))
    assert after["read-all"].rows == unchanged["read-all"].rows - 1


def test_one_case(unchanged: dict[str, Step], settings: Settings) -> None:
    """The case goes to the colleague: who was let in is refused, and the other way round."""

    def assign(_: Guard) -> None:
        with database(settings) as raw:
            raw.execute("UPDATE loan_case SET officer_id = 'officer-chen' WHERE customer_id = ?", (int(APPLICANT),))

    after = play(settings, assign)
    assert changed(unchanged, after) == ["read-one", "not-my-case", "read-all"]
    assert (after["read-one"].outcome, after["read-one"].rules) == ("refused", ("PI-02",))
    assert (after["not-my-case"].outcome, after["not-my-case"].rows) == ("reduced", 1)
    assert after["read-all"].rows == unchanged["read-all"].rows - 1


def test_the_same_on_an_opa_server(unchanged: dict[str, Step], settings: Settings, serve: Serve) -> None:
    bundles = {f"{one.layer}.tar.gz": bundle.rego_form(one) for one in load_bundles(settings)}
    running = serve(bundles)
    engine = {"kind": "server", "url": running.url, "token_file": str(running.token_file)}
    document = Settings.model_validate(
        {**settings.model_dump(mode="json", by_alias=True), "engine": engine}, context={"folder": settings.file.parent}
    )
    after = play(document)
    assert document.engine.kind == "server"
    assert changed(unchanged, after) == []


# --- The command ----------------------------------------------------------------------------------


def test_the_command_prints_one_object_a_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "guard.cli", "demo", "--once", "--json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    steps = [json.loads(line) for line in done.stdout.splitlines()]
    assert [step["step"] for step in steps] == STEPS
    for step in steps:
        assert set(step) == {"step", "operation", "outcome", "rules", "rows", "sql", "detail"}
    assert list(tmp_path.iterdir()) == []


def test_the_demo_touches_no_folder_that_holds_something(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("x")
    command = [sys.executable, "-m", "guard.cli", "demo", "--once", "--folder", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "not an empty folder" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_the_example_layer_of_the_institution_tightens(
    unchanged: dict[str, Step], settings: Settings, tmp_path: Path, built: Callable[[Path, str], Built]
) -> None:
    """The house rule hides employment from loan officers, and changes nothing else."""
    layer = Path(__file__).parent.parent / "examples" / "bank" / "institution"
    path = tmp_path / "institution.wasm.tar.gz"
    path.write_bytes(built(layer, "institution").wasm.raw)
    layers = settings.layers.model_copy(update={"institution": path})
    after = play(settings.model_copy(update={"layers": layers}))
    gone = set(unchanged["read-all"].detail.columns) - set(after["read-all"].detail.columns)
    assert gone == {"present_employment_since", "job"}
    assert after["read-all"].rows == unchanged["read-all"].rows
    assert [after[name].outcome for name in STEPS] == [unchanged[name].outcome for name in STEPS]
