"""Names to columns: a scope walk of our own over one SELECT, which leaves nothing for the database to guess.

Afterwards the table is a marker with an alias of ours, every column is qualified and quoted, every output
has a name, and aliases and positions in GROUP BY, HAVING and ORDER BY are replaced by the expressions that
they stand for. A name that resolves to nothing is refused: SQLite would read `"name"` as a text.

Which name wins is SQLite's own rule: in ORDER BY a term that is a single name is an output first; anywhere
else a column is first, and an alias only where no column has that name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from sqlglot import exp

from guard.catalogue import Public
from guard.errors import Refused
from guard.model import Role
from guard_sql.grammar import MAX_NODES, TOO_LARGE
from guard_sql.text import Reading, sql_refused
from guard_sql.world import OWN, Table, World, fold

MARKER: Final = "guard_source_0"
"""Stands for the table in a plan's tree; a template takes its place in the text."""

ALIAS: Final = "t0"

Clause: TypeAlias = Literal["select", "where", "group", "having", "order"]

_STRENGTH: Final[tuple[Role, ...]] = ("filter", "aggregate", "read")
_PLAIN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}", re.ASCII)
_MAX_LABEL: Final = 128
_AGGREGATE: Final = "An aggregate stands in the select list, HAVING or ORDER BY, and in no other aggregate."
_JOINED: Final = "|| stands in the select list, GROUP BY or ORDER BY only."


@dataclass(frozen=True)
class Output:
    """A part of the select list. `field` is set where it is a column and nothing else; `star` is `*`."""

    name: str
    field: str | None = None
    star: bool = False


@dataclass(frozen=True, eq=False)
class Resolved:
    """A statement in which every name is settled."""

    tree: exp.Select
    table: Table | None
    outputs: tuple[Output, ...]
    roles: dict[str, Role]
    """Field -> the strongest use of it: read (shown) > aggregate (in a summary) > filter."""
    inside: frozenset[str]
    """Fields that are used anywhere but as an output of their own."""
    grouped: bool
    """Whether a row of the result stands for several rows of the table."""
    whole: frozenset[str]
    """Parameters that have to be whole numbers."""
    patterns: frozenset[str]
    """Parameters that are the pattern of a LIKE."""


def resolve(reading: Reading, world: World) -> Resolved:
    """Settles every name of a checked tree, which it changes, or refuses the statement."""
    return _Scope(reading, world).resolved()


def column(field: str) -> exp.Column:
    """A column of the table as it stands in guarded text."""
    return exp.Column(this=exp.to_identifier(field, quoted=True), table=exp.to_identifier(ALIAS, quoted=True))


def named(expression: exp.Expr, name: str) -> exp.Alias:
    """An output with its name."""
    return exp.Alias(this=expression, alias=exp.to_identifier(name, quoted=True))


class _Scope:
    def __init__(self, reading: Reading, world: World) -> None:
        self._tree = reading.tree
        self._labels = reading.labels
        self._world = world
        self._dialect = world.dialect
        self._alias: str | None = None
        self._table = self._source()
        self._outputs: list[Output] = []
        self._expressions: list[exp.Expr] = []
        self._aliases: dict[str, exp.Expr] = {}
        self._roles: dict[str, Role] = {}
        self._inside: set[str] = set()
        self._aggregates = False
        self._copied = 0

    def resolved(self) -> Resolved:
        tree = self._tree
        self._select()
        self._clause(tree.args.get("where"), "where")
        group = tree.args.get("group")
        for term in group.expressions if group else ():
            self._term(term, "group")
        self._clause(tree.args.get("having"), "having")
        order = tree.args.get("order")
        for term in order.expressions if order else ():
            self._term(term.this, "order")
        if tree.args.get("having") and not group:
            raise sql_refused("HAVING goes with GROUP BY.")
        grouped = self._aggregates or group is not None
        if grouped:
            self._only_groups(group.expressions if group else [])
        whole = {
            clause.expression.name
            for clause in (tree.args.get("limit"), tree.args.get("offset"))
            if clause and isinstance(clause.expression, exp.Placeholder)
        }
        return Resolved(
            tree=tree,
            table=self._table,
            outputs=tuple(self._outputs),
            roles=self._roles,
            inside=frozenset(self._inside),
            grouped=grouped,
            whole=frozenset(whole),
            patterns=frozenset(
                like.expression.name for like in tree.find_all(exp.Like) if isinstance(like.expression, exp.Placeholder)
            ),
        )

    # --- the table --------------------------------------------------------------------------------

    def _source(self) -> Table | None:
        clause = self._tree.args.get("from_")
        if clause is None:
            return None
        node = clause.this
        if not isinstance(node, exp.Table) or not isinstance(node.this, exp.Identifier):
            raise Refused.own("GUARD-SQL-TABLE", "FROM takes the name of one table.")
        schema = node.args.get("db")
        table = self._world.table(schema.name if schema else None, node.name)
        if table is None:
            raise Refused.own("GUARD-SQL-TABLE", _about("The table", node.this))
        alias = node.args.get("alias")
        if alias is not None:
            self._alias = fold(alias.this.name)
        if isinstance(table.entry, Public):
            name, qualifier = table.name, exp.to_identifier(table.schema, quoted=True)
        else:
            name, qualifier = MARKER, None
        clause.set(
            "this",
            exp.Table(
                this=exp.to_identifier(name, quoted=True),
                db=qualifier,
                alias=exp.TableAlias(this=exp.to_identifier(ALIAS, quoted=True)),
            ),
        )
        return table

    def _qualified(self, node: exp.Column) -> None:
        """Refuses a column that is qualified by anything but this table."""
        table, schema = node.args.get("table"), node.args.get("db")
        if table is None:
            return
        known = self._alias or (fold(self._table.name) if self._table else None)
        right = fold(table.name) == known
        if schema is not None:
            right = (
                right
                and self._alias is None
                and self._table is not None
                and fold(schema.name) == fold(self._table.schema)
            )
        if not right:
            raise Refused.own(
                "GUARD-SQL-COLUMN", "A column is qualified by another name than the table's (or its alias)."
            )

    # --- clauses ----------------------------------------------------------------------------------

    def _select(self) -> None:
        expressions = self._tree.expressions
        if len(expressions) != len(self._labels):
            raise sql_refused("Its select list cannot be read.")
        made: list[exp.Expr] = []
        for item, label in zip(expressions, self._labels, strict=True):
            star = item.this if isinstance(item, exp.Column) else item
            if isinstance(star, exp.Star):
                made.append(self._star(item))
                continue
            aliased = isinstance(item, exp.Alias)
            expression = item.this if aliased else item
            holder = item if aliased else named(item, "")
            self._visit(expression, "select", aggregate=False, alone=True)
            expression = holder.this
            field = expression.name if isinstance(expression, exp.Column) else None
            name = item.args["alias"].name if aliased else field if field is not None else label[:_MAX_LABEL]
            if fold(name).startswith(OWN):
                raise sql_refused("Names that begin with guard_ are the guard's own.")
            holder.set("alias", exp.to_identifier(name, quoted=True))
            if aliased:
                self._aliases.setdefault(fold(name), expression)
            self._outputs.append(Output(name=name, field=field))
            self._expressions.append(expression)
            made.append(holder)
        self._tree.set("expressions", made)

    def _star(self, item: exp.Expr) -> exp.Expr:
        if self._table is None:
            raise Refused.own("GUARD-SQL-TABLE", "A star needs a table.")
        if isinstance(item, exp.Column):
            self._qualified(item)
        for field in self._table.columns.values():
            self._use(field, "read")
        self._outputs.append(Output(name="*", star=True))
        self._expressions.append(item)
        return item

    def _clause(self, clause: exp.Expr | None, name: Clause) -> None:
        if clause is not None:
            self._visit(clause.this, name, aggregate=False)

    def _term(self, term: exp.Expr, clause: Clause) -> None:
        """A term of GROUP BY or ORDER BY: a position, an output's name, or an expression."""
        meant = self._meant(term, clause)
        bare = self._visit(term, clause, aggregate=False) if meant is None else self._stand_in(term, meant, clause)
        while isinstance(bare, exp.Paren | exp.Neg):
            bare = bare.this
        if isinstance(bare, exp.Literal) and not bare.is_string:
            # SQLite reads an integer here as a position, also behind a sign or in parentheses.
            raise sql_refused("A constant is no order: name a column or a position of the select list.")

    def _meant(self, term: exp.Expr, clause: Clause) -> exp.Expr | None:
        if isinstance(term, exp.Literal) and not term.is_string and term.name.isdigit():
            place = int(term.name)
            if not 1 <= place <= len(self._outputs) or any(output.star for output in self._outputs):
                raise sql_refused(
                    "A position in GROUP BY or ORDER BY needs a select list without a star, and its place in it."
                )
            return self._expressions[place - 1]
        if clause == "order" and isinstance(term, exp.Column) and not term.args.get("table"):
            return self._aliases.get(fold(term.name))
        return None

    def _only_groups(self, groups: list[exp.Expr]) -> None:
        """Refuses a column that is neither grouped nor inside an aggregate: SQLite takes it from any row."""
        keys = {_bare(group) for group in groups}
        tree = self._tree
        order = tree.args.get("order")
        roots = [*self._expressions, *([tree.args["having"].this] if tree.args.get("having") else [])]
        roots += [term.this for term in order.expressions] if order else []
        for root in roots:
            stack = [root]
            while stack:
                node = stack.pop()
                if self._is_aggregate(node) or _bare(node) in keys:
                    continue
                if isinstance(node, exp.Column | exp.Star):
                    raise sql_refused("A column beside an aggregate has to stand in GROUP BY.")
                stack.extend(node.iter_expressions())

    # --- expressions ------------------------------------------------------------------------------

    def _visit(self, node: exp.Expr, clause: Clause, *, aggregate: bool, alone: bool = False) -> exp.Expr:
        """Settles the names below a node; returns what stands in its place afterwards."""
        if isinstance(node, exp.Column):
            return self._column(node, clause, aggregate=aggregate, alone=alone)
        if self._is_aggregate(node):
            if aggregate or clause in ("where", "group"):
                raise sql_refused(_AGGREGATE)
            self._aggregates = aggregate = True
        if isinstance(node, exp.DPipe) and clause in ("where", "having"):
            # Joined text can outgrow the longest string, also of constants that stand behind a condition on a
            # column; the error would tell a hidden value. HAVING too: SQLite moves conditions on grouped columns
            # into WHERE.
            raise sql_refused(_JOINED)
        for child in list(node.iter_expressions()):
            self._visit(child, clause, aggregate=aggregate)
        return node

    def _is_aggregate(self, node: exp.Expr) -> bool:
        if isinstance(node, exp.Anonymous):
            return self._dialect.unnamed.get(node.name.lower(), False)
        return type(node) in self._dialect.aggregates

    def _column(self, node: exp.Column, clause: Clause, *, aggregate: bool, alone: bool) -> exp.Expr:
        self._qualified(node)
        name = node.this
        if not isinstance(name, exp.Identifier):
            raise sql_refused("A column has a name.")
        field = self._table.columns.get(fold(name.name)) if self._table else None
        if field is None:
            meant = None if node.args.get("table") or clause == "select" else self._aliases.get(fold(name.name))
            if meant is None:
                raise Refused.own("GUARD-SQL-COLUMN", _about("The column", name, text_trap=True))
            if aggregate and any(self._is_aggregate(part) for part in meant.walk()):
                raise sql_refused(_AGGREGATE)
            return self._stand_in(node, meant, clause)
        node.set("this", exp.to_identifier(field, quoted=True))
        node.set("table", exp.to_identifier(ALIAS, quoted=True))
        node.set("db", None)
        self._use(field, "aggregate" if aggregate else "read" if clause == "select" else "filter")
        if not alone:
            self._inside.add(field)
        return node

    def _stand_in(self, node: exp.Expr, meant: exp.Expr, clause: Clause) -> exp.Expr:
        """Puts a copy of an output's expression in the place of its name or position."""
        copy = meant.copy()
        nodes = list(copy.walk())
        self._copied += len(nodes)
        if self._copied > MAX_NODES:
            raise sql_refused(TOO_LARGE)
        made: exp.Expr = copy if isinstance(copy, exp.Column) else exp.Paren(this=copy)
        node.replace(made)
        for part in nodes:
            if isinstance(part, exp.Column):
                self._use(part.name, "filter")
                self._inside.add(part.name)
        self._again(copy, clause)
        return made

    def _again(self, copy: exp.Expr, clause: Clause) -> None:
        """What was checked for the select list is checked for the clause that it is copied into."""
        if clause in ("where", "group") and any(self._is_aggregate(part) for part in copy.walk()):
            raise sql_refused(_AGGREGATE)
        if clause in ("where", "having") and copy.find(exp.DPipe) is not None:
            raise sql_refused(_JOINED)

    def _use(self, field: str, role: Role) -> None:
        known = self._roles.get(field)
        if known is None or _STRENGTH.index(role) > _STRENGTH.index(known):
            self._roles[field] = role


def _bare(node: exp.Expr) -> exp.Expr:
    while isinstance(node, exp.Paren):
        node = node.this
    return node


def _about(what: str, name: exp.Expr, *, text_trap: bool = False) -> str:
    """A sentence about an unknown name. A quoted one is not repeated: it may be a value that was meant as text."""
    if name.args.get("quoted") and text_trap:
        return f"{what} in quotes is not in the catalogue; a text is written with single quotes."
    if name.args.get("quoted") or not _PLAIN.fullmatch(name.name):
        return f"{what} is not in the catalogue."
    return f"{what} {name.name} is not in the catalogue."
