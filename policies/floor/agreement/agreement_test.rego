package guard.floor.agreement_test

import data.guard.floor.samples_test as s

day := 86400

# --- OP-02

test_op_02_allow_app_refuses_only_route_planning_when_location_refused_location_is_necessary if {
	every basis in ["consent", "contract"] {
		verdict := s.judge(
			s.record({
				"purposes": ["navigation"],
				"categories": ["pseudonym", "location"],
				"basis": basis,
				"separate": true,
				"refusal_denies_service": true,
			}),
			"app_operator",
		)
		s.scope(verdict) == [["use"], ["pseudonym", "location"]]
	}
}

test_op_02_deny_loan_app_refuses_registration_unless_contacts_list_permission_is_granted if {
	verdict := s.judge(
		s.record({
			"purposes": ["loan_underwriting"],
			"categories": ["identity", "third_party"],
			"refusal_denies_service": true,
		}),
		"bank",
	)
	not verdict.valid
	"OP-02" in s.spoke(verdict)
}

test_op_02_binds_every_kind if {
	every kind in s.bound("OP-02") {
		every change in [{"bundled": true}, {"refusal_denies_service": true}] {
			verdict := s.judge(s.record(change), kind)
			not verdict.valid
			verdict.reasons == {{"rule": "OP-02", "remedy": {"record": [part | some part, _ in change]}}}
		}
	}
}

test_refusing_marketing_costs_no_service if {
	verdict := s.judge(s.record({"purposes": ["marketing"], "refusal_denies_service": true}), "bank")
	not verdict.valid
	s.spoke(verdict) == {"OP-02"}
}

# --- OP-03

test_op_03_allow_consent_2026_05_01_2027_04_30_used_on_2026_11_23 if {
	every kind in s.bound("OP-03") {
		verdict := s.judge(
			s.record({
				"granted_at": 1777593600, # 2026-05-01
				"expires_at": 1809043200, # 2027-04-30
				"notice": {"id": "n", "version": "7", "digest": null, "shown_at": 1777593590},
			}),
			kind,
		)
		verdict.valid
		verdict.valid_until == 1809043200
	}
}

test_op_03_deny_consent_text_valid_for_ever_until_account_closed_with_expires_at_null if {
	every kind in s.bound("OP-03") {
		verdict := s.judge(s.record({"expires_at": null}), kind)
		not verdict.valid
		verdict.reasons == {{"rule": "OP-03", "remedy": {"record": ["expires_at"]}}}
	}
}

test_a_longer_consent_is_cut_to_the_longest_time if {
	granted := 1795420742
	verdict := s.judge(s.record({"expires_at": granted + (9999 * day)}), "bank")
	verdict.valid_until == granted + (366 * day)
	shorter := s.judge(s.record({"expires_at": granted + (9999 * day)}), "bank")
		with data.guard.floor.parameters.max_consent_ttl as 90
	shorter.valid_until == granted + (90 * day)
}

test_a_contract_lasts_longer_but_ends if {
	granted := 1795420742
	contract := {"purposes": ["post_loan_management"], "basis": "contract"}
	long := s.judge(s.record(object.union(contract, {"expires_at": granted + (99999 * day)})), "bank")
	long.valid_until == granted + (3660 * day)
	endless := s.judge(s.record(object.union(contract, {"expires_at": null})), "bank")
	s.spoke(endless) == {"OP-03"}
}

test_a_consent_that_is_over_is_void if {
	now := 1795420740
	old := {"id": "n", "version": "7", "digest": null, "shown_at": now - (400 * day)}
	every change in [
		{"expires_at": now},
		{"expires_at": now - 1},
		{"expires_at": 0},
		{"granted_at": now - (367 * day), "notice": old, "expires_at": now + day},
		{"granted_at": now + 30, "expires_at": now + 20},
	] {
		verdict := s.judge(s.record(change), "bank")
		not verdict.valid
		s.spoke(verdict) == {"OP-03"}
	}
}

test_a_consent_that_will_be_given_is_none if {
	verdict := s.judge(s.record({"granted_at": 1795420740 + 60}), "bank")
	not verdict.valid
	verdict.reasons == {{"rule": "OP-01", "remedy": {"record": ["granted_at"]}}}
	s.judge(s.record({"granted_at": 1795420740 + 59}), "bank").valid
}

# --- PI-04

test_pi_04_allow_ticked_by_user_after_notice if {
	every kind in s.bound("PI-04") {
		verdict := s.judge(s.record({}), kind)
		s.scope(verdict) == [["use"], ["identity"]]
		verdict.reasons == set()
	}
}

test_pi_04_deny_consent_by_continuing_to_use if {
	every kind in s.bound("PI-04") {
		every change in [{"method": "silence"}, {"method": "opt_out"}, {"method": ""}, {"preticked": true}] {
			verdict := s.judge(s.record(change), kind)
			not verdict.valid
			verdict.reasons == {{"rule": "PI-04", "remedy": {"record": [part | some part, _ in change]}}}
		}
	}
}

# --- PI-02, PI-03

test_one_unknown_purpose_leaves_no_other if {
	every purposes in [[], ["gossip"], ["service", "gossip"], ["service", "licence_review"]] {
		verdict := s.judge(s.record({"purposes": purposes}), "bank")
		not verdict.valid
		"PI-02" in s.spoke(verdict)
	}
}

test_known_purposes_are_told if {
	verdict := s.judge(s.record({"purposes": ["gossip"]}), "credit_agency")
	some reason in verdict.reasons
	reason.rule == "PI-02"
	reason.remedy.purposes == ["credit_reporting", "service"]
}

test_no_purpose_is_told_where_none_rests_on_such_a_record if {
	verdict := s.judge(s.record({"purposes": ["gossip"], "basis": "profit"}), "bank")
	{"rule": "PI-02", "remedy": {"purposes": []}} in verdict.reasons
}

test_what_rests_on_statute_or_on_nothing_is_no_grant if {
	every basis in ["statute", "emergency", "legitimate_interest", ""] {
		verdict := s.judge(s.record({"basis": basis}), "bank")
		not verdict.valid
		"PI-03" in s.spoke(verdict)
	}
}

test_a_contract_carries_only_purposes_that_have_it if {
	verdict := s.judge(s.record({"basis": "contract"}), "bank")
	not verdict.valid
	s.spoke(verdict) == {"PI-03"}
	loan := s.judge(s.record({"basis": "contract", "purposes": ["loan_underwriting"], "method": "signature"}), "bank")
	s.scope(loan) == [["use"], ["identity"]]
}

test_an_own_purpose_on_another_basis_takes_no_consent if {
	odd := {"kind": "bank", "purposes": {"service": {"basis": ["consent", "statute"], "categories": ["identity"]}}}
	verdicts := data.guard.floor.consent with input as {"consents": [s.record({})]} with data.guard.profile as odd
	not verdicts[0].valid
	s.spoke(verdicts[0]) == {"PI-03"}
}

# --- The scope

test_sensitive_categories_need_a_separate_consent_that_was_observed if {
	every change in [{"separate": false}, {"separate": true, "assurance": "asserted"}] {
		given := object.union({"categories": ["identity", "location"]}, change)
		verdict := s.judge(s.record(given), "bank")
		s.scope(verdict) == [["use"], ["identity"]]
		verdict.reasons == {{"rule": "PI-19", "remedy": {"consent": {"separate": true, "category": "location"}}}}
	}
	separate := s.judge(s.record({"categories": ["identity", "location"], "separate": true}), "bank")
	s.scope(separate) == [["use"], ["identity", "location"]]
}

test_categories_that_no_purpose_needs_are_left_out if {
	every category in ["third_party", "ethnicity", "of_no_class"] {
		verdict := s.judge(s.record({"categories": ["identity", category], "separate": true}), "bank")
		s.scope(verdict) == [["use"], ["identity"]]
		s.spoke(verdict) == {"PI-01"}
	}
}

test_keys_may_stand_in_a_consent if {
	s.scope(s.judge(s.record({"categories": ["pseudonym"]}), "bank")) == [["use"], ["pseudonym"]]
}

test_operations_that_no_purpose_has_are_left_out if {
	verdict := s.judge(s.record({"operations": ["use", "delete"]}), "bank")
	s.scope(verdict) == [["use"], ["identity"]]
	verdict.reasons == {{"rule": "PI-02", "remedy": {"omit": true}}}
}

test_a_consent_of_which_nothing_is_left_is_void if {
	every change in [
		{"categories": ["location"]},
		{"operations": ["delete"]},
		{"operations": []},
		{"categories": []},
	] {
		verdict := s.judge(s.record(change), "bank")
		not verdict.valid
		count(verdict.reasons) > 0
	}
}

test_all_that_taints_a_consent_is_told if {
	verdict := s.judge(
		s.record({
			"purposes": ["gossip"],
			"basis": "profit",
			"bundled": true,
			"preticked": true,
			"notice": null,
			"expires_at": null,
			"operations": ["disclose"],
			"categories": ["location"],
		}),
		"bank",
	)
	s.spoke(verdict) == {"PI-02", "PI-03", "OP-02", "PI-04", "OP-06", "OP-03", "PI-01"}
}
