"""What stands on the page whatever was asked: the end of the register, whether it verifies, and what waits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from guard.demo.page.choices import NOBODY, OWN, PERSONS, WITHDRAWN
from guard.demo.page.words import WORDS
from guard.errors import Refused
from guard.facade import Guard
from guard_explain import Lang
from guard_ledger.review import Waiting
from guard_register.entry import Entry, name_of
from guard_register.verify import Report

LAST: Final = 10
"""How many entries are shown."""


class Line(msgspec.Struct, frozen=True):
    """An entry of the register. Persons are commitments in it, and values sealed: neither is here."""

    name: str
    kind: str
    time: str
    actor: str
    purpose: str
    rules: tuple[str, ...]
    rows: int | None
    persons: int


class Shelf(msgspec.Struct, frozen=True):
    """The newest entries, how many there are, and what is wrong with the register, if anything is."""

    lines: tuple[Line, ...]
    size: int
    root: str
    problems: tuple[str, ...]


class Request(msgspec.Struct, frozen=True):
    """A review, and who may run what was held again from this page."""

    waiting: Waiting
    again: str | None


def persons(guard: Guard, lang: Lang) -> Mapping[str, str]:
    """The persons that can be chosen, each with how the bank was made, and what came of their consents since."""
    return {key: _person(guard, key, words[lang], lang) for key, words in PERSONS.items()}


def _person(guard: Guard, key: str, words: str, lang: Lang) -> str:
    if key == NOBODY:
        return words
    since = ""
    try:
        kept = guard.consents.list(key)
    except Refused:
        kept = ()
    if any(one.verdict.valid and one.purposes and one.record.consent.id.startswith(OWN) for one in kept):
        since = "consented_since"
    elif any(one.withdrawn_at for one in kept) and not any(one.purposes for one in kept) and key != WITHDRAWN:
        since = "withdrew_since"
    return f"{key} — {words}{WORDS[since][lang] if since else ''}"


def register(guard: Guard, refusals: Mapping[str, tuple[str, ...]]) -> Shelf:
    """Reads the register's end and verifies all of it; `refusals` has the rules that refusals named, by entry."""
    report = guard.register.verify()
    problems = list(report.problems)
    problems += [f"{shard.shard[:6]}: {problem}" for shard in report.shards for problem in shard.problems]
    try:
        every = sorted(guard.register.entries(), key=lambda entry: (entry.time, entry.shard, entry.seq))
    except Refused as refused:
        every = []
        problems.append(refused.detail or refused.rules[0])
    lines = tuple(_line(entry, guard.settings.zone, refusals) for entry in reversed(every[-LAST:]))
    return Shelf(lines, report.size, _root(report), tuple(problems))


def reviews(guard: Guard, requester: Callable[[str], str | None]) -> tuple[Request, ...]:
    """What waits for another person, and what was approved and not used yet."""
    try:
        found = (*guard.reviews.list("held"), *guard.reviews.list("approved"))
    except Refused:
        return ()
    return tuple(Request(one, requester(one.review_id) if one.status == "approved" else None) for one in found)


def _root(report: Report) -> str:
    return report.shards[-1].root[:16] if report.shards else ""


def _clock(seconds: int, zone: str) -> str:
    """A moment as the bank's own calendar and clock say it: month, day and time."""
    return datetime.fromtimestamp(seconds, UTC).astimezone(ZoneInfo(zone)).isoformat(sep=" ")[5:19]


def _line(entry: Entry, zone: str, refusals: Mapping[str, tuple[str, ...]]) -> Line:
    name = name_of(entry.shard, entry.seq)
    return Line(
        name=name,
        kind=entry.kind,
        time=_clock(entry.time, zone),
        actor=entry.actor.id or "",
        purpose=entry.purpose or "",
        rules=refusals.get(name) or (entry.decision.rules if entry.decision else ()),
        rows=entry.rows,
        persons=entry.persons.count if entry.persons else 0,
    )
