"""The shipped policies by the real OPA: sound, formatted, tested, described, and of the form that runs everywhere."""

from __future__ import annotations

import base64
import csv
import json
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fixtures_opa import FIXTURES, Built

from guard.masks import MASKS
from guard.model import RECIPIENTS, WITHIN
from guard_engine import bundle, opa, shipped
from guard_engine.embedded import Embedded

FLOOR = shipped.sources("floor")
MOUNTED = f"guard.floor:{FLOOR}"
"""The folder as OPA is to see it outside a bundle: its data at data.guard.floor."""

POLICIES = sorted(path for path in FLOOR.rglob("*.rego") if not path.stem.endswith("_test"))
TESTS = sorted(FLOOR.rglob("*_test.rego"))
RULES = {row["id"]: row for row in csv.DictReader((FIXTURES / "floor_rules.csv").read_text("utf-8").splitlines())}
"""The rules of the law's table that the floor implements, with whom each binds and an example either way."""

ID = re.compile(r'"((?:OP|PI|CR|AP)-[0-9]{2})"')


def run(program: Path, *arguments: str | Path) -> Any:
    return json.loads(opa.run(program, *arguments, seconds=120))


@pytest.fixture(scope="module")
def data() -> dict[str, Any]:
    read: dict[str, Any] = bundle.base_data(bundle.sources_of(FLOOR, "floor"), "guard/floor")
    return read


@pytest.fixture(scope="module")
def described(opa_program: Path) -> dict[str, list[dict[str, str]]]:
    """Rule id to the METADATA that describe it, as OPA reads them."""
    found: dict[str, list[dict[str, str]]] = {}
    for one in run(opa_program, "inspect", "-a", "-f", "json", FLOOR)["annotations"]:
        custom = one["annotations"].get("custom", {})
        if "clause" in custom:
            found.setdefault(custom["rule"], []).append({**one["annotations"], **custom})
    return found


@pytest.fixture(scope="module")
def outcomes(opa_program: Path) -> dict[str, bool]:
    """The name of each Rego test, and whether it passed."""
    done = subprocess.run([opa_program, "test", "-f", "json", MOUNTED], capture_output=True, timeout=120, check=False)
    return {one["name"]: not (one.get("fail") or one.get("error")) for one in json.loads(done.stdout)}


# --- The sources ----------------------------------------------------------------------------------


def test_opa_finds_nothing_wrong(opa_program: Path) -> None:
    opa.run(opa_program, "check", "--strict", MOUNTED)


def test_the_format_is_opas(opa_program: Path) -> None:
    opa.run(opa_program, "fmt", "--fail", "--list", FLOOR)


def test_all_rego_tests_pass(outcomes: dict[str, bool]) -> None:
    assert len(outcomes) > 150
    assert [name for name, passed in outcomes.items() if not passed] == []


def test_the_tests_reach_nearly_every_line(opa_program: Path) -> None:
    report = run(opa_program, "test", "--coverage", "--threshold", "95", MOUNTED)["files"]
    covered = {Path(name): part for name, part in report.items() if not name.endswith("_test.rego")}
    assert {path.name for path in covered} == {path.name for path in POLICIES}
    assert {path.name: part["coverage"] for path, part in covered.items() if part["coverage"] < 95} == {}


@pytest.mark.parametrize("path", [*POLICIES, *TESTS], ids=lambda path: path.name)
def test_files_and_lines_are_short(path: Path) -> None:
    lines = path.read_text("utf-8").splitlines()
    assert len(lines) <= 500
    assert [line for line in lines if len(line.expandtabs(4)) > 120] == []


@pytest.mark.parametrize("path", POLICIES, ids=lambda path: path.name)
def test_rules_are_short_and_described(path: Path, opa_program: Path) -> None:
    parsed = run(opa_program, "parse", "--format", "json", "--json-include", "locations", path)
    text = path.read_text("utf-8").splitlines()
    assert text[0] == "# METADATA", "the package is described"
    names: set[str] = set()
    for rule in parsed["rules"]:
        name, row = rule["head"]["name"], rule["location"]["row"]
        assert base64.b64decode(rule["location"]["text"]).count(b"\n") < 30, name
        if name not in names:
            above = list(_comment_above(text, row))
            assert "# METADATA" in above, f"{path.name}:{row}: {name}"
            assert any(line.startswith("# description:") for line in above), f"{path.name}:{row}: {name}"
        names.add(name)


def _comment_above(text: list[str], row: int) -> Iterator[str]:
    for line in reversed(text[: row - 1]):
        if not line.startswith("#"):
            return
        yield line


def test_tests_stand_beside_what_they_test() -> None:
    assert {path.with_name(f"{path.stem}_test.rego") for path in POLICIES} <= set(TESTS)


# --- The rules ------------------------------------------------------------------------------------


def test_each_rule_is_described_once_in_both_languages(described: dict[str, list[dict[str, str]]]) -> None:
    assert described.keys() == RULES.keys()
    for rule, blocks in described.items():
        assert len(blocks) == 1, rule
        assert all(blocks[0].get(part) for part in ("title", "title_zh", "description", "clause", "en", "zh")), rule
        assert re.search(r"[一-鿿]", blocks[0]["zh"]), rule
        assert re.search(r"[一-鿿]", blocks[0]["title_zh"]), rule
        assert blocks[0]["en"].isascii(), rule


def test_no_rule_speaks_that_is_not_described(described: dict[str, list[dict[str, str]]]) -> None:
    spoken = {rule for path in POLICIES for rule in ID.findall(path.read_text("utf-8"))}
    assert spoken == described.keys()


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("side", ["allow", "deny"])
def test_the_laws_own_examples_are_tried(rule: str, side: str, outcomes: dict[str, bool]) -> None:
    name = f"test_{rule} {side} {RULES[rule][f'{side}_example']}"
    assert outcomes.get(re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")) is True


def test_rules_bind_whom_the_law_binds(data: dict[str, Any]) -> None:
    for rule, row in RULES.items():
        assert set(data["binds"].get(rule, data["kinds"])) == set(row["binds"].split("|")), rule


@pytest.mark.parametrize("rule", [rule for rule, row in RULES.items() if row["binds"].count("|") < 5])
def test_a_kind_that_is_not_bound_is_tried(rule: str, outcomes: dict[str, bool]) -> None:
    name = f"test_{rule.lower().replace('-', '_')}_not_bound"
    assert outcomes.get(name) is True


# --- The data -------------------------------------------------------------------------------------


def test_purposes_name_what_there_is(data: dict[str, Any]) -> None:
    for name, purpose in data["purposes"].items():
        assert set(purpose["kinds"]) <= set(data["kinds"]), name
        assert set(purpose["bases"]) <= data["bases"].keys(), name
        assert purpose["bases"], name
        assert purpose["roles"] is None or purpose["roles"], name
        assert purpose["relation"] in (None, "assigned_case"), name
        assert purpose["categories"].keys() <= data["categories"].keys(), name
    for name, purpose in {**data["purposes"], "": data["own_purpose"]}.items():
        for operation, recipients in purpose["operations"].items():
            assert set(recipients) <= RECIPIENTS.get(operation, WITHIN), name
            assert recipients, name


def test_masks_are_those_that_guard_has(data: dict[str, Any]) -> None:
    assert {one["mask"] for one in data["categories"].values() if "mask" in one} == MASKS.keys() - {"month"}


def test_a_category_has_only_the_flags_that_policies_read(data: dict[str, Any]) -> None:
    flags = {"sensitive", "open", "mask", "masked", "wealth", "forbidden", "closed", "catalogue", "duty_only"}
    assert {flag for one in data["categories"].values() for flag in one} == flags
    assert all({type(one[flag]) for flag in one} <= {bool, str} for one in data["categories"].values())


def test_nobody_needs_what_the_law_forbids_a_lender_to_weigh(data: dict[str, Any]) -> None:
    needed = {name for name, one in data["purposes"].items() if "protected_characteristic" in one["categories"]}
    assert needed == {"own_record_access"}


# --- The compiled form ----------------------------------------------------------------------------


def test_the_compiled_policies_call_nothing_of_their_host(built: Callable[[Path, str], Built]) -> None:
    # Embedded refuses a module that lists a builtin; build has loaded this one, and so does this line.
    Embedded([built(FLOOR, "floor").wasm]).close()


def test_the_shipped_form_is_what_opa_makes_of_the_sources(built: Callable[[Path, str], Built]) -> None:
    shipped_form = bundle.read(shipped.wasm("floor"))
    made = built(FLOOR, "floor").wasm
    assert shipped_form.digest == made.digest
    assert shipped_form.wasm == made.wasm
    assert shipped_form.data == made.data
    assert shipped_form.rules == made.rules


def test_both_forms_carry_one_revision_and_the_words_of_all_rules(built: Callable[[Path, str], Built]) -> None:
    made = built(FLOOR, "floor")
    assert made.rego.digest == made.wasm.digest
    assert made.rego.rules.keys() == RULES.keys()
