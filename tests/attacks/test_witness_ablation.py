"""With any check of guard_sql's own switched off, the engine's own parser still refuses what is outside of the plan.

Each check is taken away by itself, and with it the reading back of the guarded text, which would see the same. What
then gets through guard_sql is judged by a third reader that knows no plan: the tables and functions that the text
names, by PostgreSQL's tree walked naively and by what SQLite reports. Whatever is outside of the plan, the witness
has to refuse; whatever it lets through tells nothing that is hidden.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import MappingProxyType
from typing import Any

import attacked
import pgparse  # type: ignore[import-not-found]  # it has no types
import pytest
from attacked import DECISION, FACTS, Databases, OnPostgres, OnSqlite
from sqlglot import exp

import guard_sql
from guard.catalogue import Public
from guard.errors import Refused
from guard_sql import changes, grammar, queries, rewrite, sources, witness, witness_postgres
from guard_sql.scope import Field, From, aliased, quoted
from guard_sql.world import Table, World, fold

ATTACKS = attacked.cases("sqlite.jsonl")
COLUMNS = ("id", "name", "ssn", "salary", "note", "v", "sql", "query", "most_common_vals")

Patch = pytest.MonkeyPatch
Switch = Callable[[Patch], None]


def _everything(node: exp.Expr) -> list[exp.Expr]:
    return list(node.iter_expressions())


def _no_functions(patch: Patch) -> None:
    listed = grammar._children

    def children(node: exp.Expr, kind: type[exp.Expr], dialect: Any, sql: str) -> list[exp.Expr]:
        known = kind in grammar.NODES or any(kind in table for table in grammar._tables(dialect))
        return listed(node, kind, dialect, sql) if known or not isinstance(node, exp.Func) else _everything(node)

    patch.setattr(grammar, "_children", children)
    rest = {kind: look for kind, look in grammar._SPECIAL.items() if not issubclass(kind, exp.Func)}
    patch.setattr(grammar, "_SPECIAL", rest)


def _no_nodes(patch: Patch) -> None:
    listed = grammar._children

    def children(node: exp.Expr, kind: type[exp.Expr], dialect: Any, sql: str) -> list[exp.Expr]:
        known = kind in grammar.NODES or any(kind in table for table in grammar._tables(dialect))
        return listed(node, kind, dialect, sql) if known or isinstance(node, exp.Func) else _everything(node)

    patch.setattr(grammar, "_children", children)
    patch.setattr(grammar, "_PARENTS", {})


def _no_arguments(patch: Patch) -> None:
    listed = grammar._children

    def children(node: exp.Expr, kind: type[exp.Expr], dialect: Any, sql: str) -> list[exp.Expr]:
        known = kind in grammar.NODES or any(kind in table for table in grammar._tables(dialect))
        return _everything(node) if known else listed(node, kind, dialect, sql)

    patch.setattr(grammar, "_children", children)


def _unlisted(schema: str | None, name: str) -> Table:
    entry = Public(reason="not listed", owner="it", fields=dict.fromkeys(COLUMNS, "text"))
    columns = MappingProxyType({one: one for one in COLUMNS})
    return Table("unlisted", entry, schema or "", name, columns, MappingProxyType(dict.fromkeys(COLUMNS, "text")))


def _tables(patch: Patch, known: Callable[[Any, str | None, str], Table | None]) -> None:
    """Tables that are not known stand in the text as they were written, and nowhere in the plan."""
    listed = sources.Sources.table

    def table(world: World, schema: str | None, name: str) -> Table:
        return known(world, schema, name) or _unlisted(schema, name)

    def settled(self: Any, table: Table, alias: str, called: str, scope: Any, *, renamed: bool) -> exp.Expr:
        if table.source != "unlisted":
            return listed(self, table, alias, called, scope, renamed=renamed)
        fields = {name: Field(name, label=name) for name in COLUMNS}
        sources.add(scope, From(alias, called, None if renamed else table.schema, fields))
        schema = {"db": quoted(table.schema)} if table.schema else {}
        return aliased(exp.Table(this=quoted(table.name), **schema), alias)

    patch.setattr(World, "table", table)
    patch.setattr(sources.Sources, "table", settled)


def _no_tables(patch: Patch) -> None:
    _tables(patch, World.table)


def _no_personal_tables(patch: Patch) -> None:
    _tables(patch, lambda _world, _schema, _name: None)


def _no_renaming(patch: Patch) -> None:
    def renamed(self: Any, clause: exp.With) -> exp.With:
        made: list[exp.Expr] = []
        for cte in clause.expressions:
            name = cte.args["alias"].this.name
            query = self.settled(cte.this, None, "derived")
            self._notes.cte_names.add(name)
            self._notes.ctes[fold(name)] = sources.offered(query, name, fold(name), [])
            made.append(exp.CTE(this=query.node, alias=exp.TableAlias(this=quoted(name))))
        return exp.With(expressions=made)

    patch.setattr(queries.Queries, "defined", renamed)


def _no_renaming_and_no_shadow(patch: Patch) -> None:
    """A name that WITH defines is taken for the table: the wrong guess that renaming makes harmless."""
    _no_renaming(patch)
    _no_tables(patch)
    kept = queries.Queries.defined

    def renamed(self: Any, clause: exp.With) -> exp.With:
        made = kept(self, clause)
        self._notes.ctes.clear()
        return made

    patch.setattr(queries.Queries, "defined", renamed)


SWITCHES: dict[str, Switch] = {
    "none": lambda _: None,
    "function list": _no_functions,
    "node list": _no_nodes,
    "argument list": _no_arguments,
    "table allow-list": _no_tables,
    "personal tables": _no_personal_tables,
    "WITH renaming": _no_renaming,
    "WITH renaming and shadowing": _no_renaming_and_no_shadow,
}


# --- The third reader -----------------------------------------------------------------------------


def outside_postgres(guarded: guard_sql.Guarded) -> bool:
    """Whether PostgreSQL would read a table or call a function that is not in the plan."""
    reads = {one[:2] for one in guarded.expected.reads}
    try:
        trees = pgparse.parse(guarded.bind(None, FACTS)[0])
    except (pgparse.PGQueryError, Refused):
        return False
    ctes = {node["ctename"] for tag, node in _nodes(trees) if tag == "CommonTableExpr"}
    for tag, node in _nodes(trees):
        if tag in ("RangeVar", "relation"):
            place = (node.get("schemaname", ""), node["relname"])
            if place not in reads and not (place[0] == "" and place[1] in ctes):
                return True
        if tag == "FuncCall":
            names = [one["String"]["sval"] for one in node["funcname"]]
            if ("" if len(names) == 1 else names[0], names[-1]) not in witness_postgres.FUNCTIONS:
                return True
        if tag in ("RangeFunction", "intoClause", "SQLValueFunction"):
            return True
    return False


def _nodes(value: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    stack = [value]
    while stack:
        one = stack.pop()
        if isinstance(one, list):
            stack += one
        elif isinstance(one, dict):
            for tag, inner in one.items():
                if isinstance(inner, dict):
                    yield tag, inner
                stack.append(inner)


def outside_sqlite(databases: OnSqlite, guarded: guard_sql.Guarded) -> bool:
    """Whether SQLite reports the reading of a table or column, or the call of a function, that is not in the plan."""
    reads = {tuple(fold(part) for part in one) for one in guarded.declared.reads}
    tables = {one[:2] for one in reads}
    met: list[bool] = []

    def report(action: int, first: str | None, second: str | None, schema: str | None, _: str | None) -> int:
        if action == 31:
            met.append(fold(second or "") not in witness.FUNCTIONS)
        elif action == 20 and schema is not None:
            place = (fold(schema), fold(first or ""))
            met.append(place not in tables if not second else (*place, fold(second)) not in reads)
        elif action not in (20, 21):
            met.append(True)
        return 0

    connection = databases.spare
    connection.set_authorizer(report)
    try:
        sql, parameters = guarded.bind(None, FACTS)
        connection.execute(f"EXPLAIN {sql}", parameters).fetchall()
    except sqlite3.Error:
        return False
    finally:
        connection.set_authorizer(None)
    return any(met)


@pytest.fixture(scope="module")
def sqlite() -> OnSqlite:
    return OnSqlite()


@pytest.fixture(scope="module")
def postgres(postgres_server: Path) -> Iterator[OnPostgres]:
    made = OnPostgres(postgres_server)
    yield made
    made.close()


@pytest.mark.parametrize("switch", SWITCHES)
@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_what_is_outside_of_the_plan_is_refused_by_the_witness(
    kind: str,
    switch: str,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    databases: Databases = request.getfixturevalue(kind)
    if switch != "none":
        for module in (rewrite, changes):
            monkeypatch.setattr(module, "outer", lambda *_: None)
        SWITCHES[switch](monkeypatch)
    counted: Counter[str] = Counter()
    let_through: list[str] = []
    told: list[str] = []
    for attack in ATTACKS:
        guarded = _accepted(databases, attack["sql"])
        if guarded is None:
            counted["refused before"] += 1
            continue
        outside = outside_sqlite(databases, guarded) if isinstance(databases, OnSqlite) else outside_postgres(guarded)
        objection = databases.witnessed(guarded)
        counted["outside" if outside else "inside"] += 1
        counted["refused by the witness"] += bool(objection)
        if outside and not objection:
            let_through.append(guarded.text)
        if not objection:
            answers = databases.run(guarded)
            if not answers[0] == answers[1] == answers[2] or "CANARY" in repr(answers):
                told.append(guarded.text)
    with capsys.disabled():
        said = ", ".join(f"{count} {what}" for what, count in sorted(counted.items()))
        print(f"\n{kind}, without {switch}: {said}")  # noqa: T201 -- the numbers are the result
    assert not let_through, let_through
    assert not told, told
    if switch == "none":
        assert not counted["outside"]
        assert not counted["refused by the witness"]
    if switch in ("function list", "table allow-list", "personal tables"):
        assert counted["outside"], "the check was not off"


def _accepted(databases: Databases, sql: str) -> guard_sql.Guarded | None:
    """What guard_sql makes of it, where it does not refuse; a check that is off may leave it in pieces."""
    try:
        plan = guard_sql.plan(sql, databases.site)
        guarded = plan.apply(None if plan.public else DECISION)
        guarded.bind(None, FACTS)
    except Exception:  # noqa: BLE001 -- with a check off anything may be raised; nothing runs then
        return None
    return guarded
