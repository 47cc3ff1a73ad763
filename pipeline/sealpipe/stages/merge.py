"""Layers to one tree: RFC 7396 with guards, and lists that the schema says merge by a key.

Nothing is tracked while merging: which layer decides a path follows from the documents alone, and is
asked for rarely (`owner`, `provenance`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from sealpipe.errors import Finding, Where
from sealpipe.frozen import NamedTuple
from sealpipe.model import Document
from sealpipe.paths import Concrete, Member, Path, Segment, settle, show_path, to_pointer, typed
from sealpipe.tokens import looks_sealed

LEAF_LIMIT = 10_000
DELETE = "$delete"
_CONTAINERS = (dict, list)
_CONTAINER_SET = frozenset(_CONTAINERS)

MergeKeyAt = Callable[[Sequence[Segment]], str | None]
"""The field that names the elements of the list at a path, from the schema; None: the list replaces."""


class Merged(NamedTuple):
    """What `merge` makes. `findings` is empty or the values are not to be used."""

    values: dict[str, Any]
    merge_keys: dict[str, str]  # JSON Pointer of a list in `values` -> field
    findings: list[Finding]
    owner: Callable[[Concrete], Document | None]  # the layer that decides a path of `values`


class LayerValue(NamedTuple):
    """What one layer says about a path. `kind`: unset, set, deleted."""

    document: Document
    kind: str
    path: Concrete  # in that document; () when unset
    value: Any
    wins: bool


def merge(documents: Sequence[Document], merge_key_at: MergeKeyAt) -> Merged:
    """Merge documents, lowest first. The inputs are not changed and may share parts with the result.

    Findings: a map, list or sealed value that changes its kind, `null` and `$delete` that delete nothing,
    elements of a keyed list without the key or with one twice, more than 10,000 values.
    """
    merging = _Merging(merge_key_at)
    values: dict[str, Any] = {}
    for index, document in enumerate(documents):
        merging.at, merging.below = document, documents[:index]
        values = merging.maps(values, document.values, (), ())
    merge_keys: dict[str, str] = {}
    leaves = _survey(values, (), merge_key_at, merge_keys)
    if leaves > LEAF_LIMIT and documents:
        what = f"the merged document has {leaves} values; the limit is {LEAF_LIMIT}"
        merging.findings.append(Finding("too-many-values", what, Where(documents[-1].file)))

    def owner(path: Concrete) -> Document | None:
        return _owner(documents, values, merge_keys, path)

    return Merged(values, merge_keys, merging.findings, owner)


class _Merging:
    """One merge under way: the layer being laid on, and what was found."""

    def __init__(self, merge_key_at: MergeKeyAt) -> None:
        self.merge_key_at = merge_key_at
        self.findings: list[Finding] = []
        self.at: Document
        self.below: Sequence[Document] = ()

    def maps(
        self, low: Mapping[str, Any], high: Mapping[str, Any], path: Path, here: Concrete
    ) -> dict[str, Any]:
        """`path` names elements of keyed lists by key, `here` is the same place in the layer's own text."""
        if are_scalars(high) and None not in high.values() and are_scalars(low):
            return {**low, **high}  # most maps are
        merged = dict(low)
        for key, value in high.items():
            if value is None:
                if merged.pop(key, None) is None:
                    self.nothing_to_delete(key, (*path, key), (*here, key))
            elif key in merged:
                # Paths are built only for what needs one: most of a document is scalars over scalars.
                if value.__class__ is dict and merged[key].__class__ is dict:
                    merged[key] = self.maps(merged[key], value, (*path, key), (*here, key))
                elif isinstance(value, _CONTAINERS) or isinstance(merged[key], _CONTAINERS):
                    merged[key] = self.values(merged[key], value, (*path, key), (*here, key))
                else:
                    merged[key] = value
            elif isinstance(value, _CONTAINERS):
                merged[key] = self.fresh(value, (*path, key), (*here, key))
            else:
                merged[key] = value
        return merged

    def nothing_to_delete(self, key: str, path: Path, here: Concrete) -> None:
        name = show_path((key,))
        what = f"`{name}: null` deletes nothing: no lower layer sets `{name}` here"
        self.add("deletes-nothing", what, path, here, hint=f"remove the line, or give `{name}` a value")

    def values(self, low: Any, high: Any, path: Path, here: Concrete) -> Any:
        low_kind, high_kind = _kind(low), _kind(high)
        field = self.merge_key_at(path) if "list" in (low_kind, high_kind) else None
        if low_kind == high_kind:
            if high_kind == "map":
                return self.maps(low, high, path, here)
            if high_kind == "list" and field is not None:
                return self.lists(low, high, field, path, here)
            return high
        # A sealed value may stand for anything that is replaced whole, but hides what a map would merge with.
        opaque = "sealed value" in (low_kind, high_kind)
        if opaque and "map" not in (low_kind, high_kind) and field is None:
            return high
        self.kind_change(low_kind, high_kind, path, here)
        return high

    def fresh(self, value: Any, path: Path, here: Concrete) -> Any:
        """A value that no lower layer has: merged over nothing, so that what deletes is still found."""
        if isinstance(value, Mapping):
            return self.maps({}, value, path, here)
        if isinstance(value, list):
            field = self.merge_key_at(path)
            if field is not None:
                return self.lists([], value, field, path, here)
        return value

    def lists(self, low: list[Any], high: list[Any], field: str, path: Path, here: Concrete) -> list[Any]:
        merged: dict[tuple[str, Any], Any] = {}
        for item in low:
            merged[_name(item, field) or ("", len(merged))] = item
        seen: set[tuple[str, Any]] = set()
        for index, item in enumerate(high):
            there = (*here, index)
            name = _name(item, field)
            if name is None:
                what = f"every element of this list needs `{field}`, a text, integer or boolean"
                self.add("missing-merge-key", what, (*path, index), there, hint=f"- {field}: NAME")
                continue
            below = (*path, Member(field, name[1]))
            if name in seen:
                what = f"two elements of this list have the same `{field}`"
                self.add("duplicate-merge-key", what, (*path, index), there, hint="remove one of the two")
                continue
            seen.add(name)
            if item.get(DELETE) is not None:
                self.delete(merged, item, below, there)
            elif name in merged:
                merged[name] = self.maps(merged[name], item, below, there)
            else:
                merged[name] = self.maps({}, item, below, there)
        return list(merged.values())

    def delete(
        self, merged: dict[tuple[str, Any], Any], item: Mapping[str, Any], path: Path, here: Concrete
    ) -> None:
        field = path[-1].field if isinstance(path[-1], Member) else ""
        if item[DELETE] is not True or set(item) != {field, DELETE}:
            what = f"an element that is deleted has `{field}` and `{DELETE}: true`, nothing else"
            self.add("bad-delete", what, path[:-1], here, hint=f"- {{{field}: NAME, {DELETE}: true}}")
        elif merged.pop(_name(item, field) or ("", ""), None) is None:
            what = f"`{DELETE}` deletes nothing: no lower layer has an element with this `{field}`"
            self.add("deletes-nothing", what, path[:-1], here, hint="remove the element")

    def kind_change(self, low_kind: str, high_kind: str, path: Path, here: Concrete) -> None:
        name = show_path(path[-1:])
        what = f"`{name}` is a {high_kind} here and a {low_kind} in a lower layer"
        why = "layers merge only what has the same kind"
        if "sealed value" in (low_kind, high_kind):
            why = "a sealed value replaces a whole value; it cannot stand over or under a map"
        lower = _lower(self.below, path)
        self.add(
            "kind-change", what, path, here, hint=f"make both a {low_kind}, or rename one", why=(why, *lower)
        )

    def add(
        self, word: str, what: str, path: Path, here: Concrete, *, hint: str, why: Sequence[str] = ()
    ) -> None:
        where = _place(self.at, here)
        self.findings.append(Finding(word, what, where, show_path(_no_names(path)), tuple(why), (hint,)))


def _no_names(path: Path) -> Path:
    # The name of an element is a value of the file.
    return tuple(0 if isinstance(segment, Member) else segment for segment in path)


def _lower(documents: Sequence[Document], path: Path) -> tuple[str, ...]:
    for document in reversed(documents):
        found = settle(document.values, path)
        if found is not None:
            return (f"the lower one: {_place(document, found)}",)
    return ()


def _place(document: Document, path: Concrete) -> Where:
    from sealpipe.documents.origins import origins

    return origins(document.text, file=document.file).nearest(path) or Where(document.file)


def are_scalars(node: Mapping[str, Any] | list[Any]) -> bool:
    """Whether a map or list holds no map and no list."""
    values: Iterable[Any] = node.values() if isinstance(node, dict) else node
    return _CONTAINER_SET.isdisjoint(map(type, values))


def _kind(value: Any) -> str:
    if isinstance(value, Mapping):
        return "map"
    if isinstance(value, list):
        return "list"
    return "sealed value" if looks_sealed(value) else "scalar"


def _name(item: Any, field: str) -> tuple[str, Any] | None:
    """What tells an element from others: 1, "1" and true are three names."""
    value = item.get(field) if isinstance(item, Mapping) else None
    if isinstance(value, str | int) and not looks_sealed(value):
        return type(value).__name__, value
    return None


def _survey(node: Any, path: Concrete, merge_key_at: MergeKeyAt, merge_keys: dict[str, str]) -> int:
    """Number of leaves; enters every keyed list of the merged tree into `merge_keys`."""
    if isinstance(node, list):
        field = merge_key_at(path)
        if field is not None:
            merge_keys[to_pointer(path)] = field
    if are_scalars(node):
        return len(node)
    entries: Iterable[tuple[str | int, Any]] = node.items() if isinstance(node, Mapping) else enumerate(node)
    leaves = 0
    for step, value in entries:
        if isinstance(value, _CONTAINERS):
            leaves += _survey(value, (*path, step), merge_key_at, merge_keys)
        else:
            leaves += 1
    return leaves


def _owner(
    documents: Sequence[Document], values: Mapping[str, Any], merge_keys: Mapping[str, str], path: Concrete
) -> Document | None:
    asked = _decided(values, merge_keys, path)
    for document in reversed(documents):
        if settle(document.values, asked) is not None:
            return document
    return None


def _decided(values: Mapping[str, Any], merge_keys: Mapping[str, str], path: Concrete) -> Path:
    """The path that is decided as one: cut at a list that replaces, elements of keyed lists by name."""
    for depth, segment in enumerate(path):
        if isinstance(segment, int) and to_pointer(path[:depth]) not in merge_keys:
            path = path[:depth]
            break
    return typed(values, path, merge_keys) or path


def provenance(documents: Sequence[Document], path: Path) -> tuple[LayerValue, ...]:
    """What each layer says about a path, lowest first, and which one decides. Re-walks the layers.

    `path` names elements of keyed lists by `Member`; below a list that replaces, ask for the list.
    Nobody wins when the path is not set, or deleted by the last layer that mentions it. Does not check
    that the documents merge without findings.
    """
    found: list[LayerValue] = []
    winner = -1
    for index, document in enumerate(documents):
        kind, at, value = _says(document.values, path)
        if kind == "set":
            winner = index
        elif kind == "deleted":
            winner = -1
        found.append(LayerValue(document, kind, at, value, wins=False))
    return tuple(entry._replace(wins=index == winner) for index, entry in enumerate(found))


def _says(values: Mapping[str, Any], path: Path) -> tuple[str, Concrete, Any]:
    node: Any = values
    for depth, segment in enumerate(path):
        step = settle(node, (segment,))
        if step is None:
            return "unset", (), None
        node = node[step[0]]
        deleting = isinstance(node, Mapping) and node.get(DELETE) is True and isinstance(segment, Member)
        if node is None or deleting:
            return "deleted", settle(values, path[: depth + 1]) or (), None
    return "set", settle(values, path) or (), node
