"""The bank's application: plain SQLAlchemy, which knows nothing of guard. See guarded.py."""

from __future__ import annotations

from sqlalchemy import ForeignKey, select, update
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship


class Base(DeclarativeBase):
    pass


class Customer(Base):
    __tablename__ = "customer"

    customer_id: Mapped[int] = mapped_column(primary_key=True)
    full_name: Mapped[str]
    id_number: Mapped[str]
    mobile: Mapped[str]
    employer: Mapped[str | None]
    monthly_income: Mapped[int | None]
    cases: Mapped[list[Case]] = relationship(back_populates="customer")


class Case(Base):
    __tablename__ = "loan_case"

    case_id: Mapped[int] = mapped_column(primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.customer_id"))
    officer_id: Mapped[str]
    status: Mapped[str]
    customer: Mapped[Customer] = relationship(back_populates="cases")


class Application(Base):
    __tablename__ = "application"

    application_id: Mapped[int] = mapped_column(primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.customer_id"))
    loan_purpose: Mapped[str | None]
    credit_amount: Mapped[int | None]
    outcome: Mapped[str | None]


class Branch(Base):
    __tablename__ = "branch"

    branch_id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    city: Mapped[str]


def branches(session: Session) -> list[str]:
    """Names of the branches: no personal data."""
    return list(session.scalars(select(Branch.name).order_by(Branch.branch_id)))


def applicant(session: Session, customer_id: int) -> Customer | None:
    """One customer."""
    return session.get(Customer, customer_id)


def open_cases(session: Session, limit: int = 5) -> list[tuple[int, str, str]]:
    """Open cases with whom they are about: case, name, identity number."""
    query = (
        select(Case.case_id, Customer.full_name, Customer.id_number)
        .join(Case.customer)
        .where(Case.status == "open")
        .order_by(Case.case_id)
        .limit(limit)
    )
    return [(number, name, identity) for number, name, identity in session.execute(query)]


def record_decision(session: Session, customer_id: int, outcome: str) -> None:
    """What became of a customer's application."""
    session.execute(update(Application).where(Application.customer_id == customer_id).values(outcome=outcome))
    session.commit()


def export(session: Session) -> list[tuple[str, str]]:
    """Every customer's name and telephone number."""
    return [(name, mobile) for name, mobile in session.execute(select(Customer.full_name, Customer.mobile))]
