"""Which records fulfil a condition: answered for all of their persons at once.

A condition is a tree. Its leaves between person and ledger (grant, relation) are asked of the database, each once for
all persons and all in one snapshot (`guard.effects.HoldsEach`): they have that one implementation. A leaf about a fact
compares what the record itself has (`guard.comparison`), `self` the person's key with the actor's id, as texts. What a
leaf means for a record is what it means for a row: a grant is asked for every person of it, a relation and `self` for
its first subject, the person whom it is about.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from itertools import chain
from operator import itemgetter
from typing import Any, Final, TypeAlias

from guard import pointers
from guard.attempt import Attempt
from guard.comparison import fulfils
from guard.effects import Effect, HoldsEach
from guard.errors import Refused
from guard.model import AllCondition, AnyCondition, Condition, FactCondition, GrantCondition, SelfCondition
from guard.records import NO_MEMBER, Plan, Records
from guard.terms import Terms

_FIRST: Final = itemgetter(0)
_ONLY_THE_FIRST: Final = (0,)

_JOINED: Final = (AllCondition, AnyCondition)

Persons: TypeAlias = Sequence[tuple[tuple[str, ...], ...]]
Truths: TypeAlias = Sequence[bool]
"""One for each record."""


class Standing:
    """The persons of some records, and which records fulfil the terms of a decision."""

    def __init__(self, attempt: Attempt, plan: Plan, records: Records, terms: Terms) -> None:
        self._attempt: Final = attempt
        self._plan: Final = plan
        self._terms: Final = terms
        self._records: Final = records
        self._persons: Final[Persons] = records.persons()
        self._first: Final[list[tuple[str, ...]]] = list(map(_FIRST, self._persons))
        self._every: Final = (
            self._first if len(plan.entry.subjects) == 1 else [tuple(chain.from_iterable(of)) for of in self._persons]
        )
        self._known: dict[Condition, Truths] = {}

    @property
    def named(self) -> Truths:
        """Whether a record names everybody whom it must be about, and says of all others whether it is."""
        required = self._plan.required
        if required == _ONLY_THE_FIRST:
            named = list(map(bool, self._first))
        else:
            named = [True] * len(self._persons)
            for place in required:  # one after the other: a loop within a loop costs five times as much
                named = [so_far and bool(of[place]) for so_far, of in zip(named, self._persons, strict=True)]
        silent = self._silent() if len(required) < len(self._plan.entry.subjects) else None
        return named if silent is None else [so_far and not one for so_far, one in zip(named, silent, strict=True)]

    def _silent(self) -> Truths | None:
        """Which records that leave do not say whether they are about a person whom they need not be about; None: none.

        That is not null: else who chooses which members an answer has would choose whose consent is asked for.
        """
        found: Truths | None = None
        if self._plan.kind == "collect":
            return found  # what a form does not say is not taken in
        for place, one in enumerate(self._plan.entry.subjects.values()):
            if one.optional and not pointers.many(one.column) and not all(of[place] for of in self._persons):
                values = self._records.values(one.column)
                silent = [value is NO_MEMBER and not of[place] for value, of in zip(values, self._persons, strict=True)]
                found = silent if found is None else [a or b for a, b in zip(found, silent, strict=True)]
        return found

    @property
    def about(self) -> Truths:
        """Whether a record is about the person whom the context declares, whoever else it is about."""
        subject = self._attempt.facts.subject
        return [subject is None or subject in persons for persons in self._every]

    def kept(self) -> Sequence[int]:
        """The positions of the records that may be met, in order; `asked` comes first."""
        every = range(len(self._persons))
        asked = [self.named, self.of(self._terms.rows)]
        if self._attempt.facts.subject is not None:
            asked.append(self.about)
        if all(map(all, asked)):
            return every
        return [place for place, met in zip(every, zip(*asked, strict=True), strict=True) if all(met)]

    def met(self, kept: Sequence[int]) -> tuple[str, ...]:
        """The persons of the records at these positions, each once, sorted."""
        every = self._every
        if len(every) == 1 and kept:
            return every[0] if len(every[0]) == 1 else tuple(sorted(set(every[0])))
        return tuple(sorted(set(chain.from_iterable([every[place] for place in kept]))))

    def asked(self) -> Generator[Effect, Any, None]:
        """Finds out which records fulfil the conditions of the terms."""
        terms = self._terms
        for fact in terms.facts:
            self._known[fact] = self._fact(fact)
        if not terms.between:
            return
        holding: Sequence[set[str]] = [set() for _ in terms.between]
        persons = self.met(range(len(self._every)))
        if persons:
            holding = yield HoldsEach(self._plan.source, terms.between, persons, self._attempt.facts)
        for leaf, holders in zip(terms.between, holding, strict=True):
            of = self._every if isinstance(leaf, GrantCondition) else self._first
            self._known[leaf] = _held(holders, of)

    def of(self, condition: Condition) -> Truths:
        """For which records a condition of the terms holds."""
        known = self._known.get(condition)
        if known is None:
            known = self._known[condition] = self._worked_out(condition)
        return known

    def _worked_out(self, condition: Condition) -> Truths:
        """The same, of what needs no question."""
        if isinstance(condition, SelfCondition):
            return _held({self._attempt.facts.actor}, self._first)
        if not isinstance(condition, _JOINED):
            raise KeyError(condition)
        join, of_nothing = (all, True) if isinstance(condition, AllCondition) else (any, False)
        parts = [self.of(part) for part in condition.conditions]
        return list(map(join, zip(*parts, strict=True))) if parts else [of_nothing] * len(self._every)

    def _fact(self, leaf: FactCondition) -> Truths:
        field = self._plan.entry.facts.get(leaf.name)
        if field is None:
            raise Refused.own("GUARD-DECISION-NAME", f"The fact {leaf.name} is not in the catalogue.")
        of_type, today = self._plan.entry.fields[field].type, self._attempt.facts.date
        return [fulfils(leaf, one, of_type, today) for one in self._records.values(field)]


def _held(holders: set[str], of: Sequence[tuple[str, ...]]) -> Truths:
    """Whether all persons of a record are among those; nobody is not."""
    held = list(map(holders.issuperset, of))
    return held if all(of) else [one and bool(keys) for one, keys in zip(held, of, strict=True)]
