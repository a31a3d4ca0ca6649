"""Rule ids in plain words, English and Chinese.

A rule of law gets its words from the METADATA of the policy that implements it, carried in the bundle's
manifest; the guard's own refusals are in `messages.json` beside this module. What would be allowed instead
is said from the reason's remedy (which consent, which purpose) by `remedies.json`, so that policies build no text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Final

import msgspec

from guard import names
from guard.model import ConsentNeeded, Reason, Remedy


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
    if remedy.consent:
        return _consent(remedy.consent, zh=lang == "zh")
    for name in ("relation", "purposes", "bases", "notice", "recipient", "unit", "omit"):
        value = getattr(remedy, name)
        if value:
            return _words(name, lang, ", ".join(value) if isinstance(value, tuple) else value)
    return ("" if lang == "zh" else " ").join(_words(f"record.{part}", lang, part) for part in remedy.record)


def _consent(need: ConsentNeeded, *, zh: bool) -> str:
    kinds = [(need.separate, "单独" if zh else "separate "), (need.written, "书面" if zh else "written ")]
    kind = ("、" if zh else "").join(word for wanted, word in kinds if wanted)
    of = (f"（类别 {need.category}）" if zh else f" for category {need.category}") if need.category else ""
    return f"须取得本人有效的{kind}同意{of}。" if zh else f"Allowed with a live {kind}consent of the person{of}."


def _words(name: str, lang: str, said: object) -> str:
    """The sentence of a remedy; a part of a record that has none of its own is named."""
    told = _told("remedies")
    return (told.get(name) or told["record"])["zh" if lang == "zh" else "en"].format(said)


@cache
def _told(name: str) -> dict[str, dict[str, str]]:
    """The sentences of a file beside this module, read when one is first told."""
    return msgspec.json.decode(Path(__file__).with_name(f"{name}.json").read_bytes(), type=dict[str, dict[str, str]])


@cache
def own() -> Mapping[str, Message]:
    """The words of the guard's own refusals by id."""
    return MappingProxyType({rule: Message(clause="guard", **words) for rule, words in _told("messages").items()})


OWN: Final = Messages()
"""The guard's own refusals, without those of any policy."""
