"""`guard sql`: one statement through the guard, as a program would send it."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Annotated

import typer

import guard_dbapi
from guard.cli import show
from guard.errors import Misuse
from guard.facade import Guard
from guard.model import Actor


def sql(
    statement: Annotated[str, typer.Argument(help="A SELECT.")],
    actor: Annotated[str, typer.Option(help="Who acts: the id.")],
    purpose: Annotated[str, typer.Option(help="What for.")],
    role: Annotated[list[str] | None, typer.Option(help="A role of the actor; may be repeated.")] = None,
    unit: Annotated[str | None, typer.Option(help="The actor's unit.")] = None,
    subject: Annotated[str | None, typer.Option(help="The person it is about.")] = None,
    config: Annotated[Path, typer.Option("--config", help="The guard.yaml.")] = Path("guard.yaml"),
    plan: Annotated[bool, typer.Option("--show", help="Show the statement that ran.")] = False,
    json: show.Json = False,
) -> int:
    """Decides, rewrites, runs and registers one statement on the database of guard.yaml. Exit 3 if it is refused."""
    if not config.exists():
        raise Misuse(f"There is no {config}. Name a guard.yaml with --config.")
    who = Actor(id=actor, roles=tuple(role or ()), unit=unit)
    with Guard.load(config) as guard:
        connect = guard_dbapi.wrap(sqlite3.connect, guard, dialect=guard.settings.database.dialect)
        with (
            connect(str(guard.settings.database.sqlite_file)) as connection,
            guard.acting(who, purpose=purpose, subject=subject) as act,
        ):
            cursor = connection.execute(statement)
            rows = cursor.fetchall()
        columns = [column[0] for column in cursor.description or ()]
        ran = cursor.statement
        outcome = act.outcomes[0] if act.outcomes else None
        if json:
            show.json_line({"columns": columns, "rows": rows, "outcome": outcome, "sql": ran if plan else None})
            return 0
        if plan and ran:
            show.out.print(show.plain(ran), style="dim")
        table = show.table(*columns)
        for row in rows:
            table.add_row(*(show.plain("" if value is None else str(value)) for value in row))
        show.out.print(table)
        if outcome is not None:
            state = "reduced" if outcome.reduced else "whole"
            rules = ", ".join(outcome.rules)
            show.out.print(show.plain(f"{outcome.rows} rows, {state} ({rules}), register entry {outcome.entry}"))
    return 0
