"""The draft of a release as JSON, to and fro, and the rules that its sealed values keep. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from sealpipe.canonical import DEPTH_LIMIT, canonical, from_base64url, labelled, strict_json
from sealpipe.errors import TrustError
from sealpipe.fields import NAME
from sealpipe.paths import Concrete, from_pointer, lookup, settle, to_pointer, typed
from sealpipe.released import Draft, SealedAt, Stanzas
from sealpipe.tokens import MARK, looks_sealed, parse_token, place, place_tag

DOCUMENT = re.compile(rf"_?{NAME.pattern}")
_KEY_ID = re.compile(r"[0-9a-f]{16}")
_FIELDS = {"values", "sealed", "merge_keys", "locked", "stanzas"}
_BOX = 80


def draft_bytes(
    values: Mapping[str, Any],
    sealed: Mapping[str, SealedAt],
    merge_keys: Mapping[str, str],
    locked: Iterable[str],
    stanzas: Stanzas,
) -> bytes:
    """Canonical JSON of a draft. Raises ValueError for what canonical JSON cannot carry.

    Not checked: that sealed values and merge keys fit, which `check_draft` does.
    """
    return canonical(
        {
            "values": dict(values),
            "sealed": {
                pointer: {"environment": at.environment, "document": at.document}
                for pointer, at in sealed.items()
            },
            "merge_keys": dict(merge_keys),
            "locked": sorted(set(locked)),
            "stanzas": {
                document: {key: dict(readers) for key, readers in keys.items()}
                for document, keys in stanzas.items()
            },
        }
    )


def draft_digest(data: bytes) -> str:
    """Hex digest of a draft's bytes; what a payload and an approval name."""
    return labelled(32, "sealpipe.draft.1", data).hex()


def draft_from_json(data: bytes) -> Draft:
    """The draft in these bytes. Raises TrustError [malformed-draft]. `check_draft` has the rest."""
    # A document may be DEPTH_LIMIT deep, and stands a few levels down in here.
    found = strict_json(data, what="draft", word="malformed-draft", depth=DEPTH_LIMIT + 8)
    if not isinstance(found, dict) or set(found) != _FIELDS:
        raise _malformed("has other fields than a draft")
    for name in _FIELDS - {"locked"}:
        if not isinstance(found[name], dict):
            raise _malformed(f"field {name} is not a map")
    return Draft(
        values=found["values"],
        sealed={pointer: _sealed_at(pointer, entry) for pointer, entry in found["sealed"].items()},
        merge_keys=_merge_keys(found["merge_keys"]),
        locked=_locked(found["locked"]),
        stanzas=_stanzas(found["stanzas"]),
    )


def check_draft(draft: Draft) -> None:
    """The rules between the parts of a draft. Raises TrustError:

    [bad-merge-key] a merge key names no list of maps that each have the field, each with its own value;
    [unlisted-secret] a string looks sealed and is not listed; [malformed-secret] a listed one is no
    token; [no-place] a listed pointer is not there or cannot hold a secret; [misplaced-secret] the
    token was sealed for another place. Opens nothing and knows no key.
    """
    for pointer, field in draft.merge_keys.items():
        _check_merge_key(draft.values, pointer, field)
    listed = {_sealed_path(draft, pointer): at for pointer, at in draft.sealed.items()}
    for path, text in _sealed_texts(draft.values, ()):
        if path not in listed:
            raise TrustError("unlisted-secret", "a value looks sealed and is not listed as sealed")
        at, where = listed[path], typed(draft.values, path, draft.merge_keys)
        if where is None:
            raise _no_place()
        if parse_token(text).place_tag != place_tag(place(at.environment, at.document, where)):
            raise TrustError(
                "misplaced-secret",
                "a sealed value stands at a place that it was not sealed for",
                why=["somebody moved or copied it in the release"],
            )


def _sealed_path(draft: Draft, pointer: str) -> Concrete:
    path = settle(draft.values, from_pointer(pointer))
    if path is None or to_pointer(path) != pointer or not looks_sealed(lookup(draft.values, path)):
        raise _no_place()
    return path


def _no_place() -> TrustError:
    return TrustError("no-place", "the draft lists a sealed value where none can be")


def _sealed_texts(node: Mapping[str, Any] | Sequence[Any], path: Concrete) -> Iterator[tuple[Concrete, str]]:
    for key, child in node.items() if isinstance(node, Mapping) else enumerate(node):
        if isinstance(child, str):
            if child.startswith(MARK):  # as `looks_sealed`, for many
                yield (*path, key), child
        elif isinstance(child, dict | list):
            yield from _sealed_texts(child, (*path, key))


def _check_merge_key(values: Mapping[str, Any], pointer: str, field: str) -> None:
    path = settle(values, from_pointer(pointer))
    items = None if path is None or to_pointer(path) != pointer else lookup(values, path)
    seen: set[tuple[type, Any]] = set()
    for item in items if isinstance(items, list) else [None]:
        name = item.get(field) if isinstance(item, dict) else None
        if type(name) not in (str, int, bool) or looks_sealed(name) or (type(name), name) in seen:
            raise TrustError("bad-merge-key", "a merge key of the draft does not name each element of a list")
        seen.add((type(name), name))


# ---- form


def _malformed(problem: str) -> TrustError:
    return TrustError("malformed-draft", f"the draft of the release {problem}")


def _is_pointer(text: Any) -> bool:
    try:
        return isinstance(text, str) and to_pointer(from_pointer(text)) == text
    except ValueError:
        return False


def _sealed_at(pointer: str, entry: Any) -> SealedAt:
    if (
        not _is_pointer(pointer)
        or not isinstance(entry, dict)
        or set(entry) != {"environment", "document"}
        or not _matches(NAME, entry["environment"])
        or not _matches(DOCUMENT, entry["document"])
    ):
        raise _malformed("field sealed is not a map of pointers to documents")
    return SealedAt(entry["environment"], entry["document"])


def _merge_keys(entries: Mapping[str, Any]) -> Mapping[str, str]:
    if not all(_is_pointer(pointer) and isinstance(field, str) for pointer, field in entries.items()):
        raise _malformed("field merge_keys is not a map of pointers to fields")
    return entries


def _locked(entries: Any) -> tuple[str, ...]:
    if not isinstance(entries, list) or not all(_is_pointer(pointer) for pointer in entries):
        raise _malformed("field locked is not a list of pointers")
    return tuple(entries)


def _stanzas(entries: Mapping[str, Any]) -> Stanzas:
    for document, keys in entries.items():
        environment, _, name = document.partition("/")
        if not NAME.fullmatch(environment) or not DOCUMENT.fullmatch(name) or not isinstance(keys, dict):
            raise _malformed("field stanzas names no document")
        for key, readers in keys.items():
            if not _KEY_ID.fullmatch(key) or not isinstance(readers, dict):
                raise _malformed("field stanzas holds something that is no key id")
            if not all(_KEY_ID.fullmatch(reader) and _is_box(box) for reader, box in readers.items()):
                raise _malformed("field stanzas holds something that is no box")
    return entries


def _is_box(text: Any) -> bool:
    try:
        return isinstance(text, str) and len(from_base64url(text)) == _BOX
    except ValueError:
        return False


def _matches(pattern: re.Pattern[str], text: Any) -> bool:
    return isinstance(text, str) and pattern.fullmatch(text) is not None


def sealed_documents(draft: Draft) -> Sequence[SealedAt]:
    """The documents whose keys a reader of this draft needs, sorted, each once."""
    return sorted(set(draft.sealed.values()))
