"""What a reader checked once it need not check again: the very bytes, for the very unit, and nothing else."""

from __future__ import annotations

import pytest

from publishing import READER, A, B, content, put, release
from sealpipe.errors import TrustError
from sealpipe.testing.memory import MemoryStore


def test_the_same_bytes_are_the_same_release() -> None:
    store = MemoryStore()
    put(store, [content(A, {"n": 1})])
    found = release(store, A)
    knowing = READER.having([found])
    assert knowing.check(bytes(bytearray(found.raw)), A) is found
    assert READER.check(found.raw, A) is not found
    assert knowing.having([]).check(found.raw, A) is found


def test_another_unit_or_another_byte_is_checked() -> None:
    store = MemoryStore()
    put(store, [content(A, {"n": 1})])
    found = release(store, A)
    knowing = READER.having([found])
    with pytest.raises(TrustError) as caught:
        knowing.check(found.raw, B)
    assert caught.value.word == "foreign-unit"
    for at in range(0, len(found.raw), 97):
        changed = bytearray(found.raw)
        changed[at] ^= 1
        with pytest.raises(TrustError):
            knowing.check(bytes(changed), A)
