"""Mirrors and the plain tree beside a publish: what one that fails leaves true, and what mends it."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

import memory_scheme
from publishing import Around
from sealpipe.errors import UnavailableError
from sealpipe.flows import deliver
from sealpipe.flows.planning import Request
from sealpipe.flows.ship import prepare, ship
from sealpipe.model import Publication
from sealpipe.released import Unit
from sealpipe.releases.keys import head_key
from sealpipe.stores import registry
from sealpipe.stores.base import Delete, Entry, Op, Put, Store
from sealpipe.testing.memory import MemoryStore
from shipping import Shop
from team import ANNA, git

DEV = "environments/dev/checkout.yaml"
CHECKOUT = Unit("dev", "checkout")
TREE = '{at: "memory:tree/plain", services: [checkout]}'


class Down(Around):
    """A store that answers nothing, or takes no writes."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.reads = self.takes = True

    def scan(self, prefix: str, *, timeout: float = 30.0) -> Iterator[Entry]:
        if not self.reads:
            raise UnavailableError("store-unavailable", "no answer")
        return super().scan(prefix, timeout=timeout)

    def write(self, ops: Sequence[Op], *, timeout: float = 10.0) -> None:
        if not self.takes:
            raise UnavailableError("store-unavailable", "no answer")
        super().write(ops, timeout=timeout)


@pytest.fixture
def stores(monkeypatch: pytest.MonkeyPatch) -> dict[str, Down]:
    """A primary, two mirrors and a tree, each a store of its own."""
    monkeypatch.setitem(registry.STORES, "memory", "memory_scheme")
    made = {name: Down(MemoryStore()) for name in ("main", "one", "two", "tree")}
    monkeypatch.setattr(memory_scheme, "STORES", dict(made))
    return made


@pytest.fixture
def shop(
    stores: dict[str, Down],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Shop:
    folder = tmp_path / "shop"
    folder.mkdir()
    made = Shop(folder, monkeypatch, capsys)
    text = Path("sealpipe.yaml").read_text()
    line = next(one for one in text.splitlines() if one.startswith("  dev:"))
    mirrors = '["memory:one", "memory:two/copy"]'
    where = f'  dev: {{publish_to: "memory:main/config", mirrors: {mirrors}, tree: {TREE}}}'
    made.write("sealpipe.yaml", text.replace(line, where))
    made.commit("stores")
    return made


def pool(shop: Shop, number: int) -> None:
    shop.write(DEV, re.sub(r"pool_max: \d+", f"pool_max: {number}", Path(DEV).read_text()))


def publish(shop: Shop) -> Publication:
    ready = prepare(shop.load(), Request("dev"), pins=shop.pins(), keys=[ANNA.sign])
    return ship(ready, now_ms=time.time_ns() // 1_000_000)


def head(stores: dict[str, Down], name: str) -> bytes:
    prefix = {"main": "config/", "one": "", "two": "copy/"}[name]
    entry = stores[name].inner.get(head_key(prefix, CHECKOUT))
    return entry.value if entry else b""


def tree(stores: dict[str, Down]) -> str:
    entry = stores["tree"].inner.get("plain/checkout/db/pool_max")
    return entry.value.decode() if entry else ""


def test_the_same_bytes_on_every_store(shop: Shop, stores: dict[str, Down]) -> None:
    out = shop.ok("publish", "dev", by="anna").out
    assert head(stores, "main") == head(stores, "one") == head(stores, "two") != b""
    assert tree(stores) == "20"
    assert ["✓" in line for line in out.splitlines() if line.startswith(("mirrored", "tree"))] == [True] * 3
    assert shop.run("verify", "dev").code == 0


@pytest.mark.parametrize("failing", ["one", "two", "tree"])
@pytest.mark.parametrize("how", ["reads", "takes"])
def test_one_that_fails_leaves_the_rest_true(
    shop: Shop, stores: dict[str, Down], failing: str, how: str
) -> None:
    shop.ok("publish", "dev", by="anna")
    pool(shop, 30)
    setattr(stores[failing], how, False)
    done = shop.run("publish", "dev")
    assert done.code == 1
    assert "published  checkout #2" in done.out
    good = [name for name in ("main", "one", "two") if name != failing]
    assert len({head(stores, name) for name in good}) == 1
    assert tree(stores) == ("20" if failing == "tree" else "30")
    command = "verify dev/checkout --repair" if failing == "tree" else "publish dev --mirrors-only"
    assert f"hint: sealpipe {command}" in done.err
    setattr(stores[failing], how, True)
    found = shop.run("verify", "dev")
    assert found.code == 3
    assert "✗ dev" in found.out
    shop.ok(*command.split())
    assert shop.run("verify", "dev").code == 0
    assert head(stores, "one") == head(stores, "main")


def test_no_tick_above_a_mirror_that_is_behind(shop: Shop, stores: dict[str, Down]) -> None:
    shop.ok("publish", "dev", by="anna")
    stores["one"].inner.write([Delete(head_key("", CHECKOUT), None)])
    done = shop.run("verify", "dev")
    assert done.code == 3
    assert "✗ dev              1 of 1 as they must be; 1 not right in their copies" in done.out
    assert "error[mirror-empty]: memory:one has nothing of dev" in done.err
    stores["two"].reads = False
    assert "error[mirror-unreachable]: memory:two/copy" in shop.run("verify", "dev").err


def test_the_primary_away_stops_everything(shop: Shop, stores: dict[str, Down]) -> None:
    shop.ok("publish", "dev", by="anna")
    pool(shop, 30)
    stores["main"].reads = False
    assert shop.run("publish", "dev").code == 1
    assert tree(stores) == "20"
    assert shop.run("publish", "dev", "--mirrors-only").code == 1


def test_nothing_is_copied_that_could_not_be_read_back(
    shop: Shop, stores: dict[str, Down], monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(shop)
    before = head(stores, "one")
    pool(shop, 30)
    with monkeypatch.context() as patch:
        patch.setattr(deliver, "head", lambda *_: None)
        done = publish(shop)
    assert [note.word for note in done.notes] == ["read-back"]
    assert done.mirrors == {}
    assert done.tree is None
    assert head(stores, "one") == head(stores, "two") == before
    assert tree(stores) == "20"
    again = publish(shop)
    assert again.mirrors == {"memory:one": "", "memory:two/copy": ""}
    assert head(stores, "one") == head(stores, "main") != before
    assert tree(stores) == "30"


def test_mirrors_only_needs_no_key_and_no_commit_and_goes_forward_only(
    shop: Shop, stores: dict[str, Down]
) -> None:
    shop.ok("publish", "dev", by="anna")
    old = head(stores, "main")
    pool(shop, 30)
    stores["one"].takes = False
    shop.run("publish", "dev")
    new = head(stores, "main")
    stores["one"].takes = True
    shop.commit("pool")
    git(shop.root, "checkout", "-q", "--detach", "HEAD~1")
    shop.ok("publish", "dev", "--mirrors-only", by="")
    assert head(stores, "one") == new
    stores["main"].inner.write([Put(head_key("config/", CHECKOUT), old, None)])
    done = shop.run("publish", "dev", "--mirrors-only")
    assert done.code == 1
    assert "the mirror has a newer release than the primary" in done.err
    assert head(stores, "one") == new


def test_a_dry_run_copies_nothing(shop: Shop, stores: dict[str, Down]) -> None:
    shop.ok("publish", "dev", by="anna")
    old = head(stores, "one")
    pool(shop, 30)
    stores["one"].takes = False
    shop.run("publish", "dev")
    stores["one"].takes = True
    done = shop.ok("publish", "dev", "--mirrors-only", "--dry-run", by="")
    assert (head(stores, "one"), done.out) == (old, "")
    assert "memory:one has dev/checkout #1, the primary #2" in done.err
    assert done.err.endswith("nothing was copied\n")
    shop.ok("publish", "dev", "--mirrors-only", by="")
    assert head(stores, "one") == head(stores, "main")
    assert (
        "the mirrors have everything" in shop.ok("publish", "dev", "--mirrors-only", "--dry-run", by="").err
    )


@pytest.mark.parametrize(
    "words",
    [
        ["dev", "--plan", "abcdef"],
        ["dev", "--break-glass", "fire"],
        ["dev", "--retire", "dev/checkout"],
        ["dev", "--lift-hold"],
        ["dev", "--repair-head"],
        ["dev/checkout"],
    ],
)
def test_what_mirrors_only_would_leave_out_is_refused(shop: Shop, words: list[str]) -> None:
    done = shop.run("publish", *words, "--mirrors-only")
    assert done.code == 2
    assert done.err.startswith("error[usage]: --mirrors-only copies ")
    assert "hint: sealpipe publish dev --mirrors-only\n" in done.err


def test_a_mirror_is_never_asked_what_is_published(shop: Shop, stores: dict[str, Down]) -> None:
    """What stands in a mirror decides nothing, however new it is: the primary alone gives order."""
    shop.ok("publish", "dev", by="anna")
    stores["one"].inner.write([Put(head_key("", CHECKOUT), b"junk", None)])
    pool(shop, 30)
    done = shop.run("publish", "dev")
    assert done.code == 1
    assert "what stands there is no release" in done.err
    assert head(stores, "one") == b"junk"
    again = shop.run("publish", "dev", "--mirrors-only")
    for one in (done, again):
        assert "hint: sealpipe verify dev --repair\n" in one.err  # and not the command that has just failed
    shop.ok("verify", "dev", "--repair")
    assert head(stores, "one") == head(stores, "main")
    assert head(stores, "two") == head(stores, "main")
    shop.ok("verify", "dev", "--repair")
    assert head(stores, "one") == head(stores, "main")


def test_no_mirror_is_said_to_have_what_the_primary_lost(shop: Shop, stores: dict[str, Down]) -> None:
    shop.ok("publish", "dev", by="anna")
    kept = head(stores, "one")
    stores["main"].inner.write([Put(head_key("config/", CHECKOUT), b"junk", None)])
    done = shop.run("publish", "dev", "--mirrors-only")
    assert done.code == 1
    assert "dev/checkout: not copied, since the primary's own is no release" in done.err
    assert head(stores, "one") == kept


def test_a_rollback_moves_all_of_them(shop: Shop, stores: dict[str, Down]) -> None:
    shop.ok("publish", "dev", by="anna")
    pool(shop, 30)
    shop.ok("publish", "dev")
    done = shop.ok("rollback", "dev/checkout", "--yes")
    assert head(stores, "main") == head(stores, "one") == head(stores, "two")
    assert tree(stores) == "20"
    assert done.out.count("mirrored") == 2


def test_a_retired_service_is_retired_in_every_copy(shop: Shop, stores: dict[str, Down]) -> None:
    shop.ok("publish", "dev", by="anna")
    Path(DEV).unlink()
    shop.commit("gone")
    shop.ok("publish", "dev", "--retire", "dev/checkout")
    assert head(stores, "main") == head(stores, "one") == head(stores, "two")
    assert stores["tree"].inner.keys("plain/checkout/") == []
    assert shop.run("verify", "dev").code == 0
