"""The real OPA for tests: the program, layers built with it, servers that run it."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest

from guard_engine import bundle, opa, shipped
from guard_engine.build import build
from guard_engine.bundle import Bundle

FIXTURES = Path(__file__).parent / "fixtures"
PROFILE = {"kind": "bank", "jurisdiction": "CN", "app_type": None, "purposes": {}}


@pytest.fixture(scope="session")
def opa_program() -> Path:
    """The real opa. Where there is none: a failure in CI, else the test is skipped."""
    found = opa.find()
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("no opa: guard opa install")
        pytest.skip("no opa: guard opa install")
    return found


class Built:
    """A layer in both forms."""

    def __init__(self, rego: bytes, wasm: bytes) -> None:
        self.rego: Bundle = bundle.read(rego)
        self.wasm: Bundle = bundle.read(wasm)


@functools.cache
def _built(directory: Path, layer: str, program: Path) -> Built:
    return Built(*build(directory, layer, program))


@pytest.fixture(scope="session")
def built(opa_program: Path) -> Callable[[Path, str], Built]:
    """Builds a layer from a folder, each once in a run."""
    return lambda directory, layer: _built(directory, layer, opa_program)


@pytest.fixture(scope="session")
def floor(built: Callable[[Path, str], Built]) -> Built:
    """The small floor of tests/fixtures."""
    return built(FIXTURES / "floor", "floor")


@pytest.fixture(scope="session")
def profile() -> Bundle:
    """A bank's profile."""
    return bundle.read(bundle.profile_bundle(PROFILE))


Serve = Callable[..., opa.Running]


@pytest.fixture
def serve(opa_program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """Runs an OPA server with the given bundles until the test ends."""
    with ExitStack() as stack:

        def start(bundles: Mapping[str, bytes], **more: object) -> opa.Running:
            folder = tmp_path_factory.mktemp("opa")
            return stack.enter_context(opa.serve(opa_program, bundles, folder, **more))  # type: ignore[arg-type]

        yield start


@pytest.fixture(scope="session")
def small_server(
    opa_program: Path, floor: Built, profile: Bundle, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[opa.Running]:
    """One OPA server for the whole run, with the small floor and the profile; not to be stopped or changed."""
    bundles = {"floor.tar.gz": floor.rego.raw, "profile.tar.gz": profile.raw}
    with opa.serve(opa_program, bundles, tmp_path_factory.mktemp("opa")) as running:
        yield running


@pytest.fixture(scope="session")
def opa_server(opa_program: Path, profile: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[opa.Running]:
    """The same with the floor that guard ships, from its sources."""
    bundles = {"floor.tar.gz": bundle.pack(shipped.sources("floor"), "floor"), "profile.tar.gz": profile.raw}
    with opa.serve(opa_program, bundles, tmp_path_factory.mktemp("opa")) as running:
        yield running
