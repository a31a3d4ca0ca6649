"""Names in expressions: columns, aliases where the database takes them, and subqueries."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from sqlglot import exp

from guard.errors import Refused
from guard.model import Role
from guard_sql.grammar import constant
from guard_sql.grouping import is_aggregate
from guard_sql.notes import Ask, Notes
from guard_sql.refusal import sql_refused
from guard_sql.scope import AMBIGUOUS, Bound, Field, From, Read, Scope, Use, about
from guard_sql.settled import Clause, Output, Place, Query
from guard_sql.world import fold

_AGGREGATE: Final = "An aggregate stands in the select list, HAVING or ORDER BY, and in no other aggregate."
_JOINED: Final = "|| stands in the select list, GROUP BY or ORDER BY of the outermost SELECT only."
_COMPARED: Final[Mapping[type[exp.Expr], str]] = {
    exp.EQ: "=",
    exp.LT: "<",
    exp.LTE: "<=",
    exp.GT: ">",
    exp.GTE: ">=",
}
_TURNED: Final = {"=": "=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}


class Expressions:
    """Settles the expressions of one SELECT."""

    def __init__(self, notes: Notes, ask: Ask, scope: Scope, place: Place) -> None:
        self._notes: Final = notes
        self._ask: Final = ask
        self.scope: Final = scope
        self._place: Final = place
        self.aliases: dict[str, Output] = {}
        """The outputs that the select list names: folded name -> output."""
        self.aggregates = False
        """Whether an aggregate stands in one of them."""
        self._merged = True

    def value(self, holder: exp.Expr) -> tuple[frozenset[Read], frozenset[tuple[Use, str]]]:
        """Settles an output, in its holder's place: what it reads, and of what it is a plain column."""
        origins: set[tuple[Use, str]] = set()
        reads = self._visit(holder.this, "select", aggregate=False, alone=origins)
        if self._place == "expression":
            self._notes.compares(origins)
            return frozenset(reads), frozenset()
        return frozenset(reads), frozenset(origins)

    def settle(self, node: exp.Expr, clause: Clause, *, merged: bool = True, outer: bool = False) -> None:
        """Settles an expression of another clause, and notes what it reads. `outer`: it is the ON of a join."""
        self._merged = merged
        self._notes.commit(self._visit(node, clause, aggregate=False))
        if clause == "where" and not outer:
            self._bounds(node)
        self._merged = True

    def _visit(
        self, node: exp.Expr, clause: Clause, *, aggregate: bool, alone: set[tuple[Use, str]] | None = None
    ) -> set[Read]:
        """Settles the names below a node; gives what they read."""
        if isinstance(node, exp.Column):
            return self._column(node, clause, aggregate=aggregate, alone=alone)
        if isinstance(node, exp.Subquery | exp.Exists):
            return self._nested(node, node.this, clause, aggregate=aggregate)
        if isinstance(node, exp.Window):
            return self._window(node, clause)
        self._allowed(node, clause)
        summarises = self._is_aggregate(node)
        if summarises:
            if aggregate or clause in ("where", "group"):
                raise sql_refused(_AGGREGATE)
            self.aggregates = aggregate = True
        reads: set[Read] = set()
        for child in list(node.iter_expressions()):
            reads |= self._visit(child, clause, aggregate=aggregate)
        if summarises:
            # An aggregate of another query's columns alone is that query's aggregate, wherever it stands.
            of = [part.table for part in node.find_all(exp.Column)]
            if of and self.scope.aliases.isdisjoint(of):
                raise sql_refused("An aggregate summarises columns of its own query.")
        return reads

    def _allowed(self, node: exp.Expr, clause: Clause) -> None:
        """Refuses a node for what it says or for where it stands."""
        if isinstance(node, exp.Literal) and node.is_string and '"guard_' in node.name:
            raise sql_refused("A text holds a name of the guard's own: pass it as a parameter.")
        inner = clause in ("where", "having") or self._place != "outermost"
        if inner and self._notes.sqlite and isinstance(node, exp.DPipe):
            # Joined text can outgrow the longest string, also of constants that stand behind a condition on a
            # column; the error would tell a hidden value. The planner moves conditions and inner expressions.
            raise sql_refused(_JOINED)

    def _window(self, node: exp.Window, clause: Clause) -> set[Read]:
        if clause not in ("select", "order"):
            raise sql_refused("A window stands in the select list or ORDER BY.")
        reads: set[Read] = set()
        for child in list(node.this.iter_expressions()):
            reads |= self._visit(child, clause, aggregate=False)
        for name in ("partition_by", "order"):
            found = node.args.get(name)
            for part in found if isinstance(found, list) else found.expressions if found else ():
                reads |= self._visit(part, clause, aggregate=False)
        return reads

    def _is_aggregate(self, node: exp.Expr) -> bool:
        return is_aggregate(node, self._notes.dialect)

    def _nested(self, holder: exp.Expr, query: exp.Expr, clause: Clause, *, aggregate: bool) -> set[Read]:
        """Settles a subquery of an expression."""
        notes = self._notes
        exists = isinstance(holder, exp.Exists)
        plain = ("group", "having", "distinct", "limit", "offset")
        simple = exists and isinstance(query, exp.Select) and not any(query.args.get(part) for part in plain)
        if simple and not any(self._is_aggregate(part) for one in query.expressions for part in one.walk()):
            # Only whether there is a row counts: nothing is selected, unless it is an aggregate, which always has one.
            query.set("expressions", [exp.Literal(this="1", is_string=False)])
            query.set("order", None)
        made = self._ask(query, self.scope, "expression")
        if not exists and len(made.outputs) != 1:
            raise sql_refused("A subquery in an expression has one column.")
        holder.set("this", made.node)
        if made.correlated:
            self.scope.nested += made.behind
        else:
            notes.whole_result += made.behind
        role: Role = "aggregate" if aggregate else "read" if clause == "select" else "filter"
        return {
            (use, name, inner if role == "read" else role) for one in made.outputs for use, name, inner in one.reads
        }

    def _column(
        self, node: exp.Column, clause: Clause, *, aggregate: bool, alone: set[tuple[Use, str]] | None
    ) -> set[Read]:
        notes = self._notes
        if not isinstance(node.this, exp.Identifier):
            raise sql_refused("A column has a name.")
        found = self._found(node)
        if found is None:
            meant = self._alias_of(node, clause)
            if meant is not None:
                if aggregate and any(self._is_aggregate(part) for part in meant.expression.walk()):
                    raise sql_refused(_AGGREGATE)
                self.stand_in(node, meant, clause)
                return set()
            found = self._outer(node)
        if found is None:
            raise _unknown(node, self.scope.columns)
        if isinstance(found, exp.Expr):
            made, what = found.copy(), self._of_merged(found)
        else:
            made, what = notes.offered_as(*found), found[1]
        if what is AMBIGUOUS:
            raise Refused.own("GUARD-SQL-COLUMN", "A column is there twice: give each an alias of its own.")
        node.replace(made)
        if alone is None:
            notes.compares(what.origins)
        else:
            alone |= what.origins
        role: Role = "aggregate" if aggregate else "read" if clause == "select" else "filter"
        return {(use, name, inner if role == "read" else role) for use, name, inner in what.reads}

    def _alias_of(self, node: exp.Column, clause: Clause) -> Output | None:
        """The output that a name means where no column has it: SQLite's own rule."""
        if not self._notes.sqlite or node.args.get("table") or clause == "select":
            return None
        return self.aliases.get(fold(node.name))

    def _found(self, node: exp.Column) -> tuple[From, Field] | exp.Expr | None:
        if self._merged or node.args.get("table") is not None:
            return self.scope.find(node)
        merged, self.scope.merged = self.scope.merged, {}
        try:
            return self.scope.find(node)
        except Refused:
            self.scope.merged = merged
            return self.scope.find(node)
        finally:
            self.scope.merged = merged

    def _of_merged(self, found: exp.Expr) -> Field:
        for source in self.scope.sources:
            if isinstance(found, exp.Column) and source.alias == found.table:
                return next(one for one in source.fields.values() if one.name == found.name)
        raise sql_refused("It cannot be read.")

    def _outer(self, node: exp.Column) -> tuple[From, Field] | exp.Expr | None:
        """The column of a scope around this one."""
        crossed = [self.scope]
        around = self.scope
        while around.parent is not None:
            blind, around = around.blind, around.parent
            found = None if blind else around.find(node)
            if found is not None:
                for scope in crossed:
                    scope.correlated = True
                if isinstance(found, exp.Expr):
                    raise sql_refused("Write the table before a column that USING made one.")
                return found
            crossed.append(around)
        return None

    def stand_in(self, node: exp.Expr, meant: Output, clause: Clause) -> exp.Expr:
        """Puts a copy of an output's expression in the place of its name or position."""
        notes = self._notes
        copy = meant.expression.copy()
        nodes = list(copy.walk())
        notes.copied(len(nodes))
        made: exp.Expr = copy if isinstance(copy, exp.Column | exp.Subquery) else exp.Paren(this=copy)
        node.replace(made)
        notes.commit((use, name, "filter") for use, name, _ in meant.reads)
        notes.compares(meant.origins)
        if any(isinstance(part, exp.Subquery | exp.Exists) for part in nodes) and clause != "order":
            raise sql_refused("A subquery of the select list is repeated: write it again where it is used.")
        if clause in ("where", "group") and any(self._is_aggregate(part) for part in nodes):
            raise sql_refused(_AGGREGATE)
        if clause in ("where", "having", "group") and any(isinstance(part, exp.Window) for part in nodes):
            raise sql_refused("A window stands in the select list or ORDER BY.")
        if notes.sqlite and clause in ("where", "having") and copy.find(exp.DPipe) is not None:
            raise sql_refused(_JOINED)
        return made

    def _bounds(self, root: exp.Expr) -> None:
        """Notes the comparisons with constants that every row has to fulfil."""
        stack = [root]
        while stack:
            node = stack.pop()
            while isinstance(node, exp.Paren):
                node = node.this
            if isinstance(node, exp.And):
                stack += [node.this, node.expression]
                continue
            operator = _COMPARED.get(type(node))
            if operator is not None:
                self._bound(node.this, operator, node.expression)
                self._bound(node.expression, _TURNED[operator], node.this)
            elif isinstance(node, exp.Between):
                self._bound(node.this, ">=", node.args["low"])
                self._bound(node.this, "<=", node.args["high"])

    def _bound(self, of: exp.Expr, operator: str, by: exp.Expr) -> None:
        if not isinstance(of, exp.Column) or not constant(by):
            return
        for source in self.scope.sources:
            if source.use is not None and source.alias == of.table:
                source.use.bounds.append(Bound(of.name, operator, by))


class WriteScope:
    """The expressions of a write, over the one table that it writes."""

    def __init__(self, notes: Notes, source: From) -> None:
        scope = Scope()
        scope.sources.append(source)
        self._expressions: Final = Expressions(notes, _no_query, scope, "expression")

    def settle(self, node: exp.Expr) -> None:
        """Settles the names of an expression, in its holder's place."""
        self._expressions.settle(node, "where", outer=True)


def _no_query(*_asked: object, **_how: object) -> Query:
    raise sql_refused("A write has no subquery: read first, then write.")


def _unknown(node: exp.Column, known: Collection[str]) -> Refused:
    if node.args.get("table"):
        return Refused.own("GUARD-SQL-COLUMN", "A column is qualified by a name that no source has here.")
    return Refused.own("GUARD-SQL-COLUMN", about("The column", node.this, known))
