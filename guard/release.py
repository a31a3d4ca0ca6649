"""One release of everything that decides: layers, catalogue, engine, words.

Immutable. An operation lives under the release it began with; activating another swaps one reference.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from guard.catalogue import Catalogue
from guard.engine.decider import Decider
from guard.messages import Messages


class Release(msgspec.Struct, frozen=True):
    """What one guard decides by.

    `digests` names the sources of each layer and of the profile (`sha256:…`), `purposes` those that any
    layer knows.
    """

    catalogue: Catalogue
    decider: Decider
    messages: Messages
    purposes: frozenset[str]
    digests: Mapping[str, str]
