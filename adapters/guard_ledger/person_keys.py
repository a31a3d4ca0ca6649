"""The random key of each person, under which the register names them.

The keys lie in a database of their own beside the register, so that they can be made while the program holds the
guarded one, and so that destroying one is erasure: the register keeps its entries, and nothing leads from them to
the person.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from time import monotonic
from typing import TYPE_CHECKING, Final, Self

from sqlalchemy import Connection, delete, insert, select
from sqlalchemy.engine import URL

from guard.context import subject_key
from guard.errors import Refused
from guard_ledger.store import Store, chunks
from guard_ledger.tables import person, persons_metadata

if TYPE_CHECKING:
    from guard.config import Settings


class PersonKeys:
    """The keys in one database. Safe for threads, processes and forks.

    `wait` bounds, in seconds, how long a call waits for another writer. A key is remembered for a minute: so long
    may another process go on after `forget` with a key that leads to nobody any more.
    """

    def __init__(self, url: str | URL, *, wait: float = 0.5) -> None:
        self._remembered = _Remembered()
        self._store = Store(url, persons_metadata, wait)

    @classmethod
    def open(cls, settings: Settings) -> Self:
        """Those beside the register that the settings name."""
        directory = settings.register_.directory
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError:
            raise Refused.own("GUARD-REGISTER", "Its directory cannot be made.") from None
        url = URL.create("sqlite", database=str(directory / "persons.db"))
        return cls(url, wait=settings.limits.ledger_wait)

    def key(self, subject: str) -> bytes:
        """The 32 random bytes under which the register names this person; made on first use."""
        return self.keys((subject,))[subject]

    def keys(self, subjects: Iterable[str]) -> Mapping[str, bytes]:
        """The keys of many persons, made on first use in one transaction."""
        wanted = list(dict.fromkeys(map(subject_key, subjects)))
        keys = self._remembered.get(wanted)
        missing = [one for one in wanted if one not in keys]
        if missing:
            found = self._store.run(lambda connection: _keys(connection, missing))
            missing = [one for one in missing if one not in found]
            if missing:
                found.update(self._store.write(lambda connection: _make(connection, missing)))
            self._remembered.put(found)
            keys.update(found)
        return keys

    def known(self, subjects: Iterable[str]) -> Mapping[str, bytes]:
        """The keys of those persons who have one; makes none. For reading the register."""
        wanted = list(dict.fromkeys(map(subject_key, subjects)))
        return self._store.run(lambda connection: _keys(connection, wanted))

    def forget(self, subject: str) -> bool:
        """Destroys a person's key; gives whether there was one.

        The bytes are overwritten in an SQLite file; backups of it are the holder's to expire.
        """
        key = subject_key(subject)
        gone = delete(person).where(person.c.subject == key)
        try:
            return self._store.write(lambda connection: connection.execute(gone).rowcount > 0)
        finally:
            self._remembered.drop(key)

    def close(self) -> None:
        """Closes its connections."""
        self._store.close()


class _Remembered:
    """Person keys in memory: few, for a short time. Safe for threads."""

    _SECONDS: Final = 60.0
    _KEYS: Final = 10_000

    def __init__(self) -> None:
        self._keys: dict[str, tuple[float, bytes]] = {}

    def get(self, subjects: Sequence[str]) -> dict[str, bytes]:
        now = monotonic()
        found = ((one, self._keys.get(one)) for one in subjects)
        return {one: kept[1] for one, kept in found if kept is not None and kept[0] > now}

    def put(self, keys: Mapping[str, bytes]) -> None:
        if len(self._keys) + len(keys) > self._KEYS:
            self._keys = {}
        until = monotonic() + self._SECONDS
        self._keys.update({one: (until, key) for one, key in list(keys.items())[: self._KEYS]})

    def drop(self, subject: str) -> None:
        self._keys.pop(subject, None)


def _keys(connection: Connection, subjects: Sequence[str]) -> dict[str, bytes]:
    keys: dict[str, bytes] = {}
    for part in chunks(subjects):
        for row in connection.execute(select(person).where(person.c.subject.in_(part))):
            if len(row.key) != 32:
                raise Refused.own("GUARD-LEDGER", "A person key is damaged.")
            keys[row.subject] = row.key
    return keys


def _make(connection: Connection, subjects: Sequence[str]) -> dict[str, bytes]:
    keys = _keys(connection, subjects)  # another process may have made them meanwhile
    made = {one: secrets.token_bytes(32) for one in subjects if one not in keys}
    if made:
        connection.execute(insert(person), [{"subject": one, "key": key} for one, key in made.items()])
    return keys | made
