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

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from sqlglot import exp

from guard.catalogue import Public, Source
from guard.errors import Refused
from guard.model import Role
from guard_sql import persons
from guard_sql.fallible import fallible
from guard_sql.grammar import MAX_NODES, TOO_LARGE, constant
from guard_sql.persons import Export
from guard_sql.refusal import sql_refused
from guard_sql.scope import (
    CTE,
    PERSON,
    STRENGTH,
    Bound,
    Field,
    From,
    Read,
    Scope,
    Use,
    about,
    aliased,
    column,
    derived,
    named,
    quoted,
    select,
)
from guard_sql.text import Reading
from guard_sql.world import OWN, Table, World, fold

Clause: TypeAlias = Literal["select", "where", "group", "having", "order"]
Place: TypeAlias = Literal["outermost", "derived", "expression"]
"""Where a query stands: it is the statement, a source of a FROM clause (or a CTE, or a part of a set operation),
or a value or a set in an expression."""

_MAX_LABEL: Final = 128
_MAX_USES: Final = 64
_MAX_COLUMNS: Final = 1_000
"""The most columns of one query, those that name persons included: a WITH that joins itself doubles them."""
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


@dataclass(frozen=True, eq=False)
class Output:
    """A part of a select list. `star`: it comes from `*`. `origins` are set where it is a column and nothing else."""

    name: str
    expression: exp.Expr
    reads: frozenset[Read]
    origins: frozenset[tuple[Use, str]] = frozenset()
    star: bool = False


@dataclass(eq=False)
class Query:
    """A settled query: its outputs are `c0`, `c1`, …, then `guard_person_0`, … of these depths."""

    node: exp.Expr
    outputs: list[Output]
    persons: list[int] = field(default_factory=list)
    correlated: bool = False
    behind: list[Export] = field(default_factory=list)
    """For a query in an expression: everybody whose rows it looks at."""


@dataclass(frozen=True, eq=False)
class Resolved:
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


def resolve(reading: Reading, world: World) -> Resolved:
    """Settles every name of a checked query, whose tree it changes, or refuses it."""
    return Resolver(reading.tree, reading.labels, world).resolved()


class Resolver:
    """Settles the names of one statement."""

    def __init__(self, tree: exp.Expr, labels: tuple[str, ...], world: World) -> None:
        self._tree = tree
        self._labels = labels
        self._world = world
        self.dialect = world.dialect
        self.sqlite = world.dialect.name == "sqlite"
        self._aliases = 0
        self._ctes: dict[str, From] = {}
        self._cte_names: set[str] = set()
        self.uses: list[Use] = []
        self.roles: dict[tuple[str, str], Role] = {}
        self.inside: set[tuple[str, str]] = set()
        self.public: set[tuple[str, str, str]] = set()
        self.fenced = False
        self.whole_result: list[Export] = []
        self._grouped = False
        self.copied = 0

    def resolved(self) -> Resolved:
        """The settled statement."""
        tree = self._tree
        found_with = tree.args.get("with_")
        made_with = self._with(found_with) if found_with is not None else None
        tree.set("with_", None)
        whole = {
            part.name
            for clause in tree.find_all(exp.Limit, exp.Offset)
            for part in clause.expression.find_all(exp.Placeholder)
        }
        patterns = {part.name for like in tree.find_all(exp.Like) for part in like.expression.find_all(exp.Placeholder)}
        if made_with is not None:
            for clause in made_with.find_all(exp.Limit, exp.Offset):
                whole |= {part.name for part in clause.expression.find_all(exp.Placeholder)}
            for like in made_with.find_all(exp.Like):
                patterns |= {part.name for part in like.expression.find_all(exp.Placeholder)}
        query = self.query(tree, None, "outermost", labels=self._labels)
        node = query.node
        if not isinstance(node, exp.Select):
            raise sql_refused("It cannot be read.")
        depths = list(query.persons)
        for output in query.outputs:
            self.commit(output.reads)
        if self.whole_result:
            aliases = (self._alias(), self._alias())
            node = persons.beside_first(node, len(query.outputs), depths, self.whole_result, aliases)
            depths += [depth for _, depth in self.whole_result]
        if made_with is not None:
            node.set("with_", made_with)
        for output, expression in zip(query.outputs, node.expressions, strict=False):
            if fold(output.name).startswith(OWN):
                raise sql_refused("Names that begin with guard_ are the guard's own.")
            expression.set("alias", quoted(output.name))
        return Resolved(
            tree=node,
            outputs=tuple(query.outputs),
            persons=tuple(depths),
            uses=tuple(self.uses),
            roles=self.roles,
            inside=frozenset(self.inside),
            grouped=self._grouped,
            fenced=self.fenced,
            public=frozenset(self.public),
            ctes=frozenset(self._cte_names),
            whole=frozenset(whole),
            patterns=frozenset(patterns),
        )

    def commit(self, reads: Iterable[Read]) -> None:
        """Notes that fields are used, and how."""
        for use, name, role in reads:
            key = (use.table.source, name)
            known = self.roles.get(key)
            if known is None or STRENGTH.index(role) > STRENGTH.index(known):
                self.roles[key] = role

    def compares(self, origins: Iterable[tuple[Use, str]]) -> None:
        self.inside |= {(use.table.source, name) for use, name in origins}

    def _alias(self) -> str:
        self._aliases += 1
        return f"t{self._aliases - 1}"

    # --- queries ----------------------------------------------------------------------------------

    def _with(self, clause: exp.With) -> exp.With:
        made: list[exp.Expr] = []
        for cte in clause.expressions:
            alias = cte.args["alias"]
            name = fold(alias.this.name)
            if name in self._ctes:
                raise sql_refused("Two parts of WITH have one name.")
            query = self.query(cte.this, None, "derived")
            fresh = f"{CTE}{len(self._cte_names)}"
            self._cte_names.add(fresh)
            self._ctes[name] = self._offered(query, fresh, name, alias.args.get("columns") or [])
            made.append(exp.CTE(this=query.node, alias=exp.TableAlias(this=quoted(fresh))))
        return exp.With(expressions=made)

    def _offered(self, query: Query, alias: str, called: str, names: Sequence[exp.Expr]) -> From:
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
            fields[name] = made if name not in fields else _AMBIGUOUS
        columns = tuple((f"{PERSON}{place}", depth) for place, depth in enumerate(query.persons))
        return From(alias, called, None, fields, columns)

    def query(
        self,
        node: exp.Expr,
        parent: Scope | None,
        place: Place,
        *,
        blind: bool = False,
        labels: tuple[str, ...] = (),
    ) -> Query:
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
                return self._set_in_expression(node, parent)
            return self._set(node, parent, place, blind=blind, labels=labels)
        raise sql_refused("It cannot be read.")

    def _select(self, node: exp.Select, scope: Scope, place: Place, labels: tuple[str, ...]) -> Query:
        self._from(node, scope)
        walk = _Select(self, scope, place)
        outputs = self._list(node, scope, walk, labels)
        if node.args.get("where"):
            walk.settle(node.args["where"].this, "where")
        group = node.args.get("group")
        for term in group.expressions if group else ():
            self._term(term, "group", walk, outputs)
        if node.args.get("having"):
            if not group:
                raise sql_refused("HAVING goes with GROUP BY.")
            walk.settle(node.args["having"].this, "having")
        order = node.args.get("order")
        for term in order.expressions if order else ():
            self._term(term.this, "order", walk, outputs)
        self._fences(node, place)
        grouped = walk.aggregates or group is not None
        expressions = [(item.this if isinstance(item, exp.Alias) else item) for item in node.expressions]
        outputs = [
            Output(one.name, expression, one.reads, one.origins, one.star)
            for one, expression in zip(outputs, expressions, strict=True)
        ]
        if grouped:
            _only_groups(node, scope, self.dialect.aggregates, self.dialect.unnamed)
        return self._finished(node, scope, place, outputs, grouped=grouped)

    def _finished(self, node: exp.Select, scope: Scope, place: Place, outputs: list[Output], *, grouped: bool) -> Query:
        """The query with its persons."""
        node.set("expressions", [named(one.expression, f"c{place_}") for place_, one in enumerate(outputs)])
        windowed = any(window.find_ancestor(exp.Select) is node for window in node.find_all(exp.Window))
        if place == "expression":
            if windowed:
                raise sql_refused("A window stands in no subquery of an expression: use a derived table.")
            behind = self.bounded(persons.behind(node, scope, self.dialect.name))
            return Query(node, outputs, correlated=scope.correlated, behind=behind)
        if windowed:
            self._once(persons.behind(node, scope, self.dialect.name), correlated=scope.correlated)
        exports = persons.of_rows(scope)
        if grouped:
            exports = [(persons.collected(one, self.dialect.name), depth + 1) for one, depth in exports]
        if len(outputs) + len(exports) > _MAX_COLUMNS:
            raise sql_refused(TOO_LARGE)
        distinct = node.args.get("distinct") is not None
        if place == "outermost":
            self._grouped = grouped or distinct
        else:
            for output in outputs:
                if distinct or not output.origins:
                    # Whoever names it or not: what it is made of is computed, and rows are told apart by it.
                    self.commit(output.reads)
                if distinct:
                    self.compares(output.origins)
        for number, (one, _) in enumerate(exports):
            node.append("expressions", named(one, f"{PERSON}{number}"))
        query = Query(node, outputs, [depth for _, depth in exports], correlated=scope.correlated)
        return self._distinct(query) if distinct and exports else query

    def _once(self, behind: list[Export], *, correlated: bool) -> None:
        """Persons that stand behind the whole result: they are named beside its first row."""
        if correlated and behind:
            raise sql_refused("A window, EXCEPT or INTERSECT depends on a row of another query: use a join.")
        self.whole_result += self.bounded(behind)

    def bounded(self, copies: list[Export]) -> list[Export]:
        """Parts of the statement that are written once more: how much that may be in all is bounded."""
        self.copied += sum(1 for one, _ in copies for _ in one.walk())
        if self.copied > MAX_NODES:
            raise sql_refused(TOO_LARGE)
        return copies

    def _distinct(self, query: Query) -> Query:
        """Rows that are one each, with the persons behind all that were the same."""
        node = query.node
        node.set("distinct", None)
        return self._around(query, grouped=True, clauses=_taken(node))

    def _around(self, query: Query, *, grouped: bool, clauses: Mapping[str, exp.Expr]) -> Query:
        """The query as a derived table; ORDER BY, LIMIT and OFFSET stand around it."""
        alias = self._alias()
        outputs = query.outputs
        columns = [column(alias, f"c{place}") for place in range(len(outputs))]
        listed: list[exp.Expr] = [named(one.copy(), f"c{place}") for place, one in enumerate(columns)]
        for place in range(len(query.persons)):
            person: exp.Expr = column(alias, f"{PERSON}{place}")
            listed.append(
                named(persons.collected(person, self.dialect.name) if grouped else person, f"{PERSON}{place}")
            )
        made = select(listed, derived(query.node, alias))
        if grouped:
            made.set("group", exp.Group(expressions=[one.copy() for one in columns]))
        order = clauses.get("order")
        if order is not None:
            keys = [_bare(one.expression) for one in outputs]
            for term in order.expressions:
                meant = _bare(term.this)
                if meant not in keys:
                    raise sql_refused("What DISTINCT or a set operation is ordered by stands in its select list.")
                term.set("this", columns[keys.index(meant)].copy())
        for name, clause in clauses.items():
            made.set(name, clause)
        outputs = [
            Output(one.name, columns[place], one.reads, one.origins, one.star) for place, one in enumerate(outputs)
        ]
        depths = [depth + 1 for depth in query.persons] if grouped else query.persons
        return Query(made, outputs, list(depths), correlated=query.correlated)

    # --- set operations ---------------------------------------------------------------------------

    def _set(
        self, node: exp.SetOperation, parent: Scope | None, place: Place, *, blind: bool, labels: tuple[str, ...]
    ) -> Query:
        clauses = _taken(node)
        left = self._branch(node.this, parent, blind=blind, labels=labels)
        right = self._branch(node.expression, parent, blind=blind, labels=())
        if len(left.outputs) != len(right.outputs):
            raise sql_refused("The parts of a set operation have one number of columns.")
        every = not node.args.get("distinct")
        union = isinstance(node, exp.Union)
        if place == "outermost":
            self._grouped = self._grouped or not (union and every)
        outputs: list[Output] = []
        for number, (one, other) in enumerate(zip(left.outputs, right.outputs, strict=True)):
            origins = one.origins | other.origins
            if not (union and every) and place != "outermost":
                self.commit(one.reads | other.reads)
            if not (union and every):
                # Values are compared here, whoever sees them: one that may not be seen may not decide.
                self.compares(origins)
            outputs.append(Output(one.name, column("", f"c{number}"), one.reads | other.reads, origins))
        correlated = left.correlated or right.correlated
        depths: list[int] = []
        personal = bool(left.persons or right.persons)
        if union:
            depths = self._level(left, right)
        elif personal:
            for part in (left, right):
                self._once(
                    persons.of_query(part.node, part.persons, self._alias(), self.dialect.name), correlated=correlated
                )
                part.node.set("expressions", part.node.expressions[: len(part.outputs)])
        both = type(node)(
            this=left.node, expression=right.node, distinct=node.args.get("distinct") and not (union and personal)
        )
        self._set_order(clauses, outputs)
        query = Query(both, outputs, depths, correlated=correlated)
        return self._around(query, grouped=union and personal and not every, clauses=clauses)

    def _branch(self, node: exp.Expr, parent: Scope | None, *, blind: bool, labels: tuple[str, ...]) -> Query:
        query = self.query(node, parent, "derived", blind=blind, labels=labels)
        if any(query.node.args.get(part) is not None for part in ("order", "limit", "offset")):
            return self._around(query, grouped=False, clauses={})
        return query

    def _level(self, left: Query, right: Query) -> list[int]:
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

    def _set_order(self, clauses: Mapping[str, exp.Expr], outputs: Sequence[Output]) -> None:
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
            self.commit((use, name, "filter") for use, name, _ in outputs[places[0]].reads)
            self.compares(outputs[places[0]].origins)

    def _set_in_expression(self, node: exp.SetOperation, parent: Scope | None) -> Query:
        if any(node.args.get(part) for part in ("order", "limit", "offset")):
            raise sql_refused("A set operation in an expression has no ORDER BY and no LIMIT: use a derived table.")
        parts = [self.query(one, parent, "expression") for one in (node.this, node.expression)]
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

    # --- sources ----------------------------------------------------------------------------------

    def _from(self, node: exp.Select, scope: Scope) -> None:
        clause = node.args.get("from_")
        if clause is None:
            return
        clause.set("this", self._source(clause.this, scope))
        asked: list[exp.Expr] = []
        for join in node.args.get("joins") or ():
            before = list(scope.sources)
            join.set("this", self._source(join.this, scope))
            using = join.args.get("using")
            if using:
                join.set("on", self._using(using, before, scope, join.args.get("side") or ""))
                join.set("using", None)
            elif join.args.get("on") is not None:
                asked.append(join)
        for join in asked:
            _Select(self, scope, "expression").settle(join.args["on"], "where", merged=False, outer=True)

    def _source(self, node: exp.Expr, scope: Scope) -> exp.Expr:
        if len(scope.sources) + len(self.uses) > _MAX_USES:
            raise sql_refused(f"It has more than {_MAX_USES} sources.")
        alias = self._alias()
        given = node.args.get("alias")
        if isinstance(node, exp.Subquery):
            if given is None and not self.sqlite:
                raise sql_refused("A derived table needs an alias.")
            query = self.query(node.this, scope, "derived", blind=True)
            name = fold(given.this.name) if given is not None and given.this is not None else ""
            offered = self._offered(query, alias, name, (given.args.get("columns") or []) if given else [])
            self._add(scope, offered)
            return derived(query.node, alias)
        if not isinstance(node, exp.Table) or not isinstance(node.this, exp.Identifier):
            raise Refused.own("GUARD-SQL-TABLE", "FROM takes tables of the catalogue, WITH names and derived tables.")
        if given is not None and given.args.get("columns"):
            raise sql_refused("A list of column names behind a table is not built yet.")
        called = fold(given.this.name) if given is not None else fold(node.name)
        schema = node.args.get("db")
        cte = self._ctes.get(fold(node.name)) if schema is None else None
        if cte is not None:
            self._add(scope, From(alias, called, None, cte.fields, cte.persons))
            return aliased(exp.Table(this=quoted(cte.alias)), alias)
        table = self._world.table(schema.name if schema else None, node.name)
        # PostgreSQL tells a quoted name by its case.
        exact = self._world.dialect.name == "postgres" and node.this.args.get("quoted")
        if table is None or (exact and node.name != table.name):
            raise Refused.own("GUARD-SQL-TABLE", _about_table(node.this))
        return self._table(table, alias, called, scope, renamed=given is not None)

    def _table(self, table: Table, alias: str, called: str, scope: Scope, *, renamed: bool) -> exp.Expr:
        schema = None if renamed else table.schema
        if isinstance(table.entry, Public):
            self.public.add((table.schema, table.name, ""))
            fields = {folded: Field(name, label=name) for folded, name in table.columns.items()}
            self._add(scope, From(alias, called, schema, fields, public=table))
            return aliased(exp.Table(this=quoted(table.name), db=quoted(table.schema)), alias)
        use = self.use(table, table.entry)
        self._add(scope, From(alias, called, schema, fields_of(use), use.persons, use))
        return aliased(exp.Table(this=quoted(use.marker)), alias)

    def use(self, table: Table, entry: Source) -> Use:
        """Another occurrence of a personal table."""
        use = Use(len(self.uses), table, entry)
        self.uses.append(use)
        return use

    def _add(self, scope: Scope, source: From) -> None:
        if source.called and any(
            source.called == other.called and source.schema == other.schema for other in scope.sources
        ):
            raise Refused.own("GUARD-SQL-COLUMN", "Two sources have one name: give each an alias of its own.")
        scope.sources.append(source)

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
                    raise Refused.own("GUARD-SQL-COLUMN", about("The column", name))
                left = self.offered_as(*matches[0])
                self.compares(matches[0][1].origins)
                self.commit((use, one, "filter") for use, one, _ in matches[0][1].reads)
            if there is None or side == "FULL":
                raise sql_refused("USING in a FULL join is not built yet: use ON.")
            other = self.offered_as(right, there)
            self.compares(there.origins)
            self.commit((use, one, "filter") for use, one, _ in there.reads)
            made.append(exp.EQ(this=left.copy(), expression=other))
            scope.merged[folded] = other.copy() if side == "RIGHT" else left.copy()
        whole = made[0]
        for one in made[1:]:
            whole = exp.And(this=whole, expression=one)
        return whole

    def offered_as(self, source: From, what: Field) -> exp.Column:
        """The column in guarded text; the text of a table's template names it from here on."""
        if source.use is not None:
            source.use.named.add(what.name)
        if source.public is not None:
            self.public.add((source.public.schema, source.public.name, what.name))
        return column(source.alias, what.name)

    # --- the select list --------------------------------------------------------------------------

    def _list(self, node: exp.Select, scope: Scope, walk: _Select, labels: tuple[str, ...]) -> list[Output]:
        if labels and len(node.expressions) != len(labels):
            raise sql_refused("Its select list cannot be read.")
        made: list[exp.Expr] = []
        outputs: list[Output] = []
        for place, item in enumerate(node.expressions):
            if isinstance(item.this if isinstance(item, exp.Column) else item, exp.Star):
                for output in self._star(item, scope):
                    outputs.append(output)
                    made.append(output.expression)
                continue
            given = item if isinstance(item, exp.Alias) else None
            bare = item.this if given is not None else item
            name = _called(bare, given, labels[place] if labels else None, sqlite=self.sqlite)
            holder = named(bare, "")
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

    def _star(self, item: exp.Expr, scope: Scope) -> list[Output]:
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
                if what is _AMBIGUOUS:
                    raise Refused.own("GUARD-SQL-COLUMN", "A star over a query with two columns of one name.")
                if whole and folded in scope.merged:
                    if folded in seen:
                        continue
                    seen.add(folded)
                merged = scope.merged.get(folded) if whole else None
                expression = self.offered_as(source, what) if merged is None else merged.copy()
                outputs.append(Output(what.label, expression, what.reads, what.origins, star=True))
        return outputs

    # --- terms ------------------------------------------------------------------------------------

    def _term(self, term: exp.Expr, clause: Clause, walk: _Select, outputs: Sequence[Output]) -> None:
        """A term of GROUP BY or ORDER BY: a position, an output's name, or an expression."""
        meant = self._meant(term, clause, walk, outputs)
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

    def _meant(self, term: exp.Expr, clause: Clause, walk: _Select, outputs: Sequence[Output]) -> Output | None:
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

    def _fences(self, node: exp.Select, place: Place) -> None:
        """Notes whether something that can fail over a value stands where it could run before a template's filter.

        The planner moves expressions down into the tables; only those of the outermost select list, GROUP BY and
        ORDER BY run when the rows are chosen.
        """
        if self.sqlite or self.fenced:
            return
        roots = [node.args[part].this for part in ("where", "having") if node.args.get(part)]
        roots += [join.args["on"] for join in node.args.get("joins") or () if join.args.get("on") is not None]
        if place != "outermost":
            roots += node.expressions
            for part in ("group", "order"):
                if node.args.get(part):
                    roots += node.args[part].expressions
        self.fenced = any(fallible(root) for root in roots)


class _Select:
    """Settles the expressions of one SELECT."""

    def __init__(self, resolver: Resolver, scope: Scope, place: Place) -> None:
        self._resolver = resolver
        self.scope = scope
        self._place = place
        self.aliases: dict[str, Output] = {}
        self.aggregates = False
        self._merged = True

    def value(self, holder: exp.Expr) -> tuple[frozenset[Read], frozenset[tuple[Use, str]]]:
        """Settles an output, in its holder's place: what it reads, and of what it is a plain column."""
        origins: set[tuple[Use, str]] = set()
        reads = self._visit(holder.this, "select", aggregate=False, alone=origins)
        if self._place == "expression":
            self._resolver.compares(origins)
            return frozenset(reads), frozenset()
        return frozenset(reads), frozenset(origins)

    def settle(self, node: exp.Expr, clause: Clause, *, merged: bool = True, outer: bool = False) -> None:
        """Settles an expression of another clause, and notes what it reads. `outer`: it is the ON of a join."""
        self._merged = merged
        self._resolver.commit(self._visit(node, clause, aggregate=False))
        if clause == "where" and not outer:
            self._bounds(node)
        self._merged = True

    def _visit(
        self, node: exp.Expr, clause: Clause, *, aggregate: bool, alone: set[tuple[Use, str]] | None = None
    ) -> set[Read]:
        """Settles the names below a node; gives what they read."""
        resolver = self._resolver
        if isinstance(node, exp.Column):
            return self._column(node, clause, aggregate=aggregate, alone=alone)
        if isinstance(node, exp.Literal) and node.is_string and '"guard_' in node.name:
            raise sql_refused("A text holds a name of the guard's own: pass it as a parameter.")
        if isinstance(node, exp.Subquery):
            return self._nested(node, node.this, clause, aggregate=aggregate)
        if isinstance(node, exp.Exists):
            return self._nested(node, node.this, clause, aggregate=aggregate)
        if isinstance(node, exp.Window):
            return self._window(node, clause)
        if self._is_aggregate(node):
            if aggregate or clause in ("where", "group"):
                raise sql_refused(_AGGREGATE)
            self.aggregates = aggregate = True
        if (
            isinstance(node, exp.DPipe)
            and resolver.sqlite
            and (clause in ("where", "having") or self._place != "outermost")
        ):
            # Joined text can outgrow the longest string, also of constants that stand behind a condition on a
            # column; the error would tell a hidden value. The planner moves conditions and inner expressions.
            raise sql_refused(_JOINED)
        reads: set[Read] = set()
        for child in list(node.iter_expressions()):
            reads |= self._visit(child, clause, aggregate=aggregate)
        if self._is_aggregate(node):
            # An aggregate of another query's columns alone is that query's aggregate, wherever it stands.
            of = [part.table for part in node.find_all(exp.Column)]
            if of and self.scope.aliases.isdisjoint(of):
                raise sql_refused("An aggregate summarises columns of its own query.")
        return reads

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
        dialect = self._resolver.dialect
        if isinstance(node, exp.Anonymous):
            return dialect.unnamed.get(node.name.lower(), False)
        return type(node) in dialect.aggregates

    def _nested(self, holder: exp.Expr, query: exp.Expr, clause: Clause, *, aggregate: bool) -> set[Read]:
        """Settles a subquery of an expression."""
        resolver = self._resolver
        exists = isinstance(holder, exp.Exists)
        plain = ("group", "having", "distinct", "limit", "offset")
        if exists and isinstance(query, exp.Select) and not any(query.args.get(part) for part in plain):
            # Only whether there is a row counts: nothing is selected, unless it is an aggregate, which always has one.
            if not any(self._is_aggregate(part) for one in query.expressions for part in one.walk()):
                query.set("expressions", [exp.Literal(this="1", is_string=False)])
                query.set("order", None)
        made = resolver.query(query, self.scope, "expression")
        if not exists and len(made.outputs) != 1:
            raise sql_refused("A subquery in an expression has one column.")
        holder.set("this", made.node)
        if made.correlated:
            self.scope.nested += made.behind
        else:
            resolver.whole_result += made.behind
        role: Role = "aggregate" if aggregate else "read" if clause == "select" else "filter"
        return {
            (use, name, inner if role == "read" else role) for one in made.outputs for use, name, inner in one.reads
        }

    def _column(
        self, node: exp.Column, clause: Clause, *, aggregate: bool, alone: set[tuple[Use, str]] | None
    ) -> set[Read]:
        resolver = self._resolver
        if not isinstance(node.this, exp.Identifier):
            raise sql_refused("A column has a name.")
        found = self._found(node)
        if found is None:
            meant = None
            if resolver.sqlite and not node.args.get("table") and clause != "select":
                meant = self.aliases.get(fold(node.name))
            if meant is not None:
                if aggregate and any(self._is_aggregate(part) for part in meant.expression.walk()):
                    raise sql_refused(_AGGREGATE)
                self.stand_in(node, meant, clause)
                return set()
            found = self._outer(node)
        if found is None and node.args.get("table"):
            raise Refused.own("GUARD-SQL-COLUMN", "A column is qualified by a name that no source has here.")
        if found is None:
            raise Refused.own("GUARD-SQL-COLUMN", about("The column", node.this))
        if isinstance(found, exp.Expr):
            made, what = found.copy(), self._of_merged(found)
        else:
            made, what = resolver.offered_as(*found), found[1]
        if what is _AMBIGUOUS:
            raise Refused.own("GUARD-SQL-COLUMN", "A column is there twice: give each an alias of its own.")
        node.replace(made)
        if alone is None:
            resolver.compares(what.origins)
        else:
            alone |= what.origins
        role: Role = "aggregate" if aggregate else "read" if clause == "select" else "filter"
        return {(use, name, inner if role == "read" else role) for use, name, inner in what.reads}

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
        resolver = self._resolver
        copy = meant.expression.copy()
        nodes = list(copy.walk())
        resolver.copied += len(nodes)
        if resolver.copied > MAX_NODES:
            raise sql_refused(TOO_LARGE)
        made: exp.Expr = copy if isinstance(copy, exp.Column) else exp.Paren(this=copy)
        node.replace(made)
        resolver.commit((use, name, "filter") for use, name, _ in meant.reads)
        resolver.compares(meant.origins)
        if any(isinstance(part, exp.Subquery | exp.Exists) for part in nodes) and clause != "order":
            raise sql_refused("A subquery of the select list is repeated: write it again where it is used.")
        if clause in ("where", "group") and any(self._is_aggregate(part) for part in nodes):
            raise sql_refused(_AGGREGATE)
        if clause in ("where", "having", "group") and any(isinstance(part, exp.Window) for part in nodes):
            raise sql_refused("A window stands in the select list or ORDER BY.")
        if resolver.sqlite and clause in ("where", "having") and copy.find(exp.DPipe) is not None:
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


_AMBIGUOUS: Final = Field("")


class WriteScope:
    """The expressions of a write, over the one table that it writes."""

    def __init__(self, resolver: Resolver, source: From) -> None:
        scope = Scope()
        scope.sources.append(source)
        self._select = _Select(resolver, scope, "expression")

    def settle(self, node: exp.Expr) -> None:
        """Settles the names of an expression, in its holder's place."""
        self._select.settle(node, "where", outer=True)


def fields_of(use: Use) -> dict[str, Field]:
    """The columns of a personal table, as a source offers them."""
    table = use.table
    return {
        folded: Field(name, frozenset({(use, name, "read")}), frozenset({(use, name)}), name)
        for folded, name in table.columns.items()
    }


def _taken(node: exp.Expr) -> dict[str, exp.Expr]:
    """ORDER BY, LIMIT and OFFSET, taken from the query."""
    taken: dict[str, exp.Expr] = {}
    for name in ("order", "limit", "offset"):
        if node.args.get(name) is not None:
            taken[name] = node.args[name]
            node.set(name, None)
    return taken


def _nobody() -> exp.Expr:
    return exp.Cast(this=exp.Null(), to=exp.DataType(this=exp.DType.TEXT, nested=False))


def _bare(node: exp.Expr) -> exp.Expr:
    while isinstance(node, exp.Paren):
        node = node.this
    return node


def _called(node: exp.Expr, alias: exp.Alias | None, label: str | None, *, sqlite: bool) -> str:
    """The name of an output, as the database gives it."""
    if alias is not None:
        return str(alias.args["alias"].name)
    bare = _bare(node)
    if isinstance(node, exp.Column) or (isinstance(bare, exp.Column) and not sqlite):
        return str(bare.name)
    if sqlite:
        return label[:_MAX_LABEL] if label is not None else ""
    if label is None and not isinstance(bare, exp.Func | exp.Case | exp.Cast):
        return ""
    if isinstance(bare, exp.Cast):
        return _called(bare.this, None, label, sqlite=False) if isinstance(bare.this, exp.Column) else "?column?"
    if isinstance(bare, exp.Case):
        return "case"
    if isinstance(bare, exp.Window):
        bare = bare.this
    if isinstance(bare, exp.Anonymous):
        return str(bare.name).lower()
    return type(bare).sql_name().lower() if isinstance(bare, exp.Func) else "?column?"


def _about_table(name: exp.Expr) -> str:
    if name.args.get("quoted"):
        return "The table is not in the catalogue."
    return about("The table", name)


def _only_groups(
    node: exp.Select, scope: Scope, aggregates: Mapping[type[exp.Expr], object], unnamed: Mapping[str, bool]
) -> None:
    """Refuses a column that is neither grouped nor inside an aggregate: SQLite takes it from any row."""
    group, order, having = (node.args.get(part) for part in ("group", "order", "having"))
    keys = [_bare(term) for term in group.expressions] if group else []
    roots = list(node.expressions)
    roots += [having.this] if having else []
    roots += [term.this for term in order.expressions] if order else []
    mine = scope.aliases
    for root in roots:
        stack = [root]
        while stack:
            part = stack.pop()
            if _bare(part) in keys:
                continue
            if isinstance(part, exp.Window):
                # The window runs over the groups: what it looks at has to be one value for each of them.
                stack += list(part.this.iter_expressions())
                stack += [one for one in part.args.get("partition_by") or ()]
                stack += list(part.args["order"].expressions) if part.args.get("order") else []
                continue
            if type(part) in aggregates or (isinstance(part, exp.Anonymous) and unnamed.get(part.name.lower())):
                continue
            if isinstance(part, exp.Column) and part.table in mine:
                raise sql_refused("A column beside an aggregate has to stand in GROUP BY.")
            stack.extend(part.iter_expressions())
