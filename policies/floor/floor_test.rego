package guard.floor_test

import data.guard.floor
import data.guard.floor.samples_test as s

test_each_activity_is_answered_by_its_own_id if {
	asked := [
		s.activity({"id": "a"}),
		s.activity({"id": "b", "purpose": "gossip"}),
		{"id": "c"},
		s.activity({"id": "d", "items": null}),
		s.activity({"id": "e", "declared": null}),
		s.activity({"id": "f"}),
	]
	answers := floor.decision with input as {"activities": asked} with data.guard.profile as s.profile("bank")
	[answer.id | some answer in answers] == ["a", "b", "c", "d", "e", "f"]
	[answer.id | some answer in answers; answer.allow == true] == ["a", "f"]
}

test_an_answer_depends_on_its_own_activity_alone if {
	good := s.activity({})
	bad := s.activity({"id": "1", "purpose": "gossip"})
	alone := floor.decision with input as {"activities": [good]} with data.guard.profile as s.profile("bank")
	beside := floor.decision with input as {"activities": [bad, good]} with data.guard.profile as s.profile("bank")
	alone[0] == beside[1]
}

test_a_refusal_carries_a_reason_and_nothing_else if {
	every asked in [{"id": "0"}, s.activity({"purpose": "gossip"}), s.activity({"items": []})] {
		answer := s.decide(asked, "bank")
		object.keys(answer) == {"id", "allow", "reasons"}
		answer.allow == false
		count(answer.reasons) > 0
	}
}

test_each_part_that_is_missing_denies if {
	every part in ["operation", "purpose", "actor", "recipient", "items", "declared"] {
		answer := s.decide(object.remove(s.activity({}), [part]), "bank")
		answer.allow == false
	}
}

test_no_activities_no_answers if {
	floor.decision == [] with input as {"activities": []}
	floor.consent == [] with input as {"consents": []}
}

test_an_institution_of_no_known_kind_may_do_nothing if {
	every kind in ["", "church", null, 1, ["bank"]] {
		s.decide(s.activity({}), kind).allow == false
		s.judge(s.record({}), kind).valid == false
	}
}

test_an_institution_without_a_profile_may_do_nothing if {
	answers := floor.decision with input as {"activities": [s.activity({})]} with data.guard.profile as {}
	answers[0].allow == false
}

test_a_source_that_was_not_asked_about_is_not_in_the_answer if {
	answer := s.decide(s.activity({}), "bank")
	object.keys(answer.rows) == {"t"}
	object.keys(answer.reads) == {"t"}
	object.keys(answer.reads.t) == {"identity"}
}

test_several_sources_are_kept_apart if {
	items := array.concat(s.reading(["identity"]), [
		s.source({"source": "u", "facts": []}),
		object.union(s.field("contact"), {"source": "u"}),
	])
	answer := s.decide(s.activity({"items": items}), "bank")
	object.keys(answer.reads.t) == {"identity"}
	object.keys(answer.reads.u) == {"contact"}
	count(answer.rows.t) == 3
	count(answer.rows.u) == 1
}

test_each_consent_gets_a_verdict_by_its_own_id if {
	asked := [s.record({"id": "a"}), {"id": "b"}, s.record({"id": "c", "notice": null}), s.record({"id": "d"})]
	verdicts := floor.consent with input as {"consents": asked} with data.guard.profile as s.profile("bank")
	[verdict.id | some verdict in verdicts] == ["a", "b", "c", "d"]
	[verdict.id | some verdict in verdicts; verdict.valid == true] == ["a", "d"]
}

test_each_part_of_a_consent_that_is_missing_voids_it if {
	every part in [
		"purposes", "operations", "categories", "basis", "method", "bundled", "preticked",
		"refusal_denies_service", "notice", "granted_at", "expires_at", "time",
	] {
		verdict := s.judge(object.remove(s.record({}), [part]), "bank")
		verdict.valid == false
		count(verdict.reasons) > 0
	}
}
