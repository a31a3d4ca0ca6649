package guard.floor.fields_test

import data.guard.floor.samples_test as s

covered(category) := {"grant": {"category": category, "basis": ["consent"]}, "rule": "PI-05"}

separate(category, rule) := {
	"grant": {"category": category, "separate": true, "assurance": "observed"},
	"rule": rule,
}

# a category that a purpose of a public platform's own may hold is in the catalogue
sensitive_at(kind) := "adverse" if {
	kind == "public_credit"
} else := "location"

# --- PI-05

test_pi_05_allow_same_purpose_same_fields if {
	every kind in s.bound("PI-05") {
		answer := s.decide(s.activity({}), kind)
		answer.allow
		answer.reads.t.identity == {"reveal": covered("identity"), "rule": "PI-05"}
	}
}

test_pi_05_deny_new_field_call_log_used_under_old_consent if {
	every kind in s.bound("PI-05") {
		answer := s.decide(s.activity({"items": s.reading(["identity", "call_log"])}), kind)
		not answer.reads.t.call_log
		{reason.field | some reason in answer.reasons} == {["t", "call_log"]}
	}
}

# --- PI-19

test_pi_19_allow_bank_account_number_with_separate_consent_for_disbursement if {
	answer := s.decide(s.officer({"items": s.reading(["financial_account"])}), "bank")
	answer.allow
	answer.reads.t.financial_account == {
		"reveal": separate("financial_account", "PI-19"),
		"mask": {"with": "card", "if": "always"},
		"rule": "PI-19",
	}
}

test_pi_19_deny_location_trace_used_for_scoring_under_general_consent if {
	every kind in s.bound("PI-19") {
		category := sensitive_at(kind)
		answer := s.decide(s.activity({"operation": "process", "items": s.reading([category])}), kind)
		answer.reads.t[category] == {"reveal": separate(category, "PI-19"), "rule": "PI-19"}
	}
}

test_the_identity_number_is_masked_unless_consented_to_separately if {
	answer := s.decide(s.officer({"items": s.reading(["identity_number"])}), "bank")
	answer.reads.t.identity_number == {
		"reveal": separate("identity_number", "PI-19"),
		"mask": {"with": "id18", "if": "always"},
		"rule": "PI-19",
	}
}

test_a_category_without_a_word_on_sensitivity_is_sensitive if {
	answer := s.decide(s.activity({}), "bank") with data.guard.floor.categories as {"identity": {}}
	answer.reads.t.identity.rule == "PI-19"
}

# --- Masks

test_a_purpose_that_needs_the_masked_value_never_shows_the_whole if {
	answer := s.decide(s.officer({"items": s.reading(["contact"])}), "bank")
	answer.reads.t.contact == {"mask": {"with": "phone", "if": covered("contact")}, "rule": "PI-05"}
}

test_a_purpose_that_needs_the_identity_number_masked_never_shows_the_whole if {
	answer := s.decide(
		s.activity({
			"purpose": "collection",
			"actor": {"roles": ["collector"]},
			"items": s.reading(["identity_number"]),
		}),
		"bank",
	)
	answer.allow
	answer.reads.t.identity_number == {"mask": {"with": "id18", "if": "always"}, "rule": "PI-02"}
}

test_a_duty_that_needs_the_masked_value_shows_it_to_all if {
	asked := s.activity({
		"purpose": "licence_review",
		"actor": {"roles": ["licence_clerk"]},
		"items": s.reading(["identity_number", "adverse"]),
	})
	answer := s.decide(asked, "public_credit")
	answer.allow
	answer.reads.t.identity_number == {"mask": {"with": "id18", "if": "always"}, "rule": "PI-02"}
	answer.reads.t.adverse == {"reveal": "always"}
}

test_a_duty_masks_for_all_what_it_needs_masked if {
	answer := s.decide(
		s.activity({
			"operation": "disclose",
			"recipient": {"kind": "public"},
			"purpose": "publication",
			"actor": {"roles": ["publisher"]},
			"items": s.reading(["identity"]),
		}),
		"public_credit",
	)
	answer.reads.t.identity == {"mask": {"with": "name", "if": "always"}, "rule": "PI-02"}
}

test_each_category_that_is_shown_masked_has_a_mask if {
	every entry in data.guard.floor.purposes {
		every category, mode in entry.categories {
			mode in ["full", "masked"]
			class := data.guard.floor.categories[category]
			{mode | mode == "masked"; not class.mask} == set()
		}
	}
	every class in data.guard.floor.categories {
		{class | class.masked; not class.mask} == set()
		is_boolean(class.sensitive)
	}
}

# --- Keys and technical fields

test_keys_and_technical_fields_are_shown if {
	every category in ["pseudonym", "system", "account_meta", "audit"] {
		answer := s.decide(s.activity({"items": s.reading([category])}), "bank")
		answer.allow
		answer.reads.t[category] == {"reveal": "always"}
	}
}

test_a_purpose_may_list_a_key if {
	own := {"kind": "bank", "purposes": {"service": {"basis": ["consent"], "categories": ["pseudonym"]}}}
	asked := s.activity({"items": s.reading(["pseudonym"])})
	answers := data.guard.floor.decision with input as {"activities": [asked]} with data.guard.profile as own
	answers[0].reads.t.pseudonym == {"reveal": "always"}
}

test_counting_persons_needs_no_field if {
	answer := s.decide(s.activity({"items": [s.source({})]}), "bank")
	answer.allow
	answer.reads.t == {}
}

test_where_nothing_is_left_the_operation_is_refused if {
	answer := s.decide(s.officer({"items": s.reading(["pseudonym", "ethnicity", "aml"])}), "bank")
	not answer.allow
	{reason.field[1] | some reason in answer.reasons} == {"ethnicity", "aml"}
}

test_how_a_field_is_read_makes_no_difference if {
	every role in ["read", "filter", "aggregate"] {
		items := [s.source({}), object.union(s.field("location"), {"role": role})]
		s.decide(s.activity({"items": items}), "bank").reads.t.location.rule == "PI-19"
	}
}
