"""Every bomb of the catalogue ends in a typed error, within a second and 200 MB; or is harmless."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bombs import catalogue

ROOT = Path(__file__).parents[2]
# Large, and nothing wrong with them.
HARMLESS = {"a key of a megabyte", "tabs in comments"}
SLACK = 3.0  # on a machine that does other work: what is bounded stays so, what is not takes for ever


@pytest.mark.parametrize("group", catalogue.GROUPS)
def test_bombs_end_in_a_typed_error_soon(group: str) -> None:
    done = subprocess.run(
        [sys.executable, str(Path(catalogue.__file__)), group],
        env={**os.environ, "PYTHONPATH": str(ROOT / "pipeline")},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert {row[0] for row in rows} == set(catalogue.GROUPS[group]())
    for name, said, seconds, megabytes in rows:
        assert not said.startswith("FAILED"), (name, said)
        assert (said == "accepted") == (name in HARMLESS), (name, said)
        assert seconds <= catalogue.SECONDS * SLACK, (name, said, seconds)
        assert megabytes <= catalogue.MEGABYTES, (name, said, megabytes)


def test_there_are_enough_of_them() -> None:
    assert sum(len(make()) for make in catalogue.GROUPS.values()) >= 40
