"""The swap itself, and what becomes of it in a forked child: there nobody is left to release a lock."""

from __future__ import annotations

import atexit
import os
import threading
import weakref
from collections.abc import Callable, Iterable
from typing import Protocol


class Prepared(Protocol):
    """A release made ready by a member of a feed, aside of what runs."""

    def commit(self) -> None:
        """Put it in place: assignments, nothing that can fail."""

    def discard(self) -> None:
        """Another member refused: let go of what was made."""

    def after(self) -> None:
        """Every member has it in place; tell who is waiting. Must not raise."""


class Running(Protocol):
    """What has a thread in this process."""

    def reborn(self) -> None:
        """In a forked child: take new locks, and go on where the parent's thread was."""

    def end(self) -> None:
        """The process ends: no thread may write a log line into its last moments."""


class Locks:
    """Of this process, renewed in a forked child."""

    def __init__(self) -> None:
        self.registry = threading.Lock()
        self.swap = threading.Lock()  # also held by who forks: a child never sees half a swap


locks = Locks()
running: weakref.WeakSet[Running] = weakref.WeakSet()
forked: list[Callable[[], None]] = []
"""Called in a forked child before what is `running` goes on."""


def commit(prepared: Iterable[Prepared]) -> None:
    """All of them, with nobody in between."""
    with locks.swap:
        for one in prepared:
            one.commit()


def _before_fork() -> None:
    locks.swap.acquire()


def _after_in_parent() -> None:
    locks.swap.release()


def _after_in_child() -> None:
    locks.registry, locks.swap = threading.Lock(), threading.Lock()
    for renew in forked:
        renew()
    for one in list(running):
        one.reborn()


@atexit.register
def _at_exit() -> None:
    for one in list(running):
        one.end()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_in_parent, after_in_child=_after_in_child)
