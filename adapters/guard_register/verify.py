"""Whether a register is as it was written.

Every line must be the canonical JSON of an entry, numbered without a gap, and the Merkle root over the lines
must be the one that head and checkpoint keep. So a changed byte, a line dropped, added among others or moved,
and a log that is missing are found. Entries behind the last head are counted as `unheaded`: the crash of a
process leaves at most one commit of them. Who can write the directory can rewrite all of it: that is found by
whoever noted an earlier report elsewhere. A checkpoint that is signed and kept by others is not built yet.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from guard.wire import canonical
from guard_register.entry import OUTCOMES, VERSION, Entry
from guard_register.log import Checkpoint, Head, read_checkpoint, read_head
from guard_register.merkle import Tree
from guard_register.reader import lines, shards

_decode: Final = msgspec.json.Decoder(Entry).decode


class ShardReport(msgspec.Struct, frozen=True):
    """What was found of one shard: entries, root over them (hex), entries behind the head, bytes of a torn line."""

    shard: str
    size: int
    root: str
    unheaded: int
    torn: int
    problems: tuple[str, ...]


class Report(msgspec.Struct, frozen=True):
    """What was found of a directory. `problems` are those of no one shard."""

    shards: tuple[ShardReport, ...]
    problems: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems and not any(one.problems for one in self.shards)

    @property
    def size(self) -> int:
        """How many entries there are."""
        return sum(one.size for one in self.shards)


def verify(directory: str | Path, *, noted: Report | None = None) -> Report:
    """Reads every shard of a register. It may be in use: what is appended meanwhile is not looked at.

    `noted` is what an earlier reading found, kept where who writes the register cannot reach it: the log must
    go on from there. Without it another history that is whole in itself passes for this one.
    """
    where = Path(directory)
    problems: list[str] = []
    try:
        checkpoint = read_checkpoint(where)
    except (msgspec.MsgspecError, OSError):
        problems.append("checkpoint.json is damaged or cannot be read")
        checkpoint = Checkpoint(v=1, shards={})
    notes = {one.shard: Head(size=one.size, root=one.root) for one in noted.shards} if noted else {}
    present = set(shards(where))
    expected = (
        {path.stem for path in where.glob("*.head") if path.stat().st_size} | checkpoint.shards.keys() | notes.keys()
    )
    problems += [f"the log of shard {name} is missing" for name in sorted(expected - present)]
    return Report(
        shards=tuple(_shard(where, name, checkpoint.shards.get(name), notes.get(name)) for name in sorted(present)),
        problems=tuple(problems),
    )


def _shard(directory: Path, shard: str, point: Head | None, note: Head | None) -> ShardReport:
    """Verifies a shard; looks again at one that was opened after the checkpoint was read."""
    report = _verify(directory, shard, point, note)
    if point is None and report.problems:
        with suppress(msgspec.MsgspecError, OSError):
            return _verify(directory, shard, read_checkpoint(directory).shards.get(shard), note)
    return report


def _verify(directory: Path, shard: str, point: Head | None, note: Head | None) -> ShardReport:
    heads: dict[str, Head] = {}
    problems: list[str] = []
    opening = False
    try:
        heads["head"] = read_head(directory / f"{shard}.head")
    except FileNotFoundError:
        opening = True  # or the head was taken away
    except (msgspec.MsgspecError, OSError):
        problems.append("its head is damaged or cannot be read")
    if point is not None:
        heads["checkpoint"] = point
    tree = Tree()
    torn = 0
    intents: set[int] = set()
    pending = heads | ({"note": note} if note is not None else {})
    _compare(pending, tree, problems)
    for line, whole in lines(directory / f"{shard}.jsonl"):
        if not whole:
            torn = len(line)
            break
        problem = _line(line, shard, tree.size, intents)
        if problem:
            problems.append(f"entry {tree.size}: {problem}")
        tree.add(line)
        _compare(pending, tree, problems)
    problems += [f"the {name} counts {head.size} entries, the log has {tree.size}" for name, head in pending.items()]
    # One that its process is opening, or died in opening, holds nothing: entries come after head and checkpoint.
    if opening and (point is not None or tree.size):
        problems.append("its head is missing")
    if point is None and tree.size:
        problems.append("the checkpoint does not know this shard")
    return ShardReport(
        shard=shard,
        size=tree.size,
        root=tree.head().hex(),
        unheaded=tree.size - max((head.size for head in heads.values()), default=0),
        torn=torn,
        problems=tuple(problems),
    )


def _compare(pending: dict[str, Head], tree: Tree, problems: list[str]) -> None:
    """Compares the root with the heads of this size."""
    due = [name for name, head in pending.items() if head.size == tree.size]
    wrong = [name for name in due if pending.pop(name).root != tree.head().hex()]
    problems += [f"the first {tree.size} entries are not those of the {name}" for name in wrong]


def _line(line: bytes, shard: str, number: int, intents: set[int]) -> str | None:
    """What is wrong with a line, if anything is."""
    try:
        entry = _decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return "not an entry"
    if entry.v != VERSION:
        return f"of version {entry.v}, which this program does not read"
    if canonical(entry) != line:
        return "not in canonical form"
    if entry.shard != shard or entry.seq != number:
        return f"says that it is entry {entry.seq} of shard {entry.shard}"
    if entry.kind == "intent":
        intents.add(number)
    elif entry.kind in OUTCOMES:
        if entry.refers_to not in intents:
            return "the outcome of no open intent"
        intents.remove(entry.refers_to)
    elif entry.refers_to is not None and not 0 <= entry.refers_to < number:
        return "refers to no earlier entry"
    return None
