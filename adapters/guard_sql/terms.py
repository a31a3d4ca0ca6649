"""GROUP BY and ORDER BY: positions, names of outputs and expressions; and what may run before a filter."""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from guard_sql.expressions import Expressions
from guard_sql.fallible import fallible
from guard_sql.refusal import sql_refused
from guard_sql.settled import Clause, Output, Place
from guard_sql.world import fold


def term_settled(term: exp.Expr, clause: Clause, walk: Expressions, outputs: Sequence[Output]) -> None:
    """A term of GROUP BY or ORDER BY: a position, an output's name, or an expression."""
    meant = _meant(term, clause, walk, outputs)
    if meant is None:
        holder = exp.Paren(this=exp.Null())
        term.replace(holder)
        holder.set("this", term)
        walk.settle(holder.this, clause)
        made = holder.this
        holder.replace(made)
    else:
        made = walk.stand_in(term, meant, clause)
    bare = made
    while isinstance(bare, exp.Paren | exp.Neg | exp.Cast):
        bare = bare.this
    if isinstance(bare, exp.Literal | exp.Null):
        # A number is read as a position here, in SQLite also behind a sign or in parentheses; PostgreSQL takes
        # no other constant.
        raise sql_refused("A constant is no order: name a column or a position of the select list.")


def _meant(term: exp.Expr, clause: Clause, walk: Expressions, outputs: Sequence[Output]) -> Output | None:
    if isinstance(term, exp.Literal) and not term.is_string and term.name.isdigit():
        place = int(term.name)
        if not 1 <= place <= len(outputs) or any(output.star for output in outputs):
            raise sql_refused(
                "A position in GROUP BY or ORDER BY needs a select list without a star, and its place in it."
            )
        return outputs[place - 1]
    if isinstance(term, exp.Column) and not term.args.get("table"):
        known = walk.aliases.get(fold(term.name))
        if clause == "order":
            return known
        if clause == "group" and known is not None and walk.scope.find(term) is None:
            return known
    return None


def early(node: exp.Select, place: Place) -> bool:
    """Whether something that can fail over a value stands where it could run before a template's filter.

    The planner moves expressions down into the tables; only those of the outermost select list, GROUP BY and
    ORDER BY run when the rows are chosen.
    """
    roots = [node.args[part].this for part in ("where", "having") if node.args.get(part)]
    roots += [join.args["on"] for join in node.args.get("joins") or () if join.args.get("on") is not None]
    if place != "outermost":
        roots += node.expressions
        for part in ("group", "order"):
            if node.args.get(part):
                roots += node.args[part].expressions
    return any(fallible(root) for root in roots)
