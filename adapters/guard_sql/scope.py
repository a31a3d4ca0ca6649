"""What a name can mean: the sources of a FROM clause, their columns, and the scopes around it.

Every occurrence of a source gets an alias of ours (`t0`, `t1`, … throughout the statement), every output of an
inner query a name of ours (`c0`, `c1`, …), every CTE a fresh one. So a name that was understood wrongly fails in
the database, and can never meet another one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final, TypeAlias

from msgspec import Struct, field
from sqlglot import exp

from guard.catalogue import Source
from guard.errors import Refused
from guard.model import Role
from guard.names import near
from guard_sql.world import Table, fold

MARKER: Final = "guard_source_"
"""The beginning of the names that stand for personal tables in a plan's tree; a number follows, and a template
takes the place of the marker in the text."""

CTE: Final = "guard_cte_"
PERSON: Final = "guard_person_"
"""The beginning of the hidden columns' names; a number follows."""

STRENGTH: Final[tuple[Role, ...]] = ("filter", "aggregate", "read")


class Use(Struct, eq=False):
    """One occurrence of a personal table in a statement."""

    number: int
    table: Table
    entry: Source
    named: set[str] = field(default_factory=set)
    """Fields that the text names."""
    bounds: list[Bound] = field(default_factory=list)
    """Comparisons with constants that its rows have to fulfil anyway."""

    @property
    def marker(self) -> str:
        """The name that stands for the table."""
        return f"{MARKER}{self.number}"

    @property
    def persons(self) -> tuple[tuple[str, int], ...]:
        """The hidden columns of its template, each naming one person (depth 0)."""
        return tuple((f"{PERSON}{place}", 0) for place in range(len(self.table.subjects(self.entry))))


class Bound(Struct, frozen=True, eq=False):
    """`field operator constant`: what may be asked inside the fence too, so that an index is used."""

    field: str
    operator: str
    constant: exp.Expr


Read: TypeAlias = tuple[Use, str, Role]
"""A field of a use, and what becomes of it: shown, summarised, or compared with."""


class Field(Struct, frozen=True, eq=False):
    """A column that a source offers. `origins` are set where it is a column of personal tables and nothing else."""

    name: str
    reads: frozenset[Read] = frozenset()
    origins: frozenset[tuple[Use, str]] = frozenset()
    label: str = ""
    """The name as it is written out by `*`."""


AMBIGUOUS: Final = Field("")
"""A name that two columns of one query have."""


class From(Struct, frozen=True, eq=False):
    """One source of a FROM clause, under an alias of ours."""

    alias: str
    called: str
    """How the statement calls it, folded; the schema may be said too where it has no alias (`schema`)."""
    schema: str | None
    fields: Mapping[str, Field]
    """Folded name -> column."""
    persons: tuple[tuple[str, int], ...] = ()
    """Hidden columns that name the persons behind a row, each with the depth of its nesting."""
    use: Use | None = None
    public: Table | None = None


class Scope:
    """The names of one SELECT. `blind` scopes (derived tables) do not see the sources beside them."""

    def __init__(self, parent: Scope | None = None, *, blind: bool = False) -> None:
        self.parent: Final = parent
        self.blind: Final = blind
        self.sources: list[From] = []
        self.merged: dict[str, exp.Expr] = {}
        """Columns that USING made one: folded name -> the expression that it is."""
        self.correlated = False
        """Whether it names a column of a scope around it."""
        self.nested: list[tuple[exp.Expr, int]] = []
        """The persons behind subqueries that depend on a row of this scope."""

    @property
    def aliases(self) -> frozenset[str]:
        """The aliases of its sources."""
        return frozenset(source.alias for source in self.sources)

    def source(self, name: str, schema: str | None) -> From | None:
        """The source of this scope that goes by a name; refused where two do."""
        found = [
            one
            for one in self.sources
            if one.called == name and (schema is None or (one.schema is not None and fold(one.schema) == schema))
        ]
        if len(found) > 1:
            raise Refused.own("GUARD-SQL-COLUMN", "Two sources have one name: give each an alias of its own.")
        return found[0] if found else None

    @property
    def columns(self) -> frozenset[str]:
        """The names of all columns of its sources, folded."""
        return frozenset(name for source in self.sources for name in source.fields)

    def find(self, column: exp.Column) -> tuple[From, Field] | exp.Expr | None:
        """What a column of this scope alone is: a column of a source, a merged one, or nothing."""
        name = fold(column.name)
        qualifier, schema = column.args.get("table"), column.args.get("db")
        if qualifier is not None:
            source = self.source(fold(qualifier.name), fold(schema.name) if schema else None)
            found = source.fields.get(name) if source else None
            if source is not None and found is None:
                raise Refused.own("GUARD-SQL-COLUMN", about("The column", column.this, source.fields))
            return (source, found) if source and found else None
        if name in self.merged:
            return self.merged[name]
        matches = [(source, source.fields[name]) for source in self.sources if name in source.fields]
        if len(matches) > 1:
            raise Refused.own("GUARD-SQL-COLUMN", "A column is in two sources: write which one before it.")
        return matches[0] if matches else None


class FieldsOf(Mapping[str, Field]):
    """The columns of a personal table, as a source offers them: few of many are asked for, and made then."""

    def __init__(self, use: Use) -> None:
        self._use: Final = use
        self._made: dict[str, Field] = {}

    def __getitem__(self, folded: str) -> Field:
        made = self._made.get(folded)
        if made is None:
            use, name = self._use, self._use.table.columns[folded]
            made = Field(name, frozenset({(use, name, "read")}), frozenset({(use, name)}), name)
            self._made[folded] = made
        return made

    def __contains__(self, folded: object) -> bool:
        return folded in self._use.table.columns

    def __iter__(self) -> Iterator[str]:
        return iter(self._use.table.columns)

    def __len__(self) -> int:
        return len(self._use.table.columns)


def bare(node: exp.Expr) -> exp.Expr:
    """An expression without the parentheses around it."""
    while isinstance(node, exp.Paren):
        node = node.this
    return node


def column(alias: str, name: str) -> exp.Column:
    """A column as it stands in guarded text."""
    return exp.Column(this=quoted(name), table=quoted(alias))


def named(expression: exp.Expr, name: str) -> exp.Alias:
    """An output with its name."""
    return exp.Alias(this=expression, alias=quoted(name))


def quoted(name: str) -> exp.Identifier:
    """An identifier in quotes."""
    return exp.Identifier(this=name, quoted=True)


def aliased(source: exp.Expr, alias: str) -> exp.Expr:
    """A source of a FROM clause with its alias."""
    source.set("alias", exp.TableAlias(this=quoted(alias)))
    return source


def derived(query: exp.Expr, alias: str) -> exp.Expr:
    """A query as a source."""
    return aliased(exp.Subquery(this=query), alias)


def select(expressions: Iterable[exp.Expr], source: exp.Expr | None) -> exp.Select:
    """A SELECT over one source."""
    made = exp.Select(expressions=list(expressions))
    if source is not None:
        made.set("from_", exp.From(this=source))
    return made


def about(what: str, name: exp.Expr, known: Collection[str]) -> str:
    """A sentence about an unknown name, and which of the catalogue's was meant, if one of `known` is near.

    A quoted one is not repeated: it may be a value that was meant as text.
    """
    if name.args.get("quoted"):
        return f"{what} in quotes is not in the catalogue; a text is written with single quotes."
    if not name.name.isascii() or not name.name.isidentifier() or len(name.name) > 64:
        return f"{what} is not in the catalogue."
    found = near(fold(name.name), known)
    if found is not None:
        return f"{what} {name.name} is not in the catalogue; did you mean {found}?"
    return f"{what} {name.name} is not in the catalogue: declare it there, or leave it out."
