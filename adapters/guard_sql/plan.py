"""What a statement does to personal data, before anything is decided: the adapter's side of an Activity."""

from __future__ import annotations

from typing import Final

from guard.catalogue import Source
from guard.errors import Misuse, Refused
from guard.model import Decision, Item, Role
from guard.wire import ordered
from guard_sql.grammar import check
from guard_sql.guarded import Guarded
from guard_sql.parameters import Parameters
from guard_sql.resolve import Resolved, resolve
from guard_sql.rewrite import rewrite
from guard_sql.site import Site
from guard_sql.template import Templates
from guard_sql.text import read


class Plan:
    """A statement that the guard can guarantee: what it touches, and how to rewrite it once it is decided.

    Immutable and free of persons; it may be kept and shared between threads. The text of the statement is
    kept without its values.
    """

    def __init__(self, resolved: Resolved, statement: str, parameters: Parameters, templates: Templates) -> None:
        self._resolved: Final = resolved
        self._templates: Final = templates
        self._parameters: Final = parameters
        self.kind: Final = "select"
        """What the statement does with rows."""
        self.statement: Final = statement
        """The statement with `?` for every literal and parameter, `c1`, `c2` … for aliases, without comments."""
        self.source: Final = resolved.table.source if resolved.table else None
        """The catalogue name of the table, or None where the statement has no table."""
        self.items: Final = _items(resolved)
        self.public: Final = not self.items
        """Whether the statement touches no personal source: it needs no activity."""

    def apply(self, decision: Decision | None) -> Guarded:
        """The guarded statement; None for a public plan. `Refused` where the decision leaves nothing to run."""
        if self.public:
            return rewrite(self._resolved, self._parameters, self._templates, None)
        if decision is None:
            raise Misuse("This statement touches personal data: apply() needs its decision.")
        if decision.allow is not True:
            raise Refused(decision.reasons)
        return rewrite(self._resolved, self._parameters, self._templates, decision)


def plan(sql: str, site: Site) -> Plan:
    """Reads a statement.

    Raises `Refused` with GUARD-SQL, GUARD-SQL-PARAMETERS, GUARD-SQL-TABLE, GUARD-SQL-COLUMN or
    GUARD-SQL-FUNCTION; the detail says what is not let through, without repeating a value.
    """
    world = site.world
    reading = read(sql, world, longest=site.statement)
    if reading.parameters.total > site.parameters:
        raise Refused.own("GUARD-SQL-PARAMETERS", f"It takes more than {site.parameters} parameters.")
    check(reading.tree, world.dialect, reading.additions)
    return Plan(resolve(reading, world), reading.statement, reading.parameters, site.templates)


def _items(resolved: Resolved) -> tuple[Item, ...]:
    table = resolved.table
    if table is None or not isinstance(table.entry, Source):
        return ()
    entry, source = table.entry, table.source
    fields = [entry.field_item(source, field, role) for field, role in resolved.roles.items()]
    return ordered([entry.item(source, _role(resolved)), *fields])


def _role(resolved: Resolved) -> Role:
    """The use of the rows themselves: they are shown, unless the result only summarises them."""
    shown = "read" in resolved.roles.values()
    return "read" if shown or not resolved.grouped else "aggregate"
