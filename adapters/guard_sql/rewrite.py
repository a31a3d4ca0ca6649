"""A settled query and a decision make the guarded statement.

The text around the markers is written and read back once for all decisions that leave the same outputs; then
each marker is replaced by the template of its table: what is not a column of the template does not exist for the
statement. Dropped fields leave `*`, are a typed NULL where they are an output of their own, and refuse the
statement anywhere else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from guard.errors import Refused
from guard.model import Decision, Reason
from guard_sql.dialects import Dialect
from guard_sql.guarded import Guarded, Text
from guard_sql.parameters import Parameters
from guard_sql.refusal import sql_refused
from guard_sql.scope import MARKER, Use
from guard_sql.settled import Resolved
from guard_sql.template import Template, Templates
from guard_sql.verify import outer
from guard_sql.writing import write

_MARKER: Final = f'"{MARKER}'


class Around(Struct, frozen=True, eq=False):
    """The text around the markers and the number of each marker between, and the visible columns."""

    parts: tuple[str | int, ...]
    columns: tuple[str, ...]


class Query:
    """A settled query, ready for decisions. Immutable but for what it remembers of its own text."""

    def __init__(self, resolved: Resolved, dialect: Dialect) -> None:
        self._resolved: Final = resolved
        self._dialect: Final = dialect
        self._around: dict[frozenset[int], Around] = {}

    def rewritten(self, parameters: Parameters, templates: Templates, decision: Decision | None) -> Guarded:
        """The guarded form. `decision` is None for a statement without personal data."""
        resolved = self._resolved
        made = _templates(resolved.uses, templates, decision)
        if decision is not None:
            _nothing_dropped(resolved, made, decision)
        around = self._without(self._removed(made))
        named = {use: tuple(name for name in use.table.types if name in use.named) for use in resolved.uses}
        return Guarded(
            kind="select",
            dialect=self._dialect.name,
            columns=around.columns,
            depths=resolved.persons,
            reduced=self._reduces(made, named),
            rules=_rules(resolved, made),
            many=self._spliced(around, made, named, declared=False),
            declared=self._spliced(around, made, named, declared=True),
            parameters=parameters,
            whole=resolved.whole,
            patterns=resolved.patterns,
            related=frozenset(source for template in made.values() for source in template.related),
            ctes=resolved.ctes,
            public=frozenset((schema, table) for schema, table, _ in resolved.public),
        )

    def _removed(self, made: Mapping[Use, Template]) -> frozenset[int]:
        """The places of outputs that come from `*` and may not be seen."""
        return frozenset(
            place
            for place, output in enumerate(self._resolved.outputs)
            if output.star and output.origins and all(made[use].dropped(name) for use, name in output.origins)
        )

    def _without(self, removed: frozenset[int]) -> Around:
        known = self._around.get(removed)
        if known is not None:
            return known
        resolved = self._resolved
        tree = resolved.tree.copy() if removed else resolved.tree
        columns = tuple(one.name for place, one in enumerate(resolved.outputs) if place not in removed)
        if not columns:
            raise Refused.own("GUARD-SQL-DROPPED", "Of this table no field may be seen.")
        if removed:
            tree.set("expressions", [one for place, one in enumerate(tree.expressions) if place not in removed])
        sql = write(tree, self._dialect)
        tables: set[tuple[str | None, str]] = {(None, use.marker) for use in resolved.uses}
        tables |= {(None, name) for name in resolved.ctes}
        tables |= {(schema, table) for schema, table, _ in resolved.public}
        fields = {name for use in resolved.uses for name in use.named} | {name for _, _, name in resolved.public}
        outer(sql, tree, self._dialect, tables, fields)
        made = self._around[removed] = Around(_split(sql), columns)
        return made

    def _reduces(self, made: Mapping[Use, Template], named: Mapping[Use, tuple[str, ...]]) -> bool:
        if any(template.reduces(named[use]) for use, template in made.items()):
            return True
        return any(made[use].dropped(name) for output in self._resolved.outputs for use, name in output.origins)

    def _spliced(
        self, around: Around, made: Mapping[Use, Template], named: Mapping[Use, tuple[str, ...]], *, declared: bool
    ) -> Text:
        uses = self._resolved.uses
        fenced = self._resolved.fenced
        pieces = [made[use].text(named[use], declared=declared, bounds=use.bounds if fenced else None) for use in uses]
        parts = tuple(pieces[one] if isinstance(one, int) else one for one in around.parts)
        return Text(
            "".join([one if isinstance(one, str) else one.sql for one in parts]),
            own=tuple(sorted({name for piece in pieces for name in piece.own})),
            reads=self._resolved.public.union(*(piece.reads for piece in pieces)),
            templates=tuple(dict.fromkeys(piece.sql for piece in pieces)),
            joined=parts,
        )


def _split(sql: str) -> tuple[str | int, ...]:
    """A text at its markers: the text between them, and their numbers."""
    first, *others = sql.split(_MARKER)
    parts: list[str | int] = [first]
    for one in others:
        number, _, text = one.partition('"')
        parts += (int(number), text)
    return tuple(parts)


def _templates(uses: tuple[Use, ...], templates: Templates, decision: Decision | None) -> dict[Use, Template]:
    if decision is None:
        if uses:
            raise sql_refused("It cannot be read.")
        return {}
    return {use: templates.of(use.table, use.entry, decision) for use in uses}


def _nothing_dropped(resolved: Resolved, made: Mapping[Use, Template], decision: Decision) -> None:
    """Refuses a dropped field in any place but an output of its own."""
    fields = sorted(
        {
            (use.table.source, name)
            for use, template in made.items()
            for source, name in resolved.inside
            if source == use.table.source and template.dropped(name)
        }
    )
    if not fields:
        return
    reasons = [Reason(rule="GUARD-SQL-DROPPED", field=field) for field in fields]
    reasons += [reason for reason in decision.reasons if reason.field in set(fields)]
    raise Refused(reasons, detail=f"Leave out: {', '.join(name for _, name in fields)}.")


def _rules(resolved: Resolved, made: Mapping[Use, Template]) -> tuple[str, ...]:
    found: set[str] = set()
    for use, template in made.items():
        found.update(template.rules(tuple(name for source, name in resolved.roles if source == use.table.source)))
    return tuple(sorted(found))
