"""`holds(condition, subjects) -> set`, as one statement: the same conditions, asked about persons.

What is asked is between a person, the actor and the ledger: a relation, a grant, whether the person is the
actor. It does not depend on which rows a source holds, since the answer is told: a refusal must not say that
somebody stands surety for a hidden loan. Only a fact speaks of rows; it holds for a person if some row about
this person fulfils it.
"""

# ruff: noqa: S608 — this module's work is to write SQL; values are parameters, names are quoted

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Final

from guard.catalogue import Source
from guard.errors import Misuse
from guard.model import Condition, FactCondition, Facts, GrantCondition, RelationCondition
from guard_sql.conditions import ROW, Conditions, Rows, exact, value
from guard_sql.site import Site
from guard_sql.world import Table, World, quoted

_KEY: Final = "k.value"


def holds(
    site: Site, source: str, condition: Condition, subjects: Iterable[str], facts: Facts
) -> tuple[str, dict[str, object]]:
    """A statement and its parameters: its rows are those of `subjects` for whom the condition holds, one key a row.

    Subjects are keys as canonical text. `source` says what its relations and facts are.
    """
    table = site.world.source(source)
    if table is None or not isinstance(table.entry, Source):
        raise Misuse(f"{source} is no source of personal data in this database.")
    persons = _Persons(table, table.entry, site.world)
    sql = f"SELECT {_KEY} FROM json_each(:g_subjects) AS k WHERE {persons.sql(condition)}"
    parameters: dict[str, object] = {name: value(name, facts) for name in sorted(persons.parameters)}
    parameters["g_subjects"] = json.dumps(list(subjects), ensure_ascii=False)
    return sql, parameters


class _Persons(Conditions):
    """Conditions on the person `k`."""

    def __init__(self, table: Table, entry: Source, world: World) -> None:
        super().__init__(entry, world)
        self._table = table

    def grant(self, condition: GrantCondition) -> str:
        return self.granted(condition, _KEY)

    def relation(self, condition: RelationCondition) -> str:
        return self.related(condition, _KEY, _native)

    def self(self) -> str:
        return f"({_KEY} = {self.parameter('g_actor')})"

    def fact(self, condition: FactCondition) -> str:
        rows = Rows(self._table, self._entry, self._world)
        about = []
        for column, _ in self._table.subjects(self._entry):
            place = f"{ROW}.{quoted(column)}"
            about.append(f"({place} = {_native(self._table.types[column])} AND {exact(place)} = {_KEY})")
        asked = f"{rows.present()} AND ({' OR '.join(about)}) AND {rows.fact(condition)}"
        self.parameters |= rows.parameters
        return f"EXISTS (SELECT 1 FROM {self._table.sql} AS {ROW} WHERE {asked})"


def _native(field_type: str) -> str:
    return f"CAST({_KEY} AS INTEGER)" if field_type == "integer" else _KEY
