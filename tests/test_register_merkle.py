"""The tree hash against RFC 6962's own definition, and against vectors of Certificate Transparency."""

from __future__ import annotations

from hashlib import sha256

from hypothesis import given
from hypothesis import strategies as st

from guard_register.merkle import EMPTY, Tree

LEAVES = [bytes.fromhex(text) for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657",
                                           "606162636465666768696a6b6c6d6e6f")]  # fmt: skip
HEADS = [  # of the first 1 to 8 of LEAVES: certificate-transparency, merkletree/testing
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def naive(leaves: list[bytes]) -> bytes:
    """RFC 6962, 2.1, word for word."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return sha256(b"\x00" + leaves[0]).digest()
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return sha256(b"\x01" + naive(leaves[:k]) + naive(leaves[k:])).digest()


def grown(leaves: list[bytes]) -> Tree:
    tree = Tree()
    for data in leaves:
        tree.add(data)
    return tree


def test_the_known_vectors():
    assert EMPTY.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert [grown(LEAVES[:size]).head().hex() for size in range(1, 9)] == HEADS


@given(st.lists(st.binary(max_size=4), max_size=70))
def test_the_growing_tree_has_the_head_of_the_definition_at_every_size(leaves):
    tree = Tree()
    assert tree.head() == naive([])
    for size, data in enumerate(leaves, 1):
        tree.add(data)
        assert (tree.size, tree.head()) == (size, naive(leaves[:size]))


def test_a_copy_grows_apart():
    tree = grown(LEAVES[:5])
    other = tree.copy()
    other.add(b"x")
    assert tree.head().hex() == HEADS[4]
    assert other.head() == naive([*LEAVES[:5], b"x"])
