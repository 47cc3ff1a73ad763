"""What the checks of a store's contract are said with."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from sealpipe.errors import StoreError
from sealpipe.stores.base import ABSENT, Store


def expect(holds: bool, otherwise: str) -> None:
    # Not `assert`: python -O would take the contract away.
    if not holds:
        raise AssertionError(otherwise)


def fails(kind: type[StoreError], action: Callable[[], object], what: str) -> None:
    try:
        action()
    except kind:
        return
    except StoreError as error:
        raise AssertionError(f"{what}: {type(error).__name__} instead of {kind.__name__}") from error
    raise AssertionError(f"{what}: no {kind.__name__}")


def version_of(store: Store, key: str) -> str:
    entry = store.get(key, fresh=True)
    return entry.version if entry else ABSENT


def versions_of(store: Store) -> dict[str, str]:
    return {entry.key: entry.version for entry in store.scan("dev/")}


def value_of(store: Store, key: str) -> bytes | None:
    entry = store.get(key, fresh=True)
    return entry.value if entry else None


def together(actions: Sequence[Callable[[], None]]) -> None:
    failures: list[BaseException] = []

    def guarded(action: Callable[[], None]) -> None:
        try:
            action()
        except BaseException as error:  # noqa: BLE001 - handed to the test's thread below
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(action,), daemon=True) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(90)
    if failures:
        raise failures[0]
    expect(not any(thread.is_alive() for thread in threads), "a client did not come back")
