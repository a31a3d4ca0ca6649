"""One shard of the register: a file of JSON lines that one process writes and nobody changes.

A directory holds, of each shard, `SHARD.jsonl` (one entry a line) and `SHARD.head` (how many there are, and
the root of the Merkle tree over them); and `checkpoint.json` with the heads of all shards as they were when
one of them was opened or closed. The head follows the entries: after a crash it may say fewer than there are.

Group commit: appends that come while others are being written go out together with one fdatasync. The first
of them writes for all; there is no thread of our own. POSIX only.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, TypeAlias

import msgspec

from guard.errors import Refused
from guard_register.merkle import EMPTY, Tree

Line: TypeAlias = Callable[[int], bytes]
"""Gives the line of an entry for its number; pure."""

MAX_LINE: Final = 4 * 1024 * 1024
"""The longest line in bytes."""

_sync: Final = getattr(os, "fdatasync", os.fsync)
_HEAD_SIZE: Final = 256

_GONE: Final = "Its file was moved, replaced or changed by another program."
_BROKEN: Final = "An earlier write failed and could not be undone: look at the disk, then start again."
_SLOW: Final = "The entry was not durable in time."
_FAILED: Final = "The entry could not be written: look at space and permissions of its directory."


class Head(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The head of a shard: number of entries, root hash in hex."""

    size: int
    root: str


class Checkpoint(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The heads of all shards of a directory."""

    v: int
    shards: dict[str, Head]


class Log:
    """A new shard of `directory`, open for appending by this process. Safe for threads; not after a fork."""

    def __init__(self, directory: Path, *, wait: float) -> None:
        self.shard: Final = secrets.token_hex(8)
        self._directory = directory
        self._wait = wait
        self._mutex = threading.Lock()
        self._writing = threading.Lock()
        self._joining: _Batch | None = None
        self._tree = Tree()
        self._bytes = 0
        self._broken = False
        self._closed = False
        self._path = directory / f"{self.shard}.jsonl"
        with suppress(OSError):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = _create(self._path, os.O_APPEND)
            self._head = _create(directory / f"{self.shard}.head")
            self._write_head(self._tree)
            _checkpoint(directory, self.shard, self._tree, wait)
            self._inode = os.fstat(self._file).st_ino
            return
        raise Refused.own("GUARD-REGISTER", _FAILED)  # out here, so that no error of the system is its context

    @property
    def size(self) -> int:
        """How many entries are durable."""
        return self._tree.size

    def append(self, *lines: Line) -> int:
        """Makes entries durable and gives the number of the first; Refused GUARD-REGISTER if not sure in time.

        An entry that was refused may still have been written: the register then says more than happened,
        never less. What the kernel does not give back, a disk that hangs, cannot be bounded from here.
        """
        with self._mutex:
            batch = self._joining
            leads = batch is None
            if batch is None:
                batch = self._joining = _Batch()
            place, settled = batch.join(lines)
        if leads:
            self._commit(batch)
        elif not batch.wait(settled, 2 * self._wait):
            self._close(batch)
            raise Refused.own("GUARD-REGISTER", _SLOW)
        if batch.error is not None:
            raise Refused.own("GUARD-REGISTER", batch.error)
        return batch.first + place

    def close(self) -> None:
        """Closes the shard and enters its head into the checkpoint. Appends afterwards are refused."""
        with self._writing:
            if self._closed:
                return
            self._closed = True
            os.close(self._file)
            os.close(self._head)
            with suppress(OSError):
                _checkpoint(self._directory, self.shard, self._tree, self._wait)
                return
        raise Refused.own("GUARD-REGISTER", _FAILED)

    def abandon(self) -> None:
        """In a forked child: lets go of the parent's files, writes nothing.

        Of one that the parent closed, the numbers of its files are other files' by now.
        """
        if self._closed:
            return
        self._closed = True
        os.close(self._file)
        os.close(self._head)

    def _close(self, batch: _Batch) -> None:
        """No more entries join the batch."""
        with self._mutex:
            if self._joining is batch:
                self._joining = None

    def _commit(self, batch: _Batch) -> None:
        free = False
        try:
            free = self._writing.acquire(timeout=self._wait)
            self._close(batch)
            if not free:
                batch.error = _SLOW
                return
            batch.first = self._write(batch.lines)
            batch.error = None
        except OSError:
            batch.error = _FAILED
        except _Unusable as error:
            batch.error = str(error)
        finally:
            self._close(batch)
            if free:
                self._writing.release()
            batch.wake()

    def _write(self, lines: Sequence[Line]) -> int:
        """Writes all lines durably or none; gives the number of the first."""
        if self._closed:
            raise _Unusable("It is closed.")
        if self._broken:
            raise _Unusable(_BROKEN)
        self._check()
        first = self._tree.size
        tree = self._tree.copy()
        made = [line(number) for number, line in enumerate(lines, first)]
        for one in made:
            tree.add(one)
        data = b"\n".join([*made, b""])
        self._broken = True  # until all of it is done, or undone
        try:
            _write_all(self._file, data)
        except BaseException:
            self._undo()
            raise
        _sync(self._file)  # once this fails nobody can tell what the disk holds: the shard stays broken
        self._write_head(tree)
        self._tree = tree
        self._bytes += len(data)
        self._broken = False
        return first

    def _check(self) -> None:
        """The path still names the file we wrote, as long as we left it; else entries would go nowhere."""
        try:
            found = self._path.stat()
        except FileNotFoundError:
            raise _Unusable(_GONE) from None
        if found.st_ino != self._inode or found.st_size != self._bytes:
            raise _Unusable(_GONE)

    def _undo(self) -> None:
        """Cuts the file back to its last good entry."""
        try:
            os.ftruncate(self._file, self._bytes)
            _sync(self._file)
        except OSError:
            return
        self._broken = False

    def _write_head(self, tree: Tree) -> None:
        """The head is of one size and within one sector, so that it is replaced whole; it needs no sync of its own."""
        head = msgspec.json.encode(_head(tree)).ljust(_HEAD_SIZE - 1) + b"\n"
        if os.pwrite(self._head, head, 0) != _HEAD_SIZE:
            raise OSError


class _Batch:
    """Entries that are written together. Until it is known that they were, they were not.

    Each who waits has a lock of their own: one event for all would make them queue once more when it is set. Two
    are woken, and each of them wakes two more: all at once would do nothing but take the processor from one another.
    """

    __slots__ = ("_waiting", "error", "first", "lines")

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self.error: str | None = _FAILED
        self.first = -1
        self._waiting: deque[threading.Lock] = deque()

    def join(self, lines: Sequence[Line]) -> tuple[int, threading.Lock]:
        """Adds entries; gives the place of the first, and what is free once all is settled.

        Who comes first is the one that writes; each other one waits.
        """
        place = len(self.lines)
        settled = threading.Lock()
        if place:
            settled.acquire()
            self._waiting.append(settled)
        self.lines += lines
        return place, settled

    def wait(self, settled: threading.Lock, seconds: float) -> bool:
        """Waits until all is settled; False if it was not in time."""
        woken = False
        try:
            woken = settled.acquire(timeout=seconds)
        finally:  # also where a signal ends the waiting: others may be woken by nobody else
            if woken or not self._left(settled):
                self.wake()
        return woken

    def wake(self) -> None:
        """All is settled: lets two go on of those who wait."""
        with suppress(IndexError):
            self._waiting.popleft().release()
            self._waiting.popleft().release()

    def _left(self, settled: threading.Lock) -> bool:
        """Waits no longer; False if it was to be woken just then."""
        with suppress(ValueError):
            self._waiting.remove(settled)
            return True
        return False


class _Unusable(Exception):
    """The shard takes no entries; the message says why."""


def _create(path: Path, flags: int = 0) -> int:
    """A new file that only its owner reads, its name durable."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | flags, 0o600)
    _sync_directory(path.parent)
    return file


def _write_all(file: int, data: bytes | bytearray) -> None:
    rest = memoryview(data)
    while rest:
        written = os.write(file, rest)
        if written <= 0:
            raise OSError
        rest = rest[written:]


def _sync_directory(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _head(tree: Tree) -> Head:
    return Head(size=tree.size, root=tree.head().hex())


def read_checkpoint(directory: Path) -> Checkpoint:
    """The checkpoint of a directory, empty if there is none yet; msgspec.MsgspecError if it is damaged."""
    try:
        data = (directory / "checkpoint.json").read_bytes()
    except FileNotFoundError:
        return Checkpoint(v=1, shards={})
    return msgspec.json.decode(data, type=Checkpoint)


def read_head(path: Path) -> Head:
    """The head of a shard; msgspec.MsgspecError if it is damaged. One that was never written is of size 0."""
    data = path.read_bytes()
    return msgspec.json.decode(data, type=Head) if data else Head(size=0, root=EMPTY.hex())


def _checkpoint(directory: Path, shard: str, tree: Tree, wait: float) -> None:
    """Enters the head of one shard into the checkpoint, beside those of the others."""
    with _exclusive(directory / "checkpoint.lock", wait):
        try:
            old = read_checkpoint(directory)
        except msgspec.MsgspecError:
            raise OSError from None
        new = Checkpoint(v=1, shards={**old.shards, shard: _head(tree)})
        trial = directory / f".checkpoint.{shard}"
        handle = os.open(trial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            _write_all(handle, msgspec.json.encode(new, order="deterministic") + b"\n")
            os.fsync(handle)
        finally:
            os.close(handle)
        trial.replace(directory / "checkpoint.json")
        _sync_directory(directory)


@contextmanager
def _exclusive(path: Path, wait: float) -> Iterator[None]:
    """Holds a lock between processes; OSError if it is not free in `wait` seconds."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        until = time.monotonic() + wait
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= until:
                    raise
                time.sleep(0.01)
        yield
    finally:
        # Said, not left to closing: a child forked meanwhile has the same open file, and would keep the lock.
        fcntl.flock(handle, fcntl.LOCK_UN)
        os.close(handle)
