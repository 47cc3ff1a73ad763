"""A service that cannot start ends with a sentence and an exit code, never with a traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SERVICE = """
from pydantic import BaseModel, SecretStr
from sealpipe import PublishedSettings, load_or_exit

class Db(BaseModel):
    password: SecretStr

class Orders(PublishedSettings):
    db: Db

print("started", load_or_exit(Orders).db.password)
"""
PIPELINE = str(Path(__file__).parents[2] / "pipeline")


def started(**variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", SERVICE],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": PIPELINE, **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_release_that_is_good_starts_it() -> None:
    from sealpipe.testing import published, sealed

    with published(orders={"db": {"password": sealed("canary-password")}}) as given:
        done = started(**given.environ("orders"))
    assert (done.returncode, done.stdout) == (0, "started **********\n")


@pytest.mark.parametrize(
    ("variables", "code"),
    [
        ({}, 78),
        ({"SEALPIPE_URL": "release:/nowhere/release", "SEALPIPE_ENV": "dev"}, 78),
    ],
)
def test_otherwise_a_sentence_and_a_code(variables: dict[str, str], code: int) -> None:
    done = started(**variables)
    assert done.returncode == code
    assert done.stdout == ""
    assert done.stderr.startswith("error[")
    assert "Traceback" not in done.stderr


def test_a_store_that_is_away_is_another_code(tmp_path: Path) -> None:
    from sealpipe.testing import published

    with published(orders={"db": {}}) as given:
        variables = given.environ("orders")
    gone = tmp_path / "store"
    gone.symlink_to(gone)  # a loop: nobody can open it
    done = started(**{**variables, "SEALPIPE_URL": f"file:{gone}"})
    assert done.returncode == 75
    assert done.stderr.startswith("error[")
    assert "Traceback" not in done.stderr
