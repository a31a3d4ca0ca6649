"""Each mask in SQL shows exactly what its Python form shows, on real databases."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sql_databases import OnPostgres

from guard import masks
from guard_sql import parts
from guard_sql.dialects import POSTGRES, SQLITE, Dialect
from guard_sql.masks import masked

CONNECTION = sqlite3.connect(":memory:", check_same_thread=False)

texts = st.text(st.characters(codec="utf-8"), max_size=24) | st.from_regex(
    r"[0-9]{11}|[0-9]{17}[0-9X]|[0-9]{12,19}", fullmatch=True
)
dates = st.dates().map(str) | st.dates().map(lambda day: str(day)[:7])
addresses = st.text("市上海区 a1", max_size=16)
whole = st.integers(-(2**63), 2**63 - 1)


@pytest.fixture(scope="module")
def postgres(postgres_server: Path) -> Iterator[OnPostgres]:
    made = OnPostgres(postgres_server)
    yield made
    made.connection.close()


@pytest.mark.parametrize("mask", sorted(masks.MASKS))
@given(value=st.none() | texts | dates | addresses | whole | st.floats() | st.binary(max_size=12))
@example(value="")
@example(value="\0")
@example(value="1380000\x0012")
@example(value="𠀀" * 18)
@example(value="e\u0301" * 9)
@example(value=13_812_345_678)
@example(value=1e300)
def test_a_mask_in_sql_is_the_mask_in_python(mask: str, value: object) -> None:
    form = masked(mask, "v", SQLITE.forms, "text")
    row = CONNECTION.execute(f"SELECT {form} FROM (SELECT ? AS v)", (value,)).fetchone()
    # SQLite stores NaN as NULL.
    assert row[0] == masks.apply(mask, None if isinstance(value, float) and math.isnan(value) else value)


def shown(
    postgres: OnPostgres, mask: str, value: object, *, field_type: str, column: str, collation: str = ""
) -> object:
    form = masked(mask, "t.v", POSTGRES.forms, field_type)
    sql = f"SELECT {form} FROM (SELECT CAST(:g_v AS {column}) {collation} AS v) AS t"
    return postgres.ask(sql, {"g_v": value})[0][0]


@pytest.mark.parametrize("mask", sorted(masks.MASKS))
@settings(deadline=None)
@given(value=st.none() | texts | dates | addresses)
@example(value="")
@example(value="𠀀" * 18)
@example(value="e\u0301" * 9)
@example(value="\u2010" * 10)
@example(value="1990\u221205")
@example(value="%s:g_v\\")
def test_a_text_in_postgresql_is_masked_as_in_python(postgres: OnPostgres, mask: str, value: str | None) -> None:
    if value is None or "\0" not in value:
        for column, collation in (("text", ""), ("varchar", ""), ("text", 'COLLATE "POSIX"')):
            got = shown(postgres, mask, value, field_type="text", column=column, collation=collation)
            assert got == masks.apply(mask, value)


@pytest.mark.parametrize("mask", sorted(masks.MASKS))
@settings(deadline=None)
@given(value=whole)
@example(value=13_812_345_678)
def test_a_whole_number_in_postgresql_is_masked_as_in_python(postgres: OnPostgres, mask: str, value: int) -> None:
    for column in ("bigint", "numeric"):
        assert shown(postgres, mask, value, field_type="integer", column=column) == masks.apply(mask, value)


@pytest.mark.parametrize("mask", sorted(masks.MASKS))
@pytest.mark.parametrize("style", ["ISO, MDY", "SQL, DMY", "German", "Postgres, YMD"])
def test_a_date_in_postgresql_is_masked_as_its_text(postgres: OnPostgres, mask: str, style: str) -> None:
    """As on SQLite, where a date is text. In another style than ISO nothing is shown that ISO would hide."""
    postgres.run(f"SET datestyle = '{style}'")
    for day in ("1990-05-17", "infinity", "5874897-12-31", "0044-03-15 BC"):
        got = shown(postgres, mask, day, field_type="date", column="date")
        if style == "ISO, MDY":
            assert got == masks.apply(mask, day)
        elif mask == "month":
            assert got == masks.HIDDEN
    postgres.run("RESET datestyle")


@pytest.mark.parametrize(
    ("field_type", "column", "value"),
    [
        ("number", "double precision", 1e300),
        ("number", "numeric", 5),
        ("boolean", "boolean", True),
        ("json", "jsonb", '{"name": "王小明"}'),
        ("binary", "bytea", b"13812345678"),
    ],
)
@pytest.mark.parametrize("mask", sorted(masks.MASKS))
def test_what_no_mask_reads_is_hidden_whole(
    postgres: OnPostgres, mask: str, field_type: str, column: str, value: object
) -> None:
    assert shown(postgres, mask, value, field_type=field_type, column=column) == masks.HIDDEN
    assert shown(postgres, mask, None, field_type=field_type, column=column) is None


@pytest.mark.parametrize("dialect", [SQLITE, POSTGRES], ids=lambda dialect: dialect.name)
@pytest.mark.parametrize("mask", sorted(masks.MASKS))
def test_every_mask_of_the_policies_has_a_form_that_reads_back(mask: str, dialect: Dialect) -> None:
    for field_type in SQLITE.nulls:
        made = masked(mask, 't."v"', dialect.forms, field_type)
        assert parts.part(made, '"main"."x"', dialect, {("main", "x")}, set()) == {("main", "x", "v")}
