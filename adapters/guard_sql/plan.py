"""What a statement does to personal data, before anything is decided: the adapter's side of an Activity."""

from __future__ import annotations

from typing import Final

from msgspec import Struct
from sqlglot import exp

from guard.errors import Misuse, Refused
from guard.model import Decision, Item, Role
from guard.wire import ordered
from guard_sql.changes import Change, items, settle
from guard_sql.grammar import check
from guard_sql.guarded import Guarded, Kind
from guard_sql.resolve import resolve
from guard_sql.rewrite import Query
from guard_sql.settled import Resolved
from guard_sql.site import Site
from guard_sql.text import Reading, read


class Touched(Struct, frozen=True, eq=False):
    """What a statement does to which sources."""

    kind: Kind
    items: tuple[Item, ...]
    sources: tuple[str, ...]
    writes: str | None


class Plan:
    """A statement that the guard can guarantee: what it touches, and how to rewrite it once it is decided.

    Immutable and free of persons; it may be kept and shared between threads. The text of the statement is
    kept without its values.
    """

    def __init__(self, form: Query | Change, touched: Touched, reading: Reading, site: Site) -> None:
        self._form: Final = form
        self._templates: Final = site.templates
        self._parameters: Final = reading.parameters
        self.kind: Final = touched.kind
        """What the statement does with rows."""
        self.statement: Final = reading.statement
        """The statement with `?` for every literal and parameter, `c1`, `c2` … for aliases, without comments."""
        self.sources: Final = touched.sources
        """The catalogue names of the personal tables that it touches, in order of appearance."""
        self.writes: Final = touched.writes
        """The catalogue name of the table that it writes, if it does."""
        self.items: Final = touched.items
        self.public: Final = not self.items
        """Whether the statement touches no personal source: it needs no activity."""

    def apply(self, decision: Decision | None) -> Guarded:
        """The guarded statement; None for a public plan. `Refused` where the decision leaves nothing to run."""
        if self.public:
            return self._form.rewritten(self._parameters, self._templates, None)
        if decision is None:
            raise Misuse("This statement touches personal data: apply() needs its decision.")
        if decision.allow is not True:
            raise Refused(decision.reasons)
        return self._form.rewritten(self._parameters, self._templates, decision)


def plan(sql: str, site: Site, *, pyformat: bool = False) -> Plan:
    """Reads a statement. `pyformat`: its parameters are written as psycopg reads them.

    Raises `Refused` with GUARD-SQL, GUARD-SQL-PARAMETERS, GUARD-SQL-TABLE, GUARD-SQL-COLUMN or
    GUARD-SQL-FUNCTION; the detail says what is not let through, without repeating a value.
    """
    world = site.world
    reading = read(sql, world, longest=site.statement, pyformat=pyformat)
    if reading.parameters.total > site.parameters:
        raise Refused.own("GUARD-SQL-PARAMETERS", f"It takes more than {site.parameters} parameters.")
    kinds = check(reading.tree, world.dialect, reading.additions, reading.sql)
    if isinstance(reading.tree, exp.Query):
        resolved = resolve(reading, world, kinds)
        sources = tuple(dict.fromkeys(use.table.source for use in resolved.uses))
        touched = Touched("select", _items(resolved), sources, None)
        return Plan(Query(resolved, world.dialect), touched, reading, site)
    change = settle(reading, world, kinds)
    made = items(change)
    touched = Touched(change.kind, made, (change.table.source,) if made else (), change.table.source)
    return Plan(Change(change, world.dialect), touched, reading, site)


def _items(resolved: Resolved) -> tuple[Item, ...]:
    found: list[Item] = []
    for source, entry in {use.table.source: use.entry for use in resolved.uses}.items():
        fields: list[tuple[str, Role]] = [(name, role) for (of, name), role in resolved.roles.items() if of == source]
        found.append(entry.item(source, _role(resolved, [role for _, role in fields])))
        found += [entry.field_item(source, name, role) for name, role in fields]
    return ordered(found)


def _role(resolved: Resolved, roles: list[Role]) -> Role:
    """The use of the rows themselves: they are shown, unless the result only summarises them."""
    return "read" if "read" in roles or not resolved.grouped else "aggregate"
