"""Rule ids in plain words, English and Chinese.

A rule of law gets its words from the METADATA of the policy that implements it, carried in the bundle's
manifest; the guard's own refusals are in the table below. Words that vary with the case (which consent,
which purpose) are composed here from the reason's remedy, so that policies build no text.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

import msgspec

from guard.model import Reason, Remedy


class Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A rule in words: its clause (article of law, or the guard's own), and a sentence in each language."""

    clause: str
    en: str
    zh: str


class Messages:
    """The words of a set of rules. The guard's own are always known."""

    def __init__(self, rules: Mapping[str, Message] = MappingProxyType({})) -> None:
        self._rules = {**rules, **_OWN}

    def __contains__(self, rule: object) -> bool:
        return rule in self._rules

    def get(self, rule: str) -> Message | None:
        """The message of a rule, or None if no policy described it."""
        return self._rules.get(rule)

    def sentence(self, rule: str, lang: str = "en") -> str:
        """The rule in one sentence with its clause."""
        message = self._rules.get(rule)
        if message is None:
            return f"{rule}: no description in the policy bundle."
        # The Chinese sentence of a rule of law names its articles itself, in the form that officials use.
        return f"{rule}：{message.zh}" if lang == "zh" else f"{rule} ({message.clause}): {message.en}"

    def remedy(self, reason: Reason, lang: str = "en") -> str:
        """What would be allowed instead, or an empty string where nothing would."""
        return _remedy(reason.remedy, lang) if reason.remedy else ""


def not_entitled(purpose: str, roles: Sequence[str], entitled: Sequence[str] | None, lang: str = "en") -> str | None:
    """What to say to an actor of these roles about a purpose that is for others; None where one fits, or all do."""
    if entitled is None or set(roles) & set(entitled):
        return None
    for role in roles:
        for near in difflib.get_close_matches(role, entitled, n=1):
            if lang == "zh":
                return f"目的 {purpose} 不适用于角色 {role:.64}；是否应为 {near}？"
            return f"{role:.64} is not a role that {purpose} is for; did you mean {near}?"
    names = ", ".join(entitled)
    return f"目的 {purpose} 适用的角色：{names}。" if lang == "zh" else f"{purpose} is for the roles {names}."


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
        names = ", ".join(remedy.purposes)
        return f"允许的目的：{names}。" if zh else f"Allowed for the purposes: {names}."
    if remedy.bases:
        names = ", ".join(remedy.bases)
        return (
            f"允许的合法性基础及其依据：{names}。"
            if zh
            else f"Allowed on one of these legal bases, with evidence: {names}."
        )
    if remedy.notice:
        return "须先向本人展示现行告知书。" if zh else "Allowed once the current notice was shown to the person."
    if remedy.recipient:
        return "须写明接收方。" if zh else "Allowed to a recipient that is named and of the right kind."
    if remedy.unit:
        return "须写明查询人的机构与岗位。" if zh else "Allowed to an actor whose unit and roles are stated."
    if remedy.omit:
        return "去掉该字段后可以进行。" if zh else "Allowed without this field."
    return ""


def _own(en: str, zh: str) -> Message:
    return Message(clause="guard", en=en, zh=zh)


_OWN: Final[Mapping[str, Message]] = MappingProxyType(
    {
        "GUARD-PURPOSE": _own(
            "No operation on personal data without a stated purpose.", "未声明目的，不得处理个人信息。"
        ),
        "GUARD-CONTEXT": _own("The context of this operation is closed or missing.", "本次操作的上下文已关闭或缺失。"),
        "GUARD-NARROW": _own("A nested context may only narrow its parent.", "嵌套的上下文只能收窄。"),
        "GUARD-WITHDRAWN": _own(
            "Somebody withdrew a consent while the result was being taken.", "取数期间有人撤回了同意。"
        ),
        "GUARD-RELATION": _own(
            "Who wrote what a relation rests on does not use the relation in the same transaction.",
            "在同一事务中写入了关系所依据的数据，不得再凭该关系操作。",
        ),
        "GUARD-WRITE": _own(
            "The statement would write a row that may not be written, or leaves one out only by a column that is "
            "neither a subject nor the key of its source.",
            "该语句会写入不允许写入的记录，或者仅凭主体和主键以外的列排除这类记录。",
        ),
        "GUARD-HELD": _own("Another person has to approve this first.", "须先经他人审批。"),
        "GUARD-REVIEW": _own("The approval cannot be used for this.", "该审批不能用于本次操作。"),
        "GUARD-APPROVER": _own("This is not for this person to approve or reject.", "此人无权审批或驳回该申请。"),
        "GUARD-CLOCK": _own("The clock does not tell a time.", "时钟读数无效。"),
        "GUARD-COLLECT": _own(
            "The request brings what may not be taken in from this person, or not for this purpose.",
            "请求中包含不得收集的信息。",
        ),
        "GUARD-OPERATION": _own("This operation is not one for such a statement.", "该操作与此类语句不符。"),
        "GUARD-ABSENT": _own("No such person, or not permitted.", "查无此人，或不允许查询。"),
        "GUARD-SQL": _own("The statement is not one that guard can guarantee.", "无法保证该语句的安全。"),
        "GUARD-SQL-TABLE": _own(
            "The statement names a table that the catalogue does not know.", "语句涉及目录之外的表。"
        ),
        "GUARD-SQL-COLUMN": _own(
            "The statement names a column that the catalogue does not know.", "语句涉及目录之外的列。"
        ),
        "GUARD-SQL-FUNCTION": _own(
            "The statement calls a function that is not on the list.", "语句调用了不在清单上的函数。"
        ),
        "GUARD-SQL-DROPPED": _own(
            "A field that may not be seen is used outside the outermost select list.",
            "不可见字段被用于最外层查询列之外。",
        ),
        "GUARD-SQL-WRITE": _own(
            "A field is written that may not be written, or that the actor may not see as it is.",
            "所写字段不允许写入，或者操作人无权查看其原值。",
        ),
        "GUARD-SQL-PARAMETERS": _own("The parameters do not fit the statement.", "参数与语句不符。"),
        "GUARD-WITNESS": _own(
            "The database's own parser reads the guarded statement differently.",
            "数据库自身的解析器对受控语句的理解不同。",
        ),
        "GUARD-DATABASE": _own("The database refused the guarded statement.", "数据库拒绝执行受控语句。"),
        "GUARD-PROXY": _own("This call goes around the guard.", "该调用会绕过保护。"),
        "GUARD-ACTIVITY": _own("The activity is not well formed.", "操作描述不合规范。"),
        "GUARD-ACTIVITY-ITEMS": _own("The activity names no source.", "操作未列明任何数据源。"),
        "GUARD-DECISION-JSON": _own("The policy's answer is not strict JSON.", "策略的回答不是严格的 JSON。"),
        "GUARD-DECISION-NUMBER": _own(
            "The policy's answer holds a number that is not one.", "策略的回答含有非法数值。"
        ),
        "GUARD-DECISION-SIZE": _own("The policy's answer is too large.", "策略的回答过大。"),
        "GUARD-DECISION-DEPTH": _own("The policy's answer is nested too deeply.", "策略的回答嵌套过深。"),
        "GUARD-DECISION-SHAPE": _own(
            "The policy's answer has an unknown key, a missing part or a wrong type.", "策略的回答结构不符。"
        ),
        "GUARD-DECISION-ALLOW": _own("The policy's answer is neither true nor false.", "策略的回答既非真也非假。"),
        "GUARD-DECISION-MISSING": _own("The policy did not answer for every activity.", "策略未对每项操作作答。"),
        "GUARD-DECISION-REPEATED": _own("The policy answered twice for one activity.", "策略对同一操作重复作答。"),
        "GUARD-DECISION-EXTRA": _own(
            "The policy answered for an activity that was not asked.", "策略回答了未提出的操作。"
        ),
        "GUARD-DECISION-UNDEFINED": _own("The policy gives no answer.", "策略没有回答。"),
        "GUARD-DECISION-ROWS": _own("The policy allows without saying which rows.", "策略允许但未说明允许哪些行。"),
        "GUARD-DECISION-NAME": _own(
            "The policy names a source, field, relation or fact that the catalogue does not declare.",
            "策略引用了目录未声明的名称。",
        ),
        "GUARD-DECISION-CONDITION": _own("The policy uses a condition that is not known.", "策略使用了未知的条件。"),
        "GUARD-DECISION-MASK": _own("The policy uses a mask that is not known.", "策略使用了未知的脱敏方式。"),
        "GUARD-OBLIGATION": _own(
            "The policy sets an obligation that is not known or cannot be carried out.",
            "策略规定了未知或无法履行的义务。",
        ),
        "GUARD-LIMIT": _own("More persons than one operation may meet.", "涉及人数超过单次上限。"),
        "GUARD-ENGINE-INPUT": _own("The question to the policy engine is too large.", "向策略引擎提出的问题过大。"),
        "GUARD-ENGINE-STOPPED": _own("The policy engine cannot be reached.", "策略引擎无法访问。"),
        "GUARD-ENGINE-SLOW": _own("The policy engine did not answer in time.", "策略引擎未及时作答。"),
        "GUARD-ENGINE-FUEL": _own("The policy ran longer than its bound.", "策略运行超出计算上限。"),
        "GUARD-ENGINE-MEMORY": _own("The policy needs more memory than its bound.", "策略运行超出内存上限。"),
        "GUARD-ENGINE-TRAP": _own("The policy failed while it was evaluated.", "策略运行出错。"),
        "GUARD-ENGINE-ERROR": _own("The policy engine answered with an error.", "策略引擎返回错误。"),
        "GUARD-ENGINE-BUSY": _own("No policy engine was free in time.", "没有空闲的策略引擎。"),
        "GUARD-ENGINE-SWAPPED": _own(
            "The policies that answered are not those that were verified.", "作答的策略并非已核验的策略。"
        ),
        "GUARD-ENGINE-OPEN": _own(
            "The policy server can be read or written without a token.", "策略服务器无需令牌即可读写。"
        ),
        "GUARD-BUNDLE": _own("The policy bundle is not one that guard can trust.", "策略包不可信。"),
        "GUARD-BUNDLE-BUILTIN": _own("The policy bundle needs a function of its host.", "策略包需要宿主函数。"),
        "GUARD-REGISTER": _own(
            "The register cannot be written, so nothing is released.", "登记簿无法写入，故不予放行。"
        ),
        "GUARD-LEDGER": _own("The consent ledger cannot be used.", "同意台账不可用。"),
        "GUARD-CONSENT": _own(
            "The consent record is not one that the ledger can keep.", "同意记录不合规范，台账不予收录。"
        ),
        "GUARD-CONSENT-WITHDRAWN": _own(
            "The person withdrew after this consent was given.", "本人在作出该同意之后已经撤回。"
        ),
        "GUARD-NOTICE": _own(
            "This version of the notice is known to say something else.", "该版本告知书的内容与已登记的不一致。"
        ),
        "GUARD-RENEWAL": _own("This is no renewal of that consent.", "该记录不构成对原同意的续期。"),
        "GUARD-VERDICT": _own("The policy's verdict goes beyond the consent.", "策略的裁定超出了同意的范围。"),
        "GUARD-REGISTER-KEY": _own("The key of the register cannot be used.", "登记簿的密钥不可用。"),
        "GUARD-ROUTE": _own(
            "The way that the request took is not the one that was declared.", "请求实际经过的路由与声明的不符。"
        ),
        "GUARD-ACTOR": _own("Nobody is known to act.", "无法确认操作人。"),
        "GUARD-REQUEST": _own("The request can be read in two ways.", "请求存在不止一种解读。"),
        "GUARD-RESPONSE": _own("The answer is not one that guard can guarantee.", "无法保证该响应的安全。"),
        "GUARD-BODY": _own("The body cannot be read in one way only.", "正文不合规范，或者存在不止一种解读。"),
        "GUARD-BODY-SIZE": _own("The body is larger than its bound.", "正文超过大小上限。"),
        "GUARD-SUBJECT": _own("This is not a valid subject key.", "主体标识无效。"),
    }
)

OWN: Final = Messages()
"""The guard's own refusals, without those of any policy."""
