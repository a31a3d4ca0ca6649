"""A bank on each database behind each engine, for the scenarios that an auditor would run."""

from __future__ import annotations

import re
import sqlite3
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from fixtures_opa import Built
from fixtures_postgres import ROLE, _url, as_superuser

from guard import Guard, Settings, clock
from guard.config import Profile
from guard.demo import bank as example
from guard_engine import bundle, opa, shipped

sys.path.insert(0, str(Path(__file__).parents[1] / "adapters"))

import dbapi_bank
from dbapi_bank import Bank, Kind

NEAR = {str(number) for number in range(1001, 1201)}
"""Whose consents are recorded on PostgreSQL; on SQLite all are."""

HERE = Path(__file__).parent
LAYERS = {
    "house": Path(__file__).parents[2] / "examples" / "bank" / "institution",
    "malformed": HERE / "malformed",
}


class Templates:
    """The recorded bank, on each database, to be copied."""

    def __init__(self, folder: Path, server: Path) -> None:
        self.folder = folder
        self.server = server
        self.sqlite = dbapi_bank.sqlite_bank(folder / "sqlite")
        self.postgres = folder / "postgres"
        self.url = _url(server, ROLE, "template_bank")
        self._numbers = iter(range(1, 1000))
        self.run(f"CREATE DATABASE template_bank OWNER {ROLE}")
        dbapi_bank.postgres_bank(self.sqlite, self.postgres, self.url)
        with Guard.load(self.postgres / "guard.yaml") as guard:
            near = [one for one in example.consents() if one.subject in NEAR]
            guard.consents.record_many(near)
            for consent, moment in example.withdrawals():
                if consent in {one.consent.id for one in near}:
                    guard.consents.withdraw(consent, at=moment)

    def run(self, text: str) -> None:
        with psycopg.connect(_url(self.server, "postgres", "postgres"), autocommit=True) as admin:
            admin.execute(text.encode())

    def copied(self, kind: Kind, folder: Path) -> str:
        """A copy in an empty folder; where its database is."""
        recorded = self.sqlite if kind == "sqlite" else self.postgres
        dbapi_bank.copied(recorded, folder)
        if kind == "sqlite":
            return str(folder / "bank.db")
        name = f"scenario{next(self._numbers)}"
        self.run(f"CREATE DATABASE {name} OWNER {ROLE} TEMPLATE template_bank")
        url = _url(self.server, ROLE, name)
        config = folder / "guard.yaml"
        config.write_text(config.read_text("utf-8").replace(self.url, url), "utf-8")
        return url

    def dropped(self, url: str) -> None:
        """Gives a copy back: the server ends sooner with fewer files."""
        self.run(f"DROP DATABASE {url.partition('?')[0].rpartition('/')[2]} WITH (FORCE)")


@pytest.fixture(scope="session")
def templates(tmp_path_factory: pytest.TempPathFactory, postgres_server: Path) -> Templates:
    return Templates(tmp_path_factory.mktemp("scenarios"), postgres_server)


class Servers:
    """OPA servers for the bank, one for each set of layers; one to be killed is the asker's own."""

    def __init__(self, program: Path, built: Callable[[Path, str], Built], make: Callable[[], Path]) -> None:
        self._program = program
        self._built = built
        self._make = make
        self._running: dict[str | None, opa.Running] = {}
        self._stack = ExitStack()

    def built(self, house: str) -> Built:
        return self._built(LAYERS[house], "institution")

    def start(self, folder: Path, house: str | None) -> opa.Running:
        bundles: dict[str, bytes] = {
            "floor.tar.gz": bundle.pack(shipped.sources("floor"), "floor"),
            "profile.tar.gz": bundle.profile_bundle(Profile.load(folder / "profile.yaml").data()),
        }
        if house is not None:
            bundles["institution.tar.gz"] = self.built(house).rego.raw
        return self._stack.enter_context(opa.serve(self._program, bundles, self._make()))

    def shared(self, folder: Path, house: str | None) -> opa.Running:
        if house not in self._running:
            self._running[house] = self.start(folder, house)
        return self._running[house]

    def close(self) -> None:
        self._stack.close()


@pytest.fixture(scope="session")
def servers(
    opa_program: Path, built: Callable[[Path, str], Built], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Servers]:
    made = Servers(opa_program, built, lambda: tmp_path_factory.mktemp("opa"))
    yield made
    made.close()


class Scene:
    """One bank on one database behind one engine; what it opens is closed with it."""

    def __init__(self, kind: Kind, engine: str, folder: Path, templates: Templates, servers: Servers) -> None:
        self.kind: Kind = kind
        self.engine = engine
        self.folder = folder
        self.place = templates.copied(kind, folder)
        self._servers = servers
        self._house: str | None = None
        self._banks: list[Bank] = []
        self.stack = ExitStack()
        if engine == "server":
            self.asks(servers.shared(folder, None))

    @property
    def config(self) -> Path:
        return self.folder / "guard.yaml"

    def edit(self, name: str, changes: Mapping[str, str]) -> None:
        """Changes a document by patterns, each of which has to be there."""
        path = self.folder / name
        text = path.read_text("utf-8")
        for pattern, to in changes.items():
            text, times = re.subn(pattern, lambda _, to=to: to, text, count=1)  # type: ignore[misc]
            assert times == 1, pattern
        path.write_text(text, "utf-8")

    def asks(self, server: opa.Running) -> None:
        """From now on guard.yaml names this server."""
        where = f"engine:\n  kind: server\n  url: {server.url}\n  token_file: {server.token_file}"
        self.edit("guard.yaml", {r"engine:\n  kind: [^\n]*(\n  url:[^\n]*\n  token_file:[^\n]*)?": where})

    def own_server(self) -> opa.Running:
        """A server of this scene alone, which may be killed."""
        server = self._servers.start(self.folder, None)
        self.asks(server)
        return server

    def house(self, name: str) -> None:
        """Adds an institution layer, for guards that are opened from now on."""
        made = self._servers.built(name)
        path = self.folder / f"{name}.tar.gz"
        path.write_bytes(made.wasm.raw if self.engine == "embedded" else made.rego.raw)
        self.edit("guard.yaml", {r"floor: builtin[^\n]*": f"floor: builtin\n  institution: {path.name}"})
        if self.engine == "server":
            self.asks(self._servers.shared(self.folder, name))

    def open(self, *texts: str, now: clock.Clock = clock.system) -> Bank:
        """A bank before which a guard stands; first the texts are run past it."""
        bank = Bank(self.kind, self.folder, self.place, Guard.open(Settings.load(self.config), now=now))
        self._banks.append(bank)
        if texts:
            bank.outside(*texts)
        return bank

    def superuser(self, *texts: str) -> None:
        """Texts of a superuser, on PostgreSQL."""
        with psycopg.connect(as_superuser(self.place), autocommit=True) as raw:
            for text in texts:
                raw.execute(text.encode())

    def wal(self) -> None:
        """A write-ahead log, where SQLite keeps old snapshots beside writers."""
        if self.kind == "sqlite":
            with closing(sqlite3.connect(self.place)) as raw:
                assert raw.execute("PRAGMA journal_mode = WAL").fetchone() == ("wal",)

    def close(self) -> None:
        self.stack.close()
        for bank in self._banks:
            bank.close()


@pytest.fixture(
    params=[(kind, engine) for kind in ("sqlite", "postgres") for engine in ("embedded", "server")], ids="-".join
)
def scene(request: pytest.FixtureRequest, templates: Templates, servers: Servers, tmp_path: Path) -> Iterator[Scene]:
    kind, engine = request.param
    made = Scene(kind, engine, tmp_path / "bank", templates, servers)
    yield made
    made.close()
    if kind == "postgres":
        templates.dropped(made.place)


def chain(error: BaseException) -> list[BaseException]:
    """What an exception brings along: nothing, where it is a refusal."""
    found: list[Any] = [error.__cause__, error.__context__]
    return [one for one in found if one is not None]
