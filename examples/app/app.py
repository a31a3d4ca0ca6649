"""The bank's web application: plain FastAPI and SQLAlchemy, which knows nothing of guard. See guard.diff.

$ python make.py && uvicorn app:app
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException
from pydantic import BaseModel
from sqlalchemy import create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from starlette.authentication import AuthCredentials, AuthenticationBackend
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.requests import HTTPConnection, Request

HERE = Path(__file__).parent
BANK = HERE.parent / "bank"

engine = create_engine(f"sqlite:///{BANK / 'bank.db'}")
app = FastAPI(title="Bank")


# --- Who is signed in ---------------------------------------------------------------------------


@dataclass(frozen=True)
class User:
    id: str
    roles: tuple[str, ...] = ()
    unit: str | None = None


USERS = {  # instead of your identity provider
    "lin": User("officer-lin", ("loan_officer",), "branch-3"),
    "chen": User("officer-chen", ("loan_officer",), "branch-3"),
    "customer-1002": User("1002"),
}


class Tokens(AuthenticationBackend):
    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, Any]:
        user = USERS.get(conn.headers.get("authorization", "").removeprefix("Bearer "))
        return AuthCredentials(["signed-in"] if user else []), user or User("anonymous")


app.add_middleware(AuthenticationMiddleware, backend=Tokens())


def signed_in(request: Request) -> None:
    if "signed-in" not in request.auth.scopes:
        raise HTTPException(401)


SIGNED_IN = [Depends(signed_in)]


# --- What the bank has --------------------------------------------------------------------------


class Base(DeclarativeBase):
    pass


class Customer(Base):
    __tablename__ = "customer"

    customer_id: Mapped[int] = mapped_column(primary_key=True)
    full_name: Mapped[str]
    mobile: Mapped[str]


class Application(Base):
    __tablename__ = "application"

    application_id: Mapped[int] = mapped_column(primary_key=True)
    customer_id: Mapped[int]
    full_name: Mapped[str]
    id_number: Mapped[str]
    mobile: Mapped[str]
    loan_purpose: Mapped[str]
    credit_amount: Mapped[int]
    outcome: Mapped[str]
    personal_status_and_sex: Mapped[str]


class Case(Base):
    __tablename__ = "loan_case"

    case_id: Mapped[int] = mapped_column(primary_key=True)
    customer_id: Mapped[int]
    officer_id: Mapped[str]
    status: Mapped[str]
    opened_on: Mapped[str]


class Branch(Base):
    __tablename__ = "branch"

    branch_id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    city: Mapped[str]


def session() -> Iterator[Session]:
    with Session(engine) as opened:
        yield opened


Database = Annotated[Session, Depends(session)]


# --- What it offers -----------------------------------------------------------------------------


class Form(BaseModel):
    """What an applicant sends."""

    customer_id: int
    monthly_income: int
    loan_purpose: str
    credit_amount: int
    foreign_worker: bool = False


def shown(one: Application) -> dict[str, Any]:
    """One application as it goes out."""
    return {
        "customer_id": one.customer_id,
        "full_name": one.full_name,
        "id_number": one.id_number,
        "mobile": one.mobile,
        "loan_purpose": one.loan_purpose,
        "credit_amount": one.credit_amount,
        "outcome": one.outcome,
        "personal_status_and_sex": one.personal_status_and_sex,
    }


@app.get("/branches")
def branches(database: Database) -> list[dict[str, str]]:
    found = database.scalars(select(Branch).order_by(Branch.branch_id))
    return [{"name": one.name, "city": one.city} for one in found]


@app.get("/applications", dependencies=SIGNED_IN)
def applications(database: Database, limit: int = 10) -> list[dict[str, Any]]:
    found = database.scalars(select(Application).order_by(Application.customer_id).limit(limit))
    return [shown(one) for one in found]


@app.get("/applications/{customer_id}", dependencies=SIGNED_IN)
def application(database: Database, customer_id: int) -> dict[str, Any]:
    one = database.scalars(select(Application).where(Application.customer_id == customer_id)).first()
    if one is None:
        raise HTTPException(404)
    return shown(one)


@app.post("/applications", status_code=204, dependencies=SIGNED_IN)
def submit(database: Database, form: Form) -> None:
    close = form.foreign_worker or form.credit_amount > 12 * form.monthly_income
    officer = "officer-wu" if close else "officer-lin"  # some get a closer look
    today = datetime.now(UTC).date().isoformat()
    database.add(Case(customer_id=form.customer_id, officer_id=officer, status="open", opened_on=today))
    database.commit()


@app.get("/export", dependencies=SIGNED_IN)
def export(database: Database) -> list[dict[str, Any]]:
    found = database.execute(select(Customer.customer_id, Customer.full_name, Customer.mobile))
    return [{"customer_id": number, "full_name": name, "mobile": mobile} for number, name, mobile in found]
