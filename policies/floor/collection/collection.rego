# METADATA
# title: Collection
# description: what a form or a request may take in, and what must have been said before
package guard.floor.collection

# METADATA
# title: Tell purpose, method and scope
# description: >-
#   a notice was shown before data is collected; where the profile lists the current notices, it is one of them, so
#   that a form under an outdated notice is refused
# custom:
#   rule: OP-06
#   clause: >-
#     State Council General Office Opinions 2020 No. 49, privacy; Personal Information Protection Law art. 7, 17;
#     Network Data Security Regulation art. 21
#   en: >-
#     Before personal information is collected, the person is told who collects what, for which purpose, in which
#     manner and for how long, and of the rights to it; a change is told again.
#   zh: 采集个人信息前，应当向个人告知处理者、目的、方式、种类、保存期限和权利；变更的应当重新告知（《个人信息保护法》第十七条）。
#   title_zh: 告知目的、方式和范围
noticed(activity) if activity.operation != "collect"

noticed(activity) if {
	is_string(activity.declared.notice)
	activity.declared.notice != ""
	current(activity.declared.notice)
}

# METADATA
# description: without a list of current notices in the profile any is taken for current
current(notice) if notice in data.guard.profile.notices

current(_) if object.get(data.guard.profile, "notices", null) == null

# METADATA
# description: >-
#   who hands data in needs neither role nor case, and so reads nothing by it but keys and technical fields
# custom: {rule: PI-02}
takes_in(activity) if activity.operation != "collect"

takes_in(activity) if {
	every item in activity.items {
		not reads(item)
	}
}

# METADATA
# description: an item that reads what is about the person
reads(item) if {
	item.field != null
	item.role != "write"
	not data.guard.floor.categories[item.category].open
}

# METADATA
# description: what the tests of this topic have against an activity
refusal(activity) := {{"rule": "OP-06", "remedy": {"notice": true}} | not noticed(activity)} | {reason |
	not takes_in(activity)
	some item in activity.items
	reads(item)
	reason := {"rule": "PI-02", "field": [item.source, item.field], "remedy": {"omit": true}}
}

# METADATA
# title: Minimum collection
# description: >-
#   a form keeps what the purpose needs and is stripped of the rest; any other write is refused where it brings what
#   the purpose does not need. Deleting takes whatever the rows hold.
# custom:
#   rule: PI-01
#   clause: >-
#     Personal Information Protection Law art. 6; Network Data Security Regulation art. 22(1); Credit Reporting
#     Business Measures (PBoC Order 2021 No. 4)
#   en: Only the personal information that the purpose needs is collected; what exceeds it is not taken in.
#   zh: 收集个人信息应当限于实现处理目的的最小范围，不得过度收集（《个人信息保护法》第六条）。
#   title_zh: 最小必要收集
writes(activity, treated) := {source: written(source, activity, treated) |
	sources := {item.source | some item in activity.items; item.role == "write"}
	some source in sources
}

# METADATA
# description: what becomes of the fields that are written to one source
written(source, activity, treated) := {item.field: what |
	some item in activity.items
	item.role == "write"
	item.source == source
	item.field != null
	what := becomes(item.category, activity.operation, treated)
}

# METADATA
# description: kept, stripped, or undefined, which is refused
becomes(category, operation, treated) := "keep" if {
	kept(category, operation, treated)
} else := "strip" if {
	operation == "collect"
}

# METADATA
# description: what may be written; deleting takes whatever the rows hold
kept(category, _, treated) if treated[category]

kept(_, operation, _) if operation == "delete"
