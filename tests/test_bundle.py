"""Bundles: written deterministically, read strictly."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fixtures_opa import FIXTURES, PROFILE, Built

from guard.errors import ConfigError
from guard.messages import Message
from guard_engine import archive, bundle, metadata, shipped

FLOOR = FIXTURES / "floor"


def packed() -> dict[str, bytes]:
    return archive.unpack(bundle.pack(FLOOR, "floor"))


def changed(change: Callable[[dict[str, bytes]], None]) -> bytes:
    files = packed()
    change(files)
    return archive.pack(files)


def manifest(**change: Any) -> Callable[[dict[str, bytes]], None]:
    def apply(files: dict[str, bytes]) -> None:
        read = json.loads(files[".manifest"])
        read.update(change)
        files[".manifest"] = json.dumps(read).encode()

    return apply


def refused(raw: bytes | Path) -> str:
    with pytest.raises(ConfigError) as caught:
        bundle.read(raw)
    (problem,) = caught.value.problems
    assert problem.message.startswith("GUARD-BUNDLE: ")
    assert problem.remedy
    return problem.message


# --- Writing --------------------------------------------------------------------------------------


def test_packing_is_deterministic_and_reads_back(tmp_path: Path) -> None:
    raw = bundle.pack(FLOOR, "floor")
    assert raw == bundle.pack(FLOOR, "floor")
    (tmp_path / "floor.tar.gz").write_bytes(raw)
    read = bundle.read(tmp_path / "floor.tar.gz")
    assert read == bundle.read(raw)
    assert read.layer == "floor"
    assert read.wasm is None
    assert read.data == {"purposes": {"loan_underwriting": {}, "inquiry": {}}}
    title = "A floor for tests of the engines"
    assert read.rules == {"T-01": Message("test 1", "The purpose is known.", "目的已知。", title)}


def test_the_digest_is_what_sha256sum_of_sha256sum_prints() -> None:
    lines = "".join(
        f"{hashlib.sha256((FLOOR / name).read_bytes()).hexdigest()}  guard/floor/{name}\n"
        for name in ("data.json", "floor.rego")
    )
    assert bundle.read(bundle.pack(FLOOR, "floor")).digest == "sha256:" + hashlib.sha256(lines.encode()).hexdigest()


def test_tests_stay_out_of_a_bundle_and_of_its_digest(tmp_path: Path) -> None:
    for name in ("floor.rego", "data.json"):
        (tmp_path / name).write_bytes((FLOOR / name).read_bytes())
    (tmp_path / "floor_test.rego").write_text("package guard.floor_test\n")
    (tmp_path / ".hidden.rego").write_text("package hidden\n")
    (tmp_path / "README.md").write_text("words")
    assert bundle.pack(tmp_path, "floor") == bundle.pack(FLOOR, "floor")


def test_data_lies_at_the_place_of_its_folder() -> None:
    sources = {"guard/floor/data.json": b'{"a": {"b": 1}}', "guard/floor/a/data.json": b'{"c": 2}'}
    assert bundle.base_data(sources, "guard/floor") == {"a": {"b": 1, "c": 2}}
    with pytest.raises(ValueError, match="overlaps"):
        bundle.base_data({**sources, "guard/floor/a/data.json": b'{"b": 2}'}, "guard/floor")
    with pytest.raises(ValueError, match="overlaps"):
        bundle.base_data({**sources, "guard/floor/a/b/data.json": b"{}"}, "guard/floor")


def test_data_that_repeats_a_key_is_refused(tmp_path: Path) -> None:
    (tmp_path / "floor.rego").write_text("package guard.floor\n")
    (tmp_path / "data.json").write_text('{"purposes": {}, "purposes": {"all": {}}}')
    with pytest.raises(ConfigError, match="repeats a key"):
        bundle.pack(tmp_path, "floor")


def test_data_that_only_opa_would_load_is_refused(tmp_path: Path) -> None:
    (tmp_path / "floor.rego").write_text("package guard.floor\n")
    (tmp_path / "data.yaml").write_text("a: 1")
    with pytest.raises(ConfigError, match=r"data\.json"):
        bundle.pack(tmp_path, "floor")


def test_a_folder_without_policy_and_an_unknown_layer_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no policy"):
        bundle.pack(tmp_path, "floor")
    with pytest.raises(ConfigError, match="no layer 'roof'"):
        bundle.pack(FLOOR, "roof")


def test_a_profile_is_a_data_bundle_of_its_own_root() -> None:
    read = bundle.read(bundle.profile_bundle(PROFILE))
    assert (read.layer, read.data, read.wasm) == ("profile", PROFILE, None)
    assert read.digest != bundle.read(bundle.profile_bundle({**PROFILE, "kind": "internet"})).digest
    assert bundle.profile_bundle(PROFILE) == bundle.profile_bundle(dict(reversed(PROFILE.items())))


# --- Reading --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        (lambda files: files.pop(".manifest"), "no .manifest"),
        (lambda files: files.update({".manifest": b"{"}), ".manifest"),
        (lambda files: files.update({".manifest": b'{"revision": "1", "revision": "2"}'}), "repeats a key"),
        (manifest(roots=["guard"]), "one root guard/floor"),
        (manifest(roots=["guard/floor", "guard/profile"]), "one root guard/floor"),
        (manifest(roots=[""]), "one root guard/floor"),
        (manifest(revision="sha256:" + "0" * 64), "not the digest"),
        (manifest(revision="1.0", metadata={"layer": "floor", "sources": "1.0"}), "not the digest"),
        (manifest(metadata={"layer": "roof", "sources": ""}), "no layer 'roof'"),
        (manifest(surprise=1), "unknown field"),
        (manifest(rego_version="1"), "Expected"),
        (lambda files: files.update({"guard/floor/floor.rego": b"package guard.floor\n"}), "not those of its revision"),
        (
            lambda files: files.update({"guard/floor/data.json": b'{"purposes": {"any": {}}}'}),
            "not those of its revision",
        ),
        (lambda files: files.pop("guard/floor/data.json"), "not those of its revision"),
        (lambda files: files.update({"guard/floor/more.rego": b"package guard.floor\n"}), "not those of its revision"),
        (lambda files: files.update({"guard/profile/data.json": b"{}"}), "does not belong"),
        (lambda files: files.update({"data.json": b"{}"}), "does not belong"),
        (lambda files: files.update({"patch.json": b"{}"}), "does not belong"),
        (lambda files: files.update({"guard/floor/data.yaml": b"a: 1"}), "does not belong"),
        (lambda files: files.update({"guard/floorx.rego": b""}), "does not belong"),
        (lambda files: files.update({"policy.wasm": b"\0asm"}), "entry points"),
        (manifest(wasm=[{"entrypoint": "guard/floor/decision", "module": "/policy.wasm"}]), "module is missing"),
    ],
)
def test_a_bundle_that_is_off_is_refused_with_the_cause(change: Any, cause: str) -> None:
    files = packed()
    change(files)
    assert cause in refused(archive.pack(files))


def test_a_profile_with_policy_is_refused() -> None:
    files = archive.unpack(bundle.profile_bundle(PROFILE))
    files["guard/profile/x.rego"] = b"package guard.profile\n"
    assert "data only" in refused(archive.pack(files))


def test_a_module_is_bound_to_its_manifest(floor: Built) -> None:
    files = archive.unpack(floor.wasm.raw)
    files["policy.wasm"] = files["policy.wasm"] + b"\0"
    assert "not the one of its manifest" in refused(archive.pack(files))


def test_both_forms_of_a_layer_carry_one_digest(floor: Built) -> None:
    assert floor.rego.digest == floor.wasm.digest
    assert floor.rego.data == floor.wasm.data
    assert floor.rego.rules == floor.wasm.rules
    assert floor.wasm.wasm is not None


def test_a_module_alone_rests_on_the_manifests_word(floor: Built) -> None:
    files = archive.unpack(floor.wasm.raw)
    del files["guard/floor/floor.rego"]
    assert bundle.read(archive.pack(files)).digest == floor.wasm.digest


def test_an_unreadable_file_is_a_problem_not_a_crash(tmp_path: Path) -> None:
    assert "cannot be read" in refused(tmp_path / "none.tar.gz")


# --- The archive ----------------------------------------------------------------------------------


def tar(*members: tuple[str, bytes, bytes], **options: Any) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.USTAR_FORMAT, **options) as archive_:
        for name, body, kind in members:
            info = tarfile.TarInfo(name)
            info.size = len(body)
            info.type = kind
            info.linkname = "elsewhere" if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE) else ""
            archive_.addfile(info, io.BytesIO(body))
    return made.getvalue()


def unpacked(tar_: bytes) -> dict[str, bytes]:
    return archive.unpack(gzip.compress(tar_))


def test_archives_of_other_tools_are_read() -> None:
    body = b"x" * 1000
    assert unpacked(tar(("/a/b.rego", body, tarfile.REGTYPE))) == {"a/b.rego": body}
    deep = "guard/floor/" + "d" * 60 + "/" + "e" * 60 + ".rego"
    assert unpacked(tar((deep, body, tarfile.REGTYPE))) == {deep: body}


@pytest.mark.parametrize(
    ("raw", "cause"),
    [
        (tar(("../x", b"1", tarfile.REGTYPE)), "not a plain relative path"),
        (tar(("a/../../x", b"1", tarfile.REGTYPE)), "not a plain relative path"),
        (tar(("//x", b"1", tarfile.REGTYPE)), "not a plain relative path"),
        (tar(("a\\x", b"1", tarfile.REGTYPE)), "not a plain relative path"),
        (tar(("é", b"1", tarfile.REGTYPE)), "not a plain relative path"),
        (tar(("", b"1", tarfile.REGTYPE)), "not a plain relative path"),
        (tar(("x", b"", tarfile.SYMTYPE)), "other than plain files"),
        (tar(("x", b"", tarfile.LNKTYPE)), "other than plain files"),
        (tar(("x", b"", tarfile.DIRTYPE)), "other than plain files"),
        (tar(("x", b"1", b"L")), "other than plain files"),
        (tar(("x", b"1", b"x")), "other than plain files"),
        (tar(("x", b"1", tarfile.REGTYPE), ("x", b"2", tarfile.REGTYPE)), "repeated"),
        (tar(("x", b"1", tarfile.REGTYPE), ("/x", b"2", tarfile.REGTYPE)), "repeated"),
        (tar(*((str(n), b"", tarfile.REGTYPE) for n in range(archive.MAX_MEMBERS + 1))), "more than"),
        (tar(("x", b"1" * 600, tarfile.REGTYPE))[:1000], "cut off"),
        (tar(("x", b"1" * 600, tarfile.REGTYPE))[:1536], "ends in the middle"),
        (b"", "ends in the middle"),
        (tar(("x", b"1", tarfile.REGTYPE)) + b"tail", "follows its end"),
        (tar(("x", b"1", tarfile.REGTYPE)).replace(b"0000644", b"0000777", 1), "damaged"),
        (b"y" + tar(("x", b"1", tarfile.REGTYPE))[1:], "damaged"),
    ],
)
def test_an_archive_that_is_off_is_refused(raw: bytes, cause: str) -> None:
    with pytest.raises(archive.ArchiveError, match=cause):
        unpacked(raw)


@pytest.mark.parametrize(
    ("raw", "cause"),
    [
        (b"", "not one whole gzip stream"),
        (b"not gzip at all", "not sound gzip"),
        (gzip.compress(tar())[:-1], "not one whole gzip stream"),
        (gzip.compress(tar()) + gzip.compress(tar()), "not one whole gzip stream"),
        (gzip.compress(tar())[:-8] + bytes(8), "not sound gzip"),
        (gzip.compress(bytes(archive.MAX_UNPACKED + 1), 1), "unpacks to more"),
        (bytes(archive.MAX_PACKED + 1), "larger than"),
    ],
)
def test_gzip_that_is_off_is_refused(raw: bytes, cause: str) -> None:
    with pytest.raises(archive.ArchiveError, match=cause):
        archive.unpack(raw)


def test_every_flipped_byte_is_found() -> None:
    raw = bundle.pack(FLOOR, "floor")
    whole = bundle.read(raw)
    for at in range(10, len(raw)):  # the first ten are gzip's own header: time, system
        flipped = raw[:at] + bytes([raw[at] ^ 0x20]) + raw[at + 1 :]
        try:
            read = bundle.read(flipped)
        except ConfigError:
            continue
        assert (read.digest, read.data, read.rules) == (whole.digest, whole.data, whole.rules)


# --- The words of rules ---------------------------------------------------------------------------


def rego(*blocks: str) -> dict[str, bytes]:
    return {"guard/floor/x.rego": ("package guard.floor\n\n" + "\n".join(blocks)).encode()}


FULL = """# METADATA
# custom:
#   rule: PI-19
#   clause: PIPL 29
#   en: Separate consent.
#   zh: 单独同意。
a := 1
"""


def test_rules_get_their_words_from_metadata() -> None:
    reference = "# METADATA\n# custom:\n#   rule: PI-19\nb := 1\n"
    other = "# METADATA\n# title: a helper\n# description: >-\n#   folded\n#   text\nc := 1\n# an ordinary comment\n"
    assert metadata.rules(rego(FULL, reference, other)) == {
        "PI-19": Message("PIPL 29", "Separate consent.", "单独同意。")
    }
    named = FULL.replace("# custom:\n", "# title: Separate\n# custom:\n#   title_zh: 单独\n")
    assert metadata.rules(rego(named))["PI-19"] == Message(
        "PIPL 29", "Separate consent.", "单独同意。", "Separate", "单独"
    )


@pytest.mark.parametrize(
    ("block", "cause"),
    [
        ("# METADATA\n# custom:\n#   rule: PI-20\nb := 1\n", "PI-20 is described nowhere"),
        (FULL.replace("Separate consent", "Any consent"), "described twice"),
        ("# METADATA\n# custom:\n#   rule: PI-20\n#   en: only English\nb := 1\n", "lacks one of"),
        ("# METADATA\n# custom:\n#   en: words of no rule\nb := 1\n", "not a rule id"),
        ("# METADATA\n# custom:\n#   rule: 19\nb := 1\n", "not a rule id"),
        ("# METADATA\n# custom: [1]\nb := 1\n", "not a mapping"),
        (FULL.replace("# custom:", "# title: 1\n# custom:"), "title that is no text"),
        ("# METADATA\n# custom: {\nb := 1\n", "not YAML"),
    ],
)
def test_words_that_are_off_are_refused_with_their_place(block: str, cause: str) -> None:
    with pytest.raises(ConfigError, match=cause) as caught:
        metadata.rules(rego(FULL, block))
    assert caught.value.problems[0].line > 9


# --- With the real OPA ----------------------------------------------------------------------------


def test_a_packed_bundle_loads_in_a_real_opa(tmp_path: Path, opa_program: Path) -> None:
    (tmp_path / "floor.tar.gz").write_bytes(bundle.pack(FLOOR, "floor"))
    (tmp_path / "profile.tar.gz").write_bytes(bundle.profile_bundle(PROFILE))
    said = subprocess.run(
        [opa_program, "eval", "-b", "floor.tar.gz", "-b", "profile.tar.gz", "-f", "json", "data.guard"],
        cwd=tmp_path,
        capture_output=True,
        check=True,
    ).stdout
    value = json.loads(said)["result"][0]["expressions"][0]["value"]
    assert value["profile"] == PROFILE
    assert value["floor"]["purposes"] == {"loan_underwriting": {}, "inquiry": {}}


def test_the_shipped_policies_are_found() -> None:
    assert (shipped.sources("floor") / "data.json").is_file()
    with pytest.raises(ConfigError, match="not shipped"):
        shipped.sources("roof")
