"""Bytes of a release, a state and a locator, to and fro. Pure: no signature is checked here.

`encode_release` is the exact inverse of `split_release` and of what `check` reads with a `Cursor`. The
JSON inside is in `payloads` and `drafts`, whose makers are offered here too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sealpipe.canonical import canonical, labelled, lp, strict_json
from sealpipe.errors import TrustError
from sealpipe.frozen import NamedTuple
from sealpipe.released import SEQ_LIMIT, Order, Unit
from sealpipe.releases.drafts import draft_bytes, draft_digest, draft_from_json
from sealpipe.releases.payloads import HEX32, HEX64, payload_bytes, payload_from_json
from sealpipe.trust import (
    BODY_LIMIT,
    ROOT_LIMIT,
    SIGNATURE_LIMIT,
    Link,
    Pairs,
    Root,
    RootChain,
    link_body,
    root_bytes,
)

__all__ = [
    "CHUNK",
    "CHUNKS_MAGIC",
    "MAGIC",
    "RELEASE_LIMIT",
    "STATE_MAGIC",
    "Block",
    "Cursor",
    "Frames",
    "Locator",
    "approval_body",
    "draft_bytes",
    "draft_digest",
    "draft_from_json",
    "encode_release",
    "encode_state",
    "head_value",
    "link_body",
    "parse_locator",
    "payload_bytes",
    "payload_from_json",
    "release_digest",
    "split_release",
    "split_state",
]

MAGIC = b"SEALPIPE-RELEASE-1\n"
CHUNKS_MAGIC = b"SEALPIPE-CHUNKS-1\n"
STATE_MAGIC = b"SEALPIPE-STATE-1\n"
RELEASE_LIMIT = 4 * 1024 * 1024
CHUNK = 128 * 1024
CHUNK_COUNT = 32
_LOCATOR_LIMIT = 4096
_STATE_LIMIT = 16 * 1024


class Block(NamedTuple):
    """A body and the signatures beside it, none of them checked."""

    signatures: Pairs
    body: bytes


class Frames(NamedTuple):
    """A release taken apart by lengths alone; nothing of it is checked or parsed."""

    project: str  # 32 hex digits
    chain: RootChain
    trust: Block
    payload: Block
    draft: bytes
    approvals: Pairs


class Locator(NamedTuple):
    """What stands in a head whose release is kept in chunks. Unsigned: it only says where to look."""

    order: Order
    rid: str
    chunks: int
    size: int
    digest: str  # of the release


# ---- out


def encode_release(  # noqa: PLR0917 - the order of the bytes
    project: str,
    chain: RootChain,
    trust_body: bytes,
    trust_signatures: Pairs,
    payload: bytes,
    payload_signatures: Pairs,
    draft: bytes,
    approvals: Pairs = (),
) -> bytes:
    """The bytes of a release. Raises ValueError for what no reader would take apart again."""
    if len(trust_body) > BODY_LIMIT:
        raise ValueError("the trust document is larger than 64 KiB")
    data = b"".join(
        [
            MAGIC,
            bytes.fromhex(project),
            _chain_bytes(chain),
            _block_bytes(trust_signatures, trust_body),
            _block_bytes(payload_signatures, payload),
            lp(draft),
            _pairs_bytes(approvals, least=0),
        ]
    )
    if len(data) > RELEASE_LIMIT:
        raise ValueError("the release is larger than 4 MiB")
    return data


def _chain_bytes(chain: RootChain) -> bytes:
    if not 1 <= len(chain.roots) <= ROOT_LIMIT or len(chain.links) != len(chain.roots) - 1:
        raise ValueError("a chain has 1 to 8 roots and one link fewer")
    parts = [bytes([len(chain.roots)])]
    for root in chain.roots:
        if not _good_root(root):
            raise ValueError("a root has 1 to 16 keys in ascending order and needs some of them")
        parts.append(root_bytes(root))
    parts += [_pairs_bytes(link.signatures) for link in chain.links]
    return b"".join(parts)


def _good_root(root: Root) -> bool:
    keys = root.keys
    return 1 <= root.need <= len(keys) <= SIGNATURE_LIMIT and list(keys) == sorted(set(keys))


def _block_bytes(signatures: Pairs, body: bytes) -> bytes:
    return _pairs_bytes(signatures) + lp(body)


def _pairs_bytes(pairs: Pairs, *, least: int = 1) -> bytes:
    if not least <= len(pairs) <= SIGNATURE_LIMIT:
        raise ValueError(f"there are {least} to {SIGNATURE_LIMIT} signatures")
    if any(len(key) != 32 or len(signature) != 64 for key, signature in pairs):
        raise ValueError("a key has 32 bytes and a signature 64")
    return bytes([len(pairs)]) + b"".join(key + signature for key, signature in pairs)


# ---- in


class Cursor:
    """Reads frames one after the other. Raises TrustError [malformed-<what>] where bytes are missing."""

    def __init__(self, data: bytes, what: str = "release") -> None:
        self._data = data
        self._at = 0
        self._what = what

    def wrong(self, problem: str) -> TrustError:
        return TrustError(f"malformed-{self._what}", f"the {self._what} {problem}")

    def take(self, size: int) -> bytes:
        if size > len(self._data) - self._at:
            raise self.wrong("is cut short")
        self._at += size
        return self._data[self._at - size : self._at]

    def byte(self) -> int:
        return self.take(1)[0]

    def body(self, limit: int = RELEASE_LIMIT) -> bytes:
        size = int.from_bytes(self.take(4), "big")
        if size > limit:
            raise self.wrong("has a part above its limit")
        return self.take(size)

    def pairs(self, *, least: int = 1) -> Pairs:
        count = self.byte()
        if not least <= count <= SIGNATURE_LIMIT:
            raise self.wrong(f"has a list of signatures that is not {least} to {SIGNATURE_LIMIT} long")
        return tuple((self.take(32), self.take(64)) for _ in range(count))

    def block(self, limit: int = RELEASE_LIMIT) -> Block:
        return Block(self.pairs(), self.body(limit))

    def chain(self) -> RootChain:
        count = self.byte()
        if not 1 <= count <= ROOT_LIMIT:
            raise self.wrong(f"has a chain of roots that is not 1 to {ROOT_LIMIT} long")
        roots = []
        for _ in range(count):
            need, keys = self.byte(), self.byte()
            root = Root(need, tuple(self.take(32) for _ in range(keys)))
            if not _good_root(root):
                raise self.wrong("has a root that is not one")
            roots.append(root)
        return RootChain(tuple(roots), tuple(Link(self.pairs()) for _ in range(count - 1)))

    def end(self) -> None:
        if self._at != len(self._data):
            raise self.wrong("has bytes after its end")


def split_release(raw: bytes) -> Frames:
    """Take a release apart without believing anything of it: for `inspect` and tests.

    Raises TrustError [not-a-release, malformed-release].
    """
    if not raw.startswith(MAGIC):
        raise TrustError("not-a-release", "these bytes are not a release")
    cursor = Cursor(raw[len(MAGIC) :])
    project, chain = cursor.take(16).hex(), cursor.chain()
    frames = Frames(
        project, chain, cursor.block(BODY_LIMIT), cursor.block(), cursor.body(), cursor.pairs(least=0)
    )
    cursor.end()
    return frames


# ---- digests and what is signed


def release_digest(payload: bytes) -> str:
    """Hex digest of a release: of its payload alone, so a signature more is the same release."""
    return labelled(32, "sealpipe.release.1", payload).hex()


def approval_body(project: str, unit: Unit, digest: str) -> bytes:
    """What an approval (KIND APPROVAL) signs; `digest` is the draft's, in hex."""
    environment, service = unit.environment.encode(), unit.service.encode()
    return bytes.fromhex(project) + lp(environment) + lp(service) + bytes.fromhex(digest)


# ---- fence


def encode_state(signatures: Pairs, body: bytes) -> bytes:
    """The bytes under the `state` key. Raises ValueError without a signature."""
    return STATE_MAGIC + _block_bytes(signatures, body)


def split_state(raw: bytes) -> Block:
    """Raises TrustError [malformed-state]; checks no signature."""
    if not raw.startswith(STATE_MAGIC) or len(raw) > _STATE_LIMIT:
        raise TrustError("malformed-state", "the state in the store is not one")
    cursor = Cursor(raw[len(STATE_MAGIC) :], "state")
    block = cursor.block(_STATE_LIMIT)
    cursor.end()
    return block


# ---- chunks


def head_value(raw: bytes, order: Order, rid: str, digest: str) -> tuple[bytes, tuple[bytes, ...]]:
    """What to store as head and archive, and the chunks to store before it (none up to 128 KiB)."""
    if len(raw) <= CHUNK:
        return raw, ()
    chunks = tuple(raw[at : at + CHUNK] for at in range(0, len(raw), CHUNK))
    fields = {
        "trust": order.trust,
        "seq": order.seq,
        "rid": rid,
        "chunks": len(chunks),
        "size": len(raw),
        "digest": digest,
    }
    return CHUNKS_MAGIC + canonical(fields), chunks


def parse_locator(value: bytes) -> Locator | None:
    """The locator in a head's value; None when the value is no locator (a release, then, or rubbish).

    Raises TrustError [malformed-locator] before anything is fetched for numbers out of bounds.
    """
    if not value.startswith(CHUNKS_MAGIC):
        return None
    data: Any = {}
    if len(value) <= _LOCATOR_LIMIT:
        data = strict_json(value[len(CHUNKS_MAGIC) :], what="locator", word="malformed-locator", depth=4)
    if not _good_locator(data):
        raise TrustError("malformed-locator", "the head names chunks in a way that no release is stored")
    return Locator(
        Order(data["trust"], data["seq"]), data["rid"], data["chunks"], data["size"], data["digest"]
    )


def _good_locator(data: Any) -> bool:
    if not isinstance(data, dict) or set(data) != {"trust", "seq", "rid", "chunks", "size", "digest"}:
        return False
    bounds: Sequence[tuple[str, int, int]] = (
        ("trust", 1, 10**10 - 1),
        ("seq", 0, SEQ_LIMIT - 1),
        ("chunks", 1, CHUNK_COUNT),
        ("size", 1, RELEASE_LIMIT),
    )
    for name, low, high in bounds:
        if type(data[name]) is not int or not low <= data[name] <= high:
            return False
    for name, pattern in (("rid", HEX32), ("digest", HEX64)):
        if not isinstance(data[name], str) or not pattern.fullmatch(data[name]):
            return False
    return bool(data["chunks"] == -(-data["size"] // CHUNK))
