"""`guard consent`: record, renew, list and withdraw consents, and let the present rules judge them again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from guard import wire
from guard.cli import show
from guard.errors import Misuse
from guard.facade import Guard
from guard.model import Verdict
from guard_ledger.consent_record import ConsentRecord
from guard_ledger.grants import Kept

app = typer.Typer(help="The consent ledger.", no_args_is_help=True)

Config = Annotated[Path, typer.Option("--config", help="The guard.yaml whose ledger it is.")]


@contextmanager
def _opened(config: Path) -> Iterator[Guard]:
    if not config.exists():
        raise Misuse(f"There is no {config}. Name a guard.yaml with --config.")
    with Guard.load(config) as guard:
        yield guard


@app.command()
def record(
    file: Annotated[Path, typer.Argument(help="JSON: {consent, subject, recorder, evidence}.")],
    config: Config = Path("guard.yaml"),
    json: show.Json = False,
) -> int:
    """Records one consent; exit 3 with the reasons if the policies find it void (it is kept as void)."""
    made = _read(file)
    with _opened(config) as guard:
        verdict = guard.consents.record(made)
        zone = guard.settings.zone
    _tell(verdict, zone, json=json)
    return 0


@app.command()
def renew(
    consent_id: Annotated[str, typer.Argument(help="The consent that it takes the place of.")],
    file: Annotated[Path, typer.Argument(help="JSON: {consent, subject, recorder, evidence}.")],
    config: Config = Path("guard.yaml"),
    json: show.Json = False,
) -> int:
    """Records a consent in the place of an older one: a fresh act of the person's, for no more than the old one."""
    made = _read(file)
    with _opened(config) as guard:
        verdict = guard.consents.renew(consent_id, made)
        zone = guard.settings.zone
    _tell(verdict, zone, json=json)
    return 0


def _read(file: Path) -> ConsentRecord:
    try:
        return msgspec.convert(wire.strict_json(file.read_bytes()), ConsentRecord)
    except OSError as error:
        raise Misuse(f"{file} cannot be read: {error.strerror}.") from None
    except (wire.NotStrict, msgspec.ValidationError) as error:
        raise Misuse(f"{file} is no consent record: {error}.") from None


def _tell(verdict: Verdict, zone: str, *, json: bool) -> None:
    if json:
        show.json_line({"verdict": verdict})
    else:
        covered = "; ".join(f"{', '.join(one.operations)}: {', '.join(one.categories)}" for one in verdict.scopes)
        show.out.print(show.plain(f"valid{_until(verdict, zone)} for {covered}"), style="green")


@app.command("list")
def list_consents(
    subject: Annotated[str, typer.Argument(help="The person's key.")],
    config: Config = Path("guard.yaml"),
    json: show.Json = False,
) -> int:
    """Lists all that a person agreed to, in the order in which it was recorded."""
    with _opened(config) as guard:
        kept = guard.consents.list(subject)
        zone = guard.settings.zone
    if json:
        for one in kept:
            show.json_line(_line(one))
        return 0
    table = show.table("consent", "purposes", "recorder", "state")
    for one in kept:
        cells = (one.record.consent.id, ", ".join(one.record.consent.purposes), one.record.recorder, _state(one, zone))
        table.add_row(*(show.plain(cell) for cell in cells))
    show.out.print(table)
    return 0


def _state(one: Kept, zone: str) -> str:
    if not one.verdict.valid:
        return f"void ({', '.join(reason.rule for reason in one.verdict.reasons)})"
    if one.withdrawn_at is not None:
        return f"withdrawn at {show.moment(one.withdrawn_at, zone)}"
    if one.renewed_by is not None:
        return f"renewed by {one.renewed_by}"
    return f"valid{_until(one.verdict, zone)}"


def _until(verdict: Verdict, zone: str) -> str:
    return "" if verdict.valid_until is None else f" until {show.moment(verdict.valid_until, zone)}"


def _line(one: Kept) -> dict[str, Any]:
    line: dict[str, Any] = msgspec.to_builtins(one)
    return line


@app.command()
def withdraw(
    subject: Annotated[str, typer.Argument(help="The person's key.")],
    purpose: Annotated[str | None, typer.Option(help="Only for this purpose.")] = None,
    config: Config = Path("guard.yaml"),
    json: show.Json = False,
) -> int:
    """Withdraws what a person agreed to, all or for one purpose. Counts from the next statement on, and is final."""
    with _opened(config) as guard:
        ended = guard.consents.withdraw_subject(subject, purpose)
    if json:
        show.json_line({"ended": ended})
    else:
        show.out.print(f"{ended} grants ended")
    return 0


@app.command()
def judge(config: Config = Path("guard.yaml"), json: show.Json = False) -> int:
    """Lets the present rules judge all that was recorded: once after a change of policy, before programs start.

    A program that starts does the same, and waits while another one does.
    """
    with _opened(config) as guard:
        judged = guard.active.decider.judged
    if json:
        show.json_line({"judged": judged})
    else:
        show.out.print(show.plain(f"all consents are judged by the rules {judged[:19]}"))
    return 0
