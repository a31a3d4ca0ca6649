# METADATA
# title: A house rule of the bank's own
# description: >-
#   a layer to copy. All layers must allow, and a layer that says nothing of a source or a field denies it: so a layer
#   first lets through what the floor decides (rows "all", reads "always", writes "keep"), then tightens.
package guard.institution

# METADATA
# description: one answer an activity
# entrypoint: true
decision := [answer(activity) | some activity in input.activities]

# METADATA
# description: one verdict a consent record; the house adds nothing to what the floor demands
# entrypoint: true
consent := [verdict(record) | some record in input.consents]

# METADATA
# description: everything as the floor decides, but for the treatment of fields
answer(activity) := {
	"id": activity.id,
	"allow": true,
	"rows": {source: "all" | some source in sources(activity)},
	"reads": {source: reads(activity, source) | some source in sources(activity)},
	"writes": {source: writes(activity, source) | some source in sources(activity)},
}

# METADATA
# description: the sources of an activity
sources(activity) := {item.source | some item in activity.items; item.field == null}

# METADATA
# description: every field that is read, but what the house does not show
reads(activity, source) := {item.field: {"reveal": "always"} |
	some item in activity.items
	item.source == source
	item.field != null
	item.role != "write"
	not hidden(activity, item)
}

# METADATA
# title: Employers stay with the file
# description: loan officers decide without knowing for whom an applicant works
# custom:
#   rule: HOUSE-01
#   clause: house rule 1
#   en: Employment data is not shown to loan officers.
#   zh: 就业信息不向信贷员展示。
#   title_zh: 就业信息留在档案
hidden(activity, item) if {
	item.category == "employment"
	"loan_officer" in activity.actor.roles
}

# METADATA
# description: every field that is written
writes(activity, source) := {item.field: "keep" |
	some item in activity.items
	item.source == source
	item.field != null
	item.role == "write"
}

# METADATA
# description: valid for all that it covers, until it ends
verdict(record) := {
	"id": record.id,
	"valid": true,
	"scopes": [{"operations": record.operations, "categories": record.categories}],
	"valid_until": record.expires_at,
} if {
	record.expires_at != null
} else := {"id": record.id, "valid": false}
