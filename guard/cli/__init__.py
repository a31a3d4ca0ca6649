"""The `guard` command. Exit: 0 done, 1 found wrong, 2 misuse, 3 denied, 4 held, 70 crash, 141 output unread."""

from __future__ import annotations

import sys


def main() -> None:
    """Runs the command and ends the process with its exit code."""
    # Imported here, so that `import guard.cli` is cheap for whoever only looks.
    from guard.cli.app import run  # noqa: PLC0415

    sys.exit(run(sys.argv[1:]))
