"""Statements and what becomes of them, as fixtures: tests/sql/*.sql, a statement, the expected one, a blank line.

In `outer.sql` the template that stands for a table is written `source[fields]`; `templates.sql` has it in
full. In `refused.sql` the second line is the rule and the detail.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from types import MappingProxyType

import pytest
import sql_world as world
from sql_world import CUSTOMER, LOAN, SITE, masked, shown

import guard_sql
from guard.errors import Refused
from guard.model import Decision, FactCondition, GrantCondition, RelationCondition, all_of

FOLDER = Path(__file__).parents[1] / "sql"

SEPARATE = GrantCondition(rule="PI-19", category="identity_number", separate=True)
DECISION = Decision(
    id="0",
    allow=True,
    rows=MappingProxyType(
        {
            CUSTOMER: all_of(
                GrantCondition(rule="OP-01"),
                RelationCondition(rule="PI-02", name="assigned_case"),
                FactCondition(rule="CR-05", name="adverse_ended_on", operator="ge", ago="P5Y", or_absent=True),
            ),
            LOAN: GrantCondition(rule="OP-01"),
        }
    ),
    reads=MappingProxyType(
        {
            CUSTOMER: MappingProxyType(
                {
                    "customer_id": shown(),
                    "full_name": shown(),
                    "id_number": masked("id18", SEPARATE),
                    "mobile": masked("phone"),
                    "grade": shown(GrantCondition(rule="PI-05", category="derived_score")),
                    "frozen": shown(),
                    "住址": masked("city"),
                }
            ),
            LOAN: MappingProxyType({name: shown() for name in ("loan_id", "holder_key", "principal", "status")}),
        }
    ),
)


def pairs(name: str) -> list[tuple[str, str]]:
    blocks = (FOLDER / name).read_text("utf-8").strip().split("\n\n")
    return [(statement, expected) for statement, expected in (block.split("\n") for block in blocks)]


def guarded(sql: str) -> guard_sql.Guarded:
    plan = guard_sql.plan(sql, SITE)
    return plan.apply(None if plan.public else DECISION)


def short(made: guard_sql.Guarded) -> str:
    """The guarded text with each template as `table[fields]`."""
    text = made.many.sql
    for template in made.many.templates:
        source = next(one for one in world.SOURCES if f'FROM "main"."{one}" AS t WHERE' in template)
        fields = [one for one in world.CATALOGUE.sources[world.SOURCES[source]].fields if f' AS "{one}"' in template]
        text = text.replace(template, f"{source}[{', '.join(fields)}]")
    return text


@pytest.mark.parametrize(("statement", "expected"), pairs("outer.sql"))
def test_the_statement_around_the_template(statement: str, expected: str) -> None:
    assert short(guarded(statement)) == expected


@pytest.mark.parametrize(("statement", "expected"), pairs("templates.sql"))
def test_a_template_in_full(statement: str, expected: str) -> None:
    assert guarded(statement).many.sql == expected


@pytest.mark.parametrize(("statement", "expected"), pairs("refused.sql"))
def test_a_statement_is_refused_with_its_rule_and_reason(statement: str, expected: str) -> None:
    with pytest.raises(Refused) as raised:
        guarded(statement)
    assert f"{', '.join(raised.value.rules)}: {raised.value.detail}" == expected


@pytest.mark.parametrize("statement", [one for name in ("outer.sql", "templates.sql") for one, _ in pairs(name)])
def test_the_database_takes_the_guarded_statement(statement: str) -> None:
    made = guarded(statement)
    connection = world.empty()
    for facts in (world.FACTS, world.Facts(**{**_facts(), "subject": "1"})):
        sql, own = made.bind(_values(made), facts)
        cursor = connection.execute(sql, own)
        assert len(cursor.description) == len(made.columns) + made.hidden
        assert [column[0] for column in cursor.description][: len(made.columns)] == list(made.columns)
        for text in (made.many, made.declared):
            assert sqlite3.complete_statement(text.sql + ";")


def _facts() -> dict[str, object]:
    return {name: getattr(world.FACTS, name) for name in world.Facts.__struct_fields__}


def _values(made: guard_sql.Guarded) -> object:
    if made.parameters.names:
        return dict.fromkeys(made.parameters.names, 1)
    return [1] * made.parameters.count
