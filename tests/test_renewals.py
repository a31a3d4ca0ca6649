"""Renewals and notices, on both databases: a fresh act of the person's each time, under the text that was shown."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest
from ledger_places import Place
from test_consent import DAY, NOW, ZONE, Clock, judge, live, record

from guard.errors import Refused
from guard.model import Actor, Notice
from guard_ledger.ledger import Ledger

FRESH = "sha256:" + "f" * 64
LATER = NOW + 100 * DAY


@pytest.fixture
def now() -> Clock:
    return Clock()


@pytest.fixture
def ledger(place: Place, now: Clock) -> Iterator[Ledger]:
    with Ledger(place.url, judge=judge, judged="sha256:rules", zone=ZONE, now=now) as one:
        yield one


def renewal(number: str = "c-2", **changes):
    given = changes.pop("granted_at", LATER - 30)
    shown = Notice(id="n-1", version="2", shown_at=given - 30)
    return record(number, **{"granted_at": given, "evidence": FRESH, "notice": shown, **changes})


@pytest.fixture
def old(ledger: Ledger, now: Clock) -> Ledger:
    """A ledger with one consent of a hundred days ago."""
    ledger.record(record("c-1"))
    now.seconds = LATER
    return ledger


def grants(place: Place) -> dict[tuple, tuple]:
    asked = "SELECT consent_id, purpose, valid_from, valid_until, withdrawn_at FROM guard_grant"
    return {(one, purpose): tuple(rest) for one, purpose, *rest in place.rows(asked)}


# --- Renewals -------------------------------------------------------------------------------------


def test_the_old_consent_stays_until_the_new_one_is_valid_and_no_moment_is_between(old, place):
    with pytest.raises(Refused) as refused:
        old.renew("c-1", renewal(preticked=True))
    assert refused.value.rules == ("PI-06",)
    assert grants(place) == {("c-1", "loan_underwriting"): (NOW - 30, NOW - 30 + 365 * DAY, None)}
    assert old.renew("c-1", renewal("c-3")).valid
    assert grants(place) == {
        ("c-1", "loan_underwriting"): (NOW - 30, LATER, None),
        ("c-3", "loan_underwriting"): (LATER - 30, LATER - 30 + 365 * DAY, None),
    }
    assert [(one.record.consent.id, one.renewed_by) for one in old.list("p-1001")] == [
        ("c-1", "c-3"),
        ("c-2", None),
        ("c-3", None),
    ]


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"assurance": "asserted"}, "observed"),
        ({"evidence": "sha256:" + "0" * 64}, "evidence of the old one"),
        ({"granted_at": NOW - 30}, "not given after"),
        ({"granted_at": LATER + 1}, "not given after"),  # nor in advance: five years by five renewals today
        ({"notice": Notice(id="n-1", version="1", shown_at=NOW - 60)}, "No notice"),
        ({"notice": None}, "No notice"),
        ({"purposes": ("loan_underwriting", "marketing")}, "purpose"),
        ({"recipient": "agency"}, "another recipient"),
        ({"basis": "contract"}, "another basis"),
        ({"categories": ("income", "contact", "biometric")}, "more than"),
        ({"operations": ("use", "collect", "provide")}, "more than"),
        ({"separate": False}, "separately"),
        ({"subject": "p-1002"}, "no consent with this id"),
    ],
)
def test_what_is_no_fresh_act_for_the_same_or_less_is_no_renewal_and_is_not_kept(old, place, changes, word):
    before = grants(place)
    with pytest.raises(Refused, match=word) as refused:
        old.renew("c-1", renewal(**changes))
    assert refused.value.rules == ("GUARD-RENEWAL",)
    assert grants(place) == before
    assert [one.record.consent.id for one in old.list("p-1001")] == ["c-1"]
    assert old.list("p-1002") == ()


def test_what_was_given_in_writing_is_renewed_in_writing(ledger, now, place):
    ledger.record(record("c-1", written=True))
    now.seconds = LATER
    before = grants(place)
    with pytest.raises(Refused, match="in writing") as refused:
        ledger.renew("c-1", renewal())
    assert refused.value.rules == ("GUARD-RENEWAL",)
    assert grants(place) == before
    assert ledger.renew("c-1", renewal(written=True)).valid


def test_only_a_consent_that_stands_is_renewed_and_only_once(old):
    with pytest.raises(Refused, match="no consent with this id"):
        old.renew("c-9", renewal())
    with pytest.raises(Refused, match="no consent with this id"):
        old.renew("c-2", renewal())  # itself
    with pytest.raises(Refused):
        old.record(record("c-void", preticked=True))
    with pytest.raises(Refused, match="void"):
        old.renew("c-void", renewal())
    old.renew("c-1", renewal())
    with pytest.raises(Refused, match="renewed already"):
        old.renew("c-1", renewal("c-3", evidence="sha256:" + "3" * 64))
    old.withdraw_subject("p-1001")
    with pytest.raises(Refused, match="withdrawn"):
        old.renew("c-2", renewal("c-3", evidence="sha256:" + "3" * 64))


def test_the_same_renewal_again_changes_nothing_and_a_record_does_not_become_one(old, place):
    first = old.renew("c-1", renewal())
    before = (old.sequence(), grants(place))
    assert old.renew("c-1", renewal()) == first
    assert old.record(renewal()) == first
    assert (old.sequence(), grants(place)) == before
    old.record(renewal("c-3", purposes=("post_loan",)))
    with pytest.raises(Refused, match="not as a renewal"):
        old.renew("c-2", renewal("c-3", purposes=("post_loan",)))


@pytest.mark.parametrize("which", ["c-1", "c-2", "c-3"])
def test_withdrawing_any_of_a_chain_withdraws_all_of_it(old, place, now, which):
    old.renew("c-1", renewal())
    now.seconds += DAY
    old.renew("c-2", renewal("c-3", evidence="sha256:" + "3" * 64, granted_at=LATER + DAY - 30))
    assert len(live(place)) == 3
    assert old.withdraw(which) == 3
    assert live(place) == set()


def test_a_renewal_for_less_leaves_the_rest_as_it_was(ledger, place, now):
    ledger.record(record("c-1", purposes=("loan_underwriting", "marketing")))
    now.seconds = LATER
    ledger.renew("c-1", renewal(purposes=("marketing",), categories=("contact",)))
    ends = {key: until for key, (_, until, _) in grants(place).items()}
    assert ends == {
        ("c-1", "loan_underwriting"): NOW - 30 + 365 * DAY,
        ("c-1", "marketing"): LATER,
        ("c-2", "marketing"): LATER - 30 + 365 * DAY,
    }
    ledger.withdraw("c-2")
    assert live(place) == {("c-1", "loan_underwriting")}


def test_new_rules_do_not_lengthen_what_was_renewed(old, place, now):
    old.renew("c-1", renewal())
    with Ledger(place.url, judge=judge, judged="sha256:new", zone=ZONE, now=now) as later:
        later.rejudge()
    asked = "SELECT consent_id, max(valid_until) FROM guard_grant GROUP BY consent_id"
    assert dict(place.rows(asked)) == {"c-1": LATER, "c-2": LATER - 30 + 365 * DAY}


def test_a_consent_older_than_a_withdrawal_is_no_renewal_either(old, place, now):
    old.withdraw_subject("p-1001", "marketing")
    now.seconds += 10
    assert old.renew("c-1", renewal()).valid  # another purpose
    old.withdraw_subject("p-1001")
    with pytest.raises(Refused):
        old.renew("c-2", renewal("c-3", evidence="sha256:" + "3" * 64, granted_at=LATER))
    assert live(place) == set()


# --- Who records ----------------------------------------------------------------------------------


def test_who_records_is_who_acts_whatever_the_record_says(place, now):
    drafts = []
    desk = Actor(id="officer-lin", roles=("loan_officer",))
    with Ledger(place.url, judge=judge, judged="", zone=ZONE, now=now, append=drafts.append) as ledger:
        ledger.record(record("c-1", recorder=""), by=desk)
        ledger.record_many((record("c-2", "p-2", recorder="web"), record("c-3", "p-3")), by=desk)
        with pytest.raises(Refused):
            ledger.record(record("c-4", recorder=""))
    assert place.rows("SELECT DISTINCT recorder FROM guard_grant") == [("officer-lin",)]
    assert [one.actor for one in drafts] == [desk, desk]


# --- Notices --------------------------------------------------------------------------------------


def noticed(number: str, digest: str | None, version: str = "1", **changes):
    return record(number, notice=Notice(id="n-1", version=version, digest=digest, shown_at=NOW - 60), **changes)


ONE, TWO = "sha256:" + "1" * 64, "sha256:" + "2" * 64


def test_a_version_of_a_notice_says_one_thing(ledger, place):
    ledger.record(noticed("c-1", ONE))
    ledger.record(noticed("c-2", ONE, subject="p-2"))
    ledger.record(noticed("c-3", TWO, version="2", subject="p-3"))
    ledger.record(noticed("c-4", None, subject="p-4"))
    with pytest.raises(Refused) as refused:
        ledger.record(noticed("c-5", TWO, subject="p-5"))
    assert refused.value.rules == ("GUARD-NOTICE",)
    assert [one.verdict.valid for one in ledger.list("p-5")] == [False]  # kept, as void
    assert {one for one, _ in live(place)} == {"c-1", "c-2", "c-3", "c-4"}
    assert set(place.rows("SELECT notice_id, version, digest FROM guard_notice")) == {
        ("n-1", "1", ONE),
        ("n-1", "2", TWO),
    }


def test_two_texts_of_one_version_in_one_import_are_not_both_valid(ledger):
    verdicts = ledger.record_many((noticed("c-1", ONE), noticed("c-2", TWO, subject="p-2")))
    assert [one.valid for one in verdicts] == [True, False]


def test_a_void_consent_settles_nothing_and_a_publication_does(ledger):
    with pytest.raises(Refused):
        ledger.record(noticed("c-0", TWO, preticked=True))
    ledger.publish(Notice(id="n-1", version="1", digest=ONE))
    ledger.publish(Notice(id="n-1", version="1", digest=ONE))
    for call in (
        lambda: ledger.record(noticed("c-1", TWO)),
        lambda: ledger.publish(Notice(id="n-1", version="1", digest=TWO)),
        lambda: ledger.publish(Notice(id="n-1", version="1")),
    ):
        with pytest.raises(Refused) as refused:
            call()
        assert refused.value.rules == ("GUARD-NOTICE",)
    for wrong in (Notice(id="n-1", version="1", digest="text"), Notice(id=" n", version="1", digest=ONE)):
        with pytest.raises(Refused) as refused:
            ledger.publish(wrong)
        assert refused.value.rules == ("GUARD-CONSENT",)
    ledger.record(noticed("c-2", ONE))


def test_what_consents_said_before_notices_had_a_table_is_found_there(ledger, place, now):
    ledger.record(noticed("c-1", ONE))
    with pytest.raises(Refused):
        ledger.record(noticed("c-2", TWO, version="2", preticked=True))
    place.run("DROP TABLE guard_notice")
    with Ledger(place.url, judge=judge, judged="", zone=ZONE, now=now) as later:
        with pytest.raises(Refused):
            later.record(noticed("c-3", TWO))
        later.record(noticed("c-4", ONE, version="2"))


def test_a_notice_digest_that_is_none_is_refused(ledger):
    with pytest.raises(Refused, match="notice"):
        ledger.record(noticed("c-1", "the text of the notice"))


def test_a_renewal_that_is_a_struct_of_the_old_one_is_told(old):
    """C3: what copies the old record under a new id and a new time is no act."""
    copied = record("c-2", granted_at=LATER - 30)
    with pytest.raises(Refused):
        old.renew("c-1", copied)
    with pytest.raises(Refused):
        old.renew("c-1", msgspec.structs.replace(copied, evidence=FRESH))  # the notice is the old showing
