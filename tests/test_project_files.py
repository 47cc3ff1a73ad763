"""What a stranger gets: the wheel, the lock, the make targets, and tests that cannot be skipped unseen."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def test_the_wheel_holds_the_package_and_nothing_else(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    [wheel] = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        [entry_points] = [name for name in names if name.endswith("entry_points.txt")]
        assert "sealpipe = sealpipe.cli.main:main" in archive.read(entry_points).decode()
    assert "sealpipe/py.typed" in names
    assert "sealpipe/github/templates/config-check.yml" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"sealpipe"}


@pytest.mark.parametrize("name", ["runtime", "stores", "build", "dev"])
def test_the_lock_has_hashes_and_names_no_host(name: str) -> None:
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    assert "://" not in text
    for line in text.replace("\\\n", " ").splitlines():
        if line and not line.startswith("#"):
            assert re.fullmatch(r"[a-z0-9-]+==\S+( +--hash=sha256:[0-9a-f]{64})+", line), line


def test_development_uses_the_runtime_versions() -> None:
    pinned = {
        name: set(
            re.findall(r"^([a-z0-9-]+==\S+)", (ROOT / "requirements" / f"{name}.txt").read_text(), re.M)
        )
        for name in ("runtime", "stores", "build", "dev")
    }
    assert pinned["runtime"] <= pinned["stores"] <= pinned["dev"]
    assert pinned["build"] <= pinned["dev"]


@pytest.mark.parametrize("target", ["demo", "test", "check", "bench", "example", "lock", "format"])
def test_make_knows_what_the_pages_name(target: str) -> None:
    done = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_skip_is_a_failure_where_skips_are_forbidden(tmp_path: Path) -> None:
    shutil.copy(ROOT / "tests" / "conftest.py", tmp_path)
    (tmp_path / "test_it.py").write_text(
        "import pytest\n\n"
        "def test_good(): pass\n\n"
        "def test_skips(): pytest.skip('no server here')\n\n"
        "@pytest.mark.skip(reason='not today')\ndef test_marked(): pass\n\n"
        "@pytest.mark.xfail\ndef test_known(): assert False\n"
    )
    (tmp_path / "pytest.ini").write_text(f"[pytest]\npythonpath = {ROOT / 'tests'}\n")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", "-rfs", str(tmp_path)]
    without = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert without.returncode == 0, without.stdout
    assert "SKIPPED 1 tests: no server here" in without.stdout
    forbidden = subprocess.run(
        [*command, "--no-skips"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert forbidden.returncode == 1
    assert "no server here" in forbidden.stdout
    assert "1 failed, 1 passed, 1 xfailed, 1 error" in forbidden.stdout  # a mark skips before the test
