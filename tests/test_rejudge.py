"""Judging again: once, whichever process starts first, and looking at nothing that was looked at before."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from ledger_places import Place
from test_consent import NOW, ZONE, Clock, judge, record

from guard.consent import Ledger
from guard.errors import Refused
from guard.model import Consent, Verdict
from guard.rejudge import BATCH, TURN


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


CHILD = """
import sys, time
sys.path.insert(0, sys.argv[2])
from test_consent import judge, ZONE
from guard.consent import Ledger
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
