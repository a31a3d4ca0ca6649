"""The persons behind each row of a result, read in the same statement and so in the same snapshot.

A row stands for the persons of the rows of the top-level FROM clause behind it, and of the subqueries whose
answer shaped it. Where a row of the result is one row of the sources, hidden columns name its persons (depth
0); where it summarises several (GROUP BY, aggregates, DISTINCT, UNION), hidden JSON arrays do, one level deeper
each time. What shapes the whole result and not one row (a subquery that depends on no row, the rows that a
window looked at, both sides of EXCEPT and INTERSECT) is one array beside the first row.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias

from sqlglot import exp

from guard.errors import Misuse
from guard_sql.scope import PERSON, Scope, column, derived, named, select

Export: TypeAlias = tuple[exp.Expr, int]
"""An expression that names persons, and how deeply its arrays are nested."""

ROW: Final = "guard_row"
"""The place of a row in the result, where one array stands beside the first."""
ORDER: Final = "guard_order_"


def of_rows(scope: Scope) -> list[Export]:
    """What names the persons behind one row of the scope's sources."""
    made: list[Export] = [
        (column(source.alias, name), depth) for source in scope.sources for name, depth in source.persons
    ]
    return made + [(one.copy(), depth) for one, depth in scope.nested]


def collected(one: exp.Expr, dialect: str) -> exp.Expr:
    """All values of an expression, each once, as a JSON array in text."""
    distinct = exp.Distinct(expressions=[one])
    if dialect == "sqlite":
        return exp.JSONArrayAgg(this=distinct)
    array = exp.Dot(
        this=exp.Identifier(this="pg_catalog", quoted=True),
        expression=exp.Anonymous(this="jsonb_agg", expressions=[distinct]),
    )
    return exp.Cast(this=array, to=exp.DataType(this=exp.DType.TEXT, nested=False))


def behind(node: exp.Select, scope: Scope, dialect: str) -> list[Export]:
    """Everybody whose rows a SELECT looks at, as scalar subqueries over its own sources and WHERE."""
    made: list[Export] = []
    for one, depth in of_rows(scope):
        asked = exp.Select(expressions=[named(collected(one, dialect), f"{PERSON}0")])
        for part in ("from_", "where"):
            if node.args.get(part) is not None:
                asked.set(part, node.args[part].copy())
        if node.args.get("joins"):
            asked.set("joins", [join.copy() for join in node.args["joins"]])
        made.append((exp.Subquery(this=asked), depth + 1))
    return made


def of_query(node: exp.Expr, persons: Sequence[int], alias: str, dialect: str) -> list[Export]:
    """Everybody behind the rows of a query that names them in hidden columns."""
    made: list[Export] = []
    for place, depth in enumerate(persons):
        one = named(collected(column(alias, f"{PERSON}{place}"), dialect), f"{PERSON}0")
        made.append((exp.Subquery(this=select([one], derived(node.copy(), alias))), depth + 1))
    return made


def beside_first(
    node: exp.Select, outputs: int, persons: Sequence[int], contributors: Sequence[Export], aliases: tuple[str, str]
) -> exp.Select:
    """A query whose first row carries the arrays of `contributors` besides, in the order that it had.

    `aliases` are two that nothing else in the statement has.
    """
    inner, outer = aliases
    ordered = node.args.get("order")
    terms: list[exp.Expr] = []
    for place, term in enumerate(ordered.expressions if ordered else ()):
        node.append("expressions", named(term.this.copy(), f"{ORDER}{place}"))
        same = term.copy()
        same.set("this", column(inner, f"{ORDER}{place}"))
        terms.append(same)
    names = [*(f"c{place}" for place in range(outputs)), *(f"{PERSON}{place}" for place in range(len(persons)))]
    number = exp.Window(this=exp.RowNumber(), over="OVER")
    if terms:
        number.set("order", exp.Order(expressions=terms))
    counted = select([*(named(column(inner, name), name) for name in names), named(number, ROW)], derived(node, inner))
    first = exp.EQ(this=column(outer, ROW), expression=exp.Literal(this="1", is_string=False))
    made = select((named(column(outer, name), name) for name in names), derived(counted, outer))
    for place, (one, _) in enumerate(contributors, start=len(persons)):
        once = exp.Case(ifs=[exp.If(this=first.copy(), true=one)])
        made.append("expressions", named(once, f"{PERSON}{place}"))
    made.set("order", exp.Order(expressions=[exp.Ordered(this=column(outer, ROW), nulls_first=True)]))
    return made


def named_in(hidden: Sequence[object], depths: Iterable[int]) -> tuple[str, ...]:
    """The keys in the values of hidden columns, without repeats."""
    found: dict[str, None] = {}
    for one, depth in zip(hidden, depths, strict=True):
        _add(found, one, depth)
    return tuple(found)


def _add(found: dict[str, None], one: object, depth: int) -> None:
    if one is None:
        return
    if depth == 0 and isinstance(one, str):
        found[one] = None
        return
    # SQLite puts an array into another as it is, PostgreSQL as text.
    parts = json.loads(one) if isinstance(one, str) else one
    if depth == 0 or not isinstance(parts, list):
        raise Misuse("A hidden column holds something else than persons.")
    for part in parts:
        _add(found, part, depth - 1)
