"""From activities to decisions: all layers asked, checked, merged, remembered.

The key of a decision is the SHA-256 over the digests of policies, profile and catalogue and the canonical JSON of
the activity without its id. It is bytes, never Python values, for which `1`, `True` and `1.0` are one key;
the activity carries its minute, so nothing is remembered past it. Equal activities of one call are asked once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Final, TypeVar

import msgspec

from guard import merge, wire
from guard.cache import Cache
from guard.engine import Engine
from guard.errors import Misuse, Refused
from guard.model import Activity, Consent, Decision, Verdict

A = TypeVar("A", Activity, Consent)

_ID = len('{"id":')

KEYS: Final = 1_024
"""Keys that are found again by the activity itself (count)."""

PART: Final = 64 * 1024
"""Bytes of one question. A longer list is asked in parts, so that it fits the bounds of one evaluation."""


class Decider:
    """Decides activities by all layers of an engine. Safe for many threads."""

    def __init__(
        self, engine: Engine, layers: Sequence[str], *, catalogue_digest: str, cache: Cache | None = None
    ) -> None:
        self._engine = engine
        self._layers = tuple(layers)
        self._cache = cache if cache is not None else Cache()
        if "floor" not in self._layers or len(set(self._layers)) != len(self._layers):
            raise Misuse("The layers are floor and, once each, those that may tighten it.")
        missing = {*self._layers} - engine.digests.keys()
        if missing:
            raise Misuse(f"The engine has no layer {', '.join(sorted(missing))}.")
        policies = {name: engine.digests[name] for name in sorted(engine.digests)}
        self.judged = "sha256:" + hashlib.sha256(wire.canonical([sorted(self._layers), policies])).hexdigest()
        self._base = hashlib.sha256(wire.canonical([self.judged, catalogue_digest]))
        self._keys: dict[int, tuple[Activity, bytes]] = {}

    @property
    def engine(self) -> Engine:
        """The engine that is asked."""
        return self._engine

    def decide(self, activities: Sequence[Activity], *, actor: str = "") -> tuple[Decision, ...]:
        """One decision an activity, in their order. `actor` is only whose share of the cache is used.

        Raises Refused where an activity is malformed, the engine fails or a layer's answer is off: then
        nothing of the call is decided.
        """
        decisions: list[Decision | None] = []
        misses: dict[bytes, bytes] = {}
        places: list[tuple[int, bytes]] = []
        for activity in activities:
            body = _without_id(activity)
            key = self._key(body)
            known = self._cache.get(key)
            if known is None:
                misses[key] = body
                places.append((len(decisions), key))
            elif known.id != activity.id:
                known = msgspec.structs.replace(known, id=activity.id)
            decisions.append(known)
        if misses:
            fresh = dict(zip(misses, self._ask(tuple(misses.values())), strict=True))
            for key, decision in fresh.items():
                self._cache.put(key, decision, actor)
            for place, key in places:
                decisions[place] = msgspec.structs.replace(fresh[key], id=activities[place].id)
        return tuple(decisions)  # type: ignore[arg-type]  # every place was filled

    def known(self, activity: Activity) -> Decision | None:
        """The decision that is remembered; None where the engine would have to be asked.

        The key of what is asked again is not worked out again: the activity must be one that nobody can change.
        """
        found = self._keys.get(id(activity))
        if found is None:
            found = activity, self._key(_without_id(activity))
            if len(self._keys) >= KEYS:
                self._keys.clear()
            self._keys[id(activity)] = found  # which keeps it alive, so that no other has its identity
        decision = self._cache.get(found[1])
        if decision is None or decision.id == activity.id:
            return decision
        return msgspec.structs.replace(decision, id=activity.id)

    def _key(self, body: bytes) -> bytes:
        hasher = self._base.copy()
        hasher.update(body)
        return hasher.digest()

    def _ask(self, bodies: Sequence[bytes]) -> list[Decision]:
        asked = [_read(Activity, number, body) for number, body in enumerate(bodies)]
        for one in asked:
            wire.check_activity(one)
        decided: list[Decision] = []
        for part in _parts(bodies):
            document = _document(b"activities", bodies, part)
            answers = [
                wire.decisions(self._engine.evaluate(layer, "decision", document), asked[part])
                for layer in self._layers
            ]
            decided += [merge.merge(layered) for layered in zip(*answers, strict=True)]
        return decided

    def judge(self, consents: Sequence[Consent]) -> tuple[Verdict, ...]:
        """What the layers make of consents, in their order: valid where all say so. Never cached."""
        bodies = [_without_id(consent) for consent in consents]
        asked = [_read(Consent, number, body) for number, body in enumerate(bodies)]
        if any(consent.time is None for consent in asked):
            raise Refused.own("GUARD-ACTIVITY", "A consent is judged at a time; the ledger stamps it.")
        judged: list[Verdict] = []
        for part in _parts(bodies):
            document = _document(b"consents", bodies, part)
            answers = [
                wire.verdicts(self._engine.evaluate(layer, "consent", document), asked[part]) for layer in self._layers
            ]
            judged += [merge.merge_verdicts(layered) for layered in zip(*answers, strict=True)]
        return tuple(
            msgspec.structs.replace(verdict, id=consent.id) for verdict, consent in zip(judged, consents, strict=True)
        )


def _without_id(value: Activity | Consent) -> bytes:
    """The canonical JSON after the id, which is the first field: `,"operation":…}`."""
    try:
        return wire.canonical(value)[_ID + len(wire.canonical(value.id)) :]
    except (TypeError, ValueError) as error:
        raise Refused.own("GUARD-ACTIVITY", f"{error}.") from None


def _with_id(number: int, body: bytes) -> bytes:
    return b'{"id":"%d"' % number + body


def _document(name: bytes, bodies: Sequence[bytes], part: slice) -> bytes:
    numbered = b",".join(_with_id(number, bodies[number]) for number in range(part.start, part.stop))
    return b'{"%b":[%b]}' % (name, numbered)


def _parts(bodies: Sequence[bytes]) -> Iterator[slice]:
    """What is asked in one call: as much as `PART` holds, at least one."""
    start = size = 0
    for number, body in enumerate(bodies):
        if number > start and size + len(body) > PART:
            yield slice(start, number)
            start, size = number, 0
        size += len(body)
    if bodies:
        yield slice(start, len(bodies))


def _read(kind: type[A], number: int, body: bytes) -> A:
    # Read back from the bytes that the policies will see: a value of a wrong type that was put into a
    # record by hand is found here, before it is decided on.
    try:
        return msgspec.json.decode(_with_id(number, body), type=kind)
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise Refused.own("GUARD-ACTIVITY", f"{error}.") from None
