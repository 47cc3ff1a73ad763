"""S3: the contract on two real servers, and what only S3 does."""

from __future__ import annotations

import pytest
from servers.s3 import BUCKET

from sealpipe.stores.registry import open_store
from sealpipe.testing.store_contract import CHECKS


@pytest.fixture(params=["weed", "moto"])
def server(request, monkeypatch):
    running = request.getfixturevalue(request.param)
    for name, value in running.environ.items():
        monkeypatch.setenv(name, value)
    return running


@pytest.fixture
def open_s3(server, store_prefix):
    """Opens one more client of this test's own place; all are closed at the end."""
    opened = []

    def one(bucket=BUCKET, endpoint=server.url, place=store_prefix, options="poll=0.05"):
        url = f"s3://{bucket}/{place.strip('/')}?endpoint={endpoint}&{options}"
        store, prefix = open_store(url.rstrip("&"), base="/")
        assert prefix == ""
        opened.append(store)
        return store

    yield one
    for store in opened:
        store.close()


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_contract(check, open_s3):
    check(open_s3)
