package guard.floor.institution_test

import data.guard.floor.institution
import data.guard.floor.samples_test as s

test_the_kinds_are_those_that_the_law_names if {
	every kind in ["bank", "credit_agency", "internet", "big_data", "app_operator", "public_credit"] {
		institution.kind == kind with data.guard.profile as {"kind": kind}
	}
}

test_no_other_kind_is_known if {
	every kind in ["Bank", "bank ", null, true, {}] {
		not institution.kind with data.guard.profile as {"kind": kind}
	}
}

test_a_rule_binds_its_kinds_and_no_other if {
	every rule, kinds in data.guard.floor.binds {
		every kind in data.guard.floor.kinds {
			{kind | institution.binds(rule)} == {kind | kind in kinds} with data.guard.profile as {"kind": kind}
		}
	}
}

test_samples_know_who_is_bound if {
	s.bound("OP-01") == data.guard.floor.kinds
	s.unbound("OP-04") == ["bank", "credit_agency", "internet", "big_data", "app_operator"]
}
