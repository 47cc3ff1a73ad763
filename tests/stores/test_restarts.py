"""A reader waits while its server restarts, compacts or goes back: the short form of campaign/restarts.py."""

from __future__ import annotations

from campaign.restarts import campaign

from servers.places import Place


def test_the_publish_after_a_restart_arrives(place: Place) -> None:
    assert all(seconds < 5 for seconds in campaign(place, leave_out=("pause", "session")).values())
