"""What units are made of, as digests: equal ones mean that a service's draft is the same as it was."""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from sealpipe import caches
from sealpipe.errors import InputError
from sealpipe.marks import Mark, marks
from sealpipe.trees import PROJECT_FILE, RUNNING, Seen
from sealpipe.trust import Pin
from sealpipe.version import VERSION

NOWHERE = "-"
"""In place of a digest: the service has no file here."""
_SCHEMA = ".schema.json"
_TICK_NS = 2_000_000_000  # what some file systems round times to


class Inputs:
    """Digests over what is read of a repository, "" for what cannot be read.

    `common` is of all that units share, the program and the day included. `marks` are, by service, what the
    system says of the files that it alone is made of; none where one was written just now.
    """

    def __init__(self, tree: Seen, common: str, files: Mapping[str, Mapping[str, Sequence[str]]]) -> None:
        self.common = common
        self._tree, self._files = tree, files  # service -> folder -> names
        self.marks: Mapping[str, str] = {}
        self._digests: dict[str, str] = {}

    def digest(self, service: str) -> str:
        """Over a service's own documents and schemas, as the tree gave or gives them to who reads them."""
        if service not in self._digests:
            self.read([service])
        return self._digests[service]

    def read(self, services: Iterable[str]) -> None:
        """Read the files of these services, those of a folder together, and keep their digests."""
        wanted = [service for service in services if service not in self._digests]
        made = {service: _Digest() for service in wanted}
        folders: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
        for service in wanted:
            for folder, names in self._files.get(service, {}).items():
                folders[folder] += [(name, service) for name in names]
        for folder, pairs in folders.items():
            contents = self._tree.read_each(folder, [name for name, _ in pairs])
            for (name, service), content in zip(pairs, contents, strict=True):
                made[service].content(folder, name, content)
        for service, one in made.items():
            self._digests[service] = one.hex() if service in self._files else NOWHERE


def inputs(tree: Seen, pins: Sequence[Pin]) -> Inputs:
    """Of a tree as it is now; a file that is read gives the same bytes to whoever reads it later."""
    now_ns = time.time_ns()
    common = _Digest()
    # Which version of trust/ was seen last is noted beside a pin, and no unit is another one for it.
    roots = repr([pin._replace(min_version=0) for pin in pins])
    day = time.strftime("%Y-%m-%d", time.gmtime())
    for text in (VERSION, sys.version, tree.root, day, roots):
        common.enter(text.encode("utf-8", "surrogateescape"))
    for part in caches.program():
        common.enter(part)
    common.files(tree, "", [PROJECT_FILE])
    common.files(tree, "trust", _files(tree, "trust"))
    files: defaultdict[str, dict[str, list[str]]] = defaultdict(dict)
    folders = [(f"environments/{name[:-1]}", ".yaml") for name in _folders(tree, "environments")]
    for folder, ending in [("schemas", _SCHEMA), *folders]:
        names = [name for name in _files(tree, folder) if name.endswith(ending)]
        common.files(tree, folder, [name for name in names if name.startswith("_")])
        for name in names:
            if not name.startswith("_"):
                files[name[: -len(ending)]][folder] = [name]
    for name in _folders(tree, RUNNING):
        folder = f"{RUNNING}/{name[:-1]}"
        files[name[:-1]][folder] = _files(tree, folder)
    found = Inputs(tree, common.hex(), files)
    found.marks = _marks(tree, files, before_ns=now_ns - _TICK_NS)
    return found


def _marks(tree: Seen, files: Mapping[str, Mapping[str, Sequence[str]]], *, before_ns: int) -> dict[str, str]:
    named = {folder for places in files.values() for folder in places}
    folders = {folder: marks(f"{tree.root}/{folder}") for folder in named}
    young = Mark("", before_ns + 1)
    found = {}
    for service, places in files.items():
        known = [(f, n, folders[f].get(n, young)) for f, names in places.items() for n in names]
        if all(mark.at_ns < before_ns for _, _, mark in known):
            text = "\n".join(f"{folder}/{name} {mark.text}" for folder, name, mark in known)
            found[service] = caches.digest(text.encode("utf-8", "surrogateescape"))[:32]
    return found


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
