"""A guard is opened whole or not at all, and closes everything that it opened."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Final

import pytest
from records_bank import CATALOGUE, GUARD

from guard import Guard, Refused, Settings
from guard.errors import ConfigError
from guard.release import Release
from guard_engine import archive, releases, shipped
from guard_ledger.ledger import Ledger
from guard_ledger.person_keys import PersonKeys
from guard_register.register import Register

NOTHING_ASKED: Final = b'{"activities":[]}'


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "catalogue.yaml").write_text(CATALOGUE, "utf-8")
    (tmp_path / "profile.yaml").write_text("kind: bank\njurisdiction: CN\n", "utf-8")
    (tmp_path / "guard.yaml").write_text(GUARD % "main", "utf-8")
    return Settings.load(tmp_path / "guard.yaml")


def stopped(release: Release) -> bool:
    """Whether its engine answers no more."""
    try:
        release.decider.engine.evaluate("floor", "decision", NOTHING_ASKED)
    except Refused as refused:
        return refused.rules == ("GUARD-ENGINE-STOPPED",)
    return False


# --- Opened ---------------------------------------------------------------------------------------


def test_the_register_names_the_compiled_module_that_decides(settings: Settings) -> None:
    """Sources alone say nothing of what was made of them."""
    files = archive.unpack(shipped.wasm("floor").read_bytes())
    (module,) = (raw for name, raw in files.items() if name.endswith(".wasm"))
    with Guard.open(settings) as guard:
        digests = guard.active.digests
    assert digests["floor.module"] == "sha256:" + hashlib.sha256(module).hexdigest()
    assert set(digests) == {"floor", "floor.module", "profile", "catalogue"}


def test_the_bundle_of_a_layer_stands_for_no_other_layer(settings: Settings) -> None:
    """The floor's bundle twice would decide alone, and be taken for an institution's consent."""
    layers = settings.layers.model_copy(update={"institution": shipped.wasm("floor")})
    swapped = settings.model_copy(update={"layers": layers})
    with pytest.raises(ConfigError) as caught:
        releases.load_bundles(swapped)
    (problem,) = caught.value.problems
    assert problem.message == "this is a bundle of the layer floor"
    assert problem.remedy == "name it at layers.floor"


def test_a_guard_whose_ledger_cannot_be_opened_leaves_nothing_open(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = releases.load(settings)
    closed: list[str] = []
    for kind in (Register, PersonKeys):

        def close(self: Any, kind: Any = kind, close: Any = kind.close) -> None:
            closed.append(kind.__name__)
            close(self)

        monkeypatch.setattr(kind, "close", close)

    def unusable(*_: object, **__: object) -> Ledger:
        raise Refused.own("GUARD-LEDGER")

    monkeypatch.setattr(Ledger, "open", unusable)
    assert not stopped(release)
    with pytest.raises(Refused, match="GUARD-LEDGER"):
        Guard.open(settings, release=release)
    assert closed == ["Register", "PersonKeys"]
    assert stopped(release)


# --- Closed ---------------------------------------------------------------------------------------


def test_a_closed_guard_stops_the_engines_of_all_its_releases(settings: Settings) -> None:
    guard = Guard.open(settings)
    first, second, third = guard.active, releases.load(settings), releases.load(settings)
    guard.activate(second)
    guard.activate(third)
    assert not any(map(stopped, (first, second, third))), "what is under way ends under the one that it began with"
    guard.close()
    assert all(map(stopped, (first, second, third)))


def test_a_closed_guard_holds_no_connection_to_its_ledger(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    guard = Guard.open(settings)
    closed: list[str] = []
    for part in (guard.consents.store, guard.consents.persons):
        close = part.close

        def kept(part: Any = part, close: Any = close) -> None:
            closed.append(type(part).__name__)
            close()

        monkeypatch.setattr(part, "close", kept)
    guard.close()
    assert closed == ["Store", "PersonKeys"]


def test_a_closed_guard_answers_nothing_of_its_ledger(settings: Settings) -> None:
    """An engine of SQLAlchemy opens anew when it is asked again."""
    guard = Guard.open(settings)
    guard.close()
    for asked in (
        lambda: guard.consents.list("1"),
        guard.reviews.list,
        lambda: guard.consents.persons.keys(["1"]),
        guard.roads.mark,
    ):
        with pytest.raises(Refused, match="It is closed"):
            asked()
