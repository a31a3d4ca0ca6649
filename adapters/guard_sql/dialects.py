"""What differs between databases, as data.

A dialect lists what it lets through. A node type, an argument, a function or a cast that is not in these
tables is refused, whatever it may do. A new one has besides: the forms that the guard itself writes (`forms`), its
own node types and operators (`grammar`), the types of its parameters (`parameters`), what may fail over a value
(`fallible`), its array of persons (`persons`) and a witness, which is its own parser.

Functions of SQLite are listed only if no argument makes them fail: the planner may run an expression of
the statement before the guard's own row filter, and an error, or its absence, would then tell a hidden
value. So no `abs` (it fails on the smallest integer), no JSON functions, no `replace` (it can outgrow the
longest string); what `trim` takes off and the pattern of LIKE are bounded constants, since both fail when they
are long. `sum` can overflow, but aggregates run after the filter. A test runs everything that is listed over
values at SQLite's limits.

Nearly everything of PostgreSQL can fail, and `fallible` says what stays outside a template. Listed there are
functions that read nothing but their arguments, neither the server nor the session.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any, Final, Generic, TypeVar

import sqlglot
from sqlglot import ErrorLevel, exp

from guard.errors import Misuse
from guard_sql.forms import Forms
from guard_sql.forms_postgres import Postgres
from guard_sql.forms_sqlite import Sqlite

_IDLE: Final = 16
"""The most objects of one kind that are kept for the next statement."""

T = TypeVar("T")


class Idle(Generic[T]):
    """Objects that serve one statement at a time. To make one takes as long as to read a short statement with it.

    One is taken out, and put back unless it failed; what it knows of the statement is forgotten first.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make: Final = make
        self._kept: Final[list[T]] = []

    def take(self) -> T:
        """One that nobody uses."""
        try:
            return self._kept.pop()
        except IndexError:
            return self._make()

    def put(self, one: T) -> None:
        """Keeps it for the next statement."""
        if len(self._kept) < _IDLE:
            self._kept.append(one)


@dataclass(frozen=True, eq=False)
class Dialect:
    """One SQL dialect as the guard reads and writes it."""

    name: str
    functions: Mapping[type[exp.Expr], frozenset[str]]
    """Scalar functions that cannot fail over a value, each with the arguments it may have."""
    aggregates: Mapping[type[exp.Expr], frozenset[str]]
    unnamed: Mapping[str, bool]
    """Functions that sqlglot has no type for, in lower case: whether each is an aggregate."""
    casts: frozenset[Any]
    """Types that `CAST` may name: those that cannot fail and keep their name through the generator."""
    nulls: Mapping[str, Any]
    """A field type of the catalogue -> the SQL type of the NULL that stands for a dropped field."""
    reserved: tuple[str, ...]
    """Beginnings of table names that no statement may name, in lower case."""
    ledger: str
    """The schema of the consent ledger's tables."""
    schemas_hidden: frozenset[str]
    """Schemas that hold no table of the application's: the session's own, the server's, the ledger's."""
    forms: Forms
    """What the guard itself writes."""

    @cached_property
    def engine(self) -> sqlglot.Dialect:
        """The object that sqlglot reads and writes with, made once."""
        return sqlglot.Dialect.get_or_raise(self.name)

    @cached_property
    def tokenisers(self) -> Idle[sqlglot.Tokenizer]:
        """What makes tokens of a text."""
        return Idle(self.engine.tokenizer)

    @cached_property
    def parsers(self) -> Idle[sqlglot.Parser]:
        """What makes a tree of tokens."""
        # The enum: as a string the level is ignored by some builds.
        return Idle(lambda: self.engine.parser(error_level=ErrorLevel.RAISE))

    @cached_property
    def generators(self) -> Idle[sqlglot.Generator]:
        """What makes a text of a tree, every name quoted, without comments."""
        # Names of functions stay as they are: the text has to read back as the very tree.
        return Idle(
            lambda: self.engine.generator(
                identify=True, comments=False, normalize_functions=False, unsupported_level=ErrorLevel.RAISE
            )
        )

    def null(self, field_type: str) -> exp.Cast:
        """The typed NULL of a dropped field."""
        return exp.Cast(this=exp.Null(), to=exp.DataType(this=self.nulls[field_type], nested=False))


_THIS: Final = frozenset({"this"})

_FUNCTIONS: Final[Mapping[type[exp.Expr], frozenset[str]]] = MappingProxyType(
    {
        exp.Lower: _THIS,
        exp.Upper: _THIS,
        exp.Length: _THIS,
        exp.Coalesce: frozenset({"this", "expressions"}),
        exp.Nullif: frozenset({"this", "expression"}),
        exp.Substring: frozenset({"this", "start", "length"}),
        exp.Trim: frozenset({"this", "expression", "position"}),
        exp.Round: frozenset({"this", "decimals"}),
        exp.StrPosition: frozenset({"this", "substr"}),
    }
)
_AGGREGATES: Final[Mapping[type[exp.Expr], frozenset[str]]] = MappingProxyType(
    {
        exp.Count: frozenset({"this", "big_int"}),
        exp.Sum: _THIS,
        exp.Avg: _THIS,
        exp.Min: _THIS,
        exp.Max: _THIS,
    }
)

SQLITE: Final = Dialect(
    name="sqlite",
    functions=MappingProxyType(
        {
            **_FUNCTIONS,
        }
    ),
    aggregates=_AGGREGATES,
    unnamed=MappingProxyType({"total": True}),
    casts=frozenset({exp.DType.TEXT, exp.DType.INT, exp.DType.DOUBLE}),
    nulls=MappingProxyType(
        {
            "text": exp.DType.TEXT,
            "date": exp.DType.TEXT,
            "timestamp": exp.DType.TEXT,
            "json": exp.DType.TEXT,
            "integer": exp.DType.INT,
            "boolean": exp.DType.INT,
            "number": exp.DType.DOUBLE,
            "binary": exp.DType.VARBINARY,
        }
    ),
    reserved=("sqlite_", "guard_", "pragma_"),
    ledger="main",
    schemas_hidden=frozenset({"temp"}),
    forms=Sqlite(),
)

POSTGRES: Final = Dialect(
    name="postgres",
    functions=MappingProxyType(
        {
            **_FUNCTIONS,
            exp.Abs: _THIS,
            exp.Ceil: _THIS,
            exp.Floor: _THIS,
        }
    ),
    aggregates=MappingProxyType(
        {
            **_AGGREGATES,
            exp.LogicalAnd: _THIS,
            exp.LogicalOr: _THIS,
        }
    ),
    unnamed=MappingProxyType({}),
    casts=frozenset(
        {
            *(exp.DType.TEXT, exp.DType.VARCHAR, exp.DType.BOOLEAN),
            *(exp.DType.SMALLINT, exp.DType.INT, exp.DType.BIGINT, exp.DType.DECIMAL, exp.DType.DOUBLE),
            *(exp.DType.DATE, exp.DType.TIMESTAMP, exp.DType.TIMESTAMPTZ),
        }
    ),
    nulls=MappingProxyType(
        {
            "text": exp.DType.TEXT,
            "date": exp.DType.DATE,
            "timestamp": exp.DType.TIMESTAMP,
            "json": exp.DType.JSONB,
            "integer": exp.DType.BIGINT,
            "boolean": exp.DType.BOOLEAN,
            "number": exp.DType.DECIMAL,
            "binary": exp.DType.VARBINARY,
        }
    ),
    reserved=("pg_", "guard_", "information_schema"),
    ledger="guard",
    schemas_hidden=frozenset({"pg_temp", "pg_catalog", "pg_toast", "information_schema", "guard"}),
    forms=Postgres(),
)

_DIALECTS: Final[Mapping[str, Dialect]] = MappingProxyType({"sqlite": SQLITE, "postgres": POSTGRES})


def dialect_of(name: str) -> Dialect:
    """The dialect of this name; `Misuse` where the guard does not speak it."""
    try:
        return _DIALECTS[name]
    except KeyError:
        raise Misuse(f"guard_sql does not speak {name!r}; it speaks {', '.join(sorted(_DIALECTS))}.") from None
