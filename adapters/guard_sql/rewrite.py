"""A settled statement and a decision make the guarded statement.

The table's marker is replaced in the text by the template, after the text around it was read back: what is
not a column of the template does not exist for the statement. Dropped fields leave `*`, are a typed NULL
where they are an output of their own, and refuse the statement anywhere else.
"""

from __future__ import annotations

from typing import Final

from sqlglot import ErrorLevel, exp
from sqlglot.errors import SqlglotError

from guard.catalogue import Source
from guard.errors import Refused
from guard.model import Decision, Reason
from guard_sql.dialects import Dialect
from guard_sql.guarded import Guarded, Text
from guard_sql.parameters import Parameters
from guard_sql.resolve import MARKER, Resolved, column, named
from guard_sql.template import Template, Templates
from guard_sql.text import sql_refused
from guard_sql.verify import outer
from guard_sql.world import Table, World, quoted

_MARKER: Final = quoted(MARKER)


def rewrite(resolved: Resolved, parameters: Parameters, templates: Templates, decision: Decision | None) -> Guarded:
    """The guarded form of a statement. `decision` is None for one without personal data."""
    table = resolved.table
    if table is None or not isinstance(table.entry, Source) or decision is None:
        return _public(resolved, parameters, templates.world)
    dialect = templates.world.dialect
    template = templates.of(table, table.entry, decision)
    _nothing_dropped(resolved, table, template, decision)
    tree, columns = _outputs(resolved, dialect, template)
    sql = write(tree, dialect)
    outer(sql, tree, dialect, {(None, MARKER)}, {*resolved.roles, *template.persons})
    fields = tuple(field for field in table.types if field in resolved.roles and not template.dropped(field))
    shown = any(output.field is not None and template.dropped(output.field) for output in resolved.outputs)
    starred = any(output.star for output in resolved.outputs)
    missing = shown or (starred and any(template.dropped(field) for field in table.types))
    return Guarded(
        columns=columns,
        hidden=len(template.persons),
        collected=resolved.grouped,
        reduced=missing or template.reduces(fields),
        rules=template.rules(resolved.roles),
        many=_spliced(sql, template, fields, declared=False),
        declared=_spliced(sql, template, fields, declared=True),
        parameters=parameters,
        whole=resolved.whole,
        patterns=resolved.patterns,
    )


def _public(resolved: Resolved, parameters: Parameters, world: World) -> Guarded:
    tree, columns = _outputs(resolved, world.dialect, None)
    sql = write(tree, world.dialect)
    table = resolved.table
    tables = {(table.schema, table.name)} if table else set()
    outer(sql, tree, world.dialect, tables, set(table.types) if table else set())
    # A table is read even where no column of it is.
    reads = frozenset((schema, name, field) for schema, name in tables for field in (*resolved.roles, ""))
    text = Text(sql, reads=reads)
    return Guarded(
        columns=columns,
        hidden=0,
        collected=False,
        reduced=False,
        rules=(),
        many=text,
        declared=text,
        parameters=parameters,
        whole=resolved.whole,
        patterns=resolved.patterns,
    )


def _nothing_dropped(resolved: Resolved, table: Table, template: Template, decision: Decision) -> None:
    """Refuses a dropped field in any place but an output of its own."""
    fields = sorted(field for field in resolved.inside if template.dropped(field))
    if not fields:
        return
    where = {(table.source, field) for field in fields}
    reasons = [Reason(rule="GUARD-SQL-DROPPED", field=(table.source, field)) for field in fields]
    reasons += [reason for reason in decision.reasons if reason.field in where]
    raise Refused(reasons, detail=f"Leave out: {', '.join(fields)}.")


def _outputs(resolved: Resolved, dialect: Dialect, template: Template | None) -> tuple[exp.Select, tuple[str, ...]]:
    """A copy of the tree with the outputs that the decision leaves, and their names; the persons come last."""
    tree = resolved.tree.copy()
    types = resolved.table.types if resolved.table else {}
    expressions: list[exp.Expr] = []
    names: list[str] = []
    for output, expression in zip(resolved.outputs, tree.expressions, strict=True):
        if output.star:
            fields = [field for field in types if template is None or not template.dropped(field)]
            expressions += [named(column(field), field) for field in fields]
            names += fields
            continue
        absent = template is not None and output.field is not None and template.dropped(output.field)
        expressions.append(named(dialect.null(types[output.field or ""]), output.name) if absent else expression)
        names.append(output.name)
    if not names:
        raise Refused.own("GUARD-SQL-DROPPED", "Of this table no field may be seen.")
    persons = [(person, column(person)) for person in (template.persons if template else ())]
    expressions += [named(_collected(one) if resolved.grouped else one, person) for person, one in persons]
    tree.set("expressions", expressions)
    return tree, tuple(names)


def _collected(person: exp.Column) -> exp.Expr:
    """All persons behind a row of the result, in the same statement and so in the same snapshot."""
    return exp.JSONArrayAgg(this=exp.Distinct(expressions=[person]))


def write(tree: exp.Select, dialect: Dialect) -> str:
    """The tree as text, every name quoted, without comments."""
    try:
        return dialect.engine.generator(identify=True, comments=False, unsupported_level=ErrorLevel.RAISE).generate(
            tree, copy=False
        )
    except SqlglotError:
        raise sql_refused("It cannot be written in this dialect.") from None


def _spliced(sql: str, template: Template, fields: tuple[str, ...], *, declared: bool) -> Text:
    before, marker, after = sql.partition(_MARKER)
    if not marker or MARKER in before or MARKER in after:
        # A text literal could hold the marker; a template must never land in one.
        raise sql_refused("It cannot be written back.")
    piece = template.text(fields, declared=declared)
    return Text(before + piece.sql + after, own=piece.own, reads=piece.reads)
