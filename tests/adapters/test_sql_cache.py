"""A repeated statement costs two look-ups, and never another decision's answer."""

from __future__ import annotations

import msgspec
import pytest
from sql_world import (
    CUSTOMER,
    LOAN,
    OP01,
    SITE,
    decision,
    plan,
    shown,
)

import guard_sql
from guard.errors import Refused
from guard.model import ALWAYS, NEVER, Decision, FactCondition
from guard_sql import cache as cache_module


def test_a_repeated_statement_is_planned_and_rewritten_once() -> None:
    cache = guard_sql.PlanCache(SITE)
    made = decision(LOAN, OP01)
    first = cache.apply(cache.plan("SELECT loan_id FROM loan"), made)
    assert cache.plan("SELECT loan_id FROM loan") is cache.plan("SELECT loan_id FROM loan")
    assert cache.apply(cache.plan("SELECT loan_id FROM loan"), made) is first
    assert cache.apply(cache.plan("SELECT loan_id FROM loan"), decision(LOAN, OP01)) is first
    assert cache.apply(cache.plan("SELECT loan_id FROM loan"), decision(LOAN, ALWAYS)) is not first


def test_the_cache_tells_apart_what_python_takes_for_equal() -> None:
    cache = guard_sql.PlanCache(SITE)
    of = cache.plan("SELECT full_name FROM customer")
    texts = {
        cache.apply(of, decision(CUSTOMER, FactCondition(rule="X", name="frozen", operator="eq", value=value))).text
        for value in (1, "1")
    }
    assert len(texts) == 2


def test_a_denial_is_never_answered_from_the_cache() -> None:
    cache = guard_sql.PlanCache(SITE)
    of = cache.plan("SELECT loan_id FROM loan")
    nothing = Decision(id="0", allow=True, rows={LOAN: NEVER}, reads={LOAN: {"loan_id": shown()}})
    cache.apply(of, nothing)
    with pytest.raises(Refused):
        cache.apply(of, Decision(id="0", allow=False, rows=nothing.rows, reads=nothing.reads))


def test_the_cache_is_bounded() -> None:
    cache = guard_sql.PlanCache(SITE, size=3)
    made = decision(LOAN)
    for place in range(9):
        cache.apply(cache.plan(f"SELECT loan_id FROM loan LIMIT {place}"), made)
    assert {len(one) for one in (cache._plans, cache._met, cache._guarded)} == {3}
    assert isinstance(cache._plans, cache_module._Recent)


def test_a_guarded_statement_cannot_be_changed() -> None:
    guarded = plan("SELECT loan_id FROM loan").apply(decision(LOAN))
    with pytest.raises(AttributeError, match="immutable"):
        guarded.hidden = 0  # type: ignore[misc]


def test_the_same_plan_serves_different_decisions() -> None:
    of = plan("SELECT * FROM loan")
    few = of.apply(decision(LOAN, ALWAYS, ["loan_id"]))
    many = of.apply(decision(LOAN))
    again = of.apply(decision(LOAN, ALWAYS, ["loan_id"]))
    assert few.text == again.text
    assert few.columns == ("loan_id",)
    assert len(many.columns) == 6


def test_a_write_that_was_allowed_allows_none_that_is_not() -> None:
    """Two decisions that differ in what may be written alone are two."""
    cache = guard_sql.PlanCache(SITE)
    plan = cache.plan("UPDATE loan SET status = 'x' WHERE loan_id = 1")
    reads = {"status": shown(), "loan_id": shown()}
    kept = msgspec.structs.replace(decision(LOAN, ALWAYS, reads), writes={LOAN: {"status": "keep"}})
    refused = msgspec.structs.replace(kept, writes={LOAN: {"status": "refuse"}})
    cache.apply(plan, kept)
    with pytest.raises(Refused) as raised:
        cache.apply(plan, refused)
    assert raised.value.rules == ("GUARD-SQL-WRITE",)
