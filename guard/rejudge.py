"""Judging recorded consents again: new rules beside the old judgements, never reviving.

A grant counts only under the rules that judged it, so after a change of policy or profile every grant is
dead until the new rules have looked at its consent. What they find valid gets grants of its own beside the
old ones, never wider and never longer than those: a consent that was void, withdrawn or narrowed stays so. A
process that still runs on the old rules goes on with the old grants; a withdrawal ends both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, func, insert, select, update

from guard.ledger_tables import consent, grant, meta, scope
from guard.model import Consent, Time, Verdict

BATCH: Final = 500
"""Consents of one transaction."""

Pairs = frozenset[tuple[str, str]]


def mark(judged: str) -> str:
    """The key in `guard_meta` under which it stands how far the rules of this digest have come."""
    return f"judged:{judged}"


def waiting(connection: Connection, judged: str) -> list[tuple[int, Consent]]:
    """The next consents that these rules have not judged: their place in the ledger, and the consent."""
    done = connection.scalar(select(meta.c.value).where(meta.c.key == mark(judged)))
    found = (
        select(consent.c.seq, consent.c.record)
        .where(consent.c.seq > int(done or 0), consent.c.judged != judged, consent.c.valid == 1)
        .order_by(consent.c.seq)
        .limit(BATCH)
    )
    return [(row.seq, _consent(row.record)) for row in connection.execute(found)]


def behind(connection: Connection, judged: str) -> int | None:
    """The newest place in the ledger if the mark of these rules lies before it, else None."""
    newest = connection.scalar(select(func.max(consent.c.seq))) or 0
    done = connection.scalar(select(meta.c.value).where(meta.c.key == mark(judged)))
    return newest if int(done or 0) < newest else None


def caught_up(connection: Connection, judged: str, upto: int) -> None:
    """Notes that these rules have judged all there is, so that the next start looks at nothing again."""
    _advance(connection, judged, upto)


def _consent(record: str) -> Consent:
    return msgspec.json.decode(record, type=Consent)


def stamped(one: Consent, time: Time) -> Consent:
    """The consent as it is judged now."""
    return msgspec.structs.replace(one, time=time)


def keep(connection: Connection, judged: str, upto: int, verdicts: Mapping[str, Verdict]) -> int:
    """Writes the grants that new verdicts leave of the old ones, and how far it came; gives how many grants.

    What was withdrawn meanwhile is not among the old ones any more: this runs in the writing transaction.
    """
    valid = [name for name, verdict in verdicts.items() if verdict.valid]
    covered = _scopes(connection)
    numbers = {pairs: number for number, pairs in covered.items()}
    rows: list[dict[str, Any]] = []
    for old in _latest(connection, valid, judged):
        verdict = verdicts[old["consent_id"]]
        pairs = _pairs(verdict) & covered.get(old["scope"], frozenset())
        end = min(old["valid_until"], verdict.valid_until or 0)
        if pairs and end > old["valid_from"]:
            number = _number(connection, pairs, numbers)
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


def _scopes(connection: Connection) -> dict[int, Pairs]:
    found: dict[int, set[tuple[str, str]]] = {}
    for row in connection.execute(select(scope)):
        found.setdefault(row.scope, set()).add((row.operation, row.category))
    return {number: frozenset(of) for number, of in found.items()}


def _pairs(verdict: Verdict) -> Pairs:
    return frozenset((one, other) for of in verdict.scopes for one in of.operations for other in of.categories)


def _number(connection: Connection, pairs: Pairs, numbers: dict[Pairs, int]) -> int:
    if pairs not in numbers:
        numbers[pairs] = max(numbers.values(), default=0) + 1
        rows = [{"scope": numbers[pairs], "operation": one, "category": other} for one, other in sorted(pairs)]
        connection.execute(insert(scope), rows)
    return numbers[pairs]


def _advance(connection: Connection, judged: str, upto: int) -> None:
    moved = update(meta).where(meta.c.key == mark(judged)).values(value=str(upto))
    if not connection.execute(moved).rowcount:
        connection.execute(insert(meta), [{"key": mark(judged), "value": str(upto)}])
