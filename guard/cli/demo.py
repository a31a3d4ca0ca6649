"""`guard demo`: the example bank and credit agency, played step by step."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Annotated

import typer

from guard.cli import show
from guard.cli.engine import OpaToken, OpaUrl, UnsafeOpen, settings_for
from guard.config import Settings
from guard.demo import places
from guard.errors import Misuse
from guard.facade import Guard
from guard_register.entry import name_of


def demo(
    once: Annotated[bool, typer.Option("--once", help="Stop after the tour; leave out the page.")] = False,
    folder: Annotated[Path | None, typer.Option(help="Keep bank and agency in this empty folder.")] = None,
    database: Annotated[
        str | None, typer.Option(help="A PostgreSQL URL for the bank: an empty schema, or one that a demo made.")
    ] = None,
    opa: OpaUrl = None,
    opa_token: OpaToken = None,
    unsafe_open_server: UnsafeOpen = False,
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Where the page is; 0 takes a free one.")] = 8000,
    json: show.Json = False,
) -> int:
    """Plays a tour on a bank of 1,000 real applicants and a credit agency, every step for real; then serves the bank.

    An OPA server decides for the bank; the agency, another institution, always decides in process.
    """
    from guard.cli.tour import Terminal  # noqa: PLC0415 -- what it takes, no other command waits for
    from guard.demo import tour  # noqa: PLC0415

    with ExitStack() as stack:
        if not once:
            _free(port)
        place = _folder(folder, stack)
        made = places.make(place, database)
        settings = settings_for(made.bank, opa, opa_token, unsafe_open_server=unsafe_open_server)
        bank = stack.enter_context(tour.open_bank(settings))
        agency = stack.enter_context(tour.open_agency(Settings.load(made.agency)))
        played = stack.enter_context(closing(tour.Tour(bank, agency)))
        terminal = None if json else Terminal(settings.database.dialect)
        if terminal is not None:
            show.out.print("[bold]A bank of 1,000 real credit applicants with invented names, and a credit agency[/]")
            show.out.print(show.plain(bank.describe()), style="dim")
        refusals = {}
        for step in played.steps():
            if step.outcome == "refused" and step.detail.shard is not None and step.detail.entry is not None:
                refusals[name_of(step.detail.shard, step.detail.entry)] = step.rules
            if terminal is None:
                show.json_line(step)
            else:
                terminal.print(step)
        if terminal is not None:
            terminal.close()
        if folder is not None and not json:
            show.out.print(show.plain(f"The bank, its guard.yaml and its register are in {made.bank.parent}."))
        if not once:
            _serve(bank, port, refusals)
    return 0


def _serve(bank: Guard, port: int, refusals: Mapping[str, Sequence[str]]) -> None:
    """The page, until it is interrupted."""
    from guard.demo import page, web  # noqa: PLC0415 -- the tour alone needs no page

    with suppress(KeyboardInterrupt):
        page.serve(bank, bank=web.application(bank), port=port, ready=_ready, refusals=refusals)


def _free(port: int) -> None:
    """Misuse where the port is taken, told before the tour rather than after it."""
    from guard.demo.page import serving  # noqa: PLC0415 -- the tour alone needs no page

    serving.listening(serving.HOST, port).close()


def _ready(address: str) -> None:
    show.err.print(f"\nThe bank is open on {address} until Ctrl-C.", style="bold")


def _folder(folder: Path | None, stack: ExitStack) -> Path:
    if folder is None:
        return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="guard-demo-")))
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise Misuse(f"{folder} is not an empty folder; the demo changes nothing that exists.")
    folder.mkdir(parents=True, exist_ok=True)
    return folder
