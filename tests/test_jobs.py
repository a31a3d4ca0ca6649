"""Functions as acts of their own, and an act carried into pools and threads."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from guard import Guard
from guard.config import Settings
from guard.context import Acting
from guard.demo import bank
from guard.errors import Misuse, Refused
from guard.model import Actor

OFFICER = Actor(id="officer-lin", roles=("loan_officer",), unit="branch-3")


@pytest.fixture(scope="module")
def guard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guard]:
    with Guard.open(Settings.load(bank.build(tmp_path_factory.mktemp("bank")))) as opened:
        yield opened


def act(guard: Guard) -> Acting:
    return guard.acting(OFFICER, purpose="loan_underwriting")


def test_each_call_of_a_job_is_an_act_of_its_own(guard: Guard) -> None:
    @guard.job(actor="svc-retention", purpose="loan_underwriting", operation="process", subject=lambda number: number)
    def work(number: int) -> Acting:
        """Works."""
        return guard.current()

    first, second = work(1001), work(number=1002)
    assert (first.actor, first.operation, first.subject) == (
        Actor(id="svc-retention", kind="service"),
        "process",
        "1001",
    )
    assert second.subject == "1002"
    assert second is not first
    assert not first.open
    assert (work.__name__, work.__doc__) == ("work", "Works.")


@pytest.mark.parametrize("order", [{}, {"customer_id": None}, {"customer_id": ""}, {"customer_id": True}])
def test_a_job_about_a_person_is_not_about_everybody_where_nobody_is_named(guard: Guard, order: dict[str, Any]) -> None:
    reached: list[Any] = []
    job = guard.job(actor=OFFICER, purpose="loan_underwriting", subject=lambda order: order.get("customer_id"))
    with pytest.raises(Refused, match="GUARD-SUBJECT"):
        job(reached.append)(order)
    assert not reached


def test_a_job_within_another_act_does_not_inherit_it(guard: Guard) -> None:
    @guard.job(actor="svc-retention", purpose="marketing")
    def work() -> str:
        return guard.current().purpose

    with act(guard) as outer:
        assert work() == "marketing"
        assert guard.current() is outer


def test_an_async_job_is_open_until_its_body_ended(guard: Guard) -> None:
    @guard.job(actor=OFFICER, purpose="loan_underwriting")
    async def work() -> Acting:
        await asyncio.sleep(0)
        inside = guard.current()
        assert inside.open
        return inside

    assert not asyncio.run(work()).open


def test_a_job_that_raises_closes_its_act(guard: Guard) -> None:
    seen: list[Acting] = []

    @guard.job(actor=OFFICER, purpose="loan_underwriting")
    def work() -> None:
        seen.append(guard.current())
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work()
    assert not seen[0].open


def test_an_unknown_purpose_is_misuse_where_the_job_is_declared(guard: Guard) -> None:
    with pytest.raises(Misuse, match="did you mean loan_underwriting"):
        guard.job(actor="svc", purpose="loan_underwritin")


def generator() -> Iterator[int]:
    yield 1


async def async_generator() -> AsyncIterator[int]:
    yield 1


@pytest.mark.parametrize("what", [generator, async_generator, Guard, "name"])
def test_what_would_run_outside_its_act_is_misuse(guard: Guard, what: Any) -> None:
    with pytest.raises(Misuse):
        guard.job(actor="svc", purpose="loan_underwriting")(what)
    with act(guard), pytest.raises(Misuse):
        guard.bind(what)


async def one() -> int:
    return 1


class Hidden:
    """What is called like a function, and by its flags is none."""

    def __init__(self, made: Any) -> None:
        self.made = made

    def __call__(self) -> Any:
        return self.made()


@pytest.mark.parametrize("what", [Hidden(one), Hidden(generator), Hidden(async_generator)])
def test_what_runs_later_runs_in_no_other_act(guard: Guard, what: Any) -> None:
    """Within an act that is open it would run, and be registered, as what that act is."""
    job = guard.job(actor="svc", purpose="loan_underwriting")(what)
    with act(guard):
        bound = guard.bind(what)
        for call in (job, bound):
            with pytest.raises(Misuse, match="outside its act"):
                call()


def test_what_an_async_job_gives_does_not_run_later_either(guard: Guard) -> None:
    async def work() -> Iterator[int]:
        return generator()

    with act(guard), pytest.raises(Misuse, match="outside its act"):
        asyncio.run(guard.job(actor="svc", purpose="loan_underwriting")(work)())


def test_an_executor_loses_the_context_and_a_bound_function_brings_it(guard: Guard) -> None:
    with act(guard) as opened, ThreadPoolExecutor(1) as pool:
        with pytest.raises(Refused, match="GUARD-PURPOSE"):
            pool.submit(guard.current).result()
        assert pool.submit(guard.bind(guard.current)).result() is opened
        with pytest.raises(Refused, match="GUARD-PURPOSE"):  # and it does not stay in the pool's thread
            pool.submit(guard.current).result()


def test_a_bound_coroutine_brings_it_into_the_task_of_another_context(guard: Guard) -> None:
    async def work() -> Acting:
        await asyncio.sleep(0)
        return guard.current()

    async def main() -> None:
        with act(guard) as opened:
            bound = guard.bind(functools.partial(work))
        with pytest.raises(Refused, match="GUARD-CONTEXT"):
            await bound()
        with act(guard) as opened:
            assert await guard.bind(work)() is opened

    asyncio.run(main())


def test_the_end_of_the_act_reaches_what_was_bound_to_it(guard: Guard) -> None:
    with act(guard):
        bound = guard.bind(guard.current)
    with pytest.raises(Refused, match="GUARD-CONTEXT"):
        bound()


def test_what_is_bound_to_one_act_is_refused_within_another(guard: Guard) -> None:
    with act(guard):
        bound = guard.bind(guard.current)
        with guard.acting(OFFICER, purpose="marketing", separate=True), pytest.raises(Refused, match="GUARD-NARROW"):
            bound()


def test_without_an_act_there_is_nothing_to_bind_to(guard: Guard) -> None:
    with pytest.raises(Refused, match="GUARD-PURPOSE"):
        guard.bind(print)
