"""The shipped contract, run on every store that ships."""

from __future__ import annotations

import pytest

from sealpipe.stores.file import FileStore
from sealpipe.testing.memory import LIMITS, MemoryStore
from sealpipe.testing.store_contract import CHECKS
from servers.places import Place, opened


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_memory(check):
    store = MemoryStore()
    check(lambda: store)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_memory_not_transactional(check):
    store = MemoryStore(LIMITS._replace(transactional=False))
    check(lambda: store)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_file(check, tmp_path):
    check(lambda: FileStore(tmp_path / "deep" / "store", poll=0.02))


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_server(check, place: Place):
    """On every kind of server: a line in `servers.places` brings another."""
    clients = []

    def client():
        clients.append(opened(place.url))
        return clients[-1]

    try:
        check(client)
    finally:
        for one in clients:
            one.close()
