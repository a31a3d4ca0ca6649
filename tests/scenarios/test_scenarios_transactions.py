"""Scenarios 2 and 3 of the threats: what was withdrawn is gone from the next statement on, and nothing is forged."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from conftest import Scene
from dbapi_bank import LIN, PURPOSE, Bank
from sqlalchemy import orm

import guard_sqlalchemy
from guard import Actor, Refused
from guard_ledger.tables import grant

SCORE = Actor(id="svc-score", kind="service", roles=("loan_officer",), unit="risk")
"""Whose act needs no case, so that several persons are met."""

SOME = "SELECT customer_id FROM customer WHERE customer_id BETWEEN 1013 AND 1040 ORDER BY customer_id"
HOW_MANY = "SELECT count(*) FROM customer WHERE customer_id BETWEEN 1013 AND 1040"
ONE = "SELECT full_name FROM customer WHERE customer_id = ?"
LEVELS: dict[str, tuple[Any, ...]] = {
    "sqlite": (None, "", "DEFERRED", "IMMEDIATE", "EXCLUSIVE"),
    "postgres": (None, *psycopg.IsolationLevel),
}


class Base(orm.DeclarativeBase):
    pass


class Customer(Base):
    __tablename__ = "customer"
    customer_id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    full_name: orm.Mapped[str]


def engine(scene: Scene, bank: Bank, **keywords: Any) -> sa.Engine:
    """An engine of SQLAlchemy before which the bank's guard stands."""
    url = (
        f"sqlite:///{bank.place}" if bank.kind == "sqlite" else bank.place.replace("postgresql:", "postgresql+psycopg:")
    )
    made = guard_sqlalchemy.attach(sa.create_engine(url, **keywords), bank.guard)
    scene.stack.callback(made.dispose)
    return made


def scoring(bank: Bank) -> Any:
    return bank.guard.acting(SCORE, purpose=PURPOSE, operation="process")


def counted(connection: Any) -> tuple[Any, ...]:
    """How many there are, or the rule that refuses to say."""
    try:
        (row,) = connection.execute(HOW_MANY).fetchall()
    except Refused as refused:
        return refused.rules
    return tuple(row)


# --- 2 --------------------------------------------------------------------------------------------


def test_scenario_2_in_an_open_transaction_who_withdrew_is_in_no_later_statement(scene: Scene) -> None:
    """At each isolation level. SQLite keeps old snapshots with a write-ahead log, and then no writer waits."""
    scene.wal()
    bank = scene.open()
    with scoring(bank):
        for level in LEVELS[bank.kind]:
            connection = bank.connect()
            connection.isolation_level = level
            holds_the_writers = level in {"IMMEDIATE", "EXCLUSIVE"} and bank.kind == "sqlite"
            with connection.transaction():
                everybody = connection.execute(SOME).fetchall()
                assert len(everybody) > 2
                gone = str(everybody[-1][0])
                if holds_the_writers:
                    with pytest.raises(Refused, match="GUARD-LEDGER"):
                        bank.guard.consents.withdraw_subject(gone)
                    continue
                assert bank.guard.consents.withdraw_subject(gone) > 0
                assert connection.in_transaction
                assert connection.execute(SOME).fetchall() == everybody[:-1]
                assert counted(connection) in ((len(everybody) - 1,), ("GUARD-WITHDRAWN",))
            assert connection.execute(SOME).fetchall() == everybody[:-1]
            connection.close()


def test_scenario_2_an_open_cursor_yields_nobody_who_withdrew_meanwhile(scene: Scene) -> None:
    """One whose rows are in memory, and one of the server, which fetches from the snapshot of its start."""
    scene.edit("guard.yaml", {"batch: 256": "batch: 2"})
    bank = scene.open()
    with scoring(bank):
        connection = bank.connect()
        for name in (None, "mine") if bank.kind == "postgres" else (None,):
            everybody = connection.execute(SOME).fetchall()
            with connection.cursor(name) as cursor:
                cursor.execute(SOME)
                first = cursor.fetchone()
                assert bank.guard.consents.withdraw_subject(str(everybody[-1][0])) > 0
                assert [first, *cursor.fetchall()] == everybody[:-1]


def test_scenario_2_an_orm_session_loads_nobody_who_withdrew(scene: Scene) -> None:
    scene.wal()
    bank = scene.open()
    made = engine(scene, bank, isolation_level="SERIALIZABLE")
    few = sa.select(Customer).where(Customer.customer_id.between(1013, 1040)).order_by(Customer.customer_id)
    with scoring(bank), orm.Session(made) as session:
        objects = session.scalars(few).all()
        gone, key = objects[-1], objects[-1].customer_id
        assert bank.guard.consents.withdraw_subject(str(key)) > 0
        assert session.scalars(few).all() == objects[:-1]
        with pytest.raises((Refused, sa.exc.InvalidRequestError)):
            session.refresh(gone)
        assert session.get(Customer, key, populate_existing=True) is None
        session.expire_all()
        with pytest.raises((Refused, orm.exc.ObjectDeletedError)):
            _ = gone.full_name


# --- 3 --------------------------------------------------------------------------------------------

NOBODY = 1006
"""His case is assigned to the officer, and he consented to nothing."""

COLUMNS = (
    "consent_id, subject, purpose, recipient, scope, basis, separate, written, assurance, recorder, valid_from,"
    " valid_until, withdrawn_at, judged, evidence"
)
COPY = COLUMNS.replace("subject", f"'{NOBODY}'")


def forgeries(bank: Bank) -> list[str]:
    """A grant for somebody who gave none, in every form of a write and by every name of the table."""
    own = "main" if bank.kind == "sqlite" else "guard"
    return [
        text.format(table=table, columns=COLUMNS)
        for table in ("guard_grant", f"{own}.guard_grant", '"guard_grant"', "GUARD_GRANT")
        for text in (
            (
                "INSERT INTO {table} ({columns}) VALUES ('c-x', '1006', 'loan_underwriting', '', 1, 'consent', 1, 1, 2,"
                " 'x', 0, 9999999999, NULL, '', NULL)"
            ),
            "INSERT INTO {table} ({columns}) SELECT {columns} FROM {table} WHERE subject = '1002'",
            "UPDATE {table} SET subject = '1006' WHERE subject = '1002'",
            "UPDATE {table} SET withdrawn_at = NULL",
            "DELETE FROM {table}",
        )
    ]


def nothing_of(bank: Bank, connection: Any) -> None:
    with bank.guard.acting(LIN, purpose=PURPOSE):
        assert connection.execute(bank.sql(ONE), (NOBODY,)).fetchall() == []
    with bank.guard.acting(LIN, purpose=PURPOSE, subject=NOBODY), pytest.raises(Refused, match="OP-01"):
        connection.execute(bank.sql(ONE), (NOBODY,)).fetchall()


def grants(bank: Bank) -> list[Any]:
    schema = "main" if bank.kind == "sqlite" else "guard"
    return bank.outside(f"SELECT {COLUMNS} FROM {schema}.guard_grant ORDER BY grant_id")


def test_scenario_3_a_transaction_forges_a_grant_reads_and_rolls_back(scene: Scene) -> None:
    bank = scene.open()
    before = grants(bank)
    attempts = forgeries(bank)
    for text in attempts:
        with bank.guard.acting(LIN, purpose=PURPOSE):
            connection = bank.connect()
            connection.execute("UPDATE branch SET city = 'Foshan'")
            assert connection.in_transaction
            with pytest.raises(Refused, match="GUARD-SQL"):
                connection.execute(text)
        nothing_of(bank, connection)
        connection.rollback()
        connection.close()
    assert grants(bank) == before
    assert [entry.kind for entry in bank.entries].count("denied") == 2 * len(attempts)
    assert not any(entry.rows for entry in bank.entries)


def test_scenario_3_the_orm_forges_a_grant_reads_and_rolls_back(scene: Scene) -> None:
    bank = scene.open()
    before = grants(bank)
    forged = {column.name: 1 for column in grant.c} | {"subject": str(NOBODY), "purpose": PURPOSE, "recipient": ""}
    made = engine(scene, bank)
    for write in (sa.insert(grant).values(**forged), sa.update(grant).values(subject=str(NOBODY)), sa.delete(grant)):
        with bank.guard.acting(LIN, purpose=PURPOSE), made.connect() as connection:
            with pytest.raises(Refused, match="GUARD-SQL"):
                connection.execute(write)
            assert connection.execute(sa.select(Customer).where(Customer.customer_id == NOBODY)).all() == []
            connection.rollback()
    assert grants(bank) == before
    assert [entry.kind for entry in bank.entries].count("denied") == 3


def test_scenario_3_a_transaction_forges_its_case_reads_and_rolls_back(scene: Scene) -> None:
    """The other half of what statements are checked against: who assigns a case in a transaction reads nobody by it."""
    bank = scene.open()
    of_another = 1004
    connection = bank.connect()
    with bank.guard.acting(SCORE, purpose=PURPOSE):
        text = f"UPDATE loan_case SET officer_id = '{LIN.id}' WHERE customer_id = {of_another}"
        assert connection.execute(text).rowcount == 1
    for subject in (None, of_another):
        with (
            bank.guard.acting(LIN, purpose=PURPOSE, subject=subject),
            pytest.raises(Refused, match="GUARD-RELATION"),
        ):
            connection.execute(bank.sql(ONE), (of_another,))
    connection.rollback()
    assert [entry.kind for entry in bank.entries] == ["intent", "denied", "denied", "rolled_back"]
