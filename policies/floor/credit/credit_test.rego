package guard.floor.credit_test

import data.guard.floor.samples_test as s

written(category, rule) := {
	"grant": {"category": category, "separate": true, "written": true, "assurance": "observed"},
	"rule": rule,
}

forbidden := ["religion", "gene", "fingerprint", "blood_type", "disease", "medical_history"]

wealth := ["income", "deposit", "securities", "insurance", "real_estate", "tax_amount"]

# an own purpose that names any category, at an institution of the kind
institution(kind, category) := {
	"kind": kind,
	"purposes": {"service": {"basis": ["consent"], "categories": ["identity", category]}},
}

# --- CR-02

test_cr_02_allow_name_id_loan if {
	answer := s.decide(s.analyst({"items": s.reading(["identity", "identity_number", "loan"])}), "credit_agency")
	answer.allow
}

test_cr_02_deny_blood_type_column_in_credit_file_even_with_consent if {
	every kind in s.bound("CR-02") {
		every category in forbidden {
			every asked in [
				s.form({"items": s.writing(["identity", category])}),
				s.activity({"operation": "store", "items": s.writing(["identity", category])}),
				s.activity({"items": s.reading(["identity", category])}),
				s.activity({"operation": "process", "items": s.reading(["identity", category])}),
			] {
				answers := data.guard.floor.decision with input as {"activities": [asked]}
					with data.guard.profile as institution(kind, category)
				not answers[0].allow
				answers[0].reasons == {{"rule": "CR-02", "field": ["t", category], "remedy": {"omit": true}}}
			}
			verdicts := data.guard.floor.consent
				with input as {"consents": [s.signed({"categories": ["identity", category]})]}
				with data.guard.profile as institution(kind, category)
			s.scope(verdicts[0]) == [["use"], ["identity"]]
			verdicts[0].reasons == {{"rule": "CR-02", "remedy": {"omit": true}}}
		}
	}
}

test_cr_02_not_bound if {
	every kind in s.unbound("CR-02") {
		every category in forbidden {
			asked := s.activity({"items": s.reading(["identity", category])})
			answers := data.guard.floor.decision with input as {"activities": [asked]}
				with data.guard.profile as institution(kind, category)
			answers[0].allow
			answers[0].reads.t[category].rule == "PI-19"
		}
	}
}

test_cr_02_does_not_keep_them_from_being_deleted if {
	answer := s.decide(
		s.activity({
			"operation": "delete",
			"purpose": "retention",
			"actor": {"kind": "service", "roles": ["retention_service"]},
			"items": s.writing(forbidden),
		}),
		"credit_agency",
	)
	answer.allow
}

# --- CR-03

test_cr_03_allow_income_with_signed_form_naming_adverse_effects if {
	every category in wealth {
		answer := s.decide(s.analyst({"items": s.reading([category])}), "credit_agency")
		answer.allow
		answer.reads.t[category] == {"reveal": written(category, "CR-03"), "rule": "CR-03"}
		verdict := s.judge(s.signed({"purposes": ["credit_reporting"], "categories": [category]}), "credit_agency")
		s.scope(verdict) == [["use"], [category]]
	}
}

test_cr_03_deny_deposit_balance_collected_by_tick_box if {
	asked := s.form({"purpose": "credit_reporting", "items": s.writing(["identity", "deposit"])})
	answer := s.decide(asked, "credit_agency")
	answer.allow
	written("deposit", "CR-03") in s.rows(answer)
	untold := {"adverse_effect_told": false}
	asserted := {"assurance": "asserted"}
	every change in [{"written": false}, untold, asserted] {
		given := object.union(
			{"purposes": ["credit_reporting"], "categories": ["identity", "deposit"]},
			change,
		)
		verdict := s.judge(s.signed(given), "credit_agency")
		s.scope(verdict) == [["use"], ["identity"]]
		{"rule": "CR-03", "remedy": {"consent": {"written": true, "category": "deposit"}}} in verdict.reasons
	}
}

test_cr_03_binds_a_public_platform if {
	asked := s.activity({"operation": "process", "items": s.reading(["identity", "income"])})
	answer := s.decide(asked, "public_credit")
	answer.reads.t.income == {"reveal": written("income", "CR-03"), "rule": "CR-03"}
}

test_cr_03_not_bound if {
	every kind in s.unbound("CR-03") {
		s.decide(s.activity({"items": s.reading(["income"])}), kind).reads.t.income.rule == "PI-19"
		s.scope(s.judge(s.record({"separate": true, "categories": ["income"]}), kind)) == [["use"], ["income"]]
	}
}

# --- CR-05

recent := {"fact": "adverse_ended_on", "operator": "ge", "ago": "P5Y", "or_absent": true, "rule": "CR-05"}

test_cr_05_allow_overdue_cleared_2022_01_10_shown_on_2026_11_23 if {
	answer := s.decide(s.officer({"items": s.reading(["adverse"])}), "bank")
	answer.allow
	recent in s.rows(answer)
}

test_cr_05_deny_overdue_cleared_2021_11_01_shown_on_2026_11_23 if {
	every kind in s.bound("CR-05") {
		every change in [{}, {"operation": "store"}, {"operation": "process"}] {
			recent in s.rows(s.decide(s.activity(change), kind))
		}
		provided := s.activity({"operation": "provide", "recipient": {"kind": "handler", "id": "bank-2"}})
		recent in s.rows(s.decide(provided, kind))
	}
}

test_cr_05_adverse_data_without_a_clock_is_not_had if {
	every kind in s.bound("CR-05") {
		items := [s.source({"facts": ["frozen"]}), s.field("identity"), s.field("adverse")]
		answer := s.decide(s.activity({"items": items}), kind)
		answer.allow
		object.keys(answer.reads.t) == {"identity"}
		answer.reasons == {{"rule": "CR-05", "field": ["t", "adverse"], "remedy": {"omit": true}}}
	}
}

test_cr_05_says_nothing_of_adverse_data_that_is_not_needed_anyway if {
	items := [s.source({"facts": []}), s.field("identity"), s.field("adverse")]
	asked := s.activity({"purpose": "marketing", "actor": {"roles": ["marketer"]}, "items": items})
	s.spoke(s.decide(asked, "bank")) == {"PI-02"}
}

test_cr_05_a_clock_is_asked_of_each_source_of_its_own if {
	items := array.concat(s.reading(["adverse"]), [
		s.source({"source": "u", "facts": []}),
		object.union(s.field("adverse"), {"source": "u"}),
	])
	answer := s.decide(s.activity({"items": items}), "bank")
	answer.reads.t.adverse
	answer.reads.u == {}
	{reason.field | some reason in answer.reasons} == {["u", "adverse"]}
}

test_cr_05_who_deletes_sees_what_is_older if {
	answer := s.decide(
		s.activity({
			"operation": "delete",
			"purpose": "retention",
			"actor": {"kind": "service", "roles": ["retention_service"]},
			"items": s.writing(["adverse"]),
		}),
		"bank",
	)
	answer.allow
	not recent in s.rows(answer)
}

test_cr_05_not_bound if {
	every kind in s.unbound("CR-05") {
		answer := s.decide(s.activity({"items": s.reading(["adverse"])}), kind)
		answer.allow
		not recent in s.rows(answer)
	}
}

# --- CR-07

test_cr_07_allow_reason_loan_approval_signed_authorization if {
	every purpose in ["loan_underwriting", "guarantor_review", "post_loan_management"] {
		answer := s.decide(s.officer({"purpose": purpose, "items": s.reading(["credit_report"])}), "bank")
		answer.allow
		answer.reads.t.credit_report == {"reveal": written("credit_report", "CR-07"), "rule": "CR-07"}
	}
	at_agency := s.decide(s.analyst({"items": s.reading(["credit_report"])}), "credit_agency")
	at_agency.reads.t.credit_report.rule == "CR-07"
	signed := s.signed({"purposes": ["loan_underwriting"], "categories": ["credit_report"]})
	s.scope(s.judge(signed, "bank")) == [["use"], ["credit_report"]]
}

test_cr_07_deny_clerk_looks_up_neighbour_marketing_list_check if {
	every kind in s.bound("CR-07") {
		answer := s.decide(s.activity({"items": s.reading(["identity", "credit_report"])}), kind)
		not answer.allow
		"CR-07" in s.spoke(answer)
		{reason.field | some reason in answer.reasons} == {["t", "credit_report"]}
		{reason.remedy.purposes | some reason in answer.reasons} == {sort(data.guard.floor.report_purposes)}
	}
	ticked := s.record({
		"purposes": ["loan_underwriting"],
		"categories": ["identity", "credit_report"],
		"separate": true,
	})
	verdict := s.judge(ticked, "bank")
	s.scope(verdict) == [["use"], ["identity"]]
	verdict.reasons == {{"rule": "CR-07", "remedy": {"consent": {"written": true, "category": "credit_report"}}}}
}

test_a_report_is_kept_for_no_reason_of_inquiry if {
	asked := s.activity({"operation": "store", "items": s.writing(["credit_report"])})
	answer := s.decide(asked, "bank")
	answer.allow
	written("credit_report", "CR-07") in s.rows(answer)
}

test_a_report_is_processed_and_passed_on_for_its_reasons_only if {
	every change in [
		{"operation": "process"},
		{"operation": "transmit", "recipient": {"kind": "handler", "id": "x"}},
		{"operation": "disclose", "recipient": {"kind": "public"}},
	] {
		asked := s.activity(object.union({"items": s.reading(["credit_report"])}, change))
		s.spoke(s.decide(asked, "bank")) == {"CR-07", "CR-09"}
	}
}

test_cr_07_not_bound if {
	every kind in ["internet", "big_data", "app_operator"] {
		kind in s.unbound("CR-07")
		answer := s.decide(s.activity({"items": s.reading(["credit_report"])}), kind)
		answer.allow
		not answer.reads.t.credit_report.reveal.grant.written
	}
}

test_the_own_report_may_be_seen if {
	answer := s.decide(
		s.activity({
			"purpose": "own_record_access",
			"recipient": {"kind": "subject"},
			"items": s.reading(["credit_report"]),
		}),
		"bank",
	)
	answer.allow
	answer.reads.t.credit_report == {"reveal": "always"}
}

# --- CR-09

test_cr_09_allow_report_used_for_the_loan_it_was_pulled_for if {
	s.decide(s.officer({"items": s.reading(["credit_report"])}), "bank").allow
	every kind in ["internet", "big_data"] {
		answer := s.decide(s.activity({"items": s.reading(["credit_report"])}), kind)
		answer.allow
		answer.reads.t.credit_report == {
			"reveal": {
				"grant": {"category": "credit_report", "separate": true, "assurance": "observed"},
				"rule": "CR-09",
			},
			"rule": "CR-09",
		}
	}
}

test_cr_09_deny_report_reused_for_hr_screening if {
	every kind in s.bound("CR-09") {
		hr := {
			"kind": kind,
			"purposes": {"hr_screening": {"basis": ["consent"], "categories": ["identity"]}},
		}
		asked := s.activity({"purpose": "hr_screening", "items": s.reading(["identity", "credit_report"])})
		answers := data.guard.floor.decision with input as {"activities": [asked]} with data.guard.profile as hr
		not answers[0].allow
		"CR-09" in s.spoke(answers[0])
	}
}

test_cr_09_not_bound if {
	every kind in s.unbound("CR-09") {
		hr := {
			"kind": kind,
			"purposes": {"hr_screening": {"basis": ["consent"], "categories": ["identity"]}},
		}
		asked := s.activity({"purpose": "hr_screening", "items": s.reading(["identity", "credit_report"])})
		answers := data.guard.floor.decision with input as {"activities": [asked]} with data.guard.profile as hr
		not "CR-09" in s.spoke(answers[0])
	}
}
