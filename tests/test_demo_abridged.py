"""A guarded statement in short: what it says of rows and columns is all there, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

import guard_dbapi
from guard import Actor, Guard, Settings
from guard.demo import bank
from guard.demo.abridged import abridged
from guard.demo.tour import open_bank

LIN = Actor(id="officer-lin", roles=("loan_officer",), unit="branch-3")


@pytest.fixture(params=["sqlite", "postgres"])
def guard(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Guard]:
    url = request.getfixturevalue("postgres_url") if request.param == "postgres" else None
    with open_bank(Settings.load(bank.build(tmp_path, database=url))) as opened:
        yield opened


def short(guard: Guard, sql: str) -> list[str]:
    """The lines of a statement as it ran, in short."""
    with closing(guard_dbapi.connect(guard)) as connection, guard.acting(LIN, purpose="loan_underwriting"):
        cursor = connection.execute(sql)
        cursor.fetchall()
        assert cursor.statement is not None
        text = abridged(cursor.statement, guard.settings.database.dialect)
    return text.replace("$1", ":g_actor").replace("frozen_flag = FALSE", "frozen_flag = 0").split("\n")


def test_conditions_of_rows_stand_one_a_line_and_those_of_columns_beside_them(guard: Guard) -> None:
    found = short(guard, "SELECT full_name, id_number FROM application ORDER BY application_id")
    assert found[0] == "SELECT full_name, id_number"
    assert "IF(GRANT(identity), full_name) AS full_name" in found[1]
    assert "IF(GRANT(identity_number, separate), id_number, MASK(id_number)) AS id_number" in found[1]
    relation = "EXISTS(SELECT 1 FROM loan_case AS r WHERE customer_id = t.customer_id AND officer_id = :g_actor"
    assert found[2] == "  FROM application AS t"
    rows = [line.strip().partition(" ")[2] for line in found[3:-1]]
    assert "(frozen_flag IS NULL OR frozen_flag = 0)" in rows
    assert f"{relation} AND status = 'open')" in rows
    assert rows[-1] == "GRANT(any)) AS t0"
    assert found[-1] == "ORDER BY application_id"


def test_a_long_select_list_is_counted(guard: Guard) -> None:
    found = short(guard, "SELECT * FROM application")
    assert found[0].replace("\N{NO-BREAK SPACE}", " ").endswith("birth_date, /* 23 more */")


def test_what_cannot_be_read_is_left_as_it_is() -> None:
    assert abridged("SELECT FROM FROM", "sqlite") == "SELECT FROM FROM"
