"""Every argument that sqlglot knows of an allowed node was looked at.

A new version of sqlglot may add an argument that changes what a node means. The check refuses it, since
only listed arguments pass; this test makes somebody look before the pin moves.
"""

from __future__ import annotations

import json
from pathlib import Path

from sqlglot import exp

from guard_sql.dialects import POSTGRES, SQLITE
from guard_sql.grammar import EXTRA, NODES, RANKING

LOOKED_AT = json.loads((Path(__file__).parents[1] / "sql" / "arguments.json").read_text("utf-8"))


LISTED = {
    **NODES,
    **RANKING,
    **EXTRA["postgres"],
    **SQLITE.functions,
    **SQLITE.aggregates,
    **POSTGRES.functions,
    **POSTGRES.aggregates,
}
STATEMENTS = {exp.Select, exp.Union, exp.Intersect, exp.Except, exp.Insert, exp.Update, exp.Delete}
PARTS = {exp.Subquery, exp.Table, exp.Values}


def known() -> dict[str, list[str]]:
    """Node type -> the arguments that sqlglot has for it."""
    return {kind.__name__: sorted(kind.arg_types) for kind in LISTED}


def test_no_argument_is_new() -> None:
    assert known() == LOOKED_AT


def test_every_allowed_argument_exists() -> None:
    """A name that sqlglot does not have would be an allowance for a future meaning."""
    for kind, arguments in LISTED.items():
        assert arguments <= set(kind.arg_types), kind


def test_no_node_is_allowed_that_holds_a_query_or_a_name_of_its_own() -> None:
    for kind in LISTED:
        holds = issubclass(kind, exp.Query | exp.DML | exp.DDL | exp.Command | exp.UDTF)
        assert kind in STATEMENTS | PARTS or not holds, kind
