"""Eight publishers, two readers and a collector on one folder store, as processes: the short form."""

from __future__ import annotations

from pathlib import Path

from campaign.race import race


def test_eight_publishers_race_to_sixty_releases(tmp_path: Path) -> None:
    found = race(f"file:{tmp_path}", 60, keep=5)
    assert found.releases >= 60
    assert found.reads
    assert found.collected
