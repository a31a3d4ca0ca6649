"""The guarded statement: text that may be cached, values that are bound each time, persons that are read back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from guard.errors import Misuse
from guard.model import Facts
from guard_sql.conditions import value
from guard_sql.parameters import Parameters
from guard_sql.witness import Witness


@dataclass(frozen=True)
class Text:
    """One form of the statement, with the guard's own parameters in it and the columns that it reads.

    `reads` are (schema, table, column).
    """

    sql: str
    own: tuple[str, ...] = ()
    reads: frozenset[tuple[str, str, str]] = frozenset()


@dataclass(frozen=True, eq=False)
class Guarded:
    """What may be run instead of the statement. Nothing in it depends on who acts or on whom."""

    columns: tuple[str, ...]
    """The visible output names."""
    hidden: int
    """How many columns follow them, which stay in the process."""
    collected: bool
    """Whether a hidden column holds the JSON array of all persons behind a row, not one of them."""
    reduced: bool
    """Whether a named field was dropped, or a row or a value may be missing that the database holds."""
    rules: tuple[str, ...]
    """The rules whose conditions and treatments apply."""
    many: Text
    """The text without a declared person."""
    declared: Text
    """The text for the person that the context declares."""
    parameters: Parameters
    whole: frozenset[str]
    patterns: frozenset[str]

    @cached_property
    def witness(self) -> Witness:
        """What the engine's own parser must report of either text."""
        return Witness(self.declared.reads)

    @property
    def text(self) -> str:
        """The text without a declared person: what to show where no person is at hand."""
        return self.many.sql

    def bind(
        self, parameters: Sequence[object] | Mapping[str, object] | None, facts: Facts | None
    ) -> tuple[str, dict[str, object]]:
        """The text to run and all its parameters, by name. `facts` may be None for a public statement only."""
        made = self.parameters.bind(parameters, self.whole, self.patterns)
        text = self.many if facts is None or facts.subject is None else self.declared
        if facts is None:
            if self.hidden:
                raise Misuse("This statement touches personal data: bind() needs the facts.")
            return text.sql, made
        for name in text.own:
            made[name] = value(name, facts)
        return text.sql, made

    def persons(self, hidden: Sequence[object]) -> tuple[str, ...]:
        """The keys of the persons behind one row, from the values of its hidden columns, without repeats."""
        if len(hidden) != self.hidden:
            raise Misuse("These are not the hidden columns of a row.")
        found: dict[str, None] = {}
        for one in hidden:
            keys = json.loads(one) if self.collected and isinstance(one, str) else [one]
            found.update((key, None) for key in keys if isinstance(key, str))
        return tuple(found)
