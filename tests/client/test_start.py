"""How a service starts: stores in turn, then the cache, then an error that says why."""

from __future__ import annotations

import base64
import os
import time
from pathlib import Path
from typing import Any

import pytest

from sealpipe.client.opened import Opened
from sealpipe.client.snapshot import Snapshot
from sealpipe.client.start import Started, start
from sealpipe.client.throwaway import throwaway, throwaway_release
from sealpipe.errors import ConfigError, ConfigRefused, ConfigUnavailable, ConfigUntrusted, SecretUnreadable
from sealpipe.released import Unit

from .conftest import Shop


def number(snapshot: Snapshot) -> int:
    return int(snapshot.values["n"])


def refusing(*numbers: int) -> Any:
    """A settings model that does not take some releases."""

    def accept(snapshot: Snapshot) -> int:
        if number(snapshot) in numbers:
            raise ConfigRefused("unfit-release", f"#{number(snapshot)} does not fit")
        return number(snapshot)

    return accept


def begin(shop: Shop, accept: Any = number, model: str = "model", **changes: Any) -> Started[int]:
    return start(shop.source(**changes), model, accept)


def failure(shop: Shop, accept: Any = number, model: str = "model", **changes: Any) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        begin(shop, accept, model, **changes)
    assert caught.value.__context__ is None
    return caught.value


@pytest.fixture
def cache(tmp_path: Path) -> str:
    return str(tmp_path / "cache")


# ---- where releases come from


def test_from_a_store(shop: Shop) -> None:
    shop.publish({"n": 1})
    found = begin(shop)
    assert (found.value, found.origin, found.refused, found.notes) == (1, "store", (), ())


def test_a_release_in_chunks(shop: Shop) -> None:
    shop.publish({"n": 1, "text": "x" * 300_000})
    assert begin(shop).value == 1


def test_from_a_file(shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "orders.release").write_bytes(shop.release({"n": 1}))
    assert begin(shop, url=f"release:{tmp_path}/orders.release").origin == "file"
    monkeypatch.chdir(tmp_path)
    assert begin(shop, url="release:orders.release").value == 1


def test_from_a_variable(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    text = base64.encodebytes(shop.release({"n": 1})).decode()
    monkeypatch.setenv("ORDERS_RELEASE", text)
    assert begin(shop, url="env:ORDERS_RELEASE").origin == "variable"
    monkeypatch.setenv("ORDERS_RELEASE", "%%%")
    assert failure(shop, url="env:ORDERS_RELEASE").word == "not-a-release"
    assert failure(shop, url="env:NOT_SET").word == "bootstrap"


def test_fallbacks_are_asked_in_order(shop: Shop, tmp_path: Path) -> None:
    shop.publish({"n": 2}, store=tmp_path / "mirror")
    (tmp_path / "seed").write_bytes(shop.release({"n": 3}))
    url = f"release:{tmp_path}/gone file:{tmp_path}/mirror release:{tmp_path}/seed"
    found = begin(shop, url=url)
    assert found.value == 2


@pytest.mark.parametrize("url", ["nonsense", "nosuch:store", "file:", "http://user:pw@host/x"])
def test_a_wrong_url_is_a_wrong_bootstrap(shop: Shop, url: str) -> None:
    error = failure(shop, url=url)
    assert error.exit_code == 78
    assert "pw" not in str(error)


# ---- what is refused, with the code that a service ends with


def test_no_release_is_an_error_and_no_empty_configuration(shop: Shop) -> None:
    shop.store.mkdir()
    error = failure(shop)
    assert (error.word, error.exit_code) == ("no-release", 78)
    assert "sealpipe publish dev/orders" in error.finding.hint


def test_a_store_that_is_away(shop: Shop, tmp_path: Path) -> None:
    error = failure(shop, url=f"release:{tmp_path}/gone", wait=0.5)
    assert isinstance(error, ConfigUnavailable)
    assert error.exit_code == 75
    assert "tries in 0." in str(error)


def test_the_wait_is_bounded_and_ends_when_the_store_is_there(shop: Shop, tmp_path: Path) -> None:
    began = time.monotonic()
    failure(shop, url=f"release:{tmp_path}/gone", wait=0.4)
    assert 0.2 < time.monotonic() - began < 2

    raw = shop.release({"n": 1})
    if os.fork() == 0:
        time.sleep(0.3)
        (tmp_path / "late.tmp").write_bytes(raw)
        (tmp_path / "late.tmp").rename(tmp_path / "late")
        os._exit(0)
    assert begin(shop, url=f"release:{tmp_path}/late", wait=3.0).value == 1
    os.wait()


def test_altered_foreign_and_unknown_releases(shop: Shop) -> None:
    raw = shop.publish({"n": 1})
    shop.put(raw[:-40] + bytes([raw[-40] ^ 1]) + raw[-39:])
    assert isinstance(failure(shop), ConfigUntrusted)
    shop.put(raw)
    assert failure(shop, trust=throwaway(Unit("dev", "orders")).pin).word == "foreign-root"
    shop.put(throwaway_release(throwaway(Unit("dev", "mailer")), {"n": 1}))
    assert isinstance(failure(shop), ConfigUntrusted)
    shop.put(b"rubbish")
    assert failure(shop).word == "not-a-release"


def test_a_release_of_another_service_under_the_same_trust(shop: Shop) -> None:
    shop.publish({"n": 1})
    mailer = shop.source(service="mailer", url=f"release:{shop.store}/dev/heads/orders")
    with pytest.raises(ConfigUntrusted) as caught:
        start(mailer, "model", number)
    assert caught.value.word == "foreign-unit"


def test_malformed_pins_and_keys(shop: Shop, tmp_path: Path) -> None:
    shop.publish({"n": Opened(1, "int")})
    assert failure(shop, trust="st1-nonsense").word == "bootstrap"
    error = failure(shop, key="AGE-SECRET-KEY-1NONSENSE")
    assert isinstance(error, SecretUnreadable)
    assert "NONSENSE" not in str(error)


def test_a_lowest_version_in_the_pin(shop: Shop) -> None:
    shop.publish({"n": 1})
    assert failure(shop, trust=f"{shop.keys.pin}@2").word == "older-trust"
    assert begin(shop, trust=f"{shop.keys.pin}@1").value == 1


def test_several_pins(shop: Shop) -> None:
    shop.publish({"n": 1})
    other = throwaway(Unit("dev", "orders")).pin
    assert begin(shop, trust=f"{other},{shop.keys.pin}").value == 1


# ---- the cache


def test_a_start_without_the_store_takes_the_last_good_release(shop: Shop, cache: str) -> None:
    shop.publish({"n": 1, "pw": Opened("hunter2", "str")})
    begin(shop, cache=cache)
    shop.store.rename(shop.folder / "away")
    found = begin(shop, cache=cache)
    assert (found.value, found.origin) == (1, "cache")
    assert found.snapshot.values["pw"].reveal() == "hunter2"
    assert found.refused[0].word == "store-unavailable"


def test_without_a_cache_the_error_says_so(shop: Shop, cache: str) -> None:
    assert "SEALPIPE_CACHE is not set" in str(failure(shop))
    assert "has none of dev/orders" in str(failure(shop, cache=cache))


def test_the_cache_holds_releases_as_published_for_this_user_only(shop: Shop, cache: str) -> None:
    raw = shop.publish({"n": 1, "pw": Opened("hunter2", "str")})
    begin(shop, cache=cache)
    files = [path for path in Path(cache).rglob("*") if path.is_file()]
    assert raw in [path.read_bytes() for path in files]
    for path in files:
        assert b"hunter2" not in path.read_bytes()
        if path.name != "lock":
            assert path.stat().st_mode & 0o077 == 0
    assert (Path(cache) / "dev/orders" / shop.keys.project).stat().st_mode & 0o077 == 0


def test_an_unfit_release_leaves_the_last_good_one(shop: Shop, cache: str) -> None:
    shop.publish({"n": 1})
    begin(shop, cache=cache)
    shop.publish({"n": 2})
    found = begin(shop, refusing(2), cache=cache)
    assert (found.value, found.origin) == (1, "cache")
    assert found.refused[0].finding.what == "#2 does not fit"


def test_an_untrusted_release_leaves_the_last_good_one(shop: Shop, cache: str) -> None:
    shop.publish({"n": 1})
    begin(shop, cache=cache)
    shop.put(b"edited by hand")
    found = begin(shop, cache=cache)
    assert (found.value, found.origin) == (1, "cache")
    assert found.refused[0].word == "not-a-release"


def test_old_code_starts_again_after_new_code_took_a_newer_release(shop: Shop, cache: str) -> None:
    shop.publish({"n": 1})
    begin(shop, refusing(2), model="old", cache=cache)
    for n in (2, 3, 4, 5, 6):
        shop.publish({"n": n})
        begin(shop, refusing(), model="new", cache=cache)
    shop.store.rename(shop.folder / "away")
    assert begin(shop, refusing(2, 3, 4, 5, 6), model="old", cache=cache).value == 1
    assert begin(shop, refusing(), model="new", cache=cache).value == 6
    assert len(list(Path(cache).rglob("*.release"))) == 4


def test_an_older_release_from_the_store_is_not_taken(shop: Shop, cache: str) -> None:
    old = shop.publish({"n": 1})
    shop.publish({"n": 2})
    begin(shop, cache=cache)
    shop.put(old)
    found = begin(shop, cache=cache)
    assert (found.value, found.origin) == (2, "cache")
    assert found.refused[0].word == "older-release"
    assert failure(shop, refusing(2), cache=cache).word == "older-release"
    assert begin(shop).value == 1  # not claimed: a cold start without a cache


def test_seen_counts_also_when_it_did_not_fit(shop: Shop, cache: str) -> None:
    old = shop.publish({"n": 1})
    shop.publish({"n": 2})
    failure(shop, refusing(2), cache=cache)
    shop.put(old)
    assert failure(shop, refusing(2), cache=cache).word == "older-release"


def test_one_order_with_two_contents_is_an_alarm(shop: Shop, cache: str) -> None:
    shop.publish({"n": 1})
    begin(shop, cache=cache)
    shop.put(shop.release({"n": 2}, seq=shop.seq))
    found = begin(shop, cache=cache)
    assert found.value == 1
    assert found.refused[0].word == "two-releases"


def test_a_trust_document_that_was_forked_is_an_alarm(shop: Shop, cache: str) -> None:
    shop.publish({"n": 1})
    begin(shop, cache=cache)
    state = next(Path(cache).rglob("state.json"))
    text = state.read_text()
    digest = text.split('"trust_digest": "')[1][:64]
    state.write_text(text.replace(digest, "0" * 64))
    shop.publish({"n": 2})
    assert failure(shop, cache=cache).word == "forked-trust"


def test_nothing_is_taken_below_the_highest_trust_version_seen(shop: Shop, cache: str) -> None:
    shop.publish({"n": 1})
    begin(shop, cache=cache)
    state = next(Path(cache).rglob("state.json"))
    state.write_text(state.read_text().replace('"order": [1, ', '"order": [2, '))
    error = failure(shop, cache=cache)
    assert error.word == "older-trust"
    shop.store.rename(shop.folder / "away")
    assert "stands under trust version 1; 2 was seen here" in str(failure(shop, cache=cache))


def test_a_retired_unit_starts_from_the_cache_or_not_at_all(shop: Shop, cache: str) -> None:
    shop.publish({"n": 1})
    begin(shop, cache=cache)
    shop.publish({}, retired={"successor": "billing"})
    found = begin(shop, cache=cache)
    assert (found.value, found.origin) == (1, "cache")
    error = failure(shop)
    assert (error.word, error.exit_code) == ("retired", 78)
    assert "billing" in str(error)


@pytest.mark.parametrize("content", [b"", b"{", b"null", b"[]", b'{"order": ["x"]}', b"\xff" * 50])
def test_a_damaged_state_is_no_reason_not_to_start(shop: Shop, cache: str, content: bytes) -> None:
    shop.publish({"n": 1})
    begin(shop, cache=cache)
    next(Path(cache).rglob("state.json")).write_bytes(content)
    assert begin(shop, cache=cache).origin == "store"
    shop.store.rename(shop.folder / "away")
    assert begin(shop, cache=cache).origin == "cache"


def test_a_damaged_entry_is_verified_and_passed_over(shop: Shop, cache: str) -> None:
    for n in (1, 2):
        shop.publish({"n": n})
        begin(shop, cache=cache)
    newest = sorted(Path(cache).rglob("*.release"))[-1]
    newest.write_bytes(newest.read_bytes()[:-1] + b"x")
    shop.store.rename(shop.folder / "away")
    assert begin(shop, cache=cache).value == 1


def test_a_damaged_entry_is_mended_by_the_next_start(shop: Shop, cache: str) -> None:
    raw = shop.publish({"n": 1})
    begin(shop, cache=cache)
    entry = next(Path(cache).rglob("*.release"))
    entry.write_bytes(b"")
    begin(shop, cache=cache)
    assert entry.read_bytes() == raw


def test_a_start_that_changes_nothing_writes_nothing(shop: Shop, cache: str) -> None:
    shop.publish({"n": 1})
    begin(shop, cache=cache)
    files = [path for path in Path(cache).rglob("*") if path.is_file() and path.name != "lock"]
    before = {path: path.stat().st_ino for path in files}
    begin(shop, cache=cache)
    assert {path: path.stat().st_ino for path in files} == before


def test_a_cache_of_another_project_is_not_used(shop: Shop, cache: str) -> None:
    other = Shop(shop.folder / "other")
    other.publish({"n": 9})
    begin(other, cache=cache)
    error = failure(shop, cache=cache)
    assert "could be used" in str(error)


def test_a_file_where_the_cache_should_be_is_a_note(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    shop.publish({"n": 1})
    found = begin(shop, cache=str(tmp_path / "file"))
    assert found.value == 1
    assert "was not written" in found.notes[0]
