"""What a decision says of records: worked out once for a decision, and never taken for that of another."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from records_bank import CATALOGUE, GET

from guard import catalogue, documents, strict
from guard.model import (
    ALWAYS,
    CONFLICT,
    NEVER,
    AnyCondition,
    Condition,
    Decision,
    FactCondition,
    GrantCondition,
    Limit,
    SelfCondition,
    Treatment,
    all_of,
    any_of,
)
from guard.records import Plan
from guard.terms import terms

GRANT = GrantCondition(rule="OP-01")
COVERED = GrantCondition(rule="PI-05", category="identity")
AGAIN = GrantCondition(rule="PI-19", category="identity")
SELF = SelfCondition(rule="OP-01")
RECENT = FactCondition(rule="CR-05", name="ended", operator="ge", ago="P5Y")
NAME, NUMBER = "/full_name", "/id_number"


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    path = tmp_path_factory.mktemp("terms") / "catalogue.yaml"
    path.write_text(CATALOGUE, "utf-8")
    entry = strict.model(documents.read(path), catalogue.Catalogue).sources[GET]
    return Plan.of(GET, entry, frozenset({NAME, NUMBER}), "release")


def decision(rows: Condition = ALWAYS, reads: Mapping[str, Treatment] | None = None, **more: object) -> Decision:
    return Decision(id="0", allow=True, rows={GET: rows}, reads={GET: reads or {}}, **more)  # type: ignore[arg-type]  # of a test


def shown(reveal: Condition, mask: str | None = None, masked: Condition = NEVER, *rules: str) -> Treatment:
    return Treatment(reveal=reveal, mask=mask, masked_if=any_of(reveal, masked), rules=rules)


def test_two_rules_that_ask_the_same_are_one_question(plan: Plan) -> None:
    made = plan.terms(decision(all_of(GRANT, SELF, RECENT), {NAME: shown(COVERED), NUMBER: shown(AGAIN)}))
    assert len(made.between) == 2
    assert len(made.facts) == 1
    assert made.rules == ("CR-05", "OP-01", "PI-05", "PI-19")


def test_what_is_not_named_is_denied(plan: Plan) -> None:
    made = terms(Decision(id="0", allow=True), GET, plan.fields)
    assert (made.rows, made.shows, made.reduced) == (NEVER, (), True)


@pytest.mark.parametrize(
    ("rows", "name", "reduced"),
    [
        (ALWAYS, shown(ALWAYS), False),
        (GRANT, shown(ALWAYS), True),
        (ALWAYS, shown(GRANT), True),
        (ALWAYS, shown(NEVER, "name", ALWAYS), True),
        (ALWAYS, None, True),
    ],
)
def test_reduced_says_that_something_may_be_left_out(
    plan: Plan, rows: Condition, name: Treatment | None, reduced: bool
) -> None:
    reads = {NUMBER: shown(ALWAYS), **({} if name is None else {NAME: name})}
    assert plan.terms(decision(rows, reads)).reduced is reduced


@pytest.mark.parametrize("mask", [CONFLICT, "unheard-of", None])
def test_a_mask_that_is_none_masks_nowhere(plan: Plan, mask: str | None) -> None:
    (made,) = plan.terms(decision(ALWAYS, {NAME: shown(GRANT, mask, ALWAYS)})).shows
    assert (made.masked, made.mask) == (NEVER, "")


def test_a_field_of_another_source_is_none_of_these(plan: Plan) -> None:
    assert plan.terms(decision(ALWAYS, {"/other": shown(ALWAYS)})).shows == ()


def test_obligations_are_among_the_rules(plan: Plan) -> None:
    assert plan.terms(decision(GRANT, obligations=(Limit(subjects=1, rule="CR-07"),))).rules == ("OP-01", "CR-07")


def test_terms_are_kept_for_a_decision_and_for_no_other(plan: Plan) -> None:
    """Decisions are found by their identity: one that is gone must not lend its own to the next."""
    same = decision(GRANT)
    assert plan.terms(same) is plan.terms(same)
    for number in range(2_000):
        rows = AnyCondition(conditions=()) if number % 3 else GRANT
        expected = NEVER if number % 3 else GrantCondition(rule="")
        assert plan.terms(decision(rows)).rows == expected
    assert len(plan._known) <= 64
