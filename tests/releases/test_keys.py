"""Names of keys in a store, and back."""

from __future__ import annotations

import pytest

from sealpipe.released import Order, Unit
from sealpipe.releases import keys
from sealpipe.stores.base import check_key, check_prefix

UNIT = Unit("production", "check-out_2")
ORDER = Order(7, 1_790_000_000_000)
RID = "ab" * 16


@pytest.mark.parametrize("prefix", ["", "config/", "team-a/config/"])
def test_names_are_read_back(prefix):
    head = keys.head_key(prefix, UNIT)
    archive = keys.archive_key(prefix, UNIT, ORDER, "cd" * 32)
    chunk = keys.chunk_key(prefix, UNIT, ORDER, RID, 31)
    assert keys.parse_head(prefix, head) == UNIT
    assert keys.parse_archive(prefix, archive) == keys.Archive(UNIT, ORDER, "cd" * 8)
    assert keys.parse_chunk(prefix, chunk) == keys.Chunk(UNIT, ORDER, RID, 31)
    for key in (head, archive, chunk, keys.state_key(prefix, "production")):
        check_key(key)
        assert key.startswith(f"{prefix}production/")
    for below, above in (
        (keys.heads_prefix(prefix, "production"), head),
        (keys.archives_prefix(prefix, UNIT), archive),
        (keys.chunks_prefix(prefix, UNIT), chunk),
    ):
        check_prefix(below)
        assert above.startswith(below)


def test_spelling():
    assert keys.state_key("", "dev") == "dev/state"
    assert keys.head_key("config/", UNIT) == "config/production/heads/check-out_2"
    assert keys.archive_key("", UNIT, ORDER, "cd" * 32) == (
        "production/releases/check-out_2/0000000007-001790000000000-cdcdcdcdcdcdcdcd"
    )
    assert keys.chunk_key("", UNIT, ORDER, RID, 3) == (
        f"production/chunks/check-out_2/0000000007-001790000000000-{RID}/3"
    )


def test_archives_sort_as_their_orders_do():
    orders = [Order(6, 2**48 - 1), Order(7, 1), Order(7, 1_790_000_000_000), Order(10, 0)]
    names = [keys.archive_key("", UNIT, order, "00" * 32) for order in orders]
    assert names == sorted(names)


@pytest.mark.parametrize(
    "key",
    [
        "production/state",
        "production/heads/Checkout",
        "production/heads/a/b",
        "production/heads/",
        "production/heads/a\n",
        "production/releases/a/7-1-cdcdcdcdcdcdcdcd",
        "production/releases/a/0000000007-001790000000000-cdcd",
        f"production/chunks/a/0000000007-001790000000000-{RID}/03",
        f"production/chunks/a/0000000007-001790000000000-{RID}/100",
        "",
    ],
)
def test_other_keys_are_none_of_ours(key):
    assert keys.parse_head("", key) is None
    assert keys.parse_archive("", key) is None
    assert keys.parse_chunk("", key) is None


def test_another_prefix_is_none_of_ours():
    assert keys.parse_head("config/", "production/heads/a") is None
    assert keys.parse_head("", "config/production/heads/a") is None
