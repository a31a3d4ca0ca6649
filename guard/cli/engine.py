"""Options that choose the engine, and the settings that follow."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from guard.config import FILE, Server, Settings
from guard.errors import Misuse

OpaUrl = Annotated[str | None, typer.Option("--opa", help="Decide on this OPA server instead of in process.")]
OpaToken = Annotated[Path | None, typer.Option("--opa-token-file", help="The file with the server's token.")]
UnsafeOpen = Annotated[
    bool, typer.Option("--unsafe-open-server", help="Accept an OPA that anyone can read or write. Warns.")
]


def settings_for(
    config: Path, opa: str | None, token_file: Path | None, *, unsafe_open_server: bool = False
) -> Settings:
    """The settings of a guard.yaml, on the OPA server of the command line if there is one."""
    if not config.exists():
        raise Misuse(f"There is no {config}. Name a {FILE} with --config, or take a shipped example with --example.")
    settings = Settings.load(config)
    if opa is None:
        if token_file is not None or unsafe_open_server:
            raise typer.BadParameter("goes with --opa", param_hint="--opa-token-file")
        return settings
    server = Server.model_validate(
        {
            "kind": "server",
            "url": opa,
            "token_file": None if token_file is None else str(token_file.resolve()),
            "unsafe_open_server": unsafe_open_server,
        }
    )
    return settings.model_copy(update={"engine": server})
