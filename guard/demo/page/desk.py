"""Does what the page is asked: each a real call of the guard, as a program of the bank makes it."""

from __future__ import annotations

import secrets
import sqlite3
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, Final, TypeVar

import msgspec

import guard_dbapi
from guard import clock, context
from guard.demo import bank
from guard.demo.abridged import abridged
from guard.demo.page import web
from guard.demo.page.answer import Answer, Ended, apart, cells, rules
from guard.demo.page.asked import Asked
from guard.demo.page.choices import ACTORS, CONSENTS, FORM, NOBODY, OWN, ROUTES, STATEMENTS, Statement, Who
from guard.demo.page.words import WORDS
from guard.errors import GuardError, Held, Misuse, Refused
from guard.facade import Guard
from guard.missing import ABSENT
from guard.model import Activity, Consent, Operation, Outcome, Recipient, rules_of
from guard_dbapi import GuardedConnection, GuardedCursor
from guard_explain import Explanation, explain
from guard_ledger.consent_record import ConsentRecord
from guard_register import reader
from guard_register.entry import Entry, name_of

SECONDS: Final = 5.0
"""How long one statement may run."""

_STEPS: Final = 10_000
"""After how many steps of SQLite's machine it is asked whether that time is over."""

_REMEMBERED: Final = 100
"""How many held requests the page can run again, and of how many refusals it knows which rules they named."""

V = TypeVar("V")

_YEAR: Final = 365 * 86_400
_SUBJECT: Final = Recipient(kind="subject")
_PUBLIC: Final = Recipient(kind="public")


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """One statement as a program of the bank would send it."""

    who: Who
    purpose: str
    subject: str | None
    sql: str
    parameters: tuple[Any, ...] = ()
    operation: Operation = "use"
    recipient: Recipient = context.STAFF
    review: str | None = None


class Desk:
    """Stands between the form and the guard. Safe for threads: every request has a connection of its own."""

    def __init__(self, guard: Guard, refusals: Mapping[str, Sequence[str]] = MappingProxyType({})) -> None:
        self.guard: Final = guard
        dialect = guard.settings.database.dialect
        self._dialect: Final = dialect
        self._connect: Final[Callable[..., GuardedConnection]] = guard_dbapi.wrap(
            _sqlite if dialect == "sqlite" else _postgres, guard, dialect=dialect
        )
        self._held: Final[OrderedDict[str, Work]] = OrderedDict()
        self._refusals: Final[OrderedDict[str, tuple[str, ...]]] = OrderedDict()
        for entry, named in refusals.items():
            self._remember(self._refusals, entry, tuple(named))

    @property
    def refusals(self) -> Mapping[str, tuple[str, ...]]:
        """The rules that refusals named, by the name of the entry; an entry itself has all rules of its decision."""
        return MappingProxyType(self._refusals)

    def do(self, asked: Asked) -> Answer:
        """Does it, and tells what came of it. Raises nothing of the guard's: what it refuses is an answer."""
        try:
            return self._done(asked)
        except Refused as refused:
            return self._refusal(asked, refused)
        except GuardError as error:
            return self._answer(asked, ended="failed", message=str(error))

    def requester(self, review: str) -> str | None:
        """Who may run a held request again from here."""
        work = self._held.get(review)
        return None if work is None else work.who.actor.id

    def _done(self, asked: Asked) -> Answer:
        if asked.do in STATEMENTS:
            return self._ready_made(asked, STATEMENTS[asked.do])
        if asked.do in CONSENTS:
            return self._consent(asked)
        if asked.do == "sql":
            if not asked.sql:
                return self.failed(asked, "type_sql")
            return self._run(asked, self._work(asked, asked.sql, subject=asked.person or None))
        if asked.do == "withdraw":
            return self._withdrawal(asked)
        return self._review(asked)

    # --- Statements ---

    def _ready_made(self, asked: Asked, statement: Statement) -> Answer:
        if statement.one and asked.person == NOBODY:
            return self.failed(asked, "choose_person")
        work = self._work(asked, statement.sql, subject=asked.person if statement.one else None)
        if statement.one:
            work = msgspec.structs.replace(work, parameters=(int(asked.person),))
        if statement.publish:
            work = msgspec.structs.replace(work, operation="disclose", recipient=_PUBLIC)
        return self._run(asked, work)

    def _work(self, asked: Asked, sql: str, *, subject: str | None) -> Work:
        who = ACTORS[asked.actor]
        recipient = _SUBJECT if who.own else context.STAFF
        return Work(who=who, purpose=asked.purpose, subject=subject, sql=sql, recipient=recipient)

    def _run(self, asked: Asked, work: Work) -> Answer:
        """Runs a statement within its context, as `guard.acting` is used anywhere."""
        url, begins = self._address()
        sql = work.sql if self._dialect == "sqlite" or not work.parameters else work.sql.replace("?", "%s")
        with closing(self._connect(url, **begins)) as connection, closing(connection.cursor()) as cursor:
            try:
                with self.guard.acting(
                    work.who.actor,
                    purpose=work.purpose or None,
                    subject=work.subject,
                    operation=work.operation,
                    recipient=work.recipient,
                    review=work.review,
                ) as act:
                    cursor.execute(sql, work.parameters or None)
                    rows = cursor.fetchall() if cursor.description is not None else []
            except Held as held:
                self._remember(self._held, held.review_id, work)
                return self._refusal(asked, held, work, cursor)
            except Refused as refused:
                return self._refusal(asked, refused, work, cursor)
            outcome = act.outcomes[-1] if act.outcomes else None
            return self._release(asked, work, cursor, rows, outcome)

    def _address(self) -> tuple[str, Mapping[str, Any]]:
        database = self.guard.settings.database
        if database.sqlite_file is not None:
            return str(database.sqlite_file), {"isolation_level": None}
        return database.url, {"autocommit": True}

    @staticmethod
    def _remember(into: OrderedDict[str, V], name: str, value: V) -> None:
        into[name] = value
        while len(into) > _REMEMBERED:
            into.popitem(last=False)

    def _release(
        self, asked: Asked, work: Work, cursor: GuardedCursor, rows: list[tuple[Any, ...]], outcome: Outcome | None
    ) -> Answer:
        decision = self._explained(asked, work, cursor)
        columns = tuple(column.name for column in cursor.description or ())
        return self._answer(
            asked,
            work=work,
            cursor=cursor,
            ended="reduced" if outcome is not None and outcome.reduced else "allowed",
            rules=rules(outcome.rules, self.guard.active.messages, asked.lang, decision) if outcome else (),
            entry=None if outcome is None else self._name(outcome.entry),
            decision=decision,
            columns=columns,
            rows=cells(rows),
            released=len(rows) if columns else None,
            written=None if columns else cursor.rowcount,
        )

    def _refusal(
        self, asked: Asked, refused: Refused, work: Work | None = None, cursor: GuardedCursor | None = None
    ) -> Answer:
        held = isinstance(refused, Held)
        decision = self._explained(asked, work, cursor) if work is not None and cursor is not None else None
        entry = self._name(refused.entry)
        if entry is not None and not held:
            self._remember(self._refusals, entry, refused.rules)
        return self._answer(
            asked,
            work=work,
            cursor=cursor,
            ended="held" if held else "refused",
            message=WORDS["waits"][asked.lang] if held else "",
            detail="" if held else refused.detail or "",
            rules=rules(refused.rules, self.guard.active.messages, asked.lang, decision),
            remedy=tuple(one for one in refused.remedies(asked.lang) if one),
            entry=entry,
            barred=work is not None and cursor is not None and _barred(refused, work, cursor),
            review=refused.review_id if isinstance(refused, Held) else "",
            decision=decision,
        )

    def _explained(self, asked: Asked, work: Work, cursor: GuardedCursor) -> Explanation | None:
        """What the policies said; of a denial, which nothing came of, they are asked once more."""
        if not cursor.items or not work.purpose:
            return None
        activity = Activity(
            id="0",
            operation=work.operation,
            purpose=work.purpose,
            method="sql",
            actor=work.who.actor.facts(),
            recipient=work.recipient,
            subjects="many" if work.subject is None else "declared",
            items=cursor.items,
            declared=context.NOTHING_DECLARED,
            time=clock.stamp(clock.system(), self.guard.settings.zone),
        )
        decision = cursor.decision or self.guard.decide([activity])[0]
        return explain(activity, decision, self.guard.active.messages, lang=asked.lang)

    # --- The web application ---

    def mark(self) -> int:
        """How many entries this process has made."""
        return sum(1 for _ in self._entries())

    def replied(self, asked: Asked, request: web.Request, reply: web.Reply, mark: int) -> Answer:
        """What came back from the bank's own application, and what the register says of it since `mark`."""
        problem = reply.document()
        # A refusal within the program has the entry of its statement; what was answered has that of the response.
        made = [
            one
            for one in self._entries()
            if one.seq >= mark
            and (one.kind in {"denied", "held"} if problem else one.method == "http" and bool(one.touched))
        ]
        entry = made[-1] if made else None
        became: tuple[tuple[str, str], ...] = ()
        if entry and not problem:
            became = tuple((of.field, of.treatment) for of in entry.touched if of.field and of.treatment)
        ended: Ended = "failed"
        if reply.status < HTTPStatus.BAD_REQUEST:
            whole = all(treatment in {"revealed", "keep"} for _, treatment in became)
            ended = "held" if problem else "allowed" if whole else "reduced"
        elif problem:
            ended = "refused"
        spoke = problem.get("rules") or (entry.decision.rules if entry and entry.decision else ())
        name = self._name(entry.seq) if entry else None
        if name is not None and ended == "refused":
            self._remember(self._refusals, name, tuple(spoke))
        return self._answer(
            asked,
            ended=ended,
            purpose=ROUTES[asked.do].purpose,
            person=asked.person if ROUTES[asked.do].one else "",
            rules=rules(spoke, self.guard.active.messages, asked.lang),
            remedy=tuple(one for one in problem.get("remedy", ()) if one),
            entry=name,
            before=request.text(),
            came=reply.text(),
            became=became,
        )

    def _of_consent(self, consent: str | None) -> str | None:
        """The name of this process's latest entry about that consent, or, for None, about a withdrawal by person."""
        try:
            made = [one.seq for one in self._entries() if one.kind == "consent" and one.consent == consent]
        except Refused:
            return None  # what was done stands; that the register cannot be read is shown with it
        return self._name(made[-1]) if made else None

    def _name(self, number: int | None) -> str | None:
        """The name of an entry of this process."""
        return None if number is None else name_of(self.guard.register.shard, number)

    def _entries(self) -> Iterator[Entry]:
        return reader.entries(self.guard.register.directory, self.guard.register.shard)

    # --- Consents ---

    def _consent(self, asked: Asked) -> Answer:
        if asked.person == NOBODY:
            return self.failed(asked, "choose_person")
        if asked.purpose == NOBODY:
            return self.failed(asked, "choose_purpose")
        said = asked.do == "consent-asserted"
        record = _filled(asked.person, asked.purpose, asked.do)
        by = ACTORS[asked.actor] if said else FORM
        try:
            verdict = self.guard.consents.record(record, by=by.actor)
        except Refused as refused:
            answer = self._refusal(asked, refused)
            return msgspec.structs.replace(
                answer,
                who=_called(by, asked),
                person=asked.person,
                told="void",
                entry=self._of_consent(record.consent.id),
            )
        until = WORDS["until"][asked.lang].format(_day(verdict.valid_until or 0, self.guard.settings.zone))
        needed = WORDS["needed"][asked.lang] if record.consent.refusal_denies_service else ""
        if said:
            needed += WORDS["asserted"][asked.lang].format(by.name[asked.lang])
        return self._answer(
            asked,
            entry=self._of_consent(record.consent.id),
            ended="allowed" if not verdict.reasons else "reduced",
            told="valid",
            by=by,
            person=asked.person,
            message=until + needed,
            rules=rules(
                dict.fromkeys(reason.rule for reason in verdict.reasons), self.guard.active.messages, asked.lang
            ),
        )

    def _withdrawal(self, asked: Asked) -> Answer:
        if asked.person == NOBODY:
            return self.failed(asked, "choose_person")
        ended = self.guard.consents.withdraw_subject(asked.person, asked.purpose or None, by=FORM.actor)
        message = WORDS["ended"][asked.lang].format(ended)
        return self._answer(
            asked,
            ended="allowed",
            told="withdrawn",
            by=FORM,
            person=asked.person,
            message=message,
            entry=self._of_consent(None),
        )

    # --- Reviews ---

    def _review(self, asked: Asked) -> Answer:
        actor, reviews = ACTORS[asked.actor].actor, self.guard.reviews
        if asked.do == "again":
            work = self._held.get(asked.review)
            if work is None:
                raise Misuse("This page did not hold that request, so it cannot run it again.")
            return self._run(asked, msgspec.structs.replace(work, review=asked.review))
        if asked.do == "see":
            opened = {
                name: value if isinstance(value, str) else msgspec.json.encode(value).decode()
                for name, value in reviews.show(asked.review, actor).items()
                if value is not None
            }
            return self._answer(asked, ended="allowed", told="seen", opened=opened)
        if asked.do == "approve":
            reviews.approve(asked.review, actor)
            return self._answer(asked, ended="allowed", told="approved")
        reviews.reject(asked.review, actor)
        return self._answer(asked, ended="allowed", told="rejected")

    # --- Answers ---

    def failed(self, asked: Asked, why: str) -> Answer:
        """Nothing was done, for a reason that the page has words for."""
        return self._answer(asked, ended="failed", message=WORDS[why][asked.lang])

    def _answer(
        self,
        asked: Asked,
        *,
        work: Work | None = None,
        cursor: GuardedCursor | None = None,
        by: Who | None = None,
        **parts: Any,
    ) -> Answer:
        who = by or (ACTORS[asked.actor] if work is None else work.who)
        said: dict[str, Any] = {"who": _called(who, asked), "purpose": asked.purpose}
        if work is not None:
            said |= {
                "purpose": work.purpose,
                "person": work.subject or "",
                "before": work.sql,
                "parameters": tuple(str(one) for one in work.parameters),
            }
        if cursor is not None and cursor.statement is not None:
            said |= {"after": apart(abridged(cursor.statement, self._dialect)), "whole": cursor.statement}
        return Answer(**{**said, **parts})


def _called(who: Who, asked: Asked) -> str:
    """An actor by name, and by what the guard knows of them."""
    facts = ", ".join((who.actor.id, *who.actor.roles, *((who.actor.unit,) if who.actor.unit else ())))
    return f"{who.name[asked.lang]}（{facts}）" if asked.lang == "zh" else f"{who.name.en} ({facts})"


def _barred(refused: Refused, work: Work, cursor: GuardedCursor) -> bool:
    """Whether the statement ran, and what refused it is that no row of the named person may be seen."""
    if work.subject is None or cursor.statement is None or cursor.decision is None:
        return False
    asked = {rule for condition in cursor.decision.rows.values() for rule in rules_of(condition)}
    return {*refused.rules} <= asked | {ABSENT.rule}


def _day(seconds: int, zone: str) -> str:
    """The day of a moment, in the bank's calendar."""
    return clock.stamp(seconds, zone).date


def _filled(person: str, purpose: str, kind: str) -> ConsentRecord:
    """A form as everybody of the bank signed one, for this purpose, differing in what the button says."""
    signed = next(
        one for one in bank.consents() if one.consent.separate and "identity_number" in one.consent.categories
    )
    general = next(one for one in bank.consents() if not one.consent.separate)
    now = int(time.time())
    notice = signed.consent.notice
    categories = {
        "marketing": ("identity", "contact"),
        "financial_advice": ("identity", "contact", "deposit", "income"),
    }.get(purpose, (*general.consent.categories, *signed.consent.categories))
    forms: dict[str, dict[str, Any]] = {
        "consent-lifetime": {"expires_at": None},
        "consent-forced": {"refusal_denies_service": True},
        "consent-bundled": {
            "purposes": tuple(dict.fromkeys((purpose, "marketing", "loan_underwriting"))),
            "bundled": True,
        },
        "consent-asserted": {"assurance": "asserted", "form": "oral", "separate": False, "written": False},
    }
    said: dict[str, Any] = {
        "id": f"{OWN}{secrets.token_hex(8)}",
        "purposes": (purpose,),
        "categories": categories,
        "granted_at": now,
        "expires_at": now + _YEAR,
        "notice": notice and msgspec.structs.replace(notice, shown_at=now - 60),
        **forms.get(kind, {}),
    }
    consent: Consent = msgspec.structs.replace(signed.consent, **said)
    evidence = None if kind == "consent-asserted" else signed.evidence
    return msgspec.structs.replace(signed, consent=consent, subject=person, recorder="", evidence=evidence)


# --- Connections that give up --------------------------------------------------------------------


def _sqlite(path: str, **options: Any) -> sqlite3.Connection:
    """A connection for one request: what it runs is broken off when the time is over."""
    raw: sqlite3.Connection = sqlite3.connect(path, **options)
    end = time.monotonic() + SECONDS
    raw.set_progress_handler(lambda: time.monotonic() > end, _STEPS)
    return raw


def _postgres(url: str, **options: Any) -> Any:
    """The same on PostgreSQL, by the server's own timeout."""
    import psycopg  # noqa: PLC0415 -- a demo on SQLite does without

    return psycopg.connect(url, options=f"-c statement_timeout={int(SECONDS * 1000)}", **options)
