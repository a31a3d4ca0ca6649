"""Which expressions can fail over a value, in a database whose operators do (PostgreSQL).

The planner may run an expression of the statement before a template's own conditions; an error, or its absence,
then tells a hidden value. What is not listed here as harmless can fail.
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
        *(exp.Subquery, exp.Exists, exp.Alias, exp.Ordered),
    }
)
"""Comparisons of one type, and functions of text whose result is bounded by their argument."""


def fallible(root: exp.Expr) -> bool:
    """Whether an expression over a column can fail. Subqueries are looked at on their own."""
    stack = [root]
    while stack:
        node = stack.pop()
        if isinstance(node, exp.Select | exp.SetOperation):
            continue
        if type(node) not in _HARMLESS and not _safe(node) and node.find(exp.Column) is not None:
            return True
        stack.extend(node.iter_expressions())
    return False


def _safe(node: exp.Expr) -> bool:
    """LIKE with a literal pattern that has no backslash, and a cast to text."""
    if isinstance(node, exp.Like):
        pattern = node.expression
        return isinstance(pattern, exp.Literal) and "\\" not in pattern.name
    if isinstance(node, exp.Cast):
        return node.to.this in (exp.DType.TEXT, exp.DType.VARCHAR) and isinstance(node.this, exp.Column)
    return isinstance(node, exp.DataType)
