"""The servers of the tests: each starts, answers, dies and comes back."""

from __future__ import annotations

import pytest

from servers.processes import Running


@pytest.mark.parametrize("name", ["consul", "etcd", "etcd_old", "zookeeper", "weed", "moto"])
def test_a_server_answers(name: str, request: pytest.FixtureRequest) -> None:
    server: Running = request.getfixturevalue(name)
    assert server.alive
    assert server.ready()
