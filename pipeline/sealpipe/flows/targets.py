"""The stores of an environment: opened for one command, always closed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from shlex import quote

from sealpipe.crypto.signing import verify
from sealpipe.errors import TrustError, UnavailableError
from sealpipe.flows.drafts import need_published_environment
from sealpipe.frozen import NamedTuple
from sealpipe.model import Workspace
from sealpipe.publishing.heads import Reader
from sealpipe.roots import root_digest
from sealpipe.stores.base import Store
from sealpipe.stores.registry import open_store, scheme_of
from sealpipe.trust import Pin, RootChain, Trust, chain_for, chain_matches, parse_pins, pin_text, root_of


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
    """A store by its URL. Raises UsageError and UnsupportedError; contacts nothing yet.

    A store that does not answer meanwhile is an UnavailableError that says who finds out why.
    """
    store, prefix = open_store(url, base=root)
    silent: UnavailableError | None = None
    try:
        yield Target(url, store, prefix)
    except UnavailableError as error:
        if error.finding.hint:
            raise
        silent = error
    finally:
        store.close()
    if silent is not None:
        found = silent.finding
        raise UnavailableError(found.word, found.what, why=found.why, hint=[f"sealpipe doctor {quote(url)}"])


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

    The pins here move on with trust.yaml, and services keep theirs: what was published before the version
    rose or the root changed is looked at, rolled back to, and published again as what it is. So every root
    of our chain counts, where the pins carry it, and no version is too low.
    """
    trust = workspace.trust
    if trust is not None:
        pins = pins or parse_pins(pin_text(trust.project, root_of(trust)))
    found = tuple(pin._replace(min_version=0) for pin in pins)
    if trust is not None:
        found = tuple(dict.fromkeys((*found, *_chained(trust, workspace.roots, found))))
    return Reader(workspace.project.id, found)


def _chained(trust: Trust, roots: RootChain | None, pins: tuple[Pin, ...]) -> tuple[Pin, ...]:
    """Every root of our chain, where a pin is among them and each link is signed by both of its ends: else
    who can write the repository could put a root of his own in front.
    """
    chain = chain_for(trust, roots)
    every = tuple(Pin(root_digest(trust.project, root), 0, "") for root in chain.roots)
    try:
        chain_matches(trust.project, chain, pins, verify)
        chain_matches(trust.project, chain, every[:1], verify)
    except TrustError:
        return ()
    return every
