"""A small bank whose records come from routes, on either database, behind policies that are a function of the test."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import pytest
from ledger_places import Place

from guard import drive, testing
from guard.context import Acting
from guard.errors import Refused, UnsafeWarning
from guard.model import Activity, Actor, Consent, Notice
from guard.records import DictRecords
from guard_ledger.consent_record import ConsentRecord

GET: Final = "bank:GET /applications/{customer_id}"
POST: Final = "bank:POST /applications"
TABLE: Final = "bank:retail.customer"
CASES: Final = "bank:retail.loan_case"
PURPOSE: Final = "loan_underwriting"
LIN: Final = Actor(id="officer-lin", roles=("loan_officer",), unit="branch-3")
CHEN: Final = Actor(id="officer-chen", roles=("loan_officer",), unit="branch-3")
DPO: Final = Actor(id="dpo-1", roles=("dpo",))

CATALOGUE: Final = """
version: "1"
sources:
  bank:retail.customer:
    subjects: {holder: customer_id}
    relations:
      assigned_case: {source: bank:retail.loan_case, subject: customer_id, actor: officer_id, where: {status: open}}
    facts: {frozen: frozen}
    fields:
      customer_id: {category: pseudonym, type: integer}
      full_name: {category: identity}
      id_number: {category: identity_number}
      frozen: {category: system, type: boolean}
  bank:retail.loan_case:
    subjects: {holder: customer_id}
    fields:
      customer_id: {category: pseudonym, type: integer}
      officer_id: {category: account_meta}
      status: {category: account_meta}
  bank:GET /applications/{customer_id}:
    subjects:
      holder: /customer_id
      guarantor: {column: "/guarantors/*/id", optional: true}
    relations:
      assigned_case: {source: bank:retail.loan_case, subject: customer_id, actor: officer_id, where: {status: open}}
    facts: {ended: /ended_on}
    fields:
      /customer_id: {category: pseudonym, type: integer}
      /full_name: {category: identity}
      /id_number: {category: identity_number}
      /loan/amount: {category: loan, type: integer}
      /ended_on: {category: adverse, type: date}
      "/guarantors/*/id": {category: pseudonym, type: integer}
      "/guarantors/*/name": {category: identity}
  bank:POST /applications:
    subjects: {holder: /customer_id}
    fields:
      /customer_id: {category: pseudonym, type: integer}
      /full_name: {category: identity}
      /religion: {category: religion}
      /income: {category: income, type: integer}
"""

GUARD: Final = """
version: 1
holder: bank
catalogue: catalogue.yaml
profile: profile.yaml
layers: {floor: builtin}
engine: {kind: embedded}
database: {url: "sqlite:///unused.db", schemas: {%s: retail}}
register: {directory: register, key_file: register.key}
"""

GRANT: Final = {"grant": {}, "rule": "OP-01"}
CASE: Final = {"relation": "assigned_case", "rule": "PI-02"}
SELF: Final = {"self": True, "rule": "OP-01"}
RECENT: Final = {"fact": "ended", "operator": "ge", "ago": "P5Y", "or_absent": True, "rule": "CR-05"}


def policy(
    *rows: Mapping[str, Any],
    writes: Mapping[str, str] | None = None,
    obligations: tuple[Mapping[str, Any], ...] = (),
    **reads: Mapping[str, Any],
) -> testing.Decide:
    """Everything is shown but what is named, by its last member; rows have to fulfil the conditions."""

    def decide(activity: Activity) -> dict[str, Any]:
        source = activity.items[0].source
        fields = [(item.field, item.role) for item in activity.items if item.field is not None]

        def last(field: str) -> str:
            return field.rpartition("/")[2]

        read = {field: reads.get(last(field), {"reveal": "always"}) for field, role in fields if role == "read"}
        written = {field: (writes or {}).get(last(field), "keep") for field, role in fields if role == "write"}
        strips = [field for field, what in written.items() if what == "strip"]
        return {
            "allow": True,
            "rows": {source: list(rows) or "all"},
            "reads": {source: read},
            "writes": {source: written},
            "obligations": list(obligations),
            "reasons": [{"rule": "PI-01", "field": [source, field], "remedy": {"omit": True}} for field in strips],
        }

    return decide


class Bank:
    """The guard, and what stands around it."""

    def __init__(self, guard: testing.UnsafeGuard, place: Place) -> None:
        self.guard = guard
        self.place = place
        self._consents = iter(range(1, 10_000))

    def acting(self, subject: str | None = None, actor: Actor = LIN, **more: Any) -> Acting:
        return self.guard.acting(actor, purpose=PURPOSE, subject=subject, **more)

    def records(self, *of: Mapping[str, Any], source: str = GET) -> DictRecords:
        return DictRecords(source, self.guard.active.catalogue.sources[source], of)

    def release(self, acting: Acting, *of: Mapping[str, Any], **more: Any) -> Any:
        given = {"text": "GET /applications/1?page=2", "parameters": None, **more}
        return drive.follow(self.guard.roads.release(acting, given.pop("source", GET), self.records(*of), **given))

    def collect(self, acting: Acting, *of: Mapping[str, Any]) -> Any:
        made = self.records(*of, source=POST)
        return drive.follow(
            self.guard.roads.collect(acting, POST, made, text="POST /applications", parameters="sha256:…")
        )

    def consents(self, *subjects: str, categories: tuple[str, ...] = ("identity",), **changes: Any) -> None:
        """These persons agree."""
        now = int(time.time())
        for subject in subjects:
            one = Consent(
                id=f"c-{next(self._consents)}",
                purposes=(PURPOSE,),
                operations=("use", "collect"),
                categories=categories,
                recipient=None,
                basis="consent",
                method="http",
                form="web",
                separate=True,
                written=False,
                bundled=False,
                preticked=False,
                refusal_denies_service=False,
                adverse_effect_told=True,
                guardian=False,
                notice=Notice(id="n-1", version="1", shown_at=now - 60),
                granted_at=now - 30,
                expires_at=now + 86_400,
                assurance="observed",
            )
            record = ConsentRecord(consent=one, subject=subject, recorder="web", evidence="sha256:" + "0" * 64)
            self.guard.consents.record(record)

    def cases(self, *subjects: str, officer: str = "officer-lin") -> None:
        """The officer has an open case of each of these persons."""
        schema = "main" if self.place.kind == "sqlite" else "retail"
        self.place.run(*(f"INSERT INTO {schema}.loan_case VALUES ({one}, '{officer}', 'open')" for one in subjects))

    @property
    def kinds(self) -> list[str]:
        """What was registered, but for consents."""
        return [one.kind for one in self.guard.registered.drafts if one.kind != "consent"]

    @property
    def last(self) -> Any:
        """The last draft."""
        return self.guard.registered.drafts[-1]


Open = Callable[..., Bank]


@pytest.fixture
def banks(place: Place, tmp_path: Path) -> Iterator[Open]:
    """Opens the bank behind a policy, on each database."""
    folder = tmp_path / "program"
    folder.mkdir()
    (folder / "catalogue.yaml").write_text(CATALOGUE, "utf-8")
    (folder / "profile.yaml").write_text("kind: bank\njurisdiction: CN\n", "utf-8")
    schema = "main" if place.kind == "sqlite" else "retail"
    (folder / "guard.yaml").write_text(GUARD % schema, "utf-8")
    table = f"CREATE TABLE {schema}.loan_case (customer_id bigint, officer_id text, status text)"
    place.run(*([] if place.kind == "sqlite" else ["CREATE SCHEMA retail"]), table)
    with ExitStack() as stack:

        def opens(decide: testing.Decide = testing.allow_all) -> Bank:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UnsafeWarning)
                opened = testing.unsafe_guard(folder / "guard.yaml", tmp_path, database=place.url, decide=decide)
                guard = stack.enter_context(opened)
            return Bank(guard, place)

        yield opens


def application(number: int, **more: Any) -> dict[str, Any]:
    """What the bank's own route answers about a person."""
    return {
        "customer_id": number,
        "full_name": "王小明",
        "id_number": "11010119900101123X",
        "loan": {"amount": 5},
        **more,
    }


def refused(call: Callable[..., Any], *given: Any, **named: Any) -> Refused:
    with pytest.raises(Refused) as caught:
        call(*given, **named)
    error = caught.value
    assert error.__cause__ is None
    assert error.__context__ is None
    return error
