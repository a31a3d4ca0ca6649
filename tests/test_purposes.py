"""Which purposes are named to whom states none, or one that there is not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from guard import Actor, Guard, Misuse, Refused
from guard.demo import bank
from guard.model import Consent, Notice, Recipient
from guard.names import meant, near, nearest_first
from guard.purposes import known, open_to, unknown_in, without
from guard_engine import shipped
from guard_ledger.consent_record import ConsentRecord

FLOOR: dict[str, Any] = json.loads((shipped.sources("floor") / "data.json").read_text("utf-8"))
OWN = {"financial_advice": {"basis": ["consent"], "categories": ["identity", "aml"], "roles": ["loan_officer"]}}
STAFF, SUBJECT = Recipient(kind="staff"), Recipient(kind="subject")
CONSENT = Consent(
    id="c-1",
    purposes=("financial_advice",),
    operations=("use",),
    categories=("identity",),
    recipient=None,
    basis="consent",
    method="opt_in",
    form="web",
    separate=False,
    written=False,
    bundled=False,
    preticked=False,
    refusal_denies_service=False,
    adverse_effect_told=False,
    guardian=False,
    notice=Notice(id="n-1", version="1", shown_at=1),
    granted_at=1,
    expires_at=86_401,
    assurance="asserted",
)
LIN = Actor(id="officer-lin", roles=("loan_officer",), unit="branch-3")


def at(kind: str, **more: Any) -> Any:
    return known(FLOOR, {"kind": kind, "purposes": OWN, **more})


def test_an_actor_could_have_what_is_for_the_institution_s_kind_and_a_role_of_theirs() -> None:
    of_lin = ("financial_advice", "guarantor_review", "loan_underwriting", "post_loan_management")
    assert open_to(at("bank"), LIN, "use", STAFF) == of_lin
    assert open_to(at("credit_agency"), LIN, "use", STAFF) == ("financial_advice",)
    assert open_to(at("bank"), Actor(id="j", kind="service", roles=("aml_service",)), "use", STAFF) == ("aml_duty",)


def test_persons_could_have_what_gives_them_their_own_data() -> None:
    found = open_to(at("bank"), Actor(id="1001"), "use", SUBJECT)
    assert found == ("financial_advice", "own_record_access", "post_loan_management")


def test_where_nobody_is_known_or_nothing_fits_all_that_the_institution_has_are_named() -> None:
    every = open_to(at("bank"), None, "use", STAFF)
    assert "aml_duty" in every
    assert not {"credit_reporting", "publication", "navigation"} & set(every)
    assert open_to(at("bank"), Actor(id="x", roles=("nothing",)), "use", STAFF) == every
    assert "navigation" in open_to(at("app_operator", app_type="map_navigation"), None, "use", STAFF)
    assert "navigation" not in open_to(at("app_operator", app_type="chess"), None, "use", STAFF)


def test_a_purpose_of_the_profile_is_as_policy_takes_it() -> None:
    own = at("bank", purposes={**OWN, "aml_duty": {"basis": ["consent"], "kinds": []}})
    assert own["financial_advice"].categories == ("identity",)  # aml is closed
    assert (own["financial_advice"].basis, own["financial_advice"].own) == ("consent", True)
    assert (own["aml_duty"].basis, own["aml_duty"].own) == ("statute", False)


def test_near_spelling_comes_first() -> None:
    names = ["aml_duty", "guarantor_review", "loan_underwriting"]
    assert nearest_first("loan_underwritting", names) == ("loan_underwriting", "aml_duty", "guarantor_review")
    assert nearest_first("", []) == ()
    assert (near("aml-duty", names), near("to_be_nosy", names)) == ("aml_duty", None)
    assert (meant("aml-duty", names, "no"), meant("to_be_nosy", names, "no")) == ("did you mean aml_duty?", "no")


@pytest.fixture(scope="module")
def guard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guard]:
    with Guard.load(bank.build(tmp_path_factory.mktemp("bank"))) as opened:
        yield opened


def refused(guard: Guard, purpose: str | None) -> Refused:
    with pytest.raises(Refused) as raised:
        guard.acting(LIN, purpose=purpose)
    return raised.value


def test_a_misspelt_purpose_is_told_what_was_meant_and_what_else_there_is_for_this_actor(guard: Guard) -> None:
    problem = refused(guard, "post_loan_managment").problem()
    assert problem["title"] == "No operation on personal data without a stated purpose."
    assert problem["detail"] == "post_loan_managment is not a purpose; did you mean post_loan_management?"
    assert problem["remedy"] == [
        "Allowed for the purposes: post_loan_management, financial_advice, guarantor_review, loan_underwriting."
    ]


def test_a_purpose_that_another_role_has_is_told_too(guard: Guard) -> None:
    assert refused(guard, "aml_dutty").detail == "aml_dutty is not a purpose; did you mean aml_duty?"
    assert refused(guard, "credit_reportin").detail == "credit_reportin is not a purpose."


def test_a_statement_without_a_context_is_told_the_institution_s_purposes(guard: Guard) -> None:
    with pytest.raises(Refused) as raised:
        guard.current()
    (said,) = raised.value.remedies("zh")
    assert "loan_underwriting" in said
    assert "credit_reporting" not in said
    assert "detail" not in refused(guard, None).problem()


def test_problem_details_say_nothing_twice(guard: Guard) -> None:
    refusal = Refused(
        refused(guard, "x").reasons + tuple(one for one in _law(guard)),
        detail="This is the case.",
        catalog=_words(guard),
    )
    for lang in ("en", "zh"):
        problem = refusal.problem(lang)
        assert problem["title"] not in problem["detail"]
        assert not [one for one in problem["remedy"] if one in problem["detail"]]
        assert "PI-02" in problem["detail"]
        assert problem["detail"].endswith("This is the case.")


def test_what_is_no_operation_is_told_those_that_there_are(guard: Guard) -> None:
    for wrong in ("read", "", None, ["use"]):
        with pytest.raises(Misuse, match="is not an operation; use one of collect, store, use, process"):
            guard.acting(LIN, purpose="loan_underwriting", operation=wrong)  # type: ignore[arg-type] -- the mistake


def test_a_purpose_without_the_operation_is_told_its_own_and_the_purposes_that_have_it(guard: Guard) -> None:
    with (
        guard.acting(LIN, purpose="loan_underwriting", subject="1001", operation="delete"),
        pytest.raises(Refused) as raised,
        guard.operation(guard.activity("bank:retail.customer")),
    ):
        pass
    assert raised.value.rules == ("PI-02",)
    assert raised.value.detail == (
        "loan_underwriting is not for the operation delete, but for collect, store, use, process, provide. "
        "The purposes for delete: retention."
    )
    assert without("loan_underwriting", "use", guard.active.purposes) is None
    assert without("nothing", "use", guard.active.purposes) is None


@pytest.mark.parametrize(("lang", "title"), [("en", "Purpose limitation"), ("zh", "目的限制")])
def test_the_title_of_a_rule_of_law_is_its_short_name(guard: Guard, lang: str, title: str) -> None:
    problem = Refused(_law(guard), catalog=_words(guard)).problem(lang)
    assert problem["title"] == title
    assert problem["detail"].startswith("PI-02")


def _law(guard: Guard) -> Any:
    with guard.acting(LIN, purpose="aml_duty"):
        (decision,) = guard.decide([guard.activity("bank:retail.customer")])
    return tuple(one for one in decision.reasons if one.rule == "PI-02" and one.field is None)


def _words(guard: Guard) -> Any:
    return guard.active.messages


def test_words_of_a_consent_that_no_policy_knows_are_named_with_what_may_be_meant() -> None:
    consent = msgspec.structs.replace(
        CONSENT, purposes=("loan_underwritng",), categories=("identitty", "income", "zzz")
    )
    assert unknown_in(consent, at("bank"), FLOOR["categories"]) == (
        "loan_underwritng is not a purpose; did you mean loan_underwriting? "
        "identitty is not a category; did you mean identity? zzz is not a category."
    )
    assert unknown_in(CONSENT, at("bank"), FLOOR["categories"]) is None


def test_the_refusal_of_a_void_consent_names_its_misspelt_words(guard: Guard) -> None:
    consent = msgspec.structs.replace(CONSENT, categories=("identitty",))
    with pytest.raises(Refused) as raised:
        guard.consents.record(ConsentRecord(consent=consent, subject="1001", recorder="web"))
    assert raised.value.detail == "identitty is not a category; did you mean identity?"
    assert "GUARD-CONSENT" not in raised.value.rules  # the verdict is the policies'
