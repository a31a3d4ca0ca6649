"""The policies in process: bounds, faults, threads and forks."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import wasmtime
from fixtures_opa import Built

from guard.errors import ConfigError, Misuse, Refused
from guard_engine import archive, bundle
from guard_engine.bundle import Bundle
from guard_engine.embedded import Bounds, Embedded
from guard_engine.wasm import Instance

ASK = b'{"activities":[{"id":"0","purpose":"loan_underwriting","items":[]}]}'
ANSWER = [{"id": "0", "allow": True, "rows": {}, "reads": {}}]

Build = Callable[[Path, str], Built]


@pytest.fixture
def engine(floor: Built, profile: Bundle) -> Iterator[Embedded]:
    made = Embedded([floor.wasm, profile], Bounds(instances=2, wait=5))
    yield made
    made.close()


def layer(folder: Path, text: str, name: str = "institution") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "policy.rego").write_text(f"package guard.{name}\n\nconsent := []\n\n{text}\n")
    return folder


def refusal(engine: Embedded, document: bytes = ASK, of: str = "institution") -> Refused:
    with pytest.raises(Refused) as caught:
        engine.evaluate(of, "decision", document)
    return caught.value


# --- Answers --------------------------------------------------------------------------------------


def test_an_entry_point_is_evaluated_with_the_data_of_all_bundles(engine: Embedded, floor: Built) -> None:
    assert engine.evaluate("floor", "decision", ASK) == ANSWER
    assert engine.evaluate("floor", "consent", b'{"consents":[]}') == []
    assert engine.digests == {"floor": floor.rego.digest, "profile": engine.digests["profile"]}


def test_without_the_profile_the_policy_decides_otherwise(floor: Built) -> None:
    other = bundle.read(bundle.profile_bundle({"kind": "internet"}))
    engine = Embedded([floor.wasm, other])
    assert engine.evaluate("floor", "decision", ASK) == [{"id": "0", "allow": False, "reasons": [{"rule": "T-01"}]}]


def test_nothing_of_one_question_is_left_in_the_next(engine: Embedded) -> None:
    long = b'{"activities":[%s]}' % b",".join(b'{"id":"%d","purpose":"x","items":[]}' % n for n in range(3000))
    for _ in range(3):
        assert len(engine.evaluate("floor", "decision", long)) == 3000  # type: ignore[arg-type]
        assert engine.evaluate("floor", "decision", ASK) == ANSWER


def test_text_of_any_script_comes_back_as_it_went_in(engine: Embedded) -> None:
    name = '\u0001 \\ " / 身份 \U0001f600 é'
    import msgspec

    asked = msgspec.json.encode({"activities": [{"id": name, "purpose": "x", "items": []}]})
    assert engine.evaluate("floor", "decision", asked)[0]["id"] == name  # type: ignore[index]


def test_a_question_that_is_no_json_gets_no_decision(engine: Embedded) -> None:
    for document in (b"", b"{", b"\xff\xfe", b'{"activities":' + b"[" * 100_000):
        try:
            assert engine.evaluate("floor", "decision", document) == []
        except Refused as error:
            assert error.rules == ("GUARD-ENGINE-TRAP",)  # noqa: PT017 (either is right)
    assert engine.evaluate("floor", "decision", ASK) == ANSWER


def test_the_short_way_into_the_module_is_the_long_way(engine: Embedded) -> None:
    with engine._pools["floor"].borrowed() as instance:
        for document in (ASK, b'{"activities":[]}', b"{}"):
            short = instance.evaluate("guard/floor/decision", document)
            heap = -(-(instance._heap + len(document)) // 8) * 8
            arguments = (0, instance.entrypoints["guard/floor/decision"], instance._data, instance._heap, len(document))
            instance._write(instance._heap, document)
            assert instance._text_of(instance._run("opa_eval", *arguments, heap, 0)) == short


# --- Loading --------------------------------------------------------------------------------------


def test_a_bundle_without_module_is_refused(floor: Built) -> None:
    with pytest.raises(ConfigError, match="no compiled module"):
        Embedded([floor.rego])


def test_two_bundles_of_one_layer_are_refused(floor: Built) -> None:
    with pytest.raises(Misuse):
        Embedded([floor.wasm, floor.wasm])


def test_an_unknown_layer_is_misuse(engine: Embedded) -> None:
    for name in ("institution", "profile"):
        with pytest.raises(Misuse):
            engine.evaluate(name, "decision", ASK)


HOST = {
    "time.now_ns": "time.now_ns() > 0",
    "sprintf": 'sprintf("%s", [a.id]) != ""',
    "http.send": 'http.send({"method": "get", "url": "http://localhost"}).status_code == 200',
    "opa.runtime": "opa.runtime().config",
    "rand.intn": 'rand.intn("x", 9) > 3',
}


@pytest.mark.parametrize(("name", "call"), HOST.items(), ids=HOST)
def test_a_policy_that_needs_its_host_is_refused_when_built(tmp_path: Path, built: Build, name: str, call: str) -> None:
    text = f'decision := [{{"id": a.id, "allow": true}} | some a in input.activities; {call}]'
    with pytest.raises(ConfigError, match="GUARD-BUNDLE-BUILTIN") as caught:
        built(layer(tmp_path / "layer", text), "institution")
    assert name in str(caught.value)


def test_a_module_that_needs_its_host_is_refused_when_loaded(tmp_path: Path, opa_program: Path) -> None:
    folder = layer(tmp_path / "guard", "decision := [time.now_ns()]")
    entries = ["-e", "guard/institution/decision", "-e", "guard/institution/consent"]
    subprocess.run([opa_program, "build", "-t", "wasm", *entries, "-o", "b.tgz", folder], cwd=tmp_path, check=True)
    module = archive.unpack((tmp_path / "b.tgz").read_bytes())["policy.wasm"]
    raw = bundle.assemble("institution", bundle.sources_of(folder, "institution"), module)
    with pytest.raises(ConfigError, match=r"GUARD-BUNDLE-BUILTIN: it calls time\.now_ns"):
        Embedded([bundle.read(raw)])


def with_module(floor: Built, module: bytes) -> Bundle:
    files = archive.unpack(floor.wasm.raw)
    sources = {name: text for name, text in files.items() if name.startswith("guard/")}
    return bundle.read(bundle.assemble("floor", sources, module))


WAT = """(module
  (import "env" "memory" (memory 2))
  {imports}
  (global (export "opa_wasm_abi_version") i32 (i32.const {version}))
  (global (export "opa_wasm_abi_minor_version") i32 (i32.const 2))
  (data (i32.const 1024) "{{}}\\00")
  (data (i32.const 1040) "{{\\22guard/floor/decision\\22:0,\\22guard/floor/consent\\22:1}}\\00")
  (func (export "builtins") (result i32) (i32.const 1024))
  (func (export "entrypoints") (result i32) (i32.const {entrypoints}))
  (func (export "opa_json_dump") (param i32) (result i32) (local.get 0))
  (func (export "opa_malloc") (param i32) (result i32) (i32.const {malloc}))
  (func (export "opa_free") (param i32))
  (func (export "opa_json_parse") (param i32 i32) (result i32) (i32.const {parsed}))
  (func (export "opa_heap_ptr_get") (result i32) (i32.const 4096))
  (func (export "opa_eval") (param i32 i32 i32 i32 i32 i32 i32) (result i32) {eval})
  {start}
)"""


def module(**parts: str) -> bytes:
    defaults = {"imports": "", "version": "1", "entrypoints": "1040", "malloc": "2048", "parsed": "1", "start": ""}
    return bytes(wasmtime.wat2wasm(WAT.format(**{**defaults, "eval": "(i32.const 1024)", **parts})))


@pytest.mark.parametrize(
    ("wasm", "cause"),
    [
        (b"\0asm broken", "not a Wasm module"),
        (wasmtime.wat2wasm("(module)"), "ABI"),
        (module(version="2"), "ABI"),
        (module(imports='(import "wasi_snapshot_preview1" "fd_write" (func))'), "wasi_snapshot_preview1.fd_write"),
        (module(imports='(import "env" "system" (func (param i32)))'), "env.system"),
        (module(imports='(import "env" "opa_abort" (func (param i32 i32)))'), "env.opa_abort"),
        (module(imports='(import "env" "table" (table 1 funcref))'), "env.table"),
        (module(imports='(import "other" "opa_abort" (func (param i32)))'), "other.opa_abort"),
        (module(entrypoints="1024"), "lacks guard/floor/consent, guard/floor/decision"),
        (module(entrypoints="1"), "cannot be read"),
        (module(entrypoints="-1"), "outside its memory"),
        (module(parsed="0"), "cannot read its base data"),
        (module(start="(func $s unreachable) (start $s)"), "cannot be started"),
        (module(start="(func $s (loop br 0)) (start $s)"), "cannot be started (error while executing"),
        (module(start="(memory 1)"), "not a Wasm module"),
        (module().replace(b"opa_eval", b"opa_evil"), "does not export opa_eval"),
        (module().replace(b"opa_free", b"opa_fee_"), "does not export opa_free"),
        (module(start="(table 200000 funcref)"), "cannot be started"),
    ],
)
def test_a_module_that_is_no_policy_is_refused_when_loaded(floor: Built, wasm: bytes, cause: str) -> None:
    with pytest.raises(ConfigError, match="GUARD-BUNDLE: ") as caught:
        Embedded([with_module(floor, wasm)])
    assert cause in str(caught.value)


def test_a_module_that_asks_for_too_much_memory_is_refused_when_loaded(floor: Built) -> None:
    with pytest.raises(ConfigError, match="GUARD-BUNDLE: "):
        Embedded([with_module(floor, module(malloc="2000000000"))])


@pytest.mark.parametrize(
    ("body", "rule"),
    [
        ("(i32.const 0)", "GUARD-ENGINE-TRAP"),
        ("(i32.const -1)", "GUARD-ENGINE-TRAP"),
        ("(i32.const 131071)", "GUARD-ENGINE-ERROR"),  # the last byte: an empty text
        ("(i32.const 1024)", "GUARD-ENGINE-ERROR"),  # {} is no result set
        ("unreachable", "GUARD-ENGINE-TRAP"),
        ("(i32.load (i32.const -4))", "GUARD-ENGINE-TRAP"),
        ("(drop (memory.grow (i32.const 100000))) unreachable", "GUARD-ENGINE-TRAP"),
    ],
)
def test_an_answer_outside_the_modules_memory_is_never_read(floor: Built, body: str, rule: str) -> None:
    engine = Embedded([with_module(floor, module(eval=body))])
    for _ in range(3):
        found = refusal(engine, of="floor").rules[0]
        assert found == rule or (rule == "GUARD-ENGINE-ERROR" and found == "GUARD-DECISION-JSON")


@pytest.mark.parametrize(
    ("name", "kind", "call", "cause"),
    [
        ("opa_abort", "(param i32)", "(call $f (i32.const 1040)) (i32.const 1024)", "guard/floor/decision"),
        ("opa_abort", "(param i32)", "(call $f (i32.const -1)) (i32.const 1024)", "The cause"),
        ("opa_abort", "(param i32)", "(call $f (i32.const 131072)) unreachable", "The cause: unreachable"),
        (
            "opa_builtin1",
            "(param i32 i32 i32) (result i32)",
            "(call $f (i32.const 0) (i32.const 0) (i32.const 0)) drop (i32.const 1024)",
            "it called opa_builtin1",
        ),
    ],
)
def test_a_call_of_the_host_fails_the_evaluation(floor: Built, name: str, kind: str, call: str, cause: str) -> None:
    wasm = module(imports=f'(import "env" "{name}" (func $f {kind}))', eval=call)
    found = refusal(Embedded([with_module(floor, wasm)]), of="floor")
    assert found.rules == ("GUARD-ENGINE-TRAP",)
    assert cause in str(found)


def test_a_text_without_end_is_never_read_past_the_memory(floor: Built) -> None:
    fill = "(memory.fill (i32.const 65536) (i32.const 97) (i32.const 65536)) (i32.const 65536)"
    engine = Embedded([with_module(floor, module(eval=fill))])
    assert refusal(engine, of="floor").rules == ("GUARD-ENGINE-TRAP",)


# --- Bounds ---------------------------------------------------------------------------------------

ENDLESS = "decision := [x | some a in numbers.range(1, 4000); some b in numbers.range(1, 4000); x := a * b; x < 0]"
GREEDY = "decision := [x | some x in numbers.range(1, 3000000)]"
CONFLICT = 'decision := "a" if input.activities\n\ndecision := "b" if count(input.activities) > 0'


def with_layer(floor: Built, profile: Bundle, one: Built, **bounds: float) -> Embedded:
    return Embedded([floor.wasm, profile, one.wasm], Bounds(**bounds))  # type: ignore[arg-type]


def test_out_of_fuel(floor: Built, profile: Bundle, built: Build, tmp_path: Path) -> None:
    engine = with_layer(floor, profile, built(layer(tmp_path / "x", ENDLESS), "institution"), fuel=5_000_000)
    for _ in range(3):
        found = refusal(engine)
        assert found.rules == ("GUARD-ENGINE-FUEL",)
        assert "5000000" in str(found)
    assert engine.evaluate("floor", "decision", ASK) == ANSWER


def test_the_same_fuel_is_enough_or_not_every_time(floor: Built, profile: Bundle) -> None:
    def enough(fuel: int) -> bool:
        try:
            Embedded([floor.wasm, profile], Bounds(fuel=fuel)).evaluate("floor", "decision", ASK)
        except Refused as error:
            assert error.rules == ("GUARD-ENGINE-FUEL",)  # noqa: PT017 (the other outcome is right too)
            return False
        return True

    low, high = 0, 1_000_000
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    assert [enough(low), enough(high)] * 3 == [False, True] * 3


def test_out_of_memory(floor: Built, profile: Bundle, built: Build, tmp_path: Path) -> None:
    one = built(layer(tmp_path / "x", GREEDY), "institution")
    engine = with_layer(floor, profile, one, memory=8 * 1024 * 1024, fuel=10**10)
    for _ in range(3):
        assert refusal(engine).rules == ("GUARD-ENGINE-MEMORY",)
    assert engine.evaluate("floor", "decision", ASK) == ANSWER


def test_a_question_that_does_not_fit_the_memory(floor: Built, profile: Bundle) -> None:
    engine = Embedded([floor.wasm, profile], Bounds(memory=2 * 1024 * 1024))
    assert refusal(engine, b" " * 3_000_000 + ASK, "floor").rules == ("GUARD-ENGINE-MEMORY",)
    assert engine.evaluate("floor", "decision", ASK) == ANSWER


def test_a_question_above_the_bound(floor: Built, profile: Bundle) -> None:
    engine = Embedded([floor.wasm, profile], Bounds(document=len(ASK)))
    assert engine.evaluate("floor", "decision", ASK) == ANSWER
    assert refusal(engine, ASK + b" ", "floor").rules == ("GUARD-ENGINE-INPUT",)


def test_an_answer_above_the_bound(floor: Built, profile: Bundle) -> None:
    engine = Embedded([floor.wasm, profile], Bounds(answer=20))
    assert refusal(engine, of="floor").rules == ("GUARD-DECISION-SIZE",)


def test_a_conflict_is_a_refusal_with_its_place(floor: Built, profile: Bundle, built: Build, tmp_path: Path) -> None:
    engine = with_layer(floor, profile, built(layer(tmp_path / "x", CONFLICT), "institution"))
    found = refusal(engine)
    assert found.rules == ("GUARD-ENGINE-TRAP",)
    assert "policy.rego" in str(found)
    assert "conflict" in str(found)


def test_a_spent_instance_is_never_used_again(
    floor: Built, profile: Bundle, built: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = with_layer(floor, profile, built(layer(tmp_path / "x", ENDLESS), "institution"), fuel=5_000_000)
    used: list[Instance] = []
    closed: list[Instance] = []
    evaluate, close = Instance.evaluate, Instance.close

    def seen(self: Instance, entrypoint: str, document: bytes) -> bytes:
        used.append(self)
        return evaluate(self, entrypoint, document)

    def gone(self: Instance) -> None:
        closed.append(self)
        close(self)

    monkeypatch.setattr(Instance, "evaluate", seen)
    monkeypatch.setattr(Instance, "close", gone)
    for _ in range(3):
        refusal(engine)
    assert len({id(one) for one in used}) == 3
    assert closed == used


def test_a_trap_does_not_end_a_process_with_faulthandler(floor: Built, tmp_path: Path) -> None:
    code = (
        "import sys, faulthandler\n"
        "from pathlib import Path\n"
        "from guard_engine import bundle; from guard_engine.embedded import Embedded\n"
        "from guard.errors import Refused\n"
        "engine = Embedded([bundle.read(Path(sys.argv[1]))])\n"
        "faulthandler.enable()\n"  # after the engine is loaded: its handler would come before wasmtime's
        "try: engine.evaluate('floor', 'decision', b'{}')\n"
        "except Refused as error: print(error.rules[0])\n"
    )
    (tmp_path / "bundle").write_bytes(with_module(floor, module(eval="(i32.load (i32.const -4))")).raw)
    done = subprocess.run(
        [sys.executable, "-c", code, "bundle"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (0, "GUARD-ENGINE-TRAP"), done.stderr


def test_forty_instances_fit_a_small_address_space(floor: Built, profile: Bundle, tmp_path: Path) -> None:
    for name, one in (("floor", floor.wasm), ("profile", profile)):
        (tmp_path / name).write_bytes(one.raw)
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))\n"
        "from pathlib import Path; from contextlib import ExitStack\n"
        "from guard_engine import bundle; from guard_engine.embedded import Bounds, Embedded\n"
        "engine = Embedded([bundle.read(Path(name)) for name in sys.argv[1:]], Bounds(instances=40))\n"
        "with ExitStack() as stack:\n"
        "    print(len({id(stack.enter_context(engine._pools['floor'].borrowed())) for _ in range(40)}))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "floor", "profile"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "40", done.stderr


# --- Threads --------------------------------------------------------------------------------------


def test_no_two_threads_are_ever_in_one_instance(engine: Embedded, monkeypatch: pytest.MonkeyPatch) -> None:
    inside: dict[int, int] = {}
    clashes: list[int] = []
    most = 0
    evaluate = Instance.evaluate

    def watched(self: Instance, entrypoint: str, document: bytes) -> bytes:
        nonlocal most
        if inside.setdefault(id(self), threading.get_ident()) != threading.get_ident():
            clashes.append(id(self))
        most = max(most, len(inside))
        time.sleep(0.0005)
        try:
            return evaluate(self, entrypoint, document)
        finally:
            inside.pop(id(self), None)

    monkeypatch.setattr(Instance, "evaluate", watched)

    def work(_: int) -> None:
        for _ in range(40):
            assert engine.evaluate("floor", "decision", ASK) == ANSWER

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(work, range(8))) == [None] * 8
    assert clashes == []
    assert most == 2  # never more than the bound, and the bound is used


def test_a_full_pool_refuses_in_time(floor: Built, profile: Bundle) -> None:
    engine = Embedded([floor.wasm, profile], Bounds(instances=2, wait=0.05))
    pool = engine._pools["floor"]
    with pool.borrowed(), pool.borrowed():
        found = refusal(engine, of="floor")
        assert found.rules == ("GUARD-ENGINE-BUSY",)
        assert "0.05 s" in str(found)
    assert engine.evaluate("floor", "decision", ASK) == ANSWER


def test_who_waits_is_served_in_order(engine: Embedded) -> None:
    pool = engine._pools["floor"]
    served: list[int] = []
    first, second = pool.borrowed(), pool.borrowed()
    first.__enter__()
    second.__enter__()

    def wait(number: int) -> None:
        with pool.borrowed():
            served.append(number)
            time.sleep(0.01)

    threads = []
    for number in range(6):
        threads.append(threading.Thread(target=wait, args=(number,)))
        threads[-1].start()
        while len(pool._queue) <= number:
            time.sleep(0.001)
    first.__exit__(None, None, None)
    for thread in threads:
        thread.join()
    second.__exit__(None, None, None)
    assert served == list(range(6))


def test_a_failed_start_gives_its_place_back(engine: Embedded) -> None:
    pool = engine._pools["floor"]
    make = pool._make

    def fails() -> Instance:
        raise MemoryError

    with pool.borrowed():  # the one that is there
        pool._make = fails
        for _ in range(3):
            with pytest.raises(MemoryError), pool.borrowed():
                pass
        pool._make = make
        assert engine.evaluate("floor", "decision", ASK) == ANSWER


def test_a_closed_engine_refuses(engine: Embedded) -> None:
    pool = engine._pools["floor"]
    refused: list[Refused] = []
    with pool.borrowed() as one, pool.borrowed():
        waiting = threading.Thread(target=lambda: refused.append(refusal(engine, of="floor")))
        waiting.start()
        while not pool._queue:
            time.sleep(0.001)
        engine.close()
        waiting.join()
        assert one.evaluate("guard/floor/decision", ASK)  # who is inside may finish
    assert refused[0].rules == ("GUARD-ENGINE-STOPPED",)
    assert refusal(engine, of="floor").rules == ("GUARD-ENGINE-STOPPED",)
    with pytest.raises(ValueError, match="closed"):
        one.evaluate("guard/floor/decision", ASK)  # the store itself is freed


# --- Fork -----------------------------------------------------------------------------------------

if hasattr(os, "fork"):

    def in_child(body: Callable[[], None], seconds: int = 20) -> int:
        """The exit code of a forked child that runs `body`: 0 done, 1 raised, -SIGALRM it hung."""
        child = os.fork()
        if not child:
            signal.alarm(seconds)
            code = 1
            try:
                body()
                code = 0
            finally:
                os._exit(code)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    def answers(engine: Embedded) -> None:
        assert engine.evaluate("floor", "decision", ASK) == ANSWER

    # From Python 3.12 on a fork of a process with threads warns; that it is safe here is what these tests are about.
    forks = pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")

    def test_a_child_answers_and_the_parent_goes_on(engine: Embedded) -> None:
        answers(engine)
        for _ in range(5):
            assert in_child(lambda: answers(engine)) == 0
            answers(engine)

    def test_a_child_compiles_policies_of_its_own(engine: Embedded, floor: Built, profile: Bundle) -> None:
        from guard_engine import wasm

        answers(engine)

        def update() -> None:
            wasm.compiled.cache_clear()
            answers(Embedded([floor.wasm, profile]))

        assert in_child(update) == 0

    @forks
    def test_a_fork_while_all_instances_are_running(engine: Embedded, monkeypatch: pytest.MonkeyPatch) -> None:
        stop = threading.Event()
        pool = engine._pools["floor"]
        inside: list[int] = []
        orphan = type(pool).orphan

        def counted(self: Any) -> None:
            inside.extend([len(self._lent)] * (self is pool))
            orphan(self)

        def child() -> None:
            answers(engine)
            assert inside == [0]  # the fork waited for a moment in which nobody was inside

        monkeypatch.setattr(type(pool), "orphan", counted)

        def spin() -> None:
            while not stop.is_set():
                answers(engine)

        threads = [threading.Thread(target=spin) for _ in range(3)]
        for thread in threads:
            thread.start()
        try:
            assert [in_child(child) for _ in range(15)] == [0] * 15
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        answers(engine)

    def test_a_fork_while_an_instance_is_lent_does_not_take_it_along(engine: Embedded) -> None:
        pool = engine._pools["floor"]
        with pool.borrowed() as lent:

            def other() -> None:
                answers(engine)
                with pool.borrowed() as one:
                    assert one is not lent

            assert in_child(other) == 0
        answers(engine)

    @forks
    def test_a_fork_while_another_thread_holds_the_pools_lock(engine: Embedded) -> None:
        pool = engine._pools["floor"]
        held, done = threading.Event(), threading.Event()

        def hold() -> None:
            with pool._lock:
                held.set()
                done.wait()

        thread = threading.Thread(target=hold)
        thread.start()
        held.wait()
        assert in_child(lambda: answers(engine)) == 0
        done.set()
        thread.join()
        answers(engine)
