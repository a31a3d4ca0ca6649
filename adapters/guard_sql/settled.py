"""A query with every name settled: its outputs, the persons behind its rows, and what the statement does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

from msgspec import Struct, field
from sqlglot import exp

from guard.model import Role
from guard_sql.persons import Export
from guard_sql.scope import Read, Use

Clause: TypeAlias = Literal["select", "where", "group", "having", "order"]
Place: TypeAlias = Literal["outermost", "derived", "expression"]
"""Where a query stands: it is the statement, a source of a FROM clause (or a CTE, or a part of a set operation),
or a value or a set in an expression."""


class Output(Struct, frozen=True, eq=False):
    """A part of a select list. `star`: it comes from `*`. `origins` are set where it is a column and nothing else."""

    name: str
    expression: exp.Expr
    reads: frozenset[Read]
    origins: frozenset[tuple[Use, str]] = frozenset()
    star: bool = False


class Query(Struct, eq=False):
    """A settled query: its outputs are `c0`, `c1`, …, then `guard_person_0`, … of these depths."""

    node: exp.Expr
    outputs: list[Output]
    persons: list[int] = field(default_factory=list)
    correlated: bool = False
    behind: list[Export] = field(default_factory=list)
    """For a query in an expression: everybody whose rows it looks at."""


class Resolved(Struct, frozen=True, eq=False):
    """A statement in which every name is settled."""

    tree: exp.Select
    outputs: tuple[Output, ...]
    persons: tuple[int, ...]
    uses: tuple[Use, ...]
    roles: Mapping[tuple[str, str], Role]
    """(source, field) -> the strongest use of it: read (shown) > aggregate (in a summary) > filter."""
    inside: frozenset[tuple[str, str]]
    """Fields that are used anywhere but as an output of their own."""
    grouped: bool
    """Whether a row of the result stands for several rows of the sources."""
    fenced: bool
    public: frozenset[tuple[str, str, str]]
    """What it reads of public tables: (schema, table, column), the column '' for the table itself."""
    ctes: frozenset[str]
    whole: frozenset[str]
    """Parameters that have to be whole numbers."""
    patterns: frozenset[str]
    """Parameters that are the pattern of a LIKE."""
