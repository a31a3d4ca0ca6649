"""What is dropped, masked, reduced, and by which rules."""

from __future__ import annotations

import pytest
from sql_world import (
    LOAN,
    OP01,
    decision,
    loans,
    masked,
    plan,
    run,
    shown,
)

from guard.errors import Refused
from guard.model import ALWAYS, Decision, GrantCondition, Reason, Remedy


def test_a_dropped_field_leaves_a_star_and_is_a_typed_null_by_name() -> None:
    some = decision(LOAN, ALWAYS, ["loan_id", "holder_key"])
    rows, _, guarded = run(loans(), "SELECT *, status FROM loan ORDER BY loan_id", some)
    assert guarded.columns == ("loan_id", "holder_key", "status")
    assert rows[0] == (1, "a", None)
    assert guarded.reduced


def test_where_no_field_may_be_seen_a_star_is_refused() -> None:
    with pytest.raises(Refused) as raised:
        plan("SELECT * FROM loan").apply(decision(LOAN, ALWAYS, []))
    assert raised.value.rules == ("GUARD-SQL-DROPPED",)


def test_a_dropped_field_in_another_place_is_refused_with_the_reason_of_the_policy() -> None:
    why = Reason(rule="PI-05", field=(LOAN, "principal"), remedy=Remedy(omit=True))
    some = decision(LOAN, ALWAYS, ["loan_id"])
    some = Decision(id="0", allow=True, rows=some.rows, reads=some.reads, reasons=(why,))
    with pytest.raises(Refused) as raised:
        plan("SELECT loan_id FROM loan WHERE principal > 3").apply(some)
    assert raised.value.rules == ("GUARD-SQL-DROPPED", "PI-05")
    assert raised.value.reasons[1] == why


@pytest.mark.parametrize(
    ("reads", "rows", "reduced"),
    [
        ({"loan_id": shown()}, ALWAYS, False),
        ({"loan_id": shown()}, OP01, True),
        ({"loan_id": shown(OP01)}, ALWAYS, True),
        ({"loan_id": shown(), "status": masked("name")}, ALWAYS, False),
    ],
)
def test_a_result_is_marked_where_something_may_be_missing(reads: object, rows: object, reduced: bool) -> None:
    assert plan("SELECT loan_id FROM loan").apply(decision(LOAN, rows, reads)).reduced is reduced  # type: ignore[arg-type]


def test_a_mask_marks_the_result_too() -> None:
    assert plan("SELECT status FROM loan").apply(decision(LOAN, ALWAYS, {"status": masked("name")})).reduced


def test_the_rules_that_shaped_the_result_are_named() -> None:
    reads = {
        "loan_id": shown(),
        "status": masked("name", GrantCondition(rule="PI-19", separate=True), ALWAYS, "PI-19"),
        "principal": shown(GrantCondition(rule="PI-05", category="loan"), "PI-05"),
    }
    assert plan("SELECT loan_id, status FROM loan").apply(decision(LOAN, OP01, reads)).rules == ("OP-01", "PI-19")


def test_two_layers_with_different_masks_leave_nothing() -> None:
    from guard.model import CONFLICT

    made = decision(LOAN, ALWAYS, {"loan_id": shown(), "status": masked(CONFLICT)})
    assert run(loans(), "SELECT status FROM loan", made)[0] == [(None,)] * 3
