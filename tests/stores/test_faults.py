"""Faults of the network at requests of a publish and of a read: a sample of campaign/store_faults.py."""

from __future__ import annotations

import pytest
from campaign.store_faults import campaign

from servers.places import PROMISED, Place
from servers.proxy import KINDS


@pytest.mark.parametrize("place", PROMISED, indirect=True)
def test_a_fault_of_each_kind(place: Place) -> None:
    # S3 takes several times as many requests and as long for each.
    kinds = KINDS[1::2] if place.kind == "weed" else KINDS
    table = campaign(place, sample=1, kinds=kinds)
    for outcomes in table.values():
        assert outcomes["requests"]
        assert sum(outcomes.values()) > outcomes["requests"] + outcomes["not reached"]
