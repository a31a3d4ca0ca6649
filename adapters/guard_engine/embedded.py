"""The policies in this process: OPA's own compile to Wasm, run by wasmtime. The default.

An instance runs one evaluation at a time, so callers borrow one from a bounded pool and no two threads can
hold the same. After anything but a clean run the instance is thrown away. A forked child starts with an
empty pool and takes new instances from the module that the parent compiled.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Final, NoReturn

import msgspec

from guard.engine import ENTRYPOINTS, PROFILE, Entrypoint
from guard.errors import ConfigError, Misuse, Problem, Refused
from guard.wire import MAX_BYTES, NotStrict, strict_json
from guard_engine.bundle import Bundle
from guard_engine.wasm import NATIVE, HostBuiltins, Instance, NotPolicy, compiled


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """What one evaluation may use.

    `fuel` is about one unit a Wasm instruction (20 ms are some 50 million); `memory` bytes of linear memory an
    instance; `document` and `answer` bytes of JSON; `instances` a layer at most; `wait` seconds for a free one.
    """

    fuel: int = 100_000_000
    memory: int = 64 * 1024 * 1024
    document: int = MAX_BYTES
    answer: int = MAX_BYTES
    instances: int = max(2, min(8, os.cpu_count() or 2))
    wait: float = 2.0


class Embedded:
    """The compiled policies of all layers, with the base data of all layers and of the profile."""

    def __init__(self, bundles: Iterable[Bundle], bounds: Bounds | None = None) -> None:
        given = tuple(bundles)
        bounds = bounds or Bounds()
        by_layer = {bundle.layer: bundle for bundle in given}
        if len(by_layer) != len(given):
            raise Misuse("Two bundles of one layer: give each layer once.")
        self.digests: Mapping[str, str] = MappingProxyType({layer: one.digest for layer, one in by_layer.items()})
        data = msgspec.json.encode({"guard": {layer: one.data for layer, one in by_layer.items()}})
        self._bounds = bounds
        self._pools: dict[str, _Pool] = {}
        try:
            for layer, one in by_layer.items():
                if layer != PROFILE:
                    self._pools[layer] = _pool(one, data, bounds)
        except BaseException:
            self.close()
            raise

    def evaluate(self, layer: str, entrypoint: Entrypoint, document: bytes) -> object:
        """See `guard.engine.Engine`."""
        pool = self._pools.get(layer)
        if pool is None:
            raise Misuse(f"This engine has no layer {layer}.")
        if len(document) > self._bounds.document:
            raise Refused.own("GUARD-ENGINE-INPUT", f"The bound is {self._bounds.document} bytes.")
        try:
            with pool.borrowed() as instance:
                text = instance.evaluate(f"guard/{layer}/{entrypoint}", document)
            answer = strict_json(text, self._bounds.answer)
        except NotStrict as error:
            raise Refused.own(f"GUARD-DECISION-{error.kind}", f"{error}.") from None
        return _result(answer)

    def close(self) -> None:
        """Frees all instances; those in use are freed when they come back."""
        for pool in self._pools.values():
            pool.close()


def _result(answer: object) -> object:
    """OPA's Wasm answers with a result set: one row with the value, or none where it is undefined."""
    match answer:
        case [{"result": value, **rest}] if not rest:
            return value
        case []:
            raise Refused.own("GUARD-DECISION-UNDEFINED")
    raise Refused.own("GUARD-ENGINE-ERROR", "The module's answer is no result set.")


def _pool(bundle: Bundle, data: bytes, bounds: Bounds) -> _Pool:
    if bundle.wasm is None:
        _wrong(bundle, "GUARD-BUNDLE", "it has no compiled module", "take the wasm form of the bundle")
    try:
        module = compiled(bundle.wasm)
        pool = _Pool(
            lambda: Instance(module, data, fuel=bounds.fuel, memory=bounds.memory, answer=bounds.answer),
            bounds.instances,
            bounds.wait,
        )
        with pool.borrowed() as first:
            missing = {f"guard/{bundle.layer}/{name}" for name in ENTRYPOINTS} - first.entrypoints.keys()
    except HostBuiltins as error:
        names = ", ".join(error.names)
        _wrong(bundle, "GUARD-BUNDLE-BUILTIN", f"it calls {names}, functions of its host", "build it without them")
    except NotPolicy as error:
        _wrong(bundle, "GUARD-BUNDLE", f"{error}", "build it with opa build -t wasm")
    except Refused as error:
        _wrong(bundle, "GUARD-BUNDLE", f"it does not come up: {error.explain()}", "raise the bound or mend the bundle")
    if missing:
        _wrong(
            bundle, "GUARD-BUNDLE", f"its module lacks {', '.join(sorted(missing))}", "build it with guard policy build"
        )
    return pool


def _wrong(bundle: Bundle, rule: str, cause: str, remedy: str) -> NoReturn:
    problem = Problem(f"bundle of the layer {bundle.layer}", 0, f"{rule}: {cause}", remedy)
    raise ConfigError([problem]) from None


class _Waiter:
    """A thread in the queue. At its `turn` it has an instance, or may make one, or neither: the pool is closed."""

    __slots__ = ("given", "may_make", "turn")

    def __init__(self) -> None:
        self.turn = threading.Event()
        self.given: Instance | None = None
        self.may_make = False


class _Pool:
    """Lends each instance to one borrower at a time, in the order they asked; makes up to `size` of them."""

    def __init__(self, make: Callable[[], Instance], size: int, wait: float) -> None:
        self._make = make
        self._size = size
        self._wait = wait
        self._closed = False
        self._empty()
        with NATIVE:
            _POOLS.add(self)

    def _empty(self) -> None:
        self._lock = threading.Lock()
        self._quiet = threading.Condition(self._lock)
        self._pausing = False
        self._idle: list[Instance] = []
        self._lent: set[Instance] = set()
        self._making = 0
        self._queue: deque[_Waiter] = deque()

    @contextmanager
    def borrowed(self) -> Iterator[Instance]:
        """An instance that nobody else has until the block ends; freed if the block fails."""
        lock = self._lock
        instance = self._take()
        clean = False
        try:
            yield instance
            clean = True
        except NotPolicy as error:
            raise Refused.own("GUARD-ENGINE-TRAP", f"The module broke its contract: {error}.") from None
        finally:
            # In a child that was forked inside this block the instance is an orphan of another pool.
            if self._lock is lock:
                self._give_back(instance, clean=clean)

    def _take(self) -> Instance:
        with self._lock:
            if self._idle and not self._pausing:
                instance = self._idle.pop()
                self._lent.add(instance)
                return instance
            waiter = _Waiter()
            self._queue.append(waiter)
            self._serve()
        if not waiter.turn.wait(self._wait):
            with self._lock:
                if not waiter.turn.is_set():
                    self._queue.remove(waiter)
                    raise Refused.own("GUARD-ENGINE-BUSY", f"All {self._size} were in use for {self._wait} s.")
        if waiter.given is not None:
            return waiter.given
        if waiter.may_make:
            return self._made()
        raise Refused.own("GUARD-ENGINE-STOPPED", "The engine is closed.")

    def _serve(self) -> None:
        while self._queue and not self._pausing:
            first = self._queue[0]
            if self._closed:
                pass
            elif self._idle:
                first.given = self._idle.pop()
                self._lent.add(first.given)
            elif len(self._lent) + self._making < self._size:
                first.may_make = True
                self._making += 1
            else:
                return
            self._queue.popleft()
            first.turn.set()

    def _made(self) -> Instance:
        try:
            made = self._make()
        except BaseException:
            with self._lock:
                self._making -= 1
                self._moved()
            raise
        with self._lock:
            self._making -= 1
            self._lent.add(made)
        return made

    def _give_back(self, instance: Instance, *, clean: bool) -> None:
        with self._lock:
            self._lent.discard(instance)
            keep = clean and not self._closed
            if keep:
                self._idle.append(instance)
            self._moved()
        if not keep:
            instance.close()

    def _moved(self) -> None:
        self._serve()
        if not self._lent and not self._making:
            self._quiet.notify_all()

    def close(self) -> None:
        """Frees the idle instances, and refuses everybody from now on."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
            self._serve()
        for instance in idle:
            instance.close()

    def hold(self) -> bool:
        """Before a fork: waits a moment until no thread is inside an instance. True: it has the lock."""
        if not self._lock.acquire(timeout=_QUIET):
            return False
        self._pausing = True
        self._quiet.wait_for(lambda: not self._lent and not self._making, timeout=_QUIET)
        self._pausing = False
        return True

    def resume(self) -> None:
        """After a fork, in the parent, where `hold` had the lock."""
        self._serve()
        self._lock.release()

    def orphan(self) -> None:
        """After a fork, in the child: forgets the parent's instances without running any of their code."""
        _ORPHANS.extend((*self._idle, *self._lent))
        self._empty()


# --- Fork -----------------------------------------------------------------------------------------
# A child has only the thread that forked. A lock that another thread held, in here or in wasmtime, would
# stay taken in it for ever; so a fork waits for the short moments in which one is held.

_QUIET: Final = 0.5
_POOLS: Final[weakref.WeakSet[_Pool]] = weakref.WeakSet()
_ORPHANS: Final[list[Instance]] = []
_FORKING: Final = threading.RLock()
_held: dict[_Pool, bool] = {}


def _before_fork() -> None:
    _FORKING.acquire()
    with NATIVE:
        pools = tuple(_POOLS)
    # The pools first: who makes an instance needs NATIVE to finish.
    _held.update({pool: pool.hold() for pool in pools})
    NATIVE.acquire()
    _held.update({pool: pool.hold() for pool in _POOLS if pool not in _held})


def _after_in_parent() -> None:
    for pool, has_lock in _held.items():
        if has_lock:
            pool.resume()
    _held.clear()
    NATIVE.release()
    _FORKING.release()


def _after_in_child() -> None:
    for pool in _held:
        pool.orphan()
    _held.clear()
    NATIVE.release()
    _FORKING.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_in_parent, after_in_child=_after_in_child)
