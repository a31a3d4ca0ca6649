"""Steps on the register: it has every step, it verifies, and one changed byte is found."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from guard.demo.tour.holder import Holder, Played
from guard.demo.tour.step import Detail, Disagreement, Step
from guard_register.verify import Report, verify

_ROWS: Final = re.compile(rb'"rows":(\d+)')
_TIME: Final = re.compile(rb'"time":(\d+)')


def steps(bank: Holder, agency: Holder, played: Sequence[Played]) -> Iterator[Played]:
    """What was played, looked for; then a copy of the bank's register, with a byte changed."""
    yield _verified(bank, agency, played)
    yield _tampered(bank, next(one.step for one in played if one.step.step == "read-all"))


def _verified(bank: Holder, agency: Holder, played: Sequence[Played]) -> Played:
    found = {one.step.step: [one.holder.entry(trace).seq for trace in one.traces] for one in played}
    reports = {holder.guard.settings.holder: holder.guard.register.verify() for holder in (bank, agency)}
    wrong = [problem for report in reports.values() for problem in _problems(report)]
    if wrong:
        raise Disagreement(f"register-verified: {wrong[0]}")
    sizes = {name: report.size for name, report in reports.items()}
    told = " and ".join(f"{size} of the {name}" for name, size in sizes.items())
    step = Step(
        step="register-verified",
        operation="verify",
        outcome="allowed",
        detail=Detail(
            who="whoever may read the registers",
            what="looks for every step above and verifies both registers",
            message=f"All {len(found)} steps are there, and the registers are as they were written: entries {told}.",
            found={"steps": found, "entries": sizes},
        ),
    )
    return Played(step, bank, ())


def _tampered(bank: Holder, step: Step) -> Played:
    """In the copy, the entry of read-all says that it released another number of rows."""
    register = bank.guard.register
    with tempfile.TemporaryDirectory(prefix="guard-demo-") as folder:
        copy = Path(folder) / "register"
        shutil.copytree(register.directory, copy)
        changed = _change(copy / f"{register.shard}.jsonl", step.detail.entry)
        problems = _problems(verify(copy))
    if not problems:
        raise Disagreement("register-tampered: the register verifies with a byte changed.")
    return Played(
        Step(
            step="register-tampered",
            operation="verify",
            outcome="detected",
            detail=Detail(
                who="somebody with access to the disk",
                what=f"changes one byte of entry {step.detail.entry} in a copy of the register: {changed}",
                message=f"Found: {problems[0]}.",
                entry=step.detail.entry,
                shard=step.detail.shard,
                found={"problems": problems},
            ),
        ),
        bank,
        (),
    )


def _change(log: Path, number: int | None) -> str:
    """Changes one digit of one line, so that the line is a whole entry still; gives what it was and is."""
    lines = log.read_bytes().split(b"\n")
    line = lines[number or 0]
    match = _ROWS.search(line) or _TIME.search(line)
    if match is None:
        raise Disagreement("register-tampered: the entry has no number to change.")
    was, place = match[0].decode(), match.start(1)
    lines[number or 0] = line[:place] + (b"8" if match[1].startswith(b"9") else b"9") + line[place + 1 :]
    log.write_bytes(b"\n".join(lines))
    return f"{was} becomes {lines[number or 0][match.start() : match.end()].decode()}"


def _problems(report: Report) -> list[str]:
    return [*report.problems, *(problem for shard in report.shards for problem in shard.problems)]
