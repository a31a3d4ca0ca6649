"""The bank's tables, on either database. Their columns stand in the order of the catalogue: so does `*` expand."""

from __future__ import annotations

from typing import Final

from sqlalchemy import CheckConstraint, Column, ForeignKey, Identity, Index, Integer, MetaData, Table, Text, false

from guard.demo.schema import DAY, FLAG

metadata: Final = MetaData()

customer: Final = Table(
    "customer",
    metadata,
    Column("customer_id", Integer, Identity(), primary_key=True),
    Column("full_name", Text, nullable=False),
    Column("id_number", Text, nullable=False, unique=True),
    Column("id_valid_to", DAY, nullable=False),
    Column("birth_date", DAY, nullable=False),
    Column("mobile", Text, nullable=False),
    Column("home_address", Text, nullable=False),
    Column("employer", Text),
    Column("monthly_income", Integer),
    Column("frozen_flag", FLAG, nullable=False, server_default=false()),
)

application: Final = Table(
    "application",
    metadata,
    Column("application_id", Integer, Identity(), primary_key=True),
    Column("customer_id", Integer, ForeignKey("customer.customer_id"), nullable=False),
    Column("full_name", Text, nullable=False),
    Column("id_number", Text, nullable=False),
    Column("birth_date", DAY, nullable=False),
    Column("mobile", Text, nullable=False),
    Column("home_address", Text, nullable=False),
    Column("status_of_existing_checking_account", Text, nullable=False),
    Column("duration_in_month", Integer, nullable=False),
    Column("credit_history", Text, nullable=False),
    Column("loan_purpose", Text, nullable=False),
    Column("credit_amount", Integer, nullable=False),
    Column("savings_account_and_bonds", Text, nullable=False),
    Column("present_employment_since", Text, nullable=False),
    Column("installment_rate_in_percentage_of_disposable_income", Integer, nullable=False),
    Column("personal_status_and_sex", Text, nullable=False),
    Column("other_debtors_or_guarantors", Text, nullable=False),
    Column("present_residence_since", Integer, nullable=False),
    Column("property", Text, nullable=False),
    Column("age_in_years", Integer, nullable=False),
    Column("other_installment_plans", Text, nullable=False),
    Column("housing", Text, nullable=False),
    Column("number_of_existing_credits_at_this_bank", Integer, nullable=False),
    Column("job", Text, nullable=False),
    Column("number_of_people_being_liable_to_provide_maintenance_for", Integer, nullable=False),
    Column("telephone", Text, nullable=False),
    Column("foreign_worker", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("applied_on", DAY, nullable=False),
    Column("frozen_flag", FLAG, nullable=False, server_default=false()),
    Index("application_customer", "customer_id"),
)

loan_case: Final = Table(
    "loan_case",
    metadata,
    Column("case_id", Integer, Identity(), primary_key=True),
    Column("customer_id", Integer, ForeignKey("customer.customer_id"), nullable=False),
    Column("officer_id", Text, nullable=False),
    Column("status", Text, CheckConstraint("status IN ('open', 'closed')"), nullable=False),
    Column("opened_on", DAY, nullable=False),
    Index("loan_case_customer", "customer_id", "officer_id", "status"),
)

loan: Final = Table(
    "loan",
    metadata,
    Column("loan_id", Integer, Identity(), primary_key=True),
    Column("customer_id", Integer, ForeignKey("customer.customer_id"), nullable=False),
    Column("guarantor_id", Integer, ForeignKey("customer.customer_id")),
    Column("principal", Integer, nullable=False),
    Column("status", Text, nullable=False),
    Column("overdue_days", Integer, nullable=False),
    Column("overdue_ended_at", DAY),
    Index("loan_customer", "customer_id"),
    Index("loan_guarantor", "guarantor_id"),
)

branch: Final = Table(
    "branch",
    metadata,
    Column("branch_id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("city", Text, nullable=False),
)
