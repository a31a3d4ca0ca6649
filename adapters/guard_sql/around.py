"""A query as a derived table of another one, where something has to stand around it."""

from __future__ import annotations

from collections.abc import Mapping

from sqlglot import exp

from guard_sql import persons
from guard_sql.notes import Notes
from guard_sql.refusal import sql_refused
from guard_sql.scope import PERSON, bare, column, derived, named, select
from guard_sql.settled import Output, Query


def distinct(notes: Notes, query: Query) -> Query:
    """Rows that are one each, with the persons behind all that were the same."""
    node = query.node
    node.set("distinct", None)
    return around(notes, query, grouped=True, clauses=taken(node))


def around(notes: Notes, query: Query, *, grouped: bool, clauses: Mapping[str, exp.Expr]) -> Query:
    """The query as a derived table; ORDER BY, LIMIT and OFFSET stand around it."""
    alias = notes.alias()
    outputs = query.outputs
    columns = [column(alias, f"c{place}") for place in range(len(outputs))]
    listed: list[exp.Expr] = [named(one.copy(), f"c{place}") for place, one in enumerate(columns)]
    for place in range(len(query.persons)):
        person: exp.Expr = column(alias, f"{PERSON}{place}")
        listed.append(named(persons.collected(person, notes.dialect.name) if grouped else person, f"{PERSON}{place}"))
    made = select(listed, derived(query.node, alias))
    if grouped:
        made.set("group", exp.Group(expressions=[one.copy() for one in columns]))
    order = clauses.get("order")
    if order is not None:
        keys = [bare(one.expression) for one in outputs]
        for term in order.expressions:
            meant = bare(term.this)
            if meant not in keys:
                raise sql_refused("What DISTINCT or a set operation is ordered by stands in its select list.")
            term.set("this", columns[keys.index(meant)].copy())
    for name, clause in clauses.items():
        made.set(name, clause)
    outputs = [Output(one.name, columns[place], one.reads, one.origins, one.star) for place, one in enumerate(outputs)]
    depths = [depth + 1 for depth in query.persons] if grouped else query.persons
    return Query(made, outputs, list(depths), correlated=query.correlated)


def taken(node: exp.Expr) -> dict[str, exp.Expr]:
    """ORDER BY, LIMIT and OFFSET, taken from the query."""
    taken: dict[str, exp.Expr] = {}
    for name in ("order", "limit", "offset"):
        if node.args.get(name) is not None:
            taken[name] = node.args[name]
            node.set(name, None)
    return taken
