"""Between looking at a plan and publishing it: what moved meanwhile is noticed, and nothing is written."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sealpipe.crypto.keys import SigningKey
from sealpipe.errors import RefusedError, StoreError, UnavailableError
from sealpipe.flows import deliver, targets
from sealpipe.flows.planning import Request, plan_published
from sealpipe.flows.rolling import Wish, prepare_rollback, undo
from sealpipe.flows.ship import Prepared, prepare, ship
from sealpipe.released import Unit
from sealpipe.stores.file import FileStore
from shipping import Shop
from team import ANNA, BEN, CI

DEV = "environments/dev/checkout.yaml"
CHECKOUT = "environments/production/checkout.yaml"


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shop:
    folder = tmp_path / "shop"
    folder.mkdir()
    return Shop(folder, monkeypatch, capsys)


def now() -> int:
    return time.time_ns() // 1_000_000


def prepared(shop: Shop, environment: str = "dev", key: SigningKey = ANNA.sign, **more: str) -> Prepared:
    request = Request(environment, **more)  # type: ignore[arg-type]
    return prepare(shop.load(), request, pins=shop.pins(), keys=[key])


def test_what_was_looked_at_is_what_is_published(shop: Shop) -> None:
    ready = prepared(shop)
    done = ship(ready, now_ms=now())
    assert [(r.unit, r.outcome, r.number) for r in done.receipts] == [
        (Unit("dev", "checkout"), "published", 1)
    ]
    assert done.notes == ()


def test_somebody_published_in_between(shop: Shop) -> None:
    ship(prepared(shop), now_ms=now())
    shop.set(DEV, "pool_max: 20", "pool_max: 30")
    ready = prepared(shop)
    shop.set(DEV, "pool_max: 30", "pool_max: 40")
    shop.ok("publish", "dev", by="ben")
    before = shop.head("dev", "checkout").read_bytes()
    with pytest.raises(RefusedError) as caught:
        ship(ready, now_ms=now())
    found = caught.value.finding
    assert found.word == "moved"
    assert re.fullmatch(
        r"dev/checkout moved: plan [0-9a-f]{6} was made against #1, "
        r"the store has #2 \(ben, .*, commit [0-9a-f]{7}\)",
        found.what,
    )
    assert found.why == ("nothing was published",)
    assert shop.head("dev", "checkout").read_bytes() == before


def test_a_hold_that_came_in_between(shop: Shop) -> None:
    for number in (20, 30):
        shop.write(DEV, re.sub(r"pool_max: \d+", f"pool_max: {number}", Path(DEV).read_text()))
        shop.ok("publish", "dev", by="anna")
    shop.set(DEV, "timeout_s: 5", "timeout_s: 6")
    ready = prepared(shop)
    shop.ok("rollback", "dev/checkout")
    with pytest.raises(RefusedError) as caught:
        ship(ready, now_ms=now())
    assert caught.value.word == "moved"


def test_an_approval_that_was_withdrawn_in_between(shop: Shop) -> None:
    shop.approvals()
    shop.ok("approve", "production", "--yes", by="ben")
    shop.push("approved")
    ready = prepared(shop, "production", CI)
    for file in Path("trust/approvals").rglob("*.yaml"):
        file.unlink()
    with pytest.raises(RefusedError) as caught:
        ship(ready, now_ms=now())
    assert caught.value.word == "approval-missing"
    assert not shop.head("production", "checkout").exists()


def test_guards_and_approvals_are_checked_before_anything_is_written(shop: Shop) -> None:
    shop.approvals()
    ready = prepared(shop, "production", CI)
    with pytest.raises(RefusedError) as caught:
        ship(ready, now_ms=now())
    assert caught.value.word == "approval-missing"
    assert not Path(".sealpipe/store").exists()


def test_a_rollback_that_somebody_overtook_is_a_conflict(shop: Shop) -> None:
    for number in (20, 30):
        shop.write(DEV, re.sub(r"pool_max: \d+", f"pool_max: {number}", Path(DEV).read_text()))
        shop.ok("publish", "dev", by="anna")
    ready = prepare_rollback(shop.load(), Wish("dev", "checkout"), pins=shop.pins(), keys=[ANNA.sign])
    shop.set(DEV, "pool_max: 30", "pool_max: 40")
    shop.ok("publish", "dev")
    done = undo(ready, now_ms=now())
    assert [receipt.outcome for receipt in done.receipts] == ["conflict"]


def test_a_rollback_moves_no_fence(shop: Shop) -> None:
    for number in (20, 30):
        shop.write(DEV, re.sub(r"pool_max: \d+", f"pool_max: {number}", Path(DEV).read_text()))
        shop.commit(f"pool {number}")
        shop.ok("publish", "dev", by="anna")
    state = Path(".sealpipe/store/dev/state").read_bytes()
    shop.ok("rollback", "dev/checkout", by="ben")
    assert Path(".sealpipe/store/dev/state").read_bytes() == state


class Blind(FileStore):
    """Takes writes and gives back an older head: what `read back` is for."""

    def scan(self, prefix: str, *, timeout: float = 30.0) -> Iterator[object]:  # type: ignore[override]
        raise UnavailableError("store-unavailable", "no scan")
        yield  # pragma: no cover


def test_planning_reads_and_never_writes(shop: Shop) -> None:
    plan_published(shop.load(), Request("dev"), shop.pins())
    assert not Path(".sealpipe/store").exists()


def test_a_store_that_does_not_answer_is_no_empty_store(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    ship(prepared(shop), now_ms=now())
    opened = targets.open_store
    monkeypatch.setattr(targets, "open_store", lambda url, base: (Blind(Path(base, ".sealpipe/store")), ""))
    with pytest.raises(StoreError):
        prepared(shop)
    monkeypatch.setattr(targets, "open_store", opened)
    assert prepared(shop).plan.changed == ()


def test_what_is_read_back_must_be_what_was_published(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deliver, "head", lambda *_: None)
    done = ship(prepared(shop), now_ms=now())
    assert [note.word for note in done.notes] == ["read-back"]


def test_break_glass_signs_with_the_key_that_may(shop: Shop) -> None:
    ready = prepared(shop, "production", BEN.sign, break_glass="fire")
    assert (ready.signer.name, ready.signer.waives) == ("ben", True)
    with pytest.raises(RefusedError):
        prepared(shop, "production", BEN.sign)
    assert prepared(shop, "production", CI, break_glass="fire").signer.waives is False
