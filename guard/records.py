"""Records: JSON objects about persons, as an adapter holds them.

An adapter of the web, a queue or a file reads its bytes into `Records`; the roads ask them who they are about and
what they have, and tell them what to release. How they are held and written is the adapter's business.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol, TypeAlias

Shown: TypeAlias = Literal["reveal", "mask", "drop"]
"""What becomes of a field in what is released."""


class Records(Protocol):
    """Records of one source of the catalogue. Fields are JSON pointers (`guard.pointers`)."""

    @property
    def count(self) -> int:
        """How many they are."""
        ...

    @property
    def present(self) -> frozenset[str]:
        """The declared fields that at least one of them has."""
        ...

    @property
    def dropped(self) -> int:
        """How many members no field declares: they were left out when the records were read."""
        ...

    def persons(self) -> Sequence[tuple[tuple[str, ...], ...]]:
        """Per record, per declared subject in the catalogue's order, its keys as canonical text; () for none.

        Refused GUARD-SUBJECT for a key that is no canonical text.
        """
        ...

    def values(self, field: str) -> Sequence[object]:
        """Per record, what it has in a field; None where it has nothing. Misuse for a field within an array."""
        ...

    def treat(
        self, kept: Sequence[int] | None, shown: Mapping[str, Shown | Sequence[Shown]], masks: Mapping[str, str]
    ) -> Any:
        """What is released: the records at the positions `kept` (None: all), each field as `shown` says.

        A field that is not named is dropped. A sequence has one value for each record that is kept. `masks` names
        the mask (`guard.masks`) of each field that is masked anywhere.
        """
        ...
