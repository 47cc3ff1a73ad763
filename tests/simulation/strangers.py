"""What somebody with write access to the store, and no publisher's key but one, puts into it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from sealpipe.canonical import canonical
from sealpipe.publishing.fence import State, sign_state
from sealpipe.publishing.sign import Signing, of_release, sign
from sealpipe.released import Release, Unit
from sealpipe.releases.check import check_release
from sealpipe.releases.keys import archive_key, archives_prefix, chunks_prefix, head_key, state_key
from sealpipe.releases.wire import CHUNKS_MAGIC, split_release
from sealpipe.stores.base import Delete, Op, Put
from sealpipe.trust import chain_for
from simulation.repository import ENVIRONMENT, KEYS, A, B, Repository
from simulation.store import World

Pick = Callable[[int], int]
"""A number below the given one."""


def write(name: str, world: World, repository: Repository, now_ms: int, pick: Pick) -> bool:
    """One hostile write. False when there is nothing yet that it could be made of."""
    unit = (A, B)[pick(2)]
    ops = ACTS[name](unit, world, repository, now_ms, pick)
    if ops:
        world.apply(ops, "stranger")
    return bool(ops)


def _head(unit: Unit, world: World) -> bytes | None:
    entry = world.entries.get(head_key("", unit))
    return entry.value if entry else None


def _over(unit: Unit, value: bytes | None) -> Sequence[Op]:
    return [Put(head_key("", unit), value, None)] if value is not None else []


def _release(unit: Unit, world: World, repository: Repository) -> Release | None:
    value = _head(unit, world)
    if value is None or not value.startswith(b"SEALPIPE-RELEASE"):
        return None
    try:
        return check_release(value, pins=repository.pins, unit=unit)
    except Exception:  # noqa: BLE001 - another stranger was here
        return None


def junk(unit: Unit, world: World, repository: Repository, now_ms: int, pick: Pick) -> Sequence[Op]:
    value = _head(unit, world) or b"SEALPIPE"
    return _over(unit, [b"", b"junk", value[:-1], value + b"x"][pick(4)])


def swapped(unit: Unit, world: World, repository: Repository, now_ms: int, pick: Pick) -> Sequence[Op]:
    return _over(unit, _head(B if unit == A else A, world))


def replayed(unit: Unit, world: World, repository: Repository, now_ms: int, pick: Pick) -> Sequence[Op]:
    names = sorted(key for key in world.entries if key.startswith(archives_prefix("", unit)))
    return _over(unit, world.entries[names[pick(len(names))]].value) if names else []


def dangling(unit: Unit, world: World, repository: Repository, now_ms: int, pick: Pick) -> Sequence[Op]:
    fields = {"trust": 1, "seq": now_ms, "rid": "ab" * 16, "chunks": 1, "size": 9, "digest": "cd" * 32}
    return _over(unit, CHUNKS_MAGIC + canonical(fields))


def forged(unit: Unit, world: World, repository: Repository, now_ms: int, pick: Pick) -> Sequence[Op]:
    """The head with a higher order and its old signature."""
    value = _head(unit, world)
    release = _release(unit, world, repository)
    if value is None or release is None:
        return []
    body = split_release(value).payload.body
    changed = body.replace(str(release.order.seq).encode(), str(now_ms + 5000).encode())
    return _over(unit, value.replace(body, changed)) if len(changed) == len(body) else []


def unlisted(unit: Unit, world: World, repository: Repository, now_ms: int, pick: Pick) -> Sequence[Op]:
    """Everything right, by a key that is in the trust document and publishes nowhere."""
    return _signed(unit, world, repository, "stranger", now_ms)


def twin(unit: Unit, world: World, repository: Repository, now_ms: int, pick: Pick) -> Sequence[Op]:
    """A stolen publisher's key signs another release at the order of the head."""
    release = _release(unit, world, repository)
    if release is None:
        return []
    return _signed(unit, world, repository, "three", release.order.seq, over_order=True)


def _signed(
    unit: Unit, world: World, repository: Repository, who: str, seq: int, *, over_order: bool = False
) -> Sequence[Op]:
    from sealpipe.crypto.signing import sign as signature
    from sealpipe.releases.wire import encode_release, payload_bytes

    release = _release(unit, world, repository)
    if release is None:
        return []
    how = Signing(
        ENVIRONMENT,
        repository.trust,
        chain_for(repository.trust, None),
        repository.pins,
        KEYS["three"],
        seq,
        "0" * 26,
        new_rid=lambda: "ee" * 16,
    )
    made = sign([of_release(release)], {}, how).releases[0].release
    if over_order:
        assert made.order == release.order
        return _over(unit, made.raw)
    frames = split_release(made.raw)
    body = payload_bytes(made.payload)
    key = KEYS[who]
    raw = encode_release(
        frames.project,
        frames.chain,
        frames.trust.body,
        frames.trust.signatures,
        body,
        ((key.public, signature("RELEASE", body, key)),),
        frames.draft,
    )
    return _over(unit, raw)


def state(unit: Unit, world: World, repository: Repository, now_ms: int, pick: Pick) -> Sequence[Op]:
    """A fence that nobody could pass, were it believed."""
    fake = State("f" * 40, "0" * 26, "stranger", "2026-05-04T00:00:00Z")
    raw = sign_state(repository.trust.project, ENVIRONMENT, fake, KEYS["stranger"])
    return [Put(state_key("", ENVIRONMENT), [b"junk", raw][pick(2)], None)]


def no_state(unit: Unit, world: World, repository: Repository, now_ms: int, pick: Pick) -> Sequence[Op]:
    return [Delete(state_key("", ENVIRONMENT))]


def planted(unit: Unit, world: World, repository: Repository, now_ms: int, pick: Pick) -> Sequence[Op]:
    """An archive above all others that is none."""
    from sealpipe.released import Order

    key = archive_key("", unit, Order(1, now_ms + 9000), "99" * 32)
    return [Put(key, _head(unit, world) or b"junk", None)]


def chunk_gone(unit: Unit, world: World, repository: Repository, now_ms: int, pick: Pick) -> Sequence[Op]:
    names = sorted(key for key in world.entries if key.startswith(chunks_prefix("", unit)))
    return [Delete(names[pick(len(names))])] if names else []


Act = Callable[[Unit, World, Repository, int, Pick], Sequence[Op]]
ACTS: Mapping[str, Act] = {
    "junk": junk,
    "swapped": swapped,
    "replayed": replayed,
    "dangling": dangling,
    "forged": forged,
    "unlisted": unlisted,
    "twin": twin,
    "state": state,
    "no-state": no_state,
    "planted": planted,
    "chunk-gone": chunk_gone,
}
