"""The SQLAlchemy adapter on both databases: Core, ORM and text, sync and async, and every way around."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import dbapi_bank
import pytest
import sqlalchemy as sa
from cutting import WAYS, Cut
from dbapi_bank import LIN, PURPOSE, Bank, Kind
from sqlalchemy import exc, orm
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

import guard_sqlalchemy
from guard import Actor, Misuse, Refused
from guard.demo import bank as example

FEW = {str(number) for number in range(1001, 1013)}
SCORE = Actor(id="svc-score", kind="service", roles=("loan_officer",), unit="risk")
"""Whose act needs no case."""
MINE = (
    "UPDATE {s}loan_case SET officer_id = 'officer-wu'",
    "UPDATE {s}loan_case SET officer_id = 'officer-lin', status = 'open' WHERE customer_id IN (1001, 1002)",
)


class Base(orm.DeclarativeBase):
    pass


class Customer(Base):
    __tablename__ = "customer"
    customer_id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    full_name: orm.Mapped[str]
    id_number: orm.Mapped[str]
    mobile: orm.Mapped[str]
    monthly_income: orm.Mapped[int | None]
    cases: orm.Mapped[list[Case]] = orm.relationship(back_populates="customer")


class Case(Base):
    __tablename__ = "loan_case"
    case_id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    customer_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("customer.customer_id"))
    officer_id: orm.Mapped[str]
    status: orm.Mapped[str]
    customer: orm.Mapped[Customer] = orm.relationship(back_populates="cases")


class Branch(Base):
    __tablename__ = "branch"
    branch_id: orm.Mapped[str] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str]
    city: orm.Mapped[str]


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dbapi_bank.sqlite_bank(tmp_path_factory.mktemp("alchemy") / "bank")


Open = Callable[..., "Alchemy"]


class Alchemy:
    """A bank and engines before it."""

    def __init__(self, bank: Bank) -> None:
        self.bank = bank
        self.guard = bank.guard
        self.kind = bank.kind
        self.outside = bank.outside
        self.urls = (
            (f"sqlite:///{bank.place}", f"sqlite+aiosqlite:///{bank.place}")
            if bank.kind == "sqlite"
            else (bank.place.replace("postgresql:", "postgresql+psycopg:"),) * 2
        )
        self.made: list[sa.Engine] = []

    def engine(self, **keywords: Any) -> sa.Engine:
        made = guard_sqlalchemy.attach(sa.create_engine(self.urls[0], **keywords), self.guard)
        self.made.append(made)
        return made

    def awaited(self, **keywords: Any) -> Any:
        return guard_sqlalchemy.attach(create_async_engine(self.urls[1], **keywords), self.guard)

    def acting(self, **more: Any) -> Any:
        return self.guard.acting(**{"actor": LIN, "purpose": PURPOSE, **more})

    @property
    def kinds(self) -> list[str]:
        return [entry.kind for entry in self.bank.entries]


@pytest.fixture(params=["sqlite", "postgres"])
def opened(request: pytest.FixtureRequest, recorded: Path, tmp_path: Path) -> Iterator[Open]:
    kind: Kind = request.param
    made: list[Alchemy] = []

    def make(*texts: str, limits: str = "") -> Alchemy:
        folder = tmp_path / "bank"
        place, guard = dbapi_bank.loaded(kind, recorded, folder, request, limits)
        if kind == "postgres":
            guard.consents.record_many([one for one in example.consents() if one.subject in FEW])
        bank = Bank(kind, folder, place, guard)
        alchemy = Alchemy(bank)
        made.append(alchemy)
        bank.outside(*(texts or MINE))
        return alchemy

    yield make
    for one in made:
        for engine in one.made:
            engine.dispose()
        one.bank.close()


@pytest.fixture
def bank(opened: Open) -> Alchemy:
    return opened()


def refused(rule: str) -> Any:
    return pytest.raises(Refused, match=rule)


NAMES = sa.text("SELECT customer_id, full_name FROM customer ORDER BY customer_id")


# --- Reads ----------------------------------------------------------------------------------------


def test_every_way_to_ask_is_guarded(bank: Alchemy) -> None:
    engine = bank.engine()
    with bank.acting():
        with engine.connect() as connection:
            texts = connection.execute(NAMES).all()
            core = connection.execute(sa.select(Customer.customer_id, Customer.full_name).order_by(sa.text("1"))).all()
            driver = connection.exec_driver_sql(NAMES.text).all()
            mark = "?" if bank.kind == "sqlite" else "%s"
            (one,) = connection.exec_driver_sql(
                f"SELECT full_name FROM customer WHERE customer_id = {mark}", (1002,)
            ).all()
        with orm.Session(engine) as session:
            objects = session.scalars(sa.select(Customer).order_by(Customer.customer_id)).all()
            rows = [(customer.customer_id, customer.full_name) for customer in objects]
            assert session.get(Customer, 1003) is None
            assert session.get(Customer, 1002) is objects[-1]
    assert [tuple(row) for row in texts] == core == driver == rows
    assert [key for key, _ in rows] == [1001, 1002]
    assert one.full_name == rows[-1][1]
    assert set(bank.kinds) == {"read"}


def test_a_join_and_a_lazy_load(bank: Alchemy) -> None:
    with bank.acting(), orm.Session(bank.engine()) as session:
        pairs = session.execute(
            sa.select(Case, Customer).join(Case.customer).where(Case.status == "open").order_by(Case.case_id).limit(1)
        ).all()
        ((case, customer),) = pairs
        assert case.customer is customer
        assert [one.case_id for one in customer.cases] == [case.case_id]


def test_what_is_masked_comes_out_masked(bank: Alchemy) -> None:
    with bank.acting(), orm.Session(bank.engine()) as session:
        stored = dict(bank.outside("SELECT customer_id, id_number FROM {s}customer"))
        seen = {one.customer_id: one.id_number for one in session.scalars(sa.select(Customer))}
    assert seen[1002] == stored[1002]
    assert seen[1001] != stored[1001]


def test_without_a_context_nothing_personal_is_read(bank: Alchemy) -> None:
    engine = bank.engine()
    with engine.connect() as connection:
        assert len(connection.execute(sa.select(Branch.name)).all()) == 3
        with refused("GUARD-PURPOSE"):
            connection.execute(NAMES)


def test_rows_leave_in_batches_each_after_its_entry(opened: Open) -> None:
    bank = opened(limits="batch: 2")
    engine = bank.engine()
    with bank.acting(actor=SCORE, operation="process"), engine.connect() as connection:
        result = connection.execution_options(stream_results=True, max_row_buffer=1).execute(NAMES)
        assert result.fetchone()
        before = len(bank.kinds)
        bank.guard.consents.withdraw_subject("1010")
        left = result.all()
        assert len(bank.kinds) > before
    assert 1010 not in {row.customer_id for row in left}


def test_rows_are_taken_inside_the_context(bank: Alchemy) -> None:
    with bank.engine().connect() as connection:
        with bank.acting():
            result = connection.execute(NAMES)
        with refused("GUARD-CONTEXT"):
            result.all()


def test_yield_per(opened: Open) -> None:
    bank = opened(limits="batch: 2")
    with bank.acting(), orm.Session(bank.engine()) as session:
        found = list(session.scalars(sa.select(Customer).order_by(Customer.customer_id).execution_options(yield_per=1)))
    assert [one.customer_id for one in found] == [1001, 1002]


# --- Ways around ----------------------------------------------------------------------------------


def test_whatever_leads_to_the_driver_leads_to_the_guard(bank: Alchemy) -> None:
    engine = bank.engine()
    seen: list[Any] = []
    sa.event.listen(engine, "connect", lambda raw, _: seen.append(raw))
    sa.event.listen(engine, "checkout", lambda raw, *_: seen.append(raw))
    with engine.connect() as connection:
        seen += [connection.connection.dbapi_connection, connection.connection.driver_connection]
        seen.append(connection.connection.cursor().connection)
    raw = engine.raw_connection()
    seen += [raw.dbapi_connection, raw.driver_connection]
    with refused("GUARD-PURPOSE"):
        raw.cursor().execute("SELECT full_name FROM customer")
    raw.close()
    assert {type(one).__name__ for one in seen} == {"Link"}
    for name in ("pgconn", "info", "backup", "iterdump", "set_authorizer", "row_factory", "__dict__", "adapters"):
        assert not hasattr(seen[0], name)
    for call in (lambda: seen[0].create_function("substr", 3, str), lambda: seen[0].executescript("SELECT 1")):
        with refused("GUARD-PROXY"):
            call()


@pytest.mark.parametrize(
    "sql",
    [
        *("SELECT 1; SELECT full_name FROM customer", "BEGIN", "COMMIT", "SAVEPOINT mine", "RELEASE SAVEPOINT mine"),
        *("DROP TABLE branch", "PRAGMA user_version", "SET search_path = retail", "ATTACH 'x' AS y", "SHOW ALL"),
        "SELECT * FROM guard_grant",
    ],
)
def test_what_is_no_guarded_statement_is_refused(bank: Alchemy, sql: str) -> None:
    with bank.acting(), bank.engine().connect() as connection, refused("GUARD-SQL"):
        connection.exec_driver_sql(sql)


def test_a_savepoint_that_is_not_open_is_refused(bank: Alchemy) -> None:
    with bank.acting(), bank.engine().connect() as connection, refused("GUARD-PROXY"):
        connection.exec_driver_sql("ROLLBACK TO SAVEPOINT sa_savepoint_9")


def test_tables_are_not_made_or_looked_up(bank: Alchemy) -> None:
    engine = bank.engine()
    with bank.acting():
        for call in (Base.metadata.create_all, sa.inspect(engine).get_table_names and Base.metadata.drop_all):
            with pytest.raises(Refused):
                call(engine)


def test_two_phases_are_refused(bank: Alchemy) -> None:
    with bank.acting(), bank.engine().connect() as connection, refused("GUARD-PROXY"):
        connection.begin_twophase()


def test_an_engine_is_attached_once_and_before_it_is_used(bank: Alchemy) -> None:
    engine = bank.engine()
    for again in (engine, engine.execution_options(logging_token="x")):
        with pytest.raises(Misuse, match="already"):
            guard_sqlalchemy.attach(again, bank.guard)
    used = sa.create_engine(bank.urls[0])
    used.connect().close()
    guard_sqlalchemy.attach(used, bank.guard)
    with pytest.raises(Misuse, match="before it is used"):
        used.connect()
    used.dispose()
    for wrong in (None, bank.urls[0], orm.Session(engine)):
        with pytest.raises(Misuse, match="takes an Engine"):
            guard_sqlalchemy.attach(wrong, bank.guard)


def test_connections_that_the_program_makes_are_refused(bank: Alchemy) -> None:
    opened: list[Any] = []

    def creator() -> Any:
        module = __import__("sqlite3" if bank.kind == "sqlite" else "psycopg")
        opened.append(module.connect(bank.bank.place))
        return opened[-1]

    with pytest.raises(Misuse, match="creator"):
        bank.engine(creator=creator).connect()
    for raw in opened:
        raw.close()


def test_another_database_is_refused(bank: Alchemy, tmp_path: Path) -> None:
    if bank.kind == "postgres":
        with pytest.raises(Misuse, match="postgres"):
            guard_sqlalchemy.attach(sa.create_engine(f"sqlite:///{tmp_path}/x.db"), bank.guard)
        return
    for url in (f"sqlite:///{tmp_path}/x.db", "sqlite://"):
        engine = guard_sqlalchemy.attach(sa.create_engine(url), bank.guard)
        with pytest.raises(Misuse, match="another database"):
            engine.connect()


@pytest.mark.parametrize("query", ["detect_types=1", "uri=true"])
def test_an_argument_that_opens_a_way_around_is_refused(opened: Open, query: str) -> None:
    bank = opened()
    if bank.kind == "postgres":
        query = "row_factory=x"
    engine = guard_sqlalchemy.attach(
        sa.create_engine(f"{bank.urls[0]}{'&' if '?' in bank.urls[0] else '?'}{query}"), bank.guard
    )
    with pytest.raises((Misuse, Refused)):
        engine.connect()


def test_no_value_comes_into_a_log(bank: Alchemy, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, logger="sqlalchemy"):
        engine = bank.engine(echo="debug")
        for one in (engine, engine.execution_options(logging_token="x")):
            with bank.acting(), one.connect() as connection:
                found = connection.execute(sa.select(Customer.mobile).where(Customer.customer_id == 1002)).scalar_one()
    said = "\n".join(record.getMessage() for record in caplog.records)
    assert "customer.mobile" in said
    assert found not in said
    assert "1002" not in said


def test_the_databases_words_stay_inside(bank: Alchemy) -> None:
    bank.outside("ALTER TABLE {s}customer RENAME TO secret_name")
    with bank.acting(), bank.engine().connect() as connection, pytest.raises(Refused) as caught:
        connection.execute(NAMES)
    error: BaseException | None = caught.value
    while error is not None:
        assert not isinstance(error, exc.SQLAlchemyError | sqlite3.Error)
        assert "secret" not in str(error)
        error = error.__cause__ or error.__context__


# --- Sessions and contexts ------------------------------------------------------------------------


def test_objects_of_one_context_are_not_shown_in_another(bank: Alchemy) -> None:
    with orm.Session(bank.engine()) as session:
        with bank.acting():
            customer = session.get(Customer, 1002)
            assert customer is not None
            kept = customer.full_name
        with bank.acting(actor=Actor(id="officer-zhou", roles=("loan_officer",), unit="branch-3")):
            assert session.get(Customer, 1002) is None
        with bank.acting():
            assert session.scalars(sa.select(Customer.full_name).where(Customer.customer_id == 1002)).one() == kept


def test_an_object_is_not_read_again_outside(bank: Alchemy) -> None:
    with orm.Session(bank.engine()) as session:
        with bank.acting():
            customer = session.get(Customer, 1002)
            session.expire(customer)
        with refused("GUARD-PURPOSE"):
            _ = customer.full_name
        with refused("GUARD-PURPOSE"):
            session.get(Customer, 1002)


def test_a_query_in_another_context_reads_all_again(bank: Alchemy) -> None:
    with orm.Session(bank.engine()) as session:
        with bank.acting():
            customer = session.get(Customer, 1002)
            assert customer is not None
            assert customer.monthly_income is not None
        with bank.acting(subject=1002):
            assert "full_name" in sa.inspect(customer).dict
            session.execute(sa.select(Branch.name)).all()
            assert "full_name" not in sa.inspect(customer).dict
            assert session.scalars(sa.select(Customer)).one() is customer
            assert "full_name" in sa.inspect(customer).dict


def test_changes_of_another_context_are_not_dropped(bank: Alchemy) -> None:
    with orm.Session(bank.engine()) as session:
        with bank.acting():
            customer = session.get(Customer, 1002)
            assert customer is not None
            customer.mobile = "13800000000"
        with bank.acting(), refused("GUARD-CONTEXT"), session.no_autoflush:
            session.get(Customer, 1002)
        session.rollback()


def test_a_closed_session_is_bound_again(bank: Alchemy) -> None:
    session = orm.Session(bank.engine())
    with bank.acting():
        assert session.get(Customer, 1002)
        session.close()
        kept = session.get(Customer, 1002)
        assert kept
    with refused("GUARD-PURPOSE"):
        session.get(Customer, 1002)
    session.close()


# --- Writes ---------------------------------------------------------------------------------------


def stored(bank: Alchemy, column: str, key: int) -> Any:
    ((value,),) = bank.outside(f"SELECT {column} FROM {{s}}customer WHERE customer_id = {key}")
    return value


def test_a_flush_is_a_registered_write(bank: Alchemy) -> None:
    with bank.acting(), orm.Session(bank.engine()) as session:
        customer = session.get(Customer, 1002)
        assert customer is not None
        customer.monthly_income = 7000
        session.commit()
        assert customer.monthly_income == 7000
    assert stored(bank, "monthly_income", 1002) == 7000
    assert bank.kinds.count("intent") == bank.kinds.count("done") == 1


def test_a_row_without_a_key_is_told_to_bring_one(bank: Alchemy) -> None:
    """SQLAlchemy asks PostgreSQL for the next number where it may not read back what the database gave."""
    with bank.acting(), orm.Session(bank.engine()) as session:
        session.add(Case(customer_id=1002, officer_id="officer-wu", status="open"))
        with refused("Give a new row its key yourself" if bank.kind == "postgres" else "GUARD-RELATION"):
            session.flush()


def test_a_masked_value_is_not_written_back(bank: Alchemy) -> None:
    before = stored(bank, "id_number", 1001)
    with bank.acting(), orm.Session(bank.engine()) as session:
        customer = session.get(Customer, 1001)
        assert customer is not None
        assert customer.id_number != before
        customer.id_number += "X"
        with pytest.raises(Refused):
            session.commit()
    assert stored(bank, "id_number", 1001) == before


def test_a_savepoint_is_undone_alone(bank: Alchemy) -> None:
    before = stored(bank, "monthly_income", 1001)
    with bank.acting(), orm.Session(bank.engine()) as session:
        one, other = session.get(Customer, 1002), session.get(Customer, 1001)
        assert one is not None
        assert other is not None
        one.monthly_income = 7001
        session.flush()
        nested = session.begin_nested()
        other.monthly_income = 7002
        session.flush()
        nested.rollback()
        with session.begin_nested():
            one.monthly_income = 7003
        session.commit()
    assert stored(bank, "monthly_income", 1001) == before
    assert stored(bank, "monthly_income", 1002) == 7003
    assert bank.kinds.count("intent") == 3
    assert bank.kinds.count("done") == 2
    assert bank.kinds.count("rolled_back") == 1


def test_a_savepoint_first_of_all_is_no_commit(bank: Alchemy) -> None:
    before = stored(bank, "monthly_income", 1002)
    with bank.acting(), bank.engine().connect() as connection:
        with connection.begin_nested():
            connection.execute(sa.update(Customer).where(Customer.customer_id == 1002).values(monthly_income=7001))
        connection.rollback()
    assert stored(bank, "monthly_income", 1002) == before
    assert bank.kinds[-1] == "rolled_back"


def test_several_rows_at_once_are_one_write_each(bank: Alchemy) -> None:
    with bank.acting(), orm.Session(bank.engine()) as session:
        session.add_all([Branch(branch_id=f"branch-{n}", name="分行", city="上海") for n in (7, 8)])
        session.commit()
        assert session.scalar(sa.select(sa.func.count()).select_from(Branch)) == 5
        with refused("RETURNING"):
            session.execute(
                sa.update(Branch).values(city="x").returning(Branch.name).execution_options(synchronize_session=False)
            )


def test_rows_of_persons_are_written_many_at_a_time(bank: Alchemy) -> None:
    statement = (
        sa.update(Customer.__table__)
        .where(sa.column("customer_id") == sa.bindparam("key"))
        .values(monthly_income=sa.bindparam("to"))
    )  # type: ignore[arg-type]
    with bank.acting(), bank.engine().begin() as connection:
        result = connection.execute(statement, [{"key": 1001, "to": 7001}, {"key": 1002, "to": 7002}])
        assert result.rowcount == 2
    assert stored(bank, "monthly_income", 1001) == 7001
    assert bank.kinds.count("intent") == bank.kinds.count("done") == 2


def test_a_rollback_is_registered(bank: Alchemy) -> None:
    with bank.acting(), bank.engine().connect() as connection:
        connection.execute(sa.update(Customer).where(Customer.customer_id == 1002).values(monthly_income=7001))
    assert bank.kinds[-2:] == ["intent", "rolled_back"]


# --- Transactions ---------------------------------------------------------------------------------


@pytest.mark.parametrize("level", [None, "AUTOCOMMIT", "SERIALIZABLE", "REPEATABLE READ"])
def test_who_withdraws_is_not_read_in_an_old_snapshot(bank: Alchemy, level: str | None) -> None:
    if bank.kind == "sqlite" and level == "REPEATABLE READ":
        level = "SERIALIZABLE"
    options = {} if level is None else {"isolation_level": level}
    with bank.acting(), bank.engine().connect().execution_options(**options) as connection:
        assert [row.customer_id for row in connection.execute(NAMES)] == [1001, 1002]
        bank.guard.consents.withdraw_subject("1002")
        assert [row.customer_id for row in connection.execute(NAMES)] == [1001]


def test_the_isolation_level_is_the_programs(bank: Alchemy) -> None:
    engine = bank.engine(pool_pre_ping=True, pool_size=1)
    with engine.connect() as connection:
        assert connection.get_isolation_level() == connection.default_isolation_level
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        assert connection.get_isolation_level() == "AUTOCOMMIT"
        connection.execute(sa.update(Branch).values(city="杭州"))
    assert {city for (city,) in bank.outside("SELECT city FROM {s}branch")} == {"杭州"}
    with engine.connect() as connection:
        assert connection.get_isolation_level() == connection.default_isolation_level
    if bank.kind == "sqlite":
        with pytest.raises(Misuse, match="SERIALIZABLE"):
            engine.connect().execution_options(isolation_level="READ UNCOMMITTED")


def test_a_lost_connection_is_replaced(bank: Alchemy) -> None:
    engine = bank.engine(pool_size=1)
    with engine.connect() as connection:
        connection.connection.driver_connection.close()  # type: ignore[union-attr]
    with engine.connect() as connection:
        assert len(connection.execute(sa.select(Branch.name)).all()) == 3


def test_threads_share_an_engine(bank: Alchemy) -> None:
    engine = bank.engine()
    counts: list[int] = []

    def work() -> None:
        with bank.acting():
            for _ in range(5):
                with engine.connect() as connection:
                    counts.append(len(connection.execute(NAMES).all()))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts == [2] * 20


# --- Async ----------------------------------------------------------------------------------------


def test_the_same_awaited(bank: Alchemy) -> None:
    async def main() -> None:
        engine = bank.awaited(pool_pre_ping=True)
        with bank.acting():
            async with engine.connect() as connection:
                assert [row.customer_id for row in await connection.execute(NAMES)] == [1001, 1002]
                streamed = await connection.stream(NAMES)
                assert [row.customer_id async for row in streamed] == [1001, 1002]
                raw = await connection.get_raw_connection()
                assert type(raw.driver_connection).__name__ == "AwaitedLink"
                with refused("GUARD-SQL"):
                    await connection.exec_driver_sql("DROP TABLE branch")
                await connection.rollback()
                with refused("GUARD-PROXY"):
                    await connection.run_sync(lambda inner: inner.begin_twophase())
            async with AsyncSession(engine) as session:
                customer = await session.get(Customer, 1002)
                assert customer is not None
                customer.monthly_income = 7000
                async with session.begin_nested():
                    await session.flush()
                await session.commit()
                assert (
                    await session.scalars(sa.select(Customer.monthly_income).where(Customer.customer_id == 1002))
                ).one() == 7000
        async with AsyncSession(engine) as session:
            with refused("GUARD-PURPOSE"):
                await session.get(Customer, 1002)
        await engine.dispose()

    asyncio.run(main())
    assert bank.kinds.count("intent") == bank.kinds.count("done") == 1


def test_tasks_act_each_for_itself(bank: Alchemy) -> None:
    async def main() -> None:
        engine = bank.awaited()

        async def ask(subject: int) -> list[int]:
            with bank.acting(subject=subject):
                async with engine.connect() as connection:
                    return [row.customer_id for row in await connection.execute(NAMES)]

        found = await asyncio.gather(*(ask(key) for key in (1001, 1002) * 5))
        assert found == [[1001], [1002]] * 5
        await engine.dispose()

    asyncio.run(main())


def test_the_event_loop_goes_on_while_the_register_is_written(bank: Alchemy, monkeypatch: pytest.MonkeyPatch) -> None:
    append = bank.guard.register.append
    entered, leave = threading.Event(), threading.Event()

    def slow(draft: Any) -> int:
        entered.set()
        assert leave.wait(10)
        return append(draft)

    monkeypatch.setattr(bank.guard.register, "append", slow)

    async def main() -> None:
        engine = bank.awaited()
        with bank.acting():
            async with engine.connect() as connection:
                asked = asyncio.ensure_future(connection.execute(NAMES))
                while not entered.is_set() and not asked.done():  # noqa: ASYNC110 -- set by another thread
                    await asyncio.sleep(0.01)
                assert not asked.done()
                leave.set()
                assert len((await asked).all()) == 2
        await engine.dispose()

    asyncio.run(main())


@pytest.mark.parametrize("way", WAYS)
def test_a_task_that_is_cancelled_anywhere_tells_the_register_the_truth(bank: Alchemy, way: str) -> None:
    """And leaves a pool whose connections go on."""
    change = sa.update(Customer).where(Customer.customer_id == 1002)

    async def work(engine: Any, value: int) -> None:
        with bank.acting():
            async with engine.begin() as connection:
                await connection.execute(NAMES)
                await connection.execute(change.values(monthly_income=value))

    async def once(cut: Cut) -> None:
        engine = bank.awaited(pool_size=1, max_overflow=0, pool_timeout=5)
        with suppress(asyncio.CancelledError):
            await asyncio.create_task(cut(work(engine, 7)))  # type: ignore[arg-type]  # a coroutine of its own kind
        await work(engine, 8)
        await engine.dispose()

    for at in range(1, 60):
        bank.outside("UPDATE {s}customer SET monthly_income = 1")
        before = len(bank.bank.entries)
        cut = Cut(at, way)
        asyncio.run(once(cut))
        assert stored(bank, "monthly_income", 1002) == 8
        made = bank.bank.entries[before:]
        outcomes = {one.refers_to: one.kind for one in made if one.refers_to is not None}
        intents = [one.seq for one in made if one.kind == "intent"]
        assert outcomes[intents[-1]] == "done"
        assert all(outcomes.get(one, "done") in ("done", "rolled_back") for one in intents), (way, at)
        if not cut.reached:
            break
    assert 3 < at < 59


def test_a_cancelled_task_leaves_nothing_written(bank: Alchemy, monkeypatch: pytest.MonkeyPatch) -> None:
    before = stored(bank, "monthly_income", 1002)
    append = bank.guard.register.append
    entered, leave = threading.Event(), threading.Event()

    def slow(draft: Any) -> int:
        if draft.kind == "intent":
            entered.set()
            assert leave.wait(10)
        return append(draft)

    monkeypatch.setattr(bank.guard.register, "append", slow)

    async def main() -> None:
        engine = bank.awaited()
        change = sa.update(Customer).where(Customer.customer_id == 1002).values(monthly_income=7001)

        async def write() -> None:
            with bank.acting():
                async with engine.begin() as connection:
                    await connection.execute(change)

        task = asyncio.ensure_future(write())
        while not entered.is_set() and not task.done():  # noqa: ASYNC110 -- set by another thread
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        leave.set()
        await engine.dispose()

    asyncio.run(main())
    for _ in range(100):
        if "rolled_back" in bank.kinds or "failed" in bank.kinds:
            break
        threading.Event().wait(0.05)
    assert stored(bank, "monthly_income", 1002) == before
    assert "done" not in bank.kinds
