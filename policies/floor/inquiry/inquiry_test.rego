package guard.floor.inquiry_test

import data.guard.floor.samples_test as s

# --- OP-07

test_op_07_allow_clerk_query_logged_with_seq_hash_chain_purpose_licence_review if {
	answer := s.decide(
		s.activity({
			"purpose": "licence_review",
			"actor": {"roles": ["licence_clerk"]},
			"items": s.reading(["adverse"]),
		}),
		"public_credit",
	)
	answer.allow
}

# That the audit sink is up is not a fact that policy sees: guard refuses when the register cannot be written. What
# policy refuses is the inquiry of which the register could only keep an incomplete row.
test_op_07_deny_query_answered_while_audit_sink_is_down if {
	every kind in s.bound("OP-07") {
		every actor in [{"unit": null}, {"unit": ""}, {"roles": []}] {
			answer := s.decide(s.activity({"actor": actor}), kind)
			not answer.allow
			answer.reasons == {{"rule": "OP-07", "remedy": {"unit": true}}}
		}
	}
}

test_op_07_binds_providing_too if {
	every kind in s.bound("OP-07") {
		answer := s.decide(
			s.activity({
				"operation": "provide",
				"recipient": {"kind": "handler", "id": "bank-2"},
				"actor": {"unit": null},
			}),
			kind,
		)
		"OP-07" in s.spoke(answer)
	}
}

test_op_07_not_bound if {
	every kind in s.unbound("OP-07") {
		s.decide(s.activity({"actor": {"unit": null, "roles": []}}), kind).allow
	}
}

test_op_07_is_about_inquiries if {
	s.decide(s.activity({"operation": "process", "actor": {"kind": "service", "unit": null}}), "bank").allow
	s.decide(s.activity({"recipient": {"kind": "subject"}, "actor": {"unit": null}}), "bank").allow
}

test_op_07_calling_an_inquiry_processing_changes_nothing if {
	not s.decide(s.activity({"operation": "process", "actor": {"unit": null}}), "bank").allow
}

# --- OP-08

test_op_08_calling_an_inquiry_processing_changes_nothing if {
	count(s.decide(s.activity({"operation": "process"}), "bank").obligations) == 2
}

test_op_08_allow_bulk_pull_of_200_rows_held_approved_by_a_different_reviewer_then_released_once if {
	every kind in s.bound("OP-08") {
		answer := s.decide(s.activity({}), kind)
		review := {
			"id": "review",
			"by": "data_protection_officer",
			"above": {"subjects": 20},
			"rule": "OP-08",
		}
		review in answer.obligations
	}
}

# Who approves is not the requester: guard sees to that. Policy sees that nothing large passes without approval, and
# nothing larger at all.
test_op_08_deny_requester_approves_own_bulk_export if {
	every kind in s.bound("OP-08") {
		answer := s.decide(
			s.activity({"operation": "provide", "recipient": {"kind": "handler", "id": "bank-2"}}),
			kind,
		)
		{obligation.id | some obligation in answer.obligations} == {"review", "limit"}
		{obligation.on_exceed | some obligation in answer.obligations} == {"refuse"}
	}
}

test_op_08_thresholds_are_parameters if {
	answer := s.decide(s.activity({}), "bank")
		with data.guard.floor.parameters.review_above as 3
		with data.guard.floor.parameters.limit_subjects as 7
	{obligation.above.subjects | some obligation in answer.obligations} == {3}
	{obligation.subjects | some obligation in answer.obligations} == {7}
}

test_op_08_not_bound if {
	every kind in s.unbound("OP-08") {
		s.decide(s.activity({}), kind).obligations == []
	}
}

test_op_08_is_about_inquiries_of_others if {
	s.decide(s.activity({"operation": "process", "actor": {"kind": "service"}}), "bank").obligations == []
	s.decide(s.activity({"recipient": {"kind": "subject"}}), "bank").obligations == []
}
