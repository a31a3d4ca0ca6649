"""What the checks gather, and what they look at."""

from __future__ import annotations

import msgspec

from guard.catalogue import Catalogue
from guard.config import Settings
from guard.documents import Document
from guard.errors import Problem


class Findings:
    """The problems found so far."""

    def __init__(self) -> None:
        self.errors: list[Problem] = []
        self.warnings: list[Problem] = []


class Loaded(msgspec.Struct, frozen=True):
    """Documents that are sound in themselves."""

    settings: Settings
    document: Document
    catalogue: Catalogue
    catalogue_document: Document
