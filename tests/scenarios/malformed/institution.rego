# METADATA
# description: >-
#   a layer beside a sound floor that lets through what the floor decides, unless the actor has a role that is named
#   after what is wrong with the answer
package guard.institution

# METADATA
# description: one answer an activity
# entrypoint: true
decision := [answer(activity) | some activity in input.activities]

# METADATA
# description: every consent is valid for all that it covers
# entrypoint: true
consent := [verdict(record) | some record in input.consents]

# METADATA
# description: the answer that is wrong in one way, or sound
answer(activity) := object.remove(sound(activity), ["rows"]) if {
	"no_rows" in activity.actor.roles
} else := object.union(object.remove(sound(activity), ["rows"]), {"rows": {}}) if {
	"rows_without_entry" in activity.actor.roles
} else := object.union(sound(activity), {"always": true}) if {
	"unknown_key" in activity.actor.roles
} else := object.union(sound(activity), {"allow": 1}) if {
	"allow_number" in activity.actor.roles
} else := object.union(sound(activity), {"allow": "true"}) if {
	"allow_text" in activity.actor.roles
} else := object.union(sound(activity), {"valid_for": "NaN"}) if {
	"valid_for_nan" in activity.actor.roles
} else := object.union(sound(activity), {"id": "another"}) if {
	"another_id" in activity.actor.roles
} else := object.union(sound(activity), {"obligations": [{"id": "notify"}]}) if {
	"unknown_obligation" in activity.actor.roles
} else := {"id": activity.id, "allow": false, "reasons": [{"rule": "HOUSE-18"}]} if {
	activity.time.hour >= 18
} else := sound(activity)

# METADATA
# title: Nothing after six
# description: everything as the floor decides, until office hours end
# custom:
#   rule: HOUSE-18
#   clause: house rule 18
#   en: Nobody reads after six in the evening.
#   zh: 十八时以后不得查询。
sound(activity) := {
	"id": activity.id,
	"allow": true,
	"rows": {item.source: "all" | some item in activity.items; item.field == null},
	"reads": {item.source: reads(activity, item.source) | some item in activity.items; item.field == null},
}

# METADATA
# description: every field that is read
reads(activity, source) := {item.field: {"reveal": "always"} |
	some item in activity.items
	item.source == source
	item.field != null
	item.role != "write"
}

# METADATA
# description: valid until it ends
verdict(record) := {
	"id": record.id,
	"valid": true,
	"scopes": [{"operations": record.operations, "categories": record.categories}],
	"valid_until": record.expires_at,
} if {
	record.expires_at != null
} else := {"id": record.id, "valid": false}
