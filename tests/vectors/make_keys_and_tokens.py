"""Writes the vectors for keys, tokens, signatures and pins from the format's text, without the package.

Run once per format: `python tests/vectors/make_keys_and_tokens.py`. Another language's implementation can
be checked against the files; ours is, in tests/crypto/test_vectors.py.
"""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import nacl.bindings as sodium
import nacl.signing

HERE = Path(__file__).parent
Row = dict[str, Any]
BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"


def vector(name: str, do: str, given: Row, gives: Row | None = None, refused: str = "") -> Row:
    """One case in the shape that all the files have: README.md beside this program."""
    assert (gives is None) == bool(refused), name
    return {"name": name, "do": do, "given": given} | ({"refused": refused} if refused else {"gives": gives})


def save(name: str, rows: list[Row]) -> None:
    text = json.dumps({"format": 1, "vectors": rows}, indent=1, ensure_ascii=False)
    (HERE / f"{name}.json").write_text(text + "\n", "utf-8")


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def lp(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


def h(size: int, label: str, data: bytes) -> bytes:
    return hashlib.blake2b(label.encode() + b"\n" + data, digest_size=size).digest()


def bech32(prefix: str, data: bytes) -> str:
    bits = int.from_bytes(data, "big") << (-len(data) * 8) % 5
    count = -(-len(data) * 8 // 5)
    values = [bits >> 5 * (count - 1 - i) & 31 for i in range(count)]
    expanded = [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix]
    check = 1
    for value in [*expanded, *values, 0, 0, 0, 0, 0, 0]:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for i, gen in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            check ^= gen if top >> i & 1 else 0
    check ^= 1
    values += [check >> 5 * (5 - i) & 31 for i in range(6)]
    return prefix + "1" + "".join(BECH32[v] for v in values)


def keys() -> list[dict[str, str]]:
    rows = []
    for number in range(8):
        secret = hashlib.sha256(b"sealpipe vector %d" % number).digest()
        public = sodium.crypto_scalarmult_base(secret)
        seed = hashlib.blake2b(b"sealpipe.sign.1\n", key=secret, digest_size=32).digest()
        rows.append(
            {
                "secret": secret.hex(),
                "identity": bech32("age-secret-key-", secret).upper(),
                "public": public.hex(),
                "recipient": bech32("age", public),
                "text": f"x25519:{b64(public)}",
                "key_id": h(8, "sealpipe.kid.1", public).hex(),
                "signing_seed": seed.hex(),
                "signing_public": f"ed25519:{b64(bytes(nacl.signing.SigningKey(seed).verify_key))}",
                "machine_key": bech32("sealpipe-signing-key-", secret).upper(),
            }
        )
    return rows


def segment(part: object) -> bytes:
    if isinstance(part, str):
        return b"k" + lp(part.encode())
    return b"m" + lp(json.dumps(part, ensure_ascii=False, separators=(",", ":")).encode())


PLACES = [
    ("production", "checkout", ["db", "password"]),
    ("production", "_all", ["a.b", "c/d", "e~f"]),
    ("dev", "checkout", ["replicas", ["name", "eu"], "password"]),
    ("dev", "checkout", ["replicas", ["id", 1], "password"]),
    ("dev", "checkout", ["replicas", ["id", "1"], "password"]),
    ("dev", "checkout", ["replicas", "1", "password"]),
    ("dev", "checkout", ["replicas", ["on", True], "password"]),
    ("dev", "größe", ["schlüssel ✓"]),
]
PLAIN = [
    ("str", b""),
    ("str", b"correct horse battery staple"),
    ("str", "grüße ✓ \U0001d54f".encode()),
    ("str", b"x" * 31),
    ("str", b"x" * 32),
    ("int", b"0"),
    ("int", b"-9007199254740991"),
    ("float", b"0.1"),
    ("float", b"1e+21"),
    ("bool", b"true"),
    ("object", '{"a":1,"b":[true,null,1.5],"é":"\\n"}'.encode()),
    ("array", b"[]"),
    ("bytes", bytes(range(256))),
]


def tokens() -> list[dict[str, object]]:
    rows = []
    for number, (kind, plain) in enumerate(PLAIN):
        environment, document, path = PLACES[number % len(PLACES)]
        place = (
            lp(environment.encode())
            + lp(document.encode())
            + len(path).to_bytes(4, "big")
            + b"".join(map(segment, path))
        )
        secret = hashlib.sha256(b"document %d" % number).digest()
        ephemeral = hashlib.sha256(b"ephemeral %d" % number).digest()
        random = hashlib.sha256(b"random %d" % number).digest()[:16]
        public = sodium.crypto_scalarmult_base(secret)
        eph_public = sodium.crypto_scalarmult_base(ephemeral)
        tag = h(8, "sealpipe.place.1", place)
        ad = b"SEALPIPE-VALUE-1\n" + public + eph_public + lp(kind.encode()) + place
        padded = plain + b"\x80" + b"\0" * (31 - len(plain) % 32)
        body = sodium.crypto_aead_xchacha20poly1305_ietf_encrypt(
            padded, ad, tag + random, sodium.crypto_box_beforenm(public, ephemeral)
        )
        kid = h(8, "sealpipe.kid.1", public)
        rows.append(
            {
                "environment": environment,
                "document": document,
                "path": path,
                "place": place.hex(),
                "place_tag": tag.hex(),
                "type": kind,
                "plain": plain.hex(),
                "document_secret": secret.hex(),
                "document_public": public.hex(),
                "ephemeral_secret": ephemeral.hex(),
                "random": random.hex(),
                "token": f"ENC[NACL1,type:{kind},data:{b64(kid + eph_public + tag + random + body)}]",
            }
        )
    return rows


def signatures() -> list[dict[str, str]]:
    rows = []
    for number, kind in enumerate(("ROOT", "TRUST", "KEYRING", "RELEASE", "APPROVAL", "STATE")):
        seed = hashlib.sha256(b"signer %d" % number).digest()
        body = b"body %d" % number * number
        key = nacl.signing.SigningKey(seed)
        message = f"SEALPIPE-{kind}-1\n".encode() + hashlib.blake2b(body).digest()
        rows.append(
            {
                "kind": kind,
                "seed": seed.hex(),
                "public": bytes(key.verify_key).hex(),
                "body": body.hex(),
                "signature": key.sign(message).signature.hex(),
            }
        )
    return rows


def pins() -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for number, (need, count) in enumerate(((1, 1), (1, 2), (2, 3), (5, 16))):
        project = hashlib.sha256(b"project %d" % number).hexdigest()[:32]
        publics = sorted(
            bytes(nacl.signing.SigningKey(hashlib.sha256(b"root %d" % i).digest()).verify_key)
            for i in range(count)
        )
        digest = h(32, "sealpipe.root.1", bytes.fromhex(project) + bytes([need, count]) + b"".join(publics))
        bits = int.from_bytes(digest, "big") << 4
        text = "".join(BECH32[bits >> shift & 31] for shift in range(255, -1, -5))
        rows.append(
            {
                "project": project,
                "need": need,
                "keys": [key.hex() for key in publics],
                "digest": digest.hex(),
                "pin": "st1-" + "-".join(text[at : at + 4] for at in range(0, 52, 4)),
            }
        )
    return rows


def shaped(do: str, rows: list[Any], given: str) -> list[Row]:
    names = given.split()
    return [
        vector(
            f"{do} {number}",
            do,
            {name: row[name] for name in names},
            {name: value for name, value in row.items() if name not in names},
        )
        for number, row in enumerate(rows)
    ]


def main() -> None:
    save("keys", shaped("identity", keys(), "identity"))
    inputs = "environment document path document_secret ephemeral_secret random token"
    save("tokens", shaped("value", tokens(), inputs))
    save("signatures", shaped("signature", signatures(), "kind public body signature"))
    save("pins", shaped("pin", pins(), "project need keys"))


if __name__ == "__main__":
    main()
