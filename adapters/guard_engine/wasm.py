"""OPA's Wasm ABI 1.2 on wasmtime: one compiled policy module, and one running instance of it.

Nothing here is safe for two threads at once; `guard_engine.embedded` lends an instance to one caller at a
time. A module is not trusted to behave: it gets no host function, its run is bounded by fuel and its memory
by a limit, and every address that it hands out is checked against its own memory.

Settings of wasmtime: without parallel compilation (a forked child that compiles would hang), without traps
by signals (`faulthandler` would turn a trap into the end of the process), and with 64 MiB of address space
an instance instead of 4 GiB and more.
"""

from __future__ import annotations

import ctypes
import functools
import threading
from collections.abc import Callable
from typing import Final

import wasmtime
from wasmtime import _ffi as native  # half of a small evaluation is wasmtime's own wrapper of a call; see _Call

from guard.errors import Refused
from guard.wire import NotStrict, strict_json

PAGE: Final = 64 * 1024

NATIVE: Final = threading.RLock()
"""Held while wasmtime compiles, instantiates or frees, and across a fork: no child inherits a lock of it taken."""

_HOST: Final = {"opa_abort": 1, **{f"opa_builtin{n}": n + 2 for n in range(5)}}
_PRINTLN: Final = "opa_println"
_CHUNK: Final = 8 * 1024
_START_FUEL: Final = 20_000_000
_DATA_FUEL: Final = 1_000
"""What starting may use, and reading each byte of base data (measured: 40 to 150)."""


class HostBuiltins(ValueError):
    """The module calls builtins of its host: `names`."""

    def __init__(self, names: tuple[str, ...]) -> None:
        super().__init__(f"it needs builtins of its host: {', '.join(names)}")
        self.names = names


class NotPolicy(ValueError):
    """The module is not a policy that OPA compiled."""


@functools.cache
def _engine() -> wasmtime.Engine:
    config = wasmtime.Config()
    config.parallel_compilation = False
    config.signals_based_traps = False
    config.memory_reservation = 64 * 1024 * 1024
    config.memory_guard_size = 64 * 1024
    config.consume_fuel = True
    config.wasm_threads = False
    config.wasm_memory64 = False
    config.wasm_multi_memory = False
    return wasmtime.Engine(config)


@functools.lru_cache(maxsize=16)
def compiled(wasm: bytes) -> wasmtime.Module:
    """The compiled module, once a process (about 200 ms); NotPolicy if it is none or imports more than OPA's."""
    with NATIVE:
        try:
            module = wasmtime.Module(_engine(), wasm)
        except wasmtime.WasmtimeError as error:
            raise NotPolicy(f"it is not a Wasm module ({str(error).splitlines()[0]})") from None
    for one in module.imports:
        kind = one.type
        if one.module == "env" and one.name == "memory" and isinstance(kind, wasmtime.MemoryType):
            continue
        arity = 1 if one.name == _PRINTLN else _HOST.get(one.name or "")
        if one.module != "env" or not isinstance(kind, wasmtime.FuncType) or len(kind.params) != arity:
            raise NotPolicy(f"it imports {one.module}.{one.name}")
    return module


class _Call:
    """A function of seven and one 32-bit integers, called through wasmtime's C interface.

    `wasmtime.Func` asks for the function's type and wraps each value anew at every call: 57 of 120 µs of a small
    evaluation. The C function is the same one and checks the types itself. The module is not a public one of
    wasmtime-py; its major version is pinned, and a test compares both ways.
    """

    def __init__(self, store: wasmtime.Store, function: wasmtime.Func) -> None:
        self._store = store
        self._function = function
        self._arguments = (native.wasmtime_val_t * 7)()
        self._results = (native.wasmtime_val_t * 1)()
        for argument in self._arguments:
            argument.kind = native.WASMTIME_I32

    def __call__(self, *arguments: int) -> int:
        for place, value in zip(self._arguments, arguments, strict=True):
            place.of.i32 = value
        trap = ctypes.POINTER(native.wasm_trap_t)()
        error = native.wasmtime_func_call(
            self._store._context(),  # noqa: SLF001 (raises if the store is closed)
            ctypes.byref(self._function._func),  # noqa: SLF001
            self._arguments,
            7,
            self._results,
            1,
            ctypes.byref(trap),
        )
        if error:
            raise wasmtime.WasmtimeError._from_ptr(error)  # noqa: SLF001 (frees it)
        if trap:
            raise wasmtime.Trap._from_ptr(trap)  # noqa: SLF001 (frees it)
        result: int = self._results[0].of.i32
        return result


class Instance:
    """One instance with its base data parsed, ready to evaluate.

    `data` is the JSON of the whole base document. `fuel` bounds each evaluation (about one unit an
    instruction), `memory` the linear memory and `answer` the text of an answer, in bytes.
    """

    def __init__(self, module: wasmtime.Module, data: bytes, *, fuel: int, memory: int, answer: int) -> None:
        self._fuel = _START_FUEL + _DATA_FUEL * len(data)
        self._limit = memory
        self._answer = answer
        self._aborted: str | None = None
        with NATIVE:
            self._start(module, memory)
        self._check_version()
        names = self._text_of(self._run("opa_json_dump", self._run("builtins")))
        if names != b"{}":
            raise HostBuiltins(tuple(sorted(_names(names))))
        found = _names(self._text_of(self._run("opa_json_dump", self._run("entrypoints"))))
        self._entrypoints = found
        self._data = self._parsed(data)
        self._heap = self._run("opa_heap_ptr_get")
        self._opa_eval = _Call(self._store, self._function("opa_eval"))
        self._fuel = fuel

    def _start(self, module: wasmtime.Module, memory: int) -> None:
        store = wasmtime.Store(_engine())
        store.set_limits(memory_size=memory, table_elements=100_000, instances=1, tables=8, memories=1)
        store.set_fuel(self._fuel)
        self._store = store
        imports: list[wasmtime.Func | wasmtime.Memory | wasmtime.Global | wasmtime.Table | wasmtime.SharedMemory] = []
        for one in module.imports:
            kind = one.type
            if isinstance(kind, wasmtime.MemoryType):
                self._memory = wasmtime.Memory(store, kind)
                imports.append(self._memory)
            elif isinstance(kind, wasmtime.FuncType):
                imports.append(wasmtime.Func(store, kind, self._host(one.name or "")))
        try:
            self._exports = wasmtime.Instance(store, module, imports).exports(store)
        except (wasmtime.Trap, wasmtime.WasmtimeError) as error:
            raise NotPolicy(f"it cannot be started ({str(error).splitlines()[0]})") from None

    def _host(self, name: str) -> Callable[..., int | None]:
        # A host function only takes a note. OPA's code traps right after `opa_abort`; the other functions
        # are never called, since a module that lists builtins is refused, and a note makes the run fail.
        def note(*arguments: int) -> int | None:
            if name == _PRINTLN:
                return None
            self._aborted = f"it called {name}" if name != "opa_abort" else self._message(arguments[0])
            return None if name == "opa_abort" else 0

        return note

    def _message(self, address: int) -> str:
        try:
            text = self._text_of(address, limit=300)
        except NotPolicy:
            text = b""
        return "".join(character for character in text.decode("utf-8", "replace") if character.isprintable())

    def _check_version(self) -> None:
        version = [
            one.value(self._store) if isinstance(one, wasmtime.Global) else None
            for one in (self._exports.get("opa_wasm_abi_version"), self._exports.get("opa_wasm_abi_minor_version"))
        ]
        if version[0] != 1 or not isinstance(version[1], int) or version[1] < 2:
            raise NotPolicy("it does not speak OPA's Wasm ABI 1.2")

    def _function(self, name: str) -> wasmtime.Func:
        function = self._exports.get(name)
        if not isinstance(function, wasmtime.Func):
            raise NotPolicy(f"it does not export {name}")
        return function

    def _run(self, name: str, *arguments: int) -> int:
        function = self._function(name)
        return self._bounded(lambda: function(self._store, *arguments))

    def _bounded(self, call: Callable[[], object]) -> int:
        self._store.set_fuel(self._fuel)
        try:
            result = call()
        except wasmtime.Trap as trap:
            raise self._refusal(trap) from None
        except wasmtime.WasmtimeError as error:
            raise NotPolicy(f"a function cannot be called ({str(error).splitlines()[0]})") from None
        if self._aborted is not None:
            raise self._refusal(None)
        return result & 0xFFFFFFFF if isinstance(result, int) else 0

    def _refusal(self, trap: wasmtime.Trap | None) -> Refused:
        cause = self._aborted or ""
        if trap is not None and trap.trap_code is wasmtime.TrapCode.OUT_OF_FUEL:
            return Refused.own("GUARD-ENGINE-FUEL", f"The bound is {self._fuel} units of fuel.")
        if "malloc" in cause or "realloc" in cause:
            return Refused.own("GUARD-ENGINE-MEMORY", f"The bound is {self._limit} bytes.")
        if not cause:
            cause = trap.trap_code.name.lower().replace("_", " ") if trap and trap.trap_code else "abort"
        return Refused.own("GUARD-ENGINE-TRAP", f"The cause: {cause}.")

    def _text_of(self, address: int, limit: int = 64 * 1024) -> bytes:
        size = self._memory.data_len(self._store)
        if not 0 < address < size:
            raise NotPolicy("it hands out an address outside its memory")
        base = ctypes.addressof(self._memory.data_ptr(self._store).contents) + address
        room = min(size - address, limit + 1)
        length = min(_CHUNK, room)
        while True:
            text = ctypes.string_at(base, length)
            end = text.find(b"\0")
            if end >= 0:
                return text[:end]
            if length == room <= limit:
                raise NotPolicy("it hands out a text without an end")
            if length == room:
                raise NotStrict("SIZE", f"more than {limit} bytes")
            length = min(length * 8, room)

    def _write(self, address: int, data: bytes) -> None:
        end = address + len(data)
        size = self._memory.data_len(self._store)
        if end > size:
            try:
                self._memory.grow(self._store, -(-(end - size) // PAGE))
            except wasmtime.WasmtimeError:
                raise Refused.own("GUARD-ENGINE-MEMORY", f"The bound is {self._limit} bytes.") from None
        base = ctypes.addressof(self._memory.data_ptr(self._store).contents)
        ctypes.memmove(base + address, data, len(data))

    def _parsed(self, data: bytes) -> int:
        address = self._run("opa_malloc", len(data))
        self._write(address, data)
        value = self._run("opa_json_parse", address, len(data))
        if not value:
            raise NotPolicy("it cannot read its base data")
        self._run("opa_free", address)
        return value

    @property
    def entrypoints(self) -> dict[str, int]:
        """The entry points by name, such as `guard/floor/decision`."""
        return self._entrypoints

    def evaluate(self, entrypoint: str, document: bytes) -> bytes:
        """The result set of an entry point as JSON text: `[{"result": …}]`, or `[]` if it is undefined.

        Raises Refused (fuel, memory, trap), NotPolicy, or NotStrict (SIZE); the instance is then spent.
        """
        self._write(self._heap, document)
        heap = -(-(self._heap + len(document)) // 8) * 8
        number = self._entrypoints[entrypoint]
        call = self._opa_eval
        address = self._bounded(lambda: call(0, number, self._data, self._heap, len(document), heap, 0))
        return self._text_of(address, self._answer)

    def close(self) -> None:
        """Frees the instance."""
        with NATIVE:
            self._store.close()


def _names(text: bytes) -> dict[str, int]:
    try:
        value = strict_json(text)
    except NotStrict:
        value = None
    if not isinstance(value, dict) or not all(type(number) is int for number in value.values()):
        raise NotPolicy("its lists of entry points and builtins cannot be read")
    return value
