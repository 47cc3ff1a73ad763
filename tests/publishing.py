"""A project with keys, and small wrappers of stores that lose replies, delay requests or die."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from sealpipe.canonical import to_base64url
from sealpipe.crypto.keys import SigningKey, format_public
from sealpipe.crypto.signing import sign as signature
from sealpipe.errors import OutcomeUnknownError
from sealpipe.model import Batch, Broken, Drafted, Head
from sealpipe.publishing.heads import Reader, digests, heads
from sealpipe.publishing.publish import StateCheck, publish
from sealpipe.publishing.sign import Content, Signing, of_drafted, sign
from sealpipe.released import Draft, Release, SealedAt, Unit
from sealpipe.stages.draft import drafted
from sealpipe.stores.base import Entry, Op, Store, at_once
from sealpipe.trust import Trust, chain_for, parse_pins, parse_trust, pin_text, root_of

PROJECT = "5b0c7a1e9f2d4c6688aa01d3e7f4b912"
NOW = 1_764_000_000_000
A, B = Unit("dev", "a"), Unit("dev", "b")

KEYS = {name: SigningKey(bytes([number]) * 32) for number, name in enumerate(("anna", "ben", "ci", "old"), 1)}


def make_trust(
    version: int = 1, environments: Mapping[str, Any] | None = None, names: str = "anna ben ci"
) -> Trust:
    """trust.yaml with `anna` as root; signed."""
    data: dict[str, Any] = {
        "format": 1,
        "project": PROJECT,
        "version": version,
        "root": ["anna"],
        "keys": {
            name: {"sign": format_public("ed25519", KEYS[name].public), "kind": "machine"}
            for name in names.split()
        },
        "environments": environments or {"dev": {"admins": ["anna"], "publishers": ["anna", "ci"]}},
    }
    body = parse_trust(data).body
    made = {"by": "anna", "sig": to_base64url(signature("TRUST", body, KEYS["anna"]))}
    return parse_trust({**data, "signatures": [made]})


TRUST = make_trust()
PINS = parse_pins(pin_text(PROJECT, root_of(TRUST)))
READER = Reader(PROJECT, PINS)


def make_draft(unit: Unit, values: Mapping[str, Any], **parts: Any) -> Drafted:
    sealed: Mapping[str, SealedAt] = parts.pop("sealed", {})
    content = Draft(
        values=values,
        sealed=sealed,
        merge_keys=parts.pop("merge_keys", {}),
        locked=(),
        stanzas=parts.pop("stanzas", {}),
    )
    return drafted(unit, content, schema_digest="", keyring_versions={}, origins=parts.pop("origins", {}))


def signing(
    *, trust: Trust = TRUST, by: str = "ci", now: int = NOW, batch: str = "B1", **more: Any
) -> Signing:
    environment = more.pop("environment", "dev")
    return Signing(environment, trust, chain_for(trust, None), PINS, KEYS[by], now, batch, **more)


def commit(letter: str) -> dict[str, Any]:
    return {"commit": letter * 40, "tree": "", "dirty": False}


def content(unit: Unit, values: Mapping[str, Any], git: str = "c", **more: Any) -> Content:
    return of_drafted(make_draft(unit, values), commit(git), **more)


def look(store: Store, environment: str = "dev") -> dict[Unit, Head | Broken]:
    return heads(store, "", environment, READER)


def release(store: Store, unit: Unit) -> Release:
    found = look(store, unit.environment)[unit]
    assert isinstance(found, Head)
    return found.release


def past(store: Store) -> Callable[[Unit], Iterator[str]]:
    return lambda unit: digests(store, "", unit, READER)


def make_batch(store: Store, contents: Sequence[Content], **more: Any) -> Batch:
    return sign(contents, look(store, more.get("environment", "dev")), signing(**more))


def put(
    store: Store, contents: Sequence[Content], *, fence: StateCheck | None = None, **more: Any
) -> dict[Unit, str]:
    """Sign over the present heads and publish; the outcome of each unit."""
    batch = make_batch(store, contents, **more)
    return outcomes(store, batch, fence=fence)


def outcomes(store: Store, batch: Batch, *, fence: StateCheck | None = None) -> dict[Unit, str]:
    return {r.unit: r.outcome for r in publish(batch, store, "", fence=fence, past=past(store))}


class Around:
    """Passes everything on to a store; tests override one method."""

    def __init__(self, store: Store) -> None:
        self.inner = store
        self.limits = store.limits
        self.writes: list[list[Op]] = []

    @property
    def at_once(self) -> int:
        return at_once(self.inner)

    def size(self, ops: Sequence[Op]) -> int:
        return self.inner.size(ops)

    def get(self, key: str, *, fresh: bool = False, timeout: float = 10.0) -> Entry | None:
        return self.inner.get(key, fresh=fresh, timeout=timeout)

    def keys(self, prefix: str, *, timeout: float = 10.0) -> list[str]:
        return self.inner.keys(prefix, timeout=timeout)

    def scan(self, prefix: str, *, timeout: float = 30.0) -> Iterator[Entry]:
        return self.inner.scan(prefix, timeout=timeout)

    def write(self, ops: Sequence[Op], *, timeout: float = 10.0) -> None:
        self.writes.append(list(ops))
        self.inner.write(ops, timeout=timeout)

    def wait(self, key: str, after: str, *, timeout: float) -> bool:
        return self.inner.wait(key, after, timeout=timeout)

    def close(self) -> None:
        self.inner.close()


def touches_head(ops: Sequence[Op]) -> bool:
    return any("/heads/" in op.key for op in ops)


class Unclear(Around):
    """The reply to a head's write is lost. `applied`: whether the write took effect; `after` runs then."""

    def __init__(
        self, store: Store, *, applied: bool, times: int = 1, after: Callable[[], None] | None = None
    ):
        super().__init__(store)
        self.applied, self.times, self.after = applied, times, after
        self.late: list[list[Op]] = []

    def write(self, ops: Sequence[Op], *, timeout: float = 10.0) -> None:
        self.writes.append(list(ops))
        if not touches_head(ops) or self.times == 0:
            self.inner.write(ops, timeout=timeout)
            return
        self.times -= 1
        if self.applied:
            self.inner.write(ops, timeout=timeout)
        else:
            self.late.append(list(ops))
        if self.after is not None:
            self.after()
        raise OutcomeUnknownError("outcome-unknown", "the reply was lost")


class Died(BaseException):
    """The publisher's process ended here."""


class Dying(Around):
    """The process dies at its n-th write: before it, or after it took effect."""

    def __init__(self, store: Store, at: int, *, after: bool) -> None:
        super().__init__(store)
        self.left, self.after = at, after

    def write(self, ops: Sequence[Op], *, timeout: float = 10.0) -> None:
        if self.left == 0 and not self.after:
            raise Died
        self.inner.write(ops, timeout=timeout)
        if self.left == 0:
            raise Died
        self.left -= 1


class DyingAtFlip(Around):
    """The process dies when all parts of a release are stored, and no head says so."""

    def write(self, ops: Sequence[Op], *, timeout: float = 10.0) -> None:
        if touches_head(ops):
            raise Died
        self.inner.write(ops, timeout=timeout)
