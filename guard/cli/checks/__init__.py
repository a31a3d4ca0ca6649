"""What `guard check` looks at: everything that can be found wrong before a program runs.

From one guard.yaml: do the documents parse; is the catalogue consistent; do the policies know its categories;
do the layers' bundles load; are the engine's settings safe; has the database the tables and columns that the
catalogue says, and do they hold what it says; can the register's key be kept. Nothing is written. The
database is opened read-only; a few rows are looked at, and no value of them is ever part of a problem.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from guard import documents, strict
from guard.catalogue import Catalogue
from guard.cli.checks import files, policies, tables
from guard.cli.checks.findings import Findings, Loaded
from guard.config import Profile, Settings
from guard.documents import Document
from guard.errors import ConfigError, Problem
from guard.strict import M


class Report(msgspec.Struct, frozen=True):
    """What was found: errors keep guard from working or are unsafe, warnings deserve a look. In order of place."""

    errors: tuple[Problem, ...]
    warnings: tuple[Problem, ...]


def check(path: Path | str) -> Report:
    """All that is wrong with the guard.yaml at `path` and with what it names."""
    found = Findings()
    document = _read(Path(path), found)
    settings = None if document is None else _of(document, found)
    if document is not None and settings is not None:
        _everything(document, settings, found)
    return Report(errors=_in_order(found.errors), warnings=_in_order(found.warnings))


def _everything(document: Document, settings: Settings, found: Findings) -> None:
    catalogue_text = _named(document, "catalogue", settings.catalogue, found)
    profile_text = _named(document, "profile", settings.profile, found)
    catalogue = None if catalogue_text is None else _model(catalogue_text, Catalogue, found)
    profile = None if profile_text is None else _model(profile_text, Profile, found)
    files.look(settings, document, found)
    bundles = policies.look(settings, document, found)
    if catalogue_text is None or catalogue is None:
        return
    loaded = Loaded(settings=settings, document=document, catalogue=catalogue, catalogue_document=catalogue_text)
    tables.look(loaded, found)
    if bundles is None:
        return
    floor = next(one.data for one in bundles if one.layer == "floor")
    policies.categories(loaded, floor, found)
    if profile_text is not None and profile is not None:
        policies.relations(loaded, floor, profile, found)
        policies.purposes(loaded, floor, profile, profile_text, found)
        if settings.engine.kind == "embedded":
            policies.start(loaded, profile, bundles, found)


def _read(path: Path, found: Findings) -> Document | None:
    try:
        return documents.read(path)
    except ConfigError as error:
        found.errors += error.problems
        return None


def _named(document: Document, key: str, path: Path, found: Findings) -> Document | None:
    """A document that guard.yaml names: where there is none, guard.yaml is wrong."""
    if path.is_file():
        return _read(path, found)
    found.errors.append(document.problem((key,), f"{path} is not a file", "name a file that exists"))
    return None


def _model(document: Document, kind: type[M], found: Findings) -> M | None:
    try:
        return strict.model(document, kind)
    except ConfigError as error:
        found.errors += error.problems
        return None


def _of(document: Document, found: Findings) -> Settings | None:
    try:
        return Settings.of(document)
    except ConfigError as error:
        found.errors += error.problems
        return None


def _in_order(problems: list[Problem]) -> tuple[Problem, ...]:
    return tuple(sorted(set(problems), key=lambda one: (one.file, one.line, one.message)))
