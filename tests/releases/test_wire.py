"""Bytes to and fro: the encoders are the exact inverse of the readers, and refuse what no reader takes."""

from __future__ import annotations

import dataclasses
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from release_builder import DEV, PROJECT, UNIT, Recipe, key, link, root, signed
from sealpipe.canonical import canonical
from sealpipe.errors import TrustError
from sealpipe.released import Order, SealedAt
from sealpipe.releases.drafts import check_draft, draft_bytes, draft_digest, draft_from_json, sealed_documents
from sealpipe.releases.payloads import payload_bytes, payload_from_json
from sealpipe.releases.wire import (
    CHUNK,
    CHUNKS_MAGIC,
    RELEASE_LIMIT,
    STATE_MAGIC,
    Frames,
    Locator,
    approval_body,
    encode_release,
    encode_state,
    head_value,
    parse_locator,
    release_digest,
    split_release,
    split_state,
)
from sealpipe.roots import Root, RootChain

RAW = Recipe().bytes()


def encoded(frames: Frames) -> bytes:
    return encode_release(
        frames.project,
        frames.chain,
        *frames.trust[::-1],
        *frames.payload[::-1],
        frames.draft,
        frames.approvals,
    )


def test_encode_is_the_inverse_of_split():
    assert encoded(split_release(RAW)) == RAW


pairs = st.lists(
    st.tuples(st.binary(min_size=32, max_size=32), st.binary(min_size=64, max_size=64)), max_size=16
)
some_pairs = pairs.filter(bool)
roots = st.sets(st.binary(min_size=32, max_size=32), min_size=1, max_size=4).map(
    lambda keys: Root(len(keys), tuple(sorted(keys)))
)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(roots, min_size=1, max_size=8),
    some_pairs,
    st.binary(max_size=200),
    st.binary(max_size=200),
    pairs,
)
def test_any_frames_survive(chain, signatures, trust, payload, approvals):
    from sealpipe.roots import Link

    links = tuple(Link(tuple(signatures)) for _ in chain[1:])
    raw = encode_release(
        PROJECT, RootChain(tuple(chain), links), trust, tuple(signatures),
        payload, tuple(signatures), b"draft", tuple(approvals),
    )  # fmt: skip
    frames = split_release(raw)
    assert frames.chain == RootChain(tuple(chain), links)
    assert (frames.trust.body, frames.payload.body, frames.draft) == (trust, payload, b"draft")
    assert frames.approvals == tuple(approvals)
    assert encoded(frames) == raw


@pytest.mark.parametrize(
    "change",
    [
        {"chain": RootChain((), ())},
        {"chain": RootChain((root("anna"),) * 9, (link(root("anna"), root("ben"), "anna"),) * 8)},
        {"chain": RootChain((root("anna"), root("ben")), ())},
        {"chain": RootChain((Root(0, (bytes(32),)),), ())},
        {"chain": RootChain((Root(2, (bytes(32),)),), ())},
        {"chain": RootChain((Root(1, (b"\2" * 32, b"\1" * 32)),), ())},
        {"approvals": ((bytes(31), bytes(64)),)},
        {"approvals": ((bytes(32), bytes(64)),) * 17},
        {"draft": bytes(RELEASE_LIMIT)},
    ],
)
def test_what_no_reader_takes_is_not_written(change):
    with pytest.raises(ValueError):
        encoded(split_release(RAW)._replace(**change))


def test_a_block_without_signature_is_not_written():
    frames = split_release(RAW)
    with pytest.raises(ValueError):
        encoded(frames._replace(payload=frames.payload._replace(signatures=())))
    with pytest.raises(ValueError):
        encoded(frames._replace(trust=frames.trust._replace(body=bytes(64 * 1024 + 1))))
    with pytest.raises(ValueError):
        encode_state((), b"{}")


# ---- payload


def test_payload_round_trip():
    body = Recipe().payload_body()
    payload = payload_from_json(body)
    assert payload_bytes(payload) == body
    held = dataclasses.replace(
        payload,
        hold={
            "by": "anna",
            "reason": "slow",
            "rejected": [{"path": "/db/pool_max", "value": 40}, {"path": "/x"}],
        },
        rollback_of="cc" * 32,
        break_glass="CI is down",
        retired={"successor": ""},
        git=None,
    )
    assert payload_from_json(payload_bytes(held)) == held


@pytest.mark.parametrize(
    "change",
    [
        {"rid": "no"},
        {"break_glass": ""},
        {"break_glass": "\n"},
        {"tool": "two\nlines"},
        {"git": {"commit": "HEAD"}},
        {"number": 0},
        {"project": "x"},
        {"min_format": 2},
        {"origins": {"/x": float("nan")}},
    ],
)
def test_a_payload_that_readers_refuse_is_not_made(change):
    payload = payload_from_json(Recipe().payload_body())
    with pytest.raises(ValueError):
        payload_bytes(dataclasses.replace(payload, **change))


def test_reasons_are_written_on_one_line():
    payload = payload_from_json(Recipe().payload_body())
    typed = "CI\nis\tdown \x1b[31m\u202e!" + "x" * 2000
    hold = {"by": "anna", "reason": typed, "rejected": []}
    written = payload_from_json(payload_bytes(dataclasses.replace(payload, break_glass=typed, hold=hold)))
    assert written.break_glass.startswith("CI is down [31m !xxx")
    assert len(written.break_glass) == 1000
    assert written.hold["reason"] == written.break_glass
    assert hold["reason"] == typed


def test_digests_and_approval_bytes():
    assert release_digest(b"x") != draft_digest(b"x")
    body = approval_body(PROJECT, UNIT, "ab" * 32)
    assert body == (
        bytes.fromhex(PROJECT) + b"\0\0\0\x0aproduction" + b"\0\0\0\x08checkout" + bytes.fromhex("ab" * 32)
    )
    assert approval_body(PROJECT, DEV, "ab" * 32) != body


# ---- draft


def test_draft_round_trip():
    data = Recipe().draft_data()
    draft = draft_from_json(data)
    check_draft(draft)
    again = draft_bytes(draft.values, draft.sealed, draft.merge_keys, draft.locked, draft.stanzas)
    assert again == data
    assert sealed_documents(draft) == [SealedAt("production", "_all"), SealedAt("production", "checkout")]


def test_draft_bytes_do_not_depend_on_order():
    one = draft_bytes({"a": 1, "b": 2}, {}, {}, ["/b", "/a", "/a"], {})
    two = draft_bytes({"b": 2, "a": 1}, {}, {}, ["/a", "/b"], {})
    assert one == two
    with pytest.raises(ValueError):
        draft_bytes({"a": 2**53}, {}, {}, [], {})


# ---- state


def test_state_frames():
    body = canonical({"commit": "9c" * 20})
    raw = encode_state(signed("STATE", body, ("anna",)), body)
    assert raw.startswith(STATE_MAGIC)
    assert split_state(raw).body == body
    assert split_state(raw).signatures[0][0] == key("anna").public
    for wrong in (b"", raw[1:], raw[:-1], raw + b"\0", STATE_MAGIC, raw + bytes(17000)):
        with pytest.raises(TrustError) as caught:
            split_state(wrong)
        assert caught.value.word == "malformed-state"


# ---- chunks

ORDER, RID, DIGEST = Order(7, 1_790_000_000_000), "ab" * 16, "cd" * 32


@pytest.mark.parametrize("size", [1, CHUNK, CHUNK + 1, 2 * CHUNK, 3 * CHUNK - 1, RELEASE_LIMIT])
def test_head_value_and_locator(size):
    raw = b"\7" * size
    value, chunks = head_value(raw, ORDER, RID, DIGEST)
    if size <= CHUNK:
        assert (value, chunks) == (raw, ())
        assert parse_locator(value) is None
        return
    assert b"".join(chunks) == raw
    assert all(len(chunk) == CHUNK for chunk in chunks[:-1])
    assert parse_locator(value) == Locator(ORDER, RID, len(chunks), size, DIGEST)


@pytest.mark.parametrize(
    "change",
    [
        {"chunks": 33, "size": 33 * CHUNK},
        {"chunks": 0},
        {"chunks": 3},
        {"chunks": True},
        {"size": RELEASE_LIMIT + 1},
        {"size": -1},
        {"trust": 0},
        {"trust": 10**10},
        {"seq": 2**48},
        {"seq": "1"},
        {"rid": "../../etc"},
        {"digest": DIGEST.upper()},
        {"more": 1},
    ],
)
def test_a_locator_out_of_bounds_is_refused_before_anything_is_fetched(change):
    value, _ = head_value(bytes(2 * CHUNK), ORDER, RID, DIGEST)
    data = json.loads(value[len(CHUNKS_MAGIC) :]) | change
    with pytest.raises(TrustError) as caught:
        parse_locator(CHUNKS_MAGIC + canonical(data))
    assert caught.value.word == "malformed-locator"


@pytest.mark.parametrize("rest", [b"", b"[]", b"{}", b"{" * 3000, b'{"a":1,"a":1}', b" " * 5000])
def test_a_locator_that_is_none(rest):
    with pytest.raises(TrustError) as caught:
        parse_locator(CHUNKS_MAGIC + rest)
    assert caught.value.word == "malformed-locator"
