"""`guard review`: what waits for another person, and the answer to it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from guard.cli import show
from guard.errors import Misuse
from guard.facade import Guard
from guard.model import Actor
from guard_ledger.review import Waiting

app = typer.Typer(help="Operations that wait for another person's approval.", no_args_is_help=True)

Config = Annotated[Path, typer.Option("--config", help="The guard.yaml whose reviews they are.")]
Id = Annotated[str, typer.Argument(help="The id that the refusal named.")]
Who = Annotated[str, typer.Option(help="Who approves or rejects: the id.")]
Roles = Annotated[list[str], typer.Option(help="A role of the actor; may be repeated.")]
Unit = Annotated[str | None, typer.Option(help="The actor's unit.")]


@contextmanager
def _opened(config: Path) -> Iterator[Guard]:
    if not config.exists():
        raise Misuse(f"There is no {config}. Name a guard.yaml with --config.")
    with Guard.load(config) as guard:
        yield guard


@app.command("list")
def list_reviews(
    every: Annotated[bool, typer.Option("--all", help="Those that are settled too.")] = False,
    config: Config = Path("guard.yaml"),
    json: show.Json = False,
) -> int:
    """Lists what waits, the oldest first."""
    with _opened(config) as guard:
        found = guard.reviews.list(None if every else "held")
        zone = guard.settings.zone
    if json:
        for one in found:
            show.json_line(one)
        return 0
    table = show.table("review", "held", "state", "until", "requester", "purpose", "persons", "approver")
    for one in found:
        held, by = show.moment(one.held_at, zone), ", ".join(one.by)
        until = "" if one.until is None else show.moment(one.until, zone)
        cells = (one.review_id, held, _state(one), until, one.requester, one.purpose, str(one.persons), by)
        table.add_row(*(show.plain(cell) for cell in cells))
    show.out.print(table)
    return 0


def _state(one: Waiting) -> str:
    return one.status if not one.approved else f"{one.status} ({', '.join(sorted(set(one.approved.values())))})"


@app.command("show")
def show_review(
    review: Id,
    actor: Who,
    role: Roles,
    unit: Unit = None,
    config: Config = Path("guard.yaml"),
    json: show.Json = False,
) -> int:
    """Shows one with its statement and values, to a person who may approve it."""
    with _opened(config) as guard:
        one = guard.reviews.get(review)
        opened = guard.reviews.show(review, Actor(id=actor, roles=tuple(role), unit=unit))
    if json:
        show.json_line({**msgspec.to_builtins(one), "request": opened})
        return 0
    show.out.print(show.plain(f"{one.requester} for {one.purpose}: {one.persons} persons, {_state(one)}"))
    for name, value in opened.items():
        words = value if isinstance(value, str) else msgspec.json.encode(value).decode()
        show.out.print(show.plain(f"  {name}: {words}"))
    return 0


@app.command()
def approve(
    review: Id,
    actor: Who,
    role: Roles,
    unit: Unit = None,
    config: Config = Path("guard.yaml"),
    json: show.Json = False,
) -> int:
    """Approves one: the requester may then run it once, quoting it. Exit 3 if this is not for the actor to do."""
    with _opened(config) as guard:
        settled = guard.reviews.approve(review, Actor(id=actor, roles=tuple(role), unit=unit))
    return _told(settled, json=json)


@app.command()
def reject(
    review: Id,
    actor: Who,
    role: Roles,
    unit: Unit = None,
    config: Config = Path("guard.yaml"),
    json: show.Json = False,
) -> int:
    """Rejects one, for good."""
    with _opened(config) as guard:
        settled = guard.reviews.reject(review, Actor(id=actor, roles=tuple(role), unit=unit))
    return _told(settled, json=json)


@app.command()
def withdraw(
    review: Id,
    actor: Annotated[str, typer.Option(help="Who asked for it, or approved it: the id.")],
    role: Annotated[list[str] | None, typer.Option(help="A role of the actor; may be repeated.")] = None,
    unit: Unit = None,
    config: Config = Path("guard.yaml"),
    json: show.Json = False,
) -> int:
    """Takes one back that was not used yet, for good. Exit 3 if this is not for the actor to do."""
    with _opened(config) as guard:
        settled = guard.reviews.withdraw(review, Actor(id=actor, roles=tuple(role or ()), unit=unit))
    return _told(settled, json=json)


def _told(settled: Waiting, *, json: bool) -> int:
    if json:
        show.json_line(settled)
    else:
        missing = sorted(set(settled.by) - set(settled.approved)) if settled.status == "held" else []
        waits = f", waits for {', '.join(missing)}" if missing else ""
        show.out.print(show.plain(f"{settled.review_id} {settled.status}{waits}"))
    return 0
