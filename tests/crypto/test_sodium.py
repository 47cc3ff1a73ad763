"""Our calls of libsodium against PyNaCl's own, and against lengths that C would read past."""

from __future__ import annotations

import os

import nacl.bindings
import nacl.exceptions
import nacl.public
import nacl.secret
import nacl.signing
import nacl.utils
import pytest

from sealpipe.crypto import sodium

SECRET, OTHER = bytes(range(32)), bytes(range(32, 64))
SIZES = [0, 1, 15, 16, 31, 32, 33, 4096]


def test_keys_are_the_same() -> None:
    for secret in (SECRET, OTHER, os.urandom(32), bytes(32), b"\xff" * 32):
        public = bytes(nacl.public.PrivateKey(secret).public_key)
        assert sodium.public_of(secret) == public
        box = nacl.public.Box(nacl.public.PrivateKey(SECRET), nacl.public.PublicKey(public))
        assert sodium.shared_key(public, SECRET) == box.shared_key()
        seeded = nacl.signing.SigningKey(secret)
        pair = (bytes(seeded.verify_key), secret + bytes(seeded.verify_key))
        assert sodium.signing_pair(secret) == pair


@pytest.mark.parametrize("size", SIZES)
def test_what_one_encrypts_the_other_decrypts(size: int) -> None:
    plain, header, nonce = os.urandom(size), os.urandom(size), os.urandom(24)
    theirs = nacl.secret.Aead(SECRET)
    body = sodium.encrypt(plain, header, nonce, SECRET)
    assert body == theirs.encrypt(plain, header, nonce).ciphertext
    assert theirs.decrypt(body, header, nonce) == sodium.decrypt(body, header, nonce, SECRET) == plain


@pytest.mark.parametrize("size", SIZES)
def test_what_one_seals_the_other_opens(size: int) -> None:
    plain, public = os.urandom(size), sodium.public_of(SECRET)
    box = nacl.public.SealedBox(nacl.public.PrivateKey(SECRET))
    assert box.decrypt(sodium.seal(plain, public)) == plain
    sealed = nacl.public.SealedBox(nacl.public.PublicKey(public)).encrypt(plain)
    assert sodium.unseal(sealed, public, SECRET) == plain


@pytest.mark.parametrize("size", SIZES)
def test_padding_is_the_same(size: int) -> None:
    plain = os.urandom(size)
    padded = sodium.pad(plain, 32)
    assert padded == nacl.bindings.sodium_pad(plain, 32)
    assert sodium.unpad(padded, 32) == plain


@pytest.mark.parametrize("size", SIZES)
def test_signatures_are_the_same(size: int) -> None:
    message = os.urandom(size)
    public, secret = sodium.signing_pair(SECRET)
    signature = sodium.sign(message, secret)
    assert signature == nacl.signing.SigningKey(SECRET).sign(message).signature
    assert sodium.verify(message, public, signature)


def test_no_altered_bit_is_taken() -> None:
    public, secret = sodium.signing_pair(SECRET)
    key = sodium.public_of(SECRET)
    signature, message = sodium.sign(b"message", secret), b"message"
    body, sealed = sodium.encrypt(b"plain", b"header", bytes(24), SECRET), sodium.seal(b"plain", key)
    for changed in flips(signature):
        assert not sodium.verify(message, public, changed)
    for changed in flips(message):
        assert not sodium.verify(changed, public, signature)
    for changed in flips(public):
        assert not sodium.verify(message, changed, signature)
    for ways in (
        [(changed, b"header", bytes(24), SECRET) for changed in flips(body)],
        [(body, changed, bytes(24), SECRET) for changed in flips(b"header")],
        [(body, b"header", changed, SECRET) for changed in flips(bytes(24))],
        [(body, b"header", bytes(24), changed) for changed in flips(SECRET)],
    ):
        for way in ways:
            with pytest.raises(ValueError):
                sodium.decrypt(*way)
    for changed in flips(sealed):
        with pytest.raises(ValueError):
            sodium.unseal(changed, key, SECRET)


def flips(data: bytes) -> list[bytes]:
    return [
        bytes(byte ^ (1 << bit if at == where else 0) for at, byte in enumerate(data))
        for where in range(len(data))
        for bit in range(8)
    ]


@pytest.mark.parametrize("size", [0, 1, 31, 33, 64])
def test_keys_of_another_length_never_reach_c(size: int) -> None:
    bad, good = bytes(size), bytes(32)
    for call in (
        lambda: sodium.public_of(bad),
        lambda: sodium.shared_key(bad, good),
        lambda: sodium.shared_key(good, bad),
        lambda: sodium.encrypt(b"", b"", bytes(24), bad),
        lambda: sodium.decrypt(bytes(16), b"", bytes(24), bad),
        lambda: sodium.seal(b"", bad),
        lambda: sodium.unseal(bytes(48), bad, good),
        lambda: sodium.unseal(bytes(48), good, bad),
        lambda: sodium.signing_pair(bad),
    ):
        with pytest.raises(ValueError):
            call()


def test_nothing_else_of_another_length_reaches_c() -> None:
    for size in (0, 1, 23, 25, 32):
        with pytest.raises(ValueError):
            sodium.encrypt(b"", b"", bytes(size), SECRET)
        with pytest.raises(ValueError):
            sodium.decrypt(bytes(16), b"", bytes(size), SECRET)
    for size in (0, 15):
        with pytest.raises(ValueError):
            sodium.decrypt(bytes(size), b"", bytes(24), SECRET)
    for size in (0, 47):
        with pytest.raises(ValueError):
            sodium.unseal(bytes(size), sodium.public_of(SECRET), SECRET)
    for size in (0, 32, 63, 65):
        with pytest.raises(ValueError):
            sodium.sign(b"", bytes(size))
        assert not sodium.verify(b"", bytes(32), bytes(size))
        assert not sodium.verify(b"", bytes(size), bytes(64))
    for size in (0, 31):
        with pytest.raises(ValueError):
            sodium.unpad(bytes(size), 32)


def test_padding_that_is_none_is_refused() -> None:
    for bad in (bytes(32), b"\x01" * 32, b"\x80" + bytes(32), bytes(31) + b"\x81"):
        with pytest.raises(ValueError):
            sodium.unpad(bad, 32)


def test_a_point_of_low_order_makes_no_key() -> None:
    for point in (bytes(32), b"\x01" + bytes(31)):
        with pytest.raises(ValueError):
            sodium.shared_key(point, SECRET)
