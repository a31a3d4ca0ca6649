"""`holds(condition, subjects) -> set`, as one statement: the same conditions, asked about persons.

Responses, files and the reasons of an empty answer need to know for which of some persons a condition
holds, where no statement of the program is at hand to be rewritten.
"""

# ruff: noqa: S608 — this module's work is to write SQL; values are parameters, names are quoted

from __future__ import annotations

import json
from collections.abc import Iterable

from guard.catalogue import Source
from guard.errors import Misuse
from guard.model import Condition, Facts
from guard_sql.conditions import ROW, Rows, exact, value
from guard_sql.site import Site
from guard_sql.world import quoted


def holds(
    site: Site, source: str, condition: Condition, subjects: Iterable[str], facts: Facts
) -> tuple[str, dict[str, object]]:
    """A statement and its parameters: its rows are those of `subjects` for whom the condition holds, one key a row.

    It holds for a person if some row is about this person and fulfils the condition; a row that misses a
    person it has to name fulfils none. Subjects are keys as canonical text.
    """
    table = site.world.source(source)
    if table is None or not isinstance(table.entry, Source):
        raise Misuse(f"{source} is no source of personal data in this database.")
    rows = Rows(table, table.entry, site.world)
    part = site.templates.part(table, rows.sql(condition), rows)
    where = " AND ".join(f"({one})" for one in (rows.present(), _about(rows), part.sql))
    sql = (
        "SELECT k.value FROM json_each(:g_subjects) AS k "
        f"WHERE EXISTS (SELECT 1 FROM {table.sql} AS {ROW} WHERE {where})"
    )
    parameters: dict[str, object] = {name: value(name, facts) for name in sorted(part.own)}
    parameters["g_subjects"] = json.dumps(list(subjects), ensure_ascii=False)
    return sql, parameters


def _about(rows: Rows) -> str:
    """The row is about the person `k`: natively for the index, and exactly."""
    made = []
    for column in rows.subjects:
        place = f"{ROW}.{quoted(column)}"
        native = "CAST(k.value AS INTEGER)" if rows.table.types[column] == "integer" else "k.value"
        made.append(f"{place} = {native} AND {exact(place)} = k.value")
    return "(" + " OR ".join(f"({one})" for one in made) + ")"
