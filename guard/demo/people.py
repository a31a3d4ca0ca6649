"""Who acts at the example holders, and whom it is about."""

from __future__ import annotations

from typing import Final

from guard.model import Actor

LIN: Final = Actor(id="officer-lin", roles=("loan_officer",), unit="branch-3")
CHEN: Final = Actor(id="officer-chen", roles=("loan_officer",), unit="branch-3")
FANG: Final = Actor(id="marketer-fang", roles=("marketer",), unit="head-office")
DPO: Final = Actor(id="officer-he", roles=("data_protection_officer",), unit="head-office")
ANALYST: Final = Actor(id="analyst-he", roles=("credit_analyst",), unit="reports")
FORM: Final = Actor(id="service-consent-form", kind="service")
"""The form on which persons consent and withdraw."""

PURPOSE: Final = "loan_underwriting"
MARKETING: Final = "marketing"
REPORTING: Final = "credit_reporting"

APPLICANT: Final = "1001"
WITHDRAWING: Final = "1002"
UNDECIDED: Final = "1006"
"""A customer who consented to nothing yet."""

REPORTED: Final = "p-2001"


def who(actor: Actor) -> str:
    """An actor in words."""
    told = ", ".join((*actor.roles, *((actor.unit,) if actor.unit else ())))
    name = f"customer {actor.id}" if actor.id.isdigit() else actor.id
    return f"{name} ({told})" if told else name
