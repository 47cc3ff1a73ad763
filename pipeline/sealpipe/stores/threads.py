"""Calls that wait for a disk or a server, a few at once."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")


def side_by_side(work: Callable[[T], None], items: Iterable[T], most: int = 4) -> None:
    """A call for each item, at most so many at once. Raises the first failure after all have ended; what
    had not begun by then is left."""
    todo = deque(items)
    failures: list[BaseException] = []

    def run() -> None:
        with suppress(IndexError):  # nothing is left
            while True:
                item = todo.popleft()
                try:
                    work(item)
                except BaseException as error:  # noqa: BLE001 - raised below
                    failures.append(error)
                    todo.clear()

    others = [threading.Thread(target=run) for _ in range(min(most, len(todo)) - 1)]
    for other in others:
        other.start()
    try:
        run()
        for other in others:
            other.join()
    except BaseException:
        todo.clear()
        for other in others:  # none may go on with what is closed by then
            other.join()
        raise
    if failures:
        raise failures[0]
