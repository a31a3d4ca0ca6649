"""The tour: real calls, the same outcomes on every engine and database, and exactly which of them change when a
policy, a consent or a case does."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from fixtures_opa import Built, Serve

from guard.config import Settings
from guard.demo import places, tour
from guard.demo.tour import APPLICANT, STEPS, Disagreement, Step, reading, registered
from guard.facade import Guard
from guard_asgi import incoming
from guard_engine import bundle, shipped
from guard_engine.releases import load_bundles
from guard_ledger.ledger import Ledger
from guard_register.entry import Entry
from guard_register.register import Register
from guard_register.verify import Report

ISSUE = (
    *("read-one", "not-my-case", "no-purpose", "read-all", "aggregate", "join", "withdraw"),
    *("consent-lifetime", "consent-forced", "consent-bundled", "collect-extra-field", "forbidden-category"),
    *("export-held", "export-self-approved", "export-released", "export-again"),
    *("register-verified", "register-tampered"),
)

READ = ("OP-01", "PI-02", "PI-05", "PI-10", "OP-08")
SENSITIVE = ("OP-01", "PI-02", "PI-05", "PI-10", "PI-19", "OP-08")
EXPECTED: dict[str, tuple[str, tuple[str, ...]]] = {
    "read-one": ("reduced", SENSITIVE),
    "not-my-case": ("refused", ("PI-02",)),
    "no-purpose": ("refused", ("GUARD-PURPOSE",)),
    "read-all": ("reduced", SENSITIVE),
    "aggregate": ("reduced", READ),
    "join": ("reduced", SENSITIVE),
    "withdraw": ("reduced", SENSITIVE),
    "consent-lifetime": ("refused", ("OP-03",)),
    "consent-forced": ("refused", ("OP-02",)),
    "consent-bundled": ("refused", ("OP-02",)),
    "collect-extra-field": ("reduced", ("OP-01", "PI-05", "PI-19", "PI-01")),
    "forbidden-category": ("refused", ("CR-02",)),
    "export-held": ("held", ("OP-08",)),
    "export-self-approved": ("refused", ("GUARD-APPROVER",)),
    "export-released": ("reduced", ("OP-01", "PI-05", "PI-10", "OP-08")),
    "export-again": ("refused", ("GUARD-REVIEW",)),
    "register-verified": ("allowed", ()),
    "register-tampered": ("detected", ()),
}


hand_on = incoming.hand_on


class Both(msgspec.Struct, frozen=True):
    """The settings of bank and agency."""

    bank: Settings
    agency: Settings


def made(folder: Path, database: str | None = None) -> Both:
    place = places.make(folder, database)
    return Both(Settings.load(place.bank), Settings.load(place.agency))


@contextmanager
def opened(both: Both) -> Iterator[tuple[Guard, tour.Tour]]:
    with (
        tour.open_bank(both.bank) as bank,
        tour.open_agency(both.agency) as agency,
        closing(tour.Tour(bank, agency)) as played,
    ):
        yield bank, played


def play(both: Both, change: Callable[[Guard], object] = lambda _: None) -> dict[str, Step]:
    with opened(both) as (bank, played):
        change(bank)
        return {step.step: step for step in played.steps()}


@contextmanager
def database(both: Both) -> Iterator[sqlite3.Connection]:
    file = both.bank.database.sqlite_file
    assert file is not None
    with closing(sqlite3.connect(file)) as connection, connection:
        yield connection


@pytest.fixture
def both(tmp_path: Path) -> Both:
    return made(tmp_path / "demo")


@pytest.fixture(scope="module")
def unchanged(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Step]:
    return play(made(tmp_path_factory.mktemp("tour") / "demo"))


def seen(step: Step) -> tuple[Any, ...]:
    """All of a step that may not depend on how often it is played."""
    return (step.outcome, step.rules, step.rows, step.detail.sample, step.sql)


def changed(before: dict[str, Step], after: dict[str, Step]) -> list[str]:
    return [name for name in STEPS if seen(before[name]) != seen(after[name])]


# --- What comes of each ----------------------------------------------------------------------------


def test_the_steps_have_the_names_that_were_promised_in_their_order() -> None:
    assert STEPS == ISSUE


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
@pytest.mark.parametrize("engine", ["embedded", "server"])
def test_outcomes_and_rules_are_the_same_everywhere(
    kind: str, engine: str, tmp_path: Path, unchanged: dict[str, Step], request: pytest.FixtureRequest
) -> None:
    both = made(tmp_path / "demo", request.getfixturevalue("postgres_url") if kind == "postgres" else None)
    if engine == "server":
        serve = request.getfixturevalue("serve")
        both = Both(served(both.bank, serve), served(both.agency, serve))
    assert both.bank.database.dialect == kind
    assert both.bank.engine.kind == engine
    after = play(both)
    assert {name: (step.outcome, step.rules) for name, step in after.items()} == EXPECTED
    assert list(after) == list(EXPECTED) == list(STEPS)
    assert {name: step.rows for name, step in after.items()} == {name: step.rows for name, step in unchanged.items()}


def served(settings: Settings, serve: Serve) -> Settings:
    """The same settings, decided by an OPA server of their own."""
    bundles = {f"{one.layer}.tar.gz": bundle.rego_form(one) for one in load_bundles(settings)}
    running = serve(bundles)
    engine = {"kind": "server", "url": running.url, "token_file": str(running.token_file)}
    return Settings.model_validate(
        {**settings.model_dump(mode="json", by_alias=True), "engine": engine}, context={"folder": settings.file.parent}
    )


def test_the_identity_number_is_masked(unchanged: dict[str, Step]) -> None:
    step = unchanged["read-one"]
    (row,) = step.detail.sample
    number = dict(zip(step.detail.columns, row, strict=True))["id_number"]
    assert number[3:] == "*" * 15
    assert number[:3].isdigit()


def consenting(raw: sqlite3.Connection, purpose: str, actor: str) -> set[str]:
    """Who has a live grant, counted by hand from the tables, with nothing of guard's SQL."""
    frozen = {str(one) for (one,) in raw.execute("SELECT customer_id FROM customer WHERE frozen_flag = 1")}
    granted = raw.execute(
        "SELECT subject FROM guard_grant WHERE purpose = ? AND withdrawn_at IS NULL AND valid_until > unixepoch()"
        " AND recorder <> ?",
        (purpose, actor),
    )
    return {subject for (subject,) in granted} - frozen


def test_read_all_is_the_consenting_persons_of_open_cases(unchanged: dict[str, Step], both: Both) -> None:
    with opened(both):
        pass
    with database(both) as raw:
        asked = "SELECT customer_id FROM loan_case WHERE officer_id = 'officer-lin' AND status = 'open'"
        mine = {str(one) for (one,) in raw.execute(asked)}
        expected = mine & consenting(raw, "loan_underwriting", "officer-lin")
        marketed = consenting(raw, "marketing", "marketer-fang")
        amount = sum(
            amount
            for key, amount in raw.execute("SELECT customer_id, credit_amount FROM application")
            if str(key) in expected
        )
    assert 0 < len(expected) < len(mine)
    step = unchanged["read-all"]
    assert step.rows == len(expected) == unchanged["join"].rows == unchanged["aggregate"].detail.found["applications"]
    assert unchanged["aggregate"].detail.found["amount"] == amount
    assert unchanged["withdraw"].rows == len(expected) - 1
    assert unchanged["export-released"].rows == len(marketed) > 20
    column = step.detail.columns.index("customer_id")
    assert {str(row[column]) for row in step.detail.sample} <= expected


def test_the_columns_a_lender_may_not_use_are_not_there(unchanged: dict[str, Step]) -> None:
    assert not {"personal_status_and_sex", "foreign_worker"} & set(unchanged["read-all"].detail.columns)


def test_who_withdrew_is_seen_before_and_not_after(unchanged: dict[str, Step]) -> None:
    found = unchanged["withdraw"].detail.found
    assert (found["before"], found["after"]) == (unchanged["read-all"].rows, unchanged["withdraw"].rows)
    column = unchanged["read-all"].detail.columns.index("customer_id")
    before, after = ({str(row[column]) for row in unchanged[name].detail.sample} for name in ("read-all", "withdraw"))
    assert found["withdrawn"] in before - after


def test_the_form_reaches_the_program_without_what_the_loan_does_not_need(unchanged: dict[str, Step]) -> None:
    found = unchanged["collect-extra-field"].detail.found
    assert set(found["sent"]) - set(found["arrived"]) == {"foreign_worker", "religion", "wechat_contacts"}
    assert {"customer_id", "monthly_income", "credit_amount"} <= set(found["arrived"])
    assert (found["uncatalogued"], found["status"]) == (2, 204)


def test_every_step_is_registered(both: Both) -> None:
    with opened(both) as (bank, played):
        steps = {step.step: step for step in played.steps()}
        entries = {entry.seq: entry for entry in bank.register.entries()}
        assert bank.register.verify().ok
        named = steps["register-verified"].detail.found["steps"]
    assert list(named) == list(STEPS[:-2])
    kinds = {name: [entries[seq].kind for seq in of] for name, of in named.items() if name != "forbidden-category"}
    denied = ["not-my-case", "no-purpose", "export-self-approved", "export-again"]
    assert kinds == {
        **{name: ["read"] for name in ("read-one", "read-all", "aggregate", "join")},
        "withdraw": ["consent", "read"],
        **{name: ["denied"] for name in denied},
        **{f"consent-{name}": ["consent"] for name in ("lifetime", "forced", "bundled")},
        "collect-extra-field": ["intent"],
        "export-held": ["held"],
        "export-released": ["approved", "read"],
    }
    read_all = entries[named["read-all"][0]]
    assert read_all.persons is not None
    assert read_all.persons.count == steps["read-all"].rows
    for name in (*denied, "consent-lifetime", "export-held"):
        decided = entries[named[name][0]].decision
        assert decided is not None
        assert set(steps[name].rules) <= set(decided.rules)
        assert steps[name].detail.entry == named[name][0]
        assert steps[name].detail.shard == entries[named[name][0]].shard


# --- One thing changed ------------------------------------------------------------------------------


@pytest.fixture
def floor_with(
    both: Both, tmp_path: Path, built: Callable[[Path, str], Built]
) -> Callable[[Callable[[dict[str, Any]], None]], Both]:
    """The bank on a floor in which one datum is another."""

    def change(datum: Callable[[dict[str, Any]], None]) -> Both:
        policy = tmp_path / "floor"
        shutil.copytree(shipped.sources("floor"), policy)
        data = json.loads((policy / "data.json").read_text("utf-8"))
        datum(data)
        (policy / "data.json").write_text(json.dumps(data, ensure_ascii=False), "utf-8")
        path = tmp_path / "floor.wasm.tar.gz"
        path.write_bytes(built(policy, "floor").wasm.raw)
        layers = both.bank.layers.model_copy(update={"floor": path})
        return msgspec.structs.replace(both, bank=both.bank.model_copy(update={"layers": layers}))

    return change


def test_one_datum_of_the_policy_the_mask(unchanged: dict[str, Step], floor_with: Any) -> None:
    """Identity numbers get no mask: they are dropped where they were masked, and nothing else changes."""

    def unmask(data: dict[str, Any]) -> None:
        assert data["categories"]["identity_number"].pop("mask") == "id18"

    after = play(floor_with(unmask))
    assert changed(unchanged, after) == ["read-one", "not-my-case", "read-all", "withdraw"]
    assert after["read-one"].detail.sample[0][1] is None
    # The colleague is still refused, for the same reason: only the statement that found nothing differs.
    assert seen(after["not-my-case"])[:4] == seen(unchanged["not-my-case"])[:4]


def test_one_datum_of_the_policy_the_size_of_a_bulk_export(unchanged: dict[str, Step], floor_with: Any) -> None:
    """With reviews only above 200 persons the export is released at once, as often as one likes."""

    def raise_(data: dict[str, Any]) -> None:
        assert data["parameters"]["review_above"] == 20
        data["parameters"]["review_above"] = 200

    after = play(floor_with(raise_))
    assert changed(unchanged, after) == ["export-held", "export-self-approved", "export-again"]
    assert after["export-held"].outcome == after["export-again"].outcome == "reduced"
    assert after["export-self-approved"].rules == ("GUARD-REVIEW",)


def test_one_datum_of_the_policy_what_is_held_at_all(unchanged: dict[str, Step], floor_with: Any) -> None:
    """With reviews above 10 persons what the officer does on all applications is held, and nobody approves it."""

    def lower(data: dict[str, Any]) -> None:
        data["parameters"]["review_above"] = 10

    after = play(floor_with(lower))
    assert changed(unchanged, after) == ["read-all", "aggregate", "join", "withdraw"]
    assert {after[name].outcome for name in ("read-all", "aggregate", "join", "withdraw")} == {"held"}


def test_one_datum_of_the_policy_how_long_a_consent_may_last(unchanged: dict[str, Step], floor_with: Any) -> None:
    """Consents to last ten days at most: nobody's counts any more, so nobody is seen."""

    def shorten(data: dict[str, Any]) -> None:
        assert data["parameters"]["max_consent_ttl"] == 366
        data["parameters"]["max_consent_ttl"] = 10

    after = play(floor_with(shorten))
    reads = ["read-one", "read-all", "aggregate", "join", "withdraw", "collect-extra-field"]
    exports = ["export-held", "export-self-approved", "export-released", "export-again"]
    assert changed(unchanged, after) == reads + exports
    assert after["read-one"].rules == ("OP-01",)
    assert {after[name].rows for name in (*reads, *exports) if name != "aggregate"} == {0}


def test_one_consent(unchanged: dict[str, Step], both: Both) -> None:
    """The applicant withdraws: the officer is refused, and sees one person less everywhere."""
    after = play(both, lambda guard: guard.consents.withdraw_subject(APPLICANT))
    form = "collect-extra-field"
    assert changed(unchanged, after) == ["read-one", "read-all", "aggregate", "join", "withdraw", form]
    assert (after[form].outcome, after[form].rules) == ("refused", ("OP-01", "PI-05", "PI-19"))
    assert (after["read-one"].outcome, after["read-one"].rules) == ("refused", ("OP-01",))
    for name in ("read-all", "join", "withdraw"):
        assert after[name].rows == unchanged[name].rows - 1


def test_one_case(unchanged: dict[str, Step], both: Both) -> None:
    """The case goes to the colleague: who was let in is refused, and the other way round."""

    def assign(_: Guard) -> None:
        with database(both) as raw:
            raw.execute("UPDATE loan_case SET officer_id = 'officer-chen' WHERE customer_id = ?", (int(APPLICANT),))

    after = play(both, assign)
    assert changed(unchanged, after) == ["read-one", "not-my-case", "read-all", "aggregate", "join", "withdraw"]
    assert (after["read-one"].outcome, after["read-one"].rules) == ("refused", ("PI-02",))
    assert (after["not-my-case"].outcome, after["not-my-case"].rows) == ("reduced", 1)
    assert after["read-all"].rows == unchanged["read-all"].rows - 1


def test_the_example_layer_of_the_institution_tightens(
    unchanged: dict[str, Step], both: Both, tmp_path: Path, built: Callable[[Path, str], Built]
) -> None:
    """The house rule hides employment from loan officers, and changes nothing else."""
    layer = Path(__file__).parent.parent / "examples" / "bank" / "institution"
    path = tmp_path / "institution.wasm.tar.gz"
    path.write_bytes(built(layer, "institution").wasm.raw)
    layers = both.bank.layers.model_copy(update={"institution": path})
    after = play(msgspec.structs.replace(both, bank=both.bank.model_copy(update={"layers": layers})))
    gone = set(unchanged["read-all"].detail.columns) - set(after["read-all"].detail.columns)
    assert gone == {"present_employment_since", "job"}
    assert after["read-all"].rows == unchanged["read-all"].rows
    assert {name: step.outcome for name, step in after.items()} == {
        name: step.outcome for name, step in unchanged.items()
    }


# --- A guard that does not do what it says -----------------------------------------------------------


@pytest.mark.parametrize("name", ["AGGREGATE", "JOIN"])
def test_what_does_not_agree_with_the_rows_ends_the_tour(
    name: str, both: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    text: str = getattr(reading, name)
    monkeypatch.setattr(reading, name, re.sub(" (GROUP|ORDER) BY", r" WHERE credit_amount > 2000 \1 BY", text, count=1))
    with pytest.raises(Disagreement, match=name.lower()):
        play(both)


def test_a_withdrawal_that_does_nothing_ends_the_tour(both: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Ledger, "withdraw_subject", lambda *_, **__: 0)
    with pytest.raises(Disagreement, match="withdraw"):
        play(both)


@pytest.mark.parametrize("kind", ["read", "denied", "held", "approved", "consent", "intent"])
def test_a_step_that_is_not_registered_ends_the_tour(kind: str, both: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    entries = Register.entries

    def forgets(register: Register) -> Iterator[Entry]:
        return (entry for entry in entries(register) if entry.kind != kind)

    monkeypatch.setattr(Register, "entries", forgets)
    with pytest.raises(Disagreement, match=f"no entry of kind {kind}"):
        play(both)


def test_a_form_that_arrives_whole_ends_the_tour(both: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    """The guard stands there, decides and registers, and hands on the body as it came."""
    monkeypatch.setattr(incoming, "hand_on", lambda scope, receive, came, goes: hand_on(scope, receive, came, came))
    with pytest.raises(Disagreement, match="collect-extra-field"):
        play(both)


def test_a_change_that_is_not_found_ends_the_tour(both: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registered, "verify", lambda _: Report(shards=(), problems=()))
    with pytest.raises(Disagreement, match="register-tampered"):
        play(both)


# --- The command ----------------------------------------------------------------------------------


def demo(*options: str, folder: Path, columns: int = 80) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "guard.cli", "demo", "--once", *options]
    environment = {**os.environ, "COLUMNS": str(columns), "PYTHONIOENCODING": "utf-8"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_the_command_prints_one_object_a_line(tmp_path: Path) -> None:
    done = demo("--json", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    steps = [json.loads(line) for line in done.stdout.splitlines()]
    assert [step["step"] for step in steps] == list(STEPS)
    for step in steps:
        assert set(step) == {"step", "operation", "outcome", "rules", "rows", "sql", "detail"}
        assert step["outcome"] in {"allowed", "reduced", "refused", "held", "detected"}
        assert step["sql"] is None or set(step["sql"]) == {"before", "after"}
        assert all(rule in step["detail"]["clauses"] for rule in step["rules"])
    assert list(tmp_path.iterdir()) == []


def test_the_command_takes_a_database_and_an_opa_server(
    tmp_path: Path, both: Both, serve: Serve, postgres_urls: Callable[[], str]
) -> None:
    """Twice on the same database: what the demo made there it may make again."""
    engine = served(both.bank, serve).engine
    assert engine.kind == "server"
    url = postgres_urls()
    options = ("--json", "--opa", engine.url, "--opa-token-file", str(engine.token_file), "--database", url)
    for _ in range(2):
        done = demo(*options, folder=tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
        steps = [json.loads(line) for line in done.stdout.splitlines()]
        assert {step["step"]: (step["outcome"], tuple(step["rules"])) for step in steps} == EXPECTED


def test_people_read_title_who_statement_outcome_and_rules_in_this_order(tmp_path: Path) -> None:
    done = demo(folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    parts = (
        "A loan officer reads the application of an open case ─",
        "officer-lin (loan_officer, branch-3), purpose loan_underwriting, person 1001",
        "wrote SELECT full_name, id_number",
        "ran   SELECT full_name, id_number",
        "REDUCED  1 row, register entry ",
        "PI-19  Personal Information Protection Law",
        "445***************",
        "A colleague without that case ─",
    )
    places_of = [done.stdout.find(part) for part in parts]
    assert -1 not in places_of
    assert places_of == sorted(places_of)
    assert not re.search(r"\d{17}[\dX]", done.stdout), "no identity number is repeated whole"
    assert all(len(line) <= 80 for line in done.stdout.splitlines())


def test_the_demo_keeps_both_holders_in_an_empty_folder_if_asked(tmp_path: Path) -> None:
    done = demo("--folder", "kept", folder=tmp_path, columns=300)
    assert done.returncode == 0
    assert sorted(path.name for path in (tmp_path / "kept").iterdir()) == ["agency", "bank"]
    with Guard.load(tmp_path / "kept" / "bank" / "guard.yaml") as guard:
        assert guard.register.verify().ok


def test_the_bank_is_served_until_it_is_interrupted(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "guard.cli", "demo", "--json", "--port", "0"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        try:
            assert running.stdout is not None
            assert running.stderr is not None
            steps = [json.loads(running.stdout.readline())["step"] for _ in STEPS]
            address = next(word for line in running.stderr for word in line.split() if word.startswith("http"))
            with urllib.request.urlopen(f"{address}bank/branches", timeout=30) as answer:
                assert len(json.load(answer)) == 3
        finally:
            running.send_signal(signal.SIGINT)
        assert running.wait(30) == 0
    assert steps == list(STEPS)


def test_a_port_in_use_is_told_before_the_tour(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as bound:
        port = str(bound.getsockname()[1])
        command = [sys.executable, "-m", "guard.cli", "demo", "--port", port, "--folder", "kept"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert f"Port {port} of 127.0.0.1 cannot be used; name another with --port." in " ".join(done.stderr.split())
    assert done.stdout == ""
    assert list(tmp_path.iterdir()) == []


def test_the_demo_touches_no_folder_that_holds_something(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("x")
    done = demo("--folder", str(tmp_path), folder=tmp_path)
    assert done.returncode == 2
    assert "not an empty folder" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
