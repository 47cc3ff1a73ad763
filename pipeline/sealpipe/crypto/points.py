"""Which 32 bytes are an X25519 public key that a secret may be sealed to. Pure: names no cryptography."""

from __future__ import annotations

from sealpipe.errors import TrustError

_P = 2**255 - 19
# Points of order 1, 2, 4 and 8 in their only canonical spelling: every shared key with them is known.
_LOW_ORDER = (
    0,
    1,
    _P - 1,
    325606250916557431795983626356110631294008115727848805560023387167927233504,
    39382357235489614581723060781553021112529911719440698176882885853963445705823,
)


def check_point(public: bytes) -> bytes:
    """The same bytes. Raises TrustError [malformed-key] for a low-order point or a second spelling."""
    number = int.from_bytes(public, "little")
    if len(public) != 32 or number >= _P or number in _LOW_ORDER:
        raise TrustError(
            "malformed-key",
            "this is not an X25519 public key that anything may be sealed to",
            why=["its bytes are a point of low order or a second spelling of one"],
        )
    return public
