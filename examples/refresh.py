"""Brings the examples up to date: writes what the real engine answers, copies the documents that are shipped.

Run from the repository (`python examples/refresh.py`) after a change of the policies or of the example
documents, and read what changed before you commit it: an answer that changed is a policy that changed.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from guard.config import Settings
from guard.demo import examples
from guard_engine.embedded import Embedded
from guard_engine.releases import load_bundles

HERE = Path(__file__).parent
DOCUMENTS = ("guard.yaml", "catalogue.yaml", "profile.yaml")
QUESTIONS = {"decision": "activities", "verdict": "consents"}
ENTRYPOINTS = {"decision": "decision", "verdict": "consent"}


def main() -> None:
    for holder, config in examples.HOLDERS.items():
        engine = Embedded(load_bundles(Settings.load(config)))
        for path in sorted((examples.HERE / holder).glob("*.json")):
            document = json.loads(path.read_text(encoding="utf-8"))
            if path.name.count(".") == 1:
                kind = "verdict" if "granted_at" in document else "decision"
                answer = ask(engine, kind, document)
                path.with_name(f"{path.stem}.{kind}.json").write_text(spelled(answer), encoding="utf-8")
        engine.close()
        copy(holder, config)


def ask(engine: Embedded, kind: str, document: Any) -> Any:
    """The floor's answer to one activity or consent record."""
    question = json.dumps({QUESTIONS[kind]: [document]}).encode()
    (answer,) = engine.evaluate("floor", ENTRYPOINTS[kind], question)
    return answer


ORDER = [
    "id",
    "allow",
    "valid",
    "reasons",
    "rows",
    "reads",
    "writes",
    "obligations",
    "scopes",
    "valid_until",
    "operations",
    "categories",
    "grant",
    "relation",
    "self",
    "fact",
    "operator",
    "value",
    "ago",
    "or_absent",
    "category",
    "separate",
    "written",
    "assurance",
    "basis",
    "ended",
    "reveal",
    "mask",
    "with",
    "if",
    "by",
    "above",
    "subjects",
    "minimum",
    "on_exceed",
    "field",
    "rule",
    "remedy",
]


def in_order(value: Any) -> Any:
    """The keys in the order in which the documents are explained; the engine's own order means nothing."""
    if isinstance(value, list):
        return [in_order(part) for part in value]
    if not isinstance(value, dict):
        return value
    keys = sorted(value, key=lambda key: (ORDER.index(key) if key in ORDER else len(ORDER), key))
    return {key: in_order(value[key]) for key in keys}


def spelled(value: dict[str, Any]) -> str:
    """JSON for people: one line a part, and one a part of a part where it would be long."""
    lines = []
    for key, part in in_order(value).items():
        text = json.dumps(part, ensure_ascii=False)
        if len(text) > 100 and isinstance(part, list):
            text = "[\n" + ",\n".join(f"    {json.dumps(one, ensure_ascii=False)}" for one in part) + "\n  ]"
        elif len(text) > 100 and isinstance(part, dict):
            text = nested(part)
        lines.append(f"  {json.dumps(key)}: {text}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def nested(part: dict[str, Any]) -> str:
    """A mapping of sources, each with one line an entry."""
    sources = []
    for source, fields in part.items():
        if isinstance(fields, dict):
            entries = [
                f"      {json.dumps(name)}: {json.dumps(one, ensure_ascii=False)}" for name, one in fields.items()
            ]
            sources.append(f"    {json.dumps(source)}: {{\n" + ",\n".join(entries) + "\n    }")
        else:
            entries = [f"      {json.dumps(one, ensure_ascii=False)}" for one in fields]
            sources.append(f"    {json.dumps(source)}: [\n" + ",\n".join(entries) + "\n    ]")
    return "{\n" + ",\n".join(sources) + "\n  }"


def copy(holder: str, config: Path) -> None:
    """The shipped documents into examples/<holder>, where people look for something to copy."""
    target = HERE / holder
    (target / "activities").mkdir(parents=True, exist_ok=True)
    for name in DOCUMENTS:
        shutil.copyfile(config.parent / name, target / name)
    for path in (examples.HERE / holder).glob("*.json"):
        shutil.copyfile(path, target / "activities" / path.name)


if __name__ == "__main__":
    main()
