"""The select list: its parts, what a star stands for, and the name that each has as the database gives it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlglot import exp

from guard.errors import Refused
from guard_sql.expressions import Expressions
from guard_sql.notes import Notes
from guard_sql.refusal import sql_refused
from guard_sql.scope import AMBIGUOUS, From, Scope, bare
from guard_sql.settled import Output
from guard_sql.world import fold

_MAX_LABEL: Final = 128


def listed(notes: Notes, node: exp.Select, walk: Expressions, labels: tuple[str, ...]) -> list[Output]:
    """The outputs of a SELECT, settled in their places. `labels`: the text of each, for what has no other name."""
    if labels and len(node.expressions) != len(labels):
        raise sql_refused("Its select list cannot be read.")
    made: list[exp.Expr] = []
    outputs: list[Output] = []
    for place, item in enumerate(node.expressions):
        if isinstance(item.this if isinstance(item, exp.Column) else item, exp.Star):
            for output in _star(notes, item, walk.scope):
                outputs.append(output)
                made.append(output.expression)
            continue
        given = item if isinstance(item, exp.Alias) else None
        plain = item.this if given is not None else item
        name = _called(plain, given, labels[place] if labels else None, sqlite=notes.sqlite)
        holder = exp.Paren(this=plain)
        reads, origins = walk.value(holder)
        if given is None and isinstance(holder.this, exp.Column):
            # As the catalogue spells it.
            name = next((one for use, one in origins if fold(one) == fold(name)), name)
        output = Output(name, holder.this, reads, origins)
        outputs.append(output)
        made.append(holder.this)
        if given is not None:
            walk.aliases.setdefault(fold(name), output)
    if not outputs:
        raise sql_refused("It selects nothing.")
    node.set("expressions", made)
    return outputs


def _star(notes: Notes, item: exp.Expr, scope: Scope) -> list[Output]:
    sources: Sequence[From] = scope.sources
    if isinstance(item, exp.Column) and item.args.get("table"):
        schema = item.args.get("db")
        one = scope.source(fold(item.args["table"].name), fold(schema.name) if schema else None)
        if one is None:
            raise Refused.own("GUARD-SQL-COLUMN", "A star is qualified by another name than a table's.")
        sources = [one]
    if not sources:
        raise Refused.own("GUARD-SQL-TABLE", "A star needs a table.")
    whole = sources is scope.sources
    outputs: list[Output] = []
    seen: set[str] = set()
    for source in sources:
        for folded, what in source.fields.items():
            if what is AMBIGUOUS:
                raise Refused.own("GUARD-SQL-COLUMN", "A star over a query with two columns of one name.")
            if whole and folded in scope.merged:
                if folded in seen:
                    continue
                seen.add(folded)
            merged = scope.merged.get(folded) if whole else None
            expression = notes.offered_as(source, what) if merged is None else merged.copy()
            outputs.append(Output(what.label, expression, what.reads, what.origins, star=True))
    return outputs


def _called(node: exp.Expr, alias: exp.Alias | None, label: str | None, *, sqlite: bool) -> str:
    """The name of an output, as the database gives it."""
    if alias is not None:
        return str(alias.args["alias"].name)
    inner = bare(node)
    if isinstance(node, exp.Column) or (isinstance(inner, exp.Column) and not sqlite):
        return str(inner.name)
    if sqlite:
        return label[:_MAX_LABEL] if label is not None else ""
    if label is None and not isinstance(inner, exp.Func | exp.Case | exp.Cast):
        return ""
    if isinstance(inner, exp.Cast):
        return _called(inner.this, None, label, sqlite=False) if isinstance(inner.this, exp.Column) else "?column?"
    if isinstance(inner, exp.Case):
        return "case"
    if isinstance(inner, exp.Window):
        inner = inner.this
    if isinstance(inner, exp.Anonymous):
        return str(inner.name).lower()
    return type(inner).sql_name().lower() if isinstance(inner, exp.Func) else "?column?"
