"""How a driver writes parameters, and how guarded text does.

Inside the guard every parameter is `:name`. psycopg (PEP 249, pyformat) reads `%s`, `%(name)s` and `%%` in every
text that comes with parameters, wherever they stand. PostgreSQL itself reads `$1`, `$2` …, and is sent those.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from guard_sql.refusal import sql_refused

_MARK: Final = re.compile(r"%(?:(?P<percent>%)|\((?P<name>[A-Za-z_][A-Za-z0-9_]*)\)s|(?P<place>s))?")
_WRITTEN: Final = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|(?<![:\w]):(?P<name>[a-z]\w*)|%""")


def native(sql: str) -> tuple[str, int]:
    """A text in pyformat style with `?` and `:name` instead, and how many parameters stand in it."""
    count = 0

    def plain(found: re.Match[str]) -> str:
        nonlocal count
        if found["percent"]:
            return "%"
        count += 1
        if found["place"]:
            return "?"
        if not found["name"]:
            raise sql_refused("A parameter is %s or %(name)s; a percent sign is written %%.")
        return f":{found['name']}"

    return _MARK.sub(plain, sql), count


def pyformat(sql: str) -> str:
    """A guarded text as psycopg takes it. Texts and names are left as they are, but for their percent signs."""
    if ":" not in sql and "%" not in sql:
        return sql
    return _WRITTEN.sub(_pyformat, sql)


def split(sql: str) -> tuple[str, ...]:
    """A guarded text around its parameters: text, name, text, name, …, text."""
    made: list[str] = []
    last = 0
    for found in _WRITTEN.finditer(sql) if ":" in sql else ():
        if found["name"] is not None:
            made += (sql[last : found.start()], found["name"])
            last = found.end()
    return (*made, sql[last:])


def numbered(sql: str, names: Sequence[str] = ()) -> str:
    """A guarded text with `$1`, `$2` … for its parameters, as PostgreSQL's own parser reads it.

    `names` are those that have a number already, in their order; any other gets the next one.
    """
    places = {name: place for place, name in enumerate(names, start=1)}

    def one(found: re.Match[str]) -> str:
        name = found["name"]
        return found[0] if name is None else f"${places.setdefault(name, len(places) + 1)}"

    return _WRITTEN.sub(one, sql)


def _pyformat(found: re.Match[str]) -> str:
    name = found["name"]
    return found[0].replace("%", "%%") if name is None else f"%({name})s"
