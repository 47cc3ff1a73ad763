"""The whole line through the command line on every store: publish, load, roll back, verify, collect."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from servers.places import Place

SERVICE = """
from pydantic import BaseModel, SecretStr
from sealpipe import PublishedSettings, load
class Db(BaseModel):
    password: SecretStr
    pool_max: int
    text: str = ""
class Checkout(PublishedSettings):
    db: Db
s = load(Checkout)
print(s.db.pool_max, s.db.password.get_secret_value() == "hunter2-canary", len(s.db.text))
"""


Run = Callable[..., subprocess.CompletedProcess[str]]


def line_on(url: str, given: Mapping[str, str], tmp_path: Path) -> Run:
    """Runs commands in a new repository that publishes `dev/checkout` to this address."""
    home, root = tmp_path / "home", tmp_path / "repo"
    home.mkdir(mode=0o700)
    root.mkdir()
    environ = {**os.environ, "HOME": str(home), "XDG_CONFIG_HOME": str(home / ".config"), **given}

    def run(*words: str, code: int = 0, stdin: str = "", **more: str) -> subprocess.CompletedProcess[str]:
        program = [sys.executable, "-m", "sealpipe"] if words[0] != "python" else [sys.executable]
        done = subprocess.run(
            [*program, *(words if words[0] != "python" else words[1:])],
            cwd=root,
            env={**environ, **more},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done

    run("init", "--name", "anna")
    project = (root / "sealpipe.yaml").read_text().replace("file:.sealpipe/store", url)
    (root / "sealpipe.yaml").write_text(project)
    run("add", "service", "checkout", "--in", "dev")
    run("set", "dev/checkout", "db.pool_max", "20")
    run("set", "dev/checkout", "db.password", "--secret", "--file", "-", stdin="hunter2-canary")
    return run


@pytest.fixture
def sealpipe(place: Place, tmp_path: Path) -> Run:
    return line_on(place.url, place.environ, tmp_path)


# One server of each kind: the contract runs on the others too.
@pytest.mark.parametrize("place", ["consul", "etcd", "zk", "weed"], indirect=True)
def test_the_line(sealpipe: Run, tmp_path: Path) -> None:
    first = sealpipe("publish", "dev", "--yes")
    assert "checkout #1" in first.stdout
    key = tmp_path / "checkout.key"
    told = json.loads(sealpipe("connect", "dev/checkout", "--key-to", str(key), "--format", "json").stdout)
    sealpipe("publish", "dev", "--yes")
    service = {**told["env"], "SEALPIPE_KEY_FILE": str(key)}
    (tmp_path / "service.py").write_text(SERVICE)

    def loaded() -> str:
        return sealpipe("python", str(tmp_path / "service.py"), **service).stdout

    assert loaded() == "20 True 0\n"
    sealpipe("set", "dev/checkout", "db.pool_max", "40")
    sealpipe("publish", "dev", "--yes")
    assert loaded() == "40 True 0\n"
    sealpipe("rollback", "dev/checkout", "--reason", "too many", "--yes")
    assert loaded() == "20 True 0\n"
    sealpipe("adopt", "dev/checkout", "--yes")
    # More than a head holds: parts, put together by whoever reads.
    sealpipe("set", "dev/checkout", "db.text", "--file", "-", stdin="x" * 300_000)
    sealpipe("publish", "dev", "--yes", "--allow-growth")
    assert loaded() == "20 True 300000\n"
    verified = sealpipe("verify", "dev")
    assert "✓" in verified.stdout or "verified" in verified.stdout
    history = sealpipe("history", "dev/checkout")
    assert "#5" in history.stdout
    assert "hunter2-canary" not in verified.stdout + history.stdout
