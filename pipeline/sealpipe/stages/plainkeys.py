"""What a plain tree holds of a draft: text under keys that any program can read, and never a secret.

Pure. Two layouts: `keys`, one key a value, `db/pool_max`; and `yaml`, all of a service in one key `data`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from sealpipe.canonical import canonical
from sealpipe.checks.locate import Locator, deciding
from sealpipe.documents.write import dump_yaml
from sealpipe.errors import Finding, RefusedError
from sealpipe.frozen import NamedTuple
from sealpipe.model import LayeredConfig
from sealpipe.paths import Concrete, Member, Path, from_pointer, settle, show_path, to_pointer
from sealpipe.released import Draft, SealedAt
from sealpipe.stages.changes import Leaf, leaves
from sealpipe.stores.base import KEY_LIMIT
from sealpipe.tokens import looks_sealed

WHOLE = "data"
"""The one key of a service in the layout `yaml`."""

_SEGMENT = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,254}")
_ROOM = KEY_LIMIT - 256  # the rest is for the address and the service's name


class PlainTree(NamedTuple):
    """A draft as plain keys."""

    entries: Mapping[str, bytes]  # key below the service's own folder -> text
    left_out: tuple[str, ...]  # sealed values, by path as people write them
    settings: int  # values of the draft, sealed ones included


class BadKey(NamedTuple):
    """A setting whose name cannot be a key of every store."""

    pointer: str
    path: str
    what: str


def plain_tree(draft: Draft, layout: str) -> PlainTree:
    """The keys of a draft. Raises RefusedError [tree-key] for names that cannot be keys (see `bad_keys`)."""
    bad = next(bad_keys(draft, layout), None)
    if bad is not None:
        raise RefusedError("tree-key", f"{bad.path}: {bad.what}")
    found = leaves(draft)
    left_out = tuple(show_path(path) for path, leaf in found.items() if _secret(leaf))
    plain = {path: leaf for path, leaf in found.items() if not _secret(leaf) and leaf.value != {}}
    if layout == "yaml":
        entries = {WHOLE: dump_yaml(_without(draft, draft.values, ())).encode()} if draft.values else {}
    else:
        entries = {_key(path): _text(leaf.value) for path, leaf in plain.items()}
    return PlainTree(entries, left_out, len(found))


def bad_keys(draft: Draft, layout: str) -> Iterator[BadKey]:
    """The settings that the layout `keys` cannot have; `yaml` has no such."""
    if layout == "yaml":
        return
    seen: dict[str, Path] = {}
    for path, leaf in leaves(draft).items():
        if _secret(leaf) or not path:
            continue
        key, shown = _key(path), show_path(path)
        bad = next((name for name in map(_name, path) if not _SEGMENT.fullmatch(name) or ".." in name), None)
        if bad is not None:
            what = (
                "a key of a plain tree is made of A-Z, a-z, 0-9, _, - and dots that are neither first nor two"
            )
            yield BadKey(leaf.pointer, shown, what)
        elif len(key) > _ROOM:
            yield BadKey(leaf.pointer, shown, f"a key of a plain tree has at most {_ROOM} characters")
        elif key in seen:
            yield BadKey(
                leaf.pointer, shown, f"{show_path(seen[key])} would have the same key in the plain tree"
            )
        seen.setdefault(key, path)


def tree_findings(config: LayeredConfig, layout: str, locator: Locator) -> list[Finding]:
    """What `validate` says of a service that is to stand in a plain tree."""
    sealed = {s.pointer: SealedAt(s.document.environment, s.document.name) for s in config.sealed}
    draft = Draft(config.values, sealed, dict(config.merge_keys), (), {})
    found = []
    for bad in bad_keys(draft, layout):
        path = settle(config.values, from_pointer(bad.pointer)) or ()
        document, local = deciding(config.documents, config.values, config.merge_keys, path)
        where = locator.place(document, local, key=True)
        hint = "rename it, or use `layout: yaml`, or take the service out of `tree.services` in sealpipe.yaml"
        found.append(Finding("tree-key", bad.what, where, bad.path, hint=(hint,)))
    return found


def _secret(leaf: Leaf) -> bool:
    # The draft says what is sealed; what only looks like it stays out as well.
    return leaf.sealed or _has_token(leaf.value)


def _has_token(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(_has_token(item) for item in value.values())
    if isinstance(value, list):
        return any(_has_token(item) for item in value)
    return looks_sealed(value)


def _name(segment: object) -> str:
    if isinstance(segment, Member):
        return segment.value if isinstance(segment.value, str) else canonical(segment.value).decode()
    return str(segment)


def _key(path: Path) -> str:
    return "/".join(map(_name, path))


def _text(value: Any) -> bytes:
    """Text as it is, everything else as JSON."""
    return value.encode() if isinstance(value, str) else canonical(value)


_NOTHING = object()


def _without(draft: Draft, node: Any, at: Concrete) -> Any:
    """The values without what is sealed, and without the maps that held nothing else."""
    if isinstance(node, Mapping):
        kept = {key: _without(draft, item, (*at, key)) for key, item in node.items()}
        kept = {key: item for key, item in kept.items() if item is not _NOTHING}
        return kept if kept or not node or not at else _NOTHING
    if isinstance(node, list):
        items = [_without(draft, item, (*at, index)) for index, item in enumerate(node)]
        return [item for item in items if item is not _NOTHING]
    return _NOTHING if to_pointer(at) in draft.sealed or looks_sealed(node) else node
