"""The leader of three nodes killed once and paused once: the short form of campaign/leaders.py."""

from __future__ import annotations

from pathlib import Path

import pytest
from campaign.leaders import campaign

from servers.fixtures import need
from servers.places import CLUSTERS, PLACES


@pytest.mark.parametrize("kind", CLUSTERS)
def test_a_lost_leader_loses_nothing(kind: str, server_folder: Path) -> None:
    need(PLACES[kind].program)
    cluster = CLUSTERS[kind](server_folder)
    try:
        found = campaign(kind, cluster, 2)
    finally:
        cluster.kill()
    assert found.acknowledged
    assert found.seen
