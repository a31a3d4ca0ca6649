"""A decision in plain words, English or Chinese: rules with their clauses, conditions, treatments, remedy.

Pure: what is shown is computed from the decision and the bundle's messages, and is the same for a
terminal, a page and `--json`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, TypeAlias, assert_never

import msgspec

from guard.messages import Messages
from guard.model import (
    ALWAYS,
    CONFLICT,
    NEVER,
    Activity,
    AllCondition,
    AnyCondition,
    Condition,
    Decision,
    FactCondition,
    GrantCondition,
    Limit,
    Obligation,
    RelationCondition,
    Review,
    Treatment,
    rules_of,
)
from guard_explain.change import Edit

Lang: TypeAlias = Literal["en", "zh"]


class RuleLine(msgspec.Struct, frozen=True):
    """A rule that spoke: its clause and sentence, and what it spoke about."""

    rule: str
    clause: str
    sentence: str
    about: tuple[str, ...]


class RowLine(msgspec.Struct, frozen=True):
    """What rows of a source must meet, one line a condition."""

    source: str
    condition: str
    rules: tuple[str, ...]


class FieldLine(msgspec.Struct, frozen=True):
    """What becomes of a field."""

    source: str
    field: str
    treatment: str
    rules: tuple[str, ...]


class Explanation(msgspec.Struct, frozen=True):
    """A decision in words.

    `remedy` is the smallest lawful change to a denial, one sentence an edit; empty if none is known.
    """

    allow: bool
    rules: tuple[RuleLine, ...]
    rows: tuple[RowLine, ...]
    fields: tuple[FieldLine, ...]
    obligations: tuple[str, ...]
    remedy: tuple[str, ...]


def explain(
    activity: Activity,
    decision: Decision,
    messages: Messages,
    *,
    remedy: Sequence[Edit] | None = None,
    lang: Lang = "en",
) -> Explanation:
    """Puts a decision into words."""
    words = _Words(lang)
    return Explanation(
        allow=decision.allow,
        rules=_rules(decision, messages, lang),
        rows=tuple(
            RowLine(source=source, condition=words.condition(part), rules=rules_of(part))
            for source, rows in decision.rows.items()
            for part in (rows.conditions if isinstance(rows, AllCondition) and rows != ALWAYS else (rows,))
        ),
        fields=tuple(
            FieldLine(
                source=item.source,
                field=item.field,
                treatment=words.field(decision, item.source, item.field),
                rules=_field_rules(decision, item.source, item.field),
            )
            for item in activity.items
            if item.field is not None and decision.allow
        ),
        obligations=tuple(words.obligation(obligation) for obligation in decision.obligations),
        remedy=tuple(getattr(edit, lang) for edit in remedy or ()),
    )


def _rules(decision: Decision, messages: Messages, lang: Lang) -> tuple[RuleLine, ...]:
    about: dict[str, list[str]] = {}
    for reason in decision.reasons:
        places = about.setdefault(reason.rule, [])
        if reason.field is not None:
            places.append(" ".join(filter(None, reason.field)))
    for rows in decision.rows.values():
        for rule in rules_of(rows):
            about.setdefault(rule, [])
    for source, fields in decision.reads.items():
        for field, treatment in fields.items():
            for rule in {*treatment.rules, *rules_of(treatment.masked_if)}:
                about.setdefault(rule, []).append(f"{source} {field}")
    for obligation in decision.obligations:
        if obligation.rule:
            about.setdefault(obligation.rule, [])
    return tuple(
        RuleLine(
            rule=rule,
            clause=message.clause if message else "",
            sentence=getattr(message, lang) if message else messages.sentence(rule, lang),
            about=tuple(dict.fromkeys(about[rule])),
        )
        for rule in sorted(about)
        for message in (messages.get(rule),)
    )


def _field_rules(decision: Decision, source: str, field: str) -> tuple[str, ...]:
    treatment = decision.reads.get(source, {}).get(field)
    spoke = {reason.rule for reason in decision.reasons if reason.field == (source, field)}
    if treatment is not None:
        spoke |= {*treatment.rules, *rules_of(treatment.masked_if)}
    return tuple(sorted(spoke))


_OPERATORS: Final = {
    "eq": ("is", "等于"),
    "ne": ("is not", "不等于"),
    "lt": ("is before or below", "早于或小于"),
    "le": ("is at most", "不晚于或不大于"),
    "gt": ("is after or above", "晚于或大于"),
    "ge": ("is at least", "不早于或不小于"),
}


class _Words:
    """One language."""

    def __init__(self, lang: Lang) -> None:
        self._zh = lang == "zh"

    def _say(self, en: str, zh: str) -> str:
        return zh if self._zh else en

    def condition(self, condition: Condition) -> str:
        """A condition as a clause about the row."""
        if condition == ALWAYS:
            return self._say("always", "无条件")
        if condition == NEVER:
            return self._say("never", "一律不")
        match condition:
            case GrantCondition():
                return self._grant(condition)
            case RelationCondition(name=name):
                return self._say(
                    f"the actor stands in the relation {name} to the person", f"操作人与本人具有关系 {name}"
                )
            case FactCondition():
                return self._fact(condition)
            case AnyCondition(conditions=parts):
                return self._say("one of: ", "任一：") + "; ".join(map(self.condition, parts))
            case AllCondition(conditions=parts):
                return self._say("all of: ", "全部：") + "; ".join(map(self.condition, parts))
            case _:
                return self._say("the person is the actor", "本人即操作人")

    def _grant(self, grant: GrantCondition) -> str:
        kinds = [
            self._say(*words)
            for on, words in ((grant.separate, ("separate", "单独")), (grant.written, ("written", "书面")))
            if on
        ]
        of = self._say(f" covering {grant.category}", f"，涵盖类别 {grant.category}") if grant.category else ""
        basis = f" ({', '.join(grant.basis)})" if grant.basis else ""
        if grant.ended:
            return self._say("the person's basis has ended", "本人的授权已终止")
        return self._say(
            f"the person has a live {' '.join([*kinds, 'basis'])}{basis} for this purpose{of}",
            f"本人就该目的有有效的{''.join(kinds)}授权{basis}{of}",
        )

    def _fact(self, fact: FactCondition) -> str:
        operator = self._say(*_OPERATORS[fact.operator])
        value = self._say(f"today less {fact.ago}", f"今日前推 {fact.ago}") if fact.ago else str(fact.value)
        absent = self._say(", or unknown", "，或为空") if fact.or_absent else ""
        return f"{fact.name} {operator} {value}{absent}"

    def field(self, decision: Decision, source: str, field: str) -> str:
        """What becomes of a field: of reads the treatment, of writes the word."""
        write = decision.writes.get(source, {}).get(field)
        if write is not None:
            return self._say(
                *{"keep": ("kept", "保留"), "strip": ("stripped", "剔除"), "refuse": ("refused", "拒绝")}[write]
            )
        treatment = decision.reads.get(source, {}).get(field)
        dropped = self._say("dropped", "不提供")
        return dropped if treatment is None else self._treatment(treatment, dropped)

    def _treatment(self, one: Treatment, dropped: str) -> str:
        if one.reveal == ALWAYS:
            return self._say("shown", "提供")
        parts = []
        if one.reveal != NEVER:
            parts.append(
                self._say(f"shown where {self.condition(one.reveal)}", f"提供，若{self.condition(one.reveal)}")
            )
        masked = one.mask is not None and one.mask != CONFLICT and one.masked_if != NEVER
        if masked:
            where = "" if one.masked_if == ALWAYS else self._say(" where ", "，若") + self.condition(one.masked_if)
            parts.append(self._say(f"masked with {one.mask}{where}", f"以 {one.mask} 脱敏{where}"))
        if not masked or one.masked_if != ALWAYS:
            parts.append(dropped)
        return self._say("; else ", "；否则").join(parts)

    def obligation(self, obligation: Obligation) -> str:
        """An obligation as a sentence."""
        match obligation:
            case Review(by=role):
                above = obligation.above.subjects if obligation.above else 0
                return self._say(
                    f"{role} approves before more than {above} persons are released",
                    f"涉及超过 {above} 人时须由 {role} 审批后放行",
                )
            case Limit(subjects=most, minimum=least, on_exceed=otherwise):
                return self._say(
                    f"between {least} and {most} persons, else {otherwise}",
                    f"人数在 {least} 至 {most} 之间，否则 {otherwise}",
                )
            case _:
                assert_never(obligation)
