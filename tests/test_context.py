"""The context is set once, inherited, narrowed, and closes for every copy of it."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.context import Acting, current, subject_key
from guard.errors import Refused
from guard.model import Actor, Declared, Recipient

OWNER = object()
OFFICER = Actor(id="officer-lin", roles=("loan_officer",), unit="branch-3")


def acting(owner: object = OWNER, actor: Actor = OFFICER, purpose: str = "loan_underwriting", **more: Any) -> Acting:
    return Acting(owner, actor, purpose, **more)


def refused(rule: str) -> Any:
    return pytest.raises(Refused, match=rule)


def test_without_a_context_there_is_no_purpose() -> None:
    with refused("GUARD-PURPOSE"):
        current(OWNER)


def test_the_context_is_there_inside_and_gone_after() -> None:
    with acting() as act:
        assert current(OWNER) is act
    with refused("GUARD-PURPOSE"):
        current(OWNER)


def test_two_guards_in_one_process_share_nothing() -> None:
    with acting(), refused("GUARD-PURPOSE"):
        current(object())


def test_a_nested_context_may_name_the_person() -> None:
    with acting() as outer:
        with acting(subject="1001") as inner:
            assert current(OWNER) is inner
        assert current(OWNER) is outer


@pytest.mark.parametrize(
    "change",
    [
        {"purpose": "marketing"},
        {"actor": Actor(id="officer-wang", roles=("loan_officer",), unit="branch-3")},
        {"subject": "1002"},
        {"subject": None},
        {"operation": "delete"},
        {"recipient": Recipient(kind="handler", id="insurer")},
        {"declared": Declared(basis="statute", evidence="x")},
        {"owner": object()},
    ],
)
def test_a_nested_context_may_not_widen_or_change(change: dict[str, Any]) -> None:
    inner = acting(**{"subject": "1001", **change})
    with acting(subject="1001"), refused("GUARD-NARROW"), inner:
        pass


def test_a_separate_act_may_have_another_purpose() -> None:
    with acting(subject="1001"):
        with acting(purpose="marketing", separate=True) as inner:
            assert current(OWNER) is inner
        assert current(OWNER).purpose == "loan_underwriting"


def test_a_context_is_entered_once() -> None:
    act = acting()
    with act, refused("GUARD-CONTEXT"), act:
        pass
    with refused("GUARD-CONTEXT"), act:
        pass


def test_closing_reaches_a_task_that_outlives_the_response() -> None:
    async def main() -> str:
        release = asyncio.Event()

        async def background() -> str:
            await release.wait()
            try:
                current(OWNER)
            except Refused as refusal:
                return refusal.rules[0]
            return "allowed"

        with acting():
            task = asyncio.create_task(background())
        release.set()
        return await task

    assert asyncio.run(main()) == "GUARD-CONTEXT"


def test_a_copied_context_is_closed_too() -> None:
    with acting():
        copy = contextvars.copy_context()
    with refused("GUARD-CONTEXT"):
        copy.run(current, OWNER)


def test_a_pool_thread_does_not_inherit_a_purpose() -> None:
    with acting(), ThreadPoolExecutor(1) as pool, refused("GUARD-PURPOSE"):
        pool.submit(current, OWNER).result()


def test_to_thread_keeps_the_context() -> None:
    async def main() -> Acting:
        with acting():
            return await asyncio.to_thread(current, OWNER)

    assert asyncio.run(main()).purpose == "loan_underwriting"


def test_a_generator_that_is_closed_elsewhere_does_not_break_the_reset() -> None:
    act = acting()

    def inner() -> None:
        act.__enter__()

    contextvars.copy_context().run(inner)
    thread = threading.Thread(target=lambda: act.__exit__(None, None, None))
    thread.start()
    thread.join()
    assert not act.open


@pytest.mark.parametrize(
    "key", ["", " 1", "1 ", "a\x00", "a\u200b", "e\u0301", "x" * 129, 1.0, True, None, b"1", "1\n", "\ud800"]
)
def test_a_key_that_two_databases_could_read_differently_is_refused(key: object) -> None:
    with refused("GUARD-SUBJECT"):
        subject_key(key)


@given(st.integers())
def test_an_integer_key_is_its_digits(number: int) -> None:
    if len(str(number)) <= 128:
        assert subject_key(number) == str(number)


def test_a_nested_context_quotes_the_approval_of_its_parent() -> None:
    with acting(review="r1"):
        with acting(review="r1") as inner:
            assert inner.review == "r1"
        for other in ({"review": "r2"}, {}):
            with refused("GUARD-NARROW"), acting(**other):
                pass
    with acting(), acting(review="r1") as inner:
        assert inner.review == "r1"
