"""The tables of the consent ledger. They stand beside the tables that they guard.

Text keys compare byte by byte (SQLite's BINARY collation, PostgreSQL's "C"), times are UTC integer seconds,
booleans are 0 and 1. A grant is one row for one purpose; all grants of a consent share one scope, which lists
the covered pairs of operation and category and never changes once it is written. On PostgreSQL they lie in the
schema `guard`.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, MetaData, Table, Text

FORMAT: Final = "1"
"""The version of this layout, kept in `guard_meta`; a ledger of another format is refused."""

_TEXT: Final = Text().with_variant(Text(collation="C"), "postgresql")
_LONG: Final = BigInteger().with_variant(Integer, "sqlite")
"""64 bits on both: times reach beyond 2038, and numbers are never given out twice."""

metadata: Final = MetaData()
persons_metadata: Final = MetaData()

meta: Final = Table(
    "guard_meta",
    metadata,
    Column("key", _TEXT, primary_key=True, nullable=False),
    Column("value", _TEXT, nullable=False),
)
"""`format`; `instance`, the random id of this ledger; `sequence`, which grows with every change."""

consent: Final = Table(
    "guard_consent",
    metadata,
    Column("seq", _LONG, primary_key=True, autoincrement=True),
    Column("consent_id", _TEXT, nullable=False, unique=True),
    Column("subject", _TEXT, nullable=False, index=True),
    Column("record", _TEXT, nullable=False),
    Column("recorder", _TEXT, nullable=False),
    Column("evidence", _TEXT),
    Column("valid", Integer, nullable=False),
    Column("verdict", _TEXT, nullable=False),
    Column("judged", _TEXT, nullable=False),
    Column("recorded_at", _LONG, nullable=False),
    Column("withdrawn_at", _LONG),
    sqlite_autoincrement=True,
)
"""Every consent that was recorded, with the policies' verdict of that time: valid or not."""

scope: Final = Table(
    "guard_scope",
    metadata,
    Column("scope", Integer, primary_key=True, autoincrement=False),
    Column("operation", _TEXT, primary_key=True),
    Column("category", _TEXT, primary_key=True),
)

grant: Final = Table(
    "guard_grant",
    metadata,
    Column("grant_id", _LONG, primary_key=True, autoincrement=True),
    Column("consent_id", _TEXT, nullable=False, index=True),
    Column("subject", _TEXT, nullable=False),
    Column("purpose", _TEXT, nullable=False),
    Column("recipient", _TEXT, nullable=False),
    Column("scope", Integer, nullable=False),
    Column("basis", _TEXT, nullable=False),
    Column("separate", Integer, nullable=False),
    Column("written", Integer, nullable=False),
    Column("assurance", Integer, nullable=False),
    Column("recorder", _TEXT, nullable=False),
    Column("valid_from", _LONG, nullable=False),
    Column("valid_until", _LONG, nullable=False),
    Column("withdrawn_at", _LONG),
    Column("judged", _TEXT, nullable=False),
    Column("evidence", _TEXT),
    # By release too: a grant judged by rules of the past must not lie in the way of every statement.
    Index(
        "guard_grant_asked",
        *("subject", "purpose", "recipient", "judged"),
        *("withdrawn_at", "valid_until", "valid_from", "recorder", "scope", "separate", "written", "assurance"),
        "basis",
    ),
    sqlite_autoincrement=True,
)
"""What a valid consent makes lawful. `recipient` '' is the holder; `assurance` 0 asserted, 1 observed, 2 proved."""

withdrawal: Final = Table(
    "guard_withdrawal",
    metadata,
    Column("seq", _LONG, primary_key=True, autoincrement=True),
    Column("subject", _TEXT, nullable=False, index=True),
    Column("purpose", _TEXT, nullable=False),
    Column("recipient", _TEXT, nullable=False),
    Column("at", _LONG, nullable=False),
    Column("recorded_at", _LONG, nullable=False),
    sqlite_autoincrement=True,
)
"""Every withdrawal, whether it ended a grant or not: an older consent that arrives later must find it.
Rows are never deleted. `at` is when the person withdrew, `recorded_at` when that was made known here; consents
given up to the later of the two are void. `purpose` '' and `recipient` '*' stand for all."""

notice: Final = Table(
    "guard_notice",
    metadata,
    Column("notice_id", _TEXT, primary_key=True, nullable=False),
    Column("version", _TEXT, primary_key=True, nullable=False),
    Column("digest", _TEXT, nullable=False),
    Column("recorded_at", _LONG, nullable=False),
)
"""What each version of a notice said, by its digest; a row never changes."""

renewal: Final = Table(
    "guard_renewal",
    metadata,
    Column("consent_id", _TEXT, primary_key=True, nullable=False),
    Column("renews", _TEXT, nullable=False, unique=True),
)
"""Which consent took the place of which."""

review: Final = Table(
    "guard_review",
    metadata,
    Column("review_id", _TEXT, primary_key=True, nullable=False),
    Column("digest", _TEXT, nullable=False),
    Column("sealed", _TEXT, nullable=False),
    Column("requester", _TEXT, nullable=False),
    Column("purpose", _TEXT, nullable=False),
    Column("by_role", _TEXT, nullable=False),
    Column("cap", Integer, nullable=False),
    Column("status", _TEXT, nullable=False, index=True),
    Column("approver", _TEXT),
    Column("held_at", _LONG, nullable=False),
    Column("settled_at", _LONG),
)
"""What waits for another person. `status` is held, approved, consumed, rejected or withdrawn and only moves
forward; `settled_at` is when it came to it, so that of an approval tells how old this is;
`digest` is what an approval is bound to, `cap` how many persons it reaches at most; `by_role` and `approver` are
JSON: the roles that have to approve, and who did, each with the roles of these that this person has."""

person: Final = Table(
    "guard_person",
    persons_metadata,
    Column("subject", _TEXT, primary_key=True, nullable=False),
    Column("key", LargeBinary, nullable=False),
)
"""The random key under which the register names a person. Destroying it is what erasure does to the register."""
