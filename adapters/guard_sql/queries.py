"""SELECT and WITH: a query with its outputs, and the persons behind each of its rows."""

from __future__ import annotations

from typing import Final

from sqlglot import exp

from guard_sql import around, persons
from guard_sql.expressions import Expressions
from guard_sql.grammar import TOO_LARGE
from guard_sql.grouping import only_groups
from guard_sql.notes import Notes
from guard_sql.outputs import listed
from guard_sql.refusal import sql_refused
from guard_sql.scope import CTE, PERSON, Scope, named, quoted
from guard_sql.sets import Sets
from guard_sql.settled import Output, Place, Query
from guard_sql.sources import Sources, offered
from guard_sql.terms import early, term_settled
from guard_sql.world import fold

_MAX_COLUMNS: Final = 1_000
"""The most columns of one query, those that name persons included: a WITH that joins itself doubles them."""


class Queries:
    """Settles the queries of one statement."""

    def __init__(self, notes: Notes) -> None:
        self._notes: Final = notes
        self._sources: Final = Sources(notes, self.settled)
        self._sets: Final = Sets(notes, self.settled)

    def defined(self, clause: exp.With) -> exp.With:
        """What WITH defines, under fresh names."""
        made: list[exp.Expr] = []
        for cte in clause.expressions:
            alias = cte.args["alias"]
            name = fold(alias.this.name)
            if name in self._notes.ctes:
                raise sql_refused("Two parts of WITH have one name.")
            query = self.settled(cte.this, None, "derived")
            fresh = f"{CTE}{len(self._notes.cte_names)}"
            self._notes.cte_names.add(fresh)
            self._notes.ctes[name] = offered(query, fresh, name, alias.args.get("columns") or [])
            made.append(exp.CTE(this=query.node, alias=exp.TableAlias(this=quoted(fresh))))
        return exp.With(expressions=made)

    def settled(
        self,
        node: exp.Expr,
        parent: Scope | None,
        place: Place,
        *,
        blind: bool = False,
        labels: tuple[str, ...] = (),
    ) -> Query:
        """A query with every name settled; the tree is changed."""
        while isinstance(node, exp.Subquery):
            if node.args.get("alias"):
                raise sql_refused("A query in parentheses has an alias in FROM only.")
            node = node.this
        if node.args.get("with_"):
            raise sql_refused("WITH stands at the beginning of the statement only.")
        if isinstance(node, exp.Select):
            return self._select(node, Scope(parent, blind=blind), place, labels)
        if isinstance(node, exp.SetOperation):
            if place == "expression":
                return self._sets.value(node, parent)
            return self._sets.rows(node, parent, place, blind=blind, labels=labels)
        raise sql_refused("It cannot be read.")

    def _select(self, node: exp.Select, scope: Scope, place: Place, labels: tuple[str, ...]) -> Query:
        self._sources.of(node, scope)
        walk = Expressions(self._notes, self.settled, scope, place)
        outputs = listed(self._notes, node, walk, labels)
        if node.args.get("where"):
            walk.settle(node.args["where"].this, "where")
        group = node.args.get("group")
        for term in group.expressions if group else ():
            term_settled(term, "group", walk, outputs)
        if node.args.get("having"):
            if not group:
                raise sql_refused("HAVING goes with GROUP BY.")
            walk.settle(node.args["having"].this, "having")
        order = node.args.get("order")
        for term in order.expressions if order else ():
            term_settled(term.this, "order", walk, outputs)
        if not self._notes.sqlite and early(node, place):
            self._notes.fenced = True
        grouped = walk.aggregates or group is not None
        expressions = [(item.this if isinstance(item, exp.Alias) else item) for item in node.expressions]
        outputs = [
            Output(one.name, expression, one.reads, one.origins, one.star)
            for one, expression in zip(outputs, expressions, strict=True)
        ]
        if grouped:
            only_groups(node, scope, self._notes.dialect)
        return self._finished(node, scope, place, outputs, grouped=grouped)

    def _finished(self, node: exp.Select, scope: Scope, place: Place, outputs: list[Output], *, grouped: bool) -> Query:
        """The query with its persons."""
        node.set("expressions", [named(one.expression, f"c{place_}") for place_, one in enumerate(outputs)])
        windowed = exp.Window in self._notes.kinds and any(
            window.find_ancestor(exp.Select) is node for window in node.find_all(exp.Window)
        )
        if place == "expression":
            if windowed:
                raise sql_refused("A window stands in no subquery of an expression: use a derived table.")
            behind = self._notes.bounded(persons.behind(node, scope, self._notes.dialect.name))
            return Query(node, outputs, correlated=scope.correlated, behind=behind)
        if windowed:
            self._notes.once(persons.behind(node, scope, self._notes.dialect.name), correlated=scope.correlated)
        exports = persons.of_rows(scope)
        if grouped:
            exports = [(persons.collected(one, self._notes.dialect.name), depth + 1) for one, depth in exports]
        if len(outputs) + len(exports) > _MAX_COLUMNS:
            raise sql_refused(TOO_LARGE)
        distinct = node.args.get("distinct") is not None
        if place == "outermost":
            self._notes.grouped = grouped or distinct
        else:
            self._inner(outputs, distinct=distinct)
        for number, (one, _) in enumerate(exports):
            node.append("expressions", named(one, f"{PERSON}{number}"))
        query = Query(node, outputs, [depth for _, depth in exports], correlated=scope.correlated)
        return around.distinct(self._notes, query) if distinct and exports else query

    def _inner(self, outputs: list[Output], *, distinct: bool) -> None:
        """Notes what is computed of an inner query whoever names its outputs."""
        for output in outputs:
            if distinct or not output.origins:
                # Whoever names it or not: what it is made of is computed, and rows are told apart by it.
                self._notes.commit(output.reads)
            if distinct:
                self._notes.compares(output.origins)
