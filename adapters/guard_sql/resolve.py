"""Names to columns: a scope walk of our own over a query, which leaves nothing for the database to guess.

Afterwards every personal table is a marker with an alias of ours, every other table is qualified, every CTE has
a fresh name, every column is qualified and quoted, every output has a name, and aliases and positions in GROUP
BY, HAVING and ORDER BY are replaced by the expressions that they stand for. A name that resolves to nothing is
refused: SQLite would read `"name"` as a text.

Which name wins is the database's own rule: in ORDER BY a term that is a single name is an output first;
anywhere else a column is first, and an alias only where no column has that name (SQLite), or not at all.

The walk also says who stands behind each row (`persons`), which fields are used and how, and whether an
expression that can fail over a value stands where the planner could run it before a template's own conditions
(`fenced`).
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import Final

from sqlglot import exp

from guard_sql import persons
from guard_sql.notes import Notes
from guard_sql.queries import Queries
from guard_sql.refusal import sql_refused
from guard_sql.scope import quoted
from guard_sql.settled import Resolved
from guard_sql.text import Reading
from guard_sql.world import OWN, World, fold

_LIMITED: Final = frozenset({exp.Limit, exp.Offset, exp.Like})
_NONE: Final[frozenset[str]] = frozenset()


def resolve(reading: Reading, world: World, kinds: AbstractSet[type[exp.Expr]]) -> Resolved:
    """Settles every name of a checked query, whose tree it changes, or refuses it. `kinds`: what it consists of."""
    notes = Notes(world, kinds)
    queries = Queries(notes)
    tree = reading.tree
    whole, patterns = _limits(tree) if kinds & _LIMITED else (_NONE, _NONE)
    found_with = tree.args.get("with_")
    made_with = queries.defined(found_with) if found_with is not None else None
    tree.set("with_", None)
    query = queries.settled(tree, None, "outermost", labels=reading.labels)
    node = query.node
    if not isinstance(node, exp.Select):
        raise sql_refused("It cannot be read.")
    depths = list(query.persons)
    for output in query.outputs:
        notes.commit(output.reads)
    if notes.whole_result:
        aliases = (notes.alias(), notes.alias())
        node = persons.beside_first(node, len(query.outputs), depths, notes.whole_result, aliases)
        depths += [depth for _, depth in notes.whole_result]
    if made_with is not None:
        node.set("with_", made_with)
    for output, expression in zip(query.outputs, node.expressions, strict=False):
        if fold(output.name).startswith(OWN):
            raise sql_refused("Names that begin with guard_ are the guard's own.")
        expression.set("alias", quoted(output.name))
    if not notes.sqlite:
        node.set("expressions", [_shortest(one) for one in node.expressions])
    return Resolved(
        tree=node,
        outputs=tuple(query.outputs),
        persons=tuple(depths),
        uses=tuple(notes.uses),
        roles=notes.roles,
        inside=frozenset(notes.inside),
        grouped=notes.grouped,
        fenced=notes.fenced,
        public=frozenset(notes.public),
        ctes=frozenset(notes.cte_names),
        whole=whole,
        patterns=patterns,
    )


def _shortest(output: exp.Expr) -> exp.Expr:
    """An output without an alias that its column has as its name anyway; SQLite promises no name without one."""
    one: exp.Expr = output.this
    return one if type(one) is exp.Column and one.name == output.alias else output


def _limits(tree: exp.Expr) -> tuple[frozenset[str], frozenset[str]]:
    """The parameters that have to be whole numbers, and those that are the pattern of a LIKE."""
    whole: set[str] = set()
    patterns: set[str] = set()
    for node in tree.find_all(*_LIMITED):
        names = {part.name for part in node.expression.find_all(exp.Placeholder)}
        if isinstance(node, exp.Like):
            patterns |= names
        else:
            whole |= names
    return frozenset(whole), frozenset(patterns)
