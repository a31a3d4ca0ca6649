# METADATA
# title: Fields
# description: >-
#   what becomes of a field: shown, masked or dropped. It is worked out once a category, since the category alone
#   decides it.
package guard.floor.fields

import data.guard.floor.catalogue
import data.guard.floor.credit
import data.guard.floor.handover

# METADATA
# description: the treatment of each category that may be had; the others are dropped
treated(wanted, activity, entry, basis) := {category: treatment |
	some category in wanted
	treatment := of_category(category, activity, entry, basis)
}

# METADATA
# description: keys and technical fields are not about the person; all else must be necessary for the purpose
of_category(category, _, _, _) := {"reveal": "always"} if data.guard.floor.categories[category].open

of_category(category, activity, entry, basis) := shown(mode, class, need(category, activity, basis)) if {
	mode := entry.categories[category]
	class := data.guard.floor.categories[category]
	not class.open
	catalogue.listed(class, entry)
}

# METADATA
# description: >-
#   shown where the need is met, and masked for the others if the category may always be seen masked; a purpose that
#   needs no more than the masked value never sees the whole
shown(mode, class, condition) := {"reveal": "always"} if {
	mode == "full"
	condition == "always"
} else := {"reveal": condition, "mask": {"with": class.mask, "if": "always"}, "rule": condition.rule} if {
	mode == "full"
	class.masked == "always"
} else := {"reveal": condition, "rule": condition.rule} if {
	mode == "full"
} else := {"mask": {"with": class.mask, "if": "always"}, "rule": "PI-02"} if {
	always_masked(class, condition)
} else := {"mask": {"with": class.mask, "if": condition}, "rule": condition.rule}

# METADATA
# description: whether the masked value needs no grant of its own
always_masked(class, _) if class.masked == "always"

always_masked(_, condition) if condition == "always"

# METADATA
# description: what a person must have granted for a category to be met in full, or "always" where statute is the basis
need(category, activity, basis) := condition if {
	condition := credit.written_need(category, activity)
} else := "always" if {
	data.guard.floor.bases[basis].grant == false
} else := separate(category, rule) if {
	rule := handover.rule(activity)
} else := separate(category, rule) if {
	rule := credit.reuse_rule(category)
} else := covered(category, basis) if {
	data.guard.floor.categories[category].sensitive == false
} else := sensitive(category)

# METADATA
# title: New consent for what is new
# description: the grant must cover the category, on the basis that the activity goes by
# custom:
#   rule: PI-05
#   clause: Personal Information Protection Law art. 14(2), 22, 23; Network Data Security Regulation art. 22(6)
#   en: >-
#     Consent covers the purpose, the manner and the categories that it was given for; where one of them changes,
#     consent is obtained anew.
#   zh: 处理目的、处理方式和个人信息种类发生变更的，应当重新取得个人同意（《个人信息保护法》第十四条第二款）。
#   title_zh: 变更须重新同意
covered(category, basis) := {"grant": {"category": category, "basis": [basis]}, "rule": "PI-05"}

# METADATA
# title: Separate consent for sensitive data
# description: the grant must cover the category by a separate consent
# custom:
#   rule: PI-19
#   clause: Personal Information Protection Law art. 28, 29, 30; Network Data Security Regulation art. 22(2)
#   en: >-
#     Sensitive personal information is processed only with the separate consent of the person, for a specific purpose
#     and where it is necessary.
#   zh: 处理敏感个人信息应当具有特定目的和充分必要性，并取得个人的单独同意（《个人信息保护法》第二十八条至第三十条）。
#   title_zh: 敏感个人信息的单独同意
sensitive(category) := separate(category, "PI-19")

# METADATA
# description: >-
#   a separate consent that was seen to be given: what a program merely asserts does not carry sensitive data or a
#   hand-over
separate(category, rule) := {
	"grant": {"category": category, "separate": true, "assurance": "observed"},
	"rule": rule,
}

# METADATA
# description: whether anything is left of what was asked; keys alone count persons, and are left
remains(_, _, activity) if activity.operation == "delete"

remains(_, treated, _) if {
	some category, _ in treated
	not data.guard.floor.categories[category].open
}

remains(wanted, _, _) if {
	every category in wanted {
		data.guard.floor.categories[category].open
	}
}

# METADATA
# description: the treatments of the fields that are read, by source
reads(activity, treated) := {item.source: of_source(item, activity, credit.dated(item, activity, treated)) |
	some item in activity.items
	item.field == null
}

# METADATA
# description: the treatments of one source's fields
of_source(source, activity, treated) := {item.field: treated[item.category] |
	some item in activity.items
	item.source == source.source
	item.field != null
	item.role != "write"
}

# METADATA
# description: why fields are dropped, stripped or refused
reasons(activity, entry, wanted, treated) := unneeded(activity, entry, lost) | credit.undated(activity, treated) if {
	activity.operation != "delete"
	lost := {category | some category in wanted; not treated[category]}
} else := set()

# METADATA
# description: the fields of the categories that were lost, each with the rule that took it
unneeded(activity, entry, lost) := {reason |
	some category in lost
	rule := catalogue.rule(category, activity, entry)
	some item in activity.items
	item.category == category
	reason := {"rule": rule, "field": [item.source, item.field], "remedy": {"omit": true}}
}
