"""Fixtures for pytest: `pytest_plugins = ["guard.testing_fixtures"]` in the conftest.py of a program."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TypeAlias

import pytest

from guard.config import Settings
from guard.errors import UnsafeWarning
from guard.testing import Decide, UnsafeGuard, allow_all
from guard.testing import unsafe_guard as opened

Opens: TypeAlias = Callable[..., UnsafeGuard]


@pytest.fixture
def unsafe_guard(tmp_path: Path) -> Iterator[Opens]:
    """`unsafe_guard("guard.yaml", decide=…, database=…)` opens a guard for this test; it is closed at its end."""
    with ExitStack() as stack:

        def opens(
            settings: str | Path | Settings, *, decide: Decide = allow_all, database: str | None = None
        ) -> UnsafeGuard:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UnsafeWarning)
                return stack.enter_context(opened(settings, tmp_path, database=database, decide=decide))

        yield opens
