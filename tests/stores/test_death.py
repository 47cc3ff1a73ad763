"""Publishers killed at requests, on each store: a sample of campaign/store_death.py."""

from __future__ import annotations

from pathlib import Path

import pytest
from campaign import store_commands
from campaign.store_death import campaign

from servers.places import PROMISED, Place


@pytest.mark.parametrize("place", PROMISED, indirect=True)
def test_a_sample_of_deaths_leaves_the_old_or_the_new(place: Place) -> None:
    found = campaign(place, sample=3 if place.kind == "weed" else 8)
    assert found["old"] + found["new"]


@pytest.mark.parametrize("place", ["etcd"], indirect=True)
def test_the_whole_command_dies(place: Place, tmp_path: Path) -> None:
    found = store_commands.campaign(place, tmp_path / "shop", sample=3)
    assert found["old"] + found["new"]
