"""The register of one process: drafts in, durable entries out.

An entry is durable when `append` returns, so what it says may happen after that. `guard_register.line` says
what goes into one.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from guard import clock
from guard.draft import Draft
from guard.errors import Misuse, Refused
from guard_register.entry import OUTCOMES, Entry
from guard_register.line import Scribe
from guard_register.log import Line, Log
from guard_register.persons import Keys
from guard_register.reader import entries
from guard_register.seal import KeyFile, Sealer
from guard_register.soon import Soon
from guard_register.verify import Report, verify

if TYPE_CHECKING:
    from guard.config import Settings


class Register:
    """Appends to a shard of its own in `directory`. Safe for threads; a forked child opens its own shard.

    `keys` gives the person keys, `sealer` holds the register's key. An entry names at most `itemise` persons;
    above, it says how many they are. `wait` bounds in seconds how long an entry may take to be durable.
    """

    def __init__(
        self,
        directory: str | Path,
        *,
        holder: str,
        keys: Keys,
        sealer: Sealer,
        itemise: int = 1_000,
        wait: float = 5.0,
        now: clock.Clock = clock.system,
    ) -> None:
        self.directory: Final = Path(directory)
        self._scribe = Scribe(holder=holder, keys=keys, sealer=sealer, itemise=itemise, now=now)
        self._wait = wait
        self._closed = False
        self._opening = threading.Lock()
        self._shard: _Shard | None = None
        self._soon = Soon(self.append_all, wait=2 * wait)
        _OPEN.add(self)

    @classmethod
    def open(cls, settings: Settings, keys: Keys, *, now: clock.Clock = clock.system) -> Self:
        """The register that the settings name."""
        return cls(
            settings.register_.directory,
            holder=settings.holder,
            keys=keys,
            sealer=KeyFile(settings.register_.key_file),
            itemise=settings.limits.itemise,
            wait=settings.limits.register_wait,
            now=now,
        )

    @property
    def shard(self) -> str:
        """The name of this process's shard; opens it if need be."""
        return self._current().log.shard

    def append(self, draft: Draft) -> int:
        """Makes an entry durable and gives its number in this process's shard.

        Refused GUARD-REGISTER if that is not sure: then nothing that the entry speaks of may be released.
        """
        shard = self._current()
        number = shard.log.append(self._line(draft, shard))
        shard.note(draft, number)
        return number

    def append_all(self, drafts: Sequence[Draft]) -> list[int | Exception]:
        """The same for several at once: for each its number, or why it was not appended. Raises nothing."""
        made: list[int | Exception] = []
        lines: dict[int, Line] = {}
        try:
            shard = self._current()
            for place, draft in enumerate(drafts):
                try:
                    lines[place] = self._line(draft, shard)
                except (Refused, Misuse) as error:
                    made.append(error)
                else:
                    made.append(place)
            first = shard.log.append(*lines.values()) if lines else 0
        except Refused as refused:
            return [Refused.own("GUARD-REGISTER", refused.detail) for _ in drafts]
        for number, place in enumerate(lines, first):
            shard.note(drafts[place], number)
            made[place] = number
        return made

    async def append_soon(self, draft: Draft) -> int:
        """`append`, awaited: the event loop goes on, and entries of other tasks go out with this one."""
        return await self._soon.append(draft)

    def entries(self) -> Iterator[Entry]:
        """All entries of the directory, shard by shard; the shards of other processes too."""
        return entries(self.directory)

    def verify(self) -> Report:
        """Checks every shard of the directory; see `guard_register.verify`."""
        return verify(self.directory)

    def close(self) -> None:
        """Closes the shard. Appends afterwards are refused."""
        self._soon.close()
        with self._opening:
            self._closed = True
            if self._shard is not None and self._shard.pid == os.getpid():
                self._shard.log.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _current(self) -> _Shard:
        shard = self._shard
        if shard is not None and shard.pid == os.getpid() and not self._closed:
            return shard
        with self._opening:
            if self._closed:
                raise Refused.own("GUARD-REGISTER", "It is closed.")
            if self._shard is None or self._shard.pid != os.getpid():
                self._shard = _Shard(Log(self.directory, wait=self._wait))
            return self._shard

    def forked(self) -> None:
        """In a forked child: the parent's shard and locks are left alone; the next entry opens a new shard."""
        self._opening = threading.Lock()
        self._soon = Soon(self.append_all, wait=2 * self._wait)
        if self._shard is not None:
            self._shard.log.abandon()
            self._shard = None

    def _line(self, draft: Draft, shard: _Shard) -> Line:
        if draft.kind in OUTCOMES:
            if draft.refers_to not in shard.intents:
                raise Misuse("An outcome refers to an intent of this process that has no outcome yet.")
        elif draft.refers_to is not None and not 0 <= draft.refers_to < shard.log.size:
            raise Misuse("An entry refers to an earlier entry of this process.")
        return self._scribe.line(draft, shard.log.shard)


class _Shard:
    """A log, the process that may write it, and its intents that have no outcome yet."""

    __slots__ = ("intents", "log", "pid")

    def __init__(self, log: Log) -> None:
        self.log = log
        self.pid = os.getpid()
        self.intents: set[int] = set()

    def note(self, draft: Draft, number: int) -> None:
        """An entry is durable."""
        if draft.kind == "intent":
            self.intents.add(number)
        elif draft.kind in OUTCOMES and draft.refers_to is not None:
            self.intents.discard(draft.refers_to)


_OPEN: weakref.WeakSet[Register] = weakref.WeakSet()


def _forked() -> None:
    for register in tuple(_OPEN):
        register.forked()


os.register_at_fork(after_in_child=_forked)
