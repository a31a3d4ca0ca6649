"""Seals: what an entry keeps but does not show.

Parameters and literals of a statement are encrypted with AES-256-GCM, bound to shard and salt of their entry.
The key stands behind a seam of two methods; `KeyFile` keeps it in a file that only its owner can read, for
demonstrations and small installations. Each shard has keys of its own, derived by HKDF-SHA256. A nonce is a
keyed hash of salt and plaintext: no two plaintexts share one, not even if the machine repeats its random numbers.
"""

from __future__ import annotations

import os
import secrets
from base64 import b64decode, b64encode
from contextlib import suppress
from hashlib import blake2b, sha256
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from guard.errors import Refused
from guard.wire import canonical
from guard_register.entry import Entry, Sealed

ALGORITHM: Final = "A256GCM"
_MARK: Final = b"guard-register-key-1 "
_BLOCK: Final = 64


class Sealer(Protocol):
    """Holds the key of the register: a file, a hardware token, a key service."""

    def seal(self, plain: bytes, shard: str, salt: str) -> Sealed:
        """The plaintext, readable only with the key and only as part of this entry."""
        ...

    def open(self, sealed: Sealed, shard: str, salt: str) -> bytes:
        """The plaintext; Refused GUARD-REGISTER-KEY if key, entry or content do not fit."""
        ...


class KeyFile:
    """A key in a file of mode 0600, made on first use. Safe for processes that make it at once."""

    def __init__(self, path: str | Path) -> None:
        secret = _read(Path(path))
        self._secret = secret
        self._id = sha256(b"guard register key id\x00" + secret).hexdigest()[:16]
        self._derived: tuple[str, AESGCM, blake2b] | None = None

    def seal(self, plain: bytes, shard: str, salt: str) -> Sealed:
        """See `Sealer.seal`."""
        bound = _bound(shard, salt)
        _, cipher, nonces = self._keys(shard)
        hashed = nonces.copy()
        hashed.update(bound + b"\x00" + plain)
        nonce = hashed.digest()
        box = nonce + cipher.encrypt(nonce, plain, bound)
        return Sealed(alg=ALGORITHM, key=self._id, box=b64encode(box).decode())

    def open(self, sealed: Sealed, shard: str, salt: str) -> bytes:
        """See `Sealer.open`."""
        if sealed.alg != ALGORITHM or sealed.key != self._id:
            raise Refused.own("GUARD-REGISTER-KEY", "It was sealed with another key.")
        with suppress(ValueError, InvalidTag):
            box = b64decode(sealed.box, validate=True)
            return self._keys(shard)[1].decrypt(box[:12], box[12:], _bound(shard, salt))
        raise Refused.own("GUARD-REGISTER-KEY", "The seal is broken.")

    def _keys(self, shard: str) -> tuple[str, AESGCM, blake2b]:
        """The shard, its cipher, and the keyed hash of its nonces, to be copied."""
        derived = self._derived
        if derived is None or derived[0] != shard:
            info = b"guard register seal 1\x00" + shard.encode()
            made = HKDF(hashes.SHA256(), 64, None, info).derive(self._secret)
            nonces = blake2b(key=made[32:], digest_size=12)
            derived = self._derived = (shard, AESGCM(made[:32]), nonces)
        return derived


def seal(sealer: Sealer, value: object, shard: str, salt: str) -> Sealed:
    """Seals any JSON value, padded so that its length tells little. TypeError or ValueError if it is none."""
    plain = canonical(value)
    return sealer.seal(plain.ljust(-(-len(plain) // _BLOCK) * _BLOCK), shard, salt)


def unseal(sealer: Sealer, entry: Entry) -> Any:
    """The value that an entry keeps sealed; None if it keeps none."""
    if entry.sealed is None:
        return None
    return msgspec.json.decode(sealer.open(entry.sealed, entry.shard, entry.salt))


def _bound(shard: str, salt: str) -> bytes:
    return f"{shard}\x00{salt}".encode()


def _read(path: Path) -> bytes:
    text = secret = b""
    shared = False
    with suppress(OSError, ValueError):
        if not path.exists():
            _make(path)
        shared = path.stat().st_mode & 0o077 != 0 and os.name == "posix"
        text = path.read_bytes()
        secret = b64decode(text.removeprefix(_MARK).strip(), validate=True)
    if shared:
        raise Refused.own("GUARD-REGISTER-KEY", "Others can read its file: set its mode to 0600.")
    if not text.startswith(_MARK) or len(secret) != 32:
        raise Refused.own("GUARD-REGISTER-KEY", "Its file is damaged, or cannot be read or made.")
    return secret


def _make(path: Path) -> None:
    """Writes a new key whole or not at all; leaves alone the one that another process made meanwhile."""
    trial = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    handle = os.open(trial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(_MARK + b64encode(secrets.token_bytes(32)) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(trial, path)
        except FileExistsError:
            return
    finally:
        trial.unlink()
