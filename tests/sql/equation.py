"""The oracle of guard_sql on whole queries: a small bank, decisions on it, and what they permit in plain Python.

`guard(Q)(D) = Q(copy)`: the copy is a second set of tables that holds the permitted rows and the treated values
and not the dropped columns, worked out here row by row from the decision, without a line of guard_sql. Data are
of the types that they are declared with, so that one bank fits SQLite and PostgreSQL.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from guard import catalogue, masks
from guard.model import (
    ALWAYS,
    AllCondition,
    AnyCondition,
    Condition,
    Decision,
    FactCondition,
    Facts,
    GrantCondition,
    RelationCondition,
    SelfCondition,
    Treatment,
)

Record = dict[str, Any]

TABLES: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType(
    {
        "customer": {
            "customer_id": "integer",
            "full_name": "text",
            "id_number": "text",
            "mobile": "text",
            "income": "integer",
            "grade": "text",
            "frozen": "boolean",
            "ended_on": "date",
        },
        "loan": {
            "loan_id": "integer",
            "customer_id": "integer",
            "guarantor_id": "integer",
            "principal": "integer",
            "status": "text",
            "opened_on": "date",
        },
        "loan_case": {"case_id": "integer", "customer_id": "integer", "officer": "text", "status": "text"},
        "branch": {"branch_id": "integer", "city": "text", "founded": "date"},
    }
)
"""Table -> column -> type of the catalogue, in the order of the database."""

KEYS: Final = {"customer": "customer_id", "loan": "loan_id", "loan_case": "case_id", "branch": "branch_id"}
SUBJECTS: Final[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
    {
        "customer": {"holder": "customer_id"},
        "loan": {"holder": "customer_id", "guarantor": {"column": "guarantor_id", "optional": True}},
        "loan_case": {"holder": "customer_id"},
    }
)
_RELATION: Final = {
    "assigned_case": {
        "source": "bank:retail.loan_case",
        "subject": "customer_id",
        "actor": "officer",
        "where": {"status": "open"},
    }
}
FACTS_OF: Final = {
    "customer": {"grade": "grade", "frozen": "frozen", "adverse_ended_on": "ended_on"},
    "loan": {"status": "status", "opened": "opened_on"},
    "loan_case": {"status": "status"},
}
CATEGORY: Final = {"full_name": "identity", "id_number": "identity_number", "mobile": "contact"}

CATALOGUE: Final = catalogue.load(
    {
        "version": "1",
        "sources": {
            f"bank:retail.{table}": {
                "subjects": SUBJECTS[table],
                "relations": _RELATION if table != "loan_case" else {},
                "facts": FACTS_OF[table],
                "fields": {
                    name: {
                        "category": "pseudonym" if name.endswith("_id") else CATEGORY.get(name, "income"),
                        "type": kind,
                    }
                    for name, kind in TABLES[table].items()
                },
            }
            for table in SUBJECTS
        },
        "public": {"bank:retail.branch": {"reason": "on our page", "owner": "it", "fields": dict(TABLES["branch"])}},
    }
)

NOW: Final = 1_795_420_800
FACTS: Final = Facts(
    actor="1",
    subject=None,
    purpose="loan_underwriting",
    operation="use",
    recipient="",
    seconds=NOW,
    date="2026-11-23",
    judged="rules-1",
)
FIVE_YEARS_AGO: Final = "2021-11-23"


def source(table: str) -> str:
    """The catalogue's name of a table."""
    return f"bank:retail.{table}"


def grant(person: int, **other: Any) -> Record:
    """A live grant for the purpose of FACTS."""
    made = {
        "consent_id": "c",
        "subject": str(person),
        "purpose": FACTS.purpose,
        "recipient": "",
        "scope": 1,
        "basis": "consent",
        "separate": 0,
        "written": 0,
        "assurance": 1,
        "recorder": "desk",
        "valid_from": NOW - 10,
        "valid_until": NOW + 10,
        "withdrawn_at": None,
        "judged": FACTS.judged,
    }
    return {**made, **other}


@dataclass
class Bank:
    """The contents of the tables, by name; dates are ISO text."""

    rows: dict[str, list[Record]] = field(default_factory=dict)
    grants: list[Record] = field(default_factory=list)

    def persons(self) -> set[str]:
        """Everybody who is in it."""
        return {one for table in SUBJECTS for row in self.rows[table] for one in persons_of(table, row)}


def subject_columns(table: str) -> list[str]:
    """The columns of a table that name persons, the first one first."""
    return [one if isinstance(one, str) else one["column"] for one in SUBJECTS.get(table, {}).values()]


def persons_of(table: str, row: Record) -> list[str]:
    """The keys of the persons of a row."""
    return [str(row[column]) for column in subject_columns(table) if row[column] is not None]


@dataclass
class Permitted:
    """What a decision permits of a bank."""

    bank: Bank
    facts: Facts

    def copy(self, decision: Decision) -> dict[str, tuple[list[str], list[Record]]]:
        """Of each table the columns that are not dropped, and its permitted rows with treated values."""
        made: dict[str, tuple[list[str], list[Record]]] = {}
        for table, columns in TABLES.items():
            if table not in SUBJECTS:
                made[table] = (list(columns), self.bank.rows[table])
                continue
            reads = decision.reads[source(table)]
            kept = [name for name in columns if name in reads]
            rows = [row for row in self.bank.rows[table] if self.shown(table, row, decision.rows[source(table)])]
            made[table] = (kept, [{name: self.value(table, row, name, reads[name]) for name in kept} for row in rows])
        return made

    def shown(self, table: str, row: Record, condition: Condition) -> bool:
        """Whether a row is there for this actor."""
        if row[subject_columns(table)[0]] is None:
            return False
        if self.facts.subject is not None and self.facts.subject not in persons_of(table, row):
            return False
        return self.holds(table, row, condition)

    def value(self, table: str, row: Record, name: str, treatment: Treatment) -> object:
        """The treated value."""
        if self.holds(table, row, treatment.reveal):
            return row[name]
        if treatment.mask is not None and self.holds(table, row, treatment.masked_if):
            return masks.apply(treatment.mask, row[name])
        return None

    def holds(self, table: str, row: Record, condition: Condition) -> bool:
        """Whether a condition holds of a row."""
        match condition:
            case AllCondition():
                return all(self.holds(table, row, one) for one in condition.conditions)
            case AnyCondition():
                return any(self.holds(table, row, one) for one in condition.conditions)
            case GrantCondition():
                return all(self._granted(one, condition) for one in persons_of(table, row))
            case SelfCondition():
                return persons_of(table, row)[0] == self.facts.actor
            case RelationCondition():
                return any(
                    persons_of("loan_case", case) == persons_of(table, row)[:1]
                    and case["officer"] == self.facts.actor
                    and case["status"] == "open"
                    for case in self.bank.rows["loan_case"]
                )
            case FactCondition():
                value = row[FACTS_OF[table][condition.name]]
                wanted = FIVE_YEARS_AGO if condition.ago else condition.value
                if value is None:
                    return condition.or_absent
                return {
                    "eq": value == wanted,
                    "ne": value != wanted,
                    "lt": value < wanted,
                    "ge": value >= wanted,
                }[condition.operator]
        raise AssertionError(condition)

    def _granted(self, person: str, condition: GrantCondition) -> bool:
        return any(
            one["subject"] == person
            and one["purpose"] == self.facts.purpose
            and one["valid_from"] <= NOW < one["valid_until"]
            and one["withdrawn_at"] is None
            and (not condition.separate or one["separate"] == 1)
            for one in self.bank.grants
        )


def everything(table: str) -> dict[str, Treatment]:
    """All fields of a table revealed."""
    return {name: Treatment(reveal=ALWAYS, mask=None, masked_if=ALWAYS) for name in TABLES[table]}
