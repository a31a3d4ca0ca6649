"""What the page lets one choose: actors, purposes, persons, and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import msgspec

from guard.demo import people
from guard.model import Actor
from guard_explain import Lang

NOBODY: Final = ""
"""The choice of no purpose, and of no person."""

OWN: Final = "page-"
"""What the ids of the consents that are recorded here begin with."""

WITHDRAWN: Final = "1005"
"""Who had withdrawn before the bank opened."""


class Words(msgspec.Struct, frozen=True):
    """A text in both languages."""

    en: str
    zh: str

    def __getitem__(self, lang: Lang) -> str:
        return self.zh if lang == "zh" else self.en


class Who(msgspec.Struct, frozen=True):
    """An actor, what they are called, and what one has to know of them. `own`: what they ask for goes to themselves."""

    actor: Actor
    name: Words
    note: Words | None = None
    own: bool = False


_ACTORS: Final = (
    Who(people.LIN, Words("Lin, loan officer", "林，信贷员"), Words("has the case", "经办此案")),
    Who(people.CHEN, Words("Chen, loan officer", "陈，信贷员"), Words("a colleague", "同事，不经办")),
    Who(people.FANG, Words("Fang, marketing", "方，营销人员")),
    Who(people.DPO, Words("He, data protection officer", "何，个人信息保护负责人")),
    Who(
        Actor(id="aml-sun", roles=("aml_officer",), unit="head-office"),
        Words("Sun, anti-money laundering", "孙，反洗钱专员"),
    ),
    Who(
        Actor(id=people.APPLICANT), Words("Customer 1001", "客户 1001"), Words("the applicant", "申请人本人"), own=True
    ),
)
ACTORS: Final[Mapping[str, Who]] = MappingProxyType({one.actor.id: one for one in _ACTORS})

FORM: Final = Who(people.FORM, Words("The bank's consent form", "本行同意书"))
"""The form on which persons consent and withdraw: it observes them, so that it is not an officer's word."""

PURPOSES: Final[Mapping[str, Words]] = MappingProxyType(
    {
        "loan_underwriting": Words("Loan underwriting", "贷款审批"),
        "post_loan_management": Words("Post-loan management", "贷后管理"),
        "financial_advice": Words("Financial advice (the bank's own purpose)", "理财建议（本行自定目的）"),
        "marketing": Words("Marketing", "营销"),
        "aml_duty": Words("Anti-money laundering duty", "反洗钱义务"),
        "own_record_access": Words("Access to one's own data", "查询本人信息"),
        "publication": Words("Publication", "公开"),
        NOBODY: Words("None stated", "未声明"),
    }
)

PERSONS: Final[Mapping[str, Words]] = MappingProxyType(
    {
        "1001": Words("all but ID number", "已同意，不含身份证号"),
        "1002": Words("all, ID number too", "全部同意，含身份证号"),
        "1003": Words("all, but frozen", "已同意，但记录已冻结"),
        "1004": Words("all; Chen's case", "已同意；由陈经办"),
        "1005": Words("withdrew", "已撤回同意"),
        "1006": Words("never consented", "从未同意"),
        "1007": Words("for marketing only", "仅同意营销"),
        "1008": Words("all, as Lin says", "据林称已同意"),
        "1009": Words("consent expired", "曾同意，已过期"),
        "1010": Words("all; case closed", "已同意；案件已结"),
        "1011": Words("for life: void", "终身同意：无效"),
        "1012": Words("pre-ticked: void", "预先勾选：无效"),
        NOBODY: Words("Nobody in particular", "不特定"),
    }
)


class Statement(msgspec.Struct, frozen=True):
    """A ready-made statement of the bank. `one`: it is about the chosen person, whose key is its parameter."""

    name: Words
    sql: str
    one: bool = False
    publish: bool = False


STATEMENTS: Final[Mapping[str, Statement]] = MappingProxyType(
    {
        "read-one": Statement(
            Words("The application", "该申请"),
            "SELECT full_name, id_number, mobile,\n       loan_purpose, credit_amount,\n       duration_in_month\n"
            "FROM application\nWHERE customer_id = ?",
            one=True,
        ),
        "read-all": Statement(
            Words("All applications", "全部申请"), "SELECT *\nFROM application\nORDER BY application_id"
        ),
        "count": Statement(
            Words("Count by purpose", "按用途统计"),
            "SELECT loan_purpose, COUNT(*) AS applications,\n       SUM(credit_amount) AS amount\n"
            "FROM application\nGROUP BY loan_purpose\nORDER BY loan_purpose",
        ),
        "join": Statement(
            Words("Join with loans", "与贷款关联"),
            "SELECT a.full_name, a.credit_amount,\n       l.principal, l.status\nFROM application AS a\n"
            "JOIN loan AS l ON l.customer_id = a.customer_id\nORDER BY l.loan_id",
        ),
        "export": Statement(
            Words("Export customers", "导出客户"),
            "SELECT customer_id, full_name, mobile\nFROM customer\nORDER BY customer_id",
        ),
        "publish": Statement(
            Words("Publish arrears", "公布欠款人"),
            "SELECT c.full_name, l.overdue_days\nFROM customer AS c\n"
            "JOIN loan AS l ON l.customer_id = c.customer_id\nWHERE l.overdue_days > 90",
            publish=True,
        ),
    }
)


class Route(msgspec.Struct, frozen=True):
    """A request to the bank's web application, and the purpose that its route declares. `form` is what is sent."""

    name: Words
    method: str
    path: str
    purpose: str = NOBODY
    one: bool = False
    form: Mapping[str, Any] | None = None


ROUTES: Final[Mapping[str, Route]] = MappingProxyType(
    {
        "web-one": Route(Words("GET one", "GET 一件"), "GET", "/applications/{}", "loan_underwriting", one=True),
        "web-all": Route(Words("GET many", "GET 多件"), "GET", "/applications", "loan_underwriting"),
        "web-post": Route(
            Words("POST a form", "POST 表单"),
            "POST",
            "/applications",
            "loan_underwriting",
            one=True,
            form={
                "full_name": "范岩",
                "mobile": "18659693900",
                "loan_purpose": "car (new)",
                "credit_amount": 2000,
                "duration_in_month": 12,
                "foreign_worker": False,
                "religion": "…",
            },
        ),
        "web-branches": Route(Words("GET branches", "GET 网点"), "GET", "/branches"),
    }
)
"""Of the form, one field is not for this purpose, and one is none that the bank declares."""

CONSENTS: Final[Mapping[str, Words]] = MappingProxyType(
    {
        "consent": Words("For a year", "一年期"),
        "consent-lifetime": Words("For life", "终身"),
        "consent-forced": Words("Else no service", "不同意则不服务"),
        "consent-bundled": Words("Bundled with others", "与其他目的捆绑"),
        "consent-asserted": Words("On the actor's word", "仅凭操作人陈述"),
    }
)
