"""A register that was changed is found to be."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from pathlib import Path

import pytest

from guard.draft import Draft, Kind
from guard.errors import Refused
from guard.model import Actor, Recipient
from guard_register.reader import entries
from guard_register.register import Register
from guard_register.seal import KeyFile
from guard_register.verify import verify

KINDS: tuple[Kind, ...] = ("read", "intent", "denied", "done", "read", "intent", "held", "consent", "read")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    where = tmp_path / "register"
    write(where)
    return where


def write(where: Path) -> str:
    key = KeyFile(where.parent / "register.key")
    with Register(
        where, holder="bank", keys=lambda of: {one: secrets.token_bytes(32) for one in of}, sealer=key
    ) as one:
        for kind in KINDS:
            refers = 1 if kind == "done" else None
            one.append(
                Draft(
                    kind=kind,
                    actor=Actor(id="o-7"),
                    recipient=Recipient(kind="staff"),
                    subjects=("p",),
                    refers_to=refers,
                )
            )
        return one.shard


def log(directory: Path) -> Path:
    return next(directory.glob("*.jsonl"))


def test_an_untouched_register_is_whole(directory):
    report = verify(directory)
    assert report.ok
    assert [(one.size, one.unheaded, one.torn, one.problems) for one in report.shards] == [(9, 0, 0, ())]


def test_an_empty_or_missing_directory_is_whole(tmp_path):
    assert verify(tmp_path).ok
    assert verify(tmp_path / "none").size == 0


def test_one_changed_byte_is_found(directory):
    path = log(directory)
    whole = path.read_bytes()
    for place in range(0, len(whole), 3):
        changed = bytearray(whole)
        changed[place] ^= 1
        path.write_bytes(changed)
        assert not verify(directory).ok, place
    path.write_bytes(whole)
    assert verify(directory).ok


@pytest.mark.parametrize("place", range(9))
@pytest.mark.parametrize(
    "change",
    [
        lambda lines, at: lines[:at] + lines[at + 1 :],
        lambda lines, at: lines[:at] + lines[at : at + 1] + lines[at:],
        lambda lines, at: lines[:at],
        lambda lines, at: [*lines[:at], lines[at].replace(b'"o-7"', b'"o-8"'), *lines[at + 1 :]],
        lambda lines, at: [*lines[:at], *reversed(lines[at : at + 2]), *lines[at + 2 :]] if at < 8 else lines[::-1],
        lambda lines, at: [*lines[:at], lines[at].replace(b'"v":1,', b'"v":1, '), *lines[at + 1 :]],
        lambda lines, at: [*lines[:at], b"", *lines[at:]],
    ],
    ids=["dropped", "repeated", "cut off", "edited", "swapped", "respelt", "empty line"],
)
def test_a_line_that_was_tampered_with_is_found(
    directory, change: Callable[[list[bytes], int], list[bytes]], place: int
):
    path = log(directory)
    lines = path.read_bytes().split(b"\n")[:-1]
    path.write_bytes(b"".join(line + b"\n" for line in change(lines, place)))
    assert not verify(directory).ok


def test_a_line_dropped_and_the_rest_renumbered_is_found(directory):
    path = log(directory)
    lines = path.read_bytes().split(b"\n")[:-1]
    rest = lines[:4] + [line.replace(b'"seq":%d,' % at, b'"seq":%d,' % (at - 1)) for at, line in enumerate(lines)][5:]
    path.write_bytes(b"".join(line + b"\n" for line in rest))
    assert not verify(directory).ok


def test_a_log_or_head_that_is_missing_is_found(directory):
    write(directory)
    for path in (*directory.glob("*.jsonl"), *directory.glob("*.head"), directory / "checkpoint.json"):
        content = path.read_bytes()
        path.unlink()
        assert not verify(directory).ok, path
        path.write_bytes(content)
    assert verify(directory).ok


def test_a_whole_shard_that_is_missing_is_found(directory):
    other = write(directory)
    for path in directory.glob(f"{other}.*"):
        path.unlink()
    assert verify(directory).problems == (f"the log of shard {other} is missing",)


def test_a_log_of_another_shard_under_this_name_is_found(directory):
    other = write(directory)
    first = next(path for path in directory.glob("*.jsonl") if path.stem != other)
    (directory / f"{other}.jsonl").write_bytes(first.read_bytes())
    assert not verify(directory).ok


@pytest.mark.parametrize("name", ["head", "checkpoint"])
@pytest.mark.parametrize("change", [{"size": 8}, {"size": 10}, {"size": 0}, {"root": "00" * 32}, {"more": 1}])
def test_a_head_that_was_tampered_with_is_found(directory, name, change):
    path = next(directory.glob("*.head")) if name == "head" else directory / "checkpoint.json"
    content = json.loads(path.read_bytes())
    (content if name == "head" else next(iter(content["shards"].values()))).update(change)
    path.write_text(json.dumps(content))
    assert not verify(directory).ok


def test_a_torn_last_line_is_recognised_and_never_counted(directory):
    path = log(directory)
    whole = path.read_bytes()
    line = whole.split(b"\n")[0].replace(b'"seq":0,', b'"seq":9,')
    for torn in (b"{", line[:-1], line):  # without its end even a complete line was never acknowledged
        path.write_bytes(whole + torn)
        report = verify(directory)
        assert report.ok
        assert (report.size, report.shards[0].torn) == (9, len(torn))
        assert len(list(entries(directory))) == 9


def test_a_line_torn_in_the_middle_is_no_crash_but_a_problem(directory):
    path = log(directory)
    lines = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join([*lines[:4], lines[4][:20], *lines[5:]]))
    assert not verify(directory).ok
    with pytest.raises(Refused, match="not an entry"):
        list(entries(directory))


def test_entries_behind_the_head_are_counted(directory):
    path = log(directory)
    line = path.read_bytes().split(b"\n")[0].replace(b'"seq":0,', b'"seq":9,')
    path.write_bytes(path.read_bytes() + line + b"\n")
    report = verify(directory)
    assert report.ok
    assert (report.size, report.shards[0].unheaded) == (10, 1)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ((b'"seq":9,', b'"seq": 9,'), "canonical"),
        ((b'"v":1,', b'"v":2,'), "version 2"),
        ((b'"kind":"read"', b'"kind":"done"'), "no open intent"),
        ((b'"kind":"read"', b'"kind":"failed","refers_to":1'), "canonical"),
        ((b'"persons":', b'"refers_to":9,"persons":'), "canonical"),
        ((b'"subject', b'"subjects'), None),
        ((b'"seq":9,', b'"seq":10,'), "entry 10"),
        ((b'{"v"', b'{"w"'), "not an entry"),
        ((b'"count":1', b'"count":1,"count":1'), "canonical"),
    ],
)
def test_entries_behind_the_head_are_checked_as_far_as_they_can_be(directory, change, problem):
    path = log(directory)
    line = path.read_bytes().split(b"\n")[0].replace(b'"seq":0,', b'"seq":9,')
    path.write_bytes(path.read_bytes() + line.replace(*change) + b"\n")
    report = verify(directory)
    assert report.ok is (problem is None)
    assert problem is None or problem in report.shards[0].problems[0]


@pytest.mark.parametrize(("refers", "ok"), [(5, True), (1, False), (0, False), (9, False)])
def test_an_outcome_belongs_to_one_intent_that_has_none(directory, refers, ok):
    path = log(directory)
    line = path.read_bytes().split(b"\n")[0].replace(b'"seq":0,', b'"seq":9,').replace(b'"read"', b'"done"')
    path.write_bytes(path.read_bytes() + line[:-1] + b',"refers_to":%d}\n' % refers)
    assert verify(directory).ok is ok


@pytest.mark.parametrize(("refers", "ok"), [(8, True), (9, False), (99, False)])
def test_an_entry_refers_to_an_earlier_one(directory, refers, ok):
    path = log(directory)
    line = path.read_bytes().split(b"\n")[0].replace(b'"seq":0,', b'"seq":9,')
    path.write_bytes(path.read_bytes() + line[:-1] + b',"refers_to":%d}\n' % refers)
    assert verify(directory).ok is ok
