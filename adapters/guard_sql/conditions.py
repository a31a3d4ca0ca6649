"""Conditions as SQL: the one implementation of what must hold for a person.

A condition compiles to an expression over the row `t` of a guarded table (`Rows`), or over a person alone
(`guard_sql.holds`). Values come in as parameters
named `g_…`, bound from `model.Facts`; what the policy wrote (categories, legal bases, values of facts)
stands in the text, since the text is cached by the decision.

Three habits keep the text sound. Every table is qualified by its schema, so that no temporary table stands
in. Keys compare as canonical text, byte by byte: a column's own collation or type never makes two persons one;
the native comparison beside it is there for the index alone and can only narrow. And no expression can fail over
a value, since the planner may run it before any filter. How a database writes all that is in its `Forms`.

A row has the persons of its subject columns. A grant is asked for every person of the row, and one that the
actor recorded is none to him; a relation and `self` speak of the row's first subject, the person that the row
is about. A person declared by the context is one of the row's persons (`declared`).
"""

# ruff: noqa: S608 — this module's work is to write SQL; values are parameters, names are quoted

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from datetime import date
from functools import lru_cache
from operator import attrgetter
from types import MappingProxyType
from typing import Final, assert_never

from guard.catalogue import Source
from guard.errors import Refused
from guard.model import (
    ASSURANCE,
    AllCondition,
    AnyCondition,
    Condition,
    FactCondition,
    Facts,
    GrantCondition,
    RelationCondition,
    SelfCondition,
)
from guard.periods import Period
from guard_sql.forms import incomparable, number
from guard_sql.world import Table, World, quoted

ROW: Final = "t"
"""The alias of the guarded row in a template."""

_AGO: Final = "g_ago_"

_FACTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "g_actor": "actor",
        "g_subject": "subject",
        "g_purpose": "purpose",
        "g_operation": "operation",
        "g_recipient": "recipient",
        "g_judged": "judged",
        "g_now": "seconds",
    }
)
"""A parameter of the guard -> the fact that it is bound to."""

_NUMBERS: Final[Mapping[str, str]] = MappingProxyType({"g_actor_number": "actor", "g_subject_number": "subject"})
"""Those that are bound to a key as a number; NULL where it is none, which no row equals."""


@lru_cache(maxsize=1024)
def values(names: tuple[str, ...]) -> Callable[[Facts], tuple[str | int | None, ...]]:
    """What gives these parameters of the guard their values from the facts, in their order, prepared once."""
    # Of fewer than two attributes attrgetter gives no tuple.
    if len(names) > 1 and _FACTS.keys() >= {*names}:
        return attrgetter(*(_FACTS[name] for name in names))
    return lambda facts: tuple(value(name, facts) for name in names)


def value(name: str, facts: Facts) -> str | int | None:
    """What a parameter of the guard is bound to; NULL where the facts have none, which no row equals."""
    if name.startswith(_AGO):
        return Period.parse(name.removeprefix(_AGO)).before(date.fromisoformat(facts.date)).isoformat()
    if name in _NUMBERS:
        key = getattr(facts, _NUMBERS[name])
        return None if key is None else number(key)
    found: str | int | None = getattr(facts, _FACTS[name])
    return found


class Conditions(ABC):
    """Compiles conditions; collects the parameters and tables that they need."""

    def __init__(self, entry: Source, world: World) -> None:
        self._entry = entry
        self._world = world
        self._forms: Final = world.dialect.forms
        self.parameters: set[str] = set()
        self.tables: set[tuple[str, str]] = set()

    def sql(self, condition: Condition) -> str:
        """The condition as an expression; it is never true where something that it needs is NULL."""
        match condition:
            case AllCondition():
                return self._junction(" AND ", condition.conditions, empty=True)
            case AnyCondition():
                return self._junction(" OR ", condition.conditions, empty=False)
            case GrantCondition():
                return self.grant(condition)
            case RelationCondition():
                return self.relation(condition)
            case SelfCondition():
                return self.self()
            case FactCondition():
                return self.fact(condition)
            case _:
                assert_never(condition)

    @abstractmethod
    def grant(self, condition: GrantCondition) -> str:
        """Everybody that is meant has a grant."""

    @abstractmethod
    def relation(self, condition: RelationCondition) -> str:
        """The actor stands in the relation to who is meant."""

    @abstractmethod
    def self(self) -> str:
        """The actor is who is meant."""

    @abstractmethod
    def fact(self, condition: FactCondition) -> str:
        """A named fact compares as asked."""

    def _junction(self, joint: str, parts: tuple[Condition, ...], *, empty: bool) -> str:
        made = joint.join(self.sql(part) for part in parts) if parts else self._forms.constant(holds=empty)
        return f"({made})"

    def parameter(self, name: str) -> str:
        """A parameter of the guard's, as it stands in the text."""
        self.parameters.add(name)
        return self._forms.parameter(name)

    def granted(self, condition: GrantCondition, person: str) -> str:
        """The person, by an exact expression, has a grant as the condition asks for it."""
        grants, same = self._of_ledger("guard_grant"), self._same
        if condition.ended:
            return self._ended(condition, person, grants)
        covered = [same("s.scope", "g.scope"), same("s.operation", self.parameter("g_operation"))]
        if condition.category is not None:
            covered.append(same("s.category", self._forms.literal(condition.category)))
        asked = [
            same("g.subject", person),
            same("g.purpose", self.parameter("g_purpose")),
            same("g.recipient", self.parameter("g_recipient")),
            same("g.judged", self.parameter("g_judged")),
            self._live(),
            self._forms.binary("g.recorder", "ne", self.parameter("g_actor")),
            f"EXISTS (SELECT 1 FROM {self._of_ledger('guard_scope')} AS s WHERE {' AND '.join(covered)})",
            *self._quality(condition),
        ]
        return f"EXISTS (SELECT 1 FROM {grants} AS g WHERE {' AND '.join(asked)})"

    def _live(self) -> str:
        now, binary = self.parameter("g_now"), self._forms.binary
        return (
            f"{binary('g.valid_from', 'le', now)} AND {binary('g.valid_until', 'gt', now)} AND g.withdrawn_at IS NULL"
        )

    def _ended(self, condition: GrantCondition, person: str, grants: str) -> str:
        """A grant of the person has ended, and none is live, for whatever purpose or recipient.

        Who deletes acts for a purpose that nobody consented to; what counts is that nothing holds the data any
        more. A grant of other rules that still runs keeps them, too.
        """
        expired = self._forms.binary("g.valid_until", "le", self.parameter("g_now"))
        mine = f"SELECT 1 FROM {grants} AS g WHERE {self._same('g.subject', person)}"
        asked = " AND ".join([f"(g.withdrawn_at IS NOT NULL OR {expired})", *self._quality(condition)])
        return f"(EXISTS ({mine} AND {asked}) AND NOT EXISTS ({mine} AND {self._live()}))"

    def _quality(self, condition: GrantCondition) -> list[str]:
        """What is asked of the consent behind the grant `g`."""
        asked = []
        if condition.separate:
            asked.append(self._same("g.separate", "1"))
        if condition.written:
            asked.append(self._same("g.written", "1"))
        if condition.assurance != "asserted":
            asked.append(self._forms.binary("g.assurance", "ge", str(ASSURANCE.index(condition.assurance))))
        if condition.basis:
            asked.append(self._forms.among("g.basis", [self._forms.literal(basis) for basis in condition.basis]))
        return asked

    def related(self, condition: RelationCondition, person: str, native: Callable[[str], str | None]) -> str:
        """The actor stands in the relation to the person, by an exact expression.

        `native` gives the person for a comparison in the type of the relation's own column, for its index.
        """
        relation = self._entry.relations.get(condition.name)
        target = self._world.source(relation.source) if relation else None
        if relation is None or target is None:
            raise Refused.own("GUARD-DECISION-NAME", f"The relation {condition.name} has no table in this database.")
        self.tables.add((target.schema, target.name))
        of_type = target.types[relation.subject]
        subject, by_index = _of("r", relation.subject), native(of_type)
        asked = [] if by_index is None else [self._same(subject, by_index)]
        asked += [
            self._same(self._forms.exact(subject, of_type), person),
            *self._named(_of("r", relation.actor), target.types[relation.actor], "g_actor"),
        ]
        asked += [
            self._forms.compare(_of("r", column), "eq", wanted, target.types[column])
            for column, wanted in relation.where.items()
        ]
        return f"EXISTS (SELECT 1 FROM {target.sql} AS r WHERE {' AND '.join(asked)})"

    def _named(self, place: str, field_type: str, parameter: str) -> tuple[str, str]:
        """The column is the person of a parameter: natively for the index, and exactly."""
        native = parameter + "_number" if field_type == "integer" else parameter
        return (
            self._same(place, self.parameter(native)),
            self._same(self._forms.exact(place, field_type), self.parameter(parameter)),
        )

    def _same(self, left: str, right: str) -> str:
        return self._forms.binary(left, "eq", right)

    def _of_ledger(self, name: str) -> str:
        schema = self._world.dialect.ledger
        self.tables.add((schema, name))
        return f"{quoted(schema)}.{name}"


class Rows(Conditions):
    """Conditions on the rows `t` of one table."""

    def __init__(self, table: Table, entry: Source, world: World) -> None:
        super().__init__(entry, world)
        self._table = table
        self._subjects = table.subjects(entry)
        self.tables.add((table.schema, table.name))

    def present(self) -> str:
        """Every person that the row must be about is named: else it is hidden."""
        parts = []
        for column, optional in self._subjects:
            named = self._forms.present(_of(ROW, column), self._table.types[column])
            parts.append(f"({_of(ROW, column)} IS NULL OR {named})" if optional else named)
        return " AND ".join(parts)

    def declared(self) -> str:
        """At least one person of the row is the one that the context declares."""
        return "(" + " OR ".join(self._is(column, "g_subject") for column, _ in self._subjects) + ")"

    def grant(self, condition: GrantCondition) -> str:
        """Every person of the row has a grant."""
        made = []
        for column, optional in self._subjects:
            place = _of(ROW, column)
            granted = self.granted(condition, self._forms.exact(place, self._table.types[column]))
            made.append(f"({place} IS NULL OR {granted})" if optional else granted)
        return "(" + " AND ".join(made) + ")"

    def relation(self, condition: RelationCondition) -> str:
        """The actor stands in the relation to the row's first subject."""
        column = self._subjects[0][0]
        place, of_type = _of(ROW, column), self._table.types[column]
        return self.related(
            condition, self._forms.exact(place, of_type), lambda wanted: self._forms.native(place, of_type, wanted)
        )

    def self(self) -> str:
        """The actor is the row's first subject."""
        return self._is(self._subjects[0][0], "g_actor")

    def _is(self, column: str, parameter: str) -> str:
        return f"({' AND '.join(self._named(_of(ROW, column), self._table.types[column], parameter))})"

    def fact(self, condition: FactCondition) -> str:
        """A column of the row compares with a value, or its day with a day that is bound."""
        column = self._entry.facts.get(condition.name)
        if column is None:
            raise Refused.own("GUARD-DECISION-NAME", f"The fact {condition.name} is not in the catalogue.")
        place, of_type = _of(ROW, column), self._table.types[column]
        if condition.ago is not None:
            made = self._ago(condition, place, of_type)
        elif condition.value is not None:
            made = self._forms.compare(place, condition.operator, condition.value, of_type)
        else:
            raise incomparable()
        return f"({place} IS NULL OR {made})" if condition.or_absent else made

    def _ago(self, condition: FactCondition, place: str, field_type: str) -> str:
        """Compares the day of a date or timestamp with a day bound by the guard."""
        if field_type not in ("date", "timestamp"):
            raise Refused.own("GUARD-DECISION-CONDITION", f"The fact {condition.name} is not a date.")
        name = _AGO + (condition.ago or "")
        self.parameters.add(name)
        return self._forms.day(place, condition.operator, name, field_type)


def _of(alias: str, column: str) -> str:
    return f"{alias}.{quoted(column)}"
