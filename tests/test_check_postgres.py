# ruff: noqa: E501 -- tables of mistakes, one a line
"""guard check on PostgreSQL: the example bank there has nothing to find, and each drift of it is found."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from fixtures_postgres import as_superuser
from test_check import expect, line_of
from test_consent import ZONE

from guard import catalogue as catalogues
from guard.catalogue import Catalogue, Source
from guard.cli.checks import check
from guard.cli.checks.live_postgres import LOOSE, Postgres
from guard.demo import bank
from guard.errors import Refused
from guard_ledger.ledger import Ledger
from guard_ledger.person_keys import PersonKeys

KEYS = {
    "customer": "customer_id",
    "application": "application_id",
    "loan_case": "case_id",
    "loan": "loan_id",
    "branch": "branch_id",
}


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shipped")
    bank.build(folder)
    return folder


@pytest.fixture
def folder(shipped: Path, tmp_path: Path, postgres_url: str) -> Path:
    """The example bank, its tables in the schema `retail` of a PostgreSQL database."""
    for name in ("catalogue.yaml", "profile.yaml"):
        (tmp_path / name).write_bytes((shipped / name).read_bytes())
    text = (shipped / "guard.yaml").read_text("utf-8")
    text = text.replace("sqlite:///bank.db", postgres_url).replace("{main:", "{retail:")
    (tmp_path / "guard.yaml").write_text(text, "utf-8")
    catalogue = catalogues.load(tmp_path / "catalogue.yaml")
    with psycopg.connect(postgres_url) as raw, closing(sqlite3.connect(shipped / "bank.db")) as lite:
        raw.execute("CREATE SCHEMA retail")
        for table, key in KEYS.items():
            move(raw, lite, catalogue, table, key)
        raw.execute("CREATE INDEX ON retail.loan_case (customer_id, officer_id)")
    return tmp_path


def move(raw, lite, catalogue: Catalogue, table: str, key: str) -> None:
    entry = catalogue.entry(f"bank:retail.{table}")
    assert entry is not None
    types = {name: one.type for name, one in entry.fields.items()} if isinstance(entry, Source) else dict(entry.fields)
    columns = ", ".join(f"{name} {of}{' PRIMARY KEY' if name == key else ''}" for name, of in types.items())
    raw.execute(f"CREATE TABLE retail.{table} ({columns})")
    with raw.cursor().copy(f"COPY retail.{table} ({', '.join(types)}) FROM STDIN") as copy:
        for row in lite.execute(f"SELECT {', '.join(types)} FROM {table}"):
            copy.write_row([bool(one) if of == "boolean" else one for one, of in zip(row, types.values(), strict=True)])


def change(url: str, *texts: str) -> None:
    with psycopg.connect(url, autocommit=True, options="-c search_path=retail,public") as raw:
        for text in texts:
            raw.execute(text.encode())


def test_nothing_is_found_in_the_bank_before_and_after_a_ledger_is_there(folder, postgres_url):
    report = check(folder / "guard.yaml")
    assert (report.errors, report.warnings) == ((), ())
    Ledger(postgres_url, judge=lambda asked: (), judged="sha256:" + "0" * 64, zone=ZONE).close()
    report = check(folder / "guard.yaml")
    assert (report.errors, report.warnings) == ((), ())


DRIFTS = {
    "table dropped": (["DROP TABLE loan_case"], "bank:retail.loan_case:", "no table loan_case"),
    "table in another schema": (["ALTER TABLE loan SET SCHEMA public"], "bank:retail.loan:", "no table loan"),
    "table renamed in case alone": (['ALTER TABLE loan RENAME TO "Loan"'], "bank:retail.loan:", "did you mean Loan?"),
    "view in its place": (["ALTER TABLE branch RENAME TO b", "CREATE VIEW branch AS SELECT full_name branch_id, id_number AS name, mobile city FROM customer"], "bank:retail.branch:", "is a view"),
    "materialized view in its place": (["ALTER TABLE branch RENAME TO b", "CREATE MATERIALIZED VIEW branch AS SELECT * FROM b"], "bank:retail.branch:", "is a materialized view"),
    "column renamed": (["ALTER TABLE customer RENAME COLUMN mobile TO phone"], "mobile: {category: contact}", "no column mobile"),
    "column of another type": (["ALTER TABLE loan ALTER COLUMN principal TYPE text"], "principal: {category: loan, type: integer}", "is text in the database, here integer"),
    "columns swapped": (["ALTER TABLE customer RENAME COLUMN mobile TO x", "ALTER TABLE customer RENAME COLUMN id_number TO mobile", "ALTER TABLE customer RENAME COLUMN x TO id_number"], "id_number: {category: identity_number}", "does not hold identity numbers"),
    "identity number in another column": (["UPDATE customer SET employer = id_number"], "employer: {category: employment}", "holds identity numbers"),
    "a foreign ledger": (["CREATE SCHEMA guard", "CREATE TABLE guard.guard_grant (x integer)"], "GUARD:postgresql:", "not the ledger's"),
    "no schema": (["ALTER SCHEMA retail RENAME TO retails"], "GUARD:{retail: retail}", "did you mean retails?"),
}  # fmt: skip


@pytest.mark.parametrize(("texts", "at", "word"), DRIFTS.values(), ids=DRIFTS)
def test_each_drift_of_the_database_is_found_at_its_place_in_the_catalogue(texts, at, word, folder, postgres_url):
    change(postgres_url, *texts)
    file = folder / ("guard.yaml" if at.startswith("GUARD:") else "catalogue.yaml")
    expect(folder, file, line_of(file, at.removeprefix("GUARD:")), word)


WARNINGS = {
    "column not in the catalogue": (["ALTER TABLE customer ADD COLUMN ethnicity text"], "bank:retail.customer:", "customer.ethnicity"),
    "table not in the catalogue": (["CREATE TABLE notes (customer_id integer, note text)"], "sources:", "notes"),
    "relation without an index": (["DROP INDEX retail.loan_case_customer_id_officer_id_idx"], "bank:retail.loan_case:", "no index begins with it"),
    "index of half the rows": (["DROP INDEX retail.loan_case_customer_id_officer_id_idx", "CREATE INDEX ON loan_case (customer_id) WHERE status = 'open'"], "bank:retail.loan_case:", "no index begins with it"),
    "trigger": (["CREATE FUNCTION copy() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'", "CREATE TRIGGER copies AFTER INSERT ON customer FOR EACH ROW EXECUTE FUNCTION copy()"], "sources:", "trigger copies on customer"),
    "rule": (["CREATE RULE copies AS ON INSERT TO customer DO ALSO NOTHING"], "sources:", "copies on customer"),
}  # fmt: skip


@pytest.mark.parametrize(("texts", "at", "word"), WARNINGS.values(), ids=WARNINGS)
def test_what_no_statement_can_reach_deserves_a_look(texts, at, word, folder, postgres_url):
    change(postgres_url, *texts)
    file = folder / "catalogue.yaml"
    expect(folder, file, line_of(file, at), word, "warnings")
    assert not check(folder / "guard.yaml").errors


def test_a_key_that_is_not_the_tables_deserves_a_look(folder, postgres_url):
    file = folder / "catalogue.yaml"
    change(
        postgres_url, "ALTER TABLE loan DROP CONSTRAINT loan_pkey", "ALTER TABLE loan ADD PRIMARY KEY (status, loan_id)"
    )
    expect(folder, file, line_of(file, "key: loan_id"), "write key: [status, loan_id]", "warnings")
    file.write_text(file.read_text("utf-8").replace("    key: loan_id\n", ""), "utf-8")
    expect(folder, file, line_of(file, "bank:retail.loan:"), "add key: [status, loan_id]", "warnings")


def test_a_text_under_a_collation_that_takes_different_texts_for_equal_is_no_text():
    live = Postgres.__new__(Postgres)
    assert live.holds("text", "text")
    assert not live.holds("text" + LOOSE, "text")
    assert not live.holds("citext", "text")


def test_a_partitioned_table_is_a_table_and_a_day_without_end_is_a_day(folder, postgres_url):
    change(
        postgres_url,
        "ALTER TABLE loan_case RENAME TO one",
        "CREATE TABLE loan_case (LIKE one) PARTITION BY HASH (customer_id)",
        "CREATE TABLE part PARTITION OF loan_case FOR VALUES WITH (MODULUS 1, REMAINDER 0)",
        "INSERT INTO loan_case SELECT * FROM one",
        "UPDATE loan_case SET opened_on = 'infinity'",
        "DROP TABLE one",
        "CREATE INDEX ON loan_case (customer_id)",
    )
    errors = check(folder / "guard.yaml").errors
    assert [one.message for one in errors] == [
        "the column loan_case.opened_on holds other things than dates such as 2026-11-23"
    ]


def test_a_lost_index_of_the_grants_and_a_role_above_all_are_warnings(folder, postgres_url):
    Ledger(postgres_url, judge=lambda asked: (), judged="sha256:" + "0" * 64, zone=ZONE).close()
    change(postgres_url, "DROP INDEX guard.guard_grant_asked")
    file = folder / "guard.yaml"
    expect(folder, file, line_of(file, "postgresql:"), "lost its index", "warnings")
    file.write_text(file.read_text("utf-8").replace(postgres_url, as_superuser(postgres_url)), "utf-8")
    expect(folder, file, line_of(file, "postgresql:"), "is a superuser", "warnings")


def test_the_ledgers_schema_holds_no_table_of_the_applications(folder):
    file = folder / "guard.yaml"
    file.write_text(file.read_text("utf-8").replace("{retail:", "{guard:"), "utf-8")
    with psycopg.connect(check_url(file)) as raw:
        raw.execute("CREATE SCHEMA guard")
    expect(folder, file, line_of(file, "{guard:"), "no statement may name")


def check_url(file: Path) -> str:
    return next(line.split('"')[1] for line in file.read_text("utf-8").splitlines() if "postgresql:" in line)


def test_check_writes_nothing_and_tells_no_value(folder, postgres_url):
    change(postgres_url, "UPDATE customer SET employer = id_number")
    before = snapshot(postgres_url)
    report = check(folder / "guard.yaml")
    assert snapshot(postgres_url) == before
    with psycopg.connect(postgres_url) as raw:
        values = {one for row in raw.execute("SELECT full_name, id_number FROM retail.customer") for one in row}
    text = "\n".join(map(str, (*report.errors, *report.warnings)))
    assert report.errors
    assert not any(value in text for value in values)


def snapshot(url: str) -> list[tuple]:
    with psycopg.connect(url) as raw:
        return raw.execute("SELECT relname, relfilenode FROM pg_class ORDER BY 1").fetchall()


# --- A role that is not the ledger's owner --------------------------------------------------------


def by_superuser(url: str, *texts: str) -> None:
    with psycopg.connect(as_superuser(url), autocommit=True) as raw:
        for text in texts:
            raw.execute(text.encode())


def first_opened_by_a_superuser(url: str) -> None:
    Ledger(as_superuser(url), judge=lambda asked: (), judged="sha256:" + "0" * 64, zone=ZONE).close()


def ledger_problem(folder: Path, word: str):
    (found,) = check(folder / "guard.yaml").errors
    assert word in found.message
    assert found.line == line_of(folder / "guard.yaml", "postgresql:")
    return found


def granted(url: str, remedy: str) -> None:
    """Does what a remedy says."""
    by_superuser(url, *remedy.partition(": ")[2].split("; "))


def used(url: str, folder: Path) -> None:
    """As a guard does, with the person keys beside the register."""
    keys = PersonKeys(f"sqlite:///{folder / 'persons.db'}")
    with Ledger(url, judge=lambda asked: (), judged="sha256:" + "0" * 64, zone=ZONE, persons=keys) as ledger:
        ledger.withdraw_subject("1001")
        ledger.rejudge()


RIGHTS = {
    "first opened by a superuser": [],
    "may use the schema alone": ["GRANT USAGE ON SCHEMA guard TO plain"],
    "may not use the sequences": ["GRANT USAGE ON SCHEMA guard TO plain", "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA guard TO plain"],
}  # fmt: skip


@pytest.mark.parametrize("texts", RIGHTS.values(), ids=RIGHTS)
def test_a_role_that_may_not_use_the_ledger_is_found_and_the_remedy_is_enough(texts, folder, postgres_url):
    first_opened_by_a_superuser(postgres_url)
    by_superuser(postgres_url, *texts)
    if len(texts) < 2:
        with pytest.raises(Refused, match=r"may not use the ledger's tables.*run guard check"):
            used(postgres_url, folder)
    found = ledger_problem(folder, "the role plain may not")
    granted(postgres_url, found.remedy)
    assert check(folder / "guard.yaml").errors == ()
    used(postgres_url, folder)


def test_a_role_that_may_not_make_the_ledger_is_found_and_the_remedy_is_enough(folder, postgres_url):
    name = psycopg.conninfo.conninfo_to_dict(postgres_url)["dbname"]
    by_superuser(postgres_url, f"ALTER DATABASE {name} OWNER TO postgres")
    with pytest.raises(Refused, match="run guard check"):
        used(postgres_url, folder)
    granted(postgres_url, ledger_problem(folder, "may not make the schema guard").remedy)
    assert check(folder / "guard.yaml").errors == ()
    by_superuser(postgres_url, "ALTER SCHEMA guard OWNER TO postgres", "GRANT USAGE ON SCHEMA guard TO plain")
    granted(postgres_url, ledger_problem(folder, "may not make the tables").remedy)
    assert check(folder / "guard.yaml").errors == ()
    used(postgres_url, folder)
