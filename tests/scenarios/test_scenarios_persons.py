"""Scenarios 4 to 7 of the threats: shadowed names, keys that nearly match, masks written back, an officer's ways."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import psycopg
import pytest
import sqlalchemy as sa
from conftest import Scene
from dbapi_bank import LIN, PURPOSE, Bank
from sqlalchemy import orm
from test_scenarios_transactions import SCORE, engine

import guard_dbapi
from guard import Actor, Refused
from guard.demo import bank as example
from guard.model import Declared
from guard_ledger.consent_record import ConsentRecord

# --- 4 --------------------------------------------------------------------------------------------

QUESTIONS = (
    "SELECT customer_id, full_name, id_number, mobile FROM customer WHERE customer_id BETWEEN 1001 AND 1012 ORDER BY 1",
    (
        "SELECT c.full_name, a.credit_amount FROM customer c JOIN application a ON a.customer_id = c.customer_id"
        " WHERE c.customer_id BETWEEN 1001 AND 1012 ORDER BY a.application_id"
    ),
    "SELECT lower(full_name), substr(mobile, 1, 3), upper(employer) FROM customer WHERE customer_id = 1002",
    "SELECT count(*), min(full_name) FROM customer WHERE full_name LIKE '%' AND customer_id BETWEEN 1001 AND 1012",
    "SELECT name, city FROM branch ORDER BY branch_id",
)

TEMPORARY = (
    "CREATE TEMP TABLE guard_grant AS SELECT * FROM {ledger}.guard_grant",
    "UPDATE guard_grant SET subject = '1006', withdrawn_at = NULL WHERE subject = '1002'",
    "INSERT INTO guard_grant SELECT * FROM {ledger}.guard_grant",
    "CREATE TEMP TABLE guard_scope AS SELECT * FROM {ledger}.guard_scope",
    "CREATE TEMP TABLE loan_case AS SELECT * FROM {tables}.loan_case",
    "UPDATE loan_case SET officer_id = 'officer-lin', status = 'open'",
    (
        "CREATE TEMP TABLE customer AS SELECT 1001 AS customer_id, 'forged' AS full_name, 'forged' AS id_number,"
        " 'forged' AS mobile, 'forged' AS employer"
    ),
    "CREATE TEMP TABLE application AS SELECT 1001 AS customer_id, 1 AS credit_amount, 1 AS application_id",
    "CREATE TEMP TABLE branch AS SELECT 'b' AS branch_id, 'forged' AS name, 'forged' AS city",
)

OWNED = (
    "CREATE SCHEMA app",
    "GRANT ALL ON SCHEMA app TO PUBLIC",
    "CREATE TABLE app.captured (value text)",
    "GRANT ALL ON app.captured TO PUBLIC",
    (
        "CREATE FUNCTION app.capture(text) RETURNS text LANGUAGE plpgsql AS"
        " 'BEGIN INSERT INTO app.captured VALUES ($1); RETURN ''forged''; END'"
    ),
    *(
        f"CREATE FUNCTION app.{name}({kind}) RETURNS text LANGUAGE sql AS 'SELECT app.capture($1::pg_catalog.text)'"
        for name in ("lower", "upper", "min")
        for kind in ("text", "varchar")
    ),
    *(
        f"CREATE FUNCTION app.{name}({kind}, integer, integer) RETURNS text LANGUAGE sql AS"
        " 'SELECT app.capture($1::pg_catalog.text)'"
        for name in ("substr", "substring")
        for kind in ("text", "varchar")
    ),
    (
        "CREATE FUNCTION app.yes(text, text) RETURNS boolean LANGUAGE plpgsql AS"
        " 'BEGIN INSERT INTO app.captured VALUES ($1 OPERATOR(pg_catalog.||) $2); RETURN true; END'"
    ),
    "CREATE FUNCTION app.yes(text, varchar) RETURNS boolean LANGUAGE sql AS 'SELECT app.yes($1, $2::pg_catalog.text)'",
    "CREATE FUNCTION app.yes(integer, integer) RETURNS boolean LANGUAGE sql AS 'SELECT true'",
    "CREATE FUNCTION app.yes(bigint, bigint) RETURNS boolean LANGUAGE sql AS 'SELECT true'",
    *(
        f"CREATE OPERATOR app.{sign} (LEFTARG = {left}, RIGHTARG = {right}, PROCEDURE = app.yes)"
        for sign in ("=", "<>", "<=", ">", "~~")
        for left, right in (
            ("text", "text"),
            ("text", "varchar"),
            ("integer", "integer"),
            ("bigint", "bigint"),
        )
    ),
)
"""What an application may own, first on its search path."""


def all_of(bank: Bank, connection: Any) -> list[Any]:
    with bank.guard.acting(LIN, purpose=PURPOSE):
        return [connection.execute(question).fetchall() for question in QUESTIONS]


def shadowed(bank: Bank) -> Any:
    """A raw connection on which the application's names come first."""
    schemas = {"ledger": "main", "tables": "main"} if bank.kind == "sqlite" else {"ledger": "guard", "tables": "retail"}
    texts = [text.format(**schemas) for text in TEMPORARY]
    if bank.kind == "sqlite":
        raw: Any = sqlite3.connect(bank.place)
    else:
        raw = psycopg.connect(bank.place)
        texts = ["SET search_path = pg_temp, pg_catalog", *texts, "SET search_path = pg_temp, app, retail, pg_catalog"]
    for text in texts:
        raw.execute(text)
    raw.commit()
    return raw


def test_scenario_4_the_applications_tables_functions_and_operators_change_nothing(scene: Scene) -> None:
    if scene.kind == "postgres":
        name = scene.place.partition("?")[0].rpartition("/")[2]
        scene.superuser(*OWNED, f"ALTER DATABASE {name} SET search_path = app, pg_catalog, retail")
    bank = scene.open()
    expected = all_of(bank, bank.connect())
    assert [len(rows) for rows in expected[:2]] == [2, 2]
    assert "forged" not in str(expected)
    wrapped = guard_dbapi.wrap(lambda *_: shadowed(bank), bank.guard, dialect=bank.kind)
    connection = wrapped(bank.place)
    scene.stack.callback(connection.close)
    assert all_of(bank, connection) == expected
    if scene.kind == "postgres":
        assert bank.outside("SELECT value FROM app.captured") == []
        assert bank.outside("SELECT lower('A'::text), 'a'::text = 'b'::text") == [("forged", True)], "they come first"


def test_scenario_4_no_statement_makes_such_a_name(scene: Scene) -> None:
    bank = scene.open()
    connection = bank.connect()
    for text in (one for one in (*TEMPORARY, *OWNED) if one.startswith(("CREATE", "GRANT"))):
        with bank.guard.acting(LIN, purpose=PURPOSE), pytest.raises(Refused, match="GUARD-SQL"):
            connection.execute(text.format(ledger="main", tables="main"))
    assert {entry.kind for entry in bank.entries} == {"denied"}


# --- 5 --------------------------------------------------------------------------------------------

TEXTS = (
    *("u1", "U1", "ú1", "u1x", "ｕ1", "ß", "ss", "ı", "i", "1", "01", "0012", "12", "12.0", "1.0", "1e0", "+12"),
    *("9007199254740992", "9007199254740993", "9007199254740993.0", "5001", "5001x", "%", "_1", "é", "'", 'a"b'),
)
"""Keys that some comparison takes for another one: by case, accent, width, padding, number, pattern."""

STRAYS = ("u1 ", " u1", "u1\t", "e\u0301", "12 ", "u1\u200b")
"""Keys that are nobody's: they lie in the table, and no consent is recorded for them."""

NUMBERS = (1, 12, 5001, 9007199254740992, 9007199254740993, -12)

SOURCES = """sources:
  bank:retail.member:
    subjects: {holder: member_key}
    fields:
      member_key: {category: pseudonym}
      full_name: {category: identity}
  bank:retail.numbered:
    subjects: {holder: member_no}
    fields:
      member_no: {category: pseudonym, type: integer}
      full_name: {category: identity}
"""


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def members(scene: Scene) -> Iterator[str]:
    """Two tables of persons; SQLite compares the keys of one without regard to case, unless told otherwise."""
    if scene.kind == "sqlite":
        yield "CREATE TABLE {s}member (member_key text COLLATE NOCASE, full_name text)"
        yield "CREATE TABLE {s}numbered (member_no integer, full_name text)"
    else:
        yield "CREATE TABLE {s}member (member_key text, full_name text)"
        yield "CREATE TABLE {s}numbered (member_no bigint, full_name text)"
    for key in (*TEXTS, *STRAYS):
        yield f"INSERT INTO {{s}}member VALUES ({quoted(key)}, 'name')"
    for number in NUMBERS:
        yield f"INSERT INTO {{s}}numbered VALUES ({number}, 'name')"


def agreed(subject: str, number: object, **more: Any) -> ConsentRecord:
    """A valid consent of the example bank's, given by somebody else."""
    (model,) = (one for one in example.consents() if one.consent.id == "c-3")
    consent = msgspec.structs.replace(model.consent, id=f"own-{number}", **more)
    return msgspec.structs.replace(model, subject=subject, consent=consent)


def test_scenario_5_of_keys_that_nearly_match_exactly_the_consenting_person_appears(scene: Scene) -> None:
    scene.edit("catalogue.yaml", {"sources:\n": SOURCES})
    bank = scene.open(*members(scene))
    connection = bank.connect()

    def seen(sql: str) -> list[Any]:
        with bank.guard.acting(SCORE, purpose=PURPOSE, operation="process"):
            return [row[0] for row in connection.execute(sql).fetchall()]

    assert seen("SELECT member_key FROM member WHERE full_name = 'name'") == []
    for number, key in enumerate(TEXTS):
        assert bank.guard.consents.record(agreed(key, number)).valid
        assert seen("SELECT member_key FROM member WHERE full_name = 'name'") == [key]
        assert seen("SELECT DISTINCT member_key FROM member") == [key]
        numbered = [one for one in NUMBERS if str(one) == key]
        assert seen("SELECT member_no FROM numbered WHERE full_name = 'name'") == numbered
        assert bank.guard.consents.withdraw_subject(key) > 0
    for stray in STRAYS:
        with pytest.raises(Refused, match="GUARD-SUBJECT"):
            bank.guard.consents.record(agreed(stray, 1000))
    assert seen("SELECT member_key FROM member") == []


# --- 6 --------------------------------------------------------------------------------------------


class Base(orm.DeclarativeBase):
    pass


class Customer(Base):
    __tablename__ = "customer"
    customer_id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    full_name: orm.Mapped[str]
    id_number: orm.Mapped[str]
    mobile: orm.Mapped[str]
    monthly_income: orm.Mapped[int | None]


STORED = "SELECT customer_id, full_name, id_number, mobile FROM {s}customer ORDER BY customer_id"
MASKED = 1001
"""The identity number is shown masked: no separate consent covers it."""


def changed(session: orm.Session, one: Customer) -> None:
    one.id_number += "X"


def flagged(session: orm.Session, one: Customer) -> None:
    orm.attributes.flag_modified(one, "id_number")


def merged(session: orm.Session, one: Customer) -> None:
    values = {name: getattr(one, name) for name in Customer.__table__.columns.keys()}  # noqa: SIM118
    session.expunge_all()
    session.merge(Customer(**values))
    flagged(session, session.get_one(Customer, MASKED))


def merged_unseen(session: orm.Session, one: Customer) -> None:
    values = {name: getattr(one, name) for name in Customer.__table__.columns.keys()}  # noqa: SIM118
    session.expunge_all()
    session.merge(Customer(**values), load=True).mobile = "13800000000"
    flagged(session, session.get_one(Customer, MASKED))


def replaced(session: orm.Session, one: Customer) -> None:
    values = {name: getattr(one, name) for name in Customer.__table__.columns.keys()}  # noqa: SIM118
    session.delete(one)
    session.flush()
    session.expunge_all()
    session.add(Customer(**values))


def bulk(session: orm.Session, one: Customer) -> None:
    session.execute(sa.update(Customer), [{"customer_id": MASKED, "id_number": one.id_number}])


def by_query(session: orm.Session, one: Customer) -> None:
    session.execute(sa.update(Customer).where(Customer.customer_id == MASKED).values(id_number=one.id_number))


def from_itself(session: orm.Session, one: Customer) -> None:
    session.execute(sa.update(Customer).where(Customer.customer_id == MASKED).values(full_name=Customer.id_number))


def flushed(session: orm.Session, one: Customer, change: Callable[[orm.Session, Customer], None]) -> None:
    change(session, one)
    session.commit()


@pytest.fixture
def bank(scene: Scene) -> Bank:
    return scene.open()


def test_scenario_6_a_masked_object_is_never_stored_masked(scene: Scene, bank: Bank) -> None:
    before = bank.outside(STORED)
    made = engine(scene, bank)
    for change in (changed, flagged, merged, merged_unseen, replaced, bulk, by_query, from_itself):
        with bank.guard.acting(LIN, purpose=PURPOSE), orm.Session(made) as session:
            one = session.get_one(Customer, MASKED)
            assert "*" in one.id_number
            with pytest.raises(Refused):
                flushed(session, one, change)
            session.rollback()
        assert bank.outside(STORED) == before, change.__name__


def test_scenario_6_what_is_shown_whole_is_written_and_what_is_masked_stays(scene: Scene, bank: Bank) -> None:
    """An untouched masked column of a changed object, or of a merged copy, is not written at all."""
    before = {row[0]: row[1:] for row in bank.outside(STORED)}
    made = engine(scene, bank)
    for merging, income in ((False, 5001), (True, 5002)):
        with bank.guard.acting(LIN, purpose=PURPOSE), orm.Session(made) as session:
            one = session.get_one(Customer, MASKED)
            if merging:
                values = {name: getattr(one, name) for name in Customer.__table__.columns.keys()}  # noqa: SIM118
                session.expunge_all()
                one = session.merge(Customer(**values))
            one.monthly_income = income
            session.commit()
        assert bank.outside(f"SELECT monthly_income FROM {{s}}customer WHERE customer_id = {MASKED}") == [(income,)]
    assert {row[0]: row[1:] for row in bank.outside(STORED)} == before


# --- 7 --------------------------------------------------------------------------------------------

WU = Actor(id="officer-wu", roles=("loan_officer",), unit="branch-3")
"""Has no case at all."""

ONE = "SELECT full_name FROM customer WHERE customer_id = ?"
OF_ANOTHER, UNCONSENTED, MARKETED, EXPIRED = 1004, 1006, 1007, 1009
"""A colleague's; the others are cases of officer-lin, who consented to nothing, to marketing, until some time ago."""


def refusal(bank: Bank, who: Actor, subject: int, **acting: Any) -> Refused:
    with (
        bank.guard.acting(who, purpose=PURPOSE, subject=subject, **acting),
        pytest.raises(Refused) as caught,
    ):
        bank.connect().execute(bank.sql(ONE), (subject,)).fetchall()
    assert caught.value.entry is not None
    return caught.value


def test_scenario_7_an_officer_without_a_case_tries_purpose_statute_and_consent(scene: Scene, bank: Bank) -> None:
    right = refusal(bank, WU, OF_ANOTHER)
    assert right.rules == ("PI-02",)
    statute = Declared(basis="statute", evidence="PIPL 13(1)(3)")
    statutory = refusal(bank, WU, OF_ANOTHER, declared=statute)
    assert statutory.rules == ("PI-03",)
    sensitive = invented(WU, OF_ANOTHER, "sensitive", categories=("deposit", "income"), separate=True, written=True)
    with pytest.raises(Refused) as caught:
        bank.guard.consents.record(sensitive)
    assert caught.value.rules == ("PI-19",), "only what the person was seen to do is separate and in writing"
    assert bank.guard.consents.record(invented(WU, OF_ANOTHER, "general")).valid
    assert refusal(bank, WU, OF_ANOTHER).rules == ("PI-02",), "a consent is no case"
    assert not any(entry.rows for entry in bank.entries)


def test_scenario_7_who_recorded_a_consent_never_reads_by_it(bank: Bank) -> None:
    """Even where the case is his: the third of the three refusals, with a rule of its own."""
    for subject, assurance in ((UNCONSENTED, "asserted"), (MARKETED, "observed"), (EXPIRED, "proved")):
        assert refusal(bank, LIN, subject).rules == ("OP-01",)
        evidence = None if assurance == "asserted" else "sha256:" + "0" * 64
        record = msgspec.structs.replace(invented(LIN, subject, subject, assurance=assurance), evidence=evidence)
        assert bank.guard.consents.record(record).valid
        assert refusal(bank, LIN, subject).rules == ("OP-01",)
        with bank.guard.acting(LIN, purpose=PURPOSE):
            assert bank.connect().execute(bank.sql(ONE), (subject,)).fetchall() == []
        bank.outside(f"UPDATE {{s}}loan_case SET officer_id = '{WU.id}' WHERE customer_id = {subject}")
        assert len(bank.ask(ONE, (subject,), actor=WU, subject=subject)) == 1, "a colleague does"


def invented(who: Actor, subject: int, name: object, **more: Any) -> ConsentRecord:
    """A consent that the officer himself records; unless said otherwise, all he has is his word."""
    made = agreed(str(subject), name, **{"assurance": "asserted", **more})
    return msgspec.structs.replace(made, recorder=who.id, evidence=None)
