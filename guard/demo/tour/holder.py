"""One example holder during the tour: its guard, a program's connection, and what its register has of a step."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from importlib import import_module
from typing import Any

import msgspec

import guard_dbapi
from guard.demo.people import who
from guard.demo.tour.step import Detail, Disagreement, Ended, Statements, Step
from guard.draft import Kind
from guard.errors import Held, Refused
from guard.facade import Guard
from guard.model import Actor, Outcome
from guard_register.entry import Entry
from guard_register.persons import concerns


class Trace(msgspec.Struct, frozen=True, kw_only=True):
    """What the register has to hold of a step: an entry that agrees with everything that is set here."""

    kind: Kind
    seq: int | None = None
    actor: str | None = None
    purpose: str | None = None
    rules: tuple[str, ...] = ()
    consent: str | None = None
    review: str | None = None
    subject: str | None = None


class Played(msgspec.Struct, frozen=True):
    """A step, and what the holder's register has to hold of it."""

    step: Step
    holder: Holder
    traces: tuple[Trace, ...]


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one statement: either an outcome with rows, or a refusal."""

    actor: Actor
    purpose: str | None
    subject: str | None
    sql: Statements
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[Any, ...], ...] = ()
    outcome: Outcome | None = None
    refused: Refused | None = None

    def column(self, name: str) -> list[Any]:
        """The values of one column."""
        place = self.columns.index(name)
        return [row[place] for row in self.rows]

    @property
    def ended(self) -> Ended:
        """How it ended."""
        if self.refused is not None:
            return "held" if isinstance(self.refused, Held) else "refused"
        return "reduced" if self.outcome is not None and self.outcome.reduced else "allowed"


class Holder:
    """A guard that stands open, and a guarded connection of a program behind it."""

    def __init__(self, guard: Guard) -> None:
        self.guard = guard
        self._connection = guard_dbapi.connect(guard)

    def close(self) -> None:
        """Closes the connection; the guard is whose it was."""
        self._connection.close()

    def ask(
        self,
        actor: Actor,
        purpose: str | None,
        sql: str,
        parameters: Sequence[Any] = (),
        *,
        subject: str | None = None,
        review: str | None = None,
    ) -> Answer:
        """One statement of a program, with everything that comes of it. Without a purpose: outside any context."""
        text = sql if self.guard.settings.database.dialect == "sqlite" else sql.replace("?", "%s")
        answer = Answer(actor=actor, purpose=purpose, subject=subject, sql=Statements(sql, None))
        with closing(self._connection.cursor()) as cursor:
            try:
                if purpose is None:
                    cursor.execute(text, parameters)
                with self.guard.acting(actor, purpose=purpose, subject=subject, review=review) as act:
                    rows = cursor.execute(text, parameters).fetchall()
                return msgspec.structs.replace(
                    answer,
                    columns=tuple(column[0] for column in cursor.description or ()),
                    rows=tuple(rows),
                    outcome=act.outcomes[-1],
                    sql=Statements(sql, cursor.statement),
                )
            except Refused as refused:
                return msgspec.structs.replace(answer, refused=refused, sql=Statements(sql, cursor.statement))
            finally:
                self._connection.rollback()  # nothing was written; the next statement sees what is there then

    def past(self, table: str, where: str) -> int:
        """How many rows there are, past the guard, as whoever has the database's own password could count them."""
        database = self.guard.settings.database
        (schema,) = database.schemas
        asked = f"SELECT count(*) FROM {schema}.{table} WHERE {where}"  # noqa: S608 -- the tour's own words
        behind = sqlite3.connect if database.dialect == "sqlite" else import_module("psycopg").connect
        with closing(behind(database.sqlite_file or database.url)) as raw:
            found: int = raw.execute(asked).fetchone()[0]
            return found

    def tell(
        self, name: str, answer: Answer, *, message: str = "", found: Mapping[str, Any] | None = None, sample: int = 3
    ) -> Played:
        """The step of one statement; `message` says what its rows show."""
        what = f"purpose {answer.purpose or 'none'}" + (f", person {answer.subject}" if answer.subject else "")
        refused, outcome = answer.refused, answer.outcome
        rules = refused.rules if refused else outcome.rules if outcome else ()
        entry = refused.entry if refused else outcome.entry if outcome else None
        kind: Kind = "read" if outcome else "held" if isinstance(refused, Held) else "denied"
        nobody = answer.purpose is None  # then the guard knows of no actor either
        trace = Trace(
            kind=kind,
            seq=-1 if entry is None else entry,  # there is none of that number
            actor=None if nobody else answer.actor.id,
            purpose=answer.purpose,
            rules=rules if refused else (),
            review=refused.review_id if isinstance(refused, Held) else None,
        )
        step = Step(
            step=name,
            operation=outcome.operation if outcome else "use",
            outcome=answer.ended,
            rules=rules,
            rows=len(answer.rows),
            sql=answer.sql,
            detail=self.detail(
                answer.actor,
                what,
                rules,
                refused,
                message=message,
                entry=entry,
                columns=answer.columns,
                sample=answer.rows[:sample],
                found=found or {},
            ),
        )
        return Played(step, self, (trace,))

    def detail(
        self,
        actor: Actor,
        what: str,
        rules: tuple[str, ...],
        refused: Refused | None,
        *,
        message: str,
        entry: int | None,
        **more: Any,
    ) -> Detail:
        """What is told of who did what; `message` counts where it was not refused."""
        messages = self.guard.active.messages
        known = {rule: words for rule in rules if (words := messages.get(rule)) is not None}
        return Detail(
            who=who(actor),
            what=what,
            message=message if refused is None else refused.detail or "",
            clauses={rule: words.clause for rule, words in known.items()},
            sentences={rule: words.en for rule, words in known.items()},
            remedy=tuple(one for one in refused.remedy if one) if refused else (),
            entry=entry,
            shard=None if entry is None else self.guard.register.shard,
            **more,
        )

    def entry(self, trace: Trace) -> Entry:
        """The latest entry of this process that a step left in the register; a Disagreement where there is none."""
        register = self.guard.register
        mine = [one for one in register.entries() if one.shard == register.shard and self._agrees(one, trace)]
        if not mine:
            raise Disagreement(f"The register of {self.guard.settings.holder} has no entry of kind {trace.kind}.")
        return mine[-1]

    def _agrees(self, entry: Entry, trace: Trace) -> bool:
        wanted = {
            name: value
            for name in ("kind", "seq", "purpose", "consent", "review")
            if (value := getattr(trace, name)) is not None
        }
        decided = entry.decision.rules if entry.decision is not None else ()
        return (
            all(getattr(entry, name) == value for name, value in wanted.items())
            and (trace.actor is None or entry.actor.id == trace.actor)
            and set(trace.rules) <= set(decided)
            and (trace.subject is None or self._concerns(entry, trace.subject))
        )

    def _concerns(self, entry: Entry, subject: str) -> bool:
        return concerns(entry, subject, self.guard.consents.persons.keys((subject,))[subject])
