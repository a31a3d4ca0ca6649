"""Lines: what is remembered of one is what would be made anew; what must never repeat does not."""

from __future__ import annotations

import hmac
import os
import secrets
import string
from base64 import urlsafe_b64decode
from pathlib import Path

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from test_register import DECISION, NOW, OFFICER, activity, draft

from guard.draft import Draft
from guard.errors import Refused
from guard.model import Actor, Reason, Recipient
from guard.wire import canonical
from guard_register.entry import Entry, Tail
from guard_register.line import Scribe, _Salts
from guard_register.persons import commitment, commitments, concerns
from guard_register.seal import KeyFile, unseal

SHARD = "00ff"
KEYS = {one: secrets.token_bytes(32) for one in ("p-1", "p-2", "o-7")}


@pytest.fixture
def sealer(tmp_path: Path) -> KeyFile:
    return KeyFile(tmp_path / "register.key")


@pytest.fixture
def scribe(sealer: KeyFile) -> Scribe:
    return Scribe(holder="bank", keys=lambda of: {one: KEYS[one] for one in of}, sealer=sealer, itemise=3, now=clock)


def clock() -> float:
    return NOW


def written(scribe: Scribe, of: Draft, number: int = 7) -> Entry:
    line = scribe.line(of, SHARD)(number)
    entry = msgspec.json.decode(line, type=Entry)
    assert canonical(entry) == line
    assert entry.seq == number
    return entry


def plain(entry: Entry, sealer: KeyFile) -> object:
    """The entry without what is random in it."""
    assert entry.sealed is None or entry.sealed.key
    of = None if entry.persons is None else (entry.persons.count, len(entry.persons.of), entry.persons.not_itemised)
    by = None if entry.actor.person is None else concerns(entry, BASE.actor.id, KEYS["o-7"])
    actor = msgspec.structs.replace(entry.actor, person=None)
    rest = msgspec.structs.replace(entry, salt="", sealed=None, persons=None, actor=actor)
    return rest, by, of, unseal(sealer, entry)


HERE = activity()
BASE = draft(activity=HERE, subjects=("p-1",))
VARIANTS = [
    {},
    {"sealed": None},
    {"sealed": {"sql": "SELECT 1"}, "subjects": ("p-1", "p-2")},
    {"subjects": (), "rows": None},
    {"subjects": (), "persons": 9},
    {"rows": 0, "refers_to": 3},
    {"review": "r-1", "consent": "c-1"},
    {"sealed": None, "subjects": (), "rows": None},
    {"kind": "intent"},
    {"kind": "denied"},
    {"kind": "denied", "reasons": (Reason(rule="GUARD-LIMIT"),)},
    {"actor": Actor(id="o-8")},
    {"actor": Actor(id="o-7", roles=("auditor",))},
    {"actor": Actor(id="p-1")},
    {"actor": OFFICER, "subjects": ("o-7",)},
    {"activity": msgspec.structs.replace(HERE, purpose="marketing")},
    {"activity": msgspec.structs.replace(HERE, recipient=Recipient(kind="handler", id="h"))},
    {"activity": msgspec.structs.replace(HERE, items=HERE.items[:2])},
    {"activity": msgspec.structs.replace(HERE, operation="process")},
    {"activity": None},
    {"decision": None},
    {"decision": msgspec.structs.replace(DECISION, obligations=())},
    {"digests": {"floor": "sha256:cc"}},
    {"statement": None},
    {"statement": "SELECT 2"},
    {"basis": "contract"},
]


@pytest.mark.parametrize("changes", VARIANTS, ids=str)
def test_what_is_remembered_is_what_would_be_made_anew(scribe, sealer, changes):
    """After every other draft was written too, so that whatever may be mixed up is."""
    made = msgspec.structs.replace(BASE, **changes)
    anew = plain(written(scribe, made), sealer)
    for other in VARIANTS:
        written(scribe, msgspec.structs.replace(BASE, **other))
    again = plain(written(scribe, made), sealer)
    assert again == anew


def test_a_repeated_draft_is_remembered(scribe, monkeypatch):
    scribe.line(BASE, SHARD)
    monkeypatch.setattr(Scribe, "_entry", None)
    scribe.line(msgspec.structs.replace(BASE, rows=5), SHARD)
    with pytest.raises(Refused):  # _entry is no function any more
        scribe.line(msgspec.structs.replace(BASE, statement="SELECT 3"), SHARD)


@pytest.mark.parametrize("changes", [{"rows": "2"}, {"rows": -1}, {"refers_to": 1.5}, {"persons": "9"}])
def test_a_remembered_line_checks_what_is_new_in_it(scribe, changes):
    scribe.line(BASE, SHARD)
    with pytest.raises(Refused) as refused:
        scribe.line(msgspec.structs.replace(BASE, **changes), SHARD)
    assert refused.value.rules == ("GUARD-REGISTER",)
    assert refused.value.__context__ is None


def test_the_tail_is_the_end_of_an_entry():
    names = Entry.__struct_fields__
    assert names[-len(Tail.__struct_fields__) :] == Tail.__struct_fields__
    assert names[names.index("statement") + 1] == Tail.__struct_fields__[0]
    ends = {name: Tail.__annotations__[name] for name in Tail.__struct_fields__}
    assert ends == {name: Entry.__annotations__[name] for name in ends}


def test_no_more_is_remembered_than_fits(scribe):
    for number in range(1_200):
        scribe.line(msgspec.structs.replace(BASE, statement=f"SELECT {number}"), SHARD)
    scribe.line(msgspec.structs.replace(BASE, statement="SELECT " + "1" * 100_000), SHARD)
    assert 0 < len(scribe._middles) <= 512
    assert all(len(one.text) < 20_000 for one in scribe._middles.values())


def test_salts_do_not_repeat_in_a_forked_child(scribe):
    salts = {written(scribe, BASE).salt for _ in range(1_000)}
    assert len(salts) == 1_000
    into, out = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.write(out, "\n".join(written(scribe, BASE).salt for _ in range(100)).encode())
        finally:
            os._exit(0)
    os.close(out)
    os.waitpid(pid, 0)
    with os.fdopen(into) as stream:
        theirs = stream.read().split()
    assert len(theirs) == 100
    assert not {written(scribe, BASE).salt for _ in range(100)} & set(theirs)


class _Interrupted(_Salts):
    """Another thread takes a salt right after each assignment to it."""

    def __init__(self) -> None:
        super().__init__()
        self.others: list[str] | None = None

    def __setattr__(self, name: str, value: object) -> None:
        super().__setattr__(name, value)
        others = getattr(self, "others", None)
        if others is not None and name != "others":
            self.others = None
            others.append(self.take())
            self.others = others


def test_no_thread_of_a_forked_child_takes_a_salt_of_the_parents(monkeypatch):
    salts = _Interrupted()
    salts.take()
    parents = set(salts._ready)
    assert parents
    child = os.getpid() + 1
    monkeypatch.setattr(os, "getpid", lambda: child)
    salts.others = others = []
    taken = [salts.take(), *others]
    assert len(set(taken)) == len(taken) > 1
    assert not parents & set(taken)


def test_every_letter_of_a_salt_is_random(scribe):
    salts = [written(scribe, BASE).salt for _ in range(2_000)]
    assert {len(salt) for salt in salts} == {22}
    letters = set(string.ascii_letters + string.digits + "-_")
    assert all({salt[place] for salt in salts} == letters for place in range(22))


def test_a_commitment_of_an_earlier_release_is_made_the_same_today():
    assert commitment(bytes(range(32)), "salt", "p-1") == "H0C7cr46M-2GtuY8Aod1xYrzWzLXoIFQo_EXtjxriQE"


@given(st.dictionaries(st.text(max_size=200), st.binary(max_size=200), max_size=3), st.text(max_size=30))
@example({"at most a block": b"k" * 64, "longer": b"k" * 65}, "salt")
def test_commitments_are_hmacs_of_their_persons_each_under_its_key(keys, salt):
    made = commitments(keys, salt)
    assert made.keys() == keys.keys()
    for subject, key in keys.items():
        text = b"guard register person 1\0" + salt.encode() + b"\0" + subject.encode()
        assert urlsafe_b64decode(made[subject] + "=") == hmac.digest(key, text, "sha256")


def test_one_nonce_is_for_one_plaintext(sealer):
    """Even where a machine that was copied draws the same salts again."""
    boxes = {sealer.seal(b"%d" % number, SHARD, "salt").box[:16] for number in range(2_000)}
    assert len(boxes) == 2_000
    assert sealer.seal(b"1", SHARD, "salt") == sealer.seal(b"1", SHARD, "salt")
    assert sealer.seal(b"1", SHARD, "salt").box[:16] != sealer.seal(b"1", SHARD, "tlas").box[:16]
    assert sealer.seal(b"1", SHARD, "salt").box[:16] != sealer.seal(b"1", "ff", "salt").box[:16]
