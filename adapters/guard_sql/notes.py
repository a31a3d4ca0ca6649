"""What a walk over a statement notes as it settles names, and the one thing that its parts ask of each other."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from typing import Final, Protocol

from sqlglot import exp

from guard.catalogue import Source
from guard.model import Role
from guard_sql.grammar import MAX_NODES, TOO_LARGE
from guard_sql.persons import Export
from guard_sql.refusal import sql_refused
from guard_sql.scope import STRENGTH, Field, From, Read, Scope, Use, column
from guard_sql.settled import Place, Query
from guard_sql.world import Table, World


class Ask(Protocol):
    """Settles a query that stands in another one. `blind`: it does not see the sources beside it."""

    def __call__(
        self,
        node: exp.Expr,
        parent: Scope | None,
        place: Place,
        *,
        blind: bool = False,
        labels: tuple[str, ...] = (),
    ) -> Query:
        """The settled query; `Refused` where a name of it is not."""
        raise NotImplementedError


class Notes:
    """What is known of one statement so far."""

    def __init__(self, world: World, kinds: AbstractSet[type[exp.Expr]]) -> None:
        self.world: Final = world
        self.kinds: Final = kinds
        """The types of nodes that the statement consists of, as it was written."""
        self.dialect: Final = world.dialect
        self.sqlite: Final = world.dialect.name == "sqlite"
        self.ctes: dict[str, From] = {}
        """What WITH defines: folded name -> the source that it is."""
        self.cte_names: set[str] = set()
        """Their fresh names."""
        self.uses: list[Use] = []
        self.roles: dict[tuple[str, str], Role] = {}
        self.inside: set[tuple[str, str]] = set()
        self.public: set[tuple[str, str, str]] = set()
        self.fenced = False
        self.grouped = False
        self.whole_result: list[Export] = []
        """The persons behind the result as a whole."""
        self._aliases = 0
        self._copied = 0

    def commit(self, reads: Iterable[Read]) -> None:
        """Notes that fields are used, and how."""
        for use, name, role in reads:
            key = (use.table.source, name)
            known = self.roles.get(key)
            if known is None or STRENGTH.index(role) > STRENGTH.index(known):
                self.roles[key] = role

    def compares(self, origins: Iterable[tuple[Use, str]]) -> None:
        """Notes fields whose values decide something, and are not shown alone."""
        self.inside |= {(use.table.source, name) for use, name in origins}

    def alias(self) -> str:
        """An alias that nothing else in the statement has."""
        self._aliases += 1
        return f"t{self._aliases - 1}"

    def use(self, table: Table, entry: Source) -> Use:
        """Another occurrence of a personal table."""
        use = Use(len(self.uses), table, entry)
        self.uses.append(use)
        return use

    def offered_as(self, source: From, what: Field) -> exp.Column:
        """The column in guarded text; the text of a table's template names it from here on."""
        if source.use is not None:
            source.use.named.add(what.name)
        if source.public is not None:
            self.public.add((source.public.schema, source.public.name, what.name))
        return column(source.alias, what.name)

    def once(self, behind: list[Export], *, correlated: bool) -> None:
        """Persons that stand behind the whole result: they are named beside its first row."""
        if correlated and behind:
            raise sql_refused("A window, EXCEPT or INTERSECT depends on a row of another query: use a join.")
        self.whole_result += self.bounded(behind)

    def bounded(self, copies: list[Export]) -> list[Export]:
        """Parts of the statement that are written once more: how much that may be in all is bounded."""
        self.copied(sum(1 for one, _ in copies for _ in one.walk()))
        return copies

    def copied(self, nodes: int) -> None:
        """Notes that so many nodes are written once more, and refuses what is too much in all."""
        self._copied += nodes
        if self._copied > MAX_NODES:
            raise sql_refused(TOO_LARGE)
