"""The `guard` command."""


def main() -> None:
    """Runs the command."""
