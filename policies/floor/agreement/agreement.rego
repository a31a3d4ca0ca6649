# METADATA
# title: Agreement
# description: >-
#   whether a recorded consent, or contract, becomes a grant. What taints the consent itself makes it void; what it does
#   not validly cover is left out of its scope, with the reason; a consent of which nothing is left is void too.
package guard.floor.agreement

import data.guard.floor.catalogue
import data.guard.floor.credit
import data.guard.floor.institution
import data.guard.floor.purpose

# METADATA
# description: the verdict on one record
verdict(record) := {
	"id": record.id,
	"valid": true,
	"reasons": narrowed(record, entries),
	"scopes": [{"operations": operations, "categories": categories}],
	"valid_until": until,
} if {
	entries := {name: entry | some name in record.purposes; entry := purpose.entry(name)}
	sound(record, entries)
	until := end(record)
	operations := [operation | some operation in record.operations; operable(operation, record, entries)]
	count(operations) > 0
	categories := [category | some category in record.categories; coverable(category, record, entries)]
	count(categories) > 0
} else := {"id": record.id, "valid": false, "reasons": void(record)}

# METADATA
# description: every test that makes a record void, put positively
sound(record, entries) if {
	purposeful(record, entries)
	founded(record, entries)
	voluntary(record, entries)
	explicit(record)
	informed(record)
	given(record)
}

# METADATA
# description: >-
#   each purpose is known and open to this kind of institution; they share one scope, so that one unknown purpose leaves
#   no other
# custom: {rule: PI-02}
purposeful(record, entries) if {
	count(record.purposes) > 0
	every name in record.purposes {
		purpose.offered(entries[name])
	}
}

# METADATA
# description: consent or contract, as each of the purposes allows; what rests on statute needs no grant
# custom: {rule: PI-03}
founded(record, entries) if {
	data.guard.floor.bases[record.basis].grant
	every entry in entries {
		record.basis in entry.bases
		purpose.sound(entry)
	}
}

# METADATA
# title: No forced authorization
# description: >-
#   consents to several things were not tied together, and refusing what the service does not need did not cost the
#   service
# custom:
#   rule: OP-02
#   clause: >-
#     State Council General Office Opinions 2020 No. 49, privacy; Personal Information Protection Law art. 16; App
#     Necessary Information Rule art. 4; SPC Interpretation 2021 No. 15 art. 4
#   en: >-
#     Consent is not forced: it is not bundled, and a service is not refused because somebody does not consent to what
#     the service does not need.
#   zh: 不得以捆绑授权、拒绝提供服务等方式强制取得同意，所需信息属于提供服务所必需的除外（《个人信息保护法》第十六条）。
#   title_zh: 不得强制授权
voluntary(record, entries) if {
	record.bundled == false
	unforced(record, entries)
}

# METADATA
# description: whether refusing had no price, or nothing was asked but what the service needs
unforced(record, _) if record.refusal_denies_service == false

unforced(record, entries) if {
	every entry in entries {
		not entry.optional
	}
	every category in record.categories {
		necessary(category, entries)
	}
}

# METADATA
# title: Explicit and voluntary consent
# description: the person acted to consent; silence and boxes ticked beforehand are none. A contract is not ticked.
# custom:
#   rule: PI-04
#   clause: Personal Information Protection Law art. 14; App Methods 2019 s. 3
#   en: Consent is given by the person's own act and with knowledge; silence or a box ticked beforehand is no consent.
#   zh: 同意应当由个人在充分知情的前提下自愿、明确作出，默认勾选、沉默不构成同意（《个人信息保护法》第十四条）。
#   title_zh: 明示且自愿的同意
explicit(record) if record.basis == "contract"

explicit(record) if {
	record.method == "opt_in"
	record.preticked == false
}

# METADATA
# description: a notice was shown no later than the consent was given
# custom: {rule: OP-06}
informed(record) if {
	is_string(record.notice.id)
	record.notice.id != ""
	is_string(record.notice.version)
	record.notice.version != ""

	# null is less than any number
	is_number(record.notice.shown_at)
	record.notice.shown_at <= record.granted_at
}

# METADATA
# description: it was given, at the latest in this minute
# custom: {rule: OP-01}
given(record) if {
	is_number(record.granted_at)
	is_number(record.time.seconds)
	record.granted_at < record.time.seconds + 60
}

# METADATA
# title: No authorization for life
# description: >-
#   a consent ends, and at the latest after the longest time that the parameters allow (days); a contract has a longer
#   one. The law has no number: both are parameters.
# custom:
#   rule: OP-03
#   clause: >-
#     State Council General Office Opinions 2020 No. 49, privacy; Personal Information Protection Law art. 19; Network
#     Data Security Regulation art. 22(4)
#   en: Consent is not given once and for life; it has an end, after which it is asked for again.
#   zh: 不得一次授权、终身使用；授权应当有明确期限，期满须重新取得（国办发〔2020〕49号；《个人信息保护法》第十九条）。
#   title_zh: 不得一次授权终身使用
end(record) := until if {
	is_number(record.expires_at)
	until := min([record.expires_at, record.granted_at + (longest(record.basis) * 86400)])
	until > record.granted_at
	until > record.time.seconds
}

# METADATA
# description: the longest time that a basis may last, in days
longest("contract") := data.guard.floor.parameters.max_contract_ttl

longest("consent") := data.guard.floor.parameters.max_consent_ttl

# METADATA
# description: whether the separate or written form was seen to be kept, not merely asserted
separate(record) if {
	record.separate == true
	record.assurance in ["observed", "proved"]
}

# METADATA
# description: see separate
written(record) if {
	record.written == true
	record.assurance in ["observed", "proved"]
}

# METADATA
# description: whether one of the purposes needs a category
necessary(category, _) if data.guard.floor.categories[category].open

necessary(category, entries) if {
	some entry in entries
	entry.categories[category]
}

# METADATA
# description: what the record validly covers of the operations that it names
operable(operation, record, entries) if not uncovered_operation(operation, record, entries)

# METADATA
# description: >-
#   the rule that takes an operation out of the scope. Handing data over and publishing it need a separate consent, and
#   handing over a recipient with a name.
uncovered_operation(operation, record, entries) := "PI-02" if {
	every entry in entries {
		not entry.operations[operation]
	}
} else := "PI-13" if {
	operation in ["provide", "transmit"]
	not handed_over(record)
} else := "PI-16" if {
	operation == "disclose"
	not separate(record)
}

# METADATA
# description: a separate consent to a recipient that it names
handed_over(record) if {
	separate(record)
	is_string(record.recipient)
	record.recipient != ""
}

# METADATA
# description: what the record validly covers of the categories that it names
coverable(category, record, entries) if not uncovered_category(category, record, entries)

# METADATA
# description: >-
#   the rule that takes a category out of the scope: never lawful, not needed, not in writing, or not separate
uncovered_category(category, record, entries) := "CR-02" if {
	data.guard.floor.categories[category].forbidden
	institution.binds("CR-02")
} else := rule if {
	not needed(category, entries)
	rule := unneeded_rule(category, entries)
} else := rule if {
	rule := credit.written_rule(category)
	not signed(rule, record)
} else := "PI-19" if {
	not data.guard.floor.categories[category].sensitive == false
	not separate(record)
}

# METADATA
# description: needed for a purpose, and in the catalogue where that counts
needed(category, _) if data.guard.floor.categories[category].open

needed(category, entries) if {
	some entry in entries
	entry.categories[category]
	catalogue.listed(data.guard.floor.categories[category], entry)
}

# METADATA
# description: off the catalogue, or more than the purposes need
unneeded_rule(category, entries) := "OP-04" if {
	necessary(category, entries)
} else := "PI-01"

# METADATA
# description: the written form, and for wealth the warning too
signed("CR-07", record) if written(record)

signed("CR-03", record) if {
	written(record)
	record.adverse_effect_told == true
}

# METADATA
# description: what was left out of the scope, and why
narrowed(record, entries) := union({
	{{"rule": rule, "remedy": operation_remedy(rule, record)} |
		some operation in record.operations
		rule := uncovered_operation(operation, record, entries)
	},
	{{"rule": rule, "remedy": category_remedy(rule, category)} |
		some category in record.categories
		rule := uncovered_category(category, record, entries)
	},
})

# METADATA
# description: what would put an operation into the scope
operation_remedy("PI-02", _) := {"omit": true}

operation_remedy("PI-13", record) := {"consent": {"separate": true}} if {
	not separate(record)
} else := {"recipient": true}

operation_remedy("PI-16", _) := {"consent": {"separate": true}}

# METADATA
# description: what would put a category into the scope
category_remedy("PI-19", category) := {"consent": {"separate": true, "category": category}}

category_remedy(rule, category) := {"consent": {"written": true, "category": category}} if rule in ["CR-03", "CR-07"]

category_remedy(rule, _) := {"omit": true} if rule in ["CR-02", "OP-04", "PI-01"]

# METADATA
# description: why a record is void; never empty
void(record) := found if {
	entries := {name: entry | some name in record.purposes; entry := purpose.entry(name)}
	found := union({tainted(record, entries), narrowed(record, entries)})
	count(found) > 0
} else := {{"rule": "OP-01"}}

# METADATA
# description: what taints the record itself
tainted(record, entries) := union({
	{{"rule": "PI-02", "remedy": {"purposes": for_consent(record)}} | not purposeful(record, entries)},
	{{"rule": "PI-03", "remedy": {"bases": ["consent", "contract"]}} | not founded(record, entries)},
	{{"rule": "OP-02", "remedy": {"record": forcing(record, entries)}} | not voluntary(record, entries)},
	{{"rule": "PI-04", "remedy": {"record": unclear(record)}} | not explicit(record)},
	{{"rule": "OP-06", "remedy": {"notice": true}} | not informed(record)},
	{{"rule": "OP-01", "remedy": {"record": ["granted_at"]}} | not given(record)},
	{{"rule": "OP-03", "remedy": {"record": ["expires_at"]}} | not end(record)},
})

# METADATA
# description: the parts of a record by which a consent is forced
forcing(record, entries) := array.concat(
	["bundled" | record.bundled != false],
	["refusal_denies_service" | not unforced(record, entries)],
)

# METADATA
# description: the parts of a record by which it is no act of the person
unclear(record) := array.concat(
	["method" | record.method != "opt_in"],
	["preticked" | record.preticked != false],
)

# METADATA
# description: the purposes of this kind of institution that rest on such a record, sorted
for_consent(record) := sort({name |
	some name in purpose.names
	entry := purpose.entry(name)
	purpose.offered(entry)
	record.basis in entry.bases
})
