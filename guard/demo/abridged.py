"""A guarded statement made short enough to read. It is only shown: what ran is the whole text.

Left out are the checks of types and collations, the hidden columns and the quotes. A condition on grants reads
GRANT(category), a masked value MASK(column), and a value that is there on a condition IF(condition, value).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

LONGEST: Final = 7
"""How many columns a select list may have before the rest is counted."""

_MORE: Final = "/* {} more */".replace(" ", "\N{NO-BREAK SPACE}")  # one word, wherever lines are broken

_SIGNS: Final[Mapping[str | None, type[exp.Binary]]] = MappingProxyType(
    {"=": exp.EQ, "<>": exp.NEQ, "<": exp.LT, "<=": exp.LTE, ">": exp.GT, ">=": exp.GTE, "||": exp.DPipe}
)

_PLACES: Final = re.compile(
    r"[()]|\b(?:FROM|WHERE|AND|GROUP BY|HAVING|ORDER BY|LIMIT|UNION|(?:LEFT |INNER |CROSS )?JOIN)\b"
)


def abridged(sql: str, dialect: str) -> str:
    """The statement for reading; as it is where it cannot be read."""
    try:
        tree = sqlglot.parse_one(sql, read=dialect)
    except SqlglotError:
        return sql
    short = _short(tree.transform(_plain))
    for select in list(short.find_all(exp.Select)):
        _narrow(select)
    return _broken(short.sql(dialect=dialect))


def _plain(node: exp.Expr) -> exp.Expr:
    """A comparison that PostgreSQL is told by the operator's schema, as it is usually written."""
    sign = node.args["operator"].rpartition(".")[2] if isinstance(node, exp.Operator) else None
    return _SIGNS[sign](this=node.this, expression=node.expression) if sign in _SIGNS else node


def _short(part: exp.Expr) -> exp.Expr:
    return part.transform(_shorter)


def _shorter(node: exp.Expr) -> exp.Expr:
    """What stands in place of a part; its own parts come after."""
    match node:
        case exp.Exists() if _of_grants(node):
            return _grant(node)
        case exp.Cast() | exp.Collate():
            return _short(node.this)
        case exp.Case() if _masks(node):
            return _call("MASK", _short(node.args["ifs"][0].this.this))
        case exp.Case(args={"this": None, "ifs": [one]}):
            parts = [one.this, one.args["true"], node.args.get("default")]
            return _call("IF", *(_short(part) for part in parts if part is not None))
        case exp.Subquery() if not node.alias and isinstance(node.this, exp.Select) and not node.this.args.get("from_"):
            where = node.this.args.get("where")
            value = _short(node.this.expressions[0])
            return value if where is None else _call("IF", _short(where.this), value)
        case exp.Paren() if not isinstance(node.this, exp.Or):
            return _short(node.this)
        case exp.And():
            return _all(node)
        case exp.Identifier():
            return exp.to_identifier(node.name)
        case exp.Table():
            return exp.table_(node.name, alias=node.alias or None)
        case _:
            return node


def _of_grants(node: exp.Exists) -> bool:
    table = node.this.find(exp.Table) if isinstance(node.this, exp.Expr) else None
    return table is not None and table.name == "guard_grant"


def _grant(node: exp.Exists) -> exp.Expr:
    """GRANT(category, quality …), or GRANT(any) where any category does."""
    told: list[exp.Expr] = []
    for one in node.find_all(exp.EQ):
        if one.this.name == "category":
            told.insert(0, exp.var(one.expression.name))
        elif one.this.name in {"separate", "written"}:
            told.append(exp.var(one.this.name))
    return _call("GRANT", *told or (exp.var("any"),))


def _masks(node: exp.Case) -> bool:
    """Whether it is a mask, which keeps NULL as it is before anything else."""
    first = node.args["ifs"][0]
    return isinstance(first.this, exp.Is) and isinstance(first.args["true"], exp.Null)


def _all(node: exp.And) -> exp.Expr:
    """The conjunction without what only checks types, and without repeats."""
    kept: dict[str, exp.Expr] = {}
    for part in node.flatten():
        if not _checks_type(part):
            short = _short(part)
            for one in short.flatten() if isinstance(short, exp.And) else (short,):
                kept.setdefault(one.sql(), one)
    parts = [exp.paren(one) if isinstance(one, exp.Or) else one for one in kept.values()]
    return exp.and_(*parts, wrap=False) if parts else exp.true()


def _checks_type(node: exp.Expr) -> bool:
    node = node.unnest()
    asked = node.this if isinstance(node, exp.In | exp.EQ) else None
    if isinstance(asked, exp.Typeof) or (isinstance(asked, exp.Func) and asked.name.lower() == "typeof"):
        return True
    return isinstance(node, exp.EQ) and node.expression.name == "g_subject_number"


def _narrow(select: exp.Select) -> None:
    """Hidden columns go, a column that keeps its name needs no other, and a long list is counted."""
    source = select.args.get("from_")
    alone = isinstance(source, exp.From) and not select.args.get("joins")
    alias = source.this.alias_or_name if source is not None and alone else None
    for column in select.find_all(exp.Column):
        if column.table == alias and column.parent_select is select:
            column.set("table", None)
    made = [one for one in select.expressions if not one.alias_or_name.startswith("guard_")]
    made = [one.this if _same_name(one) else one for one in made]
    if len(made) > LONGEST:
        made = [*made[: LONGEST - 2], exp.var(_MORE.format(len(made) - LONGEST + 2))]
    select.set("expressions", made)


def _same_name(made: exp.Expr) -> bool:
    return isinstance(made, exp.Alias) and isinstance(made.this, exp.Column) and made.alias == made.this.name


def _call(name: str, *parts: exp.Expr) -> exp.Anonymous:
    return exp.Anonymous(this=name, expressions=list(parts))


def _broken(text: str) -> str:
    """A new line before each clause of the statement and of its derived tables, indented by their depth."""
    made, breaks, end = "", [True], 0
    for found in _PLACES.finditer(text):
        made += text[end : found.start()]
        end = found.end()
        what = found[0]
        if what == "(":
            breaks.append(breaks[-1] and made.endswith(("FROM ", "JOIN ")))
        elif what == ")":
            breaks = breaks[:-1] or [True]
        elif breaks[-1]:
            made = made.rstrip(" ") + "\n" + "  " * (len(breaks) - 1 + (what == "AND"))
        made += what
    return made + text[end:]
