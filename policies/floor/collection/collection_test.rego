package guard.floor.collection_test

import data.guard.floor.samples_test as s

plain_at(kind) := "adverse" if {
	kind == "public_credit"
} else := "employment"

# --- OP-06

test_op_06_allow_form_posts_with_notice_v7_shown_2_s_before_submit if {
	every kind in s.bound("OP-06") {
		answer := s.decide(s.form({"items": s.writing(["identity"]), "declared": {"notice": "loan-v7"}}), kind)
		answer.allow
		verdict := s.judge(s.record({}), kind)
		verdict.valid
	}
}

test_op_06_deny_form_posts_with_notice_v6_after_v7_changed_the_purpose if {
	every kind in s.bound("OP-06") {
		current := object.union(s.profile(kind), {"notices": ["loan-v7"]})
		asked := [
			s.form({"id": "6", "items": s.writing(["identity"]), "declared": {"notice": "loan-v6"}}),
			s.form({"id": "7", "items": s.writing(["identity"]), "declared": {"notice": "loan-v7"}}),
		]
		answers := data.guard.floor.decision with input as {"activities": asked} with data.guard.profile as current
		not answers[0].allow
		answers[0].reasons == {{"rule": "OP-06", "remedy": {"notice": true}}}
		answers[1].allow
	}
}

test_no_collection_without_a_notice if {
	every notice in [null, "", 7] {
		answer := s.decide(s.form({"items": s.writing(["identity"]), "declared": {"notice": notice}}), "bank")
		not answer.allow
		answer.reasons == {{"rule": "OP-06", "remedy": {"notice": true}}}
	}
}

test_a_profile_that_lists_no_notices_takes_any if {
	unlisted := object.union(s.profile("bank"), {"notices": null})
	asked := s.form({"items": s.writing(["identity"])})
	answers := data.guard.floor.decision with input as {"activities": [asked]} with data.guard.profile as unlisted
	answers[0].allow
}

test_a_consent_without_a_notice_is_void if {
	late := {"id": "n", "version": "7", "digest": null, "shown_at": 1795420743}
	unseen := {"id": "n", "version": "7", "digest": null, "shown_at": null}
	unnamed := {"id": "", "version": "7", "digest": null, "shown_at": 1795420000}
	unversioned := {"id": "n", "version": "", "digest": null, "shown_at": 1795420000}
	every notice in [null, late, unseen, unnamed, unversioned] {
		verdict := s.judge(s.record({"notice": notice}), "bank")
		not verdict.valid
		verdict.reasons == {{"rule": "OP-06", "remedy": {"notice": true}}}
	}
}

test_a_notice_may_be_shown_in_the_second_of_the_consent if {
	notice := {"id": "n", "version": "7", "digest": null, "shown_at": 1795420742}
	s.judge(s.record({"notice": notice}), "bank").valid
}

# --- PI-01

test_pi_01_allow_loan_form_keeps_income_employer if {
	every kind in s.bound("PI-01") {
		answer := s.decide(s.form({"items": s.writing(["identity", plain_at(kind)])}), kind)
		answer.allow
		answer.writes.t == {"identity": "keep", plain_at(kind): "keep"}
	}
	loan := s.decide(
		s.form({"purpose": "loan_underwriting", "items": s.writing(["income", "employment"])}),
		"bank",
	)
	loan.writes.t == {"income": "keep", "employment": "keep"}
}

test_pi_01_deny_loan_form_keeps_religion_and_contacts_list if {
	loan := s.decide(
		s.form({
			"purpose": "loan_underwriting",
			"items": s.writing(["income", "religion", "third_party"]),
		}),
		"bank",
	)
	loan.allow
	loan.writes.t == {"income": "keep", "religion": "strip", "third_party": "strip"}
	s.spoke(loan) == {"PI-01"}
	every kind in s.bound("PI-01") {
		answer := s.decide(s.form({"items": s.writing(["identity", "third_party"])}), kind)
		answer.writes.t == {"identity": "keep", "third_party": "strip"}
	}
}

test_a_form_of_which_nothing_is_left_is_refused if {
	answer := s.decide(s.form({"items": s.writing(["third_party"])}), "bank")
	not answer.allow
	s.spoke(answer) == {"PI-01"}
}

test_another_write_of_what_is_not_needed_is_refused_by_silence if {
	answer := s.decide(s.activity({"operation": "store", "items": s.writing(["identity", "third_party"])}), "bank")
	answer.allow
	answer.writes.t == {"identity": "keep"}
	s.spoke(answer) == {"PI-02"}
}

test_who_hands_data_in_reads_nothing_by_it if {
	items := array.concat(s.writing(["identity"]), [s.field("contact"), s.field("system")])
	answer := s.decide(s.form({"items": items}), "bank")
	not answer.allow
	answer.reasons == {{"rule": "PI-02", "field": ["t", "contact"], "remedy": {"omit": true}}}
}

test_what_is_written_is_not_read_and_what_is_read_is_not_written if {
	items := array.concat(s.writing(["identity"]), [s.field("contact")])
	answer := s.decide(s.activity({"operation": "store", "items": items}), "bank")
	answer.writes == {"t": {"identity": "keep"}}
	object.keys(answer.reads.t) == {"contact"}
}

test_what_is_written_stands_under_its_source if {
	items := array.concat(s.writing(["identity"]), [
		s.source({"source": "u", "role": "write"}),
		object.union(s.written("contact"), {"source": "u"}),
		s.source({"source": "v"}),
	])
	answer := s.decide(s.activity({"operation": "store", "items": items}), "bank")
	answer.writes == {"t": {"identity": "keep"}, "u": {"contact": "keep"}}
}
