"""A checked release with its secrets opened: what a service's settings are built from."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from sealpipe.canonical import from_base64url
from sealpipe.client.opened import Opened
from sealpipe.crypto.keys import PrivateKey
from sealpipe.crypto.sealing import open_value, unbox
from sealpipe.errors import ConfigUntrusted, SecretUnreadable, TrustError
from sealpipe.frozen import field, frozen
from sealpipe.paths import from_pointer, lookup, settle, show_path, to_pointer, typed
from sealpipe.released import Release, SealedAt
from sealpipe.tokens import key_id, looks_sealed, parse_token, place

Keys = Mapping[tuple[str, bytes], PrivateKey]
"""(`ENV/DOC`, document key id) -> the document's private key."""


@frozen
class Snapshot:
    """Made by `open_release` only. Where `values` has a secret stands an `Opened`."""

    release: Release
    values: Mapping[str, Any] = field(repr=False)
    secrets: Mapping[str, Opened] = field(repr=False)  # JSON Pointer -> secret


def open_release(release: Release, key: PrivateKey | None) -> Snapshot:
    """Open every secret of a release with the service's key.

    SecretUnreadable: no key, a key without access, a moved or altered token, content that does not have
    its stated type. ConfigUntrusted: a token at a path that the draft does not list. The release itself
    was checked by who made it.
    """
    return open_with(release, _boxed_keys(release, key))


def open_with(release: Release, keys: Keys) -> Snapshot:
    """Like `open_release`, with the documents' private keys at hand (a person's way)."""
    draft = release.draft
    values = copy.deepcopy(dict(draft.values))
    secrets: dict[str, Opened] = {}
    for pointer, at in draft.sealed.items():
        path = settle(values, from_pointer(pointer))
        if not path:
            raise _listed_wrong(release, pointer)
        secret = _open_one(release, values, path, at, keys)
        lookup(values, path[:-1])[path[-1]] = secret
        secrets[to_pointer(path)] = secret
    _refuse_unlisted(values, (), release)
    return Snapshot(release, values, secrets)


def _open_one(release: Release, values: Any, path: tuple[str | int, ...], at: SealedAt, keys: Keys) -> Opened:
    text = lookup(values, path)
    if not looks_sealed(text):
        raise _listed_wrong(release, to_pointer(path))
    place_path = typed(values, path, release.draft.merge_keys)
    opened: Opened | None = None
    word, problem = "unreadable-secret", "it cannot be opened at this path (moved, or altered)"
    if place_path is None:
        problem = "it stands in a list whose elements have no merge key"
    else:
        try:
            token = parse_token(text)
            private = keys.get((str(at), token.key_id))
            if private is None:
                word, problem = "no-access", f"no key at hand opens {at}"
            else:
                where = place(at.environment, at.document, place_path)
                opened = Opened(open_value(token, where, private), token.type)
        except (TrustError, ValueError):
            opened = None
    if opened is None:
        raise _unreadable(release, path, word, problem)
    return opened


def _boxed_keys(release: Release, key: PrivateKey | None) -> Keys:
    """What the draft's boxes give to this key."""
    found: dict[tuple[str, bytes], PrivateKey] = {}
    if not release.draft.sealed:
        return found
    if key is None:
        raise SecretUnreadable(
            "no-key",
            f"{release.unit} #{release.payload.number} has secrets and this service has no key",
            why=[f"sealed: {_some_paths(release)}"],
            hint=["set SEALPIPE_KEY_FILE (or SEALPIPE_KEY, SEALPIPE_KEY_CMD) to the key that connect made"],
        )
    reader = key_id(key.public).hex()
    for document, boxes in release.draft.stanzas.items():
        for document_key, readers in boxes.items():
            if reader not in readers:
                continue
            private = _unbox(readers[reader], key, bytes.fromhex(document_key))
            if private is not None:
                found[document, bytes.fromhex(document_key)] = private
    if not found:
        raise SecretUnreadable(
            "no-access",
            f"{release.unit} #{release.payload.number} is not sealed for this service's key",
            why=[f"this service's key has the id {reader}; sealed: {_some_paths(release)}"],
            hint=[f"sealpipe connect {release.unit}", f"sealpipe publish {release.unit}"],
        )
    return found


def _unbox(box: str, key: PrivateKey, expected: bytes) -> PrivateKey | None:
    try:
        return unbox(from_base64url(box), key, expect_id=expected)
    except (TrustError, ValueError):
        return None


def _refuse_unlisted(node: Any, path: tuple[str | int, ...], release: Release) -> None:
    if isinstance(node, Mapping):
        for name, value in node.items():
            _refuse_unlisted(value, (*path, name), release)
    elif isinstance(node, list):
        for index, value in enumerate(node):
            _refuse_unlisted(value, (*path, index), release)
    elif looks_sealed(node):
        raise ConfigUntrusted(
            "unlisted-secret",
            f"{release.unit} #{release.payload.number} has a sealed value that it does not list",
            path=show_path(path),
            why=[f"at {show_path(path)}"],
        )


def _listed_wrong(release: Release, pointer: str) -> ConfigUntrusted:
    return ConfigUntrusted(
        "unlisted-secret",
        f"{release.unit} #{release.payload.number} lists a sealed value where there is none",
        why=[f"at {pointer}"],
    )


def _unreadable(release: Release, path: tuple[str | int, ...], word: str, problem: str) -> SecretUnreadable:
    shown = show_path(path)
    origin = release.payload.origins.get(to_pointer(path))
    return SecretUnreadable(
        word,
        f"{shown}: {problem}",
        path=shown,
        why=[f"in {release.unit} #{release.payload.number}" + (f", from {origin}" if origin else "")],
        hint=[f"sealpipe validate {release.unit.environment}", f"sealpipe connect {release.unit}"],
    )


def _some_paths(release: Release) -> str:
    names = [show_path(from_pointer(pointer)) for pointer in sorted(release.draft.sealed)]
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more
