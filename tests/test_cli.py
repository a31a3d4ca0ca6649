"""The command line: what it prints, and what its exit code says."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fixtures_opa import Serve
from rich.console import Console

from guard.cli import app, show
from guard.cli import tour as tour_lines
from guard.config import Settings
from guard.demo import examples, tour
from guard_engine import bundle, shipped
from guard_engine.releases import load_bundles
from guard_register import reader

Output = pytest.CaptureFixture[str]


def guard(*arguments: str) -> int:
    return app.run(arguments)


def lines(output: Output) -> list[dict[str, object]]:
    return [json.loads(line) for line in output.readouterr().out.splitlines()]


# --- decide ---------------------------------------------------------------------------------------


def test_an_allowed_activity_exits_0(capsys: Output) -> None:
    assert guard("decide", "--example", "officer-reads-application") == 0
    assert capsys.readouterr().out.startswith("ALLOWED")


def test_a_denied_activity_exits_3_and_names_the_smallest_lawful_change(capsys: Output) -> None:
    assert guard("decide", "--example", "officer-claims-legitimate-interest") == 3
    out = capsys.readouterr().out
    assert out.startswith("DENIED")
    assert "PI-03" in out
    assert "smallest lawful change" in out


@pytest.mark.parametrize(("lang", "said"), [("en", "loan_underwriting is for the roles"), ("zh", "适用的角色：")])
def test_a_denied_activity_of_a_role_that_does_not_fit_names_those_that_do(
    capsys: Output, lang: str, said: str
) -> None:
    assert guard("decide", "--example", "colleague-without-role", "--lang", lang) == 3
    out = capsys.readouterr().out
    assert said in out
    assert "loan_officer, underwriter" in out


def test_explain_says_rows_fields_and_clauses(capsys: Output) -> None:
    assert guard("decide", "--example", "officer-reads-application", "--explain") == 0
    out = " ".join(capsys.readouterr().out.split())
    for part in ("PI-19", "28, 29, 30", "assigned_case", "masked with id18", "data_protection_officer"):
        assert part in out


def test_explain_in_chinese(capsys: Output) -> None:
    assert guard("decide", "--example", "officer-reads-application", "--explain", "--lang", "zh") == 0
    out = capsys.readouterr().out
    assert out.startswith("允许")
    assert "《个人信息保护法》" in "".join(out.split())
    assert "Personal Information" not in out


def test_json_is_the_decision_and_its_explanation(capsys: Output) -> None:
    assert guard("decide", "--example", "officer-reads-application", "--explain", "--json") == 0
    (line,) = lines(capsys)
    assert set(line) == {"decision", "explanation"}


@pytest.mark.parametrize("name", ["consent-general", "consent-for-life"])
def test_a_consent_record_gets_a_verdict(name: str, capsys: Output) -> None:
    valid = name == "consent-general"
    assert guard("decide", "--example", name) == (0 if valid else 3)
    assert capsys.readouterr().out.startswith("VALID" if valid else "INVALID")


@pytest.mark.parametrize(
    ("name", "said", "zh"),
    [
        ("consent-for-life", "Give it an end that is still to come (expires_at)", "须写明尚未届满的期限"),
        ("consent-bundled", "Ask for each purpose by itself", "各项目的须分别征求同意"),
        ("consent-ticked-in-advance", "Leave the box for the person to tick", "选项不得预先勾选"),
    ],
)
def test_a_void_consent_is_told_what_to_change(name: str, said: str, zh: str, capsys: Output) -> None:
    for lang, words in (("en", said), ("zh", zh)):
        assert guard("decide", "--example", name, "--lang", lang) == 3
        assert words in " ".join(capsys.readouterr().out.split())


def test_any_file_in_place_of_an_example(tmp_path: Path, capsys: Output) -> None:
    found = examples.find("officer-reads-application")
    assert found is not None
    copy = tmp_path / "mine.json"
    shutil.copy(found.activity, copy)
    assert guard("decide", str(copy), "--config", str(found.config), "--json") == 0
    assert lines(capsys)[0]["decision"]["allow"] is True  # type: ignore[index]


@pytest.mark.parametrize(
    ("text", "word", "code"),
    [(b"{", "JSON", 2), (b"[]", "object", 2), (b'{"id": "0", "id": "0"}', "repeats", 2), (b"{}", "missing", 3)],
)
def test_a_file_that_is_no_activity(text: bytes, word: str, code: int, tmp_path: Path, capsys: Output) -> None:
    (tmp_path / "bad.json").write_bytes(text)
    assert guard("decide", str(tmp_path / "bad.json"), "--config", str(examples.HOLDERS["bank"])) == code
    error = capsys.readouterr().err
    assert word in error
    assert "bad.json" in error or "GUARD-ACTIVITY" in error


def test_an_opa_server_gives_the_same_answers(serve: Serve, capsys: Output) -> None:
    for holder, config in examples.HOLDERS.items():
        running = serve({f"{one.layer}.tar.gz": bundle.rego_form(one) for one in load_bundles(Settings.load(config))})
        for one in (one for one in examples.every() if one.holder == holder):
            here = guard("decide", "--example", one.name, "--json"), lines(capsys)
            server = ("--opa", running.url, "--opa-token-file", str(running.token_file))
            there = guard("decide", "--example", one.name, "--json", *server), lines(capsys)
            assert here == there, one.name


# --- misuse and crash -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("nonsense",), "nonsense"),
        (("decide",), "one of them"),
        (("decide", "--example", "no-such"), "lists them"),
        (("decide", "no-such.json"), "cannot be read"),
        (("decide", "--example", "officer-reads-application", "--lang", "fr"), "en or zh"),
        (("decide", "--example", "officer-reads-application", "--config", "none.yaml"), "There is no none.yaml"),
        (("check", "none.yaml"), "There is no none.yaml"),
        (("check", "--example", "shop"), "bank"),
        (("demo", "--opa-token-file", "x"), "--opa"),
    ],
)
def test_misuse_exits_2_and_says_what_to_do(arguments: tuple[str, ...], word: str, capsys: Output) -> None:
    assert guard(*arguments) == 2
    assert word in " ".join(capsys.readouterr().err.replace("│", " ").split())


def test_a_crash_exits_70_and_shows_no_trace(monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
    def crash(*_: object) -> None:
        raise ZeroDivisionError("secret value 42")

    monkeypatch.setattr("guard.cli.decide.releases.load", crash)
    assert guard("decide", "--example", "officer-reads-application") == 70
    captured = capsys.readouterr()
    assert "ZeroDivisionError" in captured.err
    assert "secret" not in captured.out + captured.err


def test_an_engine_that_cannot_be_reached_is_a_denial(capsys: Output, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t")
    arguments = ("--opa", "http://127.0.0.1:9", "--opa-token-file", str(tmp_path / "token"))
    assert guard("decide", "--example", "officer-reads-application", *arguments) == 3
    assert "GUARD-ENGINE-STOPPED" in capsys.readouterr().err


# --- check ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("holder", ["bank", "agency"])
def test_nothing_is_wrong_with_the_examples(holder: str, capsys: Output) -> None:
    assert guard("check", "--example", holder) == 0
    captured = capsys.readouterr()
    assert "nothing wrong" in captured.out
    assert captured.err == ""


def test_what_is_wrong_has_file_line_and_remedy(tmp_path: Path, capsys: Output) -> None:
    config = tour.make_bank(tmp_path / "bank")
    text = config.read_text("utf-8").replace("kind: embedded", "kind: magical")
    config.write_text(text, "utf-8")
    line = next(number for number, part in enumerate(text.splitlines(), 1) if "magical" in part)
    assert guard("check", str(config)) == 1
    error = capsys.readouterr().err
    assert f"{config}:{line}" in error
    assert "→" in error
    assert guard("check", str(config), "--json") == 1
    (problem,) = [one for one in lines(capsys) if one["level"] == "error"]
    assert (problem["file"], problem["line"]) == (str(config), line)


# --- policy, opa ----------------------------------------------------------------------------------


def test_policy_commands_on_the_shipped_floor(opa_program: Path, tmp_path: Path, capsys: Output) -> None:
    floor = str(shipped.sources("floor"))
    opa = ("--opa", str(opa_program))
    assert guard("policy", "lint", floor, *opa) == 0
    assert guard("policy", "build", floor, "--to", str(tmp_path), *opa, "--json") == 0
    assert (tmp_path / "floor.wasm.tar.gz").read_bytes() == shipped.wasm("floor").read_bytes()
    assert bundle.read(tmp_path / "floor.rego.tar.gz").digest == bundle.read(shipped.wasm("floor")).digest
    capsys.readouterr()
    assert guard("policy", "test", floor, *opa, "--json") == 0
    (report,) = lines(capsys)
    assert report["ok"] is True


def test_a_failing_policy_test_exits_1(opa_program: Path, tmp_path: Path, capsys: Output) -> None:
    layer = tmp_path / "institution"
    layer.mkdir()
    (layer / "a.rego").write_text("package guard.institution\n\ndecision := []\n\nconsent := []\n")
    (layer / "a_test.rego").write_text("package guard.institution_test\n\ntest_it if false\n")
    assert guard("policy", "test", str(layer), "--opa", str(opa_program)) == 1
    assert "FAIL" in capsys.readouterr().err


def test_opa_bundles_are_what_a_server_loads(tmp_path: Path, capsys: Output) -> None:
    config = tour.make_bank(tmp_path / "bank")
    assert guard("opa", "bundles", str(tmp_path / "out"), "--config", str(config)) == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"floor.tar.gz", "profile.tar.gz"}
    assert all(bundle.read(path).wasm is None for path in (tmp_path / "out").iterdir())


# --- policy ---------------------------------------------------------------------------------------


def test_what_policies_know_is_listed_for_this_kind_of_institution(capsys: Output) -> None:
    assert guard("policy", "show", "--example", "bank") == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "aml_duty: for aml_officer or aml_service, to collect, store, use, process, on statute" in out
    assert "disclose, with the relation assigned_case, on consent, of the profile" in out
    assert "identity_number: sensitive, mask id18" in out
    assert "credit_reporting" not in out
    assert guard("policy", "show", "--example", "agency", "--json") == 0
    found = lines(capsys)
    assert [one["purpose"] for one in found if "purpose" in one] == [
        "credit_reporting",
        "own_record_access",
        "retention",
    ]
    assert {"category": "address", "sensitive": False, "mask": "city"} in found


def test_what_policies_know_is_asked_of_a_guard_yaml(
    capsys: Output, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert guard("policy", "show") == 2
    assert "--example bank" in capsys.readouterr().err
    assert guard("policy", "show", "--example", "church") == 2
    assert guard("policy", "show", "--config", str(examples.HOLDERS["bank"])) == 0


# --- consent, register ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> str:
    config = tour.make_bank(tmp_path_factory.mktemp("cli") / "bank")
    tour.open_bank(Settings.load(config)).close()
    return str(config)


def test_consents_are_listed_withdrawn_and_recorded(bank: str, tmp_path: Path, capsys: Output) -> None:
    assert guard("consent", "list", "1012", "--config", bank) == 0
    assert "void" in capsys.readouterr().out
    assert guard("consent", "list", "1002", "--config", bank, "--json") == 0
    first = lines(capsys)[0]["record"]
    assert guard("consent", "withdraw", "1002", "--config", bank, "--json") == 0
    assert lines(capsys)[0]["ended"] > 0  # type: ignore[operator]
    assert guard("consent", "list", "1002", "--config", bank) == 0
    assert "withdrawn" in capsys.readouterr().out
    first["consent"]["id"] = "again"  # type: ignore[index]
    first["consent"]["time"] = None  # type: ignore[index]
    (tmp_path / "consent.json").write_text(json.dumps(first))
    assert guard("consent", "record", str(tmp_path / "consent.json"), "--config", bank) == 3
    assert "GUARD-CONSENT-WITHDRAWN" in capsys.readouterr().err
    (tmp_path / "bad.json").write_text("{}")
    assert guard("consent", "record", str(tmp_path / "bad.json"), "--config", bank) == 2


def test_a_consent_is_renewed_by_a_fresh_act_and_all_are_judged_by_the_present_rules(
    tmp_path: Path, capsys: Output
) -> None:
    config = str(tour.make_bank(tmp_path / "bank"))
    tour.open_bank(Settings.load(Path(config))).close()
    assert guard("consent", "list", "1002", "--config", config, "--json") == 0
    record: Any = next(one["record"] for one in lines(capsys) if one["verdict"]["valid"])  # type: ignore[index]
    old, given = record["consent"]["id"], record["consent"]["granted_at"] + 3_600
    record["consent"] |= {"id": "renewed", "time": None, "granted_at": given}
    file = tmp_path / "consent.json"
    file.write_text(json.dumps(record))
    assert guard("consent", "renew", old, str(file), "--config", config) == 3  # the evidence and showing of the old act
    assert "GUARD-RENEWAL" in capsys.readouterr().err
    record["evidence"] = "sha256:" + "f" * 64
    record["consent"]["notice"]["shown_at"] = given - 10
    file.write_text(json.dumps(record))
    assert guard("consent", "renew", old, str(file), "--config", config) == 0
    assert "valid until" in capsys.readouterr().out
    assert guard("consent", "list", "1002", "--config", config) == 0
    listed = capsys.readouterr().out
    assert "renewed by" in listed
    assert "valid until 20" in " ".join(listed.split())  # a date, not seconds
    assert guard("consent", "judge", "--config", config) == 0
    assert "sha256:" in capsys.readouterr().out


def test_the_register_is_shown_and_verified(bank: str, capsys: Output) -> None:
    assert guard("register", "verify", "--config", bank) == 0
    assert "nothing wrong" in capsys.readouterr().out
    assert guard("register", "show", "--config", bank, "--last", "3", "--json") == 0
    assert [line["kind"] for line in lines(capsys)] == ["consent"] * 3
    assert guard("register", "show", "--config", bank, "--kind", "read") == 0
    assert "consent" not in capsys.readouterr().out


@pytest.mark.parametrize("width", ["40", "80", "200"])
def test_the_register_breaks_no_name_however_narrow_the_terminal(
    bank: str, capsys: Output, monkeypatch: pytest.MonkeyPatch, width: str
) -> None:
    monkeypatch.setenv("COLUMNS", width)
    entries = [one for one in reader.entries(Settings.load(Path(bank)).register_.directory) if one.decision]
    assert guard("register", "show", "--config", bank, "--last", "3000") == 0
    words = capsys.readouterr().out.replace(",", " ").replace(";", " ").split()
    for one in entries:
        assert {f"{one.shard[:6]}/{one.seq}", one.kind, one.actor.id or "person)"} <= set(words)
        assert set(one.decision.rules if one.decision else ()) <= set(words)


@pytest.mark.parametrize("arguments", [["register", "show", "--json"], ["register", "show"], ["--help"]])
def test_a_reader_who_goes_away_ends_the_command_without_a_word(bank: str, arguments: list[str]) -> None:
    config = ["--config", bank] if arguments[0] == "register" else []
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "guard.cli", *arguments, *config]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")


def test_one_changed_byte_of_the_register_is_found(tmp_path: Path, capsys: Output) -> None:
    config = tour.make_bank(tmp_path / "bank")
    tour.open_bank(Settings.load(config)).close()
    (path,) = (tmp_path / "bank" / "register").glob("*.jsonl")
    raw = bytearray(path.read_bytes())
    place = raw.index(b"guard-ledger")
    raw[place] ^= 1
    path.write_bytes(raw)
    assert guard("register", "verify", "--config", str(config)) == 1
    assert capsys.readouterr().err
    assert guard("register", "verify", "--config", str(config), "--json") == 1
    assert lines(capsys)[0]["ok"] is False


def test_misuse_points_at_the_help_of_its_command(capsys: Output) -> None:
    assert guard("consent", "list") == 2
    assert "See guard consent list --help." in capsys.readouterr().err
    assert guard("nothing") == 2
    assert "See guard --help." in capsys.readouterr().err


# --- sql ------------------------------------------------------------------------------------------


def test_one_statement_through_the_guard(bank: str, capsys: Output) -> None:
    who = ("--actor", "officer-lin", "--role", "loan_officer", "--unit", "branch-3", "--config", bank)
    about = ("--purpose", "loan_underwriting", "--subject", "1001")
    statement = "SELECT full_name, id_number FROM customer"
    assert guard("sql", statement, *who, *about, "--json", "--show") == 0
    (line,) = lines(capsys)
    assert line["columns"] == ["full_name", "id_number"]
    assert line["rows"][0][1][3:] == "*" * 15  # type: ignore[index]
    assert "guard_grant" in str(line["sql"])
    assert guard("sql", statement, *who, *about) == 0
    assert "1 row, " in capsys.readouterr().out
    assert guard("sql", statement, *who, "--purpose", "curiosity") == 3
    assert "GUARD-PURPOSE" in capsys.readouterr().err
    assert guard("sql", "DROP TABLE customer", *who, *about) == 3


def test_json_holds_nothing_that_a_terminal_obeys(capsys: Output) -> None:
    """C1 controls and changes of direction are characters like any to JSON."""
    said = {"actor": "officer-林\x9b2J\x7f\u202e\x1b]0;x\x07\U000e0001"}
    show.json_line(said)
    out = capsys.readouterr().out
    assert out.removesuffix("\n").isprintable()
    assert "林" in out
    assert json.loads(out) == said


def test_the_name_of_a_column_is_no_markup_and_no_control(capsys: Output) -> None:
    """A statement names its columns as it likes."""
    table = show.table("[red]a[/]", "b\x1b]0;x\x07\x9b2J")
    table.add_row("1", "2")
    show.out.print(table)
    out = capsys.readouterr().out
    assert "[red]a[/]" in out
    assert out.replace("\n", "").isprintable()


# --- demo -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("width", "said"),
    [
        (60, "OP-01  Opinions 2020, privacy; Law art. 13; Rule art. 4"),
        (50, "OP-01  Opinions 2020, privacy; Law art. 13; …"),
        (44, "OP-01  Opinions 2020, privacy; …"),
        (30, "OP-01  Opinions 2020, privacy; …"),
    ],
)
def test_a_clause_of_the_tour_is_whole_or_left_out(width: int, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(show, "out", Console(width=width))
    assert tour_lines.line("OP-01  Opinions 2020, privacy; Law art. 13; Rule art. 4") == said
