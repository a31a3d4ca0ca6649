"""Plans and guarded statements that were made before, so that a repeated statement costs two look-ups.

One cache belongs to one site. Its size is bounded; what was used longest ago goes first. Values are never
in it: parameters are bound each time, and literals are part of the text that is the key.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from threading import Lock
from typing import Final, Generic, TypeVar

from guard.model import Decision
from guard_sql.guarded import Guarded
from guard_sql.plan import Plan, plan
from guard_sql.site import Site
from guard_sql.template import shape

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class _Recent(Generic[K, V]):
    """The most recently used entries, at most `size` of them."""

    def __init__(self, size: int) -> None:
        self._size: Final = size
        self._entries: OrderedDict[K, V] = OrderedDict()
        self._lock: Final = Lock()

    def get(self, key: K) -> V | None:
        with self._lock:
            found = self._entries.get(key)
            if found is not None:
                self._entries.move_to_end(key)
            return found

    def put(self, key: K, value: V) -> None:
        with self._lock:
            self._entries[key] = value
            self._entries.move_to_end(key)
            while len(self._entries) > self._size:
                self._entries.popitem(last=False)

    def __len__(self) -> int:
        return len(self._entries)


class PlanCache:
    """text -> Plan, and (Plan, Decision) -> Guarded, at most `size` of each. Safe between threads.

    A refusal is not kept: it is made again, with its own reasons.
    """

    def __init__(self, site: Site, *, size: int = 1024) -> None:
        self._site: Final = site
        self._plans: _Recent[tuple[str, bool], Plan] = _Recent(size)
        self._met: _Recent[tuple[int, int], tuple[Plan, Decision, Guarded]] = _Recent(size)
        self._guarded: _Recent[tuple[int, bytes], tuple[Plan, Guarded]] = _Recent(size)

    def plan(self, sql: str, *, pyformat: bool = False) -> Plan:
        """The plan of a statement; `Refused` as `guard_sql.plan` does."""
        known = self._plans.get((sql, pyformat)) if type(sql) is str else None
        if known is None:
            known = plan(sql, self._site, pyformat=pyformat)
            self._plans.put((sql, pyformat), known)
        return known

    def apply(self, plan: Plan, decision: Decision | None) -> Guarded:
        """The guarded form of a plan under a decision: by the very objects first, then by the decision's shape.

        An entry holds the objects whose identity is its key: while it is there, no other object can have it.
        """
        if decision is None or plan.public:
            return self._by_shape(plan, decision, b"")
        if decision.allow is not True:
            # A denial has a shape too, that of nothing. It must never find what another decision allowed.
            return plan.apply(decision)
        met = self._met.get((id(plan), id(decision)))
        if met is not None:
            return met[2]
        made = self._by_shape(plan, decision, b"\n".join(shape(source, decision) for source in plan.sources))
        self._met.put((id(plan), id(decision)), (plan, decision, made))
        return made

    def _by_shape(self, plan: Plan, decision: Decision | None, key: bytes) -> Guarded:
        known = self._guarded.get((id(plan), key))
        if known is not None:
            return known[1]
        made = plan.apply(decision)
        self._guarded.put((id(plan), key), (plan, made))
        return made
