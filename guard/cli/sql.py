"""`guard sql`: one statement through the guard, as a program would send it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Annotated, cast, get_args

import typer

import guard_dbapi
from guard import clock, context
from guard.cli import show
from guard.cli.decide import decision_document
from guard.errors import Misuse
from guard.facade import Guard
from guard.model import Activity, Actor, Operation, Outcome
from guard_dbapi import GuardedCursor
from guard_explain import explain


def sql(
    statement: Annotated[str, typer.Argument(help="A SELECT, INSERT, UPDATE or DELETE.")],
    actor: Annotated[str, typer.Option(help="Who acts: the id.")],
    purpose: Annotated[str, typer.Option(help="What for.")],
    role: Annotated[list[str] | None, typer.Option(help="A role of the actor; may be repeated.")] = None,
    unit: Annotated[str | None, typer.Option(help="The actor's unit.")] = None,
    subject: Annotated[str | None, typer.Option(help="The person it is about.")] = None,
    operation: Annotated[
        str, typer.Option(help=f"What it does to the data: {', '.join(get_args(Operation))}. A DELETE takes delete.")
    ] = "use",
    review: Annotated[str | None, typer.Option(help="The approval that it quotes, if it was held.")] = None,
    database: Annotated[str | None, typer.Option(help="Another URL of the same database.")] = None,
    config: Annotated[Path, typer.Option("--config", help="The guard.yaml.")] = Path("guard.yaml"),
    whole: Annotated[
        bool, typer.Option("--show", help="Show the statement before and after, and the decision.")
    ] = False,
    json: show.Json = False,
) -> int:
    """Decides, rewrites, runs and registers one statement on the database of guard.yaml. Exit 3 if it is refused."""
    if not config.exists():
        raise Misuse(f"There is no {config}. Name a guard.yaml with --config.")
    if operation not in get_args(Operation):
        raise typer.BadParameter(f"is one of {', '.join(get_args(Operation))}", param_hint="--operation")
    does = cast(Operation, operation)
    who = Actor(id=actor, roles=tuple(role or ()), unit=unit)
    with Guard.load(config) as guard:
        with (
            closing(guard_dbapi.connect(guard, database)) as connection,
            connection,
            guard.acting(who, purpose=purpose, subject=subject, operation=does, review=review) as act,
        ):
            cursor = connection.cursor()
            try:
                cursor.execute(statement)
                rows = cursor.fetchall() if cursor.description is not None else []
            finally:
                if whole and not json:
                    _explain(guard, statement, cursor, _activity(guard, who, purpose, subject, does, cursor))
        outcome = act.outcomes[0] if act.outcomes else None
        _result(statement, cursor, rows, outcome, whole=whole, json=json)
    return 0


def _activity(
    guard: Guard, who: Actor, purpose: str, subject: str | None, operation: Operation, cursor: GuardedCursor
) -> Activity:
    """What was decided, for the words."""
    return Activity(
        id="0",
        operation=operation,
        purpose=purpose,
        method="sql",
        actor=who.facts(),
        recipient=context.STAFF,
        subjects="many" if subject is None else "declared",
        items=cursor.items,
        declared=context.NOTHING_DECLARED,
        time=clock.stamp(clock.system(), guard.settings.zone),
    )


def _explain(guard: Guard, statement: str, cursor: GuardedCursor, activity: Activity) -> None:
    """The statement before and after, and what was decided in between."""
    show.out.print("before", style="bold")
    show.out.print(show.plain(statement), style="dim")
    decision = cursor.decision
    if decision is not None:
        show.out.print("decision", style="bold")
        explanation = explain(activity, decision, guard.active.messages)
        show.out.print("allowed" if explanation.allow else "denied", style="green" if explanation.allow else "red")
        for row in explanation.rows:
            show.out.print(show.plain(f"  rows of {row.source}: {row.condition} ({', '.join(row.rules)})"))
        for one in explanation.fields:
            rules = f" ({', '.join(one.rules)})" if one.rules else ""
            show.out.print(show.plain(f"  {one.source} {one.field}: {one.treatment}{rules}"))
        for obligation in explanation.obligations:
            show.out.print(show.plain(f"  {obligation}"))
    if cursor.statement is not None:
        show.out.print("after", style="bold")
        show.out.print(show.plain(cursor.statement), style="dim")


def _result(
    statement: str,
    cursor: GuardedCursor,
    rows: Sequence[tuple[object, ...]],
    outcome: Outcome | None,
    *,
    whole: bool,
    json: bool,
) -> None:
    columns = [column.name for column in cursor.description or ()]
    written = cursor.rowcount if cursor.description is None else None
    if json:
        line = {"columns": columns, "rows": rows, "written": written, "outcome": outcome, "sql": None}
        decided = cursor.decision
        shown = {
            "before": statement,
            "sql": cursor.statement,
            "decision": None if decided is None else decision_document(decided),
        }
        show.json_line({**line, **shown} if whole else line)
        return
    if cursor.description is not None:
        table = show.table(*columns)
        for row in rows:
            table.add_row(*(show.plain("" if value is None else str(value)) for value in row))
        show.out.print(table)
    if outcome is not None:
        state = "reduced" if outcome.reduced else "whole"
        rules = ", ".join(outcome.rules)
        entry = show.entry(outcome.shard, outcome.entry)
        show.out.print(show.plain(f"{show.counted(outcome.rows)}, {state} ({rules}), register entry {entry}"))
    elif written is not None and written >= 0:
        show.out.print(show.plain(f"{show.counted(written)} written"))
