"""`sealpipe validate` on a real, signed repository."""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path

import pytest

from sealpipe.cli.main import main
from sealpipe.crypto import bech32
from team import Team

SHOP = {
    "type": "object",
    "properties": {
        "db": {
            "type": "object",
            "properties": {"password": {"type": "string", "writeOnly": True}, "pool": {"type": "integer"}},
            "additionalProperties": False,
        },
    },
    "additionalProperties": False,
}
ANNA_KEY, BEN_KEY = (bech32.encode("age-secret-key-", bytes([n]) * 32).upper() for n in (1, 2))
PAY = {**SHOP, "properties": {"psp": {**SHOP["properties"]["db"], "properties": {  # type: ignore[index]
    "token": {"type": "string", "x-secret": True}, "pool": {"type": "integer"}}}}}  # fmt: skip
MAIL = {**SHOP, "properties": {"smtp": SHOP["properties"]["db"]}}  # type: ignore[index]


@pytest.fixture
def team(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Team:
    made = Team(tmp_path)
    for name, schema in {"checkout": SHOP, "_payments": PAY, "mailer": MAIL}.items():
        made.write(f"schemas/{name}.schema.json", json.dumps(schema, indent=2))
    made.commit("schemas")
    monkeypatch.chdir(tmp_path)
    made.pin(os.environ)
    return made


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = main(["validate", *words])
    out, err = capsys.readouterr()
    return code, out, err


def test_a_good_repository(team: Team, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys)
    assert (code, err) == (0, "")
    assert out.startswith("no errors · 5 documents, 3 environments checked in 0.")
    assert run(capsys, "-q") == (0, "", "")


def test_a_mistake_ends_with_four_and_the_text_of_the_picture(
    team: Team, capsys: pytest.CaptureFixture[str]
) -> None:
    team.write("environments/dev/checkout.yaml", "db:\n  pol: 3\n  password: hunter2-canary\n")
    code, out, _ = run(capsys)
    assert code == 4
    assert out.split("\n2 errors")[0] == (
        "error[unknown-key]: environments/dev/checkout.yaml:2:3  db.pol\n"
        "  checkout has no setting `pol` here\n"
        "      1 | db:\n"
        "      2 |   pol: …\n"
        "        |   ^^^\n"
        "  allowed: password, pool\n"
        "  hint: did you mean `pool`?  sealpipe mv dev/checkout db.pol db.pool\n"
        "\n"
        "error[plaintext-secret]: environments/dev/checkout.yaml:3:3  db.password\n"
        "  schemas/checkout.schema.json marks it writeOnly, and the value in the file is not sealed"
        " (value not shown)\n"
        "  hint: sealpipe seal dev/checkout\n"
        "        if this file was ever pushed, the value is out: change it at its source as well\n"
    )
    assert " in 1 file · 5 documents, 3 environments checked in 0." in out
    assert run(capsys, "production")[0] == 0
    assert run(capsys, "production/checkout")[0] == 0
    assert run(capsys, "dev/checkout")[0] == 4


@pytest.mark.parametrize("form", ["text", "json", "github", "markdown"])
def test_every_format_tells_the_same_and_shows_no_secret(
    team: Team, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    team.write("environments/dev/checkout.yaml", "db:\n  pol: 3\n  password: hunter2-canary\n")
    code, out, err = run(capsys, "--format", form)
    assert code == 4
    assert "unknown-key" in out
    assert "plaintext-secret" in out
    assert "hunter2" not in out + err
    if form == "json":
        made = json.loads(out)
        assert (made["schema_version"], made["ok"], made["trusted"]) == (1, False, True)
        assert made["units"]["dev/checkout"] is False
        assert made["units"]["production/mailer"] is True
        assert [found["word"] for found in made["findings"]] == ["unknown-key", "plaintext-secret"]


def test_annotations_name_files_of_the_git_repository(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import subprocess

    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    inner = tmp_path / "deploy" / "config"
    inner.mkdir(parents=True)
    (inner / "sealpipe.yaml").write_text(
        "format: 1\nproject: 5b0c7a1e9f2d4c6688aa01d3e7f4b912\nenvironments:\n  dev: {publish_to: 'file:x'}\n"
    )
    (inner / "environments/dev").mkdir(parents=True)
    (inner / "environments/dev/shop.yaml").write_text("a: 1\n")
    here = Path.cwd()
    try:
        code, out, _ = run(capsys, "-C", str(inner), "--format", "github")
    finally:
        os.chdir(here)
    assert code == 6  # there is no trust.yaml
    assert "::error file=deploy/config/environments/dev/shop.yaml,line=1,col=1,title=missing-schema::" in out


def test_annotations_outside_git(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "sealpipe.yaml").write_text(
        "format: 1\nproject: 5b0c7a1e9f2d4c6688aa01d3e7f4b912\nenvironments: {a: {}}\n"
    )
    here = Path.cwd()
    try:
        code, out, _ = run(capsys, "-C", str(tmp_path), "--format", "github")
    finally:
        os.chdir(here)
    assert (code, out.startswith("::error file=trust/trust.yaml")) == (6, True)


def test_an_unsigned_change_of_trust_ends_with_six(team: Team, capsys: pytest.CaptureFixture[str]) -> None:
    file = team.root / "trust/trust.yaml"
    file.write_text(file.read_text().replace("version: 1", "version: 2", 1))
    code, out, _ = run(capsys)
    assert code == 6
    assert "error[" in out
    assert "trust/trust.yaml" in out


def test_without_a_pin_there_is_a_warning(
    team: Team, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "elsewhere"))
    code, out, _ = run(capsys)
    assert code == 0
    assert "warning[no-pin]" in out
    assert not (tmp_path / "elsewhere").exists()  # looking at a repository pins nothing by itself


@pytest.mark.parametrize(
    ("target", "word"),
    [("nowhere", "unknown-environment"), ("dev/nothing", "unknown-service"), ("a/b/c", "usage")],
)
def test_targets_that_are_none(
    team: Team, capsys: pytest.CaptureFixture[str], target: str, word: str
) -> None:
    code, out, err = run(capsys, target)
    assert (code, out) == (2, "")
    assert f"error[{word}]" in err


def test_an_abstract_environment_stands_for_what_is_made_of_it(
    team: Team, capsys: pytest.CaptureFixture[str]
) -> None:
    team.write("environments/base/checkout.yaml", "db:\n  pool: x\n")
    code, out, _ = run(capsys, "base/checkout")
    assert code == 4
    assert "(reaches 3 documents)" in out


def test_open_checks_the_content_of_secrets_and_shows_nothing_of_it(
    team: Team, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = json.loads(json.dumps(SHOP))
    rules["properties"]["db"]["properties"]["password"]["minLength"] = 8
    team.write("schemas/checkout.schema.json", json.dumps(rules))
    assert run(capsys)[0] == 0  # without a key nobody can tell
    assert run(capsys, "--open")[0] == 6  # [no-key]
    monkeypatch.setenv("SEALPIPE_KEY", ANNA_KEY)
    code, out, err = run(capsys, "--open", "dev")
    assert (code, err) == (4, "")
    assert out.startswith(
        "error[too-short]: environments/dev/checkout.yaml:3:3  db.password\n"
        "  the sealed value must have at least 8 characters\n"
        "  hint: sealpipe set dev/checkout db.password\n"
    )
    assert "pw-dev" not in out
    assert run(capsys, "--open", "production")[0] == 0


def test_open_as_somebody_who_reads_nothing(
    team: Team, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEALPIPE_KEY", BEN_KEY)
    code, out, _ = run(capsys, "--open", "dev")
    assert code == 0
    assert "warning[not-opened]: environments/dev/checkout.yaml" in out


def test_the_hints_work_when_pasted(team: Team, capsys: pytest.CaptureFixture[str]) -> None:
    team.write("environments/dev/checkout.yaml", "db:\n  pol: 3   # kept\n  password: hunter2-canary\n")
    _, out, _ = run(capsys, "--format", "json")
    for finding in json.loads(out)["findings"]:
        command = finding["hint"][0].rpartition("sealpipe ")[2]
        assert main(shlex.split(command)) == 0
    capsys.readouterr()
    assert run(capsys)[0] == 0
    text = (team.root / "environments/dev/checkout.yaml").read_text()
    assert "pool: 3   # kept" in text
    assert "hunter2" not in text


def test_only_what_changed(team: Team, capsys: pytest.CaptureFixture[str]) -> None:
    team.write("environments/dev/checkout.yaml", "db: {pol: 1}\n")
    team.commit("a mistake")
    code, out, _ = run(capsys, "--changed-since", "HEAD")
    assert (code, "0 documents" in out) == (0, True)
    assert run(capsys, "--changed-since", "HEAD~1")[0] == 4
    assert run(capsys, "--changed-since", "nothing-like-it")[0] == 1


def test_outside_a_repository(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, err = run(capsys)
    assert code == 2
    assert "error[no-repository]" in err
