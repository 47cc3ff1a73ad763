"""mypy --strict and pyright infer the whole surface, and refuse what is wrong, on the same lines."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
FILE = HERE / "typed.py"
BIN = Path(sys.executable).parent


def refused_lines() -> set[int]:
    return {at for at, line in enumerate(FILE.read_text().splitlines(), 1) if "# refused" in line}


def test_mypy(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "mypy", "--strict", "--no-pretty", "--cache-dir", str(tmp_path), str(FILE)]
    done = subprocess.run(
        words, cwd=ROOT, capture_output=True, text=True, check=False, env={"PATH": "", "MYPYPATH": "pipeline"}
    )
    found = {int(line) for line in re.findall(r"typed\.py:(\d+): error", done.stdout)}
    assert found == refused_lines(), done.stdout + done.stderr


def test_pyright() -> None:
    if shutil.which("node") is None:
        pytest.skip("pyright runs on Node: apt-get install nodejs")
    words = [str(BIN / "pyright"), "--outputjson", "--pythonpath", sys.executable, str(FILE)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    if not done.stdout.startswith("{"):
        pytest.skip(f"pyright fetches itself from npm when first run: {done.stderr[-200:]}")
    told = json.loads(done.stdout)
    assert told["summary"]["filesAnalyzed"] == 1
    problems = told["generalDiagnostics"]
    found = {p["range"]["start"]["line"] + 1 for p in problems if p["severity"] == "error"}
    assert found == refused_lines(), json.dumps(problems, indent=1)
