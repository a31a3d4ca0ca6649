"""PostgreSQL's forms.

Every function, operator, type and collation is named with its schema, `pg_catalog`: one of the same name that an
application owns, on the search path or among its temporary objects, is never called. So there is no IN, BETWEEN,
`||` or plain `=`: the database looks up their operators on the search path. Texts of columns are brought into one
collation before they compare with another column, since two columns of different collations do not compare at all.

A column has the type that the catalogue says, or one like it; where it does not (a number in a column of texts)
the database refuses the statement before it runs, whatever the values are. Nothing is cast but to text, which
cannot fail.
"""

# ruff: noqa: D102, ARG002 — what the methods mean is said once, in `Forms`; a form may need less than it is told

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import date
from functools import reduce
from types import MappingProxyType
from typing import ClassVar, Final

from sqlglot import exp

from guard.model import Operator, Scalar
from guard_sql.forms import KEY, SIGNS, Forms, held, incomparable, number, whole

_TYPES: Final[Mapping[str, str]] = MappingProxyType(
    {"g_now": "bigint", "g_actor_number": "bigint", "g_subject_number": "bigint"}
)
"""The guard's parameters that are no text."""

_READABLE: Final = frozenset({"text", "integer", "date", "timestamp"})
"""The types that a mask reads; a day or time as ISO text."""
_NAN: Final = "CAST('NaN' AS numeric)"


def _operator(left: str, sign: str, right: str) -> str:
    # In parentheses: an operator that is written with its schema binds unlike the plain one.
    return f"({left} OPERATOR(pg_catalog.{sign}) {right})"


class Postgres(Forms):
    """What stands in guarded text on PostgreSQL."""

    nodes: ClassVar[Mapping[type[exp.Expr], frozenset[str]]] = MappingProxyType(
        {
            exp.Operator: frozenset({"this", "operator", "expression"}),
            exp.Dot: frozenset({"this", "expression"}),
            exp.Anonymous: frozenset({"this", "expressions"}),
        }
    )
    casts: ClassVar[frozenset[exp.DType]] = frozenset({exp.DType.BIGINT, exp.DType.DECIMAL})
    collations: ClassVar[frozenset[str]] = frozenset({"C", "default"})
    schema: ClassVar[str] = "pg_catalog"
    functions: ClassVar[frozenset[str]] = frozenset({"length", "substr", "right", "strpos"})
    operators: ClassVar[frozenset[str]] = frozenset(
        f"pg_catalog.{sign}" for sign in ("=", "<>", "<", "<=", ">", ">=", "||", "+")
    )
    types: ClassVar[frozenset[str]] = frozenset({"text", "date"})

    def exact(self, place: str, field_type: str) -> str:
        return self.read(place)

    def person(self, place: str, field_type: str) -> str:
        return self.exact(place, field_type)

    def present(self, place: str, field_type: str) -> str:
        return f"{place} IS NOT NULL"

    def native(self, place: str, field_type: str, wanted: str) -> str | None:
        """Texts, in the database's own collation: an index in it serves; one in "C" serves the exact form."""
        if wanted == "integer":
            return place if field_type == "integer" else None
        return f'{self.text(place)} COLLATE pg_catalog."default"'

    def keys(self, parameter: str) -> str:
        return (
            f"pg_catalog.jsonb_to_recordset(CAST(:{parameter} AS pg_catalog.jsonb)) "
            f"AS {KEY}(value pg_catalog.text, number bigint)"
        )

    def keys_value(self, subjects: Iterable[str]) -> str:
        return json.dumps([{"value": key, "number": number(key)} for key in subjects if held(key)], ensure_ascii=False)

    def key(self) -> str:
        return f'{KEY}.value COLLATE pg_catalog."C"'

    def key_native(self, wanted: str) -> str:
        return f"{KEY}.number" if wanted == "integer" else f"{KEY}.value"

    def parameter(self, name: str) -> str:
        """Every one with its type: the database could not tell it from the place where it stands."""
        return f"CAST(:{name} AS {_TYPES.get(name, 'pg_catalog.text')})"

    def literal(self, text: str) -> str:
        """A text with a backslash is refused: an old setting of the session makes it an escape."""
        if "\\" in text or not held(text):
            raise incomparable()
        return "'" + text.replace("'", "''") + "'"

    def constant(self, *, holds: bool) -> str:
        return "TRUE" if holds else "FALSE"

    def binary(self, left: str, operator: Operator, right: str) -> str:
        return _operator(left, SIGNS[operator], right)

    def among(self, place: str, wanted: Iterable[str]) -> str:
        return "(" + " OR ".join(_operator(place, "=", one) for one in wanted) + ")"

    def compare(self, place: str, operator: Operator, wanted: Scalar, field_type: str) -> str:
        if isinstance(wanted, str):
            return self._text(place, operator, wanted, field_type)
        value = whole(wanted)
        match field_type:
            case "integer":
                return self.binary(place, operator, _number(value))
            case "number":
                # NaN is above every number, and no number.
                return f"({self.binary(place, operator, _number(value))} AND {_operator(place, '<>', _NAN)})"
            case "boolean":
                return self._boolean(place, operator, value)
            case _:
                return self.constant(holds=False)

    def day(self, place: str, operator: Operator, parameter: str, field_type: str) -> str:
        """Compared with the day's first moment, so that an index serves and nothing is cast.

        Of a `timestamptz` the day is that of the session's time zone.
        """
        begin = f"CAST(:{parameter} AS pg_catalog.date)"
        end = _operator(begin, "+", "1")
        since, before = _operator(place, ">=", begin), _operator(place, "<", end)
        match operator:
            case "lt":
                return _operator(place, "<", begin)
            case "ge":
                return since
            case "le":
                return before
            case "gt":
                return _operator(place, ">=", end)
            case "eq":
                return f"({since} AND {before})"
            case "ne":
                return f"({_operator(place, '<', begin)} OR {_operator(place, '>=', end)})"

    def _text(self, place: str, operator: Operator, wanted: str, field_type: str) -> str:
        match field_type:
            case "text":
                return self.binary(self.exact(place, field_type), operator, self.literal(wanted))
            case "date":
                return self.binary(place, operator, _day(wanted))
            case "timestamp" | "json":
                raise incomparable()
            case _:
                return self.constant(holds=False)

    def _boolean(self, place: str, operator: Operator, value: int) -> str:
        """As in SQLite a boolean is 0 or 1. It is not cast: a column of texts would fail over its values."""
        holding = [truth for truth in (False, True) if _holds(int(truth), operator, value)]
        if len(holding) == 2:
            return f"{place} IS NOT NULL"
        return _operator(place, "=", str(holding[0]).upper()) if holding else self.constant(holds=False)

    def unreadable(self, place: str, field_type: str) -> str:
        return self.constant(holds=field_type not in _READABLE)

    def read(self, place: str) -> str:
        return f'{self.text(place)} COLLATE pg_catalog."C"'

    def length(self, text: str) -> str:
        return f"pg_catalog.length({text})"

    def part(self, text: str, start: int, count: int | str | None = None) -> str:
        return f"pg_catalog.substr({text}, {start}{'' if count is None else f', {count}'})"

    def end(self, text: str, count: int) -> str:
        return f"pg_catalog.right({text}, {count})"

    def find(self, text: str, mark: str) -> str:
        return f"pg_catalog.strpos({text}, {self.literal(mark)})"

    def joined(self, *texts: str) -> str:
        return reduce(lambda left, right: _operator(left, "||", right), texts)

    def masked(self, text: str) -> str:
        return f'({text}) COLLATE pg_catalog."default"'

    def shown(self, place: str, field_type: str) -> str:
        """An output has one type in all rows."""
        return place if field_type == "text" else self.text(place)

    def text(self, expression: str) -> str:
        return f"CAST({expression} AS pg_catalog.text)"


def _number(value: int) -> str:
    # As a text, since a minus sign would be an operator without its schema.
    return f"CAST('{value}' AS bigint)"


def _day(wanted: str) -> str:
    with suppress(ValueError):
        return f"CAST('{date.fromisoformat(wanted).isoformat()}' AS pg_catalog.date)"
    raise incomparable()


def _holds(left: int, operator: Operator, right: int) -> bool:
    return {
        "eq": left == right,
        "ne": left != right,
        "lt": left < right,
        "le": left <= right,
        "gt": left > right,
        "ge": left >= right,
    }[operator]
