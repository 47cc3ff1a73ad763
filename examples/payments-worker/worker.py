"""A parent that loads once and forks its workers; every process follows what is published.

python worker.py [WORKERS]; prints a line for each batch, and ends on SIGTERM or Ctrl-C.
"""

from __future__ import annotations

import logging
import multiprocessing
import signal
import sys
import threading
from contextlib import suppress

from sealpipe.errors import ConfigError
from settings import live

ending = threading.Event()
log = logging.getLogger("worker")


def work() -> None:
    """One worker: takes as many messages at once as is published."""
    signal.signal(signal.SIGTERM, lambda *_: ending.set())

    @live.on_change("queue.prefetch")
    def told(old: int, new: int) -> None:
        log.info("takes %d at once instead of %d", new, old)

    while not ending.wait(0.2):
        settings = live.current  # one batch, one generation
        log.info("batch of %d", settings.queue.prefetch)


def main() -> int:
    logging.basicConfig(level="INFO", format="%(process)d %(message)s", stream=sys.stdout)
    try:
        live.start()
    except ConfigError as error:
        print(f"error[{error.word}]: {error}", file=sys.stderr)
        return error.exit_code
    forks = multiprocessing.get_context("fork")
    workers = [forks.Process(target=work) for _ in range(int(sys.argv[1]) if len(sys.argv) > 1 else 2)]
    for worker in workers:
        worker.start()
    signal.signal(signal.SIGTERM, lambda *_: ending.set())
    with suppress(KeyboardInterrupt):
        ending.wait()
    for worker in workers:
        worker.terminate()
    for worker in workers:
        worker.join()
    return 0


if __name__ == "__main__":
    sys.exit(main())
