"""One release of everything that decides: layers, catalogue, engine, words.

Immutable. An operation lives under the release it began with; activating another swaps one reference.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from guard.catalogue import Catalogue
from guard.decider import Decider
from guard.messages import Messages
from guard.purposes import Purposes


class Release(msgspec.Struct, frozen=True):
    """What one guard decides by.

    `digests` names the sources and the compiled module of each layer, the profile and the catalogue
    (`sha256:…`), `purposes` those that the floor or the profile knows, `categories` those of the floor.
    """

    catalogue: Catalogue
    decider: Decider
    messages: Messages
    purposes: Purposes
    categories: frozenset[str]
    digests: Mapping[str, str]

    def close(self) -> None:
        """Gives back what its engine holds; decisions afterwards are refused."""
        self.decider.engine.close()
