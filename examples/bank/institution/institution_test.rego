package guard.institution_test

import data.guard.institution

activity(roles) := {
	"id": "7",
	"actor": {"roles": roles},
	"items": [
		{"source": "bank:retail.customer", "field": null, "role": "read"},
		{"source": "bank:retail.customer", "field": "employer", "category": "employment", "role": "read"},
		{"source": "bank:retail.customer", "field": "mobile", "category": "contact", "role": "read"},
	],
}

test_a_loan_officer_sees_no_employer if {
	[answer] := institution.decision with input.activities as [activity(["loan_officer"])]
	answer.reads == {"bank:retail.customer": {"mobile": {"reveal": "always"}}}
	answer.rows == {"bank:retail.customer": "all"}
}

test_others_do if {
	[answer] := institution.decision with input.activities as [activity(["data_protection_officer"])]
	object.keys(answer.reads["bank:retail.customer"]) == {"employer", "mobile"}
}

test_what_is_written_is_kept if {
	written := [
		{"source": "bank:retail.customer", "field": null, "role": "write"},
		{"source": "bank:retail.customer", "field": "mobile", "category": "contact", "role": "write"},
	]
	[answer] := institution.decision with input.activities as [{"id": "7", "actor": {"roles": []}, "items": written}]
	answer.writes == {"bank:retail.customer": {"mobile": "keep"}}
}

test_a_consent_ends if {
	record := {"id": "c", "operations": ["use"], "categories": ["contact"], "expires_at": 5}
	[verdict] := institution.consent with input.consents as [record]
	verdict.valid_until == 5
	[none] := institution.consent with input.consents as [object.union(record, {"expires_at": null})]
	not none.valid
}
