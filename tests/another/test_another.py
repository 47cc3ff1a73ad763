"""The reader in JavaScript, written from docs/FORMAT.md alone, against every case of tests/vectors/."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from format_vectors import FOLDER, cases

HERE = Path(__file__).parent
INSTALL = "npm ci --ignore-scripts --prefix tests/another"
LINES = 200


def node() -> str:
    found = shutil.which("node")
    if found is None:
        pytest.skip(f"no node: the second reader was NOT run. apt-get install nodejs npm && {INSTALL}")
    if not (HERE / "node_modules" / "libsodium-wrappers-sumo").is_dir():
        pytest.skip(f"no node_modules: the second reader was NOT run. {INSTALL}")
    return found


def test_it_agrees_with_every_case() -> None:
    done = subprocess.run(
        [node(), HERE / "run.mjs"], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    total = sum(len(cases(path.stem)) for path in FOLDER.glob("*.json"))
    assert f"{total} passed, 0 failed" in done.stdout


def test_it_sees_a_case_that_is_wrong(tmp_path: Path) -> None:
    """A runner that accepts anything would agree as well."""
    program = node()
    (tmp_path / "another").mkdir()
    for name in ("node_modules", *(path.name for path in HERE.glob("*.mjs"))):
        (tmp_path / "another" / name).symlink_to(HERE / name)
    text = (FOLDER / "newer.json").read_text("utf-8")
    (tmp_path / "vectors").mkdir()
    (tmp_path / "vectors" / "newer.json").write_text(
        text.replace('"older"', '"newer"').replace("two-re", "no-re")
    )
    done = subprocess.run(
        [program, "--preserve-symlinks", "--preserve-symlinks-main", tmp_path / "another" / "run.mjs"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1
    assert re.search(r"^\d+ passed, 3 failed$", done.stdout, re.MULTILINE), done.stdout + done.stderr


def test_its_reader_is_small_enough_to_be_read() -> None:
    lines = (HERE / "reader.mjs").read_text("utf-8").splitlines()
    assert len(lines) <= LINES
    assert max(map(len, lines)) <= 160


def test_its_lock_names_no_registry() -> None:
    lock = (HERE / "package-lock.json").read_text("utf-8")
    assert "integrity" in lock
    assert "resolved" not in lock
    assert "http" not in lock
