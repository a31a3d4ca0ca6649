package guard.floor.rows_test

import data.guard.floor.samples_test as s

# --- OP-01

test_op_01_allow_loan_officer_reads_applicant_income_with_live_consent_purpose_loan_underwriting if {
	answer := s.decide(s.officer({"items": s.reading(["income"])}), "bank")
	answer.allow
	{"grant": {"basis": ["consent"]}, "rule": "OP-01"} in s.rows(answer)
	answer.reads.t.income.reveal.grant.category == "income"
}

test_op_01_deny_analyst_queries_customer_income_with_purpose_null_or_with_no_consent_and_no_statutory_basis if {
	every purpose in [null, "", "curiosity"] {
		answer := s.decide(s.officer({"purpose": purpose, "items": s.reading(["income"])}), "bank")
		not answer.allow
		s.spoke(answer) == {"OP-01"}
	}
	without_statute := s.decide(s.officer({"declared": {"basis": "statute", "evidence": "x"}}), "bank")
	not without_statute.allow
}

test_op_01_asks_for_grants_of_the_basis_that_the_activity_goes_by if {
	every purpose, bases in {
		"loan_underwriting": ["consent", "contract"],
		"post_loan_management": ["contract", "consent"],
	} {
		every basis in bases {
			answer := s.decide(
				s.activity({
					"purpose": purpose,
					"actor": {"kind": "service", "roles": data.guard.floor.purposes[purpose].roles},
					"declared": {"basis": basis, "evidence": "contract-1"},
				}),
				"bank",
			)
			answer.allow
			{condition | some condition in s.rows(answer); condition.rule == "OP-01"} == {{
				"grant": {"basis": [basis]},
				"rule": "OP-01",
			}}
		}
	}
}

test_op_01_by_default_asks_for_grants_of_the_first_basis_of_the_purpose if {
	every purpose, basis in {"loan_underwriting": "consent", "post_loan_management": "contract"} {
		answer := s.decide(
			s.activity({
				"purpose": purpose,
				"actor": {"kind": "service", "roles": data.guard.floor.purposes[purpose].roles},
			}),
			"bank",
		)
		answer.allow
		{"grant": {"basis": [basis]}, "rule": "OP-01"} in s.rows(answer)
	}
}

test_op_01_binds_every_kind_and_every_operation if {
	every kind in s.bound("OP-01") {
		every operation in ["use", "process", "store"] {
			answer := s.decide(s.activity({"operation": operation}), kind)
			answer.allow
			{"grant": {"basis": ["consent"]}, "rule": "OP-01"} in s.rows(answer)
		}
	}
}

test_statute_needs_no_grant if {
	answer := s.decide(
		s.activity({
			"purpose": "aml_duty",
			"actor": {"roles": ["aml_officer"]},
			"items": array.concat([s.source({"facts": []})], [s.field("aml")]),
		}),
		"bank",
	)
	answer.rows.t == "all"
	answer.reads.t.aml.reveal == "always"
}

test_the_own_record_needs_no_grant_and_shows_the_own_rows_only if {
	every kind in data.guard.floor.kinds {
		answer := s.decide(
			s.activity({
				"purpose": "own_record_access",
				"actor": {"roles": [], "unit": null},
				"recipient": {"kind": "subject"},
				"items": s.reading(["identity", "identity_number", "income"]),
			}),
			kind,
		)
		answer.allow
		{"self": true, "rule": "OP-01"} in s.rows(answer)
		not "OP-01" in {condition.rule | some condition in s.rows(answer); condition.grant}
		{treatment.reveal | some treatment in answer.reads.t} == {"always"}
		answer.obligations == []
	}
}

test_a_person_as_recipient_meets_the_own_rows_only_whatever_the_purpose if {
	answer := s.decide(s.activity({"recipient": {"kind": "subject"}}), "bank")
	{"self": true, "rule": "OP-01"} in s.rows(answer)
	{"grant": {"basis": ["consent"]}, "rule": "OP-01"} in s.rows(answer)
}

test_a_source_about_nobody_is_refused if {
	every change in [{"subjects": []}, {"subjects": null}] {
		answer := s.decide(s.activity({"items": [s.source(change), s.field("identity")]}), "bank")
		not answer.allow
		s.spoke(answer) == {"OP-01"}
	}
}

# --- The case: PI-02

test_staff_without_the_relation_is_refused if {
	items := [s.source({"relations": ["colleague"]}), s.field("identity")]
	answer := s.decide(s.officer({"items": items}), "bank")
	not answer.allow
	answer.reasons == {{"rule": "PI-02", "field": ["t", null], "remedy": {"relation": "assigned_case"}}}
}

test_every_source_needs_the_relation if {
	items := array.concat(s.reading(["identity"]), [s.source({"source": "u", "relations": []})])
	answer := s.decide(s.officer({"items": items}), "bank")
	{reason.field | some reason in answer.reasons} == {["u", null]}
}

test_a_service_has_no_cases if {
	answer := s.decide(s.officer({"actor": {"kind": "service", "roles": ["loan_service"]}}), "bank")
	answer.allow
	not {"relation": "assigned_case", "rule": "PI-02"} in s.rows(answer)
}

test_handing_data_in_needs_no_case if {
	answer := s.decide(s.form({"purpose": "loan_underwriting", "items": s.writing(["identity"])}), "bank")
	answer.allow
	not {"relation": "assigned_case", "rule": "PI-02"} in s.rows(answer)
}

test_a_case_binds_who_hands_data_over if {
	answer := s.decide(
		s.officer({"operation": "provide", "recipient": {"kind": "handler", "id": "insurer"}}),
		"bank",
	)
	{"relation": "assigned_case", "rule": "PI-02"} in s.rows(answer)
}

test_a_person_has_no_cases if {
	answer := s.decide(
		s.activity({
			"purpose": "post_loan_management",
			"recipient": {"kind": "subject"},
			"items": s.reading(["loan"]),
		}),
		"bank",
	)
	answer.allow
	not {"relation": "assigned_case", "rule": "PI-02"} in s.rows(answer)
}

# --- PI-10

test_pi_10_allow_backup_job_copies_frozen_row_security if {
	every kind in s.bound("PI-10") {
		answer := s.decide(
			s.activity({"operation": "store", "actor": {"kind": "service"}, "items": s.writing(["identity"])}),
			kind,
		)
		answer.allow
		not frozen in s.rows(answer)
	}
}

test_pi_10_deny_score_job_reads_frozen_row if {
	every kind in s.bound("PI-10") {
		every operation in ["use", "process"] {
			answer := s.decide(s.activity({"operation": operation, "actor": {"kind": "service"}}), kind)
			frozen in s.rows(answer)
		}
	}
}

test_a_frozen_row_is_neither_handed_over_nor_published_nor_deleted if {
	handed := s.decide(
		s.activity({"operation": "provide", "recipient": {"kind": "handler", "id": "insurer"}}),
		"bank",
	)
	frozen in s.rows(handed)
	published := s.decide(s.activity({"operation": "disclose", "recipient": {"kind": "public"}}), "bank")
	frozen in s.rows(published)
	deleted := s.decide(deletion({}), "bank")
	frozen in s.rows(deleted)
}

test_a_fact_that_the_source_does_not_declare_is_not_spoken_of if {
	items := [s.source({"facts": ["colour"]}), s.field("identity")]
	answer := s.decide(s.activity({"items": items}), "bank")
	s.rows(answer) == {{"grant": {"basis": ["consent"]}, "rule": "OP-01"}}
}

frozen := {"fact": "frozen", "operator": "eq", "value": false, "or_absent": true, "rule": "PI-10"}

# --- PI-06

deletion(change) := s.activity(object.union(
	{
		"operation": "delete",
		"purpose": "retention",
		"actor": {"kind": "service", "roles": ["retention_service"]},
		"items": s.writing(["identity", "location", "religion"]),
	},
	change,
))

test_pi_06_allow_report_made_before_withdrawal_kept_as_record if {
	every kind in s.bound("PI-06") {
		answer := s.decide(deletion({}), kind)
		answer.allow
		s.rows(answer) == {{"grant": {"ended": true}, "rule": "PI-06"}, frozen}
		{what | some what in answer.writes.t} == {"keep"}
		answer.reasons == set()
	}
}

test_pi_06_deny_query_1_s_after_withdrawal_served_from_cache if {
	every kind in s.bound("PI-06") {
		answer := s.decide(s.activity({}), kind)
		{"grant": {"basis": ["consent"]}, "rule": "OP-01"} in s.rows(answer)
		covered := {"grant": {"category": "identity", "basis": ["consent"]}, "rule": "PI-05"}
		answer.reads.t.identity == {"reveal": covered, "rule": "PI-05"}
	}
}

test_a_person_who_deletes_meets_the_own_rows_only if {
	answer := s.decide(deletion({"recipient": {"kind": "subject"}, "actor": {"kind": "person", "roles": []}}), "bank")
	answer.allow
	{"self": true, "rule": "PI-06"} in s.rows(answer)
}

test_only_retention_deletes if {
	{name | some name, entry in data.guard.floor.purposes; entry.operations.delete} == {"retention"}
}

test_deleting_reads_nothing_about_the_person if {
	items := array.concat(s.writing(["identity"]), [s.field("location"), s.field("system")])
	answer := s.decide(deletion({"items": items}), "bank")
	answer.allow
	object.keys(answer.reads.t) == {"system"}
}

# --- What is written must be covered

test_what_is_written_must_be_covered_category_by_category if {
	items := s.writing(["identity", "location", "pseudonym"])
	answer := s.decide(s.activity({"operation": "store", "items": items}), "bank")
	answer.allow
	s.rows(answer) == {
		{"grant": {"basis": ["consent"]}, "rule": "OP-01"},
		{"grant": {"category": "identity", "basis": ["consent"]}, "rule": "PI-05"},
		{"grant": {"category": "location", "separate": true, "assurance": "observed"}, "rule": "PI-19"},
		{"fact": "adverse_ended_on", "operator": "ge", "ago": "P5Y", "or_absent": true, "rule": "CR-05"},
	}
	answer.writes.t == {"identity": "keep", "location": "keep", "pseudonym": "keep"}
}

test_another_source_is_not_asked_for_what_is_not_written_to_it if {
	items := array.concat(s.writing(["identity"]), [s.source({"source": "u", "facts": []})])
	answer := s.decide(s.activity({"operation": "store", "items": items}), "bank")
	answer.rows.u == [{"grant": {"basis": ["consent"]}, "rule": "OP-01"}]
}
