"""A condition leaves the same records, in Python, as it leaves rows of the table that holds them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta, timezone
from types import MappingProxyType
from typing import Any

import pytest
import sql_world as world
from hypothesis import given, settings
from hypothesis import strategies as st
from sql_databases import Database, numbered, permitted
from sql_world import CATALOGUE, CUSTOMER, FACTS, LOAN, Data, Record, facts
from test_sql_forms import ASSIGNED, OPERATORS, Both, actors, both, databases, on_customer, on_loan, persons

from guard import comparison, messages
from guard.attempt import Attempt
from guard.context import subject_key
from guard.effects import HoldsEach
from guard.errors import Misuse, Refused
from guard.model import Activity, Actor, ActorFacts, Condition, Declared, FactCondition, Facts, Recipient, Time
from guard.records import DictRecords, Plan
from guard.standing import Standing
from guard_sql.holds import question
from guard_sql.site import Site

__all__ = ["both"]

COUNTS = {"asked": 0, "some": 0, "not all": 0}


@pytest.fixture(scope="module", autouse=True)
def _counts() -> Iterator[None]:
    yield
    assert COUNTS["some"] * 6 >= COUNTS["asked"], COUNTS
    assert COUNTS["not all"] * 6 >= COUNTS["asked"], COUNTS


def attempt(plan: Plan, asked: Facts) -> Attempt:
    activity = Activity(
        id="0",
        operation="use",
        purpose=asked.purpose,
        method="http",
        actor=ActorFacts(kind="person"),
        recipient=Recipient(kind="staff"),
        subjects="many",
        items=plan.items,
        declared=Declared(),
        time=Time(seconds=0, date=asked.date, hour=8, zone="Asia/Shanghai"),
    )
    return Attempt(
        actor=Actor(id=asked.actor),
        activity=activity,
        facts=asked,
        plan=plan,
        text="",
        parameters=None,
        digests=MappingProxyType({}),
        messages=messages.OWN,
    )


def answered(database: Database, effect: HoldsEach) -> tuple[set[str], ...]:
    asked = question(database.site, effect.source, effect.conditions)
    rows = database.ask(asked.sql, asked.bound(effect.subjects, effect.facts))
    return tuple({key for key, *truths in rows if truths[place]} for place in range(len(effect.conditions)))


def kept(database: Database, source: str, rows: list[Record], condition: Condition, now: Facts) -> list[int]:
    entry = CATALOGUE.sources[source]
    records = DictRecords(source, entry, rows)
    plan = Plan.of(source, entry, records.present, "release")
    standing = Standing(attempt(plan, now), plan, records, plan.terms(world.decision(source, condition)))
    road = standing.asked()
    answer: Any = None
    count = 0
    try:
        while True:
            effect = road.send(answer)
            assert isinstance(effect, HoldsEach)
            answer, count = answered(database, effect), count + 1
    except StopIteration:
        assert count <= 1, "all is asked at once"
    return list(standing.kept())


def canonical(row: Record) -> bool:
    """Whether its keys can be those of persons; a record whose keys cannot is refused with all the others."""
    try:
        for name in ("customer_id", "holder_key", "guarantor_key"):
            if row.get(name) is not None:
                subject_key(row[name])
    except Refused:
        return False
    return True


@settings(deadline=None, max_examples=200)
@given(
    data=databases,
    asked=st.tuples(st.just(CUSTOMER), on_customer) | st.tuples(st.just(LOAN), on_loan),
    actor=actors,
    subject=st.none() | st.none() | persons,
)
def test_a_condition_leaves_the_records_that_it_leaves_of_rows(
    both: Both, data: Data, asked: tuple[str, Condition], actor: str, subject: str | None
) -> None:
    (source, condition), now = asked, facts(actor=actor, subject=subject)
    data.customer = [row for row in data.customer if canonical(row)]
    data.loan = [row for row in data.loan if canonical(row)]
    rows = numbered(data).customer if source == CUSTOMER else numbered(data).loan
    typed = [{name: _typed(name, one) for name, one in row.items()} for row in rows]
    COUNTS["asked"] += 1
    for database in both:
        database.fill(data)
        expected = permitted(database, source, condition, now)
        assert kept(database, source, typed, condition, now) == expected
    COUNTS["some"] += len(expected) > 0
    COUNTS["not all"] += len(expected) < len(rows)


def _typed(name: str, value: object) -> object:
    return bool(value) if name == "frozen" and value is not None else value


def _persons(source: str) -> Record:
    """One person, and said to be alone: a record that leaves out its second person is hidden."""
    key = 1 if source == CUSTOMER else "a"
    return {one.column: None if one.optional else key for one in CATALOGUE.sources[source].subjects.values()}


DAYS = ["2021-11-22", "2021-11-23", "2021-11-24", "1500-02-28", "9999-12-31", None]
FACTS_ASKED: list[tuple[str, str, list[Any], list[Any]]] = [
    (CUSTOMER, "adverse_ended_on", DAYS, [{"ago": "P5Y"}, {"value": "2021-11-23"}, {"value": 0}]),
    (CUSTOMER, "frozen", [True, False, None], [{"value": one} for one in (0, 1, -1, True, False, "1")]),
    (CUSTOMER, "grade", ["A", "a", "", "ä", "𠀀", "\uffff", None], [{"value": one} for one in ("A", "", "𠀀", 1)]),
    (LOAN, "amount", [0.5, 100, -3.25, 0, None], [{"value": one} for one in (0, 1, 100, -3, "100")]),
    (LOAN, "opened", [day and f"{day} 23:59:59" for day in DAYS], [{"ago": "P5Y"}, {"value": 0}]),
]


@pytest.mark.parametrize("absent", [False, True])
@pytest.mark.parametrize("operator", OPERATORS)
def test_each_fact_compares_as_its_column_does(both: Both, operator: Any, absent: bool) -> None:
    for source, name, values, asked in FACTS_ASKED:
        entry = CATALOGUE.sources[source]
        rows = [{**_persons(source), entry.facts[name]: one} for one in values]
        plain = [{key: int(one) if one is True or one is False else one for key, one in row.items()} for row in rows]
        for database in both:
            database.fill(numbered(Data(**{source.rpartition(".")[2]: plain})))
            for wanted in asked:
                condition = FactCondition(rule="X", name=name, operator=operator, or_absent=absent, **wanted)
                assert kept(database, source, rows, condition, FACTS) == permitted(database, source, condition, FACTS)


ODD: list[Any] = [
    *("no", "1", "", "2021-11-23", "2021-11-23x", "2021-13-01", "0000-00-00", "2021-11-23T00:00:00Z", "2021-1-1"),
    *(0, 1, 2, -1, 1.0, 1.5, 20_211_123, True, False, None),
]


@pytest.mark.parametrize("operator", OPERATORS)
def test_what_is_not_as_declared_is_hidden_wherever_a_database_hides_it(both: Both, operator: Any) -> None:
    """SQLite keeps anything in any column, as JSON does; a record is never met that SQLite would hide."""
    sqlite = both[0]
    asked = [
        *((CUSTOMER, "adverse_ended_on", {"ago": "P5Y"}), (LOAN, "opened", {"ago": "P1M"})),
        *((CUSTOMER, name, {"value": one}) for name in ("frozen", "grade") for one in (0, 1, "1", "no")),
        *((LOAN, "amount", {"value": one}) for one in (0, 1, 2)),
    ]
    hides = shows = 0
    for source, name, wanted in asked:
        entry = CATALOGUE.sources[source]
        column = entry.facts[name]
        # SQLite would turn 1.0 in a column of texts to '1.0', and '1' in one of integers to 1: none is told of here.
        values = [one for one in ODD if not isinstance(one, float) or column == "principal"]
        values = [one for one in values if not isinstance(one, str) or not one.isdigit() or column == "grade"]
        values = [one for one in values if not isinstance(one, int) or column not in ("grade", "ended_on", "opened_at")]
        rows = [{**_persons(source), column: one} for one in values]
        data = Data(**{source.rpartition(".")[2]: rows})
        sqlite.fill(numbered(data))
        condition = FactCondition(rule="X", name=name, operator=operator, **wanted)
        there = set(permitted(sqlite, source, condition, FACTS))
        here = set(kept(sqlite, source, rows, condition, FACTS))
        assert here <= there, (condition, [values[place] for place in here - there])
        hides, shows = hides + len(there - here), shows + len(here)
    assert shows
    assert hides


@pytest.mark.parametrize(
    "condition",
    [
        FactCondition(rule="X", name="frozen", operator="ge", ago="P5Y"),
        FactCondition(rule="X", name="grade", operator="eq", value="a\0b"),
        FactCondition(rule="X", name="frozen", operator="eq", value=2**64),
        FactCondition(rule="X", name="frozen", operator="eq"),
        FactCondition(rule="X", name="adverse_ended_on", operator="eq", value="soon"),
    ],
)
@pytest.mark.parametrize("rows", [[], [{"customer_id": 1, "frozen": None}], [{"customer_id": 1, "frozen": True}]])
def test_a_fact_that_cannot_be_compared_is_refused(both: Both, condition: FactCondition, rows: list[Record]) -> None:
    """Whatever the records hold, and where there are some."""
    if not rows:
        assert kept(both[0], CUSTOMER, rows, condition, FACTS) == []
        return
    with pytest.raises(Refused) as raised:
        kept(both[0], CUSTOMER, rows, condition, FACTS)
    assert raised.value.rules == ("GUARD-DECISION-CONDITION",)


def test_a_moment_with_an_offset_may_be_the_day_before_or_after() -> None:
    def fulfils(value: str, operator: Any) -> bool:
        asked = FactCondition(rule="X", name="opened", operator=operator, ago="P1D")
        return comparison.fulfils(asked, value, "timestamp", "2026-11-24")

    assert fulfils("2026-11-23T23:30:00", "le")
    assert not fulfils("2026-11-23T23:30:00Z", "le")
    assert not fulfils("2026-11-23 00:30:00+08:00", "ge")
    assert fulfils("2026-11-22T23:30:00Z", "le")
    assert not fulfils("2026-11-24T25:30:00Z", "eq")
    assert not fulfils("9999-12-31T23:30:00Z", "ge"), "the day after does not exist"


def test_a_day_may_come_as_a_driver_gives_it() -> None:
    asked = FactCondition(rule="X", name="opened", operator="eq", ago="P1D")
    zone = timezone(timedelta(hours=8))
    for value, of_type, fulfilled in (
        (date(2026, 11, 23), "date", True),
        (date(2026, 11, 22), "date", False),
        (datetime.fromisoformat("2026-11-23T08:00"), "date", False),
        (datetime.fromisoformat("2026-11-23T08:30:01.000005"), "timestamp", True),
        (datetime(2026, 11, 23, 8, tzinfo=zone), "timestamp", False),
        (date(2026, 11, 23), "timestamp", True),
        (date(2026, 11, 23), "text", None),
    ):
        if fulfilled is None:
            with pytest.raises(Refused, match="GUARD-DECISION-CONDITION"):
                comparison.fulfils(asked, value, of_type, "2026-11-24")
        else:
            assert comparison.fulfils(asked, value, of_type, "2026-11-24") is fulfilled, value


def test_a_source_without_a_table_is_asked_about_persons(both: Both) -> None:
    raw = CATALOGUE.model_dump(mode="python")
    web = "bank:GET /customers/{id}"
    relations = raw["sources"][CUSTOMER]["relations"]
    raw["sources"][web] = {
        "subjects": {"holder": "/id"},
        "relations": relations,
        "facts": {"grade": "/grade"},
        "fields": {"/id": {"category": "pseudonym"}, "/grade": {"category": "derived_score"}},
    }
    from guard import catalogue

    with_web = catalogue.load(raw)
    for database in both:
        site = Site(
            catalogue=with_web,
            holder=database.site.holder,
            schemas=database.site.schemas,
            dialect=database.site.dialect,
        )
        case = {"customer_id": 12, "officer": FACTS.actor, "status": "open"}
        database.fill(
            numbered(Data(loan_case=[case], grants=[world.grant("12"), world.grant("13")], scopes={1: {("use", "x")}}))
        )
        asked = question(site, web, (ASSIGNED, world.OP01))
        rows = database.ask(asked.sql, asked.bound(("12", "13", "14", "x\0"), FACTS))
        assert sorted(tuple(row) for row in rows) == [("12", 1, 1), ("13", 0, 1), ("14", 0, 0)]
        with pytest.raises(Misuse, match="one of records"):
            question(site, web, (FactCondition(rule="X", name="grade", operator="eq", value="A"),))
        with pytest.raises(Misuse, match="no source"):
            question(site, "bank:GET /nobody", (world.OP01,))
