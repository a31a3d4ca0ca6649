"""Judging recorded consents again: new rules beside the old judgements, never reviving.

A grant counts only under the rules that judged it, so after a change of policy or profile every grant is
dead until the new rules have looked at its consent. What they find valid gets grants of its own beside the
old ones, never wider and never longer than those: a consent that was void, withdrawn or narrowed stays so. A
process that still runs on the old rules goes on with the old grants; a withdrawal ends both.

How far the rules of a digest have come is kept, so that a start looks at what is new alone. Of processes that
start at once one judges, for as long as its turn lasts or it makes headway, and the others wait for it. Turns
save work; that nothing is judged twice does not rest on them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, delete, func, insert, select, update

from guard.model import Consent, Time, Verdict
from guard_ledger.consent_record import pairs
from guard_ledger.grants import number_of, scopes
from guard_ledger.tables import consent, grant, meta

BATCH: Final = 500
"""Consents of one transaction."""

TURN: Final = 30
"""How long a turn lasts without headway (seconds): what a process that died holds up the others."""


# --- How far it has come --------------------------------------------------------------------------


def mark(judged: str) -> str:
    """The key in `guard_meta` under which it stands how far the rules of this digest have come."""
    return f"judged:{judged}"


def turn(judged: str) -> str:
    """The key in `guard_meta` under which it stands whose turn it is, and until when."""
    return f"judging:{judged}"


def behind(connection: Connection, judged: str) -> int | None:
    """The newest place in the ledger if the mark of these rules lies before it, else None."""
    newest = connection.scalar(select(func.max(consent.c.seq))) or 0
    return newest if _done(connection, judged) < newest else None


def waiting(connection: Connection, judged: str) -> list[tuple[int, Consent]]:
    """The next consents that these rules have not judged: their place in the ledger, and the consent."""
    found = (
        select(consent.c.seq, consent.c.record)
        .where(consent.c.seq > _done(connection, judged), consent.c.judged != judged, consent.c.valid == 1)
        .order_by(consent.c.seq)
        .limit(BATCH)
    )
    return [(row.seq, msgspec.json.decode(row.record, type=Consent)) for row in connection.execute(found)]


def caught_up(connection: Connection, judged: str, upto: int) -> None:
    """Notes that these rules have judged all there is, so that the next start looks at nothing again."""
    _advance(connection, judged, upto)


def others_turn(connection: Connection, judged: str, me: str, seconds: int) -> bool:
    """Whether another process is judging."""
    said = _said(connection, turn(judged))
    if said is None:
        return False
    who, _, until = said.partition(" ")
    return who != me and int(until) > seconds


def take_turn(connection: Connection, judged: str, me: str, seconds: int) -> bool:
    """Begins or goes on with a turn, unless it is another's."""
    if others_turn(connection, judged, me, seconds):
        return False
    _say(connection, turn(judged), f"{me} {seconds + TURN}")
    return True


def end_turn(connection: Connection, judged: str, me: str) -> None:
    """Lets the next one begin."""
    mine = (meta.c.key == turn(judged), meta.c.value.startswith(f"{me} ", autoescape=True))
    connection.execute(delete(meta).where(*mine))


# --- What it makes --------------------------------------------------------------------------------


def stamped(one: Consent, time: Time) -> Consent:
    """The consent as it is judged now."""
    return msgspec.structs.replace(one, time=time)


def keep(connection: Connection, judged: str, upto: int, verdicts: Mapping[str, Verdict]) -> int:
    """Writes the grants that new verdicts leave of the old ones, and how far it came; gives how many grants.

    What was withdrawn meanwhile is not among the old ones any more: this runs in the writing transaction.
    """
    valid = [name for name, verdict in verdicts.items() if verdict.valid]
    covered = scopes(connection)
    numbers = {of: number for number, of in covered.items()}
    rows: list[dict[str, Any]] = []
    for old in _latest(connection, valid, judged):
        verdict = verdicts[old["consent_id"]]
        left = pairs(verdict.scopes) & covered.get(old["scope"], frozenset())
        end = min(old["valid_until"], verdict.valid_until or 0)
        if left and end > old["valid_from"]:
            number = number_of(connection, left, numbers)
            rows.append({**old, "grant_id": None, "scope": number, "valid_until": end, "judged": judged})
    if rows:
        connection.execute(insert(grant), [{key: row[key] for key in row if key != "grant_id"} for row in rows])
    _advance(connection, judged, upto)
    return len(rows)


def _latest(connection: Connection, ids: Sequence[str], judged: str) -> list[dict[str, Any]]:
    """The newest grant of each consent and purpose that is not withdrawn; none where these rules judged it already."""
    newest: dict[tuple[str, str], dict[str, Any]] = {}
    found = select(grant).where(grant.c.consent_id.in_(ids)).order_by(grant.c.grant_id)
    for row in connection.execute(found):
        newest[row.consent_id, row.purpose] = dict(row._mapping)  # noqa: SLF001 -- the public name of a row's columns
    return [one for one in newest.values() if one["withdrawn_at"] is None and one["judged"] != judged]


def _done(connection: Connection, judged: str) -> int:
    return int(_said(connection, mark(judged)) or 0)


def _advance(connection: Connection, judged: str, upto: int) -> None:
    _say(connection, mark(judged), str(max(upto, _done(connection, judged))))


def _said(connection: Connection, key: str) -> str | None:
    found: str | None = connection.scalar(select(meta.c.value).where(meta.c.key == key))
    return found


def _say(connection: Connection, key: str, value: str) -> None:
    if not connection.execute(update(meta).where(meta.c.key == key).values(value=value)).rowcount:
        connection.execute(insert(meta), [{"key": key, "value": value}])
