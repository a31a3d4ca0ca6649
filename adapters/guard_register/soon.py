"""Appends that are awaited: entries of many tasks go out together, by one thread, and each event loop is told once.

A thread for each append would cost more than the append: under many tasks they trade places all the time. Here
tasks leave their entries in a group and wait; a thread of the register's own takes the whole group, while the next
one gathers. A task that is cancelled while it waits leaves its entry behind: the register then says more than
happened, never less.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

from anyio import Event, move_on_after

from guard.errors import Refused

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Future

    from guard.draft import Draft

AppendAll: TypeAlias = Callable[[Sequence["Draft"]], list[int | Exception]]

_SLOW: Final = "The entry was not durable in time."


class Soon:
    """Appends for tasks, on asyncio and trio. Safe for several event loops and threads at once.

    `append_all` makes entries durable and says for each its number, or why not. Nobody waits longer than `wait`
    seconds; on trio, while the first of a loop's tasks in the group waits too.
    """

    def __init__(self, append_all: AppendAll, *, wait: float) -> None:
        self._append_all: Final = append_all
        self._wait: Final = wait
        self._mutex = threading.Lock()
        self._gathering: _Group | None = None
        self._thread: ThreadPoolExecutor | None = None

    async def append(self, draft: Draft) -> int:
        """Makes an entry durable and gives its number; raises what `Register.append` raises."""
        loop, kind = _loop()
        with self._mutex:
            group = self._gathering or self._begin()
            place = len(group.drafts)
            group.drafts.append(draft)
            waiting = group.waiting.get(loop)
            if waiting is None:
                waiting = group.waiting[loop] = kind(loop, self._wait)
            told = waiting.join()
        await told
        made = group.made[place] if group.made is not None else Refused.own("GUARD-REGISTER", _SLOW)
        if isinstance(made, int):
            return made
        raise made

    def _begin(self) -> _Group:
        """A group that gathers. It is given to the thread at once, which takes what is there by then."""
        group = _Group()
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="guard-register")
        self._thread.submit(self._write, group)
        self._gathering = group
        return group

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
            for waiting in group.waiting.values():
                with suppress(RuntimeError):  # that loop has ended, and with it who waited
                    waiting.tell()


class _Group:
    """Entries that go out together, who waits for them by event loop, and what came of them once that is known."""

    __slots__ = ("drafts", "made", "waiting")

    def __init__(self) -> None:
        self.drafts: list[Draft] = []
        self.made: list[int | Exception] | None = None
        self.waiting: dict[object, _Waiting] = {}


class _Waiting(Protocol):
    """The tasks of one event loop that wait for a group."""

    def join(self) -> Awaitable[None]:
        """To be awaited by one more task, at once."""
        ...

    def tell(self) -> None:
        """All of them go on; called in another thread. RuntimeError: the loop has ended."""
        ...


class _Asyncio:
    """See `_Waiting`. A future each: that is all that a task needs."""

    def __init__(self, loop: AbstractEventLoop, wait: float) -> None:
        self._loop = loop
        self._futures: list[Future[None]] = []
        self._over = False
        self._late = loop.call_later(wait, self._end)

    def join(self) -> Awaitable[None]:
        future = self._loop.create_future()
        self._futures.append(future)
        if self._over:
            future.set_result(None)
        return future

    def tell(self) -> None:
        self._loop.call_soon_threadsafe(self._end)

    def _end(self) -> None:
        self._over = True
        self._late.cancel()
        for future in self._futures:
            if not future.done():  # it was cancelled
                future.set_result(None)


class _Trio:
    """See `_Waiting`."""

    def __init__(self, token: Any, wait: float) -> None:
        self._token = token
        self._wait = wait
        self._event = Event()
        self._first = True

    def join(self) -> Awaitable[None]:
        first, self._first = self._first, False
        return self._bounded() if first else self._event.wait()

    def tell(self) -> None:
        self._token.run_sync_soon(self._event.set)

    async def _bounded(self) -> None:
        with move_on_after(self._wait):
            await self._event.wait()
        self._event.set()


def _loop() -> tuple[Any, Callable[[Any, float], _Waiting]]:
    """The event loop that runs here, and what keeps the tasks of such a one."""
    asyncio: Any = sys.modules.get("asyncio")
    if asyncio is not None:
        try:
            return asyncio.get_running_loop(), _Asyncio
        except RuntimeError:  # none of its own runs here
            pass
    return sys.modules["trio"].lowlevel.current_trio_token(), _Trio
