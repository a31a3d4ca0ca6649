"""The step at the credit agency: what is never credit information, whoever consents."""

from __future__ import annotations

from typing import Final

import msgspec

from guard.demo.people import ANALYST, FORM, REPORTED, REPORTING
from guard.demo.tour.consenting import filled
from guard.demo.tour.holder import Holder, Played, Trace
from guard.errors import Refused
from guard_ledger.consent_record import ConsentRecord

FORBIDDEN: Final = ("religion", "blood_type")
READ: Final = "SELECT full_name, religion, blood_type FROM person WHERE person_id = ?"


def step(agency: Holder, form: ConsentRecord) -> Played:
    """The person signs that the agency may use both; then an analyst with an open inquiry reads them."""
    record = filled(form, "c-forbidden-category", REPORTED, {"categories": FORBIDDEN})
    refused: Refused | None = None
    try:
        agency.guard.consents.record(record, by=FORM)
    except Refused as caught:
        refused = caught
    consent = Trace(
        kind="consent",
        actor=FORM.id,
        consent=record.consent.id,
        rules=refused.rules if refused else (),
        subject=REPORTED,
    )
    said = f"a signed consent to both is void ({', '.join(refused.rules)})" if refused else "a signed consent counts"
    answer = agency.ask(ANALYST, REPORTING, READ, (REPORTED,), subject=REPORTED)
    played = agency.tell(
        "forbidden-category", answer, message=f"{said}.", found={"consent": record.consent.id, "valid": refused is None}
    )
    step = played.step
    detail = msgspec.structs.replace(step.detail, what=f"{step.detail.what}; {said}")
    return msgspec.structs.replace(
        played, step=msgspec.structs.replace(step, detail=detail), traces=(consent, *played.traces)
    )
