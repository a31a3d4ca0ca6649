"""What the engine's own parser must report of a guarded statement: a second list, made by another parser.

SQLite tells an authorizer, while it prepares a statement, every column it will read, every function it
will call, every schema object it will touch. A `Witness` says yes to what the plan named and no to
everything else, so that a text that SQLite reads in another way than sqlglot never runs. It sees columns,
not which row filter stands before them: it is a second check, never the only one.

A connection keeps one authorizer, since setting one makes SQLite prepare its cached statements anew::

    connection.set_authorizer(lambda *report: current(*report))
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import Final

from guard_sql.world import fold

_OK: Final = 0
_DENY: Final = 1
_READ: Final = 20
_SELECT: Final = 21
_FUNCTION: Final = 31

FUNCTIONS: Final = frozenset(
    {"avg", "char", "coalesce", "count", "glob", "instr", "json_group_array", "length", "like", "lower", "ltrim"}
    | {"max", "min", "nullif", "round", "rtrim", "substr", "substring", "sum", "total", "trim", "typeof", "upper"}
)
"""What SQLite calls the functions that statements may use and templates do. CASE, CAST and operators are none."""


class Witness:
    """An authorizer for one guarded statement (`sqlite3.Connection.set_authorizer`)."""

    __slots__ = ("_reads", "_tables")

    def __init__(self, reads: AbstractSet[tuple[str, str, str]]) -> None:
        self._reads: Final = frozenset((fold(schema), fold(table), fold(column)) for schema, table, column in reads)
        self._tables: Final = frozenset((schema, table) for schema, table, _ in self._reads)

    def __call__(
        self, action: int, first: str | None, second: str | None, schema: str | None, inner: str | None
    ) -> int:
        """0 where the plan named it, 1 (an error when the statement is prepared) where it did not.

        `inner` names the view or trigger that the access comes from: a table that has become a view is none
        that the catalogue knows.
        """
        if inner is not None:
            return _DENY
        if action == _SELECT:
            return _OK
        if action == _FUNCTION:
            return _OK if second in FUNCTIONS else _DENY
        if action == _READ and first is not None and schema is not None:
            table = (fold(schema), fold(first))
            # count(*) reads a table and no column of it.
            if not second:
                return _OK if table in self._tables else _DENY
            return _OK if (*table, fold(second)) in self._reads else _DENY
        return _DENY
