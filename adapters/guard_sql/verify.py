"""The written text is read back once more before it can run.

The statement around the templates has to come out as the very tree that was planned, and to name the markers,
the public tables and its own WITH, and nothing else. What a template consists of is read back by `parts`.
"""

from __future__ import annotations

import re
from collections.abc import Set as AbstractSet
from typing import Final

from sqlglot import exp

from guard.errors import Refused
from guard_sql.dialects import Dialect
from guard_sql.grammar import EXTRA, NODES, RANKING
from guard_sql.refusal import sql_refused
from guard_sql.scope import CTE
from guard_sql.text import parse, tokenise
from guard_sql.writing import write

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
    # Some texts have two trees (`INTERVAL '1' YEAR`): then the text of both has to be this very one.
    if again != planned and not write(planned, dialect) == sql == write(again, dialect):
        raise _fails()
    named: set[tuple[str | None, str]] = set()
    aliases: set[str] = set()
    of_columns: set[str] = set()
    for node in again.walk():
        kind = type(node)
        if kind is exp.Table:
            named.add((node.args["db"].name if node.args.get("db") else None, node.name))
            aliases.add(node.alias)
        elif kind is exp.Subquery:
            aliases.add(node.alias)
        elif kind is exp.Column:
            ours = isinstance(node.this, exp.Identifier) and _OURS.fullmatch(node.text("table"))
            if not ours or not (node.name in columns or _INNER.fullmatch(node.name)):
                raise _fails()
            of_columns.add(node.text("table"))
        elif not (_listed(node, kind, dialect)):
            raise _fails()
    # What WITH defines may be left unused.
    if {one for one in named if not _is_cte(one)} != {one for one in tables if not _is_cte(one)}:
        raise _fails()
    if not of_columns <= aliases or not named <= tables:
        raise _fails()


def _is_cte(one: tuple[str | None, str]) -> bool:
    return one[0] is None and one[1].startswith(CTE)


def _listed(node: exp.Expr, kind: type[exp.Expr], dialect: Dialect) -> bool:
    if kind is exp.Anonymous:
        return node.name.lower() in dialect.unnamed or (node.name == "jsonb_agg" and type(node.parent) is exp.Dot)
    if kind is exp.Dot:
        return str(node.this.name) == "pg_catalog"
    return kind in _LISTED or kind in dialect.functions or kind in dialect.aggregates or kind in EXTRA[dialect.name]
