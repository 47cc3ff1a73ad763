"""The bounds of releases, states and locators, to the byte."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from release_builder import Recipe
from sealpipe.canonical import canonical
from sealpipe.errors import TrustError
from sealpipe.released import SEQ_LIMIT, Order
from sealpipe.releases.wire import (
    CHUNKS_MAGIC,
    MAGIC,
    STATE_MAGIC,
    Cursor,
    Frames,
    encode_release,
    encode_state,
    head_value,
    parse_locator,
    split_release,
    split_state,
)
from sealpipe.roots import Root, RootChain

BODY = 64 * 1024
RELEASE = 4 * 1024 * 1024
STATE = 16 * 1024
FRAMES = split_release(Recipe().bytes())
PAIR = (bytes(32), bytes(64))


def encoded(frames: Frames) -> bytes:
    return encode_release(
        frames.project,
        frames.chain,
        *frames.trust[::-1],
        *frames.payload[::-1],
        frames.draft,
        frames.approvals,
    )


def word(read: Callable[[], Any]) -> tuple[str, str]:
    with pytest.raises(TrustError) as caught:
        read()
    return caught.value.word, caught.value.finding.what


def test_a_release_of_four_mebibytes_and_no_byte_more() -> None:
    room = RELEASE - len(encoded(FRAMES._replace(draft=b"")))
    whole = encoded(FRAMES._replace(draft=bytes(room)))
    assert len(whole) == RELEASE
    assert len(split_release(whole).draft) == room
    with pytest.raises(ValueError, match="larger than 4 MiB"):
        encoded(FRAMES._replace(draft=bytes(room + 1)))


def test_a_trust_document_of_64_kibibytes_and_no_byte_more() -> None:
    largest = FRAMES._replace(trust=FRAMES.trust._replace(body=bytes(BODY)))
    assert split_release(encoded(largest)) == largest
    larger = FRAMES._replace(trust=FRAMES.trust._replace(body=bytes(BODY + 1)))
    with pytest.raises(ValueError, match="larger than 64 KiB"):
        encoded(larger)
    at = encoded(largest).index(BODY.to_bytes(4, "big") + bytes(BODY))
    raw = encoded(largest)
    raw = raw[:at] + (BODY + 1).to_bytes(4, "big") + b"\0" + raw[at + 4 :]
    assert word(lambda: split_release(raw)) == ("malformed-release", "the release has a part above its limit")


def test_a_part_above_the_limit_is_said_before_it_is_missed() -> None:
    size = (RELEASE + 1).to_bytes(4, "big")
    assert word(Cursor(size).body)[1] == "the release has a part above its limit"
    size = RELEASE.to_bytes(4, "big")
    assert word(Cursor(size).body)[1] == "the release is cut short"
    assert len(Cursor(size + bytes(RELEASE)).body()) == RELEASE


def test_what_is_no_release() -> None:
    assert word(lambda: split_release(b"")) == ("not-a-release", "these bytes are not a release")
    altered = b"X" + encoded(FRAMES)[1:]
    assert len(altered) > len(MAGIC)
    assert word(lambda: split_release(altered))[0] == "not-a-release"
    assert word(lambda: split_release(encoded(FRAMES) + b"\0")) == (
        "malformed-release",
        "the release has bytes after its end",
    )


def test_a_state_of_16_kibibytes_and_no_byte_more() -> None:
    room = STATE - len(encode_state([PAIR], b""))
    whole = encode_state([PAIR], bytes(room))
    assert len(whole) == STATE
    assert split_state(whole).body == bytes(room)
    no_state = ("malformed-state", "the state in the store is not one")
    assert word(lambda: split_state(encode_state([PAIR], bytes(room + 1)))) == no_state
    assert word(lambda: split_state(whole[1:])) == no_state
    assert word(lambda: split_state(b"")) == no_state
    assert word(lambda: split_state(STATE_MAGIC)) == ("malformed-state", "the state is cut short")
    assert (
        word(lambda: split_state(encode_state([PAIR], b"x") + b"\0"))[1]
        == "the state has bytes after its end"
    )


def chain_of(count: int) -> RootChain:
    keys = tuple(sorted(n.to_bytes(32, "big") for n in range(1, count + 1)))
    return RootChain((Root(1, keys),), ())


@pytest.mark.parametrize(
    ("count", "need", "good"), [(16, 1, True), (17, 1, False), (16, 16, True), (2, 3, False), (2, 0, False)]
)
def test_keys_of_a_root(count: int, need: int, good: bool) -> None:
    (root,) = chain_of(count).roots
    frames = FRAMES._replace(chain=RootChain((Root(need, root.keys),), ()))
    if good:
        assert split_release(encoded(frames)) == frames
        return
    with pytest.raises(ValueError, match="a root has 1 to 16 keys"):
        encoded(frames)
    raw = bytes([1, need, count, *b"".join(root.keys)])
    assert word(Cursor(raw).chain) == ("malformed-release", "the release has a root that is not one")


@pytest.mark.parametrize("count", [1, 16])
def test_as_many_signatures_as_there_may_be(count: int) -> None:
    assert split_state(encode_state([PAIR] * count, b"")).signatures == (PAIR,) * count


@pytest.mark.parametrize(("count", "least"), [(0, 1), (17, 1), (17, 0)])
def test_more_or_fewer_signatures(count: int, least: int) -> None:
    found = word(lambda: Cursor(bytes([count]) + bytes(96 * count)).pairs(least=least))
    assert found[1] == f"the release has a list of signatures that is not {least} to 16 long"
    if least:
        assert word(Cursor(bytes([count]) + bytes(96 * count)).pairs) == found
        with pytest.raises(ValueError, match=re.escape("there are 1 to 16 signatures")):
            encode_state([PAIR] * count, b"")


def test_a_locator_of_4096_bytes_and_no_byte_more() -> None:
    fields = {"trust": 1, "seq": 1, "rid": "0" * 32, "chunks": 2, "size": 200_000, "digest": "0" * 64}
    text = CHUNKS_MAGIC + canonical(fields)
    padded = text[:-1] + b" " * (4096 - len(text)) + b"}"
    assert len(padded) == 4096
    found = parse_locator(padded)
    assert found is not None
    assert found.chunks == 2
    assert word(lambda: parse_locator(padded[:-1] + b" }")) == (
        "malformed-locator",
        "the head names chunks in a way that no release is stored",
    )


def test_a_chunk_has_131072_bytes() -> None:
    order, rid, digest = Order(1, 1), "0" * 32, "0" * 64
    assert head_value(bytes(131_072), order, rid, digest) == (bytes(131_072), ())
    locator, chunks = head_value(bytes(131_073), order, rid, digest)
    assert [len(chunk) for chunk in chunks] == [131_072, 1]
    found = parse_locator(locator)
    assert found is not None
    assert (found.chunks, found.size) == (2, 131_073)


def located(**change: int) -> bool:
    fields = {"trust": 1, "seq": 1, "rid": "0" * 32, "chunks": 1, "size": 1, "digest": "0" * 64}
    try:
        return parse_locator(CHUNKS_MAGIC + canonical(fields | change)) is not None
    except TrustError:
        return False


def test_numbers_of_a_locator() -> None:
    assert located()
    assert located(trust=10**10 - 1)
    assert not located(trust=0)
    assert not located(trust=10**10)
    assert located(seq=0)
    assert located(seq=SEQ_LIMIT - 1)
    assert not located(seq=-1)
    assert not located(seq=SEQ_LIMIT)
    assert located(chunks=32, size=RELEASE)
    assert not located(chunks=33, size=RELEASE + 1)
    assert not located(chunks=0, size=0)
