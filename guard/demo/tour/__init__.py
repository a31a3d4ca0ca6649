"""The tour: real calls on the example holders, each with what came of it. Rendering is the command's business."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from guard.config import Settings
from guard.demo import agency, bank
from guard.demo.people import APPLICANT
from guard.demo.tour import collecting, consenting, exporting, reading, registered, reporting
from guard.demo.tour.holder import Holder, Played
from guard.demo.tour.step import Detail, Disagreement, Ended, Statements, Step
from guard.facade import Guard
from guard_ledger.consent_record import ConsentRecord
from guard_ledger.ledger import Ledger

__all__ = [
    "APPLICANT",
    "STEPS",
    "Detail",
    "Disagreement",
    "Ended",
    "Statements",
    "Step",
    "Tour",
    "make_bank",
    "open_agency",
    "open_bank",
]

STEPS: Final = (
    "read-one",
    "not-my-case",
    "no-purpose",
    "read-all",
    "aggregate",
    "join",
    "withdraw",
    "consent-lifetime",
    "consent-forced",
    "consent-bundled",
    "collect-extra-field",
    "forbidden-category",
    "export-held",
    "export-self-approved",
    "export-released",
    "export-again",
    "register-verified",
    "register-tampered",
)
"""The steps, in their order."""


def make_bank(folder: Path) -> Path:
    """Makes the example bank in an empty folder; its guard.yaml."""
    return bank.build(folder)


def open_bank(settings: Settings) -> Guard:
    """Opens the guard of an example bank and records everybody's consents, the unlawful ones too: they are refused."""
    return _opened(settings, bank.record)


def open_agency(settings: Settings) -> Guard:
    """Opens the guard of an example credit agency, as `open_bank`."""
    return _opened(settings, agency.record)


def _opened(settings: Settings, record: Callable[[Ledger], None]) -> Guard:
    guard = Guard.open(settings)
    try:
        record(guard.consents)
    except BaseException:
        guard.close()
        raise
    return guard


class Tour:
    """Plays the steps on an open bank and an open agency, in order. The guards stay open."""

    def __init__(self, bank: Guard, agency: Guard) -> None:
        self._bank = Holder(bank)
        try:
            self._agency = Holder(agency)
        except BaseException:
            self._bank.close()
            raise

    def steps(self) -> Iterator[Step]:
        """Each step as it was played. Raises Disagreement where the guard does not do what it says."""
        played: list[Played] = []
        for one in self._before_the_register():
            played.append(one)
            yield one.step
        for one in registered.steps(self._bank, self._agency, played):
            yield one.step

    def _before_the_register(self) -> Iterator[Played]:
        yield from reading.steps(self._bank)
        yield from consenting.steps(self._bank, _form(bank.consents(), separate=False))
        yield collecting.step(self._bank)
        yield reporting.step(self._agency, _form(agency.consents(), separate=True))
        yield from exporting.steps(self._bank)

    def close(self) -> None:
        """Closes the connections."""
        self._bank.close()
        self._agency.close()


def _form(records: Iterator[ConsentRecord], *, separate: bool) -> ConsentRecord:
    """A lawful form as the holder's customers sign it, to all of what it asks for."""
    return next(one for one in records if one.consent.separate is separate and one.consent.expires_at)
