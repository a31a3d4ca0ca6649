"""Each expression that the guard writes into a template is read once more before it can run.

A part (a column, a condition) has to be one expression that names exactly the tables and parameters it needs, all
qualified, and consists of what the dialect's `Forms` write and nothing else. A part is read once for its text, and
templates only join parts that were read.
"""

# ruff: noqa: S608 — this module's work is to read SQL; nothing here is run

from __future__ import annotations

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from types import MappingProxyType
from typing import Final

from sqlglot import exp

from guard.errors import Refused
from guard_sql.conditions import ROW
from guard_sql.dialects import Dialect
from guard_sql.forms import Forms
from guard_sql.refusal import sql_refused
from guard_sql.text import parse, tokenise

_THIS: Final = frozenset({"this"})
_PAIR: Final = frozenset({"this", "expression"})

NODES: Final[Mapping[type[exp.Expr], frozenset[str]]] = MappingProxyType(
    {
        exp.Select: frozenset({"expressions", "from_", "where"}),
        exp.From: _THIS,
        exp.Where: _THIS,
        exp.Table: frozenset({"this", "db", "alias"}),
        exp.TableAlias: _THIS,
        exp.Column: frozenset({"this", "table"}),
        exp.Identifier: frozenset({"this", "quoted"}),
        exp.Literal: frozenset({"this", "is_string"}),
        exp.Null: frozenset(),
        exp.Boolean: _THIS,
        exp.Placeholder: _THIS,
        **dict.fromkeys((exp.Paren, exp.Not, exp.Exists, exp.Subquery), _THIS),
        **dict.fromkeys((exp.And, exp.Or), _PAIR),
        exp.Is: _PAIR | {"negate"},
        # No CASE over an operand: it compares with an operator that has no name.
        exp.Case: frozenset({"ifs", "default"}),
        exp.If: frozenset({"this", "true"}),
        exp.Cast: frozenset({"this", "to"}),
        exp.Collate: _PAIR,
    }
)
"""Node types that every dialect's parts consist of, each with the arguments it has."""

_ALIASES: Final = frozenset({ROW, "g", "s", "r"})


def part(
    sql: str,
    table: str,
    dialect: Dialect,
    tables: AbstractSet[tuple[str, str]],
    parameters: AbstractSet[str],
) -> frozenset[tuple[str, str, str]]:
    """What a part of a template reads: (schema, table, column).

    Refuses one that is not a single expression over `table` with exactly these tables and parameters.
    """
    whole = f"SELECT {sql} AS part FROM {table} AS {ROW}"
    tokens = tokenise(whole, dialect)
    if any(token.comments for token in tokens):
        raise _fails()
    tree = parse(tokens, whole, dialect)
    written = tree.expressions[0] if len(tree.expressions) == 1 else None
    if type(tree) is not exp.Select or type(written) is not exp.Alias or written.alias != "part":
        raise _fails()
    if any(value for key, value in tree.args.items() if key not in ("expressions", "from_")):
        raise _fails()
    named: set[tuple[str, str]] = set()
    bound: set[str] = set()
    reads: set[tuple[str, str, str]] = set()
    for node in (*_nodes(written.this, dialect.forms), *_nodes(tree.args["from_"], dialect.forms)):
        kind = type(node)
        if kind is exp.Table:
            if node.alias not in _ALIASES:
                raise _fails()
            named.add((node.text("db"), node.name))
        elif kind is exp.Column:
            of = _table_of(node)
            reads.add((of.text("db"), of.name, node.name))
        elif kind is exp.Placeholder:
            bound.add(node.name)
    if named != tables or bound != parameters:
        raise _fails()
    return frozenset(reads)


def _nodes(root: exp.Expr, forms: Forms) -> Iterator[exp.Expr]:
    """Every node of a part, of a listed type and with listed arguments only."""
    stack = [root]
    while stack:
        node = stack.pop()
        kind = type(node)
        listed = NODES.get(kind) or forms.nodes.get(kind)
        if listed is None and kind not in NODES:
            raise _fails()
        if any(value and key not in (listed or ()) for key, value in node.args.items()):
            raise _fails()
        yield node
        stack += _inside(node, kind, forms)


def _inside(node: exp.Expr, kind: type[exp.Expr], forms: Forms) -> list[exp.Expr]:
    """The nodes under one. What names a type, a collation, a function or an operator is looked at here."""
    if kind is exp.Cast:
        if not _type(node.args["to"], forms):
            raise _fails()
        return [node.this]
    if kind is exp.Collate:
        if not _collation(node.expression, forms):
            raise _fails()
        return [node.this]
    if kind is exp.Dot:
        called = node.expression
        if not _schema(node.this, forms) or type(called) is not exp.Anonymous or called.this not in forms.functions:
            raise _fails()
        return list(called.expressions)
    if kind is exp.Anonymous or (kind is exp.Operator and node.args["operator"] not in forms.operators):
        raise _fails()
    if kind is exp.Select and len(node.expressions) != 1:
        raise _fails()
    return list(node.iter_expressions())


def _type(to: exp.Expr, forms: Forms) -> bool:
    named = to.args.get("kind")
    if named is None:
        return to.this in forms.casts
    of_schema = type(named) is exp.Dot and _schema(named.this, forms)
    return of_schema and to.this is exp.DType.USERDEFINED and named.expression.name in forms.types


def _collation(named: exp.Expr, forms: Forms) -> bool:
    return named.name in forms.collations and named.text("table") == forms.schema


def _schema(named: object, forms: Forms) -> bool:
    return isinstance(named, exp.Identifier) and named.name == forms.schema


def _table_of(node: exp.Expr) -> exp.Expr:
    """The table of a qualified column: the nearest one around it with that alias."""
    around = node.find_ancestor(exp.Select)
    while around is not None:
        source = around.args.get("from_")
        if source is not None and source.this.alias == node.text("table"):
            table: exp.Expr = source.this
            return table
        around = around.find_ancestor(exp.Select)
    raise _fails()


def _fails() -> Refused:
    return sql_refused("The guarded text does not read as planned.")
