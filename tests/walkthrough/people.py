"""People, CI and services of the walk-through: each with an own home, real git and real processes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import sealpipe

PACKAGE = str(Path(sealpipe.__file__).parents[1])


@dataclass(frozen=True)
class Ran:
    """What a command gave."""

    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        return self.out + self.err


@dataclass(frozen=True)
class Person:
    """Somebody, or something, that types commands in a clone of the repository."""

    name: str
    home: Path
    clone: Path
    variables: Mapping[str, str] = field(default_factory=dict)

    def environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
        ours = {"HOME": str(self.home), "XDG_CONFIG_HOME": str(self.home / ".config"), "PYTHONPATH": PACKAGE}
        return {**kept, **ours, "GIT_CONFIG_NOSYSTEM": "1", **self.variables}

    def runs(self, *command: str, stdin: str = "", code: int | None = 0) -> Ran:
        """Run a program in the clone; `code` is the exit code it must have, None for any."""
        done = subprocess.run(
            list(command),
            cwd=self.clone,
            env=self.environment(),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        ran = Ran(done.returncode, done.stdout, done.stderr)
        assert "Traceback" not in ran.text, f"{command}: {ran.text}"
        assert code is None or ran.code == code, f"{self.name}: {command} gave {ran.code}\n{ran.text}"
        return ran

    def types(self, line: str, *, stdin: str = "", code: int | None = 0) -> Ran:
        """Type `sealpipe …`."""
        return self.says(line.split(), stdin=stdin, code=code)

    def says(self, words: Sequence[str], *, stdin: str = "", code: int | None = 0) -> Ran:
        return self.runs(sys.executable, "-m", "sealpipe", *words, stdin=stdin, code=code)

    def git(self, *words: str, code: int | None = 0) -> Ran:
        return self.runs("git", *words, code=code)

    def commits(self, message: str) -> None:
        """Commit everything and push the branch that is checked out."""
        self.git("add", "-A")
        self.git("commit", "-q", "--no-verify", "-m", message)
        self.git("push", "-q", "-u", "origin", "HEAD")

    def pulls(self) -> None:
        self.git("pull", "-q", "--ff-only")


def person(name: str, world: Path, **variables: str) -> Person:
    """Somebody with an empty home who clones the repository."""
    home = world / "homes" / name
    home.mkdir(parents=True)
    clone = world / "clones" / name
    clone.parent.mkdir(exist_ok=True)
    someone = Person(name, home, clone, variables)
    (home / ".gitconfig").write_text(
        f"[user]\n\tname = {name.capitalize()} Example\n\temail = {name}@example.org\n"
    )
    subprocess.run(
        ["git", "clone", "-q", str(world / "origin.git"), str(clone)],
        env=someone.environment(),
        check=True,
        capture_output=True,
    )
    return someone


SERVICE = """\
import sys
from pydantic import BaseModel, SecretStr
from sealpipe import PublishedSettings, load
from sealpipe.errors import ConfigError


class Db(BaseModel):
    host: str = "localhost"
    pool_max: int = 10
    password: SecretStr


class Checkout(PublishedSettings):
    db: Db


try:
    settings = load(Checkout)
except ConfigError as error:
    print(error, file=sys.stderr)
    sys.exit(error.exit_code)
print(settings.db.pool_max, len(settings.db.password.get_secret_value()), settings.db.password)
if "--reveal" in sys.argv:
    print(settings.db.password.get_secret_value())
"""
