"""What came of one press of a button, ready to be shown: words in one language, no HTML."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Literal, TypeAlias

import msgspec

from guard.messages import Messages
from guard_explain import Explanation, Lang

Ended: TypeAlias = Literal["allowed", "reduced", "refused", "held", "failed"]

ROWS: Final = 50
"""How many rows are shown; all of them were released and registered."""

_WORD: Final = re.compile(r"\b(?:GRANT|MASK)\([^()]*\)")
"""What an abridged statement says in a word."""

_WIDE: Final = 60
"""A line of a statement that fits beside another statement (characters)."""

_CELL: Final = 2_000
"""How much of a value is shown (characters): longer than any of the bank."""


class Rule(msgspec.Struct, frozen=True):
    """A rule that spoke, its clause, what it says, and the fields it spoke about."""

    rule: str
    clause: str
    sentence: str
    about: tuple[str, ...] = ()


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """One answer. `told` is an outcome in the page's words, by its key, where that is no read or write.

    Of a request to the bank's web application `before` is the request, `came` what came back, and `became` what
    the register says of each field. `barred`: the statement ran, and no row of the named person may be seen.
    """

    ended: Ended
    told: str = ""
    who: str = ""
    purpose: str = ""
    person: str = ""
    message: str = ""
    detail: str = ""
    rules: tuple[Rule, ...] = ()
    remedy: tuple[str, ...] = ()
    entry: str | None = None
    barred: bool = False
    review: str = ""
    decision: Explanation | None = None
    before: str = ""
    parameters: tuple[str, ...] = ()
    after: str = ""
    whole: str = ""
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str | None, ...], ...] = ()
    released: int | None = None
    written: int | None = None
    opened: Mapping[str, str] = {}
    came: str = ""
    became: tuple[tuple[str, str], ...] = ()

    def pieces(self) -> Iterator[tuple[str, bool]]:
        """The abridged statement in pieces, each with whether it is a word that stands for a condition."""
        end = 0
        for word in _WORD.finditer(self.after):
            yield self.after[end : word.start()], False
            yield word[0], True
            end = word.end()
        yield self.after[end:], False


def rules(of: Iterable[str], messages: Messages, lang: Lang, spoke: Explanation | None = None) -> tuple[Rule, ...]:
    """Rules in words; the Chinese sentence of a rule of law names its articles itself."""
    about = {line.rule: line.about for line in spoke.rules} if spoke else {}
    made = []
    for rule in of:
        message = messages.get(rule)
        clause = "" if message is None or lang == "zh" or message.clause == "guard" else message.clause
        sentence = messages.sentence(rule, lang) if message is None else message.zh if lang == "zh" else message.en
        made.append(Rule(rule, clause, sentence, about.get(rule, ())))
    return tuple(made)


def cells(rows: Sequence[Sequence[Any]]) -> tuple[tuple[str | None, ...], ...]:
    """The first rows as texts; None is NULL."""
    return tuple(tuple(_cell(value) for value in row) for row in rows[:ROWS])


def apart(sql: str) -> str:
    """A text in which the columns of a long select list stand on lines of their own."""
    return "\n".join(_apart(line) if len(line) > _WIDE else line for line in sql.split("\n"))


def _apart(line: str) -> str:
    start = line.find("SELECT ")
    if start < 0 or line.lstrip().startswith("AND"):
        return line
    made, depth = line[:start], 0
    below = "\n" + " " * (4 if start else 1)
    for sign in line[start:]:
        depth += (sign == "(") - (sign == ")")
        made += f",{below}" if sign == "," and depth == 0 else sign
    return made


def _cell(value: object) -> str | None:
    if value is None:
        return None
    text = str(value)
    return text if len(text) <= _CELL else f"{text[:_CELL]}…"
