"""Aggregates, and what may stand beside them."""

from __future__ import annotations

from sqlglot import exp

from guard_sql.dialects import Dialect
from guard_sql.refusal import sql_refused
from guard_sql.scope import Scope, bare


def is_aggregate(node: exp.Expr, dialect: Dialect) -> bool:
    """Whether a call summarises several rows."""
    if isinstance(node, exp.Anonymous):
        return dialect.unnamed.get(node.name.lower(), False)
    return type(node) in dialect.aggregates


def only_groups(node: exp.Select, scope: Scope, dialect: Dialect) -> None:
    """Refuses a column that is neither grouped nor inside an aggregate: SQLite takes it from any row."""
    group, order, having = (node.args.get(part) for part in ("group", "order", "having"))
    keys = [bare(term) for term in group.expressions] if group else []
    roots = list(node.expressions)
    roots += [having.this] if having else []
    roots += [term.this for term in order.expressions] if order else []
    mine = scope.aliases
    for root in roots:
        stack = [root]
        while stack:
            part = stack.pop()
            if bare(part) in keys:
                continue
            if isinstance(part, exp.Window):
                # The window runs over the groups: what it looks at has to be one value for each of them.
                stack += list(part.this.iter_expressions())
                stack += part.args.get("partition_by") or ()
                stack += list(part.args["order"].expressions) if part.args.get("order") else []
                continue
            if is_aggregate(part, dialect):
                continue
            if isinstance(part, exp.Column) and part.table in mine:
                raise sql_refused("A column beside an aggregate has to stand in GROUP BY.")
            stack.extend(part.iter_expressions())
