"""Reading the register: the entries of a directory, as their processes wrote them.

Reading checks form, not history; `guard_register.verify` checks that nothing was changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import msgspec

from guard.errors import Refused
from guard_register.entry import OUTCOMES, Entry
from guard_register.log import MAX_LINE

_decode: Final = msgspec.json.Decoder(Entry).decode


def shards(directory: Path) -> list[str]:
    """The names of the shards that have a log, sorted."""
    return sorted(path.stem for path in directory.glob("*.jsonl"))


def lines(path: Path) -> Iterator[tuple[bytes, bool]]:
    """The lines of a log without their ends, each with whether it is whole.

    The last one may be torn by a crash: it has no end, was never acknowledged, and is no entry.
    """
    with path.open("rb") as file:
        while line := file.readline(MAX_LINE + 2):
            yield line.removesuffix(b"\n"), line.endswith(b"\n")


def entries(directory: Path, shard: str | None = None) -> Iterator[Entry]:
    """The entries of one shard or of all, in the order written; Refused GUARD-REGISTER at a line that is none."""
    for name in shards(directory) if shard is None else [shard]:
        for line, whole in lines(directory / f"{name}.jsonl"):
            if whole:
                yield _entry(line)


def outcomes(of: Iterable[Entry]) -> dict[tuple[str, int], str]:
    """What became of every intent: (shard, seq) -> kind of its outcome. One without reads as done."""
    found: dict[tuple[str, int], str] = {}
    for entry in of:
        if entry.kind == "intent":
            found.setdefault((entry.shard, entry.seq), "done")
        elif entry.kind in OUTCOMES and entry.refers_to is not None:
            found[entry.shard, entry.refers_to] = entry.kind
    return found


def _entry(line: bytes) -> Entry:
    try:
        return _decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise Refused.own("GUARD-REGISTER", "A line of the log is not an entry.") from None
