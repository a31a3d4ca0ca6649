"""INSERT … VALUES, UPDATE and DELETE of one table: names to columns, and the write that a decision permits.

A write is two texts. `before` lists the rows that it may touch: those that its WHERE finds in the permitted part,
and every row that is not permitted and that its keys name. Each comes with whether it may be written and whose it
is; one that may not be makes the enforcement refuse the statement, since filtering it away in silence would change
other rows than the program said. Of a row that is not permitted only its keys are compared, so that no value of it
decides what is refused. The write itself asks the conditions once more and returns the rows as they are afterwards,
by the same conditions: a row that would leave the permitted part is undone.

A written field has to be kept by the decision; where the decision also treats it for reading, it may be written
only where it would be shown as it is, so that no mask is ever written back over what it hides.
"""

# ruff: noqa: S608 — this module's work is to write SQL; values are parameters, names are quoted

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final

from sqlglot import exp

from guard.catalogue import Public, Source
from guard.errors import Refused
from guard.model import NEVER, Decision, Item, Reason, Write
from guard.wire import ordered
from guard_sql.conditions import ROW
from guard_sql.dialects import Dialect
from guard_sql.expressions import WriteScope
from guard_sql.fallible import fallible
from guard_sql.grammar import constant
from guard_sql.guarded import Guarded, Kind, Text, Written
from guard_sql.notes import Notes
from guard_sql.parameters import Parameters
from guard_sql.refusal import sql_refused
from guard_sql.scope import Field, FieldsOf, From, Use, about, aliased, named, quoted, select
from guard_sql.sources import about_table
from guard_sql.template import Part, Template, Templates
from guard_sql.text import Reading
from guard_sql.verify import outer
from guard_sql.world import Table, World, fold
from guard_sql.world import quoted as name_of
from guard_sql.writing import write

ALIAS: Final = "guard_field"
"""What a column of the table is qualified by until its treatment takes its place."""

_FIELD: Final = re.compile(rf'"{ALIAS}"\.("(?:[^"]|"")+")')
_KINDS: Final[Mapping[type[exp.Expr], Kind]] = {exp.Insert: "insert", exp.Update: "update", exp.Delete: "delete"}


@dataclass(frozen=True, eq=False)
class Settled:
    """A write in which every name is settled. Texts have the columns of the table behind `guard_field`."""

    kind: Kind
    table: Table
    use: Use | None
    fields: tuple[str, ...]
    """What it writes."""
    values: tuple[tuple[str, ...], ...]
    """INSERT: a tuple a row. UPDATE: one tuple. In the order of `fields`."""
    where: str
    keys: str
    """The part of WHERE that compares keys with constants."""
    read: frozenset[str]
    """Fields that its expressions read."""
    patterns: frozenset[str]


def settle(reading: Reading, world: World, kinds: AbstractSet[type[exp.Expr]]) -> Settled:
    """Settles the names of a checked write, or refuses it."""
    return _Settling(reading, world, kinds).settled()


def items(made: Settled) -> tuple[Item, ...]:
    """What it does, for the activity: a field that UPDATE writes is read too, to tell how it would be shown."""
    entry, source = made.table.entry, made.table.source
    if not isinstance(entry, Source):
        return ()
    written = made.fields if made.kind != "delete" else tuple(made.table.types)
    read = made.read | (frozenset(made.fields) if made.kind == "update" else frozenset())
    return ordered(
        [
            entry.item(source, "write"),
            *(entry.field_item(source, field, "filter") for field in sorted(read)),
            *(entry.field_item(source, field, "write") for field in written),
        ]
    )


class _Settling:
    def __init__(self, reading: Reading, world: World, kinds: AbstractSet[type[exp.Expr]]) -> None:
        self._tree = reading.tree
        self._world = world
        self._dialect = world.dialect
        self._notes = Notes(world, kinds)
        self.kind: Kind = _KINDS[type(reading.tree)]
        if any(isinstance(node, exp.Query | exp.Exists) for node in reading.tree.walk()):
            raise sql_refused("A write has no subquery: read first, then write.")
        self._table, self._use = self._target()

    def settled(self) -> Settled:
        tree = self._tree
        fields: tuple[str, ...] = ()
        values: list[tuple[exp.Expr, ...]] = []
        if self.kind == "insert":
            fields, values = self._insert(tree)
        elif self.kind == "update":
            fields, values = self._update(tree)
        where = self._where(tree)
        keys = self._keys(where)
        self._read_back([*(one for row in values for one in row), *([where] if where is not None else [])])
        dialect = self._dialect
        return Settled(
            kind=self.kind,
            table=self._table,
            use=self._use,
            fields=fields,
            values=tuple(tuple(write(one, dialect) for one in row) for row in values),
            where=write(where, dialect) if where is not None else dialect.forms.constant(holds=True),
            keys=" AND ".join(f"({write(one, dialect)})" for one in keys) or dialect.forms.constant(holds=True),
            read=frozenset(self._use.named if self._use is not None else ()),
            patterns=frozenset(
                part.name for like in tree.find_all(exp.Like) for part in like.expression.find_all(exp.Placeholder)
            ),
        )

    def _target(self) -> tuple[Table, Use | None]:
        node = self._tree.this
        node = node.this if isinstance(node, exp.Schema) else node
        if not isinstance(node, exp.Table) or not isinstance(node.this, exp.Identifier):
            raise Refused.own("GUARD-SQL-TABLE", "A write names one table of the catalogue.")
        schema, given = node.args.get("db"), node.args.get("alias")
        table = self._world.table(schema.name if schema else None, node.name)
        if table is None:
            raise Refused.own("GUARD-SQL-TABLE", about_table(node.this, self._world))
        called = fold(given.this.name) if given is not None else fold(table.name)
        within = None if given is not None else table.schema
        if isinstance(table.entry, Public):
            fields = {folded: Field(name, label=name) for folded, name in table.columns.items()}
            self._scope = WriteScope(self._notes, From(ALIAS, called, within, fields, public=table))
            return table, None
        use = self._notes.use(table, table.entry)
        self._scope = WriteScope(self._notes, From(ALIAS, called, within, FieldsOf(use), (), use))
        return table, use

    def _field(self, name: exp.Expr) -> str:
        field = self._table.columns.get(fold(name.name))
        if field is None:
            raise Refused.own("GUARD-SQL-COLUMN", about("The column", name, self._table.columns))
        return field

    def _once(self, fields: Sequence[str]) -> tuple[str, ...]:
        if len(set(fields)) != len(fields):
            raise sql_refused("It writes a column twice.")
        return tuple(fields)

    def _insert(self, tree: exp.Expr) -> tuple[tuple[str, ...], list[tuple[exp.Expr, ...]]]:
        if not isinstance(tree.this, exp.Schema) or not isinstance(tree.expression, exp.Values):
            raise sql_refused("An INSERT names its columns and has VALUES.")
        fields = self._once([self._field(name) for name in tree.this.expressions])
        rows: list[tuple[exp.Expr, ...]] = []
        for row in tree.expression.expressions:
            if not isinstance(row, exp.Tuple) or len(row.expressions) != len(fields):
                raise sql_refused("Each row of VALUES has a value for each of the columns.")
            if row.find(exp.Column) is not None:
                raise sql_refused("A value of an INSERT is no column.")
            rows.append(tuple(self._expression(one) for one in list(row.expressions)))
        return fields, rows

    def _update(self, tree: exp.Expr) -> tuple[tuple[str, ...], list[tuple[exp.Expr, ...]]]:
        fields: list[str] = []
        values: list[exp.Expr] = []
        for pair in tree.expressions:
            to = pair.this if isinstance(pair, exp.EQ) else None
            if not isinstance(to, exp.Column) or to.args.get("table") is not None:
                raise sql_refused("SET names a column without its table, and its value.")
            fields.append(self._field(to.this))
            values.append(self._expression(pair.expression))
        if not fields:
            raise sql_refused("It writes nothing.")
        return self._once(fields), [tuple(values)]

    def _expression(self, node: exp.Expr) -> exp.Expr:
        holder = exp.Paren(this=exp.Null())
        node.replace(holder)
        holder.set("this", node)
        self._scope.settle(node)
        made: exp.Expr = holder.this
        return made

    def _where(self, tree: exp.Expr) -> exp.Expr | None:
        clause = tree.args.get("where")
        if clause is None:
            return None
        self._scope.settle(clause.this)
        where: exp.Expr = clause.this
        if self._dialect.name != "sqlite" and fallible(where):
            raise sql_refused(
                "The WHERE of a write only compares: an expression that can fail would tell of other rows."
            )
        return where

    def _keys(self, where: exp.Expr | None) -> list[exp.Expr]:
        """The conjuncts that compare one key with constants: the primary key, else the first subject that is named.

        Of one alone: two of a row that is not permitted would tell that they stand in one row.
        """
        entry = self._table.entry
        if where is None or not isinstance(entry, Source):
            return []
        found: dict[str, list[exp.Expr]] = {}
        stack = [where]
        while stack:
            node = stack.pop()
            while isinstance(node, exp.Paren):
                node = node.this
            if isinstance(node, exp.And):
                stack += [node.this, node.expression]
                continue
            values = (
                [node.expression] if isinstance(node, exp.EQ) else node.expressions if isinstance(node, exp.In) else []
            )
            of = node.this
            if values and isinstance(of, exp.Column) and all(constant(one) for one in values):
                found.setdefault(of.name, []).append(node)
        for key in (entry.key, *((column,) for column, _ in self._table.subjects(entry))):
            if key and all(column in found for column in key):
                return [one for column in key for one in found[column]]
        return []

    def _read_back(self, expressions: Sequence[exp.Expr]) -> None:
        marker = self._use.marker if self._use is not None else self._table.name
        schema = None if self._use is not None else self._table.schema
        table = exp.Table(this=quoted(marker), **({"db": quoted(schema)} if schema else {}))
        listed = [named(one.copy(), f"c{place}") for place, one in enumerate(expressions)] or [named(exp.Null(), "c0")]
        frame = select(listed, aliased(table, ALIAS))
        outer(write(frame, self._dialect), frame, self._dialect, {(schema, marker)}, set(self._table.types))


class Change:
    """A settled write, ready for decisions."""

    def __init__(self, settled: Settled, dialect: Dialect) -> None:
        self._settled: Final = settled
        self._dialect: Final = dialect

    def rewritten(self, parameters: Parameters, templates: Templates, decision: Decision | None) -> Guarded:
        """The guarded write. `decision` is None for a table without personal data."""
        made = self._settled
        if made.use is None or decision is None:
            many = declared = self._texts(None, made.fields, {}, declared=False)
            return self._guarded(parameters, many, declared, (), None)
        template = templates.of(made.table, made.use.entry, decision)
        fields = self._kept(decision)
        self._shown(template, fields, decision)
        shown = {field: template.field(field) for field in made.read}
        many = self._texts(template, fields, shown, declared=False)
        declared = self._texts(template, fields, shown, declared=True)
        return self._guarded(parameters, many, declared, template.rules((*made.read, *fields)), template)

    def _guarded(
        self,
        parameters: Parameters,
        many: tuple[Text, Text],
        declared: tuple[Text, Text],
        rules: tuple[str, ...],
        template: Template | None,
    ) -> Guarded:
        made = self._settled
        return Guarded(
            kind=made.kind,
            dialect=self._dialect.name,
            columns=(),
            depths=tuple(0 for _ in (template.persons if template else ())),
            reduced=False,
            rules=rules,
            many=many[1],
            declared=declared[1],
            parameters=parameters,
            whole=frozenset(),
            patterns=made.patterns,
            related=template.related if template else frozenset(),
            written=Written(
                many=many[0], declared=declared[0], schema=made.table.schema, table=made.table.name, fields=made.fields
            ),
        )

    def _kept(self, decision: Decision) -> tuple[str, ...]:
        """The fields that are written; those that the decision strips are left out, any other refuses."""
        made = self._settled
        said: Mapping[str, Write] = decision.writes.get(made.table.source, {})
        wanted = made.fields if made.kind != "delete" else tuple(made.table.types)
        refused = [field for field in wanted if said.get(field) not in ("keep", "strip")]
        if refused:
            self._refuse(refused, decision)
        kept = tuple(field for field in made.fields if said.get(field) == "keep")
        if made.fields and not kept:
            self._refuse(made.fields, decision)
        return kept

    def _shown(self, template: Template, fields: Sequence[str], decision: Decision) -> None:
        """Refuses what would write over a mask, or compare with what may not be seen."""
        made = self._settled
        over = [field for field in fields if made.kind == "update" and template.reveal(field) == NEVER]
        over += [field for field in sorted(made.read) if template.dropped(field) or template.masks(field)]
        if over:
            self._refuse(over, decision)

    def _refuse(self, fields: Sequence[str], decision: Decision) -> None:
        source = self._settled.table.source
        where = {(source, field) for field in fields}
        reasons = [Reason(rule="GUARD-SQL-WRITE", field=(source, field)) for field in dict.fromkeys(fields)]
        reasons += [reason for reason in decision.reasons if reason.field in where]
        raise Refused(reasons, detail=f"Leave out: {', '.join(dict.fromkeys(fields))}.")

    def _texts(
        self, template: Template | None, fields: tuple[str, ...], shown: Mapping[str, Part], *, declared: bool
    ) -> tuple[Text, Text]:
        """What is looked at before, and the write."""
        made, forms = self._settled, self._dialect.forms
        guarding = template.allowed(fields if made.kind == "update" else (), declared=declared) if template else ()
        allowed = " AND ".join(f"({part.sql})" for part in guarding) or forms.constant(holds=True)
        persons = [place for place, _ in template.places()] if template else []
        answer = ", ".join([f"({allowed})", *persons])
        returned = self._returned(template, guarding, allowed, answer)
        own = tuple(sorted({name for part in (*guarding, *shown.values()) for name in part.own}))
        reads = (
            template.persons_read.union(*(part.reads for part in (*guarding, *shown.values())))
            if template
            else frozenset()
        )
        where = _treated(made.where, shown)
        # Who acts for one person names rows of this person: what becomes of others is nobody's question.
        about = guarding[0].sql if declared and guarding else forms.constant(holds=True)
        of = f"{made.table.sql} AS {ROW}"
        match made.kind:
            case "insert":
                before = self._rows_to_come(template)
                rows = ", ".join(f"({', '.join(self._kept_of(row, fields))})" for row in made.values)
                names = ", ".join(name_of(field) for field in fields)
                text = f"INSERT INTO {of} ({names}) VALUES {rows} RETURNING {returned}"
            case "update":
                before = self._rows_before(of, answer, allowed, where, (about, _treated(made.keys, shown)))
                values = [_treated(one, shown) for one in self._kept_of(made.values[0], fields)]
                sets = ", ".join(f"{name_of(field)} = {value}" for field, value in zip(fields, values, strict=True))
                text = f"UPDATE {of} SET {sets} WHERE ({where}) AND ({allowed}) RETURNING {returned}"
            case _:
                before = self._rows_before(of, answer, allowed, where, (about, _treated(made.keys, shown)))
                text = f"DELETE FROM {of} WHERE ({where}) AND ({allowed}) RETURNING {returned}"
        # What the table itself is asked for: UPDATE and DELETE find its rows, all return from it.
        reads |= {(made.table.schema, made.table.name, field) for field in ("", *self._columns_read())}
        return Text(before, own, reads), Text(text, own, reads)

    def _returned(self, template: Template | None, guarding: Sequence[Part], allowed: str, answer: str) -> str:
        """The answer as RETURNING gives it: in SQLite it knows the table by its own name only."""
        table = self._settled.table
        if self._dialect.forms.alias_returns or template is None:
            return answer
        name = name_of(table.name)
        read = {
            field for part in guarding for schema, of, field in part.reads if (schema, of) == (table.schema, table.name)
        }
        row = ", ".join(f"{name}.{name_of(field)} AS {name_of(field)}" for field in sorted(read)) or "1 AS one"
        persons = [place for place, _ in template.places(name)]
        return ", ".join([f"(SELECT ({allowed}) FROM (SELECT {row}) AS {ROW})", *persons])

    def _columns_read(self) -> frozenset[str]:
        return self._settled.read if self._settled.use is not None else frozenset(self._settled.table.types)

    def _kept_of(self, row: tuple[str, ...], fields: tuple[str, ...]) -> list[str]:
        return [value for field, value in zip(self._settled.fields, row, strict=True) if field in fields]

    def _rows_before(self, of: str, answer: str, allowed: str, where: str, named: Sequence[str]) -> str:
        """`named`: what has to hold of every row that it names, permitted or not."""
        asked = " AND ".join(f"({one})" for one in named)
        return f"SELECT {answer} FROM {of} WHERE {asked} AND (({where}) OR ({allowed}) IS NOT TRUE)"

    def _rows_to_come(self, template: Template | None) -> str:
        """The persons whom the rows of an INSERT name; whether the rows are permitted shows once they are there."""
        made, forms = self._settled, self._dialect.forms
        said = forms.constant(holds=True)
        asked: list[str] = []
        for row in made.values:
            values = dict(zip(made.fields, row, strict=True))
            persons = [
                forms.person(f"({values[column]})", made.table.types[column]) if column in values else "NULL"
                for _, column in (template.places() if template else ())
            ]
            asked.append(f"SELECT {', '.join([f'({said})', *persons])}")
        return " UNION ALL ".join(asked)


def _treated(text: str, shown: Mapping[str, Part]) -> str:
    """The text with the treated value for each column."""

    def one(found: re.Match[str]) -> str:
        field = found[1][1:-1].replace('""', '"')
        return shown[field].sql if field in shown else f"{ROW}.{found[1]}"

    return _FIELD.sub(one, text)
