"""What a program's own tests need: a guard whose policies are a function, and a register that can be asked.

```python
from guard import testing

def test_the_page_masks(tmp_path):
    with testing.unsafe_guard("guard.yaml", tmp_path, database=url, decide=testing.allow_all) as guard:
        ...
        guard.registered.require("read", person="1001")
```

Catalogue, ledger, SQL rewriting, masks and register are the real ones; only the policies are replaced, so no engine
starts. It decides by no law: it is named unsafe and warns, and it takes a folder and a database of its own, never
those of a program. With pytest the fixture `unsafe_guard` opens and closes it and keeps the warning quiet:
see `guard.testing_fixtures`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Final, TypeAlias

import msgspec

from guard import catalogue
from guard.config import Database, Settings
from guard.config import Register as RegisterSettings
from guard.draft import Draft, Kind
from guard.engine import PROFILE, Entrypoint
from guard.errors import Misuse, UnsafeWarning
from guard.facade import Guard
from guard.model import Activity, Consent
from guard_engine import releases
from guard_register.register import Register

Answer: TypeAlias = Mapping[str, Any]
"""A Decision in its form on the wire (`guard.wire`), without its id; what is left out is empty."""

Decide: TypeAlias = Callable[[Activity], Answer]
"""What stands for the policies: an activity in, an answer out. Answers are checked like those of an engine."""


def allow_all(activity: Activity) -> dict[str, Any]:
    """Everything is allowed: all rows, each field as it is."""
    answer: dict[str, dict[str, Any]] = {"rows": {}, "reads": {}, "writes": {}}
    for source in {item.source for item in activity.items}:
        answer["rows"][source], answer["reads"][source], answer["writes"][source] = "all", {}, {}
    for item in activity.items:
        if item.field is not None:
            part, treatment = ("writes", "keep") if item.role == "write" else ("reads", {"reveal": "always"})
            answer[part][item.source][item.field] = treatment
    return {"allow": True, **answer}


def deny(*rules: str) -> Decide:
    """Nothing is allowed, and these rules say so."""
    return lambda _: {"allow": False, "reasons": [{"rule": rule} for rule in rules]}


class AssertingRegister(Register):
    """The real register, which keeps in memory what it was given, in clear."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.drafts: Final[list[Draft]] = []

    def append(self, draft: Draft) -> int:
        """As the register does."""
        number = super().append(draft)
        self.drafts.append(draft)
        return number

    async def append_soon(self, draft: Draft) -> int:
        """As the register does."""
        number = await super().append_soon(draft)
        self.drafts.append(draft)
        return number

    def find(
        self,
        kind: Kind | None = None,
        *,
        person: str | None = None,
        rule: str | None = None,
        purpose: str | None = None,
        actor: str | None = None,
    ) -> list[Draft]:
        """The entries that fit all that is given, in order."""
        return [
            draft
            for draft in self.drafts
            if kind in (None, draft.kind)
            and (person is None or person in draft.subjects)
            and (rule is None or rule in _rules(draft))
            and purpose in (None, draft.activity.purpose if draft.activity else draft.purpose)
            and actor in (None, draft.actor.id)
        ]

    def require(self, kind: Kind | None = None, **asked: Any) -> Draft:
        """The first entry that `find` finds; AssertionError, with what there is instead, if there is none."""
        found = self.find(kind, **asked)
        if not found:
            there = [f"{draft.kind} {list(draft.subjects)} {sorted(_rules(draft))}" for draft in self.drafts]
            raise AssertionError(f"no entry is {kind or 'of any kind'} with {asked}; there are: {there}")
        return found[0]


def _rules(draft: Draft) -> set[str]:
    return {reason.rule for reason in draft.reasons}


class UnsafeGuard(Guard):
    """A guard whose policies are a function of the test."""

    _registers: ClassVar[type[Register] | None] = AssertingRegister

    @property
    def registered(self) -> AssertingRegister:
        """What was registered, to be asked."""
        register = self.register
        if not isinstance(register, AssertingRegister):
            raise Misuse("Open one with guard.testing.unsafe_guard(…).")
        return register


@contextmanager
def unsafe_guard(
    settings: str | Path | Settings, folder: Path, *, database: str | None = None, decide: Decide = allow_all
) -> Iterator[UnsafeGuard]:
    """A guard on the documents of a guard.yaml, whose policies are `decide`.

    Its register lies in `folder`, and so does its ledger where `database` names none: in `test.db`, an SQLite
    database that holds the application's tables too, if it holds any. Every consent is valid, for what it says.
    Misuse where that is the register, or by default the database, of the program itself.
    """
    warnings.warn("The policies are a function of this test: nothing is decided by law.", UnsafeWarning, stacklevel=3)
    given = settings if isinstance(settings, Settings) else Settings.load(settings)
    context = {"folder": folder}
    register = RegisterSettings.model_validate({"directory": "register", "key_file": "register.key"}, context=context)
    url = {"url": database or "sqlite:///test.db", "schemas": dict(given.database.schemas)}
    own = given.model_copy(
        update={"register_": register, "database": Database.model_validate(url, context=context)},
    )
    _apart(given, own, by_default=database is None)
    made = releases.assemble(own, catalogue.load(own.catalogue), releases.load_bundles(own), _Function(decide))
    with UnsafeGuard.open(own, release=made) as opened:
        yield opened


def _apart(given: Settings, own: Settings, *, by_default: bool) -> None:
    """Misuse where what no law decided would stand among what the program registered, under its key."""
    theirs = {given.register_.directory.resolve(), given.register_.key_file.resolve()}
    if not theirs.isdisjoint({own.register_.directory.resolve(), own.register_.key_file.resolve()}):
        raise Misuse("The folder is the program's own: its register is there. Give a test's guard another one.")
    if by_default and own.database.url == given.database.url:
        raise Misuse("test.db is the program's own database there. Give a test's guard another folder.")


class _Function:
    """A function as an engine of the one layer floor."""

    def __init__(self, decide: Decide) -> None:
        self._decide = decide
        self.digests: Mapping[str, str] = {"floor": "sha256:" + "0" * 64, PROFILE: "sha256:" + "0" * 64}

    def evaluate(self, layer: str, entrypoint: Entrypoint, document: bytes) -> object:  # noqa: ARG002 -- there is one layer
        """The function's answers, each with the id of its activity; to a consent, that it is valid."""
        if entrypoint == "decision":
            activities = msgspec.json.decode(document, type=dict[str, list[Activity]])["activities"]
            return [{**self._decide(one), "id": one.id} for one in activities]
        return [_valid(one) for one in msgspec.json.decode(document, type=dict[str, list[Consent]])["consents"]]

    def close(self) -> None:
        """Holds nothing."""


def _valid(consent: Consent) -> dict[str, Any]:
    scopes = [{"operations": consent.operations, "categories": consent.categories}]
    return {"id": consent.id, "valid": True, "reasons": [], "scopes": scopes, "valid_until": consent.expires_at}
