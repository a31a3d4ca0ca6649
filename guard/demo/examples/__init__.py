"""Worked examples of activities and consent records, each with what the floor makes of it.

`NAME.json` is an activity or a consent record, `NAME.decision.json` or `NAME.verdict.json` the answer on the
wire. A test runs each through the real engine.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

import msgspec

HERE: Final = Path(__file__).parent

HOLDERS: Final[Mapping[str, Path]] = MappingProxyType(
    {name: HERE.parent / name / "guard.yaml" for name in ("bank", "agency")}
)
"""The shipped guard.yaml of each example holder."""

ANSWERS: Final = ("decision", "verdict")


class Example(msgspec.Struct, frozen=True):
    """One example: its document, the expected answer (a decision or a verdict), and the guard.yaml it is for."""

    name: str
    holder: str
    activity: Path
    answer: Path
    config: Path


def find(name: str) -> Example | None:
    """The example of this name, or None."""
    return next((one for one in every() if one.name == name), None)


def names() -> tuple[str, ...]:
    """The names of all examples, the bank's first."""
    return tuple(one.name for one in every())


def every() -> tuple[Example, ...]:
    """All examples, the bank's first, by name."""
    found = []
    for holder, config in HOLDERS.items():
        for path in sorted((HERE / holder).glob("*.json")):
            stem, _, kind = path.name.removesuffix(".json").rpartition(".")
            if kind in ANSWERS and stem:
                document = path.with_name(f"{stem}.json")
                found.append(Example(name=stem, holder=holder, activity=document, answer=path, config=config))
    return tuple(found)
