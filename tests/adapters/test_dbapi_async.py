"""psycopg's AsyncConnection under guard."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import dbapi_bank
import psycopg
import pytest
from dbapi_bank import LIN, PURPOSE, Bank

import guard_dbapi
from guard import Actor, Guard, Misuse, Refused
from guard_dbapi.postgres_async import AsyncStatement

ONE = "SELECT full_name, id_number FROM customer WHERE customer_id = %s"
EVERYBODY = "SELECT customer_id FROM customer ORDER BY customer_id"
RAISE = "UPDATE customer SET monthly_income = %s WHERE customer_id = %s"
SCORE = Actor(id="svc-score", kind="service", roles=("loan_officer",), unit="risk")

Work = Callable[[guard_dbapi.AsyncGuardedConnection], Awaitable[None]]


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dbapi_bank.sqlite_bank(tmp_path_factory.mktemp("async") / "bank")


@pytest.fixture
def bank(recorded: Path, tmp_path: Path, postgres_url: str) -> Iterator[Bank]:
    made = dbapi_bank.small_bank(recorded, tmp_path / "bank", postgres_url)
    made.outside("UPDATE {s}customer SET monthly_income = 1")
    yield made
    made.close()


def run(bank: Bank, work: Work, actor: Actor = LIN, *, operation: Any = "use", **keywords: Any) -> None:
    connect = guard_dbapi.wrap_async(psycopg.AsyncConnection.connect, bank.guard)

    async def all_of_it() -> None:
        connection = await connect(bank.place, **keywords)
        try:
            with bank.guard.acting(actor, purpose=PURPOSE, operation=operation):
                await work(connection)
        finally:
            await connection.close()

    asyncio.run(all_of_it())


def kinds(bank: Bank) -> list[str]:
    return [entry.kind for entry in bank.entries]


def income(bank: Bank) -> Any:
    return bank.outside("SELECT monthly_income FROM {s}customer WHERE customer_id = 1002")[0][0]


def refused(rule: str) -> Any:
    return pytest.raises(Refused, match=rule)


def test_rows_are_awaited(bank: Bank) -> None:
    async def work(connection: guard_dbapi.AsyncGuardedConnection) -> None:
        async with connection, connection.cursor() as cursor:
            assert await cursor.execute(ONE, (1002,)) is cursor
            assert [column.name for column in cursor.description or ()] == ["full_name", "id_number"]
            assert "guard_grant" in (cursor.statement or "")
            assert cursor.decision is not None
            rows = [row async for row in cursor]
            assert len(rows) == 1
            assert await cursor.fetchone() is None
            assert len(await (await cursor.execute("SELECT name FROM branch")).fetchall()) == 3
        assert connection.closed

    run(bank, work)
    assert kinds(bank) == ["read"]


def test_a_refusal_is_registered(bank: Bank) -> None:
    async def work(connection: guard_dbapi.AsyncGuardedConnection) -> None:
        for sql in ("COMMIT", "SELECT * FROM pg_catalog.pg_authid"):
            with refused("GUARD-SQL"):
                await connection.execute(sql)
        with refused("GUARD-PROXY"):
            await connection.executemany(ONE, [(1002,)])

    run(bank, work)
    assert kinds(bank) == ["denied", "denied"]


@pytest.mark.parametrize("alone", [False, True])
def test_a_write_is_awaited(bank: Bank, alone: bool) -> None:
    async def work(connection: guard_dbapi.AsyncGuardedConnection) -> None:
        cursor = await connection.execute(RAISE, (9000, 1002))
        assert cursor.rowcount == 1
        assert kinds(bank) == (["intent", "done"] if alone else ["intent"])
        await connection.commit()
        cursor = await connection.executemany(RAISE, [(5, 1001), (6, 1002)])
        assert cursor.rowcount == 2
        await connection.rollback()

    run(bank, work, autocommit=alone)
    assert income(bank) == (6 if alone else 9000)
    outcomes = [kind for kind in kinds(bank) if kind != "intent"]
    assert outcomes == ["done", *(["done"] * 2 if alone else ["rolled_back"] * 2)]


def test_blocks_are_awaited(bank: Bank) -> None:
    async def work(connection: guard_dbapi.AsyncGuardedConnection) -> None:
        async with connection.transaction():
            await connection.execute(RAISE, (7, 1002))
            with pytest.raises(ZeroDivisionError):
                await raising(connection)
            with pytest.raises(Misuse, match="block"):
                await connection.commit()
        with pytest.raises(ZeroDivisionError):
            await raising(connection)

    async def raising(connection: guard_dbapi.AsyncGuardedConnection) -> None:
        async with connection.transaction():
            await connection.execute(RAISE, (8, 1002))
            raise ZeroDivisionError

    run(bank, work, autocommit=True)
    assert income(bank) == 7
    assert kinds(bank) == ["intent", "intent", "rolled_back", "done", "intent", "rolled_back"]


def test_who_withdraws_meanwhile_is_in_no_later_batch(bank: Bank) -> None:
    async def work(connection: guard_dbapi.AsyncGuardedConnection) -> None:
        everybody = await (await connection.execute(EVERYBODY)).fetchall()
        async with connection.cursor("mine") as cursor:
            await cursor.execute(EVERYBODY)
            first = await cursor.fetchone()
            bank.guard.consents.withdraw_subject(str(everybody[-1][0]))
            assert [first, *await cursor.fetchall()] == everybody[:-1]
        await connection.rollback()

    run(bank, work, SCORE, operation="process")


def test_a_cancelled_write_leaves_nothing(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cancelled between the write and its image, and again while it is undone."""
    fetch, settle = AsyncStatement.fetch, AsyncStatement.settle

    async def fetched(statement: AsyncStatement, size: int) -> Any:
        rows = await fetch(statement, size)
        if "RETURNING" in (statement.text or ""):
            raise asyncio.CancelledError
        return rows

    async def settled(statement: AsyncStatement, keep: bool) -> None:
        if not keep:
            raise asyncio.CancelledError
        await settle(statement, keep)

    monkeypatch.setattr(AsyncStatement, "fetch", fetched)
    monkeypatch.setattr(AsyncStatement, "settle", settled)

    async def work(connection: guard_dbapi.AsyncGuardedConnection) -> None:
        with pytest.raises(asyncio.CancelledError):
            await connection.execute(RAISE, (9000, 1002))
        assert connection.closed
        with refused("closed"):
            await connection.commit()

    run(bank, work)
    assert income(bank) == 1


@pytest.mark.parametrize("alone", [False, True])
def test_two_tasks_write_on_one_connection(bank: Bank, alone: bool) -> None:
    """What one is refused is undone alone, what the other wrote stays, and a commit waits for both."""
    wrote: list[int] = []
    refused_: list[tuple[str, ...]] = []

    async def work(connection: guard_dbapi.AsyncGuardedConnection) -> None:
        async def writing() -> None:
            wrote.extend([(await connection.execute(RAISE, (value, 1002))).rowcount for value in range(2, 22)])

        async def trying() -> None:
            for _ in range(20):
                with pytest.raises(Refused) as raised:
                    await connection.execute("UPDATE customer SET monthly_income = 5 WHERE customer_id = 1003")
                refused_.append(raised.value.rules)

        async def reading() -> None:
            for _ in range(20):
                await (await connection.execute(EVERYBODY)).fetchall()

        async def committing() -> None:
            for _ in range(20):
                await connection.commit()
                await asyncio.sleep(0)

        await asyncio.gather(writing(), trying(), reading(), committing())
        await connection.commit()
        assert not connection.in_transaction

    run(bank, work, autocommit=alone)
    assert wrote == [1] * 20
    assert len(refused_) == 20
    assert "GUARD-DATABASE" not in {rule for rules in refused_ for rule in rules}
    assert income(bank) == 21
    assert kinds(bank).count("done") == 20


def test_modes_are_set_outside_a_transaction(bank: Bank) -> None:
    async def work(connection: guard_dbapi.AsyncGuardedConnection) -> None:
        await connection.set_isolation_level(psycopg.IsolationLevel.SERIALIZABLE)
        assert connection.isolation_level == psycopg.IsolationLevel.SERIALIZABLE
        await connection.set_read_only(True)
        with refused("read only"):
            await connection.execute(RAISE, (9000, 1002))
        with pytest.raises(Misuse, match="outside"):
            await connection.set_autocommit(True)

    run(bank, work)
    assert income(bank) == 1


def test_it_is_for_psycopgs_async_connections_alone(bank: Bank, recorded: Path, tmp_path: Path) -> None:
    with pytest.raises(Misuse, match="wrap_async takes"):
        guard_dbapi.wrap_async(None, bank.guard)  # type: ignore[arg-type]  # what a newcomer may do
    with pytest.raises(Misuse, match="connect takes"):
        run(bank, lambda _: None, row_factory=None)  # type: ignore[arg-type, return-value]  # never called
    folder = dbapi_bank.copied(recorded, tmp_path / "lite")
    with Guard.load(folder / "guard.yaml") as lite, pytest.raises(Misuse, match="sqlite"):
        guard_dbapi.wrap_async(psycopg.AsyncConnection.connect, lite)


@pytest.mark.parametrize("name", ["info", "pgconn", "copy", "notifies", "adapters", "row_factory", "pipeline", "xid"])
def test_what_is_not_on_the_list_does_not_exist(bank: Bank, name: str) -> None:
    async def work(connection: guard_dbapi.AsyncGuardedConnection) -> None:
        for one in (connection, connection.cursor()):
            assert not hasattr(one, name)

    run(bank, work)
