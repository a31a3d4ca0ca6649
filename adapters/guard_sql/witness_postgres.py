"""What PostgreSQL's own parser must read in a guarded statement: a second list, made by another parser.

`pgparse` is PostgreSQL's parser as a library (libpg_query), so a text that PostgreSQL reads in another way than
sqlglot is seen before it first runs. Its tree has to be one statement of the planned kind, of node types,
functions, operators and types that are listed here, over the columns that the plan names. Everything else is
refused: GUARD-WITNESS, with the kind of node, table, column or function that is not in the plan and no value.

A personal table may stand in its template only. The statement is read with a marker in place of each template,
which has to come out as a table at that very byte; a template is read once, by itself. It begins and ends with a
parenthesis, so that no token of it can run into the text around it. In a template every function and operator is
named with its schema.

Pure. It is a second check, never the only one: it knows the templates as texts and not which filter they need.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from guard.errors import Refused
from guard_sql import paramstyle

Node: TypeAlias = dict[str, Any]
Column: TypeAlias = tuple[str, str, str]

DEEPEST: Final = 512
"""The deepest tree of PostgreSQL's nodes."""

_MARKER: Final = "guard_witness"
_PLAIN: Final = re.compile(r"[A-Za-z_][A-Za-z_]{0,63}", re.ASCII)

_ANY: Final = object()
"""A scalar that says nothing that could matter: a place in the text, a flag of how it was written."""
_ONE: Final = object()
"""One node of any listed type."""
_MANY: Final = object()
"""A list of such."""


def _words(*words: object) -> frozenset[object]:
    return frozenset(words)


_LISTED: Final[Mapping[str, Mapping[str, object]]] = MappingProxyType(
    {
        "SelectStmt": {
            **dict.fromkeys(("targetList", "fromClause", "groupClause", "sortClause", "valuesLists"), _MANY),
            **dict.fromkeys(("whereClause", "havingClause", "limitOffset", "limitCount"), _ONE),
            "distinctClause": _ANY,
            "limitOption": _words("LIMIT_OPTION_DEFAULT", "LIMIT_OPTION_COUNT"),
            "withClause": "WithClause",
            "op": _words("SETOP_NONE", "SETOP_UNION", "SETOP_INTERSECT", "SETOP_EXCEPT"),
            "all": _ANY,
            "larg": "SelectStmt",
            "rarg": "SelectStmt",
        },
        "InsertStmt": {
            "relation": "RangeVar",
            "cols": _MANY,
            "selectStmt": _ONE,
            "returningList": _MANY,
            "override": _words("OVERRIDING_NOT_SET"),
        },
        "UpdateStmt": {"relation": "RangeVar", "targetList": _MANY, "whereClause": _ONE, "returningList": _MANY},
        "DeleteStmt": {"relation": "RangeVar", "whereClause": _ONE, "returningList": _MANY},
        "WithClause": {"ctes": _MANY, "location": _ANY},
        "CommonTableExpr": {
            "ctename": _ANY,
            "ctequery": _ONE,
            "ctematerialized": _words("CTEMaterializeDefault"),
            "location": _ANY,
        },
        "JoinExpr": {
            "jointype": _words("JOIN_INNER", "JOIN_LEFT", "JOIN_RIGHT", "JOIN_FULL"),
            "larg": _ONE,
            "rarg": _ONE,
            "quals": _ONE,
        },
        "RangeVar": {
            "schemaname": _ANY,
            "relname": _ANY,
            "inh": _words(True),
            "relpersistence": _words("p"),
            "alias": "Alias",
            "location": _ANY,
        },
        "RangeSubselect": {"subquery": _ONE, "alias": "Alias"},
        "Alias": {"aliasname": _ANY},
        "ResTarget": {"name": _ANY, "val": _ONE, "location": _ANY},
        "ColumnRef": {"fields": _ANY, "location": _ANY},
        "A_Const": dict.fromkeys(("ival", "fval", "sval", "boolval", "isnull", "location"), _ANY),
        "ParamRef": {"number": _ANY, "location": _ANY},
        "A_Expr": {
            "kind": _words(
                *("AEXPR_OP", "AEXPR_LIKE", "AEXPR_IN", "AEXPR_BETWEEN", "AEXPR_NOT_BETWEEN"),
                *("AEXPR_DISTINCT", "AEXPR_NOT_DISTINCT", "AEXPR_NULLIF"),
            ),
            "name": _ANY,
            "lexpr": _ONE,
            "rexpr": _ONE,
            "location": _ANY,
        },
        "List": {"items": _MANY},
        "BoolExpr": {"boolop": _ANY, "args": _MANY, "location": _ANY},
        "NullTest": {"nulltesttype": _ANY, "arg": _ONE, "location": _ANY},
        "BooleanTest": {"booltesttype": _ANY, "arg": _ONE, "location": _ANY},
        "CaseExpr": {"arg": _ONE, "args": _MANY, "defresult": _ONE, "location": _ANY},
        "CaseWhen": {"expr": _ONE, "result": _ONE, "location": _ANY},
        "CoalesceExpr": {"args": _MANY, "location": _ANY},
        "TypeCast": {"arg": _ONE, "typeName": "TypeName", "location": _ANY},
        "TypeName": {"names": _ANY, "typemod": _words(-1), "location": _ANY},
        "CollateClause": {"arg": _ONE, "collname": _ANY, "location": _ANY},
        "FuncCall": {
            "funcname": _ANY,
            "args": _MANY,
            "agg_distinct": _ANY,
            "agg_star": _ANY,
            "over": "WindowDef",
            "funcformat": _words("COERCE_EXPLICIT_CALL", "COERCE_SQL_SYNTAX"),
            "location": _ANY,
        },
        "WindowDef": {
            "partitionClause": _MANY,
            "orderClause": _MANY,
            "frameOptions": _ANY,
            "startOffset": _ONE,
            "endOffset": _ONE,
            "location": _ANY,
        },
        "SubLink": {
            "subLinkType": _words("EXISTS_SUBLINK", "ANY_SUBLINK", "EXPR_SUBLINK"),
            "testexpr": _ONE,
            "subselect": _ONE,
            "location": _ANY,
        },
        "SortBy": {
            "node": _ONE,
            "sortby_dir": _words("SORTBY_DEFAULT", "SORTBY_ASC", "SORTBY_DESC"),
            "sortby_nulls": _ANY,
            "location": _ANY,
        },
    }
)
"""PostgreSQL's node types, each with the parts that it may have."""

CATALOG: Final = "pg_catalog"

FUNCTIONS: Final = frozenset(
    {
        *(("", name) for name in ("abs", "btrim", "ceil", "floor", "length", "lower", "ltrim", "round", "rtrim")),
        *(("", name) for name in ("upper", "avg", "bool_and", "bool_or", "count", "max", "min", "sum")),
        *(("", name) for name in ("cume_dist", "dense_rank", "first_value", "lag", "last_value", "lead")),
        *(("", name) for name in ("percent_rank", "rank", "row_number")),
        # What templates call, and what PostgreSQL calls SUBSTRING … FROM, TRIM, POSITION, EXTRACT, ESCAPE.
        *((CATALOG, name) for name in ("jsonb_agg", "length", "right", "strpos", "substr")),
        *((CATALOG, name) for name in ("btrim", "extract", "like_escape", "ltrim", "position", "rtrim", "substring")),
    }
)
"""(schema, name) of every function; '' is the session's path, which is pinned to pg_catalog."""

OPERATORS: Final = frozenset(
    {"=", "<>", "<", "<=", ">", ">=", "+", "-", "*", "/", "%", "||", "~~", "!~~"} | {"BETWEEN", "NOT BETWEEN"}
)

TYPES: Final = frozenset(
    {
        *(("", name) for name in ("text", "bytea", "date", "jsonb", "timestamptz")),
        *((CATALOG, name) for name in ("bool", "int2", "int4", "int8", "numeric", "float8", "varchar", "timestamp")),
        *((CATALOG, name) for name in ("interval", "text", "date", "timestamptz", "jsonb")),
    }
)

COLLATIONS: Final = frozenset({(CATALOG, "C"), (CATALOG, "default")})

_KINDS: Final[Mapping[str, str]] = MappingProxyType(
    {"SelectStmt": "select", "InsertStmt": "insert", "UpdateStmt": "update", "DeleteStmt": "delete"}
)


@dataclass(frozen=True)
class Expected:
    """What a plan says of its texts.

    A statement that writes has a SELECT too, which looks at the rows before; both may be asked of one `Expected`.
    """

    kinds: frozenset[str]
    """What a text may be: select, insert, update, delete."""
    reads: frozenset[Column]
    """(schema, table, column) of all that is read, in templates too; '' where a table is read and no column of it."""
    templates: tuple[str, ...] = ()
    """The text of each template, with its parameters as `:name`."""
    public: frozenset[tuple[str, str]] = frozenset()
    """(schema, table) of what a statement that only reads may name outside of its templates."""
    ctes: frozenset[str] = frozenset()
    """The names that its WITH may define."""
    written: tuple[str, str] | None = None
    """(schema, table) of what it writes."""
    fields: frozenset[str] = frozenset()
    """The columns that INSERT and UPDATE may write."""

    def covers(self, one: Column) -> bool:
        """Whether the plan reads a table, or this column of it."""
        return one in self.reads or (not one[2] and one[:2] in self._tables)

    @cached_property
    def _tables(self) -> frozenset[tuple[str, str]]:
        return frozenset((schema, table) for schema, table, _ in self.reads)


@dataclass
class _Scope:
    """The sources of one query, each with its columns, and the queries around it."""

    around: _Scope | None
    names: dict[str, tuple[tuple[str, str] | None, frozenset[str]]] = field(default_factory=dict)
    """Alias -> the base table that it is, or what else offers which columns."""
    ctes: dict[str, frozenset[str]] = field(default_factory=dict)

    def find(self, alias: str) -> tuple[tuple[str, str] | None, frozenset[str]] | None:
        scope: _Scope | None = self
        while scope is not None:
            if alias in scope.names:
                return scope.names[alias]
            scope = scope.around
        return None

    def cte(self, name: str) -> frozenset[str] | None:
        scope: _Scope | None = self
        while scope is not None:
            if name in scope.ctes:
                return scope.ctes[name]
            scope = scope.around
        return None


@dataclass(frozen=True)
class _Template:
    """What a template reads, and the columns that it offers."""

    reads: frozenset[Column]
    columns: frozenset[str]


def check(sql: str, expected: Expected, names: Sequence[str] = ()) -> None:
    """Refuses (GUARD-WITNESS) a text that PostgreSQL reads as anything but the plan.

    Its parameters are `$1`, `$2` …; `names` are theirs, in that order.
    """
    marked, places = _marked(sql, expected.templates, tuple(names))
    made = {text: _template(text) for text in set(places.values())}
    inner = frozenset[Column]().union(*(one.reads for one in made.values()))
    for one in sorted(inner):
        if not expected.covers(one):
            raise _disagrees(f"a template reads {_named(*one)}")
    walk = _Walk(expected.ctes, {at: made[text] for at, text in places.items()})
    tag, tree = _statement(marked)
    kind = _KINDS.get(tag)
    if kind not in expected.kinds:
        raise _disagrees(f"the statement is a {tag}")
    walk.run(tag, tree)
    if walk.met != places.keys():
        raise _disagrees("a template stands where no table can")
    for one in sorted(walk.reads):
        if not expected.covers(one) or not (expected.written or one[:2] in expected.public):
            raise _disagrees(f"it reads {_named(*one)}")
    if kind != "select" and (walk.written is None or walk.written != expected.written):
        raise _disagrees("it writes another table")
    if not walk.fields <= expected.fields:
        raise _disagrees("it writes another column")


def _marked(sql: str, templates: tuple[str, ...], names: tuple[str, ...]) -> tuple[str, dict[int, str]]:
    """The text with a marker for every template, and the byte at which each of them stands."""
    found: list[tuple[int, int, str]] = []
    for template in templates:
        text = _numbered(template, names)
        if not (text.startswith("(") and text.endswith(")")):
            raise _disagrees("a template is no subquery")
        at = sql.find(text)
        while at >= 0:
            found.append((at, at + len(text), template))
            at = sql.find(text, at + len(text))
    pieces: list[str] = []
    places: dict[int, str] = {}
    last = size = 0
    for start, end, template in sorted(found):
        if start < last:
            raise _disagrees("a template stands in another")
        before = sql[last:start]
        size += _bytes(before)
        places[size] = template
        marker = f'"{_MARKER}"."{size}"'
        pieces += (before, marker)
        size += len(marker)
        last = end
    return "".join((*pieces, sql[last:])), places


_numbered: Final = lru_cache(maxsize=4096)(paramstyle.numbered)


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "replace"))


@lru_cache(maxsize=4096)
def _template(text: str) -> _Template:
    tag, tree = _statement(paramstyle.numbered(text))
    walk = _Walk(frozenset(), {}, qualified=True)
    walk.run(tag, tree)
    return _Template(frozenset(walk.reads), _outputs(tree))


def _statement(sql: str) -> tuple[str, Node]:
    import pgparse  # type: ignore[import-not-found]  # noqa: PLC0415 -- it has no types; who guards SQLite has none of it

    # The parser takes a C string: it would stop at a NUL.
    trees: list[Node] = []
    if "\0" not in sql:
        try:
            trees = pgparse.parse(sql)
        except (pgparse.PGQueryError, ValueError, RecursionError, MemoryError):
            trees = []
    if len(trees) != 1 or not isinstance(trees[0].get("stmt"), dict):
        raise _disagrees("it cannot read it as one statement")
    return _tagged(trees[0]["stmt"])


class _Walk:
    """Goes through one tree and refuses what is not listed; collects what it reads and writes."""

    def __init__(self, ctes: frozenset[str], places: Mapping[int, _Template], *, qualified: bool = False) -> None:
        self._ctes: Final = ctes
        self._places: Final = places
        self._qualified: Final = qualified
        self.met: set[int] = set()
        self.reads: set[Column] = set()
        self.written: tuple[str, str] | None = None
        self.fields: set[str] = set()

    def run(self, tag: str, tree: Node) -> None:
        stack: list[tuple[str, Node, _Scope, int]] = [(tag, tree, _Scope(None), 0)]
        while stack:
            tag, node, scope, depth = stack.pop()
            listed = _LISTED.get(tag)
            if listed is None or depth > DEEPEST:
                raise _disagrees(f"it holds a {tag}" if listed is None else "it is nested too deeply")
            if depth and tag in _KINDS and tag != "SelectStmt":
                raise _disagrees(f"it holds a {tag} in another statement")
            inner = self._looked_at(tag, node, scope)
            for key, value in node.items():
                rule = listed.get(key)
                if rule is _ANY:
                    continue
                if rule is _ONE:
                    stack.append((*_tagged(value), inner, depth + 1))
                elif rule is _MANY and isinstance(value, list):
                    stack += [(*_tagged(one), inner, depth + 1) for one in value]
                elif isinstance(rule, str) and isinstance(value, dict):
                    stack.append((rule, value, inner, depth + 1))
                elif not isinstance(rule, frozenset) or value not in rule:
                    raise _disagrees(f"it holds a {tag} with {key}")

    def _looked_at(self, tag: str, node: Node, scope: _Scope) -> _Scope:
        """Checks what a node says besides its parts; the scope of these."""
        if tag == "SelectStmt":
            return self._select(node, scope)
        if tag in _KINDS:
            return self._write(tag, node)
        look = _LOOKS.get(tag)
        if look is not None:
            look(self, node, scope)
        return scope

    def source(self, node: Node, scope: _Scope) -> None:
        if node.get("inh") is not True:
            raise _disagrees("it holds a RangeVar with ONLY")
        self._table(node, scope)

    def derived(self, node: Node, _: _Scope) -> None:
        if "alias" not in node:
            raise _disagrees("it holds a RangeSubselect without a name")

    def bare(self, node: Node, _: _Scope) -> None:
        # `x IN (SELECT …)` and `CASE x WHEN …` look an operator up by its bare name.
        if self._qualified and ("testexpr" in node or "arg" in node):
            raise _disagrees("a template compares without the operator's schema")

    def type(self, node: Node, _: _Scope) -> None:
        self._among(node["names"], TYPES, "the type")

    def collation(self, node: Node, _: _Scope) -> None:
        self._among(node["collname"], COLLATIONS, "the collation")

    def _select(self, node: Node, around: _Scope) -> _Scope:
        if node.get("distinctClause", [{}]) != [{}]:
            raise _disagrees("it holds a SelectStmt with DISTINCT ON")
        scope = _Scope(around)
        for one in node.get("withClause", {}).get("ctes", ()):
            _, cte = _tagged(one)
            name = cte.get("ctename", "")
            if name not in self._ctes or scope.cte(name) is not None:
                raise _disagrees("it holds a WITH under another name")
            scope.ctes[name] = _outputs(_tagged(cte["ctequery"])[1])
        stack = list(node.get("fromClause", ()))
        while stack:
            tag, source = _tagged(stack.pop())
            if tag == "JoinExpr":
                stack += (source["larg"], source["rarg"])
            else:
                self._named(tag, source, scope)
        return scope

    def _write(self, tag: str, node: Node) -> _Scope:
        relation = node["relation"]
        if relation.get("schemaname") == _MARKER:
            raise _disagrees("it writes to a template")
        self.written = (relation.get("schemaname", ""), relation["relname"])
        for one in node.get("cols", ()) if tag == "InsertStmt" else node.get("targetList", ()):
            self.fields.add(_tagged(one)[1].get("name", ""))
        scope = _Scope(None)
        self._named("RangeVar", relation, scope)
        return scope

    def _named(self, tag: str, source: Node, scope: _Scope) -> None:
        """Puts a source of FROM into its scope."""
        alias = source.get("alias", {}).get("aliasname", source.get("relname", ""))
        if alias in scope.names:
            raise _disagrees("two sources have one name")
        if tag == "RangeSubselect":
            scope.names[alias] = (None, _outputs(_tagged(source["subquery"])[1]))
        elif tag == "RangeVar":
            scope.names[alias] = self._table(source, scope)

    def _table(self, node: Node, scope: _Scope) -> tuple[tuple[str, str] | None, frozenset[str]]:
        schema, name = node.get("schemaname"), node["relname"]
        if schema is None:
            columns = scope.cte(name)
            if columns is None:
                raise _disagrees(f"it reads {_named(name)}, without a schema")
            return None, columns
        if schema == _MARKER:
            at = node.get("location", 0)
            template = self._places.get(at)
            if template is None or name != str(at):
                raise _disagrees("it holds a name of the witness's own")
            self.met.add(at)
            return None, template.columns
        self.reads.add((schema, name, ""))
        return (schema, name), frozenset()

    def column(self, node: Node, scope: _Scope) -> None:
        # A column that is none could be a call: PostgreSQL reads `row.function` so.
        names = _texts(node["fields"])
        source = scope.find(names[0]) if len(names) == 2 else None
        if source is None:
            raise _disagrees("it holds a ColumnRef of no source")
        table, columns = source
        if table is not None:
            self.reads.add((*table, names[1]))
        elif names[1] not in columns:
            raise _disagrees(f"it reads {_named(names[1])}, which its source does not offer")

    def function(self, node: Node, _: _Scope) -> None:
        self._among(node["funcname"], FUNCTIONS, "the function")
        if self._qualified and len(node["funcname"]) != 2:
            raise _disagrees("a template calls a function without its schema")
        if node.get("agg_star") and _texts(node["funcname"]) != ["count"]:
            raise _disagrees("it holds a FuncCall with a star")

    def operator(self, node: Node, _: _Scope) -> None:
        *schema, name = _texts(node["name"])
        if name not in OPERATORS or schema not in ([], [CATALOG]):
            raise _disagrees("it uses an operator that is not listed")
        if self._qualified and (not schema or node["kind"] != "AEXPR_OP"):
            raise _disagrees("a template uses an operator without its schema")

    def _among(self, names: object, listed: frozenset[tuple[str, str]], what: str) -> None:
        texts = _texts(names)
        schema, name = ("", texts[0]) if len(texts) == 1 else (texts[0], ".".join(texts[1:]))
        if (schema, name) not in listed:
            raise _disagrees(f"it names {what} {_named(*texts)}")


_LOOKS: Final[Mapping[str, Callable[[_Walk, Node, _Scope], None]]] = MappingProxyType(
    {
        "RangeVar": _Walk.source,
        "RangeSubselect": _Walk.derived,
        "ColumnRef": _Walk.column,
        "FuncCall": _Walk.function,
        "A_Expr": _Walk.operator,
        "TypeName": _Walk.type,
        "CollateClause": _Walk.collation,
        "SubLink": _Walk.bare,
        "CaseExpr": _Walk.bare,
    }
)


def _tagged(value: object) -> tuple[str, Node]:
    """A node as PostgreSQL's parser writes it: its type and its parts."""
    if isinstance(value, dict) and len(value) == 1:
        ((tag, node),) = value.items()
        if isinstance(tag, str) and isinstance(node, dict):
            return tag, node
    raise _disagrees("it holds what is no node")


def _texts(names: object) -> list[str]:
    """The parts of a name; a star or anything but a text is none."""
    made: list[str] = []
    for one in names if isinstance(names, list) else ():
        tag, node = _tagged(one)
        if tag != "String":
            raise _disagrees(f"it holds a {tag}")
        made.append(node.get("sval", ""))
    if not made:
        raise _disagrees("it holds an empty name")
    return made


def _outputs(query: Node) -> frozenset[str]:
    """The names of a query's columns, of a set operation those of its first part."""
    while "larg" in query:
        query = query["larg"]
    return frozenset(name for one in query.get("targetList", ()) if (name := _tagged(one)[1].get("name", "")) != "")


def _named(*names: str) -> str:
    """A name as a refusal may repeat it: one with a digit or a sign in it could be a value in disguise."""
    return ".".join(name if _PLAIN.fullmatch(name) else "…" for name in names if name)


def _disagrees(what: str) -> Refused:
    return Refused.own("GUARD-WITNESS", f"PostgreSQL's parser: {what}.")
