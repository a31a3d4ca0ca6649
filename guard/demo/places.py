"""The two example holders side by side, made for one tour."""

from __future__ import annotations

from pathlib import Path

import msgspec

from guard.demo import agency, bank


class Places(msgspec.Struct, frozen=True):
    """Where the two were made: the guard.yaml of each. Their consents are not recorded yet: `bank.record`."""

    bank: Path
    agency: Path


def make(folder: Path, database: str | None = None) -> Places:
    """Makes the bank in `folder`/bank and the agency in `folder`/agency; Misuse where there is one already.

    `database` is the URL of a PostgreSQL database for the bank's tables and consents, where nothing is dropped (see
    `guard.demo.postgres`); left out, it is an SQLite file. The agency's is always an SQLite file: a database has one
    ledger, and two holders have two.
    """
    return Places(
        bank=bank.build(folder / "bank", database=database),
        agency=agency.build(folder / "agency"),
    )
