"""The tables of the consent ledger. They stand beside the tables that they guard.

Text keys compare byte by byte (SQLite's BINARY collation), times are UTC integer seconds, booleans are 0
and 1. A grant is one row for one purpose; all grants of a consent share one scope, which lists the covered
pairs of operation and category and never changes once it is written.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Column, Index, Integer, LargeBinary, MetaData, Table, Text

FORMAT: Final = "1"
"""The version of this layout, kept in `guard_meta`; a ledger of another format is refused."""

EVERY: Final = "*"
"""The recipient of a withdrawal that is meant for all of them."""

metadata: Final = MetaData()
persons_metadata: Final = MetaData()

meta: Final = Table(
    "guard_meta",
    metadata,
    Column("key", Text, primary_key=True, nullable=False),
    Column("value", Text, nullable=False),
)
"""`format`; `instance`, the random id of this ledger; `sequence`, which grows with every change."""

consent: Final = Table(
    "guard_consent",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("consent_id", Text, nullable=False, unique=True),
    Column("subject", Text, nullable=False, index=True),
    Column("record", Text, nullable=False),
    Column("recorder", Text, nullable=False),
    Column("evidence", Text),
    Column("valid", Integer, nullable=False),
    Column("verdict", Text, nullable=False),
    Column("judged", Text, nullable=False),
    Column("recorded_at", Integer, nullable=False),
    Column("withdrawn_at", Integer),
    sqlite_autoincrement=True,
)
"""Every consent that was recorded, with the policies' verdict of that time: valid or not."""

scope: Final = Table(
    "guard_scope",
    metadata,
    Column("scope", Integer, primary_key=True, autoincrement=False),
    Column("operation", Text, primary_key=True),
    Column("category", Text, primary_key=True),
)

grant: Final = Table(
    "guard_grant",
    metadata,
    Column("grant_id", Integer, primary_key=True, autoincrement=True),
    Column("consent_id", Text, nullable=False, index=True),
    Column("subject", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("recipient", Text, nullable=False),
    Column("scope", Integer, nullable=False),
    Column("basis", Text, nullable=False),
    Column("separate", Integer, nullable=False),
    Column("written", Integer, nullable=False),
    Column("assurance", Integer, nullable=False),
    Column("recorder", Text, nullable=False),
    Column("valid_from", Integer, nullable=False),
    Column("valid_until", Integer, nullable=False),
    Column("withdrawn_at", Integer),
    Column("judged", Text, nullable=False),
    Column("evidence", Text),
    # By release too: a grant judged by rules of the past must not lie in the way of every statement.
    Index(
        "guard_grant_asked",
        *("subject", "purpose", "recipient", "judged"),
        *("withdrawn_at", "valid_until", "valid_from", "recorder", "scope", "separate", "written", "assurance"),
    ),
    sqlite_autoincrement=True,
)
"""What a valid consent makes lawful. `recipient` '' is the holder; `assurance` 0 asserted, 1 observed, 2 proved."""

withdrawal: Final = Table(
    "guard_withdrawal",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("subject", Text, nullable=False, index=True),
    Column("purpose", Text, nullable=False),
    Column("recipient", Text, nullable=False),
    Column("at", Integer, nullable=False),
    Column("recorded_at", Integer, nullable=False),
    sqlite_autoincrement=True,
)
"""Every withdrawal, whether it ended a grant or not: an older consent that arrives later must find it.
Rows are never deleted. `at` is when the person withdrew, `recorded_at` when that was made known here; consents
given up to the later of the two are void. `purpose` '' and `recipient` '*' stand for all."""

review: Final = Table(
    "guard_review",
    metadata,
    Column("review_id", Text, primary_key=True, nullable=False),
    Column("digest", Text, nullable=False),
    Column("sealed", Text, nullable=False),
    Column("requester", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("by_role", Text, nullable=False),
    Column("cap", Integer, nullable=False),
    Column("status", Text, nullable=False, index=True),
    Column("approver", Text),
    Column("held_at", Integer, nullable=False),
    Column("settled_at", Integer),
)
"""What waits for another person. `status` is held, approved, consumed or rejected and only moves forward;
`digest` is what an approval is bound to, `cap` how many persons it reaches at most; `by_role` and `approver` are
JSON: the roles that have to approve, and for each role who did."""

person: Final = Table(
    "guard_person",
    persons_metadata,
    Column("subject", Text, primary_key=True, nullable=False),
    Column("key", LargeBinary, nullable=False),
)
"""The random key under which the register names a person. Destroying it is what erasure does to the register."""
