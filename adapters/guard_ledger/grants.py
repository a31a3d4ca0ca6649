"""Consents and grants as rows: what is kept of a record, and what it makes lawful.

A consent with n purposes is n grants, all of one scope. A scope is a set of pairs of operation and category; there
are few, they have numbers and never change.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, insert, select, update

from guard.errors import Refused
from guard.model import ASSURANCE, Consent, Verdict
from guard.wire import canonical
from guard_ledger.consent_record import ConsentRecord, Pairs
from guard_ledger.store import chunks
from guard_ledger.tables import consent, grant, renewal, scope


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A consent as the ledger keeps it: the record, its verdict, and whether it was withdrawn (UTC seconds).

    `purposes` are those whose grants are not withdrawn; `renewed_by` is the consent that took its place.
    """

    seq: int
    record: ConsentRecord
    verdict: Verdict
    judged: str
    recorded_at: int
    withdrawn_at: int | None
    purposes: tuple[str, ...]
    renewed_by: str | None = None


# --- Consents -------------------------------------------------------------------------------------


def consent_row(record: ConsentRecord, verdict: Verdict, judged: str, seconds: int) -> dict[str, Any]:
    """What is kept of a record, valid or not."""
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


def record_of(row: Any) -> ConsentRecord:
    """The record in a row of `guard_consent`."""
    return ConsentRecord(
        consent=msgspec.json.decode(row.record, type=Consent),
        subject=row.subject,
        recorder=row.recorder,
        evidence=row.evidence,
    )


def known(connection: Connection, asked: Mapping[str, ConsentRecord]) -> dict[str, Verdict]:
    """The verdicts of those records that the ledger holds already; another record under a known id is refused."""
    found: dict[str, Verdict] = {}
    for part in chunks(asked):
        for row in connection.execute(select(consent).where(consent.c.consent_id.in_(part))):
            record, old = asked[row.consent_id], record_of(row)
            # The time of judging is no part of what the person agreed to.
            same = msgspec.structs.replace(old, consent=msgspec.structs.replace(old.consent, time=record.consent.time))
            if same != record:
                raise Refused.own("GUARD-CONSENT", "The ledger holds another record under this consent id.")
            found[row.consent_id] = msgspec.json.decode(row.verdict, type=Verdict)
    return found


def of_person(connection: Connection, subject: str) -> tuple[Kept, ...]:
    """All consents of a person, in the order in which they were recorded."""
    live: dict[str, dict[str, None]] = {}  # once each, though several rules may have judged it
    for row in connection.execute(
        select(grant.c.consent_id, grant.c.purpose)
        .where(grant.c.subject == subject, grant.c.withdrawn_at.is_(None))
        .order_by(grant.c.grant_id)
    ):
        live.setdefault(row.consent_id, {})[row.purpose] = None
    asked = (
        select(consent, renewal.c.consent_id.label("renewed_by"))
        .outerjoin(renewal, renewal.c.renews == consent.c.consent_id)
        .where(consent.c.subject == subject)
        .order_by(consent.c.seq)
    )
    return tuple(
        Kept(
            seq=row.seq,
            record=record_of(row),
            verdict=msgspec.json.decode(row.verdict, type=Verdict),
            judged=row.judged,
            recorded_at=row.recorded_at,
            withdrawn_at=row.withdrawn_at,
            purposes=tuple(live.get(row.consent_id, ())),
            renewed_by=row.renewed_by,
        )
        for row in connection.execute(asked)
    )


# --- Grants ---------------------------------------------------------------------------------------


def grant_rows(record: ConsentRecord, verdict: Verdict, number: int, judged: str) -> list[dict[str, Any]]:
    """One grant a purpose."""
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


def end(connection: Connection, which: ColumnElement[bool], ids: Sequence[str], moment: int) -> int:
    """Ends the live grants among `which`, and those of the consents `ids` that have none left; gives how many."""
    live = grant.c.withdrawn_at.is_(None)
    ended = connection.execute(update(grant).where(which, live).values(withdrawn_at=moment)).rowcount
    for part in chunks(ids):
        alive = select(grant.c.consent_id).where(grant.c.consent_id.in_(part), live)
        connection.execute(
            update(consent)
            .where(consent.c.consent_id.in_(part), consent.c.withdrawn_at.is_(None))
            .where(consent.c.consent_id.not_in(alive))
            .values(withdrawn_at=moment)
        )
    return ended


# --- Scopes ---------------------------------------------------------------------------------------


def scopes(connection: Connection) -> dict[int, Pairs]:
    """What each scope covers, by its number."""
    found: dict[int, set[tuple[str, str]]] = {}
    for row in connection.execute(select(scope)):
        found.setdefault(row.scope, set()).add((row.operation, row.category))
    return {number: frozenset(of) for number, of in found.items()}


def number_of(connection: Connection, pairs: Pairs, numbers: dict[Pairs, int]) -> int:
    """The number of the scope of exactly these pairs, made if need be. `numbers` learns what it read and made."""
    if pairs in numbers:
        return numbers[pairs]
    numbers.update({of: number for number, of in scopes(connection).items()})
    if pairs not in numbers:
        numbers[pairs] = max(numbers.values(), default=0) + 1
        rows = [{"scope": numbers[pairs], "operation": one, "category": other} for one, other in sorted(pairs)]
        connection.execute(insert(scope), rows)
    return numbers[pairs]
