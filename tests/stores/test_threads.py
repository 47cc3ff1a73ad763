"""Calls that wait, a few at once."""

from __future__ import annotations

import threading

import pytest

from sealpipe.stores.threads import side_by_side


def test_each_item_once_and_so_many_at_a_time() -> None:
    together, seen = threading.Barrier(3), []

    def work(item: int) -> None:
        together.wait(10)
        seen.append(item)

    side_by_side(work, range(9), 3)
    assert sorted(seen) == [*range(9)]


def test_one_at_a_time_is_this_thread() -> None:
    seen = []
    side_by_side(lambda item: seen.append((item, threading.current_thread())), range(3), 1)
    assert seen == [(item, threading.current_thread()) for item in range(3)]


@pytest.mark.parametrize("error", [ValueError, IndexError, KeyboardInterrupt])
def test_the_first_failure_is_raised_and_what_had_not_begun_is_left(error: type[BaseException]) -> None:
    seen = []

    def work(item: int) -> None:
        seen.append(item)
        if item == 1:
            raise error

    with pytest.raises(error):
        side_by_side(work, range(100), 1)
    assert seen == [0, 1]


def test_a_failure_waits_for_those_under_way() -> None:
    begun, ended = threading.Barrier(2), threading.Event()

    def work(item: int) -> None:
        begun.wait(10)
        if item == 0:
            raise KeyError(item)
        ended.wait(0.2)
        ended.set()

    with pytest.raises(KeyError):
        side_by_side(work, range(2), 2)
    assert ended.is_set()
