"""Releases signed and sealed with keys that live as long as one process: for `dev`, `run` and tests.

They are real: a service verifies and opens them like any other. What makes them believed is only that
their pin is handed to it together with them.
"""

from __future__ import annotations

import copy
import os
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sealpipe.canonical import canonical, to_base64url
from sealpipe.client.opened import Opened
from sealpipe.crypto.keys import (
    PrivateKey,
    SigningKey,
    format_public,
    generate_private_key,
    generate_signing_key,
)
from sealpipe.crypto.sealing import Sealer, box
from sealpipe.crypto.signing import sign
from sealpipe.frozen import field, frozen
from sealpipe.paths import Concrete, show_path, to_pointer, typed
from sealpipe.released import Order, Payload, SealedAt, Unit
from sealpipe.releases.wire import draft_bytes, draft_digest, encode_release, payload_bytes
from sealpipe.tokens import key_id, place
from sealpipe.trust import Root, RootChain, pin_text, trust_digest
from sealpipe.version import VERSION


@frozen
class Throwaway:
    """The keys of one unit's releases. `key_text` is the reading key that the service is given."""

    unit: Unit
    project: str
    pin: str
    key_text: str = field(repr=False)
    reader: PrivateKey = field(repr=False)
    document: PrivateKey = field(repr=False)
    publisher: SigningKey = field(repr=False)
    trust_body: bytes = field(repr=False)
    trust_version: int = 1


def throwaway(unit: Unit) -> Throwaway:
    """New keys: a root that is the publisher too, a document key, and a reader for the service."""
    publisher, _ = generate_signing_key()
    reader, text = generate_private_key()
    document, _ = generate_private_key()
    project = os.urandom(16).hex()
    body = canonical(
        {
            "format": 1,
            "project": project,
            "version": 1,
            "root": ["local"],
            "keys": {"local": {"sign": format_public("ed25519", publisher.public), "kind": "machine"}},
            "environments": {unit.environment: {"publishers": ["local"]}},
        }
    )
    pin = pin_text(project, Root(1, (publisher.public,)))
    return Throwaway(unit, project, pin, text, reader, document, publisher, body)


def throwaway_release(
    keys: Throwaway,
    values: Mapping[str, Any],
    *,
    merge_keys: Mapping[str, str] | None = None,
    locked: Sequence[str] = (),
    origins: Mapping[str, str] | None = None,
    number: int = 1,
    seq: int | None = None,
    retired: Mapping[str, Any] | None = None,
) -> bytes:
    """The bytes of a release of `values`, in which an `Opened` stands for each secret.

    Raises ValueError for a secret in a list without a merge key, or a value that JSON cannot carry.
    """
    merge = dict(merge_keys or {})
    tree = copy.deepcopy(_plain(values))
    sealed: dict[str, SealedAt] = {}
    sealer = Sealer()
    at = SealedAt(keys.unit.environment, keys.unit.service)
    for path, secret in _secrets(values, ()):
        where = typed(values, path, merge)
        if where is None:
            raise ValueError(f"{show_path(path)}: a secret cannot stand in a list without a merge key")
        spot = place(at.environment, at.document, where)
        _put(tree, path, sealer.seal(secret.reveal(), secret.type, spot, keys.document.public))
        sealed[to_pointer(path)] = at
    draft = draft_bytes(tree, sealed, merge, locked, _stanzas(keys) if sealed else {})
    said = _payload(keys, draft_digest(draft), origins=origins or {}, number=number, seq=seq, retired=retired)
    payload = payload_bytes(said)
    return encode_release(
        keys.project,
        RootChain((Root(1, (keys.publisher.public,)),), ()),
        keys.trust_body,
        ((keys.publisher.public, sign("TRUST", keys.trust_body, keys.publisher)),),
        payload,
        ((keys.publisher.public, sign("RELEASE", payload, keys.publisher)),),
        draft,
    )


def _payload(
    keys: Throwaway,
    digest: str,
    *,
    origins: Mapping[str, str],
    number: int,
    seq: int | None,
    retired: Mapping[str, Any] | None,
) -> Payload:
    return Payload(
        project=keys.project,
        unit=keys.unit,
        order=Order(keys.trust_version, seq if seq is not None else time.time_ns() // 1_000_000),
        trust_digest=trust_digest(keys.trust_body),
        number=number,
        prev="",
        rid=os.urandom(16).hex(),
        batch="local",
        created_at=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        git=None,
        tool=f"sealpipe {VERSION}",
        draft_digest=digest,
        schema_digest="",
        keyring_versions={keys.unit.environment: 1},
        origins=origins,
        retired=retired,
    )


def _stanzas(keys: Throwaway) -> dict[str, dict[str, dict[str, str]]]:
    boxed = to_base64url(box(keys.document, keys.reader.public))
    readers = {key_id(keys.reader.public).hex(): boxed}
    return {f"{keys.unit.environment}/{keys.unit.service}": {key_id(keys.document.public).hex(): readers}}


def _plain(node: Any) -> Any:
    if isinstance(node, Opened):
        return None
    if isinstance(node, Mapping):
        return {name: _plain(item) for name, item in node.items()}
    return [_plain(item) for item in node] if isinstance(node, list) else node


def _secrets(node: Any, path: Concrete) -> list[tuple[Concrete, Opened]]:
    if isinstance(node, Opened):
        return [(path, node)]
    steps = node.items() if isinstance(node, Mapping) else enumerate(node) if isinstance(node, list) else ()
    return [found for step, item in steps for found in _secrets(item, (*path, step))]


def _put(tree: Any, path: Concrete, value: Any) -> None:
    for step in path[:-1]:
        tree = tree[step]
    tree[path[-1]] = value
