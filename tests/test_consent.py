"""The consent ledger on real databases of each kind."""

from __future__ import annotations

import os
import subprocess
import sys
import unicodedata
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ledger_places import Place

from guard.clock import stamp
from guard.context import subject_key
from guard.errors import Misuse, Refused
from guard.model import Actor, Consent, Notice, Reason, Scope, Verdict
from guard_ledger.consent_record import ConsentRecord
from guard_ledger.ledger import Ledger
from guard_ledger.person_keys import PersonKeys
from guard_register.persons import concerns
from guard_register.register import Register
from guard_register.seal import KeyFile, unseal

NOW = 1_795_420_830
DAY = 86_400
ZONE = "Asia/Shanghai"


def judge(consents: Sequence[Consent]) -> tuple[Verdict, ...]:
    """Stands in for the policies: a pre-ticked consent is invalid, any other holds for what it names."""
    return tuple(
        Verdict(id=one.id, valid=False, reasons=(Reason(rule="PI-06"),))
        if one.preticked
        else Verdict(
            id=one.id,
            valid=True,
            scopes=(Scope(operations=one.operations, categories=one.categories),),
            valid_until=one.granted_at + 365 * DAY,
        )
        for one in consents
    )


def record(number: str = "c-1", subject: str = "p-1001", **changes: object) -> ConsentRecord:
    outer = {name: changes.pop(name) for name in ("recorder", "evidence") if name in changes}
    one = Consent(
        id=number,
        purposes=("loan_underwriting",),
        operations=("use", "collect"),
        categories=("income", "contact"),
        recipient=None,
        basis="consent",
        method="opt_in",
        form="web",
        separate=True,
        written=False,
        bundled=False,
        preticked=False,
        refusal_denies_service=False,
        adverse_effect_told=True,
        guardian=False,
        notice=Notice(id="n-1", version="1", shown_at=NOW - 60),
        granted_at=NOW - 30,
        expires_at=None,
        assurance="observed",
        time=stamp(0, ZONE),
    )
    return ConsentRecord(
        consent=msgspec.structs.replace(one, **changes),
        subject=subject,
        **{"recorder": "web", "evidence": "sha256:" + "0" * 64, **outer},
    )


class Clock:
    def __init__(self) -> None:
        self.seconds = float(NOW)

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def now() -> Clock:
    return Clock()


@pytest.fixture
def ledger(place: Place, now: Clock):
    with Ledger(place.url, judge=judge, judged="sha256:rules", zone=ZONE, now=now) as one:
        yield one


def rows(place: Place, sql: str) -> list[tuple]:
    return place.rows(sql)


def test_a_valid_consent_becomes_one_grant_a_purpose_of_one_scope(ledger, place):
    verdict = ledger.record(record(purposes=("loan_underwriting", "post_loan")))
    assert verdict.valid
    assert rows(
        place,
        "SELECT subject, purpose, recipient, scope, separate, written, assurance, valid_from, valid_until"
        " FROM guard_grant",
    ) == [
        ("p-1001", purpose, "", 1, 1, 0, 1, NOW - 30, NOW - 30 + 365 * DAY)
        for purpose in ("loan_underwriting", "post_loan")
    ]
    assert set(rows(place, "SELECT * FROM guard_scope")) == {
        (1, operation, category) for operation in ("use", "collect") for category in ("income", "contact")
    }


def test_a_refused_consent_is_kept_and_makes_no_grant(ledger, place):
    with pytest.raises(Refused) as refused:
        ledger.record(record(preticked=True))
    assert refused.value.rules == ("PI-06",)
    assert rows(place, "SELECT count(*) FROM guard_grant") == [(0,)]
    assert [kept.verdict.valid for kept in ledger.list("p-1001")] == [False]


def test_a_withdrawal_ends_the_grants_for_every_other_connection(ledger, place):
    ledger.record(record())
    assert ledger.withdraw("c-1") == 1
    assert rows(place, "SELECT withdrawn_at FROM guard_grant") == [(NOW,)]
    assert ledger.list("p-1001")[0].withdrawn_at == NOW


# --- Import and repetition ------------------------------------------------------------------------


def test_a_thousand_consents_are_one_transaction_and_few_questions(place, now):
    asked: list[int] = []

    def counting(consents: Sequence[Consent]) -> tuple[Verdict, ...]:
        asked.append(len(consents))
        return judge(consents)

    with Ledger(place.url, judge=counting, judged="sha256:rules", zone=ZONE, now=now) as ledger:
        verdicts = ledger.record_many(record(f"c-{i}", f"p-{i}", preticked=i % 10 == 0) for i in range(1_000))
        assert asked == [50] * 20  # each within what the engine takes at once
        assert [verdict.id for verdict in verdicts] == [f"c-{i}" for i in range(1_000)]
        assert sum(verdict.valid for verdict in verdicts) == 900
        assert rows(place, "SELECT count(*), count(DISTINCT scope) FROM guard_grant") == [(900, 1)]
        assert ledger.sequence() == 1_000


def test_the_same_record_again_changes_nothing(ledger, place, now):
    first = ledger.record(record())
    before = (ledger.sequence(), rows(place, "SELECT * FROM guard_consent"), rows(place, "SELECT * FROM guard_grant"))
    now.seconds += 3_600
    assert ledger.record(record()) == first
    assert ledger.record_many((record(), record())) == (first, first)
    assert (
        ledger.sequence(),
        rows(place, "SELECT * FROM guard_consent"),
        rows(place, "SELECT * FROM guard_grant"),
    ) == before


def test_a_refused_record_stays_refused_when_it_comes_again_under_kinder_rules(ledger, place, now):
    with pytest.raises(Refused):
        ledger.record(record(preticked=True))

    def kind(consents: Sequence[Consent]) -> tuple[Verdict, ...]:
        return judge([msgspec.structs.replace(one, preticked=False) for one in consents])

    kinder = Ledger(place.url, judge=kind, judged="sha256:kinder", zone=ZONE, now=now)
    with kinder, pytest.raises(Refused) as refused:
        kinder.record(record(preticked=True))
    assert refused.value.rules == ("PI-06",)
    assert rows(place, "SELECT count(*) FROM guard_grant") == [(0,)]


@pytest.mark.parametrize(
    "other",
    [
        record(subject="p-1002"),
        record(recorder="o-7"),
        record(evidence="sha256:" + "1" * 64),
        record(purposes=("loan_underwriting", "marketing")),
        record(granted_at=NOW - 29),
        record(recipient="agency"),
        record(written=True),
    ],
)
def test_another_record_under_a_known_id_is_refused(ledger, place, other):
    ledger.record(record())
    before = rows(place, "SELECT * FROM guard_consent")
    for attempt in (
        (other,),
        (record("c-2"), other),
        (record("c-3"), msgspec.structs.replace(other, consent=msgspec.structs.replace(other.consent, id="c-3"))),
    ):
        with pytest.raises(Refused) as refused:
            ledger.record_many(attempt)
        assert refused.value.rules == ("GUARD-CONSENT",)
    assert rows(place, "SELECT * FROM guard_consent") == before


def test_no_records_are_no_question(place, now):
    with Ledger(place.url, judge=lambda _: 1 / 0, judged="", zone=ZONE, now=now) as ledger:
        assert ledger.record_many(()) == ()


def test_equal_coverage_is_one_scope_whatever_its_spelling(ledger, place):
    ledger.record(record("c-1"))
    ledger.record(record("c-2", operations=("collect", "use"), categories=("contact", "income", "income")))
    ledger.record(record("c-3", categories=("contact",)))
    ledger.record(record("c-4", subject="p-2"))
    assert rows(place, "SELECT consent_id, scope FROM guard_grant") == [("c-1", 1), ("c-2", 1), ("c-3", 2), ("c-4", 1)]


def test_scopes_are_found_again_by_another_process(ledger, place, now):
    ledger.record(record("c-1"))
    with Ledger(place.url, judge=judge, judged="sha256:rules", zone=ZONE, now=now) as other:
        other.record(record("c-2"))
        other.record(record("c-3", categories=("contact",)))
    ledger.record(record("c-4", categories=("contact",)))
    assert rows(place, "SELECT scope FROM guard_grant") == [(1,), (1,), (2,), (2,)]


# --- Withdrawal is final --------------------------------------------------------------------------


def live(place: Place) -> set[tuple]:
    return set(rows(place, "SELECT consent_id, purpose FROM guard_grant WHERE withdrawn_at IS NULL"))


def test_importing_a_withdrawn_record_again_does_not_revive_it(ledger, place, now):
    ledger.record(record())
    ledger.withdraw("c-1")
    now.seconds += 60
    ledger.record(record())
    assert live(place) == set()
    assert ledger.list("p-1001")[0].withdrawn_at == NOW


@pytest.mark.parametrize("granted", [NOW - 30, NOW])
def test_an_older_consent_replayed_under_a_new_id_does_not_revive(ledger, place, now, granted):
    ledger.record(record())
    ledger.withdraw("c-1")
    now.seconds += 60
    with pytest.raises(Refused) as refused:
        ledger.record(record("c-2", granted_at=granted))
    assert refused.value.rules == ("GUARD-CONSENT-WITHDRAWN",)
    assert live(place) == set()
    assert [kept.verdict.valid for kept in ledger.list("p-1001")] == [True, False]


def test_a_new_act_after_the_withdrawal_counts(ledger, place, now):
    ledger.record(record())
    ledger.withdraw("c-1")
    now.seconds += 60
    ledger.record(record("c-2", granted_at=NOW + 1))
    assert live(place) == {("c-2", "loan_underwriting")}


def test_a_withdrawal_says_nothing_of_other_purposes_recipients_and_persons(ledger, place):
    ledger.record(record())
    ledger.withdraw("c-1")
    ledger.record(record("c-2", purposes=("post_loan",)))
    ledger.record(record("c-3", recipient="agency"))
    ledger.record(record("c-4", subject="p-1002"))
    assert {name for name, _ in live(place)} == {"c-2", "c-3", "c-4"}


def test_one_purpose_can_be_withdrawn_alone(ledger, place):
    ledger.record(record("c-1", purposes=("loan_underwriting", "marketing")))
    ledger.record(record("c-2", purposes=("marketing",), recipient="agency"))
    ledger.record(record("c-3", subject="p-2", purposes=("marketing",)))
    assert ledger.withdraw_subject("p-1001", "marketing") == 2
    assert live(place) == {("c-1", "loan_underwriting"), ("c-3", "marketing")}
    assert [(kept.withdrawn_at, kept.purposes) for kept in ledger.list("p-1001")] == [
        (None, ("loan_underwriting",)),
        (NOW, ()),
    ]
    ledger.record(record("c-1", purposes=("loan_underwriting", "marketing")))
    assert ("c-1", "marketing") not in live(place)
    assert ledger.withdraw_subject("p-1001") == 1
    assert live(place) == {("c-3", "marketing")}
    assert ledger.withdraw_subject("p-1001") == 0


def test_withdrawing_again_keeps_the_first_time(ledger, place, now):
    ledger.record(record())
    assert ledger.withdraw("c-1", at=NOW - 10) == 1
    now.seconds += 60
    assert ledger.withdraw("c-1") == 0
    assert (
        rows(place, "SELECT withdrawn_at FROM guard_grant UNION ALL SELECT withdrawn_at FROM guard_consent")
        == [(NOW - 10,)] * 2
    )


WITHDRAWING = {
    "the consent": lambda ledger, at: ledger.withdraw("c-0", at=at),
    "the purpose": lambda ledger, at: ledger.withdraw_subject("p-1001", "loan_underwriting", at=at),
    "the person": lambda ledger, at: ledger.withdraw_subject("p-1001", at=at),
}


@pytest.mark.parametrize("withdraw", WITHDRAWING.values(), ids=WITHDRAWING)
@pytest.mark.parametrize("at", [None, 0])
def test_a_withdrawal_reaches_to_the_moment_it_was_made_known(ledger, place, now, withdraw, at):
    """Whatever it ended, whatever time it gives itself, and however often the person withdrew before."""
    ledger.record(record("c-0"))
    for again in range(3):
        now.seconds += 100
        withdraw(ledger, at)
        known = int(now())
        now.seconds += 1
        for granted in (known - 50, known):
            with pytest.raises(Refused) as refused:
                ledger.record(record(f"c-{again}-{granted}", granted_at=granted))
            assert refused.value.rules == ("GUARD-CONSENT-WITHDRAWN",)
        assert live(place) == set()
    ledger.record(record("c-new", granted_at=known + 1))
    assert live(place) == {("c-new", "loan_underwriting")}


@pytest.mark.parametrize("recipient", [None, "agency"])
def test_a_withdrawal_before_anything_was_recorded_is_not_forgotten(ledger, place, now, recipient):
    assert ledger.withdraw_subject("p-1001") == 0
    assert ledger.withdraw_subject("p-1002", "marketing") == 0
    now.seconds += 60
    given = {"recipient": recipient, "granted_at": NOW}
    ledger.record_many(
        (
            record("c-1", purposes=("post_loan",), **given),
            record("c-2", subject="p-1002", purposes=("loan_underwriting", "marketing"), **given),
            record("c-3", subject="p-1002", **given),
            record("c-4", subject="p-1003", **given),
        )
    )
    assert live(place) == {("c-3", "loan_underwriting"), ("c-4", "loan_underwriting")}


def test_withdrawals_are_rows_of_their_own_that_stay(ledger, place, now):
    ledger.record(record("c-1", purposes=("loan_underwriting", "marketing"), recipient="agency"))
    ledger.withdraw("c-1", at=NOW - 10)
    now.seconds += 60
    ledger.withdraw_subject("p-1001", "marketing", at=5)
    ledger.withdraw_subject("p-1001")
    assert rows(place, "SELECT subject, purpose, recipient, at, recorded_at FROM guard_withdrawal ORDER BY seq") == [
        ("p-1001", "loan_underwriting", "agency", NOW - 10, NOW),
        ("p-1001", "marketing", "agency", NOW - 10, NOW),
        ("p-1001", "marketing", "*", 5, NOW + 60),
        ("p-1001", "", "*", NOW + 60, NOW + 60),
    ]


def test_what_was_withdrawn_before_withdrawals_had_a_table_is_found_there(place, now):
    with Ledger(place.url, judge=judge, judged="", zone=ZONE, now=now) as ledger:
        ledger.record(record())
        ledger.withdraw("c-1")
    place.run("DROP TABLE guard_withdrawal")
    with Ledger(place.url, judge=judge, judged="", zone=ZONE, now=now) as ledger:
        with pytest.raises(Refused) as refused:
            ledger.record(record("c-2"))
        assert refused.value.rules == ("GUARD-CONSENT-WITHDRAWN",)


@pytest.mark.parametrize("purpose", ["", " marketing"])
def test_a_purpose_that_is_none_withdraws_nothing(ledger, place, purpose):
    ledger.record(record())
    with pytest.raises(Refused) as refused:
        ledger.withdraw_subject("p-1001", purpose)
    assert refused.value.rules == ("GUARD-CONSENT",)
    assert len(live(place)) == 1
    assert rows(place, "SELECT count(*) FROM guard_withdrawal") == [(0,)]


@pytest.mark.parametrize("at", [NOW + 1, -1, True, NOW - 0.5, "0"])
def test_a_withdrawal_is_not_in_the_future(ledger, place, at):
    ledger.record(record())
    with pytest.raises(Refused, match="future"):
        ledger.withdraw("c-1", at=at)
    assert len(live(place)) == 1


def test_withdrawing_an_unknown_consent_is_said_to_be_so(ledger):
    with pytest.raises(Refused) as refused:
        ledger.withdraw("c-1")
    assert refused.value.rules == ("GUARD-CONSENT",)


def test_the_sequence_moves_with_every_change_and_no_other(ledger, place, now):
    seen = [ledger.sequence()]
    for change in (
        lambda: ledger.record(record()),
        lambda: ledger.record(record("c-2", subject="p-2")),
        lambda: ledger.withdraw("c-1"),
        lambda: ledger.withdraw_subject("p-2"),
    ):
        change()
        seen.append(ledger.sequence())
    assert seen == [0, 1, 2, 3, 4]
    ledger.withdraw("c-1")  # it is kept, though it ends nothing
    ledger.record(record())
    ledger.list("p-1")
    ledger.persons.key("p-9")
    with Ledger(place.url, judge=judge, judged="", zone=ZONE, now=now) as other:
        assert other.sequence() == ledger.sequence() == 5


# --- What the register says of it ------------------------------------------------------------------


@pytest.fixture
def register(tmp_path: Path):
    opened: list[Ledger] = []

    def keys(subjects: Sequence[str]) -> Mapping[str, bytes]:
        return opened[0].persons.keys(subjects)

    with Register(
        tmp_path / "register",
        holder="bank",
        keys=keys,
        sealer=KeyFile(tmp_path / "register.key"),
        now=lambda: NOW,
    ) as one:
        one.ledgers = opened
        yield one


@pytest.fixture(params=["one database", "keys apart"])
def registered(place: Place, tmp_path: Path, register, request):
    """A ledger whose changes are registered."""
    persons = PersonKeys(f"sqlite:///{tmp_path / 'persons.db'}") if request.param == "keys apart" else None
    with Ledger(
        place.url,
        judge=judge,
        judged="",
        zone=ZONE,
        now=lambda: NOW,
        wait=0.2,
        persons=persons,
        append=register.append,
    ) as ledger:
        register.ledgers.append(ledger)
        yield ledger


def test_what_is_recorded_and_withdrawn_is_registered_once_a_call(registered, register, tmp_path):
    registered.record(record())
    registered.record(record())  # changes nothing, and is no entry
    registered.record_many((record("c-2", "p-1002"), record("c-3", "p-1003", recorder="desk", preticked=True)))
    registered.withdraw("c-1", at=NOW - 5, by=Actor(id="o-7"))
    registered.withdraw_subject("p-1009")
    with pytest.raises(Refused):
        registered.record(record("c-4", preticked=True))
    entries = list(register.entries())
    assert [(one.kind, one.consent, one.rows, one.actor.kind, one.actor.id) for one in entries] == [
        ("consent", "c-1", 1, "service", "web"),
        ("consent", None, 2, "service", "guard-ledger"),
        ("consent", "c-1", 1, "person", "o-7"),
        ("consent", None, 0, "service", "guard-ledger"),
        ("consent", "c-4", 1, "service", "web"),
    ]
    assert [one.decision.rules if one.decision else None for one in entries] == [None, None, None, None, ("PI-06",)]
    keys = registered.persons.known(["p-1001", "p-1002", "p-1003", "p-1009", "web", "guard-ledger", "o-7"])
    assert set(keys) == {"p-1001", "p-1002", "p-1003", "p-1009"}  # no actor became a person
    assert [sorted(who for who, key in keys.items() if concerns(one, who, key)) for one in entries] == [
        ["p-1001"],
        ["p-1002", "p-1003"],
        ["p-1001"],
        ["p-1009"],
        ["p-1001"],
    ]
    place = {"subject": "p-1001", "purpose": "loan_underwriting", "recipient": "", "at": NOW - 5}
    opened = [unseal(KeyFile(tmp_path / "register.key"), one) for one in entries]
    assert opened[1] == {
        "recorded": [
            {"id": "c-2", "recorder": "web", "valid": True},
            {"id": "c-3", "recorder": "desk", "valid": False},
        ]
    }
    assert opened[2] == {"withdrawn": [place], "consents": ["c-1"]}
    assert b"p-100" not in b"".join(one.read_bytes() for one in (tmp_path / "register").glob("*.jsonl"))


def test_judging_again_is_registered_as_the_ledgers_own_act_and_lists_each_purpose_once(registered, register, place):
    registered.record(record())
    later = Ledger(place.url, judge=judge, judged="later", zone=ZONE, now=lambda: NOW, append=register.append)
    with later:
        assert later.rejudge() == 1
        assert later.rejudge() == 0
        assert later.list("p-1001")[0].purposes == ("loan_underwriting",)
    entries = list(register.entries())
    assert [(one.kind, one.actor.id, one.rows) for one in entries] == [
        ("consent", "web", 1),
        ("consent", "guard-ledger", 1),
    ]
    assert registered.persons.known(["guard-ledger"]) == {}


def test_a_person_who_records_or_withdraws_is_no_name_in_the_register(registered, register):
    registered.record(record(recorder="p-1001"))
    registered.withdraw("c-1", by=Actor(id="p-1001"))
    key = registered.persons.key("p-1001")
    for entry in register.entries():
        assert entry.actor.id is None
        assert concerns(entry, "p-1001", key)


def test_what_cannot_be_registered_is_not_recorded_and_not_withdrawn(registered, register, place):
    registered.record(record())
    before = [rows(place, f"SELECT * FROM guard_{name}") for name in ("consent", "grant", "withdrawal", "meta")]
    register.close()
    for call in (
        lambda: registered.record(record("c-2")),
        lambda: registered.record_many((record("c-3"), record("c-4", categories=("contact",)))),
        lambda: registered.withdraw("c-1"),
        lambda: registered.withdraw_subject("p-1001"),
    ):
        with pytest.raises(Refused) as refused:
            call()
        assert refused.value.rules == ("GUARD-REGISTER",)
    assert [rows(place, f"SELECT * FROM guard_{name}") for name in ("consent", "grant", "withdrawal", "meta")] == before
    assert len(live(place)) == 1


# --- What the policies may say --------------------------------------------------------------------


def verdict(**changes: object) -> Verdict:
    parts = {
        "id": "c-1",
        "valid": True,
        "scopes": (Scope(operations=("use",), categories=("income",)),),
        "valid_until": NOW + DAY,
    }
    return Verdict(**{**parts, **changes})


@pytest.mark.parametrize(
    "answer",
    [
        (),
        (verdict(), verdict()),
        (verdict(id="c-2"),),
        (verdict(scopes=()),),
        (verdict(scopes=(Scope(operations=("use",), categories=()),)),),
        (verdict(scopes=(Scope(operations=("use",), categories=("income", "biometric")),)),),
        (verdict(scopes=(Scope(operations=("provide",), categories=("income",)),)),),
        (verdict(valid_until=None),),
        (verdict(valid_until=NOW - 30),),
        (verdict(valid_until=2**60),),
    ],
)
def test_a_verdict_that_goes_beyond_the_consent_is_refused_and_nothing_kept(place, now, answer):
    with Ledger(place.url, judge=lambda _: answer, judged="", zone=ZONE, now=now) as ledger:
        with pytest.raises(Refused) as refused:
            ledger.record(record())
        assert refused.value.rules in {("GUARD-VERDICT",), ("GUARD-DECISION-MISSING",)}
        assert ledger.list("p-1001") == ()


def test_a_grant_ends_with_the_consent_even_if_the_rules_would_allow_longer(ledger, place):
    ledger.record(record(expires_at=NOW + DAY))
    assert rows(place, "SELECT valid_until FROM guard_grant") == [(NOW + DAY,)]


def test_an_engine_that_fails_keeps_nothing(place, now):
    def stopped(consents: Sequence[Consent]) -> tuple[Verdict, ...]:
        raise Refused.own("GUARD-ENGINE-STOPPED")

    with Ledger(place.url, judge=stopped, judged="", zone=ZONE, now=now) as ledger:
        with pytest.raises(Refused) as refused:
            ledger.record(record())
        assert refused.value.rules == ("GUARD-ENGINE-STOPPED",)
        assert ledger.list("p-1001") == ()


def test_the_policies_see_the_guards_time_not_the_callers(place, now):
    seen: list[int] = []

    def looking(consents: Sequence[Consent]) -> tuple[Verdict, ...]:
        seen.extend(one.time.seconds for one in consents)
        return judge(consents)

    with Ledger(place.url, judge=looking, judged="", zone=ZONE, now=now) as ledger:
        ledger.record(record(time=stamp(5 * DAY, "UTC")))
    assert seen == [NOW - NOW % 60]


# --- What may be recorded -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        record(purposes="loan_underwriting"),
        record(purposes=()),
        record(purposes=("a", "a")),
        record(operations=("read",)),
        record(granted_at="2026-11-23"),
        record(granted_at=float(NOW)),
        record(granted_at=-1),
        record(expires_at=2**63),
        record(separate=1),
        record(assurance="certain"),
        record(recipient=""),
        record(recipient=" agency"),
        record(recipient="*"),
        record(form=b"web"),
        record(basis=memoryview(b"consent")),
        record(number=""),
        record(number="c\x00"),
        record(basis="cafe\u0301"),
        record(form="cafe\u0301"),
        record(recorder=""),
        record(recorder="o-7 "),
        record(recorder=7),
        record(evidence="the person's letter"),
        record(evidence=None),
        record(notice={"id": "n-1"}),
        record(form="\ud800"),
        msgspec.structs.replace(record(), consent=None),
        "c-1",
        None,
    ],
)
def test_a_record_that_is_not_well_formed_is_refused(ledger, wrong):
    with pytest.raises(Refused) as refused:
        ledger.record(wrong)
    assert refused.value.rules == ("GUARD-CONSENT",)
    assert not isinstance(refused.value.__context__, ValueError)  # it would quote the record
    assert ledger.sequence() == 0


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"granted_at": NOW + 0.5}, "consent.granted_at is a float: write whole seconds, int(time())."),
        (
            {"operations": ("read",)},
            "consent.operations: 'read' is none of collect, store, use, process, transmit, provide, disclose, delete.",
        ),
        ({"operations": ("use", "proces")}, "disclose, delete; did you mean process?"),
        ({"purposes": "wealth_review"}, 'consent.purposes is a str: write a tuple of texts, such as ("…",).'),
        ({"categories": ("income", 1234567)}, "consent.categories[1] is an int: write text."),
        ({"assurance": "sure"}, "consent.assurance: 'sure' is none of asserted, observed, proved"),
        ({"separate": 1}, "consent.separate is an int: write True or False."),
        ({"notice": {"id": "n-1"}}, "consent.notice.version is missing."),
        ({"notice": "n-1"}, "consent.notice is a str: write the record of its kind or None."),
        ({"subject": 1234567}, "subject is an int: write text."),
        ({"id": 1234567}, "consent.id is an int: write text."),
    ],
)
def test_the_part_of_a_consent_that_is_wrong_is_named_and_no_value_of_a_persons(ledger, changes, said):
    with pytest.raises(Refused) as refused:
        ledger.record(record(**changes))
    assert said in str(refused.value)
    assert "1234567" not in str(refused.value)


def test_a_void_consent_is_told_which_of_its_words_no_policy_knows(place, now):
    def unknown(one: Consent) -> str | None:
        return "identitty is not a category." if "identitty" in one.categories else None

    with Ledger(place.url, judge=judge, judged="", zone=ZONE, now=now, unknown=unknown) as ledger:
        with pytest.raises(Refused, match=r"PI-06.*identitty is not a category\."):
            ledger.record(record("c-1", categories=("identitty",), preticked=True))
        with pytest.raises(Refused) as refused:
            ledger.record(record("c-2", preticked=True))
        assert refused.value.detail is None


def test_an_asserted_consent_needs_no_evidence(ledger, place):
    ledger.record(record(assurance="asserted", evidence=None))
    assert rows(place, "SELECT assurance, recorder, evidence FROM guard_grant") == [(0, "web", None)]


INVALID = [
    "",
    " p",
    "p ",
    "\u3000p",
    "p\n",
    "p\x00",
    "p\u200b",
    "e\u0301",
    "\ud800",
    "p" * 129,
    "\u2028",
    "\ufdd0",
    None,
    b"p",
    True,
    1.5,
]


@pytest.mark.parametrize("subject", INVALID, ids=ascii)
def test_invalid_subject_keys_are_refused(ledger, subject):
    for call in (
        lambda: ledger.record(record(subject=subject)),
        lambda: ledger.list(subject),
        lambda: ledger.withdraw_subject(subject),
        lambda: ledger.persons.key(subject),
        lambda: ledger.persons.forget(subject),
    ):
        with pytest.raises(Refused) as refused:
            call()
        assert refused.value.rules in {("GUARD-SUBJECT",), ("GUARD-CONSENT",)}


@given(st.text(max_size=140))
def test_a_subject_key_is_accepted_as_it_is_or_refused(text):
    canonical = (
        1 <= len(text) <= 128
        and unicodedata.normalize("NFC", text.strip()) == text
        and not any(unicodedata.category(one) in {"Cc", "Cf", "Cs", "Co", "Cn"} for one in text)
    )
    try:
        assert subject_key(text) == text
    except Refused:
        assert not canonical
    else:
        assert canonical
        assert text.encode().decode() == text


EXISTS = """
SELECT t.id FROM main.customer AS t WHERE EXISTS (
  SELECT 1 FROM main.guard_grant AS g WHERE g.subject = CAST(t.id AS TEXT) AND g.purpose = 'loan_underwriting'
  AND g.recipient = '' AND g.judged = 'sha256:rules' AND g.valid_from <= :now AND g.valid_until > :now
  AND g.withdrawn_at IS NULL AND g.recorder <> :actor
  AND g.scope IN (SELECT s.scope FROM main.guard_scope AS s WHERE s.operation = :operation AND s.category = 'income'))
"""


def permitted(place: Place, operation: str = "use", now: int = NOW, actor: str = "o-7") -> list:
    found = place.rows(EXISTS, {"operation": operation, "now": now, "actor": actor})
    return [one for (one,) in found]


ALIKE = ["u1", "U1", "ú1", "u1x", "u01", "１", "0012", "12.0", "王小明", "王小明 x", "1001x", "9007199254740993"]


@pytest.mark.parametrize("subject", ALIKE)
def test_of_keys_that_look_alike_exactly_the_consenting_person_is_met(ledger, place, subject):
    others = ["' u1'", "'u1 '", "'\ufb01'", "'1001'", "'9007199254740992'", "NULL", *(f"'{one}'" for one in ALIKE)]
    if place.kind == "sqlite":  # a column may hold anything there
        others += ["12", "12.5", "1001", "9007199254740992", "x'7531'"]
    place.run(
        f"CREATE TABLE customer (id {'' if place.kind == 'sqlite' else 'text'})",
        f"INSERT INTO customer VALUES {', '.join(f'({one})' for one in others)}",
    )
    assert permitted(place) == []
    ledger.record(record(subject=subject))
    assert set(permitted(place)) <= {subject, subject.encode()}
    assert subject in permitted(place)


@pytest.mark.parametrize("assurance", ["asserted", "observed", "proved"])
def test_a_grant_holds_for_its_operations_its_time_and_others_than_its_recorder(ledger, place, assurance):
    place.run("CREATE TABLE customer (id TEXT)", "INSERT INTO customer VALUES ('p-1001')")
    ledger.record(record(assurance=assurance, recorder="o-7"))
    assert permitted(place) == []  # who recorded a consent cannot use it
    assert permitted(place, actor="o-8") == ["p-1001"]
    assert permitted(place, actor="o-8", operation="provide") == []
    assert permitted(place, actor="o-8", now=NOW - 31) == []
    assert permitted(place, actor="o-8", now=NOW - 30 + 365 * DAY - 1) == ["p-1001"]
    assert permitted(place, actor="o-8", now=NOW - 30 + 365 * DAY) == []
    ledger.withdraw("c-1")
    assert permitted(place, actor="o-8") == []


# --- One database, many users ---------------------------------------------------------------------


CHILD = """
import sys
sys.path.insert(0, sys.argv[4])
from test_consent import judge, record, ZONE
from guard_ledger.ledger import Ledger
with Ledger(sys.argv[1], judge=judge, judged="sha256:rules", zone=ZONE, wait=20) as ledger:
    for i in range(int(sys.argv[3])):
        ledger.record(record(f"{sys.argv[2]}-{i}", f"p-{i}"))
    print(ledger.instance, ledger.persons.key("p-0").hex())
"""


def test_processes_record_at_once_and_share_scopes_and_keys(place):
    here = str(Path(__file__).parent)
    commands = [[sys.executable, "-c", CHILD, place.url, name, "12", here] for name in "abcd"]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE) for command in commands]
    outputs = {process.communicate()[0] for process in processes}
    assert [process.returncode for process in processes] == [0] * 4
    assert len(outputs) == 1  # one instance, one key a person
    assert rows(place, "SELECT count(*), count(DISTINCT scope) FROM guard_grant") == [(48, 1)]
    assert rows(place, "SELECT value FROM guard_meta WHERE key = 'sequence'") == [("48",)]
    assert rows(place, "SELECT count(*) FROM guard_person") == [(12,)]


WITHDRAWING_CHILD = """
import sys
sys.path.insert(0, sys.argv[3])
from test_consent import judge, record, NOW, ZONE
from guard_ledger.ledger import Ledger
from guard.errors import Refused
url, what = sys.argv[1:3]
later = NOW + (10 if what == "withdraw" else 0)
with Ledger(url, judge=judge, judged="sha256:rules", zone=ZONE, wait=20, now=lambda: later) as ledger:
    for i in range(15):
        if what == "withdraw":
            ledger.withdraw_subject(f"p-{i}")
        else:
            ledger.record_many([record(f"{what}-{i}", f"p-{i}")])
"""


def test_of_processes_that_record_and_withdraw_at_once_the_withdrawal_has_the_last_word(place):
    """C2: whichever commits first, what was given before the withdrawal was known is void or ended."""
    here = str(Path(__file__).parent)
    commands = [[sys.executable, "-c", WITHDRAWING_CHILD, place.url, what, here] for what in ("a", "withdraw", "b")]
    processes = [subprocess.Popen(command) for command in commands]
    assert [process.wait() for process in processes] == [0] * 3
    assert rows(place, "SELECT count(*) FROM guard_consent") == [(30,)]
    assert live(place) == set()
    assert rows(place, "SELECT value FROM guard_meta WHERE key = 'sequence'") == [("45",)]


def test_threads_record_and_withdraw_at_once(place, now):
    with Ledger(place.url, judge=judge, judged="", zone=ZONE, now=now, wait=20) as ledger:

        def work(name: int) -> None:
            for i in range(5):
                ledger.record(record(f"c-{name}-{i}", f"p-{name}"))
            ledger.withdraw(f"c-{name}-0")

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(work, range(8)))
        assert ledger.sequence() == 48
        assert len(live(place)) == 32


def test_a_forked_child_uses_connections_of_its_own(ledger, place):
    ledger.record(record())
    pid = os.fork()
    if pid == 0:
        try:
            ledger.record(record("c-2"))
            os._exit(0 if ledger.sequence() == 2 else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    ledger.withdraw("c-2")
    assert ledger.sequence() == 3


# --- Whose database it is -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        "sqlite:///file::memory:?uri=true",
        "sqlite:///file:x?mode=memory&cache=shared&uri=true",
        "postgresql+psycopg2://bank",
        "mysql://bank",
        "bank.db",
    ],
)
def test_a_database_that_cannot_hold_a_ledger_is_misuse(url):
    with pytest.raises(Misuse):
        Ledger(url, judge=judge, judged="", zone=ZONE)


@pytest.mark.parametrize(
    "texts",
    [
        ["CREATE TABLE guard_grant (subject TEXT)"],
        ["CREATE VIEW guard_grant AS SELECT 1 AS subject"],
        ["CREATE VIEW guard_person AS SELECT 'p' AS subject, 'k' AS key"],
        ["CREATE TABLE guard_meta (key TEXT PRIMARY KEY, value TEXT)", "INSERT INTO guard_meta VALUES ('format', '2')"],
        ["CREATE TABLE guard_meta (key TEXT PRIMARY KEY, value TEXT)", "INSERT INTO guard_meta VALUES ('format', '1')"],
    ],
)
def test_a_database_whose_tables_only_look_like_a_ledger_is_refused(place, texts):
    place.run(*texts)
    with pytest.raises(Refused) as refused:
        Ledger(place.url, judge=judge, judged="", zone=ZONE)
    assert refused.value.rules == ("GUARD-LEDGER",)


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE guard_meta SET value = 'other' WHERE key = 'instance'",
        "DELETE FROM guard_meta",
        "UPDATE guard_meta SET value = 'many' WHERE key = 'sequence'",
        "DROP TABLE guard_grant",
        "DROP TABLE guard_consent",
        "DROP TABLE guard_withdrawal",
    ],
)
def test_a_database_that_was_replaced_or_damaged_while_open_is_refused(ledger, place, sql):
    ledger.record(record())
    place.run(sql)
    with pytest.raises(Refused) as refused:
        ledger.record(record("c-2"))
    assert refused.value.rules == ("GUARD-LEDGER",)
    assert refused.value.__context__ is None


def test_every_ledger_has_an_instance_of_its_own_that_stays(places, now):
    place, another = places(), places()
    with Ledger(place.url, judge=judge, judged="", zone=ZONE) as one:
        with Ledger(place.url, judge=judge, judged="", zone=ZONE) as same:
            assert one.instance == same.instance
        with Ledger(another.url, judge=judge, judged="", zone=ZONE) as other:
            assert one.instance != other.instance


def test_person_keys_are_random_stable_and_many(ledger, place, now):
    subjects = [f"p-{i}" for i in range(1_200)]
    keys = ledger.persons.keys(subjects)
    assert len(set(keys.values())) == 1_200
    assert {len(key) for key in keys.values()} == {32}
    with Ledger(place.url, judge=judge, judged="", zone=ZONE, now=now) as other:
        assert other.persons.keys(subjects) == keys
    assert ledger.persons.keys(()) == {}


def test_a_damaged_person_key_is_refused(ledger, place):
    place.run(f"INSERT INTO guard_person VALUES ('p-1', {'x' if place.kind == 'sqlite' else 'bytea '}'00')")
    with pytest.raises(Refused, match="damaged"):
        ledger.persons.key("p-1")


def test_a_key_is_remembered_only_until_the_person_is_forgotten_and_never_long(ledger, place, now, monkeypatch):
    import guard_ledger.person_keys as module

    first = ledger.persons.key("p-1")
    with Ledger(place.url, judge=judge, judged="", zone=ZONE, now=now) as other:
        assert other.persons.forget("p-1")
    assert ledger.persons.key("p-1") == first  # this process has not heard of it yet
    later = module.monotonic() + 61
    monkeypatch.setattr(module, "monotonic", lambda: later)
    second = ledger.persons.key("p-1")
    assert second != first
    assert ledger.persons.forget("p-1")
    assert ledger.persons.key("p-1") not in {first, second}


def test_remembering_keys_is_bounded(ledger):
    ledger.persons.keys(f"p-{i}" for i in range(10_500))
    ledger.persons.keys(f"q-{i}" for i in range(400))
    assert len(ledger.persons._remembered._keys) <= 10_000


def test_keys_that_another_process_made_meanwhile_are_taken(ledger):
    import guard_ledger.person_keys as module

    key = ledger.persons.key("p-1")
    made = ledger.persons._store.write(lambda connection: module._make(connection, ["p-1", "p-2"]))
    assert made["p-1"] == key
    assert ledger.persons.key("p-2") == made["p-2"]


def test_a_child_forked_while_another_thread_writes_is_not_held_up_and_shares_no_connection(ledger):
    ledger.record(record())
    with ledger._store._writing:
        pid = os.fork()
        if pid == 0:
            try:
                shared = ledger._store._engine.pool.checkedin()
                ledger.record(record("c-2"))
                os._exit(shared)
            finally:
                os._exit(9)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert ledger.sequence() == 2


def test_a_mark_is_used_again_until_this_process_makes_a_withdrawal_known(ledger):
    """It saves a question for each statement; from an older mark on more is cut, never less."""
    ledger.record(record())
    first = ledger.mark()
    ledger.withdraw("c-1")
    assert ledger.mark() == first + 1
