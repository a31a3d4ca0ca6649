"""What an answer looks like tells nothing of what was left out of it: white space, order of keys, headers, length."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from asgi_world import GUARDED, ONE, PURPOSE, SOURCE, as_lin, consented, deciding, documents, get, lawful, written
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from guard import Activity, Guard
from guard.testing import allow_all
from guard_asgi import GuardMiddleware

__all__ = ["consented", "documents", "lawful"]

ALL = {"purpose": PURPOSE, "source": SOURCE}
LISTED = {**ALL, "response": {"records": "/items"}}
FULL = {
    "full_name": "Li Na",
    "id_number": "110101199001011234",
    "mobile": "13800000000",
    "loan_purpose": "car",
    "credit_amount": 5,
    "outcome": "paid",
}
WRITES: list[Callable[[Any], str]] = [json.dumps, lambda value: json.dumps(value, separators=(",", ":"))]
writes = pytest.mark.parametrize("dump", WRITES, ids=["spaced", "compact"])


def answers(guard: Guard, folder: Path, said: dict[str, Any], path: str, bodies: list[str]) -> list[Any]:
    """All that a client sees of each of these answers of the program, but for how much of it is body."""
    going = iter(bodies)

    async def endpoint(_: Any) -> Response:
        return Response(next(going), media_type="application/json", headers={"etag": "x", "x-foo": "1"})

    (route,) = said
    app = Starlette(routes=[Route(route.removeprefix("GET "), endpoint, methods=["GET"])])
    app.add_middleware(GuardMiddleware, guard=guard, identify=as_lin, routes=written(folder, said))
    return [get(app, path).whole for _ in bodies]


@writes
def test_a_person_who_is_hidden_is_as_one_who_is_not_there(lawful: Guard, tmp_path: Path, dump: Any) -> None:
    lists: list[list[Any]] = [[], [{**FULL, "customer_id": 1005}], [{**FULL, "customer_id": 1004}]]
    seen = answers(lawful, tmp_path, {"GET /all": LISTED}, "/all", [dump({"items": one}) for one in lists])
    assert seen[0] == seen[1] == seen[2]


@writes
def test_a_field_that_is_never_given_is_as_one_that_is_not_there(consented: Path, tmp_path: Path, dump: Any) -> None:
    shutil.copytree(consented, tmp_path, dirs_exist_ok=True)
    catalogue, last = tmp_path / "catalogue.yaml", "      /outcome: {category: loan}\n"
    text = catalogue.read_text("utf-8")
    assert last in text
    catalogue.write_text(text.replace(last, last + "      /religion: {category: religion}\n"), "utf-8")
    person = {"full_name": "Li Na", "customer_id": 1002}
    bodies = [dump(person), dump({**person, "religion": "x"}), dump({**person, "religion": None})]
    with Guard.load(tmp_path / "guard.yaml") as guard:
        seen = answers(guard, tmp_path, {ONE: GUARDED}, "/applications/1002", bodies)
    assert b"Li Na" in repr(seen[0]).encode()
    assert seen[0] == seen[1] == seen[2]


def dropping(activity: Activity) -> dict[str, Any]:
    made = allow_all(activity)
    for fields in made["reads"].values():
        fields.pop("/id_number", None)
    return made


@writes
def test_where_all_rows_are_allowed_a_dropped_field_leaves_no_trace(documents: Path, tmp_path: Path, dump: Any) -> None:
    person = {"customer_id": 7, "full_name": "n"}  # as the catalogue has them
    bodies = [dump(person), dump({**person, "id_number": "110"}), dump({**person, "id_number": None})]
    with deciding(documents, tmp_path, dropping) as guard:
        seen = answers(guard, tmp_path, {"GET /all": ALL}, "/all", bodies)
    assert seen[0] == seen[1] == seen[2]


@writes
def test_where_nothing_could_be_left_out_an_answer_is_as_it_came(documents: Path, tmp_path: Path, dump: Any) -> None:
    body = dump({"full_name": "n", "customer_id": 7})
    with deciding(documents, tmp_path, allow_all) as guard:
        (seen,) = answers(guard, tmp_path, {"GET /all": ALL}, "/all", [body])
    assert body.encode() in repr(seen).encode()
    assert "x-foo" in repr(seen)


@writes
def test_an_element_about_somebody_else_leaves_no_trace(documents: Path, tmp_path: Path, dump: Any) -> None:
    mine, other = {**FULL, "customer_id": 7}, {**FULL, "customer_id": 8}
    with deciding(documents, tmp_path, allow_all) as guard:
        lists = [dump([mine]), dump([mine, other])]
        seen = answers(guard, tmp_path, {ONE: GUARDED}, "/applications/7", lists)
    assert seen[0] == seen[1]
    assert "Li Na" in repr(seen[0])
