"""What computes a decision; `guard_engine` has OPA's Wasm in this process, and an OPA server.

An engine evaluates one entry point of one layer on one document and hands back the JSON value, strictly
read; what the value means is `guard.wire`'s business, and putting layers together the `decider`'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, Protocol, TypeAlias

Entrypoint: TypeAlias = Literal["decision", "consent"]

ENTRYPOINTS: Final[tuple[Entrypoint, ...]] = ("decision", "consent")

LAYERS: Final = ("floor", "supervisor", "institution")
"""The layers a policy may be, from the statutory minimum to the institution's own; all must allow."""

PROFILE: Final = "profile"
"""The data-only bundle that says who the institution is."""


class Engine(Protocol):
    """One way to evaluate policies. Safe to use from many threads at once."""

    @property
    def digests(self) -> Mapping[str, str]:
        """Layer, or `profile`, to the `sha256:…` digest of its sources."""
        ...

    def evaluate(self, layer: str, entrypoint: Entrypoint, document: bytes) -> object:
        """The JSON value of `data.guard.<layer>.<entrypoint>` for the input `document` (canonical JSON).

        Raises Refused: GUARD-ENGINE-… where the engine could not answer, GUARD-DECISION-UNDEFINED where
        the policy did not, GUARD-DECISION-JSON, -NUMBER, -SIZE, -DEPTH where the answer is not strict JSON.
        """
        ...

    def close(self) -> None:
        """Gives back what the engine holds. A closed engine refuses with GUARD-ENGINE-STOPPED."""
        ...
