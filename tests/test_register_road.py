"""The register under the whole guard: what a program was given is in it, whoever dies and whatever fills up.

Scenario 9 of the threats: rows are released, and an auditor with the register and its keys, and nothing else,
recovers who read what about whom; a kill after an acknowledgement loses nothing.
"""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import signal
import sqlite3
import stat
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

import guard_dbapi
from guard import Actor, Guard, Refused, Settings
from guard.demo import tour
from guard_register import reader
from guard_register.entry import Entry
from guard_register.merkle import Tree
from guard_register.persons import commitment, concerns
from guard_register.seal import KeyFile, unseal
from guard_register.verify import verify

KILLS = int(os.environ.get("GUARD_KILLS", "200"))
THREADS = 4
PURPOSE = "loan_underwriting"
LIN = Actor(id="officer-lin", roles=("loan_officer",), unit="branch-3")
ALL_MINE = "UPDATE loan_case SET officer_id = 'officer-lin', status = 'open'"
ONE = "SELECT full_name, id_number FROM customer WHERE customer_id = ?"
SOME = "SELECT customer_id, full_name, id_number, mobile FROM customer WHERE customer_id BETWEEN ? AND ?"


class Bank:
    """The example bank with every case assigned to one officer."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = str(folder / "bank.db")
        tour.open_bank(Settings.load(tour.make_bank(folder))).close()
        with closing(sqlite3.connect(self.file)) as raw, raw:
            raw.execute(ALL_MINE)
        shutil.rmtree(folder / "register")
        self.guard = Guard.load(folder / "guard.yaml")
        self.connect = guard_dbapi.wrap(sqlite3.connect, self.guard, dialect="sqlite")

    @property
    def register(self) -> Path:
        return self.guard.register.directory

    def ask(self, sql: str, *parameters: object) -> tuple[list[tuple[Any, ...]], int]:
        """The rows that were released, and the number of the entry that came before them."""
        with self.guard.acting(LIN, purpose=PURPOSE) as act, closing(self.connect(self.file)) as connection:
            rows = connection.execute(sql, parameters).fetchall()
        return rows, act.outcomes[-1].entry

    def readable(self) -> list[int]:
        """Customers of whom something is released, as the rows of a few reads show."""
        return [row[0] for low in range(1001, 1201, 20) for row in self.ask(SOME, low, low + 19)[0]]


@contextmanager
def opened(folder: Path) -> Iterator[Bank]:
    bank = Bank(folder)
    try:
        yield bank
    finally:
        bank.guard.close()


@pytest.fixture
def bank(tmp_path: Path) -> Iterator[Bank]:
    with opened(tmp_path / "bank") as one:
        yield one


def in_child(work: Callable[[], None]) -> int:
    """The exit code of a forked child that does the work; it runs nothing of this process's end."""
    pid = os.fork()
    if pid == 0:
        with suppress(BaseException):
            work()
            os._exit(0)
        os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


# --- Scenario 9, kills ----------------------------------------------------------------------------


def serve(bank: Bank, customers: list[int], out: int) -> None:
    """Reads one person after the other in some threads; tells which entry came before each released row."""

    def work(place: int) -> None:
        with suppress(BrokenPipeError):
            while True:
                for customer in customers[place::THREADS]:
                    rows, entry = bank.ask(ONE, customer)
                    if rows:
                        os.write(out, b"%s %d %d\n" % (bank.guard.register.shard.encode(), entry, customer))

    threads = [threading.Thread(target=work, args=(place,)) for place in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def killed(bank: Bank, customers: list[int], after: int) -> list[bytes]:
    """What a child told that is killed after so many released reads; a write may be under way by then."""
    into, out = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(into)
            serve(bank, customers, out)
        finally:
            os._exit(1)
    os.close(out)
    with os.fdopen(into, "rb") as stream:
        told = [stream.readline() for _ in range(after)]
        os.kill(pid, signal.SIGKILL)
        told += stream.readlines()
    assert os.WIFSIGNALED(os.waitpid(pid, 0)[1])
    return [line for line in told if line.endswith(b"\n")]


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_two_hundred_kills_under_load_lose_no_released_row(bank: Bank) -> None:
    customers = bank.readable()
    assert len(customers) > 50
    choose = random.Random(9)
    keys = bank.guard.consents.persons.keys(map(str, customers))
    released = torn = 0
    for _ in range(KILLS):
        told = killed(bank, customers, choose.randint(1, 12))
        assert told
        shard = told[0].split()[0].decode()
        entries = list(reader.entries(bank.register, shard))
        for line in told:
            named, entry, customer = line.split()
            assert named.decode() == shard
            assert concerns(entries[int(entry)], customer.decode(), keys[customer.decode()])
        released += len(told)
    report = bank.guard.register.verify()
    assert report.ok, report.problems
    assert len(report.shards) == KILLS + 1
    assert all(shard.unheaded <= THREADS for shard in report.shards)
    torn = sum(shard.torn > 0 for shard in report.shards)
    print(f"\n{KILLS} kills: {released} released rows, {report.size} entries, {torn} torn lines, none lost")  # noqa: T201


# --- A register that cannot be written ------------------------------------------------------------


def refused(bank: Bank, customer: int) -> bool:
    try:
        bank.ask(ONE, customer)
    except Refused as error:
        return error.rules == ("GUARD-REGISTER",) and error.__cause__ is None and error.__context__ is None
    return False


def test_a_full_disk_releases_nothing(bank: Bank) -> None:
    """The limit of the file size stands in for a full disk: the kernel writes a part, then no more."""
    customer = bank.readable()[0]
    log = bank.register / f"{bank.guard.register.shard}.jsonl"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (log.stat().st_size + 500, hard))
    try:
        assert refused(bank, customer)
        assert refused(bank, customer)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert bank.guard.register.verify().ok
    rows, _ = bank.ask(ONE, customer)
    assert rows
    assert bank.guard.register.verify().ok


def test_a_directory_that_cannot_be_written_releases_nothing() -> None:
    """As a user without the right to write: root may write anywhere."""
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        with opened(Path(place) / "bank") as bank:
            customer = bank.readable()[0]
            entries = sum(1 for _ in bank.guard.register.entries())
            for path in (bank.folder, *bank.folder.rglob("*")):
                path.chmod(path.stat().st_mode | stat.S_IROTH | stat.S_IRGRP)
            bank.folder.chmod(0o755)
            bank.register.chmod(0o555)

            def as_nobody() -> None:
                if os.getuid() == 0:
                    os.setuid(65534)
                if not refused(bank, customer):
                    os._exit(2)

            assert in_child(as_nobody) == 0
            assert sum(1 for _ in bank.guard.register.entries()) == entries
            bank.register.chmod(0o755)
            assert bank.ask(ONE, customer)[0]


# --- Scenario 9, the auditor ----------------------------------------------------------------------


class Auditor:
    """Has a copy of the register, the register's key and the keys of persons; no guard, no bank."""

    def __init__(self, bank: Bank, folder: Path) -> None:
        shutil.copytree(bank.register, folder / "register")
        shutil.copyfile(bank.guard.settings.register_.key_file, folder / "register.key")
        (folder / "register.key").chmod(0o600)
        self.directory = folder / "register"
        self.sealer = KeyFile(folder / "register.key")
        self.keys = dict(bank.guard.consents.persons.known(str(one) for one in range(1001, 2001)))

    def reads(self) -> list[Entry]:
        return [entry for entry in reader.entries(self.directory) if entry.kind == "read" and entry.rows]

    def persons(self, entry: Entry) -> set[str]:
        """Who the entry is about."""
        named = {commitment(key, entry.salt, person): person for person, key in self.keys.items()}
        return {named[one] for one in (entry.persons.of if entry.persons else ())}

    def fields(self, entry: Entry) -> dict[str | None, str | None]:
        return {one.field: one.treatment for one in entry.touched}


def spoken(secret: str) -> list[bytes]:
    """The forms in which a value might stand in a file."""
    return [secret.encode(), json.dumps(secret)[1:-1].encode(), secret.encode().hex().encode()]


def test_the_auditor_recovers_all_of_five_hundred_rows_and_nobody_else_does(bank: Bank, tmp_path: Path) -> None:
    released: Counter[str] = Counter()
    asked: list[list[int]] = []
    values: set[str] = set()
    low = 1001
    while released.total() < 500:
        rows, _ = bank.ask(SOME, low, low + 19)
        released.update(str(row[0]) for row in rows)
        values |= {cell for row in rows for cell in row[1:] if cell is not None}
        asked += [[low, low + 19]] if rows else []
        low = low + 20 if low < 1980 else 1001
    with closing(sqlite3.connect(bank.file)) as raw:
        values |= {cell for row in raw.execute("SELECT full_name, id_number, mobile FROM customer") for cell in row}
    bank.guard.register.close()
    auditor = Auditor(bank, tmp_path)
    assert verify(auditor.directory).ok
    reads = auditor.reads()
    assert sum(entry.rows or 0 for entry in reads) == released.total() >= 500
    assert Counter(person for entry in reads for person in auditor.persons(entry)) == released
    assert [unseal(auditor.sealer, entry) for entry in reads] == [{"sql": SOME, "parameters": one} for one in asked]
    for entry in reads:
        assert (entry.actor.id, entry.purpose, entry.operation) == ("officer-lin", PURPOSE, "use")
        assert entry.decision is not None
        assert dict(entry.decision.digests) == dict(bank.guard.active.digests)
        assert {"OP-01", "PI-02", "PI-19"} <= set(entry.decision.rules)
        assert auditor.fields(entry) == {
            None: "conditional",
            "customer_id": "revealed",
            "full_name": "conditional",
            "id_number": "conditional:id18",
            "mobile": "conditional:phone",
        }
    everything = b"".join(path.read_bytes() for path in auditor.directory.rglob("*") if path.is_file())
    for secret in (*values, *(f'"{one}"' for one in released), "BETWEEN 1001"):
        assert not any(form in everything for form in spoken(secret)), secret
    for known in ("read", "officer-lin", PURPOSE, "full_name"):
        assert known.encode() in everything


def forge(directory: Path, log: Path, lines: list[bytes]) -> None:
    """Puts other entries into the log, and head and checkpoint that fit them."""
    tree = Tree()
    for line in lines:
        tree.add(line.removesuffix(b"\n"))
    head = {"size": tree.size, "root": tree.head().hex()}
    log.write_bytes(b"".join(lines))
    log.with_suffix(".head").write_text(json.dumps(head))
    (directory / "checkpoint.json").write_text(json.dumps({"v": 1, "shards": {log.stem: head}}))


def test_the_auditor_finds_what_was_done_to_the_log(bank: Bank) -> None:
    """A fork is another history from some entry on, whole in itself: only what was noted before tells it."""
    bank.readable()
    noted = bank.guard.register.verify()
    bank.readable()
    bank.guard.register.close()
    (log,) = bank.register.glob("*.jsonl")
    lines = log.read_bytes().splitlines(keepends=True)
    middle = noted.size // 2
    assert lines[middle].count(b'"officer-lin"') == 1

    def found(*, alone: bool) -> None:
        assert verify(bank.register).ok is not alone
        assert not verify(bank.register, noted=noted).ok

    assert verify(bank.register, noted=noted).ok
    changed = [*lines[:middle], lines[middle].replace(b'"officer-lin"', b'"officer-lim"'), *lines[middle + 1 :]]
    log.write_bytes(b"".join(changed))
    found(alone=True)
    log.write_bytes(b"".join(lines[:-1]))
    assert not verify(bank.register).ok
    forge(bank.register, log, changed)
    found(alone=False)
    forge(bank.register, log, lines[: noted.size - 1])
    found(alone=False)
    for path in bank.register.iterdir():
        path.unlink()
    found(alone=False)
