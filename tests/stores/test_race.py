"""Eight publishers, two readers and a collector on each store: the short form."""

from __future__ import annotations

import pytest
from campaign.race import race

from servers.places import PROMISED, Place


@pytest.mark.parametrize("place", PROMISED, indirect=True)
def test_eight_publishers_race_to_thirty_releases(place: Place) -> None:
    found = race(place.url, 30, keep=5)
    assert found.releases >= 30
    assert found.reads
