"""guard.yaml and profile.yaml as frozen settings: every limit has a name, a unit and a default.

Paths are taken from the folder of the document that names them. Reading a document opens no database, no
engine and no key; `guard check` does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeAlias, get_args
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, PrivateAttr, ValidationInfo

from guard import documents, strict
from guard.strict import Finding, FrozenMap, Name, Strict

FILE: Final = "guard.yaml"

DIALECTS: Final[Mapping[str, str]] = {
    "sqlite": "sqlite",
    "postgresql": "postgres",
    "mysql": "mysql",
    "mariadb": "mysql",
    "duckdb": "duckdb",
}
"""The SQL dialect of a database, by the first part of its URL."""

Layer: TypeAlias = Literal["floor", "supervisor", "institution"]


def _folder(info: ValidationInfo) -> Path:
    return Path((info.context or {}).get("folder", ""))


def _path(raw: object, info: ValidationInfo) -> Path:
    if not isinstance(raw, str) or not raw or "\0" in raw:
        raise ValueError("is not a path")
    return _folder(info) / raw


def _layer(raw: object, info: ValidationInfo) -> object:
    return raw if raw == "builtin" else _path(raw, info)


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # not found; no key at all; a folder of zones
        raise ValueError(f"{name} is not a time zone such as Asia/Shanghai") from None
    return name


def _url(raw: str, info: ValidationInfo) -> str:
    """The URL without its driver, the file of an SQLite database made absolute from the document's folder."""
    name, there, place = raw.partition("://")
    dialect, _, driver = name.partition("+")
    if not there or dialect not in DIALECTS:
        raise ValueError(f"is not a database URL that begins with one of {', '.join(sorted(DIALECTS))}")
    if dialect == "postgresql" and driver not in {"", "psycopg"}:
        raise ValueError("names a driver that guard does not speak to PostgreSQL by: write postgresql://")
    if dialect != "sqlite":
        return f"{dialect}://{place}"
    head, _, rest = raw.partition(":///")
    if not rest or rest.startswith(":memory:"):
        raise ValueError("is a database in memory, to which the ledger cannot open a connection of its own")
    if "?" in rest or rest.startswith("file:"):
        raise ValueError("has a query: name the file alone, as in sqlite:///bank.db")
    return f"{head}:///{_folder(info) / rest}"


FilePath: TypeAlias = Annotated[Path, BeforeValidator(_path)]
Bundle: TypeAlias = Annotated[Literal["builtin"] | Path, BeforeValidator(_layer)]
Count: TypeAlias = Annotated[int, Field(ge=1)]
Seconds: TypeAlias = Annotated[float, Field(gt=0, le=60)]


class Layers(Strict):
    """The policy bundle of each layer. `builtin` is the floor that comes with guard, and is there if none is named."""

    floor: Bundle = "builtin"
    supervisor: FilePath | None = None
    institution: FilePath | None = None

    def present(self) -> dict[Layer, Path | Literal["builtin"]]:
        """The layers that are there, floor first."""
        every: dict[Layer, Any] = {layer: getattr(self, layer) for layer in get_args(Layer)}
        return {layer: bundle for layer, bundle in every.items() if bundle is not None}


class Embedded(Strict):
    """The policies' Wasm form, in this process."""

    kind: Literal["embedded"]


class Server(Strict):
    """An OPA server. `deadline` in seconds. A server that needs no token is refused unless it is said to be unsafe."""

    kind: Literal["server"]
    url: Annotated[str, Field(pattern=r"^https?://[^\s]+$")]
    token_file: FilePath | None = None
    ca_file: FilePath | None = None
    deadline: Seconds = 2.0
    unsafe_open_server: bool = False

    @property
    def loopback(self) -> bool:
        """Whether the server is on this machine."""
        return urlsplit(self.url).hostname in {"localhost", "127.0.0.1", "::1"}


_SCHEMAS: Final = "{main: <schema of your catalogue>}"
_MAIN: Final = "   # SQLite's schema is main"


class Database(Strict):
    """The guarded database, which also holds the ledger. `schemas`: database schema -> catalogue schema."""

    url: Annotated[str, AfterValidator(_url)] = Field(examples=['"sqlite:///bank.db"'])
    schemas: FrozenMap[Name, Name] = Field(min_length=1, examples=[_SCHEMAS + _MAIN])

    def findings(self) -> Iterator[Finding]:
        """Each schema is one of the catalogue's, and no other's."""
        if len(set(self.schemas.values())) < len(self.schemas):
            yield Finding(("schemas",), "two schemas of the database are one of the catalogue", "give each its own")

    @property
    def dialect(self) -> str:
        """The SQL dialect as guard_sql names it."""
        return DIALECTS[self.url.split("://", 1)[0].split("+", 1)[0]]

    @property
    def sqlite_file(self) -> Path | None:
        """The file of an SQLite database, else None."""
        return Path(self.url.partition(":///")[2]) if self.dialect == "sqlite" else None


class Register(Strict):
    """Where the register is kept, and the file with the key that seals its parameters."""

    directory: FilePath = Field(default="register", validate_default=True)
    key_file: FilePath = Field(default="register.key", validate_default=True)


class Limits(Strict):
    """Every bound of guard, with its unit. What exceeds one is refused, never cut."""

    engines: Annotated[int, Field(ge=1, le=64)] = 4
    """Embedded engines in the pool (count); each holds its own copy of the policy data."""
    engine_wait: Seconds = 1.0
    """How long an operation waits for a free engine (seconds)."""
    fuel: Annotated[int, Field(ge=100_000, le=10_000_000_000)] = 50_000_000
    """Wasm instructions of one evaluation (count); some 20 ms."""
    memory: Annotated[int, Field(ge=1_048_576, le=1_073_741_824)] = 67_108_864
    """Memory of one embedded engine (bytes)."""
    input: Annotated[int, Field(ge=1_024, le=16_777_216)] = 1_048_576
    """Input of one evaluation (bytes)."""
    answer: Annotated[int, Field(ge=1_024, le=16_777_216)] = 4_194_304
    """Answer of one evaluation (bytes)."""
    cache: Annotated[int, Field(ge=0, le=1_000_000)] = 4_096
    """Decisions kept (count); 0 keeps none."""
    cache_per_actor: Annotated[int, Field(ge=0, le=1_000_000)] = 256
    """Decisions kept for one actor (count), so that one cannot push out the others'."""
    plans: Annotated[int, Field(ge=0, le=1_000_000)] = 1_024
    """Planned statements kept (count); 0 keeps none."""
    statement: Annotated[int, Field(ge=64, le=1_048_576)] = 65_536
    """An SQL statement (characters)."""
    parameters: Annotated[int, Field(ge=0, le=32_000)] = 1_000
    """Parameters of one statement (count)."""
    batch: Annotated[int, Field(ge=1, le=100_000)] = 256
    """Rows released at a time, after their register entry (count)."""
    buffered: Annotated[int, Field(ge=1, le=10_000_000)] = 100_000
    """Rows of one statement, held in memory until they are registered and released (count)."""
    itemise: Annotated[int, Field(ge=1, le=100_000)] = 1_000
    """Persons that one register entry names (count); above, it says how many."""
    body: Annotated[int, Field(ge=1_024, le=67_108_864)] = 1_048_576
    """A body of a guarded request or answer (bytes); it is held in memory until it is registered and released."""
    depth: Annotated[int, Field(ge=2, le=128)] = 32
    """Arrays and objects within each other in such a body (count)."""
    register_wait: Seconds = 5.0
    """How long an operation waits for its register entry to be durable (seconds)."""
    ledger_wait: Seconds = 0.5
    """How long the ledger waits for another writer of its database, before it refuses (seconds)."""
    approval: Annotated[int, Field(ge=1, le=31_536_000)] = 86_400
    """How long an approval may be used after it was given (seconds); a day."""
    held: Annotated[int, Field(ge=1, le=31_536_000)] = 2_592_000
    """How long what is held waits for another person (seconds); 30 days."""

    def findings(self) -> Iterator[Finding]:
        """No bound is above the one that it lies within."""
        pairs = (
            ("cache_per_actor", self.cache_per_actor, "cache", self.cache),
            ("batch", self.batch, "itemise", self.itemise),
            ("batch", self.batch, "buffered", self.buffered),
        )
        for low, less, high, more in pairs:
            if less > more:
                yield Finding((low,), f"{low} ({less}) is more than {high} ({more})", f"lower {low}, or raise {high}")


class Settings(Strict):
    """guard.yaml."""

    version: Annotated[int, Field(ge=1, le=1)] = Field(examples=[1])  # not Literal[1], which is also true
    holder: Annotated[Name, Field(pattern=r"^[^\s:.]+$")] = Field(examples=["bank"])
    zone: Annotated[str, AfterValidator(_zone)] = "Asia/Shanghai"
    catalogue: FilePath = Field(examples=["catalogue.yaml"])
    profile: FilePath = Field(examples=["profile.yaml"])
    layers: Layers = Layers()
    engine: Annotated[Embedded | Server, Field(discriminator="kind")] = Embedded(kind="embedded")
    database: Database = Field(examples=[f'{{url: "sqlite:///bank.db", schemas: {_SCHEMAS}}}{_MAIN}'])
    register_: Register = Field(alias="register", default_factory=dict, validate_default=True)
    limits: Limits = Limits()
    _file: Path = PrivateAttr(default=Path(FILE))

    @classmethod
    def load(cls, path: Path | str) -> Settings:
        """The settings in a guard.yaml; ConfigError with file, line and remedy of all that is wrong."""
        return cls.of(documents.read(Path(path)))

    @classmethod
    def of(cls, document: documents.Document) -> Settings:
        """The settings in a document that was read; its paths are taken from the folder of its file."""
        folder = Path(document.file).parent.resolve()
        return strict.model(document, cls, {"folder": folder, "file": document.file})

    @property
    def file(self) -> Path:
        """Where the settings were read from."""
        return self._file

    def model_post_init(self, context: Any) -> None:
        """Keeps the name of the file, for problems found later."""
        self._file = Path((context or {}).get("file", FILE))


# --- Profile --------------------------------------------------------------------------------------

Kind: TypeAlias = Literal["bank", "credit_agency", "internet", "big_data", "app_operator", "public_credit"]


class OwnPurpose(Strict):
    """A purpose of the institution's own: it rests on consent alone, for these categories.

    `roles` are those whose holders may act for it, null all; `relation` names the relation that a member of
    staff must have to the person.
    """

    basis: tuple[Literal["consent"]]
    categories: Annotated[tuple[Name, ...], Field(min_length=1)]
    roles: Annotated[tuple[Name, ...], Field(min_length=1)] | None = None
    relation: Name | None = None


class Profile(Strict):
    """profile.yaml: who the institution is. It reaches policy as `data.guard.profile`, never as input.

    `notices` are the ids of the notices that are current; null takes any.
    """

    kind: Kind = Field(examples=["bank"])
    jurisdiction: Annotated[str, Field(pattern=r"^CN(-[0-9]{2})?$")] = Field(examples=["CN"])
    app_type: Name | None = None
    notices: Annotated[tuple[Name, ...], Field(min_length=1)] | None = None
    purposes: FrozenMap[Name, OwnPurpose] = Field(default_factory=dict, validate_default=True)

    @classmethod
    def load(cls, path: Path | str) -> Profile:
        """The profile in a file; ConfigError with file, line and remedy of all that is wrong."""
        return strict.model(documents.read(Path(path)), cls)

    def data(self) -> dict[str, Any]:
        """The data of the profile bundle."""
        return self.model_dump(mode="json")
