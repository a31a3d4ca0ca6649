package guard.floor.catalogue_test

import data.guard.floor.samples_test as s

ingest(categories) := s.form({
	"purpose": "credit_record_keeping",
	"actor": {"kind": "service", "roles": ["platform_service"], "unit": "desk-1"},
	"items": s.writing(categories),
})

# --- OP-04

test_op_04_allow_platform_ingests_administrative_penalty_item_in_catalogue_class_administrative_management if {
	answer := s.decide(ingest(["identity", "administrative_management", "adverse"]), "public_credit")
	answer.allow
	{what | some what in answer.writes.t} == {"keep"}
	answer.rows.t == "all"
}

test_op_04_deny_platform_ingests_jaywalking_list_blood_donation_refusal_or_petition_records_not_in_any_catalogue if {
	every category in ["uncivil_conduct", "blood_donation", "petition", "of_no_class"] {
		mixed := s.decide(ingest(["adverse", category]), "public_credit")
		mixed.allow
		mixed.writes.t == {"adverse": "keep", category: "strip"}
		mixed.reasons == {{"rule": "OP-04", "field": ["t", category], "remedy": {"omit": true}}}

		alone := s.decide(ingest(["pseudonym", category]), "public_credit")
		not alone.allow
		s.spoke(alone) == {"OP-04"}
	}
}

test_op_04_binds_the_platforms_own_purposes if {
	every operation in ["use", "store", "process"] {
		answer := s.decide(
			s.activity({"operation": operation, "items": s.reading(["identity", "petition"])}),
			"public_credit",
		)
		answer.allow
		not answer.reads.t.petition
		s.spoke(answer) == {"OP-04"}
	}
}

test_op_04_consent_does_not_bring_it_in if {
	verdict := s.judge(s.record({"categories": ["identity", "petition"]}), "public_credit")
	s.scope(verdict) == [["use"], ["identity"]]
	verdict.reasons == {{"rule": "OP-04", "remedy": {"omit": true}}}
}

test_op_04_not_bound if {
	every kind in s.unbound("OP-04") {
		answer := s.decide(s.form({"items": s.writing(["identity", "petition"])}), kind)
		answer.allow
		answer.writes.t.petition == "keep"
		s.scope(s.judge(s.record({"categories": ["petition"]}), kind)) == [["use"], ["petition"]]
	}
}

# --- OP-05

duty(change) := s.activity(object.union(
	{"purpose": "statutory_duty", "actor": {"roles": ["duty_clerk"]}, "items": s.reading(["identity", "marriage"])},
	change,
))

test_op_05_allow_civil_affairs_office_uses_marriage_registry_for_its_own_duty if {
	answer := s.decide(duty({}), "public_credit")
	answer.allow
	answer.reads.t.marriage == {"reveal": "always"}
}

test_op_05_deny_same_registry_joined_into_credit_score if {
	every purpose in ["licence_review", "procurement_check", "credit_record_keeping", "service"] {
		roles := ["licence_clerk", "procurement_clerk", "platform_clerk"]
		answer := s.decide(duty({"purpose": purpose, "actor": {"roles": roles}}), "public_credit")
		not answer.allow
		answer.reasons == {{"rule": "OP-05", "field": ["t", "marriage"], "remedy": {"omit": true}}}
	}
}

test_op_05_binds_providing_and_publishing if {
	provided := duty({"purpose": "service", "operation": "provide", "recipient": {"kind": "handler", "id": "bank-1"}})
	published := duty({"purpose": "service", "operation": "disclose", "recipient": {"kind": "public"}})
	every asked in [provided, published] {
		s.spoke(s.decide(asked, "public_credit")) == {"OP-05"}
	}
}

test_op_05_a_form_that_brings_duty_data_is_stripped_of_it if {
	answer := s.decide(s.form({"items": s.writing(["identity", "marriage"])}), "public_credit")
	answer.allow
	answer.writes.t == {"identity": "keep", "marriage": "strip"}
	s.spoke(answer) == {"OP-04"}
}

test_op_05_not_bound if {
	every kind in s.unbound("OP-05") {
		answer := s.decide(duty({"purpose": "service"}), kind)
		answer.allow
		answer.reads.t.marriage.rule == "PI-05"
	}
}
