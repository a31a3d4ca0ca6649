"""Persons in the register: a keyed commitment instead of a name.

A commitment is HMAC-SHA256 under the person's own random key over the entry's salt and the subject key. With
the person's key one can tell which entries are about the person; without it, not even whether two entries
are about the same one. So destroying the key is erasure, and the log stays whole.
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias

from guard_register.entry import Entry

Keys: TypeAlias = Callable[[Sequence[str]], Mapping[str, bytes]]
"""The keys of persons by subject, made on first use."""

_DOMAIN: Final = b"guard register person 1\x00"


def commitment(key: bytes, salt: str, subject: str) -> str:
    """The name of a person in the entry with this salt; base64url without padding."""
    # not hmac.digest: it lets other threads in, which for so short a text takes far longer than the text
    made = hmac.new(key, _DOMAIN + salt.encode() + b"\x00" + subject.encode(), "sha256").digest()
    return urlsafe_b64encode(made).rstrip(b"=").decode()


def concerns(entry: Entry, subject: str, key: bytes) -> bool:
    """Whether the entry names this person, as one of its persons or as the one who acted."""
    expected = commitment(key, entry.salt, subject)
    return entry.actor.person == expected or (entry.persons is not None and expected in entry.persons.of)
