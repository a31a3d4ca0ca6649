"""Appends that are awaited: entries of many tasks go out together, by one thread, and each event loop is told once.

A thread for each append would cost more than the append: under many tasks they trade places all the time. Here
tasks leave their entries in a group and wait; a thread of the register's own takes the whole group, while the next
one gathers. A task that is cancelled while it waits leaves its entry behind: the register then says more than
happened, never less.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from anyio import Event, move_on_after

from guard.errors import Refused

if TYPE_CHECKING:
    from guard.draft import Draft

AppendAll: TypeAlias = Callable[[Sequence["Draft"]], list[int | Exception]]

_SLOW: Final = "The entry was not durable in time."


class Soon:
    """Appends for tasks, on asyncio and trio. Safe for several event loops and threads at once.

    `append_all` makes entries durable and says for each its number, or why not. Nobody waits longer than `wait`
    seconds, while the first of a loop's tasks in the group waits too.
    """

    def __init__(self, append_all: AppendAll, *, wait: float) -> None:
        self._append_all: Final = append_all
        self._wait: Final = wait
        self._mutex = threading.Lock()
        self._gathering: _Group | None = None
        self._thread: ThreadPoolExecutor | None = None

    async def append(self, draft: Draft) -> int:
        """Makes an entry durable and gives its number; raises what `Register.append` raises."""
        loop, wake = _loop()
        with self._mutex:
            group = self._group()
            place = len(group.drafts)
            group.drafts.append(draft)
            told = group.told.get(loop)
            first = told is None
            if told is None:
                told = group.told[loop] = (wake, Event())
        if first:
            with move_on_after(self._wait):
                await told[1].wait()
            told[1].set()
        else:
            await told[1].wait()
        made = group.made[place] if group.made is not None else Refused.own("GUARD-REGISTER", _SLOW)
        if isinstance(made, int):
            return made
        raise made

    def _group(self) -> _Group:
        """The group that gathers; a new one is given to the thread at once, which takes what is there by then."""
        if self._gathering is None:
            group = _Group()
            if self._thread is None:
                self._thread = ThreadPoolExecutor(1, thread_name_prefix="guard-register")
            self._thread.submit(self._write, group)
            self._gathering = group
        return self._gathering

    def close(self) -> None:
        """Lets the thread go, once what it was given is written."""
        with self._mutex:
            thread, self._thread = self._thread, None
        if thread is not None:
            thread.shutdown()

    def _write(self, group: _Group) -> None:
        with self._mutex:
            if self._gathering is group:
                self._gathering = None
        try:
            group.made = self._append_all(group.drafts)
        finally:
            for wake, event in group.told.values():
                with suppress(RuntimeError):  # that loop has ended, and with it who waited
                    wake(event.set)


class _Group:
    """Entries that go out together, and what came of them once that is known."""

    __slots__ = ("drafts", "made", "told")

    def __init__(self) -> None:
        self.drafts: list[Draft] = []
        self.made: list[int | Exception] | None = None
        self.told: dict[object, tuple[Callable[[Callable[[], None]], object], Event]] = {}


def _loop() -> tuple[object, Callable[[Callable[[], None]], object]]:
    """The event loop that runs here, and how another thread has it call something."""
    asyncio: Any = sys.modules.get("asyncio")
    if asyncio is not None:
        with suppress(RuntimeError):
            loop = asyncio.get_running_loop()
            return loop, loop.call_soon_threadsafe
    token = sys.modules["trio"].lowlevel.current_trio_token()
    return token, token.run_sync_soon
