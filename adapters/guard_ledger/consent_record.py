"""A consent as it is handed to the ledger: what may be recorded, and how far a verdict on it may go."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Final, TypeAlias
from uuid import UUID

import msgspec

from guard.context import subject_key
from guard.errors import Refused
from guard.model import Consent, Scope, Verdict, normal_scopes
from guard.wire import canonical
from guard_ledger import consent_faults

EVERY: Final = "*"
"""The recipient of a withdrawal that is meant for all of them; so no recipient is called this."""

Pairs: TypeAlias = frozenset[tuple[str, str]]
"""The pairs of operation and category that a scope covers."""

_FAR: Final = 2**40
"""Times at or after this are not times (UTC seconds of the year 36812)."""

_DIGEST: Final = re.compile(r"[a-z0-9]{2,16}:[0-9a-f]{64}", re.ASCII)

_NOT_TEXT: Final = (bytes, bytearray, memoryview, date, datetime, time, timedelta, Decimal, UUID)
"""Types that a JSON encoder would silently turn into text."""


class ConsentRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A consent and whose it is.

    `subject` is the person's canonical key, `recorder` the id of the actor who recorded it, who can never use it;
    it may be left out where the ledger is told the actor. `evidence` is the digest of what proves it
    (`sha256:…`), never the thing itself; a consent that is more than asserted must have one. The guard does not
    verify it yet. `consent.time` is stamped anew when it is recorded.
    """

    consent: Consent
    subject: str
    recorder: str = ""
    evidence: str | None = None


def checked(raw: ConsentRecord) -> ConsentRecord:
    """The record with every type checked (a constructor checks none), in canonical text; or GUARD-CONSENT."""
    typed = _typed(raw)
    if isinstance(typed, str):  # raised here, so that the error, which may quote the record, is not even its context
        raise Refused.own("GUARD-CONSENT", typed)
    record, text = typed
    subject_key(record.subject)
    one = record.consent
    recipients = () if one.recipient is None else (one.recipient,)
    for said in (record.recorder, one.id, *one.purposes, *one.operations, *one.categories, one.basis, *recipients):
        name(said)
    if EVERY in recipients:
        raise Refused.own("GUARD-CONSENT", "A recipient is one organisation.")
    if not one.purposes or len(set(one.purposes)) != len(one.purposes):
        raise Refused.own("GUARD-CONSENT", "It names no purpose, or one twice.")
    if not unicodedata.is_normalized("NFC", text):
        raise Refused.own("GUARD-CONSENT", "A text is not in Unicode NFC.")
    times = (one.granted_at, one.expires_at or 0, (one.notice.shown_at or 0) if one.notice else 0)
    if not all(0 <= moment < _FAR for moment in times):
        raise Refused.own("GUARD-CONSENT", "A time is not in UTC seconds.")
    if one.assurance != "asserted" and record.evidence is None:
        raise Refused.own("GUARD-CONSENT", "An observed or proved consent carries the digest of its evidence.")
    digest(record.evidence, "evidence")
    digest(one.notice.digest if one.notice else None, "notice")
    return record


def _typed(raw: ConsentRecord) -> tuple[ConsentRecord, str] | str:
    """The record with its types checked, and its canonical JSON; or what is wrong with it."""
    try:
        record = msgspec.convert(msgspec.to_builtins(raw, builtin_types=_NOT_TEXT), ConsentRecord)
        return record, canonical(record).decode()
    except msgspec.ValidationError as error:
        return consent_faults.said(error)
    except (msgspec.MsgspecError, TypeError, ValueError, OverflowError):
        return "A part is of a type that no consent record holds, or a text or number that JSON does not hold."


def name(text: str) -> None:
    """Names are compared byte by byte, so they have one spelling, that of a subject key."""
    try:
        subject_key(text)
    except Refused:
        raise Refused.own("GUARD-CONSENT", "A name is empty, too long, or not canonical text.") from None


def digest(text: str | None, what: str) -> None:
    """Refused where it is neither a digest nor left out."""
    if text is not None and not _DIGEST.fullmatch(text):
        raise Refused.own("GUARD-CONSENT", f"The {what} is not a digest such as sha256:….")


def narrowed(verdict: Verdict, asked: Consent) -> Verdict:
    """The verdict, once it is sure that it does not go beyond the consent; a denial comes out bare."""
    if not verdict.valid:
        return Verdict(id=verdict.id, valid=False, reasons=verdict.reasons)
    covered = pairs(verdict.scopes)
    given = {(operation, category) for operation in asked.operations for category in asked.categories}
    end = verdict.valid_until
    if end is None or not covered or not covered <= given:
        raise Refused.own("GUARD-VERDICT")
    if asked.expires_at is not None:
        end = min(end, asked.expires_at)
    if not asked.granted_at < end < _FAR:
        raise Refused.own("GUARD-VERDICT")
    return msgspec.structs.replace(verdict, scopes=normal_scopes(verdict.scopes), valid_until=end)


def pairs(scopes: Iterable[Scope]) -> Pairs:
    """What scopes cover together."""
    return frozenset(
        (operation, category) for one in scopes for operation in one.operations for category in one.categories
    )
