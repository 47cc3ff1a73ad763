"""Writes the vectors for releases, locators and newer-or-not from the format's text, without the package.

Run once per format: `python tests/vectors/make_releases.py`. Another language's implementation can be
checked against the files; ours is, in tests/releases/test_vectors.py.
"""

from __future__ import annotations

import json
from typing import Any

import nacl.bindings as sodium
import nacl.signing
from make_keys_and_tokens import BECH32, Row, b64, h, lp, save, segment, vector

PROJECT = "5b0c7a1e9f2d4c6688aa01d3e7f4b912"
Change = dict[str, Any]


def jcs(data: Any) -> bytes:
    # RFC 8785 for what stands here: ASCII keys, no float that Python spells another way.
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def signer(name: str) -> nacl.signing.SigningKey:
    return nacl.signing.SigningKey(h(32, "sealpipe vector signer", name.encode()))


def public(name: str) -> bytes:
    return bytes(signer(name).verify_key)


def signature(kind: str, body: bytes, name: str) -> bytes:
    import hashlib

    return signer(name).sign(f"SEALPIPE-{kind}-1\n".encode() + hashlib.blake2b(body).digest()).signature


def signatures(kind: str, body: bytes, names: list[str]) -> bytes:
    return bytes([len(names)]) + b"".join(public(name) + signature(kind, body, name) for name in names)


def root(need: int, *names: str) -> bytes:
    return bytes([need, len(names)]) + b"".join(sorted(public(name) for name in names))


def pin(one: bytes, project: str = PROJECT) -> str:
    number = int.from_bytes(h(32, "sealpipe.root.1", bytes.fromhex(project) + one), "big") << 4
    chars = "".join(BECH32[number >> 5 * (51 - i) & 31] for i in range(52))
    return "st1-" + "-".join(chars[i : i + 4] for i in range(0, 52, 4))


def link(old: bytes, new: bytes, *names: str) -> bytes:
    project = bytes.fromhex(PROJECT)
    body = h(32, "sealpipe.root.1", project + old) + h(32, "sealpipe.root.1", project + new)
    return signatures("ROOT", body, list(names))


def document_secret(name: str) -> bytes:
    return h(32, "sealpipe vector document", name.encode())


def token(plain: bytes, environment: str, document: str, path: list[Any]) -> str:
    parts = b"".join(map(segment, path))
    place = lp(environment.encode()) + lp(document.encode()) + len(path).to_bytes(4, "big") + parts
    ephemeral, tail = h(32, "ephemeral", place), h(16, "tail", place)
    to = sodium.crypto_scalarmult_base(document_secret(f"{environment}/{document}"))
    ours, tag = sodium.crypto_scalarmult_base(ephemeral), h(8, "sealpipe.place.1", place)
    body = sodium.crypto_aead_xchacha20poly1305_ietf_encrypt(
        plain + b"\x80" + b"\0" * (31 - len(plain) % 32),
        b"SEALPIPE-VALUE-1\n" + to + ours + lp(b"str") + place,
        tag + tail,
        sodium.crypto_box_beforenm(to, ephemeral),
    )
    return f"ENC[NACL1,type:str,data:{b64(h(8, 'sealpipe.kid.1', to) + ours + tag + tail + body)}]"


SECRETS = {
    "/db/password": (b"correct horse", "checkout", ["db", "password"]),
    "/replicas/1/url": (b"postgres://us", "_all", ["replicas", ["name", "us"], "url"]),
}


def trust() -> dict[str, Any]:
    names = ["anna", "ben", "ci"]
    return {
        "format": 1,
        "project": PROJECT,
        "version": 7,
        "past": ["00" * 32],
        "root": {"need": 1, "of": ["anna"]},
        "keys": {name: {"sign": f"ed25519:{b64(public(name))}", "kind": "machine"} for name in names},
        "environments": {
            "dev": {"admins": ["anna"], "publishers": ["anna", "ben"]},
            "production": {
                "admins": ["anna"],
                "publishers": ["ci"],
                "break_glass": ["ben"],
                "approvals": {"need": 1, "of": ["anna", "ben"]},
                "protected": True,
            },
        },
    }


def draft() -> dict[str, Any]:
    sealed = {p: token(plain, "production", document, path) for p, (plain, document, path) in SECRETS.items()}
    return {
        "values": {
            "db": {"host": "db.internal", "password": sealed["/db/password"], "pool_max": 40},
            "replicas": [{"name": "eu", "url": "none"}, {"name": "us", "url": sealed["/replicas/1/url"]}],
            "ratio": 0.5,
            "text": "grüße ✓",
        },
        "sealed": {
            pointer: {"environment": "production", "document": document}
            for pointer, (_, document, _) in SECRETS.items()
        },
        "merge_keys": {"/replicas": "name"},
        "locked": ["/db/host"],
        "stanzas": {"production/checkout": {"00" * 8: {"11" * 8: b64(bytes(80))}}},
    }


def payload(document: bytes, content: bytes) -> dict[str, Any]:
    version = json.loads(document)["version"]
    return {
        "format": 1,
        "min_format": 1,
        "project": PROJECT,
        "environment": "production",
        "service": "checkout",
        "trust": {"version": version, "digest": h(32, "sealpipe.trust.1", document).hex()},
        "seq": 1790000000000,
        "number": 42,
        "prev": "aa" * 32,
        "rid": "0123456789abcdef" * 2,
        "batch": "01JD8XK3ZQ5V7M2N4P6R8S0T1W",
        "created_at": "2026-11-25T02:29:34Z",
        "git": {"commit": "9c" * 20, "tree": "1f" * 20, "dirty": False},
        "tool": "another implementation 1.0",
        "draft_digest": h(32, "sealpipe.draft.1", content).hex(),
        "schema_digest": "bb" * 32,
        "keyring_versions": {"production": 12},
        "origins": {"/db/host": "environments/production/checkout.yaml:3"},
    }


def changed(document: dict[str, Any], change: Change) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json.dumps(document))
    for path, value in change.items():
        *parents, last = path.split(".")
        node: Any = found
        for name in parents:
            node = node[int(name)] if isinstance(node, list) else node[name]
        if value is ...:
            del node[last]
        else:
            node[int(last) if isinstance(node, list) else last] = json.loads(json.dumps(value))
    return found


def release(**how: Any) -> bytes:
    """A right release of production/checkout; each keyword changes one thing of it."""
    roots, links = how.get("roots", [root(1, "anna")]), how.get("links", [])
    document = jcs(changed(trust(), how.get("trust", {})))
    content = jcs(changed(draft(), how.get("draft", {})))
    body = how.get("body") or jcs(changed(payload(document, content), how.get("payload", {})))
    approval = bytes.fromhex(PROJECT) + lp(b"production") + lp(how.get("approved", b"checkout"))
    return (
        b"SEALPIPE-RELEASE-1\n"
        + bytes.fromhex(PROJECT)
        + bytes([len(roots)])
        + b"".join(roots + links)
        + signatures("TRUST", document, how.get("root_signs", ["anna"]))
        + lp(document)
        + signatures("RELEASE", body, how.get("publishers", ["ci"]))
        + lp(body)
        + lp(how.get("shipped", content))
        + signatures(
            "APPROVAL", approval + h(32, "sealpipe.draft.1", content), how.get("approvers", ["anna"])
        )
    )


def case(name: str, word: str, raw: bytes, **reader: Any) -> dict[str, Any]:
    row = {
        "name": name,
        "refused": word,
        "pins": reader.pop("pins", pin(root(1, "anna"))),
        "project": PROJECT,
        "environment": "production",
        "service": "checkout",
        "release": b64(raw),
    }
    return row | reader


def accepted() -> list[dict[str, Any]]:
    old, new = root(1, "safe"), root(1, "anna")
    moved = release(roots=[old, new], links=[link(old, new, "safe", "anna")])
    two = {"root": {"need": 2, "of": ["anna", "ben"]}}
    both = root(2, "anna", "ben")
    reason = {"break_glass": "everything burns"}
    hold = {
        "by": "ben",
        "reason": "slow",
        "rejected": [{"path": "/db/pool_max", "value": 80}, {"path": "/new"}],
    }
    return [
        case("plain", "", release()),
        case("root changed, old pin", "", moved, pins=pin(old)),
        case("root changed, new pin", "", moved, pins=f"{pin(root(1, 'zed'))},{pin(new)}"),
        case(
            "two root keys", "", release(roots=[both], trust=two, root_signs=["anna", "ben"]), pins=pin(both)
        ),
        case("lowest version met", "", release(), pins=pin(new) + "@7"),
        case("foreign signatures beside", "", release(publishers=["zed", "ci"], approvers=["anna", "zed"])),
        case("break-glass", "", release(publishers=["ben"], approvers=[], payload=reason)),
        case(
            "rollback with hold", "", release(payload={"hold": hold, "rollback_of": "cc" * 32, "git": None})
        ),
        case("tombstone", "", release(payload={"retired": {"successor": "checkout2"}})),
        case("newer format that this one reads", "", release(payload={"format": 2, "more": {"x": 1}})),
        case(
            "dev",
            "",
            release(payload={"environment": "dev"}, publishers=["ben"], approvers=[]),
            environment="dev",
        ),
    ]


FORMS: list[tuple[str, Any]] = [
    ("values", []),
    ("sealed./db/password.more", "x"),
    ("sealed.db", {"environment": "production", "document": "checkout"}),
    ("merge_keys./replicas", 1),
    ("locked", ["db"]),
    ("stanzas", {"production": {}}),
    ("stanzas", {"production/checkout": {"x": {}}}),
    ("stanzas", {"production/checkout": {"00" * 8: {"11" * 8: b64(bytes(79))}}}),
]


def refused() -> list[dict[str, Any]]:
    raw = release()
    old, new = root(1, "safe"), root(1, "anna")
    moved = release(roots=[old, new], links=[link(old, new, "safe")])
    in_plain_list = {"merge_keys": {}}
    password, elsewhere = draft()["values"]["db"]["password"], "values.db.host"
    two = {"environments.production.approvals": {"need": 2, "of": ["anna", "ben"]}}
    return [
        case("larger than 4 MiB", "release-too-large", raw).copy() | {"pad_to": 4 * 1024 * 1024 + 1},
        case("another magic", "not-a-release", b"SEALPIPE-RELEASE-2\n" + raw[19:]),
        case("cut short", "malformed-release", raw[:-1]),
        case("a byte more", "malformed-release", raw + b"\0"),
        case("cut short in the chain", "malformed-release", raw[:60]),
        case("root that needs two of one", "malformed-release", release(roots=[root(2, "anna")])),
        case("17 signatures", "malformed-release", release(publishers=["ci", *map(str, range(16))])),
        case("no root", "malformed-release", raw[:35] + b"\0" + raw[36:]),
        case("another project expected", "foreign-project", raw, project="00" * 16),
        case("root not pinned", "foreign-root", raw, pins=pin(root(1, "ben"))),
        case("pin of another project", "foreign-root", raw, pins=pin(new, "00" * 16)),
        case("link signed by the old root alone", "bad-link", moved, pins=pin(old)),
        case("trust signed by another", "unsigned-trust", release(root_signs=["ben"])),
        case("trust signed by one key twice", "repeated-signature", release(root_signs=["anna", "anna"])),
        case("trust with an unknown field", "malformed-trust", release(trust={"extra": 1})),
        case("trust of another project", "foreign-trust", release(trust={"project": "00" * 16})),
        case("trust that names another root", "foreign-root", release(trust={"root": ["ben"]})),
        case("below the pin's version", "older-trust", raw, pins=pin(new) + "@8"),
        case("below the version seen", "older-trust", raw, min_trust=8),
        case("environment unknown", "unknown-environment", raw, environment="qa"),
        case("not a publisher", "untrusted-signature", release(publishers=["anna"])),
        case("signature of another payload", "bad-signature", other_signature(raw)),
        case("unknown payload field", "malformed-payload", release(payload={"more": 1})),
        case("payload that is no map", "malformed-payload", release(body=b"[]")),
        case("format 0", "malformed-payload", release(payload={"format": 0})),
        case("digest that is none", "malformed-payload", release(payload={"rollback_of": "41"})),
        case("payload field missing", "malformed-payload", release(payload={"rid": ...})),
        case("payload for newer readers", "newer-format", release(payload={"format": 2, "min_format": 2})),
        case("another trust version", "trust-mismatch", release(payload={"trust.version": 6})),
        case("another trust document", "trust-mismatch", release(payload={"trust.digest": "00" * 32})),
        case("payload of another project", "foreign-payload", release(payload={"project": "00" * 16})),
        case("another service", "foreign-unit", release(payload={"service": "mailer"})),
        case("another environment", "foreign-unit", release(payload={"environment": "dev"})),
        case("seq too large", "bad-order", release(payload={"seq": 2**48})),
        case("break-glass unrecorded", "unrecorded-break-glass", release(publishers=["ben"])),
        case("draft swapped", "altered-draft", release(shipped=jcs(changed(draft(), {"values.ratio": 1})))),
        case("draft field missing", "malformed-draft", release(draft={"locked": ...})),
        *(
            case(f"form {n}: {path}", "malformed-draft", release(draft={path: value}))
            for n, (path, value) in enumerate(FORMS)
        ),
        case("key of an un-keyed list", "no-place", release(draft=in_plain_list)),
        case("unlisted secret", "unlisted-secret", release(draft={"values.text": password})),
        case("no token", "malformed-secret", release(draft={"values.db.password": "ENC[NACL1"})),
        case("listed and not sealed", "no-place", release(draft={"values.db.password": "plain"})),
        case(
            "moved to another path",
            "misplaced-secret",
            release(draft={elsewhere: password, "sealed./db/host": draft()["sealed"]["/db/password"]}),
        ),
        case(
            "of another document", "misplaced-secret", release(draft={"sealed./db/password.document": "_all"})
        ),
        case("key value twice", "bad-merge-key", release(draft={"values.replicas.0.name": "us"})),
        case("not approved", "not-approved", release(approvers=[])),
        case("approved by one of two", "not-approved", release(trust=two)),
        case("approved for another service", "bad-signature", release(approved=b"mailer")),
        case("reason written by CI", "not-approved", release(approvers=[], payload={"break_glass": "x"})),
    ]


def other_signature(raw: bytes) -> bytes:
    other = release(payload={"number": 43})
    at = raw.index(public("ci"), raw.index(b'"version":7')) + 32
    return (
        raw[:at] + other[other.index(public("ci"), other.index(b'"version":7')) + 32 :][:64] + raw[at + 64 :]
    )


def with_facts(row: dict[str, Any]) -> dict[str, Any]:
    """What a reader must get out of an accepted release."""
    raw = b64_decode(row["release"])
    at = raw.index(b'{"batch"')
    body = raw[at : at + int.from_bytes(raw[at - 4 : at], "big")]
    data = json.loads(body)
    opened = {pointer: plain.decode() for pointer, (plain, _, _) in SECRETS.items()}
    return row | {
        "digest": h(32, "sealpipe.release.1", body).hex(),
        "draft_digest": data["draft_digest"],
        "trust": data["trust"]["version"],
        "seq": data["seq"],
        "document_secrets": {
            name: document_secret(f"production/{name}").hex() for name in ("checkout", "_all")
        },
        "opened": opened,
    }


def b64_decode(text: str) -> bytes:
    import base64

    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


GIVEN = ("pins", "project", "environment", "service", "min_trust", "release", "pad_to", "document_secrets")


def shaped(row: Row) -> Row:
    given = {name: row[name] for name in GIVEN if name in row}
    gives = {name: value for name, value in row.items() if name not in (*GIVEN, "name", "refused")}
    return vector(row["name"], "release", given, None if row["refused"] else gives, row["refused"])


def main() -> None:
    save("release", [shaped(with_facts(row)) for row in accepted()])
    save("release_refused", [shaped(row) for row in refused()])


if __name__ == "__main__":
    main()
