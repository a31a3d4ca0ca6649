"""The permitted part of one table, as the subquery that stands for the table in a statement.

A template holds the permitted rows and, of the columns that a statement needs, the treated values: shown,
masked, NULL where a condition fails. A column that may never be seen has no place in it. Beside them it
carries the row's persons as canonical text, under names that no statement can say.
"""

# ruff: noqa: S608 — this module's work is to write SQL; values are parameters, names are quoted

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Final, TypeVar

from guard.catalogue import Source
from guard.errors import Refused
from guard.model import (
    ALWAYS,
    CONFLICT,
    NEVER,
    AllCondition,
    AnyCondition,
    Condition,
    Decision,
    GrantCondition,
    RelationCondition,
    Treatment,
    rules_of,
)
from guard.wire import canonical
from guard_sql import parts
from guard_sql.conditions import ROW, Rows
from guard_sql.dialects import Dialect
from guard_sql.guarded import Text
from guard_sql.masks import masked
from guard_sql.scope import PERSON, Bound
from guard_sql.world import Table, World, quoted
from guard_sql.writing import write

K = TypeVar("K")
V = TypeVar("V")

_TEXT: Final = frozenset({"text", "date", "timestamp", "json"})
_MOST: Final = 1024


def shape(source: str, decision: Decision) -> bytes:
    """The part of a decision that guarded text depends on, as a cache key.

    Canonical bytes and not the objects themselves: in Python 1, 1.0 and True are one key.
    """
    rows, reads = decision.rows.get(source), decision.reads.get(source, {})
    writes = decision.writes.get(source, {})
    return canonical((source, rows, sorted(reads.items()), sorted(writes.items())))


@dataclass(frozen=True)
class Part:
    """One expression of a template, read back, with the parameters that it needs and the columns that it reads."""

    sql: str
    own: frozenset[str]
    reads: frozenset[tuple[str, str, str]]


class Template:
    """What a decision leaves of a table."""

    def __init__(self, table: Table, entry: Source, decision: Decision, templates: Templates) -> None:
        self._table: Final = table
        self._entry: Final = entry
        self._templates: Final = templates
        self._condition: Final[Condition] = decision.rows[table.source]
        self._reads: Final[Mapping[str, Treatment]] = decision.reads.get(table.source, {})
        self._columns: dict[str, Part] = {}
        self._texts: dict[tuple[tuple[str, ...], bool], Text] = {}
        self._rules: dict[tuple[str, ...], tuple[str, ...]] = {}
        self._subjects: Final = tuple(column for column, _ in table.subjects(entry))
        self._declared: Final = self._part(Rows.declared)
        whole = self._condition.conditions if isinstance(self._condition, AllCondition) else (self._condition,)
        # What is rare first: few rows have the relation, and nearly all have some grant to look up.
        conjuncts = sorted(whole, key=lambda part: isinstance(part, GrantCondition))
        self._where: Final = (
            self._part(Rows.present),
            *(self._part(partial(Rows.sql, condition=one)) for one in conjuncts),
        )
        self.persons: Final = tuple(f"{PERSON}{place}" for place in range(len(self._subjects)))
        self.persons_read: Final = frozenset((table.schema, table.name, column) for column in self._subjects)

    def dropped(self, field: str) -> bool:
        """Whether the field may never be seen."""
        treatment = self._reads.get(field)
        if treatment is None:
            return True
        return treatment.reveal == NEVER and (_mask(treatment) is None or treatment.masked_if == NEVER)

    @cached_property
    def related(self) -> frozenset[str]:
        """The sources that the relations of its conditions read."""
        conditions = [self._condition]
        conditions += [one for of in self._reads.values() for one in (of.reveal, of.masked_if)]
        names = {name for condition in conditions for name in _relations(condition)}
        return frozenset(self._entry.relations[name].source for name in names if name in self._entry.relations)

    def reveal(self, field: str) -> Condition:
        """Where the field is shown as it is."""
        treatment = self._reads.get(field)
        return NEVER if treatment is None else treatment.reveal

    def masks(self, field: str) -> bool:
        """Whether it may be shown through a mask."""
        treatment = self._reads.get(field)
        return treatment is not None and treatment.reveal != ALWAYS and treatment.mask is not None

    def field(self, field: str) -> Part:
        """The treated value, over the row."""
        return self._column(field)

    def allowed(self, fields: Sequence[str], *, declared: bool) -> tuple[Part, ...]:
        """What a row must fulfil that is written: the rows' conditions, and that these fields are shown as they are."""
        shown = [self.reveal(field) for field in fields]
        asked = [self._part(partial(Rows.sql, condition=one)) for one in dict.fromkeys(shown) if one != ALWAYS]
        return (*((self._declared,) if declared else ()), *self._where, *asked)

    def places(self, row: str = ROW) -> tuple[tuple[str, str], ...]:
        """What names the persons of a row, over the row, and the column that each comes from."""
        forms = self._templates.world.dialect.forms
        return tuple((forms.person(f"{row}.{quoted(one)}", self._table.types[one]), one) for one in self._subjects)

    def reduces(self, fields: Iterable[str]) -> bool:
        """Whether a row or a value may be missing that the database holds."""
        treatments = [self._reads[field] for field in fields if field in self._reads]
        return self._condition != ALWAYS or any(one.reveal != ALWAYS for one in treatments)

    def rules(self, fields: tuple[str, ...]) -> tuple[str, ...]:
        """The rules behind the rows' condition and the treatments of these fields."""
        made = self._rules.get(fields)
        if made is None:
            made = self._ruled(fields)
            _keep(self._rules, fields, made)
        return made

    def _ruled(self, fields: tuple[str, ...]) -> tuple[str, ...]:
        found = set(rules_of(self._condition))
        for field in fields:
            treatment = self._reads.get(field)
            if treatment is not None and treatment.reveal != ALWAYS:
                found |= {*treatment.rules, *rules_of(treatment.reveal), *rules_of(treatment.masked_if)}
        return tuple(sorted(found))

    def text(self, fields: tuple[str, ...], *, declared: bool, bounds: Sequence[Bound] | None = None) -> Text:
        """The subquery with these fields; a dropped one is a typed NULL.

        With `declared`, only the rows of the person that the context declares. With `bounds`, the database may
        move nothing of the statement into it (`OFFSET 0`), and those of the comparisons stand in it that are of
        columns as they are, so that an index is used. Without them the text is made once.
        """
        if bounds is not None:
            return self._text(fields, declared=declared, bounds=bounds)
        made = self._texts.get((fields, declared))
        if made is None:
            made = self._text(fields, declared=declared, bounds=None)
            _keep(self._texts, (fields, declared), made)
        return made

    def _text(self, fields: tuple[str, ...], *, declared: bool, bounds: Sequence[Bound] | None) -> Text:
        columns = {field: self._column(field) for field in fields if not self.dropped(field)}
        where = (self._declared, *self._where) if declared else self._where
        dialect = self._templates.world.dialect
        listed = [
            f"{columns[field].sql if field in columns else _null(dialect, self._table.types[field])} AS {quoted(field)}"
            for field in fields
        ]
        listed += [
            f"{dialect.forms.person(f'{ROW}.{quoted(column)}', self._table.types[column])} AS {quoted(person)}"
            for column, person in zip(self._subjects, self.persons, strict=True)
        ]
        used = (*columns.values(), *where)
        conjuncts = [f"({part.sql})" for part in where]
        if bounds is not None:
            conjuncts += [self._inside(bound) for bound in bounds if self._as_it_is(bound.field)]
        return Text(
            f"(SELECT {', '.join(listed)} FROM {self._table.sql} AS {ROW} WHERE {' AND '.join(conjuncts)}"
            f"{' OFFSET 0' if bounds is not None else ''})",
            own=tuple(sorted({name for part in used for name in part.own})),
            reads=self.persons_read.union({(self._table.schema, self._table.name, "")}, *(part.reads for part in used)),
        )

    def _as_it_is(self, field: str) -> bool:
        treatment = self._reads.get(field)
        return treatment is not None and treatment.reveal == ALWAYS

    def _inside(self, bound: Bound) -> str:
        by = write(bound.constant, self._templates.world.dialect)
        return f"({ROW}.{quoted(bound.field)} OPERATOR(pg_catalog.{bound.operator}) {by})"

    def _part(self, write: Callable[[Rows], str]) -> Part:
        rows = Rows(self._table, self._entry, self._templates.world)
        return self._templates.part(self._table, write(rows), rows)

    def _column(self, field: str) -> Part:
        made = self._columns.get(field)
        if made is None:
            made = self._columns[field] = self._part(partial(self._treated, field))
        return made

    def _treated(self, field: str, rows: Rows) -> str:
        """The treated value. Text stays text; any other shown value comes from the column itself, with its affinity."""
        treatment, place = self._reads[field], f"{ROW}.{quoted(field)}"
        if treatment.reveal == ALWAYS:
            return place
        mask = _mask(treatment)
        if mask is None or treatment.masked_if in (NEVER, treatment.reveal):
            return f"(SELECT {place} WHERE {rows.sql(treatment.reveal)})"
        forms = self._templates.world.dialect.forms
        hidden = masked(mask, place, forms, self._table.types[field])
        if treatment.reveal != NEVER or treatment.masked_if != ALWAYS:
            as_it_is = forms.shown(place, self._table.types[field])
            shown = "" if treatment.reveal == NEVER else f"WHEN {rows.sql(treatment.reveal)} THEN {as_it_is} "
            last = (
                f"ELSE {hidden}"
                if treatment.masked_if == ALWAYS
                else f"WHEN {rows.sql(treatment.masked_if)} THEN {hidden}"
            )
            hidden = f"CASE {shown}{last} END"
        if treatment.reveal != NEVER and self._table.types[field] not in _TEXT:
            return hidden
        return forms.text(hidden)


def _relations(condition: Condition) -> frozenset[str]:
    if isinstance(condition, RelationCondition):
        return frozenset({condition.name})
    if isinstance(condition, AllCondition | AnyCondition):
        return frozenset(name for part in condition.conditions for name in _relations(part))
    return frozenset()


def _null(dialect: Dialect, field_type: str) -> str:
    return write(dialect.null(field_type), dialect)


def _mask(treatment: Treatment) -> str | None:
    # Two layers asked for different masks: there is no value that both let through.
    return None if treatment.mask == CONFLICT else treatment.mask


class Templates:
    """The templates of one closed world, each made once for a shape of decision. Bounded; safe between threads."""

    def __init__(self, world: World) -> None:
        self.world: Final = world
        self._made: dict[bytes, Template] = {}
        self._parts: dict[tuple[str, str], Part] = {}

    def of(self, table: Table, entry: Source, decision: Decision) -> Template:
        """The template of a table under a decision, which must name the table."""
        if table.source not in decision.rows:
            raise Refused.own("GUARD-DECISION-ROWS")
        key = shape(table.source, decision)
        made = self._made.get(key)
        if made is None:
            made = Template(table, entry, decision, self)
            _keep(self._made, key, made)
        return made

    def part(self, table: Table, sql: str, rows: Rows) -> Part:
        """An expression over a table, read back once for its text."""
        known = self._parts.get((table.source, sql))
        if known is not None:
            return known
        reads = parts.part(sql, table.sql, self.world.dialect, rows.tables, rows.parameters)
        made = Part(sql, frozenset(rows.parameters), reads)
        _keep(self._parts, (table.source, sql), made)
        return made


def _keep(cache: dict[K, V], key: K, made: V) -> None:
    if len(cache) >= _MOST:
        cache.clear()
    cache[key] = made
