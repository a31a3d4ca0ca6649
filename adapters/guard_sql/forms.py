"""What the guard itself writes, where databases write it differently: the seam under conditions, masks and holds.

Every form is text. A place is a qualified column or another expression. What comes back as a condition can be
joined with AND as it is, is never true where its place is NULL, and cannot fail over a value: the planner may run
it before any filter, and an error would tell a hidden value.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import ClassVar, Final

from sqlglot import exp

from guard.errors import Refused
from guard.model import Operator, Scalar
from guard_sql.parameters import LARGEST, SMALLEST

KEY: Final = "k"
"""The alias of the persons that `Forms.keys` lists."""

SIGNS: Final[Mapping[Operator, str]] = MappingProxyType(
    {"eq": "=", "ne": "<>", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}
)


class Forms(ABC):
    """One dialect's forms."""

    nodes: ClassVar[Mapping[type[exp.Expr], frozenset[str]]]
    """The node types that they consist of beside those of `parts.NODES`, each with the arguments it has."""
    casts: ClassVar[frozenset[exp.DType]]
    """The types that they name by a word of SQL."""
    collations: ClassVar[frozenset[str]]
    """The collations that they name, of `schema`."""
    schema: ClassVar[str] = ""
    """The schema that stands before every function, operator, type and collation; '' where none has to."""
    functions: ClassVar[frozenset[str]] = frozenset()
    """The functions of `schema` that they call."""
    operators: ClassVar[frozenset[str]] = frozenset()
    """The operators of `schema` that they use, with it."""
    types: ClassVar[frozenset[str]] = frozenset()
    """The types of `schema` that they name."""
    alias_returns: ClassVar[bool] = True
    """Whether RETURNING knows the alias of the table that is written, or its name alone."""

    # --- Persons

    @abstractmethod
    def exact(self, place: str, field_type: str) -> str:
        """The key in a column as canonical text that compares byte by byte, whatever the column's own collation."""

    @abstractmethod
    def person(self, place: str, field_type: str) -> str:
        """The key in a subject column as the hidden column of a template."""

    @abstractmethod
    def present(self, place: str, field_type: str) -> str:
        """The column names a person."""

    @abstractmethod
    def native(self, place: str, field_type: str, wanted: str) -> str | None:
        """The column as a column of the type `wanted` compares with it by its index; None where none can.

        Such a comparison stands beside the exact one, and can only narrow it.
        """

    @abstractmethod
    def keys(self, parameter: str) -> str:
        """What stands behind FROM to list the persons in a parameter, under the alias `KEY`."""

    @abstractmethod
    def keys_value(self, subjects: Iterable[str]) -> str:
        """The value of that parameter. A key that no column can hold is left out."""

    @abstractmethod
    def key(self) -> str:
        """A person of `keys` as canonical text that compares byte by byte."""

    @abstractmethod
    def key_native(self, wanted: str) -> str:
        """The same as a column of the type `wanted` compares with it by its index."""

    # --- Values

    @abstractmethod
    def parameter(self, name: str) -> str:
        """A parameter of the guard's."""

    @abstractmethod
    def literal(self, text: str) -> str:
        """A text of the policy's or the catalogue's. `Refused` where a literal could not hold it."""

    @abstractmethod
    def constant(self, *, holds: bool) -> str:
        """A condition that always or never holds."""

    @abstractmethod
    def binary(self, left: str, operator: Operator, right: str) -> str:
        """A comparison of two expressions of one kind."""

    @abstractmethod
    def among(self, place: str, wanted: Iterable[str]) -> str:
        """An expression is one of these, of which there is at least one."""

    @abstractmethod
    def compare(self, place: str, operator: Operator, wanted: Scalar, field_type: str) -> str:
        """A column compares with a value of the policy's. A value of another kind never fulfils it.

        `Refused` with GUARD-DECISION-CONDITION where the two have no order in common.
        """

    @abstractmethod
    def day(self, place: str, operator: Operator, parameter: str, field_type: str) -> str:
        """The day of a date or timestamp compares with the day (ISO text) in a parameter of the guard's."""

    # --- Masks

    @abstractmethod
    def unreadable(self, place: str, field_type: str) -> str:
        """The column, which is not NULL, holds what no mask reads."""

    @abstractmethod
    def read(self, place: str) -> str:
        """What a mask reads of a column: text whose characters are found and compared as they are."""

    @abstractmethod
    def length(self, text: str) -> str:
        """The characters (code points) of a text."""

    @abstractmethod
    def part(self, text: str, start: int, count: int | str | None = None) -> str:
        """`count` characters of a text from the one at `start` (from 1), or all of them from there."""

    @abstractmethod
    def end(self, text: str, count: int) -> str:
        """The last characters of a text that has at least as many."""

    @abstractmethod
    def find(self, text: str, mark: str) -> str:
        """The place (from 1) of a character in a text; 0 where it is not in it."""

    @abstractmethod
    def joined(self, *texts: str) -> str:
        """Texts one behind the other."""

    @abstractmethod
    def masked(self, text: str) -> str:
        """A masked text as an output: it compares as the database's texts do."""

    @abstractmethod
    def shown(self, place: str, field_type: str) -> str:
        """A column as it is, where a masked text stands in other rows of the same output."""

    @abstractmethod
    def text(self, expression: str) -> str:
        """An expression as text."""


def incomparable() -> Refused:
    """The refusal of a condition that compares what has no order in common."""
    return Refused.own("GUARD-DECISION-CONDITION")


def whole(wanted: int) -> int:
    """A number of the policy's that a database holds (64 bits). `Refused` beyond."""
    if not SMALLEST <= wanted <= LARGEST:
        raise incomparable()
    return int(wanted)


def number(key: str) -> int | None:
    """A key as the integer of which it is the canonical text, or None."""
    digits = key.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()) or (digits[0] == "0" and key != "0") or len(digits) > 19:
        return None
    made = int(key)
    return made if SMALLEST <= made <= LARGEST else None


def held(text: str) -> bool:
    """Whether a text of a database can be this one: it has no NUL and no half of a character."""
    return "\0" not in text and (text.isascii() or not any("\ud800" <= one <= "\udfff" for one in text))
