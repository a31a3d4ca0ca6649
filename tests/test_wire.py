"""Documents are read strictly: what is off is refused with an id of its own, nothing is repaired."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard import wire
from guard.errors import Refused
from guard.model import ALWAYS, Activity, FactCondition, GrantCondition, RelationCondition, Treatment, all_of, any_of

ACTIVITY: dict[str, Any] = {
    "id": "0",
    "operation": "use",
    "purpose": "loan_underwriting",
    "method": "sql",
    "actor": {"kind": "person", "roles": ["loan_officer"], "unit": "branch-3"},
    "recipient": {"kind": "staff", "id": None},
    "subjects": "declared",
    "items": [
        {
            "source": "bank:retail.customer",
            "field": None,
            "role": "read",
            "subjects": ["holder"],
            "relations": ["assigned_case"],
            "facts": ["frozen", "adverse_ended_on"],
        },
        {"source": "bank:retail.customer", "field": "id_number", "category": "identity_number", "role": "read"},
    ],
    "declared": {"notice": "n-2026-03", "pia": None, "approval": None},
    "time": {"seconds": 1795420800, "date": "2026-11-23", "hour": 16, "zone": "Asia/Shanghai"},
}
GRANT = {"grant": {}, "rule": "OP-01"}
DECISION: dict[str, Any] = {
    "id": "0",
    "allow": True,
    "rows": {"bank:retail.customer": [GRANT]},
    "reads": {"bank:retail.customer": {"id_number": {"reveal": "always"}}},
}


def activity(**changes: Any) -> Activity:
    return wire.activity(json.dumps({**ACTIVITY, **changes}).encode())


def refusal(value: object) -> str:
    with pytest.raises(Refused) as caught:
        wire.decisions(value, [activity()])
    return caught.value.rules[0]


def with_rows(*conditions: object) -> list[object]:
    return [{**DECISION, "rows": {"bank:retail.customer": list(conditions)}}]


def test_a_field_may_be_read_and_written_at_once() -> None:
    table, field = ACTIVITY["items"][:2]
    both = [table, {**field, "role": "filter"}, {**field, "role": "write"}]
    read, written = activity(items=both), activity(items=[both[0], both[2], both[1]])
    assert wire.ordered(read.items) == wire.ordered(written.items)


def test_an_activity_survives_the_wire() -> None:
    made = activity()
    assert wire.activity(wire.canonical(made)) == made


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"purpose": ["loan_underwriting"]}, "purpose"),
        ({"actor": {"kind": "person", "roles": "loan_officer", "unit": None}}, "roles"),
        ({"operation": "look"}, "operation"),
        ({"surprise": 1}, "surprise"),
        ({"time": {"seconds": 1795420801, "date": "2026-11-23", "hour": 16, "zone": "Asia/Shanghai"}}, "minute"),
        ({"time": {"seconds": "1795420800", "date": "2026-11-23", "hour": 16, "zone": "Asia/Shanghai"}}, "seconds"),
        ({"recipient": {"kind": "public", "id": None}}, "recipient"),
        ({"purpose": "loan_underwriting\u0041\u030a"}, "NFC"),
        ({"items": [ACTIVITY["items"][1]]}, "item of its own"),
        ({"items": [ACTIVITY["items"][0], {**ACTIVITY["items"][1], "category": None}]}, "category"),
        ({"items": [*ACTIVITY["items"], ACTIVITY["items"][1]]}, "repeated"),
        ({"subjects": "p-1001"}, "subjects"),
    ],
)
def test_a_malformed_activity_is_refused(change: dict[str, Any], word: str) -> None:
    with pytest.raises(Refused) as caught:
        activity(**change)
    assert caught.value.rules == ("GUARD-ACTIVITY",)
    assert word in str(caught.value)


def test_an_activity_without_items_is_refused() -> None:
    with pytest.raises(Refused) as caught:
        activity(items=[])
    assert caught.value.rules == ("GUARD-ACTIVITY-ITEMS",)


@pytest.mark.parametrize(
    "text",
    [
        b'{"a": 1, "a": 2}',
        b'{"a": {"b": 1, "b": 1}}',
        b"{} {}",
        b"\xff\xfe{}",
        b"\xef\xbb\xbf{}",
        b'{"a": 01}',
        b"[1,]",
        b"",
    ],
)
def test_json_that_two_readers_could_read_differently_is_refused(text: bytes) -> None:
    with pytest.raises(wire.NotStrict) as caught:
        wire.strict_json(text)
    assert caught.value.kind == "JSON"


@pytest.mark.parametrize("text", [b"NaN", b"[Infinity]", b"[-Infinity]", b"[1e400]"])
def test_numbers_that_are_none_are_refused(text: bytes) -> None:
    with pytest.raises(wire.NotStrict) as caught:
        wire.strict_json(text)
    assert caught.value.kind == "NUMBER"


def test_nesting_and_size_are_bounded() -> None:
    with pytest.raises(wire.NotStrict) as deep:
        wire.strict_json(b"[" * 100_000 + b"]" * 100_000)
    assert deep.value.kind == "DEPTH"
    with pytest.raises(wire.NotStrict) as large:
        wire.strict_json(b'"' + b"x" * wire.MAX_BYTES + b'"')
    assert large.value.kind == "SIZE"


# --- Decisions ------------------------------------------------------------------------------------


def test_a_decision_is_read_into_its_normal_form() -> None:
    mask = {"with": "id18", "if": "always"}
    separate = {"grant": {"category": "identity_number", "separate": True}, "rule": "PI-19"}
    value = [
        {
            **DECISION,
            "rows": {"bank:retail.customer": [{"relation": "assigned_case", "rule": "PI-02"}, GRANT, GRANT]},
            "reads": {"bank:retail.customer": {"id_number": {"reveal": separate, "mask": mask, "rule": "PI-19"}}},
        }
    ]
    (decision,) = wire.decisions(value, [activity()])
    grant, relation = GrantCondition(rule="OP-01"), RelationCondition(rule="PI-02", name="assigned_case")
    assert decision.rows["bank:retail.customer"] == all_of(grant, relation)
    assert decision.reads["bank:retail.customer"]["id_number"] == Treatment(
        reveal=GrantCondition(rule="PI-19", category="identity_number", separate=True),
        mask="id18",
        masked_if=ALWAYS,
        rules=("PI-19",),
    )


def test_a_mask_includes_what_is_revealed() -> None:
    reveal, masked = GRANT, {"relation": "assigned_case", "rule": "PI-02"}
    treatment = {"reveal": reveal, "mask": {"with": "id18", "if": masked}}
    (decision,) = wire.decisions(
        [{**DECISION, "reads": {"bank:retail.customer": {"id_number": treatment}}}], [activity()]
    )
    one = decision.reads["bank:retail.customer"]["id_number"]
    assert one.masked_if == any_of(one.reveal, RelationCondition(rule="PI-02", name="assigned_case"))


def test_decisions_come_in_the_order_asked() -> None:
    asked = [activity(id="a"), activity(id="b")]
    answers = wire.decisions([{**DECISION, "id": "b"}, {"id": "a", "allow": False}], asked)
    assert [(one.id, one.allow) for one in answers] == [("a", False), ("b", True)]


def test_two_questions_of_one_id_have_no_answer() -> None:
    with pytest.raises(Refused) as caught:
        wire.decisions([DECISION], [activity(), activity()])
    assert caught.value.rules == ("GUARD-ACTIVITY",)


def test_a_denial_carries_nothing_but_reasons() -> None:
    (decision,) = wire.decisions([{**DECISION, "allow": False}], [activity()])
    assert not decision.rows
    assert not decision.reads


@pytest.mark.parametrize("allow", [1, 0, 1.0, "yes", "true", None, [], {}])
def test_allow_is_exactly_true_or_false(allow: object) -> None:
    assert refusal([{**DECISION, "allow": allow}]) == "GUARD-DECISION-ALLOW"


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        ({}, "GUARD-DECISION-SHAPE"),
        (None, "GUARD-DECISION-SHAPE"),
        (True, "GUARD-DECISION-SHAPE"),
        ([], "GUARD-DECISION-MISSING"),
        ([{"allow": True}], "GUARD-DECISION-SHAPE"),
        ([{"id": "0"}], "GUARD-DECISION-SHAPE"),
        ([{**DECISION, "surprise": 1}], "GUARD-DECISION-SHAPE"),
        ([{**DECISION, "id": 0}], "GUARD-DECISION-SHAPE"),
        ([DECISION, DECISION], "GUARD-DECISION-REPEATED"),
        ([DECISION, {**DECISION, "id": "1"}], "GUARD-DECISION-EXTRA"),
        ([{**DECISION, "id": "1"}], "GUARD-DECISION-EXTRA"),
        ([{**DECISION, "rows": {}}], "GUARD-DECISION-ROWS"),
        ([{k: v for k, v in DECISION.items() if k != "rows"}], "GUARD-DECISION-ROWS"),
        (with_rows(), "GUARD-DECISION-ROWS"),
        ([{**DECISION, "rows": {"bank:retail.customer": "some"}}], "GUARD-DECISION-SHAPE"),
        ([{**DECISION, "rows": {"bank:retail.customer": "all", "bank:x.y": "all"}}], "GUARD-DECISION-NAME"),
        ([{**DECISION, "reads": {"bank:retail.customer": {"other": {"reveal": "always"}}}}], "GUARD-DECISION-NAME"),
        ([{**DECISION, "writes": {"bank:retail.customer": {"id_number": "maybe"}}}], "GUARD-DECISION-SHAPE"),
        ([{**DECISION, "reads": {"bank:retail.customer": {"id_number": {"show": 1}}}}], "GUARD-DECISION-SHAPE"),
        (
            [
                {
                    **DECISION,
                    "reads": {"bank:retail.customer": {"id_number": {"mask": {"with": "rot13", "if": "always"}}}},
                }
            ],
            "GUARD-DECISION-MASK",
        ),
        ([{**DECISION, "obligations": [{"id": "notify"}]}], "GUARD-OBLIGATION"),
        ([{**DECISION, "obligations": [{"id": "limit", "subjects": "50"}]}], "GUARD-OBLIGATION"),
        ([{**DECISION, "obligations": [{"id": "limit", "subjects": 5, "also": 1}]}], "GUARD-OBLIGATION"),
    ],
)
def test_a_broken_answer_refuses_the_whole_call(value: object, rule: str) -> None:
    assert refusal(value) == rule


@pytest.mark.parametrize(
    ("condition", "rule"),
    [
        ({"grant": {}}, "GUARD-DECISION-CONDITION"),
        ({"grant": {}, "rule": ""}, "GUARD-DECISION-CONDITION"),
        ({"rule": "X"}, "GUARD-DECISION-CONDITION"),
        ({"not": GRANT, "rule": "X"}, "GUARD-DECISION-CONDITION"),
        ({"grant": {"subject": "p-1"}, "rule": "X"}, "GUARD-DECISION-CONDITION"),
        ({"grant": {"separate": 1}, "rule": "X"}, "GUARD-DECISION-CONDITION"),
        ({**GRANT, "relation": "assigned_case"}, "GUARD-DECISION-CONDITION"),
        ({"self": False, "rule": "X"}, "GUARD-DECISION-CONDITION"),
        ({"any": [], "rule": "X"}, "GUARD-DECISION-CONDITION"),
        ({"all": []}, "GUARD-DECISION-CONDITION"),
        ({"any": [{"grant": {}}]}, "GUARD-DECISION-CONDITION"),
        ({"any": [GRANT], "rule": "X"}, "GUARD-DECISION-CONDITION"),
        ({**GRANT, "operator": "eq"}, "GUARD-DECISION-CONDITION"),
        ({"fact": "frozen", "operator": "eq", "rule": "X"}, "GUARD-DECISION-CONDITION"),
        ({"fact": "frozen", "operator": "like", "value": 1, "rule": "X"}, "GUARD-DECISION-CONDITION"),
        ({"fact": "frozen", "operator": "eq", "value": 1, "ago": "P5Y", "rule": "X"}, "GUARD-DECISION-CONDITION"),
        ({"fact": "frozen", "operator": "ge", "ago": "5 years", "rule": "X"}, "GUARD-DECISION-CONDITION"),
        ({"fact": "frozen", "operator": "eq", "value": 1.5, "rule": "X"}, "GUARD-DECISION-CONDITION"),
        ({"fact": "salary", "operator": "eq", "value": 1, "rule": "X"}, "GUARD-DECISION-NAME"),
        ({"relation": "friend", "rule": "X"}, "GUARD-DECISION-NAME"),
        (7, "GUARD-DECISION-CONDITION"),
        ("always", "GUARD-DECISION-CONDITION"),
    ],
)
def test_an_unknown_or_undeclared_condition_is_refused(condition: object, rule: str) -> None:
    assert refusal(with_rows(condition)) == rule


@pytest.mark.parametrize("depth", [wire.MAX_DEPTH + 1, 50_000])
def test_conditions_nest_to_a_bound(depth: int) -> None:
    nested: object = GRANT
    for _ in range(depth):
        nested = {"any": [nested]}
    assert refusal(with_rows(nested)) == "GUARD-DECISION-DEPTH"


def test_a_source_about_nobody_cannot_be_asked_for_grants() -> None:
    item = {**ACTIVITY["items"][0]}
    del item["subjects"]
    with pytest.raises(Refused) as caught:
        wire.decisions([DECISION], [activity(items=[item, ACTIVITY["items"][1]])])
    assert caught.value.rules == ("GUARD-DECISION-NAME",)


def test_facts_are_compared_with_values_and_periods() -> None:
    ended = {"fact": "adverse_ended_on", "operator": "ge", "ago": "P5Y", "or_absent": True, "rule": "CR-05"}
    (decision,) = wire.decisions(with_rows(ended), [activity()])
    assert decision.rows["bank:retail.customer"] == FactCondition(
        rule="CR-05", name="adverse_ended_on", operator="ge", ago="P5Y", or_absent=True
    )


def test_a_cached_decision_cannot_be_poisoned() -> None:
    (decision,) = wire.decisions([copy.deepcopy(DECISION)], [activity()])
    with pytest.raises(TypeError):
        decision.rows["bank:retail.customer"] = ALWAYS  # type: ignore[index]
    with pytest.raises(TypeError):
        decision.reads["bank:retail.customer"]["x"] = None  # type: ignore[index]
    with pytest.raises(AttributeError):
        decision.allow = True  # type: ignore[misc]


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["id", "allow", "rows", "reads", "any", "grant", "rule", "x"]), inner),
    ),
    max_leaves=12,
)


@given(st.sampled_from(["rows", "reads", "writes", "reasons", "obligations", "allow", "id"]), json_values)
def test_nothing_but_a_refusal_comes_of_a_mangled_decision(key: str, value: object) -> None:
    """Whatever one part is replaced by, the reading ends in a Decision or in a refusal."""
    try:
        (decision,) = wire.decisions([{**DECISION, key: value}], [activity()])
    except Refused as refused:
        assert refused.rules[0].startswith("GUARD-")  # noqa: PT017 -- either outcome is fine, this one has a form
    else:
        assert not decision.allow or set(decision.rows) == {"bank:retail.customer"}


# --- Verdicts -------------------------------------------------------------------------------------

CONSENT: dict[str, Any] = {
    "id": "c-1",
    "purposes": ["loan_underwriting"],
    "operations": ["use"],
    "categories": ["identity"],
    "recipient": None,
    "basis": "consent",
    "method": "opt_in",
    "form": "electronic",
    "separate": False,
    "written": False,
    "bundled": False,
    "preticked": False,
    "refusal_denies_service": False,
    "adverse_effect_told": False,
    "guardian": False,
    "notice": {"id": "n", "version": "7", "digest": None, "shown_at": 1},
    "granted_at": 2,
    "expires_at": 3,
    "assurance": "observed",
    "time": ACTIVITY["time"],
}
VERDICT = {
    "id": "c-1",
    "valid": True,
    "scopes": [{"operations": ["use"], "categories": ["identity"]}],
    "valid_until": 3,
}


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        ([{**VERDICT, "valid": 1}], "GUARD-DECISION-SHAPE"),
        ([{**VERDICT, "valid_until": None}], "GUARD-DECISION-SHAPE"),
        ([{**VERDICT, "scopes": []}], "GUARD-DECISION-SHAPE"),
        ([{**VERDICT, "scopes": [{"operations": [], "categories": ["identity"]}]}], "GUARD-DECISION-SHAPE"),
        ([VERDICT, VERDICT], "GUARD-DECISION-REPEATED"),
        ([], "GUARD-DECISION-MISSING"),
        ([VERDICT, {**VERDICT, "id": "c-2"}], "GUARD-DECISION-EXTRA"),
        ({"valid": True}, "GUARD-DECISION-SHAPE"),
    ],
)
def test_a_broken_verdict_is_refused(value: object, rule: str) -> None:
    consent = wire.consent(json.dumps(CONSENT).encode())
    with pytest.raises(Refused) as caught:
        wire.verdicts(value, [consent])
    assert caught.value.rules == (rule,)


def test_an_invalid_verdict_gives_no_scope() -> None:
    consent = wire.consent(json.dumps(CONSENT).encode())
    (verdict,) = wire.verdicts([{**VERDICT, "valid": False}], [consent])
    assert verdict.scopes == ()
    assert verdict.valid_until is None
