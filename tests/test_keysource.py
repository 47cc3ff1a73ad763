"""Finding keys: order of sources, files that others can read, commands, and texts that show nothing."""

from __future__ import annotations

import os
import stat
import traceback
from pathlib import Path

import pytest

from sealpipe.crypto.keys import generate_identity, generate_signing_key
from sealpipe.errors import SealpipeError, TrustError, UsageError
from sealpipe.keysource import (
    find_identity,
    find_private_key,
    find_signing_key,
    find_signing_keys,
    key_file,
    locate,
    need_identity,
    write_key,
)

MADE = [generate_identity() for _ in range(6)]


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}


def put(path: Path, text: str, mode: int = 0o600) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def found(environ: dict[str, str]) -> int:
    identity = find_identity(environ)
    assert identity is not None
    return next(i for i, (made, _) in enumerate(MADE) if made.read.public == identity.read.public)


def test_the_order_of_sources(environ: dict[str, str], tmp_path: Path) -> None:
    assert find_identity(environ) is None
    put(tmp_path / ".config/sops/age/keys.txt", MADE[0][1])
    assert found(environ) == 0
    put(tmp_path / ".config/sealpipe/key.txt", MADE[1][1])
    assert found(environ) == 1
    for number, name in enumerate(("SOPS_AGE_KEY_CMD", "SOPS_AGE_KEY_FILE", "SOPS_AGE_KEY"), 2):
        text = MADE[number][1]
        environ[name] = f"echo {text}" if name.endswith("CMD") else text
        if name.endswith("FILE"):
            environ[name] = str(put(tmp_path / "f", text))
        assert found(environ) == number
    environ["SEALPIPE_KEY_CMD"] = f"echo {MADE[5][1]}"
    assert found(environ) == 5


def test_the_configuration_folder_moves_with_xdg(environ: dict[str, str], tmp_path: Path) -> None:
    environ["XDG_CONFIG_HOME"] = str(tmp_path / "elsewhere")
    put(tmp_path / "elsewhere/sops/age/keys.txt", MADE[0][1])
    got = locate(environ)
    assert got is not None
    assert got.source == "~/elsewhere/sops/age/keys.txt"


def test_files_with_comments_and_several_keys(environ: dict[str, str], tmp_path: Path) -> None:
    text = f"# created: 2026\n# public key: age1…\n{MADE[0][1]}\n\n  {MADE[1][1].lower()}  \r\n"
    text += "AGE-PLUGIN-YUBIKEY-1QQ\n"
    put(tmp_path / ".config/sops/age/keys.txt", text)
    got = locate(environ)
    assert got is not None
    assert len(got.identities) == 2
    second = MADE[1][0].read.recipient
    chosen = find_identity(environ, known=["age1other", second])
    assert chosen is not None
    assert chosen.read.recipient == second


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660, 0o666, 0o777])
def test_a_file_that_others_can_read_is_refused(environ: dict[str, str], tmp_path: Path, mode: int) -> None:
    path = put(tmp_path / ".config/sops/age/keys.txt", MADE[0][1], mode)
    with pytest.raises(TrustError) as error:
        find_identity(environ)
    assert error.value.word == "open-key-file"
    assert error.value.finding.hint == (f"chmod 600 {path}",)
    environ["SEALPIPE_KEY_FILE"] = str(path)
    for find in (find_identity, find_private_key):
        with pytest.raises(TrustError):
            find(environ)
    path.chmod(0o400)
    assert found(environ) == 0


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "malformed-key"),
        ("# only a comment\n", "malformed-key"),
        ("hello", "malformed-key"),
        (MADE[0][1][:-1] + ("X" if MADE[0][1][-1] != "X" else "Y"), "malformed-key"),
        (f"{MADE[0][1]}\n{MADE[1][1][:-2]}\n", "malformed-key"),
        ("AGE-PLUGIN-YUBIKEY-1QQ", "unsupported-key"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n", "unsupported-key"),
        ("age-encryption.org/v1\n-> scrypt x\n", "unsupported-key"),
        ("\0binary", "malformed-key"),
        ("x" * 70_000, "malformed-key"),
    ],
    ids=["empty", "comment", "words", "wrong-sum", "second-cut", "plugin", "ssh", "scrypt", "binary", "long"],
)
def test_bad_files_are_named_and_not_shown(
    environ: dict[str, str], tmp_path: Path, text: str, word: str
) -> None:
    put(tmp_path / ".config/sealpipe/key.txt", text)
    with pytest.raises(TrustError) as error:
        find_identity(environ)
    assert error.value.word == word
    shown = "".join(traceback.format_exception(error.value))
    for _, secret in MADE:
        assert secret[20:50] not in shown


def test_a_missing_file_is_an_error_and_not_no_key(environ: dict[str, str], tmp_path: Path) -> None:
    environ["SEALPIPE_KEY_FILE"] = str(tmp_path / "nothing")
    with pytest.raises(TrustError) as error:
        find_identity(environ)
    assert error.value.word == "no-key-file"


@pytest.mark.parametrize(
    "command", ["false", "no-such-program-here", "sh -c 'echo SECRET-CANARY; exit 3'", "'"]
)
def test_commands_that_fail(environ: dict[str, str], command: str) -> None:
    environ["SEALPIPE_KEY_CMD"] = command
    with pytest.raises(TrustError) as error:
        find_identity(environ)
    assert error.value.word == "key-command"
    assert "SECRET-CANARY" not in "".join(traceback.format_exception(error.value))


def test_no_key_says_how_to_make_one(environ: dict[str, str]) -> None:
    with pytest.raises(TrustError) as error:
        need_identity(environ)
    assert error.value.word == "no-key"
    assert error.value.finding.hint == ("sealpipe keys new",)


def test_signing_keys(environ: dict[str, str], tmp_path: Path) -> None:
    assert find_signing_key(environ) is None
    put(tmp_path / ".config/sealpipe/key.txt", MADE[0][1])
    derived = find_signing_key(environ)
    assert derived is not None
    assert derived.public == MADE[0][0].sign.public
    machine, text = generate_signing_key()
    environ["SEALPIPE_SIGNING_KEY"] = text + "\n"
    assert [key.public for key in find_signing_keys(environ)] == [machine.public, derived.public]
    environ["SEALPIPE_SIGNING_KEY"] = MADE[0][1]
    with pytest.raises(TrustError) as error:
        find_signing_key(environ)
    assert error.value.word == "unsupported-key"


def test_a_service_takes_its_own_key_only(environ: dict[str, str], tmp_path: Path) -> None:
    put(tmp_path / ".config/sops/age/keys.txt", MADE[0][1])
    environ["SOPS_AGE_KEY"] = MADE[0][1]
    assert find_private_key(environ) is None
    environ["SEALPIPE_KEY_FILE"] = str(put(tmp_path / "service", f"# key\n{MADE[1][1]}\n"))
    key = find_private_key(environ)
    assert key is not None
    assert key.public == MADE[1][0].read.public
    put(tmp_path / "service", f"{MADE[1][1]}\n{MADE[2][1]}\n")
    with pytest.raises(TrustError):
        find_private_key(environ)


def test_a_key_is_written_for_its_owner_and_never_over_another(environ: dict[str, str]) -> None:
    identity, text = MADE[0]
    shown = write_key(environ, text, identity.read.recipient)
    path = key_file(environ)
    assert shown == "~/.config/sealpipe/key.txt"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert found(environ) == 0
    with pytest.raises(UsageError) as error:
        write_key(environ, MADE[1][1], MADE[1][0].read.recipient)
    assert error.value.word == "key-exists"
    assert found(environ) == 0


def test_explicit_file(environ: dict[str, str], tmp_path: Path) -> None:
    environ["SEALPIPE_KEY"] = MADE[0][1]
    path = put(tmp_path / "mine", MADE[3][1])
    identity = find_identity(environ, explicit=str(path))
    assert identity is not None
    assert identity.read.public == MADE[3][0].read.public
    with pytest.raises(SealpipeError):
        find_identity(environ, explicit=str(tmp_path / "missing"))
