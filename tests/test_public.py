"""The public surface, what importing it costs, and which way imports run."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Collection
from graphlib import TopologicalSorter
from pathlib import Path

import guard

ROOT = Path(guard.__file__).parent

PUBLIC = [
    "Acting",
    "Activity",
    "Actor",
    "Catalogue",
    "ConfigError",
    "Consent",
    "ConsentRecord",
    "Decision",
    "Declared",
    "Guard",
    "GuardError",
    "Held",
    "Misuse",
    "Notice",
    "Outcome",
    "Problem",
    "Recipient",
    "Refused",
    "Settings",
    "Verdict",
]


def test_the_public_names_are_these() -> None:
    assert guard.__all__ == PUBLIC
    assert len(PUBLIC) <= 20
    for name in PUBLIC:
        assert getattr(guard, name).__name__ == name


def loaded_by(statement: str) -> set[str]:
    code = f"import sys\n{statement}\nprint('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_import_guard_loads_nothing_heavy() -> None:
    loaded = loaded_by("import guard")
    assert not loaded & {"sqlglot", "sqlalchemy", "opa_client", "pydantic", "wasmtime", "msgspec", "requests"}


def test_the_embedded_engine_does_not_load_the_client_of_the_other() -> None:
    assert not loaded_by("import guard.facade") & {"sqlglot", "opa_client", "requests", "aiohttp"}


ORDER = [
    {"model", "names", "periods", "pointers"},
    {"messages"},
    {"errors"},
    {"masks", "clock"},
    {"wire", "context", "draft"},
    {"jobs", "activities", "purposes"},
    {"merge", "documents"},
    {"strict"},
    {"catalogue", "config"},
    {"engine", "cache"},
    {"decider"},
    {"release"},
    {"effects", "transaction"},
    {"terms", "comparison"},
    {"records"},
    {"attempt"},
    {"missing", "obligations", "enforce"},
    {"reading", "writing", "standing"},
    {"releasing", "collecting", "drive"},
    {"operation"},
    {"wiring"},
    {"roads"},
    {"facade"},
    {"testing", "testing_fixtures"},
    {"demo"},
    {"cli"},
]
"""Layers of the core from the bottom; a module imports from its own layer or from below."""


def imports_of(path: Path) -> set[str]:
    found: set[str] = set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module):
            node.body = [part for part in node.body if not _for_types_only(part)]
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            if node.module == "guard":
                found |= {alias.name for alias in node.names}
            elif node.module.startswith("guard."):
                found.add(node.module.split(".")[1])
        elif isinstance(node, ast.Import):
            found |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("guard.")}
    return found


def _for_types_only(part: ast.stmt) -> bool:
    return isinstance(part, ast.If) and ast.unparse(part.test) == "TYPE_CHECKING"


def test_imports_run_one_way() -> None:
    level = {name: number for number, names in enumerate(ORDER) for name in names}
    wrong = []
    for path in sorted(ROOT.rglob("*.py")):
        relative = path.relative_to(ROOT)
        module = relative.parts[0].removesuffix(".py")
        if module in {"__init__", "policies"}:
            continue
        assert module in level, f"{module} has no place in the order"
        wrong += [f"{relative} imports {name}" for name in imports_of(path) if level[name] > level[module]]
    assert wrong == []


ADAPTERS: dict[str, set[str]] = {
    "guard_engine": set(),
    "guard_explain": set(),
    "guard_register": set(),
    "guard_ledger": {"guard_register"},
    "guard_asgi": set(),
    "guard_sql": set(),
    "guard_dbapi": {"guard_sql", "guard_ledger"},
    "guard_sqlalchemy": {"guard_sql", "guard_dbapi"},
}
"""Which adapters each adapter stands on. Of the core, `wiring` alone imports any of them: it puts a guard together."""


def modules() -> dict[str, Path]:
    """Every module of the core and of the adapters, by its whole name."""
    beside = ROOT.parent / "adapters"
    found = [(ROOT.parent, path) for path in ROOT.rglob("*.py")]
    found += [(beside, path) for name in ADAPTERS for path in (beside / name).rglob("*.py")]
    return {
        ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): path for root, path in found
    }


def whole_imports(path: Path, known: Collection[str]) -> set[str]:
    """The modules among `known` that it imports, in functions too."""
    found: set[str] = set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    tree.body = [part for part in tree.body if not _for_types_only(part)]
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            wholes = ((f"{node.module}.{alias.name}", node.module) for alias in node.names)
            found |= {whole if whole in known else package for whole, package in wholes}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found & set(known)


def test_adapters_stand_on_these_and_the_core_on_none() -> None:
    known = modules()
    above = {"wiring"} | {name for names in ORDER[ORDER.index({"facade"}) + 1 :] for name in names}
    for name, path in known.items():
        package, *inner = name.split(".")
        wanted = {one.split(".")[0] for one in whole_imports(path, known)} & ADAPTERS.keys() - {package}
        if package in ADAPTERS:
            assert wanted <= ADAPTERS[package], name
        elif not above & set(inner[:1]):
            assert not wanted, name


def test_no_modules_import_each_other_in_a_circle() -> None:
    known = modules()
    TopologicalSorter({name: whole_imports(path, known) - {name} for name, path in known.items()}).prepare()


def test_only_one_module_knows_the_opa_client() -> None:
    client = re.compile(r"^\s*(import|from) opa_client", re.MULTILINE)
    importing = [path for path in modules().values() if client.search(path.read_text(encoding="utf-8"))]
    assert [path.parent.name for path in importing] == ["guard_engine"]


def test_security_is_never_an_assert() -> None:
    for folder in (ROOT, ROOT.parent / "adapters"):
        for path in folder.rglob("*.py"):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            assert not any(isinstance(node, ast.Assert) for node in ast.walk(tree)), path
