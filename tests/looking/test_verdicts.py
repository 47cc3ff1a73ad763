"""Kept verdicts: what changes anything asks again, and no entry can hide a finding."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from sealpipe import caches
from sealpipe.checks import locate
from sealpipe.cli.main import main
from sealpipe.crypto import bech32
from sealpipe.documents import nodes
from sealpipe.looking import verdicts
from team import Team

SCHEMA = {"type": "object", "additionalProperties": False, "properties": {}}
BAD = "db:\n  pool: a-plain-word\n"


@pytest.fixture
def team(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Team:
    made = Team(tmp_path / "repository")
    monkeypatch.chdir(made.root)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    made.pin(os.environ)
    monkeypatch.setattr(caches, "program", lambda: [b"this one"])  # its files may be edited meanwhile
    return made


@pytest.fixture
def validate(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, bool]]:
    def run(*words: str) -> tuple[int, str, bool]:
        """Exit code, findings, whether it was from the cache."""
        code = main(["validate", *words])
        out, _ = capsys.readouterr()
        told, _, last = f"\n{out}".rstrip("\n").rpartition("\n")
        return code, told.strip("\n"), "from cache" in last

    return run


Validate = Callable[..., tuple[int, str, bool]]


def entry(tmp_path: Path) -> Path:
    (found,) = (tmp_path / "cache" / "sealpipe" / "verdicts").glob("*.json")
    return found


def test_an_unchanged_repository_is_hashed_and_nothing_more(
    team: Team, validate: Validate, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert validate() == (0, "", False)
    monkeypatch.setattr(nodes, "compose", lambda *_, **__: pytest.fail("a file was composed"))
    assert validate() == (0, "", True)
    assert main(["validate"]) == 0
    assert capsys.readouterr().out.rstrip().endswith("s (5 unchanged, from cache)")


def test_findings_are_told_again_word_for_word_their_lines_read_anew(
    team: Team, tmp_path: Path, validate: Validate
) -> None:
    team.write("environments/dev/checkout.yaml", "db:\n  pool: a-plain-word  # old: hunter2\n  pol: 3\n")
    code, told, cached = validate()
    assert (code, cached) == (4, False)
    assert "2 |   pool: a-plain-word\n" in told
    assert validate() == (4, told, True)
    kept = entry(tmp_path).read_text()
    assert "a-plain-word" not in kept
    assert "hunter2" not in kept
    assert stat.S_IMODE(entry(tmp_path).stat().st_mode) == 0o600
    assert stat.S_IMODE(entry(tmp_path).parent.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("environments/dev/checkout.yaml", "db: {pool: 3}\n"),
        ("environments/base/_all.yaml", "{}\n"),
        ("environments/dev/new.yml", "a: 1\n"),
        ("environments/new/a.yaml", "a: 1\n"),
        ("schemas/checkout.schema.json", json.dumps({**SCHEMA, "title": "other"})),
        ("schemas/unused.schema.json", json.dumps(SCHEMA)),
        ("trust/other.yaml", "a: 1\n"),
        ("trust/trust.yaml", "a: 1\n"),
    ],
)
def test_every_file_and_name_counts(team: Team, validate: Validate, file: str, text: str) -> None:
    validate()
    assert validate()[2]
    team.write(file, text)
    fresh = validate()
    assert not fresh[2]
    assert fresh == validate("--no-cache")


def test_the_project_file_refs_pins_and_the_program_count(
    team: Team, validate: Validate, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def asked_again() -> bool:
        first, second = validate()[2], validate()[2]
        return not first and second

    assert asked_again()
    project = team.root / "sealpipe.yaml"
    project.write_text(project.read_text() + "# a comment\n")
    assert asked_again()
    subprocess.run(["git", "branch", "other"], cwd=team.root, check=True)
    assert asked_again()
    subprocess.run(["git", "branch", "-m", "other", "third"], cwd=team.root, check=True)
    assert asked_again()
    monkeypatch.delenv("SEALPIPE_TRUST", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    assert asked_again()
    monkeypatch.setattr(verdicts, "VERSION", "0.0.9")
    assert asked_again()
    monkeypatch.setattr(caches, "program", lambda: [b"another one"])
    assert asked_again()


def test_the_program_is_its_files_and_what_it_stands_on() -> None:
    told = b"\n".join(caches.program())
    assert str(Path(verdicts.__file__)).encode() in told
    assert b"jsonschema_rs-" in told
    assert b"pyyaml-" in told.lower()


def test_a_target_has_its_own_verdict(team: Team, validate: Validate) -> None:
    team.write("environments/dev/checkout.yaml", BAD)
    assert validate()[0] == 4
    assert validate("production")[::2] == (0, False)
    assert validate("production")[::2] == (0, True)
    assert validate("dev")[::2] == (4, False)
    assert validate()[::2] == (4, False) or validate()[::2] == (4, True)


def test_no_cache_and_what_is_not_kept(team: Team, validate: Validate, tmp_path: Path) -> None:
    assert not validate("--no-cache")[2]
    assert not (tmp_path / "cache").exists()
    assert not validate("--changed-since", "HEAD")[2]
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(
    "break_",
    [
        lambda data: b"",
        lambda data: data[:-1],
        lambda data: data.replace(b'"trusted":true', b'"trusted":false'),
        lambda data: data.replace(data.split(b" ")[1], b"0" * 64),
        lambda data: b"\xff" + data,
        lambda data: data.partition(b"\n")[0] + b"\n" + b"[" * 100_000,
    ],
)
def test_a_broken_or_foreign_entry_is_recomputed(
    team: Team, validate: Validate, tmp_path: Path, break_: Callable[[bytes], bytes]
) -> None:
    team.write("environments/dev/checkout.yaml", BAD)
    told = validate()
    entry(tmp_path).write_bytes(break_(entry(tmp_path).read_bytes()))
    assert validate() == told
    assert validate() == (*told[:2], True)


@pytest.mark.parametrize(
    "body",
    [
        b"[]", b"{}", b'{"documents":1}', b"null", b"[" * 100_000,
        b'{"documents":1,"environments":1,"units":{},"trusted":1,"findings":[]}',
        b'{"documents":"1","environments":1,"units":{},"trusted":true,"findings":[]}',
        b'{"documents":1,"environments":1,"units":{},"trusted":true,"findings":[["a",1]]}',
        b'{"documents":1,"environments":1,"units":{},"trusted":true,"findings":'
        b'[["w","x","",[],[],"fatal",0,0,null,[]]]}',
    ],
)  # fmt: skip
def test_a_well_signed_entry_of_another_shape_is_recomputed(
    team: Team, validate: Validate, tmp_path: Path, body: bytes
) -> None:
    told = validate()
    key = entry(tmp_path).read_bytes().split(b" ")[1].decode()
    entry(tmp_path).write_bytes(f"{verdicts.FORMAT} {key} {caches.digest(body)}\n".encode() + body)
    assert validate() == told


def test_an_entry_that_others_could_write_is_not_read(team: Team, validate: Validate, tmp_path: Path) -> None:
    validate()
    entry(tmp_path).chmod(0o644)
    assert not validate()[2]
    kept = entry(tmp_path)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(kept.read_bytes())
    elsewhere.chmod(0o600)
    kept.unlink()
    kept.symlink_to(elsewhere)
    assert not validate()[2]
    kept.unlink(missing_ok=True)
    kept.parent.chmod(0o755)
    assert not validate()[2]
    assert not validate()[2]


def test_no_verdict_is_kept_where_a_pull_request_could_bring_one(
    team: Team, validate: Validate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(team.root / "environments"))
    (team.root / "environments" / "sealpipe" / "verdicts").mkdir(parents=True, mode=0o700)
    validate()
    assert not validate()[2]
    assert not list(team.root.rglob("verdicts/*"))


def test_a_hostile_entry_hides_nothing_from_plan_and_publish(
    team: Team,
    validate: Validate,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    team.write("environments/dev/checkout.yaml", BAD)
    team.commit("bad")
    validate()
    key = entry(tmp_path).read_bytes().split(b" ")[1].decode()
    body = b'{"documents":5,"environments":3,"units":{"dev/checkout":true},"trusted":true,"findings":[]}'
    forged = f"{verdicts.FORMAT} {key} {caches.digest(body)}\n".encode() + body
    entry(tmp_path).write_bytes(forged)
    monkeypatch.setenv("SEALPIPE_KEY", bech32.encode("age-secret-key-", bytes([1]) * 32).upper())
    assert validate() == (0, "", True)  # who can write there could as well replace the program
    for command in (["plan", "dev"], ["publish", "dev", "--yes"]):
        assert main(command) != 0
        out, err = capsys.readouterr()
        assert "wrong-type" in out + err
    assert entry(tmp_path).read_bytes() == forged


def test_what_changes_while_it_is_validated_is_not_kept(
    team: Team, validate: Validate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    placed = locate.located

    def changed_meanwhile(*given: object, **more: object) -> object:
        team.write("environments/dev/checkout.yaml", "db: {pool: 1}\n")
        return placed(*given, **more)  # type: ignore[arg-type]

    team.write("environments/dev/checkout.yaml", BAD)
    monkeypatch.setattr("sealpipe.stages.validate.located", changed_meanwhile)
    assert validate()[0] == 4
    assert not list((tmp_path / "cache").rglob("*.json"))
    assert validate()[::2] == (0, False)
