"""A cache that is damaged at any byte, or a disk that is full, read-only or broken at any call."""

from __future__ import annotations

import errno
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.live.orders import Orders, values
from tests.live.store import OneService, until

from sealpipe import Event, Live
from sealpipe.client.source import Source
from sealpipe.client.start import start
from sealpipe.errors import ConfigError
from sealpipe.frozen import replace
from sealpipe.live.live import part_of

CALLS = ("open", "write", "fsync", "fchmod", "replace", "mkdir", "unlink")
ERRORS = (errno.ENOSPC, errno.EROFS, errno.EIO, errno.EDQUOT)


def started(source: Source) -> Any:
    """The value it starts with; None for an error of ours with a service's code."""
    try:
        return start(source, "model", lambda snapshot: snapshot.values["db"]["pool_max"]).value
    except ConfigError as error:
        assert error.exit_code in (75, 78)  # noqa: PT017
        assert "canary" not in str(error)  # noqa: PT017
        return None


@pytest.fixture
def cached(cached_shop: OneService) -> OneService:
    """Two generations in its cache, and its store away."""
    for number in (20, 21):
        cached_shop.publish(values(number))
        assert started(cached_shop.source) == number
    cached_shop.folder.rename(cached_shop.folder.with_name("away"))
    return cached_shop


def files_of(cache: Path | None) -> list[Path]:
    assert cache is not None
    return [path for path in cache.rglob("*") if path.is_file() and path.stat().st_size]


def test_every_byte_of_every_file(cached: OneService) -> None:
    source = replace(cached.source, wait=0.0, url=f"release:{cached.folder}/gone")
    found: dict[Any, int] = {}
    for path in files_of(cached.cache):
        whole = path.read_bytes()
        for at in range(len(whole)):
            path.write_bytes(whole[:at] + bytes([whole[at] ^ (1 << at % 8)]) + whole[at + 1 :])
            value = started(source)
            found[value] = found.get(value, 0) + 1
        path.write_bytes(whole)
    assert set(found) <= {20, 21, None}
    assert found[21] > 500  # the older one, or the state, was damaged
    assert found[20] > 500  # the newest was: the one before it


def test_every_length_of_every_file(cached: OneService) -> None:
    source = replace(cached.source, wait=0.0, url=f"release:{cached.folder}/gone")
    for path in files_of(cached.cache):
        whole = path.read_bytes()
        for size in range(0, len(whole), 5):
            path.write_bytes(whole[:size])
            assert started(source) in (20, 21, None)
        path.write_bytes(whole + b"\n")
        assert started(source) in (20, 21)
        path.write_bytes(whole)


@contextmanager
def failing(call: str, at: int, code: int) -> Iterator[list[int]]:
    """The `at`-th use of a function of `os`, and each after it, fails. Gives how often it was used."""
    used = [0]
    right: Callable[..., Any] = getattr(os, call)

    def wrong(*given: Any, **more: Any) -> Any:
        used[0] += 1
        if used[0] >= at:
            raise OSError(code, os.strerror(code))
        return right(*given, **more)

    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setattr(os, call, wrong)
        yield used


@pytest.mark.parametrize("call", CALLS)
def test_a_disk_that_fails_at_a_call(call: str, cached_shop: OneService, tmp_path: Path) -> None:
    """The swap goes on, an event tells of the cache, and the next start has one of both releases."""
    shop, events = cached_shop, list[Event]()
    shop.publish(values(20))
    raws = [shop.release(values(21 + number)) for number in range(5 * len(ERRORS))]
    with Live(Orders, source=shop.source, on_event=events.append) as live:
        feed = part_of(live).feed
        assert feed is not None
        assert feed._watcher is not None
        feed._watcher.stop()  # every take is one of this thread
        wanted = failures = 0
        for at in range(1, 6):
            for code in ERRORS:
                raw, number = raws[wanted], 21 + wanted
                wanted += 1
                with failing(call, at, code) as used:
                    assert feed.take(raw, "store") == "applied"
                failures += used[0] >= at
                assert live.current.db.pool_max == number
                copy = tmp_path / "copy"
                shutil.copytree(str(shop.cache), copy)
                gone = replace(shop.source, cache=str(copy), wait=0.0, url=f"release:{tmp_path}/gone")
                assert started(gone) in range(20, number + 1)
                shutil.rmtree(copy)
        assert failures >= len(ERRORS) or call in ("mkdir", "unlink")
        if failures and call != "mkdir":  # the folder is there: nobody needs to make it
            until(lambda: "cache" in [event.kind for event in events])
    assert "canary" not in str(events)
    assert started(shop.source) is not None


def test_a_disk_without_room_at_the_start(cached_shop: OneService) -> None:
    cached_shop.publish(values(20))
    with failing("open", 1, errno.EROFS), pytest.raises(ConfigError):
        start(cached_shop.source, "model", lambda snapshot: snapshot)  # the store is on it too
    with failing("write", 1, errno.ENOSPC), Live(Orders, source=cached_shop.source) as live:
        assert live.current.db.pool_max == 20
        assert live.ready()
    began = time.monotonic()
    assert started(cached_shop.source) == 20
    assert time.monotonic() - began < 10
