"""Decisions that were made before, bounded in all and by actor.

Only what a policy decided is kept, allowed or denied; an engine that failed is asked again. An actor who
varies the fields of its operations pushes out its own entries, never everybody's: each entry is charged to
the actor who caused it, and an actor over its share loses its own least recently used one.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Final

from guard.errors import Misuse
from guard.model import Decision

SIZE: Final = 16_384
PER_ACTOR: Final = 1_024


class Cache:
    """Least recently used decisions by key. Safe for many threads; may be shared, since a key names its policies."""

    def __init__(self, size: int = SIZE, per_actor: int = PER_ACTOR) -> None:
        if not 0 <= per_actor <= size:
            raise Misuse("An actor's share is a part of the cache: 0 <= per_actor <= size. 0 keeps nothing.")
        self._size = size
        self._per_actor = per_actor
        self._lock = threading.Lock()
        self._entries: OrderedDict[bytes, tuple[Decision, str]] = OrderedDict()
        self._shares: dict[str, OrderedDict[bytes, None]] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: bytes) -> Decision | None:
        """The decision of a key, which becomes the most recently used; None if there is none."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is None:
                return None
            self._entries.move_to_end(key)
            self._shares[entry[1]].move_to_end(key)
            return entry[0]

    def put(self, key: bytes, decision: Decision, actor: str) -> None:
        """Keeps a decision at the charge of `actor`."""
        with self._lock:
            if key in self._entries or not self._per_actor:
                return
            share = self._shares.setdefault(actor, OrderedDict())
            if len(share) >= self._per_actor:
                self._drop(next(iter(share)))
                share = self._shares.setdefault(actor, share)
            elif len(self._entries) >= self._size:
                self._drop(next(iter(self._entries)))
                share = self._shares.setdefault(actor, share)
            self._entries[key] = (decision, actor)
            share[key] = None

    def _drop(self, key: bytes) -> None:
        _, actor = self._entries.pop(key)
        share = self._shares[actor]
        del share[key]
        if not share:
            del self._shares[actor]

    def clear(self) -> None:
        """Forgets all."""
        with self._lock:
            self._entries.clear()
            self._shares.clear()
