"""Published configuration for unit tests: no keys, network or variables; sealing and signing are real."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from sealpipe.client.fetch import held, held_away
from sealpipe.client.opened import Opened
from sealpipe.client.source import Source, installed
from sealpipe.client.throwaway import Throwaway, throwaway, throwaway_release
from sealpipe.crypto.sealing import type_of
from sealpipe.released import Unit

if TYPE_CHECKING:
    from sealpipe.live.live import Live

S = TypeVar("S")


def sealed(value: Any) -> Any:
    """Marks a value of `published(...)` as sealed. ValueError for what cannot be (None, dates)."""
    kind = type_of(value)
    if kind is None:
        raise ValueError(f"a {type(value).__name__} cannot be sealed")
    return Opened(value, kind)


class Published:
    """What is published inside a block of `published`; made by it."""

    def __init__(self, environment: str) -> None:
        self.environment = environment
        self.sources: dict[str, Source] = {}
        self._keys: dict[str, Throwaway] = {}
        self._numbers: dict[str, int] = {}
        self._prefix = os.urandom(8).hex()

    def publish(
        self,
        service: str,
        values: Mapping[str, Any],
        *,
        merge_keys: Mapping[str, str] | None = None,
        locked: tuple[str, ...] = (),
        origins: Mapping[str, str] | None = None,
    ) -> Source:
        """Publish for a service, again or for the first time: the next `load` gets it.

        Secrets are marked by `sealed(...)` or are pydantic's own. `merge_keys`, `locked` and `origins`
        are what the pipeline would put beside the values, by JSON Pointer. ValueError for values that
        no release can carry.
        """
        keys = self._keys.setdefault(service, throwaway(Unit(self.environment, service)))
        number = self._numbers[service] = self._numbers.get(service, 0) + 1
        name = f"{self._prefix}/{service}"
        held[name] = throwaway_release(
            keys, _marked(values), merge_keys=merge_keys, locked=locked, origins=origins, number=number
        )
        self.sources[service] = Source(
            url=f"held:{name}",
            env=self.environment,
            service=service,
            trust=keys.pin,
            key=keys.reader,
            wait=0.0,
        )
        return self.sources[service]

    def publish_invalid(self, service: str) -> None:
        """Put an altered release there, as somebody who holds only the store could: nothing takes it."""
        name = f"{self._prefix}/{service}"
        good = held[name]
        held[name] = good[:-1] + bytes([good[-1] ^ 1])

    def go_down(self, *services: str) -> None:
        """From now on the store of these services, or of all, does not answer."""
        held_away.update(f"{self._prefix}/{service}" for service in services or self._numbers)

    def come_back(self, *services: str) -> None:
        """The store answers again."""
        held_away.difference_update(f"{self._prefix}/{service}" for service in services or self._numbers)

    def release(self, service: str) -> bytes:
        """The bytes of the service's release, as a store would hold them."""
        return held[f"{self._prefix}/{service}"]

    def environ(self, service: str) -> dict[str, str]:
        """SEALPIPE_* variables for another process: the same release, in a variable, with its own key."""
        keys = self._keys[service]
        return {
            "SEALPIPE_URL": "env:SEALPIPE_RELEASE",
            "SEALPIPE_RELEASE": base64.b64encode(self.release(service)).decode(),
            "SEALPIPE_ENV": self.environment,
            "SEALPIPE_SERVICE": service,
            "SEALPIPE_TRUST": keys.pin,
            "SEALPIPE_KEY": keys.key_text,
        }

    def forget(self) -> None:
        """Let go of the releases; `published` does it at its end."""
        for service in self._numbers:
            held.pop(f"{self._prefix}/{service}", None)
            held_away.discard(f"{self._prefix}/{service}")


@contextmanager
def published(
    services: Mapping[str, Mapping[str, Any]] | None = None,
    /,
    *,
    environment: str = "test",
    **more: Mapping[str, Any],
) -> Iterator[Published]:
    """Inside the block, these services' configurations are published, for every thread of this process.

        with published(orders={"db": {"host": "db", "password": sealed("pw")}}):
            assert load(OrdersSettings).db.host == "db"

    Services whose names are no Python names go into the first argument. Blocks nest. `SEALPIPE_*`
    variables of the machine are not looked at; variables that override settings still are.
    """
    found = Published(environment)
    for service, values in {**(services or {}), **more}.items():
        found.publish(service, values)
    try:
        with installed(found.sources):
            yield found
    finally:
        found.forget()


def publish_for_session(
    services: Mapping[str, Mapping[str, Any]] | None = None,
    /,
    *,
    environment: str = "test",
    **more: Mapping[str, Any],
) -> Published:
    """As `published`, until the process ends: for modules that load their settings when imported.

    Called at the top of `conftest.py` it comes before every test module.
    """
    opened = published(services, environment=environment, **more)
    _open.append(opened)
    return opened.__enter__()


_open: list[AbstractContextManager[Published]] = []


@contextmanager
def override(live: Live[S], values: Mapping[str, Any], /) -> Iterator[S]:
    """Inside, `live.current` has these values by dotted path, above every source; yields the settings.

    They are validated like everything else: ConfigError's kinds for what does not fit. ValueError for a
    path that the class does not have. Loads what is not loaded yet, and takes newer releases meanwhile.
    Blocks nest.
    """
    from sealpipe.live.live import part_of

    tree = _tree(part_of(live).cls, values)
    live.get()
    with part_of(live).overriding(tree):
        yield live.current


def _tree(cls: type[Any], values: Mapping[str, Any]) -> dict[str, Any]:
    from sealpipe.live.places import need_paths
    from sealpipe.paths import parse_path

    tree: dict[str, Any] = {}
    seen: list[tuple[str, ...]] = []
    for path, value in values.items():
        steps = tuple(step for step in parse_path(path) if isinstance(step, str))
        if len(steps) != len(parse_path(path)):
            raise ValueError(f"{path}: a field is overridden, and a list as a whole")
        need_paths(cls, steps, value)
        if any(steps[: len(one)] == one or one[: len(steps)] == steps for one in seen):
            raise ValueError(f"{path} stands beside another path that holds it, or that it holds")
        seen.append(steps)
        node = tree
        for step in steps[:-1]:
            node = node.setdefault(step, {})
        node[steps[-1]] = value
    return tree


def _marked(node: Any) -> Any:
    if isinstance(node, Opened):
        return node
    if hasattr(node, "get_secret_value"):
        return sealed(node.get_secret_value())
    if isinstance(node, Mapping):
        return {name: _marked(item) for name, item in node.items()}
    return [_marked(item) for item in node] if isinstance(node, list | tuple) else node
