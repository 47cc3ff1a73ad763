"""A repository with one service in real processes: what `dev` and `run` are tried on."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

PIPELINE = str(Path(__file__).parents[2] / "pipeline")
SECRET = "hunter2-canary"

# Shows what a program sees; secrets only where a test asks.
LOOK = """
import json, os, sys
from pydantic import BaseModel, SecretStr
from sealpipe import PublishedSettings, load
class Db(BaseModel):
    host: str
    password: SecretStr
    pool_max: int = 10
class Settings(PublishedSettings):
    db: Db
s = load(Settings)
print(json.dumps({
    "host": s.db.host, "pool_max": s.db.pool_max, "password": s.db.password.get_secret_value(),
    "names": sorted(n for n in os.environ if n.startswith(("SEALPIPE_", "CHECKOUT_", "SOPS_"))),
    "argv": sys.argv[1:],
}))
"""


@dataclass(frozen=True)
class Here:
    """A repository and its owner's home."""

    root: Path
    home: Path

    def environ(self, **more: str) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
        self.memory.mkdir(mode=0o700, exist_ok=True)
        own = {"HOME": str(self.home), "XDG_RUNTIME_DIR": str(self.memory), "PYTHONPATH": PIPELINE}
        return {**kept, **own, "GIT_CONFIG_NOSYSTEM": "1", **more}

    @property
    def memory(self) -> Path:
        """Where private folders are made: empty again when a command has ended."""
        return self.home / "runtime"

    def start(self, *words: str, **more: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "sealpipe", *words],
            cwd=self.root,
            env=self.environ(**more),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def sealpipe(
        self, *words: str, stdin: str = "", code: int | None = 0, **more: str
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "sealpipe", *words],
            cwd=self.root,
            env=self.environ(**more),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        assert code is None or done.returncode == code, done.stderr
        return done


def make(folder: Path) -> Here:
    """init, a service with a secret, published to dev."""
    here = Here(folder / "repo", folder / "home")
    here.root.mkdir()
    here.home.mkdir()
    (here.home / "look.py").write_text(LOOK)
    subprocess.run(["git", "init", "-q", "-b", "main"], cwd=here.root, check=True)
    here.sealpipe("init")
    here.sealpipe("add", "service", "checkout", "--in", "dev")
    here.sealpipe("set", "dev/checkout", "db.host", "db.internal")
    here.sealpipe("set", "dev/checkout", "db.pool_max", "20")
    here.sealpipe("set", "dev/checkout", "db.password", "--secret", stdin=SECRET)
    here.sealpipe("publish", "dev")
    return here


def copy(of: Here, folder: Path) -> Here:
    """The same, for one test to change."""
    shutil.copytree(of.root, folder / "repo")
    shutil.copytree(of.home, folder / "home")
    return Here(folder / "repo", folder / "home")
