"""What the page's form says: read strictly, since any program can send one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl

import msgspec

from guard.demo.page.choices import ACTORS, CONSENTS, NOBODY, PERSONS, PURPOSES, ROUTES, STATEMENTS
from guard_explain import Lang

LONGEST: Final = 65_536
"""The longest form (bytes)."""

REVIEWS: Final = frozenset({"see", "approve", "reject", "again"})
"""What is done about a review: `approve:ID`."""

LOOK: Final = "look"
"""Nothing is done: the page is shown in another language."""

_FIELDS: Final = frozenset({"token", "lang", "actor", "purpose", "person", "sql", "do"})
_ID_LENGTH: Final = 16


class NotAForm(ValueError):
    """The request is not what the page sends; the text says why."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """Who does what, for which purpose, about whom; every choice is one that the page offers."""

    lang: Lang = "en"
    actor: str = "officer-lin"
    purpose: str = "loan_underwriting"
    person: str = "1001"
    sql: str = ""
    do: str = ""
    review: str = ""


def read(body: bytes) -> Mapping[str, str]:
    """The fields of an urlencoded form, each of them once; else NotAForm."""
    try:
        pairs = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=True,
            encoding="utf-8",
            errors="strict",
            max_num_fields=len(_FIELDS),
        )
    except ValueError:
        raise NotAForm("The form cannot be read.") from None
    fields = dict(pairs)
    if len(fields) < len(pairs) or not fields.keys() <= _FIELDS:
        raise NotAForm("The form has a field twice, or one that the page does not have.")
    return fields


def asked(fields: Mapping[str, str]) -> Asked:
    """What the fields say; NotAForm for a choice that the page does not offer."""
    do, _, review = fields.get("do", "").partition(":")
    one = Asked(
        # To look at the page again is to look at it in the other language.
        lang="zh" if (fields.get("lang") == "zh") is not (do == LOOK) else "en",
        actor=_of(ACTORS, fields.get("actor")),
        purpose=_of(PURPOSES, fields.get("purpose", NOBODY)),
        person=_of(PERSONS, fields.get("person", NOBODY)),
        sql=fields.get("sql", "").replace("\r\n", "\n").strip(),
        do=do,
        review=review,
    )
    if do in REVIEWS:
        if len(review) != _ID_LENGTH or not review.isascii() or not review.isalnum():
            raise NotAForm("That is no review.")
    elif review or do not in {LOOK, "sql", "withdraw", *STATEMENTS, *ROUTES, *CONSENTS}:
        raise NotAForm("The page has no such button.")
    return one


def _of(choices: Mapping[str, object], chosen: str | None) -> str:
    if chosen is None or chosen not in choices:
        raise NotAForm("The page does not offer this choice.")
    return chosen
