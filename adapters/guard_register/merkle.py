"""The Merkle tree hash of RFC 6962, section 2.1, over SHA-256.

Pure. A `Tree` grows by one leaf at a time and keeps only the roots of its complete subtrees, so that its
head costs a logarithm. Leaves and nodes are hashed with different prefixes, so that no node passes for a leaf.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final

EMPTY: Final = sha256(b"").digest()
"""The head of a tree without leaves."""


def leaf(data: bytes) -> bytes:
    """The hash of a leaf that holds `data`."""
    return sha256(b"\x00" + data).digest()


def node(left: bytes, right: bytes) -> bytes:
    """The hash of a node over two subtrees."""
    return sha256(b"\x01" + left + right).digest()


class Tree:
    """A growing tree: `size` leaves, and one root for each bit of `size` that is set, the largest first."""

    __slots__ = ("_roots", "size")

    def __init__(self) -> None:
        self.size = 0
        self._roots: list[bytes] = []

    def add(self, data: bytes) -> None:
        """Adds a leaf that holds `data`."""
        made = leaf(data)
        bit = 1
        while self.size & bit:
            made = node(self._roots.pop(), made)
            bit <<= 1
        self._roots.append(made)
        self.size += 1

    def copy(self) -> Tree:
        """The same tree, to be grown on trial."""
        other = Tree()
        other.size = self.size
        other._roots = self._roots.copy()
        return other

    def head(self) -> bytes:
        """The root hash over all leaves."""
        if not self._roots:
            return EMPTY
        made = self._roots[-1]
        for root in reversed(self._roots[:-1]):
            made = node(root, made)
        return made
