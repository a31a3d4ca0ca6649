"""A task is cancelled wherever it waits: nothing is released without its entry, and no write is left half done.

Each operation is run again and again, cancelled at its first suspension, then at its second, and so on: as it begins
to wait; once what it waited for has happened and before it goes on; and both with a second cancellation right behind.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, Final

import dbapi_bank
import psycopg
import pytest
from cutting import WAYS, Cut
from dbapi_bank import LIN, PURPOSE, Bank

import guard_dbapi
from guard import Refused

MANY: Final = "SELECT customer_id, full_name FROM customer WHERE customer_id < 1013"
RAISE: Final = "UPDATE customer SET monthly_income = %s WHERE customer_id = 1002"

Connection = guard_dbapi.AsyncGuardedConnection
Operation = Callable[[Connection, list[Any]], Awaitable[None]]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dbapi_bank.sqlite_bank(tmp_path_factory.mktemp("cancelled") / "bank")


@pytest.fixture
def bank(recorded: Path, tmp_path: Path, postgres_url: str) -> Iterator[Bank]:
    made = dbapi_bank.small_bank(recorded, tmp_path / "bank", postgres_url)
    yield made
    made.close()


async def read(connection: Connection, released: list[Any]) -> None:
    async with connection.cursor() as cursor:
        await cursor.execute(MANY)
        async for row in cursor:
            released.append(row)  # noqa: PERF401 -- what came before a cancellation counts


async def named(connection: Connection, released: list[Any]) -> None:
    async with connection.cursor("portal") as cursor:
        await cursor.execute(MANY)
        async for row in cursor:
            released.append(row)  # noqa: PERF401 -- what came before a cancellation counts


async def write(connection: Connection, released: list[Any]) -> None:
    released.append((await connection.execute(RAISE, (7,))).rowcount)


async def committed(connection: Connection, released: list[Any]) -> None:
    await write(connection, released)
    await connection.commit()


async def block(connection: Connection, released: list[Any]) -> None:
    async with connection.transaction():
        await write(connection, released)


async def inner_block(connection: Connection, released: list[Any]) -> None:
    async with connection.transaction(), connection.transaction():
        await write(connection, released)


OPERATIONS: Final[dict[str, tuple[Operation, bool]]] = {
    "read": (read, False),
    "read alone": (read, True),
    "named": (named, False),
    "write": (write, False),
    "write alone": (write, True),
    "committed": (committed, False),
    "block": (block, True),
    "inner block": (inner_block, True),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_task_is_cancelled_wherever_it_waits(bank: Bank, name: str) -> None:
    operation, alone = OPERATIONS[name]
    for way in WAYS:
        for at in range(1, 200):
            cut = Cut(at, way)
            asyncio.run(once(bank, operation, cut, alone=alone, what=f"{name}, {way}, suspension {at}"))
            if not cut.reached:
                break
        assert 1 < at < 199


async def once(bank: Bank, operation: Operation, cut: Cut, *, alone: bool, what: str) -> None:
    bank.outside("UPDATE {s}customer SET monthly_income = 1")
    before = len(bank.entries)
    released: list[Any] = []
    connect = guard_dbapi.wrap_async(psycopg.AsyncConnection.connect, bank.guard)
    connection = await connect(bank.place, autocommit=alone)
    with bank.guard.acting(LIN, purpose=PURPOSE):
        try:
            await asyncio.create_task(cut(operation(connection, released)))  # type: ignore[arg-type]  # a coroutine of its own kind
        except asyncio.CancelledError:
            pass
        else:
            assert not cut.reached or not alone or not connection.in_transaction, what
        settled = not connection.in_transaction
        if not connection.closed:
            assert not (alone and connection.in_transaction), f"{what}: a transaction is left open in autocommit"
            await usable(connection, what)
        await connection.close()
    made = bank.entries[before:]
    if operation in (read, named):
        registered = sum(one.persons.count for one in made if one.kind == "read")
        assert len(released) <= registered, f"{what}: released without entry"
        return
    (income,) = bank.outside("SELECT monthly_income FROM {s}customer WHERE customer_id = 1002")[0]
    intents = {one.seq for one in made if one.kind == "intent"}
    outcome = {one.refers_to: one.kind for one in made if one.refers_to in intents}
    written = income != 1
    if written:
        assert intents, f"{what}: written without intent"
        assert set(outcome.values()) <= {"done"}, f"{what}: written, and registered as {outcome}"
    if settled and released and not written:
        assert "done" not in outcome.values() or operation in (committed, block, inner_block), what


async def usable(connection: Connection, what: str) -> None:
    """What is left of the connection reads on, and nothing of what was cancelled is committed with it."""
    try:
        if not connection.autocommit:
            await connection.rollback()
        rows = await (await connection.execute("SELECT name FROM branch")).fetchall()
    except Refused as refused:
        raise AssertionError(f"{what}: the connection is not sound: {refused}") from refused
    assert len(rows) == 3, what
    if not connection.autocommit:
        await connection.commit()
    assert not connection.in_transaction, what
