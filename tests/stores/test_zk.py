"""ZooKeeper: the contract on a real server, and what only ZooKeeper does."""

from __future__ import annotations

import pytest

from sealpipe.stores.registry import open_store
from sealpipe.testing.store_contract import CHECKS


@pytest.fixture
def open_zk(zookeeper, store_prefix):
    """Opens one more client of this test's own place; all are closed at the end."""
    opened = []

    def one(address=zookeeper.address, place=store_prefix, options=""):
        store, prefix = open_store(f"zk://{address}/{place.strip('/')}{options}", base="/")
        assert prefix == ""
        opened.append(store)
        return store

    yield one
    for store in opened:
        store.close()


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_contract(check, open_zk):
    check(open_zk)
