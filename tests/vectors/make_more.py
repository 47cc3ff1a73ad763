"""Writes the vectors for all that is read below and beside a release: values, keys, pins, JSON, places,
boxes, heads, keyrings, states, and for releases opened with the reader's own key. Without the package.

Run once per format, after the other two: `python tests/vectors/make_more.py`.
"""

from __future__ import annotations

import hashlib
from typing import Any

import nacl.bindings as sodium
from make_keys_and_tokens import BECH32, Row, b64, bech32, h, lp, save, segment, vector
from make_releases import (
    PROJECT,
    case,
    changed,
    document_secret,
    draft,
    jcs,
    link,
    pin,
    public,
    release,
    root,
    shaped,
    signature,
    signatures,
    token,
    trust,
    with_facts,
)

ENV, DOC, PATH = "production", "checkout", ["db", "password"]
SECRET = document_secret("production/checkout")


def place(path: list[Any], environment: str = ENV, document: str = DOC) -> bytes:
    parts = b"".join(map(segment, path))
    return lp(environment.encode()) + lp(document.encode()) + len(path).to_bytes(4, "big") + parts


def sealed(kind: str, plain: bytes, padded: bytes | None = None, said: str = "") -> bytes:
    """The bytes of a value; `padded` and `said` make a wrong one: its padding, its type as bound."""
    where, to = place(PATH), sodium.crypto_scalarmult_base(SECRET)
    ephemeral = hashlib.sha256(b"more ephemeral" + kind.encode() + plain[:99]).digest()
    ours, tag = sodium.crypto_scalarmult_base(ephemeral), h(8, "sealpipe.place.1", where)
    nonce = tag + hashlib.sha256(b"more random" + plain[:99]).digest()[:16]
    box = sodium.crypto_aead_xchacha20poly1305_ietf_encrypt(
        plain + b"\x80" + b"\0" * (31 - len(plain) % 32) if padded is None else padded,
        b"SEALPIPE-VALUE-1\n" + to + ours + lp((said or kind).encode()) + where,
        nonce,
        sodium.crypto_box_beforenm(to, ephemeral),
    )
    return h(8, "sealpipe.kid.1", to) + ours + nonce + box


def text(kind: str, raw: bytes) -> str:
    return f"ENC[NACL1,type:{kind},data:{b64(raw)}]"


SPELLINGS: list[tuple[str, str, bytes]] = [
    ("int with a leading zero", "int", b"01"),
    ("int with a plus", "int", b"+1"),
    ("int minus zero", "int", b"-0"),
    ("int that is empty", "int", b""),
    ("int with a line end", "int", b"1\n"),
    ("int beyond 2^53-1", "int", b"9007199254740992"),
    ("int in other digits", "int", "\u0661".encode()),
    ("float spelt 1.0", "float", b"1.0"),
    ("float minus zero", "float", b"-0"),
    ("float Infinity", "float", b"Infinity"),
    ("float 1e21 without plus", "float", b"1e21"),
    ("bool True", "bool", b"True"),
    ("bool 1", "bool", b"1"),
    ("object with a space", "object", b'{"a": 1}'),
    ("object with a key twice", "object", b'{"a":1,"a":1}'),
    ("object unsorted", "object", b'{"b":1,"a":1}'),
    ("object that is a list", "object", b"[]"),
    ("object with a needless escape", "object", b'{"a":"\\u0062"}'),
    ("array that is a map", "array", b"{}"),
    ("array of 33 levels", "array", b"[" * 33 + b"]" * 33),
    ("str with NUL", "str", b"a\0b"),
    ("str that is not UTF-8", "str", b"\xff"),
    ("str with a coded surrogate", "str", b"\xed\xa0\x80"),
]
RIGHT: list[tuple[str, str, bytes]] = [
    ("float that is whole", "float", b"5"),
    ("float of 21 digits", "float", b"100000000000000000000"),
    ("array of 32 levels", "array", b"[" * 32 + b"]" * 32),
    ("object sorted by UTF-16", "object", '{"\U0001f600":1,"\ufb33":2}'.encode()),
    ("str with BOM", "str", "\ufeffx".encode()),
    ("65536 bytes", "bytes", bytes(65536)),
    ("no bytes", "bytes", b""),
]


def values() -> list[Row]:
    raw, ok = sealed("str", b"secret"), text("str", sealed("str", b"secret"))
    given = {"environment": ENV, "document": DOC, "path": PATH, "document_secret": SECRET.hex(), "token": ok}

    def no(name: str, word: str, **change: Any) -> Row:
        return vector(name, "value", given | change, refused=word)

    def bits(at: int) -> str:
        return text("str", raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :])

    return [
        *(
            vector(
                name,
                "value",
                given | {"token": text(kind, sealed(kind, plain))},
                {"type": kind, "plain": plain.hex()},
            )
            for name, kind, plain in RIGHT
        ),
        no("no end", "malformed-secret", token=ok[:-1]),
        no("something after it", "malformed-secret", token=ok + " "),
        no("a line end after it", "malformed-secret", token=ok + "\n"),
        no("padded base64", "malformed-secret", token=ok.replace("]", "=]")),
        no("plain base64", "malformed-secret", token=ok[:30] + "+" + ok[31:]),
        no("an unknown type", "malformed-secret", token=ok.replace("type:str", "type:text")),
        no("a type in capitals", "malformed-secret", token=ok.replace("type:str", "type:STR")),
        no("another method", "malformed-secret", token=ok.replace("NACL1", "NACL2")),
        no("a space", "malformed-secret", token=ok.replace(",data", ", data")),
        no("stray bits", "malformed-secret", token=stray(text("str", raw))),
        no("no data", "malformed-secret", token="ENC[NACL1,type:str,data:]"),
        no("cut by 32", "malformed-secret", token=text("str", raw[:-32])),
        no("cut by one", "malformed-secret", token=text("str", raw[:-1])),
        no("for another key", "unreadable-secret", document_secret=document_secret("production/_all").hex()),
        no("another key id", "unreadable-secret", token=bits(7)),
        no("at another path", "unreadable-secret", path=["db", "other"]),
        no("in another document", "unreadable-secret", document="_all"),
        no("in another environment", "unreadable-secret", environment="dev"),
        no("another place tag", "unreadable-secret", token=bits(40)),
        no("another ephemeral key", "unreadable-secret", token=bits(8)),
        no("another random part", "unreadable-secret", token=bits(63)),
        no("another first byte", "unreadable-secret", token=bits(64)),
        no("another tag", "unreadable-secret", token=bits(len(raw) - 1)),
        no("said to be of another type", "unreadable-secret", token=ok.replace("type:str", "type:bytes")),
        no(
            "ephemeral key of low order",
            "unreadable-secret",
            token=text("str", raw[:8] + bytes(32) + raw[40:]),
        ),
        no("no padding", "unreadable-secret", token=text("str", sealed("str", b"np", b"x" * 32))),
        no(
            "a block of padding too many",
            "unreadable-secret",
            token=text("str", sealed("str", b"two", b"two\x80" + bytes(60))),
        ),
        no("65537 bytes", "unreadable-secret", token=text("bytes", sealed("bytes", bytes(65537)))),
        *(
            no(name, "unreadable-secret", token=text(kind, sealed(kind, plain)))
            for name, kind, plain in SPELLINGS
        ),
    ]


def stray(ok: str) -> str:
    """The same bytes with a bit set that base64url leaves unused."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return ok[:-2] + alphabet[alphabet.index(ok[-2]) | 1] + "]"


P25519 = 2**255 - 19
ORDER8 = "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"


def keys() -> list[Row]:
    secret = hashlib.sha256(b"more key").digest()
    pub = sodium.crypto_scalarmult_base(secret)
    identity, recipient = bech32("age-secret-key-", secret).upper(), bech32("age", pub)
    machine = bech32("sealpipe-signing-key-", secret).upper()
    zero, one = bytes(32), (1).to_bytes(32, "little")

    def ok(name: str, kind: str, spelt: str, key: bytes) -> Row:
        return vector(name, "key", {"kind": kind, "text": spelt}, {"key": key.hex()})

    def no(name: str, kind: str, spelt: str, word: str = "malformed-key") -> Row:
        return vector(name, "key", {"kind": kind, "text": spelt}, refused=word)

    def x(raw: bytes) -> str:
        return f"x25519:{b64(raw)}"

    return [
        ok("an identity", "identity", identity, secret),
        ok("a machine's key", "machine", machine, secret),
        ok("an identity in small letters", "identity", identity.lower(), secret),
        ok("an identity with a line end", "identity", identity + "\n", secret),
        ok("a recipient with spaces", "recipient", f" {recipient} ", pub),
        no("a point with a line end", "x25519", x(pub) + "\n"),
        ok("a recipient", "recipient", recipient, pub),
        no(
            "identity with a wrong checksum",
            "identity",
            identity[:-1] + ("Q" if identity[-1] != "Q" else "P"),
        ),
        no("identity cut", "identity", identity[:-1]),
        no("identity of mixed case", "identity", "age" + identity[3:]),
        no("machine's key as an identity", "identity", machine),
        no("identity as a machine's key", "machine", identity, "unsupported-key"),
        no(
            "recipient with a wrong checksum",
            "recipient",
            recipient[:-1] + ("q" if recipient[-1] != "q" else "p"),
        ),
        no("recipient of 31 bytes", "recipient", bech32("age", pub[:31])),
        no("recipient of order 1", "recipient", bech32("age", one)),
        no("recipient of a plugin", "recipient", bech32("age1yubikey", pub), "unsupported-key"),
        no("recipient that is post-quantum", "recipient", bech32("age1pq", pub), "unsupported-key"),
        no("recipient of SSH", "recipient", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA", "unsupported-key"),
        no("point 0", "x25519", x(zero)),
        no("point 1", "x25519", x(one)),
        no("point of order 8", "x25519", x(bytes.fromhex(ORDER8))),
        no("point p", "x25519", x(P25519.to_bytes(32, "little"))),
        no("point p + 9", "x25519", x((P25519 + 9).to_bytes(32, "little"))),
        no("point with the top bit", "x25519", x(pub[:31] + bytes([pub[31] | 128]))),
        no("point of 31 bytes", "x25519", x(pub[:31])),
        no("point padded", "x25519", x(pub) + "="),
        no("point with another label", "x25519", f"ed25519:{b64(pub)}"),
        no("signing key of 33 bytes", "ed25519", f"ed25519:{b64(pub + zero[:1])}"),
    ]


def signed() -> list[Row]:
    body = b"a body"
    kinds = ("ROOT", "TRUST", "KEYRING", "RELEASE", "APPROVAL", "STATE")
    rows = []
    for at, kind in enumerate(kinds):
        given = {"kind": kinds[at - 1], "public": public("anna").hex(), "body": body.hex()}
        given["signature"] = signature(kind, body, "anna").hex()
        rows.append(vector(f"{kind} as {kinds[at - 1]}", "signature", given, refused="bad-signature"))
    good = {"kind": "TRUST", "public": public("anna").hex(), "body": body.hex()}
    made = signature("TRUST", body, "anna")
    for name, change in (
        ("of another body", {"body": b"a bodz".hex(), "signature": made.hex()}),
        ("by another key", {"public": public("ben").hex(), "signature": made.hex()}),
        ("one bit", {"signature": (bytes([made[0] ^ 1]) + made[1:]).hex()}),
        (
            "s + L",
            {
                "signature": (
                    made[:32] + (int.from_bytes(made[32:], "little") + L).to_bytes(32, "little")
                ).hex()
            },
        ),
        ("of the key 1", {"public": (b"\1" + bytes(31)).hex(), "signature": (b"\1" + bytes(63)).hex()}),
    ):
        rows.append(vector(name, "signature", good | change, refused="bad-signature"))
    return rows


L = 2**252 + 27742317777372353535851937790883648493


def read_pins() -> list[Row]:
    one, two = pin(root(1, "anna")), pin(root(1, "ben"))

    def digest(name: str) -> str:
        return h(32, "sealpipe.root.1", bytes.fromhex(PROJECT) + root(1, name)).hex()

    def no(name: str, spelt: str) -> Row:
        return vector(name, "pins", {"pins": spelt}, refused="malformed-pin")

    stray_bits = one[:-1] + BECH32[BECH32.index(one[-1]) | 1]
    return [
        vector("one", "pins", {"pins": one}, {"pins": [[digest("anna"), 0]]}),
        vector("a version", "pins", {"pins": one + "@12"}, {"pins": [[digest("anna"), 12]]}),
        vector(
            "two", "pins", {"pins": f"{one}@2,{two}"}, {"pins": [[digest("anna"), 2], [digest("ben"), 0]]}
        ),
        no("empty", ""),
        no("another label", "st2" + one[3:]),
        no("cut", one[:-1]),
        no("a character that bech32 has not", one[:-1] + "b"),
        no("capitals", one.upper()),
        no("the last bits not zero", stray_bits),
        no("no version after @", one + "@"),
        no("version that is no number", one + "@x"),
        no("a comma and nothing", one + ","),
        no("groups joined", one.replace("-", "").replace("st1", "st1-")),
    ]


JSON_RIGHT: list[tuple[str, bytes, bytes]] = [
    ("keys sorted by UTF-16", '{"\ufb33":1,"\U0001f600":2}'.encode(), '{"\U0001f600":2,"\ufb33":1}'.encode()),
    ("white space", b' { "b" : [ 1 , 2 ] ,\n"a":\t{} } ', b'{"a":{},"b":[1,2]}'),
    ("escapes", rb'"\u00e9\/\u20ac\u0001\u007f\n"', '"é/€\\u0001\x7f\\n"'.encode()),
    ("a pair of surrogates", rb'"\ud83d\ude00"', '"\U0001f600"'.encode()),
    (
        "numbers",
        b"[1.0,1e2,0.1,1e21,1e-7,100000000000000000000]",
        b"[1,100,0.1,1e+21,1e-7,100000000000000000000]",
    ),
    ("minus zero", b"[-0,-0.0]", b"[0,0]"),
    (
        "the largest integers",
        b"[9007199254740991,-9007199254740991]",
        b"[9007199254740991,-9007199254740991]",
    ),
    ("64 levels", b"[" * 64 + b"]" * 64, b"[" * 64 + b"]" * 64),
    ("a key named __proto__", b'{"__proto__":1}', b'{"__proto__":1}'),
]
JSON_WRONG: list[tuple[str, bytes]] = [
    ("a key twice", b'{"a":1,"a":2}'),
    ("a key twice after unescaping", rb'{"a":1,"\u0061":2}'),
    ("NaN", b"[NaN]"),
    ("Infinity", b"[-Infinity]"),
    ("a number that overflows", b"1e400"),
    ("an integer beyond 2^53-1", b"9007199254740993"),
    ("2^53 as an integer", b"9007199254740992x"[:-1]),
    ("a large integer spelt in another way", b"100000000000000000001"),
    ("a lone surrogate", rb'"\ud800"'),
    ("a lone surrogate in a key", rb'{"\udc00":1}'),
    ("a BOM", b"\xef\xbb\xbf{}"),
    ("not UTF-8", b'"\xff"'),
    ("65 levels", b"[" * 65 + b"]" * 65),
    ("something after it", b"{} {}"),
    ("a comma too many", b"[1,]"),
    ("a comment", b"{}//"),
    ("a leading zero", b"[01]"),
    ("a control character", b'"\t"'),
    ("single quotes", b"{'a':1}"),
    ("nothing", b""),
]


def json_texts() -> list[Row]:
    # 2^53 is how RFC 8785 writes that float, so it is read as one.
    exact = b"9007199254740992"
    return [
        vector("2^53 is a float", "json", {"bytes": exact.hex()}, {"canonical": exact.hex()}),
        *(vector(n, "json", {"bytes": raw.hex()}, {"canonical": out.hex()}) for n, raw, out in JSON_RIGHT),
        *(
            vector(n, "json", {"bytes": raw.hex()}, refused="malformed-json")
            for n, raw in JSON_WRONG
            if raw != exact
        ),
    ]


def places() -> list[Row]:
    base = draft() | {"sealed": {}}
    base["values"]["ids"] = [{"id": 1, "x": 0}, {"id": "1", "x": 0}, {"id": True, "x": 0}]
    base["values"]["plain"] = [{"x": 0}]
    base["values"]["a/b~c"] = {"": 0}
    base["merge_keys"]["/ids"] = "id"
    spots: list[tuple[str, list[Any]]] = [
        ("/db/password", ["db", "password"]),
        ("/replicas/1/url", ["replicas", ["name", "us"], "url"]),
        ("/ids/0/x", ["ids", ["id", 1], "x"]),
        ("/ids/1/x", ["ids", ["id", "1"], "x"]),
        ("/ids/2/x", ["ids", ["id", True], "x"]),
        ("/a~1b~0c/", ["a/b~c", ""]),
    ]
    given = {"draft": jcs(base).hex(), "environment": ENV, "document": DOC}
    bad = [
        "/plain/0/x",
        "/nothing",
        "/db/password/more",
        "/replicas/2/url",
        "/replicas/01/url",
        "/replicas/-/url",
    ]
    return [
        *(vector(p, "place", given | {"pointer": p}, {"place": place(path).hex()}) for p, path in spots),
        *(vector(p, "place", given | {"pointer": p}, refused="no-place") for p in bad),
    ]


def box(plain: bytes, to: bytes, salt: bytes = b"") -> bytes:
    """A libsodium sealed box with an ephemeral key that is the same at every run."""
    ephemeral = hashlib.sha256(b"box" + plain + to + salt).digest()
    ours = sodium.crypto_scalarmult_base(ephemeral)
    nonce = hashlib.blake2b(ours + to, digest_size=24).digest()
    return ours + sodium.crypto_box(plain, nonce, to, ephemeral)


def reader_key(name: str) -> tuple[bytes, bytes]:
    secret = h(32, "sealpipe vector reader", name.encode())
    return secret, sodium.crypto_scalarmult_base(secret)


def boxes() -> list[Row]:
    secret, to = reader_key("anna")
    inner, stated = reader_key("inner")
    made = box(inner, to)
    given = {"box": made.hex(), "secret": secret.hex(), "stated": stated.hex()}

    def no(name: str, **change: str) -> Row:
        return vector(name, "box", given | change, refused="foreign-box")

    return [
        vector("a box", "box", given, {"opened": inner.hex()}),
        no("for somebody else", secret=reader_key("ben")[0].hex()),
        no("one bit", box=(made[:79] + bytes([made[79] ^ 1])).hex()),
        no("another ephemeral key", box=(bytes([made[0] ^ 1]) + made[1:]).hex()),
        no("another key inside", box=box(reader_key("other")[0], to).hex()),
    ]


def opened() -> list[Row]:
    """Releases opened with a service's own key, through the boxes in the draft."""
    secret, to = reader_key("service")
    mine = h(8, "sealpipe.kid.1", to).hex()
    stanzas: Row = {}
    for name in ("checkout", "_all"):
        key = document_secret(f"production/{name}")
        kid = h(8, "sealpipe.kid.1", sodium.crypto_scalarmult_base(key)).hex()
        stanzas[f"production/{name}"] = {kid: {mine: b64(box(key, to))}}
    kid = next(iter(stanzas["production/checkout"]))
    one = "/db/password"
    plains = {one: "correct horse", "/replicas/1/url": "postgres://us"}

    def row(name: str, change: Row, word: str = "", key: bytes = secret) -> Row:
        found = shaped(case(name, word or "-", release(draft={"stanzas": stanzas} | change)))
        found["given"]["identity"] = key.hex()
        if not word:
            del found["refused"]
            found["gives"] = {"opened": plains}
        else:
            found["refused"] = word
        return found

    foreign = b64(box(document_secret("production/_all"), to))
    raw = token(b"x", ENV, DOC, PATH)
    wrong = raw[:-6] + ("A" if raw[-6] != "A" else "B") + raw[-5:]
    return [
        row("opened with the reader's key", {}),
        row("no box for this reader", {}, "no-access", reader_key("other")[0]),
        row("no boxes at all", {"stanzas": {}}, "no-access"),
        row("box under another document key's id", {"stanzas": with_kid(stanzas, "00" * 8)}, "no-access"),
        row(
            "box with another key inside",
            {f"stanzas.production/checkout.{kid}.{mine}": foreign},
            "no-access",
        ),
        row(
            "box for another reader",
            {
                f"stanzas.production/checkout.{kid}.{mine}": b64(
                    box(document_secret("production/checkout"), reader_key("x")[1])
                )
            },
            "no-access",
        ),
        row("altered value", {"values.db.password": wrong}, "unreadable-secret"),
    ]


def with_kid(stanzas: Row, kid: str) -> Row:
    return {name: {kid: next(iter(found.values()))} for name, found in stanzas.items()}


def heads() -> list[Row]:
    size, rid = 131072 * 2 + 5, "0123456789abcdef" * 2
    at = f"production/chunks/checkout/0000000007-001790000000000-{rid}"
    chunks = {f"{at}/{i}": {"byte": f"{i + 65:02x}", "size": n} for i, n in enumerate((131072, 131072, 5))}
    whole = b"A" * 131072 + b"B" * 131072 + b"C" * 5
    locator = {"trust": 7, "seq": 1790000000000, "rid": rid, "chunks": 3, "size": size, "digest": "dd" * 32}
    magic = b"SEALPIPE-CHUNKS-1\n"
    given = {"environment": ENV, "service": DOC, "chunks": chunks}

    def head(**change: Any) -> Row:
        return given | {"head": (magic + jcs(changed(locator, change))).hex()}

    def no(name: str, word: str = "malformed-locator", **change: Any) -> Row:
        return vector(name, "head", head(**change), refused=word)

    small = b"SEALPIPE-RELEASE-1\nsmall"
    return [
        vector(
            "put together",
            "head",
            head(),
            {"size": size, "blake2b": hashlib.blake2b(whole, digest_size=32).hexdigest()},
        ),
        vector(
            "a release as it is",
            "head",
            given | {"head": small.hex()},
            {"size": len(small), "blake2b": hashlib.blake2b(small, digest_size=32).hexdigest()},
        ),
        no("a chunk missing", "incomplete-head", rid="ff" * 16),
        no("a chunk of another order", "incomplete-head", seq=1790000000001),
        no("too many chunks", chunks=4),
        no("too few chunks", chunks=2),
        no("larger than 4 MiB", size=4 * 1024 * 1024 + 1, chunks=33),
        no("size 0", size=0, chunks=0),
        no("no chunks", chunks=0),
        no("a negative size", size=-1),
        no("a size that is text", size="262149"),
        no("a size that is a float", size=262149.5),
        no("seq of 2^48", seq=2**48),
        no("trust version 0", trust=0),
        no("rid that climbs", rid="../../../../dev/chunks/x/../../ab"),
        no("rid in capitals", rid=rid.upper()),
        no("digest cut", digest="dd" * 31),
        no("trust version of 10^10", trust=10**10),
        vector(
            "larger than 4 KiB",
            "head",
            given | {"head": (magic + jcs(locator) + b" " * 4000).hex()},
            refused="malformed-locator",
        ),
        vector(
            "white space", "head", given | {"head": (magic + jcs(locator) + b" \n").hex()}, {"size": size}
        ),
        no("another sum of sizes", "incomplete-head", size=size + 1),
        no("a field more", more=1),
        no("a field missing", digest=...),
        vector("no JSON", "head", given | {"head": (magic + b"{").hex()}, refused="malformed-locator"),
        vector("a list", "head", given | {"head": (magic + b"[]").hex()}, refused="malformed-locator"),
    ]


def newer() -> list[Row]:
    have = {"trust": 7, "seq": 100, "digest": "aa" * 32, "trust_digest": "11" * 32}

    def row(name: str, result: str, refused: str = "", **change: Any) -> Row:
        given = {"have": have, "offered": have | {"digest": "bb" * 32} | change}
        return vector(name, "newer", given, None if refused else {"is": result}, refused)

    return [
        row("the same", "same", digest="aa" * 32),
        row("a higher seq", "newer", seq=101),
        row("a lower seq", "older", seq=99),
        row("a higher trust version with a lower seq", "newer", trust=8, seq=1, trust_digest="22" * 32),
        row("a lower trust version with a higher seq", "older", trust=6, seq=2**47, trust_digest="22" * 32),
        row("one order, two releases", "", "two-releases"),
        row("another trust document of one version", "", "forked-trust", seq=101, trust_digest="22" * 32),
        row("the same with a lower seq", "", "forked-trust", seq=99, trust_digest="22" * 32),
        row("the same at one order", "", "forked-trust", trust_digest="22" * 32),
    ]


def keyring_parts() -> tuple[Row, Row]:
    readers = {name: reader_key(name) for name in ("anna", "checkout")}
    people, people_public = reader_key("people")
    doc, doc_public = reader_key("document")
    old, old_public = reader_key("old document")
    other, other_public = reader_key("other document")
    body = {
        "format": 1,
        "project": PROJECT,
        "environment": ENV,
        "version": 3,
        "past": ["00" * 32],
        "people": {"public": f"x25519:{b64(people_public)}"},
        "keys": {
            "checkout": {
                "public": f"x25519:{b64(doc_public)}",
                "private": {
                    "people": b64(box(doc, people_public)),
                    "svc": b64(box(doc, readers["checkout"][1])),
                },
                "previous": [{"public": f"x25519:{b64(old_public)}", "private": b64(box(old, doc_public))}],
            },
            "mailer": {
                "public": f"x25519:{b64(other_public)}",
                "private": {"people": b64(box(other, people_public))},
            },
        },
        "readers": {
            "anna": {
                "read": bech32("age", readers["anna"][1]),
                "kind": "person",
                "box": b64(box(people, readers["anna"][1])),
            },
            "svc": {
                "read": bech32("age", readers["checkout"][1]),
                "kind": "machine",
                "unit": "production/checkout",
            },
        },
    }
    gives = {"checkout": [doc.hex(), old.hex()], "mailer": [other.hex()]}
    return body, gives


def keyrings() -> list[Row]:
    body, all_documents = keyring_parts()
    anna, svc, ben = (reader_key(name)[0] for name in ("anna", "checkout", "ben"))
    who: Row = {"trust": trust(), "environment": ENV, "secret": anna.hex()}

    def made(change: Row, by: tuple[str, ...] = ("anna",), after: Row | None = None) -> Row:
        data = changed(body, change)
        signed = [{"by": n, "sig": b64(signature("KEYRING", jcs(data), n))} for n in by]
        return {"keyring": changed(data | {"signatures": signed}, after or {})}

    def no(name: str, word: str, change: Row | None = None, given: Row | None = None, **how: Any) -> Row:
        return vector(name, "keyring", who | made(change or {}, **how) | (given or {}), refused=word)

    machine = {"secret": svc.hex()}
    to = reader_key("ben")[1]
    other_box = b64(box(reader_key("x")[0], reader_key("people")[1]))
    return [
        vector("a person", "keyring", who | made({}), {"documents": all_documents}),
        vector(
            "a machine",
            "keyring",
            who | made({}) | machine,
            {"documents": {"checkout": all_documents["checkout"]}},
        ),
        vector(
            "a foreign signature beside",
            "keyring",
            who | made({}, by=("ben", "anna")),
            {"documents": all_documents},
        ),
        no("signed by nobody", "unsigned-keyring", by=()),
        no("signed by who is no admin", "unsigned-keyring", by=("ben",)),
        no("signed by one admin twice", "unsigned-keyring", by=("anna", "anna")),
        no("a version more after it was signed", "unsigned-keyring", after={"version": 4}),
        no(
            "a machine's key gone after it was signed",
            "unsigned-keyring",
            after={"keys.checkout.private.svc": ...},
        ),
        no("of another project", "foreign-keyring", {"project": "00" * 16}),
        no("of another environment", "foreign-keyring", {"environment": "dev"}),
        vector("who is no reader", "keyring", who | made({}) | {"secret": ben.hex()}, {"documents": {}}),
        no("another people key stated", "foreign-box", {"people.public": body["keys"]["checkout"]["public"]}),
        no(
            "another document key stated",
            "foreign-box",
            {"keys.mailer.public": body["keys"]["checkout"]["public"]},
        ),
        no("boxes exchanged", "foreign-box", {"keys.checkout.private.people": other_box}),
        no(
            "previous with another key inside",
            "foreign-box",
            {"keys.checkout.previous.0.public": body["people"]["public"]},
        ),
        no(
            "a box for somebody else",
            "foreign-box",
            {"readers.anna.box": b64(box(reader_key("people")[0], to))},
        ),
        no("a key of a reader who is not listed", "malformed-keyring", {"readers.svc": ...}),
        no(
            "two readers of one key",
            "malformed-keyring",
            {"readers.svc.read": body["readers"]["anna"]["read"]},
        ),
        no(
            "a reader's key with a space",
            "malformed-keyring",
            {"readers.svc.read": body["readers"]["svc"]["read"] + " "},
        ),
        no("17 signatures", "malformed-keyring", by=("anna", *map(str, range(16)))),
        no("version that is null", "malformed-keyring", {"version": None}),
        no("a reader named people", "malformed-keyring", {"readers.people": body["readers"]["svc"]}),
        no("previous that is no list", "malformed-keyring", {"keys.checkout.previous": {}}),
        no("an unknown field", "malformed-keyring", {"more": 1}),
        no("version 0", "malformed-keyring", {"version": 0}),
        no("format 2", "malformed-keyring", {"format": 2}),
        no("a person with a unit", "malformed-keyring", {"readers.anna.unit": "production/checkout"}),
        no("a machine with a box", "malformed-keyring", {"readers.svc.box": other_box}),
        no(
            "a document key of low order",
            "malformed-keyring",
            {"keys.mailer.public": f"x25519:{b64(bytes(32))}"},
        ),
        no("a box of 79 bytes", "malformed-keyring", {"keys.mailer.private.people": b64(bytes(79))}),
        no("a field missing", "malformed-keyring", {"people": ...}),
    ]


def states() -> list[Row]:
    body = {
        "project": PROJECT,
        "environment": ENV,
        "commit": "9c" * 20,
        "batch": "01JD8XK3ZQ5V7M2N4P6R8S0T1W",
        "publisher": "ci",
        "at": "2026-11-25T02:29:34Z",
    }
    magic = b"SEALPIPE-STATE-1\n"

    def given(raw: bytes, **more: Any) -> Row:
        return {"trust": trust(), "environment": ENV, "state": b64(raw)} | more

    def made(change: Row, by: list[str], signed: bytes = b"") -> bytes:
        content = jcs(changed(body, change))
        return magic + signatures("STATE", signed or content, by) + lp(content)

    def ok(name: str, change: Row, by: list[str]) -> Row:
        texts = ("commit", "batch", "publisher", "at", "superseded")
        found = {field: changed(body, change).get(field, "") for field in texts}
        return vector(name, "state", given(made(change, by)), {"state": found})

    def no(name: str, raw: bytes) -> Row:
        return vector(name, "state", given(raw), {"state": None})

    good = made({}, ["ci"])
    return [
        ok("by a publisher", {}, ["ci"]),
        ok("by a break-glass key", {"publisher": "ben"}, ["ben"]),
        ok("a fence that was passed", {"superseded": "1f" * 20}, ["ci"]),
        ok("outside git", {"commit": ""}, ["ci"]),
        no("by nobody who publishes", made({}, ["anna"])),
        no("signature of another body", made({}, ["ci"], b"other")),
        no("signed twice by one", made({}, ["ci", "ci"])),
        no("another magic", b"SEALPIPE-STATE-2\n" + good[17:]),
        no("cut", good[:-1]),
        no("a byte more", good + b"\0"),
        no("no signature", magic + b"\0" + lp(jcs(body))),
        no("larger than 16 KiB", made({"batch": "x" * 16384}, ["ci"])),
        ok("a field missing", {"batch": ...}, ["ci"]),
        ok("a field more", {"more": "x"}, ["ci"]),
        no("a commit that is no text", made({"commit": 1}, ["ci"])),
        no("of another environment", made({"environment": "dev"}, ["ci"])),
        no("of another project", made({"project": "00" * 16}, ["ci"])),
    ]


def forms() -> list[Row]:
    """Releases at the edges of what a form allows, right signatures throughout."""
    anna = f"ed25519:{b64(public('anna'))}"
    roles = "environments.production."
    right: list[tuple[str, Row]] = [
        ("a time with one digit", {"payload": {"created_at": "2026-11-25T02:29:34.5Z"}}),
        ("a time that no calendar has", {"payload": {"created_at": "2026-02-31T25:61:61Z"}}),
        ("tool of 128 characters beyond 16 bits", {"payload": {"tool": "\U0001f600" * 128}}),
        ("successor that is a text", {"payload": {"retired": {"successor": "Check out"}}}),
        ("origins that are texts", {"payload": {"origins": {"x": "y\n"}}}),
        ("locked unsorted", {"draft": {"locked": ["/ratio", "/db/host"]}}),
        ("an empty keyed list", {"draft": {"values.none": [], "merge_keys./none": "id"}}),
        (
            "branch, since and note",
            {"trust": {roles + "branch": "a b", "keys.anna.since": "x", "keys.anna.note": "\n"}},
        ),
        ("approvals of nobody", {"trust": {roles + "approvals": []}, "approvers": []}),
        ("a recipient whose checksum is wrong", {"trust": {"keys.ben.read": "age1" + "q" * 58}}),
        ("a draft of 72 levels", {"draft": {"values.deep": deep(70)}}),
        (
            "names alike in other types",
            {"draft": {"values.ids": [{"i": 1}, {"i": "1"}, {"i": True}], "merge_keys./ids": "i"}},
        ),
    ]
    payloads: list[tuple[str, Row]] = [
        ("a time without Z", {"created_at": "2026-11-25T02:29:34"}),
        ("a time with seven digits", {"created_at": "2026-11-25T02:29:34.1234567Z"}),
        ("tool of 129 characters", {"tool": "x" * 129}),
        ("tool with a line end", {"tool": "x\n"}),
        ("tool with a line separator", {"tool": "x\u2028"}),
        ("tool with a direction mark", {"tool": "x\u202ey"}),
        ("break-glass without a reason", {"break_glass": ""}),
        ("hold by nobody", {"hold": {"by": "", "reason": "", "rejected": []}}),
        ("hold with an unknown field", {"hold": {"by": "ben", "reason": "", "rejected": [], "more": 1}}),
        ("seq that is a float", {"seq": 1.5}),
        ("number that is true", {"number": True}),
        ("number 0", {"number": 0}),
        ("git without tree", {"git": {"commit": "9c" * 20, "dirty": False}}),
        ("a commit in capitals", {"git.commit": "9C" * 20}),
        ("batch of 65", {"batch": "x" * 65}),
        ("a digest that is null", {"rollback_of": None}),
        ("a nested unknown field of a newer format", {"format": 2, "trust.more": 1}),
    ]
    trusts: list[tuple[str, Row]] = [
        ("need of two of one", {roles + "approvals": {"need": 2, "of": ["anna"]}}),
        ("a role that is null", {roles + "admins": None}),
        ("a name twice in a role", {roles + "publishers": ["ci", "ci"]}),
        ("a name that keys has not", {roles + "publishers": ["ci", "zed"]}),
        ("one key under two names", {"keys.ben.sign": anna}),
        ("a key with neither half", {"keys.ben": {"kind": "machine"}}),
        ("another kind", {"keys.ben.kind": "robot"}),
        ("a name in capitals", {"keys.Ben": {"sign": f"ed25519:{b64(public('zed'))}"}}),
        ("17 in past", {"past": ["00" * 32] * 17}),
        ("format true", {"format": True}),
        ("format 1.0", {"format": 1.0}),
        ("version 7.0", {"version": 7.0}),
        ("version 0", {"version": 0}),
        ("no environments", {"environments": ...}),
        ("protected that is a text", {roles + "protected": "yes"}),
    ]
    drafts: list[tuple[str, str, Row]] = [
        ("a pointer with a needless ~", "malformed-draft", {"locked": ["/a~2"]}),
        ("a merge key of no list", "bad-merge-key", {"merge_keys./db": "host"}),
        ("a merge key that leads nowhere", "bad-merge-key", {"merge_keys./nothing": "id"}),
        (
            "a merge key by index with a zero",
            "bad-merge-key",
            {"values.l": [[{"i": 1}]], "merge_keys./l/00": "i"},
        ),
        ("an element without its name", "bad-merge-key", {"values.replicas.0": {"url": "none"}}),
        ("a name that is a float", "bad-merge-key", {"values.replicas.0.name": 1.5}),
        ("a name that is null", "bad-merge-key", {"values.replicas.0.name": None}),
        ("listed and not there", "no-place", {"values.db": {"host": "x"}}),
        ("a draft of 73 levels", "malformed-draft", {"values.deep": deep(71)}),
        ("a document's name in capitals", "malformed-draft", {"sealed./db/password.document": "Checkout"}),
    ]
    older = pin(root(1, "anna"))
    return [
        *(facts(name, how) for name, how in right),
        facts("two pins of one root, the lower", {}, pins=f"{older}@3, {pin(root(1, 'zed'))}@9"),
        shaped(case("two pins of one root", "older-trust", release(), pins=f"{older}@3,{older}@9")),
        *(shaped(case(name, "malformed-payload", release(payload=change))) for name, change in payloads),
        *(shaped(case(name, "malformed-trust", release(trust=change))) for name, change in trusts),
        *(shaped(case(name, word, release(draft=change))) for name, word, change in drafts),
        *chains(),
    ]


def facts(name: str, how: Row, **reader: Any) -> Row:
    return shaped(with_facts(case(name, "", release(**how), **reader)))


def chains() -> list[Row]:
    """Roots one, two, three; links signed as they must be, or not."""
    one, two, three = root(1, "safe"), root(2, "anna", "ben"), root(1, "anna")
    first, second = link(one, two, "safe", "anna", "ben"), link(two, three, "anna", "ben")

    def row(name: str, word: str, links: list[bytes], roots: list[bytes] | None = None, **reader: Any) -> Row:
        made = case(name, word, release(roots=roots or [one, two, three], links=links), **reader)
        return shaped(made if word else with_facts(made))

    old, middle, new = {"pins": pin(one)}, {"pins": pin(two)}, {"pins": pin(three)}
    bad_first = link(one, two, "safe", "anna")
    another = second[:1] + second[1:33] + bytes([second[33] ^ 1]) + second[34:]
    return [
        row("three roots, the oldest pinned", "", [first, second], **old),
        row("three roots, the middle one pinned", "", [bad_first, second], **middle),
        row("three roots, the newest pinned", "", [bad_first, link(two, three, "zed")], **new),
        row(
            "the last pinned root decides the version",
            "",
            [first, second],
            pins=f"{pin(one)}@9,{pin(three)}@7",
        ),
        row("its version is too high", "older-trust", [first, second], pins=f"{pin(one)}@1,{pin(three)}@8"),
        row("first link without the need of the newer root", "bad-link", [bad_first, second], **old),
        row("second link signed by one of two", "bad-link", [first, link(two, three, "anna")], **old),
        row("links exchanged", "bad-signature", [second, first], **old),
        row(
            "a link for another pair of roots",
            "bad-signature",
            [first, link(one, three, "anna", "ben")],
            **old,
        ),
        row("a signature of a link altered", "bad-signature", [first, another], **middle),
        row(
            "a key twice in a link",
            "repeated-signature",
            [first, link(two, three, "anna", "ben", "anna")],
            **old,
        ),
        row("nine roots", "malformed-release", [first] * 8, [one] * 9, **old),
        row("keys of a root unsorted", "malformed-release", [], [unsorted()], **new),
        row("a key of a root twice", "malformed-release", [], [b"\1\2" + public("anna") * 2], **new),
    ]


def unsorted() -> bytes:
    keys = sorted([public("anna"), public("ben")], reverse=True)
    return b"\1\2" + b"".join(keys)


def deep(levels: int) -> Any:
    return [] if levels == 1 else [deep(levels - 1)]


def main() -> None:
    save("release_forms", forms())
    save("tokens_more", values())
    save("keys_more", keys())
    save("signatures_refused", signed())
    save("pins_read", read_pins())
    save("json", json_texts())
    save("places", places())
    save("boxes", boxes())
    save("release_opened", opened())
    save("heads", heads())
    save("newer", newer())
    save("keyrings", keyrings())
    save("states", states())


if __name__ == "__main__":
    main()
