# METADATA
# title: Floor
# description: >-
#   The product's statutory minimum: what Chinese personal data and credit law asks of every operation, whatever the
#   institution adds. `decision` answers a list of activities and `consent` a list of consent records, each by its own
#   id. Every answer is a function of one element and of base data alone, so that it can be cached; persons and
#   officers are unknown here, and what must hold for them goes out as conditions. No builtin of the host is called:
#   time is a fact of the activity. What is undefined denies: an operation is lawful only where every test below
#   holds, and the reasons are worked out only for a refusal.
package guard.floor

import data.guard.floor.agreement
import data.guard.floor.catalogue
import data.guard.floor.collection
import data.guard.floor.credit
import data.guard.floor.fields
import data.guard.floor.handover
import data.guard.floor.inquiry
import data.guard.floor.purpose
import data.guard.floor.rows

# METADATA
# title: Decision
# description: one answer an activity, echoing its id
# entrypoint: true
decision := [answer(activity) | some activity in input.activities]

# METADATA
# title: Consent
# description: one verdict a consent record, echoing its id
# entrypoint: true
consent := [agreement.verdict(record) | some record in input.consents]

# METADATA
# description: the permission where all tests hold, else a refusal with its reasons
answer(activity) := made if {
	entry := purpose.entry(activity.purpose)
	basis := purpose.basis(activity, entry)
	wanted := {item.category | some item in activity.items}
	lawful(activity, entry, wanted)
	treated := fields.treated(wanted, activity, entry, basis)
	fields.remains(wanted, treated, activity)
	made := permission(activity, entry, basis, wanted, treated)
} else := {"id": activity.id, "allow": false, "reasons": refusal(activity)}

# METADATA
# description: every test that denies a whole activity, put positively
lawful(activity, entry, wanted) if {
	purpose.open(activity, entry)
	rows.reachable(activity, entry)
	collection.noticed(activity)
	collection.takes_in(activity)
	handover.named(activity)
	inquiry.registrable(activity)
	catalogue.creditable(activity, entry, wanted)
	credit.clean(activity, wanted)
	credit.agreed(activity, entry, wanted)
}

# METADATA
# description: what may be done, and how
permission(activity, entry, basis, wanted, treated) := {
	"id": activity.id,
	"allow": true,
	"reasons": fields.reasons(activity, entry, wanted, treated),
	"rows": rows.of(activity, entry, basis, treated),
	"reads": fields.reads(activity, treated),
	"writes": collection.writes(activity, treated),
	"obligations": inquiry.obligations(activity),
}

# METADATA
# description: why not; never empty
refusal(activity) := found if {
	entry := purpose.entry(activity.purpose)
	wanted := {item.category | some item in activity.items}
	found := union({
		purpose.refusal(activity, entry),
		rows.refusal(activity, entry),
		handover.refusal(activity, entry),
		collection.refusal(activity),
		inquiry.refusal(activity),
		catalogue.refusal(activity, entry, wanted),
		credit.refusal(activity, entry, wanted),
		nothing_left(activity, entry, wanted),
	})
	count(found) > 0
} else := {{"rule": "OP-01", "remedy": {"purposes": purpose.fitting(activity)}}}

# METADATA
# description: the reasons of the fields, where an activity asks for personal data and may have none of it
nothing_left(activity, entry, wanted) := fields.reasons(activity, entry, wanted, treated) if {
	basis := purpose.basis(activity, entry)
	treated := fields.treated(wanted, activity, entry, basis)
	not fields.remains(wanted, treated, activity)
} else := set()
