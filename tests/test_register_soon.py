"""Appends that are awaited: durable before they are known, together, and nobody waits for another's trouble."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from guard.draft import Draft
from guard.errors import Misuse, Refused
from guard.model import Actor
from guard_register import log
from guard_register.register import Register
from guard_register.seal import KeyFile

Patch = pytest.MonkeyPatch

BOTH = pytest.mark.parametrize("backend", ["asyncio", "trio"])


def draft(place: int = 0, **fields: Any) -> Draft:
    return Draft(kind="read", actor=Actor(id=f"o-{place}", roles=()), digests={}, statement=f"SELECT {place}", **fields)


@pytest.fixture
def register(tmp_path: Path) -> Iterator[Register]:
    made = Register(
        tmp_path / "register",
        holder="bank",
        keys=lambda of: dict.fromkeys(of, b"k" * 32),
        sealer=KeyFile(tmp_path / "register.key"),
        wait=0.2,
    )
    with made:
        yield made


class Disk:
    """Counts what is written durably; holds it back, or fails, as told."""

    def __init__(self, patch: Patch) -> None:
        self.times = 0
        self.fails = False
        self.free = threading.Event()
        self.free.set()
        self._sync: Callable[[int], None] = log._sync
        patch.setattr(log, "_sync", self)

    def __call__(self, file: int) -> None:
        self.free.wait(10)
        if self.fails:
            raise OSError
        self.times += 1
        self._sync(file)


@BOTH
def test_entries_of_many_tasks_go_out_together(register: Register, monkeypatch: Patch, backend: str) -> None:
    disk = Disk(monkeypatch)
    numbers: list[int] = []

    async def one(place: int) -> None:
        for _ in range(5):
            number = await register.append_soon(draft(place))
            assert number < register._current().log.size, "it is durable by the time that its task goes on"
            numbers.append(number)

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            for place in range(40):
                tasks.start_soon(one, place)

    anyio.run(main, backend=backend)
    assert sorted(numbers) == list(range(200))
    assert [entry.seq for entry in register.entries()] == list(range(200))
    assert register.verify().ok
    assert disk.times < 100


@BOTH
def test_what_is_wrong_with_one_entry_is_no_matter_of_the_others(register: Register, backend: str) -> None:
    ended: dict[int, object] = {}

    async def one(place: int) -> None:
        made = draft(place, refers_to=999) if place == 3 else draft(place)
        try:
            ended[place] = await register.append_soon(made)
        except Misuse as error:
            ended[place] = error

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            for place in range(8):
                tasks.start_soon(one, place)

    anyio.run(main, backend=backend)
    assert isinstance(ended.pop(3), Misuse)
    assert sorted(ended.values()) == list(range(7))  # type: ignore[type-var]  # they are numbers


@BOTH
def test_nobody_goes_on_where_the_disk_fails(register: Register, monkeypatch: Patch, backend: str) -> None:
    register.append(draft())
    disk = Disk(monkeypatch)
    disk.fails = True
    refused: list[Refused] = []

    async def one(place: int) -> None:
        with pytest.raises(Refused) as raised:
            await register.append_soon(draft(place))
        refused.append(raised.value)

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            for place in range(8):
                tasks.start_soon(one, place)

    anyio.run(main, backend=backend)
    assert [one.rules for one in refused] == [("GUARD-REGISTER",)] * 8
    assert len({id(one) for one in refused}) == 8, "each has a refusal of its own"


@BOTH
@pytest.mark.parametrize("which", [0, 1, 5])
def test_a_task_that_is_cancelled_leaves_the_others_alone(
    register: Register, monkeypatch: Patch, backend: str, which: int
) -> None:
    """Also the first, which began the group."""
    register.append(draft())
    disk = Disk(monkeypatch)
    disk.free.clear()
    numbers: list[int] = []
    scopes: list[anyio.CancelScope] = []

    async def one(place: int) -> None:
        with anyio.CancelScope() as scope:
            scopes.append(scope)
            numbers.append(await register.append_soon(draft(place)))

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            for place in range(6):
                tasks.start_soon(one, place)
                await anyio.sleep(0.005)
            scopes[which].cancel()
            await anyio.sleep(0.005)
            disk.free.set()

    anyio.run(main, backend=backend)
    assert len(numbers) == 5
    assert register._current().log.size == 7, "its entry is there: more is said than happened, never less"


@BOTH
def test_a_disk_that_hangs_is_waited_for_so_long(register: Register, monkeypatch: Patch, backend: str) -> None:
    register.append(draft())
    disk = Disk(monkeypatch)
    disk.free.clear()
    refused: list[tuple[str, ...]] = []

    async def one(place: int) -> None:
        await anyio.sleep(place / 100)
        with pytest.raises(Refused) as raised:
            await register.append_soon(draft(place))
        refused.append(raised.value.rules)

    async def main() -> None:
        with anyio.fail_after(5):
            async with anyio.create_task_group() as tasks:
                for place in range(6):
                    tasks.start_soon(one, place)

    anyio.run(main, backend=backend)
    assert refused == [("GUARD-REGISTER",)] * 6
    disk.free.set()


def test_that_the_first_is_cancelled_makes_nobody_wait_longer(register: Register, monkeypatch: Patch) -> None:
    """On asyncio; nor does who comes after the time is over wait at all."""
    register.append(draft())
    disk = Disk(monkeypatch)
    disk.free.clear()
    refused: list[tuple[str, ...]] = []

    async def one(place: int) -> None:
        with pytest.raises(Refused) as raised:
            await register.append_soon(draft(place))
        refused.append(raised.value.rules)

    async def main() -> None:
        with anyio.move_on_after(0.01):
            await register.append_soon(draft())  # its group is at the disk
        with anyio.fail_after(5):
            async with anyio.create_task_group() as tasks:
                with anyio.move_on_after(0.01):
                    await register.append_soon(draft())  # the first of the next one
                for place in range(3):
                    tasks.start_soon(one, place)
            assert register._soon._gathering is not None
            await one(3)

    anyio.run(main)
    assert refused == [("GUARD-REGISTER",)] * 4
    disk.free.set()


def test_loops_in_several_threads_share_a_shard(register: Register) -> None:
    numbers: list[int] = []

    async def main() -> None:
        async def one(place: int) -> None:
            numbers.append(await register.append_soon(draft(place)))

        async with anyio.create_task_group() as tasks:
            for place in range(20):
                tasks.start_soon(one, place)

    threads = [
        threading.Thread(target=anyio.run, args=(main,), kwargs={"backend": backend})
        for backend in ("asyncio", "trio", "asyncio", "trio")
    ]
    for thread in threads:
        thread.start()
    numbers += [register.append(draft(place)) for place in range(20)]
    for thread in threads:
        thread.join()
    assert sorted(numbers) == list(range(100))
    assert register.verify().ok


@BOTH
def test_a_closed_register_refuses(register: Register, backend: str) -> None:
    async def main() -> None:
        assert await register.append_soon(draft()) == 0
        register.close()
        with pytest.raises(Refused, match="GUARD-REGISTER"):
            await register.append_soon(draft())

    anyio.run(main, backend=backend)


def test_a_loop_that_ended_meanwhile_is_not_called(register: Register, monkeypatch: Patch) -> None:
    register.append(draft())
    disk = Disk(monkeypatch)
    disk.free.clear()

    async def main() -> None:
        with anyio.move_on_after(0.01):
            await register.append_soon(draft())

    for _ in range(2):
        anyio.run(main)
    disk.free.set()
    assert anyio.run(register.append_soon, draft()) in (2, 3)
