"""Judging again: once, whichever process starts first, and looking at nothing that was looked at before."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from ledger_places import Place
from test_consent import DAY, NOW, ZONE, Clock, judge, record

from guard.errors import Refused
from guard.model import Consent, Scope, Verdict
from guard_ledger.ledger import Ledger
from guard_ledger.rejudge import BATCH, TURN


class Counting:
    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, consents: Sequence[Consent]) -> tuple[Verdict, ...]:
        self.asked += [one.id for one in consents]
        return judge(consents)


@pytest.fixture
def now() -> Clock:
    return Clock()


@pytest.fixture
def recorded(place: Place, now: Clock) -> Place:
    with Ledger(place.url, judge=judge, judged="old", zone=ZONE, now=now) as ledger:
        ledger.record_many(record(f"c-{i}", f"p-{i}") for i in range(BATCH + 20))
    return place


@pytest.fixture
def counting() -> Counting:
    return Counting()


def opened(place: Place, now: Clock, by: Counting, judged: str = "new") -> Ledger:
    return Ledger(place.url, judge=by, judged=judged, zone=ZONE, now=now)


def marks(place: Place) -> dict[str, str]:
    return dict(place.rows("SELECT key, value FROM guard_meta WHERE key LIKE 'judg%'"))


def test_every_consent_is_judged_once_and_a_second_start_asks_nothing_and_writes_nothing(recorded, now, counting):
    with opened(recorded, now, counting) as ledger:
        assert ledger.rejudge() == BATCH + 20
        assert len(counting.asked) == BATCH + 20
        before = ledger.sequence()
        ledger.store.write = None  # it would fail
        assert ledger.rejudge() == 0
        assert ledger.sequence() == before
    assert len(counting.asked) == BATCH + 20
    assert marks(recorded) == {"judged:new": str(BATCH + 20)}  # whose turn it was is forgotten


def test_what_was_recorded_under_these_rules_is_not_asked_about(recorded, now, counting):
    with opened(recorded, now, counting) as ledger:
        ledger.rejudge()
        ledger.record(record("c-new", "p-new"))
        counting.asked.clear()
        assert ledger.rejudge() == 0
        assert counting.asked == []
        assert marks(recorded) == {"judged:new": str(BATCH + 21)}


def test_another_waits_while_one_has_its_turn_and_then_finds_all_done(recorded, now, counting):
    with opened(recorded, now, counting) as one, opened(recorded, now, counting) as two:
        inside: list[int] = []

        def meanwhile(consents: Sequence[Consent]) -> tuple[Verdict, ...]:
            if not inside:
                inside.append(len(counting.asked))

                def looking(seconds: float) -> None:
                    inside.append(len(counting.asked))
                    raise InterruptedError  # it waits: what comes after is asked below

                with pytest.raises(InterruptedError):
                    two.rejudge(pause=looking)
            return counting(consents)

        one._judge = meanwhile
        assert one.rejudge() == BATCH + 20
        assert inside == [0, 0]
        assert two.rejudge(pause=lambda _: pytest.fail("nobody judges")) == 0
    assert len(counting.asked) == BATCH + 20


def test_a_turn_whose_process_died_runs_out(recorded, now, counting):
    with opened(recorded, now, counting) as ledger:
        recorded.run(f"INSERT INTO guard_meta VALUES ('judging:new', 'gone {NOW + TURN}')")
        waited: list[float] = []

        def pause(seconds: float) -> None:
            waited.append(seconds)
            now.seconds += 5

        assert ledger.rejudge(pause=pause) == BATCH + 20
        assert len(waited) == TURN // 5
    assert marks(recorded) == {"judged:new": str(BATCH + 20)}


def test_who_lost_its_turn_makes_no_grant_twice_and_takes_no_mark_back(recorded, now, counting):
    """Turns save work; they are not what keeps the ledger right."""
    with opened(recorded, now, counting) as one, opened(recorded, now, counting) as two:
        done: list[int] = []

        def slow(consents: Sequence[Consent]) -> tuple[Verdict, ...]:
            if not done:
                now.seconds += TURN + 1
                done.append(two.rejudge())
            return counting(consents)

        one._judge = slow
        one.rejudge()
        assert done == [BATCH + 20]
    assert len(counting.asked) == BATCH + 20 + BATCH  # its own, and what it had in hand: not the rest again
    assert recorded.rows("SELECT count(*) FROM guard_grant WHERE judged = 'new'") == [(BATCH + 20,)]
    assert marks(recorded) == {"judged:new": str(BATCH + 20)}


def test_an_engine_that_fails_gives_its_turn_back(recorded, now, counting):
    def stopped(consents: Sequence[Consent]) -> tuple[Verdict, ...]:
        raise Refused.own("GUARD-ENGINE-STOPPED")

    with Ledger(recorded.url, judge=stopped, judged="new", zone=ZONE, now=now) as broken, pytest.raises(Refused):
        broken.rejudge()
    with opened(recorded, now, counting) as ledger:
        assert ledger.rejudge(pause=lambda _: pytest.fail("nobody judges")) == BATCH + 20


def test_other_rules_have_turns_of_their_own(recorded, now, counting):
    recorded.run(f"INSERT INTO guard_meta VALUES ('judging:other', 'gone {NOW + TURN}')")
    with opened(recorded, now, counting) as ledger:
        assert ledger.rejudge(pause=lambda _: pytest.fail("nobody judges")) == BATCH + 20


# --- C4: never reviving, never widening -----------------------------------------------------------


def kind(consents: Sequence[Consent]) -> tuple[Verdict, ...]:
    """Rules under which all is valid, for all and for as long as it was asked."""
    return judge([msgspec.structs.replace(one, preticked=False) for one in consents])


def narrow(consents: Sequence[Consent]) -> tuple[Verdict, ...]:
    """Rules under which a consent covers incomes alone, for a day."""
    only = (Scope(operations=("use",), categories=("income",)),)
    return tuple(
        msgspec.structs.replace(one, scopes=only, valid_until=asked.granted_at + DAY)
        for one, asked in zip(judge(consents), consents, strict=True)
    )


def test_new_rules_revive_and_widen_nothing(place, now):
    with Ledger(place.url, judge=narrow, judged="old", zone=ZONE, now=now) as ledger:
        ledger.record_many(
            (
                record("c-narrow", "p-1"),
                record("c-void", "p-2", preticked=True),
                record("c-withdrawn", "p-3"),
                record("c-partly", "p-4", purposes=("loan_underwriting", "marketing")),
            )
        )
        ledger.withdraw("c-withdrawn")
        ledger.withdraw_subject("p-4", "marketing")
    with Ledger(place.url, judge=kind, judged="kind", zone=ZONE, now=now) as ledger:
        assert ledger.rejudge() == 2
        before = place.rows(
            "SELECT consent_id, purpose, scope, valid_until FROM guard_grant WHERE judged = 'old' "
            "AND withdrawn_at IS NULL ORDER BY grant_id"
        )
        after = place.rows(
            "SELECT consent_id, purpose, scope, valid_until FROM guard_grant WHERE judged = 'kind' ORDER BY grant_id"
        )
        assert before == after
        assert {one for one, *_ in after} == {"c-narrow", "c-partly"}
        ledger.withdraw("c-narrow")  # ends what both rules made
    assert place.rows("SELECT count(*) FROM guard_grant WHERE consent_id = 'c-narrow' AND withdrawn_at IS NULL") == [
        (0,)
    ]


def test_what_was_withdrawn_while_it_was_judged_stays_withdrawn(recorded, now):
    with opened(recorded, now, Counting()) as other:

        def withdrawing(consents: Sequence[Consent]) -> tuple[Verdict, ...]:
            other.withdraw_subject("p-7")
            return judge(consents)

        with Ledger(recorded.url, judge=withdrawing, judged="new", zone=ZONE, now=now) as ledger:
            assert ledger.rejudge() == BATCH + 19
    assert recorded.rows("SELECT count(*) FROM guard_grant WHERE subject = 'p-7' AND withdrawn_at IS NULL") == [(0,)]


# --- Processes ------------------------------------------------------------------------------------

CHILD = """
import sys, time
sys.path.insert(0, sys.argv[2])
from test_consent import judge, ZONE
from guard_ledger.ledger import Ledger
asked = []
def judging(consents):
    asked.extend(consents)
    time.sleep(0.02)
    return judge(consents)
with Ledger(sys.argv[1], judge=judging, judged="new", zone=ZONE, wait=20) as ledger:
    print(len(asked), ledger.rejudge(), len(asked))
"""


@pytest.fixture
def started(recorded: Place) -> list[subprocess.Popen[bytes]]:
    here = str(Path(__file__).parent)
    command = [sys.executable, "-c", CHILD, recorded.url, here]
    return [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(3)]


def test_of_three_processes_that_start_at_once_one_judges(recorded, started):
    said = [tuple(map(int, process.communicate()[0].split())) for process in started]
    assert [process.returncode for process in started] == [0] * 3
    assert sorted(made for _, made, _ in said) == [0, 0, BATCH + 20]
    assert sum(asked for _, _, asked in said) == BATCH + 20
    assert recorded.rows("SELECT count(*) FROM guard_grant WHERE judged = 'new'") == [(BATCH + 20,)]
