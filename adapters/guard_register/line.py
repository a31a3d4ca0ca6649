"""The line of an entry: what of a draft goes into the log, and in which form.

Nothing of a person goes into the log in clear: persons become commitments, parameters and literals are sealed.
What cannot be kept as it was passed is kept as a description (`guard_register.kept`): no attempt goes without
its entry for what it was made with.

Most of a line is the same for all entries that one actor's statement gives rise to, and stands in the middle
of it: it is made once and remembered. Building a line asks nothing of the system, since each call would make
threads trade places: under many of them that costs more than all the rest.
"""

from __future__ import annotations

import os
from base64 import urlsafe_b64encode
from collections.abc import Hashable, Mapping
from contextlib import suppress
from typing import Final

import msgspec

from guard import clock
from guard.context import subject_key
from guard.draft import Draft
from guard.errors import Refused
from guard.model import Actor, Recipient
from guard.wire import canonical
from guard_register.entry import VERSION, Entry, Persons, Tail, Who, decided, touched
from guard_register.kept import MAX_NAME, MAX_SEALED, MAX_STATEMENT, kept, text, texts
from guard_register.log import MAX_LINE, Line
from guard_register.persons import Keys, commitments
from guard_register.seal import Sealer, seal

_decode: Final = msgspec.json.Decoder(Entry).decode
_decode_tail: Final = msgspec.json.Decoder(Tail).decode

_ROLES: Final = 200
"""Roles of one actor that are kept, in the order of their names."""

_MAX_REST: Final = MAX_LINE - 100
"""The longest part of a line after the number."""

_LINE: Final = b'{"v":%d,"shard":"%%b","seq":%%d%%b' % VERSION
"""A line: its shard, its number, all the rest."""

_SALT: Final = 22
"""Letters of base64url of a salt: 132 random bits."""

_SALTS: Final = 256
_REMEMBERED: Final = 512
_MIDDLE: Final = 16 * 1024
"""Of so many lines the middle is remembered, if it is no longer than this in bytes."""


class Scribe:
    """Makes lines of drafts. Safe for threads and forks.

    `keys` gives the person keys, `sealer` holds the register's key. A line names at most `itemise` persons.
    """

    def __init__(self, *, holder: str, keys: Keys, sealer: Sealer, itemise: int, now: clock.Clock) -> None:
        self._holder = holder
        self._keys = keys
        self._sealer = sealer
        self._itemise = itemise
        self._now = now
        self._salts = _Salts()
        self._middles: dict[Hashable, _Middle] = {}

    def line(self, draft: Draft, shard: str) -> Line:
        """The line of the entry, but for its number. Refused GUARD-REGISTER: guard itself made the draft wrong."""
        rest = self._rest(draft, shard, MAX_SEALED, self._itemise)
        if len(rest) > _MAX_REST:  # a source has very many fields, or very many persons are itemised
            rest = self._rest(draft, shard, MAX_NAME, 0)
        if len(rest) > _MAX_REST:
            raise Refused.own("GUARD-REGISTER", "The entry is too long.")
        name = shard.encode()
        return lambda number: _LINE % (name, number, rest)

    def _rest(self, draft: Draft, shard: str, sealed: int, itemise: int) -> bytes:
        """What comes after the number; seals at most `sealed` bytes and names at most `itemise` persons."""
        try:  # not `suppress`: here that would take as long as the encryption
            return self._made(draft, shard, sealed, itemise)
        except (msgspec.MsgspecError, AttributeError, TypeError, ValueError, OverflowError):
            pass
        # raised here, so that the error, which may quote the value, is not even its context
        raise Refused.own("GUARD-REGISTER", "A part of the entry has a type that cannot be kept.")

    def _made(self, draft: Draft, shard: str, sealed: int, itemise: int) -> bytes:
        salt = self._salts.take()
        time = int(self._now())
        recipient = draft.activity.recipient if draft.activity else draft.recipient
        named = _actor_is_person(draft, recipient)
        by = draft.actor.id if named and _is_key(draft.actor.id) else None
        listed = draft.subjects if len(draft.subjects) <= itemise else ()
        committed = self._committed(salt, listed if by is None else (*listed, by))
        tail = Tail(
            sealed=None if draft.sealed is None else seal(self._sealer, kept(draft.sealed, sealed), shard, salt),
            persons=_persons(draft, tuple(sorted({committed[one] for one in listed}))),
            rows=draft.rows,
            refers_to=draft.refers_to,
            review=None if draft.review is None else text(draft.review),
            consent=None if draft.consent is None else text(draft.consent),
        )
        key = None if named else _constant(draft, recipient)
        middle = None if key is None else self._middles.get(key)
        if middle is not None:
            ending = canonical(tail)
            _decode_tail(ending)
            return b"".join((_kind(draft.kind, time, salt), middle.text, _after(ending)))
        who = _who(draft.actor, hidden=named) if by is None else _person(draft.actor, committed[by])
        encoded = canonical(self._entry(draft, shard, time, salt, who, recipient, tail))
        _decode(encoded)
        rest = encoded.removeprefix(_LINE % (shard.encode(), 0, b""))
        if key is not None:
            ending = _after(canonical(tail))
            self._remember(key, draft, rest[len(_kind(draft.kind, time, salt)) : len(rest) - len(ending)])
        return rest

    def _entry(
        self, draft: Draft, shard: str, time: int, salt: str, who: Who, recipient: Recipient | None, tail: Tail
    ) -> Entry:
        activity = draft.activity
        return Entry(
            v=VERSION,
            shard=shard,
            seq=0,
            kind=draft.kind,
            time=time,
            salt=salt,
            holder=self._holder,
            actor=who,
            operation=activity.operation if activity else None,
            purpose=_text(activity.purpose if activity else draft.purpose),
            method=activity.method if activity else None,
            recipient=None if recipient is None else texts(recipient),
            declared=texts(activity.declared) if activity else None,
            basis=_text(draft.basis or (activity.declared.basis if activity else None)),
            touched=touched(activity, draft.decision) if activity else (),
            decision=decided(draft),
            statement=None if draft.statement is None else text(draft.statement, MAX_STATEMENT),
            **{name: getattr(tail, name) for name in Tail.__struct_fields__},
        )

    def _committed(self, salt: str, persons: tuple[str, ...]) -> Mapping[str, str]:
        return commitments(self._keys(tuple(dict.fromkeys(persons))), salt) if persons else {}

    def _remember(self, key: Hashable, draft: Draft, middle: bytes) -> None:
        if len(middle) > _MIDDLE:
            return
        if len(self._middles) >= _REMEMBERED:
            self._middles.clear()
        self._middles[key] = _Middle(middle, draft)


class _Middle:
    """The part from holder to statement. It keeps the objects alive by whose identity it is found."""

    __slots__ = ("_of", "text")

    def __init__(self, text: bytes, draft: Draft) -> None:
        self.text = text
        self._of = (draft.decision, draft.digests, draft.activity.items if draft.activity else None)


def _constant(draft: Draft, recipient: Recipient | None) -> Hashable:
    """All that the middle of the line depends on; None where it is hardly asked for again.

    Decision, digests and items are never changed, and those of a repeated statement are the same objects.
    """
    activity = draft.activity
    if draft.reasons or activity is None:
        return None
    key = (
        draft.kind,
        draft.actor,
        recipient,
        draft.basis,
        draft.statement,
        id(draft.decision),
        id(draft.digests),
        activity.operation,
        activity.purpose,
        activity.method,
        activity.declared,
        id(activity.items),
    )
    try:
        hash(key)
    except TypeError:  # a part is of no type that it should have
        return None
    return key


class _Salts:
    """Random salts, many fetched at a time; a forked child has none of its parent's."""

    def __init__(self) -> None:
        self._ready: list[str] = []
        self._pid = os.getpid()

    def take(self) -> str:
        """One that was never taken."""
        pid = os.getpid()
        if self._pid != pid:
            # In this order: who sees the new number takes of the new list.
            self._ready = []
            self._pid = pid
        while True:
            try:
                return self._ready.pop()
            except IndexError:  # another thread may take the last of the new ones too
                drawn = urlsafe_b64encode(os.urandom(_SALTS * _SALT * 6 // 8)).decode()
                self._ready += [drawn[place : place + _SALT] for place in range(0, len(drawn), _SALT)]


def _kind(kind: str, time: int, salt: str) -> bytes:
    return b',"kind":"%s","time":%d,"salt":"%s"' % (kind.encode(), time, salt.encode())


def _after(tail: bytes) -> bytes:
    return b"}" if tail == b"{}" else b"," + tail[1:]


def _actor_is_person(draft: Draft, recipient: Recipient | None) -> bool:
    """Whether the actor's id may be the key of a person whom the data are about."""
    if not draft.actor.id:
        return False
    return draft.actor.id in draft.subjects or recipient is None or recipient.kind == "subject"


def _is_key(given: object) -> bool:
    """Whether a person can have this key."""
    with suppress(Refused):
        return subject_key(given) == given
    return False


def _person(actor: Actor, committed: str) -> Who:
    return msgspec.structs.replace(_who(actor, hidden=True), id=None, person=committed)


def _who(actor: Actor, *, hidden: bool) -> Who:
    """Who acted, by id. A `hidden` one may be a person's key in a spelling that is none: it is only described."""
    return Who(
        kind=actor.kind,
        id=text(actor.id, 0) if hidden else text(actor.id),
        roles=tuple(sorted({text(role) for role in actor.roles})[:_ROLES]),
        unit=_text(actor.unit),
    )


def _text(given: str | None) -> str | None:
    return None if given is None else text(given)


def _persons(draft: Draft, of: tuple[str, ...]) -> Persons | None:
    if draft.persons is not None:
        return Persons(count=draft.persons, not_itemised=True)
    if not draft.subjects:
        return None
    if not of:
        return Persons(count=len(set(draft.subjects)), not_itemised=True)
    return Persons(count=len(of), of=of)
