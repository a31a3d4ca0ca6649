"""Merging layers is a meet: it never gives more than the strictest layer, in any order, any number of times."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.merge import merge, merge_verdicts
from guard.model import (
    ALWAYS,
    CONFLICT,
    NEVER,
    AllCondition,
    AnyCondition,
    Condition,
    Decision,
    GrantCondition,
    Limit,
    Reason,
    RelationCondition,
    Review,
    Scope,
    Threshold,
    Treatment,
    Verdict,
    all_of,
    any_of,
    normal_scopes,
)
from guard.wire import canonical

SOURCES = ("bank:retail.customer", "bank:retail.loan")
FIELDS = ("full_name", "id_number", "income")

atoms: st.SearchStrategy[Condition] = st.sampled_from(
    [
        GrantCondition(rule="OP-01"),
        GrantCondition(rule="PI-19", category="identity_number", separate=True),
        RelationCondition(rule="PI-02", name="assigned_case"),
        RelationCondition(rule="PI-02", name="guarantor_case"),
    ]
)
conditions = st.recursive(
    st.one_of(st.just(ALWAYS), st.just(NEVER), atoms),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: all_of(*parts)),
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: any_of(*parts)),
    ),
    max_leaves=5,
)


@st.composite
def treatments(draw: st.DrawFn) -> Treatment:
    reveal = draw(conditions)
    mask = draw(st.sampled_from([None, "id18", "name"]))
    masked_if = reveal if mask is None else any_of(reveal, draw(conditions))
    rules = tuple(sorted(draw(st.sets(st.sampled_from(["PI-19", "PI-05"])))))
    return Treatment(reveal=reveal, mask=mask, masked_if=masked_if, rules=rules)


def mapping(keys: tuple[str, ...], values: st.SearchStrategy[object]) -> st.SearchStrategy[Mapping[str, object]]:
    return st.dictionaries(st.sampled_from(keys), values, max_size=len(keys)).map(
        lambda made: MappingProxyType({key: made[key] for key in sorted(made)})
    )


def in_order(values: set[object]) -> tuple[object, ...]:
    return tuple(sorted(values, key=canonical))


reasons = st.sets(st.sampled_from([Reason(rule="OP-01"), Reason(rule="PI-19", field=("s", "f"))])).map(in_order)
obligations = st.sets(
    st.sampled_from(
        [Limit(subjects=50), Limit(subjects=10, on_exceed="review"), Review(by="dpo", above=Threshold(subjects=20))]
    )
).map(in_order)


@st.composite
def decisions(draw: st.DrawFn) -> Decision:
    if draw(st.integers(0, 4)) == 0:
        return Decision(id="0", allow=False, reasons=draw(reasons))
    return Decision(
        id="0",
        allow=True,
        reasons=draw(reasons),
        rows=draw(mapping(SOURCES, conditions)),
        reads=draw(mapping(SOURCES, mapping(FIELDS, treatments()))),
        writes=draw(mapping(SOURCES, mapping(FIELDS, st.sampled_from(["keep", "strip", "refuse"])))),
        obligations=draw(obligations),
    )


Worlds = st.fixed_dictionaries({name: st.booleans() for name in ("OP-01", "PI-19", "assigned_case", "guarantor_case")})


def true_in(condition: Condition, world: Mapping[str, bool]) -> bool:
    if isinstance(condition, AllCondition):
        return all(true_in(part, world) for part in condition.conditions)
    if isinstance(condition, AnyCondition):
        return any(true_in(part, world) for part in condition.conditions)
    return world[condition.name if isinstance(condition, RelationCondition) else condition.rule]


def seen(treatment: Treatment | None, world: Mapping[str, bool]) -> int:
    """0 nothing, 1 masked, 2 the value."""
    if treatment is None:
        return 0
    if true_in(treatment.reveal, world):
        return 2
    masked = treatment.mask not in (None, CONFLICT) and true_in(treatment.masked_if, world)
    return 1 if masked else 0


@given(decisions(), decisions())
def test_merge_is_commutative(a: Decision, b: Decision) -> None:
    assert merge([a, b]) == merge([b, a])


@given(decisions(), decisions(), decisions())
def test_merge_is_associative(a: Decision, b: Decision, c: Decision) -> None:
    assert merge([merge([a, b]), c]) == merge([a, merge([b, c])])


@given(decisions())
def test_merge_is_idempotent(a: Decision) -> None:
    assert merge([a, a]) == a


@given(st.lists(decisions(), min_size=1, max_size=4), Worlds)
def test_merge_is_pointwise_the_strictest(layers: list[Decision], world: dict[str, bool]) -> None:
    merged = merge(layers)
    assert merged.allow == all(layer.allow for layer in layers)
    assert set(merged.reasons) == {reason for layer in layers for reason in layer.reasons}
    if not merged.allow:
        assert not merged.rows
        assert not merged.reads
        assert not merged.writes
        return
    for source in SOURCES:
        named = all(source in layer.rows for layer in layers)
        assert (source in merged.rows) == named
        if named:
            assert true_in(merged.rows[source], world) == all(true_in(layer.rows[source], world) for layer in layers)
        for field in FIELDS:
            of_layers = [layer.reads.get(source, {}).get(field) for layer in layers]
            strictest = min(seen(one, world) for one in of_layers)
            masks = {one.mask for one in of_layers if one is not None and one.mask}
            got = seen(merged.reads.get(source, {}).get(field), world)
            assert got == (0 if strictest == 1 and len(masks) > 1 else strictest)
            order = ["keep", "strip", "refuse"]
            writes = [layer.writes.get(source, {}).get(field, "refuse") for layer in layers]
            assert merged.writes.get(source, {}).get(field, "refuse") == max(writes, key=order.index)
    assert set(merged.obligations) == {o for layer in layers for o in layer.obligations}


@given(st.lists(decisions(), min_size=1, max_size=3), decisions(), Worlds)
def test_another_layer_never_allows_more(layers: list[Decision], more: Decision, world: dict[str, bool]) -> None:
    before, after = merge(layers), merge([*layers, more])
    assert before.allow or not after.allow
    for source in SOURCES:
        if source in after.rows and true_in(after.rows[source], world):
            assert true_in(before.rows[source], world)
        for field in FIELDS:
            assert seen(after.reads.get(source, {}).get(field), world) <= seen(
                before.reads.get(source, {}).get(field), world
            )
    assert set(before.obligations) <= set(after.obligations) or not after.allow


@given(decisions(), conditions, Worlds)
def test_another_row_rule_never_shows_more(decision: Decision, rule: Condition, world: dict[str, bool]) -> None:
    """A rule of one layer is one more condition in its list of rows."""
    for rows in decision.rows.values():
        if true_in(all_of(rows, rule), world):
            assert true_in(rows, world)


@given(conditions, conditions, conditions, Worlds)
def test_conditions_form_a_lattice_with_constants(a: Condition, b: Condition, c: Condition, w: dict[str, bool]) -> None:
    assert all_of(a, b) == all_of(b, a)
    assert all_of(all_of(a, b), c) == all_of(a, all_of(b, c))
    assert any_of(any_of(a, b), c) == any_of(a, any_of(b, c))
    assert all_of(a, a) == a == any_of(a, a)
    assert all_of(a, ALWAYS) == a == any_of(a, NEVER)
    assert all_of(a, NEVER) == NEVER
    assert any_of(a, ALWAYS) == ALWAYS
    assert true_in(all_of(a, b), w) == (true_in(a, w) and true_in(b, w))
    assert true_in(any_of(a, b), w) == (true_in(a, w) or true_in(b, w))


def test_two_different_masks_leave_nothing_in_any_order_and_for_good() -> None:
    grant = GrantCondition(rule="PI-19")

    def masked(mask: str | None) -> Decision:
        one = Treatment(reveal=grant, mask=mask, masked_if=grant if mask is None else ALWAYS)
        return Decision(id="0", allow=True, rows={"s": ALWAYS}, reads={"s": {"f": one}})

    world = {"PI-19": False}
    for layers in (("id18", "name"), ("name", "id18"), ("id18", "name", "id18"), ("id18", "id18", "name")):
        assert seen(merge(map(masked, layers)).reads["s"]["f"], world) == 0
    assert seen(merge(map(masked, ("id18", "id18"))).reads["s"]["f"], world) == 1
    assert seen(merge(map(masked, ("id18", None))).reads["s"]["f"], world) == 0


def test_decisions_on_different_activities_are_not_merged() -> None:
    with pytest.raises(ValueError, match="different"):
        merge([Decision(id="0", allow=True), Decision(id="1", allow=True)])


# --- Verdicts -------------------------------------------------------------------------------------

scopes = st.lists(
    st.builds(
        Scope,
        operations=st.lists(st.sampled_from(["use", "provide"]), min_size=1, unique=True).map(tuple),
        categories=st.lists(st.sampled_from(["identity", "income"]), min_size=1, unique=True).map(tuple),
    ),
    min_size=1,
    max_size=3,
).map(normal_scopes)
verdicts = st.one_of(
    st.builds(Verdict, id=st.just("0"), valid=st.just(False), reasons=reasons),
    st.builds(
        Verdict, id=st.just("0"), valid=st.just(True), scopes=scopes, valid_until=st.integers(1, 9), reasons=reasons
    ),
)


def covered(verdict: Verdict) -> set[tuple[str, str]]:
    return {(operation, category) for s in verdict.scopes for operation in s.operations for category in s.categories}


@given(verdicts, verdicts, verdicts)
def test_verdicts_merge_as_a_meet(a: Verdict, b: Verdict, c: Verdict) -> None:
    assert merge_verdicts([a, b]) == merge_verdicts([b, a])
    assert merge_verdicts([merge_verdicts([a, b]), c]) == merge_verdicts([a, merge_verdicts([b, c])])
    assert merge_verdicts([a, a]) == a
    merged = merge_verdicts([a, b])
    assert covered(merged) == (covered(a) & covered(b) if a.valid and b.valid else set())
    if merged.valid:
        assert merged.valid_until == min(a.valid_until or 0, b.valid_until or 0)
