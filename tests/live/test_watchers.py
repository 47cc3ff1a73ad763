"""Many watchers while their store restarts: the short form of campaign/watchers.py."""

from __future__ import annotations

from pathlib import Path

import pytest
from campaign.watchers import STORES, campaign

from servers.fixtures import need
from servers.places import PLACES, place_on


@pytest.mark.parametrize("kind", STORES)
def test_all_follow_and_none_stops(kind: str, server_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    need(PLACES[kind].program)
    server = PLACES[kind].start(server_folder)
    try:
        for name, value in server.environ.items():
            monkeypatch.setenv(name, value)
        # Five seconds are promised, and asked for by the long form; here other tests share the cores.
        campaign(place_on(kind, server), watchers=80, processes=2, rounds=1, within=20.0)
    finally:
        server.kill()
