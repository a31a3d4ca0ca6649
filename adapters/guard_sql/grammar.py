"""What a statement may consist of: an allow-list of node types, and for each of its arguments.

Node types alone are not enough: time travel, samples, hints, locks and INDEXED BY hide in arguments of
nodes that are harmless otherwise, and a new version of sqlglot adds more. A test holds the list of the
arguments that sqlglot knows, so that a new one is looked at before it can pass.

Precedence is checked too. sqlglot and SQLite disagree on a few unparenthesised mixtures
(`a = b LIKE c`); where the tree is not the one that SQLite would build, the statement is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from sqlglot import exp

from guard.errors import Refused
from guard_sql.dialects import Dialect
from guard_sql.parameters import LARGEST, MAX_PATTERN, size
from guard_sql.text import sql_refused

MAX_NODES: Final = 8_192
MAX_DEPTH: Final = 256
"""The deepest tree; a chain of ANDs is as deep as it is long."""

TOO_LARGE: Final = "It is too large or nested too deeply."

_PAIR: Final = frozenset({"this", "expression"})
_THIS: Final = frozenset({"this"})

NODES: Final[Mapping[type[exp.Expr], frozenset[str]]] = MappingProxyType(
    {
        exp.Select: frozenset({"expressions", "from_", "where", "group", "having", "order", "limit", "offset"}),
        exp.From: _THIS,
        exp.Table: frozenset({"this", "db", "alias"}),
        exp.TableAlias: _THIS,
        exp.Where: _THIS,
        exp.Group: frozenset({"expressions"}),
        exp.Having: _THIS,
        exp.Order: frozenset({"expressions"}),
        exp.Ordered: frozenset({"this", "desc", "nulls_first"}),
        exp.Limit: frozenset({"expression"}),
        exp.Offset: frozenset({"expression"}),
        exp.Alias: frozenset({"this", "alias"}),
        exp.Star: frozenset(),
        exp.Column: frozenset({"this", "table", "db"}),
        exp.Identifier: frozenset({"this", "quoted"}),
        exp.Literal: frozenset({"this", "is_string"}),
        exp.Null: frozenset(),
        exp.Boolean: _THIS,
        exp.Placeholder: _THIS,
        exp.Paren: _THIS,
        exp.Neg: _THIS,
        exp.Not: _THIS,
        exp.And: _PAIR,
        exp.Or: _PAIR,
        exp.EQ: _PAIR,
        exp.NEQ: _PAIR,
        exp.LT: _PAIR,
        exp.LTE: _PAIR,
        exp.GT: _PAIR,
        exp.GTE: _PAIR,
        exp.NullSafeEQ: _PAIR,
        exp.NullSafeNEQ: _PAIR,
        exp.Is: _PAIR,
        exp.Add: _PAIR,
        exp.Sub: _PAIR,
        exp.Mul: _PAIR,
        exp.Mod: _PAIR,
        exp.Div: _PAIR | {"typed", "safe"},
        exp.DPipe: _PAIR | {"safe"},
        exp.Like: _PAIR | {"negate"},
        exp.Escape: _PAIR,
        exp.Between: frozenset({"this", "low", "high"}),
        exp.In: frozenset({"this", "expressions"}),
        exp.Case: frozenset({"this", "ifs", "default"}),
        exp.If: frozenset({"this", "true"}),
        exp.Cast: frozenset({"this", "to"}),
        exp.DataType: frozenset({"this", "nested"}),
        exp.Distinct: frozenset({"expressions"}),
        exp.Anonymous: frozenset({"this", "expressions"}),
    }
)
"""Node types that every dialect lets through, each with the arguments it may have."""

_PARENTS: Final[Mapping[type[exp.Expr], tuple[type[object], ...]]] = MappingProxyType(
    {
        exp.Alias: (exp.Select,),
        exp.Star: (exp.Select, exp.Column, exp.Count),
        exp.Table: (exp.From,),
        exp.If: (exp.Case,),
        exp.DataType: (exp.Cast,),
        exp.Ordered: (exp.Order,),
        exp.Distinct: (exp.Count, exp.Sum, exp.Avg, exp.Min, exp.Max),
        exp.Select: (type(None),),
    }
)
"""Node types that make sense under these parents only."""

_LEVELS: Final[Mapping[type[exp.Expr], int]] = MappingProxyType(
    {
        exp.Or: 1,
        exp.And: 2,
        exp.Not: 3,
        **dict.fromkeys((exp.EQ, exp.NEQ, exp.NullSafeEQ, exp.NullSafeNEQ, exp.Is, exp.In, exp.Between), 4),
        **dict.fromkeys((exp.Like, exp.Escape), 4),
        **dict.fromkeys((exp.LT, exp.LTE, exp.GT, exp.GTE), 5),
        **dict.fromkeys((exp.Add, exp.Sub), 8),
        **dict.fromkeys((exp.Mul, exp.Div, exp.Mod), 9),
        exp.DPipe: 10,
        exp.Neg: 12,
    }
)
"""SQLite's operator precedence (sqlite.org/lang_expr.html), lowest first. What is not here binds like an atom."""

_ATOM: Final = 100
_DIGITS: Final = 19
"""The digits of the largest number of 64 bits."""

_NUMBER: Final = re.compile(r"\d+(\.\d*)?([eE][+-]?\d+)?", re.ASCII)
_PLAIN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}", re.ASCII)

_NAMES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "joins": "A join",
        "laterals": "A lateral table",
        "distinct": "DISTINCT",
        "hint": "A hint",
        "with_": "WITH",
        "windows": "A window",
        "qualify": "QUALIFY",
        "into": "INTO",
        "locks": "A row lock",
        "indexed": "INDEXED BY",
        "sample": "A sample",
        "pivots": "PIVOT",
        "query": "A subquery",
        "field": "IN over a table",
        "columns": "A list of column names behind a table",
        "catalog": "A name before the schema",
    }
)
"""Arguments that are not let through, as a reader knows them."""

_KINDS: Final[Mapping[type[object], str]] = MappingProxyType(
    {
        exp.Query: "A subquery is not built yet.",
        exp.SubqueryPredicate: "A subquery is not built yet.",
        exp.Collate: "COLLATE is not built: a column compares as its table says.",
        exp.Window: "A window is not built yet.",
        exp.Filter: "FILTER is not built yet: use CASE inside the aggregate.",
        exp.Glob: "GLOB is not built yet: use LIKE.",
        exp.Tuple: "A list of values stands behind IN only.",
    }
)
"""Nodes that are not let through, as a reader knows them."""


def check(tree: exp.Expr, dialect: Dialect, additions: int) -> None:
    """Refuses a tree with anything in it that is not listed. `additions`: how many plus signs the text has.

    sqlglot drops a unary plus, which in SQLite takes a column's affinity away; a plus that is no addition
    is therefore refused.
    """
    stack: list[tuple[exp.Expr, int]] = [(tree, 0)]
    nodes = added = 0
    while stack:
        node, depth = stack.pop()
        nodes += 1
        if nodes > MAX_NODES or depth > MAX_DEPTH:
            raise sql_refused(TOO_LARGE)
        kind = type(node)
        added += kind is exp.Add
        stack += [(child, depth + 1) for child in _children(node, kind, dialect)]
        parents = _PARENTS.get(kind)
        if parents is not None and type(node.parent) not in parents:
            raise sql_refused(f"{kind.__name__} is not built here yet.")
        special = _SPECIAL.get(kind)
        if special is not None:
            special(node, dialect)
        if kind in _LEVELS:
            _precedence(node, kind)
    if additions != added:
        raise sql_refused("It uses + as a sign: leave it out.")


def _children(node: exp.Expr, kind: type[exp.Expr], dialect: Dialect) -> list[exp.Expr]:
    """The parts of a node, each under an argument that its type may have."""
    allowed = NODES.get(kind)
    if allowed is None:
        allowed = dialect.functions.get(kind) or dialect.aggregates.get(kind)
    if allowed is None:
        raise _not_listed(node)
    children: list[exp.Expr] = []
    for key, value in node.args.items():
        if value is None or value == []:
            continue
        if key not in allowed:
            raise sql_refused(f"{_NAMES.get(key, f'{kind.__name__} with {key!r}')} is not built yet.")
        if isinstance(value, exp.Expr):
            children.append(value)
        elif isinstance(value, list) and all(isinstance(part, exp.Expr) for part in value):
            children += value
        elif not isinstance(value, str | bool | exp.DType):
            raise sql_refused(f"{kind.__name__} with {key!r} is not built yet.")
    return children


def _not_listed(node: exp.Expr) -> Refused:
    for kind, said in _KINDS.items():
        if isinstance(node, kind):
            return sql_refused(said)
    if isinstance(node, exp.Func):
        return Refused.own("GUARD-SQL-FUNCTION", f"{type(node).sql_name().lower()} is not on the list.")
    return sql_refused(f"{type(node).__name__} is not built yet.")


def _precedence(node: exp.Expr, kind: type[exp.Expr]) -> None:
    level = _LEVELS[kind]
    strict: tuple[Any, ...]
    if kind is exp.Between:
        loose, strict = node.this, (node.args["low"], node.args["high"])
    elif kind is exp.In:
        loose, strict = node.this, ()
    else:
        loose, strict = node.this, (node.args.get("expression"),)
    if _level(loose) < level or any(_level(operand) <= level for operand in strict if operand is not None):
        raise sql_refused("It mixes operators that are read in different ways: write parentheses.")


def _level(node: exp.Expr) -> int:
    return _LEVELS.get(type(node), _ATOM)


def _literal(node: exp.Expr, _: Dialect) -> None:
    if not node.args.get("is_string") and not _NUMBER.fullmatch(node.name):
        raise sql_refused("It holds a number that cannot be read.")


def _unnamed(node: exp.Expr, dialect: Dialect) -> None:
    name = node.this
    if not isinstance(name, str) or name.lower() not in dialect.unnamed or len(node.expressions) != 1:
        said = f"{name} is not on the list." if isinstance(name, str) and _PLAIN.fullmatch(name) else None
        raise Refused.own("GUARD-SQL-FUNCTION", said)


def _constant(node: object) -> bool:
    return isinstance(node, exp.Literal | exp.Placeholder)


def _like(node: exp.Expr, _: Dialect) -> None:
    # A long pattern fails for every row that is looked at, hidden ones too; one from a column could fail over a
    # hidden value. A parameter is measured when it is bound.
    pattern = node.args.get("expression")
    if not _constant(pattern) or (isinstance(pattern, exp.Literal) and size(pattern.name) > MAX_PATTERN):
        raise sql_refused(f"The pattern of LIKE is a literal or a parameter of at most {MAX_PATTERN} bytes.")


def _escape(node: exp.Expr, _: Dialect) -> None:
    by = node.args.get("expression")
    if type(node.this) is not exp.Like or not (isinstance(by, exp.Literal) and by.is_string and len(by.name) == 1):
        raise sql_refused("The ESCAPE of LIKE is one literal character.")


def _is(node: exp.Expr, _: Dialect) -> None:
    if not isinstance(node.args.get("expression"), exp.Null | exp.Boolean):
        raise sql_refused("IS compares with NULL, TRUE or FALSE, or two values.")


def _cast(node: exp.Expr, dialect: Dialect) -> None:
    to = node.args.get("to")
    if not isinstance(to, exp.DataType) or to.this not in dialect.casts:
        raise sql_refused("CAST is built for TEXT, INTEGER and REAL.")


def _trim(node: exp.Expr, _: Dialect) -> None:
    if node.args.get("position") not in (None, "LEADING", "TRAILING"):
        raise sql_refused("This form of TRIM is not built yet.")
    # SQLite takes twelve bytes for each of the characters to take off, and fails where that is too much.
    if node.args.get("expression") is not None and not _constant(node.args["expression"]):
        raise sql_refused("What TRIM takes off is a literal or a parameter.")


def _count(node: exp.Expr, _: Dialect) -> None:
    if node.this is None:
        raise sql_refused("Write COUNT(*).")


def _distinct(node: exp.Expr, _: Dialect) -> None:
    if len(node.expressions) != 1:
        raise sql_refused("DISTINCT of several columns is not built yet.")


def _star(node: exp.Expr, _: Dialect) -> None:
    if isinstance(node.parent, exp.Column) and not isinstance(node.parent.parent, exp.Select):
        raise sql_refused("A star stands in the select list only.")


def _limit(node: exp.Expr, _: Dialect) -> None:
    rows = node.args.get("expression")
    if isinstance(rows, exp.Placeholder):
        return
    if not isinstance(rows, exp.Literal) or rows.is_string or not rows.name.isdigit():
        raise sql_refused("LIMIT and OFFSET are a whole number or a parameter.")
    if len(rows.name) > _DIGITS or int(rows.name) > LARGEST:
        raise sql_refused("LIMIT and OFFSET are numbers of 64 bits.")


def _in(node: exp.Expr, _: Dialect) -> None:
    if not node.expressions:
        raise sql_refused("IN needs at least one value.")


_SPECIAL: Final[Mapping[type[exp.Expr], Callable[[Any, Dialect], None]]] = MappingProxyType(
    {
        exp.Literal: _literal,
        exp.Anonymous: _unnamed,
        exp.Like: _like,
        exp.Escape: _escape,
        exp.Is: _is,
        exp.Cast: _cast,
        exp.Trim: _trim,
        exp.Count: _count,
        exp.Distinct: _distinct,
        exp.Star: _star,
        exp.Limit: _limit,
        exp.Offset: _limit,
        exp.In: _in,
    }
)
