"""What the README shows is so: its commands run, its code runs, its output is the output."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from guard.config import Settings
from guard.demo import tour

README = (Path(__file__).parent.parent / "README.md").read_text("utf-8")
PYTHON = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
CONSOLE = re.findall(r"^\$ (.*)$", README, re.MULTILINE)
TEXT = re.findall(r"```text\n(.*?)```", README, re.DOTALL)


def guard(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "guard.cli", *arguments]
    environment = {**os.environ, "COLUMNS": "400"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_the_python_examples_run_in_the_demos_folder(tmp_path: Path) -> None:
    """The second block goes on where the first ended, as a reader would."""
    tour.open_bank(Settings.load(tour.make_bank(tmp_path / "bank"))).close()
    code = "\n".join([*PYTHON, "assert verdict.valid", "assert rows[0][1][3:] == '*' * 15", "guard.close()"])
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=tmp_path / "bank", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Outcome(operation='use', reduced=True" in done.stdout


@pytest.mark.parametrize("line", [line for line in CONSOLE if line.startswith("guard ")])
def test_the_commands_run(line: str, tmp_path: Path, opa_program: Path) -> None:
    (tmp_path / "examples").symlink_to(Path(__file__).parent.parent / "examples")
    done = guard(*line.split()[1:], folder=tmp_path)
    denied = "legitimate-interest" in line
    assert done.returncode == (3 if denied else 0), done.stderr
    assert done.stdout


def test_the_output_is_the_output(tmp_path: Path) -> None:
    assert "pip install . && guard demo --once" in CONSOLE
    lines = [line.rstrip(" ─") for line in guard("demo", "--once", folder=tmp_path).stdout.splitlines()]
    for block in TEXT:
        for line in block.splitlines():
            assert line in lines


def test_there_is_one_test_command() -> None:
    assert [line for line in CONSOLE if line.endswith("pytest")] == [
        "pip install -e '.[test]' && guard opa install && pytest"
    ]
