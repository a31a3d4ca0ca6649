"""The permitted part of one table, as the subquery that stands for the table in a statement.

A template holds the permitted rows and, of the columns that a statement needs, the treated values: shown,
masked, NULL where a condition fails. A column that may never be seen has no place in it. Beside them it
carries the row's persons as canonical text, under names that no statement can say.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from guard.catalogue import Source
from guard.errors import Refused
from guard.model import ALWAYS, CONFLICT, NEVER, Condition, Decision, Treatment, rules_of
from guard.wire import canonical
from guard_sql.conditions import ROW, Rows
from guard_sql.guarded import Text
from guard_sql.masks import masked
from guard_sql.verify import template_text
from guard_sql.world import Table, World, quoted

PERSON: Final = "guard_person_"
"""The beginning of the hidden columns' names; a number follows."""

_TEXT: Final = frozenset({"text", "date", "timestamp", "json"})
_MOST_PIECES: Final = 256
_MOST_TEMPLATES: Final = 256


def shape(source: str, decision: Decision) -> bytes:
    """The part of a decision that the text of a template depends on, as a cache key.

    Canonical bytes and not the objects themselves: in Python 1, 1.0 and True are one key.
    """
    rows, reads = decision.rows.get(source), decision.reads.get(source, {})
    return canonical((source, rows, sorted(reads.items())))


class Template:
    """What a decision leaves of a table. `column(field)` is None where the field is dropped."""

    def __init__(self, table: Table, entry: Source, decision: Decision, world: World) -> None:
        self.table: Final = table
        self._condition: Condition = decision.rows[table.source]
        self._reads: Mapping[str, Treatment] = decision.reads.get(table.source, {})
        self._compiled: dict[str, tuple[str, Rows]] = {}
        self._pieces: dict[tuple[tuple[str, ...], bool], Text] = {}
        self._entry = entry
        self._world = world
        self._rows = Rows(table, entry, world)
        present = self._rows.present()
        self._where: Final = (
            present if self._condition == ALWAYS else f"{present} AND {self._rows.sql(self._condition)}"
        )
        self._about = Rows(table, entry, world)
        self._declared: Final = self._about.declared()
        self.persons: Final = tuple(f"{PERSON}{place}" for place in range(len(self._rows.subjects)))

    def dropped(self, field: str) -> bool:
        """Whether the field may never be seen."""
        treatment = self._reads.get(field)
        if treatment is None:
            return True
        return treatment.reveal == NEVER and (_mask(treatment) is None or treatment.masked_if == NEVER)

    def reduces(self, fields: Iterable[str]) -> bool:
        """Whether a row or a value may be missing that the database holds."""
        treatments = [self._reads[field] for field in fields if field in self._reads]
        return self._condition != ALWAYS or any(one.reveal != ALWAYS for one in treatments)

    def rules(self, fields: Iterable[str]) -> tuple[str, ...]:
        """The rules behind the rows' condition and the treatments of these fields."""
        found = set(rules_of(self._condition))
        for field in fields:
            treatment = self._reads.get(field)
            if treatment is not None and treatment.reveal != ALWAYS:
                found |= {*treatment.rules, *rules_of(treatment.reveal), *rules_of(treatment.masked_if)}
        return tuple(sorted(found))

    def piece(self, fields: tuple[str, ...], *, declared: bool) -> Text:
        """The subquery with these fields, read back; with `declared`, only the rows of the person that the context declares."""
        known = self._pieces.get((fields, declared))
        if known is not None:
            return known
        used = [self._rows, *([self._about] if declared else []), *(self._column(field)[1] for field in fields)]
        made = Text(
            self._text(fields, declared=declared),
            own=tuple(sorted({name for rows in used for name in rows.parameters})),
            tables=frozenset({table for rows in used for table in rows.tables}),
        )
        template_text(made.sql, self._world.dialect, made.tables, {*made.own}, {*fields, *self.persons})
        if len(self._pieces) >= _MOST_PIECES:
            self._pieces.clear()
        self._pieces[fields, declared] = made
        return made

    def _text(self, fields: Iterable[str], *, declared: bool) -> str:
        columns = [f"{self._column(field)[0]} AS {quoted(field)}" for field in fields]
        columns += [
            f"CAST({ROW}.{quoted(column)} AS TEXT) AS {quoted(person)}"
            for column, person in zip(self._rows.subjects, self.persons, strict=True)
        ]
        where = f"{self._declared} AND {self._where}" if declared else self._where
        return f"(SELECT {', '.join(columns)} FROM {self.table.sql} AS {ROW} WHERE {where})"

    def _column(self, field: str) -> tuple[str, Rows]:
        made = self._compiled.get(field)
        if made is None:
            rows = Rows(self.table, self._entry, self._world)
            made = self._compiled[field] = (self._treated(field, rows), rows)
        return made

    def _treated(self, field: str, rows: Rows) -> str:
        """The treated value. Text stays text; any other shown value comes from the column itself, with its affinity."""
        treatment, place = self._reads[field], f"{ROW}.{quoted(field)}"
        if treatment.reveal == ALWAYS:
            return place
        mask = _mask(treatment)
        if mask is None or treatment.masked_if in (NEVER, treatment.reveal):
            return f"(SELECT {place} WHERE {rows.sql(treatment.reveal)})"
        hidden = masked(mask, place, self._world.dialect.name)
        if treatment.reveal != NEVER or treatment.masked_if != ALWAYS:
            shown = "" if treatment.reveal == NEVER else f"WHEN {rows.sql(treatment.reveal)} THEN {place} "
            last = f"ELSE {hidden}" if treatment.masked_if == ALWAYS else f"WHEN {rows.sql(treatment.masked_if)} THEN {hidden}"
            hidden = f"CASE {shown}{last} END"
        if treatment.reveal != NEVER and self.table.types[field] not in _TEXT:
            return hidden
        return f"CAST({hidden} AS TEXT)"


def _mask(treatment: Treatment) -> str | None:
    # Two layers asked for different masks: there is no value that both let through.
    return None if treatment.mask == CONFLICT else treatment.mask


class Templates:
    """The templates of one closed world, each made once for a shape of decision. Bounded; safe between threads."""

    def __init__(self, world: World) -> None:
        self.world: Final = world
        self._made: dict[bytes, Template] = {}

    def of(self, table: Table, entry: Source, decision: Decision) -> Template:
        """The template of a table under a decision, which must name the table."""
        if table.source not in decision.rows:
            raise Refused.own("GUARD-DECISION-ROWS")
        key = shape(table.source, decision)
        made = self._made.get(key)
        if made is None:
            made = Template(table, entry, decision, self.world)
            if len(self._made) >= _MOST_TEMPLATES:
                self._made.clear()
            self._made[key] = made
        return made
