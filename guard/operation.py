"""An operation of a program's own code: what no adapter catches asks for a permit, and releases by it.

```python
with guard.acting(officer, purpose="loan_underwriting", subject="1001"):
    with guard.operation(guard.activity("bank:retail.customer", ["full_name", "mobile"])) as permit:
        rows = permit.release(look_up(1001))
```
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, Final, Self, TypeAlias

from guard import drive
from guard.attempt import Attempt
from guard.context import subject_key
from guard.effects import Effect
from guard.enforce import decided, registered
from guard.errors import Misuse, Refused
from guard.model import Decision, Outcome
from guard.records import NO_MEMBER, DictRecords, Plan
from guard.releasing import releasing

Subjects: TypeAlias = Sequence[str | int | Sequence[str | int | None]]
"""Per record whom it is about: one key, or one for each subject of the source in the catalogue's order."""


Begin: TypeAlias = Callable[[object], tuple[Attempt, drive.Services]]
"""Begins an attempt in the context of the permit, given the parameters that an approval is bound to."""


class Permit:
    """A context manager: entering asks the policies, `release` is called once within it.

    What policy does not allow is refused at the entry, before the program has looked anything up; at the release it
    is decided again, now for the persons. Left without a release, a read of nothing is registered.
    """

    def __init__(
        self,
        plan: Plan,
        begin: Begin,
        outcome: Callable[[Outcome], None],
        parameters: object = None,
    ) -> None:
        self._plan: Final = plan
        self._begin: Final = begin
        self._outcome: Final = outcome
        self._parameters: Final = parameters
        self._entered: tuple[Attempt, drive.Services, Decision] | None = None
        self._used = False

    def __enter__(self) -> Self:
        if self._entered is not None or self._used:
            raise Misuse("A permit is for one operation; ask guard.operation(…) for another.")
        attempt, services = self._begin(self._parameters)
        self._entered = attempt, services, drive.follow(drive.Begun(_permitted(attempt), services))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        used, self._used = self._used, True
        if used:
            return
        if error is None:
            self._unused()
            return
        with suppress(Refused):  # the error of the block comes out, and nothing was released
            self._unused()

    @property
    def decision(self) -> Decision:
        """What the policies said at the entry: which fields are worth looking up."""
        return self._open()[2]

    def release(
        self, records: Sequence[Mapping[str, Any]], *, subjects: Subjects | None = None
    ) -> list[dict[str, Any]]:
        """The records as they may be seen: those that may not are left out, fields masked or dropped.

        A record of a table has its columns as keys, one of a route is the JSON object that it is. Only the fields of
        the activity are released. `subjects` says whom each record is about where its fields do not; where both do
        and differ, GUARD-SUBJECT.
        """
        self._open()
        if self._used:
            raise Misuse("A permit releases once, within its block.")
        named = _Named(self._plan, records, subjects)
        self._used = True
        persons: list[str] = []
        with suppress(Refused):  # the road finds the same, and registers it
            persons = sorted({key for of in named.persons() for keys in of for key in keys})
        # The program's text says little of what is released: an approval is for these fields of these persons.
        fields = [item.field for item in self._plan.items if item.field is not None]
        attempt, services = self._begin({"given": self._parameters, "fields": fields, "persons": persons})
        road = releasing(attempt, self._plan, named, self._outcome)
        made: list[dict[str, Any]] = drive.follow(drive.Begun(road, services))
        return made

    def _open(self) -> tuple[Attempt, drive.Services, Decision]:
        if self._entered is None:
            raise Misuse("A permit is entered first: with guard.operation(…) as permit.")
        return self._entered

    def _unused(self) -> None:
        attempt, services, _ = self._open()
        entry = services.append(attempt.draft("read", subjects=attempt.named))
        operation = attempt.activity.operation
        self._outcome(Outcome(operation=operation, reduced=False, rules=(), rows=0, entry=entry))


@registered
def _permitted(attempt: Attempt) -> Generator[Effect, Any, Decision]:
    """Decides and nothing else: what would be refused in any case is refused before anybody is looked up."""
    return (yield from decided(attempt))


class _Named(DictRecords):
    """Records whose persons the program may name beside them; fields that the activity does not have are dropped."""

    def __init__(self, plan: Plan, records: Sequence[Mapping[str, Any]], subjects: Subjects | None) -> None:
        super().__init__(plan.source, plan.entry, records)
        if subjects is not None and len(subjects) != self.count:
            raise Misuse(f"There are {self.count} records and the subjects of {len(subjects)}.")
        self._subjects: Final = subjects
        self._columns: Final = [subject.column for subject in plan.entry.subjects.values()]
        self._most: Final = len(self._columns)

    def persons(self) -> Sequence[tuple[tuple[str, ...], ...]]:
        """As the records say, or as the program says."""
        there = super().persons()
        if self._subjects is None:
            return there
        return [_together(of, self._said(given)) for of, given in zip(there, self._subjects, strict=True)]

    def values(self, field: str) -> Sequence[object]:
        """As the records say; of a person whom they leave out, as the program says, be it that there is none."""
        there = super().values(field)
        if self._subjects is None or field not in self._columns:
            return there
        said = [self._said(given)[self._columns.index(field)] for given in self._subjects]
        return [
            value if value is not NO_MEMBER else keys[0] if keys else None
            for value, keys in zip(there, said, strict=True)
        ]

    def _said(self, given: str | int | Sequence[str | int | None]) -> tuple[tuple[str, ...], ...]:
        listed = list(given) if isinstance(given, list | tuple) else [given]
        if len(listed) > self._most:
            raise Misuse(f"A record of this source is about {self._most} persons at most.")
        listed += [None] * (self._most - len(listed))
        return tuple(() if one is None else (subject_key(one),) for one in listed)


def _together(there: tuple[tuple[str, ...], ...], said: tuple[tuple[str, ...], ...]) -> tuple[tuple[str, ...], ...]:
    for keys, named in zip(there, said, strict=True):
        if keys and keys != named:
            raise Refused.own("GUARD-SUBJECT", "A record is about somebody else than the program says.")
    return said
