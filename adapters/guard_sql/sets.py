"""UNION, INTERSECT and EXCEPT."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from sqlglot import exp

from guard_sql import persons
from guard_sql.around import around, taken
from guard_sql.notes import Ask, Notes
from guard_sql.refusal import sql_refused
from guard_sql.scope import PERSON, Scope, column, named
from guard_sql.settled import Output, Place, Query
from guard_sql.world import fold


class Sets:
    """Settles the set operations of one statement."""

    def __init__(self, notes: Notes, ask: Ask) -> None:
        self._notes: Final = notes
        self._ask: Final = ask

    def rows(
        self, node: exp.SetOperation, parent: Scope | None, place: Place, *, blind: bool, labels: tuple[str, ...]
    ) -> Query:
        """UNION, INTERSECT or EXCEPT whose rows are rows of a result or of a source."""
        clauses = taken(node)
        left = self._branch(node.this, parent, blind=blind, labels=labels)
        right = self._branch(node.expression, parent, blind=blind, labels=())
        if len(left.outputs) != len(right.outputs):
            raise sql_refused("The parts of a set operation have one number of columns.")
        every = not node.args.get("distinct")
        union = isinstance(node, exp.Union)
        if place == "outermost":
            self._notes.grouped = self._notes.grouped or not (union and every)
        outputs: list[Output] = []
        for number, (one, other) in enumerate(zip(left.outputs, right.outputs, strict=True)):
            origins = one.origins | other.origins
            if not (union and every) and place != "outermost":
                self._notes.commit(one.reads | other.reads)
            if not (union and every):
                # Values are compared here, whoever sees them: one that may not be seen may not decide.
                self._notes.compares(origins)
            outputs.append(Output(one.name, column("", f"c{number}"), one.reads | other.reads, origins))
        correlated = left.correlated or right.correlated
        depths: list[int] = []
        personal = bool(left.persons or right.persons)
        if union:
            depths = _level(left, right)
        elif personal:
            for part in (left, right):
                self._notes.once(
                    persons.of_query(part.node, part.persons, self._notes.alias(), self._notes.dialect.name),
                    correlated=correlated,
                )
                part.node.set("expressions", part.node.expressions[: len(part.outputs)])
        both = type(node)(
            this=left.node, expression=right.node, distinct=node.args.get("distinct") and not (union and personal)
        )
        self._ordered(clauses, outputs)
        query = Query(both, outputs, depths, correlated=correlated)
        return around(self._notes, query, grouped=union and personal and not every, clauses=clauses)

    def _branch(self, node: exp.Expr, parent: Scope | None, *, blind: bool, labels: tuple[str, ...]) -> Query:
        query = self._ask(node, parent, "derived", blind=blind, labels=labels)
        if any(query.node.args.get(part) is not None for part in ("order", "limit", "offset")):
            return around(self._notes, query, grouped=False, clauses={})
        return query

    def _ordered(self, clauses: Mapping[str, exp.Expr], outputs: Sequence[Output]) -> None:
        """ORDER BY behind a set operation names an output or its position."""
        order = clauses.get("order")
        for term in order.expressions if order is not None else ():
            asked = term.this
            places = [
                place
                for place, output in enumerate(outputs)
                if isinstance(asked, exp.Column)
                and not asked.args.get("table")
                and fold(output.name) == fold(asked.name)
            ]
            if isinstance(asked, exp.Literal) and asked.name.isdigit() and 1 <= int(asked.name) <= len(outputs):
                places = [int(asked.name) - 1]
            if len(places) != 1:
                raise sql_refused("A set operation is ordered by a column of its result: by its name or position.")
            term.set("this", outputs[places[0]].expression.copy())
            self._notes.commit((use, name, "filter") for use, name, _ in outputs[places[0]].reads)
            self._notes.compares(outputs[places[0]].origins)

    def value(self, node: exp.SetOperation, parent: Scope | None) -> Query:
        """A set operation that is a value or a set in an expression."""
        if any(node.args.get(part) for part in ("order", "limit", "offset")):
            raise sql_refused("A set operation in an expression has no ORDER BY and no LIMIT: use a derived table.")
        parts = [self._ask(one, parent, "expression") for one in (node.this, node.expression)]
        if len(parts[0].outputs) != len(parts[1].outputs):
            raise sql_refused("The parts of a set operation have one number of columns.")
        for part in parts:
            if any(part.node.args.get(name) is not None for name in ("order", "limit", "offset")):
                raise sql_refused("A part of a set operation in an expression has no ORDER BY and no LIMIT.")
        made = type(node)(this=parts[0].node, expression=parts[1].node, distinct=node.args.get("distinct"))
        outputs = [
            Output("", one.expression, one.reads | other.reads, one.origins | other.origins)
            for one, other in zip(parts[0].outputs, parts[1].outputs, strict=True)
        ]
        return Query(
            made,
            outputs,
            correlated=any(part.correlated for part in parts),
            behind=[one for part in parts for one in part.behind],
        )


def _level(left: Query, right: Query) -> list[int]:
    """Gives both parts the same hidden columns; gives their depths."""
    every: list[int] = []
    for depth in sorted({*left.persons, *right.persons}):
        every += [depth] * max(left.persons.count(depth), right.persons.count(depth))
    for query in (left, right):
        outputs = query.node.expressions
        free = [(depth, outputs[len(query.outputs) + place].this) for place, depth in enumerate(query.persons)]
        listed: list[exp.Expr] = outputs[: len(query.outputs)]
        for place, depth in enumerate(every):
            found = next((one for one in free if one[0] == depth), None)
            if found is not None:
                free.remove(found)
            listed.append(named(found[1] if found else _nobody(), f"{PERSON}{place}"))
        query.node.set("expressions", listed)
    return every


def _nobody() -> exp.Expr:
    return exp.Cast(this=exp.Null(), to=exp.DataType(this=exp.DType.TEXT, nested=False))
