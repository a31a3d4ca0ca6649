"""`guard policy`: build, test and lint a layer with the real OPA."""

from __future__ import annotations

import json as text
from pathlib import Path
from typing import Annotated, Final

import typer

from guard.cli import show
from guard.errors import ConfigError, Problem
from guard_engine import opa as real
from guard_engine.build import build as build_layer

app = typer.Typer(
    help="What policies know; and for their authors, with a real opa (guard opa install), build, test and lint.",
    no_args_is_help=True,
)

COVERAGE: Final = 95.0

Folder = Annotated[Path, typer.Argument(help="The folder of a layer: its *.rego and data.json.")]
Opa = Annotated[str | None, typer.Option("--opa", help="The opa to use; default: $GUARD_OPA, PATH, guard opa install.")]
Layer = Annotated[str | None, typer.Option(help="floor, supervisor or institution; default: the folder's name.")]


def _mounted(folder: Path, layer: str | None) -> str:
    """The folder as it will stand in the bundle: its data at data.guard.<layer>."""
    return f"guard.{layer or _checked(folder).resolve().name}:{_checked(folder)}"


def _checked(folder: Path) -> Path:
    if not folder.is_dir():
        raise ConfigError([Problem(str(folder), 0, "there is no such folder", "name the folder of a layer")])
    return folder


@app.command()
def build(
    folder: Folder,
    layer: Layer = None,
    to: Annotated[Path | None, typer.Option(help="Where the bundles go; default: beside the folder.")] = None,
    opa: Opa = None,
    json: show.Json = False,
) -> int:
    """Builds the layer's two bundles: LAYER.wasm.tar.gz (in process) and LAYER.rego.tar.gz (OPA server)."""
    name = layer or _checked(folder).resolve().name
    target = to or folder.resolve().parent
    rego, wasm = build_layer(folder, name, real.need(opa))
    target.mkdir(parents=True, exist_ok=True)
    for form, content in (("wasm", wasm), ("rego", rego)):
        path = target / f"{name}.{form}.tar.gz"
        path.write_bytes(content)
        if json:
            show.json_line({"bundle": str(path), "form": form, "bytes": len(content)})
        else:
            show.out.print(show.plain(f"{path}  {len(content)} bytes"))
    return 0


@app.command()
def test(
    folder: Folder,
    layer: Layer = None,
    coverage: Annotated[float, typer.Option(help="The least share of lines that tests reach, percent.")] = COVERAGE,
    opa: Opa = None,
    json: show.Json = False,
) -> int:
    """Runs the layer's tests (opa test) and holds their coverage to a bound. Exit 1 if either fails."""
    program = real.need(opa)
    mounted = _mounted(folder, layer)
    real.run(program, "test", mounted)
    results = text.loads(real.run(program, "test", "--format", "json", mounted))
    reached = float(text.loads(real.run(program, "test", "--coverage", "--format", "json", mounted))["coverage"])
    enough = bool(results) and reached >= coverage
    if json:
        show.json_line({"passed": len(results), "coverage": reached, "ok": enough})
    else:
        show.out.print(f"{len(results)} passed, coverage {reached:.1f} %", style="green" if enough else "red")
    return 0 if enough else 1


@app.command()
def lint(folder: Folder, layer: Layer = None, opa: Opa = None, json: show.Json = False) -> int:
    """Checks the layer strictly (opa check --strict, opa fmt). Exit 1 if anything is found."""
    program = real.need(opa)
    real.run(program, "check", "--strict", _mounted(folder, layer))
    unformatted = real.run(program, "fmt", "--list", folder).decode().split()
    for path in unformatted:
        if json:
            show.json_line({"file": path, "problem": "not formatted"})
        else:
            show.err.print(show.plain(f"{path}: not formatted → opa fmt -w {path}"), style="red")
    if not unformatted and not json:
        show.out.print(show.plain(f"{folder}: nothing wrong"), style="green")
    return 1 if unformatted else 0
