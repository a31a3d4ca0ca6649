# METADATA
# title: Hand-over and disclosure
# description: >-
#   data that leaves the institution: to a handler or processor, or to the public. An entrusted processor is held to the
#   same as a handler, since the contract with it is not yet a fact that policy sees.
package guard.floor.handover

# METADATA
# description: the operations that hand data to another organisation
provides(activity) if activity.operation == "provide"

provides(activity) if activity.operation == "transmit"

# METADATA
# description: the rule that asks for a separate consent to an operation, whatever the category
rule(activity) := "PI-13" if {
	provides(activity)
} else := "PI-16" if {
	activity.operation == "disclose"
}

# METADATA
# title: Separate consent to providing
# description: the recipient is named, and the person consented separately to this recipient
# custom:
#   rule: PI-13
#   clause: Personal Information Protection Law art. 23; Network Data Security Regulation art. 12
#   en: >-
#     Personal information is provided to another handler only if the person was told who receives what for which
#     purpose, and consented to it separately.
#   zh: 向其他个人信息处理者提供个人信息的，应当告知接收方、目的、方式和种类，并取得个人的单独同意（《个人信息保护法》第二十三条）。
#   title_zh: 对外提供的单独同意
named(activity) if not provides(activity)

named(activity) if {
	is_string(activity.recipient.id)
	activity.recipient.id != ""
}

# METADATA
# title: Separate consent to disclosure
# description: a purpose that is not for publication discloses nothing
# custom:
#   rule: PI-16
#   clause: Personal Information Protection Law art. 25
#   en: Personal information is not made public without the separate consent of the person or a statute that orders it.
#   zh: 未取得个人单独同意或者法律、行政法规另有规定的，不得公开其处理的个人信息（《个人信息保护法》第二十五条）。
#   title_zh: 公开的单独同意
publishes(activity, _) if activity.operation != "disclose"

publishes(activity, entry) if activity.recipient.kind in entry.operations.disclose

# METADATA
# description: what the tests of this topic have against an activity
refusal(activity, entry) := union({
	{{"rule": "PI-13", "remedy": {"recipient": true}} | not named(activity)},
	{{"rule": "PI-16", "remedy": {"consent": {"separate": true}}} | not publishes(activity, entry)},
})
