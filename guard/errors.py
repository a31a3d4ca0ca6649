"""What guard raises.

::

    GuardError
    ├── ConfigError       guard.yaml, a catalogue or a bundle is wrong: every problem with file, line, remedy
    ├── Misuse            the program calls guard in a way that cannot be right
    └── Refused           an operation was refused (RFC 9457 problem, HTTP 403)
        └── Held          it waits for another person's approval (HTTP 202)

A `Refused` is a decision, not a failure: it carries the rules that spoke and what would be allowed. The
guard's own refusals have rule ids too (`GUARD-…`, all in `messages.json`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from guard import messages
from guard.model import Reason


class GuardError(Exception):
    """The root of everything that guard raises."""


class Problem(msgspec.Struct, frozen=True):
    """One thing that is wrong in a document: where (line from 1, 0 if unknown), what, and what to do."""

    file: str
    line: int
    message: str
    remedy: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        return f"{where}: {self.message} — {self.remedy}"


class ConfigError(GuardError):
    """Documents that guard cannot work with. `problems` lists all that was found, in order of place."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class Misuse(GuardError):
    """A call that cannot be right whatever the policies say: the message says what to do instead."""


class Refused(GuardError):
    """An operation was refused.

    `reasons` are the rules that spoke, each with its remedy; `detail` is a sentence about this very case
    that is free of personal data and of database error text. `entry` is the register entry that keeps the
    refusal, null if it could not be registered. `untold` are rules that failed, or may have, where whoever asked may
    not know which: they are for the operator's log, and neither the message nor `problem` has them.
    """

    status = 403
    type = "urn:guard:refused"

    def __init__(
        self,
        reasons: Sequence[Reason],
        *,
        detail: str | None = None,
        catalog: messages.Messages | None = None,
        entry: int | None = None,
        untold: Sequence[str] = (),
    ) -> None:
        self.reasons = tuple(reasons)
        self.detail = detail
        self.entry = entry
        self.untold = tuple(untold)
        self._messages = catalog or messages.OWN
        super().__init__(self.explain())

    @classmethod
    def own(cls, rule: str, detail: str | None = None) -> Refused:
        """A refusal by the guard itself, by its rule id in `messages.json`."""
        return cls((Reason(rule=rule),), detail=detail)

    @property
    def rules(self) -> tuple[str, ...]:
        """The ids of the rules that spoke, without repeats, in order."""
        return tuple(dict.fromkeys(reason.rule for reason in self.reasons))

    @property
    def remedy(self) -> tuple[str, ...]:
        """What would be allowed, in plain words, one sentence a rule."""
        return self.remedies()

    def remedies(self, lang: str = "en") -> tuple[str, ...]:
        """What would be allowed, in the given language; nothing for a rule that no step of the actor fulfils."""
        said = (self._messages.remedy(reason, lang) for reason in self.reasons)
        return tuple(dict.fromkeys(text for text in said if text))

    def explain(self, lang: str = "en") -> str:
        """What happened, by which rule and clause, and what would be allowed."""
        parts = [self._messages.sentence(rule, lang) for rule in self.rules]
        if self.detail:
            parts.append(self.detail)
        parts += self.remedies(lang)
        return " ".join(parts)

    def problem(self, lang: str = "en") -> dict[str, Any]:
        """The refusal as RFC 9457 Problem Details, each thing said once: `title` names the first rule."""
        title = self._messages.title(self.rules[0], lang) if self.rules else "Refused"
        told = 1 if self.rules and self.rules[0] in messages.OWN else 0  # its title is its sentence
        said = [*(self._messages.sentence(rule, lang) for rule in self.rules[told:]), self.detail or ""]
        detail = " ".join(one for one in said if one)
        return {
            "type": self.type,
            "title": title,
            "status": self.status,
            **({"detail": detail} if detail else {}),
            "rules": list(self.rules),
            "remedy": list(self.remedies(lang)),
        }


class UnsafeWarning(UserWarning):
    """A protection was switched off by name; the message says which."""


class Held(Refused):
    """The operation waits for the approval of another person; nothing was released or written.

    Once it is approved, the same operation runs in `guard.acting(…, review=held.review_id)`.
    """

    status = 202
    type = "urn:guard:held"

    def __init__(self, reasons: Sequence[Reason], *, review_id: str, **more: Any) -> None:
        self.review_id = review_id
        detail = f"It waits as review {review_id}; once that is approved, run it again quoting it."
        super().__init__(reasons, **{"detail": detail, **more})

    def problem(self, lang: str = "en") -> dict[str, Any]:
        """As any refusal, with the id to ask for."""
        return {**super().problem(lang), "review": self.review_id}
