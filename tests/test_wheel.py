"""The wheel holds all that runs, and a plain install of it in an empty folder plays the tour."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from guard.demo.tour import STEPS

ROOT = Path(__file__).parent.parent


def run(*command: str | Path, cwd: Path) -> str:
    # Nothing of this checkout may help: neither its path nor its environment.
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "GUARD"))}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", folder, ROOT, cwd=folder)
    (made,) = folder.glob("*.whl")
    return made


def test_policies_data_and_types_are_in_the_wheel(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        bundle = archive.open("guard/policies/floor.wasm.tar.gz")
        with tarfile.open(fileobj=bundle) as packed:
            inside = {name.strip("/") for name in packed.getnames()}
    assert {".manifest", "policy.wasm", "guard/floor/floor.rego"} <= inside
    assert {
        "guard/py.typed",
        "guard/messages.json",
        "guard/remedies.json",
        *(f"{path.parent.name}/py.typed" for path in sorted((ROOT / "adapters").glob("*/__init__.py"))),
        "guard/policies/floor/data.json",
        "guard/demo/bank/guard.yaml",
        "guard/demo/bank/data/german_credit.csv",
        "guard/demo/bank/data/README.md",
        "guard/demo/agency/guard.yaml",
        "guard/demo/page/templates/page.html",
        "guard/demo/page/static/htmx.min.js",
        "guard/demo/page/static/htmx.LICENSE.txt",
        "guard/demo/examples/bank/officer-reads-application.json",
    } <= names
    assert not any(name.split("/")[0] in {"adapters", "tests", "examples", "policies"} for name in names)


def test_the_tour_plays_from_a_plain_install(wheel: Path, tmp_path: Path) -> None:
    run(sys.executable, "-m", "venv", tmp_path / "venv", cwd=tmp_path)
    binaries = tmp_path / "venv" / ("Scripts" if os.name == "nt" else "bin")
    run(binaries / "python", "-m", "pip", "install", "-q", wheel, cwd=tmp_path)
    (tmp_path / "empty").mkdir()
    out = run(binaries / "guard", "demo", "--once", "--json", cwd=tmp_path / "empty")
    assert [json.loads(line)["step"] for line in out.splitlines()] == list(STEPS)
    checked = run(binaries / "guard", "check", "--example", "agency", cwd=tmp_path / "empty")
    assert "nothing wrong" in checked
    assert list((tmp_path / "empty").iterdir()) == []
