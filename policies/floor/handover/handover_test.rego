package guard.floor.handover_test

import data.guard.floor.samples_test as s

separate(category, rule) := {
	"grant": {"category": category, "separate": true, "assurance": "observed"},
	"rule": rule,
}

provision(change) := s.activity(object.union(
	{"operation": "provide", "recipient": {"kind": "handler", "id": "insurer-1"}},
	change,
))

publication(change) := s.activity(object.union(
	{"operation": "disclose", "recipient": {"kind": "public"}},
	change,
))

# --- PI-13

test_pi_13_allow_share_name_phone_with_named_insurer_separate_tick if {
	every kind in s.bound("PI-13") {
		every operation in ["provide", "transmit"] {
			asked := provision({"operation": operation, "items": s.reading(["identity", "contact"])})
			answer := s.decide(asked, kind)
			answer.allow
			{treatment.rule | some treatment in answer.reads.t} == {"PI-13"}
			answer.reads.t.identity.reveal == separate("identity", "PI-13")
		}
		verdict := s.judge(
			s.record({"separate": true, "recipient": "insurer-1", "operations": ["provide"]}),
			kind,
		)
		s.scope(verdict) == [["provide"], ["identity"]]
	}
}

test_pi_13_deny_share_with_our_partners_under_one_general_consent if {
	every kind in s.bound("PI-13") {
		every id in [null, ""] {
			answer := s.decide(provision({"recipient": {"id": id}}), kind)
			not answer.allow
			answer.reasons == {{"rule": "PI-13", "remedy": {"recipient": true}}}
		}
		verdict := s.judge(s.record({"operations": ["use", "provide"]}), kind)
		s.scope(verdict) == [["use"], ["identity"]]
		verdict.reasons == {{"rule": "PI-13", "remedy": {"consent": {"separate": true}}}}
	}
}

test_a_consent_to_providing_names_the_recipient if {
	every recipient in [null, ""] {
		verdict := s.judge(s.record({"operations": ["provide"], "separate": true, "recipient": recipient}), "bank")
		not verdict.valid
		verdict.reasons == {{"rule": "PI-13", "remedy": {"recipient": true}}}
	}
}

test_a_separate_consent_that_is_only_asserted_hands_nothing_over if {
	verdict := s.judge(
		s.record({
			"operations": ["use", "provide", "transmit", "disclose"],
			"separate": true,
			"recipient": "insurer-1",
			"assurance": "asserted",
		}),
		"bank",
	)
	s.scope(verdict) == [["use"], ["identity"]]
	s.spoke(verdict) == {"PI-13", "PI-16"}
}

test_a_processor_is_held_to_the_same if {
	answer := s.decide(provision({"recipient": {"kind": "processor"}}), "bank")
	answer.reads.t.identity.rule == "PI-13"
}

# --- PI-16

test_pi_16_allow_author_name_published_with_separate_consent if {
	every kind in s.bound("PI-16") {
		answer := s.decide(publication({}), kind)
		answer.allow
		answer.reads.t.identity == {"reveal": separate("identity", "PI-16"), "rule": "PI-16"}
		verdict := s.judge(s.record({"operations": ["disclose"], "separate": true}), kind)
		s.scope(verdict) == [["disclose"], ["identity"]]
	}
}

test_pi_16_deny_bank_publishes_debtor_list_on_web_page if {
	answer := s.decide(
		publication({
			"purpose": "collection",
			"actor": {"roles": ["collector"]},
			"items": s.reading(["identity", "loan"]),
		}),
		"bank",
	)
	not answer.allow
	{"rule": "PI-16", "remedy": {"consent": {"separate": true}}} in answer.reasons
	every kind in s.bound("PI-16") {
		verdict := s.judge(s.record({"operations": ["disclose"]}), kind)
		not verdict.valid
		verdict.reasons == {{"rule": "PI-16", "remedy": {"consent": {"separate": true}}}}
	}
}

test_a_statute_that_orders_publication_needs_no_consent if {
	answer := s.decide(
		publication({
			"purpose": "publication",
			"actor": {"roles": ["publisher"]},
			"items": s.reading(["administrative_management"]),
		}),
		"public_credit",
	)
	answer.allow
	answer.reads.t.administrative_management == {"reveal": "always"}
}

test_publication_on_consent_needs_a_separate_one if {
	answer := s.decide(
		publication({
			"purpose": "publication",
			"actor": {"roles": ["publisher"]},
			"declared": {"basis": "consent", "evidence": "form-1"},
			"items": s.reading(["honours"]),
		}),
		"public_credit",
	)
	answer.allow
	answer.reads.t.honours.reveal == separate("honours", "PI-16")
}
