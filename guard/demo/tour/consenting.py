"""Steps on consents that the law does not accept: each is brought to the ledger, which asks the policies."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from guard.demo.people import FORM, MARKETING, PURPOSE, UNDECIDED
from guard.demo.tour.holder import Holder, Played, Trace
from guard.demo.tour.step import Disagreement, Step
from guard.errors import Refused
from guard.model import Consent
from guard_ledger.consent_record import ConsentRecord

FORMS: Final[Mapping[str, tuple[str, Mapping[str, Any]]]] = {
    "consent-lifetime": ("a consent to underwriting that never ends", {"expires_at": None}),
    "consent-forced": (
        "a consent to marketing, without which there is no loan",
        {"purposes": (MARKETING,), "categories": ("identity", "contact"), "refusal_denies_service": True},
    ),
    "consent-bundled": (
        "one tick for underwriting and marketing together",
        {"purposes": (PURPOSE, MARKETING), "bundled": True},
    ),
}
"""What each form asks for, and how it differs from the form that everybody signed."""


def steps(bank: Holder, form: ConsentRecord) -> Iterator[Played]:
    """Each unlawful form, filled in by a customer who has consented to nothing yet. `form` is a lawful one."""
    for name, (what, differs) in FORMS.items():
        yield _recorded(bank, name, what, filled(form, f"c-{name}", UNDECIDED, differs))


def filled(form: ConsentRecord, consent_id: str, subject: str, differs: Mapping[str, Any]) -> ConsentRecord:
    """The same form, filled in just now by somebody else, with what it says differently."""
    now = int(time.time())
    lasts = (form.consent.expires_at or 0) - form.consent.granted_at
    notice = form.consent.notice and msgspec.structs.replace(form.consent.notice, shown_at=now - 60)
    said = {"id": consent_id, "granted_at": now - 1, "expires_at": now + lasts, "notice": notice, **differs}
    consent: Consent = msgspec.structs.replace(form.consent, **said)
    return msgspec.structs.replace(form, consent=consent, subject=subject)


def _recorded(bank: Holder, name: str, what: str, record: ConsentRecord) -> Played:
    ledger = bank.guard.consents
    refused: Refused | None = None
    try:
        ledger.record(record, by=FORM)
    except Refused as caught:
        refused = caught
    kept = next(one for one in ledger.list(record.subject) if one.record.consent.id == record.consent.id)
    if kept.verdict.valid is (refused is not None):
        raise Disagreement(f"{name}: the ledger keeps another verdict than it gave.")
    rules = refused.rules if refused else ()
    trace = Trace(kind="consent", actor=FORM.id, consent=record.consent.id, rules=rules, subject=record.subject)
    step = Step(
        step=name,
        operation="consent",
        outcome="refused" if refused else "allowed",
        rules=rules,
        detail=bank.detail(
            FORM,
            f"{what}, of person {record.subject}",
            rules,
            refused,
            message="The ledger keeps it; it counts from now on.",
            entry=bank.entry(trace).seq,
            found={"consent": record.consent.id, "valid": kept.verdict.valid, "granted": kept.purposes},
        ),
    )
    return Played(step, bank, (trace,))
