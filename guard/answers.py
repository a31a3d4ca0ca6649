"""For whom a condition holds, asked of the ledger's own database: what records are decided by.

A statement asks on the connection that it runs on. Records come from wherever the program had them, so they are
answered for on the ledger's connections: bounded in time, in a snapshot that is never older than the question, and
with nothing of what the database says about an error. The conditions are the ones of statements, in `guard_sql`; the
core names that adapter here and nowhere else, and loads it when the first records are decided.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from guard.catalogue import Catalogue
from guard.config import Settings
from guard.drive import Answers
from guard.ledger_store import Store


def of_ledger(settings: Settings, catalogue: Catalogue, store: Store) -> Answers:
    """What answers in the database of the ledger."""
    adapter: Any = import_module("guard_sql.answers")
    answers: Answers = adapter.of_ledger(settings, catalogue, store)
    return answers
