"""`guard register`: read what was registered, and check that nothing of it was changed. Works while others write."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer
from rich.padding import Padding

from guard.cli import show
from guard.config import Settings
from guard.errors import Misuse
from guard_register import reader
from guard_register.entry import Entry
from guard_register.verify import verify as check

app = typer.Typer(help="The register: who asked what, why, and what was decided.", no_args_is_help=True)

Config = Annotated[Path, typer.Option("--config", help="The guard.yaml whose register it is.")]
WRONG: Final = 1


def _settings(config: Path) -> Settings:
    if not config.exists():
        raise Misuse(f"There is no {config}. Name a guard.yaml with --config.")
    return Settings.load(config)


@app.command("show")
def show_entries(
    config: Config = Path("guard.yaml"),
    last: Annotated[int, typer.Option(min=1, help="At most so many entries, the newest.")] = 20,
    kind: Annotated[str | None, typer.Option(help="Only read, denied, consent, ….")] = None,
    json: show.Json = False,
) -> int:
    """Shows the newest entries. Persons are commitments and values are sealed: neither shows without its key."""
    settings = _settings(config)
    found = [one for one in reader.entries(settings.register_.directory) if kind is None or one.kind == kind]
    found.sort(key=lambda one: (one.time, one.shard, one.seq))
    if json:
        for one in found[-last:]:
            show.json_line(one)
        return 0
    for one in found[-last:]:
        head, below = _lines(one, settings.zone)
        show.out.print(show.plain(head))
        if below:
            show.out.print(Padding(show.plain(below), (0, 0, 0, 4), expand=False), style="dim")
    return 0


def _lines(one: Entry, zone: str) -> tuple[str, str]:
    """An entry as two lines, which a narrow terminal breaks between names and never within one."""
    when, name = show.moment(one.time, zone), show.entry(one.shard, one.seq)
    who = one.actor.id or "(a person)"
    rules = ", ".join(one.decision.rules) if one.decision else ""
    rows = "" if one.rows is None else show.counted(one.rows)
    many = one.persons.count if one.persons else 0
    persons = f"{many} person{'' if many == 1 else 's'}" if many else ""
    return (
        "  ".join(part for part in (when, name, one.kind, who, one.purpose) if part),
        "; ".join(part for part in (rules, ", ".join(part for part in (rows, persons) if part)) if part),
    )


@app.command()
def verify(config: Config = Path("guard.yaml"), json: show.Json = False) -> int:
    """Recomputes every shard and compares it with its heads. Exit 1 if a byte was changed, dropped or moved."""
    report = check(_settings(config).register_.directory)
    if json:
        document: dict[str, Any] = msgspec.to_builtins(report)
        show.json_line({"ok": report.ok, "entries": report.size, **document})
        return 0 if report.ok else WRONG
    for problem in report.problems:
        show.failure(problem)
    for shard in report.shards:
        for problem in shard.problems:
            show.failure(f"{shard.shard}: {problem}")
    if report.ok:
        show.out.print(f"{report.size} entries in {len(report.shards)} shards, nothing wrong", style="green")
    return 0 if report.ok else WRONG
