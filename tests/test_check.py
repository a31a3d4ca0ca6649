# ruff: noqa: E501 -- tables of mistakes, one a line
"""guard check: nothing to find in the shipped examples; each deliberate mistake is found, with place and remedy."""

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest

from guard.cli.checks import check
from guard.cli.checks.contents import identity_number
from guard.demo import agency, bank, tables
from guard_engine import bundle, shipped
from guard_ledger.ledger import Ledger


@pytest.fixture(scope="module")
def shipped_folders(tmp_path_factory):
    made = {}
    for holder in (bank, agency):
        folder = tmp_path_factory.mktemp("shipped")
        holder.build(folder)
        made[holder] = folder
    return made


@pytest.fixture
def folder(shipped_folders, tmp_path):
    return shutil.copytree(shipped_folders[bank], tmp_path / "bank")


@pytest.mark.parametrize("holder", [bank, agency])
def test_nothing_is_found_in_the_shipped_examples(holder, shipped_folders):
    report = check(shipped_folders[holder] / "guard.yaml")
    assert report.errors == ()
    assert report.warnings == ()


# --- Deliberate mistakes --------------------------------------------------------------------------


class Mistake(NamedTuple):
    """Text of a document that is replaced; where the problem must be (`at` stands on its line); what it says."""

    file: str
    old: str
    new: str
    word: str
    at: str = ""


DOCUMENTS = [
    # guard.yaml
    Mistake("guard.yaml", "zone: Asia/Shanghai", "zones: Asia/Shanghai", "did you mean zone?"),
    Mistake("guard.yaml", "zone: Asia/Shanghai", "zone: NO", "boolean"),
    Mistake("guard.yaml", "profile: profile.yaml", "profile: profile.yaml\nholder: bank", "repeated", "holder: bank\n"),
    Mistake("guard.yaml", "catalogue: catalogue.yaml", "catalogue: catalog.yaml", "catalog.yaml"),
    Mistake("guard.yaml", "  floor: builtin", "  flor: builtin", "did you mean floor?"),
    Mistake("guard.yaml", "kind: embedded", "kind: server\n  url: http://127.0.0.1:8181", "token", "url: http://127"),
    Mistake("guard.yaml", "kind: embedded", "kind: server\n  url: http://opa.bank\n  token_file: guard.yaml", "TLS", "url: http://opa"),
    Mistake("guard.yaml", "kind: embedded", "kind: server\n  url: https://opa\n  token_file: t", "cannot be read", "token_file:"),
    Mistake("guard.yaml", "sqlite:///bank.db", "sqlite:///bnak.db", "bnak.db does not exist"),
    Mistake("guard.yaml", "sqlite:///bank.db", "sqlite:///catalogue.yaml", "cannot be read as an SQLite database"),
    Mistake("guard.yaml", "sqlite:///bank.db", "postgresql://guard@127.0.0.1:1/bank", "cannot be reached"),
    Mistake("guard.yaml", "{main: retail}", "{temp: retail}", "no schema temp"),
    Mistake("guard.yaml", "holder: bank ", "holder: bnak ", "begin its name with bnak:", "CATALOGUE:bank:retail.customer:"),
    Mistake("guard.yaml", "{main: retail}", "{main: retial}", "did you mean retial?", "CATALOGUE:bank:retail.customer:"),
    Mistake("guard.yaml", "directory: register", "directory: bank.db", "not a folder"),
    Mistake("guard.yaml", "directory: register", "directory: none/register", "does not exist"),
    Mistake("guard.yaml", "key_file: register.key", "key_file: guard.yaml", "chmod 600"),
    Mistake("guard.yaml", "key_file: register.key", "key_file: .", "is not a file"),
    Mistake("guard.yaml", "batch: 256 ", "batch: 0 ", "limits.batch"),
    Mistake("guard.yaml", "itemise: 1000", "itemise: 100", "batch (256) is more than itemise (100)", "batch: 256"),
    Mistake("guard.yaml", "limits:\n", "limits:\n  fuel: 100000\n", "GUARD-ENGINE-FUEL", "limits:\n"),
    Mistake("guard.yaml", "limits:\n", "limits:\n  input: 1024\n", "GUARD-ENGINE-INPUT", "limits:\n"),
    Mistake("guard.yaml", "limits:\n", "limits:\n  answer: 1024\n", "GUARD-DECISION-SIZE", "limits:\n"),
    # catalogue.yaml
    Mistake("catalogue.yaml", "employer: {category: employment}", "employer: {category: job}", "category job"),
    Mistake("catalogue.yaml", "income: {category: income,", "income: {category: incom,", "did you mean income?", "incom,"),
    Mistake("catalogue.yaml", "employer: {category: employment}", "employer: {category: job}", "guard policy show lists"),
    Mistake("catalogue.yaml", "employer: {category: employment}", "employer: {category: wealth}", "wealth is a trait of income, tax_amount, deposit"),
    Mistake("catalogue.yaml", "employer: {category: employment}", "employer: {category: phone}", "phone is the mask of contact: name the category"),
    Mistake("catalogue.yaml", "  bank:retail.loan:\n", "  bank:loan:\n", "did you mean bank:retail.loan?"),
    Mistake("catalogue.yaml", "source: bank:retail.loan_case", "source: bank:retail.advisor_list", "in the catalogue — declare it under sources"),
    Mistake("catalogue.yaml", "source: bank:retail.loan_case", "source: bank:retail.loan_cases", "did you mean bank:retail.loan_case?"),
    Mistake("catalogue.yaml", "{frozen: frozen_flag}", "{frozen: is_frozen}", "is_frozen, which is not among the fields"),
    Mistake("catalogue.yaml", "source: bank:retail.loan_case", "source: bank:retail.cases", "not in the catalogue"),
    Mistake("catalogue.yaml", "actor: officer_id", "actor: officer", "no column officer"),
    Mistake("catalogue.yaml", "guarantor_id, optional: true}", "guarantor_id, optional: yes}", "boolean"),
    Mistake("catalogue.yaml", "holder: customer_id\n      guarantor: {column: guarantor_id, optional: true}",
            "guarantor: {column: guarantor_id, optional: true}\n      holder: customer_id", "first subject", "guarantor: {"),
    Mistake("catalogue.yaml", "birth_date: {category: identity, type: date}", "birthday: {category: identity, type: date}", "birth_date?"),
    Mistake("catalogue.yaml", "monthly_income: {category: income, type: integer}", "monthly_income: {category: income, type: date}", "monthly_income"),
    Mistake("catalogue.yaml", "  bank:retail.loan:\n", "  bank:retail.loans:\n", "did you mean loan"),
    Mistake("catalogue.yaml", '    owner: "retail data office"\n', "", "owner is missing", "bank:retail.branch:"),
    Mistake("catalogue.yaml", "fields: {branch_id: text,", "fields: {branch_id: number,", "branch_id"),
    Mistake("catalogue.yaml", "public:\n", "public:\n  bank:retail.guard_grant: {reason: x, owner: o, fields: {grant_id: integer}}\n", "consent ledger", "bank:retail.guard_grant"),
    # profile.yaml
    Mistake("profile.yaml", "kind: bank", "kind: banks", "write 'bank'"),
    Mistake("profile.yaml", "basis: [consent]", "basis: [contract]", "basis"),
    Mistake("profile.yaml", "  financial_advice:", "  loan_underwriting:", "cannot be redefined"),
    Mistake("profile.yaml", "deposit, income]", "deposits, income]", "did you mean deposit?"),
    Mistake("profile.yaml", "deposit, income]", "deposit, ethnicity]", "ethnicity"),
    Mistake("profile.yaml", "relation: assigned_case", "relation: assigned", "did you mean assigned_case?"),
]  # fmt: skip


@pytest.mark.parametrize(
    "mistake",
    DOCUMENTS,
    ids=lambda one: f"{one.file}: {one.new.strip().splitlines()[0][:40] if one.new.strip() else one.old.strip()}",
)
def test_each_mistake_in_a_document_has_its_file_line_and_remedy(mistake, folder):
    path = folder / mistake.file
    text = path.read_text(encoding="utf-8")
    assert mistake.old in text
    path.write_text(text.replace(mistake.old, mistake.new, 1), encoding="utf-8")
    file, at = path, mistake.at or mistake.new
    if at.startswith("CATALOGUE:"):
        file, at = folder / "catalogue.yaml", at.removeprefix("CATALOGUE:")
    now = file.read_text(encoding="utf-8")
    position = now.rindex(at.strip("\n")) if mistake.at else now.index(at)
    line = now.count("\n", 0, position) + 1
    expect(folder, file, line, mistake.word)


def expect(folder, file, line, word, level="errors"):
    found = getattr(check(folder / "guard.yaml"), level)
    assert [
        one for one in found if (Path(one.file), one.line) == (file, line) and word in f"{one.message} — {one.remedy}"
    ], (line, found)
    assert all(one.remedy and one.line for one in found)


# --- Mistakes in the database ---------------------------------------------------------------------

DATABASE = {
    "table dropped": ("DROP TABLE loan_case", "bank:retail.loan_case:", "no table loan_case"),
    "table renamed": ("ALTER TABLE loan RENAME TO loans", "bank:retail.loan:", "did you mean loans?"),
    "view in its place": ("ALTER TABLE branch RENAME TO b; CREATE VIEW branch AS SELECT full_name branch_id, id_number name, mobile city FROM customer", "bank:retail.branch:", "is a view"),
    "virtual table in its place": ("DROP TABLE branch; CREATE VIRTUAL TABLE branch USING fts5(branch_id, name, city)", "bank:retail.branch:", "virtual table"),
    "column renamed": ("ALTER TABLE customer RENAME COLUMN mobile TO phone", "mobile: {category: contact}", "no column mobile"),
    "columns swapped": ("ALTER TABLE customer RENAME COLUMN mobile TO x; ALTER TABLE customer RENAME COLUMN id_number TO mobile; ALTER TABLE customer RENAME COLUMN x TO id_number", "id_number: {category: identity_number}", "does not hold identity numbers"),
    "identity number in another column": ("UPDATE customer SET employer = id_number", "employer: {category: employment}", "holds identity numbers, and is declared employment"),
    "identity number in a public table": ("DELETE FROM branch; INSERT INTO branch SELECT customer_id, id_number, 'x' FROM customer", "fields: {branch_id: text, name: text, city: text}", "declared public"),
    "mobile in a public table": ("DELETE FROM branch; INSERT INTO branch SELECT customer_id, 'x', mobile FROM customer", "fields: {branch_id: text, name: text, city: text}", "holds mobile numbers"),
    "dates in another form": ("UPDATE loan_case SET opened_on = '23.11.2026'", "opened_on: {category: account_meta, type: date}", "dates such as"),
    "text in a number": ("UPDATE loan SET principal = 'a lot'", "principal: {category: loan, type: integer}", "whole numbers"),
    "a foreign ledger": ("CREATE TABLE guard_grant (x INTEGER)", "GUARD:sqlite:///bank.db", "not the ledger's"),
    "a view for a ledger": ("CREATE VIEW guard_scope AS SELECT 1 scope, 'use' operation, 'income' category", "GUARD:sqlite:///bank.db", "not the ledger's"),
}  # fmt: skip


def change(folder, script):
    with closing(sqlite3.connect(folder / bank.DATABASE)) as connection:
        connection.executescript(script)


def line_of(path, text):
    return path.read_text(encoding="utf-8").split(text)[0].count("\n") + 1


@pytest.mark.parametrize(("script", "at", "word"), DATABASE.values(), ids=DATABASE)
def test_each_drift_of_the_database_is_found_at_its_place_in_the_catalogue(script, at, word, folder):
    change(folder, script)
    file = folder / ("guard.yaml" if at.startswith("GUARD:") else "catalogue.yaml")
    expect(folder, file, line_of(file, at.removeprefix("GUARD:")), word)


WARNINGS = {
    "column not in the catalogue": ("ALTER TABLE customer ADD COLUMN ethnicity TEXT", "bank:retail.customer:", "customer.ethnicity"),
    "table not in the catalogue": ("CREATE TABLE notes (customer_id INTEGER, note TEXT)", "sources:", "notes"),
    "view not in the catalogue": ("CREATE VIEW everything AS SELECT * FROM customer", "sources:", "everything"),
    "relation without an index": ("DROP INDEX loan_case_customer", "bank:retail.loan_case:", "no index begins with it"),
    "index of half the rows": ("DROP INDEX loan_case_customer; CREATE INDEX half ON loan_case (customer_id) WHERE status = 'open'", "bank:retail.loan_case:", "no index begins with it"),
    "trigger": ("CREATE TRIGGER copy AFTER INSERT ON customer BEGIN INSERT INTO branch VALUES (new.id_number, '', ''); END", "sources:", "trigger copy on customer"),
}  # fmt: skip


@pytest.mark.parametrize(("script", "at", "word"), WARNINGS.values(), ids=WARNINGS)
def test_what_no_statement_can_reach_deserves_a_look(script, at, word, folder):
    change(folder, script)
    file = folder / "catalogue.yaml"
    expect(folder, file, line_of(file, at), word, "warnings")
    assert not check(folder / "guard.yaml").errors


@pytest.mark.parametrize(
    ("old", "new", "script", "at", "word"),
    [
        ("    key: loan_id\n", "", "", "bank:retail.loan:", "names its rows by loan_id may be refused (GUARD-WRITE) — add key: loan_id"),
        ("key: loan_id", "key: principal", "", "key: principal", "the primary key of loan is loan_id — write key: loan_id"),
        ("key: loan_id", "key: [loan_id, status]", "", "key: [loan_id", "write key: loan_id"),
        ("key: case_id", "key: case_id", "CREATE TABLE c AS SELECT * FROM loan_case; DROP TABLE loan_case; ALTER TABLE c RENAME TO loan_case", "key: case_id", "is none — remove it"),
    ],
    ids=["missing", "another column", "more columns", "no key in the database"],
)  # fmt: skip
def test_a_key_that_is_not_the_tables_deserves_a_look(old, new, script, at, word, folder):
    change(folder, script)
    file = folder / "catalogue.yaml"
    text = file.read_text("utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), "utf-8")
    expect(folder, file, line_of(file, at), word, "warnings")


def test_a_key_that_is_the_subject_needs_no_saying(folder):
    assert "key: customer_id" not in (folder / "catalogue.yaml").read_text("utf-8")
    assert check(folder / "guard.yaml").warnings == ()


def test_no_value_of_the_database_is_part_of_a_problem(folder):
    change(
        folder,
        "; ".join(
            script
            for name, (script, *_) in DATABASE.items()
            if not name.startswith(("table", "virtual", "view", "col"))
        ),
    )
    with closing(sqlite3.connect(folder / bank.DATABASE)) as connection:
        values = {
            row for name in ("full_name", "id_number") for (row,) in connection.execute(f"SELECT {name} FROM customer")
        }
    report = check(folder / "guard.yaml")
    text = "\n".join(map(str, (*report.errors, *report.warnings)))
    assert report.errors
    assert not any(value in text for value in values)


def test_a_database_with_a_ledger_of_ours_is_fine(folder):
    Ledger(
        f"sqlite:///{folder / bank.DATABASE}", judge=lambda asked: (), judged="sha256:" + "0" * 64, zone=tables.ZONE
    ).close()
    report = check(folder / "guard.yaml")
    assert (report.errors, report.warnings) == ((), ())


def test_an_empty_database_file_lacks_every_table(folder):
    (folder / bank.DATABASE).write_bytes(b"")
    assert len([one for one in check(folder / "guard.yaml").errors if "has no table" in one.message]) == 5


def test_check_writes_nothing(folder):
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.rglob("*")}
    check(folder / "guard.yaml")
    assert {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.rglob("*")} == before


# --- Mistakes in policy bundles -------------------------------------------------------------------


def floor() -> bytes:
    return shipped.wasm().read_bytes()


def without_module() -> bytes:
    """The floor's sources under the institution's name, not compiled."""
    sources = {
        "guard/institution/institution.rego": b"package guard.institution\n\ndecision := []\n\nconsent := []\n",
    }
    return bundle.assemble("institution", sources)


def not_a_module() -> bytes:
    sources = {"guard/institution/institution.rego": b"package guard.institution\n\ndecision := []\n"}
    return bundle.assemble("institution", sources, b"\0asm\1\0\0\0")


BUNDLES: dict[str, tuple[Callable[[], bytes | None], str]] = {
    "not there": (lambda: None, "cannot be read"),
    "cut short": (lambda: floor()[:-1000], "GUARD-BUNDLE"),
    "one bit flipped": (lambda: floor()[:50_000] + bytes([floor()[50_000] ^ 1]) + floor()[50_001:], "GUARD-BUNDLE"),
    "another layer's": (floor, "bundle of the layer floor"),
    "not compiled": (without_module, "no compiled module"),
    "not a policy": (not_a_module, "GUARD-BUNDLE"),
    "not a bundle": (lambda: json.dumps({"a": 1}).encode(), "GUARD-BUNDLE"),
}


@pytest.mark.parametrize(("make", "word"), BUNDLES.values(), ids=BUNDLES)
def test_each_fault_of_a_bundle_is_found_at_its_layer(make, word, folder):
    path = folder / "guard.yaml"
    text = path.read_text(encoding="utf-8")
    old = "  # institution: institution.wasm.tar.gz"
    assert old in text
    path.write_text(text.replace(old, "  institution: institution.tar.gz"), encoding="utf-8")
    raw = make()
    if raw is not None:
        (folder / "institution.tar.gz").write_bytes(raw)
    expect(folder, path, line_of(path, "  institution:"), word)


# --- The rest -------------------------------------------------------------------------------------


def test_an_open_server_that_was_accepted_is_a_warning(folder):
    path = folder / "guard.yaml"
    text = path.read_text(encoding="utf-8")
    new = "kind: server\n  url: http://127.0.0.1:8181\n  unsafe_open_server: true"
    path.write_text(text.replace("kind: embedded", new), encoding="utf-8")
    expect(folder, path, line_of(path, "unsafe_open_server"), "may be open", "warnings")
    assert not check(path).errors


def test_the_key_is_its_owners_alone_and_not_lost(folder):
    (folder / "register.key").write_bytes(b"x")
    (folder / "register.key").chmod(0o600)
    assert not check(folder / "guard.yaml").errors
    (folder / "register").mkdir()
    (folder / "register" / "shard").write_bytes(b"x")
    assert not check(folder / "guard.yaml").errors
    (folder / "register.key").unlink()
    path = folder / "guard.yaml"
    expect(folder, path, line_of(path, "key_file:"), "is missing")


def test_a_dialect_without_a_witness_is_named(folder):
    path = folder / "guard.yaml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("sqlite:///bank.db", "mysql://localhost/bank"), encoding="utf-8")
    expect(folder, path, line_of(path, "mysql:"), "no parser of the database itself", "warnings")


def test_what_no_consent_cures_is_no_purpose_of_an_agency(shipped_folders, tmp_path):
    folder = shutil.copytree(shipped_folders[agency], tmp_path / "agency")
    path = folder / "profile.yaml"
    own = "purposes: {faith: {basis: [consent], categories: [religion]}}"
    path.write_text(path.read_text(encoding="utf-8").replace("purposes: {}", own), encoding="utf-8")
    expect(folder, path, line_of(path, own), "CR-02")


def test_data_that_does_not_fit_into_memory_is_found_before_the_program_starts(folder):
    sources = {
        "guard/institution/institution.rego": b"package guard.institution\n\ndecision := []\n\nconsent := []\n",
        "guard/institution/data.json": json.dumps({"list": ["x" * 100] * 30_000}).encode(),
    }
    module = bundle.read(shipped.wasm()).wasm
    (folder / "institution.tar.gz").write_bytes(bundle.assemble("institution", sources, module))
    path = folder / "guard.yaml"
    text = path.read_text(encoding="utf-8").replace("limits:\n", "limits:\n  memory: 1048576\n")
    path.write_text(text.replace("  # institution: institution.wasm.tar.gz", "  institution: institution.tar.gz"))
    expect(folder, path, line_of(path, "  floor: builtin"), "raise the bound")


def test_a_guard_yaml_that_is_not_there_is_a_problem(tmp_path):
    report = check(tmp_path / "guard.yaml")
    assert [("cannot be read" in one.message, bool(one.remedy)) for one in report.errors] == [(True, True)]


def test_all_documents_are_looked_at_though_one_is_wrong(folder):
    for name in ("catalogue.yaml", "profile.yaml"):
        (folder / name).write_text("a: NO\n", encoding="utf-8")
    assert {Path(one.file).name for one in check(folder / "guard.yaml").errors} == {"catalogue.yaml", "profile.yaml"}


def test_more_than_twenty_mistakes_are_tried_of_all_five_kinds():
    kinds = [one.file for one in DOCUMENTS] + ["database"] * len(DATABASE) + ["bundle"] * len(BUNDLES)
    assert len(kinds) >= 20
    assert min(kinds.count(kind) for kind in set(kinds)) >= 4
    assert len(set(kinds)) == 5


@pytest.mark.parametrize(
    ("value", "holds"),
    [
        ("11010519491231002X", True),
        ("110105194912310020", False),
        ("11010519491231002x", False),
        (1, False),
        ("", False),
    ],
)
def test_an_identity_number_is_known_by_its_checksum(value, holds):
    assert identity_number(value) is holds


def test_a_misspelt_relation_is_told_the_one_that_purposes_ask_for(folder):
    path = folder / "catalogue.yaml"
    text = path.read_text(encoding="utf-8")
    at = text.index("assigned_case:", text.index("  bank:retail.loan_case:\n"))
    path.write_text(text[:at] + "asigned_case:" + text[at + len("assigned_case:") :], encoding="utf-8")
    where = line_of(path, "  bank:retail.loan_case:")
    expect(folder, path, where, "write assigned_case for asigned_case", "warnings")


def test_a_source_without_the_relation_that_purposes_ask_for_is_a_warning(folder):
    path = folder / "catalogue.yaml"
    text = path.read_text(encoding="utf-8")
    at = text.index("  bank:retail.loan_case:\n")
    start = text.index("    relations:\n", at)
    end = text.index("    fields:\n", start)
    path.write_text(text[:start] + text[end:], encoding="utf-8")
    expect(folder, path, line_of(path, "  bank:retail.loan_case:"), "relation assigned_case", "warnings")
    assert not check(folder / "guard.yaml").errors


def test_a_misspelt_relation_of_a_route_is_told_too(folder):
    path = folder / "catalogue.yaml"
    text = path.read_text(encoding="utf-8")
    at = text.index("assigned_case:", text.index("  bank:GET /applications/{customer_id}:\n"))
    path.write_text(text[:at] + "asigned_case:" + text[at + len("assigned_case:") :], encoding="utf-8")
    where = line_of(path, "  bank:GET /applications/{customer_id}:")
    expect(folder, path, where, "write assigned_case for asigned_case", "warnings")


def test_a_relation_that_a_purpose_asks_for_is_no_misspelt_other(folder):
    profile = folder / "profile.yaml"
    profile.write_text(profile.read_text("utf-8").replace(": assigned_case", ": assigned_advisor"), "utf-8")
    path = folder / "catalogue.yaml"
    text = path.read_text(encoding="utf-8")
    at = text.index("assigned_case:", text.index("  bank:retail.loan_case:\n"))
    path.write_text(text[:at] + "assigned_advisor:" + text[at + len("assigned_case:") :], encoding="utf-8")
    report = check(folder / "guard.yaml")
    (said,) = [one for one in report.warnings if one.message.startswith("the purposes") and "loan_case" in one.message]
    assert "ask for the relation assigned_case, which bank:retail.loan_case does not declare: they" in said.message
    assert said.remedy == "nothing to do unless they should: then declare it under relations"
    others = [
        one for one in report.warnings if "financial_advice asks for the relation assigned_advisor" in one.message
    ]
    assert others
    assert not [one for one in report.warnings if one.remedy.startswith("write ")]
