"""A tree as text."""

from __future__ import annotations

import re
from typing import Final

from sqlglot import exp
from sqlglot.errors import SqlglotError

from guard_sql.dialects import Dialect
from guard_sql.refusal import sql_refused

_PYFORMAT: Final = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|%\((\w+)\)s""")


def write(tree: exp.Expr, dialect: Dialect) -> str:
    """The tree as text, every name quoted, without comments, its parameters as `:name`."""
    generator = dialect.generators.take()
    try:
        written: str = generator.generate(tree, copy=False)
    except SqlglotError:
        written = ""
    if not written:
        raise sql_refused("It cannot be written in this dialect.")
    dialect.generators.put(generator)
    if "%(" not in written:
        return written
    return _PYFORMAT.sub(lambda found: f":{found[1]}" if found[1] else found[0], written)
