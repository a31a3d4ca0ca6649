"""What a guard stands on, made from its settings: engine, ledger, register, reviews, and who answers for persons.

Each lies behind a seam of the core and in a package of its own; but for `guard.testing`, this module alone names them.
`Guard.open` loads it, so that what only plans or only reads documents loads none of them.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from functools import cache, partial

import msgspec

from guard import clock
from guard.config import Settings
from guard.drive import Answers
from guard.purposes import unknown_in
from guard.release import Release
from guard_engine import releases
from guard_ledger.ledger import Ledger
from guard_ledger.person_keys import PersonKeys
from guard_ledger.review import Reviews
from guard_register.register import Register
from guard_register.seal import KeyFile


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """What one guard stands on. `answers` is made when records are first decided, and loads the SQL that it takes."""

    release: Release
    ledger: Ledger
    register: Register
    reviews: Reviews
    answers: Callable[[], Answers]


def parts(
    settings: Settings, *, now: clock.Steady, release: Release | None = None, registers: type[Register] = Register
) -> Parts:
    """Opens all of them, or none; the consents of a ledger that other rules judged are judged again.

    `release` takes the place of the one that the settings name. Raises ConfigError with every problem found, Refused
    if something cannot be trusted.
    """
    with ExitStack() as undo:
        decides = release or releases.load(settings)
        undo.callback(decides.close)
        persons = PersonKeys.open(settings)
        undo.callback(persons.close)
        register = registers.open(settings, persons.keys, now=now.recent)
        undo.callback(register.close)
        ledger = Ledger.open(
            settings,
            decides.decider,
            persons=persons,
            now=now,
            append=register.append,
            messages=decides.messages,
            unknown=partial(unknown_in, purposes=decides.purposes, categories=decides.categories),
        )
        undo.callback(ledger.close)
        ledger.rejudge()
        reviews = Reviews(
            ledger.store,
            sealer=lambda: KeyFile(settings.register_.key_file),
            append=register.append,
            messages=decides.messages,
            now=now,
            approval=settings.limits.approval,
            held=settings.limits.held,
        )
        undo.pop_all()

    @cache
    def answers() -> Answers:
        from guard_sql.answers import of_ledger  # noqa: PLC0415 -- sqlglot is loaded by who needs it

        return of_ledger(settings, decides.catalogue, ledger.store)

    return Parts(release=decides, ledger=ledger, register=register, reviews=reviews, answers=answers)
