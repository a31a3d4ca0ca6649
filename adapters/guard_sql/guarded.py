"""The guarded statement: text that may be cached, values that are bound each time, persons that are read back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Literal, NamedTuple, TypeAlias

from msgspec import Struct

from guard.effects import Values
from guard.errors import Misuse
from guard.model import Facts
from guard_sql import paramstyle, witness_postgres
from guard_sql.conditions import values
from guard_sql.parameters import Parameters, parameter_name, place_of
from guard_sql.persons import named_in
from guard_sql.witness import Witness, writing

Kind: TypeAlias = Literal["select", "insert", "update", "delete"]


class Sent(NamedTuple):
    """A text as PostgreSQL itself reads it, with `$1`, `$2` … for its parameters."""

    sql: str
    names: tuple[str, ...]
    """What the parameters are called elsewhere."""
    places: tuple[int, ...]
    """Which of the program's parameters come first."""
    values: Callable[[Facts], tuple[str | int | None, ...]]
    """What gives those of the guard, which follow, their values."""


class Text(Struct, frozen=True, eq=False, dict=True):
    """One form of the statement, with the guard's own parameters in it and the columns that it reads.

    `reads` are (schema, table, column), the column '' for the table itself; `templates` the subqueries that stand
    for personal tables; `joined` what it was put together from, each part with its quotes closed.
    """

    sql: str
    own: tuple[str, ...] = ()
    reads: frozenset[tuple[str, str, str]] = frozenset()
    templates: tuple[str, ...] = ()
    joined: tuple[str | Text, ...] = ()

    @cached_property
    def values(self) -> Callable[[Facts], tuple[str | int | None, ...]]:
        """What gives its own parameters their values."""
        return values(self.own)

    @cached_property
    def split(self) -> tuple[str, ...]:
        """The text around its parameters: text, name, text, name, …, text."""
        made = [""]
        for one in self.joined or (self.sql,):
            first, *others = paramstyle.split(one) if isinstance(one, str) else one.split
            made[-1] += first
            made += others
        return tuple(made)

    @cached_property
    def sent(self) -> Sent:
        """The text for PostgreSQL: worked out once. A name that occurs twice has one number."""
        split = self.split
        used = {*split[1::2]}
        own = tuple(name for name in self.own if name in used)
        places = tuple(sorted(place_of(name) for name in used.difference(own)))
        names = (*map(parameter_name, places), *own)
        numbers = {name: f"${number}" for number, name in enumerate(names, start=1)}
        sql = "".join([numbers[one] if at % 2 else one for at, one in enumerate(split)])
        return Sent(sql, names, places, values(own))


class Written(Struct, frozen=True, eq=False):
    """What a write looks at before, without and with a declared person, and what it writes."""

    many: Text
    declared: Text
    schema: str
    table: str
    fields: tuple[str, ...]


class Guarded(Struct, frozen=True, eq=False, dict=True, weakref=True):
    """What may be run instead of the statement. Nothing in it depends on who acts or on whom."""

    kind: Kind
    dialect: str
    columns: tuple[str, ...]
    """The visible output names."""
    depths: tuple[int, ...]
    """For each hidden column behind them how deeply its JSON arrays of persons are nested; 0 is one person."""
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
    related: frozenset[str] = frozenset()
    """The sources that relations of its conditions read."""
    ctes: frozenset[str] = frozenset()
    """The names that its WITH defines."""
    written: Written | None = None
    """What it writes, if it does."""
    public: frozenset[tuple[str, str]] = frozenset()
    """The tables without personal data that it names: (schema, table)."""

    @property
    def hidden(self) -> int:
        """How many columns follow the visible ones, which stay in the process."""
        return len(self.depths)

    @property
    def collected(self) -> bool:
        """Whether a row may stand for several persons together, so that it cannot be cut for one of them."""
        return any(self.depths)

    @cached_property
    def witness(self) -> Witness:
        """What SQLite's own parser must report of either text."""
        if self.written is None:
            return Witness(self.declared.reads, self.ctes)
        one = self.written
        return Witness(
            self.declared.reads | one.declared.reads,
            writes=writing(self.kind, one.schema, one.table, one.fields),
        )

    @cached_property
    def expected(self) -> witness_postgres.Expected:
        """What PostgreSQL's own parser must report of any of its texts."""
        texts = self._texts
        kinds, written = frozenset({self.kind}), None
        if self.written is not None:
            kinds |= {"select"}
            written = (self.written.schema, self.written.table)
        return witness_postgres.Expected(
            kinds=kinds,
            templates=tuple(dict.fromkeys(one for text in texts for one in text.templates)),
            public=self.public,
            reads=frozenset[tuple[str, str, str]]().union(*(text.reads for text in texts)),
            ctes=self.ctes,
            written=written,
            fields=frozenset(self.written.fields if self.written is not None else ()),
        )

    @cached_property
    def witnessed(self) -> dict[str, bytes]:
        """What an adapter sends for each text that the database's own parser has read; it goes with the statement."""
        return {}

    def names(self, sql: str) -> tuple[str, ...]:
        """What `$1`, `$2` … are called elsewhere in one of its texts."""
        return next((text.sent.names for text in self._texts if text.sent.sql == sql), ())

    @cached_property
    def _texts(self) -> tuple[Text, ...]:
        written = () if self.written is None else (self.written.many, self.written.declared)
        return (self.many, self.declared, *written)

    @property
    def text(self) -> str:
        """The text without a declared person: what to show where no person is at hand."""
        return self.many.sql

    def bind(
        self, parameters: Sequence[object] | Mapping[str, object] | None, facts: Facts | None
    ) -> tuple[str, Values]:
        """The text to run and all its parameters. `facts` may be None for a public statement only."""
        text = self.many if facts is None or facts.subject is None else self.declared
        return self._bound(text, parameters, facts)

    def before(
        self, parameters: Sequence[object] | Mapping[str, object] | None, facts: Facts | None
    ) -> tuple[str, Values]:
        """For a write: the text that lists the rows that it may touch, as (allowed, *hidden), and its parameters."""
        if self.written is None:
            raise Misuse("This statement writes nothing.")
        text = self.written.many if facts is None or facts.subject is None else self.written.declared
        return self._bound(text, parameters, facts)

    def _bound(
        self, text: Text, parameters: Sequence[object] | Mapping[str, object] | None, facts: Facts | None
    ) -> tuple[str, Values]:
        made = self.parameters.bind(parameters, self.whole, self.patterns, self.dialect)
        if facts is None and self.depths:
            raise Misuse("This statement touches personal data: bind() needs the facts.")
        if self.dialect == "sqlite":
            own = () if facts is None else zip(text.own, text.values(facts), strict=True)
            return text.sql, dict(zip(self.parameters.named, made, strict=True)) | dict(own)
        sent = text.sent
        if sent.places != self.parameters.places:
            made = [made[place] for place in sent.places]
        if facts is not None:
            made += sent.values(facts)
        return sent.sql, tuple(made)

    def persons(self, hidden: Sequence[object]) -> tuple[str, ...]:
        """The keys of the persons behind one row, from the values of its hidden columns, without repeats."""
        if len(hidden) != self.hidden:
            raise Misuse("These are not the hidden columns of a row.")
        return named_in(hidden, self.depths)
