"""Every argument that sqlglot knows of an allowed node was looked at.

A new version of sqlglot may add an argument that changes what a node means. The check refuses it, since
only listed arguments pass; this test makes somebody look before the pin moves.
"""

from __future__ import annotations

import json
from pathlib import Path

from sqlglot import exp

from guard_sql.dialects import SQLITE
from guard_sql.grammar import NODES

LOOKED_AT = json.loads((Path(__file__).parents[1] / "sql" / "arguments.json").read_text("utf-8"))


def known() -> dict[str, list[str]]:
    """Node type -> the arguments that sqlglot has for it."""
    allowed = {**NODES, **SQLITE.functions, **SQLITE.aggregates}
    return {kind.__name__: sorted(kind.arg_types) for kind in allowed}


def test_no_argument_is_new() -> None:
    assert known() == LOOKED_AT


def test_every_allowed_argument_exists() -> None:
    """A name that sqlglot does not have would be an allowance for a future meaning."""
    for kind, arguments in {**NODES, **SQLITE.functions, **SQLITE.aggregates}.items():
        assert arguments <= set(kind.arg_types), kind


def test_no_node_is_allowed_that_holds_a_query_or_a_name_of_its_own() -> None:
    for kind in {**NODES, **SQLITE.functions, **SQLITE.aggregates}:
        assert kind is exp.Select or not issubclass(kind, exp.Query | exp.DML | exp.DDL | exp.Command | exp.UDTF), kind
