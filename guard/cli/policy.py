"""`guard policy`: build, test and lint a layer with the real OPA."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from guard import opa as real
from guard.cli import show
from guard.engine.build import build as build_layer
from guard.errors import ConfigError, Problem

app = typer.Typer(help="For authors of policies: needs a real opa (guard opa install).", no_args_is_help=True)

COVERAGE: Final = 95.0

Folder = Annotated[Path, typer.Argument(help="The folder of a layer: its *.rego and data.json.")]
Opa = Annotated[
    str | None, typer.Option("--opa", help="The opa to use; default: $GUARD_OPA, PATH, or what guard opa install made.")
]


def _layer(folder: Path, layer: str | None) -> str:
    if not folder.is_dir():
        raise ConfigError([Problem(str(folder), 0, "there is no such folder", "name the folder of a layer")])
    return layer or folder.resolve().name


@app.command()
def build(
    folder: Folder,
    layer: Annotated[
        str | None, typer.Option(help="floor, supervisor or institution; default: the folder's name.")
    ] = None,
    to: Annotated[Path | None, typer.Option(help="Where the bundles go; default: beside the folder.")] = None,
    opa: Opa = None,
    json: show.Json = False,
) -> int:
    """Builds the layer's two bundles: LAYER.wasm.tar.gz (in process) and LAYER.rego.tar.gz (OPA server)."""
    name = _layer(folder, layer)
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
    coverage: Annotated[float, typer.Option(help="The least share of lines that tests reach, percent.")] = COVERAGE,
    opa: Opa = None,
    json: show.Json = False,
) -> int:
    """Runs the layer's tests (opa test) and holds their coverage to a bound. Exit 1 if either fails."""
    _layer(folder, None)
    report = real.test(real.need(opa), folder)
    passed = report.failed == 0 and report.coverage >= coverage
    if json:
        show.json_line({"passed": report.passed, "failed": report.failed, "coverage": report.coverage, "ok": passed})
    else:
        for line in report.failures:
            show.err.print(show.plain(line), style="red")
        show.out.print(f"{report.passed} passed, {report.failed} failed, coverage {report.coverage:.1f} %")
    return 0 if passed else 1


@app.command()
def lint(folder: Folder, opa: Opa = None, json: show.Json = False) -> int:
    """Checks the layer strictly (opa check --strict, opa fmt). Exit 1 if anything is found."""
    _layer(folder, None)
    found = real.lint(real.need(opa), folder)
    for line in found:
        if json:
            show.json_line({"problem": line})
        else:
            show.err.print(show.plain(line), style="red")
    if not found and not json:
        show.out.print(show.plain(f"{folder}: nothing wrong"), style="green")
    return 1 if found else 0
