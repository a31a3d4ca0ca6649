"""What the commands print: rich for people, one JSON object a line for programs.

`--json` output goes to standard output and nothing else does; failures go to standard error.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo

import msgspec
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from guard.errors import Problem, Refused
from guard_register.entry import name_of

out: Final = Console(highlight=False, soft_wrap=False)
err: Final = Console(stderr=True, highlight=False, soft_wrap=True)

Json = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
Lang = Annotated[str, typer.Option("--lang", help="en or zh.")]


def json_line(value: Any) -> None:
    """One object as one line of JSON, in which a terminal finds nothing to obey: such characters are escaped."""
    text = msgspec.json.encode(value).decode()
    if not text.isprintable():  # outside its strings it is
        text = "".join(one if one.isprintable() else json.dumps(one)[1:-1] for one in text)
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def plain(text: str) -> Text:
    """Text from outside as it is: no markup, no terminal control characters."""
    return Text("".join(character if character.isprintable() or character == "\n" else "\ufffd" for character in text))


def moment(seconds: int, zone: str) -> str:
    """A time as the institution's calendar and clock say it."""
    return datetime.fromtimestamp(seconds, UTC).astimezone(ZoneInfo(zone)).isoformat(sep=" ")[:19]


_WHOLE: Final = frozenset({"rule", "规则", "review"})
"""First columns that are never folded: what stands there is quoted."""


def table(*heads: str) -> Table:
    """A plain table whose cells wrap; Chinese text has no spaces to wrap at, so it is folded."""
    made = Table(box=None, pad_edge=False)
    for number, head in enumerate(heads):
        made.add_column(plain(head), overflow="fold", no_wrap=number == 0 and len(heads) > 1 and head in _WHOLE)
    return made


def failure(text: str) -> None:
    """One sentence about what went wrong."""
    err.print(plain(text), style="red")


def problems(found: Sequence[Problem]) -> None:
    """Each problem with its place and remedy."""
    for problem in found:
        where = f"{problem.file}:{problem.line}" if problem.line else problem.file
        err.print(plain(where), style="bold")
        err.print(plain(f"  {problem.message}"), style="red")
        err.print(plain(f"  → {problem.remedy}"), style="green")


def refusal(refused: Refused) -> None:
    """A refusal with its rules and what would be allowed."""
    err.print(plain(refused.explain()), style="red")


def language(lang: str) -> Any:
    """`en` or `zh`, or a usage error."""
    if lang not in {"en", "zh"}:
        raise typer.BadParameter("is en or zh", param_hint="--lang")
    return lang


def counted(rows: int) -> str:
    """A number of rows in words."""
    return f"{rows} row{'' if rows == 1 else 's'}"


def entry(shard: str | None, number: int | None) -> str:
    """The name of a register entry, as `guard register show` has it."""
    return "none" if number is None else name_of(shard or "", number)
