"""Where statements run: one catalogue, one holder, one database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from guard.catalogue import Catalogue
from guard_sql.dialects import dialect_of
from guard_sql.template import Templates
from guard_sql.world import World


@dataclass(frozen=True, eq=False, kw_only=True)
class Site:
    """What a statement is read against. Made once for a database; shared between threads.

    `schemas` maps schemas of the database to schemas of the catalogue: {"main": "retail"}. A schema that is
    not named does not exist.
    """

    catalogue: Catalogue
    holder: str
    schemas: Mapping[str, str]
    dialect: str = "sqlite"
    statement: int = 65_536
    """The longest statement (characters, and as many bytes in UTF-8)."""
    parameters: int = 1_000
    """The most parameters of one statement (count)."""

    @cached_property
    def world(self) -> World:
        """The tables that statements may name. `Misuse` for a dialect that is not built."""
        return World(self.catalogue, self.holder, self.schemas, dialect_of(self.dialect))

    @cached_property
    def templates(self) -> Templates:
        """What decisions left of the tables so far."""
        return Templates(self.world)
