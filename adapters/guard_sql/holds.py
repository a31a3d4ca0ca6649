"""`holds(condition, subjects) -> set`, as one statement: the same conditions, asked about persons.

Responses, files and the reasons of an empty answer need to know for which of some persons a condition
holds, where no statement of the program is at hand to be rewritten.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from guard.catalogue import Catalogue, Source
from guard.errors import Misuse
from guard.model import Condition, Facts
from guard_sql.conditions import ROW, Rows, exact, value
from guard_sql.plan import templates_of
from guard_sql.world import quoted


@dataclass(frozen=True)
class Holds:
    """A statement whose rows are those of the given persons for whom the condition holds, one key a row."""

    sql: str
    own: tuple[str, ...]

    def bind(self, facts: Facts, subjects: Iterable[str]) -> tuple[str, dict[str, object]]:
        """The text to run and its parameters. `subjects` are keys as canonical text."""
        made: dict[str, object] = {name: value(name, facts) for name in self.own}
        made["g_subjects"] = json.dumps(list(subjects), ensure_ascii=False)
        return self.sql, made


def holds_sql(
    condition: Condition,
    source: str,
    *,
    catalogue: Catalogue,
    holder: str,
    schemas: Mapping[str, str],
    dialect: str = "sqlite",
) -> Holds:
    """The statement for one condition on the rows of one source.

    It holds for a person if some row is about this person and fulfils the condition; a row that misses a
    person it has to name fulfils none.
    """
    templates = templates_of(catalogue, holder, schemas, dialect)
    table = templates.world.source(source)
    if table is None or not isinstance(table.entry, Source):
        raise Misuse(f"{source} is no source of personal data in this database.")
    rows = Rows(table, table.entry, templates.world)
    asked = [rows.present(), _about(rows), rows.sql(condition)]
    sql = (
        "SELECT k.value FROM json_each(:g_subjects) AS k WHERE EXISTS "
        f"(SELECT 1 FROM {table.sql} AS {ROW} WHERE {' AND '.join(f'({one})' for one in asked)})"
    )
    return Holds(sql, tuple(sorted(rows.parameters)))


def _about(rows: Rows) -> str:
    """The row is about the person `k`: natively for the index, and exactly."""
    made = []
    for column in rows.subjects:
        place = f"{ROW}.{quoted(column)}"
        native = "CAST(k.value AS INTEGER)" if rows.table.types[column] == "integer" else "k.value"
        made.append(f"{place} = {native} AND {exact(place)} = k.value")
    return "(" + " OR ".join(f"({one})" for one in made) + ")"
