"""Renewals: a consent that takes the place of an older one before that ends.

It is a fresh act of the person: observed, with evidence and a notice of its own, later than the old one, for no
more than the old one. So a lifetime by instalments takes the person's own act for each instalment, and the
policies bound each of them as they bound any consent: from the moment it was given.
"""

from __future__ import annotations

from sqlalchemy import Connection, insert, select, update

from guard.errors import Refused
from guard_ledger.consent_record import ConsentRecord
from guard_ledger.grants import record_of
from guard_ledger.tables import consent, grant, renewal


def check(connection: Connection, old_id: str, new: ConsentRecord, seconds: int) -> None:
    """Refused GUARD-RENEWAL where the record is no renewal of that consent."""
    row = connection.execute(select(consent).where(consent.c.consent_id == old_id)).one_or_none()
    if row is None or row.subject != new.subject:
        raise Refused.own("GUARD-RENEWAL", "The person has no consent with this id.")
    if not row.valid or row.withdrawn_at is not None:
        raise Refused.own("GUARD-RENEWAL", "It was void or is withdrawn; record a new consent.")
    if connection.execute(select(renewal).where(renewal.c.renews == old_id)).first() is not None:
        raise Refused.own("GUARD-RENEWAL", "It was renewed already; renew the consent that took its place.")
    asked = select(grant.c.purpose).where(grant.c.consent_id == old_id, grant.c.withdrawn_at.is_(None))
    problem = _fresh(record_of(row), new, seconds) or _no_more(record_of(row), new, set(connection.scalars(asked)))
    if problem:
        raise Refused.own("GUARD-RENEWAL", problem)


def _fresh(old: ConsentRecord, new: ConsentRecord, seconds: int) -> str | None:
    if new.consent.assurance == "asserted":
        return "It takes an act of the person's that was observed or is proved."
    if new.evidence == old.evidence:
        return "It carries the evidence of the old one, not of a new act."
    if not old.consent.granted_at < new.consent.granted_at <= seconds:
        return "It was not given after the old one."
    shown = new.consent.notice.shown_at if new.consent.notice else None
    if shown is None or shown <= old.consent.granted_at:
        return "No notice was shown for it."
    return None


def _no_more(old: ConsentRecord, new: ConsentRecord, purposes: set[str]) -> str | None:
    before, after = old.consent, new.consent
    if not set(after.purposes) <= purposes:
        return "It names a purpose that the old one does not have any more."
    if (after.recipient, after.basis) != (before.recipient, before.basis):
        return "It is for another recipient, or on another basis."
    if not set(after.operations) <= set(before.operations) or not set(after.categories) <= set(before.categories):
        return "It covers more than the old one."
    if (before.separate and not after.separate) or (before.written and not after.written):
        return "The old one was given separately or in writing."
    return None


def keep(connection: Connection, old_id: str, new: ConsentRecord, seconds: int) -> None:
    """The new one takes the place of the old one, whose grants end now for the purposes of the new one.

    Under whatever rules they were judged: else a withdrawal of the new one would leave them alive.
    """
    connection.execute(insert(renewal), [{"consent_id": new.consent.id, "renews": old_id}])
    connection.execute(
        update(grant)
        .where(grant.c.consent_id == old_id, grant.c.purpose.in_(new.consent.purposes))
        .where(grant.c.valid_until > seconds)
        .values(valid_until=seconds)
    )


def renewed(connection: Connection, new_id: str) -> str | None:
    """The consent in whose place this one stands."""
    found: str | None = connection.scalar(select(renewal.c.renews).where(renewal.c.consent_id == new_id))
    return found


def chain(connection: Connection, consent_id: str) -> tuple[str, ...]:
    """The consent, those before it whose place it took, and those after it: one wish of the person's."""
    found = [consent_id]
    while (older := renewed(connection, found[0])) is not None:
        found.insert(0, older)
    while (newer := _renewal(connection, found[-1])) is not None:
        found.append(newer)
    return tuple(found)


def _renewal(connection: Connection, old_id: str) -> str | None:
    found: str | None = connection.scalar(select(renewal.c.consent_id).where(renewal.c.renews == old_id))
    return found
