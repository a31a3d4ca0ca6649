"""`guard demo`: the example bank, played step by step."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.padding import Padding
from rich.panel import Panel
from rich.syntax import Syntax

from guard.cli import show
from guard.cli.engine import OpaToken, OpaUrl, UnsafeOpen, settings_for
from guard.demo import tour
from guard.errors import Misuse

_STYLE: Final = {"allowed": "green", "reduced": "yellow", "refused": "red", "held": "magenta", "detected": "cyan"}
_TITLE: Final = {
    "read-one": "A loan officer reads the application of an open case",
    "not-my-case": "A colleague without that case",
    "no-purpose": "The same officer, without a purpose",
    "read-all": "SELECT * over all applicants",
}


def demo(
    once: Annotated[bool, typer.Option("--once", help="Stop after the tour (there is no page yet).")] = False,  # noqa: ARG001 -- the page that it leaves out is not built yet
    folder: Annotated[Path | None, typer.Option(help="Keep the bank in this empty folder.")] = None,
    opa: OpaUrl = None,
    opa_token: OpaToken = None,
    unsafe_open_server: UnsafeOpen = False,
    json: show.Json = False,
) -> int:
    """Makes a bank of 1,000 real applicants on SQLite and plays four real steps on it."""
    with ExitStack() as stack:
        place = _folder(folder, stack)
        settings = settings_for(tour.make_bank(place), opa, opa_token, unsafe_open_server=unsafe_open_server)
        guard = stack.enter_context(tour.open_bank(settings))
        played = stack.enter_context(closing(tour.Tour(guard)))
        if not json:
            show.out.print(show.plain(guard.describe()), style="dim")
        shown: list[str] = []
        for step in played.steps():
            if json:
                show.json_line(step)
            else:
                _print(step, shown)
        if folder is not None and not json:
            show.out.print(show.plain(f"The bank, its guard.yaml and its register are in {place}."))
    return 0


def _folder(folder: Path | None, stack: ExitStack) -> Path:
    if folder is None:
        return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="guard-demo-")))
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise Misuse(f"{folder} is not an empty folder; the demo changes nothing that exists.")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _print(step: tour.Step, shown: list[str]) -> None:
    """Prints a step; `shown` remembers that the long form of a grant condition was printed once."""
    style = _STYLE[step.outcome]
    detail = step.detail
    show.out.print()
    show.out.rule(f"[bold]{_TITLE[step.step]}[/]", align="left", style=style)
    show.out.print(show.plain(f"{detail.who}, {detail.what}"), style="dim")
    if step.sql is not None:
        _statement("the program wrote", step.sql.before)
        if step.sql.after is not None and step.outcome != "refused":
            short, grant = abridged(step.sql.after)
            _statement("the database ran", short)
            if grant and not shown:
                shown.append(grant)
                _statement("where GRANT(category) stands for", grant)
    show.out.print(f"[bold {style}]{step.outcome.upper()}[/]  {step.rows} rows" + _entry(detail.entry))
    for rule, clause in detail.clauses.items():
        show.out.print(Padding(show.plain(f"{rule}  {clause}: {detail.sentences[rule]}"), (0, 0, 0, 2)))
    for remedy in detail.remedy:
        show.out.print(Padding(show.plain(f"→ {remedy}"), (0, 0, 0, 2)), style="green")
    if detail.sample:
        _rows(detail.columns, detail.sample, step.rows)


_GRANT: Final = 'EXISTS (SELECT 1 FROM "main".guard_grant'


def abridged(sql: str) -> tuple[str, str | None]:
    """The statement with each condition on grants as GRANT(category), and the first such condition in full.

    For reading only: the condition stands once for every category, and is what makes the text long.
    """
    made, first, rest = "", None, sql
    while (start := rest.find(_GRANT)) >= 0:
        end = _closing(rest, start + len("EXISTS "))
        condition = rest[start:end]
        category = condition.partition("s.category = '")[2].partition("'")[0]
        separate = ", separate" if "g.separate = 1" in condition else ""
        made += rest[:start] + f"GRANT({category or 'any'}{separate})"
        first, rest = first or condition, rest[end:]
    return made + rest, first


def _closing(text: str, start: int) -> int:
    """The place after the bracket that closes the one at `start`."""
    depth = 0
    for place in range(start, len(text)):
        depth += (text[place] == "(") - (text[place] == ")")
        if depth == 0:
            return place + 1
    return len(text)


def _entry(entry: int | None) -> str:
    return "" if entry is None else f", register entry {entry}"


def _statement(title: str, sql: str) -> None:
    code = Syntax(sql, "sql", word_wrap=True, background_color="default", theme="ansi_dark")
    show.out.print(Panel(code, title=title, title_align="left", border_style="dim"))


def _rows(columns: Sequence[str], sample: Sequence[Sequence[object]], rows: int) -> None:
    """The first rows; one alone stands upright, and no cell is cut: a mask cut short looks like a value."""
    if len(sample) == 1:
        shown = columns
        table = show.table("column", "value")
        for name, value in zip(columns, sample[0], strict=True):
            table.add_row(show.plain(name), show.plain("" if value is None else str(value)))
    else:
        shown = columns[: max(3, show.out.width // 20)]
        table = show.table(*shown)
        for row in sample:
            table.add_row(*(show.plain("" if value is None else str(value)) for value in row[: len(shown)]))
    show.out.print(Padding(table, (0, 0, 0, 2)))
    left = []
    if rows > len(sample):
        left.append(f"{rows - len(sample)} more rows")
    if len(columns) > len(shown):
        left.append(f"{len(columns) - len(shown)} more columns")
    if left:
        show.out.print(f"  and {', '.join(left)}", style="dim")
