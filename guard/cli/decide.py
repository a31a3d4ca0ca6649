"""`guard decide`: what the policies say to an activity or a consent, and why."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from guard import wire
from guard.cli import show
from guard.cli.engine import OpaToken, OpaUrl, UnsafeOpen, settings_for
from guard.demo import examples
from guard.errors import Misuse
from guard.messages import not_entitled
from guard.model import Activity, Consent, Decision
from guard.release import Release
from guard_engine import releases
from guard_explain import Explanation, Lang, explain, smallest

DENIED = 3


def decide(
    file: Annotated[Path | None, typer.Argument(help="An activity or a consent record (JSON).")] = None,
    example: Annotated[str | None, typer.Option(help="A shipped example instead of a file; 'list' lists them.")] = None,
    config: Annotated[Path | None, typer.Option(help="guard.yaml; default: the example's, or ./guard.yaml.")] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Say why, in plain words.")] = False,
    lang: show.Lang = "en",
    opa: OpaUrl = None,
    opa_token: OpaToken = None,
    unsafe_open_server: UnsafeOpen = False,
    json: show.Json = False,
) -> int:
    """What the policies say to an activity or a consent record. Exit 3 if it is denied."""
    if example == "list":
        for name in examples.names():
            show.json_line({"example": name}) if json else show.out.print(name)
        return 0
    language: Lang = show.language(lang)
    document, default = _document(file, example)
    raw = _parsed(document, str(file or example))
    settings = settings_for(config or default, opa, opa_token, unsafe_open_server=unsafe_open_server)
    loaded = releases.load(settings)
    try:
        if "granted_at" in raw:
            return _consent(wire.consent(document), loaded, language, json=json)
        return _activity(wire.activity(document), loaded, language, words=explain, json=json)
    finally:
        loaded.close()


def _document(file: Path | None, example: str | None) -> tuple[bytes, Path]:
    if (file is None) == (example is None):
        raise typer.BadParameter("give a file or --example, one of them", param_hint="FILE")
    if example is not None:
        found = examples.find(example)
        if found is None:
            raise typer.BadParameter(f"there is no {example}; --example list lists them", param_hint="--example")
        return found.activity.read_bytes(), found.config
    path = file or Path()
    try:
        return path.read_bytes(), Path("guard.yaml")
    except OSError as error:
        raise Misuse(f"{path} cannot be read: {error.strerror}.") from None


def _parsed(document: bytes, name: str) -> dict[str, Any]:
    try:
        raw = wire.strict_json(document)
    except wire.NotStrict as error:
        raise Misuse(f"{name} is not strict JSON: {error}.") from None
    if not isinstance(raw, dict):
        raise Misuse(f"{name} is not a JSON object: an activity or a consent record.")
    return raw


# --- An activity ----------------------------------------------------------------------------------


def _activity(activity: Activity, loaded: Release, lang: Lang, *, words: bool, json: bool) -> int:
    (decision,) = loaded.decider.decide([activity])
    remedy = None if decision.allow else smallest(activity, decision, loaded.decider.decide)
    explanation = explain(activity, decision, loaded.messages, remedy=remedy, lang=lang)
    if json:
        show.json_line({"decision": decision_document(decision), **({"explanation": explanation} if words else {})})
    else:
        known = loaded.purposes.get(activity.purpose)
        entitled = None if known is None else known.roles
        _print(explanation, lang, not_entitled(activity.purpose, activity.actor.roles, entitled, lang), words=words)
    return 0 if decision.allow else DENIED


def decision_document(decision: Decision) -> dict[str, Any]:
    """A merged decision as JSON."""
    return {
        "id": decision.id,
        "allow": decision.allow,
        "reasons": decision.reasons,
        "rows": dict(decision.rows),
        "reads": {source: dict(fields) for source, fields in decision.reads.items()},
        "writes": {source: dict(fields) for source, fields in decision.writes.items()},
        "obligations": decision.obligations,
    }


def _print(explanation: Explanation, lang: Lang, who: str | None, *, words: bool) -> None:
    """`who` says for which roles the purpose is, where the actor has none of them."""
    zh = lang == "zh"
    if explanation.allow:
        show.out.print("允许" if zh else "ALLOWED", style="bold green")
    else:
        show.out.print("拒绝" if zh else "DENIED", style="bold red")
    # The Chinese sentence of a rule names its articles itself.
    spoke = show.table("规则", "内容") if zh else show.table("rule", "clause", "what it says")
    for line in explanation.rules:
        about = f" [{', '.join(line.about)}]" if line.about and words else ""
        clause = () if zh else (show.plain(line.clause),)
        spoke.add_row(line.rule, *clause, show.plain(line.sentence + about))
    show.out.print(spoke)
    if words:
        _table(
            ("数据源" if zh else "source", "每行须满足" if zh else "every row must meet", "规则" if zh else "rule"),
            [(row.source, row.condition, ", ".join(row.rules)) for row in explanation.rows],
        )
        _table(
            ("字段" if zh else "field", "处理" if zh else "treatment", "规则" if zh else "rule"),
            [(f"{one.source} {one.field}", one.treatment, ", ".join(one.rules)) for one in explanation.fields],
        )
        _table(("义务" if zh else "obligation",), [(text,) for text in explanation.obligations])
    if not explanation.allow:
        show.out.print()
        if explanation.remedy:
            show.out.print("最小的合法改动：" if zh else "The smallest lawful change:", style="bold")
            for edit in explanation.remedy:
                show.out.print(show.plain(f"  → {edit}"), style="green")
        elif who is not None:
            show.out.print(show.plain(f"→ {who}"), style="green")
        else:
            show.out.print("没有能使其合法的改动。" if zh else "No change that the rules name makes it lawful.")


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    if rows:
        table = show.table(*heads)
        for row in rows:
            table.add_row(*(show.plain(cell) for cell in row))
        show.out.print()
        show.out.print(table)


# --- A consent ------------------------------------------------------------------------------------


def _consent(consent: Consent, loaded: Release, lang: Lang, *, json: bool) -> int:
    (verdict,) = loaded.decider.judge([consent])
    if json:
        show.json_line({"verdict": verdict})
        return 0 if verdict.valid else DENIED
    zh = lang == "zh"
    if verdict.valid:
        show.out.print("有效" if zh else "VALID", style="bold green")
    else:
        show.out.print("无效" if zh else "INVALID", style="bold red")
    for reason in verdict.reasons:
        show.out.print(
            show.plain(f"{loaded.messages.sentence(reason.rule, lang)} {loaded.messages.remedy(reason, lang)}")
        )
    for scope in verdict.scopes:
        show.out.print(show.plain(f"{', '.join(scope.operations)}: {', '.join(scope.categories)}"))
    return 0 if verdict.valid else DENIED
