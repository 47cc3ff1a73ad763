"""Publishers killed at requests, on each store: a sample of campaign/store_death.py."""

from __future__ import annotations

import pytest
from campaign.store_death import campaign

from servers.places import PROMISED, Place


@pytest.mark.parametrize("place", PROMISED, indirect=True)
def test_a_sample_of_deaths_leaves_the_old_or_the_new(place: Place) -> None:
    found = campaign(place, sample=3 if place.kind == "weed" else 8)
    assert found["old"] + found["new"]
