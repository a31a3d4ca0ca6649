"""The consent ledger: what persons agreed to, as it was judged when it was recorded.

A consent is recorded once and judged once. Its record is kept with the verdict either way; only a valid one
makes grants, which are what statements are checked against. A withdrawal ends grants for the next statement
on and is final: no import, replay or repetition of an older consent revives what was withdrawn, and it is kept
even where there was nothing to end. So import consents first, then what was withdrawn of them since.

The ledger shares the database of the guarded tables but never a transaction with the program: it writes on
connections of its own, and refuses at once where the program holds the database.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Protocol, Self, TypeAlias

import msgspec
from sqlalchemy import ColumnElement, Connection, insert, select, update
from sqlalchemy.engine import URL

from guard import clock
from guard.context import STAFF, subject_key
from guard.draft import Draft
from guard.errors import Refused
from guard.messages import OWN, Messages
from guard.model import Actor, Consent, Notice, Reason, Verdict
from guard_ledger import grants, notices, rejudge, renewals, withdrawals
from guard_ledger.consent_record import EVERY, ConsentRecord, Pairs, checked, digest, name, narrowed, pairs
from guard_ledger.grants import Kept
from guard_ledger.person_keys import PersonKeys
from guard_ledger.store import Store, chunks
from guard_ledger.tables import FORMAT, consent, grant, meta, metadata

if TYPE_CHECKING:
    from guard.config import Settings

Judge: TypeAlias = Callable[[Sequence[Consent]], tuple[Verdict, ...]]

LEDGER: Final = Actor(id="guard-ledger", kind="service")
"""Who acts in an entry about withdrawals, and about consents of several recorders."""

_JUDGED: Final = 50
"""Consents that one evaluation judges, well within the engine's fuel and bound on its input."""

_MARKED: Final = 1.0
"""Seconds for which a mark is used again."""

_PAUSE: Final = 0.1
"""Seconds until a process that waits for another to judge looks again."""


class Decider(Protocol):
    """The policies, as the ledger asks them."""

    @property
    def judged(self) -> str:
        """The digest of the consent rules."""
        ...

    def judge(self, consents: Sequence[Consent]) -> tuple[Verdict, ...]:
        """The verdict on each consent, in the order asked."""
        ...


class Ledger:
    """The ledger in one database. Safe for threads, processes and forks.

    `judge` gives the policies' verdicts in the order asked, `judged` the digest of the rules behind them.
    `wait` bounds, in seconds, how long a call waits for another writer of the database. `persons` are the
    person keys, which are closed with the ledger; by default they lie in the same database: in one of their own,
    keys can be made while the program holds the ledger's database. `append` registers what is recorded and
    withdrawn, one entry a call that changes something, before it is committed: what it refuses is not kept.
    Where the commit fails after that, the register says more than happened, never less. `unknown` says which words of
    a consent no policy knows, for the refusal of one that is void.

    Who recorded a consent never acts on it: the guard cannot verify evidence yet, so whatever its assurance
    says, an officer could have invented it.
    """

    def __init__(  # noqa: PLR0913 -- what one ledger stands on; `open` is how it is made
        self,
        url: str | URL,
        *,
        judge: Judge,
        judged: str,
        zone: str,
        now: clock.Clock = clock.system,
        wait: float = 0.5,
        persons: PersonKeys | None = None,
        append: Callable[[Draft], object] = lambda _: None,
        messages: Messages = OWN,
        unknown: Callable[[Consent], str | None] = lambda _: None,
    ) -> None:
        self._judge = judge
        self._judged = judged
        self._zone = zone
        self._now = now
        self._append = append
        self._messages = messages
        self._unknown = unknown
        self._scopes: dict[Pairs, int] = {}
        self._marked: tuple[float, int] | None = None
        self._store = Store(url, metadata, wait, _begin)
        try:
            self.instance = self._store.run(_instance)
            self.persons: Final = persons if persons is not None else PersonKeys(url, wait=wait)
        except BaseException:
            self._store.close()
            raise

    @classmethod
    def open(
        cls,
        settings: Settings,
        judge: Decider,
        *,
        persons: PersonKeys,
        now: clock.Clock = clock.system,
        append: Callable[[Draft], object] = lambda _: None,
        messages: Messages = OWN,
        unknown: Callable[[Consent], str | None] = lambda _: None,
    ) -> Self:
        """The ledger in the database that the settings name."""
        return cls(
            settings.database.url,
            judge=judge.judge,
            judged=judge.judged,
            zone=settings.zone,
            now=now,
            wait=settings.limits.ledger_wait,
            persons=persons,
            append=append,
            messages=messages,
            unknown=unknown,
        )

    def identity(self) -> str:
        """What a connection must show to lead to the ledger's very database and no copy of it.

        On PostgreSQL the answer to `guard_ledger.postgres.IDENTITY`; on SQLite the `instance` in `guard_meta`, which
        a copy of the file has too: compare the files as well. Refused GUARD-LEDGER where somebody has put on its
        tables what could change what is kept there.
        """
        return self._store.run(self._identity)

    def _identity(self, connection: Connection) -> str:
        self._store.sound(connection)
        if self._store.kind == "sqlite":
            return _instance(connection)
        from guard_ledger.postgres import identity  # noqa: PLC0415 -- an SQLite ledger does not load it

        return identity(connection)

    @property
    def store(self) -> Store:
        """The connections to its database, for what is kept beside the consents."""
        return self._store

    # --- Recording ---

    def record(self, record: ConsentRecord, *, by: Actor | None = None) -> Verdict:
        """Judges and keeps one consent; Refused with the verdict's reasons if it is not valid.

        `by` is who records it: then the recorder is this actor, whatever the record says. The same record again
        changes nothing and gives the verdict of the first time. Another record under the same consent id is refused.
        """
        return self._said(self.record_many((record,), by=by)[0], record)

    def record_many(self, records: Iterable[ConsentRecord], *, by: Actor | None = None) -> tuple[Verdict, ...]:
        """Judges and keeps many consents in one transaction, all or none; gives every verdict, valid or not."""
        return self._record(records, by)

    def renew(self, consent_id: str, record: ConsentRecord, *, by: Actor | None = None) -> Verdict:
        """Records a consent that takes the place of an older one; refused like `record`, or GUARD-RENEWAL.

        It is a fresh act of the person's, for no more than the old one: see `guard_ledger.renewals`. The old one stays
        until the new one is found valid, and ends with it: a withdrawal of either withdraws both.
        """
        name(consent_id)
        return self._said(self._record((record,), by, consent_id)[0], record)

    def publish(self, notice: Notice, *, by: Actor | None = None) -> None:
        """Keeps what a version of a notice says, by its digest; refused where it is known to say something else.

        The first digest counts, be it from here or from a valid consent: publish before anyone consents.
        """
        if not isinstance(notice, Notice) or notice.digest is None:
            raise Refused.own("GUARD-NOTICE", "It has no digest.")
        name(notice.id)
        name(notice.version)
        digest(notice.digest, "notice")

        def keeping(connection: Connection) -> None:
            known = notices.known(connection, (notice.id,))
            if notices.differs(notice, known):
                raise Refused.own("GUARD-NOTICE")
            new = notices.learn(notice, known)
            if new:
                self._changed(connection, 1)
                notices.keep(connection, new, int(self._now()))
                sealed = {"notice": notice.id, "version": notice.version, "digest": notice.digest}
                actor = LEDGER if by is None else by
                self._append(Draft(kind="consent", actor=actor, recipient=STAFF, sealed=sealed))

        self._store.write(keeping)

    def _said(self, verdict: Verdict, record: ConsentRecord) -> Verdict:
        if not verdict.valid:
            reasons = verdict.reasons or (Reason(rule="GUARD-CONSENT"),)
            raise Refused(reasons, detail=self._unknown(record.consent), catalog=self._messages)
        return verdict

    def _record(
        self, records: Iterable[ConsentRecord], by: Actor | None, renews: str | None = None
    ) -> tuple[Verdict, ...]:
        """`renews` is the consent that the only one of the records renews."""
        seconds = int(self._now())
        minute = clock.stamp(seconds, self._zone)
        asked: dict[str, ConsentRecord] = {}
        order: list[str] = []
        for raw in records:
            record = checked(_by(raw, by))
            record = msgspec.structs.replace(record, consent=msgspec.structs.replace(record.consent, time=minute))
            known = asked.setdefault(record.consent.id, record)
            if known != record:
                raise Refused.own("GUARD-CONSENT", "Two records carry one consent id.")
            order.append(record.consent.id)
        if not asked:
            return ()
        verdicts = self._verdicts([record.consent for record in asked.values()])
        # Keys are made now, so that the register can name these persons while the program holds the database.
        self.persons.keys(record.subject for record in asked.values())
        attempt = _Attempt(
            asked=asked,
            verdicts=verdicts,
            renews={} if renews is None else {order[0]: renews},
            by=by,
            seconds=seconds,
            scopes=dict(self._scopes),
        )
        kept = self._store.write(partial(self._keep, attempt=attempt))
        self._scopes = attempt.scopes  # committed: scopes never change from here on
        return tuple(kept[one] for one in order)

    def _verdicts(self, consents: Sequence[Consent]) -> dict[str, Verdict]:
        verdicts = [one for some in chunks(consents, _JUDGED) for one in self._judge(some)]
        if [one.id for one in verdicts] != [one.id for one in consents]:
            raise Refused.own("GUARD-DECISION-MISSING")
        return {one.id: narrowed(one, asked) for one, asked in zip(verdicts, consents, strict=True)}

    def _keep(self, connection: Connection, *, attempt: _Attempt) -> dict[str, Verdict]:
        kept = grants.known(connection, attempt.asked)
        if any(renewals.renewed(connection, one) != old for one, old in attempt.renews.items() if one in kept):
            raise Refused.own("GUARD-RENEWAL", "The ledger holds it already, and not as a renewal of this.")
        new = {one: record for one, record in attempt.asked.items() if one not in kept}
        if not new:
            return kept
        self._changed(connection, len(new))
        judged = self._judged_now(connection, new, attempt)
        consents = [grants.consent_row(new[one], judged[one], self._judged, attempt.seconds) for one in new]
        connection.execute(insert(consent), consents)
        made: list[dict[str, Any]] = []
        for one, record in new.items():
            if judged[one].valid:
                number = grants.number_of(connection, pairs(judged[one].scopes), attempt.scopes)
                made += grants.grant_rows(record, judged[one], number, self._judged)
                if one in attempt.renews:
                    renewals.keep(connection, attempt.renews[one], record, attempt.seconds)
        if made:
            connection.execute(insert(grant), made)
        self._registered(new, judged, attempt)
        return kept | judged

    def _judged_now(
        self, connection: Connection, new: Mapping[str, ConsentRecord], attempt: _Attempt
    ) -> dict[str, Verdict]:
        """The verdicts in the light of what the ledger knows: withdrawals, notices, what is renewed."""
        withdrawn = withdrawals.of_persons(connection, {record.subject for record in new.values()})
        known = notices.known(connection, (one.consent.notice.id for one in new.values() if one.consent.notice))
        learned: notices.Known = {}
        judged: dict[str, Verdict] = {}
        for one, record in new.items():
            verdict = attempt.verdicts[one]
            if one in attempt.renews:
                renewals.check(connection, attempt.renews[one], record, attempt.seconds)
            if verdict.valid and withdrawals.reach(record, withdrawn) >= record.consent.granted_at:
                verdict = _void(one, "GUARD-CONSENT-WITHDRAWN")
            if verdict.valid and notices.differs(record.consent.notice, known):
                verdict = _void(one, "GUARD-NOTICE")
            if verdict.valid:
                learned |= notices.learn(record.consent.notice, known)
            judged[one] = verdict
        notices.keep(connection, learned, attempt.seconds)
        return judged

    def _registered(self, new: Mapping[str, ConsentRecord], verdicts: Mapping[str, Verdict], attempt: _Attempt) -> None:
        """One entry about what is being recorded, valid or not: reasons stand in clear where it is one consent."""
        recorders = {record.recorder for record in new.values()}
        one = next(iter(new)) if len(new) == 1 else None
        recorded = [
            {"id": each, "recorder": new[each].recorder, "valid": verdicts[each].valid}
            | ({"renews": attempt.renews[each]} if each in attempt.renews else {})
            for each in new
        ]
        actor = Actor(id=recorders.pop(), kind="service") if len(recorders) == 1 else LEDGER
        self._append(
            Draft(
                kind="consent",
                actor=actor if attempt.by is None else attempt.by,
                recipient=STAFF,
                reasons=verdicts[one].reasons if one is not None else (),
                subjects=tuple(sorted({record.subject for record in new.values()})),
                sealed={"recorded": recorded},
                consent=one,
                rows=len(new),
            )
        )

    def _changed(self, connection: Connection, by: int) -> None:
        """Moves the sequence on; refuses a database that is no longer the one that was opened."""
        values = _meta(connection)
        if values.get("instance") != self.instance or values.get("format") != FORMAT:
            raise Refused.own("GUARD-LEDGER", "The database was replaced while it was open.")
        moved = update(meta).where(meta.c.key == "sequence").values(value=str(int(values["sequence"]) + by))
        connection.execute(moved)

    # --- Judging again ---

    def rejudge(self, *, pause: Callable[[float], object] = time.sleep) -> int:
        """Lets the present rules judge every consent that they have not seen; gives how many grants that made.

        Needed after a change of policy or profile: a grant counts only under the rules that judged it. The
        old grants stay for processes that still run on the old rules; nothing is revived or widened. While another
        process judges by the same rules, this one waits for it by `pause` (seconds).
        """
        me, made, mine = secrets.token_hex(8), 0, False
        run, write, judged = self._store.run, self._store.write, self._judged
        try:
            # Looked up before what waits: what another process records meanwhile is left for the next start.
            while (newest := run(partial(rejudge.behind, judged=judged))) is not None:
                if run(partial(rejudge.others_turn, judged=judged, me=me, seconds=int(self._now()))):
                    pause(_PAUSE)
                    continue
                asked = run(partial(rejudge.waiting, judged=judged))
                if not asked:
                    write(partial(rejudge.caught_up, judged=judged, upto=newest))
                    break
                mine = write(partial(rejudge.take_turn, judged=judged, me=me, seconds=int(self._now())))
                if mine:
                    made += self._rejudge(asked)
        finally:
            if mine:
                with suppress(Refused):  # it runs out by itself
                    write(partial(rejudge.end_turn, judged=judged, me=me))
        return made

    def _rejudge(self, asked: Sequence[tuple[int, Consent]]) -> int:
        time = clock.stamp(int(self._now()), self._zone)
        verdicts = self._verdicts([rejudge.stamped(one, time) for _, one in asked])
        return self._store.write(partial(self._rejudged, upto=asked[-1][0], verdicts=verdicts))

    def _rejudged(self, connection: Connection, *, upto: int, verdicts: Mapping[str, Verdict]) -> int:
        made = rejudge.keep(connection, self._judged, upto, verdicts)
        if made:
            self._changed(connection, 1)
            sealed = {"rejudged": sorted(verdicts), "under": self._judged}
            self._append(Draft(kind="consent", actor=LEDGER, recipient=STAFF, sealed=sealed, rows=made))
        return made

    # --- Withdrawing ---

    def withdraw(self, consent_id: str, *, at: int | None = None, by: Actor | None = None) -> int:
        """Withdraws one consent, finally; gives how many grants that ended.

        `at` is when the person withdrew, UTC seconds, by default now; `by` is who made it known. Withdrawing
        again ends nothing more, and is kept: no consent of these purposes and this recipient that was given
        before this moment counts from now on. What renewed it, or was renewed by it, ends with it. An unknown id
        is refused.
        """
        moment = self._moment(at)
        asked = select(consent).where(consent.c.consent_id == consent_id)
        row = self._store.run(lambda connection: connection.execute(asked).first())
        if row is None:
            raise Refused.own("GUARD-CONSENT", "The ledger holds no consent with this id.")
        record = grants.record_of(row)
        purposes = record.consent.purposes
        places = [(purpose, record.consent.recipient or "") for purpose in purposes]

        def found(connection: Connection) -> tuple[ColumnElement[bool], Sequence[str]]:
            ids = renewals.chain(connection, consent_id)
            return grant.c.consent_id.in_(ids) & grant.c.purpose.in_(purposes), ids

        return self._withdraw(record.subject, places, found, moment, by, consent_id)

    def withdraw_subject(
        self, subject: str, purpose: str | None = None, *, at: int | None = None, by: Actor | None = None
    ) -> int:
        """Withdraws all that a person agreed to, or all for one purpose; gives how many grants that ended.

        It is kept even where it ends nothing: a consent that was given before it and arrives later makes no grant.
        """
        key = subject_key(subject)
        moment = self._moment(at)
        which = grant.c.subject == key
        if purpose is not None:
            name(purpose)
            which &= grant.c.purpose == purpose

        def found(connection: Connection) -> tuple[ColumnElement[bool], Sequence[str]]:
            live = select(grant.c.consent_id).where(which, grant.c.withdrawn_at.is_(None)).distinct()
            return which, sorted(connection.scalars(live))

        return self._withdraw(key, [(purpose or "", EVERY)], found, moment, by)

    def _withdraw(
        self,
        subject: str,
        places: Sequence[tuple[str, str]],
        found: Callable[[Connection], tuple[ColumnElement[bool], Sequence[str]]],
        moment: int,
        by: Actor | None,
        consent_id: str | None = None,
    ) -> int:
        """Ends the grants found, keeps a withdrawal for each pair of purpose and recipient, and registers it."""
        self.persons.keys((subject,))  # as for a record: the transaction below may hold their database

        def ending(connection: Connection) -> int:
            self._changed(connection, 1)
            rows = [
                {"subject": subject, "purpose": purpose, "recipient": recipient, "at": moment}
                for purpose, recipient in places
            ]
            withdrawals.keep(connection, rows, int(self._now()))
            which, ids = found(connection)
            ended = grants.end(connection, which, ids, moment)
            self._append(
                Draft(
                    kind="consent",
                    actor=LEDGER if by is None else by,
                    recipient=STAFF,  # so who acted stands there by id, unless it is the person
                    subjects=(subject,),
                    sealed={"withdrawn": rows, "consents": list(ids)},
                    consent=consent_id,
                    rows=ended,
                )
            )
            return ended

        try:
            return self._store.write(ending)
        finally:
            self._marked = None

    def _moment(self, at: int | None) -> int:
        now = int(self._now())
        if at is None:
            return now
        if type(at) is not int or not 0 <= at <= now:
            raise Refused.own("GUARD-CONSENT", "A withdrawal has taken place: its time is not in the future.")
        return at

    # --- Reading ---

    def list(self, subject: str) -> tuple[Kept, ...]:
        """All consents of a person, in the order in which they were recorded."""
        return self._store.run(partial(grants.of_person, subject=subject_key(subject)))

    def sequence(self) -> int:
        """A number that grows with every recorded or withdrawn consent, by whichever process."""
        return self._store.run(lambda connection: int(_meta(connection)["sequence"]))

    def mark(self) -> int:
        """How many withdrawals there have been, by whichever process: where `withdrawn_since` counts from.

        It may be up to a second old, unless this process made one known since: from an older mark on more persons
        have withdrawn, so more is cut and never less.
        """
        marked, now = self._marked, time.monotonic()
        if marked is not None and now < marked[0] + _MARKED:
            return marked[1]
        found = self._store.run(withdrawals.mark)
        self._marked = (now, found)
        return found

    def withdrawn_since(self, mark: int, subjects: Iterable[str]) -> frozenset[str]:
        """Those of the persons who withdrew anything after the mark."""
        return self._store.run(partial(withdrawals.since, mark=mark)).intersection(subjects)

    def close(self) -> None:
        """Closes the ledger's connections, and the person keys'."""
        self._store.close()
        self.persons.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Attempt(msgspec.Struct, kw_only=True):
    """What is to be recorded, in one transaction, by whom; `renews` maps consents to those that they renew."""

    asked: dict[str, ConsentRecord]
    verdicts: dict[str, Verdict]
    renews: dict[str, str]
    by: Actor | None
    seconds: int
    scopes: dict[Pairs, int]


def _by(raw: ConsentRecord, by: Actor | None) -> ConsentRecord:
    if by is None or not isinstance(raw, ConsentRecord):
        return raw
    return msgspec.structs.replace(raw, recorder=by.id)


def _void(consent_id: str, rule: str) -> Verdict:
    return Verdict(id=consent_id, valid=False, reasons=(Reason(rule=rule),))


def _meta(connection: Connection) -> dict[str, str]:
    return {row.key: row.value for row in connection.execute(select(meta))}


def _begin(connection: Connection) -> None:
    """What a new ledger knows of itself, and new tables of an old one of what was there before."""
    if not _meta(connection):
        values = {"format": FORMAT, "instance": secrets.token_hex(16), "sequence": "0"}
        connection.execute(insert(meta), [{"key": key, "value": value} for key, value in values.items()])
    withdrawals.adopt(connection)
    notices.adopt(connection)


def _instance(connection: Connection) -> str:
    values = _meta(connection)
    if values.get("format") != FORMAT:
        raise Refused.own("GUARD-LEDGER", "The ledger is of another format than this version of guard writes.")
    return values["instance"]
