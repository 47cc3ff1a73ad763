"""The stores of an environment: opened for one command, always closed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from sealpipe.flows.drafts import need_published_environment
from sealpipe.model import Workspace
from sealpipe.publishing.heads import Reader
from sealpipe.stores.base import Store
from sealpipe.stores.registry import open_store, scheme_of
from sealpipe.trust import Pin, parse_pins, pin_text, root_of


class Target(NamedTuple):
    """A store and the prefix of its keys there."""

    url: str
    store: Store
    prefix: str

    @property
    def label(self) -> str:
        """The scheme, as people name a store in a receipt."""
        return scheme_of(self.url)


@contextmanager
def opened(url: str, root: str) -> Iterator[Target]:
    """A store by its URL. Raises UsageError and UnsupportedError; contacts nothing yet."""
    store, prefix = open_store(url, base=root)
    try:
        yield Target(url, store, prefix)
    finally:
        store.close()


@contextmanager
def primary(workspace: Workspace, environment: str) -> Iterator[Target]:
    """The store that alone gives order. Raises UsageError as `need_published_environment` does."""
    need_published_environment(workspace, environment)
    url = workspace.project.environments[environment].publish_to or ""
    with opened(url, workspace.root) as target:
        yield target


def mirrors_of(workspace: Workspace, environment: str) -> tuple[str, ...]:
    """URLs of the mirrors."""
    return workspace.project.environments[environment].mirrors


def reader_of(workspace: Workspace, pins: tuple[Pin, ...]) -> Reader:
    """As whom heads are checked. Without a pin, as a reader who pinned this repository's own root: enough
    to compare with, not enough to publish by.

    The highest trust version seen is for trust.yaml, not for what was published before it rose: those
    releases are looked at, rolled back to, and published again under the new one.
    """
    if not pins and workspace.trust is not None:
        pins = parse_pins(pin_text(workspace.trust.project, root_of(workspace.trust)))
    return Reader(workspace.project.id, tuple(pin._replace(min_version=0) for pin in pins))
