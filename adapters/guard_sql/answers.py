"""`holds` on the connections of the ledger: for whom a condition holds, where no statement of the program runs."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection

from guard.catalogue import Catalogue
from guard.config import Settings
from guard.ledger_store import Store
from guard.model import Condition, Facts
from guard_sql import paramstyle
from guard_sql.holds import holds
from guard_sql.site import Site


class LedgerAnswers:
    """Answers about persons. Shared between threads."""

    def __init__(self, site: Site, store: Store) -> None:
        self._site: Final = site
        self._store: Final = store

    def holds(self, source: str, condition: Condition, subjects: tuple[str, ...], facts: Facts) -> set[str]:
        """For whom of `subjects` the condition holds. Refused GUARD-LEDGER where the database does not answer."""
        sql, parameters = holds(self._site, source, condition, subjects, facts)
        text = paramstyle.pyformat(sql) if self._site.dialect == "postgres" else sql

        def asked(connection: Connection) -> set[str]:
            return {key for (key,) in connection.exec_driver_sql(text, parameters)}

        return self._store.run(asked)


def of_ledger(settings: Settings, catalogue: Catalogue, store: Store) -> LedgerAnswers:
    """The answers of the ledger's database, which is the one that the settings name."""
    database = settings.database
    site = Site(catalogue=catalogue, holder=settings.holder, schemas=database.schemas, dialect=database.dialect)
    return LedgerAnswers(site, store)
