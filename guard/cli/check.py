"""`guard check`: everything that can be found wrong before a program runs."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated, Final

import typer

from guard.cli import checks, show
from guard.demo import agency, bank
from guard.errors import Misuse
from guard.facade import Guard

WRONG: Final = 1
_EXAMPLES: Final = {"bank": bank, "agency": agency}


def check(
    config: Annotated[Path, typer.Argument(help="The guard.yaml.")] = Path("guard.yaml"),
    example: Annotated[str | None, typer.Option(help="bank or agency: a shipped example instead.")] = None,
    json: show.Json = False,
) -> int:
    """Looks at guard.yaml, catalogue, profile, policies and database. Exit 1 if anything is wrong."""
    if example is not None:
        if example not in _EXAMPLES:
            raise typer.BadParameter(f"is one of {', '.join(_EXAMPLES)}", param_hint="--example")
        return _example(example, json=json)
    if not config.exists():
        raise Misuse(f"There is no {config}. Name a guard.yaml, or take a shipped one with --example bank.")
    return _report(config, json=json)


def _example(name: str, *, json: bool) -> int:
    """A shipped example, with its database made in a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="guard-check-") as folder:
        config = _EXAMPLES[name].build(Path(folder))
        with Guard.load(config):
            return _report(config, json=json)


def _report(config: Path, *, json: bool) -> int:
    report = checks.check(config)
    if json:
        for level, found in (("error", report.errors), ("warning", report.warnings)):
            for problem in found:
                show.json_line({"level": level, **{f: getattr(problem, f) for f in problem.__struct_fields__}})
    else:
        show.problems(report.errors)
        for problem in report.warnings:
            show.err.print(show.plain(f"warning: {problem}"), style="yellow")
        if not report.errors:
            looked = "documents, catalogue, policies, engine settings, database, key file"
            show.out.print(show.plain(f"{config}: nothing wrong ({looked})"), style="green")
    return WRONG if report.errors else 0
