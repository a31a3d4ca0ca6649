"""guard.yaml and profile.yaml: closed, strict, every limit named."""

from pathlib import Path

import pytest

from guard import documents
from guard.config import Embedded, Limits, Profile, Server, Settings
from guard.errors import ConfigError

GUARD = """\
version: 1
holder: bank
zone: Asia/Shanghai
catalogue: catalogue.yaml
profile: sub/profile.yaml
layers: {floor: builtin}
engine: {kind: embedded}
database: {url: "sqlite:///bank.db", schemas: {main: retail}}
register: {directory: register, key_file: /keys/register.key}
"""
PROFILE = """\
kind: bank
jurisdiction: CN
purposes:
  advice: {basis: [consent], categories: [income], relation: assigned_case}
"""


def write(folder: Path, text: str, name: str = "guard.yaml") -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def test_paths_are_taken_from_the_folder_of_the_document(tmp_path, monkeypatch):
    write(tmp_path, GUARD)
    monkeypatch.chdir(tmp_path)
    for path in (tmp_path / "guard.yaml", Path("guard.yaml")):
        settings = Settings.load(path)
        assert settings.catalogue == tmp_path / "catalogue.yaml"
        assert settings.profile == tmp_path / "sub" / "profile.yaml"
        assert settings.register_.key_file == Path("/keys/register.key")
        assert settings.database.sqlite_file == tmp_path / "bank.db"
        assert settings.database.dialect == "sqlite"
        assert settings.file == path


@pytest.mark.parametrize("name", ["postgresql", "postgresql+psycopg"])
def test_a_postgresql_database_has_one_spelling_whatever_driver_it_names(tmp_path, name):
    text = GUARD.replace("sqlite:///bank.db", f"{name}://bank@db/bank?sslmode=verify-full")
    database = Settings.load(write(tmp_path, text)).database
    assert database.url == "postgresql://bank@db/bank?sslmode=verify-full"
    assert (database.dialect, database.sqlite_file) == ("postgres", None)


def test_an_absolute_database_file_stays(tmp_path):
    settings = Settings.load(write(tmp_path, GUARD.replace("sqlite:///bank.db", "sqlite:////var/bank.db")))
    assert settings.database.sqlite_file == Path("/var/bank.db")


def test_a_folder_with_odd_signs_is_a_folder(tmp_path):
    folder = tmp_path / "a b % # 行"
    folder.mkdir()
    assert Settings.load(write(folder, GUARD)).database.sqlite_file == folder / "bank.db"


def test_every_limit_has_a_bound_below_and_above_and_a_stated_unit():
    for name, field in Limits.model_fields.items():
        kinds = {type(bound).__name__ for bound in field.metadata}
        assert {"Le"} <= kinds and kinds & {"Ge", "Gt"}, name  # noqa: PT018 -- one statement on one limit
    text = Path(documents.__file__).with_name("config.py").read_text(encoding="utf-8")
    body = text.split("class Limits")[1].split("\nclass ")[0]
    units = ("(count)", "(bytes)", "(seconds)", "(characters)")
    described = [line for line in body.splitlines()[2:] if line.startswith('    """')]  # those of the fields
    assert len(described) == len(Limits.model_fields)
    assert all(any(unit in line for unit in units) for line in described)


def test_settings_cannot_change(tmp_path):
    settings = Settings.load(write(tmp_path, GUARD))
    with pytest.raises(ValueError, match="frozen"):
        settings.limits.batch = 1
    with pytest.raises(TypeError):
        settings.database.schemas["temp"] = "x"


def test_a_server_and_its_defaults(tmp_path):
    text = GUARD.replace("{kind: embedded}", "{kind: server, url: 'https://opa.bank', token_file: opa.token}")
    engine = Settings.load(write(tmp_path, text)).engine
    assert isinstance(engine, Server)
    assert (engine.token_file, engine.deadline, engine.unsafe_open_server) == (tmp_path / "opa.token", 2.0, False)
    assert not engine.loopback
    assert isinstance(Settings.load(write(tmp_path, GUARD)).engine, Embedded)


def test_layers_come_floor_first(tmp_path):
    text = GUARD.replace("{floor: builtin}", "{institution: i.tar.gz, supervisor: s.tar.gz, floor: builtin}")
    assert list(Settings.load(write(tmp_path, text)).layers.present()) == ["floor", "supervisor", "institution"]
    assert Settings.load(write(tmp_path, GUARD)).layers.present() == {"floor": "builtin"}


@pytest.mark.parametrize(
    ("old", "new", "line", "word"),
    [
        ("version: 1", "version: 2", 1, "version"),
        ("version: 1", 'version: "1"', 1, "version"),
        ("version: 1", "version: true", 1, "version"),
        ("holder: bank", "holder: bank:retail", 2, "holder"),
        ("holder: bank", 'holder: ""', 2, "holder"),
        ("Asia/Shanghai", "Asia/Peking", 3, "time zone"),
        ("Asia/Shanghai", "../etc", 3, "time zone"),
        ("Asia/Shanghai", "Asia", 3, "time zone"),
        ("catalogue: catalogue.yaml\n", "", 1, "catalogue is missing"),
        ("catalogue: catalogue.yaml", 'catalogue: ""', 4, "not a path"),
        ("catalogue: catalogue.yaml", 'catalogue: "a\\0b"', 4, "U+0000"),
        ("{floor: builtin}", "{floor: 1}", 6, "layers.floor"),
        ("{floor: builtin}", "{floor: builtin, supervisor: null, extra: x}", 6, "extra"),
        ("{kind: embedded}", "{kind: remote}", 7, "remote"),
        ("{kind: embedded}", "{}", 7, "does not say its kind"),
        ("{kind: embedded}", "{kind: embedded, url: 'https://x'}", 7, "engine.url"),
        ("{kind: embedded}", "{kind: server, url: 'ftp://x'}", 7, "engine.url"),
        ("{kind: embedded}", "{kind: server, url: 'https://x', deadline: 0}", 7, "engine.deadline"),
        ("{kind: embedded}", "{kind: server, url: 'https://x', unsafe_open_server: 1}", 7, "unsafe_open_server"),
        ('"sqlite:///bank.db"', "bank.db", 8, "database URL"),
        ('"sqlite:///bank.db"', "oracle://x", 8, "database URL"),
        ('"sqlite:///bank.db"', "postgresql+asyncpg://x", 8, "write postgresql://"),
        ('"sqlite:///bank.db"', '"sqlite://"', 8, "memory"),
        ('"sqlite:///bank.db"', '"sqlite:///:memory:"', 8, "memory"),
        ('"sqlite:///bank.db"', '"sqlite:///file:x?mode=memory&uri=true"', 8, "query"),
        ("{main: retail}", "{}", 8, "database.schemas"),
        ("{main: retail}", "{main: retail, temp: retail}", 8, "two"),
        ("key_file: /keys/register.key", "key: x", 9, "register.key is not a key"),
        ("key_file: /keys/register.key", 'key_file: ""', 9, "not a path"),
        ("version: 1", "version: 1\nlimits: {fuel: 1}", 2, "limits.fuel"),
        ("version: 1", "version: 1\nlimits: {batch: 100001}", 2, "limits.batch"),
        ("version: 1", "version: 1\nlimits: {batch: 2.0}", 2, "limits.batch"),
        ("version: 1", "version: 1\nlimits: {batches: 2}", 2, "limits.batches"),
        ("version: 1", "version: 1\nlimits: {cache: 10,\n  cache_per_actor: 20}", 3, "cache_per_actor"),
        ("version: 1", "version: 1\nlimits: {itemise: 10, batch: 20}", 2, "itemise"),
        ("version: 1", "version: 1\nlimits: {buffered: 10, batch: 20, itemise: 30}", 2, "buffered"),
    ],
)
def test_each_mistake_has_its_line_and_a_remedy(tmp_path, old, new, line, word):
    assert GUARD.count(old) == 1
    with pytest.raises(ConfigError) as caught:
        Settings.load(write(tmp_path, GUARD.replace(old, new)))
    found = caught.value.problems
    assert any(one.line == line and word in one.message for one in found), found
    assert all(one.remedy and one.file.endswith("guard.yaml") for one in found)


def test_what_is_left_out_is_the_embedded_engine_the_floor_and_a_register_beside_the_document(tmp_path):
    left = GUARD.replace("layers: {floor: builtin}\n", "").replace("engine: {kind: embedded}\n", "")
    left = left.replace("register: {directory: register, key_file: /keys/register.key}\n", "")
    settings = Settings.load(write(tmp_path, left))
    assert isinstance(settings.engine, Embedded)
    assert settings.layers.present() == {"floor": "builtin"}
    register = settings.register_
    assert (register.directory, register.key_file) == (tmp_path / "register", tmp_path / "register.key")
    tighter = Settings.load(write(tmp_path, left + "layers: {institution: i.tar.gz}\n")).layers.present()
    assert tighter == {"floor": "builtin", "institution": tmp_path / "i.tar.gz"}


@pytest.mark.parametrize(
    ("old", "new", "remedy"),
    [
        ("version: 1\n", "", "write version: 1"),
        ("holder: bank\n", "", "write holder: bank"),
        ("catalogue: catalogue.yaml\n", "", "write catalogue: catalogue.yaml"),
        ('url: "sqlite:///bank.db", ', "", 'write url: "sqlite:///bank.db"'),
        (
            ", schemas: {main: retail}",
            "",
            "write schemas: {main: <schema of your catalogue>}   # SQLite's schema is main",
        ),
        ("{main: retail}", "{}", "write schemas: {main: <schema of your catalogue>}   # SQLite's schema is main"),
        (
            'database: {url: "sqlite:///bank.db", schemas: {main: retail}}\n',
            "",
            'write database: {url: "sqlite:///bank.db"',
        ),
    ],
)
def test_what_is_missing_is_told_with_a_value_to_write(tmp_path, old, new, remedy):
    with pytest.raises(ConfigError) as caught:
        Settings.load(write(tmp_path, GUARD.replace(old, new)))
    (found,) = caught.value.problems
    assert remedy in found.remedy


# --- Profile --------------------------------------------------------------------------------------


def test_the_profile_is_the_data_of_its_bundle(tmp_path):
    assert Profile.load(write(tmp_path, PROFILE, "profile.yaml")).data() == {
        "kind": "bank",
        "jurisdiction": "CN",
        "app_type": None,
        "notices": None,
        "purposes": {
            "advice": {"basis": ["consent"], "categories": ["income"], "roles": None, "relation": "assigned_case"}
        },
    }


@pytest.mark.parametrize(
    ("old", "new", "line", "word"),
    [
        ("kind: bank", "kind: shop", 1, "kind"),
        ("jurisdiction: CN", "jurisdiction: US", 2, "jurisdiction"),
        ("jurisdiction: CN", "jurisdiction: CN-4", 2, "jurisdiction"),
        ("[consent]", "[contract]", 4, "basis"),
        ("[consent]", "[consent, statute]", 4, "basis"),
        ("[consent]", "[]", 4, "basis"),
        ("[income]", "[]", 4, "categories"),
        ("[income]", "income", 4, "categories"),
        ("kind: bank\n", "", 1, "kind is missing"),
        ("kind: bank", "kind: bank\nnotices: []", 2, "notices"),
        ("relation: assigned_case", "relations: assigned_case", 4, "relations"),
    ],
)
def test_each_mistake_in_a_profile_has_its_line(tmp_path, old, new, line, word):
    with pytest.raises(ConfigError) as caught:
        Profile.load(write(tmp_path, PROFILE.replace(old, new), "profile.yaml"))
    assert any(one.line == line and word in one.message and one.remedy for one in caught.value.problems)
