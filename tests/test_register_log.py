"""The log under crashes, full disks, forks and many writers: what was acknowledged is there."""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from unittest.mock import Mock

import pytest

from guard.draft import Draft
from guard.errors import Refused
from guard.model import Actor, Recipient
from guard_register import log as module
from guard_register.reader import entries
from guard_register.register import Register
from guard_register.seal import KeyFile
from guard_register.verify import verify

DRAFT = Draft(kind="denied", actor=Actor(id="o-7"), recipient=Recipient(kind="staff"))

CHILD = """
import os, sys, threading
from guard.model import Actor, Recipient
from guard.draft import Draft
from guard_register.register import Register
from guard_register.seal import KeyFile
directory, key, threads, each = sys.argv[1:]
register = Register(directory, holder="bank", keys=lambda of: {}, sealer=KeyFile(key))
draft = Draft(kind="denied", actor=Actor(id="o-7"), recipient=Recipient(kind="staff"))
def work():
    for _ in range(int(each)):
        os.write(1, b"%s %d\\n" % (register.shard.encode(), register.append(draft)))
workers = [threading.Thread(target=work) for _ in range(int(threads))]
[one.start() for one in workers]
[one.join() for one in workers]
register.close()
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "register"


def make(directory: Path, wait: float = 5.0) -> Register:
    key = KeyFile(directory.parent / "register.key")
    return Register(directory, holder="bank", keys=lambda of: {}, sealer=key, wait=wait)


def child(directory: Path, threads: int, each: int) -> subprocess.Popen[bytes]:
    command = [
        sys.executable,
        "-c",
        CHILD,
        str(directory),
        str(directory.parent / "register.key"),
        str(threads),
        str(each),
    ]
    return subprocess.Popen(command, stdout=subprocess.PIPE)


def acknowledged(lines: list[bytes]) -> set[tuple[str, int]]:
    whole = [line.split() for line in lines if line.endswith(b"\n")]
    return {(shard.decode(), int(number)) for shard, number in whole}


def found(register: Register) -> list[tuple[str, int]]:
    return [(entry.shard, entry.seq) for entry in register.entries()]


def refused(register: Register) -> Refused:
    with pytest.raises(Refused) as caught:
        register.append(DRAFT)
    assert caught.value.rules == ("GUARD-REGISTER",)
    assert caught.value.__cause__ is None
    return caught.value


@pytest.mark.parametrize("after", [1, 40, 90, 150])
def test_a_kill_loses_no_acknowledged_entry(directory, after):
    process = child(directory, threads=8, each=10_000)
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(after)]
    process.kill()
    lines += process.stdout.readlines()
    process.stdout.close()
    process.wait()
    told = acknowledged(lines)
    assert len(told) >= after
    with make(directory) as register:
        assert told <= set(found(register))
        report = register.verify()
        assert report.ok
        assert report.shards[0].unheaded <= 8
        register.append(DRAFT)
        assert register.verify().ok


def test_processes_share_a_directory_each_with_its_shard(directory):
    processes = [child(directory, threads=3, each=10) for _ in range(4)]
    told = acknowledged([line for process in processes for line in process.communicate()[0].splitlines(keepends=True)])
    assert [process.returncode for process in processes] == [0] * 4
    with make(directory) as register:
        assert len(told) == 120
        assert told == set(found(register))
    report = verify(directory)
    assert report.ok
    assert [one.size for one in report.shards] == [30] * 4
    assert set(module.read_checkpoint(directory).shards) == {one.shard for one in report.shards}


def test_two_processes_append_while_a_third_reads_and_verifies(directory):
    """Nothing that they do meanwhile looks like tampering, and what was read once stays."""
    directory.mkdir()
    processes = [child(directory, threads=4, each=100) for _ in range(2)]
    readings = 0
    noted = verify(directory)
    while any(process.poll() is None for process in processes):
        report = verify(directory, noted=noted)
        assert report.ok, report
        assert sum(1 for _ in entries(directory)) >= report.size >= noted.size
        noted = report
        readings += 1
    assert readings > 3
    told = [acknowledged(process.communicate()[0].splitlines(keepends=True)) for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    report = verify(directory, noted=noted)
    assert report.ok
    assert [len(one) for one in told] == [one.size for one in report.shards] == [400, 400]


STEPS = ("open", "fsync", "pwrite", "write", "close")


def opens_until(directory: Path, step: int) -> int | None:
    """The signal that ended a child which opened a shard and was killed before its so-manyth call of the system."""
    pid = os.fork()
    if pid == 0:
        done = 0

        def counted(real):
            def call(*given, **more):
                nonlocal done
                done += 1
                if done == step:
                    os.kill(os.getpid(), signal.SIGKILL)
                return real(*given, **more)

            return call

        for name in STEPS:
            setattr(os, name, counted(getattr(os, name)))
        try:
            make(directory).append(DRAFT)
        finally:
            os._exit(0)
    status = os.waitpid(pid, 0)[1]
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else None


def test_a_kill_while_a_shard_is_opened_looks_like_no_tampering(directory):
    """At each call of the system between the first and the last of opening it and appending one entry."""
    KeyFile(directory.parent / "register.key")
    step = 1
    while opens_until(directory, step) == signal.SIGKILL:
        report = verify(directory)
        assert report.ok, (step, report)
        step += 1
    assert step > 15
    with make(directory) as register:
        register.append(DRAFT)
        assert register.verify().ok


def test_nothing_is_acknowledged_before_the_disk_has_it(directory, monkeypatch):
    entered, let = threading.Event(), threading.Event()
    with make(directory) as register:
        register.append(DRAFT)
        real = module._sync

        def slow(file: int) -> None:
            entered.set()
            assert let.wait(10)
            real(file)

        monkeypatch.setattr(module, "_sync", slow)
        got: list[int] = []
        thread = threading.Thread(target=lambda: got.append(register.append(DRAFT)))
        thread.start()
        assert entered.wait(10)
        assert got == []
        let.set()
        thread.join()
        assert got == [1]


def test_appends_that_come_during_a_sync_share_the_next_one(directory, monkeypatch):
    entered, let = threading.Event(), threading.Event()
    syncs: list[int] = []
    with make(directory) as register:
        register.append(DRAFT)
        real = module._sync

        def slow(file: int) -> None:
            syncs.append(file)
            entered.set()
            assert let.wait(10)
            real(file)

        monkeypatch.setattr(module, "_sync", slow)
        threads = [threading.Thread(target=register.append, args=(DRAFT,)) for _ in range(20)]
        threads[0].start()
        assert entered.wait(10)
        for thread in threads[1:]:
            thread.start()
        log = register._current().log
        while log._joining is None or len(log._joining.lines) < 19:  # all have joined
            threads[0].join(0.01)
        let.set()
        for thread in threads:
            thread.join()
        assert len(syncs) == 2
        assert register.verify().size == 21


class Waits:
    """Threads that wait for a batch, and how it ended for each; `first` joined before them and have yet to wait."""

    def __init__(self, number: int, first: int = 0) -> None:
        self.batch = module._Batch()
        self.join()  # who leads
        self.ended: list[bool] = []
        self.first = [self.join() for _ in range(first)]
        self.threads = [threading.Thread(target=self.wait, args=(self.join(), 10.0)) for _ in range(number)]
        for one in self.threads:
            one.start()

    def join(self) -> threading.Lock:
        return self.batch.join([lambda _: b""])[1]

    def wait(self, settled: threading.Lock, seconds: float) -> None:
        self.ended.append(self.batch.wait(settled, seconds))

    def end(self) -> list[bool]:
        for one in self.threads:
            one.join(5)
        return self.ended


def test_each_who_waits_wakes_others_until_all_are_awake():
    waits = Waits(30)
    waits.batch.wake()
    assert waits.end() == [True] * 30


def test_who_gives_up_is_not_counted_on_to_wake_others():
    waits = Waits(10, first=3)
    for one in waits.first:
        waits.wait(one, 0.001)
    waits.batch.wake()
    assert waits.end() == [False] * 3 + [True] * 10


def test_who_gives_up_while_being_woken_wakes_others_all_the_same():
    waits = Waits(10, first=1)
    waits.batch._waiting.popleft()  # about to be woken, when its time is over
    waits.wait(waits.first[0], 0.001)
    assert waits.end() == [False] + [True] * 10


def test_who_is_interrupted_while_being_woken_wakes_others_all_the_same():
    class Interrupted:
        acquire = Mock(side_effect=KeyboardInterrupt)

    waits = Waits(10)
    with pytest.raises(KeyboardInterrupt):
        waits.batch.wait(Interrupted, 1.0)  # woken already
    assert waits.end() == [True] * 10


def test_a_disk_that_hangs_refuses_those_who_wait(directory, monkeypatch):
    entered, let = threading.Event(), threading.Event()
    with make(directory, wait=0.05) as register:
        register.append(DRAFT)
        real = module._sync
        monkeypatch.setattr(module, "_sync", lambda file: (entered.set(), let.wait(10), real(file)))
        got: list[int] = []
        first = threading.Thread(target=lambda: got.append(register.append(DRAFT)))
        first.start()
        assert entered.wait(10)
        errors: list[Refused] = []
        others = [threading.Thread(target=lambda: errors.append(refused(register))) for _ in range(5)]
        for thread in others:
            thread.start()
        for thread in others:
            thread.join(10)
        assert len(errors) == 5
        assert all("in time" in str(error) for error in errors)
        let.set()
        first.join()
        assert got == [1]
        assert register.append(DRAFT) == 2
        assert register.verify().ok


def test_a_full_disk_refuses_and_leaves_whole_entries(directory):
    """The limit of the file size stands in for a full disk: the kernel writes a part, then no more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with make(directory) as register:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, hard))
        try:
            for _ in range(4):
                register.append(DRAFT)
            while (directory / f"{register.shard}.jsonl").stat().st_size < 1_800:
                register.append(DRAFT)
            written = register.verify().size
            assert "space" in str(refused(register))
            refused(register)
            assert register.verify().ok
            assert register.verify().size == written
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert register.append(DRAFT) == written
        assert register.verify().ok


def test_a_short_write_is_undone(directory, monkeypatch):
    with make(directory) as register:
        register.append(DRAFT)
        real, calls = os.write, []

        def short(file: int, data: bytes) -> int:
            calls.append(file)
            if len(calls) == 1:
                return real(file, bytes(data)[:10])
            raise OSError(errno.ENOSPC, "no space")

        with monkeypatch.context() as patch:
            patch.setattr(module.os, "write", short)
            refused(register)
        assert len(calls) == 2
        assert register.append(DRAFT) == 1
        report = register.verify()
        assert report.ok
        assert (report.size, report.shards[0].torn) == (2, 0)


def test_an_interrupt_during_the_write_is_undone(directory, monkeypatch):
    with make(directory) as register:
        register.append(DRAFT)
        real = os.write

        def interrupted(file: int, data: bytes) -> int:
            real(file, bytes(data)[:10])
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(module.os, "write", interrupted)
            with pytest.raises(KeyboardInterrupt):
                register.append(DRAFT)
        assert register.append(DRAFT) == 1
        assert register.verify().ok


def test_a_write_that_cannot_be_undone_ends_the_shard(directory, monkeypatch):
    with make(directory) as register:
        register.append(DRAFT)

        def fails(*_: object) -> int:
            raise OSError(errno.EIO, "i/o error at /secret/path")

        with monkeypatch.context() as patch:
            patch.setattr(module.os, "write", fails)
            patch.setattr(module.os, "ftruncate", fails)
            assert "secret" not in str(refused(register))
        assert "start again" in str(refused(register))


def test_after_a_failed_sync_nobody_can_tell_so_the_shard_ends(directory, monkeypatch):
    with make(directory) as register:
        register.append(DRAFT)

        def fails(_: int) -> None:
            raise OSError(errno.EIO, "i/o error")

        with monkeypatch.context() as patch:
            patch.setattr(module, "_sync", fails)
            refused(register)
        assert "start again" in str(refused(register))
    with make(directory) as register:
        assert register.append(DRAFT) == 0
        assert register.verify().ok


def replaced(path: Path) -> None:
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content)


@pytest.mark.parametrize(
    "change",
    [
        Path.unlink,
        replaced,
        lambda path: path.rename(path.with_suffix(".old")),
        lambda path: os.truncate(path, 10),
        lambda path: path.write_bytes(path.read_bytes() + b"{}\n"),
    ],
    ids=["deleted", "replaced", "renamed", "cut", "grown"],
)
def test_a_log_that_another_program_touched_takes_no_more_entries(directory, change):
    register = make(directory)
    register.append(DRAFT)
    change(directory / f"{register.shard}.jsonl")
    for _ in range(2):
        assert "another program" in str(refused(register))
    register.close()


def test_a_directory_that_cannot_be_written_refuses():
    """As a user without the right to write: root may write anywhere."""
    with tempfile.TemporaryDirectory() as folder:
        where = Path(folder)
        (where / "register").mkdir()
        key = KeyFile(where / "register.key")
        where.chmod(0o755)
        (where / "register").chmod(0o555)
        register = Register(where / "register", holder="bank", keys=lambda of: {}, sealer=key)
        pid = os.fork()
        if pid == 0:
            if os.getuid() == 0:
                os.setuid(65534)
            try:
                register.append(DRAFT)
            except Refused as error:
                os._exit(0 if error.rules == ("GUARD-REGISTER",) else 2)
            finally:
                os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_a_directory_that_is_a_file_refuses(directory):
    directory.write_text("")
    refused(make(directory))


def test_a_damaged_checkpoint_refuses_new_shards_and_is_kept(directory):
    directory.mkdir()
    (directory / "checkpoint.json").write_text("{")
    refused(make(directory))
    assert (directory / "checkpoint.json").read_text() == "{"


def test_a_checkpoint_that_stays_locked_refuses_in_time(directory):
    directory.mkdir()
    with (directory / "checkpoint.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        refused(make(directory, wait=0.05))


def test_a_forked_child_opens_a_shard_of_its_own(directory):
    with make(directory) as register:
        register.append(DRAFT)
        intent = register.append(Draft(kind="intent", actor=Actor(id="o-7"), recipient=Recipient(kind="staff")))
        pid = os.fork()
        if pid == 0:
            try:
                ok = [register.append(DRAFT) for _ in range(3)] == [0, 1, 2]
                register.close()
                os._exit(0 if ok else 1)
            finally:
                os._exit(2)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        assert (
            register.append(
                Draft(kind="done", actor=Actor(id="o-7"), refers_to=intent, recipient=Recipient(kind="staff"))
            )
            == 2
        )
    report = verify(directory)
    assert report.ok
    assert [one.size for one in report.shards] == [3, 3]


def test_a_forked_child_closes_no_file_in_the_place_of_a_closed_registers(directory):
    """The numbers of a closed log's files are soon those of a socket or a database."""
    register = make(directory)
    register.append(DRAFT)
    register.close()
    others = [os.open(os.devnull, os.O_RDONLY) for _ in range(8)]
    pid = os.fork()
    if not pid:
        code = 1
        try:
            for one in others:
                os.fstat(one)
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    for one in others:
        os.close(one)


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")  # Python 3.12: that is what is tested
def test_a_fork_while_threads_append_leaves_child_and_parent_able_to(directory):
    with make(directory) as register:
        stop = threading.Event()
        counts: list[int] = []

        def work() -> None:
            count = 0
            while not stop.is_set():
                register.append(DRAFT)
                count += 1
            counts.append(count)

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        codes = []
        for _ in range(5):
            pid = os.fork()
            if pid == 0:
                signal.alarm(10)  # a lock that was held at the fork would hang here
                try:
                    os._exit(0 if register.append(DRAFT) == 0 else 1)
                finally:
                    os._exit(2)
            codes.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        stop.set()
        for thread in threads:
            thread.join()
        assert codes == [0] * 5
        report = register.verify()
        assert report.ok
        assert sorted(one.size for one in report.shards) == [1] * 5 + [sum(counts)]
