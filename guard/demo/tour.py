"""The tour: real calls on the example bank, each with what came of it. Rendering is the command's business."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

import guard_dbapi
from guard.config import Settings
from guard.demo import bank
from guard.errors import Refused
from guard.facade import Guard
from guard.messages import Messages
from guard.model import Actor

LIN: Final = Actor(id="officer-lin", roles=("loan_officer",), unit="branch-3")
CHEN: Final = Actor(id="officer-chen", roles=("loan_officer",), unit="branch-3")
PURPOSE: Final = "loan_underwriting"
APPLICANT: Final = "1001"

READ_ONE: Final = (
    "SELECT full_name, id_number, mobile, loan_purpose, credit_amount, duration_in_month "
    "FROM application WHERE customer_id = ?"
)
READ_ALL: Final = "SELECT * FROM application ORDER BY application_id"


class Statements(msgspec.Struct, frozen=True):
    """A statement as the program wrote it and as it ran (None if it did not run)."""

    before: str
    after: str | None


class Detail(msgspec.Struct, frozen=True, kw_only=True):
    """What happened in words, the clause of each rule, the register entry, and the rows that were released."""

    who: str
    what: str
    message: str
    clauses: dict[str, str]
    sentences: dict[str, str]
    remedy: tuple[str, ...]
    entry: int | None
    columns: tuple[str, ...]
    sample: tuple[tuple[Any, ...], ...]


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One step: a real call and its outcome. `rows` counts released rows."""

    step: str
    operation: str
    outcome: Literal["allowed", "reduced", "refused", "held", "detected"]
    rules: tuple[str, ...]
    rows: int
    sql: Statements | None
    detail: Detail


def make_bank(folder: Path) -> Path:
    """Makes the example bank in an empty folder; its guard.yaml."""
    return bank.build(folder)


def open_bank(settings: Settings) -> Guard:
    """Opens the guard of an example bank and records everybody's consents, the unlawful ones too: they are refused."""
    guard = Guard.open(settings)
    try:
        bank.record(guard.consents)
    except BaseException:
        guard.close()
        raise
    return guard


class Tour:
    """Plays the steps on an open bank, in order."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        connect = guard_dbapi.wrap(sqlite3.connect, guard, dialect="sqlite")
        self._connection = connect(str(guard.settings.database.sqlite_file))

    def steps(self) -> Iterator[Step]:
        """Each step as it was played."""
        yield self._sql("read-one", LIN, PURPOSE, APPLICANT, READ_ONE, (int(APPLICANT),))
        yield self._sql("not-my-case", CHEN, PURPOSE, APPLICANT, READ_ONE, (int(APPLICANT),))
        yield self._sql("no-purpose", LIN, None, None, READ_ONE, (int(APPLICANT),))
        yield self._sql("read-all", LIN, PURPOSE, None, READ_ALL, ())

    def close(self) -> None:
        """Closes the connection."""
        self._connection.close()

    def _sql(
        self, name: str, actor: Actor, purpose: str | None, subject: str | None, sql: str, parameters: tuple[Any, ...]
    ) -> Step:
        cursor = self._connection.cursor()
        who = f"{actor.id} ({', '.join(actor.roles)}, {actor.unit})"
        what = f"purpose {purpose or 'none'}" + (f", about person {subject}" if subject else "")
        messages = self._guard.release.messages
        try:
            if purpose is None:
                cursor.execute(sql, parameters)
            with self._guard.acting(actor, purpose=purpose, subject=subject) as act:
                rows = cursor.execute(sql, parameters).fetchall()
        except Refused as refused:
            return Step(
                step=name,
                operation="use",
                outcome="refused",
                rules=refused.rules,
                rows=0,
                sql=Statements(sql, cursor.statement),
                detail=Detail(
                    who=who,
                    what=what,
                    message=refused.explain(),
                    **_words(messages, refused.rules),
                    remedy=refused.remedy,
                    entry=refused.entry,
                    columns=(),
                    sample=(),
                ),
            )
        (outcome,) = act.outcomes
        return Step(
            step=name,
            operation=outcome.operation,
            outcome="reduced" if outcome.reduced else "allowed",
            rules=outcome.rules,
            rows=outcome.rows,
            sql=Statements(sql, cursor.statement),
            detail=Detail(
                who=who,
                what=what,
                message=f"{outcome.rows} rows were released after register entry {outcome.entry}.",
                **_words(messages, outcome.rules),
                remedy=(),
                entry=outcome.entry,
                columns=tuple(column[0] for column in cursor.description or ()),
                sample=tuple(rows[:5]),
            ),
        )


def _words(messages: Messages, rules: tuple[str, ...]) -> dict[str, dict[str, str]]:
    known = {rule: message for rule in rules if (message := messages.get(rule)) is not None}
    return {
        "clauses": {rule: message.clause for rule, message in known.items()},
        "sentences": {rule: message.en for rule, message in known.items()},
    }
