"""This implementation against every case of tests/vectors/: the other one is beside it, in JavaScript."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from format_vectors import FOLDER, cases
from sealpipe.canonical import canonical, from_base64url, strict_json
from sealpipe.client.cache import Marks
from sealpipe.client.snapshot import open_release
from sealpipe.client.start import refuse_older
from sealpipe.crypto import keys, signing
from sealpipe.crypto.points import check_point
from sealpipe.crypto.sealing import open_value, unbox
from sealpipe.crypto.spelling import encode_plain
from sealpipe.errors import SealpipeError, TrustError
from sealpipe.keyrings import check_keyring, parse_keyring
from sealpipe.opening import document_keys
from sealpipe.paths import Member, from_pointer, lookup, settle, to_pointer, typed
from sealpipe.publishing.fence import read_state
from sealpipe.released import Order, Release, Unit
from sealpipe.releases import fetch
from sealpipe.releases.check import Seen, check_release, newer
from sealpipe.releases.keys import head_key
from sealpipe.roots import Root, parse_pins, pin_text, root_digest
from sealpipe.stores.base import ABSENT, Put
from sealpipe.testing.memory import MemoryStore
from sealpipe.tokens import parse_token, place, place_tag
from sealpipe.trust import parse_trust

Row = dict[str, Any]
FILES = sorted(path.stem for path in FOLDER.glob("*.json"))
ALL = [(f"{name}: {row['name']}", row) for name in FILES for row in cases(name)]


def unhex(text: str) -> bytes:
    return bytes.fromhex(text)


def identity(given: Row) -> Row:
    found = keys.parse_identity(given["identity"])
    return {
        "secret": found.read.secret().hex(),
        "public": found.read.public.hex(),
        "recipient": found.read.recipient,
        "text": keys.format_public("x25519", found.read.public),
        "key_id": found.read.key_id.hex(),
        "signing_public": keys.format_public("ed25519", found.sign.public),
    }


def key(given: Row) -> Row:
    text = given["text"]
    try:
        match given["kind"]:
            case "identity":
                return {"key": keys.parse_identity(text).read.secret().hex()}
            case "machine":
                return {"key": keys.parse_signing_key(text).secret()[:32].hex()}
            case "recipient":
                return {"key": keys.parse_recipient(text).hex()}
            case kind:
                found = keys.parse_public(text, kind)
                return {"key": (check_point(found) if kind == "x25519" else found).hex()}
    except ValueError:
        raise TrustError("malformed-key", "not a key") from None


def value(given: Row) -> Row:
    path = tuple(part if isinstance(part, str) else Member(*part) for part in given["path"])
    where = place(given["environment"], given["document"], path)
    private, token = keys.PrivateKey(unhex(given["document_secret"])), parse_token(given["token"])
    return {
        "place": where.hex(),
        "place_tag": place_tag(where).hex(),
        "type": token.type,
        "plain": encode_plain(open_value(token, where, private), token.type).hex(),
        "document_public": private.public.hex(),
    }


def signature(given: Row) -> Row:
    body, public = unhex(given["body"]), unhex(given["public"])
    if not signing.verify(given["kind"], body, public, unhex(given["signature"])):
        raise TrustError("bad-signature", "not over these bytes")
    return {}


def pin(given: Row) -> Row:
    root = Root(given["need"], tuple(map(unhex, given["keys"])))
    return {
        "digest": root_digest(given["project"], root).hex(),
        "pin": pin_text(given["project"], root),
    }


def pins(given: Row) -> Row:
    return {"pins": [[one.digest.hex(), one.min_version] for one in parse_pins(given["pins"])]}


def json_text(given: Row) -> Row:
    return {"canonical": canonical(strict_json(unhex(given["bytes"]))).hex()}


def place_of(given: Row) -> Row:
    draft = strict_json(unhex(given["draft"]))
    path = settle(draft["values"], from_pointer(given["pointer"]))
    if path is None or to_pointer(path) != given["pointer"]:
        raise TrustError("no-place", "nothing stands there")
    found = typed(draft["values"], path, draft["merge_keys"])
    if found is None:
        raise TrustError("no-place", "no place in a list")
    return {"place": place(given["environment"], given["document"], found).hex()}


def checked(given: Row) -> Release:
    raw = from_base64url(given["release"])
    return check_release(
        raw + bytes(max(0, given.get("pad_to", 0) - len(raw))),
        pins=parse_pins(given["pins"]),
        unit=Unit(given["environment"], given["service"]),
        project=given["project"],
        min_trust=given.get("min_trust", 0),
    )


def release(given: Row) -> Row:
    found = checked(given)
    facts = {
        "digest": found.digest,
        "draft_digest": found.payload.draft_digest,
        "trust": found.order.trust,
        "seq": found.order.seq,
    }
    if "identity" in given:
        opened = open_release(found, keys.PrivateKey(unhex(given["identity"]))).secrets
        return facts | {"opened": {pointer: secret.reveal() for pointer, secret in opened.items()}}
    draft, plain = found.draft, {}
    for pointer, at in draft.sealed.items():
        path = settle(draft.values, from_pointer(pointer))
        assert path is not None
        where = place(at.environment, at.document, typed(draft.values, path, draft.merge_keys) or ())
        private = keys.PrivateKey(unhex(given["document_secrets"][at.document]))
        plain[pointer] = open_value(parse_token(lookup(draft.values, path)), where, private)
    return facts | {"opened": plain}


def head(given: Row) -> Row:
    unit = Unit(given["environment"], given["service"])
    held = {at: unhex(chunk["byte"]) * chunk["size"] for at, chunk in given["chunks"].items()}
    store = MemoryStore()
    for at, data in (held | {head_key("", unit): unhex(given["head"])}).items():
        store.write([Put(at, data, ABSENT)], timeout=5)
    found = fetch.read_head(store, "", unit, timeout=0.3)
    assert found is not None
    return {"size": len(found.raw), "blake2b": hashlib.blake2b(found.raw, digest_size=32).hexdigest()}


def which_is_newer(given: Row) -> Row:
    """Only what the comparison reads of a release."""

    class Offered:
        order = Order(given["offered"]["trust"], given["offered"]["seq"])
        digest = short = given["offered"]["digest"]
        trust_version = order.trust
        unit = Unit("production", "checkout")

        class payload:  # noqa: N801
            trust_digest = given["offered"]["trust_digest"]
            number = 1

    have = given["have"]
    seen = Seen(Order(have["trust"], have["seq"]), have["digest"], have["trust_digest"])
    verdict = newer(seen, Offered)  # type: ignore[arg-type]
    if verdict == "equivocation":
        refuse_older(Offered, Marks(seen=seen))  # type: ignore[arg-type]
    return {"is": {"load": "newer"}.get(verdict, verdict)}


def box(given: Row) -> Row:
    to = keys.PrivateKey(unhex(given["secret"]))
    found = unbox(unhex(given["box"]), to, expect_public=unhex(given["stated"]))
    return {"opened": found.secret().hex()}


def keyring(given: Row) -> Row:
    ring = parse_keyring(given["keyring"], "keyring")
    check_keyring(ring, parse_trust(given["trust"]), signing.verify, environment=given["environment"])
    opened = document_keys(ring, keys.PrivateKey(unhex(given["secret"])))
    return {
        "documents": {
            document: [one.secret().hex() for one in several] for document, several in opened.items()
        }
    }


def state(given: Row) -> Row:
    found = read_state(from_base64url(given["state"]), parse_trust(given["trust"]), given["environment"])
    return {"state": None if found is None else found._asdict()}


WORK: dict[str, Callable[[Row], Row]] = {
    "identity": identity,
    "key": key,
    "value": value,
    "signature": signature,
    "pin": pin,
    "pins": pins,
    "json": json_text,
    "place": place_of,
    "release": release,
    "head": head,
    "newer": which_is_newer,
    "box": box,
    "keyring": keyring,
    "state": state,
}


@pytest.mark.parametrize("row", [row for _, row in ALL], ids=[name for name, _ in ALL])
def test_case(row: Row, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "TRIES", 1)
    if "refused" in row:
        with pytest.raises(SealpipeError) as caught:
            WORK[row["do"]](row["given"])
        assert caught.value.finding.word == row["refused"]
        return
    found, wanted = WORK[row["do"]](row["given"]), row["gives"]
    both = {name: found[name] for name in found if name in wanted}
    assert both == {name: wanted[name] for name in both}
    assert both or row["do"] == "signature"


def test_there_are_as_many_as_promised() -> None:
    refusals = [row for _, row in ALL if "refused" in row]
    assert len(ALL) >= 150
    assert len(refusals) > len(ALL) / 2
    assert all(
        set(row) in ({"name", "do", "given", "gives"}, {"name", "do", "given", "refused"}) for _, row in ALL
    )
    assert max(Counter(name for name, _ in ALL).values()) == 1
    assert {row["do"] for _, row in ALL} == set(WORK)


def test_they_are_plain_json() -> None:
    for name in FILES:
        text = (FOLDER / f"{name}.json").read_text("utf-8")
        assert json.loads(text)["format"] == 1
