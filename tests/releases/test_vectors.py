"""Our reader and writer against releases made from the format's text by another program."""

from __future__ import annotations

from functools import cache

import pytest

from format_vectors import flat
from sealpipe.canonical import from_base64url
from sealpipe.crypto.keys import PrivateKey
from sealpipe.crypto.sealing import open_value
from sealpipe.errors import TrustError
from sealpipe.paths import from_pointer, lookup, settle, typed
from sealpipe.released import Order, Unit
from sealpipe.releases.check import check_release
from sealpipe.releases.drafts import draft_bytes
from sealpipe.releases.payloads import payload_bytes
from sealpipe.releases.wire import encode_release, split_release
from sealpipe.roots import parse_pins
from sealpipe.tokens import parse_token, place


@cache
def vectors(name):
    return flat(name)


def checked(row, check_release=check_release):
    raw = from_base64url(row["release"])
    return check_release(
        raw + bytes(max(0, row.get("pad_to", 0) - len(raw))),
        pins=parse_pins(row["pins"]),
        unit=Unit(row["environment"], row["service"]),
        project=row["project"],
        min_trust=row.get("min_trust", 0),
    )


@pytest.mark.parametrize("row", vectors("release"), ids=lambda row: row["name"])
def test_accepted(row):
    release = checked(row)
    assert row["refused"] == ""
    assert release.digest == row["digest"]
    assert release.payload.draft_digest == row["draft_digest"]
    assert release.order == Order(row["trust"], row["seq"])
    assert set(release.draft.sealed) == set(row["opened"])


@pytest.mark.parametrize("row", vectors("release"), ids=lambda row: row["name"])
def test_its_secrets_open_at_their_places(row):
    draft = checked(row).draft
    for pointer, plain in row["opened"].items():
        path, at = settle(draft.values, from_pointer(pointer)), draft.sealed[pointer]
        where = place(at.environment, at.document, typed(draft.values, path, draft.merge_keys))
        key = PrivateKey(bytes.fromhex(row["document_secrets"][at.document]))
        assert open_value(parse_token(lookup(draft.values, path)), where, key) == plain


@pytest.mark.parametrize("row", vectors("release"), ids=lambda row: row["name"])
def test_we_write_the_same_bytes(row):
    raw = from_base64url(row["release"])
    frames, release = split_release(raw), checked(row)
    draft, payload = release.draft, release.payload
    assert (
        draft_bytes(draft.values, draft.sealed, draft.merge_keys, draft.locked, draft.stanzas) == frames.draft
    )
    if payload.format == 1:
        assert payload_bytes(payload) == frames.payload.body
    trust, signed = frames.trust, frames.payload
    again = encode_release(frames.project, frames.chain, trust.body, trust.signatures, signed.body,
                           signed.signatures, frames.draft, frames.approvals)  # fmt: skip
    assert again == raw


@pytest.mark.parametrize("row", vectors("release_refused"), ids=lambda row: row["name"])
def test_refused(row):
    with pytest.raises(TrustError) as caught:
        checked(row)
    assert caught.value.word == row["refused"]


def test_the_refused_vectors_have_every_word_of_the_rules():
    from sealpipe.releases import check

    words = {row["refused"] for row in vectors("release_refused")}
    documented = {
        word.strip()
        for group in check.__doc__.split("[")[1:]
        for word in group.split("]")[0].split(",")
        if "-" in word
    }
    assert documented - words == {"malformed-json"}  # its bytes are no JSON and cannot be written here
