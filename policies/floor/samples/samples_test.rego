# METADATA
# title: Samples
# description: >-
#   activities, consent records and profiles that the tests of all topics start from, and what they ask of the answers
package guard.floor.samples_test

# METADATA
# description: the kinds of institution that a rule binds
bound(rule) := object.get(data.guard.floor.binds, [rule], data.guard.floor.kinds)

# METADATA
# description: the kinds of institution that a rule does not bind
unbound(rule) := [kind | some kind in data.guard.floor.kinds; not kind in bound(rule)]

# METADATA
# description: an institution with a purpose of its own, `service`
profile(kind) := {
	"kind": kind,
	"jurisdiction": "CN",
	"app_type": "map_navigation",
	"purposes": {"service": {
		"basis": ["consent"],
		"categories": [
			"identity", "contact", "employment", "income", "location", "financial_account", "credit_report", "adverse",
			"petition", "marriage", "ethnicity", "religion",
		],
		"relation": null,
	}},
}

# METADATA
# description: what a member of staff does with the institution's own purpose, differing in `change`
activity(change) := object.union(
	{
		"id": "0",
		"operation": "use",
		"purpose": "service",
		"method": "sql",
		"actor": {"kind": "person", "roles": ["clerk"], "unit": "branch-3"},
		"recipient": {"kind": "staff", "id": null},
		"subjects": "many",
		"items": [source({}), field("identity")],
		"declared": {"notice": null, "pia": null, "approval": null, "basis": null, "evidence": null},
		"time": {"seconds": 1795420800, "date": "2026-11-23", "hour": 16, "zone": "Asia/Shanghai"},
	},
	change,
)

# METADATA
# description: a loan officer reads an application
officer(change) := activity(object.union(
	{"purpose": "loan_underwriting", "actor": {"kind": "person", "roles": ["loan_officer"], "unit": "branch-3"}},
	change,
))

# METADATA
# description: an analyst of a credit agency reads a file
analyst(change) := activity(object.union(
	{"purpose": "credit_reporting", "actor": {"kind": "person", "roles": ["credit_analyst"], "unit": "desk-1"}},
	change,
))

# METADATA
# description: a form is handed in, after the notice was shown
form(change) := activity(object.union(
	{
		"operation": "collect",
		"actor": {"kind": "person", "roles": [], "unit": null},
		"declared": {"notice": "n-1"},
	},
	change,
))

# METADATA
# description: the item of the source `t`
source(change) := object.union(
	{
		"source": "t",
		"field": null,
		"role": "read",
		"subjects": ["holder"],
		"relations": ["assigned_case"],
		"facts": ["frozen", "adverse_ended_on"],
	},
	change,
)

# METADATA
# description: a field of `t` that is read, called by its category
field(category) := {"source": "t", "field": category, "role": "read", "category": category}

# METADATA
# description: a field of `t` that is written
written(category) := {"source": "t", "field": category, "role": "write", "category": category}

# METADATA
# description: the source and fields of the categories, to read
reading(categories) := array.concat([source({})], [field(category) | some category in categories])

# METADATA
# description: the source and fields of the categories, to write
writing(categories) := array.concat([source({"role": "write"})], [written(category) | some category in categories])

# METADATA
# description: the floor's answer to one activity
decide(asked, kind) := answer if {
	answer := data.guard.floor.decision[0] with input as {"activities": [asked]}
		with data.guard.profile as profile(kind)
}

# METADATA
# description: the rules that spoke in the reasons of an answer
spoke(answer) := {reason.rule | some reason in answer.reasons}

# METADATA
# description: the conditions on the rows of `t`
rows(answer) := {condition | some condition in answer.rows.t}

# METADATA
# description: a consent to the institution's own purpose, given by a tick after the notice, differing in `change`
record(change) := object.union(
	{
		"id": "0",
		"purposes": ["service"],
		"operations": ["use"],
		"categories": ["identity"],
		"recipient": null,
		"basis": "consent",
		"method": "opt_in",
		"form": "electronic",
		"separate": false,
		"written": false,
		"bundled": false,
		"preticked": false,
		"refusal_denies_service": false,
		"adverse_effect_told": false,
		"guardian": false,
		"notice": {"id": "n", "version": "7", "digest": null, "shown_at": 1795420740},
		"granted_at": 1795420742,
		"expires_at": 1826956740,
		"assurance": "observed",
		"time": {"seconds": 1795420740, "date": "2026-11-23", "hour": 16, "zone": "Asia/Shanghai"},
	},
	change,
)

# METADATA
# description: a signed form for sensitive data, on paper and apart from other terms
signed(change) := record(object.union(
	{"separate": true, "written": true, "adverse_effect_told": true, "form": "signed", "assurance": "proved"},
	change,
))

# METADATA
# description: the floor's verdict on one record
judge(given, kind) := verdict if {
	verdict := data.guard.floor.consent[0] with input as {"consents": [given]}
		with data.guard.profile as profile(kind)
}

# METADATA
# description: operations and categories of a valid verdict
scope(verdict) := [verdict.scopes[0].operations, verdict.scopes[0].categories] if verdict.valid
