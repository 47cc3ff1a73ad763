"""Forked and spawned processes: each follows the store by itself."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.live.orders import Orders, values
from tests.live.store import OneService, until

from sealpipe import Live
from sealpipe.live.live import part_of

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork.*:DeprecationWarning")


def in_child(work: Callable[[], bool]) -> Callable[[], None]:
    """Fork, and run `work` there; the returned function asserts that it was true."""
    pid = os.fork()
    if pid == 0:
        good = False
        try:
            good = work()
        finally:
            os._exit(0 if good else 1)

    def joined() -> None:
        _, status = os.waitpid(pid, 0)
        assert os.waitstatus_to_exitcode(status) == 0

    return joined


def reaches(live: Live[Orders], wanted: int, seconds: float = 10.0) -> bool:
    end = time.monotonic() + seconds
    while live.current.db.pool_max != wanted:
        if time.monotonic() > end:
            return False
        time.sleep(0.005)
    return True


def test_a_forked_child_follows_by_itself(shop: OneService) -> None:
    shop.publish(values(1))
    with Live(Orders, source=shop.source) as live:
        children = [in_child(lambda: live.ready() and reaches(live, 2)) for _ in range(4)]
        shop.publish(values(2))
        assert reaches(live, 2)
        for joined in children:
            joined()


def test_callbacks_go_on_in_a_forked_child(shop: OneService) -> None:
    seen: list[int] = []
    shop.publish(values(1))
    with Live(Orders, source=shop.source) as live:
        live.on_change("db.pool_max", lambda old, new: seen.append(new))

        def work() -> bool:
            until(lambda: seen == [2])
            return True

        joined = in_child(work)
        shop.publish(values(2))
        joined()


def test_a_derived_object_is_made_again_in_a_forked_child(shop: OneService) -> None:
    closed: list[int] = []
    shop.publish(values(1))
    with Live(Orders, source=shop.source) as live:
        derived = live.derive(lambda s: s.db.pool_max, lambda n: (os.getpid(), n), close=closed.append)
        mine = derived.current
        assert mine == (os.getpid(), 1)
        in_child(lambda: derived.current == (os.getpid(), 1) and derived.current != mine and not closed)()
        assert derived.current == mine


def test_a_fork_in_the_middle_of_everything_hangs_nobody(shop: OneService) -> None:
    """Swaps run while children are forked: each child must be whole, and follow."""
    shop.publish(values(1))
    stop = threading.Event()
    with Live(Orders, source=shop.source) as live:

        def publish() -> None:
            number = 2
            while not stop.is_set():
                shop.publish(values(number))
                live.refresh()
                number += 1

        publisher = threading.Thread(target=publish)
        publisher.start()
        children = []
        for _ in range(25):
            children.append(in_child(lambda: reaches(live, 1_000_000)))
            time.sleep(0.002)
        stop.set()
        publisher.join()
        shop.publish(values(1_000_000))
        for joined in children:
            joined()


def test_a_child_of_a_stopped_object_stays_stopped(shop: OneService) -> None:
    shop.publish(values(1))
    live = Live(Orders, source=shop.source).start()
    live.stop()
    in_child(lambda: live.status.state == "stopped" and not part_of(live).feed.watching)()  # type: ignore[union-attr]


def _spawned(environ: dict[str, str], ready: Any, done: Any) -> None:
    os.environ.update(environ)
    live = Live(Orders)
    first = live.current.db.pool_max
    ready.set()
    done.put((first, reaches(live, 2)))


def test_a_spawned_child_makes_its_own(shop: OneService) -> None:
    shop.publish(values(1))
    environ = {
        "SEALPIPE_URL": f"file:{shop.folder}",
        "SEALPIPE_ENV": "dev",
        "SEALPIPE_TRUST": shop.keys.pin,
        "SEALPIPE_KEY": shop.keys.key_text,
    }
    context = multiprocessing.get_context("spawn")
    ready, done = context.Event(), context.Queue()
    child = context.Process(target=_spawned, args=(environ, ready, done))
    child.start()
    assert ready.wait(30)
    shop.publish(values(2))
    assert done.get(timeout=30) == (1, True)
    child.join(10)


def test_a_program_ends_at_once_and_quietly(shop: OneService, tmp_path: Path) -> None:
    shop.publish(values(1))
    program = tmp_path / "service.py"
    program.write_text(
        "import logging\nlogging.basicConfig(level='DEBUG')\n"
        "from sealpipe import Live, PublishedSettings\n"
        "class Orders(PublishedSettings):\n    db: dict\n"
        "class Any(PublishedSettings):\n    model_config = {'extra': 'allow', 'service': 'orders'}\n"
        "live = Live(Any).start()\nprint(live.ready())\n"
    )
    shop.publish({"pool": 1})
    environ = {
        **os.environ,
        "SEALPIPE_URL": f"file:{shop.folder}",
        "SEALPIPE_ENV": "dev",
        "SEALPIPE_TRUST": shop.keys.pin,
        "SEALPIPE_KEY": shop.keys.key_text,
    }
    done = subprocess.run(
        [sys.executable, program], env=environ, capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.returncode, done.stdout) == (0, "True\n")
    assert "Traceback" not in done.stderr
    assert "Fatal" not in done.stderr
