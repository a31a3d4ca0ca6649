"""`holds` on the connections of the ledger: for whom a condition holds, where no statement of the program runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Protocol

from guard.catalogue import Catalogue
from guard.config import Settings
from guard.errors import Misuse
from guard.model import Condition, Facts
from guard_sql import paramstyle
from guard_sql.holds import Question, question
from guard_sql.site import Site


class Asks(Protocol):
    """The connections of the ledger."""

    def ask(self, sql: str, parameters: Mapping[str, Any]) -> list[Any]:
        """The rows of one text that reads; Refused where the database does not answer."""
        ...


class LedgerAnswers:
    """Answers about persons. A question is written once for all of them. Shared between threads.

    Refused GUARD-LEDGER where the database does not answer.
    """

    def __init__(self, site: Site, store: Asks, *, most: int) -> None:
        self._site: Final = site
        self._store: Final = store
        self._most: Final = most
        self._questions: dict[tuple[str, tuple[Condition, ...]], Question] = {}

    def holds(self, source: str, condition: Condition, subjects: tuple[str, ...], facts: Facts) -> set[str]:
        """For whom of `subjects` the condition holds."""
        return self.holds_each(source, (condition,), subjects, facts)[0]

    def holds_each(
        self, source: str, conditions: tuple[Condition, ...], subjects: tuple[str, ...], facts: Facts
    ) -> tuple[set[str], ...]:
        """For whom of `subjects` each of the conditions holds."""
        asked = self._question(source, conditions)
        sql = paramstyle.pyformat(asked.sql) if self._site.dialect == "postgres" else asked.sql
        bound = asked.bound(subjects, facts)
        rows = self._store.ask(sql, bound)
        if not rows:
            return tuple(set() for _ in conditions)
        keys, *truths = zip(*rows, strict=True)
        holding = tuple({str(key) for key, truth in zip(keys, of, strict=True) if truth in (1, True)} for of in truths)
        if len(holding) != len(conditions):
            raise Misuse("A question is answered with one truth for each of its conditions.")
        return holding

    def _question(self, source: str, conditions: tuple[Condition, ...]) -> Question:
        made = self._questions.get((source, conditions))
        if made is None:
            made = question(self._site, source, conditions)
            if len(self._questions) >= self._most:
                self._questions.clear()
            self._questions[source, conditions] = made
        return made


def of_ledger(settings: Settings, catalogue: Catalogue, store: Asks) -> LedgerAnswers:
    """The answers of the ledger's database, which is the one that the settings name."""
    database = settings.database
    site = Site(catalogue=catalogue, holder=settings.holder, schemas=database.schemas, dialect=database.dialect)
    return LedgerAnswers(site, store, most=max(1, settings.limits.plans))
