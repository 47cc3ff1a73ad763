"""A secret's text is looked for everywhere: what commands print, what they write, what children are given.

One canary is set in a repository; then a few dozen commands run, most of them into an error. Their output,
every file they leave, and every command line they start are searched for it in each form that code is
likely to give it.
"""

from __future__ import annotations

import logging
import os
import shlex
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from leaking import Sweep, all_of
from sealpipe.cli import main
from terminal import Terminal, new_repository

CANARY = 'hunter2"canary/ü 7%'  # characters that every form spells otherwise
TYPED = "hunter2-canary-7"  # in a file, in clear
GOOD = (0, 3)  # exit codes of commands that were not refused
FAILING_COMMANDS, FAILING_READS = 15, 14  # of all, of each fault
SETTINGS = """\
from pydantic import BaseModel, {types}
from sealpipe import PublishedSettings, load_or_exit
class Db(BaseModel):
    pool_max: {pool}
    password: {password}
class Settings(PublishedSettings):
    db: Db
load_or_exit(Settings)
"""


leaks = Sweep(CANARY, parts=("hunter2", "canary"))
# Who types these holds the secret or the key that opens it: what they have in hand is no leak.
HOLDS = ("set", "get", "edit", "seal", "keys", "connect", "mv", "unset", "adopt")


def written(*folders: Path) -> Iterator[tuple[Path, bytes]]:
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and not path.is_symlink():
                yield path, path.read_bytes()


class Reported:
    """Every error that a command ended with, as a reporter of errors would see it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.errors: list[BaseException] = []
        for name in ("_print_error", "_bug"):
            monkeypatch.setattr(main, name, self._spied(getattr(main, name)))

    def _spied(self, real: Any) -> Any:
        def spied(error: BaseException, *rest: Any) -> Any:
            self.errors.append(error)
            return real(error, *rest)

        return spied

    def take(self, *, with_locals: bool) -> str:
        """All that is in the errors since the last time."""
        taken, self.errors = self.errors, []
        return "\n".join(all_of(error, with_locals=with_locals) for error in taken)


class Spied:
    """A repository with the canary in it, and a PATH whose programs note how they are called."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.calls = folder / "calls.txt"
        self._spy(monkeypatch, "git", "cat", "myeditor")
        self.terminal: Terminal = new_repository(folder / "repository", "checkout")
        subprocess.run(["git", "init", "-q", "-b", "main", "."], cwd=self.terminal.folder, check=True)
        self.terminal("set", "dev/checkout", "db.pool_max", "20")
        self.terminal("set", "dev/checkout", "db.password", "--secret", stdin=CANARY.encode())

    def _spy(self, monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
        programs = self.folder / "bin"
        programs.mkdir(parents=True)
        for name in names:
            real = shutil.which(name) or shutil.which("true")
            program = programs / name
            program.write_text(
                f'#!/bin/sh\nprintf "%s\\n" "{name} $*" >> {self.calls}\ntr "\\0" "\\n" < /proc/$$/environ'
                f' >> {self.calls}\nexec {real} "$@"\n'
            )
            program.chmod(program.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")

    def run_service(self, *words: str) -> bytes:
        """All that `sealpipe …` and the program it starts print, in processes of their own."""
        done = subprocess.run(
            [sys.executable, "-m", "sealpipe", *words],
            cwd=self.terminal.folder,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1] / "pipeline")},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            timeout=60,
        )
        return done.stdout

    def everything(self, home: Path) -> dict[str, list[bytes]]:
        """What was found where, in all files of the repository, its git folder, its store and the home."""
        found = {str(path): leaks(data) for path, data in written(self.terminal.folder, home)}
        found["command lines and environments of children"] = leaks(self.calls.read_bytes())
        return {place: what for place, what in found.items() if what}


COMMANDS = """\
validate
validate --format json
validate --format github
validate -v
render dev/checkout
render dev/checkout --format json
explain dev/checkout
explain dev/checkout db.password
explain dev/checkout db.password --format json
plan dev
plan dev --format json
plan dev --format markdown
publish dev
publish dev -v
publish dev --format json
status
status --format json
history dev/checkout
history dev/checkout db.password
verify dev
verify dev --format json
diff base dev
diff dev published:dev
keys list
keys audit
keys audit --ever anna
keys renew dev -v
seal dev -v
publish dev --dry-run
publish dev
rollback dev/checkout
adopt dev/checkout
doctor
doctor --format json
mv dev/checkout db.password db.other -v
unset dev/checkout db.other -v
trust show
set dev/checkout db.nested.password --secret --type int
set dev/checkout db.password.deeper --secret
set dev/checkout db.pool_max
set dev/checkout db.password --type object --secret
set dev/checkout db.password --random 4
set dev/_all db.password --secret
set base/checkout db.password --secret
set prod/checkout db.password --secret
set dev/checkout 'db[0]' --secret
set dev/checkout /db/~3 --secret
get dev/checkout db.password.deeper
get dev/checkout db.nothing
edit dev/checkout
connect dev/checkout --key-to cat
"""


def test_no_command_shows_writes_or_passes_on_a_secret(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    clean_surroundings: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    spied, reported = Spied(tmp_path, monkeypatch), Reported(monkeypatch)
    monkeypatch.setenv("EDITOR", "myeditor")
    failed = 0
    with caplog.at_level(logging.DEBUG):
        for line in COMMANDS.splitlines():
            words = shlex.split(line)
            done = spied.terminal.run(*words, stdin=CANARY.encode() if words[0] == "set" else b"")
            failed += done.code not in GOOD
            assert not leaks(done.out + done.err), line
            assert not leaks(reported.take(with_locals=words[0] not in HOLDS)), line
            assert "Traceback" not in done.err, line
            assert "error[bug]" not in done.err, f"{line}\n{done.err}"
    assert failed >= FAILING_COMMANDS
    assert not leaks(caplog.text)
    assert spied.everything(clean_surroundings) == {}


BROKEN = {
    "plain at a secret path": "db:\n  pool_max: 20\n  password: CANARY\n",
    "plain in an unknown key": "db:\n  pool_max: 20\n  passwrd: CANARY\n",
    "never ends": "db: {password: CANARY\n",
    "does not fit": "db:\n  password: CANARY\n pool_max: 20\n",
    "twice": "db:\n  password: CANARY\n  password: CANARY\n",
    "with a tag": "db:\n  password: !secret CANARY\n",
    "with an anchor": "db:\n  password: &p CANARY\n  pool_max: *p\n",
    "in a comment": "db:\n  pool_max: many   # CANARY\n",
    "beside a fault": "db: {pool_max: many, password: CANARY}\n",
    "over a map": "db: CANARY\n",
    "a list": "db:\n  password: [CANARY]\n",
    "a map": "db:\n  password: {inner: CANARY}\n",
    "half sealed": "db:\n  password: ENC[NACL1,type:str,data:CANARY]\n",
    "two documents": "db:\n  password: CANARY\n---\nb: 1\n",
    "unquoted": "db:\n  password: 'CANARY\n",
    "with a tab": "db:\n\tpassword: CANARY\n",
    "a block": "db:\n  password: |\n    CANARY\n    second\n  pool_max: x\n",
    "not UTF-8": "db:\n  password: CANARY\udcff\n",
}
READING = (
    "validate", "validate --format json", "validate --format github", "validate --format markdown",
    "validate --format sarif", "validate --format junit", "validate dev -v", "validate --no-cache",
    "plan dev", "plan dev --format json", "plan dev --format markdown", "publish dev",
    "publish dev --format json", "render dev/checkout --format json", "explain dev/checkout --format json",
    "verify dev --format json", "status --format json", "doctor --format json",
    "render dev/checkout", "explain dev/checkout",
    "explain dev/checkout db.password",
    "get dev/checkout db.password", "diff base dev", "status", "doctor", "unset dev/checkout db.password",
    "mv dev/checkout db.password db.pool_max", "mv dev/checkout db.password db.elsewhere",
)  # fmt: skip


@pytest.mark.parametrize("fault", BROKEN)
def test_no_fault_of_a_document_shows_the_secret_in_it(
    fault: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    clean_surroundings: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    spied, reported = Spied(tmp_path, monkeypatch), Reported(monkeypatch)
    file = spied.terminal.folder / "environments/dev/checkout.yaml"
    text = BROKEN[fault].replace("CANARY", TYPED)
    secret = Sweep(TYPED, parts=("hunter2",))
    failed = 0
    with caplog.at_level(logging.DEBUG):
        for line in READING:
            file.write_bytes(text.encode(errors="surrogateescape"))
            done = spied.terminal.run(*shlex.split(line))
            failed += done.code not in GOOD
            assert not secret(done.out + done.err), f"{line}\n{done.out}{done.err}"
            # The frames have the file's text in hand; the errors, and what is behind them, have not.
            assert not secret(reported.take(with_locals=False)), line
            assert "Traceback" not in done.err
            assert "error[bug]" not in done.err, f"{line}\n{done.err}"
    assert failed >= FAILING_READS
    assert not secret(caplog.text)
    assert not secret(spied.calls.read_bytes())
    file.write_text("db: {pool_max: 20}\n")
    left = {str(path): secret(data) for path, data in written(spied.terminal.folder, clean_surroundings)}
    assert not {path: found for path, found in left.items() if found}  # caches, stores, reports


def test_there_are_enough_error_paths() -> None:
    assert len(BROKEN) * FAILING_READS + FAILING_COMMANDS >= 250


@pytest.mark.parametrize(
    ("pool", "password"),
    [
        ("int", "SecretStr"), ("bool", "SecretStr"), ("int", "str"), ("int", "int"), ("str", "Secret[int]"),
        ("int", "SecretStr = Field(max_length=3)"), ("Secret[int]", "SecretStr"), ("int", "dict[str, str]"),
    ],
)  # fmt: skip
def test_no_service_shows_its_secret(
    pool: str, password: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clean_surroundings: Path
) -> None:
    spied = Spied(tmp_path, monkeypatch)
    types = "Field, Secret, SecretStr"
    program = SETTINGS.format(types=types, pool=pool, password=password)
    (spied.terminal.folder / "service.py").write_text(program)
    spied.terminal("publish", "dev")
    done = spied.run_service("run", "dev/checkout", "--", sys.executable, "service.py")
    assert not leaks(done), done.decode()
    assert b"error[bug]" not in done
    assert spied.everything(clean_surroundings) == {}
