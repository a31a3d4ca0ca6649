"""guard(Q)(D) = Q(permitted part of D), on real SQLite, over a grammar of the accepted subset.

The right side runs the statement as it was written on a database that holds only the permitted rows and
the treated values, worked out in Python. Printed at the end: how many statements ran and how many were
refused, since a test that refuses everything proves nothing.
"""

from __future__ import annotations

import os
import sqlite3
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import sql_world as world
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st
from sql_world import CUSTOMER, LOAN, Data, Permitted

from guard.errors import Refused
from guard.model import (
    ALWAYS,
    NEVER,
    Condition,
    Decision,
    FactCondition,
    GrantCondition,
    RelationCondition,
    SelfCondition,
    all_of,
    any_of,
)

EXAMPLES = int(os.environ.get("GUARD_EXAMPLES", "60" if os.environ.get("CI") else "320"))
STATEMENTS = 8
COUNTS: Counter[str] = Counter()


@pytest.fixture(scope="module", autouse=True)
def counts() -> Iterator[None]:
    COUNTS.clear()
    yield
    sys.stdout.write(f"\nstatements: {dict(COUNTS)}\n")
    assert COUNTS["ran"] >= COUNTS["refused"], "the grammar hardly meets the accepted subset"
    assert COUNTS["with rows"] * 4 >= COUNTS["ran"], "nearly all results are empty"
    assert COUNTS["ran"] >= EXAMPLES * STATEMENTS // 2


# --- data, decisions ------------------------------------------------------------------------------

numbers = st.sampled_from([1, 2, 3, 12, -5, 10**13])
names = st.sampled_from(["王小明", "Li", "li", "", "a%b", "O'Neil", "上海市静安区", "110101199003071234", None])
mobiles = st.sampled_from(["13812345678", "x", "", None])
dates = st.sampled_from(["2021-11-22", "2021-11-23", "2021-11-24", "2026-01-31", "soon", "2021-11-2", None])
times = st.sampled_from(["2021-11-23 00:00:01", "2021-11-22T23:59:59", "2026-10-01", "", None])
# Keys that some comparison or other takes for one another.
keys = st.sampled_from(["1", "01", "1.0", " 1", "a", "A", "ä", "9007199254740993", "12"])
actors = st.sampled_from(["officer-1", "Officer-1", "1", "a"])

customers = st.fixed_dictionaries(
    {
        "customer_id": st.sampled_from([1, 2, 3, 12, None, "a", b"1", 1.5]),
        "full_name": names,
        "id_number": st.sampled_from(["110101199003071234", "1", "", None]),
        "mobile": mobiles,
        "monthly_income": st.none() | numbers,
        "grade": st.sampled_from(["A", "a", "B", "", None]),
        "ended_on": dates,
        "frozen": st.sampled_from([0, 1, None]),
        "住址": names,
    }
)
loans = st.fixed_dictionaries(
    {
        "loan_id": st.integers(1, 9),
        "holder_key": keys | st.none(),
        "guarantor_key": keys | st.none() | st.none(),
        "principal": st.sampled_from([0.5, 100.0, -3.25, None]),
        "status": st.sampled_from(["open", "closed", None]),
        "opened_at": times,
    }
)
cases = st.fixed_dictionaries(
    {
        "customer_id": st.sampled_from([1, 2, 3, 12]),
        "officer": actors,
        "status": st.sampled_from(["open", "open", "closed", "OPEN"]),
    }
)
now = world.NOW
grants = st.builds(
    lambda subject, scope, other: world.grant(subject, scope, **other),
    keys | st.sampled_from(["2", "3"]),
    st.sampled_from([1, 2]),
    st.fixed_dictionaries(
        {},
        optional={
            "purpose": st.just("marketing"),
            "recipient": st.just("other"),
            "separate": st.just(1),
            "written": st.just(1),
            "assurance": st.sampled_from([0, 2]),
            "recorder": st.just("officer-1"),
            "basis": st.just("contract"),
            "valid_from": st.just(now + 1),
            "valid_until": st.just(now),
            "withdrawn_at": st.just(now - 1),
            "judged": st.just("rules-0"),
        },
    ),
)
databases = st.builds(
    Data,
    customer=st.lists(customers, min_size=4, max_size=9),
    loan=st.lists(loans, min_size=4, max_size=9, unique_by=lambda row: row["loan_id"]),
    loan_case=st.lists(cases, max_size=6),
    grants=st.lists(grants, min_size=6, max_size=20),
    scopes=st.just({1: {("use", "identity"), ("use", "income")}, 2: {("use", "identity_number"), ("store", "income")}}),
)

grant_conditions = st.builds(
    GrantCondition,
    rule=st.just("OP-01"),
    category=st.sampled_from([None, None, "identity_number", "income"]),
    separate=st.booleans(),
    written=st.just(False),
    assurance=st.sampled_from(["asserted", "observed", "proved"]),
    basis=st.sampled_from([(), (), ("consent",), ("contract", "consent")]),
    ended=st.sampled_from([False, False, False, True]),
)


def fact(names: list[str], values: st.SearchStrategy[object], agos: list[str | None]) -> st.SearchStrategy[Condition]:
    return st.builds(
        lambda name, operator, value, ago, absent: FactCondition(
            rule="CR-05",
            name=name,
            operator=operator,
            value=None if ago else value,
            ago=ago,
            or_absent=absent,
        ),
        st.sampled_from(names),
        st.sampled_from(["eq", "ne", "lt", "le", "gt", "ge"]),
        values,
        st.sampled_from(agos),
        st.booleans(),
    )


SIMPLE = {
    CUSTOMER: st.one_of(
        grant_conditions,
        st.just(RelationCondition(rule="PI-02", name="assigned_case")),
        st.just(SelfCondition(rule="PI-45")),
        fact(["adverse_ended_on"], st.just("2021-11-23"), ["P5Y", "P5Y1D", None]),
        fact(["frozen", "grade"], st.sampled_from([0, 1, True, "A", "a", "O'Neil"]), [None]),
    ),
    LOAN: st.one_of(
        grant_conditions,
        st.just(SelfCondition(rule="PI-45")),
        fact(["opened"], st.just("2021-11-23"), ["P5Y", None]),
        fact(["amount"], st.sampled_from([0, 100, "x"]), [None]),
    ),
}


def conditions(source: str) -> st.SearchStrategy[Condition]:
    return st.one_of(
        st.just(ALWAYS),
        grant_conditions.map(lambda one: GrantCondition(rule=one.rule)),
        st.recursive(
            SIMPLE[source],
            lambda inner: st.lists(inner, min_size=1, max_size=3).flatmap(
                lambda parts: st.sampled_from([all_of(*parts), any_of(*parts), any_of(*parts)])
            ),
            max_leaves=4,
        ),
    )


def treatments(source: str, name: str) -> st.SearchStrategy[object]:
    text = world.CATALOGUE.sources[source].fields[name].type == "text"
    masks = st.sampled_from(["name", "id18", "phone", "card", "city", "conflict"])
    plain = [st.just(world.shown()), st.just(world.shown()), st.just(world.shown()), SIMPLE[source].map(world.shown)]
    if text:
        # A masked number loses its affinity (it is text in some rows): not part of the equation.
        plain += [
            masks.map(world.masked),
            st.builds(world.masked, masks, SIMPLE[source]),
            st.builds(world.masked, masks, SIMPLE[source], SIMPLE[source]),
        ]
    return st.one_of(
        *plain, st.sampled_from([None, world.shown(NEVER)]) if name != "loan_id" else st.just(world.shown())
    )


@st.composite
def decisions(draw: st.DrawFn, source: str) -> Decision:
    fields = world.CATALOGUE.sources[source].fields
    reads = {name: draw(treatments(source, name)) for name in fields}
    return world.decision(source, draw(conditions(source)), {n: t for n, t in reads.items() if t is not None})


# --- statements -----------------------------------------------------------------------------------


@dataclass
class Statement:
    sql: str
    parameters: tuple[object, ...]
    where: str
    where_parameters: tuple[object, ...]
    starred: bool
    whole: bool
    """Whether all rows that pass WHERE are behind the result: no LIMIT, no HAVING."""
    ordered: bool


class Writer:
    """Draws expressions and collects the values of their parameters, in the order of the text."""

    def __init__(self, draw: st.DrawFn, source: str, usable: list[str]) -> None:
        self.draw = draw
        self.fields = usable
        self.types = {name: one.type for name, one in world.CATALOGUE.sources[source].fields.items()}
        self.parameters: list[object] = []
        self.depth = 0

    def pick(self, *options: str) -> str:
        return self.draw(st.sampled_from(options))

    def column(self) -> str:
        name = self.pick(*self.fields)
        return self.pick(name, name, f'"{name}"', f"t.{name}", name.upper() if name.isascii() else name)

    def constant(self) -> str:
        kind = self.pick("number", "text", "parameter", "parameter", "null")
        if kind == "parameter":
            self.parameters.append(
                self.draw(st.sampled_from([1, 2, 12, 0.5, "a", "1", "王小明", "O'Neil", None, "2021-11-23", True]))
            )
            return "?"
        if kind == "number":
            return self.pick("0", "1", "2", "12", "0.5", "1e2", "-3")
        return (
            "NULL"
            if kind == "null"
            else self.pick("'a'", "'1'", "''", "'王小明'", "'O''Neil'", "'2021-11-23'", "'110***************'")
        )

    def value(self) -> str:
        if self.depth > 2 or not self.fields:
            return self.column() if self.fields and self.pick("c", "k") == "c" else self.constant()
        self.depth += 1
        made = self._value()
        self.depth -= 1
        return made

    def _value(self) -> str:
        v = self.value
        match self.pick(
            "column", "column", "column", "constant", "function", "function", "binary", "case", "cast", "truth"
        ):
            case "column":
                return self.column()
            case "constant":
                return self.constant()
            case "function":
                return self.function()
            case "binary":
                return f"({v()} {self.pick('+', '-', '*', '/', '%')} {v()})"
            case "case":
                return f"CASE WHEN {self.truth()} THEN {v()} ELSE {v()} END"
            case "cast":
                return f"CAST({v()} AS {self.pick('TEXT', 'INTEGER', 'REAL')})"
            case _:
                return f"({self.truth()})"

    def function(self) -> str:
        v = self.value
        match self.pick(
            "lower",
            "upper",
            "length",
            "trim",
            "ltrim",
            "rtrim",
            "coalesce",
            "ifnull",
            "nullif",
            "substr",
            "round",
            "instr",
        ):
            case "lower" | "upper" | "length" | "trim" as name:
                return f"{name}({v()})"
            case "ltrim" | "rtrim" as name:
                return f"{name}({v()}, {self.pick(chr(39) + 'a' + chr(39), chr(39) + '王1' + chr(39))})"
            case "coalesce":
                return f"coalesce({v()}, {v()}, {v()})"
            case "ifnull" | "nullif" | "instr" as name:
                return f"{name}({v()}, {v()})"
            case "substr":
                return f"substr({v()}, {self.pick('1', '2', '-2', '0')}, {self.pick('1', '3')})"
            case _:
                return f"round({v()}, 1)"

    def truth(self) -> str:
        v = self.value
        if self.depth > 3:
            return f"{self.column() if self.fields else '1'} IS NOT NULL"
        self.depth += 1
        match self.pick("compare", "compare", "compare", "and", "or", "not", "in", "between", "like", "null", "is"):
            case "compare":
                made = f"{v()} {self.pick('=', '==', '<>', '!=', '<', '<=', '>', '>=')} {v()}"
            case "and":
                made = f"{self.truth()} AND {self.truth()}"
            case "or":
                made = f"({self.truth()} OR {self.truth()})"
            case "not":
                made = f"NOT ({self.truth()})"
            case "in":
                made = f"{v()} {self.pick('IN', 'NOT IN')} ({v()}, {v()}, {self.constant()})"
            case "between":
                made = f"{v()} {self.pick('BETWEEN', 'NOT BETWEEN')} {v()} AND {v()}"
            case "like":
                made = f"{v()} {self.pick('LIKE', 'NOT LIKE')} {self.pick(*LIKES)}"
            case "null":
                made = f"{v()} {self.pick('IS NULL', 'IS NOT NULL', 'ISNULL', 'NOTNULL')}"
            case _:
                made = f"{v()} {self.pick('IS', 'IS NOT')} {v()}"
        self.depth -= 1
        return made


LIKES = ("'a%'", "'%1%'", "'_'", "'A%'", "'王%'", "'a!%b' ESCAPE '!'", "''")


@st.composite
def statements(draw: st.DrawFn, source: str, usable: list[str], nameable: list[str]) -> Statement:
    table = source.rpartition(".")[2]
    writer = Writer(draw, source, usable)
    kind = writer.pick("rows", "rows", "star", "groups", "one")
    plain = [f"t.{name}" for name in nameable]
    having = order = ""
    outputs: list[str] = []
    groups: list[str] = []
    if kind == "rows":
        for place in range(draw(st.integers(1, 3))):
            name = writer.pick("column", "value")
            outputs.append(writer.pick(*plain) if name == "column" else f"{writer.value()} AS o{place}")
    elif kind == "star":
        outputs = [writer.pick("*", "t.*")]
    else:
        aggregates = draw(
            st.lists(
                st.sampled_from(["count(*)", "count", "sum", "avg", "min", "max", "total", "distinct"]),
                min_size=1,
                max_size=3,
            )
        )
        if kind == "groups":
            groups = [writer.column() if usable else "1 + 1"]
            outputs.append(f"{groups[0]} AS g")
        for place, name in enumerate(aggregates):
            call = (
                name
                if name == "count(*)"
                else f"{name}({writer.value()})"
                if name != "distinct"
                else f"count(DISTINCT {writer.value()})"
            )
            outputs.append(f"{call} AS a{place}")
    before = len(writer.parameters)
    where = writer.truth() if writer.pick("where", "all") == "where" else ""
    where_parameters = tuple(writer.parameters[before:])
    if kind == "groups" and writer.pick("having", "all", "all") == "having":
        having = f" HAVING {writer.pick('count(*) > 1', 'a0 IS NOT NULL', 'g IS NOT NULL', 'max(1) = 1')}"
    unique = "loan_id" if source == LOAN else None
    limited = kind in ("rows", "star") and unique is not None and writer.pick("limit", "all") == "limit"
    if limited or (kind == "rows" and writer.pick("order", "all") == "order" and usable):
        terms = [writer.value() for _ in range(draw(st.integers(0, 2)))]
        # A bare constant is a position for SQLite.
        terms = [f"{'coalesce(NULL, ' + term + ')'} {writer.pick('ASC', 'DESC', '')}" for term in terms]
        terms += [f"{unique} {writer.pick('ASC', 'DESC')}"] if unique else []
        order = f" ORDER BY {', '.join(terms)}" if terms else ""
    if kind == "rows" and not order and writer.pick("position", "none", "none") == "position":
        order = f" ORDER BY {draw(st.integers(1, len(outputs)))} {writer.pick('ASC', 'DESC NULLS LAST', '')}"
    limit = ""
    if limited:
        writer.parameters.append(draw(st.integers(0, 4)))
        limit = writer.pick(" LIMIT ?", " LIMIT ? OFFSET 1")
    sql = f"SELECT {', '.join(outputs)} FROM {writer.pick(table, 'main.' + table)} {writer.pick('t', 'AS t')}"
    sql += f" WHERE {where}" if where else ""
    sql += f" GROUP BY {groups[0]}" if groups else ""
    sql += having + order + limit
    return Statement(
        sql=sql,
        parameters=tuple(writer.parameters),
        where=where,
        where_parameters=where_parameters,
        starred=kind == "star",
        whole=not limit and not having,
        ordered=limited,
    )


# --- the equation ---------------------------------------------------------------------------------


def both(data: Data, source: str, made: Decision, statement: Statement, facts: world.Facts) -> None:
    permitted = Permitted(data, facts)
    copy = permitted.copy(source, made, starred=statement.starred)
    note(statement.sql)
    try:
        expected: object = copy.execute(statement.sql, statement.parameters).fetchall()
    except sqlite3.Error as error:
        expected = str(error)
    connection = world.fill(world.empty(), data)
    try:
        rows, persons, guarded = world.run(connection, statement.sql, made, facts, statement.parameters)
    except Refused as refused:
        COUNTS["refused"] += 1
        COUNTS[refused.rules[0]] += 1
        return
    except sqlite3.Error as error:
        rows, persons, guarded = [], [], None
        failed = str(error)
        connection.set_authorizer(None)
    if guarded is None:
        assert expected == failed
        COUNTS["failed in both"] += 1
        return
    COUNTS["ran"] += 1
    COUNTS["with rows"] += bool(rows)
    assert isinstance(expected, list), expected
    assert Counter(map(repr, rows)) == Counter(map(repr, expected))
    if statement.ordered:
        assert [repr(row) for row in rows] == [repr(row) for row in expected]
    names = [one[0] for one in copy.execute(statement.sql, statement.parameters).description]
    assert list(guarded.columns) == names
    behind = {person for one in persons for person in one}
    all_permitted = permitted.copy(source, made, starred=False)
    where = f" WHERE {statement.where}" if statement.where else ""
    keys = all_permitted.execute(
        f"SELECT k0, k1 FROM {source.rpartition('.')[2]} AS t{where}", statement.where_parameters
    ).fetchall()
    expected_persons = {key for row in keys for key in row if key is not None}
    assert behind == expected_persons if statement.whole else behind <= expected_persons


@st.composite
def rounds(draw: st.DrawFn, source: str) -> tuple[Data, Decision, world.Facts, list[Statement]]:
    made = draw(decisions(source))
    oracle = Permitted(Data(), world.FACTS)
    fields = list(world.CATALOGUE.sources[source].fields)
    usable = [name for name in fields if not oracle.dropped(made.reads[source].get(name))]
    subject = draw(st.sampled_from([None, None, None, None, None, None, "1", "2", "a", "01"]))
    actor = draw(actors)
    facts = world.Facts(
        **{**{n: getattr(world.FACTS, n) for n in world.Facts.__struct_fields__}, "subject": subject, "actor": actor}
    )
    written = draw(st.lists(statements(source, usable, fields), min_size=STATEMENTS, max_size=STATEMENTS))
    return draw(databases), made, facts, written


@pytest.mark.parametrize("source", [CUSTOMER, LOAN])
@settings(max_examples=EXAMPLES // 2, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_guarded_statement_is_the_statement_on_the_permitted_part(source: str, data: st.DataObject) -> None:
    contents, made, facts, written = data.draw(rounds(source))
    for statement in written:
        both(contents, source, made, statement, facts)
