"""Faults of the network at requests of a publish and of a read: a sample of campaign/store_faults.py."""

from __future__ import annotations

from campaign.store_faults import campaign

from servers.places import Place


def test_a_fault_of_each_kind(place: Place) -> None:
    table = campaign(place, sample=1)
    for outcomes in table.values():
        assert outcomes["requests"]
        assert sum(outcomes.values()) > outcomes["requests"] + outcomes["not reached"]
