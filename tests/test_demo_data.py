"""The example databases: real applicants, invented persons who agree with them, consents of every kind."""

import csv
import sqlite3
from collections import Counter
from contextlib import closing
from datetime import date, timedelta

import pytest

from guard import catalogue, wire
from guard.cli.checks.contents import identity_number, mobile
from guard.config import Profile, Settings
from guard.demo import agency, bank, tables
from guard.errors import Misuse
from guard.masks import city
from guard.model import Reason, Scope, Verdict
from guard_ledger.ledger import Ledger

DAY = date(2031, 3, 1)
"""Years after the data was made: nothing in it may have grown old."""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bank")
    bank.build(folder, DAY)
    with closing(sqlite3.connect(folder / bank.DATABASE)) as connection:
        connection.row_factory = sqlite3.Row
        yield connection


def all_rows(connection, table):
    return connection.execute(f"SELECT * FROM {table}").fetchall()


def test_every_real_applicant_is_there_unchanged(made):
    with (bank.DATA / "german_credit.csv").open(encoding="utf-8", newline="") as stream:
        records = list(csv.DictReader(stream))
    applications = all_rows(made, "application")
    assert len(applications) == len(records) == 1000
    renamed = {"purpose": "loan_purpose", "creditability": "outcome"}
    for record, application in zip(records, applications, strict=True):
        assert {name: str(application[renamed.get(name, name)]) for name in record} == record


def test_the_source_of_the_real_data_is_named_beside_it():
    text = (bank.DATA / "README.md").read_text(encoding="utf-8")
    for word in ("Statlog (German Credit Data)", "H. Hofmann", "UCI Machine Learning Repository", "1994", "CC BY 4.0"):
        assert word in text


def test_identities_agree_with_the_applicants(made):
    applications = all_rows(made, "application")
    for row in applications:
        number = row["id_number"]
        assert identity_number(number)
        assert number[6:14] == row["birth_date"].replace("-", "")
        born = date.fromisoformat(row["birth_date"])
        assert 2026 - born.year == row["age_in_years"]
        assert (born.month, born.day) <= (11, 23), "as old on 2026-11-23"
        assert (int(number[16]) % 2 == 0) == row["personal_status_and_sex"].startswith("female")
        assert mobile(row["mobile"])
        assert city(row["home_address"]).endswith("市")
        assert row["full_name"]
    assert len({row["id_number"] for row in applications}) == len({row["mobile"] for row in applications}) == 1000


def test_application_and_customer_tell_the_same(made):
    shared = "customer_id, full_name, id_number, birth_date, mobile, home_address, frozen_flag"
    select = f"SELECT {shared} FROM {{}} ORDER BY customer_id"
    assert made.execute(select.format("application")).fetchall() == made.execute(select.format("customer")).fetchall()


def test_dates_are_counted_from_the_day_the_database_is_made(made):
    days = [date.fromisoformat(row["applied_on"]) for row in all_rows(made, "application")]
    assert all(timedelta(0) < DAY - day < timedelta(days=100) for day in days)
    ended = {row["overdue_ended_at"] for row in all_rows(made, "loan")}
    assert {day is None or date.fromisoformat(day) < DAY.replace(year=2026) for day in ended} == {True, False}


def test_an_officer_works_on_some_open_cases_of_persons_who_consent(made):
    cases = all_rows(made, "loan_case")
    assert len({row["customer_id"] for row in cases}) == 1000
    opened = Counter(row["officer_id"] for row in cases if row["status"] == "open")
    assert set(opened) == {"officer-lin", "officer-chen", "officer-zhao", "officer-wu"}
    assert all(5 < count < 60 for count in opened.values())


def test_catalogue_profile_and_database_are_of_one_piece(made):
    loaded = catalogue.load(bank.HERE / "catalogue.yaml")
    tables_of = {name: one for name, one in {**loaded.sources, **loaded.public}.items() if " " not in name}
    assert len(tables_of) == 5
    for name, entry in tables_of.items():
        columns = [row[1] for row in made.execute(f"PRAGMA table_info({name.rpartition('.')[2]})")]
        assert columns == list(entry.fields), "in the same order: so does * expand"


def test_the_builder_touches_nothing_that_is_there(tmp_path):
    path = bank.build(tmp_path, DAY)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    with pytest.raises(Misuse, match="exists"):
        bank.build(tmp_path, DAY)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before
    assert Settings.load(path).database.sqlite_file == tmp_path / bank.DATABASE


def test_the_same_day_makes_the_same_database(tmp_path):
    paths = [bank.build(tmp_path / name, DAY).parent / bank.DATABASE for name in ("a", "b")]
    dumps = []
    for path in paths:
        with closing(sqlite3.connect(path)) as connection:
            dumps.append(list(connection.iterdump()))
    assert dumps[0] == dumps[1]


# --- Consents -------------------------------------------------------------------------------------


@pytest.mark.parametrize("holder", [bank, agency])
def test_consents_are_well_formed_and_recent(holder):
    records = list(holder.consents(DAY))
    now = int((DAY - date(1970, 1, 1)).total_seconds())
    assert len({record.consent.id for record in records}) == len(records)
    for record in records:
        assert wire.consent(wire.canonical(record.consent)) == record.consent
        assert record.consent.notice.shown_at < record.consent.granted_at < now
    live = [one for one in records if one.consent.expires_at and one.consent.expires_at > now + 90 * 86_400]
    assert len(live) > len(records) * 0.8, "an example that is made today serves for a season"


def test_some_are_of_every_kind():
    records = list(bank.consents(DAY))
    now = int((DAY - date(1970, 1, 1)).total_seconds())
    withdrawn = {consent_id for consent_id, _ in bank.withdrawals(DAY)}
    kinds = {
        "for life": lambda one: one.consent.expires_at is None,
        "expired": lambda one: one.consent.expires_at and one.consent.expires_at < now,
        "preticked": lambda one: one.consent.preticked,
        "asserted": lambda one: one.consent.assurance == "asserted" and one.recorder.startswith("officer-"),
        "marketing": lambda one: one.consent.purposes == ("marketing",),
        "withdrawn": lambda one: one.consent.id in withdrawn,
        "with number": lambda one: "identity_number" in one.consent.categories and one.consent.separate,
        "without number": lambda one: one.consent.separate and "identity_number" not in one.consent.categories,
        "guarantor": lambda one: "guarantor_review" in one.consent.purposes,
    }
    assert {kind for kind, holds in kinds.items() if sum(map(bool, map(holds, records))) >= 5} == set(kinds)


def test_about_three_in_five_may_be_used_for_underwriting():
    now = int((DAY - date(1970, 1, 1)).total_seconds())
    withdrawn = {consent_id for consent_id, _ in bank.withdrawals(DAY)}
    given = {
        one.subject
        for one in bank.consents(DAY)
        if "loan_underwriting" in one.consent.purposes
        and one.consent.id not in withdrawn
        and (one.consent.expires_at or 0) > now
        and not one.consent.preticked
        and one.consent.assurance != "asserted"
    }
    assert 550 < len(given) < 650


@pytest.mark.parametrize("holder", [bank, agency])
def test_consents_name_categories_and_persons_of_the_catalogue(holder, tmp_path):
    settings = Settings.load(holder.build(tmp_path, DAY))
    known = catalogue.load(settings.catalogue).categories
    own = Profile.load(settings.profile).purposes
    table, key = ("customer", "customer_id") if holder is bank else ("person", "person_id")
    with closing(sqlite3.connect(tmp_path / holder.DATABASE)) as connection:
        persons = {str(row[0]) for row in connection.execute(f"SELECT {key} FROM {table}")}
    for record in holder.consents(DAY):
        assert set(record.consent.categories) <= known
        assert record.subject in persons
        assert not set(record.consent.purposes) & set(own)


def test_a_thousand_consents_are_recorded_in_few_calls(tmp_path):
    """Real ledger, a judge that takes what is not for life; the floor's verdicts are tested with the examples."""
    day = tables.today()  # one day for both times: midnight may pass
    bank.build(tmp_path, day)
    judged: list[int] = []

    def judge(consents):
        judged.append(len(consents))
        return tuple(
            Verdict(
                id=one.id,
                valid=True,
                scopes=tuple(Scope(operations=(name,), categories=one.categories) for name in one.operations),
                valid_until=one.expires_at,
            )
            if one.expires_at
            else Verdict(id=one.id, valid=False, reasons=(Reason(rule="OP-03"),))
            for one in consents
        )

    ledger = Ledger(f"sqlite:///{tmp_path / bank.DATABASE}", judge=judge, judged="sha256:" + "0" * 64, zone=tables.ZONE)
    with ledger:
        bank.record(ledger, day)
        assert len(judged) < 100
        assert sum(judged) == len(list(bank.consents(day)))
        assert ledger.sequence() == len(list(bank.consents(day))) + len(list(bank.withdrawals(day)))
        kept = ledger.list("1005")
        assert [one.withdrawn_at is not None for one in kept] == [True, True, False], "what the loan needs stays"
        assert not ledger.list("1006")
        assert [one.verdict.valid for one in ledger.list("1011")] == [False]
        bank.record(ledger, day)  # the same again changes nothing
        assert ledger.list("1005") == kept


@pytest.mark.parametrize("name", ["bank.db", "bank.db-journal", "bank.db-wal", "bank.db-shm", "profile.yaml"])
def test_nothing_is_made_over_what_is_there(name, tmp_path):
    """SQLite removes a journal that it finds beside a database that is not there."""
    (tmp_path / name).write_bytes(b"precious")
    with pytest.raises(Misuse, match=f"{name} exists"):
        bank.build(tmp_path)
    assert [(one.name, one.read_bytes()) for one in tmp_path.iterdir()] == [(name, b"precious")]


@pytest.mark.parametrize("name", ["bank.db", "guard.yaml"])
def test_nothing_is_made_where_a_link_leads(name, tmp_path):
    folder, elsewhere = tmp_path / "bank", tmp_path / "elsewhere"
    folder.mkdir()
    elsewhere.mkdir()
    (folder / name).symlink_to(elsewhere / "x")
    with pytest.raises(Misuse, match=f"{name} exists"):
        bank.build(folder)
    assert not list(elsewhere.iterdir())
