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
NUMBERS = (
    "ALTER SEQUENCE guard.mine OWNED BY guard.guard_grant.withdrawn_at;"
    " ALTER TABLE guard.guard_grant ALTER COLUMN withdrawn_at SET DEFAULT nextval('guard.mine')"
)


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


@pytest.fixture
def other(postgres: Bank) -> Iterator[str]:
    """A role that is nothing to the ledger."""
    change(postgres, "DROP ROLE IF EXISTS other", "CREATE ROLE other", "GRANT USAGE ON SCHEMA guard TO other")
    yield "other"
    change(postgres, "DROP OWNED BY other", "DROP ROLE other")


@pytest.mark.parametrize("whom", ["PUBLIC", "other"])
@pytest.mark.parametrize(
    ("right", "on"),
    [
        ("INSERT", "guard.guard_grant"),
        ("UPDATE", "guard.guard_review"),
        ("DELETE", "guard.guard_withdrawal"),
        ("TRUNCATE", "guard.guard_withdrawal"),
        ("TRIGGER", "guard.guard_grant"),
        ("REFERENCES", "guard.guard_meta"),
        ("UPDATE (withdrawn_at)", "guard.guard_grant"),
        ("INSERT (subject)", "guard.guard_grant"),
        ("UPDATE", "SEQUENCE guard.guard_withdrawal_seq_seq"),
    ],
)
def test_a_right_of_others_to_write(postgres: Bank, other: str, whom: str, right: str, on: str) -> None:
    change(postgres, f"GRANT {right} ON {on} TO {whom}")
    remedy = f"REVOKE {right.partition(' ')[0]} ON {on} FROM {whom}"
    refused(postgres, f"{whom} may write to the ledger", remedy)
    change(postgres, remedy)
    usable(postgres)


def test_all_rights_of_others_are_taken_by_one_remedy_for_tables_and_one_for_sequences(postgres: Bank) -> None:
    change(postgres, *(f"GRANT ALL ON ALL {them} IN SCHEMA guard TO PUBLIC" for them in ("TABLES", "SEQUENCES")))
    for _ in range(2):
        with pytest.raises(Refused) as caught:
            postgres.connect()
        said = str(caught.value)
        change(postgres, said[said.index("REVOKE") : said.index(", and see")])
    usable(postgres)


def test_who_only_reads_and_a_role_that_the_program_is_a_member_of(postgres: Bank, other: str) -> None:
    change(
        postgres, "GRANT SELECT ON ALL TABLES IN SCHEMA guard TO PUBLIC", "GRANT SELECT ON guard.guard_grant TO other"
    )
    usable(postgres)
    change(postgres, f"GRANT other TO {ROLE}", "GRANT ALL ON ALL TABLES IN SCHEMA guard TO other")
    usable(postgres)
    change(postgres, f"REVOKE other FROM {ROLE}")
    refused(postgres, "other may write", "member")


@pytest.mark.parametrize(
    ("text", "words", "remedy"),
    [
        (
            "CREATE TABLE public.forged () INHERITS (guard.guard_grant)",
            ("public.forged inherits from guard.guard_grant", "NO INHERIT"),
            "ALTER TABLE public.forged NO INHERIT guard.guard_grant",
        ),
        (
            "CREATE TABLE public.above (withdrawn_at bigint); ALTER TABLE guard.guard_grant INHERIT public.above",
            ("guard.guard_grant inherits from public.above", "NO INHERIT"),
            "ALTER TABLE guard.guard_grant NO INHERIT public.above",
        ),
        (
            "ALTER TABLE guard.guard_grant ADD CONSTRAINT never CHECK (withdrawn_at IS NULL) NOT VALID",
            ("check constraint", "guard_grant", "drop it"),
            "ALTER TABLE guard.guard_grant DROP CONSTRAINT never",
        ),
        (
            "CREATE TABLE public.holds (key text REFERENCES guard.guard_meta)",
            ("foreign key", "guard_meta", "drop it"),
            "DROP TABLE public.holds",
        ),
        (
            "CREATE INDEX watched ON guard.guard_grant (lower(subject))",
            ("index with an expression", "guard_grant", "drop it"),
            "DROP INDEX guard.watched",
        ),
        (
            "ALTER TABLE guard.guard_grant ALTER COLUMN withdrawn_at SET DEFAULT 5",
            ("default of withdrawn_at", "guard_grant", "drop it"),
            "ALTER TABLE guard.guard_grant ALTER COLUMN withdrawn_at DROP DEFAULT",
        ),
        (
            f"CREATE SEQUENCE guard.mine; ALTER SEQUENCE guard.mine OWNER TO {ROLE}; {NUMBERS}",
            ("default of withdrawn_at", "guard_grant"),
            "DROP SEQUENCE guard.mine CASCADE",
        ),
        (
            "ALTER TABLE guard.guard_withdrawal ALTER COLUMN seq SET DEFAULT 1",
            ("default of seq", "guard_withdrawal", "own sequence"),
            "ALTER TABLE guard.guard_withdrawal ALTER COLUMN seq SET DEFAULT nextval('guard.guard_withdrawal_seq_seq')",
        ),
    ],
)
def test_what_the_tables_were_not_made_with(postgres: Bank, text: str, words: tuple[str, ...], remedy: str) -> None:
    change(postgres, text)
    refused(postgres, *words)
    change(postgres, remedy)
    usable(postgres)


@pytest.mark.parametrize("owner", ["postgres", "pg_database_owner", ROLE])
def test_who_could_do_so_in_any_case_may_own_it(postgres: Bank, owner: str) -> None:
    change(postgres, f"ALTER SCHEMA guard OWNER TO {owner}", f"ALTER TABLE guard.guard_grant OWNER TO {owner}")
    change(postgres, f"GRANT ALL ON SCHEMA guard TO {ROLE}", f"GRANT ALL ON ALL TABLES IN SCHEMA guard TO {ROLE}")
    usable(postgres)
