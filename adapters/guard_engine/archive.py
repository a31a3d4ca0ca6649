"""Tar and gzip as OPA bundles use them, read strictly and written so that equal files are equal bytes.

The standard tar reader takes a damaged header for the end of the archive and follows links, long-name
records and sparse maps; a bundle needs none of them. So this one reads plain POSIX headers (ustar), regular
files only, and everything else is an `ArchiveError`.
"""

from __future__ import annotations

import gzip
import io
import re
import zlib
from collections.abc import Mapping
from typing import Final

MAX_PACKED: Final = 16 * 1024 * 1024
MAX_UNPACKED: Final = 64 * 1024 * 1024
MAX_MEMBER: Final = 16 * 1024 * 1024
MAX_MEMBERS: Final = 1000

_BLOCK: Final = 512
_ZERO: Final = bytes(_BLOCK)
_NAME: Final = re.compile(r"(?:[A-Za-z0-9_.-]+/)*[A-Za-z0-9_.-]+")


class ArchiveError(ValueError):
    """What is wrong with an archive, as a sentence without its end."""


def unpack(raw: bytes) -> dict[str, bytes]:
    """The files of a tar.gz by name, in the archive's order. One leading slash (OPA writes it) is taken off."""
    if len(raw) > MAX_PACKED:
        raise ArchiveError(f"it is larger than {MAX_PACKED} bytes")
    tar = _gunzip(raw)
    files: dict[str, bytes] = {}
    at = 0
    while (header := tar[at : at + _BLOCK]) != _ZERO:
        if len(header) != _BLOCK:
            raise ArchiveError("it ends in the middle")
        name, size = _header(header)
        body = tar[at + _BLOCK : at + _BLOCK + size]
        if len(body) != size:
            raise ArchiveError(f"the file {name} is cut off")
        if name in files:
            raise ArchiveError(f"the file {name} is repeated")
        if len(files) == MAX_MEMBERS:
            raise ArchiveError(f"it holds more than {MAX_MEMBERS} files")
        files[name] = body
        at += _BLOCK + -(-size // _BLOCK) * _BLOCK
    if tar[at:].strip(b"\0"):
        raise ArchiveError("data follows its end")
    return files


def _gunzip(raw: bytes) -> bytes:
    inflate = zlib.decompressobj(wbits=31)
    try:
        tar = inflate.decompress(raw, MAX_UNPACKED)
    except zlib.error as error:
        raise ArchiveError(f"it is not sound gzip ({error})") from None
    if inflate.unconsumed_tail:
        raise ArchiveError(f"it unpacks to more than {MAX_UNPACKED} bytes")
    if not inflate.eof or inflate.unused_data:
        raise ArchiveError("it is not one whole gzip stream")
    return tar


def _header(header: bytes) -> tuple[str, int]:
    if _octal(header[148:156]) != sum(header[:148]) + 8 * 32 + sum(header[156:]):
        raise ArchiveError("a header is damaged")
    if header[257:263] != b"ustar\0" or header[156:157] not in (b"0", b"\0"):
        raise ArchiveError("it holds something other than plain files")
    parts = (header[345:500], header[:100])
    name = "/".join(part for part in (_text(raw) for raw in parts) if part).removeprefix("/")
    if not _NAME.fullmatch(name) or {".", ".."} & set(name.split("/")):
        raise ArchiveError(f"the file name {name!r} is not a plain relative path")
    size = _octal(header[124:136])
    if size > MAX_MEMBER:
        raise ArchiveError(f"the file {name} is larger than {MAX_MEMBER} bytes")
    return name, size


def _text(field: bytes) -> str:
    text, _, rest = field.partition(b"\0")
    if rest.strip(b"\0"):
        raise ArchiveError("a file name holds a zero")
    return text.decode("latin-1")


def _octal(field: bytes) -> int:
    digits = field.strip(b" \0")
    if not digits or digits.translate(None, b"01234567"):
        raise ArchiveError("a header is damaged")
    return int(digits, 8)


def pack(files: Mapping[str, bytes]) -> bytes:
    """The files as tar.gz, sorted by name, without owner or time: equal files give equal bytes under one zlib."""
    tar = io.BytesIO()
    for name in sorted(files):
        body = files[name]
        tar.write(_made_header(name, len(body)))
        tar.write(body)
        tar.write(bytes(-len(body) % _BLOCK))
    tar.write(2 * _ZERO)
    packed = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=packed, compresslevel=9, mtime=0) as stream:
        stream.write(tar.getvalue())
    return packed.getvalue()


def _made_header(name: str, size: int) -> bytes:
    encoded = name.encode("ascii") if _NAME.fullmatch(name) else b""
    if not 0 < len(encoded) <= 100:
        raise ArchiveError(f"the file name {name!r} is not a plain relative path of at most 100 characters")
    fields = (
        encoded.ljust(100, b"\0"),
        b"0000644\0" + b"0000000\0" * 2,
        b"%011o\0" % size,
        b"%011o\0" % 0,
        b" " * 8,
        b"0".ljust(101, b"\0"),
        b"ustar\x0000",
    )
    header = b"".join(fields).ljust(_BLOCK, b"\0")
    return header[:148] + b"%06o\0 " % sum(header) + header[156:]
