"""Withdrawals: kept for good, so that no import, replay or repetition of an older consent revives what was withdrawn.

A withdrawal reaches to the moment at which it was made known, even if it says it is older: what was agreed before
anyone could know of it is not what the person wants now.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from sqlalchemy import Connection, func, insert, select

from guard_ledger.consent_record import EVERY, ConsentRecord
from guard_ledger.store import chunks
from guard_ledger.tables import grant, withdrawal

Withdrawals: TypeAlias = Mapping[str, Sequence[tuple[str, str, int]]]
"""Subject to purpose ('' all), recipient ('*' all) and the moment up to which older consents are void."""


def of_persons(connection: Connection, subjects: Iterable[str]) -> Withdrawals:
    """What each of these persons withdrew."""
    found: dict[str, list[tuple[str, str, int]]] = {}
    for part in chunks(subjects):
        for row in connection.execute(select(withdrawal).where(withdrawal.c.subject.in_(part))):
            found.setdefault(row.subject, []).append((row.purpose, row.recipient, max(row.at, row.recorded_at)))
    return found


def reach(record: ConsentRecord, withdrawals: Withdrawals) -> int:
    """The moment up to which consents like this one are withdrawn; -1 if none is."""
    purposes = {"", *record.consent.purposes}
    recipients = {EVERY, record.consent.recipient or ""}
    moments = (
        moment
        for purpose, recipient, moment in withdrawals.get(record.subject, ())
        if purpose in purposes and recipient in recipients
    )
    return max(moments, default=-1)


def keep(connection: Connection, rows: Sequence[Mapping[str, Any]], made_known: int) -> None:
    """Adds withdrawals: subject, purpose, recipient, at."""
    connection.execute(insert(withdrawal), [{**row, "recorded_at": made_known} for row in rows])


def mark(connection: Connection) -> int:
    """How many there have been: the primary key's last number."""
    return connection.scalar(select(func.max(withdrawal.c.seq))) or 0


def since(connection: Connection, mark: int) -> frozenset[str]:
    """Who withdrew anything after the mark. Asked by number alone, which the primary key answers."""
    return frozenset(connection.scalars(select(withdrawal.c.subject).where(withdrawal.c.seq > mark)))


def adopt(connection: Connection) -> None:
    """Where the table is new, what was withdrawn before it was made must be found there too."""
    if connection.execute(select(withdrawal).limit(1)).first() is None:
        ended = grant.c.withdrawn_at
        old = select(grant.c.subject, grant.c.purpose, grant.c.recipient, ended, ended).where(ended.is_not(None))
        names = ["subject", "purpose", "recipient", "at", "recorded_at"]
        connection.execute(insert(withdrawal).from_select(names, old))
