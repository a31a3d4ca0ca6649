"""Cancels a task wherever it waits, for tests that do so at each place in turn."""

from __future__ import annotations

import asyncio
import types
from collections.abc import Coroutine, Generator
from typing import Any, Final

WAYS: Final = ("early", "late", "early twice", "late twice")
"""As it begins to wait; once what it waited for has happened and before it goes on; with another one right behind."""


class Cut:
    """Runs a coroutine and cancels its task at its n-th suspension; `reached` says whether there was one."""

    def __init__(self, at: int, way: str) -> None:
        self._at = at
        self._late = way.startswith("late")
        self._twice = way.endswith("twice")
        self.reached = False

    @types.coroutine
    def __call__(self, inner: Coroutine[Any, Any, Any]) -> Generator[Any, Any, Any]:
        count, value, error = 0, None, None
        while True:
            try:
                waited = inner.send(value) if error is None else inner.throw(error)
            except StopIteration as end:
                return end.value
            count, value, error = count + 1, None, None
            now = count == self._at or (self._twice and count == self._at + 1)
            self.reached |= now
            if now and not self._late:
                task = asyncio.current_task()
                assert task is not None
                task.cancel()
            try:
                value = yield waited
            except BaseException as raised:  # noqa: BLE001 -- whatever comes is passed on
                error = raised
            if now and self._late:
                error = asyncio.CancelledError()
