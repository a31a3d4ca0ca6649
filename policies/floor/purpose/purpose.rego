# METADATA
# title: Purpose and legal basis
# description: for what, by whom, for whom and on which basis personal data may be processed at all
package guard.floor.purpose

import data.guard.floor.institution

# METADATA
# description: a purpose by name; the floor's own win over one of the same name in the profile
entry(name) := found if {
	found := data.guard.floor.purposes[name]
} else := own(data.guard.profile.purposes[name])

# METADATA
# description: a purpose of the institution's own, for the roles it names, which may not touch the closed categories
own(declared) := object.union(data.guard.floor.own_purpose, {
	"bases": declared.basis,
	"roles": object.get(declared, "roles", null),
	"relation": object.get(declared, "relation", null),
	"categories": {category: "full" |
		some category in declared.categories
		not data.guard.floor.categories[category].closed
	},
})

# METADATA
# title: Purpose limitation
# description: the purpose is open to this kind of institution, operation, recipient and actor
# custom:
#   rule: PI-02
#   clause: Personal Information Protection Law art. 6, 14(2); Credit Reporting Regulation art. 20
#   en: >-
#     Personal information is processed only for a specified purpose, by those who serve it, and within what that
#     purpose needs.
#   zh: 处理个人信息应当具有明确、合理的目的，限于与该目的直接相关的范围和人员（《个人信息保护法》第六条、第十四条第二款）。
#   title_zh: 目的限制
open(activity, entry) if {
	offered(entry)
	activity.recipient.kind in entry.operations[activity.operation]
	entitled(activity, entry)
}

# METADATA
# description: whether this institution has the purpose at all, by its kind and, where the purpose is one app's, its app
offered(entry) if {
	institution.kind in entry.kinds
	not entry.app_type
}

offered(entry) if {
	institution.kind in entry.kinds
	entry.app_type == data.guard.profile.app_type
}

# METADATA
# description: >-
#   persons may hand in and see their own data; others need a role that serves the purpose, and so does who brings in
#   data that nobody granted
entitled(activity, entry) if {
	activity.operation == "collect"
	data.guard.floor.bases[entry.bases[0]].grant
}

entitled(activity, _) if activity.recipient.kind == "subject"

entitled(_, entry) if entry.roles == null

entitled(activity, entry) if {
	some role in activity.actor.roles
	role in entry.roles
}

# METADATA
# title: Closed list of legal bases
# description: >-
#   the purpose's first basis, or another that it lists if the activity names the instrument; a purpose of the
#   institution's own rests on consent alone
# custom:
#   rule: PI-03
#   clause: Personal Information Protection Law art. 13
#   en: >-
#     Personal information is processed only on one of the seven legal bases of the law that this purpose has, with
#     evidence; interests of the institution are none.
#   zh: 处理个人信息须具备《个人信息保护法》第十三条所列且适用于该目的的合法性基础，并注明依据；“合法利益”不是其中之一。
#   title_zh: 法定的合法性基础
basis(activity, entry) := entry.bases[0] if {
	activity.declared.basis == null
	sound(entry)
} else := activity.declared.basis if {
	activity.declared.basis in entry.bases
	evidenced(activity.declared, entry)
	sound(entry)
}

# METADATA
# description: the default basis needs no evidence in the activity, any other does
evidenced(declared, entry) if declared.basis == entry.bases[0]

evidenced(declared, _) if {
	is_string(declared.evidence)
	declared.evidence != ""
}

# METADATA
# description: each basis is one of the seven, and consent alone for a purpose of the institution's own
sound(entry) if {
	every basis in entry.bases {
		data.guard.floor.bases[basis]
	}
	not entry.own
}

sound(entry) if entry.bases == ["consent"]

# METADATA
# description: what the tests of this topic have against an activity
refusal(activity, entry) := union({
	{{"rule": "PI-02", "remedy": {"purposes": fitting(activity)}} | not open(activity, entry)},
	{{"rule": "PI-03", "remedy": {"bases": carrying(entry)}} | not basis(activity, entry)},
})

# METADATA
# description: the bases that could carry a purpose, sorted
carrying(entry) := sort([basis |
	some basis in entry.bases
	data.guard.floor.bases[basis]
	sound(entry)
])

# METADATA
# description: the purposes that are open to an activity, sorted; looked for only to explain a refusal
fitting(activity) := sort({name |
	some name in names
	open(activity, entry(name))
})

# METADATA
# description: the names of all purposes, the floor's and the institution's own
names := {name | some name, _ in data.guard.floor.purposes} | {name | some name, _ in data.guard.profile.purposes}
