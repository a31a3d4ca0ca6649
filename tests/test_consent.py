"""The consent ledger on real SQLite files."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from guard.clock import stamp
from guard.consent import ConsentRecord, Ledger
from guard.errors import Refused
from guard.model import Consent, Notice, Reason, Scope, Verdict

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
def path(tmp_path: Path) -> Path:
    return tmp_path / "bank.db"


@pytest.fixture
def now() -> Clock:
    return Clock()


@pytest.fixture
def ledger(path: Path, now: Clock):
    with Ledger(f"sqlite:///{path}", judge=judge, judged="sha256:rules", zone=ZONE, now=now) as one:
        yield one


def rows(path: Path, sql: str) -> list[tuple]:
    with sqlite3.connect(path) as connection:
        found = connection.execute(sql).fetchall()
    connection.close()
    return found


def test_a_valid_consent_becomes_one_grant_a_purpose_of_one_scope(ledger, path):
    verdict = ledger.record(record(purposes=("loan_underwriting", "post_loan")))
    assert verdict.valid
    assert rows(
        path,
        "SELECT subject, purpose, recipient, scope, separate, written, assurance, valid_from, valid_until"
        " FROM guard_grant",
    ) == [
        ("p-1001", purpose, "", 1, 1, 0, 1, NOW - 30, NOW - 30 + 365 * DAY)
        for purpose in ("loan_underwriting", "post_loan")
    ]
    assert set(rows(path, "SELECT * FROM guard_scope")) == {
        (1, operation, category) for operation in ("use", "collect") for category in ("income", "contact")
    }


def test_a_refused_consent_is_kept_and_makes_no_grant(ledger, path):
    with pytest.raises(Refused) as refused:
        ledger.record(record(preticked=True))
    assert refused.value.rules == ("PI-06",)
    assert rows(path, "SELECT count(*) FROM guard_grant") == [(0,)]
    assert [kept.verdict.valid for kept in ledger.list("p-1001")] == [False]


def test_a_withdrawal_ends_the_grants_for_every_other_connection(ledger, path):
    ledger.record(record())
    assert ledger.withdraw("c-1") == 1
    assert rows(path, "SELECT withdrawn_at FROM guard_grant") == [(NOW,)]
    assert ledger.list("p-1001")[0].withdrawn_at == NOW
