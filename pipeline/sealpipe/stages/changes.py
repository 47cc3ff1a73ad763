"""What differs between two drafts, path by path. A secret is only ever named: neither draft has its value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sealpipe.canonical import canonical
from sealpipe.errors import TrustError
from sealpipe.frozen import NamedTuple
from sealpipe.model import Change
from sealpipe.paths import Member, Path, show_path, to_pointer
from sealpipe.released import Draft
from sealpipe.tokens import looks_sealed, parse_token

EMPTY: Final = Draft(values={}, sealed={}, merge_keys={}, locked=(), stanzas={})


class Leaf(NamedTuple):
    """One value of a draft: a scalar, an empty map, or a list that does not merge by key."""

    path: Path  # elements of keyed lists by their key
    pointer: str
    value: Any
    sealed: bool


def leaves(draft: Draft) -> dict[Path, Leaf]:
    """Every value of a draft by its typed path, in document order.

    An element of a keyed list is found by its key, so moving one is no change of its values.
    """
    found: dict[Path, Leaf] = {}
    _enter(draft, draft.values, (), "", found)
    return found


def _enter(draft: Draft, node: Any, path: Path, pointer: str, found: dict[Path, Leaf]) -> None:
    if isinstance(node, dict | Mapping) and (node or not path):
        for key, inner in node.items():
            place, below = (*path, key), f"{pointer}{to_pointer((key,))}"
            if isinstance(inner, str | int):
                found[place] = Leaf(place, below, inner, below in draft.sealed)
            else:
                _enter(draft, inner, place, below, found)
        return
    field = draft.merge_keys.get(pointer)
    if field is not None and isinstance(node, list) and node and _keyed(node, field):
        for index, item in enumerate(node):
            _enter(draft, item, (*path, Member(field, item[field])), f"{pointer}/{index}", found)
        return
    found[path] = Leaf(path, pointer, node, pointer in draft.sealed)


def _keyed(items: list[Any], field: str) -> bool:
    if not all(isinstance(item, Mapping) and isinstance(item.get(field), str | int | bool) for item in items):
        return False
    return len({item[field] for item in items}) == len(items)  # 1 and true are one here: then by index


def changes(
    old: Draft | None,
    new: Draft | None,
    *,
    old_origins: Mapping[str, str] | None = None,
    new_origins: Mapping[str, str] | None = None,
) -> tuple[Change, ...]:
    """The paths in which `new` differs from `old`, removed ones last.

    `secret-unsealed`: a path that was secret is plain now; no value of it is shown all the same.

    `secret-resealed` means that the document has a new key and the token was made for it: without a
    reading key nobody can say whether the value inside changed as well, and this does not claim it.
    """
    before, after = leaves(old or EMPTY), leaves(new or EMPTY)
    where_old, where_new = old_origins or {}, new_origins or {}
    found: list[Change] = []
    for path, leaf in after.items():
        was = before.get(path)
        where = where_new.get(leaf.pointer, "")
        if was is None:
            kind = "secret-added" if leaf.sealed else "added"
            found.append(_change(leaf, kind, None, where))
        elif _differs(was, leaf):
            found.append(_change(leaf, _kind(was, leaf), was, where))
    for path, leaf in before.items():
        if path not in after and not _parent_of_any(path, leaf, after):
            kind = "secret-removed" if leaf.sealed else "removed"
            gone = Change(show_path(path), kind, where=where_old.get(leaf.pointer, ""), pointer=leaf.pointer)
            found.append(gone if leaf.sealed else gone._replace(old=leaf.value))
    return tuple(found)


def _parent_of_any(path: Path, leaf: Leaf, after: Mapping[Path, Leaf]) -> bool:
    # An empty map that got keys is not a removed value.
    return leaf.value == {} and any(other[: len(path)] == path for other in after)


def _differs(was: Leaf, now: Leaf) -> bool:
    if was.sealed != now.sealed:
        return True
    return canonical(was.value) != canonical(now.value)


def _kind(was: Leaf, now: Leaf) -> str:
    if was.sealed and now.sealed:
        return "secret-resealed" if _key(was.value) != _key(now.value) else "secret-changed"
    if now.sealed:
        return "secret-added"
    return "secret-unsealed" if was.sealed else "changed"


def _change(leaf: Leaf, kind: str, was: Leaf | None, where: str) -> Change:
    old = was.value if kind == "changed" and was is not None else None
    new = leaf.value if kind in ("added", "changed") else None
    return Change(show_path(leaf.path), kind, old, new, where, leaf.pointer)


def _key(token: object) -> bytes:
    if not looks_sealed(token):
        return b""
    try:
        return parse_token(str(token)).key_id
    except TrustError:
        return b""
