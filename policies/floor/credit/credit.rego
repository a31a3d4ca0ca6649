# METADATA
# title: Credit reporting
# description: what the Credit Reporting Regulation adds for credit agencies, lenders and users of credit reports
package guard.floor.credit

import data.guard.floor.institution

# METADATA
# title: Forbidden items
# description: >-
#   no consent cures them, so every operation is refused until they are left out; only deleting them is not
# custom:
#   rule: CR-02
#   clause: >-
#     Credit Reporting Regulation art. 14(1); Shanghai Social Credit Regulation art. 14(3); Zhejiang Public Credit
#     Information Regulation art. 14; Shandong Social Credit Regulation art. 42
#   en: >-
#     Religion, genes, fingerprints, blood type, diseases and medical history are not collected or held as credit
#     information, whoever consents.
#   zh: 禁止采集个人的宗教信仰、基因、指纹、血型、疾病和病史信息，本人同意也不例外（《征信业管理条例》第十四条第一款）。
#   title_zh: 禁止采集的信息
clean(activity, _) if activity.operation == "delete"

clean(_, _) if not institution.binds("CR-02")

clean(_, wanted) if {
	every category in wanted {
		not data.guard.floor.categories[category].forbidden
	}
}

# METADATA
# description: the grant that a category needs in writing, where it does; a person's own data needs none
written_need(category, activity) := condition if {
	activity.recipient.kind != "subject"
	rule := written_rule(category)
	condition := {
		"grant": {"category": category, "separate": true, "written": true, "assurance": "observed"},
		"rule": rule,
	}
}

# METADATA
# description: the rule that asks for a written consent to a category
written_rule(category) := rule if {
	rule := wealth_rule(category)
} else := report_rule(category)

# METADATA
# title: Wealth in writing
# description: six kinds of wealth data at those who keep credit records
# custom:
#   rule: CR-03
#   clause: Credit Reporting Regulation art. 14(2); Zhejiang Public Credit Information Regulation art. 14(2)
#   en: >-
#     Income, deposits, securities, insurance, real estate and tax are collected as credit information only with the
#     person's written consent, after the adverse consequences were explained.
#   zh: 收入、存款、有价证券、商业保险、不动产和纳税数额信息，须明确告知不利后果并取得本人书面同意方可采集（《征信业管理条例》第十四条第二款）。
#   title_zh: 财产信息须书面同意
wealth_rule(category) := "CR-03" if {
	data.guard.floor.categories[category].wealth
	institution.binds("CR-03")
}

# METADATA
# description: a credit report that is read at a bank or an agency
# custom: {rule: CR-07}
report_rule("credit_report") := "CR-07" if institution.binds("CR-07")

# METADATA
# description: a credit report that is read anywhere else where the agreed purpose binds
# custom: {rule: CR-09}
reuse_rule("credit_report") := "CR-09" if institution.binds("CR-09")

# METADATA
# description: a credit report is met only for what it was agreed for; the person may always see the own report
agreed(_, _, wanted) if not wanted.credit_report

agreed(activity, _, _) if activity.operation in ["collect", "store", "delete"]

agreed(activity, _, _) if activity.recipient.kind == "subject"

agreed(activity, entry, _) if {
	queried_for_reason(activity)
	reused_as_agreed(activity, entry)
}

# METADATA
# title: Query with written consent for a listed reason
# description: a bank or an agency asks for a credit report for one of the reasons that may be agreed
# custom:
#   rule: CR-07
#   clause: Credit Reporting Regulation art. 18, 28, 40(3); PBoC Order 2005 No. 3 art. 12, 13
#   en: A person's credit report is queried only with the person's written consent, for a purpose agreed in it.
#   zh: 查询个人信用报告应当取得本人书面同意并约定用途（《征信业管理条例》第十八条、第二十八条）。
#   title_zh: 查询须书面同意并约定用途
queried_for_reason(_) if not institution.binds("CR-07")

queried_for_reason(activity) if activity.purpose in data.guard.floor.report_purposes

# METADATA
# title: Agreed purpose only
# description: >-
#   at a lender one of the reasons that may be agreed, elsewhere a purpose that names credit reports
# custom:
#   rule: CR-09
#   clause: Credit Reporting Regulation art. 20, 42
#   en: Who obtained a credit report uses it for the agreed purpose only, and passes it to nobody without consent.
#   zh: 信息使用者应当按照与个人约定的用途使用个人信息，不得用作约定以外的用途（《征信业管理条例》第二十条）。
#   title_zh: 仅用于约定用途
reused_as_agreed(_, _) if not institution.binds("CR-09")

reused_as_agreed(activity, _) if activity.purpose in data.guard.floor.report_purposes

reused_as_agreed(_, entry) if {
	not institution.binds("CR-07")
	entry.categories.credit_report
}

# METADATA
# description: what the tests of this topic have against an activity
refusal(activity, entry, wanted) := union({
	{{"rule": "CR-02", "field": [item.source, item.field], "remedy": {"omit": true}} |
		not clean(activity, wanted)
		some item in activity.items
		data.guard.floor.categories[item.category].forbidden
	},
	(misused("CR-07", activity, entry, wanted) | misused("CR-09", activity, entry, wanted)),
})

# METADATA
# description: the credit reports of an activity that a rule of agreed purposes is against
misused(rule, activity, entry, wanted) := {reason |
	not agreed(activity, entry, wanted)
	not agreed_by(rule, activity, entry)
	some item in activity.items
	item.category == "credit_report"
	reason := {
		"rule": rule,
		"field": [item.source, item.field],
		"remedy": {"purposes": sort(data.guard.floor.report_purposes)},
	}
}

# METADATA
# description: whether a rule of agreed purposes has nothing against an activity
agreed_by("CR-07", activity, _) if queried_for_reason(activity)

agreed_by("CR-09", activity, entry) if reused_as_agreed(activity, entry)

# METADATA
# title: Adverse data for five years
# description: rows whose adverse conduct ended more than five years ago are not met; it has not begun to count before
# custom:
#   rule: CR-05
#   clause: Credit Reporting Regulation art. 16
#   en: Adverse information is kept for five years from the end of the adverse conduct; after that it is not used.
#   zh: 不良信息的保存期限自不良行为或者事件终止之日起为5年，超过5年的应当删除（《征信业管理条例》第十六条）。
#   title_zh: 不良信息保存五年
recent(activity) := {
	"fact": "adverse_ended_on",
	"operator": "ge",
	"ago": "P5Y",
	"or_absent": true,
	"rule": "CR-05",
} if counted(activity)

# METADATA
# description: whether the five years bind; who deletes has to see what is older
counted(activity) if {
	not activity.operation in ["collect", "delete"]
	institution.binds("CR-05")
}

# METADATA
# description: adverse data of a source that does not say when the conduct ended cannot be counted, and is not had
dated(source, activity, treated) := treated if {
	not unclocked(source, activity, treated)
} else := object.remove(treated, ["adverse"])

# METADATA
# description: whether adverse data is asked of a source without the fact that says when the conduct ended
unclocked(source, activity, treated) if {
	treated.adverse
	not "adverse_ended_on" in object.get(source, "facts", [])
	counted(activity)
}

# METADATA
# description: why adverse data is not had
undated(activity, treated) := {reason |
	some source in activity.items
	source.field == null
	unclocked(source, activity, treated)
	some item in activity.items
	item.source == source.source
	item.category == "adverse"
	reason := {"rule": "CR-05", "field": [item.source, item.field], "remedy": {"omit": true}}
}
