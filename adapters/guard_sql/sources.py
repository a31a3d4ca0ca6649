"""The sources of a FROM clause: tables of the catalogue, WITH names, derived tables, and joins of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlglot import exp

from guard.catalogue import Public
from guard.errors import Refused
from guard_sql.expressions import Expressions
from guard_sql.notes import Ask, Notes
from guard_sql.refusal import sql_refused
from guard_sql.scope import AMBIGUOUS, PERSON, Field, FieldsOf, From, Scope, about, aliased, derived, quoted
from guard_sql.settled import Query
from guard_sql.world import Table, World, fold

_MAX_USES: Final = 64


class Sources:
    """Settles the FROM clauses of one statement."""

    def __init__(self, notes: Notes, ask: Ask) -> None:
        self._notes: Final = notes
        self._ask: Final = ask

    def of(self, node: exp.Select, scope: Scope) -> None:
        """Settles the FROM clause of a SELECT, and puts its sources into the scope."""
        clause = node.args.get("from_")
        if clause is None:
            return
        clause.set("this", self._one(clause.this, scope))
        asked: list[exp.Expr] = []
        for join in node.args.get("joins") or ():
            before = list(scope.sources)
            join.set("this", self._one(join.this, scope))
            using = join.args.get("using")
            if using:
                join.set("on", self._using(using, before, scope, join.args.get("side") or ""))
                join.set("using", None)
            elif join.args.get("on") is not None:
                asked.append(join)
        for join in asked:
            Expressions(self._notes, self._ask, scope, "expression").settle(
                join.args["on"], "where", merged=False, outer=True
            )

    def _one(self, node: exp.Expr, scope: Scope) -> exp.Expr:
        if len(scope.sources) + len(self._notes.uses) > _MAX_USES:
            raise sql_refused(f"It has more than {_MAX_USES} sources.")
        alias = self._notes.alias()
        given = node.args.get("alias")
        if isinstance(node, exp.Subquery):
            if given is None and not self._notes.sqlite:
                raise sql_refused("A derived table needs an alias.")
            query = self._ask(node.this, scope, "derived", blind=True)
            name = fold(given.this.name) if given is not None and given.this is not None else ""
            made = offered(query, alias, name, (given.args.get("columns") or []) if given else [])
            add(scope, made)
            return derived(query.node, alias)
        if not isinstance(node, exp.Table) or not isinstance(node.this, exp.Identifier):
            raise Refused.own("GUARD-SQL-TABLE", "FROM takes tables of the catalogue, WITH names and derived tables.")
        if given is not None and given.args.get("columns"):
            raise sql_refused("A list of column names behind a table is not built yet.")
        called = fold(given.this.name) if given is not None else fold(node.name)
        schema = node.args.get("db")
        cte = self._notes.ctes.get(fold(node.name)) if schema is None else None
        if cte is not None:
            add(scope, From(alias, called, None, cte.fields, cte.persons))
            return aliased(exp.Table(this=quoted(cte.alias)), alias)
        table = self._notes.world.table(schema.name if schema else None, node.name)
        # PostgreSQL tells a quoted name by its case.
        exact = not self._notes.sqlite and node.this.args.get("quoted")
        if table is None or (exact and node.name != table.name):
            raise Refused.own("GUARD-SQL-TABLE", about_table(node.this, self._notes.world))
        return self.table(table, alias, called, scope, renamed=given is not None)

    def table(self, table: Table, alias: str, called: str, scope: Scope, *, renamed: bool) -> exp.Expr:
        """A table of the catalogue as a source; a personal one is a marker from here on."""
        schema = None if renamed else table.schema
        if isinstance(table.entry, Public):
            self._notes.public.add((table.schema, table.name, ""))
            fields = {folded: Field(name, label=name) for folded, name in table.columns.items()}
            add(scope, From(alias, called, schema, fields, public=table))
            return aliased(exp.Table(this=quoted(table.name), db=quoted(table.schema)), alias)
        use = self._notes.use(table, table.entry)
        add(scope, From(alias, called, schema, FieldsOf(use), use.persons, use))
        return aliased(exp.Table(this=quoted(use.marker)), alias)

    def _using(self, names: Sequence[exp.Expr], before: Sequence[From], scope: Scope, side: str) -> exp.Expr:
        right = scope.sources[-1]
        made: list[exp.Expr] = []
        for name in names:
            folded = fold(name.name)
            there = right.fields.get(folded)
            if folded in scope.merged:
                left = scope.merged[folded]
            else:
                matches = [(source, source.fields[folded]) for source in before if folded in source.fields]
                if len(matches) != 1 or there is None:
                    raise Refused.own("GUARD-SQL-COLUMN", about("The column", name, scope.columns))
                left = self._notes.offered_as(*matches[0])
                self._notes.compares(matches[0][1].origins)
                self._notes.commit((use, one, "filter") for use, one, _ in matches[0][1].reads)
            if there is None or side == "FULL":
                raise sql_refused("USING in a FULL join is not built yet: use ON.")
            other = self._notes.offered_as(right, there)
            self._notes.compares(there.origins)
            self._notes.commit((use, one, "filter") for use, one, _ in there.reads)
            made.append(exp.EQ(this=left.copy(), expression=other))
            scope.merged[folded] = other.copy() if side == "RIGHT" else left.copy()
        whole = made[0]
        for one in made[1:]:
            whole = exp.And(this=whole, expression=one)
        return whole


def offered(query: Query, alias: str, called: str, names: Sequence[exp.Expr]) -> From:
    """A query as a source."""
    if len(names) > len(query.outputs):
        raise sql_refused("A list of column names is longer than the query behind it.")
    fields: dict[str, Field] = {}
    for place, output in enumerate(query.outputs):
        label = names[place].name if place < len(names) else output.name
        name = fold(label)
        if not name:
            continue
        made = Field(f"c{place}", output.reads, output.origins, label)
        # Two columns of one name cannot be told apart: neither can be named.
        fields[name] = made if name not in fields else AMBIGUOUS
    columns = tuple((f"{PERSON}{place}", depth) for place, depth in enumerate(query.persons))
    return From(alias, called, None, fields, columns)


def add(scope: Scope, source: From) -> None:
    """Puts a source into a scope, under a name that no other one has."""
    if source.called and any(
        source.called == other.called and source.schema == other.schema for other in scope.sources
    ):
        raise Refused.own("GUARD-SQL-COLUMN", "Two sources have one name: give each an alias of its own.")
    scope.sources.append(source)


def about_table(name: exp.Expr, world: World) -> str:
    """A sentence about an unknown table."""
    if name.args.get("quoted") or fold(name.name).startswith(world.dialect.reserved):
        return "The table is not in the catalogue."
    return about("The table", name, world.called(name.name))
