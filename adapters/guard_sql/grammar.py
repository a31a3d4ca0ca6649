"""What a statement may consist of: an allow-list of node types, and for each of its arguments.

Node types alone are not enough: time travel, samples, hints, locks and INDEXED BY hide in arguments of
nodes that are harmless otherwise, and a new version of sqlglot adds more. A test holds the list of the
arguments that sqlglot knows, so that a new one is looked at before it can pass.

Precedence is checked too. sqlglot and the databases disagree on a few unparenthesised mixtures
(`a = b LIKE c`); where the tree is not the one that the database would build, the statement is refused.
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
from guard_sql.refusal import sql_refused

MAX_NODES: Final = 8_192
MAX_DEPTH: Final = 256
"""The deepest tree; a chain of ANDs is as deep as it is long."""

TOO_LARGE: Final = "It is too large or nested too deeply."

_PAIR: Final = frozenset({"this", "expression"})
_THIS: Final = frozenset({"this"})
_SET: Final = frozenset({"this", "expression", "distinct", "order", "limit", "offset", "with_"})

NODES: Final[Mapping[type[exp.Expr], frozenset[str]]] = MappingProxyType(
    {
        exp.Select: frozenset(
            {"expressions", "from_", "joins", "where", "group", "having", "order", "limit", "offset"}
            | {"distinct", "with_"}
        ),
        **dict.fromkeys((exp.Union, exp.Intersect, exp.Except), _SET),
        exp.Subquery: frozenset({"this", "alias"}),
        exp.With: frozenset({"expressions"}),
        exp.CTE: frozenset({"this", "alias"}),
        exp.From: _THIS,
        exp.Join: frozenset({"this", "on", "using", "side", "kind"}),
        exp.Table: frozenset({"this", "db", "alias"}),
        exp.TableAlias: frozenset({"this", "columns"}),
        exp.Exists: _THIS,
        exp.Window: frozenset({"this", "partition_by", "order", "spec", "over"}),
        exp.WindowSpec: frozenset({"kind", "start", "start_side", "end", "end_side"}),
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
        exp.Is: _PAIR | {"negate"},
        exp.Add: _PAIR,
        exp.Sub: _PAIR,
        exp.Mul: _PAIR,
        exp.Mod: _PAIR,
        exp.Div: _PAIR | {"typed", "safe"},
        exp.DPipe: _PAIR | {"safe"},
        exp.Like: _PAIR | {"negate"},
        exp.Escape: _PAIR,
        exp.Between: frozenset({"this", "low", "high"}),
        exp.In: frozenset({"this", "expressions", "query"}),
        exp.Case: frozenset({"this", "ifs", "default"}),
        exp.If: frozenset({"this", "true"}),
        exp.Cast: frozenset({"this", "to"}),
        exp.DataType: frozenset({"this", "nested"}),
        exp.Distinct: frozenset({"expressions"}),
        exp.Insert: frozenset({"this", "expression"}),
        exp.Schema: frozenset({"this", "expressions"}),
        exp.Values: frozenset({"expressions"}),
        exp.Tuple: frozenset({"expressions"}),
        exp.Update: frozenset({"this", "expressions", "where"}),
        exp.Delete: frozenset({"this", "where"}),
        exp.Anonymous: frozenset({"this", "expressions"}),
    }
)
"""Node types that every dialect lets through, each with the arguments it may have."""

RANKING: Final[Mapping[type[exp.Expr], frozenset[str]]] = MappingProxyType(
    {
        exp.RowNumber: frozenset(),
        exp.Rank: frozenset(),
        exp.DenseRank: frozenset(),
        exp.PercentRank: frozenset(),
        exp.CumeDist: frozenset(),
        exp.FirstValue: _THIS,
        exp.LastValue: _THIS,
        exp.Lag: frozenset({"this", "offset", "default"}),
        exp.Lead: frozenset({"this", "offset", "default"}),
    }
)
"""Functions that only a window has, each with the arguments it may have."""

EXTRA: Final[Mapping[str, Mapping[type[exp.Expr], frozenset[str]]]] = MappingProxyType(
    {
        "sqlite": MappingProxyType({}),
        "postgres": MappingProxyType(
            {
                exp.Interval: frozenset({"this", "unit"}),
                exp.Extract: frozenset({"this", "expression"}),
                exp.Var: _THIS,
            }
        ),
    }
)
"""Node types that one dialect lets through besides."""

_UNITS: Final = frozenset({"YEAR", "MONTH", "DAY", "HOUR", "MINUTE", "SECOND", "QUARTER", "WEEK"})

_QUERIES: Final = (exp.Select, exp.Union, exp.Intersect, exp.Except)
_HOLDERS: Final = (exp.Subquery, exp.CTE, exp.Exists, exp.Union, exp.Intersect, exp.Except, type(None))

_PARENTS: Final[Mapping[type[exp.Expr], tuple[type[object], ...]]] = MappingProxyType(
    {
        exp.Alias: (exp.Select,),
        exp.Star: (exp.Select, exp.Column, exp.Count),
        exp.Table: (exp.From, exp.Join, exp.Schema, exp.Insert, exp.Update, exp.Delete),
        exp.Schema: (exp.Insert,),
        exp.Values: (exp.Insert,),
        exp.Tuple: (exp.Values,),
        **dict.fromkeys((exp.Insert, exp.Update, exp.Delete), (type(None),)),
        exp.If: (exp.Case,),
        exp.DataType: (exp.Cast,),
        exp.Ordered: (exp.Order,),
        exp.Distinct: (exp.Select, exp.Count, exp.Sum, exp.Avg, exp.Min, exp.Max),
        exp.WindowSpec: (exp.Window,),
        exp.Var: (exp.Interval, exp.Extract),
        **dict.fromkeys(RANKING, (exp.Window,)),
        **dict.fromkeys(_QUERIES, _HOLDERS),
    }
)
"""Node types that make sense under these parents only."""

_SQLITE_LEVELS: Final[Mapping[type[exp.Expr], int]] = MappingProxyType(
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

_POSTGRES_LEVELS: Final[Mapping[type[exp.Expr], int]] = MappingProxyType(
    {
        exp.Or: 1,
        exp.And: 2,
        exp.Not: 3,
        **dict.fromkeys((exp.Is, exp.NullSafeEQ, exp.NullSafeNEQ), 4),
        **dict.fromkeys((exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE), 5),
        **dict.fromkeys((exp.Between, exp.In, exp.Like, exp.Escape), 6),
        exp.DPipe: 7,
        **dict.fromkeys((exp.Add, exp.Sub), 8),
        **dict.fromkeys((exp.Mul, exp.Div, exp.Mod), 9),
        exp.Neg: 12,
    }
)
"""PostgreSQL's (the manual, 4.1.6)."""

_LEVELS: Final[Mapping[str, Mapping[type[exp.Expr], int]]] = MappingProxyType(
    {"sqlite": _SQLITE_LEVELS, "postgres": _POSTGRES_LEVELS}
)

_ATOM: Final = 100
_DIGITS: Final = 19
"""The digits of the largest number of 64 bits."""

_NUMBER: Final = re.compile(r"\d+(\.\d*)?([eE][+-]?\d+)?", re.ASCII)
_PARAMETER: Final = re.compile("u[0-9]+")
_PLAIN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}", re.ASCII)

_NAMES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "laterals": "A lateral table",
        "hint": "A hint",
        "windows": "A named window",
        "alias": "A named window",
        "qualify": "QUALIFY",
        "into": "INTO",
        "locks": "A row lock",
        "indexed": "INDEXED BY",
        "sample": "A sample",
        "pivots": "PIVOT",
        "field": "IN over a table",
        "columns": "A list of column names behind a table",
        "catalog": "A name before the schema",
        "method": "A NATURAL join",
        "recursive": "WITH RECURSIVE",
        "materialized": "MATERIALIZED",
        "by_name": "BY NAME",
        "returning": "RETURNING",
        "conflict": "ON CONFLICT",
        "on": "DISTINCT ON",
        "from_": "UPDATE with FROM",
        "default": "DEFAULT VALUES",
        "alternative": "OR REPLACE, OR IGNORE and the like",
    }
)
"""Arguments that are not let through, as a reader knows them."""

_FLAGS: Final = frozenset(
    {"recursive", "by_name", "is_function", "stored", "exists", "partition", "settings", "default", "overwrite"}
    | {"ignore", "source", "cluster", "using", "into"}
)
"""Arguments that the parser sets to False where the statement does not have them."""

_KINDS: Final[Mapping[type[object], str]] = MappingProxyType(
    {
        exp.SubqueryPredicate: "ANY, SOME and ALL are not built yet: use IN or EXISTS.",
        exp.Collate: "COLLATE is not built: a column compares as its table says.",
        exp.Filter: "FILTER is not built yet: use CASE inside the aggregate.",
        exp.Glob: "GLOB is not built yet: use LIKE.",
        exp.Lateral: "A lateral table is not built yet.",
    }
)
"""Nodes that are not let through, as a reader knows them."""

_OPERATORS: Final[Mapping[type[object], str]] = MappingProxyType({exp.JSONExtract: "->", exp.JSONExtractScalar: "->>"})
"""Functions that are written as an operator."""

_ASKED: Final = "nextval"
"""What SQLAlchemy asks PostgreSQL for the key of a new row with, where it may not read one back from the INSERT."""


def check(tree: exp.Expr, dialect: Dialect, additions: int, sql: str) -> frozenset[type[exp.Expr]]:
    """Refuses a tree with anything in it that is not listed; gives the types of its nodes.

    `additions`: how many plus signs the text `sql` has.

    sqlglot drops a unary plus, which in SQLite takes a column's affinity away; a plus that is no addition
    is therefore refused.
    """
    levels = _LEVELS[dialect.name]
    kinds: set[type[exp.Expr]] = set()
    nodes = added = depth = 0
    row = [tree]
    while row:
        nodes += len(row)
        if nodes > MAX_NODES or depth > MAX_DEPTH:
            raise sql_refused(TOO_LARGE)
        below: list[exp.Expr] = []
        for node in row:
            kind = type(node)
            kinds.add(kind)
            added += kind is exp.Add
            below += _children(node, kind, dialect, sql)
            parents = _PARENTS.get(kind)
            if parents is not None and type(node.parent) not in parents:
                raise sql_refused(f"{_called(kind)} is not built here yet.")
            special = _SPECIAL.get(kind)
            if special is not None:
                special(node, dialect)
            if kind in levels:
                _precedence(node, kind, levels)
        row = below
        depth += 1
    if additions != added:
        raise sql_refused("It uses + as a sign: leave it out.")
    return frozenset(kinds)


def _children(node: exp.Expr, kind: type[exp.Expr], dialect: Dialect, sql: str) -> list[exp.Expr]:
    """The parts of a node, each under an argument that its type may have."""
    allowed = NODES.get(kind)
    if allowed is None:
        allowed = next((table[kind] for table in _tables(dialect) if kind in table), None)
    if allowed is None:
        raise _not_listed(node, sql)
    children: list[exp.Expr] = []
    for key, value in node.args.items():
        if not value and (value is None or value == []):
            continue
        if key not in allowed:
            if value is False and key in _FLAGS:
                continue
            raise sql_refused(f"{_NAMES.get(key, f'{kind.__name__} with {key!r}')} is not built yet.")
        if isinstance(value, exp.Expr):
            children.append(value)
        elif isinstance(value, list) and all(isinstance(part, exp.Expr) for part in value):
            children += value
        elif not isinstance(value, str | bool | exp.DType):
            raise sql_refused(f"{kind.__name__} with {key!r} is not built yet.")
    return children


def _tables(dialect: Dialect) -> tuple[Mapping[type[exp.Expr], frozenset[str]], ...]:
    return (dialect.functions, dialect.aggregates, RANKING, EXTRA[dialect.name])


def _not_listed(node: exp.Expr, sql: str) -> Refused:
    for kind, said in _KINDS.items():
        if isinstance(node, kind):
            return sql_refused(said)
    if isinstance(node, exp.Func):
        return Refused.own("GUARD-SQL-FUNCTION", f"{_written(node, sql)} is not on the list.")
    return sql_refused(f"{type(node).__name__} is not built yet.")


def _written(node: exp.Func, sql: str) -> str:
    """A function as the text calls it: sqlglot has a name of its own for many."""
    start, end = node.meta.get("start"), node.meta.get("end")
    if isinstance(start, int) and isinstance(end, int):
        name = sql[start : end + 1]
        if _PLAIN.fullmatch(name):
            return name
    return _OPERATORS.get(type(node), type(node).sql_name().lower())


def _called(kind: type[exp.Expr]) -> str:
    if kind in _QUERIES:
        return "A subquery"
    return "A list of values" if kind is exp.Tuple else kind.__name__


def _precedence(node: exp.Expr, kind: type[exp.Expr], levels: Mapping[type[exp.Expr], int]) -> None:
    level = levels[kind]
    strict: tuple[Any, ...]
    if kind is exp.Between:
        loose, strict = node.this, (node.args["low"], node.args["high"])
    elif kind is exp.In:
        loose, strict = node.this, ()
    else:
        loose, strict = node.this, (node.args.get("expression"),)
    if levels.get(type(loose), _ATOM) < level or any(
        levels.get(type(operand), _ATOM) <= level for operand in strict if operand is not None
    ):
        raise sql_refused("It mixes operators that are read in different ways: write parentheses.")


def _literal(node: exp.Expr, _: Dialect) -> None:
    if not node.args.get("is_string") and not _NUMBER.fullmatch(node.name):
        raise sql_refused("It holds a number that cannot be read.")


def _unnamed(node: exp.Expr, dialect: Dialect) -> None:
    name = node.this
    if not isinstance(name, str) or name.lower() not in dialect.unnamed or len(node.expressions) != 1:
        said = f"{name} is not on the list." if isinstance(name, str) and _PLAIN.fullmatch(name) else None
        if said is not None and name.lower() == _ASKED:
            said += " Give a new row its key yourself: a guarded connection reads none back from the database."
        raise Refused.own("GUARD-SQL-FUNCTION", said)


def constant(node: object) -> bool:
    """Whether an expression is a literal or a parameter, maybe with the type that a driver wrote to it."""
    if isinstance(node, exp.Cast):
        node = node.this
    return isinstance(node, exp.Literal | exp.Placeholder)


def _placeholder(node: exp.Expr, _: Dialect) -> None:
    # sqlglot has more spellings than the tokens that were given names of ours: `%s`, `%(name)s`.
    if not isinstance(node.this, str) or not _PARAMETER.fullmatch(node.this):
        raise sql_refused("A parameter is ? or :name.")


def _like(node: exp.Expr, _: Dialect) -> None:
    # A long pattern fails for every row that is looked at, hidden ones too; one from a column could fail over a
    # hidden value. A parameter is measured when it is bound.
    pattern = node.args.get("expression")
    if not constant(pattern) or (isinstance(pattern, exp.Literal) and size(pattern.name) > MAX_PATTERN):
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
    if node.args.get("expression") is not None and not constant(node.args["expression"]):
        raise sql_refused("What TRIM takes off is a literal or a parameter.")


def _substring(node: exp.Expr, _: Dialect) -> None:
    if node.args.get("start") is None:
        raise sql_refused("SUBSTRING needs the place where it begins.")


def _count(node: exp.Expr, _: Dialect) -> None:
    if node.this is None:
        raise sql_refused("Write COUNT(*).")


def _distinct(node: exp.Expr, _: Dialect) -> None:
    if isinstance(node.parent, exp.Select):
        if node.expressions:
            raise sql_refused("DISTINCT ON is not built yet.")
        return
    if len(node.expressions) != 1:
        raise sql_refused("DISTINCT of several columns is not built yet.")


def _star(node: exp.Expr, _: Dialect) -> None:
    if isinstance(node.parent, exp.Column) and not isinstance(node.parent.parent, exp.Select):
        raise sql_refused("A star stands in the select list only.")


def _limit(node: exp.Expr, _: Dialect) -> None:
    rows = node.args.get("expression")
    if isinstance(rows, exp.Cast) and rows.args["to"].this in (exp.DType.INT, exp.DType.BIGINT):
        rows = rows.this
    if isinstance(rows, exp.Placeholder):
        return
    if not isinstance(rows, exp.Literal) or rows.is_string or not rows.name.isdigit():
        raise sql_refused("LIMIT and OFFSET are a whole number or a parameter.")
    if len(rows.name) > _DIGITS or int(rows.name) > LARGEST:
        raise sql_refused("LIMIT and OFFSET are numbers of 64 bits.")


def _rest(node: exp.Expr, dialect: Dialect) -> None:
    if dialect.name == "sqlite" and node.parent is not None and not node.parent.args.get("limit"):
        raise sql_refused("OFFSET stands behind LIMIT.")
    _limit(node, dialect)


def _in(node: exp.Expr, _: Dialect) -> None:
    if not node.expressions and not isinstance(node.args.get("query"), exp.Subquery):
        raise sql_refused("IN needs at least one value, or a subquery.")


def _join(node: exp.Expr, dialect: Dialect) -> None:
    kind, side = node.args.get("kind") or "", node.args.get("side") or ""
    if kind not in ("", "INNER", "OUTER", "CROSS") or side not in ("", "LEFT", "RIGHT", "FULL"):
        raise sql_refused(f"A {side} {kind} join is not built yet.".replace("  ", " "))
    if (kind == "OUTER" and not side) or (side and kind not in ("", "OUTER")):
        raise sql_refused("A join is INNER, CROSS, or LEFT, RIGHT or FULL.")
    if dialect.name != "sqlite" and kind == "CROSS" and (node.args.get("on") or node.args.get("using")):
        raise sql_refused("A CROSS JOIN has no condition.")
    if (side or kind == "INNER") and not (node.args.get("on") or node.args.get("using")):
        raise sql_refused("A join needs ON or USING.")


def _set(node: exp.Expr, dialect: Dialect) -> None:
    for branch in (node.this, node.expression):
        inner = branch.this if isinstance(branch, exp.Subquery) else branch
        if isinstance(branch, exp.Subquery) and branch.args.get("alias"):
            raise sql_refused("A part of a set operation has no alias.")
        # SQLite reads mixed set operations from the left, others INTERSECT first.
        if dialect.name == "sqlite" and isinstance(inner, exp.SetOperation) and type(inner) is not type(node):
            raise sql_refused("Mixed set operations are read in different ways: write one of them as a derived table.")


def _window(node: exp.Expr, dialect: Dialect) -> None:
    if type(node.this) not in RANKING and type(node.this) not in dialect.aggregates:
        raise sql_refused("A window has a ranking function or an aggregate.")
    if node.this.find(exp.Distinct) is not None:
        raise sql_refused("DISTINCT in a window is not built.")


def _frame(node: exp.Expr, _: Dialect) -> None:
    for place in ("start", "end"):
        edge = node.args.get(place)
        if isinstance(edge, exp.Expr) and not (isinstance(edge, exp.Literal) and edge.name.isdigit()):
            raise sql_refused("The frame of a window is bounded by whole numbers.")


def _offset(node: exp.Expr, _: Dialect) -> None:
    by = node.args.get("offset")
    if by is not None and not (isinstance(by, exp.Literal) and by.name.isdigit()):
        raise sql_refused("LAG and LEAD look back or ahead by a whole number.")


def _interval(node: exp.Expr, _: Dialect) -> None:
    if not isinstance(node.this, exp.Literal) or not re.fullmatch(r"\d{1,6}", node.this.name):
        raise sql_refused("An INTERVAL is a whole number of one unit.")


def _unit(node: exp.Expr, _: Dialect) -> None:
    if not isinstance(node.this, str) or node.this.upper() not in _UNITS:
        raise sql_refused("A unit of time is YEAR, MONTH, DAY, HOUR, MINUTE or SECOND.")


_SPECIAL: Final[Mapping[type[exp.Expr], Callable[[Any, Dialect], None]]] = MappingProxyType(
    {
        exp.Literal: _literal,
        exp.Placeholder: _placeholder,
        exp.Anonymous: _unnamed,
        exp.Like: _like,
        exp.Escape: _escape,
        exp.Is: _is,
        exp.Cast: _cast,
        exp.Trim: _trim,
        exp.Substring: _substring,
        exp.Count: _count,
        exp.Distinct: _distinct,
        exp.Star: _star,
        exp.Limit: _limit,
        exp.Offset: _rest,
        exp.In: _in,
        exp.Join: _join,
        exp.Union: _set,
        exp.Intersect: _set,
        exp.Except: _set,
        exp.Window: _window,
        exp.WindowSpec: _frame,
        exp.Lag: _offset,
        exp.Lead: _offset,
        exp.Interval: _interval,
        exp.Var: _unit,
    }
)
