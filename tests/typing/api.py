"""How a program uses guard, as type checkers see it: this file is checked, never run."""

from __future__ import annotations

import sqlite3
from typing import Any, assert_type

import guard_dbapi
from guard import Actor, Decision, Declared, Guard, Outcome, Recipient, Refused, Verdict, drive
from guard.collecting import Collected
from guard.records import DictRecords
from guard_ledger.consent_record import ConsentRecord

GET = "bank:GET /customers/{id}"


def use(record: ConsentRecord) -> None:
    with Guard.load("guard.yaml") as guard:
        connect = guard_dbapi.wrap(sqlite3.connect, guard, dialect="sqlite")
        officer = Actor(id="officer-lin", roles=("loan_officer",), unit="branch-3")
        with guard.acting(officer, purpose="loan_underwriting", subject="1001") as act:
            rows = (
                connect("bank.db").execute("SELECT full_name FROM customer WHERE customer_id = ?", (1001,)).fetchall()
            )
            assert_type(rows, list[tuple[Any, ...]])
            with guard.operation(guard.activity("bank:retail.customer", ["full_name"])) as permit:
                assert_type(permit.decision, Decision)
                assert_type(permit.release([{"full_name": "x"}], subjects=["1001"]), list[dict[str, Any]])
        assert_type(act.outcomes, list[Outcome])
        try:
            with guard.acting(
                officer,
                purpose="credit_reporting",
                operation="provide",
                recipient=Recipient(kind="handler", id="agency-1"),
                declared=Declared(notice="n-1"),
                separate=True,
            ):
                pass
        except Refused as refused:
            assert_type(refused.rules, tuple[str, ...])
            assert_type(refused.problem(), dict[str, Any])
        assert_type(guard.consents.record(record), Verdict)
        records = DictRecords(GET, guard.active.catalogue.sources[GET], [{"customer_id": 1001}])
        drive.follow(guard.roads.release(act, GET, records, text="GET /customers/1001", parameters=None))
        taken = drive.follow(guard.roads.collect(act, GET, records, text="POST /customers", parameters=None))
        assert_type(taken, Collected)
        guard.roads.collected(taken, done=True)
        officer.id = "somebody else"  # type: ignore[misc]  # what is decided on is immutable
        guard.acting("officer-lin", purpose="loan_underwriting")  # type: ignore[arg-type]  # an Actor, not a name
