"""What the engine's own parser must report of a guarded statement: a second list, made by another parser.

SQLite tells an authorizer, while it prepares a statement, every column it will read, every function it
will call, every schema object it will touch. A `Witness` says yes to what the plan named and no to
everything else, so that a text that SQLite reads in another way than sqlglot never runs. It sees columns,
not which row filter stands before them: it is a second check, never the only one.

A connection keeps one authorizer, since setting one makes SQLite prepare its cached statements anew::

    connection.set_authorizer(lambda *report: current(*report))
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from typing import Final, TypeAlias

from guard_sql.world import fold

Write: TypeAlias = tuple[int, str, str, str]
"""What SQLite reports of a write: the action, schema, table, and the column that an UPDATE sets."""

_OK: Final = 0
_DENY: Final = 1
_DELETE: Final = 9
_INSERT: Final = 18
_READ: Final = 20
_SELECT: Final = 21
_UPDATE: Final = 23
_FUNCTION: Final = 31

_WRITING: Final = frozenset({_DELETE, _INSERT, _UPDATE})

FUNCTIONS: Final = frozenset(
    {"avg", "char", "coalesce", "count", "glob", "instr", "json_group_array", "length", "like", "lower", "ltrim"}
    | {"max", "min", "nullif", "round", "rtrim", "substr", "substring", "sum", "total", "trim", "typeof", "upper"}
    | {"row_number", "rank", "dense_rank", "percent_rank", "cume_dist", "first_value", "last_value", "lag", "lead"}
)
"""What SQLite calls the functions that statements may use and templates do. CASE, CAST and operators are none."""


def writing(kind: str, schema: str, table: str, columns: Iterable[str] = ()) -> frozenset[Write]:
    """What SQLite reports of an `insert`, of an `update` of these columns, or of a `delete`."""
    place = (fold(schema), fold(table))
    match kind:
        case "insert":
            return frozenset({(_INSERT, *place, "")})
        case "delete":
            return frozenset({(_DELETE, *place, "")})
        case _:
            return frozenset((_UPDATE, *place, fold(column)) for column in columns)


class Witness:
    """An authorizer for one guarded statement (`sqlite3.Connection.set_authorizer`).

    `reads` are (schema, table, column), `writes` what `writing` says of a statement that writes.
    """

    __slots__ = ("_ctes", "_reads", "_tables", "_writes")

    def __init__(
        self,
        reads: AbstractSet[tuple[str, str, str]],
        ctes: AbstractSet[str] = frozenset(),
        writes: AbstractSet[Write] = frozenset(),
    ) -> None:
        self._writes: Final = frozenset(writes)
        self._ctes: Final = frozenset(ctes)
        self._reads: Final = frozenset((fold(schema), fold(table), fold(column)) for schema, table, column in reads)
        self._tables: Final = frozenset((schema, table) for schema, table, _ in self._reads)

    def __call__(
        self, action: int, first: str | None, second: str | None, schema: str | None, inner: str | None
    ) -> int:
        """0 where the plan named it, 1 (an error when the statement is prepared) where it did not.

        `inner` names the view, trigger or CTE that the access comes from: a table that has become a view is none
        that the catalogue knows.
        """
        if inner is not None and inner not in self._ctes:
            return _DENY
        if action == _SELECT:
            return _OK
        if action == _FUNCTION:
            return _OK if second is not None and fold(second) in FUNCTIONS else _DENY
        if action == _READ and schema is None and not second:
            # A name of WITH of which no column is read.
            return _OK if first in self._ctes else _DENY
        if action == _READ and first is not None and schema is not None:
            table = (fold(schema), fold(first))
            # count(*) reads a table and no column of it.
            if not second:
                return _OK if table in self._tables else _DENY
            return _OK if (*table, fold(second)) in self._reads else _DENY
        if action in _WRITING and first is not None and schema is not None:
            # Of a cascade SQLite names no origin: it shows as another table, or another action.
            return _OK if (action, fold(schema), fold(first), fold(second or "")) in self._writes else _DENY
        return _DENY
