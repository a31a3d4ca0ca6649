"""`python -m guard.cli`."""

from guard.cli import main

main()
