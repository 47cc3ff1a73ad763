"""A signal between two programs: the window that a restart has."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping

import pytest

from sealpipe.serving.supervise import supervise

SLEEP = [sys.executable, "-c", "import time; time.sleep(30)"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_after_the_old_program_and_before_the_new_one_reaches_the_new_one(number: int) -> None:
    changed = threading.Event()
    changed.set()
    environments: Iterator[Mapping[str, str]] = iter([os.environ, os.environ])

    def environ() -> Mapping[str, str]:
        found = next(environments)
        if asked:
            os.kill(os.getpid(), number)
        asked.append("once")
        return found

    asked: list[str] = []
    code = supervise(SLEEP, environ, changed, restart=True, send=None, renew=lambda: None)
    assert code == 128 + number
    assert len(asked) == 2
