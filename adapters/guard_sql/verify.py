"""The written text is read once more before it can run.

The statement around the template has to come out as the very tree that was planned, and to name the marker
and nothing else. Each part of a template (a column, a condition) has to be one expression that names
exactly the tables and parameters it needs, all qualified, and only the functions that the guard writes; a
part is read once, and templates only join parts that were read.
"""

# ruff: noqa: S608 — this module's work is to write SQL; values are parameters, names are quoted

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import Final

from sqlglot import exp

from guard.errors import Refused
from guard_sql.conditions import ROW
from guard_sql.dialects import Dialect
from guard_sql.grammar import NODES
from guard_sql.resolve import ALIAS
from guard_sql.text import parse, sql_refused, tokenise

_TEMPLATE_NODES: Final[frozenset[type[exp.Expr]]] = frozenset(
    {
        exp.Typeof,
        exp.Substring,
        exp.Length,
        exp.StrPosition,
        exp.Chr,
        exp.Exists,
        exp.Glob,
        exp.Collate,
        exp.Var,
        exp.Subquery,
    }
)
_ALIASES: Final = frozenset({ROW, "g", "s", "r"})


def _fails() -> Refused:
    return sql_refused("The guarded text does not read as planned.")


def outer(
    sql: str,
    planned: exp.Select,
    dialect: Dialect,
    tables: AbstractSet[tuple[str | None, str]],
    columns: AbstractSet[str],
) -> None:
    """Refuses a statement that reads back as anything but `planned`, over these tables and columns."""
    again = parse(tokenise(sql, dialect), sql, dialect)
    if again != planned:
        raise _fails()
    named: set[tuple[str | None, str]] = set()
    for node in again.walk():
        kind = type(node)
        if kind is exp.Table:
            named.add((node.args["db"].name if node.args.get("db") else None, node.name))
        elif kind is exp.Column:
            if not isinstance(node.this, exp.Identifier) or node.text("table") != ALIAS or node.name not in columns:
                raise _fails()
        elif kind is exp.Anonymous:
            if node.name.lower() not in dialect.unnamed:
                raise _fails()
        elif not (kind in NODES or kind in dialect.functions or kind in dialect.aggregates or kind is exp.JSONArrayAgg):
            raise _fails()
    if named != tables:
        raise _fails()


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
    tree = parse(tokenise(whole, dialect), whole, dialect)
    if len(tree.expressions) != 1 or tree.expressions[0].alias != "part":
        raise _fails()
    named: set[tuple[str, str]] = set()
    bound: set[str] = set()
    reads: set[tuple[str, str, str]] = set()
    for node in tree.walk():
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
        elif kind is exp.Anonymous or not (kind in NODES or kind in _TEMPLATE_NODES):
            raise _fails()
    if named != tables or bound != parameters:
        raise _fails()
    return frozenset(reads)


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
