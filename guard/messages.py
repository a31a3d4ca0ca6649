"""Rule ids in plain words, English and Chinese.

A rule of law gets its words from the METADATA of the policy that implements it, carried in the bundle's
manifest; the guard's own refusals are in `messages.json` beside this module. Words that vary with the case
(which consent, which purpose) are composed here from the reason's remedy, so that policies build no text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Final

import msgspec

from guard import names
from guard.model import Reason, Remedy


class Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A rule in words: its clause (article of law, or the guard's own), a sentence in each language, its short name."""

    clause: str
    en: str
    zh: str
    title: str = ""
    title_zh: str = ""


class Messages:
    """The words of a set of rules. The guard's own are always known."""

    def __init__(self, rules: Mapping[str, Message] = MappingProxyType({})) -> None:
        self._rules = dict(rules)

    def __contains__(self, rule: object) -> bool:
        return rule in own() or rule in self._rules

    def get(self, rule: str) -> Message | None:
        """The message of a rule, or None if no policy described it."""
        return own().get(rule) or self._rules.get(rule)

    def sentence(self, rule: str, lang: str = "en") -> str:
        """The rule in one sentence with its clause."""
        message = self.get(rule)
        if message is None:
            return f"{rule}: no description in the policy bundle."
        # The Chinese sentence of a rule of law names its articles itself, in the form that officials use.
        return f"{rule}：{message.zh}" if lang == "zh" else f"{rule} ({message.clause}): {message.en}"

    def title(self, rule: str, lang: str = "en") -> str:
        """The rule's short name. The guard's own are told by their sentence, others without a name by their id."""
        message = self.get(rule)
        if message is None:
            return rule
        if rule in own():
            return message.zh if lang == "zh" else message.en
        return (message.title_zh if lang == "zh" else message.title) or rule

    def remedy(self, reason: Reason, lang: str = "en") -> str:
        """What would be allowed instead, or an empty string where nothing would."""
        return _remedy(reason.remedy, lang) if reason.remedy else ""


def not_entitled(purpose: str, roles: Sequence[str], entitled: Sequence[str] | None, lang: str = "en") -> str | None:
    """What to say to an actor of these roles about a purpose that is for others; None where one fits, or all do."""
    if entitled is None or set(roles) & set(entitled):
        return None
    for role in roles:
        near = names.near(role, entitled)
        if near is not None:
            if lang == "zh":
                return f"目的 {purpose} 不适用于角色 {role:.64}；是否应为 {near}？"
            return f"{role:.64} is not a role that {purpose} is for; did you mean {near}?"
    every = ", ".join(entitled)
    return f"目的 {purpose} 适用的角色：{every}。" if lang == "zh" else f"{purpose} is for the roles {every}."


def _remedy(remedy: Remedy, lang: str) -> str:
    zh = lang == "zh"
    if remedy.consent:
        need = remedy.consent
        kind = [
            w
            for on, w in ((need.separate, "单独" if zh else "separate"), (need.written, "书面" if zh else "written"))
            if on
        ]
        of = (f"（类别 {need.category}）" if zh else f" for category {need.category}") if need.category else ""
        return (
            f"须取得本人有效的{'、'.join(kind)}同意{of}。"
            if zh
            else f"Allowed with a live {' '.join([*kind, 'consent'])} of the person{of}."
        )
    if remedy.relation:
        return (
            f"须具备关系 {remedy.relation}。"
            if zh
            else f"Allowed to an actor with the relation {remedy.relation} to the person."
        )
    if remedy.purposes:
        listed = ", ".join(remedy.purposes)
        return f"允许的目的：{listed}。" if zh else f"Allowed for the purposes: {listed}."
    if remedy.bases:
        listed = ", ".join(remedy.bases)
        return (
            f"允许的合法性基础及其依据：{listed}。"
            if zh
            else f"Allowed on one of these legal bases, with evidence: {listed}."
        )
    if remedy.notice:
        return "须先向本人展示现行告知书。" if zh else "Allowed once the current notice was shown to the person."
    if remedy.recipient:
        return "须写明接收方。" if zh else "Allowed to a recipient that is named and of the right kind."
    if remedy.unit:
        return "须写明查询人的机构与岗位。" if zh else "Allowed to an actor whose unit and roles are stated."
    if remedy.omit:
        return "去掉该字段后可以进行。" if zh else "Allowed without this field."
    return ("" if zh else " ").join(_part(name, lang) for name in remedy.record)


def _part(name: str, lang: str) -> str:
    """What to change in a part of a consent record."""
    known = _PARTS.get(name)
    if lang == "zh":
        return known[1] if known else f"须更改 {name}。"
    return known[0] if known else f"Valid with another {name}."


_PARTS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "bundled": (
            "Ask for each purpose by itself, so that one can be agreed to without the other (bundled: false).",
            "各项目的须分别征求同意，可以只同意其中一项（bundled: false）。",
        ),
        "expires_at": (
            "Give it an end that is still to come (expires_at), and ask again then.",
            "须写明尚未届满的期限（expires_at），期满重新征求同意。",
        ),
        "granted_at": ("Record it once it is given (granted_at).", "须在作出同意之后再记录（granted_at）。"),
        "method": ("Let the person act to consent (method: opt_in).", "须由本人主动作出同意（method: opt_in）。"),
        "preticked": (
            "Leave the box for the person to tick (preticked: false).",
            "选项不得预先勾选（preticked: false）。",
        ),
        "refusal_denies_service": (
            "Give the service to who refuses too, or ask only for what it needs (refusal_denies_service: false).",
            "拒绝同意的仍须提供服务（refusal_denies_service: false），或者只征求服务所必需的信息。",
        ),
    }
)


@cache
def own() -> Mapping[str, Message]:
    """The words of the guard's own refusals by id, read from `messages.json` when one is first told."""
    told = msgspec.json.decode(Path(__file__).with_suffix(".json").read_bytes(), type=dict[str, dict[str, str]])
    return MappingProxyType({rule: Message(clause="guard", **words) for rule, words in told.items()})


OWN: Final = Messages()
"""The guard's own refusals, without those of any policy."""
