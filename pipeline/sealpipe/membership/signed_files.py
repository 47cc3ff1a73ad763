"""Signing the files under trust/: what every change of them shares. Writes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sealpipe.canonical import canonical, from_base64url, to_base64url
from sealpipe.crypto.keys import SigningKey
from sealpipe.crypto.signing import sign, verify
from sealpipe.editing.writing import FileEdit
from sealpipe.trees import WorkTree
from sealpipe.trust import SIGNATURE_LIMIT, Trust

PAST_LIMIT = 16


def signed_part(data: Mapping[str, Any]) -> bytes:
    """The canonical bytes of everything but `signatures`."""
    return canonical({key: value for key, value in data.items() if key != "signatures"})


def add_signatures(
    data: Mapping[str, Any], kind: str, registry: Mapping[str, bytes], keys: Sequence[SigningKey]
) -> dict[str, Any]:
    """`data` with the signatures of those `keys` that `registry` (name -> public key) lists.

    Signatures already there stay while they are good and their key is listed; others are dropped.
    """
    body = signed_part(data)
    kept: dict[str, bytes] = {}
    for entry in data.get("signatures") or []:
        public = registry.get(entry["by"])
        signature = from_base64url(entry["sig"])
        if public is not None and verify(kind, body, public, signature):
            kept[entry["by"]] = signature
    for key in keys:
        name = next((name for name, public in registry.items() if public == key.public), None)
        if name is not None and name not in kept and len(kept) < SIGNATURE_LIMIT:
            kept[name] = sign(kind, body, key)
    signatures = [{"by": name, "sig": to_base64url(signature)} for name, signature in kept.items()]
    return {**{k: v for k, v in data.items() if k != "signatures"}, "signatures": signatures}


def follow(past: Sequence[str], digest: str, settled: str = "") -> list[str]:
    """`past` of the version after the one with `digest`: newest first, at most 16.

    `settled`, the digest that the target branch has, stays in it: with more changes than 16 on a branch the
    file would otherwise look forked.
    """
    found = [digest, *past]
    if settled in found[PAST_LIMIT:]:
        return [*found[: PAST_LIMIT - 1], settled]
    return found[:PAST_LIMIT]


def names_of(trust: Trust, keys: Sequence[SigningKey]) -> tuple[str, ...]:
    """The registry's names of these keys, in the order of the keys."""
    by_public = {entry.sign: name for name, entry in trust.keys.items()}
    return tuple(by_public[key.public] for key in keys if key.public in by_public)


def registry_of(trust: Trust, names: Sequence[str]) -> dict[str, bytes]:
    """Name -> signing key of the names given."""
    return {name: key for name in names if name in trust.keys and (key := trust.keys[name].sign) is not None}


def signed_edit(root: str, file: str, data: Mapping[str, Any], header: Sequence[str]) -> FileEdit:
    """The new content of a file under trust/: block YAML below its header. Writes nothing."""
    from sealpipe.documents.write import dump_yaml

    text = dump_yaml(data, header="".join(f"# {line}\n" for line in header))
    return FileEdit(file, WorkTree(root).read(file), text.encode())
