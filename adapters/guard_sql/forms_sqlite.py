"""SQLite's forms.

A column holds whatever was put into it: the kind of each value is asked for (`typeof`), since any text is above
any number. A NUL ends the reading of a statement and of the text functions.
"""

# ruff: noqa: D102, ARG002 — what the methods mean is said once, in `Forms`; a form may need less than it is told

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import ClassVar, Final

from sqlglot import exp

from guard.model import Operator, Scalar
from guard_sql.forms import KEY, SIGNS, Forms, held, incomparable, whole

_PAIR: Final = frozenset({"this", "expression"})
_THIS: Final = frozenset({"this"})


class Sqlite(Forms):
    """What stands in guarded text on SQLite."""

    alias_returns: ClassVar[bool] = False
    nodes: ClassVar[Mapping[type[exp.Expr], frozenset[str]]] = MappingProxyType(
        {
            **dict.fromkeys((exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE, exp.Glob), _PAIR),
            exp.DPipe: _PAIR | {"safe"},
            exp.In: frozenset({"this", "expressions"}),
            exp.Neg: _THIS,
            exp.Typeof: _THIS,
            exp.Substring: frozenset({"this", "start", "length"}),
            exp.Length: frozenset({"this", "binary"}),
            exp.StrPosition: frozenset({"this", "substr"}),
            exp.Chr: frozenset({"expressions"}),
        }
    )
    casts: ClassVar[frozenset[exp.DType]] = frozenset({exp.DType.TEXT, exp.DType.INT})
    collations: ClassVar[frozenset[str]] = frozenset({"BINARY"})

    def exact(self, place: str, field_type: str) -> str:
        """A cast alone would keep the column's collation."""
        return f"{self.person(place, field_type)} COLLATE BINARY"

    def person(self, place: str, field_type: str) -> str:
        return self.text(place)

    def present(self, place: str, field_type: str) -> str:
        return f"typeof({place}) IN ('integer', 'text')"

    def native(self, place: str, field_type: str, wanted: str) -> str | None:
        return place

    def keys(self, parameter: str) -> str:
        return f"json_each({self.parameter(parameter)}) AS {KEY}"

    def keys_value(self, subjects: Iterable[str]) -> str:
        """A key with a NUL would be read as the one before it."""
        return json.dumps([key for key in subjects if held(key)], ensure_ascii=False)

    def key(self) -> str:
        return f"{KEY}.value"

    def key_native(self, wanted: str) -> str:
        return f"CAST({KEY}.value AS INTEGER)" if wanted == "integer" else f"{KEY}.value"

    def parameter(self, name: str) -> str:
        return f":{name}"

    def literal(self, text: str) -> str:
        if "\0" in text:
            raise incomparable()
        return "'" + text.replace("'", "''") + "'"

    def constant(self, *, holds: bool) -> str:
        return "1 = 1" if holds else "1 = 0"

    def binary(self, left: str, operator: Operator, right: str) -> str:
        return f"{left} {SIGNS[operator]} {right}"

    def among(self, place: str, wanted: Iterable[str]) -> str:
        return f"{place} IN ({', '.join(wanted)})"

    def compare(self, place: str, operator: Operator, wanted: Scalar, field_type: str) -> str:
        sign = SIGNS[operator]
        if isinstance(wanted, str):
            return f"(typeof({place}) = 'text' AND {place} {sign} {self.literal(wanted)} COLLATE BINARY)"
        return f"(typeof({place}) IN ('integer', 'real') AND {place} {sign} {whole(wanted)})"

    def day(self, place: str, operator: Operator, parameter: str, field_type: str) -> str:
        """What is no ISO date is hidden."""
        form = "'[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]" + ("'" if field_type == "date" else "*'")
        return (
            f"(typeof({place}) = 'text' AND {place} GLOB {form} "
            f"AND substr({place}, 1, 10) {SIGNS[operator]} {self.parameter(parameter)})"
        )

    def unreadable(self, place: str, field_type: str) -> str:
        return f"typeof({place}) NOT IN ('integer', 'text') OR instr({self.read(place)}, char(0)) > 0"

    def read(self, place: str) -> str:
        return self.text(place)

    def length(self, text: str) -> str:
        return f"length({text})"

    def part(self, text: str, start: int, count: int | str | None = None) -> str:
        return f"substr({text}, {start})" if count is None else f"substr({text}, {start}, {count})"

    def end(self, text: str, count: int) -> str:
        return f"substr({text}, -{count})"

    def find(self, text: str, mark: str) -> str:
        return f"instr({text}, {self.literal(mark)})"

    def joined(self, *texts: str) -> str:
        return " || ".join(texts)

    def masked(self, text: str) -> str:
        return text

    def shown(self, place: str, field_type: str) -> str:
        return place

    def text(self, expression: str) -> str:
        return f"CAST({expression} AS TEXT)"
