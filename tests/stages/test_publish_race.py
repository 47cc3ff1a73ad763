"""Several processes publish one unit into one folder store at once, and one of them is killed on the way."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Sequence
from multiprocessing.queues import Queue
from pathlib import Path

from publishing import READER, A, Around, content, look, make_batch, past, release
from sealpipe.model import Head
from sealpipe.publishing.heads import archives, chain
from sealpipe.publishing.publish import publish
from sealpipe.stores.base import Op
from sealpipe.stores.file import FileStore

PUBLISHERS, EACH = 4, 6


class Killed(Around):
    """Ends the process, with nothing tidied up, at the n-th write."""

    def __init__(self, store: FileStore, at: int) -> None:
        super().__init__(store)
        self.left = at

    def write(self, ops: Sequence[Op], *, timeout: float = 10.0) -> None:
        self.left -= 1
        if self.left == 0:
            os._exit(9)
        self.inner.write(ops, timeout=timeout)


def publisher(folder: Path, number: int, acknowledged: Queue[str]) -> None:
    plain = FileStore(folder)
    store = Killed(plain, 7) if number == 0 else plain
    for n in range(EACH):
        while True:
            now = time.time_ns() // 1_000_000
            batch = make_batch(store, [content(A, {"by": number, "n": n})], now=now, batch=f"{number}-{n}")
            (receipt,) = publish(batch, store, "", fence=None, past=past(store))
            if receipt.outcome in ("published", "already"):
                acknowledged.put(receipt.digest)
                break
            assert receipt.outcome == "conflict", receipt


def test_what_was_acknowledged_is_never_lost_and_the_chain_has_no_fork(tmp_path: Path) -> None:
    processes = multiprocessing.get_context("fork")
    acknowledged: Queue[str] = processes.Queue()
    workers = [
        processes.Process(target=publisher, args=(tmp_path, n, acknowledged)) for n in range(PUBLISHERS)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [9] + [0] * (PUBLISHERS - 1)
    store = FileStore(tmp_path)
    assert isinstance(look(store)[A], Head)
    line = list(chain(store, "", release(store, A), READER))
    assert [r.payload.number for r in line] == list(range(len(line), 0, -1))
    kept = {r.digest for r in line}
    assert kept == {r.digest for r in archives(store, "", A, READER)} | {line[0].digest}
    got = []
    while not acknowledged.empty():
        got.append(acknowledged.get())
    assert len(got) >= EACH * (PUBLISHERS - 1)
    assert set(got) <= kept
