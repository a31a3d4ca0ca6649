# METADATA
# title: The public credit catalogue
# description: >-
#   what a public credit platform may hold and use as credit information is what the National Basic Catalogue and local
#   regulations list; a body's duty data outside it serves that duty only
package guard.floor.catalogue

import data.guard.floor.institution

# METADATA
# description: whether the holder is bound by the catalogue at all
default bound := false

bound if institution.binds("OP-04")

# METADATA
# title: Catalogue only
# description: a category is in the catalogue, where the catalogue counts
# custom:
#   rule: OP-04
#   clause: >-
#     State Council General Office Opinions 2020 No. 49 s. 2, privacy; National Basic Catalogue of Public Credit
#     Information 2024
#   en: Public credit information is collected, kept and used only as far as the catalogue lists it.
#   zh: 公共信用信息的归集范围以目录为准，目录外信息不得纳入信用记录（国办发〔2020〕49号；《全国公共信用信息基础目录》）。
#   title_zh: 以目录为限
listed(_, _) if not bound

listed(class, _) if class.catalogue

listed(_, entry) if entry.credit == false

# METADATA
# description: the rule that takes a category away
rule(category, activity, entry) := "OP-04" if {
	not listed(object.get(data.guard.floor.categories, category, {}), entry)
} else := "PI-01" if {
	activity.operation == "collect"
} else := "PI-02"

# METADATA
# title: Off the catalogue is not credit information
# description: >-
#   duty data does not go into a purpose that assesses or shows somebody's credit; a form that brings it is stripped
#   of it by the catalogue
# custom:
#   rule: OP-05
#   clause: >-
#     National Basic Catalogue of Public Credit Information 2024, explanation; Shenzhen Social Credit Regulation art.
#     35
#   en: Data that a body holds for its duty outside the catalogue is used for that duty and never as credit information.
#   zh: 目录外的履职信息只能用于履行职责，不得作为公共信用信息使用、共享或者公开（《深圳经济特区社会信用条例》第三十五条）。
#   title_zh: 目录外信息不属于信用信息
creditable(_, _, _) if not bound

creditable(_, entry, _) if entry.credit == false

creditable(activity, _, _) if activity.operation in ["collect", "store", "delete"]

creditable(_, _, wanted) if {
	every category in wanted {
		not data.guard.floor.categories[category].duty_only
	}
}

# METADATA
# description: what the tests of this topic have against an activity
refusal(activity, entry, wanted) := {reason |
	not creditable(activity, entry, wanted)
	some item in activity.items
	data.guard.floor.categories[item.category].duty_only
	reason := {"rule": "OP-05", "field": [item.source, item.field], "remedy": {"omit": true}}
}
