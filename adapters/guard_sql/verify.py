"""The written text is read back once more before it can run.

The statement around the templates has to come out as the very tree that was planned, and to name the markers,
the public tables and its own WITH, and nothing else. What a template consists of is read back by `parts`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from functools import cache
from typing import Any, Final

from sqlglot import exp

from guard.errors import Refused
from guard_sql.dialects import Dialect
from guard_sql.grammar import EXTRA, NODES, RANKING
from guard_sql.refusal import sql_refused
from guard_sql.scope import CTE
from guard_sql.text import parse, tokenise

_OURS: Final = re.compile("t[0-9]+|guard_field")
_INNER: Final = re.compile("c[0-9]+|guard_person_[0-9]+|guard_order_[0-9]+|guard_row")
_LISTED: Final = frozenset({*NODES, *RANKING, exp.JSONArrayAgg})


def _fails() -> Refused:
    return sql_refused("The guarded text does not read as planned.")


def outer(
    sql: str,
    planned: exp.Expr,
    dialect: Dialect,
    tables: AbstractSet[tuple[str | None, str]],
    columns: AbstractSet[str],
) -> None:
    """Refuses a statement that reads back as anything but `planned`, over these tables and their columns."""
    again = parse(tokenise(sql, dialect), sql, dialect)
    nodes = _alike(again, planned)
    if nodes is None:
        raise _fails()
    named, aliases, of_columns = _names(nodes, dialect, columns)
    # What WITH defines may be left unused.
    if {one for one in named if not _is_cte(one)} != {one for one in tables if not _is_cte(one)}:
        raise _fails()
    if not of_columns <= aliases or not named <= tables:
        raise _fails()
    # A tree holds itself in circles: cut, it is gone at once and not when the collector comes.
    for node in nodes:
        node.parent = None


def _names(
    nodes: Iterable[exp.Expr], dialect: Dialect, columns: AbstractSet[str]
) -> tuple[set[tuple[str | None, str]], set[str], set[str]]:
    """The tables of a tree, its aliases, and those that its columns are of. Refuses what is not listed."""
    plain = _plain(dialect)
    named: set[tuple[str | None, str]] = set()
    aliases: set[str] = set()
    of_columns: set[str] = set()
    for node in nodes:
        kind = type(node)
        if kind in plain:
            continue
        if kind is exp.Column:
            of_columns.add(_of(node, columns))
        elif kind is exp.Table:
            named.add((node.args["db"].name if node.args.get("db") else None, node.name))
            aliases.add(node.alias)
        elif kind is exp.Subquery:
            aliases.add(node.alias)
        elif not _called(node, kind, dialect):
            raise _fails()
    return named, aliases, of_columns


def _of(node: exp.Expr, columns: AbstractSet[str]) -> str:
    name, of = node.name, node.text("table")
    if type(node.this) is not exp.Identifier or not _OURS.fullmatch(of):
        raise _fails()
    if name not in columns and not _INNER.fullmatch(name):
        raise _fails()
    return of


def _is_cte(one: tuple[str | None, str]) -> bool:
    return one[0] is None and one[1].startswith(CTE)


def _alike(again: exp.Expr, planned: exp.Expr) -> list[exp.Expr] | None:
    """The nodes of `again` if both are one tree, compared argument by argument; else None."""
    nodes: list[exp.Expr] = []
    mine: list[Any] = [again]
    theirs: list[Any] = [planned]
    while mine:
        one, other = mine.pop(), theirs.pop()
        if type(one) is not type(other):
            return None
        if isinstance(one, exp.Expr):
            nodes.append(one)
            # Most nodes are names, which hold a text and whether it was quoted.
            if type(one) is exp.Identifier and type(one.this) is str and one.args == other.args:
                continue
            if not _arguments(one.args, other.args, mine, theirs):
                return None
        elif one != other:
            return None
    return nodes


def _arguments(args: Mapping[str, Any], others: Mapping[str, Any], mine: list[Any], theirs: list[Any]) -> bool:
    """Whether the arguments of two nodes are the same, but for those that go to `mine` and `theirs`."""
    for key, value in args.items():
        wanted = others.get(key)
        if value is wanted:
            continue
        if isinstance(value, exp.Expr):
            mine.append(value)
            theirs.append(wanted)
        elif type(value) is list and type(wanted) is list and len(value) == len(wanted):
            mine += value
            theirs += wanted
        elif value != wanted and not (_absent(value) and _absent(wanted)):
            return False
    return others.keys() <= args.keys() or all(key in args or _absent(value) for key, value in others.items())


def _absent(value: object) -> bool:
    return value is None or value is False or value == []


@cache
def _plain(dialect: Dialect) -> frozenset[type[exp.Expr]]:
    """Node types that are let through as they are: what they name is in nodes of other types."""
    listed = {*_LISTED, *dialect.functions, *dialect.aggregates, *EXTRA[dialect.name]}
    return frozenset(listed - {exp.Column, exp.Table, exp.Subquery, exp.Anonymous, exp.Dot})


def _called(node: exp.Expr, kind: type[exp.Expr], dialect: Dialect) -> bool:
    if kind is exp.Anonymous:
        return node.name.lower() in dialect.unnamed or (node.name == "jsonb_agg" and type(node.parent) is exp.Dot)
    return kind is exp.Dot and str(node.this.name) == "pg_catalog"
