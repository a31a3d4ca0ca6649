"""The step at the bank's web application: a form that asks for more than the loan needs, handed in over HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import anyio
import msgspec
from starlette.middleware import Middleware

from guard.demo import web
from guard.demo.people import APPLICANT, PURPOSE
from guard.demo.tour.holder import Holder, Played, Trace
from guard.demo.tour.request import Tap, post
from guard.demo.tour.step import Disagreement, Step
from guard.model import Actor
from guard_register.entry import Entry

PATH: Final = "/applications"
FORM: Final[Mapping[str, Any]] = {
    "customer_id": int(APPLICANT),
    "mobile": "18659693900",
    "monthly_income": 1299,
    "loan_purpose": "car (used)",
    "credit_amount": 4000,
    "duration_in_month": 24,
    "foreign_worker": False,
    "religion": "none",
    "wechat_contacts": ["a friend", "a colleague"],
}
"""The last three are more than it needs: the catalogue knows the first of them, and of the others nothing."""


def step(bank: Holder) -> Played:
    """The applicant hands the form in; what the program received is what came out of the request gate."""
    actor = Actor(id=APPLICANT)
    seen: list[bytes] = []
    app = web.application(bank.guard, inside=[Middleware(Tap, seen)])
    answer = anyio.run(post, app, PATH, actor.id, msgspec.json.encode(FORM))
    refused, outcome = answer.refused, answer.outcome
    arrived = list(msgspec.json.decode(seen[0])) if seen else []
    rules = refused.rules if refused else outcome.rules if outcome else ()
    trace = Trace(
        kind="denied" if refused else "intent",
        seq=None if refused or outcome is None else outcome.entry,
        purpose=PURPOSE,
        rules=rules if refused else (),
        subject=APPLICANT,
    )
    entry = bank.entry(trace)
    stripped = [name for name in FORM if name not in arrived]
    if refused is None:
        _agree(entry, set(arrived))
    return Played(
        Step(
            step="collect-extra-field",
            operation="collect",
            outcome="refused" if refused else "reduced" if stripped else "allowed",
            rules=rules,
            rows=outcome.rows if outcome else 0,
            detail=bank.detail(
                actor,
                f"purpose {PURPOSE}, person {APPLICANT}, POST {PATH}",
                rules,
                refused,
                message=f"The program received it without {', '.join(stripped)}." if stripped else "All of it arrived.",
                entry=entry.seq,
                found={
                    "sent": list(FORM),
                    "arrived": arrived,
                    "stripped": stripped,
                    "uncatalogued": outcome.undeclared if outcome else None,
                    "status": answer.status,
                },
            ),
        ),
        bank,
        (trace,),
    )


def _agree(entry: Entry, arrived: set[str]) -> None:
    """The register says of each field that the catalogue knows whether it was kept or stripped; nothing else came."""
    treated = {one.field.removeprefix("/"): one.treatment for one in entry.touched if one.field}
    if {field for field, treatment in treated.items() if treatment == "keep"} != arrived:
        raise Disagreement("collect-extra-field: the program received another form than the register says.")
