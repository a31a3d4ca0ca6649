# METADATA
# title: Institution
# description: who the holder is, by its profile, and which rules bind its kind
package guard.floor.institution

# METADATA
# description: the kind of the holder; undefined, and so a denial of everything, where it is none that the law names
kind := data.guard.profile.kind if data.guard.profile.kind in data.guard.floor.kinds

# METADATA
# description: whether a rule that binds only some kinds binds this one
binds(rule) if kind in data.guard.floor.binds[rule]
