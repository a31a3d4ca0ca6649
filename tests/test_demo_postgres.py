"""The example holders on a real PostgreSQL, as a plain role: made, made again, and nothing of anybody else touched."""

import stat
from datetime import date
from pathlib import Path

import msgspec
import psycopg
import pytest
from fixtures_postgres import as_superuser

from guard import Actor, Guard, Refused
from guard.cli.checks import check
from guard.config import Settings
from guard.demo import agency, bank, places, tables
from guard.errors import Misuse
from guard_dbapi import connect

DAY = date(2031, 3, 1)
CASE = (
    "INSERT INTO demo_bank.loan_case (customer_id, officer_id, status, opened_on)"
    " VALUES (1004, 'officer-lin', 'open', '2030-01-01')"
)
LIN = Actor(id="officer-lin", roles=("loan_officer",), unit="branch-3")


def run(url: str, *texts: str) -> list[tuple]:
    with psycopg.connect(url, autocommit=True) as raw:
        last = [raw.execute(text.encode()) for text in texts][-1]
        return last.fetchall() if last.description else []


def snapshot(url: str) -> list[tuple]:
    """What tables and schemas there are, their comments, and how many rows each table has."""
    named = run(
        url,
        "SELECT n.nspname, c.relname, c.oid, obj_description(n.oid, 'pg_namespace') FROM pg_namespace n"
        " LEFT JOIN pg_class c ON c.relnamespace = n.oid AND c.relkind = 'r'"
        " WHERE n.nspname !~ '^pg_|^information_schema$' ORDER BY 1, 2",
    )
    return [(*one, run(url, f"SELECT * FROM {one[0]}.{one[1]}") if one[1] else None) for one in named]


@pytest.mark.parametrize("holder", [bank, agency])
def test_a_holder_is_made_whole_and_has_nothing_wrong(holder, postgres_url, tmp_path):
    config = holder.build(tmp_path, DAY, database=postgres_url)
    assert stat.S_IMODE(config.stat().st_mode) == 0o600, "a URL may hold a password"
    report = check(config)
    assert (report.errors, report.warnings) == ((), ())
    listed = holder.HOLDER.rows(DAY)
    for table in holder.HOLDER.tables.sorted_tables:
        rows = run(postgres_url, f"SELECT * FROM {holder.HOLDER.schema}.{table.name} ORDER BY 1")
        assert rows, table.name
        assert len(rows) == len(list(listed[table.name]))
        assert len(rows[0]) == len(table.columns)


def test_both_databases_hold_the_same(postgres_url, tmp_path):
    import sqlite3

    lite = sqlite3.connect(bank.database(tmp_path / "lite", DAY))
    bank.build(tmp_path / "postgres", DAY, database=postgres_url)
    for table in bank.HOLDER.tables.sorted_tables:
        rows = run(postgres_url, f"SELECT * FROM demo_bank.{table.name} ORDER BY 1")
        plain = [[one.isoformat() if isinstance(one, date) else one for one in row] for row in rows]
        assert plain == [list(row) for row in lite.execute(f"SELECT * FROM {table.name} ORDER BY 1")]
    lite.close()


def ask(config: Path) -> list[tuple]:
    with Guard.load(config) as guard, connect(guard) as connection:
        bank.record(guard.consents)
        with guard.acting(LIN, purpose="loan_underwriting"):
            return connection.execute(
                "SELECT customer_id, full_name FROM application ORDER BY application_id"
            ).fetchall()


def test_it_is_made_again_as_often_as_one_likes(postgres_url, tmp_path):
    first = ask(bank.build(tmp_path / "1", database=postgres_url))
    before = {one[:3] for one in snapshot(postgres_url)}
    run(
        postgres_url,
        CASE,
    )
    with Guard.load(tmp_path / "1" / "guard.yaml") as guard:
        guard.consents.withdraw_subject("1001")
        again = ask(bank.build(tmp_path / "2", database=postgres_url))
        assert again == first
        assert "1001" in {str(row[0]) for row in again}
        with pytest.raises(Refused, match="replaced"):
            guard.consents.withdraw_subject("1001")
    assert {one[:3] for one in snapshot(postgres_url)} == before, "the very same tables: nothing was dropped"


def test_keys_that_the_database_gives_go_on_after_those_that_are_there(postgres_url, tmp_path):
    for name in ("1", "2"):
        bank.build(tmp_path / name, database=postgres_url)
        ((last,),) = run(postgres_url, "SELECT max(case_id) FROM demo_bank.loan_case")
        (made,) = run(
            postgres_url,
            f"{CASE} RETURNING case_id",
        )
        assert made == (last + 1,)


OTHERS = {
    "a table": ["CREATE SCHEMA demo_bank", "CREATE TABLE demo_bank.customer AS SELECT 1 AS x"],
    "a function": ["CREATE SCHEMA demo_bank", "CREATE FUNCTION demo_bank.f() RETURNS int LANGUAGE sql AS 'SELECT 1'"],
    "a schema with another comment": ["CREATE SCHEMA demo_bank", "COMMENT ON SCHEMA demo_bank IS 'ours'"],
    "a ledger": ["CREATE SCHEMA guard", "CREATE TABLE guard.guard_consent (x integer)"],
}  # fmt: skip


@pytest.mark.parametrize("texts", OTHERS.values(), ids=OTHERS)
def test_what_others_made_is_refused_and_untouched(texts, postgres_url, tmp_path):
    run(postgres_url, *texts)
    before = snapshot(postgres_url)
    with pytest.raises(Misuse, match=r"is not one that the example bank made.*createdb") as caught:
        bank.build(tmp_path / "bank", database=postgres_url)
    assert caught.value.__context__ is None
    assert snapshot(postgres_url) == before
    assert not (tmp_path / "bank").exists()


def test_two_holders_take_two_databases(postgres_urls, tmp_path):
    one, other = postgres_urls(), postgres_urls()
    bank.build(tmp_path / "bank", database=one)
    before = snapshot(one)
    with pytest.raises(Misuse, match="schema guard there is not one that the example agency made"):
        agency.build(tmp_path / "agency", database=one)
    assert snapshot(one) == before
    agency.build(tmp_path / "agency", database=other)


def test_empty_schemas_are_taken_where_the_role_may_make_none(postgres_url, tmp_path):
    name = psycopg.conninfo.conninfo_to_dict(postgres_url)["dbname"]
    run(as_superuser(postgres_url), f"ALTER DATABASE {name} OWNER TO postgres")
    with pytest.raises(Misuse, match="may not make schemas"):
        bank.build(tmp_path, database=postgres_url)
    run(
        as_superuser(postgres_url),
        "CREATE SCHEMA guard AUTHORIZATION plain",
        "CREATE SCHEMA demo_bank AUTHORIZATION plain",
    )
    assert ask(bank.build(tmp_path, database=postgres_url))


def test_consents_of_others_in_the_ledger_are_not_forgotten(postgres_url, tmp_path):
    """Somebody went on with the demo's database in earnest."""
    with Guard.load(bank.build(tmp_path / "1", database=postgres_url)) as guard:
        (given,) = (one for one in bank.consents() if one.consent.id == "c-1")
        guard.consents.record_many([msgspec.structs.replace(given, subject="p-77")])
    before = snapshot(postgres_url)
    with pytest.raises(Misuse, match="consents of others"):
        bank.build(tmp_path / "2", database=postgres_url)
    assert snapshot(postgres_url) == before


def test_tables_of_others_beside_the_demos_stay(postgres_url, tmp_path):
    bank.build(tmp_path / "1", database=postgres_url)
    run(
        postgres_url,
        "CREATE TABLE demo_bank.mine (x integer)",
        "INSERT INTO demo_bank.mine VALUES (1)",
        "CREATE SCHEMA own",
        "CREATE TABLE own.t AS SELECT 1 AS x",
    )
    bank.build(tmp_path / "2", database=postgres_url)
    assert run(postgres_url, "SELECT x FROM demo_bank.mine UNION ALL SELECT x FROM own.t") == [(1,), (1,)]
    run(
        postgres_url,
        "CREATE TABLE demo_bank.note AS SELECT 1001 AS c",
        "ALTER TABLE demo_bank.note ADD FOREIGN KEY (c) REFERENCES demo_bank.customer",
    )
    before = snapshot(postgres_url)
    with pytest.raises(Misuse, match=r"The table demo_bank.customer there is not as guard made it.*createdb"):
        bank.build(tmp_path / "3", database=postgres_url)
    assert snapshot(postgres_url) == before


PRECIOUS = "CREATE TABLE public.own AS SELECT * FROM demo_bank.branch"
TRIGGER = (
    "CREATE FUNCTION public.f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN DELETE FROM public.own; RETURN NULL; END'"
)
FURTHER = {
    "a foreign key that cascades": [
        "CREATE TABLE public.own (c integer REFERENCES demo_bank.customer ON DELETE CASCADE)",
        "INSERT INTO public.own VALUES (1001)",
    ],
    "a foreign key that sets NULL": [
        "CREATE TABLE public.own (c integer REFERENCES demo_bank.loan ON DELETE SET NULL)",
        "INSERT INTO public.own SELECT min(loan_id) FROM demo_bank.loan",
    ],
    "a table that inherits": [
        "CREATE TABLE public.own () INHERITS (demo_bank.branch)",
        "INSERT INTO public.own VALUES ('x', 'y', 'z')",
    ],
    "a table that inherits from the ledger": [
        "CREATE TABLE public.own () INHERITS (guard.guard_notice)",
        "INSERT INTO public.own VALUES ('x', 'y', 'z', 1)",
    ],
    "a view in a table's place": [
        PRECIOUS,
        "DROP TABLE demo_bank.branch",
        "CREATE VIEW demo_bank.branch AS SELECT * FROM public.own",
    ],
    "a trigger": [
        PRECIOUS,
        TRIGGER,
        "CREATE TRIGGER t AFTER DELETE ON demo_bank.branch FOR EACH ROW EXECUTE FUNCTION public.f()",
    ],
    "a trigger on filling": [
        PRECIOUS,
        TRIGGER,
        "CREATE TRIGGER t AFTER INSERT ON demo_bank.loan FOR EACH STATEMENT EXECUTE FUNCTION public.f()",
    ],
    "a rule": [PRECIOUS, "CREATE RULE r AS ON DELETE TO demo_bank.branch DO ALSO DELETE FROM public.own"],
    "a column": [
        "ALTER TABLE demo_bank.branch ADD COLUMN mine text DEFAULT 'precious'",
        "CREATE VIEW public.own AS SELECT * FROM demo_bank.branch",
    ],
    "a customer": [
        (
        "INSERT INTO demo_bank.customer (customer_id, full_name, id_number, id_valid_to, birth_date, mobile,"
        " home_address) VALUES (77, 'x', 'x', '2040-01-01', '2000-01-01', 'x', 'x')"
        ),
        "CREATE VIEW public.own AS SELECT customer_id, full_name FROM demo_bank.customer ORDER BY 1",
    ],
}  # fmt: skip


@pytest.mark.parametrize("texts", FURTHER.values(), ids=FURTHER)
def test_nothing_that_others_hung_on_the_demos_tables_is_reached(texts, postgres_url, tmp_path):
    """The mark is a comment: it does not say that a DELETE ends where the demo's rows end."""
    with Guard.load(bank.build(tmp_path / "1", database=postgres_url)):
        pass
    run(postgres_url, *texts)
    precious, before = run(postgres_url, "SELECT * FROM public.own"), snapshot(postgres_url)
    with pytest.raises(Misuse, match="Nothing was changed"):
        bank.build(tmp_path / "2", database=postgres_url)
    assert run(postgres_url, "SELECT * FROM public.own") == precious != []
    assert snapshot(postgres_url) == before


def test_tables_of_another_role_under_a_copied_mark_run_none_of_its_code(postgres_url, tmp_path):
    """A check or a default runs as whoever fills the table: a superuser, say."""
    bank.build(tmp_path / "1", database=postgres_url)
    before = snapshot(postgres_url)
    with pytest.raises(Misuse, match="not as guard made it for this role"):
        bank.build(tmp_path / "2", database=as_superuser(postgres_url))
    assert snapshot(postgres_url) == before


@pytest.mark.parametrize(
    ("url", "word"),
    [
        ("postgresql://plain@127.0.0.1:1/none?connect_timeout=2", "cannot be reached"),
        ("postgresql+asyncpg:///x", "by psycopg"),
        ("mysql:///x", "takes the URL of a PostgreSQL"),
        ("bank", "such as postgresql:///guard_demo"),
    ],
)
def test_a_url_that_leads_nowhere_says_so_without_quoting_it(url, word, tmp_path):
    with pytest.raises(Misuse, match=word) as caught:
        bank.build(tmp_path / "bank", database=url)
    assert "plain@" not in str(caught.value)
    assert not (tmp_path / "bank").exists()


def test_a_folder_that_is_not_free_leaves_the_database_alone(postgres_url, tmp_path):
    bank.build(tmp_path, database=postgres_url)
    before = snapshot(postgres_url)
    with pytest.raises(Misuse, match="exists"):
        bank.build(tmp_path, database=postgres_url)
    assert snapshot(postgres_url) == before


def test_a_url_stands_in_guard_yaml_as_it_was_given(tmp_path, monkeypatch):
    from guard.demo import postgres

    monkeypatch.setattr(postgres, "make", lambda *_: None)
    url = 'postgresql://a"b\\:p%40ss#{x}@/d'
    settings = Settings.load(tables.build(bank.HOLDER, tmp_path, DAY, url))
    assert settings.database.url == url
    assert settings.database.schemas == {"demo_bank": "retail"}


def test_the_places_of_a_tour(postgres_url, tmp_path):
    made = places.make(tmp_path / "a", postgres_url)
    assert Settings.load(made.bank).database.url == postgres_url
    assert Settings.load(made.agency).database.sqlite_file == tmp_path / "a" / "agency" / "agency.db"
    made = places.make(tmp_path / "b")
    for config in (made.bank, made.agency):
        assert check(config).errors == ()


def test_a_role_is_itself_whatever_it_is_called(postgres_url, tmp_path):
    name = psycopg.conninfo.conninfo_to_dict(postgres_url)["dbname"]
    role = '"Odd-Role"'
    run(as_superuser(postgres_url), f"CREATE ROLE {role} LOGIN", f"GRANT CREATE ON DATABASE {name} TO {role}")
    url = postgres_url.replace("//plain@", "//Odd-Role@", 1)
    try:
        for folder in ("1", "2"):
            bank.build(tmp_path / folder, database=url)
    finally:
        run(as_superuser(postgres_url), f"DROP OWNED BY {role}", f"DROP ROLE {role}")
