"""The register of one process: drafts in, durable entries out.

An entry is durable when `append` returns, so what it says may happen after that. Nothing of a person goes
into the log in clear: persons become commitments, parameters and literals are sealed. What cannot be kept as it
was passed is kept as a description (`guard.register.kept`): no attempt goes without its entry for what it was
made with.
"""

from __future__ import annotations

import os
import secrets
import threading
import weakref
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

import msgspec

from guard import clock
from guard.context import subject_key
from guard.errors import Misuse, Refused
from guard.model import Actor, Recipient
from guard.register.entry import OUTCOMES, VERSION, Draft, Entry, Persons, Who, decided, touched
from guard.register.kept import MAX_NAME, MAX_SEALED, MAX_STATEMENT, kept, text, texts
from guard.register.log import MAX_LINE, Line, Log
from guard.register.persons import Keys, commitment
from guard.register.reader import entries
from guard.register.seal import KeyFile, Sealer, seal
from guard.register.verify import Report, verify
from guard.wire import canonical

if TYPE_CHECKING:
    from guard.config import Settings
    from guard.consent import Ledger

_decode: Final = msgspec.json.Decoder(Entry).decode

_ROLES: Final = 200
"""Roles of one actor that are kept, in the order of their names."""


class Register:
    """Appends to a shard of its own in `directory`. Safe for threads; a forked child opens its own shard.

    `keys` gives the person keys, `sealer` holds the register's key. An entry names at most `itemise` persons;
    above, it says how many they are. `wait` bounds in seconds how long an entry may take to be durable.
    """

    def __init__(
        self,
        directory: str | Path,
        *,
        holder: str,
        keys: Keys,
        sealer: Sealer,
        itemise: int = 1_000,
        wait: float = 5.0,
        now: clock.Clock = clock.system,
    ) -> None:
        self.directory: Final = Path(directory)
        self._holder = holder
        self._keys = keys
        self._sealer = sealer
        self._itemise = itemise
        self._wait = wait
        self._now = now
        self._closed = False
        self._opening = threading.Lock()
        self._shard: _Shard | None = None
        _OPEN.add(self)

    @classmethod
    def open(cls, settings: Settings, ledger: Ledger, *, now: clock.Clock = clock.system) -> Self:
        """The register that the settings name."""
        return cls(
            settings.register_.directory,
            holder=settings.holder,
            keys=ledger.person_keys,
            sealer=KeyFile(settings.register_.key_file),
            itemise=settings.limits.itemise,
            wait=settings.limits.register_wait,
            now=now,
        )

    @property
    def shard(self) -> str:
        """The name of this process's shard; opens it if need be."""
        return self._current().log.shard

    def append(self, draft: Draft) -> int:
        """Makes an entry durable and gives its number in this process's shard.

        Refused GUARD-REGISTER if that is not sure: then nothing that the entry speaks of may be released.
        """
        shard = self._current()
        self._check(draft, shard)
        number = shard.log.append(self._line(draft, shard.log.shard))
        if draft.kind == "intent":
            shard.intents.add(number)
        elif draft.kind in OUTCOMES and draft.refers_to is not None:
            shard.intents.discard(draft.refers_to)
        return number

    def entries(self) -> Iterator[Entry]:
        """All entries of the directory, shard by shard; the shards of other processes too."""
        return entries(self.directory)

    def verify(self) -> Report:
        """Checks every shard of the directory; see `guard.register.verify`."""
        return verify(self.directory)

    def close(self) -> None:
        """Closes the shard. Appends afterwards are refused."""
        with self._opening:
            self._closed = True
            if self._shard is not None and self._shard.pid == os.getpid():
                self._shard.log.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _current(self) -> _Shard:
        shard = self._shard
        if shard is not None and shard.pid == os.getpid() and not self._closed:
            return shard
        with self._opening:
            if self._closed:
                raise Refused.own("GUARD-REGISTER", "It is closed.")
            if self._shard is None or self._shard.pid != os.getpid():
                self._shard = _Shard(Log(self.directory, wait=self._wait))
            return self._shard

    def forked(self) -> None:
        """In a forked child: the parent's shard and locks are left alone; the next entry opens a new shard."""
        self._opening = threading.Lock()
        if self._shard is not None:
            self._shard.log.abandon()
            self._shard = None

    def _check(self, draft: Draft, shard: _Shard) -> None:
        if draft.kind in OUTCOMES:
            if draft.refers_to not in shard.intents:
                raise Misuse("An outcome refers to an intent of this process that has no outcome yet.")
        elif draft.refers_to is not None and not 0 <= draft.refers_to < shard.log.size:
            raise Misuse("An entry refers to an earlier entry of this process.")

    def _line(self, draft: Draft, shard: str) -> Line:
        """The line of the entry, but for its number; refuses a draft that guard itself made wrong."""
        encoded = self._encoded(draft, shard, MAX_SEALED, self._itemise)
        if len(encoded) > MAX_LINE:  # a source has very many fields, or very many persons are itemised
            encoded = self._encoded(draft, shard, MAX_NAME, 0)
        if len(encoded) > MAX_LINE:
            raise Refused.own("GUARD-REGISTER", "The entry is too long.")
        before, _, after = encoded.partition(b',"seq":0,')
        before += b',"seq":'
        after = b"," + after
        return lambda number: before + str(number).encode() + after

    def _encoded(self, draft: Draft, shard: str, sealed: int, itemise: int) -> bytes:
        with suppress(msgspec.MsgspecError, AttributeError, TypeError, ValueError, OverflowError):
            made = canonical(self._entry(draft, shard, sealed, itemise))
            _decode(made)
            return made
        # raised here, so that the error, which may quote the value, is not even its context
        raise Refused.own("GUARD-REGISTER", "A part of the entry has a type that cannot be kept.")

    def _entry(self, draft: Draft, shard: str, sealed: int, itemise: int) -> Entry:
        """The entry that seals at most `sealed` bytes and names at most `itemise` persons."""
        salt = secrets.token_urlsafe(16)
        activity = draft.activity
        recipient = activity.recipient if activity else draft.recipient
        named = _actor_is_person(draft, recipient)
        listed = draft.subjects if len(draft.subjects) <= itemise else ()
        by = (draft.actor.id,) if named and _is_key(draft.actor.id) else ()
        wanted = dict.fromkeys((*listed, *by))
        keys = self._keys(tuple(wanted)) if wanted else {}
        committed = {one: commitment(keys[one], salt, one) for one in wanted}
        return Entry(
            v=VERSION,
            shard=shard,
            seq=0,
            kind=draft.kind,
            time=int(self._now()),
            salt=salt,
            holder=self._holder,
            actor=_person(draft.actor, committed[by[0]]) if by else _who(draft.actor, hidden=named),
            operation=activity.operation if activity else None,
            purpose=_text(activity.purpose if activity else draft.purpose),
            method=activity.method if activity else None,
            recipient=None if recipient is None else texts(recipient),
            declared=texts(activity.declared) if activity else None,
            basis=_text(draft.basis or (activity.declared.basis if activity else None)),
            touched=touched(activity, draft.decision) if activity else (),
            decision=decided(draft),
            statement=None if draft.statement is None else text(draft.statement, MAX_STATEMENT),
            sealed=None if draft.sealed is None else seal(self._sealer, kept(draft.sealed, sealed), shard, salt),
            persons=_persons(draft, tuple(sorted({committed[one] for one in listed}))),
            rows=draft.rows,
            refers_to=draft.refers_to,
            review=_text(draft.review),
            consent=_text(draft.consent),
        )


class _Shard:
    """A log, the process that may write it, and its intents that have no outcome yet."""

    __slots__ = ("intents", "log", "pid")

    def __init__(self, log: Log) -> None:
        self.log = log
        self.pid = os.getpid()
        self.intents: set[int] = set()


_OPEN: weakref.WeakSet[Register] = weakref.WeakSet()


def _forked() -> None:
    for register in tuple(_OPEN):
        register.forked()


os.register_at_fork(after_in_child=_forked)


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
