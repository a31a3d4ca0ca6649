"""Notices never change: a version of a notice says one thing, told by its digest.

So a person's consent cannot be brought under another text than the one that was shown. The first digest that a
publication or a valid consent gives for a version is the digest of that version.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeAlias

import msgspec
from sqlalchemy import Connection, insert, select

from guard.model import Consent, Notice
from guard_ledger.store import chunks
from guard_ledger.tables import consent, notice

Known: TypeAlias = dict[tuple[str, str], str]
"""Id and version to digest."""


def known(connection: Connection, ids: Iterable[str]) -> Known:
    """What the ledger knows of these notices."""
    found: Known = {}
    for part in chunks(sorted(set(ids))):
        for row in connection.execute(select(notice).where(notice.c.notice_id.in_(part))):
            found[row.notice_id, row.version] = row.digest
    return found


def differs(one: Notice | None, known: Known) -> bool:
    """Whether this version is known to say something else. A notice without a digest says nothing of its text."""
    if one is None or one.digest is None:
        return False
    return known.get((one.id, one.version), one.digest) != one.digest


def learn(one: Notice | None, known: Known) -> Known:
    """Adds a version to what is known; gives what is new of it."""
    if one is None or one.digest is None or (one.id, one.version) in known:
        return {}
    known[one.id, one.version] = one.digest
    return {(one.id, one.version): one.digest}


def keep(connection: Connection, new: Mapping[tuple[str, str], str], seconds: int) -> None:
    """Keeps new versions."""
    if new:
        rows = [
            {"notice_id": name, "version": version, "digest": digest, "recorded_at": seconds}
            for (name, version), digest in new.items()
        ]
        connection.execute(insert(notice), rows)


def adopt(connection: Connection) -> None:
    """Where the table is new, the valid consents that were recorded before say what was shown."""
    if connection.execute(select(notice).limit(1)).first() is not None:
        return
    known: Known = {}
    for row in connection.execute(select(consent.c.record).where(consent.c.valid == 1).order_by(consent.c.seq)):
        learn(msgspec.json.decode(row.record, type=Consent).notice, known)
    keep(connection, known, 0)
