"""The refusal of a statement's form."""

from __future__ import annotations

from guard.errors import Refused


def sql_refused(detail: str) -> Refused:
    """A refusal of the statement's form; `detail` says what would pass, without a value of the statement."""
    return Refused.own("GUARD-SQL", detail)
