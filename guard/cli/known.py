"""`guard policy show`: the purposes and categories that a catalogue, a profile and a route can name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Final, get_args

import msgspec
import typer
from rich.padding import Padding

from guard import purposes
from guard.cli import show
from guard.config import Settings
from guard.demo import examples
from guard.errors import Misuse
from guard.model import Operation
from guard.purposes import Purpose
from guard_engine import releases

_WORDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "open": "needs no consent of its own",
        "sensitive": "sensitive",
        "wealth": "wealth",
        "closed": "closed to purposes of one's own",
        "forbidden": "forbidden to credit agencies",
        "duty_only": "for statutory duties alone",
    }
)


def show_known(
    config: Annotated[Path | None, typer.Option(help="guard.yaml; default: ./guard.yaml.")] = None,
    example: Annotated[str | None, typer.Option(help="bank or agency: a shipped example instead.")] = None,
    json: show.Json = False,
) -> int:
    """Lists the purposes that this institution has, and the categories, as a catalogue and routes name them."""
    floor, profile = _data(config, example)
    known = purposes.known(floor, profile)
    offered = {name: one for name, one in sorted(known.items()) if one.offered}
    categories: Mapping[str, Any] = floor["categories"]
    if json:
        for name, purpose in offered.items():
            show.json_line({"purpose": name, **msgspec.to_builtins(purpose)})
        for name, entry in sorted(categories.items()):
            show.json_line({"category": name, **entry})
        return 0
    show.out.print("Purposes", style="bold")
    for name, purpose in offered.items():
        show.out.print(show.plain(f"{name}: {', '.join(_of_purpose(purpose))}"))
        if purpose.categories:
            listed = show.plain(", ".join(sorted(purpose.categories)))
            show.out.print(Padding(listed, (0, 0, 0, 4), expand=False), style="dim")
    show.out.print("\nCategories", style="bold")
    for name, entry in sorted(categories.items()):
        words = ", ".join(_of_category(entry))
        show.out.print(show.plain(f"{name}: {words}" if words else name))
    return 0


def _data(config: Path | None, example: str | None) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """What the floor and the profile declare."""
    if example is not None:
        if example not in examples.HOLDERS:
            raise typer.BadParameter(f"is one of {', '.join(examples.HOLDERS)}", param_hint="--example")
        config = examples.HOLDERS[example]
    path = config or Path("guard.yaml")
    if not path.exists():
        raise Misuse(f"There is no {path}. Name a guard.yaml with --config, or take a shipped one with --example bank.")
    found = {one.layer: one.data for one in releases.load_bundles(Settings.load(path))}
    return found.get("floor", {"categories": {}}), found["profile"]


def _of_purpose(purpose: Purpose) -> Iterator[str]:
    yield "for " + ("any role" if purpose.roles is None else " or ".join(purpose.roles))
    yield f"to {', '.join(one for one in get_args(Operation) if one in purpose.operations)}"
    if purpose.relation is not None:
        yield f"with the relation {purpose.relation}"
    yield "on " + " or ".join(purpose.bases)
    if purpose.own:
        yield "of the profile"


def _of_category(entry: Mapping[str, Any]) -> Iterator[str]:
    yield from (words for part, words in _WORDS.items() if entry.get(part))
    if "mask" in entry:
        yield f"mask {entry['mask']}"
