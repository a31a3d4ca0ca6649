"""The command tree, and what each kind of failure means for the shell."""

from __future__ import annotations

import os
import traceback
from collections.abc import Sequence
from typing import Final

import typer
from typer.exceptions import TyperException

from guard.cli import check, consent, decide, demo, known, opa, policy, register, review, show, sql
from guard.errors import ConfigError, Held, Misuse, Refused

DONE: Final = 0
WRONG: Final = 1
MISUSE: Final = 2
DENIED: Final = 3
HELD: Final = 4
CRASH: Final = 70
UNREAD: Final = 141
"""Whoever read the output went away, as `head` does: what a shell says of a program that ends so (SIGPIPE)."""

app = typer.Typer(
    name="guard",
    help="Keeps programs that touch personal data inside the law.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("demo")(demo.demo)
app.command("check")(check.check)
app.command("decide")(decide.decide)
app.command("sql")(sql.sql)
app.add_typer(consent.app, name="consent")
app.add_typer(register.app, name="register")
app.add_typer(review.app, name="review")
policy.app.command("show")(known.show_known)
app.add_typer(policy.app, name="policy")
app.add_typer(opa.app, name="opa")


def run(arguments: Sequence[str]) -> int:
    """Runs one command line; its exit code."""
    try:
        return _run(arguments)
    except typer.Abort:
        return MISUSE
    except TyperException as error:
        at = getattr(error, "ctx", None)  # the command whose usage it is
        show.failure(f"{error.format_message()} See {at.command_path if at else 'guard'} --help.")
        return MISUSE
    except ConfigError as error:
        show.problems(error.problems)
        return WRONG
    except Held as held:
        show.refusal(held)
        return HELD
    except Refused as refused:
        show.refusal(refused)
        return DENIED
    except Misuse as misuse:
        show.failure(str(misuse))
        return MISUSE
    except Exception as error:  # noqa: BLE001 -- the last line of the program
        if os.environ.get("GUARD_DEBUG"):
            traceback.print_exc()
        show.failure(
            f"guard failed: {type(error).__name__}. Nothing was released. Set GUARD_DEBUG=1 to see where, "
            "and please report it."
        )
        return CRASH


def _run(arguments: Sequence[str]) -> int:
    command = typer.main.get_command(app)
    try:
        result = command.main(args=list(arguments), prog_name="guard", standalone_mode=False)
    except SystemExit as end:  # typer and rich make one of a broken pipe, and of nothing else here
        if not isinstance(end.__context__, BrokenPipeError):
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # for what is flushed at the very end
        return UNREAD
    return result if isinstance(result, int) else DONE
