"""Every single-bit flip and every truncation of what is sealed or signed: what is believed of each.

A mutant is *accepted* when its reader ends without an error and what it then believes is one of:

- for bytes (sealed value, release, cached generation): anything. No bit of them is without meaning.
- for a head locator, which is not signed: the release that its chunks make, believed, and another one.
  A locator whose unread `trust`, `seq` or `digest` changed leads to no chunks or to the same release.
- for trust.yaml and a keyring, which are signed over the canonical JSON of what the YAML says: a content
  (the value that the reader builds, without `signatures`) that is not the original's. A flip inside a
  comment, or from one way of writing a value to another, leaves the canonical bytes what they were and is
  no acceptance; nor is a signature left out where enough others stand, which changes nothing that was said.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from release_builder import PROJECT, UNIT, Recipe, document_key, pins, token
from sealpipe.client import cache
from sealpipe.crypto.sealing import open_value
from sealpipe.crypto.signing import verify
from sealpipe.documents.read import read_yaml
from sealpipe.errors import MalformedError, SealpipeError
from sealpipe.keyrings import check_keyring, parse_keyring
from sealpipe.releases.check import check_release
from sealpipe.releases.fetch import read_release_at
from sealpipe.releases.keys import chunk_key, head_key
from sealpipe.releases.wire import head_value
from sealpipe.stores.base import Put
from sealpipe.testing.memory import MemoryStore
from sealpipe.tokens import parse_token, place
from sealpipe.trust import (
    Trust,
    chain_for,
    chain_matches,
    check_signed,
    parse_pins,
    parse_trust,
    pin_text,
    root_of,
)
from team import PROJECT as TEAM
from team import Team

REFUSED, SAME, ACCEPTED = "refused", "same", "accepted"


@dataclass(frozen=True)
class Artefact:
    """`read` gives what is believed of some bytes, or raises; `meaning`: the original's is no acceptance."""

    name: str
    data: bytes
    read: Callable[[bytes], object]
    meaning: bool = False

    def verdict(self, mutant: bytes) -> str:
        try:
            found = self.read(mutant)
        except SealpipeError:
            return REFUSED
        return SAME if self.meaning and found == self.read(self.data) else ACCEPTED


def mutants(data: bytes) -> Iterator[bytes]:
    """Every single-bit flip, then every truncation."""
    for at in range(len(data) * 8):
        flipped = bytearray(data)
        flipped[at // 8] ^= 1 << at % 8
        yield bytes(flipped)
    for size in range(len(data)):
        yield data[:size]


def count(data: bytes) -> int:
    return len(data) * 9


# ---- the artefacts


def sealed_value() -> Artefact:
    at = place("production", "checkout", ("db", "password"))
    private = document_key("production/checkout")

    def read(data: bytes) -> object:
        # A token stands in a YAML or JSON text, so it is UTF-8 before anything looks at it.
        return open_value(parse_token(data.decode("utf-8", "replace")), at, private)

    text = token(b"hunter2 is no password, nor is this", "checkout", "db", "password")
    return Artefact("sealed value", text.encode(), read)


def release() -> Artefact:
    def read(data: bytes) -> object:
        return check_release(data, pins=pins(), unit=UNIT, project=PROJECT)

    return Artefact("release", Recipe().bytes(), read)


def locator() -> Artefact:
    """A head in two chunks. Nothing else stands in the store than what the honest publisher put there."""
    store = MemoryStore()
    raw = Recipe(draft=lambda d: d["values"].update(text="x" * 140_000)).bytes()
    good = check_release(raw, pins=pins(), unit=UNIT)
    value, chunks = head_value(raw, good.order, good.payload.rid, good.digest)
    assert len(chunks) == 2
    for at, chunk in enumerate(chunks):
        store.write([Put(chunk_key("", UNIT, good.order, good.payload.rid, at), chunk, None)])
    believed = {raw: good.digest}

    def read(data: bytes) -> object:
        here = store.get(head_key("", UNIT))
        store.write([Put(head_key("", UNIT), data, here.version if here else None)])
        # As a head is read, but for asking again while a part is missing.
        found = read_release_at(store, "", UNIT, head_key("", UNIT))
        if found is None:
            raise MalformedError("incomplete-head", "a part is missing")
        if found not in believed:
            believed[found] = check_release(found, pins=pins(), unit=UNIT).digest
        return believed[found]

    return Artefact("head locator", value, read, meaning=True)


def generation(folder: Path) -> Artefact:
    """A release in a service's cache, read back as a start without the store does."""
    good = check_release(Recipe().bytes(), pins=pins(), unit=UNIT)
    cache.note_accepted(str(folder), good, "model")
    [kept] = cache.generations(str(folder), UNIT)

    def read(data: bytes) -> object:
        kept.path.write_bytes(data)
        [found] = cache.generations(str(folder), UNIT)
        return check_release(found.read() or b"", pins=pins(), unit=UNIT)

    return Artefact("cached generation", kept.path.read_bytes(), read)


def trust_file(team: Team) -> Artefact:
    file = "trust/trust.yaml"
    known = parse_pins(pin_text(TEAM, root_of(team.trust)))

    def read(data: bytes) -> object:
        trust = parse_trust(read_yaml(data, file=file), file)
        chain = chain_for(trust, None)
        chain_matches(trust.project, chain, known, verify)
        check_signed(trust, chain, verify)
        return trust.body

    return Artefact("trust file", (team.root / file).read_bytes(), read, meaning=True)


def keyring(team: Team) -> Artefact:
    file = "trust/production.keyring.yaml"
    trust: Trust = team.trust

    def read(data: bytes) -> object:
        found = parse_keyring(read_yaml(data, file=file), file)
        check_keyring(found, trust, verify, environment="production")
        return found.body

    return Artefact("keyring", (team.root / file).read_bytes(), read, meaning=True)


def artefacts(folder: Path) -> list[Artefact]:
    """All six, made in an empty folder."""
    team = Team(folder / "team")
    return [
        sealed_value(),
        release(),
        locator(),
        generation(folder / "cache"),
        trust_file(team),
        keyring(team),
    ]


def sample(data: bytes, size: int, seed: str) -> Iterator[bytes]:
    """`size` of the mutants, the same ones at every run."""
    total = count(data)
    for at in range(size):
        digest = hashlib.blake2b(f"{seed} {at}".encode(), digest_size=8).digest()
        number = int.from_bytes(digest, "big") % total
        if number < len(data) * 8:
            flipped = bytearray(data)
            flipped[number // 8] ^= 1 << number % 8
            yield bytes(flipped)
        else:
            yield data[: number - len(data) * 8]
