"""Makes the persons of the examples. Run by hand, once (`python examples/generate.py`, extra `data`).

What it wrote is committed beside it; nothing reads this module. The same seed gives the same files with the
same version of Faker.
"""

from __future__ import annotations

import csv
import random
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

from faker import Faker

HERE: Final = Path(__file__).parent.parent / "guard" / "demo"
AS_OF: Final = date(2026, 11, 23)
"""The day on which everybody is as old as the applicant's record says."""

OFFICERS: Final = ("officer-lin", "officer-chen", "officer-zhao", "officer-wu")
RECORDER: Final = "service-consent-form"

GENERAL: Final = ("identity", "contact", "address", "loan_application", "employment", "housing", "household")
SEPARATE: Final = ("deposit", "income", "real_estate", "credit_history", "loan", "adverse")
NUMBER: Final = "identity_number"

Row = dict[str, Any]

# --- Persons --------------------------------------------------------------------------------------


def checksum(first17: str) -> str:
    """The 18th character of an identity number (GB 11643-1999, ISO 7064 MOD 11-2)."""
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    return "10X98765432"[sum(int(digit) * weight for digit, weight in zip(first17, weights, strict=True)) % 11]


class People:
    """Invented persons, no two alike in identity number or mobile."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)  # noqa: S311 -- examples, not secrets
        self.fake = Faker("zh_CN")
        self.fake.seed_instance(seed)
        self._taken: set[str] = set()

    def person(self, age: int, *, female: bool) -> Row:
        """A person who is `age` years old on `AS_OF`, whose birthday in that year is past."""
        latest = AS_OF.replace(year=AS_OF.year - age)
        born = latest - timedelta(days=self.random.randrange(latest.timetuple().tm_yday))
        return {
            "full_name": self.fake.name_female() if female else self.fake.name_male(),
            "id_number": self._unique(lambda: self._number(born, female=female)),
            "birth_date": born.isoformat(),
            "mobile": self._unique(self.fake.phone_number),
            "home_address": self.address(),
        }

    def address(self) -> str:
        """An address in a city, which the mask `city` keeps."""
        number = self.random.randrange(1, 300)
        return f"{self.fake.city_name()}市{self.fake.district()}区{self.fake.street_name()}{number}号"

    def _number(self, born: date, *, female: bool) -> str:
        order = self.random.randrange(1, 499) * 2 + (not female)
        first17 = f"{self.fake.ssn()[:6]}{born:%Y%m%d}{order:03d}"
        return first17 + checksum(first17)

    def _unique(self, make: Any) -> str:
        while (value := str(make())) in self._taken:
            pass
        self._taken.add(value)
        return value


# --- Consents -------------------------------------------------------------------------------------


def consent(number: int, subject: object, **differs: object) -> Row:
    """A row of consent.csv: a general consent to underwriting that fulfils the law, except for what differs."""
    return {
        "consent_id": f"c-{number}",
        "subject": subject,
        "recorder": RECORDER,
        "evidence": f"form-{number}",
        "purposes": "loan_underwriting",
        "operations": "collect|store|use|process",
        "categories": "|".join(GENERAL),
        "recipient": "",
        "basis": "consent",
        "method": "opt_in",
        "form": "electronic",
        "separate": 0,
        "written": 0,
        "bundled": 0,
        "preticked": 0,
        "refusal_denies_service": 0,
        "adverse_effect_told": 0,
        "guardian": 0,
        "notice_id": "n-loan",
        "notice_version": "2026-03",
        "assurance": "observed",
        "granted:days_ago": 30,
        "lasts_days": 365,
        "withdrawn:days_ago": "",
        **differs,
    }


SIGNED: Final[Mapping[str, object]] = {
    "separate": 1,
    "written": 1,
    "form": "signed",
    "assurance": "proved",
    "adverse_effect_told": 1,
    "notice_id": "n-loan-sensitive",
}

KINDS: Final[Mapping[str, float]] = {
    "full": 0.45,
    "no_number": 0.15,
    "marketing": 0.08,
    "expired": 0.06,
    "withdrawn": 0.06,
    "asserted": 0.03,
    "for_life": 0.02,
    "preticked": 0.02,
    "none": 0.13,
}
FIRST: Final = (
    "no_number",
    "full",
    "full",
    "full",
    "withdrawn",
    "none",
    "marketing",
    "asserted",
    "expired",
    "full",
    "for_life",
    "preticked",
)
"""The kinds of the first customers, for the tour and the tests."""


def consents_of(kind: str, officer: str, days: int) -> Iterator[Row]:
    """The differences of each consent record of a customer of this kind, `days` after the first was given."""
    given: Row = {"granted:days_ago": days}
    if kind in {"full", "no_number", "withdrawn"}:
        ended = {"withdrawn:days_ago": days // 2} if kind == "withdrawn" else {}
        categories = [*SEPARATE, NUMBER] if kind != "no_number" else [*SEPARATE]
        yield {**given, **ended}
        yield {**given, **ended, **SIGNED, "categories": "|".join(categories)}
    elif kind == "marketing":
        yield {**given, "purposes": "marketing", "categories": "identity|contact", "notice_id": "n-marketing"}
    elif kind == "expired":
        yield {"granted:days_ago": days + 400}
    elif kind == "asserted":
        yield {**given, "recorder": officer, "assurance": "asserted", "form": "oral", "evidence": ""}
    elif kind == "for_life":
        yield {**given, "lasts_days": ""}
    elif kind == "preticked":
        yield {**given, "preticked": 1, "method": "opt_out"}


# --- The bank -------------------------------------------------------------------------------------


def bank(folder: Path) -> None:
    """identity.csv, loan_case.csv, loan.csv, branch.csv and consent.csv beside german_credit.csv."""
    people = People(1001)
    chance = people.random
    with (folder / "german_credit.csv").open(encoding="utf-8", newline="") as stream:
        applicants = list(csv.DictReader(stream))
    identities: list[Row] = []
    cases: list[Row] = []
    loans: list[Row] = []
    consents: list[Row] = []
    for position, applicant in enumerate(applicants):
        customer = 1001 + position
        first = position < len(FIRST)
        kind = FIRST[position] if first else chance.choices([*KINDS], [*KINDS.values()])[0]
        officer = OFFICERS[position == 3] if first else chance.choice(OFFICERS)
        frozen = position == 2 if first else kind == "full" and chance.random() < 0.02
        applied = chance.randrange(20, 90)
        identities.append(identity(people, customer, applicant, applied, frozen=frozen))
        status = ("closed" if position == 9 else "open") if first else chance.choices(["open", "closed"], [1, 11])[0]
        cases.append(
            {
                "case_id": 5001 + position,
                "customer_id": customer,
                "officer_id": officer,
                "status": status,
                "opened_on:days_ago": applied - 1,
            }
        )
        loans += loan(chance, customer, applicant, len(applicants), len(loans))
        for differs in consents_of(kind, officer, applied):
            consents.append(consent(len(consents) + 1, customer, **differs))
        if loans and loans[-1]["customer_id"] == customer:
            consents += loan_consents(consents, loans[-1], applied)
    write(folder / "identity.csv", identities)
    write(folder / "loan_case.csv", cases)
    write(folder / "loan.csv", loans)
    write(folder / "consent.csv", consents)
    cities = (("branch-1", "城南支行", "北京"), ("branch-2", "滨江支行", "杭州"), ("branch-3", "天府支行", "成都"))
    write(folder / "branch.csv", [{"branch_id": key, "name": name, "city": city} for key, name, city in cities])


def identity(people: People, customer: int, applicant: Mapping[str, str], applied: int, *, frozen: bool) -> Row:
    """Who the applicant is, made up to agree with the record."""
    age, female = int(applicant["age_in_years"]), applicant["personal_status_and_sex"].startswith("female")
    employed = not applicant["present_employment_since"].startswith("unemployed")
    rate = {"1": 0.40, "2": 0.30, "3": 0.22, "4": 0.15}[
        applicant["installment_rate_in_percentage_of_disposable_income"]
    ]
    instalment = int(applicant["credit_amount"]) / int(applicant["duration_in_month"])
    return {
        "customer_id": customer,
        **people.person(age, female=female),
        "id_valid_to": f"{2030 + people.random.randrange(20)}-{people.random.randrange(1, 13):02d}-01",
        "employer": people.fake.company() if employed else "",
        "monthly_income": round(instalment / rate) if employed else "",
        "applied_on:days_ago": applied,
        "frozen_flag": int(frozen),
    }


def loan(chance: random.Random, customer: int, applicant: Mapping[str, str], total: int, count: int) -> Iterator[Row]:
    """The loan of an applicant who has more than this one, was late, or has a guarantor."""
    late = applicant["credit_history"] == "delay in paying off in the past"
    guaranteed = applicant["other_debtors_or_guarantors"] == "guarantor"
    if not (late or guaranteed or int(applicant["number_of_existing_credits_at_this_bank"]) > 2):
        return
    # The five years of CRR 16 count from the end of the conduct: some not ended, some just within, some past.
    ended = chance.choice(["", 200, 1000, 1700, 1900, 2500]) if late else ""
    running = late and ended == ""
    guarantor = 1001 + (customer - 1001 + chance.randrange(1, total)) % total
    yield {
        "loan_id": 9001 + count,
        "customer_id": customer,
        "guarantor_id": guarantor if guaranteed else "",
        "principal": applicant["credit_amount"],
        "status": "overdue" if running else "normal",
        "overdue_days": chance.randrange(30, 400) if late else 0,
        "overdue_ended_at:days_ago": ended,
    }


def loan_consents(before: list[Row], made: Mapping[str, Any], applied: int) -> Iterator[Row]:
    """What borrower and guarantor of a loan signed; every third guarantor has not signed yet."""
    signed = {**SIGNED, "granted:days_ago": applied, "notice_id": "n-contract"}
    signed["categories"] = "identity|contact|address|loan|adverse|credit_history"
    contract = {**signed, "purposes": "post_loan_management", "basis": "contract"}
    number = len(before) + 1
    yield consent(number, made["customer_id"], **contract)
    if made["guarantor_id"] and number % 3:
        yield consent(number + 1, made["guarantor_id"], **{**signed, "purposes": "guarantor_review"})
        yield consent(number + 2, made["guarantor_id"], **contract)


# --- The agency -----------------------------------------------------------------------------------


def agency(folder: Path) -> None:
    """person.csv, wealth.csv, credit_line.csv, inquiry_case.csv and consent.csv of a small credit agency."""
    people = People(2001)
    chance = people.random
    persons: list[Row] = []
    wealth: list[Row] = []
    lines: list[Row] = []
    cases: list[Row] = []
    consents: list[Row] = []
    for position in range(60):
        key = f"p-{2001 + position}"
        female = chance.random() < 0.5
        persons.append(
            {
                "person_id": key,
                **people.person(chance.randrange(19, 75), female=female),
                "religion": chance.choice(["", "", "佛教", "道教", "伊斯兰教", "基督教"]),
                "blood_type": chance.choice(["A", "B", "AB", "O"]),
                "frozen_flag": int(position == 4),
            }
        )
        wealth.append(
            {
                "person_id": key,
                "monthly_income": chance.randrange(4, 60) * 1000,
                "deposit_balance": chance.randrange(500) * 1000,
            }
        )
        for number in range(chance.randrange(1, 4)):
            late = chance.random() < 0.4
            ended = chance.choice(["", 300, 1700, 1900, 3000]) if late else ""
            if position == 0:  # the tour's person: one line within the five years, one past them
                late, ended = True, (1000, 2000, 1500)[number]
            lines.append(
                {
                    "line_id": 7001 + len(lines),
                    "person_id": key,
                    "institution": chance.choice(["bank", "bank-2", "consumer-finance-1"]),
                    "kind": chance.choice(["mortgage", "credit_card", "consumer_loan"]),
                    "balance": chance.randrange(10, 900) * 1000,
                    "status": "overdue" if late and ended == "" else "normal",
                    "overdue_days": chance.randrange(30, 400) if late else 0,
                    "overdue_ended_on:days_ago": ended,
                }
            )
        cases.append(
            {
                "case_id": 6001 + position,
                "person_id": key,
                "officer_id": "analyst-he" if position % 2 == 0 else "analyst-xu",
                "reason_code": "loan_approval",
                "status": "open" if position % 5 != 3 else "closed",
                "opened_on:days_ago": chance.randrange(2, 30),
            }
        )
        consents += agency_consents(consents, key, position)
    for name, rows in (
        ("person", persons),
        ("wealth", wealth),
        ("credit_line", lines),
        ("inquiry_case", cases),
        ("consent", consents),
    ):
        write(folder / f"{name}.csv", rows)


def agency_consents(before: list[Row], key: str, position: int) -> Iterator[Row]:
    """Most persons signed, and that the bank may ask; every fifth did not sign for wealth, every seventh nothing."""
    if position % 7 == 6:
        return
    categories = ["identity", "contact", "address", "loan", "adverse"]
    if position % 5:
        categories += ["income", "deposit"]
    if position % 3:
        categories += [NUMBER]
    signed = {
        **SIGNED,
        "purposes": "credit_reporting",
        "categories": "|".join(categories),
        "notice_id": "n-report",
        "granted:days_ago": 30 + position,
    }
    number = len(before) + 1
    yield consent(number, key, **signed)
    if position % 4 != 3:
        yield consent(number + 1, key, **{**signed, "operations": "provide", "recipient": "bank"})


def write(path: Path, rows: Iterable[Row]) -> None:
    """Rows as CSV with a header."""
    every = list(rows)
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, fieldnames=list(every[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(every)


if __name__ == "__main__":
    bank(HERE / "bank" / "data")
    agency(HERE / "agency" / "data")
