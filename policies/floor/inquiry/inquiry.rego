# METADATA
# title: Inquiries
# description: inquiries into credit information are registered and reviewed
package guard.floor.inquiry

import data.guard.floor.institution

# METADATA
# title: Inquiry registration
# description: >-
#   the register can say which unit and function inquired; registering itself is always done, and what cannot be
#   registered is not released. A person's look at the own data is no inquiry.
# custom:
#   rule: OP-07
#   clause: >-
#     State Council General Office Opinions 2020 No. 49, security; Credit Reporting Regulation art. 22; Shenzhen Social
#     Credit Regulation art. 45; Zhejiang Public Credit Information Regulation art. 20
#   en: Every inquiry is registered with who inquired, of which unit and in which function, when, about what and why.
#   zh: 查询信用信息应当登记查询人、机构、岗位、时间、内容和用途（国办发〔2020〕49号；《征信业管理条例》第二十二条）。
#   title_zh: 查询登记
registrable(activity) if not inquires(activity)

registrable(activity) if {
	is_string(activity.actor.unit)
	activity.actor.unit != ""
	count(activity.actor.roles) > 0
}

# METADATA
# description: an inquiry for which this kind of institution keeps a register by law
inquires(activity) if {
	shown(activity, ["use", "provide"])
	activity.recipient.kind != "subject"
	institution.binds("OP-07")
}

# METADATA
# description: what the tests of this topic have against an activity
refusal(activity) := {{"rule": "OP-07", "remedy": {"unit": true}} | not registrable(activity)}

# METADATA
# title: Inquiry review
# description: >-
#   above a number of persons another person approves; above a larger one nobody may in one operation. The law has no
#   number: both are parameters.
# custom:
#   rule: OP-08
#   clause: State Council General Office Opinions 2020 No. 49, security
#   en: Inquiries in bulk are held until another person has reviewed them, and bounded.
#   zh: 建立查询登记和审查制度：批量查询须经他人审查后放行，并设上限（国办发〔2020〕49号）。
#   title_zh: 查询审查
obligations(activity) := [
	{
		"id": "review",
		"by": data.guard.floor.parameters.reviewer,
		"above": {"subjects": data.guard.floor.parameters.review_above},
		"rule": "OP-08",
	},
	{
		"id": "limit",
		"subjects": data.guard.floor.parameters.limit_subjects,
		"minimum": 0,
		"on_exceed": "refuse",
		"rule": "OP-08",
	},
] if {
	reviewed(activity)
} else := [] if {
	not reviewed(activity)
}

# METADATA
# description: whether the operation is one that this kind of institution has reviewed
reviewed(activity) if {
	shown(activity, ["use", "provide", "disclose"])
	activity.recipient.kind != "subject"
	institution.binds("OP-08")
}

# METADATA
# description: >-
#   whether somebody gets to see the information. A person who calls it processing or transmitting sees it all the
#   same; a service that processes in bulk shows it to nobody.
shown(activity, operations) if activity.operation in operations

shown(activity, _) if {
	activity.operation in ["process", "transmit"]
	activity.actor.kind == "person"
}
