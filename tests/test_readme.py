"""What the README shows is so: its commands run, its code runs, its output is the output."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from guard import Guard, catalogue
from guard.demo import bank
from guard_asgi import routes
from guard_asgi.shapes import Shape

README = (Path(__file__).parent.parent / "README.md").read_text("utf-8")
PYTHON = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
CONSOLE = re.findall(r"^\$ (.*)$", README, re.MULTILINE)
TEXT = re.findall(r"```text\n(.*?)```", README, re.DOTALL)
GUARDED = re.findall(r"```python guarded\n(.*?)```", README, re.DOTALL)
YAML = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
EXAMPLES = Path(__file__).parent.parent / "examples"


def guard(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "guard.cli", *arguments]
    environment = {**os.environ, "COLUMNS": "400"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_the_python_examples_run_in_the_demos_folder(tmp_path: Path) -> None:
    """Each block goes on where the one before ended, as a reader would."""
    made = guard("demo", "--once", "--folder", "demo", folder=tmp_path)
    assert made.returncode == 0, made.stderr
    code = "\n".join([*PYTHON, "assert verdict.valid", "assert rows[0][1][3:] == '*' * 15", "guard.close()"])
    for _ in range(2):  # who tries something runs it again
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", code],
            cwd=tmp_path / "demo" / "bank",
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        seen, credit, released = done.stdout.splitlines()
        assert "Outcome(operation='use', reduced=True" in seen
        assert credit == "[(1169,)]"
        assert "范岩" in released
        assert "138****0000" in released


def test_the_lines_that_guard_the_web_application_are_those_of_the_example() -> None:
    """The example is run before and after (`test_example_app`)."""
    added = [line[1:] for line in (EXAMPLES / "app" / "guard.diff").read_text("utf-8").splitlines() if line[:1] == "+"]
    (block,) = GUARDED
    lines = [line for line in block.splitlines() if line]
    assert len(lines) == 5
    assert set(lines) <= set(added)


def written(folder: Path) -> Path:
    """routes.yaml, as it is shown."""
    (block,) = YAML
    (folder / "routes.yaml").write_text(block, "utf-8")
    return folder / "routes.yaml"


def test_the_routes_are_declared_as_the_adapter_reads_them(tmp_path: Path) -> None:
    _, declared = routes.load(written(tmp_path))
    assert len(declared.routes) == 3


def test_the_body_of_a_route_is_declared_as_the_catalogue_reads_it(tmp_path: Path) -> None:
    (block,) = re.findall(r"```yaml catalogue\n(.*?)```", README, re.DOTALL)
    (tmp_path / "catalogue.yaml").write_text(f'version: "1"\nsources:\n{block}', "utf-8")
    ((name, entry),) = catalogue.load(tmp_path / "catalogue.yaml").sources.items()
    _, declared = routes.load(written(tmp_path))
    assert name == f"bank:{next(one for one in declared.routes if one.startswith('POST'))}"
    body = {"customer_id": 1, "full_name": "n", "guarantors": [{"mobile": "1", "religion": "x"}], "religion": "x"}
    records = Shape(name, entry).read(json.dumps(body).encode())
    assert (records.present, records.undeclared) == (entry.fields.keys(), 2)


def test_the_shortest_documents_open_the_banks_guard(tmp_path: Path) -> None:
    bank.build(tmp_path)
    for name, block in re.findall(r"```yaml ((?:guard|profile)\.yaml)\n(.*?)```", README, re.DOTALL):
        assert block.strip()
        (tmp_path / name).write_text(block, "utf-8")
    for path in ("register.key", "register"):
        assert not (tmp_path / path).exists()
    assert "limits" not in (tmp_path / "guard.yaml").read_text("utf-8")
    with Guard.load(tmp_path / "guard.yaml") as opened:
        assert opened.settings.holder == "bank"
    assert (tmp_path / "register.key").exists()


def test_the_fixture_is_brought_by_the_line_for_conftest(tmp_path: Path) -> None:
    (line,) = re.findall(r"`(pytest_plugins = .*?)`", README)
    bank.build(tmp_path)
    (tmp_path / "conftest.py").write_text(line, "utf-8")
    (tmp_path / "test_it.py").write_text(
        "def test_it(unsafe_guard):\n    unsafe_guard('guard.yaml', decide=lambda _: None).describe()\n", "utf-8"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "1 passed" in done.stdout, done.stdout


@pytest.mark.parametrize("line", [line for line in CONSOLE if line.startswith("guard ")])
def test_the_commands_run(line: str, tmp_path: Path, opa_program: Path) -> None:
    (tmp_path / "examples").symlink_to(Path(__file__).parent.parent / "examples")
    done = guard(*line.split()[1:], folder=tmp_path)
    denied = "legitimate-interest" in line
    assert done.returncode == (3 if denied else 0), done.stderr
    assert done.stdout


def test_the_output_is_the_output(tmp_path: Path) -> None:
    """But for the name of the register's shard, which each process draws."""
    shard = re.compile(r"(?<=register entry )[0-9a-f]{6}(?=/)")
    assert "pip install . && guard demo" in CONSOLE
    printed = shard.sub("…", guard("demo", "--once", folder=tmp_path).stdout)
    lines = [line.rstrip(" ─") for line in printed.splitlines()]
    for block in TEXT:
        for line in shard.sub("…", block).splitlines():
            assert line in lines


def test_there_is_one_test_command() -> None:
    assert [line for line in CONSOLE if line.endswith("pytest")] == [
        "pip install -e '.[test]' && guard opa install && pytest"
    ]
