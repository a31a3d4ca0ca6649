"""The consent ledger: what persons agreed to, as it was judged when it was recorded.

A consent is recorded once and judged once. Its record is kept with the verdict either way; only a valid one
makes grants, which are what statements are checked against. A withdrawal ends grants for the next statement
on and is final: no import, replay or repetition of an older consent revives what was withdrawn, and it is kept
even where there was nothing to end. So import consents first, then what was withdrawn of them since.

The ledger shares the database of the guarded tables but never a transaction with the program: it writes on
connections of its own, and refuses at once where the program holds the database.
"""

from __future__ import annotations

import re
import secrets
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import partial
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Protocol, Self, TypeAlias, TypeVar
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, Connection, delete, func, insert, select, update
from sqlalchemy.engine import URL

from guard import clock, rejudge
from guard.context import STAFF, subject_key
from guard.errors import Refused
from guard.ledger_store import Store
from guard.ledger_tables import (
    EVERY,
    FORMAT,
    consent,
    grant,
    meta,
    metadata,
    person,
    persons_metadata,
    scope,
    withdrawal,
)
from guard.messages import OWN, Messages
from guard.model import ASSURANCE, Actor, Consent, Reason, Scope, Verdict, normal_scopes
from guard.register.entry import Draft
from guard.wire import canonical

if TYPE_CHECKING:
    from guard.config import Settings

Judge: TypeAlias = Callable[[Sequence[Consent]], tuple[Verdict, ...]]
V = TypeVar("V")
Pairs: TypeAlias = frozenset[tuple[str, str]]
"""The pairs of operation and category that a scope covers."""

LEDGER: Final = Actor(id="guard-ledger", kind="service")
"""Who acts in an entry about withdrawals, and about consents of several recorders."""

_FAR: Final = 2**40
"""Times at or after this are not times (UTC seconds of the year 36812)."""

_JUDGED: Final = 50
"""Consents that one evaluation judges, well within the engine's fuel and bound on its input."""

_CHUNK: Final = 500
"""Values in one IN list; SQLite bounds the parameters of a statement."""

_DIGEST: Final = re.compile(r"[a-z0-9]{2,16}:[0-9a-f]{64}", re.ASCII)


class Decider(Protocol):
    """The policies, as the ledger asks them."""

    @property
    def judged(self) -> str:
        """The digest of the consent rules."""
        ...

    def judge(self, consents: Sequence[Consent]) -> tuple[Verdict, ...]:
        """The verdict on each consent, in the order asked."""
        ...


class ConsentRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A consent and whose it is.

    `subject` is the person's canonical key, `recorder` the actor who recorded it, who can never use it.
    `evidence` is the digest of what proves it (`sha256:…`), never the thing itself; a consent that is more than
    asserted must have one. The guard does not verify it yet.
    `consent.time` is stamped anew when it is recorded.
    """

    consent: Consent
    subject: str
    recorder: str
    evidence: str | None = None


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A consent as the ledger keeps it: the record, its verdict, and whether it was withdrawn (UTC seconds).

    `purposes` are those whose grants are not withdrawn.
    """

    seq: int
    record: ConsentRecord
    verdict: Verdict
    judged: str
    recorded_at: int
    withdrawn_at: int | None
    purposes: tuple[str, ...]


class Ledger:
    """The ledger in one database. Safe for threads, processes and forks.

    `judge` gives the policies' verdicts in the order asked, `judged` the digest of the rules behind them.
    `wait` bounds, in seconds, how long a call waits for another writer of the database. `persons` is the
    database of the person keys, by default the same: in one of its own, keys can be made while the program
    holds the ledger's database. `append` registers what is recorded and withdrawn, one entry a call that
    changes something, before it is committed: what it refuses is not kept. Where the commit fails after that,
    the register says more than happened, never less.

    Who recorded a consent never acts on it: the guard cannot verify evidence yet, so whatever its assurance
    says, an officer could have invented it.
    """

    def __init__(
        self,
        url: str | URL,
        *,
        judge: Judge,
        judged: str,
        zone: str,
        now: clock.Clock = clock.system,
        wait: float = 0.5,
        persons: str | URL | None = None,
        append: Callable[[Draft], object] = lambda _: None,
        messages: Messages = OWN,
    ) -> None:
        self._judge = judge
        self._judged = judged
        self._zone = zone
        self._now = now
        self._append = append
        self._messages = messages
        self._remembered = _Remembered()
        self._scopes: dict[Pairs, int] = {}
        self._store = Store(url, metadata, wait, _begin)
        try:
            self.instance = self._store.run(_instance)
            self._persons = Store(persons if persons is not None else url, persons_metadata, wait)
        except BaseException:
            self._store.close()
            raise

    @classmethod
    def open(
        cls,
        settings: Settings,
        judge: Decider,
        *,
        now: clock.Clock = clock.system,
        append: Callable[[Draft], object] = lambda _: None,
        messages: Messages = OWN,
    ) -> Self:
        """The ledger in the database that the settings name; the person keys lie beside the register."""
        directory = settings.register_.directory
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError:
            raise Refused.own("GUARD-REGISTER", "Its directory cannot be made.") from None
        return cls(
            settings.database.url,
            judge=judge.judge,
            judged=judge.judged,
            zone=settings.zone,
            now=now,
            wait=settings.limits.ledger_wait,
            persons=URL.create("sqlite", database=str(directory / "persons.db")),
            append=append,
            messages=messages,
        )

    def identity(self) -> str:
        """What a connection must show to lead to the ledger's very database and no copy of it.

        On PostgreSQL the answer to `ledger_postgres.IDENTITY`; on SQLite the `instance` in `guard_meta`, which
        a copy of the file has too: compare the files as well.
        """
        return self._store.run(self._identity)

    def _identity(self, connection: Connection) -> str:
        if self._store.kind == "sqlite":
            return _instance(connection)
        from guard.ledger_postgres import identity  # noqa: PLC0415 -- an SQLite ledger does not load it

        return identity(connection)

    @property
    def store(self) -> Store:
        """The connections to its database, for what is kept beside the consents."""
        return self._store

    # --- Recording ---

    def record(self, record: ConsentRecord) -> Verdict:
        """Judges and keeps one consent; Refused with the verdict's reasons if it is not valid.

        The same record again changes nothing and gives the verdict of the first time. Another record under
        the same consent id is refused.
        """
        verdict = self.record_many((record,))[0]
        if not verdict.valid:
            raise Refused(verdict.reasons or (Reason(rule="GUARD-CONSENT"),), catalog=self._messages)
        return verdict

    def record_many(self, records: Iterable[ConsentRecord]) -> tuple[Verdict, ...]:
        """Judges and keeps many consents in one transaction, all or none; gives every verdict, valid or not."""
        seconds = int(self._now())
        minute = clock.stamp(seconds, self._zone)
        asked: dict[str, ConsentRecord] = {}
        order: list[str] = []
        for raw in records:
            record = _checked(raw)
            record = msgspec.structs.replace(record, consent=msgspec.structs.replace(record.consent, time=minute))
            known = asked.setdefault(record.consent.id, record)
            if known != record:
                raise Refused.own("GUARD-CONSENT", "Two records carry one consent id.")
            order.append(record.consent.id)
        if not asked:
            return ()
        verdicts = self._verdicts([record.consent for record in asked.values()])
        # Keys are made now, so that the register can name these persons while the program holds the database.
        self.person_keys(record.subject for record in asked.values())
        scopes = dict(self._scopes)
        kept = self._store.write(lambda connection: self._keep(connection, asked, verdicts, scopes, seconds))
        self._scopes = scopes  # committed: scopes never change from here on
        return tuple(kept[one] for one in order)

    def _verdicts(self, consents: Sequence[Consent]) -> dict[str, Verdict]:
        verdicts = [one for some in _chunks(consents, _JUDGED) for one in self._judge(some)]
        if [one.id for one in verdicts] != [one.id for one in consents]:
            raise Refused.own("GUARD-DECISION-MISSING")
        return {one.id: _narrowed(one, asked) for one, asked in zip(verdicts, consents, strict=True)}

    def _keep(
        self,
        connection: Connection,
        asked: Mapping[str, ConsentRecord],
        verdicts: Mapping[str, Verdict],
        scopes: dict[Pairs, int],
        seconds: int,
    ) -> dict[str, Verdict]:
        kept = _known(connection, asked)
        new = {name: record for name, record in asked.items() if name not in kept}
        if not new:
            return kept
        self._changed(connection, len(new))
        withdrawn = _withdrawals(connection, {record.subject for record in new.values()})
        consents: list[dict[str, Any]] = []
        grants: list[dict[str, Any]] = []
        for name, record in new.items():
            verdict = verdicts[name]
            if verdict.valid and _withdrawn(record, withdrawn) >= record.consent.granted_at:
                verdict = Verdict(id=name, valid=False, reasons=(Reason(rule="GUARD-CONSENT-WITHDRAWN"),))
            consents.append(_consent_row(record, verdict, self._judged, seconds))
            if verdict.valid:
                number = _scope(connection, _pairs(verdict.scopes), scopes)
                grants += _grant_rows(record, verdict, number, self._judged)
            kept[name] = verdict
        connection.execute(insert(consent), consents)
        if grants:
            connection.execute(insert(grant), grants)
        self._registered(new, kept)
        return kept

    def _changed(self, connection: Connection, by: int) -> None:
        """Moves the sequence on; refuses a database that is no longer the one that was opened."""
        values = _meta(connection)
        if values.get("instance") != self.instance or values.get("format") != FORMAT:
            raise Refused.own("GUARD-LEDGER", "The database was replaced while it was open.")
        moved = update(meta).where(meta.c.key == "sequence").values(value=str(int(values["sequence"]) + by))
        connection.execute(moved)

    # --- Judging again ---

    def rejudge(self) -> int:
        """Lets the present rules judge every consent that they have not seen; gives how many grants that made.

        Needed after a change of policy or profile: a grant counts only under the rules that judged it. The
        old grants stay for processes that still run on the old rules; nothing is revived or widened.
        """
        made = 0
        while True:
            # Looked up before what waits: what another process records meanwhile is left for the next start.
            newest = self._store.run(lambda connection: rejudge.behind(connection, self._judged))
            asked = self._store.run(lambda connection: rejudge.waiting(connection, self._judged))
            if not asked:
                if newest is not None:
                    self._store.write(partial(rejudge.caught_up, judged=self._judged, upto=newest))
                return made
            time = clock.stamp(int(self._now()), self._zone)
            verdicts = self._verdicts([rejudge.stamped(one, time) for _, one in asked])
            made += self._store.write(partial(self._rejudged, upto=asked[-1][0], verdicts=verdicts))

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
        before this moment counts from now on. An unknown id is refused.
        """
        moment = self._moment(at)
        asked = select(consent).where(consent.c.consent_id == consent_id)
        row = self._store.run(lambda connection: connection.execute(asked).first())
        if row is None:
            raise Refused.own("GUARD-CONSENT", "The ledger holds no consent with this id.")
        record = _record(row)
        places = [(purpose, record.consent.recipient or "") for purpose in record.consent.purposes]
        which = grant.c.consent_id == consent_id
        return self._withdraw(record.subject, places, which, moment, by, consent_id)

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
            _name(purpose)
            which &= grant.c.purpose == purpose
        return self._withdraw(key, [(purpose or "", EVERY)], which, moment, by)

    def _withdraw(
        self,
        subject: str,
        places: Sequence[tuple[str, str]],
        which: ColumnElement[bool],
        moment: int,
        by: Actor | None,
        consent_id: str | None = None,
    ) -> int:
        """Ends those grants, keeps a withdrawal for each pair of purpose and recipient, and registers it."""
        self.person_keys((subject,))  # as for a record: the transaction below may hold their database

        def ending(connection: Connection) -> int:
            self._changed(connection, 1)
            rows = [
                {"subject": subject, "purpose": purpose, "recipient": recipient, "at": moment}
                for purpose, recipient in places
            ]
            made_known = int(self._now())
            connection.execute(insert(withdrawal), [{**row, "recorded_at": made_known} for row in rows])
            live = select(grant.c.consent_id).where(which, grant.c.withdrawn_at.is_(None)).distinct()
            ids = list(connection.scalars(live)) if consent_id is None else [consent_id]
            ended = self._end(connection, which, ids, moment)
            self._append(
                Draft(
                    kind="consent",
                    actor=LEDGER if by is None else by,
                    recipient=STAFF,  # so who acted stands there by id, unless it is the person
                    subjects=(subject,),
                    sealed={"withdrawn": rows, "consents": ids},
                    consent=consent_id,
                    rows=ended,
                )
            )
            return ended

        return self._store.write(ending)

    def _registered(self, new: Mapping[str, ConsentRecord], verdicts: Mapping[str, Verdict]) -> None:
        """One entry about what is being recorded, valid or not: reasons stand in clear where it is one consent."""
        recorders = {record.recorder for record in new.values()}
        one = next(iter(new)) if len(new) == 1 else None
        recorded = [{"id": name, "recorder": new[name].recorder, "valid": verdicts[name].valid} for name in new]
        self._append(
            Draft(
                kind="consent",
                actor=Actor(id=recorders.pop(), kind="service") if len(recorders) == 1 else LEDGER,
                recipient=STAFF,
                reasons=verdicts[one].reasons if one is not None else (),
                subjects=tuple(sorted({record.subject for record in new.values()})),
                sealed={"recorded": recorded},
                consent=one,
                rows=len(new),
            )
        )

    def _end(self, connection: Connection, which: ColumnElement[bool], ids: Sequence[str], moment: int) -> int:
        live = grant.c.withdrawn_at.is_(None)
        ended = connection.execute(update(grant).where(which, live).values(withdrawn_at=moment)).rowcount
        for part in _chunks(ids):
            alive = select(grant.c.consent_id).where(grant.c.consent_id.in_(part), live)
            connection.execute(
                update(consent)
                .where(consent.c.consent_id.in_(part), consent.c.withdrawn_at.is_(None))
                .where(consent.c.consent_id.not_in(alive))
                .values(withdrawn_at=moment)
            )
        return ended

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
        key = subject_key(subject)
        return self._store.run(lambda connection: _kept(connection, key))

    def sequence(self) -> int:
        """A number that grows with every recorded or withdrawn consent, by whichever process."""
        return self._store.run(lambda connection: int(_meta(connection)["sequence"]))

    def mark(self) -> int:
        """How many withdrawals there have been, by whichever process: where `withdrawn_since` counts from."""
        return self._store.run(lambda connection: connection.scalar(select(func.max(withdrawal.c.seq))) or 0)

    def withdrawn_since(self, mark: int, subjects: Iterable[str]) -> frozenset[str]:
        """Those of the persons who withdrew anything after the mark."""
        # Asked by number alone, which the primary key answers: since a mark few withdraw, often nobody does.
        since = select(withdrawal.c.subject).where(withdrawal.c.seq > mark)
        gone = self._store.run(lambda connection: frozenset(connection.scalars(since)))
        return gone.intersection(subjects)

    # --- Persons of the register ---

    def person_key(self, subject: str) -> bytes:
        """The 32 random bytes under which the register names this person; made on first use."""
        return self.person_keys((subject,))[subject]

    def person_keys(self, subjects: Iterable[str]) -> Mapping[str, bytes]:
        """The keys of many persons, made on first use in one transaction.

        A key is remembered for a minute: so long may another process go on after `forget` with a key that
        leads to nobody any more.
        """
        wanted = list(dict.fromkeys(map(subject_key, subjects)))
        keys = self._remembered.get(wanted)
        missing = [one for one in wanted if one not in keys]
        if missing:
            found = self._persons.run(lambda connection: _keys(connection, missing))
            missing = [one for one in missing if one not in found]
            if missing:
                found.update(self._persons.write(lambda connection: _make_keys(connection, missing)))
            self._remembered.put(found)
            keys.update(found)
        return keys

    def known_keys(self, subjects: Iterable[str]) -> Mapping[str, bytes]:
        """The keys of those persons who have one; makes none. For reading the register."""
        wanted = list(dict.fromkeys(map(subject_key, subjects)))
        return self._persons.run(lambda connection: _keys(connection, wanted))

    def forget(self, subject: str) -> bool:
        """Destroys a person's key: the register keeps its entries, and nothing leads from them to the person.

        Gives whether there was one. The bytes are overwritten in the database file; backups of it are the
        holder's to expire.
        """
        key = subject_key(subject)
        gone = delete(person).where(person.c.subject == key)
        try:
            return self._persons.write(lambda connection: connection.execute(gone).rowcount > 0)
        finally:
            self._remembered.drop(key)

    def close(self) -> None:
        """Closes the ledger's connections."""
        self._store.close()
        self._persons.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Remembered:
    """Person keys in memory: few, for a short time. Safe for threads."""

    _SECONDS: Final = 60.0
    _KEYS: Final = 10_000

    def __init__(self) -> None:
        self._keys: dict[str, tuple[float, bytes]] = {}

    def get(self, subjects: Sequence[str]) -> dict[str, bytes]:
        now = monotonic()
        found = ((one, self._keys.get(one)) for one in subjects)
        return {one: kept[1] for one, kept in found if kept is not None and kept[0] > now}

    def put(self, keys: Mapping[str, bytes]) -> None:
        if len(self._keys) + len(keys) > self._KEYS:
            self._keys = {}
        until = monotonic() + self._SECONDS
        self._keys.update({one: (until, key) for one, key in list(keys.items())[: self._KEYS]})

    def drop(self, subject: str) -> None:
        self._keys.pop(subject, None)


# --- What may be recorded -------------------------------------------------------------------------

_NOT_TEXT: Final = (bytes, bytearray, memoryview, date, datetime, time, timedelta, Decimal, UUID)
"""Types that a JSON encoder would silently turn into text."""


def _checked(raw: ConsentRecord) -> ConsentRecord:
    """The record with every type checked (a constructor checks none), in canonical text; or GUARD-CONSENT."""
    typed = _typed(raw)
    if typed is None:  # raised here, so that the error, which may quote the record, is not even its context
        raise Refused.own("GUARD-CONSENT", "A part is missing, unknown or of a wrong type.")
    record, text = typed
    subject_key(record.subject)
    one = record.consent
    for name in (record.recorder, one.id, *one.purposes, *one.operations, *one.categories, one.basis):
        _name(name)
    if one.recipient is not None:
        _name(one.recipient)
        if one.recipient == EVERY:
            raise Refused.own("GUARD-CONSENT", "A recipient is one organisation.")
    if not one.purposes or len(set(one.purposes)) != len(one.purposes):
        raise Refused.own("GUARD-CONSENT", "It names no purpose, or one twice.")
    if not unicodedata.is_normalized("NFC", text):
        raise Refused.own("GUARD-CONSENT", "A text is not in Unicode NFC.")
    times = (one.granted_at, one.expires_at or 0, (one.notice.shown_at or 0) if one.notice else 0)
    if not all(0 <= moment < _FAR for moment in times):
        raise Refused.own("GUARD-CONSENT", "A time is not in UTC seconds.")
    if record.evidence is not None and not _DIGEST.fullmatch(record.evidence):
        raise Refused.own("GUARD-CONSENT", "The evidence is not a digest such as sha256:….")
    if one.assurance != "asserted" and record.evidence is None:
        raise Refused.own("GUARD-CONSENT", "An observed or proved consent carries the digest of its evidence.")
    return record


def _typed(raw: ConsentRecord) -> tuple[ConsentRecord, str] | None:
    """The record with its types checked, and its canonical JSON."""
    with suppress(msgspec.MsgspecError, TypeError, ValueError, OverflowError):
        record = msgspec.convert(msgspec.to_builtins(raw, builtin_types=_NOT_TEXT), ConsentRecord)
        return record, canonical(record).decode()
    return None


def _name(text: str) -> None:
    """Names are compared byte by byte, so they have one spelling, that of a subject key."""
    try:
        subject_key(text)
    except Refused:
        raise Refused.own("GUARD-CONSENT", "A name is empty, too long, or not canonical text.") from None


def _narrowed(verdict: Verdict, asked: Consent) -> Verdict:
    """The verdict, once it is sure that it does not go beyond the consent; a denial comes out bare."""
    if not verdict.valid:
        return Verdict(id=verdict.id, valid=False, reasons=verdict.reasons)
    pairs = _pairs(verdict.scopes)
    given = {(operation, category) for operation in asked.operations for category in asked.categories}
    end = verdict.valid_until
    if end is None or not pairs or not pairs <= given:
        raise Refused.own("GUARD-VERDICT")
    if asked.expires_at is not None:
        end = min(end, asked.expires_at)
    if not asked.granted_at < end < _FAR:
        raise Refused.own("GUARD-VERDICT")
    return msgspec.structs.replace(verdict, scopes=normal_scopes(verdict.scopes), valid_until=end)


def _pairs(scopes: Iterable[Scope]) -> Pairs:
    return frozenset(
        (operation, category) for one in scopes for operation in one.operations for category in one.categories
    )


# --- Rows -----------------------------------------------------------------------------------------


def _consent_row(record: ConsentRecord, verdict: Verdict, judged: str, seconds: int) -> dict[str, Any]:
    return {
        "consent_id": record.consent.id,
        "subject": record.subject,
        "record": canonical(record.consent).decode(),
        "recorder": record.recorder,
        "evidence": record.evidence,
        "valid": int(verdict.valid),
        "verdict": canonical(verdict).decode(),
        "judged": judged,
        "recorded_at": seconds,
        "withdrawn_at": None,
    }


def _grant_rows(record: ConsentRecord, verdict: Verdict, number: int, judged: str) -> list[dict[str, Any]]:
    one = record.consent
    return [
        {
            "consent_id": one.id,
            "subject": record.subject,
            "purpose": purpose,
            "recipient": one.recipient or "",
            "scope": number,
            "basis": one.basis,
            "separate": int(one.separate),
            "written": int(one.written),
            "assurance": ASSURANCE.index(one.assurance),
            "recorder": record.recorder,
            "valid_from": one.granted_at,
            "valid_until": verdict.valid_until,
            "withdrawn_at": None,
            "judged": judged,
            "evidence": record.evidence,
        }
        for purpose in one.purposes
    ]


def _known(connection: Connection, asked: Mapping[str, ConsentRecord]) -> dict[str, Verdict]:
    """The verdicts of those records that the ledger holds already; another record under a known id is refused."""
    known: dict[str, Verdict] = {}
    for part in _chunks(asked):
        for row in connection.execute(select(consent).where(consent.c.consent_id.in_(part))):
            record = asked[row.consent_id]
            old = msgspec.structs.replace(_record(row), consent=_at(_record(row).consent, record.consent))
            if old != record:
                raise Refused.own("GUARD-CONSENT", "The ledger holds another record under this consent id.")
            known[row.consent_id] = msgspec.json.decode(row.verdict, type=Verdict)
    return known


def _at(old: Consent, new: Consent) -> Consent:
    """The old record with the new time of judging, which is no part of what the person agreed to."""
    return msgspec.structs.replace(old, time=new.time)


def _record(row: Any) -> ConsentRecord:
    return ConsentRecord(
        consent=msgspec.json.decode(row.record, type=Consent),
        subject=row.subject,
        recorder=row.recorder,
        evidence=row.evidence,
    )


def _scope(connection: Connection, pairs: Pairs, scopes: dict[Pairs, int]) -> int:
    """The number of the scope of exactly these pairs, made if need be. `scopes` learns what it read."""
    if pairs in scopes:
        return scopes[pairs]
    found: dict[int, set[tuple[str, str]]] = {}
    for row in connection.execute(select(scope)):
        found.setdefault(row.scope, set()).add((row.operation, row.category))
    scopes.update({frozenset(of): number for number, of in found.items()})
    if pairs not in scopes:
        scopes[pairs] = max(found, default=0) + 1
        rows = [{"scope": scopes[pairs], "operation": one, "category": other} for one, other in sorted(pairs)]
        connection.execute(insert(scope), rows)
    return scopes[pairs]


Withdrawals: TypeAlias = Mapping[str, Sequence[tuple[str, str, int]]]
"""Subject to purpose ('' all), recipient ('*' all) and the moment up to which older consents are void."""


def _withdrawals(connection: Connection, subjects: Iterable[str]) -> Withdrawals:
    """What each of these persons withdrew.

    A withdrawal reaches to the moment at which it was made known, even if it says it is older: what was agreed
    before anyone could know of it is not what the person wants now.
    """
    found: dict[str, list[tuple[str, str, int]]] = {}
    for part in _chunks(subjects):
        for row in connection.execute(select(withdrawal).where(withdrawal.c.subject.in_(part))):
            found.setdefault(row.subject, []).append((row.purpose, row.recipient, max(row.at, row.recorded_at)))
    return found


def _withdrawn(record: ConsentRecord, withdrawals: Withdrawals) -> int:
    """The moment up to which consents like this one are withdrawn; -1 if none is."""
    purposes = {"", *record.consent.purposes}
    recipients = {EVERY, record.consent.recipient or ""}
    moments = (
        moment
        for purpose, recipient, moment in withdrawals.get(record.subject, ())
        if purpose in purposes and recipient in recipients
    )
    return max(moments, default=-1)


def _kept(connection: Connection, subject: str) -> tuple[Kept, ...]:
    live: dict[str, dict[str, None]] = {}  # once each, though several rules may have judged it
    for row in connection.execute(
        select(grant.c.consent_id, grant.c.purpose)
        .where(grant.c.subject == subject, grant.c.withdrawn_at.is_(None))
        .order_by(grant.c.grant_id)
    ):
        live.setdefault(row.consent_id, {})[row.purpose] = None
    return tuple(
        Kept(
            seq=row.seq,
            record=_record(row),
            verdict=msgspec.json.decode(row.verdict, type=Verdict),
            judged=row.judged,
            recorded_at=row.recorded_at,
            withdrawn_at=row.withdrawn_at,
            purposes=tuple(live.get(row.consent_id, ())),
        )
        for row in connection.execute(select(consent).where(consent.c.subject == subject).order_by(consent.c.seq))
    )


def _meta(connection: Connection) -> dict[str, str]:
    return {row.key: row.value for row in connection.execute(select(meta))}


def _begin(connection: Connection) -> None:
    """What a new ledger knows of itself."""
    if not _meta(connection):
        values = {"format": FORMAT, "instance": secrets.token_hex(16), "sequence": "0"}
        connection.execute(insert(meta), [{"key": key, "value": value} for key, value in values.items()])
    if connection.execute(select(withdrawal).limit(1)).first() is None:
        # The table is new: what was withdrawn before it was made must be found there too.
        ended = grant.c.withdrawn_at
        old = select(grant.c.subject, grant.c.purpose, grant.c.recipient, ended, ended).where(ended.is_not(None))
        names = ["subject", "purpose", "recipient", "at", "recorded_at"]
        connection.execute(insert(withdrawal).from_select(names, old))


def _instance(connection: Connection) -> str:
    values = _meta(connection)
    if values.get("format") != FORMAT:
        raise Refused.own("GUARD-LEDGER", "The ledger is of another format than this version of guard writes.")
    return values["instance"]


def _keys(connection: Connection, subjects: Sequence[str]) -> dict[str, bytes]:
    keys: dict[str, bytes] = {}
    for part in _chunks(subjects):
        for row in connection.execute(select(person).where(person.c.subject.in_(part))):
            if len(row.key) != 32:
                raise Refused.own("GUARD-LEDGER", "A person key is damaged.")
            keys[row.subject] = row.key
    return keys


def _make_keys(connection: Connection, subjects: Sequence[str]) -> dict[str, bytes]:
    keys = _keys(connection, subjects)  # another process may have made them meanwhile
    made = {one: secrets.token_bytes(32) for one in subjects if one not in keys}
    if made:
        connection.execute(insert(person), [{"subject": one, "key": key} for one, key in made.items()])
    return keys | made


def _chunks(values: Iterable[V], size: int = _CHUNK) -> Iterator[list[V]]:
    """The values in runs of at most `size`."""
    listed = list(values)
    return (listed[start : start + size] for start in range(0, len(listed), size))
