"""A grammar of SELECT over the bank's tables: every query is valid, typed, cannot fail over a value, and has one
answer, in SQLite and in PostgreSQL.

One answer: what is cut by LIMIT is ordered by all of its columns, so that ties are equal rows; windows that count
rows are ordered by keys. Names of CTEs and aliases are drawn from the tables' own, so that scopes shadow each other.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from hypothesis import strategies as st

Columns: TypeAlias = list[tuple[str, str]]
"""Names and types: integer, text, date, boolean."""

NAMES: Final = ("a", "b", "c", "d", "t", "x", "Y", "loan", "customer", "branch")
TYPES: Final = ("integer", "integer", "text", "text", "date")
TEXTS: Final = ("'Li'", "'open'", "'A'", "''", "'王小明'", "'O''Neil'", "'138****5678'")
DATES: Final = ("2021-11-22", "2021-11-23", "2024-02-29", "2026-01-31")
LIKES: Final = ("'a%'", "'%1%'", "'_'", "'王%'", "'L_'", "''")


@dataclass
class Source:
    """What a FROM item offers: columns, and one that tells its rows apart if there is one."""

    alias: str
    columns: Columns
    key: str | None = None


@dataclass
class Query:
    """A query as drawn, and what kind of it: `inverse` asks for rows that are not there, `outer` joins so that a row
    without its partner takes the place of the row with it.
    """

    sql: str
    columns: Columns
    parameters: list[object] = field(default_factory=list)
    ordered: bool = False
    inverse: bool = False
    outer: bool = False
    offset: bool = False
    features: set[str] = field(default_factory=set)

    @property
    def monotone(self) -> bool:
        """Whether taking rows away from the tables can only take rows away from the result, or change them."""
        plain = self.features <= {"join", "left join", "right join", "full join", "distinct"}
        return not self.inverse and not self.offset and (plain or not self.outer)


class Writer:
    """Draws one query. `tables` are the usable columns of each table; `keys` its unique column."""

    def __init__(
        self, draw: st.DrawFn, dialect: str, tables: Mapping[str, Columns], keys: Mapping[str, str], *, bound: bool
    ) -> None:
        self.draw = draw
        self.postgres = dialect == "postgres"
        self.tables = tables
        self.keys = keys
        self.bound = bound
        self.query = Query("", [])
        self.ctes: list[Source] = []
        self.outer: list[list[Source]] = []
        self.values: list[object] = []
        self.depth = 0
        self.number = 0

    # --- choices ---------------------------------------------------------------------------------

    def pick(self, *options: Any) -> Any:
        return self.draw(st.sampled_from(options))

    def some(self, most: int, least: int = 0) -> int:
        return self.draw(st.integers(least, most))

    def one_in(self, many: int) -> bool:
        return self.draw(st.integers(1, many)) == many

    def fresh(self) -> str:
        self.number += 1
        return f"o{self.number}"

    def mark(self, feature: str) -> None:
        self.query.features.add(feature)

    # --- queries -----------------------------------------------------------------------------------

    def whole(self) -> Query:
        """A statement: WITH, a query, ORDER BY and LIMIT."""
        sql = ""
        if self.one_in(4):
            self.mark("cte")
            made = []
            for _ in range(self.some(2, 1)):
                name = self.pick(*(one for one in NAMES if one not in [cte.alias for cte in self.ctes]))
                if not self.postgres and name in self.tables:
                    # SQLite reads the name inside its own definition as itself.
                    hidden = {table: of for table, of in self.tables.items() if table != name}
                    kept, self.tables = self.tables, hidden
                    text, columns = self.select(1)
                    self.tables = kept
                else:
                    text, columns = self.select(1)
                if self.one_in(3):
                    renamed = [(f"r{place}", kind) for place, (_, kind) in enumerate(columns)]
                    made.append(f"{name} ({', '.join(one for one, _ in renamed)}) AS ({text})")
                    columns = renamed
                else:
                    made.append(f"{name} AS ({text})")
                self.ctes.append(Source(name, columns))
            sql = f"WITH {', '.join(made)} "
        text, columns = self.body(0)
        ending, ordered = self.ending(columns)
        self.query.columns, self.query.ordered = columns, ordered
        self.finish(sql + text + ending)
        return self.query

    def finish(self, sql: str) -> None:
        """Puts in the parameters' marks; values in the order of the text, which is not that of drawing."""
        self.query.parameters = [self.values[int(place)] for place in re.findall("\0(\\d+)\0", sql)]
        if self.postgres and self.query.parameters:
            sql = sql.replace("%", "%%")
        self.query.sql = re.sub("\0\\d+\0", "%s" if self.postgres else "?", sql)

    def body(self, depth: int) -> tuple[str, Columns]:
        if depth < 2 and self.one_in(6):
            return self.set_operation(depth)
        return self.select(depth)

    def ending(self, columns: Columns) -> tuple[str, bool]:
        """ORDER BY all columns, and what may follow on that."""
        if not self.one_in(3):
            return "", False
        places = self.draw(st.permutations(range(1, len(columns) + 1)))
        terms = [f"{place}{self.pick('', ' ASC', ' DESC', ' DESC NULLS LAST')}" for place in places]
        made = f" ORDER BY {', '.join(terms)}"
        if self.one_in(2):
            self.mark("limit")
            made += f" LIMIT {self.constant_number(self.some(4))}"
            if self.one_in(3):
                self.query.offset = True
                made += f" OFFSET {self.some(2)}"
        return made, True

    def set_operation(self, depth: int) -> tuple[str, Columns]:
        self.mark("set operation")
        kinds = [self.pick(*TYPES) for _ in range(self.some(2, 1))]
        parts = [self.select(depth + 1, kinds) for _ in range(self.some(3, 2))]
        operator = self.pick("UNION", "UNION ALL", "INTERSECT", "EXCEPT")
        if operator in ("INTERSECT", "EXCEPT"):
            parts = parts[:2]
            self.query.inverse |= operator == "EXCEPT"
        return f" {operator} ".join(text for text, _ in parts), parts[0][1]

    def select(self, depth: int, kinds: list[str] | None = None) -> tuple[str, Columns]:
        """SELECT … without ORDER BY; with `kinds` its columns have these types."""
        saved, self.depth = self.depth, 0
        sources, clause = self.from_(depth)
        self.outer.append(sources)
        try:
            return self._select(depth, kinds, sources, clause)
        finally:
            self.outer.pop()
            self.depth = saved

    def _select(  # noqa: C901 — one branch a shape
        self, depth: int, kinds: list[str] | None, sources: list[Source], clause: str
    ) -> tuple[str, Columns]:
        where = f" WHERE {self.truth(depth)}" if self.one_in(3) else ""
        shape = self.pick("rows", "rows", "rows", "groups", "one", "window", "distinct", "star")
        wanted = kinds or [self.pick(*TYPES) for _ in range(self.some(3, 1))]
        columns: Columns = []
        outputs: list[str] = []

        def put(text: str, kind: str, name: str | None = None) -> None:
            made = name or self.fresh()
            outputs.append(text if name else f"{text} AS {made}")
            columns.append((made, kind))

        if shape == "star" and kinds is None:
            one = self.pick(*sources)
            lone = len(sources) == 1 and self.one_in(2)
            names = [name.lower() for name, _ in one.columns]
            if len(set(names)) == len(names):
                return f"SELECT {'*' if lone else one.alias + '.*'}{clause}{where}", list(one.columns)
        if shape in ("groups", "one"):
            self.mark(shape)
            keys = [self.column(sources, self.pick("integer", "text", "date")) for _ in range(self.some(2, 1))]
            keys = [one for one in keys if one is not None] if shape == "groups" else []
            group = f" GROUP BY {', '.join(dict.fromkeys(text for text, _ in keys))}" if keys else ""
            for kind in wanted:
                fits = [text for text, of in keys if of == kind]
                put(self.pick(*fits) if fits and self.one_in(2) else self.aggregate(sources, kind, depth), kind)
            having = ""
            if keys and self.one_in(4):
                self.mark("having")
                self.query.inverse = True
                having = (
                    f" HAVING {self.pick('count(*) > 1', 'count(*) < 3', 'count(DISTINCT ' + keys[0][0] + ') = 1')}"
                )
            return f"SELECT {', '.join(outputs)}{clause}{where}{group}{having}", columns
        for place, kind in enumerate(wanted):
            if shape == "window" and place == 0 and kind == "integer":
                self.mark("window")
                put(self.window(sources), "integer")
                continue
            found = self.column(sources, kind) if self.one_in(2) else None
            plain = found[0].rpartition(".")[2] if found else None
            taken = [name.lower() for name, _ in columns]
            if found and plain and plain.lower() not in taken and not plain.startswith('"'):
                put(found[0], kind, plain)
            else:
                put(self.value(kind, depth), kind)
        distinct = ""
        if shape == "distinct":
            self.mark("distinct")
            distinct = "DISTINCT "
        return f"SELECT {distinct}{', '.join(outputs)}{clause}{where}", columns

    # --- FROM --------------------------------------------------------------------------------------

    def from_(self, depth: int) -> tuple[list[Source], str]:
        first, text = self.item(depth, [])
        sources = [first]
        clause = f" FROM {text}"
        for _ in range(self.pick(0, 0, 0, 1, 1, 2) if depth < 2 else self.pick(0, 0, 1)):
            other, text = self.item(depth, sources)
            self.mark("join")
            kind = self.pick(
                "JOIN", "INNER JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN", "CROSS JOIN", "LEFT OUTER JOIN"
            )
            pairs = self.pairs(sources, other)
            if kind == "CROSS JOIN" or not pairs:
                clause += f" CROSS JOIN {text}"
            else:
                if kind.split()[0] in ("LEFT", "RIGHT", "FULL"):
                    self.mark(kind.split()[0].lower() + " join")
                    self.query.outer = True
                alike = [pair for pair in pairs if pair.count("customer_id") + pair.count("guarantor_id") == 2]
                on = self.pick(*alike) if alike and not self.one_in(4) else self.pick(*pairs)
                if not kind.startswith("FULL") and self.one_in(3):
                    on += f" AND {other.alias}.{self.pick(*other.columns)[0]} IS NOT NULL"
                clause += f" {kind} {text} ON {on}"
            sources.append(other)
            for one in sources if kind not in ("JOIN", "INNER JOIN") else ():
                one.key = None
        return sources, clause

    def item(self, depth: int, beside: list[Source]) -> tuple[Source, str]:
        taken = {one.alias.lower() for one in beside}
        free = [name for name in NAMES if name.lower() not in taken]
        hidden = {one.alias for one in self.ctes}
        tables = [name for name in self.tables if name not in hidden]
        way = self.pick("table", "table", "table", "cte", "derived" if depth < 2 else "table")
        if way == "cte" and self.ctes:
            cte = self.pick(*self.ctes)
            alias = self.pick(*free)
            return Source(alias, cte.columns), f"{cte.alias} {self.pick('AS ', '')}{alias}"
        if way == "derived" or not tables:
            self.mark("derived")
            alias = self.pick(*free)
            inner, self.outer = self.outer, []
            text, columns = self.body(depth + 1)
            if self.one_in(4):
                ending, _ = self.ending(columns)
                text += ending
            self.outer = inner
            return Source(alias, columns), f"({text}) {self.pick('AS ', '')}{alias}"
        table = self.pick(*tables)
        bare = table.lower() not in taken and self.one_in(3)
        alias = table if bare else self.pick(*free)
        columns = list(self.tables[table])
        made = Source(alias, columns, self.keys[table])
        return made, table if bare else f"{table} {self.pick('AS ', '')}{alias}"

    def pairs(self, sources: list[Source], other: Source) -> list[str]:
        """Conditions of a join: equalities of one type."""
        return [
            f"{one.alias}.{left} = {other.alias}.{right}"
            for one in sources
            for left, kind in one.columns
            for right, same in other.columns
            if kind == same and kind != "boolean"
        ]

    # --- expressions -------------------------------------------------------------------------------

    def column(self, sources: list[Source], kind: str) -> tuple[str, str] | None:
        found = [f"{one.alias}.{name}" for one in sources for name, of in one.columns if of == kind]
        return (self.pick(*found), kind) if found else None

    def visible(self) -> list[Source]:
        """The sources of this query, sometimes those of the queries around it."""
        here = self.outer[-1]
        if len(self.outer) > 1 and self.one_in(3):
            taken = {one.alias.lower() for one in here}
            around = [one for one in self.outer[-2] if one.alias.lower() not in taken]
            if around:
                self.mark("correlated")
                return around
        return here

    def bind(self, value: object) -> str:
        self.values.append(value)
        return f"\0{len(self.values) - 1}\0"

    def constant_number(self, value: int) -> str:
        return self.bind(value) if self.bound and self.one_in(2) else str(value)

    def constant(self, kind: str) -> str:
        if self.one_in(8):
            return self.null(kind)
        if kind == "integer":
            return self.pick("0", "1", "2", "3", "100", "-1")
        if kind == "text":
            return self.pick(*TEXTS)
        if kind == "date":
            day = self.pick(*DATES)
            return f"CAST('{day}' AS DATE)" if self.postgres else f"'{day}'"
        return self.pick("TRUE", "FALSE") if self.postgres else self.pick("1", "0")

    def null(self, kind: str) -> str:
        if not self.postgres:
            return "NULL"
        return f"CAST(NULL AS {({'integer': 'BIGINT'}).get(kind, kind.upper())})"

    def value(self, kind: str, depth: int) -> str:
        found = self.column(self.visible(), kind)
        if self.depth > 1 or self.one_in(2):
            return found[0] if found and not self.one_in(5) else self.constant(kind)
        self.depth += 1
        made = self._value(kind, depth)
        self.depth -= 1
        return made

    def _value(self, kind: str, depth: int) -> str:
        def v(of: str = kind) -> str:
            return self.value(of, depth)

        common: list[Callable[[], str]] = [
            lambda: f"CASE WHEN {self.truth(depth)} THEN {v()} ELSE {v()} END",
            lambda: f"CASE WHEN {self.truth(depth)} THEN {v()} END",
            lambda: f"coalesce({v()}, {v()})",
            lambda: f"nullif({v()}, {v()})",
        ]
        if depth < 2:
            common.append(lambda: self.scalar(kind, depth))
        if kind == "integer":
            common += [
                lambda: f"({v()} {self.pick('+', '-')} {v()})",
                lambda: f"({v()} * {self.pick('2', '3')})",
                lambda: f"({v()} / {self.pick('2', '3', '10')})",
                lambda: f"({v()} % {self.pick('2', '7')})",
                lambda: f"length({v('text')})",
                lambda: f"(- {v()})",
            ]
            if self.postgres:
                common.append(lambda: f"CAST(EXTRACT({self.pick('YEAR', 'MONTH')} FROM {v('date')}) AS BIGINT)")
        elif kind == "text":
            common += [
                lambda: f"lower({v()})",
                lambda: f"upper({v()})",
                lambda: f"substr({v()}, {self.pick('1', '2')}, {self.pick('1', '3')})",
                lambda: f"trim({v()})",
                lambda: f"({v()} || {v()})",
                lambda: f"CAST({v('integer')} AS TEXT)",
            ]
        return self.pick(*common)()

    def scalar(self, kind: str, depth: int) -> str:
        """A subquery of one row: an aggregate without GROUP BY."""
        self.mark("scalar subquery")
        text, clause = self.inner(depth, lambda sources: self.aggregate(sources, kind, depth + 1))
        return f"(SELECT {text}{clause})"

    def inner(self, depth: int, output: Callable[[list[Source]], str]) -> tuple[str, str]:
        sources, clause = self.from_(depth + 1)
        self.outer.append(sources)
        where = f" WHERE {self.truth(depth + 1)}" if self.one_in(3) else ""
        around = self.outer[-2]
        taken = {one.alias.lower() for one in sources}
        pairs = [pair for one in around if one.alias.lower() not in taken for pair in self.pairs(sources, one)]
        if pairs and self.one_in(2):
            self.mark("correlated")
            where += (" AND " if where else " WHERE ") + self.pick(*pairs)
        made = output(sources)
        self.outer.pop()
        return made, clause + where

    def aggregate(self, sources: list[Source], kind: str, depth: int) -> str:
        found = self.column(sources, kind)
        # Sums stay whole numbers, so that their order tells nothing.
        if kind == "integer":
            other = self.column(sources, self.pick("integer", "text", "date"))
            options = ["count(*)"]
            if other:
                options += [f"count({other[0]})", f"count(DISTINCT {other[0]})"]
            if found:
                total = f"sum({found[0]})"
                options += [
                    f"min({found[0]})",
                    f"max({found[0]})",
                    f"CAST({total} AS {'BIGINT' if self.postgres else 'INTEGER'})",
                    f"min({found[0]} + 1)",
                ]
            return self.pick(*options)
        if found is None:
            return f"max({self.constant(kind)})" if kind != "boolean" else self.constant(kind)
        return self.pick(f"min({found[0]})", f"max({found[0]})")

    def window(self, sources: list[Source]) -> str:
        part = self.column(sources, self.pick("integer", "text", "date"))
        order = self.column(sources, self.pick("integer", "text", "date"))
        number = self.column(sources, "integer")
        over = f"PARTITION BY {part[0]}" if part and self.one_in(2) else ""
        ranked = f"{over} ORDER BY {order[0]}{self.pick('', ' DESC')}".strip() if order else over
        options = [f"count(*) OVER ({over})"]
        if number:
            options.append(f"CAST(sum({number[0]}) OVER ({over}) AS {'BIGINT' if self.postgres else 'INTEGER'})")
            options.append(f"max({number[0]}) OVER ({ranked})")
        if order:
            options += [f"rank() OVER ({ranked})", f"dense_rank() OVER ({ranked})", f"count(*) OVER ({ranked})"]
        keys = [f"{one.alias}.{one.key}" for one in sources if one.key is not None]
        if len(keys) == len(sources):
            total = f"{over} ORDER BY {', '.join(keys)}".strip()
            options.append(f"row_number() OVER ({total})")
            if number:
                options += [f"lag({number[0]}) OVER ({total})", f"first_value({number[0]}) OVER ({total})"]
        return self.pick(*options)

    # --- conditions --------------------------------------------------------------------------------

    def truth(self, depth: int) -> str:
        if self.depth > 1:
            kind = self.pick("integer", "text", "date")
            return f"{self.value(kind, depth)} IS {self.pick('', 'NOT ')}NULL"
        self.depth += 1
        made = self._truth(depth)
        self.depth -= 1
        return made

    def _truth(self, depth: int) -> str:
        kind = self.pick("integer", "text", "date")

        def v() -> str:
            return self.value(kind, depth)

        options: list[Callable[[], str]] = [
            lambda: f"{v()} {self.pick('=', '<>', '<', '<=', '>', '>=')} {v()}",
            lambda: self.compared(depth),
            lambda: self.compared(depth),
            lambda: f"({self.truth(depth)} AND {self.truth(depth)})",
            lambda: f"({self.truth(depth)} OR {self.truth(depth)})",
            lambda: f"NOT ({self.truth(depth)})",
            lambda: f"{v()} {self.pick('IN', 'NOT IN')} ({v()}, {v()}, {self.constant(kind)})",
            lambda: f"{v()} {self.pick('BETWEEN', 'NOT BETWEEN')} {v()} AND {v()}",
            lambda: f"{v()} IS {self.pick('', 'NOT ')}NULL",
            lambda: f"{self.value('text', depth)} {self.pick('LIKE', 'NOT LIKE')} {self.pick(*LIKES)}",
            self.flag,
        ]
        if depth < 2:
            options += [lambda: self.exists(depth), lambda: self.among(kind, depth)]
        return self.pick(*options)()

    def compared(self, depth: int) -> str:
        """A column with a value of the program's."""
        kind = self.pick("integer", "text")
        found = self.column(self.visible(), kind)
        if found is None:
            return "1 = 1"
        value = self.pick(1, 2, 3, 100) if kind == "integer" else self.pick("Li", "open", "王小明", "A", "%")
        right = self.bind(value) if self.bound else str(value) if kind == "integer" else f"'{value}'"
        return f"{found[0]} {self.pick('=', '<>', '<', '>=')} {right}"

    def flag(self) -> str:
        found = self.column(self.visible(), "boolean")
        if found is None:
            return "1 = 1"
        return found[0] if self.postgres else f"{found[0]} = 1"

    def exists(self, depth: int) -> str:
        self.mark("exists")
        text, clause = self.inner(depth, lambda _: "1")
        negated = self.one_in(3)
        self.query.inverse |= negated
        return f"{'NOT ' if negated else ''}EXISTS (SELECT {text}{clause})"

    def among(self, kind: str, depth: int) -> str:
        self.mark("in subquery")
        left = self.value(kind, depth)
        text, clause = self.inner(depth, lambda _: self.value(kind, depth + 2))
        negated = self.one_in(3)
        self.query.inverse |= negated
        return f"{left} {'NOT ' if negated else ''}IN (SELECT {text}{clause})"


@st.composite
def queries(draw: st.DrawFn, dialect: str, tables: Mapping[str, Columns], keys: Mapping[str, str]) -> Query:
    """A query over these columns. With parameters PostgreSQL's texts are psycopg's (`%s`, `%%`)."""
    writer = Writer(draw, dialect, tables, keys, bound=draw(st.booleans()))
    return writer.whole()
