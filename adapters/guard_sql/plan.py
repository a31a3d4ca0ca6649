"""What a statement does to personal data, before anything is decided: the adapter's side of an Activity."""

from __future__ import annotations

from typing import Final

from guard.errors import Misuse, Refused
from guard.model import Decision, Item, Role
from guard.wire import ordered
from guard_sql.grammar import check
from guard_sql.guarded import Guarded, Kind
from guard_sql.parameters import Parameters
from guard_sql.resolve import Resolved, resolve
from guard_sql.rewrite import Query
from guard_sql.site import Site
from guard_sql.text import read


class Plan:
    """A statement that the guard can guarantee: what it touches, and how to rewrite it once it is decided.

    Immutable and free of persons; it may be kept and shared between threads. The text of the statement is
    kept without its values.
    """

    def __init__(self, resolved: Resolved, statement: str, parameters: Parameters, site: Site) -> None:
        self._query: Final = Query(resolved, site.world.dialect)
        self._templates: Final = site.templates
        self._parameters: Final = parameters
        self.kind: Final[Kind] = "select"
        """What the statement does with rows."""
        self.statement: Final = statement
        """The statement with `?` for every literal and parameter, `c1`, `c2` … for aliases, without comments."""
        self.sources: Final = tuple(dict.fromkeys(use.table.source for use in resolved.uses))
        """The catalogue names of the personal tables that it touches, in order of appearance."""
        self.writes: Final[str | None] = None
        """The source that it writes, if it does."""
        self.items: Final = _items(resolved)
        self.public: Final = not self.items
        """Whether the statement touches no personal source: it needs no activity."""

    def apply(self, decision: Decision | None) -> Guarded:
        """The guarded statement; None for a public plan. `Refused` where the decision leaves nothing to run."""
        if self.public:
            return self._query.rewritten(self._parameters, self._templates, None)
        if decision is None:
            raise Misuse("This statement touches personal data: apply() needs its decision.")
        if decision.allow is not True:
            raise Refused(decision.reasons)
        return self._query.rewritten(self._parameters, self._templates, decision)


def plan(sql: str, site: Site, *, pyformat: bool = False) -> Plan:
    """Reads a statement. `pyformat`: its parameters are written as psycopg reads them.

    Raises `Refused` with GUARD-SQL, GUARD-SQL-PARAMETERS, GUARD-SQL-TABLE, GUARD-SQL-COLUMN or
    GUARD-SQL-FUNCTION; the detail says what is not let through, without repeating a value.
    """
    world = site.world
    reading = read(sql, world, longest=site.statement, pyformat=pyformat)
    if reading.parameters.total > site.parameters:
        raise Refused.own("GUARD-SQL-PARAMETERS", f"It takes more than {site.parameters} parameters.")
    check(reading.tree, world.dialect, reading.additions)
    return Plan(resolve(reading, world), reading.statement, reading.parameters, site)


def _items(resolved: Resolved) -> tuple[Item, ...]:
    items: list[Item] = []
    for source, entry in {use.table.source: use.entry for use in resolved.uses}.items():
        fields = [(name, role) for (of, name), role in resolved.roles.items() if of == source]
        items.append(entry.item(source, _role(resolved, [role for _, role in fields])))
        items += [entry.field_item(source, name, role) for name, role in fields]
    return ordered(items)


def _role(resolved: Resolved, roles: list[Role]) -> Role:
    """The use of the rows themselves: they are shown, unless the result only summarises them."""
    return "read" if "read" in roles or not resolved.grouped else "aggregate"
