"""Real commands killed, or failed by the disk, at writing system calls: a sample of campaign/death.py."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from campaign import death


@pytest.mark.skipif(not shutil.which("strace"), reason=death.STRACE_HINT)
def test_a_sample_of_deaths_leaves_the_old_or_the_new(tmp_path: Path) -> None:
    table = death.campaign(tmp_path, sample=2)
    assert set(table) == {"set", "seal", "new", "edit", "grant", "publish", "collect"}
    assert all(outcomes["old"] + outcomes["new"] for outcomes in table.values())
