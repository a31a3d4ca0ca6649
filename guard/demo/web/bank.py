"""The bank's web application as a program that knows nothing of guard: Starlette, DB-API, and its own SQL.

GET  /branches                      where the bank is
GET  /applications                  the first applications
GET  /applications/{customer_id}    one application
POST /applications                  an applicant hands one in: a case is opened for it
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

Connect: TypeAlias = Callable[[], Any]
"""Opens a DB-API connection to the bank's database."""

_COLUMNS: Final = ("customer_id", "full_name", "id_number", "mobile", "loan_purpose", "credit_amount", "outcome")
_MOST: Final = 10


def program(connect: Connect, mark: str = "?") -> Starlette:
    """The application; `mark` is how the driver writes a parameter."""
    bank = Bank(connect, mark)
    return Starlette(
        routes=[
            Route("/branches", bank.branches),
            Route("/applications", bank.applications),
            Route("/applications", bank.submit, methods=["POST"]),
            Route("/applications/{customer_id:int}", bank.application),
        ]
    )


class Bank:
    """The endpoints."""

    def __init__(self, connect: Connect, mark: str) -> None:
        self._connect = connect
        self._mark = mark

    def branches(self, _: Request) -> Response:
        """Names and cities."""
        found = self._read("SELECT name, city FROM branch ORDER BY branch_id")
        return JSONResponse([dict(zip(("name", "city"), row, strict=True)) for row in found])

    def applications(self, _: Request) -> Response:
        """The first of them."""
        found = self._read(f"SELECT {', '.join(_COLUMNS)} FROM application ORDER BY application_id LIMIT {_MOST}")  # noqa: S608 -- constants
        return JSONResponse([_shown(row) for row in found])

    def application(self, request: Request) -> Response:
        """One of them."""
        asked = f"SELECT {', '.join(_COLUMNS)} FROM application WHERE customer_id = ?"  # noqa: S608 -- constants
        found = self._read(asked, (request.path_params["customer_id"],))
        if not found:
            raise HTTPException(404)
        return JSONResponse(_shown(found[0]))

    async def submit(self, request: Request) -> Response:
        """Opens a case."""
        form = await request.json()
        await run_in_threadpool(self._open_case, int(form["customer_id"]))
        return Response(status_code=204)

    def _open_case(self, customer_id: int) -> None:
        today = datetime.now(UTC).date().isoformat()
        asked = "INSERT INTO loan_case (customer_id, officer_id, status, opened_on) VALUES (?, ?, 'open', ?)"
        with closing(self._connect()) as connection:
            connection.execute(self._text(asked), (customer_id, "officer-wu", today))
            connection.commit()

    def _read(self, sql: str, parameters: Sequence[Any] = ()) -> list[Any]:
        with closing(self._connect()) as connection:
            found: list[Any] = connection.execute(self._text(sql), parameters).fetchall()
            return found

    def _text(self, sql: str) -> str:
        return sql.replace("?", self._mark)


def _shown(row: Sequence[Any]) -> dict[str, Any]:
    return dict(zip(_COLUMNS, row, strict=True))
