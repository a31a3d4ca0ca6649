"""Persons in the register: a keyed commitment instead of a name.

A commitment is HMAC-SHA256 under the person's own random key over the entry's salt and the subject key. With
the person's key one can tell which entries are about the person; without it, not even whether two entries
are about the same one. So destroying the key is erasure, and the log stays whole.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import Final, TypeAlias

from guard_register.entry import Entry

Keys: TypeAlias = Callable[[Sequence[str]], Mapping[str, bytes]]
"""The keys of persons by subject, made on first use."""

_DOMAIN: Final = b"guard register person 1\x00"
_BLOCK: Final = 64
_INNER: Final = bytes(byte ^ 0x36 for byte in range(256))
_OUTER: Final = bytes(byte ^ 0x5C for byte in range(256))


def commitments(keys: Mapping[str, bytes], salt: str) -> dict[str, str]:
    """The names of persons in the entry with this salt, by subject; base64url without padding."""
    before = _DOMAIN + salt.encode() + b"\x00"
    return {
        one: urlsafe_b64encode(_hmac(key, before + one.encode())).rstrip(b"=").decode() for one, key in keys.items()
    }


def commitment(key: bytes, salt: str, subject: str) -> str:
    """The name of one person."""
    return commitments({subject: key}, salt)[subject]


def _hmac(key: bytes, text: bytes) -> bytes:
    """RFC 2104. `hmac.new` takes twice as long; `hmac.digest` lets other threads in, which takes longer still."""
    padded = (key if len(key) <= _BLOCK else sha256(key).digest()).ljust(_BLOCK, b"\x00")
    return sha256(padded.translate(_OUTER) + sha256(padded.translate(_INNER) + text).digest()).digest()


def concerns(entry: Entry, subject: str, key: bytes) -> bool:
    """Whether the entry names this person, as one of its persons or as the one who acted."""
    expected = commitment(key, entry.salt, subject)
    return entry.actor.person == expected or (entry.persons is not None and expected in entry.persons.of)
