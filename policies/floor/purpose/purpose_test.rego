package guard.floor.purpose_test

import data.guard.floor.samples_test as s

# --- PI-02

test_pi_02_allow_underwriting_query_on_loan_application if {
	answer := s.decide(s.officer({"items": s.reading(["loan_application", "identity"])}), "bank")
	answer.allow
	covered := {"grant": {"category": "loan_application", "basis": ["consent"]}, "rule": "PI-05"}
	answer.reads.t.loan_application.reveal == covered
	{"relation": "assigned_case", "rule": "PI-02"} in s.rows(answer)
}

test_pi_02_deny_marketing_segment_built_on_loan_application if {
	answer := s.decide(
		s.activity({
			"purpose": "marketing",
			"actor": {"roles": ["marketer"]},
			"items": s.reading(["loan_application", "credit_history"]),
		}),
		"bank",
	)
	not answer.allow
	s.spoke(answer) == {"PI-02"}
}

test_pi_02_binds_every_kind if {
	every kind in s.bound("PI-02") {
		s.decide(s.activity({}), kind).allow
		answer := s.decide(s.activity({"operation": "delete"}), kind)
		not answer.allow
		"PI-02" in s.spoke(answer)
	}
}

test_what_the_purpose_does_not_need_is_dropped_with_its_reason if {
	every category in ["protected_characteristic", "ethnicity", "location", "aml", "of_no_class"] {
		answer := s.decide(s.officer({"items": s.reading(["identity", category])}), "bank")
		answer.allow
		object.keys(answer.reads.t) == {"identity"}
		answer.reasons == {{"rule": "PI-02", "field": ["t", category], "remedy": {"omit": true}}}
	}
}

test_an_unknown_purpose_is_told_what_it_could_be if {
	answer := s.decide(s.officer({"purpose": "gossip"}), "bank")
	not answer.allow
	some reason in answer.reasons
	reason.rule == "OP-01"
	reason.remedy.purposes == ["guarantor_review", "loan_underwriting", "post_loan_management", "service"]
}

test_nothing_fits_an_institution_of_no_kind if {
	answer := s.decide(s.officer({"purpose": "gossip"}), "church")
	answer.reasons == {{"rule": "OP-01", "remedy": {"purposes": []}}}
}

test_a_purpose_is_open_to_its_own_kinds if {
	every kind in ["credit_agency", "internet", "big_data", "app_operator", "public_credit"] {
		answer := s.decide(s.officer({}), kind)
		not answer.allow
		{"rule": "PI-02", "remedy": {"purposes": ["service"]}} in answer.reasons
	}
}

test_a_purpose_of_one_kind_of_app_is_for_that_app if {
	asked := s.activity({
		"purpose": "navigation",
		"actor": {"roles": ["navigation_service"]},
		"items": s.reading(["location"]),
	})
	given := s.record({"purposes": ["navigation"], "categories": ["location"], "separate": true})
	every app_type, opens in {"map_navigation": true, "browser": false, "": false} {
		app := {"kind": "app_operator", "app_type": app_type}
		answers := data.guard.floor.decision with input as {"activities": [asked]} with data.guard.profile as app
		answers[0].allow == opens
		verdicts := data.guard.floor.consent with input as {"consents": [given]} with data.guard.profile as app
		verdicts[0].valid == opens
	}
	none := data.guard.floor.decision with input as {"activities": [asked]}
		with data.guard.profile as {"kind": "app_operator", "app_type": null}
	none[0].allow == false
}

test_a_role_that_does_not_serve_the_purpose_is_refused if {
	every roles in [[], ["marketer"], ["Loan_officer"]] {
		answer := s.decide(s.officer({"actor": {"roles": roles}}), "bank")
		not answer.allow
		"PI-02" in s.spoke(answer)
	}
}

test_handing_in_ones_own_data_takes_no_role if {
	s.decide(s.form({"purpose": "loan_underwriting", "items": s.writing(["identity"])}), "bank").allow
}

test_bringing_in_what_a_statute_lets_in_takes_a_role if {
	every roles, allowed in {["stranger"]: false, []: false, ["platform_clerk"]: true} {
		asked := s.form({
			"purpose": "credit_record_keeping",
			"actor": {"roles": roles},
			"items": s.writing(["adverse"]),
		})
		s.decide(asked, "public_credit").allow == allowed
	}
}

test_one_fitting_role_is_enough if s.decide(s.officer({"actor": {"roles": ["marketer", "underwriter"]}}), "bank").allow

test_a_recipient_that_the_purpose_does_not_have_is_refused if {
	not s.decide(s.officer({"recipient": {"kind": "subject"}}), "bank").allow
	not s.decide(s.officer({"recipient": {"kind": "public"}, "operation": "disclose"}), "bank").allow
}

test_a_purpose_of_the_floor_cannot_be_redefined if {
	loose := {"kind": "bank", "purposes": {"marketing": {"basis": ["consent"], "categories": ["location"]}}}
	asked := s.activity({"purpose": "marketing", "items": s.reading(["location", "identity"])})
	answers := data.guard.floor.decision with input as {"activities": [asked]} with data.guard.profile as loose
	not answers[0].allow
}

test_an_own_purpose_may_not_name_closed_categories if {
	answer := s.decide(s.activity({"items": s.reading(["identity", "ethnicity"])}), "bank")
	answer.allow
	object.keys(answer.reads.t) == {"identity"}
}

test_an_own_purpose_is_for_the_roles_that_it_names if {
	own := {"kind": "bank", "purposes": {"survey": {
		"basis": ["consent"],
		"categories": ["identity"],
		"roles": ["surveyor"],
		"relation": null,
	}}}
	asked := [s.activity({"id": role, "purpose": "survey", "actor": {"roles": [role]}}) |
		some role in ["surveyor", "clerk"]
	]
	answers := data.guard.floor.decision with input as {"activities": asked} with data.guard.profile as own
	[answer.allow | some answer in answers] == [true, false]
}

test_an_own_purpose_may_ask_for_a_relation if {
	own := {"kind": "bank", "purposes": {"advice": {
		"basis": ["consent"],
		"categories": ["identity"],
		"relation": "assigned_case",
	}}}
	asked := s.activity({"purpose": "advice"})
	answers := data.guard.floor.decision with input as {"activities": [asked]} with data.guard.profile as own
	{"relation": "assigned_case", "rule": "PI-02"} in s.rows(answers[0])
}

# --- PI-03

test_pi_03_allow_contract_performance_for_repayment_schedule if {
	answer := s.decide(
		s.officer({
			"purpose": "post_loan_management",
			"declared": {"basis": "contract", "evidence": "loan-contract-form-2026"},
			"items": s.reading(["loan"]),
		}),
		"bank",
	)
	answer.allow
	{"grant": {"basis": ["contract"]}, "rule": "OP-01"} in s.rows(answer)
}

test_pi_03_deny_basis_legitimate_interest_not_in_pipl if {
	every kind in s.bound("PI-03") {
		answer := s.decide(
			s.activity({"declared": {"basis": "legitimate_interest", "evidence": "memo-1"}}),
			kind,
		)
		not answer.allow
		answer.reasons == {{"rule": "PI-03", "remedy": {"bases": ["consent"]}}}
	}
}

test_a_claimed_basis_needs_its_instrument if {
	every evidence in [null, "", 0] {
		answer := s.decide(s.officer({"declared": {"basis": "contract", "evidence": evidence}}), "bank")
		not answer.allow
		answer.reasons == {{"rule": "PI-03", "remedy": {"bases": ["consent", "contract"]}}}
	}
}

test_the_default_basis_may_be_named_without_evidence if {
	answer := s.decide(s.officer({"declared": {"basis": "consent"}}), "bank")
	answer.allow
	{"grant": {"basis": ["consent"]}, "rule": "OP-01"} in s.rows(answer)
}

test_a_basis_of_the_law_that_the_purpose_does_not_have_is_refused if {
	every basis in ["statute", "emergency", "public_interest", "public_information", "other_law"] {
		answer := s.decide(s.officer({"declared": {"basis": basis, "evidence": "decree-1"}}), "bank")
		not answer.allow
		s.spoke(answer) == {"PI-03"}
	}
}

test_an_own_purpose_rests_on_consent_alone if {
	every bases in [["statute"], ["consent", "statute"], ["contract"], [], ["profit"], null] {
		own := {"kind": "bank", "purposes": {"service": {"basis": bases, "categories": ["identity"]}}}
		answers := data.guard.floor.decision with input as {"activities": [s.activity({})]}
			with data.guard.profile as own
		not answers[0].allow
		"PI-03" in s.spoke(answers[0])
	}
}
