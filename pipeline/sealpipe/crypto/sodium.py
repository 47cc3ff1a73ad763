"""libsodium's functions that are used here, called where PyNaCl itself calls them.

`nacl.public`, `nacl.secret` and `nacl.signing` import thirty modules, which is more than a small command
does besides, and wrap each call in objects. C reads as many bytes as it expects, so every length is checked
here. Wrong lengths, failed authentication and keys of low order are all ValueError, without a reason.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    ffi: Any
    lib: Any
else:
    try:
        from nacl._sodium import ffi, lib
    except ImportError:  # the name is PyNaCl's own; this one has stood in it for all that time too
        from nacl.bindings.crypto_box import ffi, lib

if lib.sodium_init() < 0:
    raise ImportError("libsodium cannot be initialised")

_new, _buffer = ffi.new, ffi.buffer
_bytes = ffi.typeof("unsigned char[]")
_length = ffi.typeof("unsigned long long *")
_size = ffi.typeof("size_t *")
_TAG = 16
_SEAL = 48
_SIGNATURE = 64


def public_of(secret: bytes) -> bytes:
    """The X25519 public key of a secret one."""
    _check(secret, 32)
    public = _new(_bytes, 32)
    _done(lib.crypto_scalarmult_base(public, secret))
    return bytes(_buffer(public))


def shared_key(public: bytes, secret: bytes) -> bytes:
    """The box key of two parties (`crypto_box_beforenm`)."""
    _check(public, 32)
    _check(secret, 32)
    key = _new(_bytes, 32)
    _done(lib.crypto_box_beforenm(key, public, secret))
    return bytes(_buffer(key))


def encrypt(plain: bytes, header: bytes, nonce: bytes, key: bytes) -> bytes:
    """XChaCha20-Poly1305; `header` is authenticated with it. The tag stands at the end."""
    _check(nonce, 24)
    _check(key, 32)
    body, length = _new(_bytes, len(plain) + _TAG), _new(_length)
    _done(
        lib.crypto_aead_xchacha20poly1305_ietf_encrypt(
            body, length, plain, len(plain), header, len(header), ffi.NULL, nonce, key
        )
    )
    return bytes(_buffer(body, length[0]))


def decrypt(body: bytes, header: bytes, nonce: bytes, key: bytes) -> bytes:
    """What `encrypt` was given; ValueError unless every bit is as it was."""
    _check(nonce, 24)
    _check(key, 32)
    if len(body) < _TAG:
        raise ValueError
    plain, length = _new(_bytes, len(body) - _TAG or 1), _new(_length)
    _done(
        lib.crypto_aead_xchacha20poly1305_ietf_decrypt(
            plain, length, ffi.NULL, body, len(body), header, len(header), nonce, key
        )
    )
    return bytes(_buffer(plain, length[0]))


def pad(plain: bytes, block: int) -> bytes:
    """ISO/IEC 7816-4, to the next multiple of `block`."""
    padded, length = _new(_bytes, len(plain) + block), _new(_size)
    ffi.memmove(padded, plain, len(plain))
    _done(lib.sodium_pad(length, padded, len(plain), block, len(plain) + block))
    return bytes(_buffer(padded, length[0]))


def unpad(padded: bytes, block: int) -> bytes:
    """What `pad` was given."""
    if len(padded) < block:
        raise ValueError
    length = _new(_size)
    _done(lib.sodium_unpad(length, padded, len(padded), block))
    return padded[: length[0]]


def seal(message: bytes, public: bytes) -> bytes:
    """For the holder of the secret half, from nobody in particular (`crypto_box_seal`)."""
    _check(public, 32)
    sealed = _new(_bytes, len(message) + _SEAL)
    _done(lib.crypto_box_seal(sealed, message, len(message), public))
    return bytes(_buffer(sealed))


def unseal(sealed: bytes, public: bytes, secret: bytes) -> bytes:
    """What `seal` was given, with both halves of the key."""
    _check(public, 32)
    _check(secret, 32)
    if len(sealed) < _SEAL:
        raise ValueError
    message = _new(_bytes, len(sealed) - _SEAL or 1)
    _done(lib.crypto_box_seal_open(message, sealed, len(sealed), public, secret))
    return bytes(_buffer(message, len(sealed) - _SEAL))


def signing_pair(seed: bytes) -> tuple[bytes, bytes]:
    """The Ed25519 public key of a seed, and what `sign` wants."""
    _check(seed, 32)
    public, secret = _new(_bytes, 32), _new(_bytes, 64)
    _done(lib.crypto_sign_seed_keypair(public, secret, seed))
    return bytes(_buffer(public)), bytes(_buffer(secret))


def sign(message: bytes, secret: bytes) -> bytes:
    """A signature of 64 bytes."""
    _check(secret, 64)
    signed, length = _new(_bytes, len(message) + _SIGNATURE), _new(_length)
    _done(lib.crypto_sign(signed, length, message, len(message), secret))
    return bytes(_buffer(signed, _SIGNATURE))


def verify(message: bytes, public: bytes, signature: bytes) -> bool:
    """Whether the signature is this key's over the message."""
    if len(public) != 32 or len(signature) != _SIGNATURE:
        return False
    signed = signature + message
    opened, length = _new(_bytes, len(signed)), _new(_length)
    return bool(lib.crypto_sign_open(opened, length, signed, len(signed), public) == 0)


def _check(data: bytes, size: int) -> None:
    if len(data) != size:
        raise ValueError


def _done(code: int) -> None:
    if code != 0:
        raise ValueError
