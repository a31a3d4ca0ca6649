"""What a broken or hostile policy may say: refused with an id of its own, by both engines alike.

Each folder of tests/fixtures/hostile is a layer `institution` beside a sound floor; it runs as Wasm in
process and as Rego on a real OPA server.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from fixtures_opa import FIXTURES, Built, Serve

from guard.decider import Decider
from guard.errors import Refused
from guard.model import Activity, ActorFacts, Declared, Item, Recipient, Time
from guard_engine.bundle import Bundle
from guard_engine.embedded import Bounds, Embedded
from guard_engine.server import Server

HOSTILE = FIXTURES / "hostile"

RULES = {
    "allow_number": "GUARD-DECISION-ALLOW",
    "allow_text": "GUARD-DECISION-ALLOW",
    "answer_large": "GUARD-DECISION-SIZE",
    "condition_unknown": "GUARD-DECISION-CONDITION",
    "id_extra": "GUARD-DECISION-EXTRA",
    "id_missing": "GUARD-DECISION-MISSING",
    "id_repeated": "GUARD-DECISION-REPEATED",
    "key_unknown": "GUARD-DECISION-SHAPE",
    "mask_unknown": "GUARD-DECISION-MASK",
    "nesting_deep": "GUARD-DECISION-DEPTH",
    "no_list": "GUARD-DECISION-SHAPE",
    "obligation_unknown": "GUARD-OBLIGATION",
    "relation_undeclared": "GUARD-DECISION-NAME",
    "rows_empty": "GUARD-DECISION-ROWS",
    "rows_missing": "GUARD-DECISION-ROWS",
    "source_unknown": "GUARD-DECISION-NAME",
    "undefined": "GUARD-DECISION-UNDEFINED",
}

BY_ENGINE = {"conflict": {"embedded": "GUARD-ENGINE-TRAP", "server": "GUARD-ENGINE-ERROR"}}
"""OPA answers a conflict with HTTP 500, the module by a trap: the same refusal from two sides."""

ACTIVITY = Activity(
    id="0",
    operation="use",
    purpose="loan_underwriting",
    method="sql",
    actor=ActorFacts(kind="person", roles=("loan_officer",), unit="branch-3"),
    recipient=Recipient(kind="staff"),
    subjects="declared",
    items=(
        Item(
            source="bank:retail.customer", field=None, role="read", subjects=("holder",), relations=("assigned_case",)
        ),
        Item(source="bank:retail.customer", field="income", role="read", category="income"),
    ),
    declared=Declared(notice="n-2026-03"),
    time=Time(seconds=1795420800, date="2026-11-23", hour=16, zone="Asia/Shanghai"),
)


def test_every_hostile_policy_is_expected_here() -> None:
    assert {path.name for path in HOSTILE.iterdir()} == {*RULES, *BY_ENGINE}


@pytest.mark.parametrize("name", [*RULES, *BY_ENGINE])
@pytest.mark.parametrize("engine", ["embedded", "server"])
def test_a_hostile_policy_is_refused_with_its_own_id(
    name: str,
    engine: str,
    built: Callable[[Path, str], Built],
    floor: Built,
    profile: Bundle,
    serve: Serve,
) -> None:
    hostile = built(HOSTILE / name, "institution")
    running: Embedded | Server
    if engine == "embedded":
        bounds = Bounds(memory=256 * 1024 * 1024, fuel=10**10)
        running = Embedded([floor.wasm, profile, hostile.wasm], bounds)
    else:
        server = serve({"floor.tar.gz": floor.rego.raw, "h.tar.gz": hostile.rego.raw, "p.tar.gz": profile.raw})
        bundles = (floor.rego, hostile.rego, profile)
        running = Server(server.url, {one.layer: one.digest for one in bundles}, token_file=server.token_file)
    # The floor alone allows: what follows is the hostile layer's doing.
    assert Decider(running, ("floor",), catalogue_digest="sha256:0").decide([ACTIVITY])[0].allow
    decider = Decider(running, ("floor", "institution"), catalogue_digest="sha256:0")
    for _ in range(2):  # a refusal is not remembered as a decision
        with pytest.raises(Refused) as caught:
            decider.decide([ACTIVITY])
        assert caught.value.rules == (RULES.get(name) or BY_ENGINE[name][engine],)
        assert ACTIVITY.items[0].source not in str(caught.value)
    running.close()
