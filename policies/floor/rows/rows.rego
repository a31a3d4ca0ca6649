# METADATA
# title: Rows
# description: what must hold for a person before an operation may meet the person's rows
package guard.floor.rows

import data.guard.floor.credit
import data.guard.floor.fields

# METADATA
# description: >-
#   the conditions of each source, all of which must hold, or "all". What is written must besides be covered,
#   category by category, since a written field cannot be shown to some and masked for others.
of(activity, entry, basis, treated) := {item.source: spelled(conditions) |
	common := common_conditions(activity, entry, basis)
	some item in activity.items
	item.field == null
	conditions := array.concat(common, array.concat(facts(item, activity), written(item, activity, basis, treated)))
}

# METADATA
# description: no condition at all is said in so many words
spelled(conditions) := conditions if {
	count(conditions) > 0
} else := "all"

# METADATA
# description: the conditions that all sources of an activity share
common_conditions(activity, entry, basis) := [condition |
	some part in [basis_conditions(activity, basis), self_conditions(activity), case_conditions(activity, entry)]
	some condition in part
]

# METADATA
# title: No use without authorization
# description: >-
#   each person has a live grant of the basis that the activity goes by, except where that takes none: a contract is no
#   consent, and a consent no contract
# custom:
#   rule: OP-01
#   clause: State Council General Office Opinions 2020 No. 49, privacy; Personal Information Protection Law art. 13
#   en: >-
#     Personal information is not used without the person's authorization or another basis in law, and then only the
#     person's own, or that of persons who gave it.
#   zh: 未经本人授权又无其他法定依据的，不得采集、使用个人信息（国办发〔2020〕49号；《个人信息保护法》第十三条）。
#   title_zh: 未经授权不得使用
basis_conditions(activity, basis) := [] if {
	activity.operation == "delete"
} else := [] if {
	data.guard.floor.bases[basis].grant == false
} else := [{"grant": {"basis": [basis]}, "rule": "OP-01"}]

# METADATA
# title: Withdrawal
# description: >-
#   who asks for the own data meets the own rows only; who deletes meets only persons whose grants have all ended, or
#   the own rows
# custom:
#   rule: PI-06
#   clause: Personal Information Protection Law art. 15, 47(3)
#   en: >-
#     A person may withdraw consent at any time; from then on the information is not processed any more, and is
#     deleted.
#   zh: 个人有权撤回同意；撤回后不得继续处理，并应当主动删除其个人信息（《个人信息保护法》第十五条、第四十七条）。
#   title_zh: 撤回同意
self_conditions(activity) := [{"self": true, "rule": "PI-06"}] if {
	activity.operation == "delete"
	activity.recipient.kind == "subject"
} else := [{"grant": {"ended": true}, "rule": "PI-06"}] if {
	activity.operation == "delete"
} else := [{"self": true, "rule": "OP-01"}] if {
	activity.recipient.kind == "subject"
} else := []

# METADATA
# description: a member of staff works on the own cases only, where the purpose handles cases
# custom: {rule: PI-02}
case_conditions(activity, entry) := [{"relation": entry.relation, "rule": "PI-02"}] if {
	by_case(activity, entry)
} else := []

# METADATA
# description: whether the purpose, for this actor, goes by case; who hands data in has no case yet
by_case(activity, entry) if {
	entry.relation != null
	activity.actor.kind == "person"
	activity.recipient.kind != "subject"
	activity.operation != "collect"
}

# METADATA
# description: the conditions on facts of the row that the catalogue lets policy speak of
facts(item, activity) := [condition |
	some name in item.facts
	condition := fact(name, activity)
]

# METADATA
# title: Storage only
# description: a frozen row is kept and secured, nothing else
# custom:
#   rule: PI-10
#   clause: Personal Information Protection Law art. 47(2); Network Data Security Regulation art. 24
#   en: >-
#     Information that has to be kept by law, or cannot be deleted yet, is only stored and secured, and not processed
#     in any other way.
#   zh: 法定保存期限未届满或者技术上难以删除的，除存储和必要的安全保护外，停止其他处理（《个人信息保护法》第四十七条第二款）。
#   title_zh: 仅限存储
fact("frozen", activity) := {
	"fact": "frozen",
	"operator": "eq",
	"value": false,
	"or_absent": true,
	"rule": "PI-10",
} if {
	activity.operation != "collect"
	activity.operation != "store"
}

fact("adverse_ended_on", activity) := credit.recent(activity)

# METADATA
# description: the grants that the categories written to a source need, each once
written(item, activity, basis, treated) := [condition |
	categories := {field.category |
		some field in activity.items
		field.role == "write"
		field.source == item.source
		treated[field.category]
		not data.guard.floor.categories[field.category].open
	}
	some category in sort(categories)
	condition := fields.need(category, activity, basis)
	condition != "always"
]

# METADATA
# description: there is a source, and every source can be asked what its rows must meet
reachable(activity, entry) if {
	count(activity.items) > 0
	every item in activity.items {
		answers(item, activity, entry)
	}
}

# METADATA
# description: a field stands under its source; a source says whom it is about, and has the relation of the purpose
answers(item, _, _) if item.field != null

answers(item, activity, entry) if {
	count(item.subjects) > 0
	related(item, activity, entry)
}

# METADATA
# description: the relation is one that the catalogue declares for the source
related(item, _, entry) if entry.relation in item.relations

related(_, activity, entry) if not by_case(activity, entry)

# METADATA
# description: the sources that an activity may not reach
refusal(activity, entry) := {reason |
	some item in activity.items
	not answers(item, activity, entry)
	reason := unreachable(item, entry)
}

# METADATA
# description: the source says of nobody whom it is about (OP-01), or lacks the relation of the purpose (PI-02)
unreachable(item, entry) := {"rule": "OP-01", "field": [item.source, null]} if {
	count(object.get(item, "subjects", [])) == 0
} else := {"rule": "PI-02", "field": [item.source, null], "remedy": {"relation": entry.relation}} if {
	entry.relation != null
}
