"""A reader waits while its server restarts, compacts or goes back: the short form of campaign/restarts.py."""

from __future__ import annotations

import pytest
from campaign.restarts import campaign

from servers.places import PROMISED, Place


@pytest.mark.parametrize("place", PROMISED, indirect=True)
def test_the_publish_after_a_restart_arrives(place: Place) -> None:
    long = ("pause", "session", "restart") if place.kind == "weed" else ("pause", "session")
    arrived = campaign(place, leave_out=long)
    assert arrived
    assert all(seconds < 5 for seconds in arrived.values())
