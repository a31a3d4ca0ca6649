"""Keys and seals of the register."""

from __future__ import annotations

import os
import stat
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.errors import Refused
from guard_register import seal
from guard_register.entry import Sealed
from guard_register.seal import KeyFile


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "register.key"


def test_the_key_file_is_made_once_and_for_its_owner_alone(path):
    old = os.umask(0)
    try:
        first = KeyFile(path)
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    sealed = first.seal(b"1101", "shard", "salt")
    assert KeyFile(path).open(sealed, "shard", "salt") == b"1101"
    assert [entry.name for entry in path.parent.iterdir()] == ["register.key"]


def test_threads_that_make_the_key_at_once_get_one_key(path):
    with ThreadPoolExecutor(16) as pool:
        keys = list(pool.map(lambda _: KeyFile(path)._secret, range(64)))
    assert len(set(keys)) == 1


def test_a_key_that_others_can_read_is_refused(path):
    KeyFile(path)
    path.chmod(0o640)
    with pytest.raises(Refused) as refused:
        KeyFile(path)
    assert refused.value.rules == ("GUARD-REGISTER-KEY",)
    assert "0600" in str(refused.value)


@pytest.mark.parametrize("content", [b"", b"guard-register-key-1 AAAA\n", b"x" * 65, b"guard-register-key-1 \xff"])
def test_a_damaged_key_is_refused_and_never_replaced(path, content):
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(Refused, match=r"damaged|cannot be read"):
        KeyFile(path)
    assert path.read_bytes() == content


def test_a_key_without_a_folder_is_refused(path):
    with pytest.raises(Refused, match="cannot be read or made"):
        KeyFile(path.parent / "missing" / "register.key")


def test_a_seal_of_an_earlier_release_opens_and_would_be_made_the_same_today(path):
    path.write_bytes(b"guard-register-key-1 " + b64encode(bytes(range(32))) + b"\n")
    path.chmod(0o600)
    key = KeyFile(path)
    sealed = Sealed(
        alg="A256GCM",
        key="32fb1f36c6bfa4e1",
        box="w0MoIRotqIZ2BQUNE0su62PE3l2CrmR9zz9++YjOOGy0N9yyZ1J8LfFw1gkj3m+r2YHyaBatacVd334dK0vaAN179k2jnRr7OCQGc9Bg"
        "eYCnzgI/cce5EDRUvgI=",
    )
    assert seal.seal(key, ["1101"], "00ff00ff00ff00ff", "salt") == sealed
    assert key.open(sealed, "00ff00ff00ff00ff", "salt").rstrip() == b'["1101"]'


@pytest.mark.parametrize(("shard", "salt"), [("other", "salt"), ("shard", "other")])
def test_a_seal_moved_to_another_entry_does_not_open(path, shard, salt):
    key = KeyFile(path)
    with pytest.raises(Refused, match="broken"):
        key.open(key.seal(b"1101", "shard", "salt"), shard, salt)


@pytest.mark.parametrize("box", ["", "AAAA", "not base64!", "A" * 80])
def test_a_broken_seal_does_not_open(path, box):
    key = KeyFile(path)
    made = key.seal(b"1101", "shard", "salt")
    with pytest.raises(Refused):
        key.open(Sealed(alg=made.alg, key=made.key, box=box), "shard", "salt")


def test_another_key_or_algorithm_does_not_open(path):
    key = KeyFile(path)
    made = key.seal(b"1101", "shard", "salt")
    for other in (msgspec.structs.replace(made, key="0" * 16), msgspec.structs.replace(made, alg="none")):
        with pytest.raises(Refused, match="another key"):
            key.open(other, "shard", "salt")


@given(short=st.text(max_size=20), other=st.text(max_size=20))
def test_short_values_seal_to_one_length(tmp_path_factory, short, other):
    key = KeyFile(tmp_path_factory.getbasetemp() / "one.key")
    boxes = {len(seal.seal(key, [value[:5]], "shard", "salt").box) for value in (short, other)}
    assert len(boxes) == 1
