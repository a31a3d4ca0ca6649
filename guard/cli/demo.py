"""`guard demo`: the example bank and credit agency, played step by step."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Annotated

import typer

from guard.cli import show
from guard.cli.engine import OpaToken, OpaUrl, UnsafeOpen, settings_for
from guard.cli.tour import Terminal
from guard.config import Settings
from guard.demo import places, tour
from guard.errors import Misuse


def demo(
    once: Annotated[bool, typer.Option("--once", help="Stop after the tour (there is no page yet).")] = False,  # noqa: ARG001 -- the page that it leaves out is not built yet
    folder: Annotated[Path | None, typer.Option(help="Keep bank and agency in this empty folder.")] = None,
    database: Annotated[
        str | None, typer.Option(help="A PostgreSQL URL for the bank: an empty schema, or one that a demo made.")
    ] = None,
    opa: OpaUrl = None,
    opa_token: OpaToken = None,
    unsafe_open_server: UnsafeOpen = False,
    json: show.Json = False,
) -> int:
    """Makes a bank of 1,000 real applicants and a credit agency, and plays the tour on them, every step for real.

    An OPA server decides for the bank; the agency, another institution, always decides in process.
    """
    with ExitStack() as stack:
        place = _folder(folder, stack)
        made = places.make(place, database)
        settings = settings_for(made.bank, opa, opa_token, unsafe_open_server=unsafe_open_server)
        bank = stack.enter_context(tour.open_bank(settings))
        agency = stack.enter_context(tour.open_agency(Settings.load(made.agency)))
        played = stack.enter_context(closing(tour.Tour(bank, agency)))
        if json:
            for step in played.steps():
                show.json_line(step)
            return 0
        show.out.print(show.plain(bank.describe()), style="dim")
        terminal = Terminal(settings.database.dialect)
        for step in played.steps():
            terminal.print(step)
        if folder is not None:
            show.out.print(show.plain(f"The bank, its guard.yaml and its register are in {made.bank.parent}."))
    return 0


def _folder(folder: Path | None, stack: ExitStack) -> Path:
    if folder is None:
        return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="guard-demo-")))
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise Misuse(f"{folder} is not an empty folder; the demo changes nothing that exists.")
    folder.mkdir(parents=True, exist_ok=True)
    return folder
