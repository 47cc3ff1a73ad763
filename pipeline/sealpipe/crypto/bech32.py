"""Bech32 as age uses it: no length limit of 90, 32 bytes of data. Pure: names no cryptography."""

from __future__ import annotations

from collections.abc import Iterable

ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
LENGTH_LIMIT = 8192  # a post-quantum recipient has two thousand characters; it is refused by name
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)


def encode(prefix: str, data: bytes) -> str:
    """Lower-case bech32 of `data` under a lower-case human-readable prefix."""
    values = _regroup(data, 8, 5, pad=True)
    check = _polymod([*_expand(prefix), *values, *[0] * 6]) ^ 1
    values += [(check >> 5 * (5 - i)) & 31 for i in range(6)]
    return prefix + "1" + "".join(ALPHABET[v] for v in values)


def decode(prefix: str, text: str) -> bytes:
    """The bytes of a bech32 string in one case, all lower or all upper. Raises ValueError."""
    if len(text) > LENGTH_LIMIT:
        raise ValueError("far too long")
    if text not in (text.lower(), text.upper()) or not text.isascii():
        raise ValueError("mixed case")
    text = text.lower()
    if not text.startswith(prefix + "1"):
        raise ValueError("another kind of key")
    values = [ALPHABET.find(char) for char in text[len(prefix) + 1 :]]
    if len(values) < 6 or -1 in values:
        raise ValueError("a character that bech32 does not use")
    if _polymod([*_expand(prefix), *values]) != 1:
        raise ValueError("the checksum does not fit: a character is wrong or missing")
    return bytes(_regroup(values[:-6], 5, 8, pad=False))


def _expand(prefix: str) -> list[int]:
    return [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix]


def _polymod(values: Iterable[int]) -> int:
    check = 1
    for value in values:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for i, generator in enumerate(_GENERATOR):
            check ^= generator if (top >> i) & 1 else 0
    return check


def _regroup(data: Iterable[int], source: int, target: int, *, pad: bool) -> list[int]:
    held = bits = 0
    found: list[int] = []
    for value in data:
        held = (held << source | value) & 0xFFF
        bits += source
        while bits >= target:
            bits -= target
            found.append(held >> bits & (1 << target) - 1)
    rest = held & (1 << bits) - 1
    if pad:
        if bits:
            found.append(rest << target - bits)
    elif bits >= source or rest:
        raise ValueError("stray bits at the end")
    return found
