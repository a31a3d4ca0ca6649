"""A decision in words, and the smallest lawful change: what is offered was tried on the policies."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from guard import wire
from guard.config import Settings
from guard.demo import examples
from guard.merge import merge
from guard.messages import OWN
from guard.model import Activity, Decision, Declared, Item, Reason, Recipient, Remedy, Treatment, any_of
from guard.model import GrantCondition as Grant
from guard.release import Release
from guard_engine import releases
from guard_explain import change, explain


@pytest.fixture(scope="module")
def bank() -> Iterator[Release]:
    loaded = releases.load(Settings.load(examples.HOLDERS["bank"]))
    yield loaded
    loaded.close()


@pytest.fixture
def reading() -> Activity:
    found = examples.find("officer-reads-application")
    assert found is not None
    return wire.activity(found.activity.read_bytes())


def smallest(bank: Release, activity: Activity) -> tuple[str, ...] | None:
    (denial,) = bank.decider.decide([activity])
    assert not denial.allow
    edits = change.smallest(activity, denial, bank.decider.decide)
    if edits is None:
        return None
    changed = activity
    for edit in edits:
        made = edit.apply(changed)
        assert made is not None
        changed = made
    (decision,) = bank.decider.decide([changed])
    assert decision.allow, "what is offered has to be allowed"
    return tuple(edit.en for edit in edits)


def test_one_edit_where_one_is_enough(bank: Release, reading: Activity) -> None:
    without_unit = replace(reading, actor=replace(reading.actor, unit=None))
    assert smallest(bank, without_unit) == ("State the actor's unit.",)


def test_another_basis(bank: Release, reading: Activity) -> None:
    claimed = replace(reading, declared=Declared(basis="legitimate_interest", evidence="memo-7"))
    found = smallest(bank, claimed)
    assert found is not None
    assert len(found) == 1
    assert "legal basis" in found[0]


def test_two_edits_where_the_second_rule_speaks_only_after_the_first(bank: Release, reading: Activity) -> None:
    claimed = replace(
        reading,
        actor=replace(reading.actor, unit=None),
        declared=Declared(basis="legitimate_interest", evidence="memo-7"),
    )
    found = smallest(bank, claimed)
    assert found is not None
    assert len(found) == 2


def test_no_change_is_offered_where_none_helps(reading: Activity) -> None:
    reasons = (Reason(rule="PI-02", remedy=Remedy(purposes=("a", "b"), unit=True)), Reason(rule="OP-06"))
    denial = Decision(id="0", allow=False, reasons=reasons)
    assert change.smallest(reading, denial, lambda tried: [denial for _ in tried]) is None


def test_leaving_a_field_out_leaves_something() -> None:
    source = Item(source="s:a.b", field=None, role="read")
    only = Item(source="s:a.b", field="religion", role="read", category="religion")
    found = examples.find("officer-reads-application")
    assert found is not None
    activity = replace(wire.activity(found.activity.read_bytes()), items=(source, only))
    denial = Decision(
        id="0", allow=False, reasons=(Reason(rule="CR-02", field=("s:a.b", "religion"), remedy=Remedy(omit=True)),)
    )
    assert change.smallest(activity, denial, lambda tried: [denial for _ in tried]) is None


def test_a_provider_without_a_named_recipient(bank: Release, reading: Activity) -> None:
    provided = replace(reading, operation="provide", recipient=Recipient(kind="handler"))
    found = smallest(bank, provided)
    assert found is None or any("recipient" in edit for edit in found)


# --- Words ----------------------------------------------------------------------------------------


def treated(treatment: Treatment | None, lang: str = "en") -> str:
    found = examples.find("officer-reads-application")
    assert found is not None
    activity = wire.activity(found.activity.read_bytes())
    item = next(item for item in activity.items if item.field == "id_number")
    reads = {} if treatment is None else {item.source: {"id_number": treatment}}
    decision = Decision(id="0", allow=True, reads=reads)
    lines = explain(activity, decision, OWN, lang=lang).fields  # type: ignore[arg-type]
    return next(line.treatment for line in lines if line.field == "id_number")


SEPARATE = Grant(rule="PI-19", category="identity_number", separate=True)


def test_every_form_of_a_treatment_has_words() -> None:
    plain = Treatment(reveal=SEPARATE, mask=None, masked_if=SEPARATE)
    masked = Treatment(reveal=SEPARATE, mask="id18", masked_if=any_of(SEPARATE, Grant(rule="PI-05")))
    other = Treatment(reveal=SEPARATE, mask="name", masked_if=masked.masked_if)
    conflict = merge(Decision(id="0", allow=True, reads={"s": {"f": one}}) for one in (masked, other)).reads["s"]["f"]
    assert treated(None) == "dropped"
    assert treated(plain).startswith("shown where the person has a live separate basis")
    assert treated(plain).endswith("else dropped")
    assert "masked with id18 where" in treated(masked)
    assert "masked" not in treated(conflict)
    assert "脱敏" in treated(masked, "zh")


def test_every_rule_that_speaks_is_explained(bank: Release) -> None:
    """For each example: no rule without clause and sentence in both languages."""
    for one in examples.every():
        if one.holder != "bank" or not one.answer.name.endswith(".decision.json"):
            continue
        activity = wire.activity(one.activity.read_bytes())
        (decision,) = bank.decider.decide([activity])
        for lang in ("en", "zh"):
            for line in explain(activity, decision, bank.messages, lang=lang).rules:  # type: ignore[arg-type]
                assert line.clause
                assert "no description" not in line.sentence
