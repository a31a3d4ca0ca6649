"""Every worked example, through the real engine: the answers are those that stand beside it."""

import json
import runpy
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from guard import catalogue, wire
from guard.config import Profile, Settings
from guard.demo import agency, bank, examples, tables
from guard.model import Activity, Consent
from guard_engine.releases import load

EXAMPLES = Path(__file__).parent.parent / "examples"
EVERY = examples.every()
DECISIONS = [one for one in EVERY if one.answer.name.endswith(".decision.json")]
VERDICTS = [one for one in EVERY if one.answer.name.endswith(".verdict.json")]


@pytest.fixture(scope="module")
def releases():
    made = {name: load(Settings.load(path)) for name, path in examples.HOLDERS.items()}
    yield made
    for one in made.values():
        one.decider.engine.close()


def named(one):
    return one.name


@pytest.mark.parametrize("example", DECISIONS, ids=named)
def test_the_floor_answers_what_the_example_says(example, releases):
    decider = releases[example.holder].decider
    activity = wire.activity(example.activity.read_bytes())
    expected = json.loads(example.answer.read_bytes())
    (answer,) = decider.engine.evaluate("floor", "decision", wire.canonical({"activities": [activity]}))
    assert answer == expected
    assert decider.decide([activity]) == wire.decisions([expected], [activity])


@pytest.mark.parametrize("example", VERDICTS, ids=named)
def test_the_floor_judges_consents_as_the_example_says(example, releases):
    decider = releases[example.holder].decider
    consent = wire.consent(example.activity.read_bytes())
    expected = json.loads(example.answer.read_bytes())
    (answer,) = decider.engine.evaluate("floor", "consent", wire.canonical({"consents": [consent]}))
    assert answer == expected
    assert decider.judge([consent]) == wire.verdicts([expected], [consent])


@pytest.mark.parametrize("example", DECISIONS, ids=named)
def test_an_activity_says_what_the_catalogue_says(example):
    loaded = catalogue.load(example.config.with_name("catalogue.yaml"))
    activity = wire.activity(example.activity.read_bytes())
    for item in activity.items:
        source = loaded.sources[item.source]
        made = (
            source.item(item.source, item.role)
            if item.field is None
            else source.field_item(item.source, item.field, item.role)
        )
        assert made == item
    assert activity.items == wire.ordered(activity.items)


def test_what_the_brief_names_is_there():
    operations = {}
    for one in DECISIONS:
        activity = json.loads(one.activity.read_bytes())
        answer = json.loads(one.answer.read_bytes())
        operations.setdefault((one.holder, activity["operation"]), set()).add(answer["allow"])
    for holder in examples.HOLDERS:
        assert operations[holder, "collect"] == {True, False}
        assert operations[holder, "use"] == {True, False}
        assert operations[holder, "provide"] == {True}
        verdicts = {json.loads(one.answer.read_bytes())["valid"] for one in VERDICTS if one.holder == holder}
        assert verdicts == {True, False}
    assert {"officer-reads-application", "colleague-without-purpose"} <= set(examples.names())


def test_names_are_unique_and_found():
    assert len(set(examples.names())) == len(EVERY)
    assert examples.find("officer-reads-application").config == examples.HOLDERS["bank"]
    assert examples.find("nothing") is None
    assert examples.find("../bank/officer-reads-application") is None


def test_every_example_has_an_answer_and_every_answer_an_example():
    files = {path for holder in examples.HOLDERS for path in (examples.HERE / holder).iterdir()}
    assert files == {path for one in EVERY for path in (one.activity, one.answer)}


# --- The folders examples/bank and examples/agency ------------------------------------------------


@pytest.mark.parametrize("holder", list(examples.HOLDERS))
def test_the_copies_for_people_are_those_that_are_shipped(holder):
    shipped = {examples.HOLDERS[holder].with_name(name) for name in ("guard.yaml", "catalogue.yaml", "profile.yaml")}
    pairs = {path: EXAMPLES / holder / path.name for path in shipped}
    pairs |= {path: EXAMPLES / holder / "activities" / path.name for path in (examples.HERE / holder).iterdir()}
    assert {path.name for path in (EXAMPLES / holder / "activities").iterdir()} == {
        path.name for path in (examples.HERE / holder).iterdir()
    }
    for path, copy in pairs.items():
        assert copy.read_bytes() == path.read_bytes(), f"run examples/refresh.py: {copy} is not {path}"


@pytest.mark.parametrize("holder", [bank, agency])
def test_make_py_makes_the_database_beside_it(holder, tmp_path, monkeypatch):
    name = holder.__name__.rpartition(".")[2]
    for file in ("make.py", *tables.DOCUMENTS):
        shutil.copyfile(EXAMPLES / name / file, tmp_path / file)
    monkeypatch.setattr("sys.argv", ["make.py"])
    runpy.run_path(str(tmp_path / "make.py"))
    with closing(sqlite3.connect(Settings.load(tmp_path / "guard.yaml").database.sqlite_file)) as connection:
        assert connection.execute("SELECT count(*) FROM sqlite_master WHERE type = 'table'").fetchone()[0] >= 4


@pytest.mark.parametrize("holder", list(examples.HOLDERS))
def test_the_readme_lists_every_activity(holder):
    text = (EXAMPLES / holder / "README.md").read_text(encoding="utf-8")
    listed = [one.name for one in DECISIONS if one.holder == holder]
    assert [name for name in listed if f"`{name}`" not in text and name not in text] == []


# --- What the example databases' consents come to -------------------------------------------------


@pytest.mark.parametrize(("holder", "purpose"), [(bank, "loan_underwriting"), (agency, "credit_reporting")])
def test_the_floor_makes_of_the_example_consents_what_they_were_made_for(holder, purpose, releases):
    name = holder.__name__.rpartition(".")[2]
    records = list(holder.consents())
    withdrawn = {consent_id for consent_id, _ in holder.withdrawals()}
    now = max(one.consent.granted_at for one in records) + 60 * 86_400
    time = msgspec.structs.replace(records[0].consent.time, seconds=now - now % 60)
    asked = [msgspec.structs.replace(one.consent, time=time) for one in records]
    judge = releases[name].decider.judge
    verdicts = [verdict for start in range(0, len(asked), 50) for verdict in judge(asked[start : start + 50])]
    valid = {
        record.subject
        for record, verdict in zip(records, verdicts, strict=True)
        if verdict.valid and purpose in record.consent.purposes and record.consent.id not in withdrawn
    }
    persons = {"bank": 1000, "agency": 60}[name]
    assert 0.5 < len(valid) / persons < 0.9
    if holder is bank:
        assert {"1001", "1002", "1003", "1004", "1008", "1010"} <= valid
        assert not {"1005", "1006", "1007", "1009", "1011", "1012"} & valid
        rules = {reason.rule for verdict in verdicts for reason in verdict.reasons}
        assert {"OP-03", "PI-04"} <= rules
    for record, verdict in zip(records, verdicts, strict=True):
        if verdict.valid:
            covered = {category for scope in verdict.scopes for category in scope.categories}
            assert covered == set(record.consent.categories), "nothing of a valid example is left out of its scope"


def test_the_profiles_are_what_the_holders_are():
    kinds = {name: Profile.load(path.with_name("profile.yaml")).kind for name, path in examples.HOLDERS.items()}
    assert kinds == {"bank": "bank", "agency": "credit_agency"}


def test_examples_are_in_the_form_that_the_model_writes():
    for one in EVERY:
        kind = Activity if one in DECISIONS else Consent
        document = json.loads(one.activity.read_bytes())
        assert msgspec.to_builtins(msgspec.convert(document, kind)).keys() == document.keys()
