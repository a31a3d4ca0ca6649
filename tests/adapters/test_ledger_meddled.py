"""What somebody put on the ledger's tables is found when a guard is opened, and when a connection is attached."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import dbapi_bank
import psycopg
import pytest
from dbapi_bank import LIN, PURPOSE, Bank, Kind
from fixtures_postgres import ROLE, as_superuser

import guard_dbapi
from guard import Guard, Refused

WITHDRAWN = "UPDATE {s}guard_grant SET withdrawn_at = NULL"


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dbapi_bank.sqlite_bank(tmp_path_factory.mktemp("meddled") / "bank")


def opened(kind: Kind, recorded: Path, folder: Path, request: pytest.FixtureRequest) -> Iterator[Bank]:
    place, guard = dbapi_bank.loaded(kind, recorded, folder, request, "")
    made = Bank(kind, folder, place, guard)
    yield made
    made.close()


@pytest.fixture(params=["sqlite", "postgres"])
def bank(recorded: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Bank]:
    yield from opened(request.param, recorded, tmp_path / "bank", request)


@pytest.fixture
def postgres(recorded: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Bank]:
    yield from opened("postgres", recorded, tmp_path / "bank", request)


def change(bank: Bank, *texts: str) -> None:
    with psycopg.connect(as_superuser(bank.place), autocommit=True) as raw:
        for text in texts:
            raw.execute(text.encode())


def refused(bank: Bank, *words: str) -> None:
    """Neither is a connection attached nor another guard opened."""
    for attempt in (bank.connect, lambda: Guard.load(bank.folder / "guard.yaml").close()):
        with pytest.raises(Refused) as caught:
            attempt()
        assert caught.value.rules == ("GUARD-LEDGER",)
        assert all(word in str(caught.value) for word in words)


def usable(bank: Bank) -> None:
    with bank.guard.acting(LIN, purpose=PURPOSE):
        bank.connect().execute("SELECT count(*) FROM branch").fetchall()
    Guard.load(bank.folder / "guard.yaml").close()


@pytest.mark.parametrize("table", ["guard_grant", "guard_review", "guard_withdrawal"])
def test_a_trigger_on_the_ledgers_tables(bank: Bank, table: str) -> None:
    usable(bank)
    if bank.kind == "sqlite":
        bank.outside(f"CREATE TRIGGER revives AFTER INSERT ON {table.upper()} BEGIN {WITHDRAWN.format(s='')}; END")
    else:
        change(
            bank,
            f"CREATE FUNCTION public.revives() RETURNS trigger LANGUAGE plpgsql AS"
            f" 'BEGIN {WITHDRAWN.format(s='guard.')}; RETURN NEW; END'",
            f"CREATE TRIGGER revives AFTER INSERT ON guard.{table} FOR EACH ROW EXECUTE FUNCTION public.revives()",
        )
    refused(bank, "trigger", table, "drop it")


def test_a_trigger_of_one_connection_alone(recorded: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    place, guard = dbapi_bank.loaded("sqlite", recorded, tmp_path / "bank", request, "")

    def connect(*given: object, **keywords: object) -> sqlite3.Connection:
        raw = sqlite3.connect(place)
        raw.execute("CREATE TEMP TRIGGER revives AFTER UPDATE ON main.guard_grant BEGIN SELECT 1; END")
        raw.commit()
        return raw

    with guard, pytest.raises(Refused, match="trigger on guard_grant"):
        guard_dbapi.wrap(connect, guard, dialect="sqlite")(place)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("CREATE RULE gone AS ON UPDATE TO guard.guard_grant DO INSTEAD NOTHING", ("rule", "guard_grant")),
        ("ALTER TABLE guard.guard_grant ENABLE ROW LEVEL SECURITY", ("row policy", "guard_grant")),
        ("CREATE POLICY few ON guard.guard_withdrawal USING (false)", ("row policy", "guard_withdrawal")),
        ("ALTER TABLE guard.guard_grant OWNER TO other", ("owns", "guard_grant", "OWNER TO")),
        ("ALTER SCHEMA guard OWNER TO other", ("owns", "the schema guard", "OWNER TO")),
    ],
)
def test_what_could_hide_or_change_what_is_kept(postgres: Bank, text: str, words: tuple[str, ...]) -> None:
    with psycopg.connect(as_superuser(postgres.place), autocommit=True) as raw:
        raw.execute("DROP ROLE IF EXISTS other")
        raw.execute("CREATE ROLE other")
    name = postgres.place.partition("@/")[2].partition("?")[0]
    try:
        change(postgres, f"GRANT CREATE ON DATABASE {name} TO other", text)
        change(postgres, f"GRANT ALL ON SCHEMA guard TO {ROLE}", f"GRANT ALL ON ALL TABLES IN SCHEMA guard TO {ROLE}")
        refused(postgres, *words)
    finally:
        change(postgres, "REASSIGN OWNED BY other TO postgres", "DROP OWNED BY other", "DROP ROLE other")


@pytest.mark.parametrize("owner", ["postgres", "pg_database_owner", ROLE])
def test_who_could_do_so_in_any_case_may_own_it(postgres: Bank, owner: str) -> None:
    change(postgres, f"ALTER SCHEMA guard OWNER TO {owner}", f"ALTER TABLE guard.guard_grant OWNER TO {owner}")
    change(postgres, f"GRANT ALL ON SCHEMA guard TO {ROLE}", f"GRANT ALL ON ALL TABLES IN SCHEMA guard TO {ROLE}")
    usable(postgres)
