"""What units are made of, as digests: equal ones mean that a service's draft is the same as it was."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence

from sealpipe import caches
from sealpipe.errors import InputError
from sealpipe.frozen import NamedTuple
from sealpipe.trees import PROJECT_FILE, RUNNING, Seen
from sealpipe.trust import Pin
from sealpipe.version import VERSION

NOWHERE = "-"
"""In place of a digest: the service has no file here."""
_SCHEMA = ".schema.json"


class Inputs(NamedTuple):
    """Digests over what is read of a repository, "" for what cannot be read."""

    common: str  # of all that units share, the program and the day included
    services: Mapping[str, str]  # of the documents and schemas that one service alone is made of


def inputs(tree: Seen, pins: Sequence[Pin]) -> Inputs:
    """Digests of a tree as it is now; later reads of it give the same bytes."""
    common = _Digest()
    services: dict[str, _Digest] = {}
    day = time.strftime("%Y-%m-%d", time.gmtime())
    # Which version of trust/ was seen last is noted beside a pin, and no unit is another one for it.
    roots = repr([pin._replace(min_version=0) for pin in pins])
    for text in (VERSION, sys.version, tree.root, day, roots):
        common.enter(text.encode("utf-8", "surrogateescape"))
    for part in caches.program():
        common.enter(part)
    common.files(tree, "", [PROJECT_FILE])
    common.files(tree, "trust", _files(tree, "trust"))
    folders = [(f"environments/{name[:-1]}", ".yaml") for name in _folders(tree, "environments")]
    for folder, ending in [("schemas", _SCHEMA), *folders]:
        names = [name for name in _files(tree, folder) if name.endswith(ending)]
        for name, content in zip(names, tree.read_each(folder, names), strict=True):
            stem = name[: -len(ending)]
            made = common if stem.startswith("_") else services.setdefault(stem, _Digest())
            made.content(folder, name, content)
    for name in _folders(tree, RUNNING):
        folder = f"{RUNNING}/{name[:-1]}"
        services.setdefault(name[:-1], _Digest()).files(tree, folder, _files(tree, folder))
    return Inputs(common.hex(), {name: made.hex() for name, made in services.items()})


class _Digest:
    """Of parts in their order, each with its length."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._readable = True

    def enter(self, part: bytes) -> None:
        self._parts += (b"%d:" % len(part), part)

    def content(self, folder: str, name: str, content: bytes | InputError | None) -> None:
        self.enter(f"{folder}/{name}".encode("utf-8", "surrogateescape"))
        if isinstance(content, bytes):
            self.enter(content)
        else:
            self._readable = False

    def files(self, tree: Seen, folder: str, names: Sequence[str]) -> None:
        for name, content in zip(names, tree.read_each(folder, names), strict=True):
            self.content(folder, name, content)

    def hex(self) -> str:
        return caches.digest(b"".join(self._parts)) if self._readable else ""


def _files(tree: Seen, folder: str) -> list[str]:
    return [name for name in _names(tree, folder) if not name.endswith("/")]


def _folders(tree: Seen, folder: str) -> list[str]:
    return [name for name in _names(tree, folder) if name.endswith("/")]


def _names(tree: Seen, folder: str) -> list[str]:
    try:
        return tree.list(folder)
    except InputError:
        return []  # a folder that is none; who loads the tree says so
