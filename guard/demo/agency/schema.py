"""The agency's tables, on either database. Their columns stand in the order of the catalogue: so does `*` expand."""

from __future__ import annotations

from typing import Final

from sqlalchemy import CheckConstraint, Column, ForeignKey, Identity, Index, Integer, MetaData, Table, Text, false

from guard.demo.schema import DAY, FLAG

metadata: Final = MetaData()

person: Final = Table(
    "person",
    metadata,
    Column("person_id", Text, primary_key=True),
    Column("full_name", Text, nullable=False),
    Column("id_number", Text, nullable=False, unique=True),
    Column("birth_date", DAY, nullable=False),
    Column("mobile", Text, nullable=False),
    Column("home_address", Text, nullable=False),
    Column("religion", Text),
    Column("blood_type", Text),
    Column("frozen_flag", FLAG, nullable=False, server_default=false()),
)

wealth: Final = Table(
    "wealth",
    metadata,
    Column("person_id", Text, ForeignKey("person.person_id"), primary_key=True),
    Column("monthly_income", Integer, nullable=False),
    Column("deposit_balance", Integer, nullable=False),
)

credit_line: Final = Table(
    "credit_line",
    metadata,
    Column("line_id", Integer, Identity(), primary_key=True),
    Column("person_id", Text, ForeignKey("person.person_id"), nullable=False),
    Column("institution", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("balance", Integer, nullable=False),
    Column("status", Text, nullable=False),
    Column("overdue_days", Integer, nullable=False),
    Column("overdue_ended_on", DAY),
    Index("credit_line_person", "person_id"),
)

inquiry_case: Final = Table(
    "inquiry_case",
    metadata,
    Column("case_id", Integer, Identity(), primary_key=True),
    Column("person_id", Text, ForeignKey("person.person_id"), nullable=False),
    Column("officer_id", Text, nullable=False),
    Column("reason_code", Text, nullable=False),
    Column("status", Text, CheckConstraint("status IN ('open', 'closed')"), nullable=False),
    Column("opened_on", DAY, nullable=False),
    Index("inquiry_case_person", "person_id", "officer_id", "status"),
)
