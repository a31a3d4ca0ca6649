"""Drafts in, durable entries out: what an entry says, and what it must not."""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from hashlib import sha256
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.clock import stamp
from guard.context import subject_key
from guard.draft import Draft
from guard.errors import Misuse, Refused
from guard.model import (
    ALWAYS,
    NEVER,
    Activity,
    Actor,
    Decision,
    Declared,
    GrantCondition,
    Item,
    Limit,
    Reason,
    Recipient,
    RelationCondition,
    SelfCondition,
    Treatment,
)
from guard.wire import canonical
from guard_ledger.ledger import Ledger
from guard_register.entry import Touched
from guard_register.log import MAX_LINE
from guard_register.persons import concerns
from guard_register.reader import outcomes
from guard_register.register import Register
from guard_register.seal import KeyFile, unseal

NOW = 1_795_420_830
SOURCE = "bank:retail.customer"
OFFICER = Actor(id="o-7", roles=("loan_officer",), unit="branch-3")


class Keys:
    """Person keys in memory."""

    def __init__(self) -> None:
        self.of: dict[str, bytes] = {}

    def __call__(self, subjects: Sequence[str]) -> dict[str, bytes]:
        return {one: self.of.setdefault(one, secrets.token_bytes(32)) for one in map(subject_key, subjects)}


@pytest.fixture
def keys() -> Keys:
    return Keys()


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "register"


@pytest.fixture
def sealer(tmp_path: Path) -> KeyFile:
    return KeyFile(tmp_path / "register.key")


@pytest.fixture
def register(directory, keys, sealer):
    with Register(directory, holder="bank", keys=keys, sealer=sealer, itemise=3, wait=5, now=lambda: NOW) as one:
        yield one


def activity(recipient: Recipient | None = None, operation: str = "use") -> Activity:
    fields = {"full_name": "identity", "id_number": "identity_number", "mobile": "contact", "employer": "employment"}
    return Activity(
        id="0",
        operation=operation,
        purpose="loan_underwriting",
        method="sql",
        actor=OFFICER.facts(),
        recipient=recipient or Recipient(kind="staff"),
        subjects="declared",
        items=(
            Item(source=SOURCE, field=None, role="read", subjects=("holder",)),
            *(Item(source=SOURCE, field=name, role="read", category=of) for name, of in fields.items()),
        ),
        declared=Declared(notice="n-1", basis="statute", evidence="CIR-2"),
        time=stamp(NOW, "Asia/Shanghai"),
    )


GRANT = GrantCondition(rule="PI-19", separate=True)
DECISION = Decision(
    id="0",
    allow=True,
    rows={SOURCE: RelationCondition(rule="PI-02", name="assigned_case")},
    reads={
        SOURCE: {
            "full_name": Treatment(reveal=ALWAYS, mask=None, masked_if=ALWAYS),
            "id_number": Treatment(reveal=GRANT, mask="id18", masked_if=ALWAYS, rules=("PI-19",)),
            "mobile": Treatment(reveal=NEVER, mask="phone", masked_if=ALWAYS),
        }
    },
    obligations=(Limit(subjects=50, rule="OP-08"),),
)


def draft(**changes: object) -> Draft:
    parts: dict[str, object] = {
        "kind": "read",
        "actor": OFFICER,
        "activity": activity(),
        "decision": DECISION,
        "digests": {"floor": "sha256:aa", "catalogue": "sha256:bb"},
        "statement": "SELECT id_number FROM retail.customer WHERE id_number = ?",
        "sealed": ["110101199003070011"],
        "subjects": ("p-1001", "王小明"),
        "rows": 2,
    }
    return Draft(**{**parts, **changes})


def written(directory: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(directory.rglob("*")) if path.is_file())


def test_an_entry_says_who_asked_what_about_whom_why_and_what_was_decided(register, directory):
    assert [register.append(draft()), register.append(draft())] == [0, 1]
    entry = next(register.entries())
    assert (entry.v, entry.shard, entry.seq, entry.kind, entry.time) == (1, register.shard, 0, "read", NOW)
    assert (entry.holder, entry.actor.id, entry.actor.roles, entry.actor.unit) == (
        "bank",
        "o-7",
        ("loan_officer",),
        "branch-3",
    )
    assert (entry.operation, entry.purpose, entry.basis, entry.rows) == ("use", "loan_underwriting", "statute", 2)
    assert entry.decision is not None
    assert entry.decision.allow
    assert entry.decision.rules == ("OP-08", "PI-02", "PI-19")
    assert dict(entry.decision.digests) == {"floor": "sha256:aa", "catalogue": "sha256:bb"}
    assert [(one.field, one.treatment) for one in entry.touched] == [
        (None, "conditional"),
        ("full_name", "revealed"),
        ("id_number", "conditional:id18"),
        ("mobile", "masked:phone"),
        ("employer", "dropped"),
    ]


def test_the_log_holds_no_subject_key_and_no_literal(register, directory):
    register.append(draft())
    register.append(
        draft(kind="denied", reasons=(Reason(rule="PI-02"),), sealed={"text": "SELECT '110101199003070011'"})
    )
    register.close()
    bytes_ = written(directory)
    assert b"PI-02" in bytes_
    for secret in ("p-1001", "王小明", "110101199003070011"):
        for form in (
            secret.encode(),
            canonical(secret)[1:-1],
            secret.encode("unicode_escape"),
            secret.encode().hex().encode(),
        ):
            assert form not in bytes_, secret


def test_what_is_sealed_opens_with_the_key(register, sealer):
    value = {"parameters": [1, None, True, 2**70, 1.5, "x", Decimal("1.10"), datetime(2026, 1, 2, tzinfo=UTC), b"\x00"]}
    register.append(draft(sealed=value))
    opened = unseal(sealer, next(register.entries()))
    assert opened == {"parameters": [1, None, True, 2**70, 1.5, "x", "1.10", "2026-01-02T00:00:00Z", "AA=="]}


def test_persons_are_found_with_their_key_and_only_with_it(register, keys):
    register.append(draft())
    entry = next(register.entries())
    assert entry.persons is not None
    assert (entry.persons.count, len(entry.persons.of)) == (2, 2)
    assert concerns(entry, "p-1001", keys.of["p-1001"])
    assert not concerns(entry, "p-1002", keys.of["p-1001"])
    assert not concerns(entry, "p-1001", keys.of["王小明"])


def test_two_entries_about_one_person_cannot_be_told_to_be_so(register):
    register.append(draft())
    register.append(draft())
    one, other = register.entries()
    assert one.persons is not None
    assert other.persons is not None
    assert not set(one.persons.of) & set(other.persons.of)


def test_forgetting_a_person_leaves_entries_that_lead_to_nobody(tmp_path, directory, sealer):
    ledger = Ledger(f"sqlite:///{tmp_path / 'bank.db'}", judge=lambda _: (), judged="", zone="Asia/Shanghai")
    with ledger, Register(directory, holder="bank", keys=ledger.persons.keys, sealer=sealer) as register:
        register.append(draft())
        old = ledger.persons.key("p-1001")
        assert old in (tmp_path / "bank.db").read_bytes()
        assert concerns(next(register.entries()), "p-1001", old)
        before = written(directory)
        assert ledger.persons.forget("p-1001")
        assert not ledger.persons.forget("p-1001")
        assert old not in (tmp_path / "bank.db").read_bytes()  # overwritten, not only unlinked
        assert dict(ledger.persons.known(("p-1001",))) == {}
        assert not concerns(next(register.entries()), "p-1001", ledger.persons.key("p-1001"))
        assert written(directory) == before
        assert register.verify().ok


def test_above_the_bound_an_entry_says_how_many_persons(register):
    register.append(draft(subjects=("a", "b", "c")))
    register.append(draft(subjects=("a", "b", "c", "d")))
    register.append(draft(subjects=(), persons=20_000))
    register.append(draft(subjects=()))
    listed, counted, told, nobody = (entry.persons for entry in register.entries())
    assert (listed.count, len(listed.of), listed.not_itemised) == (3, 3, False)
    assert (counted.count, counted.of, counted.not_itemised) == (4, (), True)
    assert (told.count, told.of, told.not_itemised) == (20_000, (), True)
    assert nobody is None


@pytest.mark.parametrize(
    "changes",
    [
        {"activity": activity(Recipient(kind="subject"))},
        {"activity": activity(Recipient(kind="subject")), "subjects": ()},
        {"activity": None, "recipient": Recipient(kind="subject"), "subjects": ()},
        {"activity": None, "subjects": ()},
        {"subjects": ("p-1001",)},
    ],
    ids=["own data", "own data, nothing found", "refused before an activity", "nothing known", "staff asks about self"],
)
def test_an_actor_who_is_the_person_is_a_commitment_too(register, directory, keys, changes):
    register.append(draft(actor=Actor(id="p-1001"), **changes))
    entry = next(register.entries())
    assert entry.actor.id is None
    assert concerns(entry, "p-1001", keys.of["p-1001"])
    assert b"p-1001" not in written(directory)


def test_an_attempt_without_an_activity_keeps_purpose_and_actor(register):
    register.append(
        Draft(
            kind="denied",
            actor=OFFICER,
            purpose="x",
            recipient=Recipient(kind="staff"),
            reasons=(Reason(rule="GUARD-SQL"),),
        )
    )
    register.append(Draft(kind="denied", actor=Actor(id="", kind="service"), reasons=(Reason(rule="GUARD-PURPOSE"),)))
    first, second = register.entries()
    assert (first.actor.id, first.purpose, first.decision.allow, first.decision.rules) == (
        "o-7",
        "x",
        False,
        ("GUARD-SQL",),
    )
    assert (second.actor.id, second.decision.rules) == ("", ("GUARD-PURPOSE",))


@pytest.mark.parametrize("kind", ["denied", "held"])
def test_what_was_refused_after_an_allowing_decision_is_not_kept_as_allowed(register, kind):
    register.append(draft(kind=kind, reasons=(Reason(rule="GUARD-LIMIT"),)))
    decision = next(register.entries()).decision
    assert not decision.allow
    assert "GUARD-LIMIT" in decision.rules


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "wrote"},
        {"rows": "2"},
        {"rows": -(2**70)},
        {"activity": None, "recipient": "staff"},
        {"digests": {"floor": 1}},
    ],
)
def test_a_draft_that_guard_made_wrong_is_refused_and_leaves_no_line(register, directory, changes):
    register.append(draft())
    before = written(directory)
    with pytest.raises(Refused) as refused:
        register.append(draft(**changes))
    assert refused.value.rules == ("GUARD-REGISTER",)
    assert refused.value.__context__ is None
    assert written(directory) == before
    assert register.append(draft()) == 1


LONG = "110101199003070011 " * 300_000
MANY = Item(source=SOURCE, field="id_number" * 20, role="read", category="identity_number")


@pytest.mark.parametrize(
    "changes",
    [
        {"sealed": {"sql": "SELECT '110101199003070011'", "parameters": ["110101199003070011", object()]}},
        {"sealed": {"sql": "110101199003070011\ud800", "parameters": [float("nan"), b"110101199003070011"]}},
        {"sealed": LONG},
        {"sealed": {"sql": LONG, "parameters": {"110101199003070011": "110101199003070011"}}},
        {"statement": 110101199003070011},
        {"statement": "110101199003070011\ud800"},
        {"statement": LONG},
        {"actor": Actor(id="110101199003070011\ud800")},
        {"actor": Actor(id=LONG, roles=(LONG, "\ud800"), unit=LONG)},
        {"actor": Actor(id=" 110101199003070011"), "activity": activity(Recipient(kind="subject"))},
        {"activity": None, "purpose": LONG, "recipient": Recipient(kind="handler", id="\ud800")},
        {"activity": msgspec.structs.replace(activity(), declared=Declared(notice="\ud800", evidence=LONG))},
        {"consent": LONG, "review": "\ud800"},
    ],
    ids=lambda _: "",
)
def test_an_attempt_is_registered_whatever_it_was_made_with(register, directory, changes):
    register.append(draft(**{"sealed": None, "kind": "denied", "reasons": (Reason(rule="GUARD-SQL"),), **changes}))
    register.close()
    (entry,) = register.entries()
    assert entry.decision.rules == ("GUARD-SQL", "OP-08", "PI-02", "PI-19")
    assert register.verify().ok
    bytes_ = written(directory)
    assert b"110101199003070011" not in bytes_
    assert sha256(LONG.encode()).hexdigest().encode() not in bytes_
    assert len(bytes_) < MAX_LINE


def test_nothing_of_statement_and_parameters_shows_in_clear(register, directory, sealer):
    sealed = {"sql": "SELECT full_name FROM customer WHERE mobile = '13800001111'", "parameters": {"since": "王小明"}}
    register.append(draft(sealed=sealed, statement=None, subjects=()))
    entry = next(register.entries())
    assert unseal(sealer, entry) == sealed
    text = written(directory).decode()
    for part in ("SELECT", "13800001111", "parameters", "since", "王小明", "\\u738b", "MTM4MDAwMDExMTE"):
        assert part not in text


def test_an_entry_that_is_too_long_keeps_all_but_seal_and_names(directory, keys, sealer):
    act = msgspec.structs.replace(activity(), items=(*activity().items, *(MANY,) * 10_000))
    one = draft(activity=act, sealed="x" * 1_900_000, subjects=tuple(f"p-{i}" for i in range(30_000)))
    with Register(directory, holder="bank", keys=keys, sealer=sealer, itemise=100_000) as register:
        register.append(one)
        entry = next(register.entries())
    assert len(entry.touched) == 10_005
    assert (entry.persons.count, entry.persons.not_itemised) == (30_000, True)
    assert unseal(sealer, entry) == {
        "unkept": "str",
        "length": 1_900_000,
        "sha256": sha256(b"x" * 1_900_000).hexdigest(),
    }


ANY = st.text(st.characters(codec=None))
PARAMETER = st.none() | st.booleans() | st.integers() | st.floats() | ANY | st.binary()


@given(
    statement=ANY,
    sealed=st.recursive(PARAMETER, st.lists),
    rows=st.integers(0, 2**53 - 1),
    subjects=st.lists(st.text("a王1", min_size=1, max_size=9), max_size=3),
    role=ANY,
)
def test_every_draft_is_written_as_one_canonical_line(tmp_path_factory, statement, sealed, rows, subjects, role):
    directory = tmp_path_factory.mktemp("register")
    key = KeyFile(tmp_path_factory.getbasetemp() / "two.key")
    with Register(directory, holder="bank", keys=Keys(), sealer=key) as register:
        one = draft(
            statement=statement, sealed=sealed, rows=rows, subjects=tuple(subjects), actor=Actor(id="o", roles=(role,))
        )
        register.append(one)
        register.append(draft())
        report = register.verify()
        assert report.ok
        lines = (directory / f"{register.shard}.jsonl").read_bytes().decode().split("\n")
        assert [json.loads(line)["seq"] for line in lines[:-1]] == list(range(report.size))


def test_outcomes_refer_to_an_open_intent_of_this_process(register):
    intent = register.append(draft(kind="intent"))
    other = register.append(draft(kind="intent"))
    assert register.append(draft(kind="rolled_back", refers_to=intent)) == 2
    for wrong in (intent, None, 2, 99, -1):
        with pytest.raises(Misuse):
            register.append(draft(kind="done", refers_to=wrong))
    for wrong in (3, -1):
        with pytest.raises(Misuse):
            register.append(draft(refers_to=wrong))
    register.append(draft(refers_to=2))
    assert register.verify().ok
    assert outcomes(register.entries()) == {(register.shard, intent): "rolled_back", (register.shard, other): "done"}


@pytest.mark.parametrize("used", [True, False])
def test_a_closed_register_refuses(register, directory, used):
    if used:
        register.append(draft())
    register.close()
    with pytest.raises(Refused) as refused:
        register.append(draft())
    assert refused.value.rules == ("GUARD-REGISTER",)
    assert directory.exists() is used


def test_keys_that_cannot_be_had_refuse_the_entry(directory, sealer):
    def locked(subjects: Sequence[str]) -> dict[str, bytes]:
        raise Refused.own("GUARD-LEDGER")

    with Register(directory, holder="bank", keys=locked, sealer=sealer) as register:
        with pytest.raises(Refused):
            register.append(draft())
        assert list(register.entries()) == []


def test_threads_get_one_number_each_without_a_gap(register):
    numbers: list[int] = []

    def work() -> None:
        numbers.extend([register.append(draft(subjects=("p",))) for _ in range(25)])

    threads = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(numbers) == list(range(400))
    report = register.verify()
    assert report.ok
    assert report.size == 400


def test_treatments_of_writes(register):
    items = (
        Item(source=SOURCE, field=None, role="write", subjects=("holder",)),
        *(Item(source=SOURCE, field=name, role="write", category="contact") for name in ("a", "b", "c")),
    )
    act = msgspec.structs.replace(activity(), items=items)
    decision = Decision(
        id="0", allow=True, rows={SOURCE: SelfCondition(rule="PI-44")}, writes={SOURCE: {"a": "keep", "b": "strip"}}
    )
    register.append(draft(kind="intent", activity=act, decision=decision))
    assert next(register.entries()).touched == (
        Touched(source=SOURCE, role="write", treatment="conditional"),
        Touched(source=SOURCE, role="write", field="a", category="contact", treatment="keep"),
        Touched(source=SOURCE, role="write", field="b", category="contact", treatment="strip"),
        Touched(source=SOURCE, role="write", field="c", category="contact", treatment="refuse"),
    )
