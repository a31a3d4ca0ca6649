"""`guard opa`: a real opa on this machine, and a server that runs a guard's policies."""

from __future__ import annotations

import signal
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from guard.cli import show
from guard.config import Settings
from guard_engine import bundle, releases
from guard_engine import opa as real

app = typer.Typer(help="The real OPA: install it, or serve policies with it.", no_args_is_help=True)


@app.command()
def install(json: show.Json = False) -> int:
    """Brings an opa: from PATH, else by the Go toolchain, else the official release with its checksum."""
    path = real.install()
    version = real.version(path)
    if json:
        show.json_line({"opa": str(path), "version": version})
    else:
        show.out.print(show.plain(f"{path}  {version}"))
    return 0


@app.command()
def run(
    config: Annotated[Path, typer.Option(help="The guard.yaml whose policies it serves.")] = Path("guard.yaml"),
    json: show.Json = False,
) -> int:
    """Runs an OPA server on loopback with the policies of a guard.yaml, closed without its token, until Ctrl-C."""
    bundles = {f"{one.layer}.tar.gz": bundle.rego_form(one) for one in releases.load_bundles(Settings.load(config))}
    with (
        tempfile.TemporaryDirectory(prefix="guard-opa-") as folder,
        real.serve(real.need(), bundles, Path(folder)) as running,
    ):
        if json:
            show.json_line({"url": running.url, "token_file": str(running.token_file)})
        else:
            options = f"--opa {running.url} --opa-token-file {running.token_file}"
            show.err.print(
                show.plain(f"An OPA with the policies of {config}, until Ctrl-C. For guard demo and decide:")
            )
            show.err.print(show.plain(options))
        # A plain kill would leave the server running and its token behind.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        with suppress(KeyboardInterrupt):
            running.process.wait()
    return 0


@app.command()
def bundles(
    to: Annotated[Path, typer.Argument(help="The folder they go to.")],
    config: Annotated[Path, typer.Option(help="The guard.yaml.")] = Path("guard.yaml"),
    json: show.Json = False,
) -> int:
    """Writes what an OPA server of this guard.yaml loads: one rego bundle a layer, and the profile."""
    settings = Settings.load(config)
    to.mkdir(parents=True, exist_ok=True)
    for one in releases.load_bundles(settings):
        path = to / f"{one.layer}.tar.gz"
        path.write_bytes(bundle.rego_form(one))
        if json:
            show.json_line({"bundle": str(path), "layer": one.layer, "digest": one.digest})
        else:
            show.out.print(show.plain(f"{path}  {one.digest}"))
    return 0
