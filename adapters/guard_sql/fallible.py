"""Which expressions can fail over a value, in a database whose operators do (PostgreSQL).

The planner may run an expression of the statement before a template's own conditions; an error, or its absence,
then tells a hidden value. What is not listed here as harmless can fail, also over constants: what the planner does
not fold (`CAST(CAST('x' AS text) AS date)`) runs, or not, behind a comparison with a hidden value.
"""

from __future__ import annotations

from typing import Final

from sqlglot import exp

_HARMLESS: Final = frozenset(
    {
        *(exp.Column, exp.Identifier, exp.Literal, exp.Null, exp.Boolean, exp.Placeholder, exp.Paren),
        *(exp.And, exp.Or, exp.Not, exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE, exp.Is, exp.In, exp.Between),
        *(exp.NullSafeEQ, exp.NullSafeNEQ, exp.Case, exp.If, exp.Coalesce, exp.Nullif),
        *(exp.Lower, exp.Upper, exp.Length, exp.Trim, exp.Count, exp.Min, exp.Max, exp.Star, exp.Distinct),
        *(exp.Exists, exp.Alias, exp.Ordered, exp.DataType, exp.Interval, exp.Var),
    }
)
"""Comparisons of one type, and functions of text whose result is bounded by their argument."""


_ARITHMETIC: Final = (exp.Neg, exp.Add, exp.Sub, exp.Mul, exp.Div, exp.Mod)
_NUMBERS: Final = (*_ARITHMETIC, exp.Paren, exp.Literal)


def fallible(root: exp.Expr) -> bool:
    """Whether an expression can fail as it runs. What stands inside subqueries is looked at on its own."""
    stack = [root]
    while stack:
        node = stack.pop()
        if isinstance(node, exp.Select | exp.SetOperation):
            continue
        if type(node) not in _HARMLESS and not _safe(node):
            return True
        stack.extend(node.iter_expressions())
    return False


def _safe(node: exp.Expr) -> bool:
    """What cannot fail, or fails before the statement runs.

    LIKE with a literal pattern that has no backslash; a cast of a column to text, or of a constant, which is read
    with the statement; arithmetic of written numbers, which the planner does; a subquery that is no value, or one
    that has one row at most.
    """
    if isinstance(node, exp.Like):
        pattern = node.expression
        return isinstance(pattern, exp.Literal) and "\\" not in pattern.name
    if isinstance(node, exp.Cast):
        if isinstance(node.this, exp.Literal | exp.Placeholder):
            return True
        return node.to.this in (exp.DType.TEXT, exp.DType.VARCHAR) and isinstance(node.this, exp.Column)
    if isinstance(node, _ARITHMETIC):
        return all(isinstance(part, _NUMBERS) and not part.is_string for part in node.walk())
    if isinstance(node, exp.Subquery):
        return isinstance(node.parent, exp.Exists) or node.arg_key == "query" or _one_row(node.this)
    return False


def _one_row(query: exp.Expr) -> bool:
    """Whether a query has one row at most, whatever its tables hold: as a value, more of them are an error."""
    if not isinstance(query, exp.Select) or query.args.get("group") is not None:
        return False
    limit = query.args.get("limit")
    if limit is not None and limit.expression.name in ("0", "1") and isinstance(limit.expression, exp.Literal):
        return True
    return query.args.get("from_") is None or any(_summarises(one) for one in query.expressions)


def _summarises(root: exp.Expr) -> bool:
    """Whether an aggregate of the query itself stands in an output."""
    if isinstance(root, exp.Select | exp.SetOperation | exp.Window):
        return False
    return isinstance(root, exp.AggFunc) or any(_summarises(part) for part in root.iter_expressions())
