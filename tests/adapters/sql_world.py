"""A small bank for the SQL tests, and the permitted part of it worked out in plain Python.

The second half is the oracle: what a decision permits, computed row by row from `guard.model` and
`guard.masks`, without a line of guard_sql. `guard(Q)(D)` has to be `Q(copy of the permitted part of D)`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from types import MappingProxyType
from typing import Any

import sqlalchemy

import guard_sql
from guard import catalogue, masks
from guard.model import (
    ALWAYS,
    NEVER,
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
    any_of,
)
from guard.periods import Period
from guard_ledger import tables as ledger_tables

CUSTOMER, LOAN, CASE = "bank:retail.customer", "bank:retail.loan", "bank:retail.loan_case"

CATALOGUE = catalogue.load(
    {
        "version": "1",
        "sources": {
            CUSTOMER: {
                "subjects": {"holder": "customer_id"},
                "relations": {
                    "assigned_case": {
                        "source": CASE,
                        "subject": "customer_id",
                        "actor": "officer",
                        "where": {"status": "open"},
                    }
                },
                "facts": {"adverse_ended_on": "ended_on", "frozen": "frozen", "grade": "grade"},
                "fields": {
                    "customer_id": {"category": "pseudonym", "type": "integer"},
                    "full_name": {"category": "identity"},
                    "id_number": {"category": "identity_number"},
                    "mobile": {"category": "contact"},
                    "monthly_income": {"category": "income", "type": "integer"},
                    "grade": {"category": "derived_score"},
                    "ended_on": {"category": "adverse", "type": "date"},
                    "frozen": {"category": "system", "type": "boolean"},
                    "住址": {"category": "contact"},
                },
            },
            LOAN: {
                "subjects": {"holder": "holder_key", "guarantor": {"column": "guarantor_key", "optional": True}},
                "facts": {"opened": "opened_at", "amount": "principal"},
                "fields": {
                    "loan_id": {"category": "system", "type": "integer"},
                    "holder_key": {"category": "pseudonym"},
                    "guarantor_key": {"category": "pseudonym"},
                    "principal": {"category": "loan", "type": "number"},
                    "status": {"category": "loan"},
                    "opened_at": {"category": "loan", "type": "timestamp"},
                },
            },
            CASE: {
                "subjects": {"holder": "customer_id"},
                "fields": {
                    "customer_id": {"category": "pseudonym", "type": "integer"},
                    "officer": {"category": "staff"},
                    "status": {"category": "system"},
                },
            },
        },
        "public": {
            "bank:retail.branch": {
                "reason": "addresses of branches",
                "owner": "it",
                "fields": {"branch_id": "integer", "city": "text"},
            }
        },
    }
)
SITE = guard_sql.Site(catalogue=CATALOGUE, holder="bank", schemas={"main": "retail"})

TABLES: Mapping[str, str] = MappingProxyType(
    {
        "customer": "customer_id INTEGER, full_name TEXT, id_number TEXT, mobile TEXT, monthly_income INTEGER, "
        'grade TEXT, ended_on TEXT, frozen INTEGER, "住址" TEXT',
        "loan": "loan_id INTEGER, holder_key TEXT, guarantor_key TEXT, principal REAL, status TEXT, opened_at TEXT",
        "loan_case": "customer_id INTEGER, officer TEXT, status TEXT",
        "branch": "branch_id INTEGER, city TEXT",
    }
)
SOURCES: Mapping[str, str] = MappingProxyType({"customer": CUSTOMER, "loan": LOAN, "loan_case": CASE})

NOW = 1_795_420_800
FACTS = Facts(
    actor="officer-1",
    subject=None,
    purpose="loan_underwriting",
    operation="use",
    recipient="",
    seconds=NOW,
    date="2026-11-23",
    judged="rules-1",
)

OP01 = GrantCondition(rule="OP-01")


def facts(**other: object) -> Facts:
    """FACTS with some of them changed."""
    return Facts(**{**{name: getattr(FACTS, name) for name in Facts.__struct_fields__}, **other})


def plan(sql: str) -> guard_sql.Plan:
    """The plan of a statement on the bank."""
    return guard_sql.plan(sql, SITE)


Record = dict[str, Any]


@dataclass
class Data:
    """The contents of a database: rows as dicts, grants with their scopes."""

    customer: list[Record] = field(default_factory=list)
    loan: list[Record] = field(default_factory=list)
    loan_case: list[Record] = field(default_factory=list)
    branch: list[Record] = field(default_factory=list)
    grants: list[Record] = field(default_factory=list)
    scopes: dict[int, set[tuple[str, str]]] = field(default_factory=dict)


def grant(subject: str, scope: int = 1, **other: Any) -> Record:
    """A live grant for the purpose of FACTS."""
    made = {
        "subject": subject,
        "purpose": FACTS.purpose,
        "recipient": "",
        "scope": scope,
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


def empty() -> sqlite3.Connection:
    """A connection with the bank's tables and the ledger's, as the ledger itself defines them."""
    connection = sqlite3.connect(":memory:")
    dialect = sqlalchemy.dialects.sqlite.dialect()
    for table in (ledger_tables.scope, ledger_tables.grant):
        connection.execute(str(sqlalchemy.schema.CreateTable(table).compile(dialect=dialect)))
        for index in table.indexes:
            connection.execute(str(sqlalchemy.schema.CreateIndex(index).compile(dialect=dialect)))
    for name, columns in TABLES.items():
        connection.execute(f"CREATE TABLE {name} ({columns})")
    return connection


def fill(connection: sqlite3.Connection, data: Data) -> sqlite3.Connection:
    """Puts the data into it."""
    for name in TABLES:
        for row in getattr(data, name):
            insert(connection, name, row)
    for row in data.grants:
        insert(connection, "guard_grant", {"consent_id": "c", **row})
    for scope, pairs in data.scopes.items():
        for operation, category in pairs:
            insert(connection, "guard_scope", {"scope": scope, "operation": operation, "category": category})
    return connection


def insert(connection: sqlite3.Connection, table: str, row: Record) -> None:
    names = ", ".join(f'"{name}"' for name in row)
    connection.execute(f"INSERT INTO {table} ({names}) VALUES ({', '.join('?' * len(row))})", tuple(row.values()))


def decision(
    source: str, rows: Condition = ALWAYS, reads: Mapping[str, Treatment] | Iterable[str] | None = None
) -> Decision:
    """A decision on one source; fields that are only named are revealed, and all of them by default."""
    named = CATALOGUE.sources[source].fields if reads is None else reads
    of = reads if isinstance(reads, Mapping) else dict.fromkeys(named, shown())
    return Decision(
        id="0",
        allow=True,
        rows=MappingProxyType({source: rows}),
        reads=MappingProxyType({source: MappingProxyType(dict(of))}),
    )


def shown(reveal: Condition = ALWAYS, *rules: str) -> Treatment:
    return Treatment(reveal=reveal, mask=None, masked_if=reveal, rules=rules)


def masked(mask: str, reveal: Condition = NEVER, masked_if: Condition = ALWAYS, *rules: str) -> Treatment:
    return Treatment(reveal=reveal, mask=mask, masked_if=any_of(reveal, masked_if), rules=rules)


def run(
    connection: sqlite3.Connection,
    sql: str,
    made: Decision | None,
    facts: Facts = FACTS,
    parameters: Sequence[object] | Mapping[str, object] | None = None,
) -> tuple[list[tuple[Any, ...]], list[tuple[str, ...]], guard_sql.Guarded]:
    """The visible rows of the guarded statement, the persons behind each, and the guarded statement."""
    guarded = guard_sql.plan(sql, SITE).apply(made)
    connection.set_authorizer(guarded.witness)
    rows = connection.execute(*guarded.bind(parameters, facts)).fetchall()
    connection.set_authorizer(None)
    visible = len(guarded.columns)
    return [row[:visible] for row in rows], [guarded.persons(row[visible:]) for row in rows], guarded


LOANS = Data(
    loan=[
        {"loan_id": 1, "holder_key": "a", "guarantor_key": "b", "principal": 1.0, "status": "open", "opened_at": None},
        {"loan_id": 2, "holder_key": "a", "guarantor_key": None, "principal": 2.0, "status": "open", "opened_at": None},
        {"loan_id": 3, "holder_key": "c", "guarantor_key": "a", "principal": 4.0, "status": "shut", "opened_at": None},
        {"loan_id": 4, "holder_key": None, "guarantor_key": "a", "principal": 8.0, "status": "shut", "opened_at": None},
        {
            "loan_id": 5,
            "holder_key": b"a",
            "guarantor_key": None,
            "principal": 9.0,
            "status": "shut",
            "opened_at": None,
        },
    ],
    grants=[grant("a"), grant("b"), grant("c")],
    scopes={1: {("use", "loan")}},
)


def loans() -> sqlite3.Connection:
    """A database with LOANS."""
    return fill(empty(), LOANS)


# --- The oracle -----------------------------------------------------------------------------------


def key(value: object) -> str | None:
    """The canonical key of a subject column's value; what is neither text nor integer is nobody."""
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int) else None


@dataclass
class Permitted:
    """What a decision permits of a database, in Python."""

    data: Data
    facts: Facts

    def rows(self, source: str, condition: Condition) -> list[Record]:
        table = source.rpartition(".")[2]
        entry = CATALOGUE.sources[source]
        kept = []
        for row in getattr(self.data, table):
            keys = [key(row[one.column]) for one in entry.subjects.values()]
            absent = [row[one.column] is None and one.optional for one in entry.subjects.values()]
            if any(one is None and not away for one, away in zip(keys, absent, strict=True)):
                continue
            columns = [one.column for one in entry.subjects.values()]
            if self.facts.subject is not None and not any(
                self.same(source, row, column, self.facts.subject) for column in columns
            ):
                continue
            if self.holds(source, row, condition):
                kept.append(row)
        return kept

    def same(self, source: str, row: Record, column: str, person: str) -> bool:
        """The column is the person; a column that is declared an integer is nobody else than an integer says."""
        integer = CATALOGUE.sources[source].fields[column].type == "integer"
        return key(row[column]) == person and (not integer or isinstance(row[column], int))

    def holds(self, source: str, row: Record, condition: Condition) -> bool:
        entry = CATALOGUE.sources[source]
        keys = [key(row[one.column]) for one in entry.subjects.values()]
        match condition:
            case AllCondition():
                return all(self.holds(source, row, part) for part in condition.conditions)
            case AnyCondition():
                return any(self.holds(source, row, part) for part in condition.conditions)
            case GrantCondition():
                return all(self.granted(person, condition) for person in keys if person is not None)
            case SelfCondition():
                return self.same(source, row, next(iter(entry.subjects.values())).column, self.facts.actor)
            case RelationCondition():
                return any(
                    key(case["customer_id"]) == keys[0]
                    and case["officer"] == self.facts.actor
                    and case["status"] == "open"
                    for case in self.data.loan_case
                )
            case FactCondition():
                return self.fact(entry, row, condition)

    def granted(self, person: str, condition: GrantCondition) -> bool:
        facts = self.facts
        all_ = [one for one in self.data.grants if one["subject"] == person]
        mine = [one for one in all_ if one["purpose"] == facts.purpose and one["recipient"] == facts.recipient]

        def live(one: Record) -> bool:
            return bool(one["valid_from"] <= facts.seconds < one["valid_until"] and one["withdrawn_at"] is None)

        def good(one: Record) -> bool:
            covered = self.data.scopes.get(one["scope"], set())
            return (
                one["judged"] == facts.judged
                and one["recorder"] != facts.actor
                and any(op == facts.operation and condition.category in (None, cat) for op, cat in covered)
                and quality(one)
            )

        def quality(one: Record) -> bool:
            return bool(
                (not condition.separate or one["separate"] == 1)
                and (not condition.written or one["written"] == 1)
                and one["assurance"] >= ("asserted", "observed", "proved").index(condition.assurance)
                and (not condition.basis or one["basis"] in condition.basis)
            )

        if condition.ended:
            ended = [one for one in all_ if one["withdrawn_at"] is not None or one["valid_until"] <= facts.seconds]
            return any(quality(one) for one in ended) and not any(live(one) for one in all_)
        return any(good(one) and live(one) for one in mine)

    def fact(self, entry: catalogue.Source, row: Record, condition: FactCondition) -> bool:
        column = entry.facts[condition.name]
        value = row[column]
        if value is None:
            return condition.or_absent
        wanted: Any = condition.value
        if condition.ago is not None:
            if not isinstance(value, str) or not _iso(value, whole=entry.fields[column].type == "date"):
                return False
            wanted, value = (
                Period.parse(condition.ago).before(date.fromisoformat(self.facts.date)).isoformat(),
                value[:10],
            )
        if isinstance(wanted, str) != isinstance(value, str):
            return False
        return {
            "eq": value == wanted,
            "ne": value != wanted,
            "lt": value < wanted,
            "le": value <= wanted,
            "gt": value > wanted,
            "ge": value >= wanted,
        }[condition.operator]

    def value(self, source: str, row: Record, name: str, treatment: Treatment | None) -> object:
        if treatment is None:
            return None
        if self.holds(source, row, treatment.reveal):
            return row[name]
        if treatment.mask in masks.MASKS and self.holds(source, row, treatment.masked_if):
            return masks.apply(treatment.mask, row[name])
        return None

    def dropped(self, treatment: Treatment | None) -> bool:
        if treatment is None:
            return True
        return treatment.reveal == NEVER and (treatment.mask not in masks.MASKS or treatment.masked_if == NEVER)

    def copy(self, source: str, made: Decision, *, starred: bool) -> sqlite3.Connection:
        """A database whose table holds the permitted rows with treated values, and nothing else.

        With `starred` dropped columns are not there; else they are NULL, and `k0`, `k1` name the persons.
        """
        table = source.rpartition(".")[2]
        reads = made.reads[source]
        columns = [column.strip() for column in TABLES[table].split(", ")]
        names = [column.split(" ")[0].strip('"') for column in columns]
        if starred:
            columns = [text for text, name in zip(columns, names, strict=True) if not self.dropped(reads.get(name))]
            names = [name for name in names if not self.dropped(reads.get(name))]
        else:
            columns += ["k0 TEXT", "k1 TEXT"]
        connection = sqlite3.connect(":memory:")
        connection.execute(f"CREATE TABLE {table} ({', '.join(columns)})")
        subjects = [one.column for one in CATALOGUE.sources[source].subjects.values()]
        for row in self.rows(source, made.rows[source]):
            copied = {name: self.value(source, row, name, reads.get(name)) for name in names}
            if not starred:
                copied |= {f"k{place}": key(row[column]) for place, column in enumerate(subjects)}
            insert(connection, table, copied)
        return connection


def _iso(value: str, *, whole: bool) -> bool:
    digits = value[:4] + value[5:7] + value[8:10]
    formed = len(value) >= 10 and digits.isascii() and digits.isdigit() and value[4] == value[7] == "-"
    return formed and (not whole or len(value) == 10)
