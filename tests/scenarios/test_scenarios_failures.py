"""Scenarios 1 and 10 of the threats: what everything rests on is gone or speaks nonsense, and nothing is released."""

from __future__ import annotations

import logging
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import msgspec
import pytest
from conftest import Scene, chain
from dbapi_bank import Bank
from test_scenarios_transactions import SCORE

from guard import Actor, Refused, clock
from guard.cli import app
from guard.context import NOTHING_DECLARED, STAFF
from guard.demo.people import CHEN, LIN, PURPOSE
from guard.demo.tour.reading import READ_ALL, READ_ONE
from guard.model import Activity

# --- 1 --------------------------------------------------------------------------------------------


class Step(NamedTuple):
    """A step of the tour."""

    name: str
    actor: Actor
    purpose: str | None
    subject: str | None
    sql: str
    rules: tuple[str, ...]
    """The rules by which it is refused while everything works; none where it is not."""

    @property
    def text(self) -> str:
        return self.sql.replace("?", "1001")


STEPS = (
    Step("read-one", LIN, PURPOSE, "1001", READ_ONE, ()),
    Step("not-my-case", CHEN, PURPOSE, "1001", READ_ONE, ("PI-02",)),
    Step("no-purpose", LIN, None, None, READ_ONE, ("GUARD-PURPOSE",)),
    Step("read-all", LIN, PURPOSE, None, READ_ALL, ()),
)

WORDS = (
    "sqlite",
    "psycopg",
    "sqlalchemy",
    "traceback",
    "no such table",
    "does not exist",
    "errno",
    "disk i/o",
    'relation "',
)
"""What databases, drivers and systems say."""


class Clock:
    """A clock that is set by hand: nothing decided is remembered past its minute."""

    def __init__(self) -> None:
        self.seconds = clock.system()

    def __call__(self) -> float:
        return self.seconds


def played(bank: Bank, step: Step) -> list[Any] | Refused:
    """The rows of a step, or what refused it."""
    connection = bank.connect()
    try:
        with bank.guard.acting(step.actor, purpose=step.purpose, subject=step.subject):
            return connection.execute(step.text).fetchall()
    except Refused as refused:
        return refused
    finally:
        connection.close()


@contextmanager
def full_disk(bytes_left: int = 0) -> Iterator[None]:
    """No file grows past this: the kernel refuses as it does where a disk is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_left, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def silent(*texts: str, secrets: set[str]) -> None:
    """None of it says what the database said or holds."""
    said = "\n".join(texts)
    assert not [word for word in WORDS if word in said.lower()]
    assert not [secret for secret in secrets if secret in said]


def stored(bank: Bank) -> set[str]:
    columns = "full_name, id_number, mobile, home_address"
    return {
        cell for row in bank.outside(f"SELECT {columns} FROM {{s}}customer WHERE customer_id = 1001") for cell in row
    }


def works(bank: Bank) -> None:
    for step in STEPS:
        result = played(bank, step)
        assert step.rules == (result.rules if isinstance(result, Refused) else ()), step.name
        assert isinstance(result, Refused) or result, step.name


def fails(bank: Bank, cause: str, caplog: pytest.LogCaptureFixture, secrets: set[str]) -> None:
    """Each step, twice: no row, and one reason that names the cause, unless there is one of its own before."""
    for step in STEPS * 2:
        result = played(bank, step)
        assert isinstance(result, Refused), step.name
        assert len(result.rules) == 1
        assert result.rules[0].startswith(
            "GUARD-PURPOSE" if step.purpose is None and cause != "GUARD-REGISTER" else cause
        )
        assert chain(result) == []
        silent(str(result), repr(result), caplog.text, secrets=secrets)


def test_scenario_1_in_a_running_program_whatever_fails_releases_nothing(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server = scene.own_server() if scene.engine == "server" else None
    now = Clock()
    bank = scene.open(now=now)
    secrets = stored(bank)
    works(bank)
    caplog.clear()
    with full_disk():
        fails(bank, "GUARD-REGISTER", caplog, secrets)
    works(bank)
    caplog.clear()
    for table in ("application", "loan_case"):
        bank.outside(f"ALTER TABLE {{s}}{table} RENAME TO {table}_gone")
    fails(bank, "GUARD-", caplog, secrets)
    for table in ("application", "loan_case"):
        bank.outside(f"ALTER TABLE {{s}}{table}_gone RENAME TO {table}")
    works(bank)
    if server is not None:
        server.process.kill()
        server.process.wait()
    else:
        bank.guard.active.close()
    now.seconds += 60
    caplog.clear()
    fails(bank, "GUARD-ENGINE", caplog, secrets)
    assert bank.guard.register.verify().ok


def command(scene: Scene, step: Step) -> list[str]:
    who = ["--actor", step.actor.id, "--role", "loan_officer", "--unit", "branch-3"]
    about = ["--subject", step.subject] if step.subject else []
    return ["sql", step.text, *who, "--purpose", step.purpose or "none", *about, "--config", str(scene.config)]


def test_scenario_1_on_the_command_line_each_failure_has_one_exit_code(
    scene: Scene, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server = scene.own_server() if scene.engine == "server" else None
    bank = scene.open()
    secrets = stored(bank)

    def codes(cause: str) -> set[int]:
        caplog.clear()
        found = set()
        for step in STEPS:
            found.add(app.run(command(scene, step)))
            said = capsys.readouterr()
            assert said.out == "", step.name
            assert cause in said.err, step.name
            assert len(said.err.splitlines()) <= 3
            silent(said.err, caplog.text, secrets=secrets)
        return found

    assert [app.run(command(scene, step)) for step in STEPS] == [
        app.DENIED if step.rules else app.DONE for step in STEPS
    ]
    capsys.readouterr()
    with full_disk():
        assert codes("GUARD-REGISTER") == {app.DENIED}
    catalogue = scene.folder / "catalogue.yaml"
    kept = catalogue.rename(scene.folder / "kept.yaml")
    assert codes("catalogue.yaml") == {app.WRONG}
    kept.rename(catalogue)
    if server is not None:
        server.process.kill()
        server.process.wait()
        assert codes("GUARD-ENGINE") == {app.DENIED}
    else:
        scene.edit("guard.yaml", {"floor: builtin": "floor: gone.tar.gz"})
        assert codes("gone.tar.gz") == {app.WRONG}


# --- 10 -------------------------------------------------------------------------------------------

READ = "SELECT customer_id, full_name FROM customer WHERE customer_id BETWEEN 1013 AND 1020"

WRONG = {
    "no_rows": "GUARD-DECISION-ROWS",
    "rows_without_entry": "GUARD-DECISION-ROWS",
    "unknown_key": "GUARD-DECISION-SHAPE",
    "allow_number": "GUARD-DECISION-ALLOW",
    "allow_text": "GUARD-DECISION-ALLOW",
    "valid_for_nan": "GUARD-DECISION-SHAPE",
    "another_id": "GUARD-DECISION-EXTRA",
    "unknown_obligation": "GUARD-OBLIGATION",
}
"""The same from both engines, since a test for each of them asks for it."""


def read(bank: Bank, connection: Any, *roles: str) -> list[Any]:
    actor = msgspec.structs.replace(SCORE, roles=(*SCORE.roles, *roles))
    with bank.guard.acting(actor, purpose=PURPOSE, operation="process"):
        rows: list[Any] = connection.execute(READ).fetchall()
        return rows


def test_scenario_10_an_answer_that_is_wrong_in_one_way_releases_nothing(scene: Scene) -> None:
    scene.house("malformed")
    today = datetime.now(ZoneInfo("Asia/Shanghai"))
    late = (today + timedelta(days=1)).replace(hour=17, minute=59, second=30)
    now = Clock()
    now.seconds = late.timestamp()
    bank = scene.open(now=now)
    connection = bank.connect()
    expected = read(bank, connection)
    assert expected
    for role, rule in WRONG.items():
        for _ in range(2):  # nor is it remembered
            with pytest.raises(Refused) as caught:
                read(bank, connection, role)
            assert caught.value.rules == (rule,), role
    asked = []
    evaluate = bank.guard.active.decider.engine.evaluate
    bank.guard.active.decider.engine.evaluate = lambda *of: asked.append(of) or evaluate(*of)  # type: ignore[method-assign,func-returns-value]  # counted
    assert read(bank, connection) == expected
    assert asked == [], "it was remembered"
    now.seconds += 29
    assert read(bank, connection) == expected
    assert asked == []
    now.seconds += 1
    with pytest.raises(Refused, match="HOUSE-18"):
        read(bank, connection)
    assert asked, "not past its minute"
    assert [entry.kind for entry in bank.entries] == ["read"] + ["denied"] * 16 + ["read"] * 2 + ["denied"]


def test_scenario_10_an_activity_without_items_is_no_activity(scene: Scene) -> None:
    bank = scene.open()
    decided = bank.guard.active.decider
    activity = Activity(
        id="0",
        operation="use",
        purpose=PURPOSE,
        method="sql",
        actor=LIN.facts(),
        recipient=STAFF,
        subjects="many",
        items=(),
        declared=NOTHING_DECLARED,
        time=clock.stamp(clock.system(), "Asia/Shanghai"),
    )
    with pytest.raises(Refused, match="GUARD-ACTIVITY-ITEMS"):
        decided.decide([activity])
    counted = "SELECT count(*) FROM customer WHERE customer_id = 1004"
    assert bank.ask("SELECT count(*) FROM customer") != bank.outside("SELECT count(*) FROM {s}customer")
    assert bank.ask(counted) == [(0,)], "who counts touches a table, if no column"
