"""Engine, register and keys: files that are there, and that only their owner can read."""

from __future__ import annotations

import os
from pathlib import Path

from guard.cli.checks.findings import Findings
from guard.config import Server, Settings
from guard.documents import Document


def look(settings: Settings, document: Document, found: Findings) -> None:
    """Checks what guard.yaml says of files and of the OPA server."""
    if isinstance(settings.engine, Server):
        _server(settings.engine, document, found)
    _secret(settings.register_.key_file, ("register", "key_file"), document, found)
    directory = settings.register_.directory
    if directory.exists() and not directory.is_dir():
        remedy = "name a folder, or a path where guard can make one"
        found.errors.append(document.problem(("register", "directory"), f"{directory} is not a folder", remedy))
    elif not directory.exists() and not directory.parent.is_dir():
        remedy = "make the folder around it"
        found.errors.append(document.problem(("register", "directory"), f"{directory.parent} does not exist", remedy))
    if directory.is_dir() and any(directory.iterdir()) and not settings.register_.key_file.exists():
        remedy = "bring the key back: without it the sealed parts of the register cannot be read"
        message = f"the register has entries, and its key {settings.register_.key_file} is missing"
        found.errors.append(document.problem(("register", "key_file"), message, remedy))


def _server(server: Server, document: Document, found: Findings) -> None:
    place = ("engine", "url")
    if not server.url.startswith("https://") and not server.loopback:
        remedy = "use https, or a server on this machine"
        found.errors.append(document.problem(place, "the OPA server is asked over a network without TLS", remedy))
    if server.token_file is None and not server.unsafe_open_server:
        message = "the OPA server has no token: whoever reaches it can change the policies"
        remedy = "give it a token and name its file as token_file; unsafe_open_server accepts the risk"
        found.errors.append(document.problem(place, message, remedy))
    if server.unsafe_open_server:
        message = "the OPA server may be open: whoever reaches it can change the policies"
        remedy = "give it a token and name its file as token_file"
        found.warnings.append(document.problem(("engine", "unsafe_open_server"), message, remedy))
    if server.token_file is not None:
        _needed(server.token_file, ("engine", "token_file"), document, found)
        _secret(server.token_file, ("engine", "token_file"), document, found)
    if server.ca_file is not None:
        _needed(server.ca_file, ("engine", "ca_file"), document, found)


def _needed(path: Path, place: tuple[str, ...], document: Document, found: Findings) -> None:
    if not path.is_file() or not os.access(path, os.R_OK):
        remedy = "name a file that exists and is readable"
        found.errors.append(document.problem(place, f"{path} cannot be read", remedy))


def _secret(path: Path, place: tuple[str, ...], document: Document, found: Findings) -> None:
    """A file with a secret is its owner's alone. Where there is none yet, guard makes it so."""
    if not path.exists():
        return
    if not path.is_file():
        found.errors.append(document.problem(place, f"{path} is not a file", "name a file"))
    elif os.name == "posix" and path.stat().st_mode & 0o077:
        message = f"{path} can be read or written by others"
        found.errors.append(document.problem(place, message, f"chmod 600 {path}"))
