"""`holds(condition, subjects) -> set`, as one statement: the same conditions, asked about persons.

What is asked is between a person, the actor and the ledger: a relation, a grant, whether the person is the
actor. It does not depend on which rows a source holds, since the answer is told: a refusal must not say that
somebody stands surety for a hidden loan. Only a fact speaks of rows; it holds for a person if some row about
this person fulfils it.
"""

# ruff: noqa: S608 — this module's work is to write SQL; values are parameters, names are quoted

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from guard.catalogue import Source
from guard.errors import Misuse
from guard.model import Condition, FactCondition, Facts, GrantCondition, RelationCondition
from guard_sql.conditions import ROW, Conditions, Rows, values
from guard_sql.forms import Forms
from guard_sql.site import Site
from guard_sql.world import Table, World, quoted

_SUBJECTS: Final = "g_subjects"


@dataclass(frozen=True, eq=False)
class Question:
    """A text that is the same for all persons and facts: its rows are (key, one truth for each condition)."""

    sql: str
    _names: tuple[str, ...]
    _values: Callable[[Facts], tuple[str | int | None, ...]]
    _forms: Forms

    def bound(self, subjects: Iterable[str], facts: Facts) -> dict[str, object]:
        """The parameters that make it ask about these persons, keys as canonical text."""
        return {**dict(zip(self._names, self._values(facts), strict=True)), _SUBJECTS: self._forms.keys_value(subjects)}


def question(site: Site, source: str, conditions: Sequence[Condition]) -> Question:
    """Asks for each of these conditions of whom it holds; all are answered by one statement, so in one snapshot.

    `source` says what relations and facts are; it is a table of this database, or what has none (a route's records):
    then a fact is Misuse, since no row can be asked.
    """
    persons = _persons(site, source)
    forms = site.world.dialect.forms
    columns = [forms.key(), *(f"({persons.sql(condition)})" for condition in conditions)]
    sql = f"SELECT {', '.join(columns)} FROM {forms.keys(_SUBJECTS)}"
    names = tuple(sorted(persons.parameters))
    return Question(sql, names, values(names), forms)


def holds(
    site: Site, source: str, condition: Condition, subjects: Iterable[str], facts: Facts
) -> tuple[str, dict[str, object]]:
    """A statement and its parameters: its rows are those of `subjects` for whom the condition holds, one key a row.

    Subjects are keys as canonical text; `source` is as for a `question`.
    """
    persons = _persons(site, source)
    forms = site.world.dialect.forms
    sql = f"SELECT {forms.key()} FROM {forms.keys(_SUBJECTS)} WHERE {persons.sql(condition)}"
    names = tuple(sorted(persons.parameters))
    return sql, Question(sql, names, values(names), forms).bound(subjects, facts)


def _persons(site: Site, source: str) -> _Persons:
    entry = site.catalogue.sources.get(source)
    if entry is None:
        raise Misuse(f"{source} is no source of personal data in the catalogue.")
    return _Persons(site.world.source(source), entry, site.world)


class _Persons(Conditions):
    """Conditions on the person `k`."""

    def __init__(self, table: Table | None, entry: Source, world: World) -> None:
        super().__init__(entry, world)
        self._table = table
        self._key: Final = self._forms.key()

    def grant(self, condition: GrantCondition) -> str:
        return self.granted(condition, self._key)

    def relation(self, condition: RelationCondition) -> str:
        return self.related(condition, self._key, self._forms.key_native)

    def self(self) -> str:
        return f"({self._forms.binary(self._key, 'eq', self.parameter('g_actor'))})"

    def fact(self, condition: FactCondition) -> str:
        table = self._table
        if table is None:
            raise Misuse(f"The fact {condition.name} is one of records: no table of this database has it.")
        rows, same = Rows(table, self._entry, self._world), self._forms.binary
        about = []
        for column, _ in table.subjects(self._entry):
            place, of_type = f"{ROW}.{quoted(column)}", table.types[column]
            by_index = same(place, "eq", self._forms.key_native(of_type))
            about.append(f"({by_index} AND {same(self._forms.exact(place, of_type), 'eq', self._key)})")
        asked = f"{rows.present()} AND ({' OR '.join(about)}) AND {rows.fact(condition)}"
        self.parameters |= rows.parameters
        return f"EXISTS (SELECT 1 FROM {table.sql} AS {ROW} WHERE {asked})"
